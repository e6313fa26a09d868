"""The detector's edge: journal, acknowledgement, rejections, dead letters, and what a rebalance leaves undone."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest

from runtime import kafka, metrics
from runtime.settings import DetectorSettings, KafkaSettings, load
from schemas.codec import decode_record, encode, encode_books
from schemas.records import Analysis, Book, Journal, Level, Member, Opportunity, Relation, Venue
from schemas.topics import partition_of
from streams import app
from streams.app import TURN
from streams.core.journal import unpack_stamps
from streams.detector_edge import JOURNAL_ITEMS, DetectorEdge
from tests.unit.kafka_fakes import FakeMessage, FakePublisher, FakeReporter
from tests.unit.streams.test_executor import FakeFollower, FakeWatch, settle
from tests.unit.trading import SECOND, book, group, market

KALSHI, POLYMARKET = "book.kalshi", "eu.book.polymarket"
NUMBER = partition_of("g")
PAIR = msgspec.structs.replace(
    group(),
    members=(Member(venue="kalshi", market="M"), Member(venue="polymarket", market="M")),
    relations=(Relation(kind="same", members=(0, 1)),),
)
ALL = {(topic, NUMBER) for topic in (KALSHI, POLYMARKET)}


class Record:
    """What aiokafka gives."""

    def __init__(self, topic: str, offset: int, *books: Book, value: bytes | None = None) -> None:
        self.topic, self.partition, self.offset = topic, NUMBER, offset
        self.value = encode_books(list(books)) if value is None else value


class FakeConsumer:
    """Remembers up to where each topic was acknowledged."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}

    def acknowledge(self, topic: str, _partition: int, offset: int) -> None:
        assert offset > self.done.get(topic, -1)
        self.done[topic] = offset


class World:
    """The us cluster around one detector."""

    def __init__(self) -> None:
        self.publisher = FakePublisher()
        self.consumer = FakeConsumer()
        self.edge = DetectorEdge(load(KafkaSettings), load(DetectorSettings))
        self.now_ns = SECOND

    async def take(self, *records: Record) -> None:
        """What one fetch brought."""
        await self.edge.take_all(records, self.consumer)  # type: ignore[arg-type]

    def journal(self) -> list[tuple[str, int, int]]:
        """Inputs by the journal so far: topic, first offset, count."""
        items = [
            item for value in self.publisher.of("journal.detector") for item in decode_record(value, Journal).items
        ]
        assert all(len(unpack_stamps(item)) == item.count for item in items if item.kind == "input")
        return [(item.topic, item.offset, item.count) for item in items if item.kind == "input"]

    def opportunities(self) -> list[Opportunity]:
        return [decode_record(value, Opportunity) for value in self.publisher.of("opportunity")]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    publisher = FakePublisher()

    def whole(*_: Any) -> Iterator[FakeMessage]:
        return iter(())

    monkeypatch.setattr(kafka, "Publisher", lambda *_: publisher)
    monkeypatch.setattr(kafka, "read_whole", whole)
    monkeypatch.setattr(app, "ReferenceFollower", FakeFollower)
    monkeypatch.setattr(app, "ProgressWatch", FakeWatch)
    monkeypatch.setattr(app, "HeartbeatSender", FakeReporter)
    monkeypatch.setattr(app, "MetricReporter", FakeReporter)
    FakeFollower.existing = [
        FakeMessage("group", encode(PAIR), key=b"g"),
        FakeMessage("market.kalshi", encode(market()), key=b"M"),
        FakeMessage("eu.market.polymarket", encode(market(venue="polymarket")), key=b"M"),
    ]
    FakeFollower.new = []
    made = World()
    made.publisher = publisher
    monkeypatch.setattr("streams.detector_edge.time.time_ns", lambda: made.now_ns)
    return made


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(bounded())


def at(venue: Venue, sequence: int, bid: Level, ask: Level) -> Book:
    return book([bid], [ask], sequence=sequence, venue=venue, confirmed_ns=SECOND)


def quiet(sequence: int, venue: Venue = "kalshi") -> Book:
    """A book that crosses nothing."""
    return at(venue, sequence, (4000, 1000), (6000, 1000))


def crossing(ask: int = 4000) -> tuple[Record, Record]:
    """YES costs `ask` on Kalshi, NO 0.40 on Polymarket."""
    return (
        Record(KALSHI, 7, at("kalshi", 1, (ask - 100, 1000), (ask, 1000))),
        Record(POLYMARKET, 3, at("polymarket", 1, (6000, 1000), (6100, 1000))),
    )


