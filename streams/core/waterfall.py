"""What an edge is really worth: from the gross of a walk to the net that counts, step by step.

| step | what it is |
| --- | --- |
| gross | payout - costs; of it, `depth_cost` went to levels beyond the best prices |
| fees | what the venues take, exactly (`schemas.fees`) |
| gas | `Pricing.gas` for each Polymarket leg, in all |
| basis | `Pricing.basis_ppm` of what Polymarket's legs cost: from dollars to pUSD and back |
| settlement risk | per contract: void probability x shortfall, plus mismatch probability x one dollar |
| time value | the hurdle rate on costs and fees, until the money is back |

net = gross - fees - gas - basis - settlement risk - time value. Gas and what follows it are the walk's `Charges`.

*Void.* The payout is guaranteed over the outcomes without a void. Should markets be voided, each claim on them pays by
its venue's rule: `half` 0.50 (Polymarket: an unknown outcome resolves 50-50); `last_price` what the claim could last be
sold for, taken as its present best bid, nothing without one (Kalshi: the last fair price); `refund` the price paid,
taken as its present best price; `nothing`. The worst payout is that of the worst outcome with the worst choice of
voided markets: a true claim that is voided pays less than a dollar, a false one is not voided. So it is the least,
over the outcomes, of the sum of what the true claims pay when voided. Shortfall = payout - that.

*Mismatch.* Where a basket spans two venues, one of them may settle the same question differently, and a dollar a
contract is lost. Within one venue there is nothing to mismatch.

*Time.* The hurdle is charged on costs and fees (not on gas) at a rate for the time, rounded up to 1e-9. The money
comes back when the last leg settles: its `expected_settlement_ns`, else its `close_ns`, else now, if that is over, now;
plus the delay of its category. Time is counted in whole hours begun, so that a price does not change with every second.

Each step is rounded up to a micro-dollar in such a way that the sum is exact.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.records import Group, Market, Venue, VoidRule
from schemas.units import ONE, RATE_SCALE
from streams.core.depth import PARTS, Charges, Walk

HOUR_NS: Final = 3_600_000_000_000
YEAR_NS: Final = 365 * 24 * HOUR_NS

VOID_RULES: Final[Mapping[Venue, VoidRule]] = {"kalshi": "last_price", "polymarket": "half"}
"""What a venue pays for a void where the group's evidence says nothing else."""

RESOLUTION_DELAY_NS: Final[Mapping[str, int]] = {"sports": 3_062_000_000_000, "politics": 10_745_000_000_000}
"""From the proposal of a result to its payout by category, medians (openchainbench.com, June 2026)."""

OTHER_DELAY_NS: Final = 12_240_000_000_000
"""The same for every other category: nine of ten took less than 3.4 hours (same source)."""

_PARTS_PER_MILLIONTH: Final = PARTS // RATE_SCALE


@dataclass(frozen=True, slots=True)
class Pricing:
    """What is charged beside fees. Rates and probabilities are millionths, `gas` money a Polymarket leg.

    `void_ppm` and `mismatch_ppm` stand in where a group's evidence has no number. Delays are nanoseconds.
    """

    hurdle_ppm: int = 0
    void_ppm: int = 0
    mismatch_ppm: int = 0
    gas: int = 0
    basis_ppm: int = 0
    delays_ns: Mapping[str, int] = field(default_factory=lambda: RESOLUTION_DELAY_NS)
    other_delay_ns: int = OTHER_DELAY_NS


@dataclass(frozen=True, slots=True)
class Touch:
    """A claim at the top of its book: the price it can be bought at and the one it could be sold at (0: none)."""

    venue: Venue
    buy: int
    sell: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What the charges on a basket follow from, per contract (1e-4 dollar) or in parts of 1e-9.

    `void_payout` and `shortfall` are prices; `settles_ns` is when the money is back.
    """

    void_payout: int
    shortfall: int
    risk_parts: int
    time_parts: int
    basis_parts: tuple[int, ...]
    gas: int
    settles_ns: int

    def charges(self, maximum_quantity: int | None = None) -> Charges:
        """The same for the walk."""
        return Charges(
            cost_parts=tuple(self.time_parts + basis for basis in self.basis_parts),
            fee_parts=self.time_parts,
            contract_parts=self.risk_parts,
            fixed=self.gas,
            maximum_quantity=maximum_quantity,
        )


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The steps from gross to net, money. `capital` is locked; `annualised_ppm` is what it earns a year before time
    value, in millionths."""

    gross: int
    depth_cost: int
    fees: int
    gas: int
    basis: int
    settlement_risk: int
    time_value: int
    net: int
    capital: int
    annualised_ppm: int
    void_payout: int


