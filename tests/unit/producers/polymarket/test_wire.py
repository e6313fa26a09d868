import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from producers.polymarket import commands, wire
from producers.polymarket.messages import (
    Announcement,
    Change,
    Malformed,
    Message,
    PriceChange,
    Print,
    TickChange,
    Tip,
    TokenBook,
    Touch,
    Unknown,
    WireLevel,
)
from tests.unit.producers.mutate import mutated
from tests.unit.producers.polymarket.frames import (
    MARKET,
    NO,
    YES,
    VenueMarket,
    book_event,
    change_event,
    encode,
    rest_book,
    tick_event,
    touch_event,
    trade_event,
)

HASH = "189e0fd103595c705d9f83a781ed45873001f3a2"
LEVEL = {"price": "0.5", "side": "BUY", "size": "4"}
OLD = {"event_type": "price_change", "market": MARKET, "asset_id": YES, "hash": HASH, "timestamp": "7"}
NEW_MARKET = {
    "event_type": "new_market", "id": "7", "question": "?", "market": "0xnew", "slug": "s", "description": "",
    "assets_ids": ["1", "2"], "outcomes": ["Yes", "No"], "event_message": {"id": "1"}, "timestamp": "1791242171528",
    "tags": [], "condition_id": "0xnew", "active": True, "clob_token_ids": ["1", "2"], "sports_market_type": "",
    "line": "", "game_start_time": "", "order_price_min_tick_size": "0.01", "group_item_title": "",
    "taker_base_fee": "1000", "fees_enabled": True,
    "fee_schedule": {"exponent": "1", "rate": "0.04", "taker_only": True, "rebate_rate": "0.25"},
}  # fmt: skip
RESOLVED = {
    "event_type": "market_resolved", "id": "7", "market": MARKET, "assets_ids": [YES, NO], "winning_asset_id": YES,
    "winning_outcome": "Yes", "timestamp": "1791242171528", "tags": ["stocks"],
}  # fmt: skip

FRAMES = [
    encode([book_event([("0.01", "1268.84")], [("0.99", "1")], tick_size="0.01"), book_event([], [], token=NO)]),
    encode(change_event((YES, "SELL", "0.002", "319637.93"), (NO, "BUY", "0.998", "0"))),
    encode(OLD | {"changes": [LEVEL, LEVEL]}),
    encode(OLD | LEVEL),
    encode(tick_event("0.001")),
    encode(trade_event()),
    encode(touch_event("0.4", "1")),
    encode(NEW_MARKET),
    encode([RESOLVED, change_event((YES, "BUY", "0.5", "1"))]),
    b"INVALID OPERATION",
]
BODIES = [encode([rest_book([("0.4", "5")], []), rest_book([], [], tick_size=0.001)])]


def one(event: object) -> Message:
    (message,) = wire.decode(encode(event))
    return message


def test_a_first_frame_is_an_array_with_a_line_feed() -> None:
    first = book_event([("0.01", "1268.84"), ("0.87", "8655.479999")], [("0.99", "0.001")], tick_size="0.01")
    (message,) = wire.decode(encode([first | {"last_trade_price": "0.870", "version": "v2"}]) + b"\n")
    assert message == TokenBook(
        market=MARKET,
        token=YES,
        bids=(
            WireLevel(100, 126884, '{"price":"0.01","size":"1268.84"}'),
            WireLevel(8700, 865547, '{"price":"0.87","size":"8655.479999"}'),
        ),
        asks=(WireLevel(9900, 0, '{"price":"0.99","size":"0.001"}'),),
        hash="c5",
        timestamp="1000",
        exchange_ns=1_000_000_000,
        tick=100,
        tick_text="0.01",
        last_trade="0.870",
        version="v2",
        floored=2,
    )


def test_a_refresh_after_a_trade_tells_neither_tick_nor_last_trade() -> None:
    message = one(book_event([], [("0.5", "1")]))
    assert isinstance(message, TokenBook)
    assert (message.tick, message.tick_text, message.last_trade, message.bids) == (0, None, None, ())


def test_a_price_change_carries_both_legs_with_the_hash_and_the_best_prices_after_it() -> None:
    message = one(change_event((YES, "SELL", "0.002", "319637.93"), (NO, "BUY", "0.998", "0.00")))
    assert isinstance(message, PriceChange)
    assert message.changes == (
        Change(YES, "ask", 20, 31963793, '{"price":"0.002","size":"319637.93"}'),
        Change(NO, "bid", 9980, 0, ""),
    )
    assert message.tips == {YES: Tip("1", "0", "1"), NO: Tip("1", "0", "1")}


def test_of_several_changes_of_a_token_the_last_tells_the_hash() -> None:
    entries = [{"asset_id": YES} | LEVEL | {"hash": digest, "best_bid": digest} for digest in ("a", "b")]
    message = one({"event_type": "price_change", "market": MARKET, "timestamp": "5", "price_changes": entries})
    assert isinstance(message, PriceChange)
    assert message.tips == {YES: Tip("b", "b", "")}


