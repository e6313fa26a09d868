"""The exact oracle: groups, fees, sizes and settlement again, by literal definition, in fractions and by trying all.

It shares nothing with `streams.core` and `schemas.fees` but the records. What a definition says is done as it stands,
however slow: every assignment of truth, every set of claims, every quantity. Where nothing else is said, prices and
money are dollars and quantities contracts, as on the venues' own pages.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, pairwise, permutations, product
from math import ceil, floor

from schemas.records import FeeSchedule, Group, Level, Market, Outcome, Relation, Venue

Key = tuple[Venue, str]
Claim = tuple[Venue, str, Outcome]
World = tuple[bool, ...]
"""The truth of each member of a group, in their order."""
Statement = tuple[int, bool]
"""A member of a group and what is said of it: that it is true, or false."""

MILLION = 10**6
DOLLAR = 10**4
NONE = Fraction(0)


# Groups


def holds(relation: Relation, world: World) -> bool:
    """Whether a relation allows a combination of outcomes."""
    truths = [world[index] for index in relation.members]
    if relation.kind == "same":
        return len(set(truths)) == 1
    if relation.kind == "complement":
        return truths[0] != truths[1]
    if relation.kind == "implies":
        return all(later or not earlier for earlier, later in pairwise(truths))
    if relation.kind == "exclusive":
        return sum(truths) <= 1
    return any(truths)


def relations_in_force(group: Group, augmented: Collection[Key] = ()) -> list[Relation]:
    """All but the `exhaustive` ones that name a market whose event has outcomes that are not listed yet."""
    keys = [(member.venue, member.market) for member in group.members]
    return [
        relation
        for relation in group.relations
        if relation.kind != "exhaustive" or not any(keys[index] in augmented for index in relation.members)
    ]


def worlds(group: Group, augmented: Collection[Key] = ()) -> list[World]:
    """Every combination of outcomes that satisfies all relations."""
    relations = relations_in_force(group, augmented)
    return [
        world
        for world in product((False, True), repeat=len(group.members))
        if all(holds(relation, world) for relation in relations)
    ]


def contradictory(group: Group, augmented: Collection[Key] = ()) -> bool:
    """Whether nothing is possible, or a market can only go one way."""
    possible = worlds(group, augmented)
    return not possible or any(len({world[at] for world in possible}) == 1 for at in range(len(group.members)))


def cyclic(group: Group) -> bool:
    """Whether an implication comes back to where it began, by way of others or of what is the same or the contrary.

    A step goes from one member's truth to another's: "if A then B" is also "if not B then not A".
    """
    implied: set[tuple[Statement, Statement]] = set()
    joined: set[tuple[Statement, Statement]] = set()
    for relation in group.relations:
        if relation.kind == "implies":
            for one, other in pairwise(relation.members):
                implied |= {((one, True), (other, True)), ((other, False), (one, False))}
        elif relation.kind in ("same", "complement"):
            for one, other in permutations(relation.members, 2):
                joined |= {((one, truth), (other, truth == (relation.kind == "same"))) for truth in (False, True)}
    steps = implied | joined
    return any(_leads(end, start, steps) for start, end in implied)


def _leads(start: Statement, end: Statement, steps: Collection[tuple[Statement, Statement]]) -> bool:
    reached: set[Statement] = set()
    further = {start}
    while further:
        reached |= further
        further = {later for earlier, later in steps if earlier in reached} - reached
    return end in reached


def guarantee(claims: Collection[Statement], possible: Sequence[World]) -> int:
    """The least number of claims (member, truth) that come true in any possible outcome."""
    return min(sum(world[member] == truth for member, truth in claims) for world in possible)


def baskets(group: Group, augmented: Collection[Key] = ()) -> dict[tuple[Claim, ...], int]:
    """Every basket by its definition, with the number of dollars that it pays; claims are sorted.

    A basket is a set of claims on different markets of which at least g >= 1 come true in every possible outcome; which
    is minimal: without any one claim less is guaranteed; and indivisible: not two baskets side by side.
    """
    possible = worlds(group, augmented)
    members = range(len(group.members))
    sets = [
        frozenset((member, choice) for member, choice in zip(members, choices, strict=True) if choice is not None)
        for choices in product((None, False, True), repeat=len(members))
    ]
    guaranteed = {claims: guarantee(claims, possible) for claims in sets}
    found = {}
    for claims, payout in guaranteed.items():
        minimal = all(guaranteed[claims - {claim}] < payout for claim in claims)
        if payout >= 1 and minimal and not any(guaranteed[a] + guaranteed[b] == payout for a, b in halves(claims)):
            found[named(group, claims)] = payout
    return found


def halves(claims: frozenset[Statement]) -> Iterator[tuple[frozenset[Statement], ...]]:
    """Every way to part a set in two that are not empty, once."""
    first, *others = sorted(claims)
    for count in range(len(others)):
        for chosen in combinations(others, count):
            left = frozenset((first, *chosen))
            yield left, claims - left


def named(group: Group, claims: Collection[Statement]) -> tuple[Claim, ...]:
    """Claims of members as claims of markets, sorted."""
    found: list[Claim] = []
    for index, truth in claims:
        member = group.members[index]
        found.append((member.venue, member.market, "yes" if truth else "no"))
    return tuple(sorted(found))


def comes_true(group: Group, claim: Claim, world: World) -> bool:
    """Whether a claim is on what happened."""
    keys = [(member.venue, member.market) for member in group.members]
    return world[keys.index(claim[:2])] == (claim[2] == "yes")


# Fees


@dataclass(slots=True)
class OrderFee:
    """The fees of one order, fill by fill, as the venues write them."""

    schedule: FeeSchedule
    accumulator: Fraction = NONE

    def fill(self, price: Fraction, count: Fraction, *, maker: bool = False, selling: bool = False) -> Fraction:
        """The net fee of the next fill, of `count` contracts at `price`, both in dollars."""
        rate = Fraction(self.schedule.maker_rate if maker else self.schedule.taker_rate, MILLION)
        if self.schedule.model == "kalshi_quadratic":
            return self._kalshi(rate * count * price * (1 - price), price * count if selling else -price * count)
        if self.schedule.model == "polymarket_curve":
            return Fraction(round(count * rate * (price * (1 - price)) ** self.schedule.exponent * 10**5), 10**5)
        return NONE

    def _kalshi(self, model_fee: Fraction, revenue: Fraction) -> Fraction:
        """The page "Fee Rounding", line by line."""
        p = Fraction(self.schedule.balance_precision, MILLION)
        trade_fee = Fraction(ceil(model_fee * MILLION), MILLION)
        aligned_change = floor((revenue - trade_fee) / p) * p
        rounding_fee = (revenue - trade_fee) - aligned_change
        self.accumulator += rounding_fee
        rebate = floor(self.accumulator / p) * p
        while trade_fee + rounding_fee - rebate < 0:
            rebate -= p
        self.accumulator -= rebate
        return trade_fee + rounding_fee - rebate


# Sizes


@dataclass(frozen=True, slots=True)
class Leg:
    """What one leg offers, in the units of the records: levels are (1e-4 dollar, 1e-2 contract), best first."""

    levels: tuple[Level, ...]
    fee: FeeSchedule
    minimum_quantity: int = 0
    minimum_value: int = 0
    lot: int = 1


@dataclass(frozen=True, slots=True)
class Costs:
    """What a size costs beside prices and fees, and how far it may go; one entry a leg, or none at all.

    In parts of 1e-9: `cost_parts` of each leg's cost (empty: of none), `fee_parts` of all fees, and `contract_parts` of
    1e-6 dollar per 0.01 contract. `fixed` is 1e-6 dollar, `maximum_quantity` 0.01 contract.
    """

    cost_parts: tuple[int, ...] = ()
    fee_parts: int = 0
    contract_parts: int = 0
    fixed: int = 0
    maximum_quantity: int | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """A quantity (0.01 contract), what each leg then costs and is charged, and the exact net, in 1e-6 dollar."""

    quantity: int
    costs: tuple[int, ...]
    fees: tuple[int, ...]
    net: Fraction


@lru_cache(maxsize=256)
def outlays(levels: tuple[Level, ...], schedule: FeeSchedule) -> list[tuple[int, int]]:
    """Cost and fee of one leg in 1e-6 dollar for each quantity from 0.01 contract to all that is offered."""
    order, found, cost, fee = OrderFee(schedule), [], 0, NONE
    for price, size in levels:
        dollars = Fraction(price, 10**4)
        for part in range(1, size + 1):
            last = OrderFee(schedule, order.accumulator).fill(dollars, Fraction(part, 100))
            found.append((cost + price * part, whole((fee + last) * MILLION)))
        fee += order.fill(dollars, Fraction(size, 100))
        cost += price * size
    return found


def whole(number: Fraction) -> int:
    """A number that has no fraction."""
    assert number.denominator == 1
    return number.numerator


def net(quantity: int, payout: int, costs: Sequence[int], fees: Sequence[int], extra: Costs) -> Fraction:
    """What a size earns, exactly, in 1e-6 dollar; `payout` is 1e-4 dollar per contract of every leg."""
    parts = sum(part * cost for part, cost in zip(extra.cost_parts or [0] * len(costs), costs, strict=True))
    parts += extra.fee_parts * sum(fees) + extra.contract_parts * quantity
    return payout * quantity - sum(costs) - sum(fees) - extra.fixed - Fraction(parts, 10**9)


def sizes(legs: Sequence[Leg], payout: int, extra: Costs) -> Iterator[Size]:
    """Every size that may be bought, smallest first."""
    offers = [outlays(leg.levels, leg.fee) for leg in legs]
    largest = min(len(offer) for offer in offers)
    if extra.maximum_quantity is not None:
        largest = min(largest, extra.maximum_quantity)
    for quantity in range(1, largest + 1):
        costs, fees = zip(*(offer[quantity - 1] for offer in offers), strict=True)
        allowed = all(
            quantity % leg.lot == 0 and quantity >= leg.minimum_quantity and cost >= leg.minimum_value
            for leg, cost in zip(legs, costs, strict=True)
        )
        if allowed:
            yield Size(quantity, costs, fees, net(quantity, payout, costs, fees, extra))


def best_size(legs: Sequence[Leg], payout: int, minimum_net: int, extra: Costs) -> Size | None:
    """The size that earns most, the smallest of several; None where none earns `minimum_net`."""
    best: Size | None = None
    for size in sizes(legs, payout, extra):
        if size.net >= minimum_net and (best is None or size.net > best.net):
            best = size
    return best


# Settlement and the waterfall


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is charged beside fees; rates and probabilities are millionths, `gas` 1e-6 dollar a Polymarket leg.

    The probabilities stand in where a group's evidence has none. `delays_ns` are from a market's end to its payout, by
    category, `other_delay_ns` for all that are not listed.
    """

    hurdle_ppm: int = 0
    void_ppm: int = 0
    mismatch_ppm: int = 0
    gas: int = 0
    basis_ppm: int = 0
    delays_ns: Mapping[str, int] = field(default_factory=dict)
    other_delay_ns: int = 0


