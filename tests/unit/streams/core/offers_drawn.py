"""Offers drawn at random: legs whose prices sum to about what the basket pays, where the choice of a size is hard."""

from dataclasses import dataclass

from hypothesis import strategies as st

from schemas.records import FeeSchedule, Level
from schemas.units import ONE
from streams.core.depth import Charges, WalkLeg
from tests import exact
from tests.unit.streams.core.build import FREE, kalshi, polymarket

schedules: st.SearchStrategy[FeeSchedule] = st.one_of(
    st.just(FREE),
    st.builds(kalshi, st.sampled_from([0, 1, 35_000, 70_000, 140_000, 999_983]), st.sampled_from([1, 7, 100, 10_000])),
    st.builds(polymarket, st.sampled_from([0, 3, 25_000, 40_000, 70_000, 250_000]), st.integers(0, 3)),
)


@dataclass(frozen=True, slots=True)
class Offer:
    """Everything that a walk is given, in the core's words and in the oracle's."""

    legs: tuple[exact.Leg, ...]
    payout: int
    minimum_net: int
    costs: exact.Costs

    def walk_legs(self) -> list[WalkLeg]:
        return [WalkLeg(leg.levels, leg.fee, leg.minimum_quantity, leg.minimum_value, leg.lot) for leg in self.legs]

    def charges(self) -> Charges:
        costs = self.costs
        parts = (costs.cost_parts, costs.fee_parts, costs.contract_parts)
        return Charges(*parts, costs.fixed, maximum_quantity=costs.maximum_quantity)

    def best(self) -> exact.Size | None:
        return exact.best_size(self.legs, self.payout, self.minimum_net, self.costs)


@st.composite
def ladders(draw: st.DrawFn, top: int, deepest: int) -> tuple[Level, ...]:
    """Levels from `top` up, on one of the venues' grids, of some size up to `deepest`."""
    grid = draw(st.sampled_from([1, 10, 100]))
    levels = [(min(ONE, max(0, top // grid * grid)), draw(st.integers(deepest // 3, deepest)))]
    for step in draw(st.lists(st.integers(1, 300), max_size=3)):
        levels.append((min(ONE, levels[-1][0] + step), draw(st.integers(1, deepest))))
    return tuple(levels)


@st.composite
def charges(draw: st.DrawFn, legs: int) -> exact.Costs:
    """From nothing to a tenth of everything, and odd parts in between."""
    parts = st.sampled_from([0, 0, 1, 1_234_567, 20_000_000, 100_000_001])
    return exact.Costs(
        cost_parts=tuple(draw(parts) for _ in range(legs)) if draw(st.booleans()) else (),
        fee_parts=draw(parts),
        contract_parts=draw(st.sampled_from([0, 0, 1, 40_000_000_000, 99_999_999_999])),
        fixed=draw(st.sampled_from([0, 0, 1, 4_000, 60_000])),
        maximum_quantity=draw(st.sampled_from([None, None, None, None, 0, 1, 50, 100])),
    )


@st.composite
def offers(draw: st.DrawFn, *, minimums: bool = True) -> Offer:
    """Two to four legs that pay one up to all but one of them, at prices where charges leave about nothing."""
    count = draw(st.integers(2, 4))
    payout = draw(st.integers(1, count - 1)) * ONE
    costs = draw(charges(count))
    kept = payout - costs.contract_parts // 10**9
    left = kept * 10**9 // (10**9 + max(costs.cost_parts, default=0)) - draw(st.integers(-60, 900))
    legs = []
    for rest in reversed(range(count)):
        lowest, highest = max(0, left - rest * ONE), max(0, min(ONE, left))
        top = draw(st.integers(lowest, highest)) if rest else highest
        left -= top
        legs.append(
            exact.Leg(
                draw(ladders(top, 90)),
                draw(schedules),
                draw(st.sampled_from([0, 0, 0, 1, 20, 60])) if minimums else 0,
                draw(st.sampled_from([0, 0, 0, 1, 100_000])) if minimums else 0,
                draw(st.sampled_from([1, 1, 1, 1, 2, 3, 10])) if minimums else 1,
            )
        )
    return Offer(tuple(legs), payout, draw(st.sampled_from([1, 0, -30_000, -1_000_000, -1_000_000])), costs)
