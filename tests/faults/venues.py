"""Both venue simulators and both producers as real processes on a real broker, and what can be seen of them."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import httpx
from confluent_kafka import OFFSET_END, TopicPartition

from infra.groups import publish_groups
from infra.local.child import ChildSpec
from infra.local.pipeline import Addresses, pipeline, simulator_environment
from infra.local.stack import make_key
from infra.simulator.faults import Fault
from runtime.kafka import Publisher, consumer, create_topics, end_offsets
from runtime.settings import FeedSettings, load
from schemas.codec import decode_books, encode
from schemas.records import Book, Group, Level, Member, Relation, Venue
from schemas.topics import HOME, REGIONS, creations, local_name
from tests.fidelity.harness import small_tape
from tests.integration.command import ROOT, until

VENUES: Final = tuple(HOME)
RATE: Final = 40.0
"""Actions of each exchange's traffic a second, over all markets."""

STATES: Final = {"open": "live", "halted": "halted", "closed": "closed"}
"""What is published of a market, by what it is at its venue."""

SETTINGS: Final = {"DUTCHBOOK_DEAD_LETTER_RATIO": "1", "DUTCHBOOK_DEAD_LETTER_RUN": "1000000"}
"""A producer gives up when most of what it reads is noise; here the noise is ours."""

Sides = tuple[tuple[Level, ...], tuple[Level, ...]]


@dataclass(frozen=True)
class Canonical:
    """A market as its venue has it."""

    state: str
    sides: Sides


class Simulator:
    """A venue simulator by its control face."""

    def __init__(self, venue: Venue, port: int) -> None:
        self.venue: Venue = venue
        self.port = port
        self._panel = httpx.Client(base_url=f"http://127.0.0.1:{port}/_simulator", timeout=10, trust_env=False)

    def suffer(self, fault: Fault, for_ms: int) -> None:
        """Set a fault for a while; 0 where it happens once."""
        names = ("name", "share", "delay_ms", "markets", "detail")
        body = {name: getattr(fault, name) for name in names} | {"for_ms": for_ms}
        shown = self._post("faults", body)["faults"]
        assert fault.once or [one["name"] for one in shown].count(fault.name) == 1

    def faults(self) -> list[str]:
        """The faults in force."""
        return [fault["name"] for fault in self._panel.get("faults").raise_for_status().json()["faults"]]

    def trade(self, rate: float) -> None:
        """Let the traffic act so often a second; 0 lets it rest."""
        self._post("rate", {"rate": rate})

    def books(self) -> dict[str, Canonical]:
        """Every market's true book, as deep as books are published."""
        depth = load(FeedSettings).book_depth
        found: dict[str, dict[str, Any]] = self._panel.get("books").raise_for_status().json()
        return {
            market: Canonical(book["state"], (_levels(book["bids"], depth), _levels(book["asks"], depth)))
            for market, book in found.items()
        }

    def close(self) -> None:
        """Ask no more."""
        self._panel.close()

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return cast(dict[str, Any], self._panel.post(path, json=body).raise_for_status().json())


def _levels(levels: list[list[int]], depth: int) -> tuple[Level, ...]:
    return tuple((price, size) for price, size in levels[:depth])


class Listener:
    """Reads the books of both venues from Kafka, from its beginning on, in a thread of its own."""

    def __init__(self, bootstrap: str) -> None:
        self.newest: dict[str, Book] = {}
        self.all: dict[Venue, list[Book]] = {venue: [] for venue in VENUES}
        self._client = consumer(bootstrap, "dutchbook-test-listener")
        ends = end_offsets(self._client, [f"book.{venue}" for venue in VENUES])
        self._client.assign([TopicPartition(topic, partition, OFFSET_END) for topic, partition in ends])
        self._client.consume(1, 1.0)  # only then do the ends stand where they are
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._ended.set()
        self._thread.join(10)
        self._client.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            for message in self._client.consume(500, 0.05):
                if message.error() is None:
                    for book in decode_books(message.value() or b""):
                        self._hear(book)

    def _hear(self, book: Book) -> None:
        if not book.republished:
            self.all[book.venue].append(book)
        if book.state != "moved":
            self.newest[book.market] = book


def sides_of(book: Book) -> Sides:
    """A published book's levels, best first."""
    bids, asks = book.sides()
    return tuple(bids), tuple(asks)


