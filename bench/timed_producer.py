"""A venue's producer as it is, and beside it when each record was handed to Kafka's client and when acknowledged.

`python -m bench.timed_producer VENUE FILE` runs `producers.process` with a publisher that notes two moments a record,
and writes them to FILE once it has been told to stop.
"""

import argparse
import sys
import time
from array import array
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final
from unittest.mock import patch

import msgspec
from confluent_kafka import Message

from producers import process
from runtime.kafka import Headers, Publisher
from schemas.codec import decode_books
from schemas.topics import HOME


class Moments(msgspec.Struct, frozen=True, array_like=True):
    """A frame, or a book that it led to: received, handed to Kafka's client, acknowledged by all replicas; ns."""

    received_ns: int
    handed_ns: int
    acknowledged_ns: int


class Notes(msgspec.Struct):
    """All of a run."""

    frames: list[Moments] = []
    books: list[Moments] = []


class _Kept:
    """Records on their way: what is known of each, and its moments. Little for the garbage collector to look at."""

    def __init__(self) -> None:
        self.labels: list[bytes] = []
        self.handed_ns = array("q")
        self.acknowledged_ns = array("q")

    def begin(self, label: bytes) -> int:
        """Another record; returns its number."""
        self.labels.append(label)
        self.handed_ns.append(0)
        self.acknowledged_ns.append(0)
        return len(self.labels) - 1

    def acknowledged(self, number: int, _message: Message) -> None:
        """Called by Kafka's client on a thread of its own."""
        self.acknowledged_ns[number] = time.time_ns()

    def moments(self, number: int, received_ns: int) -> Moments:
        """A record's, both of them known."""
        return Moments(received_ns, self.handed_ns[number], self.acknowledged_ns[number])


class TimedPublisher(Publisher):
    """A publisher that remembers."""

    made: Final[list["TimedPublisher"]] = []

    def __init__(self, bootstrap: str, client_id: str) -> None:
        super().__init__(bootstrap, client_id)
        self._frames = _Kept()
        self._books = _Kept()
        self.made.append(self)

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = -1,
        headers: Headers | None = None,
        timestamp_ms: int = 0,
        delivered: Callable[[Message], None] | None = None,
    ) -> None:
        """As every publisher does, and note when."""
        kept = self._books if topic.startswith("book.") else self._frames
        label = value if kept is self._books else _received(topic, headers)
        if not label or delivered is not None:
            super().publish(
                topic, value, key=key, partition=partition, headers=headers, timestamp_ms=timestamp_ms,
                delivered=delivered,
            )  # fmt: skip
            return
        number = kept.begin(label)
        report = partial(kept.acknowledged, number)
        super().publish(
            topic, value, key=key, partition=partition, headers=headers, timestamp_ms=timestamp_ms, delivered=report
        )
        kept.handed_ns[number] = time.time_ns()

    def notes(self) -> Notes:
        """What was noted of frames and of new books, once everything is flushed."""
        found = Notes([], [])
        for number, received_ns in enumerate(self._frames.labels):
            found.frames.append(self._frames.moments(number, int(received_ns)))
        for number, value in enumerate(self._books.labels):
            new = [book for book in decode_books(value) if not book.republished]
            found.books += [self._books.moments(number, book.api_response_ns) for book in new]
        return found


def _received(topic: str, headers: Headers | None) -> bytes:
    """When a frame was received; empty for what is no frame."""
    if not topic.startswith("raw.") or ("kind", b"ws") not in (headers or []):
        return b""
    return dict(headers or [])["received_ns"]


def main() -> int:
    """The producer's own exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.timed_producer", description="Run a producer and note when.")
    parser.add_argument("venue", choices=tuple(HOME))
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    with patch.object(process, "Publisher", TimedPublisher):
        code = process.main(options.venue, import_module(f"producers.{options.venue}.feed").make_feed)
    for publisher in TimedPublisher.made:
        options.file.write_bytes(msgspec.json.encode(publisher.notes()))
    return code


if __name__ == "__main__":
    sys.exit(main())
