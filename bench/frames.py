"""The frames that producers are measured with: both venues' own forms, as a recording holds them.

Markets stand apart from one another, each with 20 levels a side in cents around its own middle. Every frame changes one
market: nearly always the size at one level, most often near the best price; levels go and come back. A few are what a
feed brings besides: trades, and whole books. Sizes are as the venues print them, and most are seen for the first time,
so little is looked up that a real feed would have to be parsed for. Hashes of Polymarket's messages are right.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Final

import msgspec

from infra.simulator.exchange import (
    ONE_DOLLAR,
    BookFacts,
    TokenBook,
    book_hash,
    contracts,
    dollars,
    plain_price,
    plain_size,
)
from infra.simulator.frames import KalshiWriter
from infra.simulator.metadata import PolymarketFacts, made_up_token
from schemas.records import Venue

START_NS: Final = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
MILLISECOND: Final = 1_000_000
CENT: Final = 100
LEVELS: Final = 20
TRADES: Final = 0.02
"""Share of Kalshi's frames that are trades, and of Polymarket's changes that are followed by one."""

SNAPSHOTS: Final = 0.01
"""Share of Kalshi's frames that are whole books: the answers to `get_snapshot`."""

SERIES: Final = "KXBENCH"
RULES: Final = (
    "If the value that the source agency first publishes is above the strike, the market resolves to Yes. " * 8
)
"""As long as rules are."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a tape holds: markets of each venue, frames of each venue a second, seconds."""

    markets: int
    rate: int
    seconds: int


@dataclass(slots=True)
class _Walk:
    """One market's YES ladder, {price: size} a side, and how it moves."""

    random: Random
    middle: int
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for level in range(LEVELS):
            self.bids[self.middle - (1 + level) * CENT] = self.size()
            self.asks[self.middle + level * CENT] = self.size()

    def size(self) -> int:
        """As often a few contracts as a few thousand, any hundredth of one."""
        return int(100 * 10 ** self.random.uniform(0.5, 3.8)) + self.random.randrange(100)

    def step(self) -> tuple[str, int, int, int]:
        """Side, price, the size before, the size after; the second best level of a side never goes."""
        side = self.random.choice(("bid", "ask"))
        level = min(int(self.random.expovariate(1 / 4)), LEVELS - 1)
        price = self.middle - (1 + level) * CENT if side == "bid" else self.middle + level * CENT
        levels = self.bids if side == "bid" else self.asks
        before = levels.get(price, 0)
        after = 0 if before and level != 1 and self.random.random() < 1 / 5 else self.size()
        if after:
            levels[price] = after
        else:
            del levels[price]
        return side, price, before, after


def kalshi_ticker(number: int) -> str:
    """A market of Kalshi's."""
    return f"{SERIES}-26JAN01-T{number:04d}.99"


def polymarket_facts(number: int) -> PolymarketFacts:
    """A market of Polymarket's."""
    condition = "0x" + sha256(f"bench {number}".encode()).hexdigest()
    yes, no = (made_up_token(f"{condition}:{outcome}") for outcome in ("Yes", "No"))
    return PolymarketFacts(
        condition, yes, no, slug=f"bench-{number:04d}", question=f"Bench question {number}", description=RULES
    )


def kalshi_lines(load: Load, seed: int = 1) -> list[tuple[int, str]]:
    """Receive times and frames of one connection: a snapshot of each market, then one frame after the other."""
    random = Random(seed)  # noqa: S311 - a load, not a secret
    writer, walks = KalshiWriter(), _walks(load, random)
    for number, walk in enumerate(walks):
        writer.snapshot(START_NS, kalshi_ticker(number), walk.bids, _no_leg(walk.asks))
    trades = 0
    for received_ns in _moments(load):
        number, kind = random.randrange(len(walks)), random.random()
        walk, ticker = walks[number], kalshi_ticker(number)
        sent_ms = received_ns // MILLISECOND - 20
        if kind < TRADES:
            trades += 1
            writer.lines.append((received_ns, _kalshi_trade(ticker, trades, walk, sent_ms)))
        elif kind < TRADES + SNAPSHOTS:
            writer.snapshot(received_ns, ticker, walk.bids, _no_leg(walk.asks))
        else:
            side, price, before, after = walk.step()
            outcome, leg = ("yes", price) if side == "bid" else ("no", ONE_DOLLAR - price)
            writer.delta(received_ns, ticker, outcome, leg, after - before, sent_ms)
    return writer.lines


def _kalshi_trade(ticker: str, number: int, walk: _Walk, sent_ms: int) -> str:
    price = walk.middle
    message: dict[str, Any] = {
        "trade_id": str(uuid.UUID(int=walk.random.getrandbits(128))),
        "market_ticker": ticker,
        "yes_price_dollars": dollars(price),
        "no_price_dollars": dollars(ONE_DOLLAR - price),
        "count_fp": contracts(walk.size()),
        "taker_side": "yes",
        "taker_outcome_side": "yes",
        "taker_book_side": "bid",
        "is_block_trade": False,
        "ts": sent_ms // 1000,
        "ts_ms": sent_ms,
    }
    return msgspec.json.encode({"type": "trade", "sid": 2, "seq": number, "msg": message}).decode()


