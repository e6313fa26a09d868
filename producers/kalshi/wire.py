"""Kalshi's wire format: frames and REST bodies to typed messages in integer units and YES terms.

Kalshi publishes bids only, for each outcome. A NO bid at p is a YES ask at 1 - p; that is done here, once.
Sources: the venue's AsyncAPI document; its pages "Orderbook Responses" and "Fixed-Point Representation".
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import msgspec

from producers.ladder import SideName
from producers.levels import TEXTS_KEPT, level_price, parse_levels
from producers.timestamps import milliseconds_ns, rfc3339_ns
from schemas.records import Level, OrderSide
from schemas.units import ONE, UnitError, parse_fill_quantity, parse_price, parse_quantity_change

TERMINAL_ERRORS: Final = frozenset({10, 25})
"""Channel error and subscription buffer overflow: the subscription is dead."""

UNKNOWN_SID: Final = 7

_KNOWN_TYPES: Final = frozenset(
    {"ticker", "fill", "user_order", "market_position", "market_lifecycle_v2", "event_lifecycle", "event_fee_update"}
)

WireLevels = list[tuple[str, str]] | None


class WireError(ValueError):
    """Bytes that are no message of Kalshi's; the message says why."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What every message may carry: its subscription and its number in it; 0 where absent."""

    sid: int = 0
    seq: int = 0


class Subscribed(Message, frozen=True, kw_only=True):
    """Command `command` opened subscription `opened` on a channel."""

    command: int
    channel: str
    opened: int


class Acknowledged(Message, frozen=True, kw_only=True):
    """A command was carried out."""

    command: int


class Refused(Message, frozen=True, kw_only=True):
    """A command failed, or a subscription did."""

    command: int
    code: int
    text: str


class Snapshot(Message, frozen=True, kw_only=True):
    """A whole book. `floored` counts sizes that were cut to 0.01 contract."""

    market: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    floored: int


class Delta(Message, frozen=True, kw_only=True):
    """A signed change of the size at one level."""

    market: str
    side: SideName
    price: int
    change: int
    exchange_ns: int


class Print(Message, frozen=True, kw_only=True):
    """A public trade in YES terms."""

    market: str
    trade_id: str
    price: int
    fill_quantity: int
    taker_side: OrderSide
    exchange_ns: int


class Unknown(Message, frozen=True, kw_only=True):
    """A kind of message that is not understood; `kind` is its type where that is documented, else `other`."""

    kind: str


class Malformed(Message, frozen=True, kw_only=True):
    """A message of a known kind with a field that is missing or wrong; `market` is empty where it could not be read."""

    market: str
    about_book: bool
    error: Exception


class _Envelope(msgspec.Struct):
    type: str
    id: int = 0
    sid: int = 0
    seq: int = 0
    msg: msgspec.Raw = msgspec.Raw(b"{}")


class _Subscribed(msgspec.Struct):
    channel: str
    sid: int


class _Refused(msgspec.Struct):
    code: int
    msg: str = ""


class _Snapshot(msgspec.Struct):
    market_ticker: str
    yes_dollars_fp: WireLevels = None
    no_dollars_fp: WireLevels = None


class _Delta(msgspec.Struct):
    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: str
    ts_ms: int | None = None
    ts: str | int | None = None


class _Trade(msgspec.Struct):
    market_ticker: str
    trade_id: str
    yes_price_dollars: str
    count_fp: str
    taker_outcome_side: str | None = None
    taker_side: str | None = None
    ts_ms: int | None = None


class _OrderbookSides(msgspec.Struct):
    yes_dollars: WireLevels = None
    no_dollars: WireLevels = None


class _Orderbook(msgspec.Struct):
    ticker: str
    orderbook_fp: _OrderbookSides


class _Orderbooks(msgspec.Struct):
    orderbooks: list[_Orderbook]


class _Ticker(msgspec.Struct):
    market_ticker: str = ""


_envelope = msgspec.json.Decoder(_Envelope)
_subscribed = msgspec.json.Decoder(_Subscribed)
_refused = msgspec.json.Decoder(_Refused)
_snapshot = msgspec.json.Decoder(_Snapshot)
_delta = msgspec.json.Decoder(_Delta)
_trade = msgspec.json.Decoder(_Trade)
_orderbooks = msgspec.json.Decoder(_Orderbooks)
_ticker = msgspec.json.Decoder(_Ticker)

_change = lru_cache(maxsize=TEXTS_KEPT)(parse_quantity_change)

