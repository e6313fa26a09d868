"""Every frame and body of the fact sheet, and what is not one. Examples are the venue's documentation's, retyped."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from producers.kalshi import commands, wire
from producers.kalshi.forms import OldForm
from producers.kalshi.messages import (
    BOOKS,
    LIFECYCLE,
    Acknowledged,
    Delta,
    EventCreated,
    EventFee,
    Lifecycle,
    Listed,
    Malformed,
    Message,
    Print,
    Refused,
    Snapshot,
    Subscribed,
    Ticker,
    Unknown,
    Unsubscribed,
)
from schemas.records import TickRange
from tests.unit.producers.kalshi.frames import delta, error, frame, lifecycle, snapshot, trade
from tests.unit.producers.mutate import mutated

SECOND = 1_000_000_000
FRAMES = [
    snapshot("X", 2, [("0.0800", "300.00")], [("0.5400", "20.00")]),
    delta("X", 3, "no", "0.9600", "-54.00"),
    trade("X", 2),
    lifecycle("X", 4, "price_level_structure_updated", price_ranges=[{"start": "0", "end": "1", "step": "0.001"}]),
    b'{"id":1,"type":"subscribed","msg":{"channel":"orderbook_delta","sid":4}}',
    b'{"id":2,"sid":1,"seq":222,"type":"ok","msg":{"market_tickers":["A"]}}',
    b'{"id":9,"type":"error","msg":{"code":8,"msg":"Unknown channel name"}}',
]
BODIES = [b'{"orderbooks":[{"ticker":"A","orderbook_fp":{"yes_dollars":[["0.3500","200.00"]],"no_dollars":[]}}]}']
DEEP = b'{"type":"ok","msg":' + b"[" * 100_000
TICKER = {
    "market_id": "m",
    "market_ticker": "X",
    "price_dollars": "0.4800",
    "yes_bid_dollars": "0.4500",
    "yes_ask_dollars": "0.5300",
    "volume_fp": "33896.00",
    "open_interest_fp": "20422.00",
    "dollar_volume": 16948,
    "dollar_open_interest": 10211,
    "yes_bid_size_fp": "300.00",
    "yes_ask_size_fp": "150.00",
    "last_trade_size_fp": "25.00",
    "ts": 1669149841,
    "ts_ms": 1669149841000,
    "time": "2022-11-22T20:44:01Z",
}


def decoded(kind: str, msg: Any, sid: int = 1, seq: int = 7) -> Message:
    return wire.decode(frame(kind, sid, seq, msg))


# Books


def test_a_snapshot_becomes_a_yes_ladder() -> None:
    message = wire.decode(snapshot("X", 2, [("0.0800", "300.00")], [("0.5400", "20.00"), ("0.5600", "146.05")], sid=7))
    assert message == Snapshot(
        sid=7, seq=2, market="X", bids=((800, 30000),), asks=((4600, 2000), (4400, 14605)), floored=0
    )


def test_absent_and_null_sides_are_empty() -> None:
    assert wire.decode(snapshot("X", 1)) == Snapshot(sid=1, seq=1, market="X", bids=(), asks=(), floored=0)
    null = frame("orderbook_snapshot", 1, 1, {"market_ticker": "X", "yes_dollars_fp": None})
    assert wire.decode(null) == wire.decode(snapshot("X", 1))


def test_the_empty_snapshot_and_the_replies_that_were_recorded_on_demo() -> None:
    empty = '{"type":"orderbook_snapshot","sid":1,"seq":1,"msg":{"market_ticker":"%s","market_id":"%s"}}'
    message = wire.decode((empty % ("KXBTCD-26AUG2017-T73749.99", "ce3720ea-0000-0000-0000-757c7027f907")).encode())
    assert message == Snapshot(sid=1, seq=1, market="KXBTCD-26AUG2017-T73749.99", bids=(), asks=(), floored=0)
    replies = [
        b'{"type":"subscribed","id":1,"msg":{"channel":"%s","sid":%d}}' % (name, sid)
        for name, sid in ((b"orderbook_delta", 1), (b"trade", 2))
    ]
    assert [wire.decode(reply) for reply in replies] == [
        Subscribed(command=1, channel="orderbook_delta", opened=1),
        Subscribed(command=1, channel="trade", opened=2),
    ]


def test_a_snapshot_that_was_asked_for_names_the_command() -> None:
    data = json.dumps({"id": 127, "type": "orderbook_snapshot", "sid": 2, "seq": 5, "msg": {"market_ticker": "X"}})
    message = wire.decode(data.encode())
    assert isinstance(message, Snapshot)
    assert message.command == 127


def test_sizes_finer_than_a_hundredth_are_floored_and_counted() -> None:
    message = wire.decode(snapshot("X", 1, [("0.5", "1.009")]))
    assert isinstance(message, Snapshot)
    assert (message.bids, message.floored) == (((5000, 100),), 1)


@pytest.mark.parametrize(
    ("side", "price", "yes_price", "expected"),
    [
        ("yes", "0.9600", False, ("bid", 9600)),
        ("yes", "0.9600", True, ("bid", 9600)),
        ("no", "0.3055", False, ("ask", 6945)),
        ("no", "0.6945", True, ("ask", 6945)),
    ],
)
def test_a_delta_is_in_yes_terms_whichever_leg_was_asked_for(
    side: str, price: str, yes_price: bool, expected: Any
) -> None:
    message = wire.decode(delta("X", 3, side, price, "-54.01"), yes_price=yes_price)
    assert isinstance(message, Delta)
    assert (message.side, message.price) == expected
    assert (message.change, message.exchange_ns, message.seq) == (-5401, 1_669_149_841 * SECOND, 3)


def test_both_legs_make_the_same_book() -> None:
    other = wire.decode(snapshot("X", 2, [("0.08", "3")], [("0.54", "20"), ("0.56", "1")]))
    yes = wire.decode(snapshot("X", 2, [("0.08", "3")], [("0.46", "20"), ("0.44", "1")]), yes_price=True)
    assert yes == other


def test_a_delta_without_milliseconds_uses_the_text_or_nothing() -> None:
    msg = {"market_ticker": "X", "price_dollars": "0.5", "delta_fp": "1", "side": "yes"}
    with_text = decoded("orderbook_delta", msg | {"ts": "2025-08-12T21:00:32.539836022Z"})
    without = decoded("orderbook_delta", msg)
    own = decoded("orderbook_delta", msg | {"client_order_id": "mine", "subaccount": 3})
    assert isinstance(with_text, Delta)
    assert isinstance(without, Delta)
    assert (with_text.exchange_ns, without.exchange_ns) == (1_755_032_432_539_836_000, 0)
    assert own == without


@pytest.mark.parametrize("place", [{"sid": 0}, {"seq": 0}, {"sid": None}, {"seq": None}])
def test_a_book_message_without_its_place_in_a_sequence_is_malformed(place: dict[str, Any]) -> None:
    body = json.loads(delta("X", 3, "yes", "0.5", "1")) | place
    message = wire.decode(json.dumps(body).encode())
    assert isinstance(message, Malformed)
    assert "without its place" in str(message.error)


# Trades, tickers, lifecycle


@pytest.mark.parametrize(
    ("told", "side"),
    [
        ({"taker_outcome_side": "yes", "taker_book_side": "bid", "taker_side": "yes"}, ("taker_outcome_side", "buy")),
        ({"taker_outcome_side": "no"}, ("taker_outcome_side", "sell")),
        ({"taker_book_side": "bid"}, ("taker_book_side", "buy")),
        ({"taker_book_side": "ask"}, ("taker_book_side", "sell")),
        ({"taker_side": "yes"}, ("taker_side", "buy")),
        ({"taker_side": "no"}, ("taker_side", "sell")),
    ],
)
def test_a_trade_is_in_yes_terms_whichever_field_tells_the_taker(told: Any, side: Any) -> None:
    msg = {"trade_id": "t", "market_ticker": "X", "yes_price_dollars": "0.3600", "count_fp": "136.00", "ts": 1669149841}
    message = decoded("trade", msg | told)
    assert isinstance(message, Print)
    assert (message.taker_field, message.taker_side) == side
    assert (message.price, message.fill_quantity, message.block) == (3600, 136_000_000, False)
    assert message.exchange_ns == 1_669_149_841 * SECOND


def test_a_block_trade_says_so_and_a_trade_without_a_side_is_malformed() -> None:
    msg = {"trade_id": "t", "market_ticker": "X", "yes_price_dollars": "0.36", "count_fp": "1"}
    block = decoded("trade", msg | {"taker_side": "no", "is_block_trade": True})
    assert isinstance(block, Print)
    assert block.block
    assert isinstance(decoded("trade", msg), Malformed)


def test_a_ticker() -> None:
    assert decoded("ticker", TICKER, 11, 0) == Ticker(
        sid=11,
        market="X",
        last_price=4800,
        bid=4500,
        ask=5300,
        bid_size=30000,
        ask_size=15000,
        volume=3_389_600,
        open_interest=2_042_200,
        exchange_ns=1_669_149_841 * SECOND,
    )


def test_the_life_of_a_market() -> None:
    about = {
        "name": "n",
        "title": "t",
        "yes_sub_title": "4,487 or more",
        "no_sub_title": "",
        "rules_primary": "",
        "rules_secondary": "",
        "can_close_early": True,
        "event_ticker": "INXD-23SEP14",
        "expected_expiration_ts": 1694721600,
        "strike_type": "greater",
        "floor_strike": 4487,
    }
    created = lifecycle(
        "X",
        3,
        "created",
        exchange_index=2,
        open_ts=1694635200,
        close_ts=1694721600,
        additional_metadata=about,
        price_level_structure="linear_cent",
    )
    message = wire.decode(created)
    assert message == Lifecycle(
        sid=3,
        seq=3,
        market="X",
        event_type="created",
        structure="linear_cent",
        open_ns=1_694_635_200 * SECOND,
        close_ns=1_694_721_600 * SECOND,
        event="INXD-23SEP14",
        shard=2,
        yes_title="4,487 or more",
        strikes=(("strike_type", "greater"), ("floor_strike", "4487")),
    )


@pytest.mark.parametrize(
    ("event", "told", "expected"),
    [
        ("activated", {"is_deactivated": False}, {}),
        ("deactivated", {"is_deactivated": True}, {}),
        ("close_date_updated", {"close_ts": 1694721600}, {"close_ns": 1_694_721_600 * SECOND}),
        (
            "determined",
            {"result": "yes", "settlement_value": "1.0000", "determination_ts": 1694721600},
            {"result": "yes", "settlement_value": 10_000, "determined_ns": 1_694_721_600 * SECOND},
        ),
        (
            "determined",
            {"result": "scalar", "settlement_value": 0.5},
            {"result": "scalar", "settlement_value": 5000, "numbers": 1},
        ),
        ("settled", {"settled_ts": 1694721600}, {"settled_ns": 1_694_721_600 * SECOND}),
        (
            "metadata_updated",
            {"strike_type": "between", "floor_strike": 95000, "cap_strike": 95250.5},
            {"strikes": (("strike_type", "between"), ("floor_strike", "95000"), ("cap_strike", "95250.5"))},
        ),
        ("metadata_updated", {"yes_sub_title": "above"}, {"yes_title": "above"}),
        ("metadata_updated", {"custom_strike": {"a": 1}}, {"strikes": (("custom_strike", '{"a":1}'),)}),
    ],
)
def test_what_happens_to_a_market(event: Any, told: dict[str, Any], expected: dict[str, Any]) -> None:
    assert wire.decode(lifecycle("X", 4, event, **told)) == Lifecycle(
        sid=3, seq=4, market="X", event_type=event, **expected
    )


def test_a_new_price_grid_comes_with_its_bands_and_an_event_nobody_knows_is_other() -> None:
    bands = [{"start": "0.9000", "end": "1", "step": "0.001"}, {"start": "0", "end": "0.9", "step": "0.0100"}]
    told = wire.decode(lifecycle("X", 4, "price_level_structure_updated", price_ranges=bands, price_level_structure=""))
    assert isinstance(told, Lifecycle)
    assert told.ticks == (TickRange(start=0, end=9000, step=100), TickRange(start=9000, end=10_000, step=10))
    other = wire.decode(lifecycle("X", 4, "renamed"))
    assert isinstance(other, Lifecycle)
    assert other.event_type == "other"
    flat = wire.decode(lifecycle("X", 4, "created", price_ranges=[{"start": "0", "end": "1", "step": "0"}]))
    assert isinstance(flat, Malformed)
    assert (flat.kind, flat.market) == (LIFECYCLE, "X")


def test_combos_have_a_channel_of_their_own() -> None:
    message = decoded("multivariate_market_lifecycle", {"market_ticker": "KXMVE-1", "event_type": "activated"})
    assert isinstance(message, Lifecycle)
    assert message.market == "KXMVE-1"


def test_events_and_their_fees() -> None:
    told = {"event_ticker": "E", "exchange_index": 0, "title": "T", "series_ticker": "S", "subtitle": "s"}
    assert decoded("event_lifecycle", told | {"collateral_return_type": "MECNET"}) == EventCreated(
        sid=1, seq=7, event="E", series="S", title="T", collateral_return="MECNET", shard=0
    )
    fee = {"event_ticker": "E", "fee_type_override": "quadratic", "fee_multiplier_override": 0.5}
    assert decoded("event_fee_update", fee) == EventFee(
        sid=1, seq=7, event="E", fee_type="quadratic", multiplier=500_000
    )
    cleared = {"event_ticker": "E", "fee_type_override": None, "fee_multiplier_override": None}
    assert decoded("event_fee_update", cleared) == EventFee(sid=1, seq=7, event="E", fee_type=None, multiplier=None)


# Replies


def test_replies() -> None:
    assert wire.decode(b'{"id":1,"type":"subscribed","msg":{"channel":"orderbook_delta","sid":4}}') == Subscribed(
        command=1, channel="orderbook_delta", opened=4
    )
    ok = b'{"id":2,"sid":1,"seq":222,"type":"ok","msg":{"market_tickers":["A"]}}'
    assert wire.decode(ok) == Acknowledged(sid=1, seq=222, command=2, markets=("A",))
    for msg in (b"{}", b"null", b'{"market_ids":["u"]}', b'{"index_ids":["all"]}'):
        assert wire.decode(b'{"id":2,"type":"ok","msg":%s}' % msg) == Acknowledged(command=2)
    assert wire.decode(b'{"id":6,"type":"ok","msg":[{"channel":"x","sid":1}]}') == Listed(
        command=6, subscriptions=(("x", 1),)
    )
    assert wire.decode(b'{"id":5,"sid":1,"seq":7,"type":"unsubscribed"}') == Unsubscribed(sid=1, seq=7, command=5)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (error(8, id=9), Refused(command=9, code=8, text="text")),
        (error(25, sid=1, seq=4), Refused(sid=1, seq=4, code=25, text="text")),
        (error(10), Refused(code=10, text="text")),
        (error(11, id=2, market_ticker="A"), Refused(command=2, code=11, text="text", markets=("A",))),
        (
            b'{"type":"error","msg":{"code":11,"market_tickers":["A","B"]}}',
            Refused(code=11, text="", markets=("A", "B")),
        ),
    ],
)
def test_errors_name_a_subscription_a_command_markets_or_nothing(data: bytes, expected: Refused) -> None:
    assert wire.decode(data) == expected


@pytest.mark.parametrize("kind", sorted(wire.PASSED_OVER))
def test_what_says_nothing_of_a_book_is_recognised_and_keeps_its_place(kind: str) -> None:
    assert decoded(kind, {"any": [1, {"thing": None}]}, 3, 9) == Unknown(sid=3, seq=9, kind=kind)


def test_a_kind_that_is_not_documented_is_other() -> None:
    assert decoded("brand_new", {}, 3, 9) == Unknown(sid=3, seq=9, kind="other")


# Not quite as it is written


@pytest.mark.parametrize(
    ("kind", "texts", "numbers", "count"),
    [
        ("orderbook_delta", {"price_dollars": "0.96", "delta_fp": "-54"}, {"price_dollars": 0.96, "delta_fp": -54}, 2),
        ("orderbook_snapshot", {"no_dollars_fp": [["0.07", "3"]]}, {"no_dollars_fp": [[0.07, 3]]}, 2),
        ("orderbook_snapshot", {"yes_dollars_fp": [["0.07", "3.1"]]}, {"yes_dollars_fp": [["0.07", 3.1]]}, 1),
        ("trade", {"yes_price_dollars": "0.0001", "count_fp": "2"}, {"yes_price_dollars": 1e-4, "count_fp": 2}, 2),
    ],
)
def test_decimals_as_json_numbers_are_taken_and_counted(
    kind: str, texts: dict[str, Any], numbers: dict[str, Any], count: int
) -> None:
    others = {"market_ticker": "X", "side": "no", "trade_id": "t", "taker_side": "no"}
    as_numbers = decoded(kind, others | numbers)
    assert not isinstance(as_numbers, Malformed)
    assert as_numbers.numbers == count
    assert msgspec.structs.replace(as_numbers, numbers=0) == decoded(kind, others | texts)


@pytest.mark.parametrize(
    ("kind", "msg", "named"),
    [
        (
            "orderbook_delta",
            {"price": 51, "delta": -1, "side": "no", "ts": "2025-08-12T21:00:32.539836022Z"},
            "price, delta",
        ),
        ("orderbook_snapshot", {"yes": [[10, 100]], "no": [[20, 30]]}, "yes, no"),
        ("orderbook_snapshot", {"yes_dollars": [["0.10", 100]], "no_dollars_fp": [["0.20", "1"]]}, "yes_dollars"),
        ("trade", {"yes_price": 52, "count": 3, "taker_side": "yes", "ts": 1700}, "yes_price, count"),
        ("ticker", {"price": 48, "yes_bid": 45, "yes_ask": 53}, "price, yes_bid, yes_ask"),
    ],
)
def test_the_fields_in_cents_are_refused_by_name(kind: str, msg: dict[str, Any], named: str) -> None:
    message = decoded(kind, {"market_ticker": "X"} | msg)
    assert isinstance(message, Malformed)
    assert isinstance(message.error, OldForm)
    assert str(message.error).startswith(f"{named}: fields in cents")


def test_a_message_with_both_forms_is_read_by_the_names_of_today() -> None:
    today = {"market_ticker": "X", "price_dollars": "0.5100", "delta_fp": "-1.00", "side": "no"}
    assert decoded("orderbook_delta", today | {"price": 51, "delta": -1}) == decoded("orderbook_delta", today)
    book = {"market_ticker": "X", "yes_dollars_fp": [["0.10", "1.00"]]}
    assert decoded("orderbook_snapshot", book | {"yes": [[10, 1]], "no": []}) == decoded("orderbook_snapshot", book)


@pytest.mark.parametrize(
    "msg",
    [
        {"price_dollars": "0.55555", "delta_fp": "1", "side": "yes"},
        {"price_dollars": "0.5", "delta_fp": "1.001", "side": "yes"},
        {"price_dollars": "0.5", "delta_fp": "x", "side": "yes"},
        {"price_dollars": "1.0000", "delta_fp": "1", "side": "yes"},
        {"price_dollars": "0.0000", "delta_fp": "1", "side": "yes"},
        {"price_dollars": "0.5", "delta_fp": "1", "side": "maybe"},
        {"price_dollars": "NaN", "delta_fp": "1", "side": "yes"},
        {"price_dollars": True, "delta_fp": "1", "side": "yes"},
        {"price_dollars": 1e300, "delta_fp": "1", "side": "yes"},
        {"price_dollars": "0.5", "delta_fp": "1", "side": "yes", "ts_ms": 10**15},
        {"delta_fp": "1", "side": "yes"},
    ],
)
def test_a_malformed_delta_still_names_its_market_and_number(msg: Any) -> None:
    message = wire.decode(frame("orderbook_delta", 2, 8, {"market_ticker": "X"} | msg))
    assert isinstance(message, Malformed)
    assert (message.sid, message.seq, message.market, message.kind) == (2, 8, "X", "orderbook_delta")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b"null", ""),
        (b'{"sid":1}', ""),
        (b"\xff\xfe", ""),
        (b'{"type":"ok","seq":"x"}', "ok"),
        (b'{"type":"trade","sid":{"nonsense":[]}}', "trade"),
    ],
)
def test_what_is_no_frame_at_all(data: bytes, kind: str) -> None:
    with pytest.raises(wire.WireError, match=f"frame of {len(data)} bytes") as raised:
        wire.decode(data)
    assert raised.value.kind == kind


# REST books


def test_rest_books() -> None:
    items = [
        {"ticker": "A", "orderbook_fp": {"yes_dollars": [["0.3500", "200.00"]], "no_dollars": []}},
        {"ticker": "B", "orderbook_fp": {"yes_dollars": [["2", "1"]]}},
        {"ticker": "C", "orderbook_fp": {"no_dollars": [[0.25, 3]]}},
        {"ticker": "D", "orderbook": {"yes": [[35, 200]]}},
        {"ticker": "E"},
        {"orderbook_fp": {}},
    ]
    good, bad, numbers, old, none, nobody = wire.decode_orderbooks(json.dumps({"orderbooks": items}).encode())
    assert good == Snapshot(market="A", bids=((3500, 20000),), asks=(), floored=0)
    assert numbers == Snapshot(market="C", bids=(), asks=((7500, 300),), floored=0, numbers=2)
    problems = [message for message in (bad, old, none, nobody) if isinstance(message, Malformed)]
    assert [problem.market for problem in problems] == ["B", "D", "E", ""]
    assert isinstance(problems[1].error, OldForm)
    with pytest.raises(wire.WireError, match="order books"):
        wire.decode_orderbooks(b'{"error":"x"}')


# Commands


def test_commands_say_which_leg_prices_are_in() -> None:
    assert json.loads(commands.subscribe(3, BOOKS, ["A", "B"]).text()) == {
        "id": 3,
        "cmd": "subscribe",
        "params": {
            "channels": ["orderbook_delta"],
            "market_tickers": ["A", "B"],
            "use_yes_price": False,
            "skip_ticker_ack": True,
        },
    }
    turned = json.loads(commands.subscribe(3, BOOKS, ["A"], use_yes_price=True).text())
    assert turned["params"]["use_yes_price"] is True
    assert json.loads(commands.subscribe(4, LIFECYCLE).text())["params"] == {"channels": ["market_lifecycle_v2"]}
    assert json.loads(commands.update(4, 1, commands.SNAPSHOT, ["B"]).text()) == {
        "id": 4,
        "cmd": "update_subscription",
        "params": {"sids": [1], "action": "get_snapshot", "market_tickers": ["B"]},
    }
    assert json.loads(commands.probe(5, 1, "B").text()) == {
        "id": 5,
        "cmd": "update_subscription",
        "params": {"sids": [1], "action": "add_markets", "market_tickers": ["B"], "skip_ticker_ack": True},
    }


def test_commands_are_read_back() -> None:
    for command in (commands.subscribe(3, BOOKS, ["A"]), commands.probe(5, 2, "B"), commands.subscribe(1, LIFECYCLE)):
        assert commands.read(command.text()) == command
    assert (commands.probe(5, 2, "B").sid, commands.probe(5, 2, "B").channel) == (2, "")


# Anything


@settings(max_examples=100)
@given(mutated(FRAMES) | st.binary(max_size=20), st.booleans())
@example(DEEP, False)
@example(b'{"type":"\xed\xa0\x80"}', False)
@example(delta("X", 3, "no", "0.96", "1").replace(b"1669149841000", b"9" * 18), False)
@example(delta("X", 3, "no", "0.96", "1").replace(b"1669149841000", b"null").replace(b"2022", b"9999"), True)
@example(delta("X", 3, "no", "0.96", "1E+30"), False)
@example(delta("X", 3, "no", "0.96", "1").replace(b'"0.96"', b"1e999"), False)
def test_any_bytes_are_a_bounded_message_or_a_wire_error(data: bytes, yes_price: bool) -> None:
    try:
        message = wire.decode(data, yes_price=yes_price)
    except wire.WireError:
        return
    assert isinstance(message, Message)
    if isinstance(message, Delta | Print):
        assert 0 <= message.exchange_ns < 2**63
    if isinstance(message, Delta):
        assert 0 < message.price < 10_000
        assert abs(message.change) * 10_000 < 2**63
    if isinstance(message, Print):
        assert message.fill_quantity * 10_000 < 2**63


@settings(max_examples=100)
@given(mutated(BODIES) | st.binary(max_size=20))
@example(b'{"orderbooks":' + b"[" * 100_000)
def test_any_body_is_books_or_a_wire_error(data: bytes) -> None:
    try:
        books = wire.decode_orderbooks(data)
    except wire.WireError:
        return
    assert all(isinstance(book, Snapshot | Malformed) for book in books)
