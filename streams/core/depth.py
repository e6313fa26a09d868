"""How much of a basket to buy: the equal quantity of every leg that maximises net profit, exactly.

net(q) = payout * q - cost(q) - fees(q) - charges(q) for q in steps of 0.01 contract, or of the legs' lots. The charges
are linear in quantity, cost and fees (`Charges`): they tilt the curve and change nothing below. Because fees are
rounded per fill, net is not monotonic: it saws around a straight line, so every step counts. What makes that quick is a
bound.

Between two ends of levels (a *segment*) the same levels are touched, and only the last fill of each leg grows with q.
There the order's fee is never below a straight line:

- Kalshi: the fee so far - the accumulator so far + the unrounded fee of the last fill. (A rebate returns at most what
  rounding has taken: the accumulator, and the last fill's own rounding.)
- Polymarket: the fee so far + the unrounded fee of the last fill - half of the 1e-5 dollar grid.

So net(q) <= ceiling(q), which is linear. A segment is walked from the end where the ceiling is higher, and left as soon
as the ceiling is no better than the best net found. Segments that earn before fees are taken in order of their
ceilings. Beyond them no more quantity earns anything before fees, and no lower bound of a fee ever falls as the
quantity grows, so nothing there is above the ceiling at the first quantity, and the walk ends where that cannot win.

Flat ceilings would still cost one evaluation per step of a deep level. Rounding repeats itself: after `period` steps
every leg's fee has grown by a whole multiple of its grid, so net(q + period) = net(q) + period * slope, and one period
is enough. The exception is a Kalshi accumulator that holds a rebate back because the net fee would turn negative: it
loosens as the fill grows, so net(q + period) may be more than that. A rising segment is walked from its far end and is
safe; another one is cut to a period only where no rebate can be held back.

A walk stops after `MAXIMUM_STEPS` evaluations. Only a ceiling that is all but flat over a very deep level whose
rounding hardly ever repeats comes that far. In a search for such cases (levels of 10 to a million contracts, fees that
eat the edge to the last step of price) prices in whole cents needed at most 1,601 evaluations, in tenths of a cent
16,417, and in 1e-4 dollar with whole-cent balances some reached the limit. The walk has then seen the highest ceiling
first, so its result is below the optimum by no more than the grids: Kalshi's balance precision ($0.01 at most) and 1e-5
dollar per leg.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import gcd, lcm
from typing import Final

from schemas.fees import POLYMARKET_GRID, fill_fee, fill_fees
from schemas.records import FeeSchedule, Level
from schemas.units import FILL_PER_QUANTITY, ONE

MAXIMUM_STEPS: Final = 50_000
_HALF_GRID: Final = POLYMARKET_GRID // 2
_RATE_GRID: Final = 100
"""rate * 0.01 contract (1e4 fill units) is money times this, before the curve's own scale."""
_CURVE: Final = ONE * ONE
PARTS: Final = 1_000_000_000
"""Charges are counted in parts of 1e-9."""


@dataclass(frozen=True, slots=True)
class WalkLeg:
    """One leg's offer: levels (price, quantity) best first, the fees on them, the least it may be bought in.

    Prices must not fall from level to level. `minimum_quantity` and `lot` are 1e-2 contract, `minimum_value` money of
    cost.
    """

    levels: Sequence[Level]
    fee: FeeSchedule
    minimum_quantity: int = 0
    minimum_value: int = 0
    lot: int = 1
    _steps: "list[_Step]" = field(default_factory=list, init=False, repr=False, compare=False)

    def step(self, number: int) -> "_Step | None":
        """A level with what those before it cost, made once however many walks ask for it; None beyond the last."""
        steps = self._steps
        while len(steps) <= number:
            if len(steps) == len(self.levels):
                return None
            steps.append(steps[-1].after(self.levels[len(steps)]) if steps else _Step(self.levels[0], self.fee))
        return steps[number]


@dataclass(frozen=True, slots=True)
class Charges:
    """What a basket costs beside prices and fees, and the most that may be bought of it (1e-2 contract).

    `fixed` is money; the others are parts (1e-9): of each leg's cost (none: nothing on any), of all fees, and, per
    contract, of the price unit.
    """

    cost_parts: tuple[int, ...] = ()
    fee_parts: int = 0
    contract_parts: int = 0
    fixed: int = 0
    maximum_quantity: int | None = None


NO_CHARGES: Final = Charges()


@dataclass(frozen=True, slots=True)
class WalkedLeg:
    """What the walk takes of one leg: (price, quantity) per level, their cost, the order's fee, the worst price."""

    fills: tuple[Level, ...]
    cost: int
    fee: int
    limit_price: int


@dataclass(frozen=True, slots=True)
class Walk:
    """The best size of a basket: `gross` = payout - costs, `net` = gross - fees - charges rounded up, all money."""

    quantity: int
    payout: int
    gross: int
    fees: int
    net: int
    legs: tuple[WalkedLeg, ...]