@pytest.mark.parametrize(("more", "form", "count"), [({"changes": [LEVEL, LEVEL]}, "changes", 2), (LEVEL, "bare", 1)])
def test_both_older_forms_of_a_price_change(more: dict[str, Any], form: str, count: int) -> None:
    message = one(OLD | more)
    assert isinstance(message, PriceChange)
    assert message.form == form
    assert message.changes == (Change(YES, "bid", 5000, 400, '{"price":"0.5","size":"4"}'),) * count
    assert message.tips == {YES: Tip(HASH, "", "")}
    assert message.exchange_ns == 7_000_000


def test_a_tick_change() -> None:
    message = one(tick_event("0.001"))
    assert message == TickChange(market=MARKET, tick=10, tick_text="0.001", exchange_ns=1_002_000_000)


def test_a_trade_keeps_six_decimals_and_gets_an_id() -> None:
    message = one(trade_event())
    assert isinstance(message, Print)
    assert (message.price, message.fill_quantity, message.taker_side) == (7800, 219_217_767, "buy")
    assert message.trade_id == f"0xabc:{YES[-8:]}:0.78:219.217767:1790491136979"


def test_best_prices_and_announcements() -> None:
    assert one(touch_event("0.4", "1")) == Touch(market=MARKET, token=YES, best_bid="0.4", best_ask="1")
    assert one(NEW_MARKET) == Announcement(market="0xnew", kind="new_market", number="7")
    assert one(RESOLVED | {"id": 7}) == Announcement(market=MARKET, kind="market_resolved", number="7")
    unnumbered = one({"event_type": "new_market", "market": "0xm"})
    assert unnumbered == Announcement(market="0xm", kind="new_market", number="0xm")


def test_stamps_may_be_numbers_and_absent_fields_null() -> None:
    entry = {"asset_id": YES, "hash": None, "best_bid": None, "best_ask": None} | LEVEL
    message = one({"event_type": "price_change", "market": MARKET, "timestamp": 5, "price_changes": [entry]})
    assert isinstance(message, PriceChange)
    assert (message.timestamp, message.exchange_ns, message.tips) == ("5", 5_000_000, {YES: Tip("", "", "")})


@pytest.mark.parametrize(
    ("event", "kind"),
    [({"event_type": "tomorrow", "market": MARKET}, "other"), ({"market": MARKET}, "no type"), ({}, "no type")],
)
def test_unknown_kinds(event: Any, kind: str) -> None:
    assert one(event) == Unknown(market=event.get("market", ""), kind=kind)


def test_a_refused_command_is_answered_in_plain_text() -> None:
    assert wire.decode(b"INVALID OPERATION") == [Unknown(kind="refusal")]


@pytest.mark.parametrize(("data", "pong"), [(b"PONG", True), (b" PONG\n", True), (b"pong", False), (b"{}", False)])
def test_a_pong_is_no_json(data: bytes, pong: bool) -> None:
    assert wire.is_pong(data) is pong


@pytest.mark.parametrize(
    ("event", "about_book"),
    [
        (change_event((YES, "BUY", "0.12345", "1")), True),
        (change_event((YES, "BUY", "0", "1")), True),
        (change_event((YES, "BUY", "0.5", "-1")), True),
        (change_event((YES, "HOLD", "0.5", "1")), True),
        (change_event((YES, "BUY", "0.5", "1"), timestamp="soon"), True),
        (change_event((YES, "BUY", "0.5", "1"), price_changes={"nonsense": []}), True),
        ({"event_type": "price_change", "market": MARKET, "timestamp": "1", "asset_id": YES}, True),
        ({"event_type": "price_change", "market": MARKET, "timestamp": "1"} | LEVEL, True),
        (book_event([("0.5", "many")], []), True),
        (book_event([], []) | {"bids": None}, True),
        (tick_event("0"), True),
        (trade_event(price="0.123456"), False),
        (RESOLVED | {"id": {"nonsense": []}}, False),
        (book_event([], []) | {"event_type": {"nonsense": []}}, True),
    ],
)
def test_malformed_messages_name_their_market(event: Any, about_book: bool) -> None:
    message = one(event)
    assert isinstance(message, Malformed)
    assert (message.market, message.about_book) == (MARKET, about_book)


def test_a_malformed_message_without_a_market_still_names_its_tokens() -> None:
    message = one(change_event((YES, "BUY", "0.5", "1"), (NO, "SELL", "0.5", "1")) | {"market": {"nonsense": []}})
    assert isinstance(message, Malformed)
    assert (message.market, message.tokens) == ("", (YES, NO))


def test_one_malformed_message_leaves_the_others_of_its_frame() -> None:
    kinds = [type(m) for m in wire.decode(encode([book_event([("x", "1")], []), book_event([], [], token=NO)]))]
    assert kinds == [Malformed, TokenBook]