@dataclass
class Venues:
    """Everything that runs, and what to compare."""

    bootstrap: str
    started_ns: int
    simulators: dict[Venue, Simulator]
    producers: dict[Venue, subprocess.Popen[bytes]]
    listener: Listener
    grouped: frozenset[str]
    logs: Path
    stopped: dict[Venue, int] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """What tells the command line where the broker is."""
        return {f"DUTCHBOOK_KAFKA_{region.upper()}": self.bootstrap for region in REGIONS}

    def trade(self, rate: float = RATE) -> None:
        """Both exchanges' traffic."""
        for simulator in self.simulators.values():
            simulator.trade(rate)

    def live_and_wrong(self, venue: Venue) -> list[str]:
        """Markets whose published book is live and not the venue's, while the venue is at rest."""
        found = []
        for market, true in self.simulators[venue].books().items():
            book = self.listener.newest.get(market)
            if book is not None and book.state == "live" and (true.state != "open" or sides_of(book) != true.sides):
                found.append(f"{market}: live and not the venue's, which is {true.state}")
        return found

    def unequal(self, venue: Venue) -> list[str]:
        """Markets whose published book or state is not the venue's, while the venue is at rest."""
        found = []
        for market, true in self.simulators[venue].books().items():
            book = self.listener.newest.get(market)
            if book is None:
                if market in self.grouped:
                    found.append(f"{market}: nothing was published")
            elif book.state != STATES[true.state]:
                found.append(f"{market}: {true.state} at the venue, {book.state} ({book.reason}) published")
            elif book.state == "live" and sides_of(book) != true.sides:
                found.append(f"{market}: {sides_of(book)} was published, {true.sides} is true")
        return found

    def still_run(self) -> None:
        """Fail when a producer has ended."""
        for venue, process in self.producers.items():
            assert process.poll() is None, f"producer.{venue} ended: {self.log(venue)[-2000:]}"

    def log(self, venue: Venue) -> str:
        """What a producer said."""
        return (self.logs / f"producer-{venue}.log").read_text()

    def stop_producers(self) -> dict[Venue, int]:
        """End the producers, once; returns their exit codes."""
        if not self.stopped:
            for process in self.producers.values():
                process.terminate()
            self.stopped = {venue: process.wait(30) for venue, process in self.producers.items()}
        return self.stopped


@contextmanager
def venues(bootstrap: str, folder: Path) -> Iterator[Venues]:
    """Everything up, all grouped books live and right."""
    tape, started_ns = small_tape(folder / "tape").folder, time.time_ns()
    for region in REGIONS:
        create_topics(bootstrap, creations(region))
    private, public = make_key(folder / "key")
    with ExitStack() as stack:
        simulators: dict[Venue, Simulator] = {}
        for venue in VENUES:
            more = ("--kalshi-public-key", str(public)) if venue == "kalshi" else ()
            simulators[venue] = Simulator(venue, stack.enter_context(_simulating(venue, tape, folder, more)))
            stack.callback(simulators[venue].close)
        groups = _groups(simulators)
        _publish(bootstrap, groups)
        listener = Listener(bootstrap)
        stack.callback(listener.close)
        ports = [simulators[venue].port for venue in VENUES]
        environment = Addresses(bootstrap, bootstrap, "", "").environment(folder) | SETTINGS
        environment |= simulator_environment(ports[0], ports[1], private)
        specs = {spec.name: spec for spec in pipeline(environment)}
        producers = {venue: stack.enter_context(_running(specs[f"producer-{venue}"], folder)) for venue in VENUES}
        grouped = frozenset(member.market for group in groups for member in group.members)
        up = Venues(bootstrap, started_ns, simulators, producers, listener, grouped, folder)
        until(lambda: up.grouped <= up.listener.newest.keys(), "every grouped market has a book", 60)
        yield up


@contextmanager
def _simulating(venue: Venue, tape: Path, folder: Path, more: tuple[str, ...]) -> Iterator[int]:
    """A simulator; its port."""
    command = (
        sys.executable, "-m", "infra.simulator", venue, "--tape", str(tape), "--exchange", "--seed", "4",
        "--rate", str(RATE), *more,
    )  # fmt: skip
    said = folder / f"venue-{venue}.log"
    with _running(ChildSpec(f"venue-{venue}", command), folder):
        until(lambda: b"\n" in said.read_bytes(), f"the simulator of {venue} listens", 30)
        yield int(said.read_text().splitlines()[0].rpartition(":")[2])


@contextmanager
def _running(spec: ChildSpec, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{spec.name}.log").open("wb") as log:
        process = subprocess.Popen(
            spec.argv, cwd=ROOT, env=os.environ | spec.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _groups(simulators: Mapping[Venue, Simulator]) -> list[Group]:
    """Markets of both venues in pairs; what is left over is in no group."""
    markets = [sorted(simulators[venue].books()) for venue in VENUES]
    return [
        Group(
            group=f"pair-{number}",
            members=tuple(Member(venue=venue, market=market) for venue, market in zip(VENUES, pair, strict=True)),
            relations=(Relation(kind="same", members=(0, 1)),),
            status="approved",
            evidence="made up",
            rules_fingerprint="",
            updated_by="test",
            updated_ns=time.time_ns(),
        )
        for number, pair in enumerate(zip(*markets, strict=False))
    ]


def _publish(bootstrap: str, groups: list[Group]) -> None:
    """Publish the groups where they are at home, and where MirrorMaker would put them."""
    publish_groups(bootstrap, groups)
    publisher = Publisher(bootstrap, "dutchbook-test")
    for group in groups:
        publisher.publish(local_name("group", "us", "eu"), encode(group), key=group.group.encode())
    publisher.close()


def wait(condition: Callable[[], bool], until_s: float, every_s: float = 0.05) -> bool:
    """Wait until something is so or a moment of the monotonic clock has come; returns whether it is."""
    while not condition():
        if time.monotonic() >= until_s:
            return False
        time.sleep(every_s)
    return True