class _Step:
    """One level of one leg: it serves quantities above `start` up to `end`, after the fills before it.

    The unrounded fee of n steps of 0.01 contract here is n * rise / scale.
    """

    __slots__ = ("accumulator", "cost", "end", "fee", "price", "rise", "scale", "schedule", "start")

    def __init__(
        self, level: Level, schedule: FeeSchedule, start: int = 0, cost: int = 0, fee: int = 0, accumulator: int = 0
    ) -> None:
        self.price = level[0]
        self.schedule = schedule
        self.start = start
        self.end = start + level[1]
        self.cost = cost
        self.fee = fee
        self.accumulator = accumulator
        exponent = fee_exponent(schedule)
        curve: int = (self.price * (ONE - self.price)) ** exponent
        self.scale: int = _RATE_GRID * _CURVE**exponent
        self.rise = schedule.taker_rate * curve if schedule.model != "none" else 0

    def after(self, level: Level) -> "_Step":
        """The step of the next level."""
        taken = self.end - self.start
        paid, accumulator = fill_fee(self.schedule, self.accumulator, self.price, taken * FILL_PER_QUANTITY)
        return _Step(level, self.schedule, self.end, self.cost + self.price * taken, self.fee + paid, accumulator)

    def outlay(self, quantity: int) -> tuple[int, int]:
        """Exact cost and fee of `quantity` contracts, which must end in this level."""
        taken = quantity - self.start
        fee, _ = fill_fee(self.schedule, self.accumulator, self.price, taken * FILL_PER_QUANTITY)
        return self.cost + self.price * taken, self.fee + fee

    def least_fee(self) -> int:
        """The constant part of the lower bound of the fees, at `start`."""
        slack = _HALF_GRID if self.rise and self.schedule.model == "polymarket_curve" else 0
        return self.fee - self.accumulator - slack

    def period(self) -> int:
        """Steps after which rounding repeats itself: cost and fee grow by whole multiples of their grids."""
        if self.schedule.model == "polymarket_curve":
            # Twice the grid: ties go to the even neighbour, so an odd number of grids would turn them.
            grid = self.scale * POLYMARKET_GRID * 2
            return grid // gcd(self.rise, grid)
        if self.schedule.model == "kalshi_quadratic":
            steps = self.scale // gcd(self.rise, self.scale)
            money = steps * self.price + steps * self.rise // self.scale
            return steps * self.schedule.balance_precision // gcd(money, self.schedule.balance_precision)
        return 1

    def repeats_from(self, quantity: int) -> bool:
        """Whether rounding repeats itself exactly from `quantity` on: no rebate can be held back any more."""
        if self.schedule.model != "kalshi_quadratic" or self.rise == 0:
            return True
        precision = self.schedule.balance_precision
        most = (self.accumulator + precision - 1) // precision * precision
        return (quantity - self.start) * self.rise >= most * self.scale


@dataclass(frozen=True, slots=True)
class _Terms:
    """What all segments of a walk share: parts of money per contract before any leg, weights, the common lot."""

    per_contract: int
    cost_weights: tuple[int, ...]
    fee_weight: int
    fixed: int
    lot: int
    scale: int


