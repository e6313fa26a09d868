"""Frames through a venue's session on one core: decoded, checked, applied, a Book record made; nothing is published.

The session is the producers' own, its host drops what it is given. Times are handed in as a line hands them in. What
the hashes of Polymarket's messages cost depends on how many of them are checked: a connection checks up to 100 in 100
ms, and beyond that every market once in 100 ms. So there are two figures: receive times as the clock gives them, as in
a producer under full load; and receive times a millisecond apart, where every message is checked.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bench import core
from bench.figures import Figure, gather
from bench.frames import Load, frames_of, kalshi_ticker, opening, polymarket_facts
from bench.stack import BenchFailed
from producers.books import Clocks, PublishedBook, Receipt
from producers.kalshi.session import KalshiSession
from producers.polymarket.session import PolymarketSession
from producers.session import Session
from producers.transcript import Follow, Followed, Mark, Opened
from runtime.metrics import REGISTRY
from schemas.records import Book, Market, TickRange, Trade, Venue
from schemas.topics import HOME

MARKETS: Final = 100
DEPTH: Final = 32
CENTS: Final = (TickRange(start=0, end=10_000, step=100),)
SPACING_NS: Final = 1_000_000


class Sink:
    """A host that counts the books it is given and drops everything."""

    def __init__(self) -> None:
        self.books = 0
        self.problems: list[str] = []

    def say(self, book: Book | None) -> None:
        """Drop a book."""
        if book is not None:
            self.books += 1

    def trade(self, trade: Trade) -> None:
        """Drop a print."""

    def send(self, text: str) -> None:
        """There is nobody to send it to."""

    def ask(self, path: str, body: bytes | None = None) -> None:
        """There is nobody to ask."""

    def ping(self) -> None:
        """There is nobody to ping."""

    def mark(self, mark: Mark) -> None:
        """Time does not pass here."""

    def lose(self, reason: str, *, planned: bool = False) -> None:  # noqa: ARG002 - the hosts' general form
        """No frame of a sound feed may lead to this."""
        self.problems.append(reason)

    def undecodable(self, data: bytes, error: Exception) -> None:
        """No frame of a sound feed may lead to this."""
        self.problems.append(f"{error} in {data[:200]!r}")

    def understood(self) -> None:
        """As it should be."""

    def catalogue_changed(self, market: str) -> None:
        """There is no catalogue."""


@dataclass(frozen=True, slots=True)
class Run:
    """One pass: frames, seconds by the clock and of processor time, Books made, hashes of Polymarket's checked."""

    frames: int
    seconds: float
    processor_s: float
    books: int
    checked: int

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds


def measure(repeats: int, thousands: int, say: Callable[[str], None]) -> list[Figure]:
    """So many thousand frames of each venue, each time by a fresh session, once more than is counted."""
    load = Load(MARKETS, 1000, thousands)
    frames = {venue: frames_of(venue, load) for venue in HOME}
    kinds: list[tuple[str, Venue, int]] = [
        ("Kalshi", "kalshi", 0),
        ("Polymarket, hashes within the budget", "polymarket", 0),
        ("Polymarket, every hash", "polymarket", SPACING_NS),
    ]
    rates: list[dict[str, float]] = [{} for _ in range(repeats)]
    shares: list[dict[str, float]] = [{} for _ in range(repeats)]
    for title, venue, spacing_ns in kinds:
        run_once(venue, frames[venue], load, spacing_ns)
        for repeat in range(repeats):
            run = run_once(venue, frames[venue], load, spacing_ns)
            say(f"decoded and normalised, {title}: {run.rate:,.0f} frames/s")
            rates[repeat][title] = run.rate
            rates[repeat][f"- {title}, by processor time"] = run.frames / run.processor_s
            if venue == "polymarket":
                shares[repeat][f"- {title.partition(', ')[2]}: checked"] = 100 * run.checked / run.frames
    section = "frames decoded and normalised, one core"
    return gather(section, "frames/s", rates) + gather(section, "% of frames", shares)


def run_once(venue: Venue, frames: Sequence[bytes], load: Load, spacing_ns: int = 0) -> Run:
    """Feed one connection's frames to a fresh session; `spacing_ns` 0 takes receive times from the clock.

    Raises BenchFailed when the books are not right at the end: then nothing was measured.
    """
    sink = Sink()
    session, first = make_session(venue, sink, load.markets), opening(venue, load)
    now, begin_ns = time.time_ns, time.time_ns()
    for number, data in enumerate(frames[:first]):
        session.frame(Receipt("bench", number, begin_ns, begin_ns), data, begin_ns)
    before, hashes = sink.books, _hashes()
    begun, used = time.perf_counter(), time.thread_time()
    for number, data in enumerate(frames[first:], first):
        received_ns = now() if not spacing_ns else begin_ns + number * spacing_ns
        session.frame(Receipt("bench", number, received_ns, received_ns), data, now())
    seconds, used = time.perf_counter() - begun, time.thread_time() - used
    counted = {outcome: count - hashes[outcome] for outcome, count in _hashes().items()}
    run = Run(len(frames) - first, seconds, used, sink.books - before, counted["matched"])
    problems = _problems(session, sink, run)
    if counted["mismatched"]:
        problems.append(f"{counted['mismatched']} hashes did not fit")
    if spacing_ns and counted["under load"]:
        problems.append(f"{counted['under load']} hashes were not checked")
    if problems:
        raise BenchFailed(f"{venue}: {'; '.join(problems)}")
    return run


def make_session(venue: Venue, sink: Any, markets: int) -> Session[Any]:
    """A venue's session that follows the markets of a load and has been opened."""
    clocks = Clocks()

    def published(followed: Followed) -> PublishedBook:
        return PublishedBook(venue, followed.market.market, followed.group, DEPTH, clocks)

    session: Session[Any] = KalshiSession(sink, published) if venue == "kalshi" else PolymarketSession(sink, published)
    ns = time.time_ns()
    follow = Follow(tuple(Followed(market_of(venue, number), f"bench-{number:04d}") for number in range(markets)))
    session.mark(Receipt("bench", 0, ns, ns), follow, ns)
    session.mark(Receipt("bench", 1, ns, ns), Opened(), ns)
    return session


def market_of(venue: Venue, number: int) -> Market:
    """A market of a load, as its catalogue describes it."""
    if venue == "kalshi":
        return msgspec.structs.replace(core.market(venue, kalshi_ticker(number)), ticks=CENTS)
    facts = polymarket_facts(number)
    return msgspec.structs.replace(
        core.market(venue, facts.condition_id), ticks=CENTS, tokens=facts.tokens, minimum_quantity=100 * facts.min_size
    )


def _hashes() -> dict[str, int]:
    """How many hashes were checked so far, by what became of them."""
    outcomes = ("matched", "mismatched", "under load")
    labels = {outcome: {"venue": "polymarket", "outcome": outcome} for outcome in outcomes}
    return {one: int(REGISTRY.get_sample_value("dutchbook_hash_checks_total", labels[one]) or 0) for one in outcomes}


def _problems(session: Session[Any], sink: Sink, run: Run) -> list[str]:
    """Why a run measured nothing: the books were not those of a sound feed."""
    problems = sink.problems[:3]
    dead = sum(not book.published.live for book in session.books.values())
    if dead:
        problems.append(f"{dead} of {len(session.books)} books were not live at the end")
    if run.books < 0.9 * run.frames:
        problems.append(f"{run.frames} frames gave {run.books} books")
    return problems
