from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.fees import FeeError, Liquidity, OrderFees, check_schedule, fill_fees, kalshi_order_fee, order_fee
from schemas.records import FeeSchedule, OrderSide
from schemas.units import FILL_SCALE
from tests import exact
from tests.unit.streams.core.build import FREE, kalshi, polymarket

ONE_LOT = FILL_SCALE
prices = st.integers(0, 10_000)
rates = st.sampled_from([0, 1, 777, 17_500, 35_000, 70_000, 140_000, 1_000_000, 2_500_001])
precisions = st.sampled_from([1, 7, 100, 10_000, 25_000])
liquidities: st.SearchStrategy[Liquidity] = st.sampled_from(["taker", "maker"])
sides: st.SearchStrategy[OrderSide] = st.sampled_from(["buy", "sell"])
kalshi_fills = st.lists(
    st.tuples(prices, st.integers(1, 50_000).map(lambda hundredths: hundredths * 10_000)), max_size=8
)

kinds_of_fills = st.lists(st.tuples(liquidities, sides), min_size=8, max_size=8)


def with_makers(model: FeeSchedule, maker_rate: int) -> FeeSchedule:
    return replace(model, maker_rate=maker_rate)


def charged(
    schedule: FeeSchedule, fills: Sequence[tuple[int, int]], kinds: Sequence[tuple[Liquidity, OrderSide]]
) -> list[int]:
    """The fees of one order whose fills may each be of another kind."""
    order, fees = OrderFees(schedule), []
    for (price, fill_quantity), (liquidity, side) in zip(fills, kinds, strict=False):
        fee, order = order.fill(price, fill_quantity, liquidity, side)
        fees.append(fee)
    return fees


def written(
    schedule: FeeSchedule, fills: Sequence[tuple[int, int]], kinds: Sequence[tuple[Liquidity, OrderSide]]
) -> list[Fraction]:
    """The same by the oracle, in 1e-6 dollar."""
    order = exact.OrderFee(schedule)
    return [
        order.fill(Fraction(price, 10**4), Fraction(size, 10**6), maker=liquidity == "maker", selling=side == "sell")
        * 10**6
        for (price, size), (liquidity, side) in zip(fills, kinds, strict=False)
    ]


@pytest.mark.parametrize(
    ("price", "contracts", "precision", "fees"),
    [
        (5_000, [1], 10_000, (20_000,)),
        (5_000, [1], 100, (17_500,)),
        (5_000, [10], 10_000, (180_000,)),
        (5_000, [10], 100, (175_000,)),
        (5_000, [1, 1, 1, 1], 10_000, (20_000, 20_000, 20_000, 10_000)),
        (550, [1], 10_000, (5_000,)),
        (550, [1], 100, (3_700,)),
        (10_000, [3], 100, (0,)),
    ],
)
def test_kalshi_vectors(price: int, contracts: list[int], precision: int, fees: tuple[int, ...]) -> None:
    fills = [(price, count * ONE_LOT) for count in contracts]
    assert kalshi_order_fee(fills, rate=70_000, precision=precision) == fees