class _Segment:
    """Quantities `low`..`high` within which every leg stays in one level; ceiling(q) = (base + slope * q) // scale.

    Nets and ceilings are parts of money.
    """

    __slots__ = ("base", "edge", "high", "low", "slope", "steps", "terms")

    def __init__(self, low: int, high: int, steps: tuple[_Step, ...], terms: _Terms) -> None:
        self.low = low
        self.high = high
        self.steps = steps
        self.terms = terms
        scale, fee_weight = terms.scale, terms.fee_weight
        edge = terms.per_contract
        rises = least = 0
        base = -terms.fixed
        for step, cost_weight in zip(steps, terms.cost_weights, strict=True):
            price = cost_weight * step.price
            edge -= price
            base += price * step.start - cost_weight * step.cost - fee_weight * step.least_fee()
            rise = step.rise if step.scale == scale else step.rise * (scale // step.scale)
            rises += rise
            least += rise * step.start
        self.edge = edge
        self.slope = edge * scale - fee_weight * rises
        self.base = base * scale + fee_weight * least

    def ceiling(self, quantity: int) -> int:
        """No net in this segment at `quantity` is above this."""
        return (self.base + self.slope * quantity) // self.terms.scale

    def highest(self) -> int:
        """No net in this segment is above this."""
        return self.ceiling(self.high if self.slope > 0 else self.low)

    def net(self, quantity: int) -> int:
        """Exact net at `quantity`."""
        terms = self.terms
        net = terms.per_contract * quantity - terms.fixed
        for step, cost_weight in zip(self.steps, terms.cost_weights, strict=True):
            cost, fee = step.outlay(quantity)
            net -= cost_weight * cost + terms.fee_weight * fee
        return net

    def candidates(self) -> range:
        """The quantities among which the segment's best is, beginning where the ceiling is highest."""
        lot = self.terms.lot
        low, high = -(-self.low // lot) * lot, self.high // lot * lot
        period = lcm(lot, *(step.period() for step in self.steps))
        if self.slope > 0:
            return range(high, max(low, high - period + 1) - 1, -lot)
        if all(step.repeats_from(self.low) for step in self.steps):
            return range(low, min(high, low + period - 1) + 1, lot)
        return range(low, high + 1, lot)


class _Best:
    """The best quantity so far: more net wins, then the smaller quantity. Only net >= the minimum counts."""

    __slots__ = ("net", "quantity", "steps_left")

    def __init__(self, minimum_net: int) -> None:
        self.net = minimum_net * PARTS - 1
        self.quantity = 0
        self.steps_left = MAXIMUM_STEPS

    def search(self, segment: _Segment) -> None:
        if segment.highest() < self.net:
            return
        for quantity in segment.candidates():
            ceiling = segment.ceiling(quantity)
            if ceiling < self.net or (ceiling == self.net and quantity > self.quantity):
                return
            if self.steps_left <= 0:
                return
            self.steps_left -= 1
            net = segment.net(quantity)
            if net > self.net or (net == self.net and quantity < self.quantity):
                self.net, self.quantity = net, quantity


def fee_exponent(schedule: FeeSchedule) -> int:
    """The power of P(1 - P) in the schedule's curve."""
    return schedule.exponent if schedule.model == "polymarket_curve" else 1


def _segments(legs: Sequence[WalkLeg], payout: int, first: int, charges: Charges) -> Iterator[_Segment]:
    """The segments in order, without the quantities below `first` and above the charges' maximum."""
    terms = _Terms(
        per_contract=payout * PARTS - charges.contract_parts,
        cost_weights=tuple(PARTS + parts for parts in charges.cost_parts or (0,) * len(legs)),
        fee_weight=PARTS + charges.fee_parts,
        fixed=charges.fixed * PARTS,
        lot=lcm(*(leg.lot for leg in legs)),
        scale=_RATE_GRID * _CURVE ** max(fee_exponent(leg.fee) for leg in legs),
    )
    last = charges.maximum_quantity
    places = [0] * len(legs)
    low = 1
    while last is None or low <= last:
        steps = []
        for leg, place in zip(legs, places, strict=True):
            step = leg.step(place)
            if step is None:
                return
            steps.append(step)
        end = min([step.end for step in steps])
        high = end if last is None or end < last else last
        if high >= first:
            yield _Segment(max(low, first), high, tuple(steps), terms)
        low = end + 1
        places = [place + (step.end == end) for step, place in zip(steps, places, strict=True)]


def smallest_quantity(legs: Sequence[WalkLeg]) -> int | None:
    """The least quantity that meets every leg's minimum quantity and value; None where a ladder ends before it."""
    smallest = 1
    for leg in legs:
        least = max(1, leg.minimum_quantity)
        quantity = cost = 0
        for price, size in leg.levels:
            if cost + price * size >= leg.minimum_value:
                if cost < leg.minimum_value:
                    least = max(least, quantity - (cost - leg.minimum_value) // price)
                break
            quantity += size
            cost += price * size
        else:
            return None
        smallest = max(smallest, least)
    return smallest


def walk_depth(legs: Sequence[WalkLeg], payout: int, minimum_net: int, charges: Charges = NO_CHARGES) -> Walk | None:
    """The quantity with the highest net, the smallest of several; None when no quantity has net >= `minimum_net`.

    `payout` is 1e-4 dollar per contract of every leg, `minimum_net` money. Every leg is bought in the same quantity, at
    least its minimum quantity and for at least its minimum value, in multiples of its lot. Nets are compared exactly,
    before charges are rounded up.
    """
    first = smallest_quantity(legs)
    if first is None:
        return None
    best = _Best(minimum_net)
    segments = _segments(legs, payout, first, charges)
    rising: list[_Segment] = []
    falling: _Segment | None = None
    for segment in segments:
        if segment.edge <= 0:
            falling = segment
            break
        rising.append(segment)
    for segment in sorted(rising, key=_Segment.highest, reverse=True):
        best.search(segment)
    while falling is not None and falling.ceiling(falling.low) > best.net:
        best.search(falling)
        falling = next(segments, None)
    return _result(legs, payout, best.quantity, best.net) if best.quantity else None


def _result(legs: Sequence[WalkLeg], payout: int, quantity: int, net: int) -> Walk:
    walked = tuple(_take(leg, quantity) for leg in legs)
    cost = sum(leg.cost for leg in walked)
    fees = sum(leg.fee for leg in walked)
    paid = payout * quantity
    return Walk(quantity, paid, paid - cost, fees, net // PARTS, walked)


def _take(leg: WalkLeg, quantity: int) -> WalkedLeg:
    fills: list[Level] = []
    for price, size in leg.levels:
        fills.append((price, min(size, quantity)))
        quantity -= fills[-1][1]
        if quantity == 0:
            break
    fee = sum(fill_fees(leg.fee, [(price, size * FILL_PER_QUANTITY) for price, size in fills]))
    return WalkedLeg(tuple(fills), sum(price * size for price, size in fills), fee, fills[-1][0])
