"""Rebuilding books from a tape: the venue's frames in the order in which they were received, and nothing else."""

import asyncio
import heapq
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import httpx

from infra.rebuild import Entry, Rebuilder
from infra.simulator.kalshi.auth import Verifier
from infra.simulator.kalshi.rest import KalshiRest
from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.polymarket.rest import PolymarketRest
from infra.simulator.polymarket.venue import PolymarketVenue
from infra.simulator.recorded import Reply, Request
from infra.simulator.tape import Tape, TapeError, TapeFrame
from producers.catalogue import Catalogue
from producers.kalshi.catalogue import KalshiCatalogue
from producers.kalshi.rest import Rest as KalshiCalls
from producers.polymarket.catalogue import PolymarketCatalogue
from producers.polymarket.rest import Rest as PolymarketCalls
from producers.refusals import RestError
from producers.resilience import RestClient
from producers.transcript import Follow, Followed, Hold, Opened, encode_mark
from runtime import logs
from schemas.records import Book, Venue

CONNECTION: Final = "tape-0"
ADDRESS: Final = "http://127.0.0.1"

Played = tuple[Venue, int, list[Book]]
"""A venue's frame: its receive time, and the books that follow from it, often none."""


class Player:
    """Plays a tape: every frame of these venues in order of receive time, with the books that it says.

    `followed` are the markets of each venue that books are wanted of. `broken` counts frames that were no messages.
    """

    def __init__(self, tape: Tape, depth: int, followed: Mapping[Venue, Sequence[Followed]]) -> None:
        self._tape = tape
        self._followed = followed
        self._rebuilders = {venue: Rebuilder(venue, depth, use_yes_price=tape.use_yes_price) for venue in followed}
        self._frames = dict.fromkeys(followed, 0)

    @property
    def frames(self) -> int:
        """How many frames have been played."""
        return sum(self._frames.values())

    @property
    def broken(self) -> int:
        """How many of them could not be understood."""
        return sum(rebuilder.broken for rebuilder in self._rebuilders.values())

    def play(self) -> Iterator[Played]:
        """All frames; raises TapeError where the tape is damaged, after everything before that."""
        stamped = (self._stamped(venue) for venue in self._followed)
        for received_ns, venue, frame in heapq.merge(*stamped, key=lambda entry: entry[0]):
            rebuilder, number = self._rebuilders[venue], self._frames[venue]
            if not number:
                for mark in (Follow(tuple(self._followed[venue])), Opened()):
                    rebuilder.take(Entry(CONNECTION, 0, received_ns, "mark", encode_mark(mark)))
            books = rebuilder.take(Entry(CONNECTION, number, received_ns, "ws", frame.text.encode()))
            self._frames[venue] = number + 1
            yield venue, received_ns, books

    def close(self, venue: Venue, market: str, reason: str, at_ns: int) -> list[Book]:
        """The clock closes a market at a moment between the frames."""
        mark = encode_mark(Hold((market,), "closed", reason))
        return self._rebuilders[venue].take(Entry(CONNECTION, self._frames[venue], at_ns, "mark", mark))

    def _stamped(self, venue: Venue) -> Iterator[tuple[int, Venue, TapeFrame]]:
        return ((frame.received_ns, venue, frame) for frame in self._tape.frames(venue))


def rebuilt(tape: Tape, depth: int, venues: tuple[Venue, ...]) -> Iterator[Book]:
    """The books of a tape, both venues' merged by receive time; `Book.frame` counts the venue's frames from 0."""
    followed = {venue: _followed(tape, venue) for venue in venues}
    for _, _, books in Player(tape, depth, followed).play():
        yield from books


def _followed(tape: Tape, venue: Venue) -> list[Followed]:
    """The tape's markets as the producer would describe them; what it would not follow is named in the log."""
    catalogue = described(readable(tape), venue, time.time_ns())
    for market, problem in (catalogue.failed | catalogue.refused).items():
        logs.get(venue=venue).error("market not followed", market=market, problem=problem)
    return [Followed(each.market) for each in catalogue.found.values()]


# What a tape says of its markets


class _Readable(Tape):
    """A tape that ends before its first damaged line: for a first look, as whoever plays it hears of the damage."""

    def frames(self, venue: str) -> Iterator[TapeFrame]:
        with suppress(TapeError):
            yield from super().frames(venue)


class _Silent(Tape):
    """A tape without its frames: what is known from its REST bodies alone."""

    def frames(self, venue: str) -> Iterator[TapeFrame]:  # noqa: ARG002 - a tape's general form
        return iter(())


def readable(tape: Tape) -> Tape:
    """The tape up to its first damaged line."""
    return _Readable(tape.folder, tape.use_yes_price)


def silent(tape: Tape) -> Tape:
    """The tape's REST bodies only."""
    return _Silent(tape.folder, tape.use_yes_price)


def described(tape: Tape, venue: Venue, now_ns: int, wanted: Collection[str] | None = None) -> Catalogue:
    """What the producer's own catalogue makes of the tape's markets (of those wanted) at a moment of the venue's clock.

    The tape's REST bodies answer it. A market of which there are only frames is described as the simulated venue
    would: ordinary fees, the price grid that its frames need, Polymarket's tokens in their order of appearance.
    Raises TapeError when the bodies are no answer.
    """
    describe = _describe_kalshi if venue == "kalshi" else _describe_polymarket
    try:
        return asyncio.run(describe(tape, now_ns, wanted))
    except RestError as error:
        raise TapeError(f"{tape.folder / venue / 'rest.json'}: {error}") from error


async def _describe_kalshi(tape: Tape, now_ns: int, wanted: Collection[str] | None) -> Catalogue:
    venue = KalshiVenue(tape, now=lambda: now_ns)
    client = _client("/trade-api/v2", KalshiRest(venue, Verifier()).answer)
    try:
        return await KalshiCatalogue(KalshiCalls(client)).describe(_chosen(venue.books, wanted), now_ns)
    finally:
        await client.close()


async def _describe_polymarket(tape: Tape, now_ns: int, wanted: Collection[str] | None) -> Catalogue:
    venue = PolymarketVenue(tape, now=lambda: now_ns)
    answer = PolymarketRest(venue).answer
    calls = PolymarketCalls(_client("", answer), _client("", answer))
    try:
        return await PolymarketCatalogue(calls).describe(_chosen(venue.markets, wanted))
    finally:
        await calls.close()


def _chosen(known: Mapping[str, Any], wanted: Collection[str] | None) -> list[str]:
    return [market for market in known if wanted is None or market in wanted]


def _client(path: str, answer: Callable[[Request], Reply]) -> RestClient:
    """A client whose venue is the tape."""

    def handle(request: httpx.Request) -> httpx.Response:
        query = list(request.url.params.multi_items())
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = answer(Request(request.method, request.url.path, query, request.content, headers))
        return httpx.Response(reply.status, json=reply.body)

    return RestClient(ADDRESS + path, _unsigned, transport=httpx.MockTransport(handle))


def _unsigned(_method: str, _path: str) -> dict[str, Any]:
    return {}
