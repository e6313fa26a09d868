"""The stage on which cases are played: two venues, what they truly have, what is heard of it, and a clock.

A market has two books here. `true` is the venue's, where orders are filled; `seen` is what a careful reader knows from
the frames so far, `live` whether it may believe that. They differ only where a case says so: frames that are lost,
repeated, late, or not sent while a feed is silent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final

from infra.simulator.edges import MIN_WORTH, ONE_DOLLAR
from infra.simulator.exchange import TokenBook, plain_price, plain_size
from infra.simulator.metadata import made_up_token
from infra.simulator.planted.payoffs import Tie
from infra.simulator.planted.wire import Facts, KalshiWire, PolymarketWire
from infra.simulator.walk import Book

START_NS: Final = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""
MILLISECOND: Final = 1_000_000
SECOND: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND
PULSE_NS: Final = 500 * MILLISECOND
"""Each feed says something this often, unless it is silent."""
FRESH_NS: Final = 5 * SECOND
"""A book whose venue has said nothing for longer than this is stale."""
LATENCY_MS: Final = 20
"""From the venue's stamp to the frame's receipt."""
STANDARD_RATE: Final = 70_000
SERIES: Final = "KXPLANTED"
ASSETS_A_FRAME: Final = 50

Change = tuple[str, int, int]
"""Side ("bids" or "asks"), price and new size of a level."""


class PlantError(ValueError):
    """A case does not do what it promises; the message names the group or the market, and what is wrong."""


@dataclass(slots=True)
class Listed:
    """A market on stage. `rate` is the taker's in millionths, `grid` its price step now, `close_ns` when it closes."""

    venue: str
    name: str
    title: str
    rate: int
    grid: int
    close_ns: int
    series: str = ""
    facts: Facts | None = None
    minimum_quantity: int = 1
    minimum_value: int = 0
    true: Book = field(default_factory=Book)
    seen: Book = field(default_factory=Book)
    live: bool = False
    trading: bool = True
    opening_grid: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Venue and name."""
        return self.venue, self.name


Claims = frozenset[tuple[Listed, str]]


@dataclass(frozen=True, slots=True)
class Moment:
    """A book from some moment on: usable if it is believed (seen) or the market trades (truth), on a price grid."""

    t_ns: int
    key: tuple[str, str]
    bids: dict[int, int]
    asks: dict[int, int]
    usable: bool
    grid: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What the case promises: these claims pay (kind "true") or only seem to, from one moment to another.

    `knowable` is False for an edge that every reader of the frames must see although the venues never had it.
    """

    claims: tuple[tuple[tuple[str, str], str], ...]
    kind: str
    reason: str
    open_ns: int
    close_ns: int
    knowable: bool = True


@dataclass(slots=True)
class Cast:
    """A group with its case: markets, relations, evidence, and what is expected of it.

    `charged` says that only charges (time, void, mismatch) make its false edges false.
    """

    name: str
    case: str
    members: list[Listed]
    ties: list[Tie]
    evidence: dict[str, Any]
    charged: bool = False
    expected: list[Expected] = field(default_factory=list)
    standing: dict[tuple[frozenset[tuple[tuple[str, str], str]], str], tuple[int, str, bool]] = field(
        default_factory=dict
    )

    @property
    def augmented(self) -> bool:
        """Whether its event may still get further outcomes."""
        return any(market.facts is not None and market.facts.augmented for market in self.members)


