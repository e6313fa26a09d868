"""A run's executor: what becomes of an opportunity follows from the run, not from how fast its gateways are."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from runtime import kafka
from runtime.settings import ExecutorSettings, KafkaSettings, load
from schemas.codec import decode_record, encode
from schemas.records import Order, Ticket
from schemas.runs import run_topic
from streams import app
from streams.replay import executor_edge
from streams.replay.executor_edge import RunExecutorEdge, edge_of
from tests.unit.kafka_fakes import FakeMessage, FakePublisher, FakeReporter
from tests.unit.streams.test_executor import FakeFollower, FakeWatch, settle
from tests.unit.trading import SECOND, answer_to, group, opportunity, opportunity_leg

TOPICS = [run_topic("r1", name) for name in ("opportunity", "execution.kalshi", "eu.execution.polymarket")]
ALL = {(topic, 0) for topic in TOPICS}
LONG_AGO = 5 * SECOND


class FakeConsumer:
    """Remembers what was acknowledged, paused and resumed."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.paused = 0
        self.resumed = 0

    def acknowledge(self, topic: str, _partition: int, offset: int) -> None:
        self.done[topic] = offset

    def pause_partitions(self, _places: Any) -> None:
        self.paused += 1

    def resume_partitions(self, _places: Any) -> None:
        self.resumed += 1


class Record:
    """What aiokafka gives."""

    def __init__(self, topic: str, offset: int, value: bytes) -> None:
        self.topic, self.partition, self.offset, self.value = topic, 0, offset, value


class World:
    """The us cluster around a run's executor."""

    def __init__(self) -> None:
        self.publisher = FakePublisher()
        self.consumer = FakeConsumer()
        self.offsets = dict.fromkeys(TOPICS, 0)

    def edge(self) -> RunExecutorEdge:
        made = edge_of(load(KafkaSettings), load(ExecutorSettings))
        assert isinstance(made, RunExecutorEdge)
        return made

    def record(self, topic: str, value: bytes) -> Record:
        self.offsets[topic] += 1
        return Record(topic, self.offsets[topic] - 1, value)

    async def take(self, edge: RunExecutorEdge, *records: Record) -> None:
        await edge.take_all(records, self.consumer)  # type: ignore[arg-type]
        await settle()

    def opened(self, number: int) -> Record:
        legs = (opportunity_leg("kalshi", market=f"k{number}"), opportunity_leg("polymarket", market=f"p{number}"))
        made = opportunity(f"o{number}", "opened", basket=f"b{number}", legs=legs, time_ns=LONG_AGO + number)
        return self.record(TOPICS[0], encode(made))

    def answered(self, order: Order) -> Record:
        topic = TOPICS[1] if order.venue == "kalshi" else TOPICS[2]
        return self.record(topic, encode(answer_to(order)))

    def orders(self) -> list[Order]:
        return [
            decode_record(v, Order) for v in self.publisher.of("replay.r1.order.kalshi", "replay.r1.order.polymarket")
        ]

    def tickets(self) -> list[tuple[str, str]]:
        found = [decode_record(value, Ticket) for value in self.publisher.of("replay.r1.ticket")]
        return [(ticket.opportunity_id, ticket.state) for ticket in found]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    def nothing(*_: Any) -> Iterator[FakeMessage]:
        return iter(())

    monkeypatch.setenv("DUTCHBOOK_RUN", "r1")
    monkeypatch.setattr(kafka, "Publisher", lambda *_: made.publisher)
    monkeypatch.setattr(kafka, "read_whole", nothing)
    monkeypatch.setattr(app, "ReferenceFollower", FakeFollower)
    monkeypatch.setattr(app, "ProgressWatch", FakeWatch)
    monkeypatch.setattr(app, "HeartbeatSender", FakeReporter)
    monkeypatch.setattr(app, "MetricReporter", FakeReporter)
    FakeFollower.existing = [FakeMessage(run_topic("r1", "group"), encode(group()), key=b"g")]
    FakeFollower.new = []
    return made


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(bounded())


def test_an_opportunity_waits_until_the_orders_before_it_are_answered(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        await world.take(edge, world.opened(1), world.opened(2))
        assert world.tickets() == [("o1", "working")]
        assert world.consumer.done == {TOPICS[0]: 1}
        first, second = world.orders()
        await world.take(edge, world.answered(first))
        assert [ticket for ticket, _ in world.tickets()] == ["o1", "o1"]
        await world.take(edge, world.answered(second))
        assert world.tickets()[-2:] == [("o1", "filled"), ("o2", "working")]
        for order in world.orders()[2:]:
            await world.take(edge, world.answered(order))
        assert world.tickets()[-1] == ("o2", "filled")
        assert world.consumer.done == {TOPICS[0]: 2, TOPICS[1]: 2, TOPICS[2]: 2}

    run(story)


def test_the_time_is_that_of_the_events(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        await world.take(edge, world.opened(1))
        assert {order.created_ns for order in world.orders()} == {LONG_AGO + 1}

    run(story)


def test_orders_that_nobody_answers_are_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        await world.take(edge, world.opened(1), world.opened(2))
        edge.tick()
        assert world.tickets() == [("o1", "working")]
        edge._moved_s -= executor_edge.UNANSWERED_S + 1
        edge.tick()
        await settle()
        assert world.tickets() == [("o1", "working"), ("o1", "unknown"), ("o2", "working")]

    run(story)


def test_what_waits_has_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_edge, "WAITING", 2)

    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        await world.take(edge, *(world.opened(number) for number in range(1, 6)))
        assert (world.consumer.paused, world.consumer.resumed) == (1, 0)
        while [state for _, state in world.tickets()].count("filled") < 5:
            for order in world.orders()[-2:]:
                await world.take(edge, world.answered(order))
        assert (world.consumer.paused, world.consumer.resumed) == (1, 1)

    run(story)


def test_after_a_rebalance_what_waited_comes_again(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        await world.take(edge, world.opened(1), world.opened(2))
        await edge.revoked()
        await edge.assigned(ALL)
        assert not edge._waiting

    run(story)


def test_the_settings_choose_the_edge(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUTCHBOOK_RUN")
    assert not isinstance(edge_of(load(KafkaSettings), load(ExecutorSettings)), RunExecutorEdge)