@dataclass(frozen=True, slots=True)
class Deal:
    """A basket at one moment: its claims with their markets, and the best (ask, bid) of each in its own terms.

    Prices are 1e-4 dollar, 0 for a side that is empty. `payout` is per contract of every claim.
    """

    group: Group
    claims: tuple[Claim, ...]
    markets: tuple[Market, ...]
    touches: tuple[tuple[int, int], ...]
    payout: int
    now_ns: int
    augmented: frozenset[Key] = frozenset()

    def void_payout(self) -> int:
        """The least that is paid per contract, over all outcomes, when every claim that came true is voided."""
        values = [self._void_value(claim[0], *touch) for claim, touch in zip(self.claims, self.touches, strict=True)]
        return min(
            sum(value for claim, value in zip(self.claims, values, strict=True) if comes_true(self.group, claim, world))
            for world in worlds(self.group, self.augmented)
        )

    def shortfall(self) -> int:
        """What a void takes from the payout of a contract at worst."""
        return max(0, self.payout - self.void_payout())

    def _void_value(self, venue: Venue, ask: int, bid: int) -> int:
        default = {"kalshi": "last_price", "polymarket": "half"}[venue]
        rule = self.group.risk.void_rules.get(venue, default)
        return min(DOLLAR, {"half": DOLLAR // 2, "last_price": bid, "refund": ask, "nothing": 0}[rule])

    def settles_ns(self, assumed: Assumptions) -> int:
        """When the last leg's payout is there."""
        return max(
            max(market.expected_settlement_ns or market.close_ns, self.now_ns)
            + assumed.delays_ns.get(market.category.lower(), assumed.other_delay_ns)
            for market in self.markets
        )

    def risk(self, assumed: Assumptions) -> Fraction:
        """The settlement risk of one contract in dollars: void probability x shortfall + mismatch probability."""
        risk = self.group.risk
        void = Fraction(risk.void_ppm if risk.void_ppm >= 0 else assumed.void_ppm, MILLION)
        mismatch = Fraction(risk.mismatch_ppm if risk.mismatch_ppm >= 0 else assumed.mismatch_ppm, MILLION)
        return void * Fraction(self.shortfall(), DOLLAR) + (
            mismatch if len({claim[0] for claim in self.claims}) > 1 else 0
        )

    def time(self, assumed: Assumptions) -> Fraction:
        """The part of what is paid that the hurdle rate takes over the whole hours begun, rounded up to 1e-9."""
        hours = ceil(Fraction(self.settles_ns(assumed) - self.now_ns, 3600 * 10**9))
        return Fraction(ceil(Fraction(assumed.hurdle_ppm * hours, MILLION * 365 * 24) * 10**9), 10**9)

    def costs(self, assumed: Assumptions, maximum_quantity: int | None = None) -> Costs:
        """All of it as the costs of a size."""
        time = self.time(assumed)
        basis = [Fraction(assumed.basis_ppm * self.on_chain(claim), MILLION) for claim in self.claims]
        return Costs(
            cost_parts=tuple(whole((time + each) * 10**9) for each in basis),
            fee_parts=whole(time * 10**9),
            contract_parts=whole(self.risk(assumed) * DOLLAR * 10**9),
            fixed=assumed.gas * sum(map(self.on_chain, self.claims)),
            maximum_quantity=maximum_quantity,
        )

    @staticmethod
    def on_chain(claim: Claim) -> bool:
        """Whether a claim is bought on Polymarket."""
        return claim[0] == "polymarket"

    def steps(self, size: Size, assumed: Assumptions) -> dict[str, int]:
        """From gross to net in 1e-6 dollar: what is left after each step is rounded down, a step is the difference."""
        gross = self.payout * size.quantity - sum(size.costs)
        gas = assumed.gas * sum(map(self.on_chain, self.claims))
        taken = {
            "fees": Fraction(sum(size.fees)),
            "gas": Fraction(gas),
            "basis": sum(
                (
                    Fraction(assumed.basis_ppm, MILLION) * cost * self.on_chain(claim)
                    for claim, cost in zip(self.claims, size.costs, strict=True)
                ),
                NONE,
            ),
            "settlement_risk": self.risk(assumed) * DOLLAR * size.quantity,
            "time_value": self.time(assumed) * (sum(size.costs) + sum(size.fees)),
        }
        steps, left = {"gross": gross}, Fraction(gross)
        for name, amount in taken.items():
            steps[name] = floor(left) - floor(left - amount)
            left -= amount
        steps["net"] = floor(left)
        steps["capital"] = sum(size.costs) + sum(size.fees) + gas
        steps["void_payout"] = self.void_payout() * size.quantity
        steps["depth_cost"] = sum(size.costs) - sum(ask for ask, _ in self.touches) * size.quantity
        years = Fraction(max(1, self.settles_ns(assumed) - self.now_ns), 365 * 24 * 3600 * 10**9)
        before_time = steps["net"] + steps["time_value"]
        steps["annualised_ppm"] = floor(MILLION * before_time / (steps["capital"] * years)) if steps["capital"] else 0
        return steps


# Limits


def worst_cost(venue: Venue, quantity: int, price: int) -> Fraction:
    """The most that an order can cost in dollars, fees included, whatever its fills are.

    A fee rate of 0.2 on P(1 - P), rounded up to a price unit, and a cent (Kalshi) or 0.00001 dollar (Polymarket) of
    rounding for each of 32 fills.
    """
    fee = ceil(Fraction(1, 5) * Fraction(price * (DOLLAR - price), DOLLAR))
    rounding = 32 * (Fraction(1, 100) if venue == "kalshi" else Fraction(1, 10**5))
    return Fraction(quantity, 100) * Fraction(price + fee, DOLLAR) + rounding


@dataclass(frozen=True, slots=True)
class Limits:
    """Contracts over all legs, dollars on each venue, dollars that a void may take of the payout; None: any number."""

    contracts: int | None = None
    venue_dollars: int | None = None
    void_dollars: int | None = None

    def allow(self, quantity: int, venues: Sequence[Venue], prices: Sequence[int], shortfall: int) -> bool:
        """Whether a quantity may be bought whose last contract costs these prices."""
        if self.contracts is not None and quantity * len(prices) > self.contracts * 100:
            return False
        if self.void_dollars is not None and Fraction(quantity * shortfall, MILLION) > self.void_dollars:
            return False
        paid = dict.fromkeys(venues, NONE)
        for venue, price in zip(venues, prices, strict=True):
            paid[venue] += worst_cost(venue, quantity, price)
        return self.venue_dollars is None or max(paid.values()) <= self.venue_dollars


def largest_size(deal: Deal, legs: Sequence[Leg], limits: Limits) -> int:
    """The greatest quantity (0.01 contract) of what is offered up to which all are within the limits."""
    venues = [claim[0] for claim in deal.claims]
    offered = zip(*([price for price, size in leg.levels for _ in range(size)] for leg in legs), strict=False)
    quantity = 0
    for prices in offered:
        if not limits.allow(quantity + 1, venues, prices, deal.shortfall()):
            break
        quantity += 1
    return quantity