def test_inputs_are_journalled_together_and_acknowledged_when_that_is_delivered(world: World) -> None:
    async def story() -> None:
        await world.edge.assigned(ALL)
        world.publisher.held = True
        await world.take(*(Record(KALSHI, offset, quiet(offset + 1)) for offset in range(JOURNAL_ITEMS)))
        assert world.journal() == [(KALSHI, 0, JOURNAL_ITEMS)]
        assert world.consumer.done == {}
        world.publisher.deliver()
        await settle()
        assert world.consumer.done == {KALSHI: JOURNAL_ITEMS}

    run(story)


def test_a_few_inputs_are_journalled_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.detector_edge.JOURNAL_DELAY_S", 0.001)

    async def story() -> None:
        await world.edge.assigned(ALL)
        await world.take(Record(KALSHI, 4, quiet(1)), Record(POLYMARKET, 9, quiet(1, "polymarket")))
        while world.consumer.done != {KALSHI: 5, POLYMARKET: 10}:
            await asyncio.sleep(0.001)
        assert world.journal() == [(KALSHI, 4, 1), (POLYMARKET, 9, 1)]

    run(story)


def test_an_opportunity_follows_its_journal_and_its_inputs_wait_for_both(world: World) -> None:
    async def story() -> None:
        await world.edge.assigned(ALL)
        world.publisher.held = True
        await world.take(*crossing())
        topics = [topic for topic, _, _ in world.publisher.records if topic in ("journal.detector", "opportunity")]
        assert topics[-2:] == ["journal.detector", "opportunity"]
        (opened,) = world.opportunities()
        assert (opened.event, [leg.offset for leg in opened.legs]) == ("opened", [7, 3])
        opportunity_delivered = world.publisher._undelivered.pop()
        world.publisher.deliver()
        await settle()
        assert world.consumer.done == {}
        opportunity_delivered(None)
        await settle()
        assert world.consumer.done == {KALSHI: 8, POLYMARKET: 4}

    run(story)


def test_a_closing_says_how_long_the_opportunity_lived(world: World) -> None:
    async def story() -> None:
        await world.edge.assigned(ALL)
        before = metrics.OPPORTUNITY_SURVIVAL._sum.get()
        await world.take(*crossing())
        world.now_ns += SECOND // 4
        await world.take(Record(KALSHI, 8, quiet(2)))
        assert [one.event for one in world.opportunities()] == ["opened", "closed"]
        assert metrics.OPPORTUNITY_SURVIVAL._sum.get() - before == pytest.approx(0.25)

    run(story)


def test_rejections_are_published_and_nobody_waits_for_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rejected = Analysis(
        group="g", basket="b", reason="fees", quantity=1, gross=2, fees=3, net=-1, time_ns=SECOND, partition=NUMBER
    )
    monkeypatch.setattr("streams.core.detection.Detection.rejections", lambda _: [rejected])

    async def story() -> None:
        await world.edge.assigned(ALL)
        world.publisher.records.clear()
        world.publisher.held = True
        await world.take(*(Record(KALSHI, offset, quiet(offset + 1)) for offset in range(JOURNAL_ITEMS)))
        assert world.publisher.records[-1][:2] == ("analysis", b"b")
        assert decode_record(world.publisher.of("analysis")[0], Analysis) == rejected
        assert len(world.publisher._undelivered) == 1

    run(story)


def test_bytes_that_are_no_books_are_a_dead_letter_and_acknowledged_after_it(world: World) -> None:
    async def story() -> None:
        await world.edge.assigned(ALL)
        world.publisher.held = True
        errors = metrics.DECODE_ERRORS.labels(KALSHI)._value.get()
        await world.take(Record(KALSHI, 0, value=b"nonsense"), *crossing())
        assert world.publisher.of("deadletter.book.kalshi") == [b"nonsense"]
        assert metrics.DECODE_ERRORS.labels(KALSHI)._value.get() == errors + 1
        assert len(world.opportunities()) == 1
        world.publisher.deliver()
        await settle()
        assert world.consumer.done == {KALSHI: 8, POLYMARKET: 4}

    run(story)


def test_the_rest_of_a_fetch_is_left_when_partitions_move(world: World) -> None:
    async def story() -> None:
        await world.edge.assigned(ALL)
        fetch = [Record(KALSHI, offset, quiet(offset + 1)) for offset in range(3 * TURN)]
        taking = asyncio.create_task(world.take(*fetch))
        await asyncio.sleep(0)
        await world.edge.revoked()
        await world.edge.assigned(ALL)
        await taking
        assert sum(count for _, _, count in world.journal()) == TURN
        world.edge.let_go()
        assert sum(count for _, _, count in world.journal()) == TURN

    run(story)


