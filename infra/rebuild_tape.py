"""Rebuilding books from a tape: the venue's frames in the order in which they were received, and nothing else."""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx

from infra.rebuild import Entry, Rebuilder, rebuild
from infra.simulator.kalshi.auth import Verifier
from infra.simulator.kalshi.rest import KalshiRest
from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.polymarket.rest import PolymarketRest
from infra.simulator.polymarket.venue import PolymarketVenue
from infra.simulator.recorded import Reply, Request
from infra.simulator.tape import Tape
from producers.catalogue import Catalogue
from producers.kalshi.catalogue import KalshiCatalogue
from producers.kalshi.rest import Rest as KalshiCalls
from producers.polymarket.catalogue import PolymarketCatalogue
from producers.polymarket.rest import Rest as PolymarketCalls
from producers.resilience import RestClient
from producers.transcript import Follow, Followed, Opened, encode_mark
from runtime import logs
from schemas.records import Book, Venue

CONNECTION: Final = "tape-0"
ADDRESS: Final = "http://127.0.0.1"


def rebuilt(tape: Tape, depth: int, venues: tuple[Venue, ...]) -> Iterator[Book]:
    """The books of a tape, both venues' merged by receive time; `Book.frame` counts the venue's frames from 0."""
    merged = heapq.merge(*(_entries(tape, venue) for venue in venues), key=lambda pair: pair[1].received_ns)
    rebuilders = {venue: Rebuilder(venue, depth, use_yes_price=tape.use_yes_price) for venue in venues}
    for venue, entry in merged:
        yield from rebuild([entry], rebuilders[venue])


def _entries(tape: Tape, venue: Venue) -> Iterator[tuple[Venue, Entry]]:
    """What the tape says of its markets, then its frames, numbered as if nothing had gone before them."""
    followed = asyncio.run(_followed(tape, venue))
    for number, frame in enumerate(tape.frames(venue)):
        if not number:
            for mark in (Follow(tuple(followed)), Opened()):
                yield venue, Entry(CONNECTION, 0, frame.received_ns, "mark", encode_mark(mark))
        yield venue, Entry(CONNECTION, number, frame.received_ns, "ws", frame.text.encode())


async def _followed(tape: Tape, venue: Venue) -> list[Followed]:
    """The tape's markets as the producer would describe them; what it would not follow is named in the log."""
    catalogue = await (_kalshi(tape) if venue == "kalshi" else _polymarket(tape))
    for market, problem in (catalogue.failed | catalogue.refused).items():
        logs.get(venue=venue).error("market not followed", market=market, problem=problem)
    return [Followed(described.market) for described in catalogue.found.values()]


async def _kalshi(tape: Tape) -> Catalogue:
    venue = KalshiVenue(tape)
    client = _client("/trade-api/v2", KalshiRest(venue, Verifier()).answer)
    try:
        return await KalshiCatalogue(KalshiCalls(client)).describe(list(venue.books), time.time_ns())
    finally:
        await client.close()


async def _polymarket(tape: Tape) -> Catalogue:
    venue = PolymarketVenue(tape)
    answer = PolymarketRest(venue).answer
    calls = PolymarketCalls(_client("", answer), _client("", answer))
    try:
        return await PolymarketCatalogue(calls).describe(list(venue.markets))
    finally:
        await calls.close()


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
