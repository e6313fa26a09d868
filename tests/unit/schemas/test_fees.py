from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.fees import FeeError, check_schedule, fill_fees, kalshi_order_fee, order_fee
from schemas.records import FeeSchedule
from schemas.units import FILL_SCALE
from tests.unit.streams.core.build import FREE, kalshi, polymarket

ONE_LOT = FILL_SCALE
prices = st.integers(0, 10_000)
rates = st.sampled_from([0, 1, 777, 17_500, 35_000, 70_000, 140_000, 1_000_000, 2_500_001])


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


def kalshi_oracle(rate: Fraction, p: Fraction, fills: Sequence[tuple[Fraction, Fraction]]) -> list[Fraction]:
    """The rule of the page "Fee Rounding" in dollars, as it stands there."""
    accumulator = Fraction(0)
    fees = []
    for price, count in fills:
        trade_fee = Fraction(ceil(rate * count * price * (1 - price) * 10**6), 10**6)
        revenue = -price * count
        aligned_change = floor((revenue - trade_fee) / p) * p
        rounding_fee = (revenue - trade_fee) - aligned_change
        accumulator += rounding_fee
        rebate = floor(accumulator / p) * p
        while trade_fee + rounding_fee - rebate < 0:
            rebate -= p
        accumulator -= rebate
        fees.append(trade_fee + rounding_fee - rebate)
    return fees


@given(
    rate=rates,
    precision=st.sampled_from([1, 7, 100, 10_000, 25_000]),
    fills=st.lists(st.tuples(prices, st.integers(1, 50_000)), max_size=8),
)
def test_kalshi_equals_the_written_rule(rate: int, precision: int, fills: list[tuple[int, int]]) -> None:
    expected = kalshi_oracle(
        Fraction(rate, 10**6),
        Fraction(precision, 10**6),
        [(Fraction(price, 10**4), Fraction(hundredths, 100)) for price, hundredths in fills],
    )
    found = kalshi_order_fee(
        [(price, hundredths * 10_000) for price, hundredths in fills], rate=rate, precision=precision
    )
    assert [Fraction(fee, 10**6) for fee in found] == expected
    assert all(fee >= 0 for fee in found)


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


def polymarket_oracle(rate: Fraction, exponent: int, price: Fraction, count: Fraction) -> Fraction:
    return Fraction(round(count * rate * (price * (1 - price)) ** exponent * 10**5), 10**5)


@given(rate=rates, exponent=st.integers(0, 4), fills=st.lists(st.tuples(prices, st.integers(1, 10**12)), max_size=5))
def test_polymarket_equals_the_formula(rate: int, exponent: int, fills: list[tuple[int, int]]) -> None:
    """Python rounds a Fraction to the nearest integer, ties to even."""
    expected = [
        polymarket_oracle(Fraction(rate, 10**6), exponent, Fraction(price, 10**4), Fraction(count, 10**6))
        for price, count in fills
    ]
    schedule = polymarket(rate, exponent)
    assert [Fraction(fee, 10**6) for fee in fill_fees(schedule, fills)] == expected
    assert order_fee(schedule, fills) == sum(expected) * 10**6


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


def test_no_model_costs_nothing() -> None:
    assert fill_fees(FREE, [(5_000, ONE_LOT)]) == (0,)


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        (kalshi(precision=0), "balance precision 0 is not positive"),
        (kalshi(rate=-1), "taker rate -1 is negative"),
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
