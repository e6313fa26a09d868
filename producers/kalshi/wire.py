"""Kalshi's wire format: frames and REST bodies to messages in integer units and YES terms.

Sources: the venue's AsyncAPI document; "Orderbook Responses"; "Fixed-Point Representation"; "Order direction".
"""

from collections.abc import Callable
from typing import Final

import msgspec

from producers.kalshi import convert, forms
from producers.kalshi.lenient import read
from producers.kalshi.messages import (
    COMBO_LIFECYCLE,
    LIFECYCLE,
    Acknowledged,
    Listed,
    Malformed,
    Message,
    Refused,
    Snapshot,
    Subscribed,
    Unknown,
    Unsubscribed,
)

TERMINAL_ERRORS: Final = frozenset({10, 25})
"""Channel error and subscription buffer overflow: the subscription is dead."""

OVERFLOW: Final = 25
UNKNOWN_SID: Final = 7
INVALID_PARAMETER: Final = 11
TOO_MANY_MARKETS: Final = 26
TOO_MANY_COMMANDS: Final = 27

PASSED_OVER: Final = frozenset(
    {
        "cfbenchmarks_value",
        "cfbenchmarks_value_5hz",
        "cfbenchmarks_value_5hz_indexlist",
        "cfbenchmarks_value_indexlist",
        "fill",
        "market_position",
        "order_group_updates",
        "pyth_value",
        "pyth_value_underlying_list",
        "quote_accepted",
        "quote_created",
        "quote_executed",
        "rfq_created",
        "rfq_deleted",
        "user_order",
    }
)
"""Documented kinds that say nothing of a book: reference prices, and what an account hears about itself."""

BOOKLESS: Final = PASSED_OVER | {"trade", "ticker", LIFECYCLE, COMBO_LIFECYCLE, "event_lifecycle", "event_fee_update"}
"""Kinds that change no ladder, whatever they say."""


class WireError(ValueError):
    """Bytes that are no message of Kalshi's; `kind` is the type that could be read, if any."""

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.kind = kind


class _Frame(msgspec.Struct, tag_field="type"):
    sid: int
    seq: int


class _DeltaFrame(_Frame, tag="orderbook_delta"):
    msg: forms.Delta


class _SnapshotFrame(_Frame, tag="orderbook_snapshot"):
    msg: forms.Snapshot
    id: int = 0


class _TradeFrame(_Frame, tag="trade"):
    msg: forms.Trade


class _Envelope(msgspec.Struct):
    type: str
    id: int | None = None
    sid: int | None = None
    seq: int | None = None
    msg: msgspec.Raw = msgspec.Raw(b"{}")


class _Kind(msgspec.Struct):
    type: str = ""


class _Ticker(msgspec.Struct):
    market_ticker: str = ""


_frequent = msgspec.json.Decoder(_DeltaFrame | _SnapshotFrame | _TradeFrame)
_envelope = msgspec.json.Decoder(_Envelope)
_kind = msgspec.json.Decoder(_Kind)
_ticker = msgspec.json.Decoder(_Ticker)

