"""Polymarket's wire format: frames and REST bodies to typed messages in integer units, in the terms of their token.

Which token is YES is the book's business. Sources: the market channel's pages (`book`, `price_change`,
`tick_size_change`, `last_trade_price`) and recorded sessions of September and October 2026.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from producers.ladder import SideName
from producers.levels import level_price, level_size, parse_levels
from producers.timestamps import milliseconds_ns
from schemas.records import Level, OrderSide
from schemas.units import UnitError, parse_fill_quantity, parse_price, plain

PING: Final = "PING"
PONG: Final = b"PONG"
PING_INTERVAL_S: Final = 10.0

OLD_PRICE_CHANGE: Final = "price_change_old"
_KNOWN_TYPES: Final = frozenset({"best_bid_ask", "new_market", "market_resolved"})


_MARKET: Final = re.compile(rb'"market"\s*:\s*"([^"\\]*)"')


class WireError(ValueError):
    """Bytes that are no message of Polymarket's; the message says why, `market` whose it was where that can be seen."""

    def __init__(self, text: str, market: str = "") -> None:
        super().__init__(text)
        self.market = market


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What every message carries: its market (condition id), empty where it could not be read."""

    market: str = ""


class TokenBook(Message, frozen=True, kw_only=True):
    """One token's whole book. `tick` is 0 where the venue left it out; `floored` counts sizes cut to 0.01."""

    token: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    tick: int
    exchange_ns: int
    floored: int


class Change(msgspec.Struct, frozen=True, gc=False):
    """The new size of one level of one token."""

    token: str
    side: SideName
    price: int
    size: int


class PriceChange(Message, frozen=True, kw_only=True):
    """New sizes of levels, usually for both tokens of the market."""

    changes: tuple[Change, ...]
    exchange_ns: int
    floored: int


class TickChange(Message, frozen=True, kw_only=True):
    """The market's price grid changed; levels of the old grid may be gone."""

    tick: int


class Print(Message, frozen=True, kw_only=True):
    """A public trade in the token's terms. The venue gives no trade id; `trade_id` is made of what it gives."""

    token: str
    trade_id: str
    price: int
    fill_quantity: int
    taker_side: OrderSide
    exchange_ns: int


class Unknown(Message, frozen=True, kw_only=True):
    """A kind of message that is not understood; `kind` is its type where that is documented, else `other`."""

    kind: str


class Malformed(Message, frozen=True, kw_only=True):
    """A message of a known kind with a field that is missing or wrong."""

    about_book: bool
    error: Exception


class _Level(msgspec.Struct):
    price: str
    size: str


class _Book(msgspec.Struct, tag_field="event_type", tag="book"):
    market: str
    asset_id: str
    timestamp: str
    bids: list[_Level]
    asks: list[_Level]
    tick_size: str = ""


class _Change(msgspec.Struct):
    asset_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]


class _PriceChange(msgspec.Struct, tag_field="event_type", tag="price_change"):
    market: str
    timestamp: str
    price_changes: list[_Change]


class _TickChange(msgspec.Struct, tag_field="event_type", tag="tick_size_change"):
    market: str
    new_tick_size: str


class _LastTrade(msgspec.Struct, tag_field="event_type", tag="last_trade_price"):
    market: str
    asset_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]
    timestamp: str
    transaction_hash: str = ""


class _RestBook(msgspec.Struct):
    market: str
    asset_id: str
    timestamp: str
    bids: list[_Level]
    asks: list[_Level]
    tick_size: str | float = ""


class _Kind(msgspec.Struct):
    event_type: str = ""
    market: str = ""
    price_changes: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_Event = _Book | _PriceChange | _TickChange | _LastTrade
_EVENT_TYPES: Final = frozenset({"book", "price_change", "tick_size_change", "last_trade_price"})

_event = msgspec.json.Decoder(_Event)
_items = msgspec.json.Decoder(list[msgspec.Raw])
_kind = msgspec.json.Decoder(_Kind)
_rest_book = msgspec.json.Decoder(_RestBook)