def test_nothing_is_taken_before_the_partitions_have_begun(world: World) -> None:
    async def story() -> None:
        taking = asyncio.create_task(world.take(*crossing()))
        await settle()
        assert world.publisher.records == []
        await world.edge.assigned(ALL)
        await taking
        assert world.opportunities() == []

    run(story)


def test_what_was_under_way_when_partitions_were_revoked_is_never_acknowledged(world: World) -> None:
    async def story() -> None:
        await world.edge.assigned(ALL)
        await world.take(Record(KALSHI, 0, quiet(1)))
        await world.edge.revoked()
        await settle()
        assert world.journal() == [(KALSHI, 0, 1)]
        assert world.consumer.done == {}

    run(story)


def test_the_progress_watch_hears_of_every_place(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[str, int, int]] = []
    monkeypatch.setattr(world.edge._watch, "processed", lambda *place: heard.append(place), raising=False)

    async def story() -> None:
        await world.edge.assigned(ALL)
        await world.take(Record(KALSHI, 0, quiet(1)), Record(KALSHI, 1, quiet(2)), *crossing()[1:])
        assert heard == [(KALSHI, NUMBER, 1), (POLYMARKET, NUMBER, 3)]

    run(story)


def test_an_opportunity_carries_the_journal_that_may_not_have_arrived(world: World) -> None:
    async def story() -> None:
        await world.edge.assigned(ALL)
        world.publisher.held = True
        await world.take(*(Record(KALSHI, offset, quiet(offset + 1)) for offset in range(JOURNAL_ITEMS)))
        await world.take(Record(KALSHI, 70, at("kalshi", 100, (3900, 1000), (4000, 1000))), crossing()[1])
        carried = [
            [decode_record(value, Journal) for name, value in headers if name == "journal"]
            for (topic, _, _), headers in zip(world.publisher.records, world.publisher.headers, strict=True)
            if topic == "opportunity"
        ]
        (records,) = carried
        journal = [decode_record(value, Journal) for value in world.publisher.of("journal.detector")]
        assert records == journal[1:]  # the first one, of the assignment, was acknowledged
        assert [sum(item.count for item in record.items) for record in records] == [JOURNAL_ITEMS, 2]
        (opened,) = world.opportunities()
        assert opened.journal_position == records[-1].position + 1
        world.publisher.deliver()
        world.publisher.held = False
        world.now_ns += SECOND
        await world.take(Record(KALSHI, 71, quiet(101)))
        newest = [value for name, value in world.publisher.headers[-1] if name == "journal"]
        assert newest == []

    run(story)


def test_an_old_epoch_makes_room_for_a_new_one_between_two_turns(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("streams.detector_edge.time.monotonic", lambda: clock[0])

    async def story() -> None:
        await world.edge.assigned(ALL)
        await world.take(*crossing())
        world.edge._begun_s -= 6 * 3600 - 60
        await world.take(Record(KALSHI, 8, quiet(2)))
        world.now_ns += SECOND
        world.edge._begun_s -= 60
        await world.take(Record(KALSHI, 9, quiet(3)), Record(KALSHI, 10, quiet(4)))
        world.edge._flush_all()
        items = [
            (record.epoch, [item.kind for item in record.items])
            for record in (decode_record(value, Journal) for value in world.publisher.of("journal.detector"))
        ]
        (first, _), (second, _) = items[0], items[-1]
        assert second > first
        assert [kind for epoch, kinds in items if epoch == first for kind in kinds][-1] == "revoke"
        assert [kind for epoch, kinds in items if epoch == second for kind in kinds][:1] == ["assign"]
        assert world.journal()[-1] == (KALSHI, 9, 2)
        assert world.edge._ready.is_set()

    run(story)


def test_without_a_limit_an_epoch_lasts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUTCHBOOK_DETECTOR_EPOCH_MINUTES", "0")
    world.edge = DetectorEdge(load(KafkaSettings), load(DetectorSettings))

    async def story() -> None:
        await world.edge.assigned(ALL)
        world.edge._begun_s = -1e9
        await world.take(*crossing())
        assert len({decode_record(value, Journal).epoch for value in world.publisher.of("journal.detector")}) == 1

    run(story)


def test_references_come_also_while_no_book_does(world: World) -> None:
    async def story() -> None:
        await world.edge.assigned(ALL)
        await world.take(*crossing())
        FakeFollower.new = [FakeMessage("group", None, key=b"g", offset=3)]
        world.edge.tick()
        assert [one.event for one in world.opportunities()] == ["opened", "closed"]
        world.publisher.failure = RuntimeError("gone")
        with pytest.raises(RuntimeError, match="gone"):
            world.edge.tick()

    run(story)
