"""An oracle for the detector: the same question answered again, by brute force, from the venues' published rules.

Written apart from `streams.core` and sharing nothing with it but the records. What a group's baskets are, what charges
follow and what is left of gross step by step are `tests.exact`'s, in fractions; here every quantity is tried, in
integers over the denominators of the units, because tapes are deep. Every basket with a leg that changed is looked at
after every single input.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from math import lcm

from schemas.records import Book, FeeSchedule, Group, Level, Market, Opportunity
from tests import exact
from tests.exact import Claim, Key

DOLLAR = 10_000  # 1 dollar in 1e-4
PARTS = 10**9
LARGEST_COMPILED = 7
"""Markets of a group up to which every basket there is is found; of a larger one the pairs that are the same."""

DELAYS_NS = {"sports": 3_062 * 10**9, "politics": 10_745 * 10**9}
OTHER_DELAY_NS = 12_240 * 10**9

Basket = tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the detector was told: how old and how far apart proofs may be (0: any), least net, charges, limits."""

    freshness_ns: int
    minimum_net: int
    skew_ns: int = 0
    assumed: exact.Assumptions = field(default_factory=exact.Assumptions)
    limits: exact.Limits = field(default_factory=exact.Limits)


# Fees of one fill, in 1e-6 dollar


def kalshi_fill(schedule: FeeSchedule, price: int, quantity: int, accumulator: int) -> tuple[int, int]:
    """Net fee and new accumulator in micro-dollars of one taker fill (Kalshi, "Fee Rounding")."""
    # rate 1e-6 x contracts 1e-2 x dollars 1e-4 x dollars 1e-4 = 1e-16; rounded up to 1e-6
    model = schedule.taker_rate * quantity * price * (10_000 - price)
    trade_fee = -(-model // 10**10)
    change = -(price * quantity) - trade_fee
    aligned = (change // schedule.balance_precision) * schedule.balance_precision
    rounding = change - aligned
    accumulator += rounding
    available = min(accumulator, trade_fee + rounding)
    rebate = (available // schedule.balance_precision) * schedule.balance_precision
    return trade_fee + rounding - rebate, accumulator - rebate


def polymarket_fill(schedule: FeeSchedule, price: int, quantity: int) -> int:
    """Fee in micro-dollars of one taker fill, to the nearest 1e-5 dollar, ties to even (Polymarket, "Fees")."""
    # rate 1e-6 x contracts 1e-2 x (1e-8)^e dollars; in units of 1e-5 dollar
    numerator: int = schedule.taker_rate * quantity * (price * (10_000 - price)) ** schedule.exponent
    denominator: int = 10 ** (3 + 8 * schedule.exponent)
    whole, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1):
        whole += 1
    return whole * 10


def fill_fee(schedule: FeeSchedule, price: int, quantity: int, accumulator: int) -> tuple[int, int]:
    """Fee of one fill and the order's accumulator after it."""
    if schedule.model == "kalshi_quadratic":
        return kalshi_fill(schedule, price, quantity, accumulator)
    if schedule.model == "polymarket_curve":
        return polymarket_fill(schedule, price, quantity), accumulator
    return 0, accumulator


# The best size


@dataclass(slots=True)
class Order:
    """A growing taker order: what the levels before the present one cost."""

    levels: tuple[Level, ...]
    schedule: FeeSchedule
    at: int = 0
    before: int = 0
    cost: int = 0
    fee: int = 0
    accumulator: int = 0

    def total(self, quantity: int) -> tuple[int, int]:
        """Cost and fee of `quantity`; quantities must be asked in rising order, up to what is offered."""
        while quantity > self.before + self.levels[self.at][1]:
            price, size = self.levels[self.at]
            fee, self.accumulator = fill_fee(self.schedule, price, size, self.accumulator)
            self.cost, self.fee, self.before = self.cost + price * size, self.fee + fee, self.before + size
            self.at += 1
        price = self.levels[self.at][0]
        part = quantity - self.before
        fee, _ = fill_fee(self.schedule, price, part, self.accumulator)
        return self.cost + price * part, self.fee + fee

    def price(self) -> int:
        """The price of the last contract asked for."""
        return self.levels[self.at][0]

    def kept(self) -> int:
        """The most by which rounding has made the order dearer so far."""
        grid = {"kalshi_quadratic": self.schedule.balance_precision + 1, "polymarket_curve": 10}
        return grid.get(self.schedule.model, 0) * (self.at + 1)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a size may go: limits, the venues of its legs, and what a void takes of a contract (1e-4 dollar)."""

    limits: exact.Limits
    venues: tuple[str, ...]
    shortfall: int

    def most(self, prices: list[int]) -> int | None:
        """The greatest quantity (0.01 contract) that the limits allow when the last contracts cost these prices."""
        limits = self.limits
        found = []
        if limits.contracts is not None:
            found.append(limits.contracts * 100 // len(prices))
        if limits.void_dollars is not None and self.shortfall:
            found.append(limits.void_dollars * 10**6 // self.shortfall)
        for venue in set(self.venues) if limits.venue_dollars is not None else ():
            here = [price for price, where in zip(prices, self.venues, strict=True) if where == venue]
            # A rate of 0.2 rounded up to 1e-4 dollar, and 32 fills' rounding: a cent each, or 1e-5 dollar.
            each = sum(price - (-price * (DOLLAR - price) // (5 * DOLLAR)) for price in here)
            money = (limits.venue_dollars or 0) * 10**6 - len(here) * (320_000 if venue == "kalshi" else 320)
            if each:
                found.append(max(0, money // each))
        return min(found, default=None)


def best_quantity(
    legs: tuple[exact.Leg, ...], payout: int, minimum_net: int, costs: exact.Costs, bounds: Bounds
) -> exact.Size | None:
    """Try every quantity, until neither another contract nor all the rounding so far can earn anything more."""
    orders = [Order(leg.levels, leg.fee) for leg in legs]
    weights = [PARTS + part for part in costs.cost_parts or [0] * len(legs)]
    fee_weight, per_contract = PARTS + costs.fee_parts, payout * PARTS - costs.contract_parts
    best: tuple[int, int, list[tuple[int, int]]] | None = None
    wanted = minimum_net * PARTS
    lot = lcm(*(leg.lot for leg in legs))
    places, most, allowed, falls = [-1], None, False, False
    for quantity in range(lot, min(sum(size for _, size in leg.levels) for leg in legs) + 1, lot):
        totals = [order.total(quantity) for order in orders]
        if places != (at := [order.at for order in orders]):
            places, prices = at, [order.price() for order in orders]
            most = bounds.most(prices)
            falls = per_contract <= sum(weight * price for weight, price in zip(weights, prices, strict=True))
        if most is not None and quantity > most:
            break
        allowed = allowed or all(  # neither quantity nor cost ever falls
            quantity >= leg.minimum_quantity and cost >= leg.minimum_value
            for leg, (cost, _) in zip(legs, totals, strict=True)
        )
        if not allowed:
            continue
        net = per_contract * quantity - costs.fixed * PARTS
        for weight, (cost, fee) in zip(weights, totals, strict=True):
            net -= weight * cost + fee_weight * fee
        if net >= wanted and (best is None or net > best[0]):
            best = net, quantity, totals
        if falls:
            reachable = net + fee_weight * sum(order.kept() for order in orders)
            if reachable < (wanted if best is None else best[0]):
                break
    if best is None:
        return None
    paid, fees = tuple(cost for cost, _ in best[2]), tuple(fee for _, fee in best[2])
    return exact.Size(best[1], paid, fees, exact.net(best[1], payout, paid, fees, costs))


# What must have been said


@dataclass(frozen=True, slots=True)
class Expected:
    """An event that must have been emitted: the fields of an Opportunity that follow from its inputs."""

    event: str
    basket: Basket
    quantity: int = 0
    payout: int = 0
    gross: int = 0
    depth_cost: int = 0
    fees: int = 0
    gas: int = 0
    basis: int = 0
    settlement_risk: int = 0
    time_value: int = 0
    net: int = 0
    capital: int = 0
    annualised_ppm: int = 0
    void_payout: int = 0
    settles_ns: int = 0
    peak_net: int = 0
    peak_ns: int = 0
    opened_ns: int = 0
    survived_ns: int = 0


def basket_of(opportunity: Opportunity) -> Basket:
    """The claims of an opportunity's basket, in order."""
    return tuple(sorted((leg.venue, leg.market, leg.outcome) for leg in opportunity.legs))


def emitted(opportunity: Opportunity) -> Expected:
    """What the detector said, in the oracle's words."""
    names = [name for name in Expected.__dataclass_fields__ if name != "basket"]
    return Expected(basket=basket_of(opportunity), **{name: getattr(opportunity, name) for name in names})


@dataclass(frozen=True, slots=True)
class Standing:
    """An opportunity that is open: what was last said of it, and since when. Restored ones wait for their books."""

    quantity: int
    gross: int
    fees: int
    walked: tuple[tuple[Level, ...], ...]
    opened_ns: int
    peak_net: int
    peak_ns: int
    time_ns: int
    restored: bool = False


def restored(last: Opportunity) -> Standing:
    """What an earlier epoch left open."""
    legs = sorted(last.legs, key=lambda leg: (leg.venue, leg.market, leg.outcome))
    walked = tuple(tuple(zip(leg.levels[::2], leg.levels[1::2], strict=True)) for leg in legs)
    numbers = (last.opened_ns, last.peak_net, last.peak_ns, last.time_ns)
    return Standing(last.quantity, last.gross, last.fees, walked, *numbers, restored=True)


@dataclass(frozen=True, slots=True)
class Offer:
    """A basket that is worth a look: its legs and what is charged."""

    deal: exact.Deal
    legs: tuple[exact.Leg, ...]
    bounds: Bounds


@dataclass(slots=True)
class PartitionOracle:
    """What one partition of the detector must have said.

    A basket is looked at when one of its books is new or has a proof that may count (one that makes it usable or not;
    with a limit of skew, any newer one), and when a reference record of its group or its markets changes. In between
    only staleness ends it: charges that drift say nothing.
    """

    rules: Rules
    now: int = 0
    first_input: int = 0
    groups: dict[str, Group] = field(default_factory=dict)
    baskets: dict[Basket, tuple[str, int]] = field(default_factory=dict)
    by_market: dict[Key, list[Basket]] = field(default_factory=dict)
    owners: dict[Key, str] = field(default_factory=dict)
    markets: dict[Key, Market] = field(default_factory=dict)
    books: dict[Key, Book] = field(default_factory=dict)
    confirmed: dict[Key, int] = field(default_factory=dict)
    open: dict[Basket, Standing] = field(default_factory=dict)
    cache: dict[object, exact.Size | None] = field(default_factory=dict)

    # Inputs

    def on_group(self, key: str, group: Group | None) -> list[Expected]:
        """A group record or its tombstone. One that cannot be is refused: what was in force stays."""
        if group is not None and (exact.cyclic(group) or exact.contradictory(group, self._augmented(group))):
            return []
        self.groups.pop(key, None)
        if group is not None:
            self.groups[key] = group
        self._compile()
        return self._look_at(list(self.baskets))

    def on_market(self, market: Market) -> list[Expected]:
        """A market record."""
        key = (market.venue, market.market)
        known = self.markets.get(key)
        self.markets[key] = market
        if known is not None and _terms(known) == _terms(market):
            return []
        if market.negative_risk_augmented != (known is not None and known.negative_risk_augmented):
            self._compile()
        group = self.owners.get(key)
        return self._look_at([basket for basket, (name, _) in self.baskets.items() if name == group])

    def on_book(self, book: Book, received_ns: int) -> list[Expected]:
        """One book of one input."""
        self.now = max(self.now, received_ns)
        self.first_input = self.first_input or self.now
        key = (book.venue, book.market)
        ours = bool(book.group) and self.owners.get(key) == book.group
        near = self.by_market.get(key, []) if ours else []
        before = {basket: self._usable(basket) for basket in near}
        news = self._apply(key, book) if ours else ""
        any_counts = news == "book" or (news == "proof" and self.rules.skew_ns > 0)
        touched = [basket for basket in near if any_counts or self._usable(basket) != before[basket]]
        decided = {basket for basket in touched if self._has_arrived(basket)}
        events = [self._close(basket) for basket in list(self.open) if basket not in decided and self._is_stale(basket)]
        return events + self._look_at(touched)

    def _apply(self, key: Key, book: Book) -> str:
        """Bring a market's book up to date; what is new: the "book", its "proof", or nothing."""
        known, proof = self.books.get(key), min(book.confirmed_ns, self.now)
        if known is None or (book.epoch, book.sequence) > (known.epoch, known.sequence):
            self.books[key], self.confirmed[key] = book, proof
            return "book"
        if (book.epoch, book.sequence) == (known.epoch, known.sequence) and proof > self.confirmed[key]:
            self.confirmed[key] = proof
            return "proof"
        return ""

    # Groups

    def _compile(self) -> None:
        """Every basket in force. A market belongs to the group that named it last; one that moves loses its book."""
        owners = {
            (member.venue, member.market): name for name, group in self.groups.items() for member in group.members
        }
        for key in list(self.books):
            if owners.get(key) != self.owners.get(key):
                del self.books[key], self.confirmed[key]
        self.owners, self.baskets, self.by_market = owners, {}, {}
        for name, group in self.groups.items():
            for basket, dollars in {} if group.status == "blocked" else self._baskets(group):
                if all(owners[claim[:2]] == name for claim in basket):
                    self.baskets[basket] = (name, dollars)
                    for claim in basket:
                        self.by_market.setdefault(claim[:2], []).append(basket)

    def _baskets(self, group: Group) -> Iterable[tuple[Basket, int]]:
        if len(group.members) <= LARGEST_COMPILED:
            return exact.baskets(group, self._augmented(group)).items()
        return _same_pairs(group)

    def _augmented(self, group: Group) -> frozenset[Key]:
        keys: list[Key] = [(member.venue, member.market) for member in group.members]
        return frozenset(key for key in keys if key in self.markets and self.markets[key].negative_risk_augmented)

    # Looking at baskets

    def _look_at(self, touched: list[Basket]) -> list[Expected]:
        """Compare these baskets with what was last said of them, and end what is none any more."""
        events = [self._close(basket) for basket in list(self.open) if basket not in self.baskets]
        for basket in touched:
            events += self._decide(basket)
        return events

    def _decide(self, basket: Basket) -> list[Expected]:
        if not self._has_arrived(basket):
            return []
        offer = self._offer(basket) if self._usable(basket) else None
        best = None if offer is None else self._best(offer)
        if offer is None or best is None:
            return [self._close(basket)] if basket in self.open else []
        walked = tuple(_walk(leg.levels, best.quantity) for leg in offer.legs)
        return self._say(basket, offer.deal, best, walked)

    def _say(
        self, basket: Basket, deal: exact.Deal, best: exact.Size, walked: tuple[tuple[Level, ...], ...]
    ) -> list[Expected]:
        known = self.open.get(basket)
        steps = deal.steps(best, self.rules.assumed)
        said = (best.quantity, steps["gross"], steps["fees"], walked)
        if known is not None and said == (known.quantity, known.gross, known.fees, known.walked):
            self.open[basket] = _settled(known)
            return []
        net, now = steps["net"], self.now if known is None else max(self.now, known.time_ns)
        opened_ns = now if known is None else known.opened_ns
        higher = known is None or net > known.peak_net
        peak_net, peak_ns = (net, now) if known is None or higher else (known.peak_net, known.peak_ns)
        self.open[basket] = Standing(*said, opened_ns, peak_net, peak_ns, now)
        return [
            Expected(
                "opened" if known is None else "changed",
                basket,
                quantity=best.quantity,
                payout=deal.payout * best.quantity,
                settles_ns=deal.settles_ns(self.rules.assumed),
                peak_net=peak_net,
                peak_ns=peak_ns,
                opened_ns=opened_ns,
                survived_ns=now - opened_ns,
                **steps,
            )
        ]

    def _close(self, basket: Basket) -> Expected:
        known = self.open.pop(basket)
        times = {"peak_ns": known.peak_ns, "opened_ns": known.opened_ns}
        survived_ns = max(self.now, known.time_ns) - known.opened_ns
        return Expected("closed", basket, peak_net=known.peak_net, survived_ns=survived_ns, **times)

    def _has_arrived(self, basket: Basket) -> bool:
        """Whether every leg's book and reference record are there."""
        return all(claim[:2] in self.books and claim[:2] in self.markets for claim in basket)

    def _is_stale(self, basket: Basket) -> bool:
        """Whether the time alone ends what is open: a proof too old, or none since the epoch began."""
        keys = [claim[:2] for claim in basket]
        if self.open[basket].restored and self.now - self.first_input <= self.rules.freshness_ns:
            return False
        return any(key not in self.books or self._too_old(key) for key in keys)

    def _too_old(self, key: Key) -> bool:
        return self.now - self.confirmed[key] > self.rules.freshness_ns

    def _usable(self, basket: Basket) -> bool:
        """Whether every leg's book is live and proved, lately and at about the same time."""
        keys = [claim[:2] for claim in basket]
        if any(key not in self.books or self.books[key].state != "live" or self._too_old(key) for key in keys):
            return False
        proofs = [self.confirmed[key] for key in keys]
        return not self.rules.skew_ns or max(proofs) - min(proofs) <= self.rules.skew_ns

    def _offer(self, basket: Basket) -> Offer | None:
        """What a basket can be bought for; None when its best prices together are no less than it pays."""
        name, dollars = self.baskets[basket]
        markets = tuple(self.markets[claim[:2]] for claim in basket)
        ladders = [self._ladder(claim) for claim in basket]
        if not all(ladders) or sum(ladder[0][0] for ladder in ladders) >= dollars * DOLLAR:
            return None
        touches = tuple((ladder[0][0], self._bid(claim)) for ladder, claim in zip(ladders, basket, strict=True))
        group = self.groups[name]
        deal = exact.Deal(group, basket, markets, touches, dollars * DOLLAR, self.now, self._augmented(group))
        legs = tuple(
            exact.Leg(ladder, market.fee, market.minimum_quantity, market.minimum_value, market.lot)
            for ladder, market in zip(ladders, markets, strict=True)
        )
        venues = tuple(claim[0] for claim in basket)
        return Offer(deal, legs, Bounds(self.rules.limits, venues, deal.shortfall()))

    def _best(self, offer: Offer) -> exact.Size | None:
        costs = offer.deal.costs(self.rules.assumed)
        key = (offer.legs, offer.deal.payout, costs, offer.bounds)
        if key not in self.cache:
            self.cache[key] = best_quantity(offer.legs, offer.deal.payout, self.rules.minimum_net, costs, offer.bounds)
        return self.cache[key]

    def _ladder(self, claim: Claim) -> tuple[Level, ...]:
        """What the claim can be bought at, best first."""
        bids, asks = self.books[claim[:2]].sides()
        return tuple(asks if claim[2] == "yes" else [(DOLLAR - price, size) for price, size in bids])

    def _bid(self, claim: Claim) -> int:
        """What the claim could be sold at, 0 for nothing."""
        bids, asks = self.books[claim[:2]].sides()
        if claim[2] == "yes":
            return bids[0][0] if bids else 0
        return DOLLAR - asks[0][0] if asks else 0


def _settled(known: Standing) -> Standing:
    """What was restored, after it was found as it had been."""
    numbers = (known.opened_ns, known.peak_net, known.peak_ns, known.time_ns)
    return Standing(known.quantity, known.gross, known.fees, known.walked, *numbers)


def _terms(market: Market) -> tuple[object, ...]:
    """What of a market's record a decision depends on."""
    ends = (market.expected_settlement_ns, market.close_ns, market.category, market.negative_risk_augmented)
    return market.fee, market.minimum_quantity, market.minimum_value, market.lot, *ends


def _walk(levels: tuple[Level, ...], quantity: int) -> tuple[Level, ...]:
    taken: list[Level] = []
    for price, size in levels:
        if quantity <= 0:
            break
        taken.append((price, min(size, quantity)))
        quantity -= size
    return tuple(taken)


def _same_pairs(group: Group) -> Iterator[tuple[Basket, int]]:
    for relation in group.relations:
        if relation.kind == "same":
            for one, two in combinations((group.members[index] for index in relation.members), 2):
                for first, second in (("yes", "no"), ("no", "yes")):
                    claims: list[Claim] = [(one.venue, one.market, first), (two.venue, two.market, second)]  # type: ignore[list-item]
                    yield tuple(sorted(claims)), 1