_BROKEN: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises: malformed, of the wrong type, not UTF-8, a number off its unit, nested too deep."""


def decode(data: bytes) -> Message:
    """One websocket frame; raises WireError when not even its envelope can be read."""
    try:
        envelope = _envelope.decode(data)
    except _BROKEN as error:
        raise WireError(f"frame of {len(data)} bytes: {error}") from error
    try:
        return _message(envelope)
    except _BROKEN as error:
        about_book = envelope.type.startswith("orderbook_")
        return Malformed(
            sid=envelope.sid, seq=envelope.seq, market=_market_of(envelope), about_book=about_book, error=error
        )


def _message(envelope: _Envelope) -> Message:
    sid, seq = envelope.sid, envelope.seq
    match envelope.type:
        case "orderbook_delta":
            return _book_change(_delta.decode(envelope.msg), sid, seq)
        case "orderbook_snapshot":
            book = _snapshot.decode(envelope.msg)
            return _whole_book(book.market_ticker, book.yes_dollars_fp, book.no_dollars_fp, sid, seq)
        case "trade":
            return _print(_trade.decode(envelope.msg), sid, seq)
        case "subscribed":
            opened = _subscribed.decode(envelope.msg)
            return Subscribed(sid=sid, seq=seq, command=envelope.id, channel=opened.channel, opened=opened.sid)
        case "ok" | "unsubscribed":
            return Acknowledged(sid=sid, seq=seq, command=envelope.id)
        case "error":
            refusal = _refused.decode(envelope.msg)
            return Refused(sid=sid, seq=seq, command=envelope.id, code=refusal.code, text=refusal.msg)
        case other:
            return Unknown(sid=sid, seq=seq, kind=other if other in _KNOWN_TYPES else "other")


def decode_orderbooks(data: bytes) -> list[Snapshot | Malformed]:
    """The body of `GET /markets/orderbooks`; raises WireError when it is not one."""
    try:
        body = _orderbooks.decode(data)
    except _BROKEN as error:
        raise WireError(f"order books of {len(data)} bytes: {error}") from error
    books: list[Snapshot | Malformed] = []
    for item in body.orderbooks:
        try:
            books.append(_whole_book(item.ticker, item.orderbook_fp.yes_dollars, item.orderbook_fp.no_dollars, 0, 0))
        except UnitError as error:
            books.append(Malformed(market=item.ticker, about_book=True, error=error))
    return books


def subscribe(command: int, channel: str, markets: Iterable[str]) -> bytes:
    """The command that opens a subscription."""
    params: dict[str, Any] = {"channels": [channel], "market_tickers": list(markets)}
    if channel == "orderbook_delta":
        params["use_yes_price"] = False  # the venue plans to change the default
    return msgspec.json.encode({"id": command, "cmd": "subscribe", "params": params})


def update(command: int, sid: int, action: str, markets: Iterable[str]) -> bytes:
    """The command that changes a subscription (`delete_markets`) or asks for its books (`get_snapshot`)."""
    params = {"sids": [sid], "action": action, "market_tickers": list(markets)}
    return msgspec.json.encode({"id": command, "cmd": "update_subscription", "params": params})


def probe(command: int, sid: int, market: str) -> bytes:
    """The command that changes nothing: add a market that the subscription has; the answer lists no markets."""
    params = {"sids": [sid], "action": "add_markets", "market_tickers": [market], "skip_ticker_ack": True}
    return msgspec.json.encode({"id": command, "cmd": "update_subscription", "params": params})


def _whole_book(market: str, yes: WireLevels, no: WireLevels, sid: int, seq: int) -> Snapshot:
    bids, floored_bids = parse_levels(yes or ())
    no_bids, floored_asks = parse_levels(no or ())
    asks = tuple((ONE - price, size) for price, size in no_bids)
    return Snapshot(sid=sid, seq=seq, market=market, bids=bids, asks=asks, floored=floored_bids + floored_asks)


def _book_change(delta: _Delta, sid: int, seq: int) -> Delta:
    price, side = level_price(delta.price_dollars), delta.side
    if side not in ("yes", "no"):
        raise UnitError(f"side was {side!r}: neither yes nor no")
    return Delta(
        sid=sid,
        seq=seq,
        market=delta.market_ticker,
        side="bid" if side == "yes" else "ask",
        price=price if side == "yes" else ONE - price,
        change=_change(delta.delta_fp),
        exchange_ns=_time_ns(delta.ts_ms, delta.ts),
    )


def _print(trade: _Trade, sid: int, seq: int) -> Print:
    taker = trade.taker_outcome_side or trade.taker_side
    if taker not in ("yes", "no"):
        raise UnitError(f"taker side was {taker!r}: neither yes nor no")
    return Print(
        sid=sid,
        seq=seq,
        market=trade.market_ticker,
        trade_id=trade.trade_id,
        price=parse_price(trade.yes_price_dollars),
        fill_quantity=parse_fill_quantity(trade.count_fp),
        taker_side="buy" if taker == "yes" else "sell",
        exchange_ns=_time_ns(trade.ts_ms, None),
    )


def _time_ns(milliseconds: int | None, text: str | int | None) -> int:
    if milliseconds is not None:
        return milliseconds_ns(milliseconds)
    return rfc3339_ns(text) if isinstance(text, str) else 0


def _market_of(envelope: _Envelope) -> str:
    try:
        return _ticker.decode(envelope.msg).market_ticker
    except _BROKEN:
        return ""