# The worked steps of "Fee Rounding", in 1e-6 dollar: fee of each fill, accumulator after it, change of the balance.
@pytest.mark.parametrize(
    ("schedule", "fills", "steps"),
    [
        # The page's example: 0.055 + 0.003639 leaves as 0.06, of which 0.001361 is kept.
        (kalshi(70_000, 10_000), [(550, 1, "taker", "buy")], [(5_000, 1_361, -60_000)]),
        (kalshi(70_000, 100), [(550, 1, "taker", "buy")], [(3_700, 61, -58_700)]),
        (kalshi(70_000, 10_000), [(5_000, 1, "taker", "buy")], [(20_000, 2_500, -520_000)]),
        (kalshi(70_000, 100), [(5_000, 1, "taker", "buy")], [(17_500, 0, -517_500)]),
        (kalshi(70_000, 10_000), [(5_000, 10, "taker", "buy")], [(180_000, 5_000, -5_180_000)]),
        (kalshi(70_000, 100), [(5_000, 10, "taker", "buy")], [(175_000, 0, -5_175_000)]),
        # Each fill leaves a quarter of a cent; the fourth makes it a cent, which comes back.
        (
            kalshi(70_000, 10_000),
            [(5_000, 1, "taker", "buy")] * 5,
            [
                (20_000, 2_500, -520_000),
                (20_000, 5_000, -520_000),
                (20_000, 7_500, -520_000),
                (10_000, 0, -510_000),
                (20_000, 2_500, -520_000),
            ],
        ),
        # With p = 0.0001 a fill leaves 0.000061: the second brings 0.0001 back, and 0.000022 stays.
        (
            kalshi(70_000, 100),
            [(550, 1, "taker", "buy")] * 3,
            [(3_700, 61, -58_700), (3_600, 22, -58_600), (3_700, 83, -58_700)],
        ),
        # A maker pays a quarter: 0.004375, and 0.000025 of rounding a fill; four of them make 0.0001.
        (
            with_makers(kalshi(70_000, 100), 17_500),
            [(5_000, 1, "maker", "buy")] * 4,
            [(4_400, 25, -504_400), (4_400, 50, -504_400), (4_400, 75, -504_400), (4_300, 0, -504_300)],
        ),
        # What a taker fill left in the accumulator, the maker fills of the order add to and get back.
        (
            with_makers(kalshi(70_000, 10_000), 17_500),
            [(5_000, 1, "taker", "buy"), (5_000, 1, "maker", "buy"), (5_000, 1, "maker", "buy")],
            [(20_000, 2_500, -520_000), (10_000, 8_125, -510_000), (0, 3_750, -500_000)],
        ),
        # Selling: 0.4825 comes in as 0.48, and 0.051361 as 0.05.
        (kalshi(70_000, 10_000), [(5_000, 1, "taker", "sell")], [(20_000, 2_500, 480_000)]),
        (kalshi(70_000, 10_000), [(550, 1, "taker", "sell")], [(5_000, 1_361, 50_000)]),
        (kalshi(70_000, 100), [(550, 1, "taker", "sell")], [(3_700, 61, 51_300)]),
        # A maker of a series without maker fees still pays what his balance is rounded by.
        (kalshi(70_000, 10_000), [(555, 1, "maker", "buy")], [(4_500, 4_500, -60_000)]),
    ],
)
def test_kalshi_step_by_step(
    schedule: FeeSchedule, fills: list[tuple[int, int, Liquidity, OrderSide]], steps: list[tuple[int, int, int]]
) -> None:
    order = OrderFees(schedule)
    found = []
    for price, contracts, liquidity, side in fills:
        fee, order = order.fill(price, contracts * ONE_LOT, liquidity, side)
        moved = price * contracts * 100
        found.append((fee, order.accumulator, (moved if side == "sell" else -moved) - fee))
    assert found == steps


@given(taker=rates, maker=rates, precision=precisions, fills=kalshi_fills, kinds=kinds_of_fills)
def test_kalshi_equals_the_written_rule(
    taker: int, maker: int, precision: int, fills: list[tuple[int, int]], kinds: list[tuple[Liquidity, OrderSide]]
) -> None:
    """Orders whose fills take and make, and that buy and sell, in any mixture: one accumulator."""
    schedule = with_makers(kalshi(taker, precision), maker)
    found = charged(schedule, fills, kinds)
    assert found == written(schedule, fills, kinds)
    assert all(fee >= 0 for fee in found)


