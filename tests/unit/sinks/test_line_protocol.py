"""Our line protocol means what influxdb_client's Point means, as an independent reader understands both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client import Point

from sinks.line_protocol import contracts, dollars, integer, string, tag_set
from tests.unit.sinks.reader import read_line

LONG = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
# A backslash in the middle of a tag is ambiguous in the protocol itself; its end is tested below.
TAG = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\"), min_size=1, max_size=30)


@given(market=TAG, group=TAG, reason=TEXT, number=LONG, price=st.integers(0, 10_000), size=st.integers(0, 2**40))
def test_a_line_means_what_the_clients_point_means(
    market: str, group: str, reason: str, number: int, price: int, size: int
) -> None:
    ours = (
        f"book{tag_set(('group', group), ('market', market))} "
        f"n={integer(number)},reason={string(reason)},price={dollars(price)},size={contracts(size)} 17"
    )
    theirs = (
        Point("book")
        .tag("market", market)
        .tag("group", group)
        .field("n", number)
        .field("reason", reason)
        .field("price", price / 10_000)
        .field("size", size / 100)
        .time(17)
    )
    assert read_line(ours) == read_line(theirs.to_line_protocol())


@given(market=TAG.map(lambda text: text + "\\"))
def test_a_tag_that_ends_in_a_backslash_does_not_swallow_what_follows(market: str) -> None:
    line = f"book{tag_set(('market', market), ('venue', 'kalshi'))} n=1i 17"
    assert line == Point("book").tag("market", market).tag("venue", "kalshi").field("n", 1).time(17).to_line_protocol()
    assert read_line(line).tags["venue"] == "kalshi"


def test_an_empty_tag_is_left_out() -> None:
    assert tag_set(("group", ""), ("market", "M")) == ",market=M"


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_integers_outside_64_bits_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="does not fit 64 bits"):
        integer(number)


@pytest.mark.parametrize("encode", [dollars, contracts])
def test_negative_prices_and_sizes_are_refused(encode: object) -> None:
    assert callable(encode)
    with pytest.raises(ValueError, match="negative"):
        encode(-1)


def test_prices_keep_their_decimal_digits() -> None:
    assert (dollars(4201), dollars(0), dollars(10_000)) == ("0.4201", "0.0000", "1.0000")
    assert (contracts(7), contracts(123_456)) == ("0.07", "1234.56")
