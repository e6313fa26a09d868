import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from producers.kalshi import wire
from tests.unit.producers.kalshi.frames import delta, frame, snapshot, trade
from tests.unit.producers.mutate import mutated

FRAMES = [
    snapshot("X", 2, [("0.0800", "300.00")], [("0.5400", "20.00")]),
    delta("X", 3, "no", "0.9600", "-54.00"),
    trade("X", 2),
    b'{"id":1,"type":"subscribed","msg":{"channel":"orderbook_delta","sid":4}}',
    b'{"id":2,"sid":1,"seq":222,"type":"ok","msg":{"market_tickers":["A"]}}',
    b'{"id":9,"type":"error","msg":{"code":8,"msg":"Unknown channel name"}}',
]
BODIES = [b'{"orderbooks":[{"ticker":"A","orderbook_fp":{"yes_dollars":[["0.3500","200.00"]],"no_dollars":[]}}]}']
DEEP = b'{"type":"ok","msg":' + b"[" * 100_000


def test_a_snapshot_becomes_a_yes_ladder() -> None:
    message = wire.decode(snapshot("X", 2, [("0.0800", "300.00")], [("0.5400", "20.00"), ("0.5600", "146.05")], sid=7))
    assert message == wire.Snapshot(
        sid=7, seq=2, market="X", bids=((800, 30000),), asks=((4600, 2000), (4400, 14605)), floored=0
    )


def test_absent_and_null_sides_are_empty() -> None:
    assert wire.decode(snapshot("X", 1)) == wire.Snapshot(sid=1, seq=1, market="X", bids=(), asks=(), floored=0)
    null = frame("orderbook_snapshot", 1, 1, {"market_ticker": "X", "yes_dollars_fp": None})
    assert wire.decode(null) == wire.decode(snapshot("X", 1))


def test_sizes_finer_than_a_hundredth_are_floored_and_counted() -> None:
    message = wire.decode(snapshot("X", 1, [("0.5", "1.009")]))
    assert isinstance(message, wire.Snapshot)
    assert (message.bids, message.floored) == (((5000, 100),), 1)


@pytest.mark.parametrize(
    ("side", "price", "expected"), [("yes", "0.9600", ("bid", 9600)), ("no", "0.3055", ("ask", 6945))]
)
def test_a_delta_is_in_yes_terms(side: str, price: str, expected: Any) -> None:
    message = wire.decode(delta("X", 3, side, price, "-54.01"))
    assert isinstance(message, wire.Delta)
    assert (message.side, message.price) == expected
    assert (message.change, message.exchange_ns, message.seq) == (-5401, 1_669_149_841_000_000_000, 3)


def test_a_delta_without_milliseconds_uses_the_text_or_nothing() -> None:
    msg = {"market_ticker": "X", "price_dollars": "0.5", "delta_fp": "1", "side": "yes"}
    with_text = wire.decode(frame("orderbook_delta", 1, 1, msg | {"ts": "2025-08-12T21:00:32.539836022Z"}))
    without = wire.decode(frame("orderbook_delta", 1, 1, msg))
    assert isinstance(with_text, wire.Delta)
    assert isinstance(without, wire.Delta)
    assert (with_text.exchange_ns, without.exchange_ns) == (1_755_032_432_539_836_000, 0)


@pytest.mark.parametrize(("taker", "side"), [("yes", "buy"), ("no", "sell")])
def test_a_trade_is_in_yes_terms(taker: str, side: str) -> None:
    message = wire.decode(trade("X", 2, taker))
    assert isinstance(message, wire.Print)
    assert (message.price, message.fill_quantity, message.taker_side) == (3600, 136_000_000, side)


def test_replies() -> None:
    assert wire.decode(b'{"id":1,"type":"subscribed","msg":{"channel":"orderbook_delta","sid":4}}') == wire.Subscribed(
        command=1, channel="orderbook_delta", opened=4
    )
    ok = b'{"id":2,"sid":1,"seq":222,"type":"ok","msg":{"market_tickers":["A"]}}'
    assert wire.decode(ok) == wire.Acknowledged(sid=1, seq=222, command=2)
    assert wire.decode(b'{"id":6,"type":"ok","msg":[{"channel":"x","sid":1}]}') == wire.Acknowledged(command=6)
    assert wire.decode(b'{"id":5,"sid":1,"seq":7,"type":"unsubscribed"}') == wire.Acknowledged(sid=1, seq=7, command=5)
    error = b'{"id":9,"type":"error","msg":{"code":8,"msg":"Unknown channel name"}}'
    assert wire.decode(error) == wire.Refused(command=9, code=8, text="Unknown channel name")


