from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.fees import fill_fees
from schemas.records import FeeSchedule, Level
from schemas.units import FILL_PER_QUANTITY, ONE
from streams.core import depth
from streams.core.depth import NO_CHARGES, Walk, WalkedLeg, WalkLeg, smallest_quantity, walk_depth
from tests.unit.streams.core.build import FREE, kalshi, polymarket


def bought(levels: Sequence[Level], quantity: int) -> tuple[Level, ...]:
    fills = []
    for price, size in levels:
        if quantity > 0:
            fills.append((price, min(size, quantity)))
            quantity -= size
    return tuple(fills)


def brute(legs: Sequence[WalkLeg], payout: int, minimum_net: int) -> Walk | None:
    """Every step of 0.01 contract, one after the other."""
    best: Walk | None = None
    for quantity in range(1, min(sum(size for _, size in leg.levels) for leg in legs) + 1):
        walked = []
        for leg in legs:
            fills = bought(leg.levels, quantity)
            cost = sum(price * size for price, size in fills)
            fee = sum(fill_fees(leg.fee, [(price, size * FILL_PER_QUANTITY) for price, size in fills]))
            if quantity >= leg.minimum_quantity and cost >= leg.minimum_value:
                walked.append(WalkedLeg(fills, cost, fee, fills[-1][0]))
        if len(walked) == len(legs):
            gross = payout * quantity - sum(leg.cost for leg in walked)
            fees = sum(leg.fee for leg in walked)
            net = gross - fees
            if net >= minimum_net and (best is None or net > best.net):
                best = Walk(quantity, payout * quantity, gross, fees, net, tuple(walked))
    return best


schedules = st.one_of(
    st.just(FREE),
    st.builds(kalshi, st.sampled_from([0, 1, 35_000, 70_000, 140_000, 999_983]), st.sampled_from([1, 7, 100, 10_000])),
    st.builds(polymarket, st.sampled_from([0, 3, 25_000, 40_000, 70_000, 250_000]), st.integers(0, 3)),
)


