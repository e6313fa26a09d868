"""The executor's edge: order of publishing, acknowledgement, dead letters, references, restart."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest

from runtime import kafka
from runtime.settings import ExecutorSettings, KafkaSettings, load
from schemas.codec import decode_record, encode
from schemas.records import Alert, Control, Opportunity, Order, Ticket
from streams import app
from streams.executor_edge import ExecutorEdge
from tests.unit.kafka_fakes import FakeMessage, FakePublisher, FakeReporter
from tests.unit.trading import SECOND, answer_to, group, opportunity, opportunity_leg

ORDER_TOPICS = ("order.kalshi", "order.polymarket")
ALL = {("opportunity", 0), ("execution.kalshi", 0), ("eu.execution.polymarket", 0)}


class FakeEvent:
    """A Faust event: its message has attributes where confluent's has methods."""

    def __init__(self, topic: str, value: bytes) -> None:
        self.message = type("Message", (), {"topic": topic, "partition": 0, "offset": 0})()
        self.value = value
        self.acknowledged = False

    def ack(self) -> None:
        self.acknowledged = True


class FakeFollower:
    """Reference topics: `existing` before the start, `new` after."""

    existing: list[FakeMessage] = []  # noqa: RUF012 - set afresh by the fixture
    new: list[FakeMessage] = []  # noqa: RUF012

    def __init__(self, *_: Any) -> None:
        pass

    def start_and_wait(self) -> list[FakeMessage]:
        return self.existing

    def drain(self) -> Iterator[FakeMessage]:
        while self.new:
            yield self.new.pop(0)

    def stop(self) -> None:
        pass


class FakeWatch(FakeReporter):
    def processed(self, *_: Any) -> None:
        pass

    def assigned(self, *_: Any) -> None:
        pass


class World:
    """The us cluster around one executor."""

    def __init__(self) -> None:
        self.publisher = FakePublisher()
        self.topics: dict[str, list[bytes]] = {"ticket": [], "opportunity": []}
        self.now_ns = SECOND

    def edge(self) -> ExecutorEdge:
        return ExecutorEdge(load(KafkaSettings), load(ExecutorSettings))

    def whole(self, _bootstrap: str, topics: list[str]) -> Iterator[FakeMessage]:
        yield from (FakeMessage(topics[0], value) for value in self.topics[topics[0]])

    def orders(self) -> list[Order]:
        return [decode_record(value, Order) for value in self.publisher.of(*ORDER_TOPICS)]

    def tickets(self) -> list[Ticket]:
        return [decode_record(value, Ticket) for value in self.publisher.of("ticket")]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(kafka, "Publisher", lambda *_: made.publisher)
    monkeypatch.setattr(kafka, "read_whole", made.whole)
    monkeypatch.setattr(app, "ReferenceFollower", FakeFollower)
    monkeypatch.setattr(app, "ProgressWatch", FakeWatch)
    monkeypatch.setattr(app, "HeartbeatSender", FakeReporter)
    monkeypatch.setattr(app, "MetricReporter", FakeReporter)
    monkeypatch.setattr("streams.executor_edge.time.time_ns", lambda: made.now_ns)
    FakeFollower.existing = [FakeMessage("group", encode(group()), key=b"g")]
    FakeFollower.new = []
    return made


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(bounded())


async def settle() -> None:
    """Let the loop run what other threads asked of it."""
    for _ in range(5):
        await asyncio.sleep(0)


def of(made: Opportunity) -> FakeEvent:
    return FakeEvent("opportunity", encode(made))


def test_orders_leave_after_their_ticket_and_the_event_is_acknowledged_last(world: World) -> None:
    async def story() -> None:
        edge, event = world.edge(), of(opportunity())
        await edge.assigned(ALL)
        await edge.ready()
        world.publisher.held = True
        edge.take(event)
        await settle()
        assert [ticket.state for ticket in world.tickets()] == ["working"]
        assert (world.orders(), event.acknowledged) == ([], False)
        world.publisher.deliver()
        await settle()
        assert [order.venue for order in world.orders()] == ["kalshi", "polymarket"]
        assert not event.acknowledged
        world.publisher.deliver()
        await settle()
        assert event.acknowledged

    run(story)