@given(rate=rates, precision=precisions, fills=kalshi_fills, liquidity=liquidities, side=sides)
def test_kalshi_balances_move_in_multiples_of_their_precision(
    rate: int, precision: int, fills: list[tuple[int, int]], liquidity: Liquidity, side: OrderSide
) -> None:
    schedule = with_makers(kalshi(rate, precision), rate)
    fees = fill_fees(schedule, fills, liquidity, side)
    moved = [price * size // 10_000 for price, size in fills]
    assert all(
        ((cash if side == "sell" else -cash) - fee) % precision == 0 for cash, fee in zip(moved, fees, strict=True)
    )
    assert order_fee(schedule, fills, liquidity, side) == sum(fees)


@given(rate=rates, precision=st.sampled_from([100, 10_000]), fills=kalshi_fills, liquidity=liquidities)
def test_kalshi_selling_rounds_as_buying_the_other_outcome_does(
    rate: int, precision: int, fills: list[tuple[int, int]], liquidity: Liquidity
) -> None:
    """A contract's dollar is a multiple of both venue precisions, so the fraction that is cut off is the same."""
    schedule = with_makers(kalshi(rate, precision), rate // 2)
    others = [(10_000 - price, size) for price, size in fills]
    assert fill_fees(schedule, fills, liquidity, "sell") == fill_fees(schedule, others, liquidity, "buy")


@given(rate=rates, precision=precisions, fills=kalshi_fills, side=sides)
def test_kalshi_makers_and_takers_at_one_rate_pay_the_same(
    rate: int, precision: int, fills: list[tuple[int, int]], side: OrderSide
) -> None:
    schedule = with_makers(kalshi(rate, precision), rate)
    assert fill_fees(schedule, fills, "maker", side) == fill_fees(schedule, fills, "taker", side)


@given(price=prices, quantity=st.integers(1, 10**9))
def test_kalshi_no_side_pays_the_same_trade_fee(price: int, quantity: int) -> None:
    """With p fine enough that rounding takes nothing, only P(1 - P) is left, and that is symmetric."""
    hundredths = quantity * 10_000
    yes = kalshi_order_fee([(price, hundredths)], rate=70_000, precision=1)
    no = kalshi_order_fee([(10_000 - price, hundredths)], rate=70_000, precision=1)
    assert yes == no


def test_kalshi_rounds_the_cash_of_the_outcome_bought() -> None:
    """0.055 and 0.945 carry the same trade fee of 0.003639; 0.058639 rises to 0.06, 0.948639 to 0.95."""
    assert kalshi_order_fee([(550, ONE_LOT)], rate=70_000, precision=10_000) == (5_000,)
    assert kalshi_order_fee([(9_450, ONE_LOT)], rate=70_000, precision=10_000) == (5_000,)
    assert kalshi_order_fee([(300, ONE_LOT), (2_550, ONE_LOT)], rate=0, precision=10_000) == (0, 5_000)


def test_kalshi_rebate_is_held_back_while_it_would_make_the_fee_negative() -> None:
    """Without a trade fee no fill ever charges a whole cent, so the accumulator never pays out."""
    assert kalshi_order_fee([(50, ONE_LOT)] * 4, rate=0, precision=10_000) == (5_000,) * 4


def test_kalshi_refuses_a_fill_finer_than_it_trades() -> None:
    with pytest.raises(FeeError, match="finer than Kalshi trades"):
        kalshi_order_fee([(5_001, 1)], rate=70_000, precision=100)


@given(
    taker=rates,
    maker=rates,
    exponent=st.integers(0, 4),
    fills=st.lists(st.tuples(prices, st.integers(1, 10**12)), max_size=5),
    kinds=kinds_of_fills,
)
def test_polymarket_equals_the_formula(
    taker: int, maker: int, exponent: int, fills: list[tuple[int, int]], kinds: list[tuple[Liquidity, OrderSide]]
) -> None:
    """Python rounds a Fraction to the nearest integer, ties to even. Buying and selling cost the same."""
    schedule = with_makers(polymarket(taker, exponent), maker)
    assert charged(schedule, fills, kinds) == written(schedule, fills, kinds)
    assert order_fee(schedule, fills, "taker", "sell") == order_fee(schedule, fills, "taker", "buy")


@given(rate=rates, fills=st.lists(st.tuples(prices, st.integers(1, 10**12)), max_size=5), side=sides)
def test_polymarket_makers_pay_nothing(rate: int, fills: list[tuple[int, int]], side: OrderSide) -> None:
    assert order_fee(polymarket(rate), fills, "maker", side) == 0


@pytest.mark.parametrize(
    ("rate", "hundredths", "fee"),
    [
        (70_000, 10_000, 1_750_000),  # the page's peak: 100 shares of crypto at 0.50
        (40_000, 1, 100),
        (200, 10, 0),  # 0.000005: a tie between 0 and 0.00001
        (200, 30, 20),  # 0.000015: a tie between 0.00001 and 0.00002
        (200, 9, 0),
        (200, 11, 10),
    ],
)
def test_polymarket_vectors(rate: int, hundredths: int, fee: int) -> None:
    assert order_fee(polymarket(rate), [(5_000, hundredths * 10_000)]) == fee


@pytest.mark.parametrize("liquidity", ["taker", "maker"])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_no_model_costs_nothing(liquidity: Liquidity, side: OrderSide) -> None:
    assert fill_fees(FREE, [(5_000, ONE_LOT)], liquidity, side) == (0,)


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        (kalshi(precision=0), "balance precision 0 is not positive"),
        (kalshi(rate=-1), "taker rate -1 is negative"),
        (with_makers(kalshi(), -1), "maker rate -1 is negative"),
        (with_makers(polymarket(), -1), "maker rate -1 is negative"),
        (polymarket(exponent=-1), "exponent -1 is negative"),
        (
            FeeSchedule(model="flat", taker_rate=0, maker_rate=0, exponent=0, balance_precision=0),  # type: ignore[arg-type]
            "fee model 'flat' is unknown",
        ),
    ],
)
def test_senseless_schedules_are_refused(schedule: FeeSchedule, complaint: str) -> None:
    with pytest.raises(FeeError, match=complaint):
        check_schedule(schedule)


@pytest.mark.parametrize("schedule", [kalshi(), polymarket(), polymarket(0, 0), FREE])
def test_sensible_schedules_pass(schedule: FeeSchedule) -> None:
    check_schedule(schedule)
