"""A venue's producer as it is, and beside it when each record was handed to Kafka's client and when acknowledged.

`python -m bench.timed_producer VENUE FILE` runs `producers.process` with a publisher that notes two moments a record,
and writes them to FILE once it has been told to stop.
"""

import argparse
import sys
import time
from collections.abc import Callable
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


class _Note:
    """One record on its way."""

    __slots__ = ("acknowledged_ns", "handed_ns", "headers", "value")

    def __init__(self, value: bytes, headers: Headers | None) -> None:
        self.value = value
        self.headers = headers
        self.handed_ns = 0
        self.acknowledged_ns = 0

    def acknowledged(self, _message: Message) -> None:
        """Called by Kafka's client on a thread of its own."""
        self.acknowledged_ns = time.time_ns()


class TimedPublisher(Publisher):
    """A publisher that remembers."""

    made: Final[list["TimedPublisher"]] = []

    def __init__(self, bootstrap: str, client_id: str) -> None:
        super().__init__(bootstrap, client_id)
        self._frames: list[_Note] = []
        self._books: list[_Note] = []
        self.made.append(self)

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = -1,
        headers: Headers | None = None,
        delivered: Callable[[Message], None] | None = None,
    ) -> None:
        """As every publisher does, and note when."""
        kept = {"raw": self._frames, "book": self._books}.get(topic.partition(".")[0])
        if kept is None or value is None or delivered is not None:
            super().publish(topic, value, key=key, partition=partition, headers=headers, delivered=delivered)
            return
        note = _Note(value if kept is self._books else b"", headers)
        super().publish(topic, value, key=key, partition=partition, headers=headers, delivered=note.acknowledged)
        note.handed_ns = time.time_ns()
        kept.append(note)

    def notes(self) -> Notes:
        """What was noted of frames and of new books; both are there once everything is flushed."""
        found = Notes([], [])
        for note in self._frames:
            headers = dict(note.headers or [])
            if headers.get("kind") == b"ws":
                found.frames.append(Moments(int(headers["received_ns"]), note.handed_ns, note.acknowledged_ns))
        for note in self._books:
            for book in decode_books(note.value):
                if not book.republished:
                    found.books.append(Moments(book.api_response_ns, note.handed_ns, note.acknowledged_ns))
        return found


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
