"""Polymarket frames as the venue shapes them, and a market that tells its own book with its hashes."""

import hashlib
import json
from decimal import Decimal
from typing import Any

import msgspec

from schemas.records import Market
from tests.unit.producers.support import make_market

YES = "1810" + "0" * 60
NO = "9920" + "1" * 60
MARKET = "0x690f" + "a" * 60

WireLevels = list[tuple[str, str]]
Event = dict[str, Any]


def levels(pairs: WireLevels) -> list[dict[str, str]]:
    return [{"price": price, "size": size} for price, size in pairs]


def book_event(
    bids: WireLevels, asks: WireLevels, *, token: str = YES, market: str = MARKET, ts: int = 1000, **more: Any
) -> Event:
    sides = {"bids": levels(bids), "asks": levels(asks)}
    base = {"market": market, "asset_id": token, "timestamp": str(ts), "hash": "c5", **sides}
    return base | {"event_type": "book"} | more


def change_event(*changes: tuple[str, str, str, str], market: str = MARKET, ts: int = 1001, **more: Any) -> Event:
    """`changes` are (token, side, price, size)."""
    entries = [
        {"asset_id": token, "price": price, "size": size, "side": side, "hash": "1", "best_bid": "0", "best_ask": "1"}
        for token, side, price, size in changes
    ]
    base = {"market": market, "price_changes": entries, "timestamp": str(ts), "event_type": "price_change"}
    return base | more


def tick_event(new: str, *, token: str = YES, ts: int = 1002, market: str = MARKET) -> Event:
    base = {"event_type": "tick_size_change", "market": market, "asset_id": token}
    return base | {"old_tick_size": "0.01", "new_tick_size": new, "timestamp": str(ts)}


def trade_event(*, token: str = YES, price: str = "0.78", side: str = "BUY", market: str = MARKET) -> Event:
    base = {"market": market, "asset_id": token, "price": price, "size": "219.217767", "fee_rate_bps": "0"}
    more = {"side": side, "timestamp": "1790491136979", "transaction_hash": "0xabc"}
    return base | more | {"event_type": "last_trade_price"}


def touch_event(bid: str, ask: str, *, token: str = YES, market: str = MARKET, ts: int = 1003) -> Event:
    base = {"market": market, "asset_id": token, "best_bid": bid, "best_ask": ask, "spread": "0.01"}
    return base | {"timestamp": str(ts), "event_type": "best_bid_ask"}


def rest_book(bids: WireLevels, asks: WireLevels, *, token: str = YES, ts: int = 1000, **more: Any) -> Event:
    book = book_event(bids, asks, token=token, ts=ts, min_order_size="5", tick_size="0.01", neg_risk=False)
    del book["event_type"]
    return book | {"last_trade_price": "0.870"} | more


def encode(events: Any) -> bytes:
    return json.dumps(events).encode()


def shown(price: int) -> str:
    """1e-4 dollar as the venue prints it."""
    return f"{Decimal(price) / 10_000:f}"


