"""A run's detector: the same events whatever comes first, and after any end; nothing is said twice."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from runtime import kafka
from runtime.settings import DetectorSettings, KafkaSettings, load
from schemas.codec import decode_record
from schemas.records import Journal, Opportunity
from schemas.runs import run_topic
from schemas.topics import KEYED_PARTITIONS
from streams import app
from streams.replay import detector_edge
from streams.replay.detector_edge import RunDetectorEdge, edge_of
from streams.replay.entry import Entry, Replayed
from streams.replay.journal import epochs_of
from streams.replay.script import Filter, Stretch, entries_of, script_of
from tests.unit.kafka_fakes import FakeMessage, FakePublisher, FakeReporter
from tests.unit.streams.replay.story import NUMBER, Memory, crossings, told
from tests.unit.streams.test_executor import FakeFollower, FakeWatch

ALL = {(run_topic("r1", topic), NUMBER) for topic in ("book.kalshi", "eu.book.polymarket")}
STORY = told([*crossings(), ("kill", 1, 1, 1), *crossings(), ("revoke",), *list(crossings())[:4], ("kill", 0, 0, 0)])


class Record:
    """What aiokafka gives."""

    def __init__(
        self,
        topic: str,
        value: bytes,
        headers: tuple[tuple[str, bytes], ...],
        offset: int = 0,
        partition: int = NUMBER,
    ) -> None:
        self.topic, self.partition, self.offset = topic, partition, offset
        self.value, self.headers = value, headers


class FakeConsumer:
    """Acknowledging in a run would be wrong; pausing is remembered."""

    def __init__(self) -> None:
        self.paused: list[str] = []
        self.resumed: list[str] = []

    def acknowledge(self, *_: Any) -> None:
        raise AssertionError("a run acknowledges nothing")

    def pause_partitions(self, places: Any) -> None:
        self.paused += [place.topic for place in places]

    def resume_partitions(self, places: Any) -> None:
        self.resumed += [place.topic for place in places]


class Run:
    """A run of the story, and its detector."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.publisher = FakePublisher()
        self.consumer = FakeConsumer()
        self.said: list[FakeMessage] = []
        self.seeds: list[FakeMessage] = []
        script = script_of(NUMBER, memory.journal, memory.known, Stretch())
        entries = [e for e, _ in entries_of(script, Stretch(), Filter(frozenset(), memory.reference))]
        self.entries = entries
        self.records: list[Record] = []
        self.references: list[FakeMessage] = []
        for turn, entry in enumerate(entries):
            self.add(turn, turn, entry)
        self.edge = self.fresh()

    def add(self, turn: int, run_turn: int, entry: Entry) -> None:
        topic, headers = run_topic("r1", entry.topic), tuple(Replayed(turn, run_turn, entry).headers())
        if entry.kind == "input":
            self.records.append(Record(topic, self.memory.input(entry), headers, turn, entry.partition))
            return
        key, value = self.memory.reference(entry)
        self.references.append(FakeMessage(topic, value, key=key.encode(), offset=turn, headers=list(headers)))

    def fresh(self) -> RunDetectorEdge:
        """Another life of the worker."""
        made = edge_of(load(KafkaSettings), load(DetectorSettings))
        assert isinstance(made, RunDetectorEdge)
        return made

    def keep(self) -> None:
        """What was published is in the topics from now on."""
        self.said = [FakeMessage("opportunity", value) for value in self.events()]

    def events(self) -> list[bytes]:
        return self.publisher.of("replay.r1.opportunity")

    def whole(self, _bootstrap: str, topics: list[str], **_: Any) -> Iterator[FakeMessage]:
        return iter({"replay.r1.opportunity": self.said, "replay.r1.earlier": self.seeds}[topics[0]])


