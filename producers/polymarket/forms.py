"""Polymarket's messages field by field, as the venue writes them, and as it wrote them before.

All decimals are strings; what is empty is an empty string. Where recordings and pages differ in a field's type, both
types are taken. Fields that nobody here reads are left out: the venue adds new ones without notice.
"""

from typing import ClassVar, Literal

import msgspec

from producers.polymarket.messages import GlobalKind

Stamp = str | int
"""Unix milliseconds: a string in every recording."""

Side = Literal["BUY", "SELL"]


class Level(msgspec.Struct):
    """One level."""

    price: str
    size: str


class Entry(msgspec.Struct, gc=False):
    """One changed level of one token. `hash` and the best prices are those of the token's book after the change."""

    asset_id: str
    price: str
    size: str
    side: Side
    hash: str | None = ""
    best_bid: str | None = ""
    best_ask: str | None = ""


class OldEntry(msgspec.Struct, gc=False):
    """A changed level as of before September 2025: the token and the hash stand outside."""

    price: str
    size: str
    side: Side


class Book(msgspec.Struct, tag_field="event_type", tag="book"):
    """`book`: after a subscription, and again after a trade, then without tick and last trade price."""

    market: str
    asset_id: str
    timestamp: Stamp
    bids: list[Level]
    asks: list[Level]
    hash: str = ""
    tick_size: str | float | None = None
    last_trade_price: str | float | None = None
    min_order_size: str | float | None = None
    neg_risk: bool | None = None
    version: str | None = None


class PriceChange(msgspec.Struct, tag_field="event_type", tag="price_change"):
    """`price_change`: `price_changes` since September 2025, `changes` before, a bare level in 2024."""

    market: str
    timestamp: Stamp
    price_changes: list[Entry] | None = None
    asset_id: str = ""
    changes: list[OldEntry] | None = None
    hash: str = ""
    price: str = ""
    size: str = ""
    side: Side | None = None

    def entries(self) -> list[Entry]:
        """The changed levels in the present form; raises ValueError when the message has none of the three."""
        if self.price_changes is not None:
            return self.price_changes
        if not self.asset_id:
            raise ValueError("price_change without a token")
        if self.changes is not None:
            return [Entry(self.asset_id, one.price, one.size, one.side, self.hash) for one in self.changes]
        if self.side is None:
            raise ValueError("price_change without a change")
        return [Entry(self.asset_id, self.price, self.size, self.side, self.hash)]

    @property
    def form(self) -> str:
        """Which of the three forms it has."""
        if self.price_changes is not None:
            return "price_changes"
        return "bare" if self.changes is None else "changes"


class TickChange(msgspec.Struct, tag_field="event_type", tag="tick_size_change"):
    """`tick_size_change`: one for each token."""

    market: str
    new_tick_size: str
    timestamp: Stamp = 0


class LastTrade(msgspec.Struct, tag_field="event_type", tag="last_trade_price"):
    """`last_trade_price`: a print; `side` is the taker's."""

    market: str
    asset_id: str
    price: str
    size: str
    side: Side
    timestamp: Stamp
    transaction_hash: str = ""


class BestBidAsk(msgspec.Struct, tag_field="event_type", tag="best_bid_ask"):
    """`best_bid_ask`."""

    market: str
    asset_id: str
    best_bid: str = ""
    best_ask: str = ""


class NewMarket(msgspec.Struct, tag_field="event_type", tag="new_market"):
    """`new_market`."""

    KIND: ClassVar[GlobalKind] = "new_market"
    market: str = ""
    id: str | int = ""


class MarketResolved(msgspec.Struct, tag_field="event_type", tag="market_resolved"):
    """`market_resolved`."""

    KIND: ClassVar[GlobalKind] = "market_resolved"
    market: str = ""
    id: str | int = ""


Event = Book | PriceChange | TickChange | LastTrade | BestBidAsk | NewMarket | MarketResolved


class RestBook(msgspec.Struct):
    """A book of `POST /books`; its levels are read only when they are needed."""

    market: str
    asset_id: str
    timestamp: Stamp
    bids: msgspec.Raw
    asks: msgspec.Raw
    hash: str = ""
    tick_size: str | float | None = None
    last_trade_price: str | float | None = None
    min_order_size: str | float | None = None
    neg_risk: bool | None = None
    version: str | None = None
