"""Which quantities a walk tries and which it may leave out, at the edges of lots, periods, ties and the minimum."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from msgspec.structs import replace

from schemas.records import Level
from schemas.units import ONE
from streams.core import depth
from streams.core.depth import NO_CHARGES, Charges, WalkLeg, smallest_quantity, walk_depth
from tests import exact
from tests.unit.streams.core.build import FREE, kalshi, polymarket

DEEP = 10**9
WHOLE_FEES = WalkLeg([(5_000, DEEP)], polymarket(40_000))
"""Each step is charged 100, exactly ten grids: rounding repeats itself after one step, half a grid below its bound."""


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The quantities that walks evaluate."""
    quantities: list[int] = []
    exact = depth._Segment.net

    def noted(segment: depth._Segment, quantity: int) -> int:
        quantities.append(quantity)
        return exact(segment, quantity)

    monkeypatch.setattr(depth._Segment, "net", noted)
    return quantities


def best(legs: Sequence[WalkLeg], minimum_net: int, charges: Charges = NO_CHARGES) -> tuple[int, int] | None:
    """Quantity and net of the best size of a basket that pays a dollar."""
    found = walk_depth(legs, ONE, minimum_net, charges)
    return None if found is None else (found.quantity, found.net)


@pytest.mark.parametrize(("price", "expected"), [(4_899, (DEEP, DEEP)), (4_900, (1, 0)), (4_901, (1, -1))])
def test_of_a_level_one_period_is_tried(price: int, expected: tuple[int, int], tried: list[int]) -> None:
    """A step earns 1, nothing, -1: the ceiling, half a grid higher, would let several steps in."""
    assert best([WHOLE_FEES, WalkLeg([(price, DEEP)], FREE)], -10) == expected
    assert tried == [expected[0]]


def test_a_period_is_one_of_lots_too() -> None:
    """Balances in whole cents: an even number of steps at 0.50 is free of rounding, and bought in threes, every six."""
    legs = [WalkLeg([(5_000, 99)], kalshi(0, 10_000), lot=3), WalkLeg([(5_000, 99)], FREE)]
    assert best(legs, -10_000) == (6, 0)


def test_the_levels_with_the_highest_ceilings_are_tried_first(tried: list[int]) -> None:
    legs = [WalkLeg([(4_000, 50), (4_500, 50)], FREE), WalkLeg([(5_000, 100)], FREE)]
    assert best(legs, 1) == (100, 75_000)
    assert tried == [100]


def test_a_level_whose_ceiling_only_equals_the_best_is_left_out(tried: list[int]) -> None:
    """The fee takes the 100 that each step of the second level earns, exactly."""
    legs = [WalkLeg([(5_000, 10)], kalshi(40_000, 1)), WalkLeg([(4_000, 5), (4_900, 5)], FREE)]
    assert best(legs, 1) == (5, 4_500)
    assert tried == [5]


def test_levels_that_earn_nothing_are_tried_as_long_as_rounding_may_win() -> None:
    """Half a cent is rounded up to a cent; the second step, a unit dearer, needs no rounding."""
    legs = [WalkLeg([(5_000, 10)], kalshi(0, 10_000)), WalkLeg([(5_000, 1), (5_001, 9)], FREE)]
    assert best(legs, -10_000) == (2, -1)


def test_a_walk_stops_at_the_limit(tried: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "MAXIMUM_STEPS", 5)
    walk_depth([WalkLeg([(3_333, 400)], kalshi(70_001, 10_000)), WalkLeg([(6_000, 400)], polymarket())], ONE, -(10**6))
    assert len(tried) == 5


def test_of_sizes_that_round_to_the_same_net_the_smallest_is_taken() -> None:
    """Both balances are rounded up to whole cents: 7,500 + 2,500, then 5,000 + 5,000, then 2,500 + 7,500."""
    legs = [WalkLeg([(2_500, 9)], kalshi(0, 10_000)), WalkLeg([(7_500, 9)], kalshi(0, 10_000))]
    assert best(legs, -10_000, Charges(maximum_quantity=3)) == (1, -10_000)
    assert best(legs, -10_000) == (4, 0)


def test_a_billionth_below_the_minimum_is_below_it() -> None:
    legs = [WalkLeg([(5_000, 1)], FREE), WalkLeg([(5_000, 1)], FREE)]
    assert best(legs, 0) == (1, 0)
    assert best(legs, 0, Charges(contract_parts=1)) is None
    assert best(legs, -1, Charges(contract_parts=1)) == (1, -1)


def test_a_ceiling_a_billionth_below_the_minimum_is_not_tried(tried: list[int]) -> None:
    """Half a grid, 5, is what the fee's bound leaves room for; the charge takes that and a billionth."""
    legs = [WHOLE_FEES, WalkLeg([(4_900, DEEP)], FREE)]
    assert best(legs, 0, Charges(contract_parts=5 * depth.PARTS + 1)) is None
    assert not tried


def test_a_deep_level_that_earns_a_billionth_a_step_can_be_the_best() -> None:
    """At step 126 the fee comes to 0.00000504, a grid of 10: without it 125 steps net 125, and ten billion more 126."""
    ladders = [[(9_999, 126), (10_000, 10**10)], [(9_999, 10**11)], [(0, 10**11)]]
    legs = [WalkLeg(levels, polymarket()) for levels in ladders[:1]] + [WalkLeg(levels, FREE) for levels in ladders[1:]]
    found = walk_depth(legs, 2 * ONE, 1, Charges(contract_parts=depth.PARTS - 1))
    assert found is not None
    assert (found.quantity, found.net) == (126 + 10**10, 126)