def test_executions_finish_the_ticket(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        edge.take(of(opportunity()))
        await settle()
        first, second = world.orders()
        edge.take(FakeEvent("execution.kalshi", encode(answer_to(first))))
        event = FakeEvent("eu.execution.polymarket", encode(answer_to(second)))
        edge.take(event)
        await settle()
        assert [ticket.state for ticket in world.tickets()] == ["working", "working", "filled"]
        assert event.acknowledged
        assert {key for topic, key, _ in world.publisher.records if topic in ("ticket", *ORDER_TOPICS)} == {
            world.tickets()[0].ticket_id.encode()
        }

    run(story)


def test_what_cannot_be_taken_is_a_dead_letter_and_the_next_event_is_served(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        edge.take(of(opportunity()))
        await settle()
        stranger = encode(msgspec.structs.replace(answer_to(world.orders()[0]), ticket_id="stranger"))
        bad = [
            FakeEvent("opportunity", b"nonsense"),
            of(opportunity("o2", basket="c", quantity=0)),
            FakeEvent("eu.execution.polymarket", stranger),
        ]
        for event in bad:
            edge.take(event)
        good = of(opportunity("o3", basket="d", legs=[opportunity_leg(market="another")]))
        edge.take(good)
        await settle()
        assert all(event.acknowledged for event in [*bad, good])
        assert world.publisher.of("deadletter.opportunity") == [bad[0].value, bad[1].value]
        assert world.publisher.of("deadletter.eu-execution.polymarket") == [stranger]
        reasons = [
            dict(headers)["__connect.errors.exception.message"] for headers in world.publisher.headers if headers
        ]
        assert reasons[1:] == [
            b"opportunity o2: 0 contracts of 2 legs",
            f"execution {answer_to(world.orders()[0]).execution_id}: ticket stranger is not known".encode(),
        ]
        assert len(world.orders()) == 3

    run(story)


def test_an_acknowledgement_never_overtakes_an_earlier_event(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        world.publisher.held = True
        first, second = of(opportunity()), of(opportunity("o2", "closed", basket="c"))
        edge.take(first)
        edge.take(second)
        await settle()
        assert (first.acknowledged, second.acknowledged) == (False, False)
        for _ in range(2):
            world.publisher.deliver()
            await settle()
        assert (first.acknowledged, second.acknowledged) == (True, True)

    run(story)


def test_a_restart_sends_unanswered_orders_again_and_takes_their_answers(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        edge.take(of(opportunity()))
        await settle()
        before = world.orders()
        edge.take(FakeEvent("execution.kalshi", encode(answer_to(before[0]))))
        world.topics["ticket"] = [*world.publisher.of("ticket"), b"nonsense"]
        world.topics["opportunity"] = [encode(opportunity()), b"nonsense"]
        world.publisher.records.clear()
        again = world.edge()
        await again.assigned(ALL)
        assert world.orders() == [before[1]]
        again.take(of(opportunity()))
        again.take(FakeEvent("eu.execution.polymarket", encode(answer_to(before[1]))))
        assert [ticket.state for ticket in world.tickets()] == ["filled"]

    run(story)


def test_a_standby_sends_nothing(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        edge.take(of(opportunity()))
        await settle()
        world.topics["ticket"] = world.publisher.of("ticket")
        world.publisher.records.clear()
        standby = world.edge()
        await standby.assigned(set())
        world.now_ns += 60 * SECOND
        standby.tick()
        assert world.publisher.records == []

    run(story)


def test_an_unanswered_order_raises_one_alert(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        edge.take(of(opportunity()))
        await settle()
        for _ in range(3):
            world.now_ns += 11 * SECOND
            edge.tick()
        (alert,) = [decode_record(value, Alert) for value in world.publisher.of("alert")]
        assert (alert.source, alert.severity) == ("executor", "critical")
        assert [ticket.state for ticket in world.tickets()] == ["working", "unknown"]

    run(story)


def halt(action: str, origin: str = "eu") -> bytes:
    fields = {"scope": "all", "origin": origin, "action": action, "reason": "", "limits": {}, "time_ns": 0}
    return encode(msgspec.convert(fields, Control))


def test_references_are_taken_before_each_event(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        FakeFollower.new = [FakeMessage("eu.control", halt("halt"), key=b"all")]
        edge.take(of(opportunity("o1", basket="a")))
        # A tombstone in the us topic clears what us set, not what eu set; one in eu's does.
        FakeFollower.new = [FakeMessage("control", None, key=b"all")]
        edge.take(of(opportunity("o2", basket="b")))
        await settle()
        assert world.orders() == []
        FakeFollower.new = [FakeMessage("eu.control", None, key=b"all")]
        edge.take(of(opportunity("o3", basket="c")))
        await settle()
        assert len(world.orders()) == 2
        FakeFollower.new = [FakeMessage("group", None, key=b"g")]
        edge.take(of(opportunity("o4", basket="d")))
        await settle()
        assert len(world.orders()) == 2

    run(story)


def test_a_halt_outlives_a_new_assignment(world: World) -> None:
    async def story() -> None:
        FakeFollower.existing.append(FakeMessage("control", halt("halt", "us"), key=b"all"))
        edge = world.edge()
        await edge.assigned(ALL)
        await edge.revoked()
        await edge.assigned(ALL)
        edge.take(of(opportunity()))
        await settle()
        assert world.orders() == []

    run(story)


@pytest.mark.parametrize(
    ("topic", "value", "reason"),
    [
        ("control", halt("limits", "us"), b"sets limits"),
        ("control", halt("halt", "eu"), b"says origin eu, came from us"),
        ("group", b"nonsense", b"does not begin"),
    ],
)
def test_a_bad_reference_is_a_dead_letter_and_changes_nothing(
    world: World, topic: str, value: bytes, reason: bytes
) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        FakeFollower.new = [FakeMessage(topic, value, key=b"g")]
        edge.take(of(opportunity()))
        await settle()
        assert world.publisher.of(f"deadletter.{topic}") == [value]
        (headers,) = [headers for headers in world.publisher.headers if headers]
        assert reason in dict(headers)["__connect.errors.exception.message"]
        assert len(world.orders()) == 2

    run(story)


def test_a_lost_delivery_ends_the_worker(world: World) -> None:
    async def story() -> None:
        edge, event = world.edge(), of(opportunity())
        await edge.assigned(ALL)
        world.publisher.failure = kafka.DeliveryFailed("lost")
        with pytest.raises(kafka.DeliveryFailed):
            edge.take(event)
        with pytest.raises(kafka.DeliveryFailed):
            edge.tick()
        world.publisher.failure = None
        await settle()
        assert not event.acknowledged

    run(story)


def test_stopping_delivers_what_is_under_way(world: World) -> None:
    async def story() -> None:
        edge = world.edge()
        await edge.assigned(ALL)
        world.publisher.held = True
        edge.take(of(opportunity()))
        await edge.stop()
        assert len(world.orders()) == 2
        assert world.publisher.closed

    run(story)
