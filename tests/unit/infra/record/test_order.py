"""The detector's stamps beside raw records, and lines put into the order of their times."""

from typing import Any

import pytest
from msgspec.structs import replace

from infra.rebuild import Entry
from infra.record.kafka import Stretch
from infra.record.order import LATER_MS, DetectorOrder, InOrder
from infra.record.recorder import TapeLine
from schemas.records import Book, Journal
from streams.core.journal import JournalRun
from tests.unit.infra.record.recorded_topics import Topics
from tests.unit.sinks.make import book

MILLISECOND = 1_000_000
TOPIC = "eu.book.polymarket"
SHARDS = {"A": 0, "B": 5}


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    return Topics(monkeypatch)


def entry(frame: int, at_ms: int) -> Entry:
    return Entry("p-0", frame, at_ms * MILLISECOND, "ws", b"")


def said(frame: int, **more: Any) -> Book:
    return book(connection="p-0", frame=frame, **more)


def journal(partition: int, *inputs: tuple[str, int, int]) -> Journal:
    """Inputs as (topic, offset, stamp in ms)."""
    run = JournalRun(partition, 1)
    for topic, offset, stamp_ms in inputs:
        run.input(topic, offset, stamp_ms * MILLISECOND)
    record = run.take()
    assert record is not None
    return record


def order(stretch: Stretch | None = None) -> DetectorOrder:
    return DetectorOrder("us", "polymarket", stretch or Stretch(), SHARDS.__getitem__)


def test_a_frame_has_the_stamp_of_the_record_with_its_first_book(topics: Topics) -> None:
    topics.see(TOPIC, 1_001, [said(7), said(8)])
    topics.see(TOPIC, 1_003, [said(9)])
    topics.see(TOPIC, 3_000, [said(7, sequence=9)])
    topics.journal(journal(0, (TOPIC, 0, 1_050), ("book.kalshi", 1, 1_051), (TOPIC, 1, 1_060)), 1_100)
    topics.journal(journal(0, (TOPIC, 2, 3_050)), 3_100)
    found = order()
    assert [found.time_of(entry(frame, 1_000 + frame), ["A"]) for frame in (7, 8, 9)] == [
        1_050 * MILLISECOND, 1_050 * MILLISECOND, 1_060 * MILLISECOND,
    ]  # fmt: skip


def test_a_frame_that_was_not_seen_has_its_receive_time_but_never_one_before_its_predecessor(topics: Topics) -> None:
    topics.see(TOPIC, 1_001, [said(7)])
    topics.journal(journal(0, (TOPIC, 0, 1_500)), 1_600)
    found = order()
    times = [
        found.time_of(entry(frame, at_ms), ["A"]) for frame, at_ms in ((6, 990), (7, 1_000), (8, 1_100), (9, 1_700))
    ]
    assert times == [990 * MILLISECOND, 1_500 * MILLISECOND, 1_500 * MILLISECOND, 1_700 * MILLISECOND]


def test_shards_do_not_wait_for_one_another(topics: Topics) -> None:
    topics.see(TOPIC, 1_000, [said(7)])
    topics.see(TOPIC, 1_000, [said(8)], partition=5)
    topics.journal(journal(0, (TOPIC, 0, 1_500)), 1_600)
    topics.journal(journal(5, (TOPIC, 0, 1_100)), 1_600)
    found = order()
    assert found.time_of(entry(7, 1_000), ["A"]) == 1_500 * MILLISECOND
    assert found.time_of(entry(8, 1_001), ["B"]) == 1_100 * MILLISECOND
    assert found.time_of(entry(9, 1_002), ["A", "B"]) == 1_500 * MILLISECOND
    assert found.time_of(entry(10, 1_003), ["B"]) == 1_500 * MILLISECOND


def test_repetitions_tell_nothing(topics: Topics) -> None:
    topics.see(TOPIC, 1_000, [replace(said(7), republished=True)])
    topics.journal(journal(0, (TOPIC, 0, 1_500)), 1_600)
    assert order().time_of(entry(7, 1_000), ["A"]) == 1_000 * MILLISECOND


def test_without_a_detector_times_are_the_producers(topics: Topics) -> None:
    topics.see(TOPIC, 1_000, [said(7)])
    assert order().time_of(entry(7, 1_000), ["A"]) == 1_000 * MILLISECOND


def test_only_some_seconds_are_held(topics: Topics) -> None:
    """However long the stretch is."""
    count = 200
    for frame in range(count):
        topics.see(TOPIC, frame * 1_000, [said(frame)])
        topics.journal(journal(0, (TOPIC, frame, frame * 1_000 + 10)), frame * 1_000 + 50)
    found, most = order(), 0
    for frame in range(count):
        assert found.time_of(entry(frame, frame * 1_000), ["A"]) == (frame * 1_000 + 10) * MILLISECOND
        most = max(most, len(found._seen), len(found._stamps))
    assert most <= 6 * LATER_MS // 1_000


def test_what_was_published_after_the_end_is_still_looked_for(topics: Topics) -> None:
    topics.see(TOPIC, 1_001, [said(7)])
    topics.journal(journal(0, (TOPIC, 0, 1_050)), 1_100)
    assert order(Stretch(0, 1_000 * MILLISECOND)).time_of(entry(7, 999), ["A"]) == 1_050 * MILLISECOND


def test_lines_come_in_the_order_of_their_times() -> None:
    waiting = InOrder()
    for number, t in enumerate((5, 3, 5, 1)):
        waiting.put(TapeLine(t, str(number)))
    assert [line.frame for line in waiting.until(3)] == ["3"]
    waiting.put(TapeLine(4, "4"))
    assert [line.frame for line in waiting.until()] == ["1", "4", "0", "2"]
    assert list(waiting.until()) == []
