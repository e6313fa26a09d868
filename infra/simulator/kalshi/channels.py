"""Kalshi's websocket channels (numbered or not, which markets and actions each takes) and frames, as far as read here.

Source: the venue's websocket description (AsyncAPI). ``ticker_v2`` and ``multivariate`` no longer exist.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec

BOOK = "orderbook_delta"
TICKER = "ticker"
TRADE = "trade"
LIFECYCLE = "market_lifecycle_v2"
COMBO_LIFECYCLE = "multivariate_market_lifecycle"
FILL = "fill"
USER_ORDERS = "user_orders"
COMMUNICATIONS = "communications"
COMBO_PREFIX = "KXMVE"
"""Combos' tickers begin so; their lifecycle has a channel of its own."""

_MARKETS = frozenset({"add_markets", "delete_markets"})
_INDICES = frozenset({"indexlist", "subscribe_indices", "unsubscribe_indices"})
_UNDERLYINGS = frozenset({"underlying_list", "subscribe_underlyings", "unsubscribe_underlyings"})


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: ``markets`` says whether a subscription must, may or cannot name markets."""

    sequenced: bool
    markets: Literal["required", "optional", "none"]
    actions: frozenset[str] = _MARKETS
    private: bool = False


CHANNELS: dict[str, Channel] = {
    BOOK: Channel(True, "required", _MARKETS | {"get_snapshot"}),
    TICKER: Channel(False, "optional"),
    TRADE: Channel(True, "optional"),
    FILL: Channel(False, "optional", private=True),
    USER_ORDERS: Channel(False, "optional", private=True),
    "market_positions": Channel(False, "optional", private=True),
    LIFECYCLE: Channel(True, "none", frozenset()),
    COMBO_LIFECYCLE: Channel(True, "none", frozenset()),
    "order_group_updates": Channel(True, "none", frozenset(), private=True),
    COMMUNICATIONS: Channel(True, "none", frozenset(), private=True),
    "cfbenchmarks_value": Channel(True, "none", _INDICES),
    "cfbenchmarks_value_5hz": Channel(True, "none", _INDICES),
    "pyth_value": Channel(True, "none", _UNDERLYINGS),
}

CHANNEL_OF = {
    "orderbook_snapshot": BOOK,
    "orderbook_delta": BOOK,
    "trade": TRADE,
    "ticker": TICKER,
    "market_lifecycle_v2": LIFECYCLE,
    "event_lifecycle": LIFECYCLE,
    "event_fee_update": LIFECYCLE,
    "multivariate_market_lifecycle": COMBO_LIFECYCLE,
}
"""The channel of a public frame, by the frame's type."""

REPLIES = frozenset({"subscribed", "unsubscribed", "ok", "error"})


def lifecycle_channel(ticker: str) -> str:
    """The lifecycle channel of a market or event."""
    return COMBO_LIFECYCLE if ticker.startswith(COMBO_PREFIX) else LIFECYCLE


Number = str | int | float


class Envelope(msgspec.Struct):
    """A frame without its message."""

    type: str
    sid: int | None = None
    seq: int | None = None
    msg: msgspec.Raw = msgspec.Raw(b"{}")


class Message(msgspec.Struct):
    """The fields of a book message that matter here; messages of other channels only have the ticker."""

    market_ticker: str = ""
    market_id: str = ""
    yes_dollars_fp: list[tuple[Number, Number]] = []
    no_dollars_fp: list[tuple[Number, Number]] = []
    price_dollars: Number = "0"
    delta_fp: Number = "0"
    side: str = ""


class Subscribed(msgspec.Struct):
    """The message of a ``subscribed`` reply."""

    sid: int


ENVELOPE = msgspec.json.Decoder(Envelope)
MESSAGE = msgspec.json.Decoder(Message)
FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