_BROKEN: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises: malformed, of the wrong type, not UTF-8, a number off its unit, nested too deep."""


def decode(data: bytes, *, yes_price: bool = False) -> Message:
    """One websocket frame; raises WireError when not even its envelope can be read.

    `yes_price` is what was asked for: prices of the NO side in the YES leg.
    """
    try:
        frame = _frequent.decode(data)
        if type(frame) is _DeltaFrame:
            return convert.delta(frame.msg, frame.sid, frame.seq, yes_price)
        if type(frame) is _SnapshotFrame:
            return convert.snapshot(frame.msg, frame.sid, frame.seq, yes_price, command=frame.id)
        return convert.print_(frame.msg, frame.sid, frame.seq)
    except _BROKEN:
        return _decode_any(data, yes_price)


def decode_orderbooks(data: bytes) -> list[Snapshot | Malformed]:
    """The body of `GET /markets/orderbooks`; raises WireError when it is not one."""
    try:
        items = msgspec.json.decode(data, type=forms.Orderbooks).orderbooks
    except _BROKEN as error:
        raise WireError(f"order books of {len(data)} bytes: {error}") from error
    books: list[Snapshot | Malformed] = []
    for item in items:
        ticker = ""
        try:
            ticker = msgspec.json.decode(item, type=forms.Orderbook).ticker
            book, numbers = read(item, forms.RestBook)
            sides = book.sides()
            yes, no = sides.yes_dollars, sides.no_dollars
            books.append(convert.whole_book(book.ticker, yes, no, yes_price=False, numbers=numbers))
        except _BROKEN as error:
            books.append(Malformed(kind="orderbook", market=ticker, error=error))
    return books


def _decode_any(data: bytes, yes_price: bool) -> Message:
    try:
        envelope = _envelope.decode(data)
    except _BROKEN as error:
        raise WireError(f"frame of {len(data)} bytes: {error}", _kind_of(data)) from error
    try:
        return _message(envelope, yes_price)
    except _BROKEN as error:
        sid, seq, market = envelope.sid or 0, envelope.seq or 0, _market_of(envelope)
        return Malformed(sid=sid, seq=seq, kind=envelope.type, market=market, error=error)


def _message(envelope: _Envelope, yes_price: bool) -> Message:
    command, sid, seq, msg = envelope.id or 0, envelope.sid or 0, envelope.seq or 0, envelope.msg
    match envelope.type:
        case "orderbook_delta":
            delta, numbers = read(msg, forms.Delta)
            return convert.delta(delta, sid, seq, yes_price, numbers)
        case "orderbook_snapshot":
            book, numbers = read(msg, forms.Snapshot)
            return convert.snapshot(book, sid, seq, yes_price, numbers, command)
        case "trade":
            trade, numbers = read(msg, forms.Trade)
            return convert.print_(trade, sid, seq, numbers)
        case "ok":
            return _acknowledged(msg, command, sid, seq)
        case "subscribed":
            opened = msgspec.json.decode(msg, type=forms.Subscribed)
            return Subscribed(sid=sid, seq=seq, command=command, channel=opened.channel, opened=opened.sid)
        case "unsubscribed":
            return Unsubscribed(sid=sid, seq=seq, command=command)
        case "error":
            said = msgspec.json.decode(msg, type=forms.Refused)
            named = (*((said.market_ticker,) if said.market_ticker else ()), *(said.market_tickers or ()))
            return Refused(sid=sid, seq=seq, command=command, code=said.code, text=said.msg or "", markets=named)
        case other:
            return _RARE[other](msg, sid, seq) if other in _RARE else _unknown(other, sid, seq)


def _unknown(kind: str, sid: int, seq: int) -> Unknown:
    return Unknown(sid=sid, seq=seq, kind=kind if kind in PASSED_OVER else "other")


def _acknowledged(msg: msgspec.Raw, command: int, sid: int, seq: int) -> Acknowledged | Listed:
    said = msgspec.json.decode(msg, type=forms.Ok | list[forms.Subscribed] | None)
    if isinstance(said, list):
        listed = tuple((each.channel, each.sid) for each in said)
        return Listed(sid=sid, seq=seq, command=command, subscriptions=listed)
    markets = tuple(said.market_tickers or ()) if said is not None else ()
    return Acknowledged(sid=sid, seq=seq, command=command, markets=markets)


_RARE: Final[dict[str, Callable[[msgspec.Raw, int, int], Message]]] = {
    "ticker": convert.ticker,
    LIFECYCLE: convert.lifecycle,
    COMBO_LIFECYCLE: convert.lifecycle,
    "event_lifecycle": convert.event_created,
    "event_fee_update": convert.event_fee,
}


def _kind_of(data: bytes) -> str:
    try:
        return _kind.decode(data).type
    except _BROKEN:
        return ""


def _market_of(envelope: _Envelope) -> str:
    try:
        return _ticker.decode(envelope.msg).market_ticker
    except _BROKEN:
        return ""
