import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from producers.polymarket import wire
from tests.unit.producers.mutate import mutated
from tests.unit.producers.polymarket.frames import (
    MARKET,
    NO,
    YES,
    book_event,
    change_event,
    encode,
    rest_book,
    tick_event,
    trade_event,
)

FLAT_CHANGE = {"event_type": "price_change", "market": MARKET, "asset_id": YES, "price": "0.5", "side": "BUY"}


FRAMES = [
    encode([book_event([("0.01", "1268.84")], [("0.99", "1")], tick_size="0.01"), book_event([], [], token=NO)]),
    encode(change_event((YES, "SELL", "0.002", "319637.93"), (NO, "BUY", "0.998", "0"))),
    encode(tick_event("0.001")),
    encode(trade_event()),
]
BODIES = [encode([rest_book([("0.4", "5")], []), rest_book([], [], tick_size=0.001)])]


def one(event: object) -> wire.Message:
    (message,) = wire.decode(encode(event))
    return message


def test_a_first_frame_is_an_array_with_a_newline() -> None:
    frame = encode([book_event([("0.01", "1268.84"), ("0.87", "8655.479999")], [("0.99", "1")], tick_size="0.01")])
    (message,) = wire.decode(frame + b"\n")
    assert message == wire.TokenBook(
        market=MARKET,
        token=YES,
        bids=((100, 126884), (8700, 865547)),
        asks=((9900, 100),),
        tick=100,
        exchange_ns=1_000_000_000,
        floored=1,
    )


def test_a_refresh_after_a_trade_has_no_tick() -> None:
    message = one(book_event([], [("0.5", "1")]))
    assert isinstance(message, wire.TokenBook)
    assert (message.tick, message.bids) == (0, ())


def test_a_price_change_carries_both_legs() -> None:
    message = one(change_event((YES, "SELL", "0.002", "319637.93"), (NO, "BUY", "0.998", "0")))
    assert isinstance(message, wire.PriceChange)
    assert message.changes == (wire.Change(YES, "ask", 20, 31963793), wire.Change(NO, "bid", 9980, 0))


def test_a_tick_change() -> None:
    assert one(tick_event("0.001")) == wire.TickChange(market=MARKET, tick=10)


def test_a_trade_keeps_six_decimals_and_gets_an_id() -> None:
    message = one(trade_event())
    assert isinstance(message, wire.Print)
    assert (message.price, message.fill_quantity, message.taker_side) == (7800, 219_217_767, "buy")
    assert message.trade_id == f"0xabc:{YES[-8:]}:0.78:219.217767:1790491136979"


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (FLAT_CHANGE, "price_change_old"),
        ({"event_type": "price_change", "market": MARKET, "asset_id": YES, "changes": []}, "price_change_old"),
        ({"event_type": "new_market", "market": MARKET, "id": "7"}, "new_market"),
        ({"event_type": "best_bid_ask", "market": MARKET}, "best_bid_ask"),
        ({"event_type": "tomorrow", "market": MARKET}, "other"),
        ({"market": MARKET}, "other"),
    ],
)  # fmt: skip
def test_unknown_kinds(event: Any, kind: str) -> None:
    assert one(event) == wire.Unknown(market=MARKET, kind=kind)


@pytest.mark.parametrize(
    ("event", "about_book"),
    [
        (change_event((YES, "BUY", "0.12345", "1")), True),
        (change_event((YES, "BUY", "0", "1")), True),
        (change_event((YES, "BUY", "0.5", "-1")), True),
        (change_event((YES, "HOLD", "0.5", "1")), True),
        (change_event((YES, "BUY", "0.5", "1"), timestamp="soon"), True),
        (book_event([("0.5", "many")], []), True),
        (book_event([], []) | {"bids": None}, True),
        (tick_event("0"), True),
        (trade_event(price="0.123456"), False),
    ],
)
def test_malformed_messages_name_their_market(event: Any, about_book: bool) -> None:
    message = one(event)
    assert isinstance(message, wire.Malformed)
    assert (message.market, message.about_book) == (MARKET, about_book)


def test_one_malformed_message_leaves_the_others_of_its_frame() -> None:
    kinds = [type(m) for m in wire.decode(encode([book_event([("x", "1")], []), book_event([], [], token=NO)]))]
    assert kinds == [wire.Malformed, wire.TokenBook]


@pytest.mark.parametrize("data", [b"", b"[", b'"text"', b"7", b"[1]", b"null", b"INVALID OPERATION"])
def test_what_is_no_frame_at_all(data: bytes) -> None:
    with pytest.raises(wire.WireError, match=f"frame of {len(data)} bytes"):
        wire.decode(data)


def test_rest_books_take_ticks_as_text_or_number() -> None:
    body = encode([rest_book([("0.4", "5")], []), rest_book([], [], tick_size=0.001), rest_book([("9", "1")], [])])
    text, number, bad = wire.decode_books(body)
    assert isinstance(text, wire.TokenBook)
    assert isinstance(number, wire.TokenBook)
    assert (text.tick, number.tick, text.bids) == (100, 10, ((4000, 500),))
    assert isinstance(bad, wire.Malformed)
    with pytest.raises(wire.WireError, match="books of"):
        wire.decode_books(b'{"error":"Payload exceeds the limit"}')


def test_commands() -> None:
    assert json.loads(wire.subscribe([YES, NO])) == {
        "assets_ids": [YES, NO],
        "type": "market",
        "custom_feature_enabled": False,
        "initial_dump": True,
    }
    assert json.loads(wire.change_subscription("unsubscribe", [YES]))["operation"] == "unsubscribe"
    assert json.loads(wire.books_request([YES])) == [{"token_id": YES}]


@pytest.mark.parametrize(
    ("data", "market"),
    [
        (b'{"market":"0x1","price_changes":[', "0x1"),
        (b'{"market": "0x1", "x": {"market":"0x1"', "0x1"),
        (b'{"market":"0x1","x":[{"market":"0x2"', ""),
        (b'[{"market":"0x1"},{"mark', ""),
        (b'{"market":"0x', ""),
        (b'not json "market":"0x1"', ""),
    ],
)
def test_an_unreadable_object_may_still_name_its_market(data: bytes, market: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.decode(data)
    assert caught.value.market == market


@settings(max_examples=500)
@given(mutated(FRAMES) | st.binary(max_size=20))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(encode(change_event((YES, "BUY", "0.5", "1"), timestamp="9" * 5000)))
@example(encode(change_event((YES, "BUY", "0.5", "1"), timestamp="9" * 18)))
@example(encode(change_event((YES, "BUY", "0.5", "1E+20"))))
def test_any_bytes_are_bounded_messages_or_a_wire_error(data: bytes) -> None:
    try:
        messages = wire.decode(data)
    except wire.WireError:
        return
    for message in messages:
        assert isinstance(message, wire.Message)
        if isinstance(message, wire.TokenBook | wire.PriceChange | wire.Print):
            assert 0 <= message.exchange_ns < 2**63
        if isinstance(message, wire.PriceChange):
            assert all(0 <= change.size * 10_000 < 2**63 for change in message.changes)


@settings(max_examples=300)
@given(mutated(BODIES) | st.binary(max_size=20))
@example(b"[" * 100_000)
def test_any_body_is_books_or_a_wire_error(data: bytes) -> None:
    try:
        books = wire.decode_books(data)
    except wire.WireError:
        return
    assert all(isinstance(book, wire.TokenBook | wire.Malformed) for book in books)