@st.composite
def offers(draw: st.DrawFn) -> tuple[list[WalkLeg], int, int]:
    """Two or three legs whose prices sum to about the payout: there the choice of a size is hard."""
    count = draw(st.integers(2, 3))
    payout = draw(st.sampled_from([ONE, ONE, ONE, 2 * ONE if count == 3 else ONE]))
    left = payout + draw(st.integers(-900, 60))
    legs = []
    for number in range(count):
        rest = count - number - 1
        top = left if rest == 0 else draw(st.integers(0, min(ONE, left)))
        grid = draw(st.sampled_from([1, 10, 100]))
        top = min(ONE, max(0, top // grid * grid))
        left = max(0, left - top)
        steps = draw(st.lists(st.integers(0, 300), min_size=0, max_size=3))
        levels = [(top, draw(st.integers(1, 120)))]
        for step in steps:
            levels.append((min(ONE, levels[-1][0] + step), draw(st.integers(1, 120))))
        minimum_quantity = draw(st.sampled_from([0, 0, 1, 20, 100]))
        minimum_value = draw(st.sampled_from([0, 0, 1, 300_000, 1_000_000]))
        legs.append(WalkLeg(levels, draw(schedules), minimum_quantity, minimum_value))
    return legs, payout, draw(st.sampled_from([1, 1, 0, -1_000_000, 10_000]))


@settings(max_examples=300, deadline=None)
@given(offers())
@example(([WalkLeg([(5_000, 300)], kalshi(70_000)), WalkLeg([(4_825, 300)], polymarket(0))], ONE, 0))
@example(([WalkLeg([(5_000, 300)], kalshi(0, 10_000)), WalkLeg([(5_000, 300)], polymarket(0))], ONE, -50_000))
@example(([WalkLeg([(3_333, 300)], kalshi(1, 10_000)), WalkLeg([(6_666, 300)], kalshi(1, 7))], ONE, -50_000))
def test_equals_brute_force(offer: tuple[list[WalkLeg], int, int]) -> None:
    legs, payout, minimum_net = offer
    assert walk_depth(legs, payout, minimum_net) == brute(legs, payout, minimum_net)


@settings(max_examples=60, deadline=None)
@given(offers(), st.integers(1, 150))
def test_more_depth_never_earns_less(offer: tuple[list[WalkLeg], int, int], more: int) -> None:
    legs, payout, minimum_net = offer
    deeper = []
    for leg in legs:
        *rest, (price, size) = leg.levels
        deeper.append(WalkLeg([*rest, (price, size + more)], leg.fee, leg.minimum_quantity, leg.minimum_value))
    before, after = walk_depth(legs, payout, minimum_net), walk_depth(deeper, payout, minimum_net)
    if before is not None:
        assert after is not None
        assert after.net >= before.net


@settings(max_examples=60, deadline=None)
@given(offers())
def test_order_of_legs_plays_no_part(offer: tuple[list[WalkLeg], int, int]) -> None:
    legs, payout, minimum_net = offer
    one, other = walk_depth(legs, payout, minimum_net), walk_depth(legs[::-1], payout, minimum_net)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert (one.quantity, one.net, one.legs) == (other.quantity, other.net, other.legs[::-1])


def test_takes_every_level_that_earns() -> None:
    legs = [WalkLeg([(4_000, 100), (4_500, 100), (5_500, 100)], FREE), WalkLeg([(5_000, 1_000)], FREE)]
    found = walk_depth(legs, ONE, 1)
    assert found == Walk(
        quantity=200,
        payout=2_000_000,
        gross=150_000,
        fees=0,
        net=150_000,
        legs=(
            WalkedLeg(((4_000, 100), (4_500, 100)), 850_000, 0, 4_500),
            WalkedLeg(((5_000, 200),), 1_000_000, 0, 5_000),
        ),
    )


def test_fees_can_eat_an_edge() -> None:
    """A cent and a half a contract; Kalshi alone takes 1.75 cents at 0.50."""
    legs = [WalkLeg([(5_000, 10_000)], kalshi()), WalkLeg([(4_850, 10_000)], polymarket(0))]
    assert walk_depth(legs, ONE, 1) is None
    assert walk_depth([WalkLeg([(4_700, 10_000)], kalshi()), legs[1]], ONE, 1) is not None


def test_rounding_decides_between_neighbouring_sizes() -> None:
    """0.01 contract at 0.50 costs half a cent, which p = one cent rounds up: only even numbers of steps are free."""
    legs = [WalkLeg([(5_000, 99)], kalshi(0, 10_000)), WalkLeg([(4_999, 99)], FREE)]
    found = walk_depth(legs, ONE, -10_000)
    assert found is not None
    assert (found.quantity, found.net) == (98, 98)


def test_of_equal_nets_the_smallest_size_wins() -> None:
    legs = [WalkLeg([(5_000, 90)], FREE), WalkLeg([(4_000, 50), (5_000, 40)], FREE)]
    found = walk_depth(legs, ONE, 1)
    assert found is not None
    assert found.quantity == 50


@pytest.mark.parametrize(("minimum_net", "found"), [(150_000, True), (150_001, False)])
def test_minimum_net_is_inclusive(minimum_net: int, found: bool) -> None:
    legs = [WalkLeg([(4_000, 100), (4_500, 100)], FREE), WalkLeg([(5_000, 1_000)], FREE)]
    assert (walk_depth(legs, ONE, minimum_net) is not None) is found


def test_minimums_may_lie_beyond_the_best_size() -> None:
    ladder = [(4_000, 100), (4_900, 100), (5_500, 200)]
    legs = [WalkLeg(ladder, FREE, minimum_quantity=210), WalkLeg([(5_000, 1_000)], FREE)]
    found = walk_depth(legs, ONE, 1)
    assert found is not None
    assert (found.quantity, found.net) == (210, 105_000)
    assert walk_depth([WalkLeg(ladder, FREE, minimum_quantity=401), legs[1]], ONE, 1) is None
    assert walk_depth([WalkLeg(ladder, FREE, minimum_value=1_990_001), legs[1]], ONE, -(10**9)) is None


def test_smallest_quantity() -> None:
    leg = WalkLeg([(4_000, 100), (5_000, 100)], FREE, minimum_value=400_001)
    assert smallest_quantity([leg]) == 101
    assert smallest_quantity([leg, WalkLeg([(1, 500)], FREE, minimum_quantity=150)]) == 150
    assert smallest_quantity([WalkLeg([(0, 5), (10, 5)], FREE, minimum_value=11)]) == 7
    assert smallest_quantity([leg, WalkLeg([], FREE)]) is None
    assert smallest_quantity([WalkLeg([(1, 1)], FREE, -5, -5)]) == 1


def test_an_empty_side_has_no_size() -> None:
    assert walk_depth([WalkLeg([], FREE), WalkLeg([(4_000, 5)], FREE)], ONE, 1) is None


@pytest.mark.parametrize(
    "fees",
    [
        (kalshi(70_000, 10_000), polymarket(40_000)),
        (kalshi(70_000, 100), polymarket(70_000)),
        (kalshi(0, 10_000), polymarket(0)),
        (kalshi(70_000, 10_000), kalshi(35_000, 10_000)),
    ],
)
@pytest.mark.parametrize("edge", [-60, -1, 0, 1, 3, 40, 300])
def test_deep_books_are_walked_in_few_steps(
    fees: tuple[FeeSchedule, FeeSchedule], edge: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten million contracts at about the price where fees eat the edge: a walk of every step would never end."""
    evaluations = 0
    exact = depth._Segment.net

    def counted(segment: depth._Segment, quantity: int) -> int:
        nonlocal evaluations
        evaluations += 1
        return exact(segment, quantity)

    monkeypatch.setattr(depth._Segment, "net", counted)
    taken = sum(fee.taker_rate for fee in fees) * 4_400 * 5_600 // 10**10
    legs = [WalkLeg([(4_400, 10**9)], fees[0]), WalkLeg([(5_600 - taken - edge, 10**9)], fees[1])]
    walk_depth(legs, ONE, -1_000_000)
    assert evaluations < 20_000


def test_the_limit_of_steps_keeps_the_result_within_the_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    legs = [WalkLeg([(3_333, 400)], kalshi(70_001, 10_000)), WalkLeg([(6_000, 400)], polymarket(40_000))]
    best = brute(legs, ONE, -1_000_000)
    monkeypatch.setattr(depth, "MAXIMUM_STEPS", 1)
    found = walk_depth(legs, ONE, -1_000_000)
    assert best is not None
    assert found is not None
    assert best.net - 10_010 < found.net < best.net


@settings(max_examples=200, deadline=None)
@given(
    schedule=schedules,
    price=st.integers(0, ONE),
    before=st.lists(st.tuples(st.integers(0, ONE), st.integers(1, 300)), max_size=3),
    taken=st.integers(1, 500),
)
@example(polymarket(200), 5_000, [], 10)  # a tie, and one grid later a tie that goes the other way
@example(kalshi(800, 7), 5_000, [], 1)  # a step costs 5,002, of which seven are the first multiple of 7
def test_rounding_repeats_itself_after_a_period(
    schedule: FeeSchedule, price: int, before: list[Level], taken: int
) -> None:
    """Outlay grows by the unrounded amount over a period; by less only while a rebate may be held back."""
    step = WalkLeg([*before, (price, 10**12)], schedule).step(len(before))
    assert step is not None
    period = step.period()
    fee, rest = divmod(period * step.rise, step.scale)
    assert rest == 0
    quantity = step.start + taken
    grown = sum(step.outlay(quantity + period)) - sum(step.outlay(quantity))
    if step.repeats_from(quantity):
        assert grown == period * price + fee
    else:
        assert grown <= period * price + fee


def test_a_held_back_rebate_is_what_stops_the_repetition() -> None:
    """Three fills of 0.005 without a fee of a cent leave 0.015 in the accumulator: the next large fill gets a cent."""
    offer = WalkLeg([(50, 100), (150, 100), (250, 100), (5_000, 10_000)], kalshi(100, 10_000))
    step = offer.step(3)
    assert step is not None
    assert step.accumulator > 10_000
    most = -(-step.accumulator // 10_000) * 10_000
    first = step.start + -(-most * step.scale // step.rise)
    assert step.repeats_from(first)
    assert not step.repeats_from(first - 1)


@settings(max_examples=100, deadline=None)
@given(offers())
def test_no_net_is_above_its_ceiling(offer: tuple[list[WalkLeg], int, int]) -> None:
    legs, payout, _ = offer
    for segment in depth._segments(legs, payout, 1, NO_CHARGES):
        for quantity in (segment.low, (segment.low + segment.high) // 2, segment.high):
            assert segment.net(quantity) <= segment.ceiling(quantity) <= segment.highest()


def test_ties_within_a_level_go_to_the_smaller_size() -> None:
    """A step earns 100 and the fee takes 99.5, rounded up: 4 and 5 steps both net 2."""
    found = walk_depth([WalkLeg([(5_000, 5)], kalshi(39_800, 1)), WalkLeg([(4_900, 5)], FREE)], ONE, 1)
    assert found is not None
    assert (found.quantity, found.net) == (4, 2)


def test_ties_between_levels_go_to_the_smaller_size() -> None:
    """The 101st step earns 99 and rounding takes 99: the level with the higher ceiling nets no more."""
    legs = [WalkLeg([(5_001, 101)], kalshi(0, 100)), WalkLeg([(4_000, 100), (4_900, 1)], FREE)]
    found = walk_depth(legs, ONE, 1)
    assert found is not None
    assert (found.quantity, found.net) == (100, 99_900)