class VenueMarket:
    """One market at the venue: its canonical levels, price (1e-4 dollar) to size text, and what its hashes cover.

    Everything that it tells carries the hash that the venue would give it, computed apart from the product.
    """

    def __init__(self, market: str = MARKET, yes: str = YES, no: str = NO, *, ms: int = 1000, **facts: Any) -> None:
        self.market, self.yes, self.no, self.ms = market, yes, no, ms
        self.bids: dict[int, str] = {4000: "100"}
        self.asks: dict[int, str] = {6000: "50.5"}
        usual = {"min_order_size": "5", "tick_size": "0.01", "neg_risk": False, "last_trade_price": "0.500"}
        self.facts: dict[str, Any] = usual | facts

    def record(self, step: int = 100) -> Market:
        market = make_market("polymarket", self.market, (self.yes, self.no), step)
        more = {"minimum_quantity": int(Decimal(self.facts["min_order_size"]) * 100)}
        protocol = self.facts.get("version", "v1")
        return msgspec.structs.replace(market, **more, negative_risk=self.facts["neg_risk"], protocol=protocol)

    def ladder(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """The YES book in the design's units, best first, sizes rounded down."""
        sides = (sorted(self.bids.items(), reverse=True), sorted(self.asks.items()))
        floored = [[(price, int(Decimal(size) * 100)) for price, size in side] for side in sides]
        return [one for one in floored[0] if one[1]], [one for one in floored[1] if one[1]]

    # What it tells

    def first(self) -> bytes:
        """The array that answers a subscription to both tokens."""
        return encode([self.book(self.yes, first=True), self.book(self.no, first=True)])

    def book(self, token: str = "", *, first: bool = False, **more: Any) -> Event:
        """A `book` event; only the first names tick and last trade price."""
        event = self._summary(token or self.yes)
        if first:
            named = ("tick_size", "last_trade_price", "version")
            event |= {name: self.facts[name] for name in named if name in self.facts}
        return event | {"event_type": "book"} | more

    def rest(self, token: str = "", **more: Any) -> Event:
        """A book of `POST /books`."""
        return self._summary(token or self.yes) | self.facts | more

    def change(self, side: str, price: int, size: str, *, ms: int | None = None, legs: str = "both") -> Event:
        """Move a level of the YES book (`bid`, `ask`) and tell of it."""
        self.move(side, price, size, ms=ms)
        return self.told([(side, price, size)], legs=legs)

    def move(self, side: str, price: int, size: str, *, ms: int | None = None) -> None:
        """Move a level without a word."""
        book = self.bids if side == "bid" else self.asks
        book.pop(price, None)
        if Decimal(size):
            book[price] = size
        self.ms = self.ms + 1 if ms is None else ms

    def told(self, changes: list[tuple[str, int, str]], *, legs: str = "both", **more: Any) -> Event:
        """A `price_change` about these levels of the YES book, with the hashes of the present book."""
        entries = []
        for side, price, size in changes:
            buys = side == "bid"
            if legs in ("both", "yes"):
                entries.append(self._entry(self.yes, "BUY" if buys else "SELL", price, size))
            if legs in ("both", "no"):
                entries.append(self._entry(self.no, "SELL" if buys else "BUY", 10_000 - price, size))
        event = {"market": self.market, "price_changes": entries, "timestamp": str(self.ms)}
        return event | {"event_type": "price_change"} | more

    def hash(self, token: str) -> str:
        """The venue's hash of a token's book as it stands."""
        summary = self._levels(token) | {"hash": ""}
        named = ("market", "asset_id", "timestamp", "hash", "bids", "asks")
        covered = {name: summary[name] for name in named} | self.facts
        return hashlib.sha1(json.dumps(covered, separators=(",", ":")).encode()).hexdigest()

    # Parts

    def _summary(self, token: str) -> Event:
        return self._levels(token) | {"hash": self.hash(token)}

    def _levels(self, token: str) -> Event:
        bids, asks = self._sides(token)
        base = {"market": self.market, "asset_id": token, "timestamp": str(self.ms)}
        return base | {
            "bids": levels([(shown(price), size) for price, size in sorted(bids.items())]),
            "asks": levels([(shown(price), size) for price, size in sorted(asks.items(), reverse=True)]),
        }

    def _sides(self, token: str) -> tuple[dict[int, str], dict[int, str]]:
        if token == self.yes:
            return self.bids, self.asks
        return {10_000 - p: size for p, size in self.asks.items()}, {10_000 - p: size for p, size in self.bids.items()}

    def _entry(self, token: str, side: str, price: int, size: str) -> Event:
        bids, asks = self._sides(token)
        best = {"best_bid": shown(max(bids, default=0)), "best_ask": shown(min(asks, default=10_000))}
        entry = {"asset_id": token, "price": shown(price), "size": size, "side": side, "hash": self.hash(token)}
        return entry | best