def _no_leg(asks: dict[int, int]) -> dict[int, int]:
    return {ONE_DOLLAR - price: size for price, size in asks.items()}


class _Token:
    """A Polymarket market as the venue writes it, the YES token's book and what hashes cover besides."""

    def __init__(self, number: int, walk: _Walk) -> None:
        self.facts = polymarket_facts(number)
        self.walk = walk
        self.last_trade = ""
        self.book = TokenBook()
        sides = ([(plain_price(p), plain_size(s)) for p, s in side.items()] for side in (walk.bids, walk.asks))
        self.book.replace(*sides)

    def books(self, stamp_ms: int, *, first: bool) -> list[dict[str, Any]]:
        """A `book` event for each token; only the first ones tell tick and last trade price."""
        told = {"tick_size": self.facts.tick, "event_type": "book", "last_trade_price": self.last_trade}
        events = []
        for token, book in self._legs():
            bids, asks = book.wire()
            event = {
                "market": self.facts.condition_id,
                "asset_id": token,
                "timestamp": str(stamp_ms),
                "hash": self._hash(token, book, stamp_ms),
                "bids": [{"price": price, "size": size} for price, size in bids],
                "asks": [{"price": price, "size": size} for price, size in asks],
            }
            events.append(event | (told if first else {"event_type": "book"}))
        return events

    def change(self, stamp_ms: int) -> dict[str, Any]:
        """The next `price_change`: one level, both tokens."""
        side, price, _, size = self.walk.step()
        self.book.change("BUY" if side == "bid" else "SELL", plain_price(price), plain_size(size) if size else "0")
        changes = []
        for (token, book), leg in zip(self._legs(), (price, ONE_DOLLAR - price), strict=True):
            bid, ask = book.best()
            changes.append(
                {
                    "asset_id": token,
                    "price": plain_price(leg),
                    "size": plain_size(size) if size else "0",
                    "side": "BUY" if (side == "bid") == (token == self.facts.yes) else "SELL",
                    "hash": self._hash(token, book, stamp_ms),
                    "best_bid": bid,
                    "best_ask": ask,
                }
            )
        return {
            "market": self.facts.condition_id,
            "price_changes": changes,
            "timestamp": str(stamp_ms),
            "event_type": "price_change",
        }

    def trade(self, stamp_ms: int) -> dict[str, Any]:
        """A `last_trade_price` event; hashes of the same stamp or later cover its price."""
        best = self.book.best()[1]
        self.last_trade = f"{float(best):.3f}"
        digest = sha256(f"{self.facts.slug}:{stamp_ms}".encode()).hexdigest()
        return {
            "market": self.facts.condition_id,
            "asset_id": self.facts.yes,
            "price": best,
            "size": plain_size(self.walk.size()),
            "side": "BUY",
            "fee_rate_bps": "0",
            "timestamp": str(stamp_ms),
            "transaction_hash": f"0x{digest}",
            "event_type": "last_trade_price",
        }

    def _legs(self) -> tuple[tuple[str, TokenBook], tuple[str, TokenBook]]:
        return (self.facts.yes, self.book), (self.facts.no, self.book.mirrored())

    def _hash(self, token: str, book: TokenBook, stamp_ms: int) -> str:
        covered = BookFacts(
            self.facts.condition_id, self.facts.tick, str(self.facts.min_size), last_trade_price=self.last_trade
        )
        return book_hash(covered, token, str(stamp_ms), *book.wire())


def polymarket_lines(load: Load, seed: int = 2) -> list[tuple[int, str]]:
    """Receive times and frames of one connection: the array of all books, then one frame after the other.

    After a trade come both tokens' books again, then the print.
    """
    random = Random(seed)  # noqa: S311 - a load, not a secret
    markets = [_Token(number, walk) for number, walk in enumerate(_walks(load, random))]
    opened = [event for market in markets for event in market.books(START_NS // MILLISECOND, first=True)]
    lines = [(START_NS, _text(opened) + "\n")]
    waiting: list[dict[str, Any]] = []
    for received_ns in _moments(load):
        stamp_ms = received_ns // MILLISECOND - 20
        if not waiting:
            market = random.choice(markets)
            traded = random.random() < TRADES
            printed = [market.trade(stamp_ms)] if traded else []
            waiting.append(market.change(stamp_ms))
            waiting += [*market.books(stamp_ms, first=False), *printed] if traded else []
        lines.append((received_ns, _text(waiting.pop(0))))
    return lines


def _text(event: Any) -> str:
    return msgspec.json.encode(event).decode()


def _walks(load: Load, random: Random) -> list[_Walk]:
    return [_Walk(random, random.randrange(25, 76) * CENT) for _ in range(load.markets)]


def _moments(load: Load) -> Iterator[int]:
    """When the frames after the first books are received: one after the other at an even pace."""
    for number in range(load.rate * load.seconds):
        yield START_NS + 1_000_000_000 + number * 1_000_000_000 // load.rate


def frames_of(venue: Venue, load: Load) -> list[bytes]:
    """A venue's frames, the opening ones first."""
    lines = kalshi_lines(load) if venue == "kalshi" else polymarket_lines(load)
    return [text.encode() for _, text in lines]


def opening(venue: Venue, load: Load) -> int:
    """How many frames open a connection."""
    return load.markets if venue == "kalshi" else 1
