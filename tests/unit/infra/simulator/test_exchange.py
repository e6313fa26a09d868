"""Canonical books: exact numbers, and the venue's book hash."""

import hashlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.exchange import (
    BookFacts,
    KalshiBook,
    TokenBook,
    book_hash,
    complement,
    contracts,
    dollars,
    fixed,
)


@given(st.integers(0, 10_000), st.integers(0, 10**9))
def test_wire_numbers_read_back_exactly(price: int, size: int) -> None:
    assert fixed(dollars(price), 4) == price
    assert fixed(contracts(size), 2) == size


@pytest.mark.parametrize("text", ["", "abc", "0.12345", "NaN", "Infinity", "1e400000"])
def test_what_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number|decimals"):
        fixed(text, 4)


def test_a_json_number_is_read_like_its_text() -> None:
    assert fixed(0.07, 4) == 700
    assert fixed(12, 2) == 1200


def test_a_level_at_or_below_zero_is_gone() -> None:
    book = KalshiBook("A-1")
    book.change("yes", 4000, 500)
    book.change("yes", 4000, -700)
    assert book.levels("yes") == []
    assert book.best("yes") is None


def test_wire_order_is_best_last_on_both_sides() -> None:
    book = TokenBook()
    book.replace([("0.3", "1"), ("0.35", "2"), ("0.1", "3")], [("0.4", "1"), ("0.9", "2"), ("0.5", "0")])
    bids, asks = book.wire()
    assert bids == [("0.1", "3"), ("0.3", "1"), ("0.35", "2")]
    assert asks == [("0.9", "2"), ("0.4", "1")]
    assert book.best() == ("0.35", "0.4")
    assert TokenBook().best() == ("0", "1")


def test_the_mirror_of_the_mirror_is_the_book() -> None:
    book = TokenBook()
    book.replace([("0.36", "917.29")], [("0.37", "1289.62")])
    mirror = book.mirrored()
    assert mirror.wire() == ([("0.63", "1289.62")], [("0.64", "917.29")])
    assert mirror.mirrored() == book


@given(st.integers(1, 999))
def test_complements_add_up_to_a_dollar(thousandths: int) -> None:
    price = f"0.{thousandths:03d}"
    assert Decimal(price) + Decimal(complement(price)) == 1


def test_the_book_hash_is_the_sha1_of_the_summary() -> None:
    """Computed here by hand from the documented text, not by the code under test."""
    text = (
        '{"market":"0xm","asset_id":"111","timestamp":"1700000000000","hash":"",'
        '"bids":[{"price":"0.36","size":"917.29"}],"asks":[],'
        '"min_order_size":"5","tick_size":"0.01","neg_risk":false,"last_trade_price":"0.870"}'
    )
    assert json.loads(text)["asset_id"] == "111"
    facts = BookFacts("0xm", last_trade_price="0.870")
    digest = book_hash(facts, "111", "1700000000000", [("0.36", "917.29")], [])
    assert digest == hashlib.sha1(text.encode()).hexdigest()
    assert digest == "a855867666aea563c9d978820b2bf107f2319677"


def test_a_second_version_market_hashes_its_version() -> None:
    plain = book_hash(BookFacts("0xm"), "111", "1", [], [])
    text = (
        '{"market":"0xm","asset_id":"111","timestamp":"1","hash":"","bids":[],"asks":[],"min_order_size":"5",'
        '"tick_size":"0.01","neg_risk":false,"last_trade_price":"","version":"v2"}'
    )
    versioned = book_hash(BookFacts("0xm", version="v2"), "111", "1", [], [])
    assert versioned == hashlib.sha1(text.encode()).hexdigest() != plain
