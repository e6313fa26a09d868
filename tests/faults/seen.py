"""A venue simulator by its control face, and what producers publish, both as a test sees them from outside."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import httpx
from confluent_kafka import TopicPartition

from infra.simulator.faults import Fault
from runtime.kafka import consumer, end_offsets
from runtime.settings import FeedSettings, load
from schemas.codec import decode_books
from schemas.records import Book, Level, Venue
from schemas.topics import HOME

VENUES: Final = tuple(HOME)

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
    """Reads the books of both venues that are published from now on, in a thread of its own."""

    def __init__(self, bootstrap: str) -> None:
        self.newest: dict[str, Book] = {}
        self.all: dict[Venue, list[Book]] = {venue: [] for venue in VENUES}
        self._client = consumer(bootstrap, "dutchbook-test-listener")
        ends = end_offsets(self._client, [f"book.{venue}" for venue in VENUES])
        self._client.assign([TopicPartition(*place, end) for place, end in ends.items()])
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