@pytest.mark.parametrize("data", [b"", b"[", b'"text"', b"7", b"[1]", b"null", b"INVALID", b"\xff\xfe"])
def test_what_is_no_frame_at_all(data: bytes) -> None:
    with pytest.raises(wire.WireError, match=f"frame of {len(data)} bytes"):
        wire.decode(data)


def test_rest_books_are_looked_into_only_when_they_are_wanted() -> None:
    body = encode([rest_book([("0.4", "5")], []), rest_book([], [], tick_size=0.001), rest_book([("9", "1")], []), {}])
    text, number, bad, nothing = wire.decode_books(body)
    assert isinstance(text, wire.RestBook)
    assert isinstance(number, wire.RestBook)
    assert isinstance(bad, wire.RestBook)
    assert isinstance(nothing, Malformed)
    assert (text.market, text.token, text.hash, text.exchange_ns) == (MARKET, YES, "c5", 1_000_000_000)
    whole = text.whole()
    assert (whole.tick, whole.minimum_size, whole.negative_risk, whole.last_trade) == (100, "5", False, "0.870")
    assert whole.bids == (WireLevel(4000, 500, '{"price":"0.4","size":"5"}'),)
    assert (number.whole().tick, number.whole().tick_text) == (10, "0.001")
    with pytest.raises(ValueError, match="price was '9'"):
        bad.whole()


@pytest.mark.parametrize("data", [b'{"error":"Payload exceeds the limit"}', b"", b"[{}"])
def test_what_is_no_body_of_books(data: bytes) -> None:
    with pytest.raises(wire.WireError, match=f"books of {len(data)} bytes"):
        wire.decode_books(data)


def test_commands() -> None:
    first = commands.subscribe([YES, NO])
    assert json.loads(first) == {
        "assets_ids": [YES, NO],
        "type": "market",
        "custom_feature_enabled": True,
        "initial_dump": True,
    }
    later = commands.change_subscription("unsubscribe", [YES])
    assert json.loads(later) == {"assets_ids": [YES], "operation": "unsubscribe", "custom_feature_enabled": True}
    read = [commands.read(text) for text in (first, later, commands.change_subscription("subscribe", [NO]), "PING")]
    assert [(one.assets_ids, one.subscribes) if one else None for one in read] == [
        ((YES, NO), True), ((YES,), False), ((NO,), True), None,
    ]  # fmt: skip
    body = commands.books_request([YES])
    assert json.loads(body) == [{"token_id": YES}]
    assert commands.requested(body) == (YES,)
    assert commands.requested(None) == ()


@pytest.mark.parametrize(
    ("data", "market", "tokens"),
    [
        (b'{"market":"0x1","price_changes":[{"asset_id":"5","pr', "0x1", ("5",)),
        (b'{"market": "0x1", "x": {"market":"0x1"', "0x1", ()),
        (b'{"market":"0x1","x":[{"market":"0x2"', "", ()),
        (b'{"price_changes":[{"asset_id": "5"},{"asset_id":"6"},{"asset_id":"5"', "", ("5", "6")),
        (b'[{"market":"0x1","asset_id":"5"},{"mark', "", ()),
        (b'{"market":"0x', "", ()),
        (b'not json "market":"0x1"', "", ()),
    ],
)
def test_an_unreadable_object_may_still_name_whose_it_was(data: bytes, market: str, tokens: tuple[str, ...]) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.decode(data)
    assert (caught.value.market, caught.value.tokens) == (market, tokens)


def test_a_venues_own_messages_survive_the_way() -> None:
    venue = VenueMarket()
    yes, no = wire.decode(venue.first())
    assert isinstance(yes, TokenBook)
    assert isinstance(no, TokenBook)
    assert (yes.hash, no.hash) == (venue.hash(YES), venue.hash(NO))


@settings(max_examples=100)
@given(mutated(FRAMES[:-1]) | st.binary(max_size=20))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(encode(change_event((YES, "BUY", "0.5", "1"), timestamp="9" * 5000)))
@example(encode(change_event((YES, "BUY", "0.5", "1"), timestamp="9" * 18)))
@example(encode(change_event((YES, "BUY", "0.5", "1"), timestamp=10**30)))
@example(encode(change_event((YES, "BUY", "0.5", "1E+20"))))
def test_any_bytes_are_bounded_messages_or_a_wire_error(data: bytes) -> None:
    try:
        messages = wire.decode(data)
    except wire.WireError:
        return
    for message in messages:
        assert isinstance(message, Message)
        if isinstance(message, TokenBook | PriceChange | Print):
            assert 0 <= message.exchange_ns < 2**63
        if isinstance(message, PriceChange):
            assert all(0 <= change.size * 10_000 < 2**63 for change in message.changes)


@settings(max_examples=100)
@given(mutated(BODIES) | st.binary(max_size=20))
@example(b"[" * 100_000)
def test_any_body_is_books_or_a_wire_error(data: bytes) -> None:
    try:
        books = wire.decode_books(data)
    except wire.WireError:
        return
    for book in books:
        if isinstance(book, wire.RestBook):
            try:
                assert isinstance(book.whole(), TokenBook)
            except ValueError:
                continue
