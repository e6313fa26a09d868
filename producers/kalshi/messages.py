"""What Kalshi's frames say, in integer units and YES terms. `producers.kalshi.wire` reads them."""

from typing import Final, Literal

import msgspec

from producers.ladder import SideName
from schemas.records import Level, OrderSide, TickRange

BOOKS: Final = "orderbook_delta"
TRADES: Final = "trade"
LIFECYCLE: Final = "market_lifecycle_v2"
COMBO_LIFECYCLE: Final = "multivariate_market_lifecycle"
COMBO_PREFIX: Final = "KXMVE"
"""Tickers of combos begin so; their lifecycle has a channel of its own ("Multivariate Market & Event Lifecycle")."""

LifecycleEvent = Literal[
    "created",
    "activated",
    "deactivated",
    "close_date_updated",
    "determined",
    "settled",
    "price_level_structure_updated",
    "metadata_updated",
    "other",
]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What every message may carry: its subscription and its number in it; 0 where absent.

    `numbers` counts values that came as JSON numbers where strings are documented.
    """

    sid: int = 0
    seq: int = 0
    numbers: int = 0


class Reply(Message, frozen=True, kw_only=True):
    """An answer to command `command`, 0 where it names none."""

    command: int = 0


class Subscribed(Reply, frozen=True, kw_only=True):
    """Subscription `opened` on a channel is there."""

    channel: str
    opened: int


class Acknowledged(Reply, frozen=True, kw_only=True):
    """A command was carried out; `markets` are all those of the subscription, where it lists them."""

    markets: tuple[str, ...] = ()


class Unsubscribed(Reply, frozen=True, kw_only=True):
    """A subscription was ended."""


class Listed(Reply, frozen=True, kw_only=True):
    """The subscriptions there are: channel and sid."""

    subscriptions: tuple[tuple[str, int], ...]


class Refused(Reply, frozen=True, kw_only=True):
    """A command failed, or a subscription did; `markets` are those it names."""

    code: int
    text: str
    markets: tuple[str, ...] = ()


class Snapshot(Message, frozen=True, kw_only=True):
    """A whole book. `floored` counts sizes that were cut to 0.01 contract; `command` is the one it answers, or 0."""

    market: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    floored: int
    command: int = 0


class Delta(Message, frozen=True, kw_only=True, gc=False):
    """A signed change of the size at one level."""

    market: str
    side: SideName
    price: int
    change: int
    exchange_ns: int


class Print(Message, frozen=True, kw_only=True):
    """A public trade in YES terms. `block` was matched off the book; `taker_field` is the field that told the taker."""

    market: str
    trade_id: str
    price: int
    fill_quantity: int
    taker_side: OrderSide
    exchange_ns: int
    block: bool
    taker_field: str


class Ticker(Message, frozen=True, kw_only=True):
    """The top of a book and what has been traded. Prices are 0 to 1 inclusive, sizes 1e-2 contract."""

    market: str
    last_price: int
    bid: int
    ask: int
    bid_size: int
    ask_size: int
    volume: int
    open_interest: int
    exchange_ns: int


class Lifecycle(Message, frozen=True, kw_only=True):
    """Something happened to a market; times are 0 and texts empty where the event does not tell them.

    `settlement_value` is what a YES contract pays, as a price; None where it is not told. `event` is the ticker of the
    market's event.
    """

    market: str
    event_type: LifecycleEvent
    ticks: tuple[TickRange, ...] = ()
    structure: str = ""
    open_ns: int = 0
    close_ns: int = 0
    determined_ns: int = 0
    settled_ns: int = 0
    result: str = ""
    settlement_value: int | None = None
    event: str = ""
    shard: int | None = None
    yes_title: str = ""
    strikes: tuple[tuple[str, str], ...] = ()


class EventCreated(Message, frozen=True, kw_only=True):
    """A new event; its markets are told by `created`."""

    event: str
    series: str
    title: str
    collateral_return: str
    shard: int


class EventFee(Message, frozen=True, kw_only=True):
    """An event's fee override was set, or cleared (None). The multiplier is in millionths."""

    event: str
    fee_type: str | None
    multiplier: int | None


class Unknown(Message, frozen=True, kw_only=True):
    """A kind of message that is not understood; `kind` is its type where that is documented, else `other`."""

    kind: str


class Malformed(Message, frozen=True, kw_only=True):
    """A message of kind `kind` with a field that is missing or wrong; `market` is empty where it could not be read."""

    kind: str
    market: str
    error: Exception
