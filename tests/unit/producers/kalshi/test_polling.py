"""Kalshi without a key: REST books as a session."""

import json
from functools import partial
from typing import Any

import pytest

from producers.kalshi.polling import KalshiPolling
from producers.transcript import Closed, Described, Opened, Unanswered, Unfollow
from tests.unit.producers.kalshi.scripted import SECOND, Scripted
from tests.unit.producers.support import make_market

PATH = "/markets/orderbooks?tickers=X&tickers=Y"
MANY = [f"M{number:03}" for number in range(250)]


def books(*items: Any) -> bytes:
    """Tickers with their best YES bid, or whole items."""
    whole = [
        {"ticker": item[0], "orderbook_fp": {"yes_dollars": [[item[1], "1.00"]], "no_dollars": []}}
        if isinstance(item, tuple)
        else item
        for item in items
    ]
    return json.dumps({"orderbooks": whole}).encode()


def polling(*markets: str, **session: Any) -> Scripted:
    host = Scripted(*markets, make=partial(KalshiPolling, **session))
    host.wait(0.05)
    return host


def test_all_books_are_asked_for_at_once_and_then_again_and_again() -> None:
    host = polling(*MANY, poll_ns=SECOND)
    assert [path.count("tickers=") for _, path in host.asked] == [100, 100, 50]
    assert host.sent == []
    host.body(host.asked[2][0], books(*[(market, "0.40") for market in MANY[200:]]))
    assert len(host.books) == 50
    host.wait(0.9)
    assert len(host.asked) == 3
    host.wait(0.1)
    assert [path.count("tickers=") for _, path in host.asked[3:]] == [50]  # the others have not been answered


def test_an_answer_proves_its_books_as_of_the_request() -> None:
    host = polling("X", "Y")
    ((number, path),) = host.asked
    assert path == PATH
    asked_ns = host.now_ns
    host.wait(0.2)
    host.body(number, books(("X", "0.40"), ("Y", "0.30")), call_start_ns=asked_ns)
    assert host.last("X") == host.last("Y") == ("live", "")
    book = host.books[-1]
    assert (book.confirmed_ns, book.api_call_start_ns, book.api_response_ns) == (asked_ns, asked_ns, host.now_ns)
    assert host.session.answering
    host.wait(0.8)
    host.body(host.asked[1][0], books(("X", "0.40"), ("Y", "0.31")), call_start_ns=host.now_ns)
    assert [len(host.said(market)) for market in ("X", "Y")] == [1, 2]
    assert host.session.books["X"].published.confirmed_ns == host.now_ns


def test_without_answers_the_books_are_stale_in_time_and_come_back() -> None:
    host = polling("X", "Y")
    host.body(host.asked[0][0], books(("X", "0.40"), ("Y", "0.30")))
    for _ in range(3):
        host.wait(1)
        host.give(Unanswered(host.asked[-1][0], "HTTP 503"))
        assert not host.session.answering
        assert host.last("X") == ("live", "")
    host.wait(0.2)
    assert host.last("X") == ("stale", "proof overdue")
    host.wait(1)
    host.body(host.asked[-1][0], books(("X", "0.41"), ("Y", "0.30")))
    assert host.session.answering
    host.wait(0.05)
    assert host.last("X") == host.last("Y") == ("live", "")


@pytest.mark.parametrize(
    ("data", "reasons"),
    [
        (b"<html>", ("malformed answer", "malformed answer")),
        (books(("X", "0.40"), {"ticker": "Y", "orderbook": {"yes": [[40, 1]]}}), ("", "malformed answer")),
        (books(("X", "0.40")), ("", "not in the venue's answer")),
        (
            books(
                ("X", "0.40"),
                {"ticker": "Y", "orderbook_fp": {"yes_dollars": [["0.6", "1"]], "no_dollars": [["0.6", "1"]]}},
            ),
            ("", "crossed at the venue"),
        ),
    ],
)
def test_what_is_missing_or_wrong_in_an_answer_is_not_trusted(data: bytes, reasons: tuple[str, str]) -> None:
    host = polling("X", "Y")
    host.body(host.asked[0][0], books(("X", "0.40"), ("Y", "0.30")))
    host.wait(1)
    host.body(host.asked[1][0], data)
    assert (host.last("X")[1], host.last("Y")[1]) == reasons
    assert len(host.broken) == ("malformed" in reasons[1])
    host.wait(1)
    host.body(host.asked[2][0], books(("X", "0.40"), ("Y", "0.30")))
    assert host.last("X") == host.last("Y") == ("live", "")


def test_decimals_may_be_numbers_and_sides_may_be_missing() -> None:
    host = polling("X", "Y")
    numbers = {"ticker": "X", "orderbook_fp": {"yes_dollars": [[0.4, 1]]}}
    host.body(host.asked[0][0], books(numbers, {"ticker": "Y", "orderbook_fp": {"yes_dollars": None}}))
    assert host.books[0].sides() == ([(4000, 100)], [])
    assert host.books[1].sides() == ([], [])


def test_a_price_off_the_grid_asks_for_the_catalogue() -> None:
    host = polling("X")
    host.body(host.asked[0][0], books(("X", "0.4005")))
    assert (host.books, host.changed) == ([], ["X"])
    host.give(Described(make_market("kalshi", "X", step=5)))
    host.wait(0.05)
    host.body(host.asked[1][0], books(("X", "0.4005")))
    assert host.last() == ("live", "")
    host.give(Described(make_market("kalshi", "X", step=5)))
    assert host.last() == ("live", "")


def test_answers_that_come_late_or_twice_or_to_nothing_change_nothing() -> None:
    host = polling("X")
    first, first_ns = host.asked[0][0], host.now_ns
    host.wait(16)  # it is counted as lost
    assert len(host.asked) == 2
    host.body(host.asked[1][0], books(("X", "0.42")))
    host.body(first, books(("X", "0.40")), call_start_ns=first_ns)
    host.body(first, books(("X", "0.41")))
    host.body(12345, books(("X", "0.41")))
    assert [book.sides()[0] for book in host.books] == [[(4200, 100)]]


def test_a_market_that_went_while_the_venue_was_asked_is_passed_over() -> None:
    host = polling("X", "Y")
    host.give(Unfollow("X"))
    host.body(host.asked[0][0], books(("X", "0.40"), ("Y", "0.30")))
    assert [book.market for book in host.books] == ["Y"]
    host.wait(1)
    assert host.asked[1][1] == "/markets/orderbooks?tickers=Y"


def test_the_session_can_be_begun_again_and_replayed() -> None:
    host = polling("X", "Y")
    host.body(host.asked[0][0], books(("X", "0.40"), ("Y", "0.30")))
    host.give(Closed("producer stopped"))
    assert host.last("X") == ("recovering", "producer stopped")
    host.wait(5)
    assert len(host.asked) == 1
    host.give(Opened("polling"))
    host.wait(0.05)
    host.body(host.asked[1][0], books(("X", "0.40"), ("Y", "0.30")))
    assert host.last("X") == ("live", "")
    host.session.frame(host.transcript[-1][1], b"", 0)
    host.session.sent(host.transcript[-1][1], "")
    again = host.replayed(KalshiPolling)
    assert [(book.market, book.frame, book.state, book.ladder) for book in again] == [
        (book.market, book.frame, book.state, book.ladder) for book in host.books
    ]
