"""Frames into Kafka as fast as they go, in a process of its own: `python -m bench.publishing BROKER VENUE WHAT FILE`.

`raw` is a venue's frames through `RawPublisher` alone. `line` is a whole line: the frames through the producers' own
session, so that raw frames, books and trades are published; only the socket is not real, frames are there when they are
asked for. Time runs from the first frame to the acknowledgement of the last record (acks=all, one broker). A reader
that must wait because too much is unacknowledged waits here as it would in a producer. FILE gets the list of runs.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from bench.frames import Load, frames_of, opening
from bench.normalise import market_of
from producers.books import Receipt
from producers.kalshi.session import KalshiSession
from producers.line import Line, WebsocketLine
from producers.polymarket.session import PolymarketSession
from producers.publisher import RawPublisher
from producers.session import Host, Session
from producers.sockets import QUEUED_FRAMES
from producers.tools import Tools
from producers.transcript import Followed
from runtime import logs
from runtime.kafka import DeadLetters, Publisher
from runtime.metrics import REGISTRY
from runtime.settings import FeedSettings
from runtime.settings import load as load_settings
from schemas.records import Venue
from schemas.topics import HOME

MARKETS: Final = 100
FLUSH_S: Final = 120.0
NEVER_NS: Final = 3_600_000_000_000
"""Nobody answers here, so nothing may be overdue."""


class Published(msgspec.Struct, frozen=True):
    """One run: frames of so many bytes on average, seconds by the clock and of processor time, and new books."""

    frames: int
    frame_bytes: float
    seconds: float
    processor_s: float
    books: int = 0


async def raw(publisher: Publisher, venue: Venue, frames: Sequence[bytes], times: int, connection: str) -> Published:
    """All frames, so many times over, through a RawPublisher until all are acknowledged."""
    out, now, count = RawPublisher(venue, publisher), time.time_ns, times * len(frames)
    begun, used = time.perf_counter(), time.process_time()
    for number in range(count):
        received_ns = now()
        if out.full():
            await out.room()
        out.frame(Receipt(connection, number, received_ns, received_ns), frames[number % len(frames)])
    await asyncio.to_thread(publisher.flush, FLUSH_S)
    seconds, used = time.perf_counter() - begun, time.process_time() - used
    return Published(count, sum(map(len, frames)) / len(frames), seconds, used)


class ReadySocket:
    """A connection whose frames are there already. `ended` is set when all have been taken and handled."""

    def __init__(self, frames: Sequence[bytes], opening: int) -> None:
        self._frames = iter(frames)
        self._opening = opening
        self._taken = 0
        self.began = 0.0
        self.used_before = 0.0
        self.ended = asyncio.Event()

    async def recv(self) -> bytes:
        """The next frame; as with a real socket, others have their turn whenever a full queue has been read."""
        if self._taken == self._opening:
            self.began, self.used_before = time.perf_counter(), time.process_time()
        if self._taken % QUEUED_FRAMES == 0:
            await asyncio.sleep(0)
        for frame in self._frames:
            self._taken += 1
            return frame
        self.ended.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody waits that long")

    async def send(self, text: str) -> None:
        """Nobody is there."""

    async def ping(self) -> Awaitable[object]:
        """A pong never comes."""
        return asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """There is nothing to close."""


async def line(publisher: Publisher, venue: Venue, frames: Sequence[bytes], load: Load) -> Published:
    """All frames over one line until everything that follows from them is acknowledged."""
    first = opening(venue, load)
    socket = ReadySocket(frames, first)

    async def connect(_url: str, _headers: Mapping[str, str]) -> ReadySocket:
        return socket

    settings = load_settings(FeedSettings)
    letters = DeadLetters(publisher, f"bench.{venue}", ratio=settings.dead_letter_ratio, run=settings.dead_letter_run)
    tools = Tools.make(venue, settings, publisher, letters, connect=connect)
    carried = make_line(tools)
    before = _books(venue)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(tools.books.run()), tasks.create_task(carried.run())]
        carried.add([Followed(market_of(venue, number), f"bench-{number:04d}") for number in range(load.markets)])
        await socket.ended.wait()
        tools.books.flush()
        await asyncio.to_thread(publisher.flush, FLUSH_S)
        seconds, used = time.perf_counter() - socket.began, time.process_time() - socket.used_before
        for task in running:
            task.cancel()
    counted = len(frames) - first
    size = sum(map(len, frames[first:])) / counted
    return Published(counted, size, seconds, used, _books(venue) - before)


def make_line(tools: Tools) -> Line[Any]:
    """A line of the venue that asks for nothing."""

    def session(host: Host, published: Any) -> Session[Any]:
        kind = KalshiSession if tools.venue == "kalshi" else PolymarketSession
        return kind(host, published, overdue_ns=NEVER_NS)

    async def no_rest(_path: str, _body: bytes | None) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError("nobody waits that long")

    return WebsocketLine(
        tools, session, no_rest, url="ws://bench", headers=dict, changed=_nothing, catalogue_changed=_nothing
    )


def _nothing(*_: object) -> None:
    """There is no feed to be told."""


def _books(venue: Venue) -> int:
    return int(REGISTRY.get_sample_value("dutchbook_books_published_total", {"venue": venue}) or 0)


async def _measure(options: argparse.Namespace) -> list[Published]:
    """One run that does not count, then the others."""
    load, venue = Load(MARKETS, 1000, options.thousands), options.venue
    frames = frames_of(venue, load)
    publisher = Publisher(options.bootstrap, f"bench.{venue}")
    runs = []
    try:
        for repeat in range(options.repeats + 1):
            if options.what == "raw":
                runs.append(await raw(publisher, venue, frames[opening(venue, load) :], options.times, f"{repeat}"))
            else:
                runs.append(await line(publisher, venue, frames, load))
    finally:
        await asyncio.to_thread(publisher.close)
    return runs[1:]


def main() -> int:
    """Measure and write; the exit code is 0 unless something raises."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.publishing", description="Publish frames as fast as it goes."
    )
    parser.add_argument("bootstrap", help="a cluster with the topics")
    parser.add_argument("venue", choices=tuple(HOME))
    parser.add_argument("what", choices=("raw", "line"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--thousands", type=int, default=20, help="so many thousand different frames")
    parser.add_argument("--times", type=int, default=10, help="raw: each frame so many times")
    options = parser.parse_args()
    logs.configure("bench")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runs = runner.run(_measure(options))
    options.file.write_bytes(msgspec.json.encode(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
