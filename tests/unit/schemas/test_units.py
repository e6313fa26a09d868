"""Strings become integers exactly or not at all."""

import contextlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import units
from schemas.units import UnitError


@given(st.integers(0, units.ONE))
def test_price_round_trip(price: int) -> None:
    assert units.parse_price(units.format_price(price)) == price


@given(st.integers(0, 10**12))
def test_quantity_round_trip(quantity: int) -> None:
    assert units.parse_quantity(units.format_quantity(quantity)) == (quantity, False)


@given(st.integers(0, 10**13))
def test_ladder_sizes_floor_and_say_so(millionths: int) -> None:
    text = f"{millionths // 10**6}.{millionths % 10**6:06d}"
    quantity, cut = units.parse_quantity(text)
    exact = Fraction(millionths, 10**4)
    assert quantity <= exact < quantity + 1
    assert cut == (exact != quantity)
    assert units.parse_fill_quantity(text) == millionths


@given(st.integers(-(10**15), 10**15))
def test_money_prints_exactly(money: int) -> None:
    assert Fraction(units.format_money(money)) == Fraction(money, units.MONEY_SCALE)


@pytest.mark.parametrize("text", ["", "x", "0.00001", "-0.1", "1.0001", "nan", "inf", "1e400", "0x1", "9" * 41])
def test_bad_prices_are_refused(text: str) -> None:
    with pytest.raises(UnitError, match="price was"):
        units.parse_price(text)


@pytest.mark.parametrize("text", ["-1", "", "abc", "NaN"])
def test_bad_sizes_are_refused(text: str) -> None:
    with pytest.raises(UnitError):
        units.parse_quantity(text)


NOT_PLAIN = ["1E+20", "1E+999999", "1e-2", "1_0", " 1", "1 ", "1\n", "+1", "\u0661", "\u00b2", ".", "-", "1.2.3", "--1"]
PARSERS = [units.parse_price, units.parse_quantity, units.parse_quantity_change, units.parse_fill_quantity]


@pytest.mark.parametrize("text", NOT_PLAIN)
@pytest.mark.parametrize("parse", [*PARSERS, units.parse_rate])
def test_only_plain_decimal_numbers_are_numbers(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(UnitError):
        parse(text)


@pytest.mark.parametrize(("text", "quantity"), [("5", 500), ("5.", 500), (".5", 50), ("-0", 0), ("007.10", 710)])
def test_plain_forms(text: str, quantity: int) -> None:
    assert units.parse_quantity(text) == (quantity, False)


def numbers() -> st.SearchStrategy[str]:
    """Texts that look like numbers, and texts that do not."""
    return st.one_of(
        st.text(), st.text("0123456789.-+eE_ \u0661nafi", max_size=45), st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,9})?")
    )


@given(numbers(), st.sampled_from([*PARSERS, units.parse_rate]))
def test_any_text_is_a_bounded_number_or_a_unit_error(text: str, parse: Callable[[str], Any]) -> None:
    try:
        parsed = parse(text)
    except UnitError:
        return
    size = parsed[0] if isinstance(parsed, tuple) else parsed
    assert abs(size) * units.ONE < 2**63


@given(st.integers(0, 10**18), st.text("0", max_size=10))
def test_what_is_parsed_is_what_was_written(tenths_of_a_unit: int, zeros: str) -> None:
    whole, thousandths = divmod(tenths_of_a_unit, 1000)
    text = f"{whole}.{thousandths:03d}{zeros}"
    exact = Fraction(tenths_of_a_unit, 10)
    try:
        quantity, cut = units.parse_quantity(text)
    except UnitError:
        assert exact >= units.LARGEST_SIZE
        return
    assert quantity <= exact < quantity + 1
    assert cut == (exact != quantity)


def test_what_lies_far_behind_the_point_is_seen() -> None:
    with pytest.raises(UnitError, match="finer"):
        units.parse_price("0.50000000000000000000000000000000000001")


def test_the_largest_size() -> None:
    largest = units.format_quantity(units.LARGEST_SIZE)
    assert units.parse_quantity(largest) == (units.LARGEST_SIZE, False)
    with pytest.raises(UnitError, match="too large"):
        units.parse_quantity(units.format_quantity(units.LARGEST_SIZE + 1))


def test_price_times_quantity_is_money() -> None:
    assert units.PRICE_SCALE * units.QUANTITY_SCALE == units.MONEY_SCALE


def test_size_changes_are_signed_and_exact() -> None:
    assert units.parse_quantity_change("-54.00") == -5400
    with pytest.raises(UnitError, match="finer"):
        units.parse_quantity_change("0.001")


@pytest.mark.parametrize(("value", "rate"), [(0.07, 70_000), (1, 1_000_000), ("0.035", 35_000), (0, 0), (1e-05, 10)])
def test_rates(value: str | int | float, rate: int) -> None:
    assert units.parse_rate(value) == rate


@pytest.mark.parametrize(
    ("value", "text"), [(1e-05, "0.00001"), (0.001, "0.001"), (5.0, "5.0"), (5, "5"), ("1e-05", "1e-05")]
)
def test_json_numbers_are_written_plainly(value: str | int | float, text: str) -> None:
    assert units.plain(value) == text


@given(st.floats())
def test_any_float_is_a_rate_or_a_unit_error(value: float) -> None:
    with contextlib.suppress(UnitError):
        assert Fraction(units.parse_rate(value), units.RATE_SCALE) == Fraction(repr(value))
