"""What Polymarket says about markets, in integer units and in the terms of the token it is said of.

Which token is YES is the book's business. The venue's own texts of levels and stamps are kept beside the integers:
its hash of a book covers them.
"""

from typing import Literal, NamedTuple

import msgspec

from producers.ladder import SideName
from schemas.records import OrderSide

GlobalKind = Literal["new_market", "market_resolved"]


class WireLevel(NamedTuple):
    """A level: price (1e-4 dollar), size (1e-2 contract, rounded down), and how the hash covers it.

    `text` is empty where there is no level; a size below 0.01 contract has a text and a size of 0.
    """

    price: int
    size: int
    text: str


class Change(NamedTuple):
    """The new size of one level of one token; the fields are those of a WireLevel."""

    token: str
    side: SideName
    price: int
    size: int
    text: str


class Tip(NamedTuple):
    """What a message says of a token's book after it: its hash, and its best prices as they came; empty if unsaid."""

    hash: str
    best_bid: str
    best_ask: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What every message carries: its market (condition id), empty where it could not be read."""

    market: str = ""


class TokenBook(Message, frozen=True, kw_only=True):
    """One token's whole book.

    What the venue left out is 0 or None: the stream never tells `minimum_size` and `negative_risk`, and after a trade
    neither `tick` nor `last_trade`. `floored` counts sizes cut to 0.01 contract.
    """

    token: str
    bids: tuple[WireLevel, ...]
    asks: tuple[WireLevel, ...]
    hash: str
    timestamp: str
    exchange_ns: int
    tick: int = 0
    tick_text: str | None = None
    last_trade: str | None = None
    minimum_size: str | None = None
    negative_risk: bool | None = None
    version: str | None = None
    floored: int = 0


class PriceChange(Message, frozen=True, kw_only=True):
    """New sizes of levels, usually for both tokens of the market; `tips` by token. `form` names the form it came in."""

    changes: tuple[Change, ...]
    tips: dict[str, Tip]
    timestamp: str
    exchange_ns: int
    floored: int = 0
    form: str = "price_changes"


class TickChange(Message, frozen=True, kw_only=True):
    """The market's price grid changed; levels that are not on the new one may be gone without a word."""

    tick: int
    tick_text: str
    exchange_ns: int


class Print(Message, frozen=True, kw_only=True):
    """A public trade in the token's terms. The venue gives no trade id; `trade_id` is made of what it gives."""

    token: str
    trade_id: str
    price: int
    fill_quantity: int
    taker_side: OrderSide
    exchange_ns: int


class Touch(Message, frozen=True, kw_only=True):
    """A token's best prices as they came. The venue does not promise to send them."""

    token: str
    best_bid: str
    best_ask: str


class Announcement(Message, frozen=True, kw_only=True):
    """Every connection is told of every new or resolved market, again and again; `number` is the venue's own."""

    kind: GlobalKind
    number: str


class Unknown(Message, frozen=True, kw_only=True):
    """A kind of message that is not understood."""

    kind: str


class Malformed(Message, frozen=True, kw_only=True):
    """A message with a field that is missing or wrong.

    `tokens` are those it names; `about_book` is false only where its kind is known to change no book.
    """

    about_book: bool
    error: Exception
    tokens: tuple[str, ...] = ()
