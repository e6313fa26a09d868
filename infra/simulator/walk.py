"""The random walk of the generated tape: pairs of books that move one frame at a time and never cross."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from infra.simulator.edges import ONE_DOLLAR
from infra.simulator.exchange import TokenBook, plain_price, plain_size
from infra.simulator.frames import KalshiWriter, PolymarketWriter
from infra.simulator.metadata import PolymarketFacts

CENT = 100
VENUES = ("kalshi", "polymarket")
Side = dict[int, int]


@dataclass(slots=True)
class Book:
    """One venue's YES ladder: {price 1e-4: size 1e-2} of bids and asks."""

    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)

    def claim(self, outcome: str) -> list[tuple[int, int]]:
        """The asks of a claim, best first: NO is bought by hitting the YES bids."""
        if outcome == "yes":
            return sorted(self.asks.items())
        return sorted((ONE_DOLLAR - price, size) for price, size in self.bids.items())


@dataclass(slots=True)
class Pair:
    """A market on both venues around one fair price; one venue quotes tightly, the other widely."""

    name: str
    ticker: str
    market: PolymarketFacts
    fair: int
    tight: str
    half_spread: dict[str, int]
    depth: dict[str, int]
    whole: bool
    books: dict[str, Book] = field(default_factory=lambda: {venue: Book() for venue in VENUES})
    still: bool = False

    @property
    def wide(self) -> str:
        """The venue with the wide spread, where an edge can appear."""
        return next(venue for venue in VENUES if venue != self.tight)

    def wanted(self, venue: str, side: str) -> list[int]:
        """The prices at which this venue should quote a side around the fair price."""
        sign = -1 if side == "bids" else 1
        first = self.fair + sign * self.half_spread[venue]
        prices = [first + sign * step for step in range(self.depth[venue])]
        return [price * CENT for price in prices if 1 <= price <= 99]

    def best(self, side: str) -> int:
        """The best price of a side over both venues."""
        if side == "bids":
            return max((price for book in self.books.values() for price in book.bids), default=0)
        return min((price for book in self.books.values() for price in book.asks), default=ONE_DOLLAR)

    def allows(self, side: str, price: int) -> bool:
        """Whether a new level leaves every bid of both venues below every ask of both."""
        return price < self.best("asks") if side == "bids" else price > self.best("bids")

    def size(self, random: Random) -> int:
        """A new level's size: whole contracts where an edge is planted, any hundredth elsewhere."""
        return 100 * random.randrange(10, 61) if self.whole else random.randrange(500, 30_000)


@dataclass(slots=True)
class Recorder:
    """Turns level changes into both venues' frames."""

    kalshi: KalshiWriter = field(default_factory=KalshiWriter)
    polymarket: PolymarketWriter = field(default_factory=PolymarketWriter)

    def open(self, received_ns: int, pairs: Iterable[Pair]) -> None:
        """The first frames: a snapshot per Kalshi market, one array of books for Polymarket."""
        opened = []
        for pair in pairs:
            kalshi, polymarket = pair.books["kalshi"], pair.books["polymarket"]
            no = {ONE_DOLLAR - price: size for price, size in kalshi.asks.items()}
            self.kalshi.snapshot(received_ns, pair.ticker, kalshi.bids, no)
            book = TokenBook()
            sides = (polymarket.bids, polymarket.asks)
            book.replace(*([(plain_price(price), plain_size(size)) for price, size in side.items()] for side in sides))
            opened.append((pair.market, book))
        self.polymarket.open(received_ns, received_ns // 1_000_000, opened)

    def change(
        self, received_ns: int, exchange_ms: int, pair: Pair, venue: str, moves: list[tuple[str, int, int]]
    ) -> None:
        """One frame: (side, price, new size) moves, one on Kalshi, any number on Polymarket."""
        book = pair.books[venue]
        for side, price, size in moves:
            levels = book.bids if side == "bids" else book.asks
            if venue == "kalshi":
                outcome, leg = ("yes", price) if side == "bids" else ("no", ONE_DOLLAR - price)
                self.kalshi.delta(received_ns, pair.ticker, outcome, leg, size - levels.get(price, 0), exchange_ms)
            if size:
                levels[price] = size
            else:
                del levels[price]
        if venue == "polymarket":
            named = [("BUY" if side == "bids" else "SELL", plain_price(p), plain_size(s)) for side, p, s in moves]
            self.polymarket.change(received_ns, exchange_ms, pair.market, named)


def fill(pair: Pair, random: Random) -> None:
    """Give both venues' books of a pair their first levels."""
    for venue in VENUES:
        book = pair.books[venue]
        book.bids = {price: pair.size(random) for price in pair.wanted(venue, "bids")}
        book.asks = {price: pair.size(random) for price in pair.wanted(venue, "asks")}


def step(pair: Pair, venue: str, random: Random) -> list[tuple[str, int, int]]:
    """The moves of one ordinary frame; empty when there is nothing to do on this venue.

    A level that no longer belongs goes, or one that is missing comes if it crosses nothing; otherwise sizes change.
    """
    structural: list[tuple[str, int, int]] = []
    for side, levels in (("bids", pair.books[venue].bids), ("asks", pair.books[venue].asks)):
        wanted = pair.wanted(venue, side)
        if len(levels) > 1:
            structural += [(side, price, 0) for price in levels if price not in wanted]
        structural += [(side, price, pair.size(random)) for price in wanted if price not in levels]
    structural = [move for move in structural if not move[2] or pair.allows(move[0], move[1])]
    if structural and random.random() < 0.7:
        return [structural[random.randrange(len(structural))]]
    present = pair.books[venue]
    places = [("bids", price) for price in present.bids] + [("asks", price) for price in present.asks]
    count = 1 if venue == "kalshi" else random.randrange(1, 4)
    chosen = {places[random.randrange(len(places))]: None for _ in range(count)} if places else {}
    moves = [(side, price, pair.size(random)) for side, price in chosen]
    return [move for move in moves if move[2] != (present.bids if move[0] == "bids" else present.asks)[move[1]]]
