"""Every recorded Polymarket payload of the shared folder decodes. Those files are read in place, never copied here."""

import os
from pathlib import Path

import pytest

from producers.polymarket import wire
from producers.polymarket.hashing import Facts, known
from producers.polymarket.messages import Announcement, Message, PriceChange, Print, TickChange, TokenBook, Touch
from producers.polymarket.texts import Texts
from tests.unit.producers.support import make_market

SHARED = Path(os.environ.get("DUTCHBOOK_TEST_SHARED") or Path(__file__).resolve().parents[5] / "shared")
RECORDED = SHARED / "data" / "nautechsystems__nautilus_trader"

needs_recordings = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recordings in {RECORDED}")

FRAMES: dict[str, type[Message]] = {
    "rust_test_data/ws_market_best_bid_ask_msg.json": Touch,
    "rust_test_data/ws_market_book_msg.json": TokenBook,
    "rust_test_data/ws_market_last_trade_msg.json": Print,
    "rust_test_data/ws_market_new_market_msg.json": Announcement,
    "rust_test_data/ws_market_price_change_msg.json": PriceChange,
    "rust_test_data/ws_market_resolved_msg.json": Announcement,
    "rust_test_data/ws_market_tick_size_msg.json": TickChange,
    "ws_messages/book.json": TokenBook,
    "ws_messages/last_trade_price.json": Print,
    "ws_messages/price_change.json": PriceChange,
    "ws_messages/price_change_v2.json": PriceChange,
    "ws_messages/tick_size_change.json": TickChange,
}


def decoded(name: str) -> Message:
    (message,) = wire.decode((RECORDED / name).read_bytes())
    return message


@needs_recordings
def test_no_recorded_frame_is_left_out() -> None:
    there = {str(path.relative_to(RECORDED)) for path in RECORDED.rglob("*.json") if path.name.startswith("ws_market")}
    there |= {f"ws_messages/{path.name}" for path in (RECORDED / "ws_messages").glob("*.json")}
    assert there == set(FRAMES)


@needs_recordings
@pytest.mark.parametrize(("name", "kind"), FRAMES.items())
def test_a_recorded_frame_is_understood(name: str, kind: type[Message]) -> None:
    message = decoded(name)
    assert type(message) is kind
    assert message.market.startswith("0x")
    if isinstance(message, TokenBook | PriceChange):
        assert message.exchange_ns > 1_700_000_000 * 10**9


@needs_recordings
def test_a_recorded_rest_book_is_understood() -> None:
    body = (RECORDED / "http_responses" / "book.json").read_bytes()
    (book,) = wire.decode_books(b"[" + body + b"]")
    assert isinstance(book, wire.RestBook)
    whole = book.whole()
    assert (whole.bids[-1].price, whole.asks[-1].price) == (1000, 1400)
    assert (whole.minimum_size, whole.tick_text) == (None, None)


@needs_recordings
def test_hashes_of_2024_are_of_another_form_and_do_not_fit() -> None:
    book = decoded("ws_messages/book.json")
    assert isinstance(book, TokenBook)
    facts, texts = Facts(make_market("polymarket", book.market, (book.token, "no"), step=10)), Texts()
    texts.bids.replace(book.bids)
    texts.asks.replace(book.asks)
    assert known(facts, facts.head(book.token, book.timestamp) + texts.body(), [book.hash]) is None


@needs_recordings
def test_the_older_form_of_a_change_is_recorded_too() -> None:
    old, new = decoded("ws_messages/price_change.json"), decoded("ws_messages/price_change_v2.json")
    assert isinstance(old, PriceChange)
    assert isinstance(new, PriceChange)
    assert (old.form, new.form, len(new.changes)) == ("bare", "price_changes", 3)