@pytest.mark.parametrize(("kind", "label"), [("ticker", "ticker"), ("brand_new", "other")])
def test_unknown_kinds_keep_their_place_in_the_sequence(kind: str, label: str) -> None:
    assert wire.decode(frame(kind, 3, 9, {})) == wire.Unknown(sid=3, seq=9, kind=label)


@pytest.mark.parametrize(
    "msg",
    [
        {"price_dollars": "0.55555", "delta_fp": "1", "side": "yes"},
        {"price_dollars": "0.5", "delta_fp": "1.001", "side": "yes"},
        {"price_dollars": "0.5", "delta_fp": "x", "side": "yes"},
        {"price_dollars": "1.0000", "delta_fp": "1", "side": "yes"},
        {"price_dollars": "0.5", "delta_fp": "1", "side": "maybe"},
        {"price_dollars": "NaN", "delta_fp": "1", "side": "yes"},
        {"price_dollars": "0.5", "delta_fp": "1", "side": "yes", "ts_ms": 10**15},
        {"delta_fp": "1", "side": "yes"},
    ],
)
def test_a_malformed_delta_still_names_its_market_and_number(msg: Any) -> None:
    message = wire.decode(frame("orderbook_delta", 2, 8, {"market_ticker": "X"} | msg))
    assert isinstance(message, wire.Malformed)
    assert (message.sid, message.seq, message.market, message.about_book) == (2, 8, "X", True)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"sid":1}', b"\xff\xfe", b'{"type":"ok","seq":"x"}'])
def test_what_is_no_frame_at_all(data: bytes) -> None:
    with pytest.raises(wire.WireError, match=f"frame of {len(data)} bytes"):
        wire.decode(data)


def test_rest_books() -> None:
    sides = {"yes_dollars": [["0.3500", "200.00"]], "no_dollars": []}
    body = {
        "orderbooks": [
            {"ticker": "A", "orderbook_fp": sides},
            {"ticker": "B", "orderbook_fp": {"yes_dollars": [["2", "1"]]}},
        ]
    }
    good, bad = wire.decode_orderbooks(json.dumps(body).encode())
    assert good == wire.Snapshot(market="A", bids=((3500, 20000),), asks=(), floored=0)
    assert isinstance(bad, wire.Malformed)
    assert bad.market == "B"
    with pytest.raises(wire.WireError, match="order books"):
        wire.decode_orderbooks(b'{"error":"x"}')


def test_commands_say_which_leg_prices_are_in() -> None:
    assert json.loads(wire.subscribe(3, "orderbook_delta", ["A", "B"])) == {
        "id": 3,
        "cmd": "subscribe",
        "params": {"channels": ["orderbook_delta"], "market_tickers": ["A", "B"], "use_yes_price": False},
    }
    assert json.loads(wire.update(4, 1, "get_snapshot", ["B"])) == {
        "id": 4,
        "cmd": "update_subscription",
        "params": {"sids": [1], "action": "get_snapshot", "market_tickers": ["B"]},
    }
    assert json.loads(wire.probe(5, 1, "B")) == {
        "id": 5,
        "cmd": "update_subscription",
        "params": {"sids": [1], "action": "add_markets", "market_tickers": ["B"], "skip_ticker_ack": True},
    }


@settings(max_examples=500)
@given(mutated(FRAMES) | st.binary(max_size=20))
@example(DEEP)
@example(b'{"type":"\xed\xa0\x80"}')
@example(delta("X", 3, "no", "0.96", "1").replace(b"1669149841000", b"9" * 18))
@example(delta("X", 3, "no", "0.96", "1").replace(b"1669149841000", b"null").replace(b"2022", b"9999"))
@example(delta("X", 3, "no", "0.96", "1E+30"))
def test_any_bytes_are_a_bounded_message_or_a_wire_error(data: bytes) -> None:
    try:
        message = wire.decode(data)
    except wire.WireError:
        return
    assert isinstance(message, wire.Message)
    if isinstance(message, wire.Delta | wire.Print):
        assert 0 <= message.exchange_ns < 2**63
    if isinstance(message, wire.Delta):
        assert abs(message.change) * 10_000 < 2**63
    if isinstance(message, wire.Print):
        assert message.fill_quantity * 10_000 < 2**63


@settings(max_examples=300)
@given(mutated(BODIES) | st.binary(max_size=20))
@example(b'{"orderbooks":' + b"[" * 100_000)
def test_any_body_is_books_or_a_wire_error(data: bytes) -> None:
    try:
        books = wire.decode_orderbooks(data)
    except wire.WireError:
        return
    assert all(isinstance(book, wire.Snapshot | wire.Malformed) for book in books)
