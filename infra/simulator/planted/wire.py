"""Frames that an ordinary recording lacks: lost, repeated and late ones, new price grids, markets that stop trading."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from infra.simulator.exchange import BookFacts, TokenBook, book_hash, complement
from infra.simulator.frames import KalshiWriter
from infra.simulator.metadata import PolymarketFacts

LIFECYCLE_SID = 3


@dataclass(frozen=True, slots=True)
class Facts(PolymarketFacts):
    """A Polymarket market with its taker fee rate and its place in a neg-risk event."""

    rate: float = 0.07
    event: str = ""
    negative_risk: bool = False
    augmented: bool = False

    def hashed(self) -> BookFacts:
        """What the venue's hash covers besides stamp and levels."""
        return BookFacts(self.condition_id, self.tick, str(self.min_size), neg_risk=self.negative_risk)


@dataclass(slots=True)
class KalshiWire(KalshiWriter):
    """One subscription to books, and one to what happens to markets."""

    events: int = 0

    def lose(self, ticker: str, side: str, price: int, delta: int) -> None:
        """A change whose frame never arrives: its number is missing."""
        self.books[ticker].change(side, price, delta)
        self.seq += 1

    def withhold(self) -> str:
        """Take the newest frame back, to send it later."""
        return self.lines.pop()[1]

    def send(self, received_ns: int, text: str) -> None:
        """Send a frame verbatim, perhaps again."""
        self.lines.append((received_ns, text))

    def happened(self, received_ns: int, ticker: str, event: str) -> None:
        """An event of a market's life, such as `deactivated` or `determined`."""
        self.events += 1
        message = {"event_type": event, "market_ticker": ticker}
        frame = {"type": "market_lifecycle_v2", "sid": LIFECYCLE_SID, "seq": self.events, "msg": message}
        self.send(received_ns, msgspec.json.encode(frame).decode())


@dataclass(slots=True)
class PolymarketWire:
    """Frames of the market channel: both tokens in every message, hashes over the whole book after it."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    books: dict[str, TokenBook] = field(default_factory=dict)

    def whole(self, received_ns: int, stamp_ms: int, markets: Iterable[tuple[Facts, TokenBook]]) -> None:
        """One array with the `book` events of both tokens of every market."""
        events: list[dict[str, Any]] = []
        for facts, book in markets:
            self.books[facts.condition_id] = book
            events += [_book(facts, token, leg, stamp_ms) for token, leg in _legs(facts, book)]
        self._emit(received_ns, events)

    def change(self, received_ns: int, stamp_ms: int, facts: Facts, changes: Sequence[tuple[str, str, str]]) -> None:
        """One `price_change` with every level that moved, as (side, price, new size) of the YES token."""
        book = self.books[facts.condition_id]
        for side, price, size in changes:
            book.change(side, price, size)
        told = {token: _told(facts, token, leg, stamp_ms) for token, leg in _legs(facts, book)}
        listed = []
        for side, price, size in changes:
            other = "SELL" if side == "BUY" else "BUY"
            for token, leg_side, leg_price in ((facts.yes, side, price), (facts.no, other, complement(price))):
                listed.append({"asset_id": token, "price": leg_price, "size": size, "side": leg_side} | told[token])
        event = {"market": facts.condition_id, "price_changes": listed, "timestamp": str(stamp_ms)}
        self._emit(received_ns, event | {"event_type": "price_change"})

    def retick(self, received_ns: int, stamp_ms: int, facts: Facts, tick: str) -> None:
        """One `tick_size_change` for each token."""
        for token in facts.tokens:
            event = {"market": facts.condition_id, "asset_id": token, "timestamp": str(stamp_ms)}
            event |= {"old_tick_size": facts.tick, "new_tick_size": tick, "event_type": "tick_size_change"}
            self._emit(received_ns, event)

    def resolved(self, received_ns: int, stamp_ms: int, facts: Facts) -> None:
        """`market_resolved`: YES won."""
        event = {"market": facts.condition_id, "id": facts.slug, "assets_ids": list(facts.tokens)}
        event |= {"winning_asset_id": facts.yes, "winning_outcome": "Yes", "timestamp": str(stamp_ms)}
        self._emit(received_ns, event | {"event_type": "market_resolved"})

    def send(self, received_ns: int, text: str) -> None:
        """Send a frame verbatim, perhaps again."""
        self.lines.append((received_ns, text))

    def _emit(self, received_ns: int, body: Any) -> None:
        self.send(received_ns, msgspec.json.encode(body).decode())


def _legs(facts: Facts, book: TokenBook) -> tuple[tuple[str, TokenBook], tuple[str, TokenBook]]:
    return (facts.yes, book), (facts.no, book.mirrored())


def _told(facts: Facts, token: str, leg: TokenBook, stamp_ms: int) -> dict[str, str]:
    """What a change says of its token's book after it."""
    bid, ask = leg.best()
    digest = book_hash(facts.hashed(), token, str(stamp_ms), *leg.wire())
    return {"hash": digest, "best_bid": bid, "best_ask": ask}


def _book(facts: Facts, token: str, leg: TokenBook, stamp_ms: int) -> dict[str, Any]:
    bids, asks = leg.wire()
    return {
        "market": facts.condition_id,
        "asset_id": token,
        "timestamp": str(stamp_ms),
        "hash": book_hash(facts.hashed(), token, str(stamp_ms), bids, asks),
        "bids": [{"price": price, "size": size} for price, size in bids],
        "asks": [{"price": price, "size": size} for price, size in asks],
        "tick_size": facts.tick,
        "event_type": "book",
        "last_trade_price": "",
    }