_BROKEN: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises: malformed, of the wrong type, not UTF-8, a number off its unit, nested too deep."""


def decode(data: bytes) -> list[Message]:
    """The messages of one websocket frame, an object or an array; raises WireError when it is not JSON of that form."""
    try:
        items = _items.decode(data) if data.lstrip()[:1] == b"[" else [msgspec.Raw(data)]
        return [_message(item) for item in items]
    except _BROKEN as error:
        raise WireError(f"frame of {len(data)} bytes: {error}", _market_seen(data)) from error


def _market_seen(data: bytes) -> str:
    """The one market that an unreadable object names. An array may have lost the names of others."""
    names = set(_MARKET.findall(data)) if data.lstrip()[:1] == b"{" else set()
    return names.pop().decode(errors="replace") if len(names) == 1 else ""


def _message(item: msgspec.Raw) -> Message:
    try:
        return _typed(_event.decode(item))
    except (msgspec.ValidationError, ValueError) as error:
        if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
            raise
        return _untyped(item, error)


def _typed(event: _Event) -> Message:
    match event:
        case _PriceChange():
            return _price_change(event)
        case _Book():
            return _whole_book(event)
        case _TickChange():
            return TickChange(market=event.market, tick=_tick(event.new_tick_size))
        case _LastTrade():
            return _print(event)


def _untyped(item: msgspec.Raw, error: Exception) -> Message:
    """What can still be said of a message that has no known form."""
    kind = _kind.decode(item)
    if kind.event_type == "price_change" and kind.price_changes is msgspec.UNSET:
        return Unknown(market=kind.market, kind=OLD_PRICE_CHANGE)
    if kind.event_type in _EVENT_TYPES:
        return Malformed(market=kind.market, about_book=kind.event_type != "last_trade_price", error=error)
    return Unknown(market=kind.market, kind=kind.event_type if kind.event_type in _KNOWN_TYPES else "other")


def decode_books(data: bytes) -> list[TokenBook | Malformed]:
    """The body of `POST /books`; raises WireError when it is not one."""
    try:
        items = _items.decode(data)
        return [_one_rest_book(item) for item in items]
    except _BROKEN as error:
        raise WireError(f"books of {len(data)} bytes: {error}") from error


def _one_rest_book(item: msgspec.Raw) -> TokenBook | Malformed:
    try:
        return _whole_book(_rest_book.decode(item))
    except (msgspec.ValidationError, ValueError) as error:
        return Malformed(market=_kind.decode(item).market, about_book=True, error=error)


def subscribe(tokens: Iterable[str]) -> str:
    """The first command of a connection."""
    command = {"assets_ids": list(tokens), "type": "market", "custom_feature_enabled": False, "initial_dump": True}
    return msgspec.json.encode(command).decode()


def change_subscription(operation: Literal["subscribe", "unsubscribe"], tokens: Iterable[str]) -> str:
    """A later command of a connection."""
    command = {"operation": operation, "assets_ids": list(tokens), "custom_feature_enabled": False}
    return msgspec.json.encode(command).decode()


def books_request(tokens: Iterable[str]) -> bytes:
    """The body of `POST /books`."""
    return msgspec.json.encode([{"token_id": token} for token in tokens])


def _whole_book(book: _Book | _RestBook) -> TokenBook:
    bids, floored_bids = _side(book.bids)
    asks, floored_asks = _side(book.asks)
    return TokenBook(
        market=book.market,
        token=book.asset_id,
        bids=bids,
        asks=asks,
        tick=_tick(plain(book.tick_size)) if book.tick_size else 0,
        exchange_ns=_time_ns(book.timestamp),
        floored=floored_bids + floored_asks,
    )


def _side(levels: list[_Level]) -> tuple[tuple[Level, ...], int]:
    return parse_levels((level.price, level.size) for level in levels)


def _price_change(event: _PriceChange) -> PriceChange:
    changes, floored = [], 0
    for change in event.price_changes:
        size, cut = level_size(change.size)
        floored += cut
        side: SideName = "bid" if change.side == "BUY" else "ask"
        changes.append(Change(change.asset_id, side, level_price(change.price), size))
    return PriceChange(
        market=event.market, changes=tuple(changes), exchange_ns=_time_ns(event.timestamp), floored=floored
    )


def _print(event: _LastTrade) -> Print:
    made_of = (event.transaction_hash or "no-hash", event.asset_id[-8:], event.price, event.size, event.timestamp)
    return Print(
        market=event.market,
        token=event.asset_id,
        trade_id=":".join(made_of),
        price=parse_price(event.price),
        fill_quantity=parse_fill_quantity(event.size),
        taker_side="buy" if event.side == "BUY" else "sell",
        exchange_ns=_time_ns(event.timestamp),
    )


def _tick(text: str) -> int:
    tick = parse_price(text)
    if not tick:
        raise UnitError("tick size was 0")
    return tick


def _time_ns(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise UnitError(f"timestamp was {text!r}: expected milliseconds")
    return milliseconds_ns(int(text))
