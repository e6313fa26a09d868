"""Polymarket's wire format: frames and REST bodies to typed messages.

Sources: the market channel's pages (`book`, `price_change`, `tick_size_change`, `last_trade_price`, `best_bid_ask`,
`new_market`, `market_resolved`) and sessions recorded in 2024, September and October 2026. Both forms of
`price_change` from before September 2025 are taken, too.
"""

import re
from typing import Any, Final

import msgspec

from producers.levels import level_price, level_size
from producers.polymarket import forms
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
from producers.polymarket.texts import level_text
from producers.timestamps import milliseconds_ns
from schemas.units import UnitError, parse_fill_quantity, parse_price, plain

PONG: Final = b"PONG"
REFUSED: Final = b"INVALID OPERATION"
"""What the venue answers, as plain text, to a command that it does not take."""

BOOK_EVENTS: Final = frozenset({"book", "price_change", "tick_size_change"})
_KNOWN: Final = BOOK_EVENTS | {"last_trade_price", "best_bid_ask", "new_market", "market_resolved"}

_MARKET: Final = re.compile(rb'"market"\s*:\s*"([^"\\]{1,200})"')
_TOKEN: Final = re.compile(rb'"asset_id"\s*:\s*"([0-9]{1,100})"')


class WireError(ValueError):
    """Bytes that are no message of Polymarket's; the message says why.

    `market` and `tokens` say whose it was, where that can be seen; when neither does, it may have been anyone's.
    """

    def __init__(self, text: str, market: str = "", tokens: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.market = market
        self.tokens = tokens


_BROKEN: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises: malformed, of the wrong type, not UTF-8, a number off its unit, nested too deep."""

_event = msgspec.json.Decoder(forms.Event)
_items = msgspec.json.Decoder(list[msgspec.Raw])
_rest_book = msgspec.json.Decoder(forms.RestBook)
_levels = msgspec.json.Decoder(list[forms.Level])
_anything = msgspec.json.Decoder()


def is_pong(data: bytes) -> bool:
    """True for the answer to a ping: a text frame that is no JSON."""
    return len(data) < 16 and data.strip() == PONG


def decode(data: bytes) -> list[Message]:
    """The messages of one websocket frame, an object or an array; raises WireError when it is not JSON of that form."""
    try:
        if data[:1] != b"{" and data.lstrip()[:1] == b"[":
            return [_message(item) for item in _items.decode(data)]
        return [_message(data)]
    except _BROKEN as error:
        if data.strip() == REFUSED:
            return [Unknown(kind="refusal")]
        market, tokens = _seen(data)
        raise WireError(f"frame of {len(data)} bytes: {error}", market, tokens) from error


def _seen(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Whom an unreadable object names. An array may have lost the names of others, so it names nobody."""
    if data.lstrip()[:1] != b"{":
        return "", ()
    markets = set(_MARKET.findall(data))
    tokens = tuple(dict.fromkeys(token.decode() for token in _TOKEN.findall(data)))
    return (markets.pop().decode(errors="replace") if len(markets) == 1 else ""), tokens


def _message(item: bytes | msgspec.Raw) -> Message:
    try:
        event = _event.decode(item)
        return _price_change(event) if type(event) is forms.PriceChange else _typed(event)
    except (msgspec.ValidationError, ValueError) as error:
        if isinstance(error, msgspec.DecodeError) and not isinstance(error, msgspec.ValidationError):
            raise
        return _untyped(item, error)


def _typed(event: forms.Event) -> Message:
    match event:
        case forms.PriceChange():
            return _price_change(event)
        case forms.Book():
            return _whole_book(event, event.bids, event.asks)
        case forms.TickChange():
            tick = _tick(event.new_tick_size)
            return TickChange(
                market=event.market, tick=tick, tick_text=event.new_tick_size, exchange_ns=_time_ns(event.timestamp)
            )
        case forms.LastTrade():
            return _print(event)
        case forms.BestBidAsk():
            return Touch(market=event.market, token=event.asset_id, best_bid=event.best_bid, best_ask=event.best_ask)
        case forms.NewMarket() | forms.MarketResolved():
            return Announcement(market=event.market, kind=event.KIND, number=str(event.id or event.market))


def _untyped(item: bytes | msgspec.Raw, error: Exception) -> Message:
    """What can still be said of a message that has no known form; raises WireError when it is no object."""
    body = _anything.decode(item)
    if not isinstance(body, dict):
        raise WireError("not an object") from error
    kind, market = body.get("event_type"), body.get("market")
    market = market if isinstance(market, str) else ""
    if "event_type" in body and not isinstance(kind, str):
        return Malformed(market=market, tokens=_tokens(body), about_book=True, error=error)
    if kind in _KNOWN:
        return Malformed(market=market, tokens=_tokens(body), about_book=kind in BOOK_EVENTS, error=error)
    return Unknown(market=market, kind="other" if kind else "no type")


def _tokens(body: dict[str, Any]) -> tuple[str, ...]:
    listed = body.get("price_changes")
    entries = [body, *(listed if isinstance(listed, list) else ())]
    tokens = [entry.get("asset_id") for entry in entries if isinstance(entry, dict)]
    return tuple(dict.fromkeys(token for token in tokens if isinstance(token, str)))


class RestBook:
    """One book of a `POST /books` answer, its levels not looked into until `whole` is asked for."""

    __slots__ = ("_body", "exchange_ns", "hash", "market", "token")

    def __init__(self, body: forms.RestBook) -> None:
        self._body = body
        self.market = body.market
        self.token = body.asset_id
        self.hash = body.hash
        self.exchange_ns = _time_ns(body.timestamp)

    def whole(self) -> TokenBook:
        """Everything; raises MsgspecError or UnitError for levels that are malformed."""
        return _whole_book(self._body, _levels.decode(self._body.bids), _levels.decode(self._body.asks))


def decode_books(data: bytes) -> list[RestBook | Malformed]:
    """The body of `POST /books`; raises WireError when it is not one."""
    try:
        items = _items.decode(data)
        return [_one_rest_book(item) for item in items]
    except _BROKEN as error:
        raise WireError(f"books of {len(data)} bytes: {error}") from error


def _one_rest_book(item: msgspec.Raw) -> RestBook | Malformed:
    try:
        return RestBook(_rest_book.decode(item))
    except (msgspec.ValidationError, ValueError) as error:
        return Malformed(about_book=True, error=error)


def _whole_book(
    book: forms.Book | forms.RestBook, bid_levels: list[forms.Level], ask_levels: list[forms.Level]
) -> TokenBook:
    bids, floored_bids = _side(bid_levels)
    asks, floored_asks = _side(ask_levels)
    tick = plain(book.tick_size) if book.tick_size else None
    return TokenBook(
        market=book.market,
        token=book.asset_id,
        bids=bids,
        asks=asks,
        hash=book.hash,
        timestamp=str(book.timestamp),
        exchange_ns=_time_ns(book.timestamp),
        tick=_tick(tick) if tick else 0,
        tick_text=tick,
        last_trade=None if book.last_trade_price is None else plain(book.last_trade_price),
        minimum_size=None if book.min_order_size is None else plain(book.min_order_size),
        negative_risk=book.neg_risk,
        version=book.version,
        floored=floored_bids + floored_asks,
    )


def _side(levels: list[forms.Level]) -> tuple[tuple[WireLevel, ...], int]:
    found, floored = [], 0
    for level in levels:
        size, cut = level_size(level.size)
        floored += cut
        text = level_text(level.price, level.size) if size or cut else ""
        found.append(WireLevel(level_price(level.price), size, text))
    return tuple(found), floored


def _price_change(event: forms.PriceChange) -> PriceChange:
    floored, changes, tips = 0, [], {}
    for entry in event.entries():
        price, wire_size = entry.price, entry.size
        size, cut = level_size(wire_size)
        floored += cut
        side = "bid" if entry.side == "BUY" else "ask"
        text = level_text(price, wire_size) if size or cut else ""
        changes.append(Change(entry.asset_id, side, level_price(price), size, text))  # type: ignore[arg-type]
        tips[entry.asset_id] = Tip(entry.hash or "", entry.best_bid or "", entry.best_ask or "")
    return PriceChange(
        market=event.market,
        changes=tuple(changes),
        tips=tips,
        timestamp=str(event.timestamp),
        exchange_ns=_time_ns(event.timestamp),
        floored=floored,
        form=event.form,
    )


def _print(event: forms.LastTrade) -> Print:
    made_of = (event.transaction_hash or "no-hash", event.asset_id[-8:], event.price, event.size, str(event.timestamp))
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


def _time_ns(stamp: str | int) -> int:
    if isinstance(stamp, int):
        return milliseconds_ns(stamp)
    if not (stamp.isascii() and stamp.isdecimal()):
        raise UnitError(f"timestamp was {stamp!r}: expected milliseconds")
    return milliseconds_ns(int(stamp))