@pytest.fixture
def run_(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DUTCHBOOK_RUN", "r1")
    monkeypatch.setattr(app, "ReferenceFollower", FakeFollower)
    monkeypatch.setattr(app, "ProgressWatch", FakeWatch)
    monkeypatch.setattr(app, "HeartbeatSender", FakeReporter)
    monkeypatch.setattr(app, "MetricReporter", FakeReporter)
    publishers: list[FakePublisher] = []

    def publisher(*_: Any) -> FakePublisher:
        publishers.append(FakePublisher())
        return publishers[0]

    monkeypatch.setattr(kafka, "Publisher", publisher)
    made = Run(STORY)
    made.publisher = publishers[0]
    monkeypatch.setattr(kafka, "read_whole", made.whole)
    FakeFollower.existing, FakeFollower.new = list(made.references), []
    return made


def perform(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(bounded())


EXPECTED = [one.value for one in STORY.known]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_first_the_events_are_those_that_were_live(run_: Run, seed: int) -> None:
    chance = random.Random(seed)
    chance.shuffle(run_.records)
    FakeFollower.existing = []

    async def story() -> None:
        await run_.edge.assigned(ALL)
        late = list(run_.references)
        for begin in range(0, len(run_.records), 3):
            await run_.edge.take_all(run_.records[begin : begin + 3], run_.consumer)  # type: ignore[arg-type]
            FakeFollower.new = [late.pop() for _ in range(min(2, len(late)))]
            run_.edge.tick()
        FakeFollower.new = late
        run_.edge.tick()
        assert run_.events() == EXPECTED

    perform(story)


@pytest.mark.parametrize("killed_after", [0, 2, 5, 9])
def test_a_worker_that_is_started_again_says_what_is_left_to_say(run_: Run, killed_after: int) -> None:
    async def story() -> None:
        await run_.edge.assigned(ALL)
        await run_.edge.take_all(run_.records[:killed_after], run_.consumer)  # type: ignore[arg-type]
        run_.keep()
        again = run_.fresh()
        await again.assigned(ALL)
        await again.take_all(run_.records, run_.consumer)  # type: ignore[arg-type]
        assert run_.events() == EXPECTED

    perform(story)


def test_after_a_rebalance_everything_comes_again_and_nothing_is_said_twice(run_: Run) -> None:
    async def story() -> None:
        await run_.edge.assigned(ALL)
        await run_.edge.take_all(run_.records[:6], run_.consumer)  # type: ignore[arg-type]
        await run_.edge.revoked()
        run_.keep()
        await run_.edge.assigned(ALL)
        await run_.edge.take_all(run_.records, run_.consumer)  # type: ignore[arg-type]
        assert run_.events() == EXPECTED

    perform(story)


def test_the_journal_of_a_run_is_that_of_what_was_live(run_: Run) -> None:
    async def story() -> None:
        await run_.edge.assigned(ALL)
        await run_.edge.take_all(run_.records, run_.consumer)  # type: ignore[arg-type]
        run_.edge.let_go()
        written = [decode_record(value, Journal) for value in run_.publisher.of("replay.r1.journal.detector")]
        ours, _ = epochs_of(written)
        theirs, _ = epochs_of(STORY.journal)
        by_number = {epoch.epoch: list(epoch.entries()) for epoch in theirs}
        for epoch in ours:
            entries = list(epoch.entries())
            assert entries == by_number[epoch.epoch][: len(entries)]
        assert [list(epoch.entries()) for epoch in ours][1:] == list(by_number.values())[1:]

    perform(story)


def test_nothing_of_a_run_reaches_a_live_topic(run_: Run) -> None:
    async def story() -> None:
        await run_.edge.assigned(ALL)
        bad = Record(run_topic("r1", "book.kalshi"), b"no headers", ())
        await run_.edge.take_all([bad, *run_.records], run_.consumer)  # type: ignore[arg-type]
        assert {topic for topic, _, _ in run_.publisher.records} <= {
            "replay.r1.opportunity", "replay.r1.journal.detector", "replay.r1.analysis",
            "deadletter.replay.r1.book.kalshi",
        }  # fmt: skip
        assert run_.publisher.of("deadletter.replay.r1.book.kalshi") == [b"no headers"]
        assert run_.events() == EXPECTED

    perform(story)


def test_a_topic_that_is_far_ahead_is_not_read_on(run_: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_edge, "WAITING", 4)
    first, rest = run_.records[0], run_.records[1:]

    async def story() -> None:
        await run_.edge.assigned(ALL)
        await run_.edge.take_all(rest, run_.consumer)  # type: ignore[arg-type]
        assert run_.events() == []
        assert run_.consumer.paused
        assert run_.consumer.resumed == []
        await run_.edge.take_all([first], run_.consumer)  # type: ignore[arg-type]
        assert set(run_.consumer.resumed) == set(run_.consumer.paused)
        assert run_.events() == EXPECTED

    perform(story)


def test_what_was_open_before_the_stretch_goes_on(run_: Run) -> None:
    open_ = STORY.known[0]
    run_.seeds = [FakeMessage("earlier", open_.value)]

    async def story() -> None:
        await run_.edge.assigned(ALL)
        (partition,) = run_.edge._partitions.values()
        await run_.edge.take_all(run_.records[:1], run_.consumer)  # type: ignore[arg-type]
        still = partition.core.detection.open_opportunities()
        assert [one.opportunity_id for one in still] == [open_.record.opportunity_id]

    perform(story)


def beside(run: Run) -> list[str]:
    """The same entries once more, in another partition, each after its original; what the run must say, in order."""
    entries, run.records, run.references = run.entries, [], []
    other = (NUMBER + 1) % KEYED_PARTITIONS
    for turn, entry in enumerate(entries):
        run.add(turn, 2 * turn, entry)
        run.add(turn, 2 * turn + 1, replace(entry, partition=other))
    FakeFollower.existing = list(run.references)
    expected = []
    for turn, entry in enumerate(entries):
        place = (entry.epoch, entry.position)
        at = [one.record for one in STORY.known if (one.record.journal_epoch, one.record.journal_position) == place]
        expected += [f"{number} {one.opportunity_id} {one.revision}" for number in (NUMBER, other) for one in at]
        assert turn or not at
    return expected


def said(run: Run) -> list[str]:
    events = [decode_record(value, Opportunity) for value in run.events()]
    return [f"{one.partition} {one.opportunity_id} {one.revision}" for one in events]


EVERY = {(topic, number) for topic, _ in ALL for number in range(KEYED_PARTITIONS)}


@pytest.mark.parametrize("seed", range(5))
def test_a_worker_with_all_partitions_says_everything_in_the_order_of_the_run(run_: Run, seed: int) -> None:
    expected = beside(run_)
    random.Random(seed).shuffle(run_.records)

    async def story() -> None:
        await run_.edge.assigned(EVERY)
        await run_.edge.take_all(run_.records, run_.consumer)  # type: ignore[arg-type]
        assert said(run_) == expected

    perform(story)


def test_workers_that_share_the_partitions_wait_for_no_other(run_: Run) -> None:
    expected = beside(run_)

    async def story() -> None:
        await run_.edge.assigned(ALL)
        mine = [record for record in run_.records if record.partition == NUMBER]
        await run_.edge.take_all(mine, run_.consumer)  # type: ignore[arg-type]
        assert said(run_) == [one for one in expected if one.startswith(f"{NUMBER} ")]

    perform(story)


def test_the_settings_choose_the_edge(monkeypatch: pytest.MonkeyPatch, run_: Run) -> None:
    assert type(run_.edge) is RunDetectorEdge
    monkeypatch.delenv("DUTCHBOOK_RUN")
    assert type(edge_of(load(KafkaSettings), load(DetectorSettings))) is not RunDetectorEdge