class Stage:
    """Lists markets, plays their frames, keeps the books of both kinds."""

    def __init__(self) -> None:
        self.now = START_NS
        self.kalshi = KalshiWire()
        self.polymarket = PolymarketWire()
        self.markets: list[Listed] = []
        self.casts: list[Cast] = []
        self.seen: list[Moment] = []
        self.truth: list[Moment] = []
        self.skew_ms = {"kalshi": 0, "polymarket": 0}
        self.silent: set[str] = set()
        self._pulses = {
            venue: self.list_market(venue, f"pulse-{venue}", f"Is {venue} awake", Book({1000: 100}, {9000: 100}))
            for venue in ("kalshi", "polymarket")
        }
        self._due = {"kalshi": START_NS + PULSE_NS // 2, "polymarket": START_NS + PULSE_NS}

    # Before the play

    def list_market(
        self,
        venue: str,
        slug: str,
        title: str,
        book: Book,
        *,
        days: float = 20,
        rate: int = STANDARD_RATE,
        grid: int = 100,
        minimum: int = 5,
        **more: Any,
    ) -> Listed:
        """A market with its opening book; `minimum` is Polymarket's smallest order in shares, `more` goes to Facts."""
        close_ns = START_NS + round(days * DAY_NS)
        if venue == "kalshi":
            series = SERIES if rate == STANDARD_RATE else f"{SERIES}{rate}"
            name = f"{series}-26JAN-{slug.upper().replace('-', '')}"
            market = Listed(venue, name, title, rate, grid, close_ns, series=series)
        else:
            condition = "0x" + sha256(f"planted:{slug}".encode()).hexdigest()
            yes, no = (made_up_token(f"{condition}:{outcome}") for outcome in ("Yes", "No"))
            facts = Facts(
                condition, yes, no, slug, title, tick=plain_price(grid), min_size=minimum, rate=rate / 1_000_000, **more
            )
            market = Listed(venue, condition, title, rate, grid, close_ns, facts=facts)
            market.minimum_quantity, market.minimum_value = 100 * minimum, MIN_WORTH
        market.true, market.seen = (Book(dict(book.bids), dict(book.asks)) for _ in range(2))
        market.opening_grid = grid
        self.markets.append(market)
        return market

    def cast(
        self,
        name: str,
        case: str,
        ties: Iterable[tuple[str, Iterable[Listed]]],
        *,
        charged: bool = False,
        **evidence: Any,
    ) -> Cast:
        """A group: each relation with its markets."""
        listed = [(relation, list(markets)) for relation, markets in ties]
        members: dict[tuple[str, str], Listed] = {}
        for _, markets in listed:
            members |= {market.key: market for market in markets}
        places = {key: at for at, key in enumerate(members)}
        found = [Tie(relation, tuple(places[market.key] for market in markets)) for relation, markets in listed]
        self.casts.append(Cast(name, case, list(members.values()), found, evidence, charged))
        return self.casts[-1]

    def open(self) -> None:
        """Every market's first whole book."""
        for market in self.markets:
            if market.facts is None:
                self._snapshot(market)
        shown = [market for market in self.markets if market.facts is not None]
        for at in range(0, len(shown), ASSETS_A_FRAME):
            self.now += MILLISECOND
            self.whole(*shown[at : at + ASSETS_A_FRAME])

    # Time

    def wait(self, milliseconds: int) -> None:
        """Let time pass; a feed that is not silent says something now and then."""
        until = self.now + milliseconds * MILLISECOND
        while min(self._due.values()) <= until:
            venue = min(self._due, key=lambda name: self._due[name])
            self.now = max(self.now, self._due[venue])
            self._due[venue] += PULSE_NS
            if venue not in self.silent:
                size = 100 if self._pulses[venue].true.bids[1000] != 100 else 200
                self.move(self._pulses[venue], ("bids", 1000, size))
        self.now = until

    def wait_until(self, moment_ns: int) -> None:
        """Let time pass up to a moment that is no whole number of milliseconds away."""
        self.wait((moment_ns - self.now) // MILLISECOND)
        self.now = moment_ns

    def heard_ns(self, venue: str) -> int:
        """When a venue's newest frame was received."""
        return self._wire(venue).lines[-1][0]

    # What happens

    def move(self, market: Listed, *changes: Change) -> None:
        """The venue changes levels, one at a time on Kalshi, and everyone hears of it."""
        self.change_unheard(market, *changes)
        self.tell(market, *changes)

    def change_unheard(self, market: Listed, *changes: Change) -> None:
        """The venue changes levels; no frame tells of it yet."""
        _apply(market.true, changes)
        self._note(self.truth, market, market.true, usable=market.trading)

    def tell(self, market: Listed, *changes: Change, stamp_ns: int | None = None) -> None:
        """Frames tell of changes that the venue has made, at `stamp_ns` where that is not just now."""
        if market.facts is None:
            for side, price, size in changes:
                outcome, leg = _leg(side, price)
                before = self.kalshi.books[market.name].side(outcome).get(leg, 0)
                self.kalshi.delta(self.now, market.name, outcome, leg, size - before, self._stamp("kalshi", stamp_ns))
        else:
            named = [("BUY" if side == "bids" else "SELL", plain_price(p), plain_size(s)) for side, p, s in changes]
            self.polymarket.change(self.now, self._stamp("polymarket", stamp_ns), market.facts, named)
        _apply(market.seen, changes)
        self._note(self.seen, market, market.seen, usable=market.live)

    def lose(self, market: Listed, change: Change) -> None:
        """Kalshi changes a level and the frame is lost."""
        side, price, size = change
        outcome, leg = _leg(side, price)
        before = self.kalshi.books[market.name].side(outcome).get(leg, 0)
        self.kalshi.lose(market.name, outcome, leg, size - before)
        self.change_unheard(market, change)

    def doubt_kalshi(self) -> None:
        """A gap was seen: until they come whole again, no book of the subscription may be believed."""
        for market in self.markets:
            if market.facts is None:
                self.believe(market, live=False)

    def heal_kalshi(self) -> None:
        """Whole books of everything that trades on Kalshi."""
        for market in self.markets:
            if market.facts is None:
                self._snapshot(market)

    def heal(self, market: Listed) -> None:
        """A whole book of one market."""
        if market.facts is None:
            self._snapshot(market)
        else:
            self.whole(market)

    def whole(self, *markets: Listed) -> None:
        """One array with whole books of Polymarket's."""
        books = []
        for market in markets:
            assert market.facts is not None
            book, sides = TokenBook(), (market.true.bids, market.true.asks)
            book.replace(*([(plain_price(price), plain_size(size)) for price, size in side.items()] for side in sides))
            books.append((market.facts, book))
        self.polymarket.whole(self.now, self._stamp("polymarket", None), books)
        for market in markets:
            self._shown(market)

    def retick(self, market: Listed, grid: int) -> None:
        """Another price grid: orders off it are gone, and nothing is to be believed until the book comes whole."""
        assert market.facts is not None
        self.polymarket.retick(self.now, self._stamp("polymarket", None), market.facts, plain_price(grid))
        market.facts, market.grid = replace(market.facts, tick=plain_price(grid)), grid
        self.change_unheard(market, *_off_grid(market.true, grid))
        market.seen = Book(dict(market.true.bids), dict(market.true.asks))
        self.believe(market, live=False)

    def stop(self, market: Listed, event: str) -> None:
        """The venue ends or pauses trading: `deactivated`, `determined` (Kalshi), `resolved` (Polymarket)."""
        if market.facts is None:
            self.kalshi.happened(self.now, market.name, event)
        else:
            self.polymarket.resolved(self.now, self._stamp("polymarket", None), market.facts)
        self.trade(market, trading=False)
        self.believe(market, live=False)

    def restart(self, market: Listed) -> None:
        """Kalshi lets a paused market trade again; resting orders are gone, the book comes whole."""
        self.kalshi.happened(self.now, market.name, "activated")
        market.true = Book()
        self.trade(market, trading=True)

    def trade(self, market: Listed, *, trading: bool) -> None:
        """Whether the venue takes orders, told or not."""
        market.trading = trading
        self._note(self.truth, market, market.true, usable=trading)

    def believe(self, market: Listed, *, live: bool) -> None:
        """Whether a careful reader believes what it has seen."""
        market.live = live
        self._note(self.seen, market, market.seen, usable=live)

    # What is expected of it

    def opens(self, cast: Cast, *claims: tuple[Listed, str], reason: str = "", knowable: bool = True) -> None:
        """From now on these claims pay."""
        cast.standing[_key(claims), "true" if knowable else "false"] = (self.now, reason, knowable)

    def tempts(self, cast: Cast, *claims: tuple[Listed, str], reason: str) -> None:
        """From now on these claims seem to pay to who makes the mistake that the case is about."""
        cast.standing[_key(claims), "false"] = (self.now, reason, True)

    def ends(self, cast: Cast) -> None:
        """What stood until now stands no more."""
        for (claims, kind), (open_ns, reason, knowable) in cast.standing.items():
            ordered = tuple(sorted(claims))
            cast.expected.append(Expected(ordered, kind, reason, open_ns, self.now, knowable))
        cast.standing.clear()

    # Inside

    def _wire(self, venue: str) -> KalshiWire | PolymarketWire:
        return self.kalshi if venue == "kalshi" else self.polymarket

    def _stamp(self, venue: str, stamp_ns: int | None) -> int:
        moment_ms = self.now // MILLISECOND - LATENCY_MS if stamp_ns is None else stamp_ns // MILLISECOND
        return moment_ms + self.skew_ms[venue]

    def _snapshot(self, market: Listed) -> None:
        no = {ONE_DOLLAR - price: size for price, size in market.true.asks.items()}
        self.kalshi.snapshot(self.now, market.name, market.true.bids, no)
        self._shown(market)

    def _shown(self, market: Listed) -> None:
        """The whole book was told."""
        market.seen = Book(dict(market.true.bids), dict(market.true.asks))
        self._note(self.truth, market, market.true, usable=market.trading)
        self.believe(market, live=market.trading)

    def _note(self, where: list[Moment], market: Listed, book: Book, *, usable: bool) -> None:
        if max(book.bids, default=0) >= min(book.asks, default=ONE_DOLLAR + 1):
            raise PlantError(f"{market.title}: its own bids and asks cross: {book}")
        where.append(Moment(self.now, market.key, dict(book.bids), dict(book.asks), usable, market.grid))


def _apply(book: Book, changes: Iterable[Change]) -> None:
    for side, price, size in changes:
        levels = book.bids if side == "bids" else book.asks
        if size:
            levels[price] = size
        else:
            levels.pop(price, None)


def _leg(side: str, price: int) -> tuple[str, int]:
    """How Kalshi names a level: its own outcome's bid."""
    return ("yes", price) if side == "bids" else ("no", ONE_DOLLAR - price)


def _off_grid(book: Book, grid: int) -> list[Change]:
    sides = (("bids", book.bids), ("asks", book.asks))
    return [(name, price, 0) for name, levels in sides for price in levels if price % grid]


def _key(claims: Iterable[tuple[Listed, str]]) -> frozenset[tuple[tuple[str, str], str]]:
    return frozenset((market.key, side) for market, side in claims)
