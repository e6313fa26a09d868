"""One Polymarket market: its two token books, what their hashes cover, and where in its life it stands."""

from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Any

from infra.simulator.engine import Level, MarketState
from infra.simulator.exchange import ONE_DOLLAR, BookFacts, TokenBook, book_hash, fixed
from infra.simulator.polymarket.catalogue import Listing

STALE_AGE_NS = 2_000_000_000
"""How old the book at least is that a stale REST answer shows, where the market has one that old."""


class Phase(StrEnum):
    """A market's life."""

    ANNOUNCED = "announced"  # on Gamma; the CLOB does not know it yet
    OPEN = "open"
    CLOSED = "closed"  # its end has passed; the book is empty
    RESOLVED = "resolved"  # there is a winner and no book any more


@dataclass(frozen=True, slots=True)
class TickBand:
    """The prices of a market: multiples of ``step`` from ``start`` to ``end``, 1e-4 dollar."""

    start: int
    end: int
    step: int


@dataclass(frozen=True, slots=True)
class View:
    """What the venue shows of a market at one moment."""

    facts: BookFacts
    books: dict[str, TokenBook]
    timestamp: str


@dataclass(slots=True)
class Market:
    """One condition: its two tokens (YES first) with their books, and what the hashes cover.

    The books are what has been published; in exchange mode the engine is ahead of them by what waits to be told.
    """

    listing: Listing
    facts: BookFacts
    books: dict[str, TokenBook]
    on_tape: frozenset[str]
    timestamp: str
    started: bool = False
    phase: Phase = Phase.OPEN
    accepting: bool = True
    winner: str = ""
    end: str = ""
    tick_held: bool = False
    _kept_ns: int = 0
    _views: list[View] = field(default_factory=list)

    @property
    def known(self) -> bool:
        """Whether the CLOB and the market channel know the market."""
        return self.phase in (Phase.OPEN, Phase.CLOSED)

    @property
    def tick(self) -> int:
        """The grid's step, 1e-4 dollar."""
        return fixed(self.facts.tick_size, 4)

    @property
    def yes(self) -> str:
        """The token of the first outcome."""
        return self.listing.tokens[0]

    def other(self, token: str) -> str:
        """The token of the other outcome."""
        yes, no = self.listing.tokens
        return no if token == yes else yes

    def book(self, token: str) -> TokenBook:
        """A token's book; the mirror of the other's when the tape never shows this token itself."""
        return self._of(self.books, token)

    def state(self, *, paused: bool) -> MarketState:
        """The market's trading state."""
        if self.phase is not Phase.OPEN:
            return "closed"
        return "halted" if paused or not self.accepting else "open"

    def ladder(self) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """The YES bids and asks in 1e-4 dollar and 1e-2 share, sizes floored, best first."""
        bids, asks = self.book(self.yes).wire()
        return _floored(bids), _floored(asks)

    def digest(self, token: str) -> str:
        """The hash of a token's book as it stands, with the market's time stamp."""
        return book_hash(self.facts, token, self.timestamp, *self.book(token).wire())

    def summary(self, token: str, view: View | None = None) -> dict[str, Any]:
        """The fields that a ``book`` event and REST ``/book`` share, with the hash of the whole book."""
        shown = view or self.view()
        bids, asks = self._of(shown.books, token).wire()
        return {
            "market": self.listing.condition_id,
            "asset_id": token,
            "timestamp": shown.timestamp,
            "hash": book_hash(shown.facts, token, shown.timestamp, bids, asks),
            "bids": [{"price": price, "size": size} for price, size in bids],
            "asks": [{"price": price, "size": size} for price, size in asks],
        }

    def event(self, token: str) -> dict[str, Any]:
        """The ``book`` event that opens a subscription."""
        return self.summary(token) | {
            "tick_size": self.facts.tick_size,
            "event_type": "book",
            "last_trade_price": self.facts.last_trade_price,
            **({"version": self.facts.version} if self.facts.version else {}),
        }

    def rest_book(self, token: str, view: View | None = None) -> dict[str, Any]:
        """REST ``/book``: the summary and everything else that its hash covers."""
        facts = (view or self.view()).facts
        return self.summary(token, view) | {
            "min_order_size": facts.min_order_size,
            "tick_size": facts.tick_size,
            "neg_risk": facts.neg_risk,
            "last_trade_price": facts.last_trade_price,
            **({"version": facts.version} if facts.version else {}),
        }

    def view(self) -> View:
        """The market as it is shown now; it changes with the market."""
        return View(self.facts, self.books, self.timestamp)

    def keep(self, now_ns: int, *, frozen: bool) -> None:
        """Before a change: remember the market once in a while, for stale answers; ``frozen``: only if it never was."""
        if (not frozen and now_ns - self._kept_ns >= STALE_AGE_NS) or not self._views:
            books = {token: TokenBook(dict(book.bids), dict(book.asks)) for token, book in self.books.items()}
            self._views = [*self._views[-1:], View(self.facts, books, self.timestamp)]
            self._kept_ns = now_ns

    def stale(self) -> View:
        """The oldest view that is remembered; the present one when nothing has changed yet."""
        return self._views[0] if self._views else self.view()

    def _of(self, books: dict[str, TokenBook], token: str) -> TokenBook:
        other = self.other(token)
        derived = token not in self.on_tape and other in self.on_tape
        return books[other].mirrored() if derived else books[token]


def wide_open(market: Market, token: str) -> dict[str, Any]:
    """The book that REST has been seen to answer wrongly: one level a side at the ends of the grid."""
    size = "1000"
    price = {side: str(Decimal(market.facts.tick_size) if side == "bids" else 1 - Decimal(market.facts.tick_size))
             for side in ("bids", "asks")}  # fmt: skip
    bids, asks = ([(price[side], size)] for side in ("bids", "asks"))
    shown = market.rest_book(token)
    shown["bids"], shown["asks"] = ([{"price": price[side], "size": size}] for side in ("bids", "asks"))
    return shown | {"hash": book_hash(market.facts, token, shown["timestamp"], bids, asks)}


def make_market(listing: Listing, stamp_ms: int, on_tape: frozenset[str] | None = None) -> Market:
    """A market with empty books; ``on_tape`` None: it is not played from a tape, both books are written."""
    version = listing.version if listing.version != "v1" else ""
    facts = BookFacts(listing.condition_id, listing.tick, listing.min_size, listing.neg_risk, version=version)
    books = {token: TokenBook() for token in listing.tokens}
    shown = frozenset(listing.tokens) if on_tape is None else on_tape
    return Market(listing, facts, books, shown, str(stamp_ms), started=on_tape is None, end=listing.end)


def trading_band(market: Market) -> TickBand:
    """The prices at which orders may rest: from one tick to one dollar less a tick."""
    return TickBand(market.tick, ONE_DOLLAR - market.tick, market.tick)


def _floored(levels: list[tuple[str, str]]) -> tuple[Level, ...]:
    found = [(fixed(price, 4), int(Decimal(size).scaleb(2).to_integral_value(ROUND_FLOOR))) for price, size in levels]
    return tuple(level for level in reversed(found) if level[1])
