"""What is made of a timed producer's notes, and how memory is read."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest

from bench import feeds
from bench.stack import BenchFailed
from bench.timed_producer import Moments, Notes, TimedPublisher
from runtime.kafka import Publisher
from schemas.codec import encode_books
from tests.unit.bench.test_trail import book

SECOND = 1_000_000_000
MS = 1_000_000


def notes(every_ns: int) -> Notes:
    """Two seconds of frames and books; a book goes 1 ms after its frame came and is there 2 ms after that."""
    received = range(0, 2 * SECOND, every_ns)
    return Notes(
        frames=[Moments(ns, ns, ns + MS // 2) for ns in received],
        books=[Moments(ns, ns + MS, ns + 3 * MS) for ns in received],
    )


def test_only_what_was_received_in_the_window_counts() -> None:
    said = notes(MS)
    said.frames.append(Moments(2 * SECOND, 2 * SECOND, 9 * SECOND))
    said.books.insert(0, Moments(SECOND - 1, SECOND, 9 * SECOND))
    found, rate = feeds._times("V", said, SECOND, 2 * SECOND)
    assert rate == 1000
    assert {found[f"V, frame acknowledged, {rank}"] for rank in ("p50", "p99", "max")} == {0.5}
    assert {found[f"V, book handed to Kafka, {rank}"] for rank in ("p50", "p99", "max")} == {1.0}
    assert {found[f"V, book acknowledged, {rank}"] for rank in ("p50", "p99", "max")} == {3.0}


def test_too_few_frames_are_no_measurement() -> None:
    with pytest.raises(BenchFailed, match="500 frames a second"):
        feeds._times("V", notes(2 * MS), 0, 2 * SECOND)


def test_memory_of_this_process_is_at_most_its_peak() -> None:
    resident, peak = feeds.memory(os.getpid())
    assert 0 < resident <= peak


class Kafka:
    """Stands under a publisher: records are acknowledged when the test says so."""

    def __init__(self) -> None:
        self.reports: list[Callable[[Any], None] | None] = []

    def publish(self, _publisher: Publisher, *_: Any, delivered: Any = None, **__: Any) -> None:
        self.reports.append(delivered)

    def acknowledge(self) -> None:
        for report in self.reports:
            if report is not None:
                report(None)


@pytest.fixture
def kafka() -> Iterator[Kafka]:
    fake = Kafka()
    with (
        patch.object(Publisher, "__init__", lambda *_: None),
        patch.object(Publisher, "publish", lambda *given, **named: fake.publish(*given, **named)),
    ):
        yield fake


def test_a_timed_producer_notes_frames_and_new_books_only(kafka: Kafka) -> None:
    publisher = TimedPublisher("", "")
    begun_ns = time.time_ns()
    headers = [("received_ns", b"%d" % begun_ns), ("frame", b"7"), ("kind", b"ws")]
    publisher.publish("raw.kalshi", b"{}", key=b"c", headers=headers)
    publisher.publish("raw.kalshi", b"{}", key=b"c", headers=[*headers[:2], ("kind", b"sent")])
    books = [book(api_response_ns=begun_ns), book(api_response_ns=1, republished=True)]
    publisher.publish("book.kalshi", encode_books(books), partition=3)
    publisher.publish("metric", b"m", key=b"k")
    handed_ns = time.time_ns()
    kafka.acknowledge()
    notes = publisher.notes()
    for found in (notes.frames, notes.books):
        (moments,) = found
        assert moments.received_ns == begun_ns
        assert begun_ns <= moments.handed_ns <= handed_ns <= moments.acknowledged_ns
    assert len(kafka.reports) == 4


def test_whoever_waits_for_a_delivery_still_hears_of_it(kafka: Kafka) -> None:
    heard: list[object] = []
    publisher = TimedPublisher("", "")
    publisher.publish("raw.kalshi", b"{}", delivered=heard.append)
    kafka.acknowledge()
    assert heard == [None]
    assert publisher.notes() == Notes()
