"""What every part of one venue's feed shares: settings, publishers, names, clocks."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from producers.books import Clocks
from producers.guard import Guard
from producers.publisher import BookPublisher, RawPublisher, RecordPublisher
from producers.sockets import Connector, open_websocket
from runtime import metrics
from runtime.kafka import DeadLetters
from runtime.settings import FeedSettings
from schemas.records import Venue

T = TypeVar("T")


class Connections:
    """Names for connections: venue, start of this process in base 36, a running number."""

    def __init__(self, venue: Venue, start_ns: int) -> None:
        self._prefix = f"{venue}-{base36(start_ns)}"
        self._next = 0

    def name(self) -> str:
        """A name never given before by this process."""
        name = f"{self._prefix}-{self._next}"
        self._next += 1
        return name


def base36(number: int) -> str:
    """A non-negative integer with digits 0-9a-z."""
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
        if not number:
            return digits


@dataclass(frozen=True, slots=True)
class Tools:
    """What every part of one venue's feed shares."""

    venue: Venue
    settings: FeedSettings
    publisher: RecordPublisher
    raw: RawPublisher
    books: BookPublisher
    dead_letters: DeadLetters
    connections: Connections
    clocks: Clocks
    guard: Callable[[], Guard]
    now: Callable[[], int] = time.time_ns
    connect: Connector = open_websocket

    @classmethod
    def make(
        cls,
        venue: Venue,
        settings: FeedSettings,
        publisher: RecordPublisher,
        dead_letters: DeadLetters,
        now: Callable[[], int] = time.time_ns,
        connect: Connector = open_websocket,
    ) -> "Tools":
        """Everything a feed needs around one publisher."""
        return cls(
            venue=venue,
            settings=settings,
            publisher=publisher,
            raw=RawPublisher(venue, publisher),
            books=BookPublisher(venue, publisher, republish_ms=settings.republish_ms, now=now),
            dead_letters=dead_letters,
            connections=Connections(venue, now()),
            clocks=Clocks(),
            guard=Guard.shared(venue, settings.backoff_initial_ms, settings.backoff_limit_ms),
            now=now,
            connect=connect,
        )

    def undecodable(self, data: bytes, error: Exception) -> None:
        """Count and dead-letter a frame; raises DeadLetterLimit when there are too many.

        Raw topics have no dead letter topic of their own: the frame stands on `raw` anyway, what is missing is a book.
        """
        metrics.DECODE_ERRORS.labels(f"raw.{self.venue}").inc()
        self.dead_letters.send(f"book.{self.venue}", data, error)

    def ignored(self, reason: str) -> None:
        """Count a message that changes nothing."""
        metrics.FRAMES_IGNORED.labels(self.venue, reason).inc()

    def unknown(self, kind: str) -> None:
        """Count a message of a kind that is not understood; `kind` comes from a bounded set."""
        metrics.FRAMES_UNKNOWN.labels(self.venue, kind).inc()


def batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """The items in runs of at most `size`."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