def settled_ns(market: Market, pricing: Pricing, now_ns: int) -> int:
    """When a market's payout is expected."""
    expected = market.expected_settlement_ns or market.close_ns
    delay_ns = pricing.delays_ns.get(market.category.lower(), pricing.other_delay_ns)
    return max(expected, now_ns) + delay_ns


def terms_of(
    group: Group,
    markets: Sequence[Market],
    touches: Sequence[Touch],
    true_sets: Iterable[Sequence[int]],
    payout: int,
    pricing: Pricing,
    now_ns: int,
) -> Terms:
    """The terms of a basket: its legs' markets and tops of book, and the positions of its claims that are true in each
    of its outcomes (`Compiled.true_sets`); `payout` is 1e-4 dollar per contract."""
    rules: Mapping[Venue, VoidRule] = {**VOID_RULES, **group.risk.void_rules}
    values = [_void_value(rules[touch.venue], touch) for touch in touches]
    void_payout = min(sum(values[at] for at in true) for true in true_sets)
    shortfall = max(0, payout - void_payout)
    void_ppm = group.risk.void_ppm if group.risk.void_ppm >= 0 else pricing.void_ppm
    mismatch_ppm = group.risk.mismatch_ppm if group.risk.mismatch_ppm >= 0 else pricing.mismatch_ppm
    if len({touch.venue for touch in touches}) < 2:
        mismatch_ppm = 0
    settles_ns = max(settled_ns(market, pricing, now_ns) for market in markets)
    hours = -(-(settles_ns - now_ns) // HOUR_NS)
    onchain = [touch.venue == "polymarket" for touch in touches]
    return Terms(
        void_payout=void_payout,
        shortfall=shortfall,
        risk_parts=(void_ppm * shortfall + mismatch_ppm * ONE) * _PARTS_PER_MILLIONTH,
        time_parts=-(-pricing.hurdle_ppm * _PARTS_PER_MILLIONTH * hours * HOUR_NS // YEAR_NS),
        basis_parts=tuple(pricing.basis_ppm * _PARTS_PER_MILLIONTH * each for each in onchain),
        gas=pricing.gas * sum(onchain),
        settles_ns=settles_ns,
    )


def _void_value(rule: VoidRule, touch: Touch) -> int:
    if rule == "half":
        return ONE // 2
    if rule == "last_price":
        return touch.sell
    return touch.buy if rule == "refund" else 0


def waterfall_of(walk: Walk, terms: Terms, now_ns: int) -> Waterfall:
    """The steps of a walk that was made with these terms' charges."""
    costs = [leg.cost for leg in walk.legs]
    capital = sum(costs) + walk.fees + terms.gas
    depth_cost = sum(leg.cost - leg.fills[0][0] * walk.quantity for leg in walk.legs)
    after_gas = walk.gross - walk.fees - terms.gas
    basis_parts = sum(parts * cost for parts, cost in zip(terms.basis_parts, costs, strict=True))
    after_basis = (after_gas * PARTS - basis_parts) // PARTS
    after_risk = (after_gas * PARTS - basis_parts - terms.risk_parts * walk.quantity) // PARTS
    locked_ns = max(1, terms.settles_ns - now_ns)
    return Waterfall(
        gross=walk.gross,
        depth_cost=depth_cost,
        fees=walk.fees,
        gas=terms.gas,
        basis=after_gas - after_basis,
        settlement_risk=after_basis - after_risk,
        time_value=after_risk - walk.net,
        net=walk.net,
        capital=capital,
        annualised_ppm=after_risk * RATE_SCALE * YEAR_NS // (capital * locked_ns) if capital else 0,
        void_payout=terms.void_payout * walk.quantity,
    )


def first_shortfall(waterfall: Waterfall, minimum_net: int) -> str:
    """The first step after which nothing is left (the analysis record's reason); "minimum net" where something is, but
    less than that, "" where it is enough."""
    left = waterfall.gross
    if left <= 0:
        return "minimum size"
    for name in ("fees", "gas", "basis", "settlement_risk", "time_value"):
        left -= getattr(waterfall, name)
        if left <= 0:
            return name.replace("_", " ")
    return "minimum net" if left < minimum_net else ""