@pytest.mark.parametrize("size", range(1, 10))
def test_where_a_rebate_may_be_held_back_a_level_is_tried_to_its_end(size: int) -> None:
    """Balances in whole cents left more than a cent in the accumulator before the last level, which earns nothing."""
    legs = [
        exact.Leg(((25, 3), (50, 10), (350, 10), (5_000, size)), kalshi(1_000, 10_000)),
        exact.Leg(((4_999, 100),), FREE),
    ]
    expected = exact.best_size(legs, ONE, 1, exact.Costs())
    assert expected is not None
    assert best([WalkLeg(leg.levels, leg.fee) for leg in legs], 1) == (expected.quantity, int(expected.net))


CHARGES = Charges(
    cost_parts=(10_000_000, 20_000_000), fee_parts=100_000_000, contract_parts=50 * depth.PARTS, fixed=7_000
)


def test_what_charges_take() -> None:
    """1 % of 400,000 and 2 % of 500,000, a tenth of a fee of 10,000, 50 a hundredth of a contract, and 7,000."""
    legs = [WalkLeg([(4_000, 100)], FREE), WalkLeg([(5_000, 100)], polymarket(40_000))]
    assert best(legs, 1, CHARGES) == (100, 100_000 - 10_000 - 14_000 - 1_000 - 5_000 - 7_000)


@pytest.mark.parametrize("most", [49, 50, 51, 99, 100, 101])
def test_no_more_is_bought_than_the_charges_allow(most: int) -> None:
    legs = [WalkLeg([(4_000, 50), (4_500, 50)], FREE), WalkLeg([(5_000, 100)], FREE)]
    found = walk_depth(legs, ONE, 1, Charges(maximum_quantity=most))
    assert found is not None
    assert found.quantity == min(most, 100)


def test_a_ceiling_is_no_higher_than_what_rounding_can_give() -> None:
    """However deep, and however differently the fees are scaled."""
    fees = [FREE, kalshi(70_000, 100), polymarket(40_000), polymarket(250_000, 2), polymarket(1_000, 0)]
    for fee in fees:
        legs = [WalkLeg([(3_000, DEEP)], fee), WalkLeg([(4_123, DEEP)], polymarket(30_000, 1))]
        [segment] = depth._segments(legs, ONE, 1, CHARGES)
        for quantity in (1, 12_345, DEEP):
            assert 0 <= segment.ceiling(quantity) - segment.net(quantity) <= 200 * depth.PARTS


def test_numbers_that_a_fee_model_does_not_use_play_no_part() -> None:
    """A rate without a model takes nothing, and Kalshi's curve has no exponent."""
    for fee, other in ((FREE, replace(FREE, taker_rate=70_000)), (kalshi(), replace(kalshi(), exponent=3))):
        ladders: list[list[Level]] = [[(3_000, 50), (4_600, 50), (4_900, 50)], [(5_000, 200)]]
        one, two = ([WalkLeg(ladders[0], used), WalkLeg(ladders[1], FREE)] for used in (fee, other))
        assert best(one, 1) == best(two, 1) is not None
        [first, _], [second, _] = one, two
        for number in range(3):
            step, same = first.step(number), second.step(number)
            assert step is not None
            assert same is not None
            assert Fraction(step.rise, step.scale) == Fraction(same.rise, same.scale)


def test_large_nets_are_compared_to_the_last_part() -> None:
    """The second level adds a billionth of a micro-dollar to a hundred thousand dollars."""
    legs = [WalkLeg([(4_000, DEEP), (5_000, 1)], FREE), WalkLeg([(5_000, 2 * DEEP)], FREE)]
    found = walk_depth(legs, ONE + 1, 1, Charges(contract_parts=depth.PARTS - 1))
    assert found is not None
    assert found.quantity == DEEP + 1


def test_a_ceiling_that_rises_as_little_as_can_be_is_highest_at_the_end() -> None:
    """By 1e-10 of a part a step: the edge, less a fee on 0.0009 with a charge on it."""
    size, schedule = 10**12, kalshi(642_063, 1)
    charges = Charges(fee_parts=14_767, contract_parts=6 * depth.PARTS - 5_773_451_545)
    legs = [WalkLeg([(9, size)], schedule), WalkLeg([(9_985, size)], FREE)]
    [segment] = depth._segments(legs, ONE, 1, charges)
    assert segment.slope == 1
    assert segment.ceiling(size) > segment.ceiling(1)
    assert segment.highest() == segment.ceiling(size)
    assert segment.candidates()[0] == size


def test_a_minimum_value_that_a_level_meets_exactly() -> None:
    assert smallest_quantity([WalkLeg([(4_000, 100), (5_000, 100)], FREE, minimum_value=400_000)]) == 100
    assert smallest_quantity([WalkLeg([(4_000, 100), (5_000, 100)], FREE, minimum_value=405_000)]) == 101


@pytest.mark.parametrize("accumulator", [1, 9_999, 10_000, 10_001, 15_000, 19_999, 20_000])
def test_rounding_repeats_from_where_the_fee_outweighs_every_rebate(accumulator: int) -> None:
    """Rebates are whole cents: no fill is given more than the accumulator and its own rounding make of them."""
    step = depth._Step((5_000, DEEP), kalshi(100, 10_000), accumulator=accumulator)
    cents = -(-accumulator // 10_000) * 10_000
    first = -(-cents * step.scale // step.rise)
    assert [step.repeats_from(quantity) for quantity in (first - 1, first)] == [False, True]


@pytest.mark.parametrize("price", [0, 5_000, ONE])
def test_without_a_fee_rounding_repeats_at_once(price: int) -> None:
    """A rebate could only turn the net fee negative, so there is none."""
    schedule = kalshi(0 if price == 5_000 else 70_000, 10_000)
    assert depth._Step((price, DEEP), schedule, accumulator=15_000).repeats_from(0)
