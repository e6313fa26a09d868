"""What every Faust app of ours shares: its settings, its life, in-order acknowledgement, and a watch on its progress.

Faust acknowledges an event even when the agent raised, and commits past an event that is still in flight when later
ones are acknowledged first (faust-streaming issue 606). So the agents here take fetches without automatic
acknowledgement (`streams.consumer`), and every input is handed to `OrderedAcks`, which acknowledges strictly in order,
and only when everything that was emitted for it has been delivered.
"""

import asyncio
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import faust
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from runtime import kafka, logs
from runtime.health import HEALTH, HeartbeatSender
from runtime.metrics import MetricReporter
from runtime.settings import KafkaSettings, Settings, SettingsError, load
from schemas.runs import group_of, run_topic
from streams.consumer import FetchConsumer, FetchTransport
from streams.credentials import faust_settings
from streams.reference import ReferenceFollower

EXIT_SETTINGS: Final = 2
EXIT_STALLED: Final = 70
ANSWER_S: Final = 1.0
SAID_EVERY: Final = 10
"""Of so many vain questions to the cluster one is logged."""
FETCH_BYTES: Final = 256 * 1024
"""Of each partition in a fetch: what one fetch brings is taken in before the event loop turns to the next."""
LOOK_EVERY_S: Final = 5.0
TURN: Final = 128
"""Records that are taken in before the event loop may do something else."""

S = TypeVar("S", bound=Settings)


def load_or_exit(kind: type[S]) -> S:
    """The settings a Faust app is made with; a wrong one ends the process with one line on stderr and code 2.

    Faust imports the app's module before it does anything else, so this is where its settings are read.
    """
    try:
        return load(kind)
    except SettingsError as error:
        raise _exit(str(error)) from None


def _exit(text: str) -> SystemExit:
    sys.stderr.write(f"{text}\n")
    return SystemExit(EXIT_SETTINGS)


def app_id(name: str, run: str) -> str:
    """A worker's name in Kafka, its consumer group included: a run's workers are nobody else's."""
    return group_of(f"dutchbook-{name}", run)


def make_app(name: str, settings: KafkaSettings, web_port: int) -> Any:
    """A Faust app on the us cluster: raw bytes, at-least-once, no topics of its own, web pages on loopback."""
    folder = Path(settings.data_dir) / "faust" / group_of(name, settings.run)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)  # Faust makes the last folder only
    except OSError as error:
        raise _exit(f"DUTCHBOOK_DATA_DIR: {folder.parent} cannot be made: {error.strerror}") from None
    app = _PatientApp(
        app_id(name, settings.run),
        **faust_settings(settings.kafka_us),
        version=1,
        autodiscover=False,
        datadir=str(folder),
        key_serializer="raw",
        value_serializer="raw",
        store="memory://",
        table_standby_replicas=1,  # with 0 Faust takes aiokafka's round robin assignor: no co-partitioning
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.5,
        broker_rebalance_timeout=10.0,
        broker_request_timeout=20.0,
        broker_commit_interval=0.5,
        stream_wait_empty=False,
        consumer_max_fetch_size=FETCH_BYTES,
        consumer_auto_offset_reset="earliest",
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=web_port,
    )
    app.cluster = settings.kafka_us
    return app


class _PatientApp(faust.App):  # type: ignore[misc]
    """A worker that waits for its cluster: Faust itself ends when no broker answers while it starts."""

    cluster: str
    """The cluster's address."""

    def _new_transport(self) -> FetchTransport:
        return FetchTransport(self.conf.broker_consumer, self)

    async def on_first_start(self) -> None:
        log = logs.get(process=self.conf.id)
        client = await asyncio.to_thread(kafka.consumer, self.cluster, f"{self.conf.id}-waiting")
        waited = 0
        try:
            while not await asyncio.to_thread(_answers, client):
                if waited % SAID_EVERY == 0:
                    log.warning("waiting for the cluster", address=self.cluster)
                waited += 1
                HEALTH.touch()  # it is the cluster that is not well
        finally:
            client.close()
        await super().on_first_start()


def _answers(client: Consumer) -> bool:
    """Whether the cluster answers within `ANSWER_S`."""
    try:
        client.list_topics(timeout=ANSWER_S)
    except KafkaException:
        return False
    return True


class Input(Protocol):
    """What can be acknowledged: a record, or a run of records."""

    def ack(self) -> object:
        """Say that it is done with; on the event loop's thread."""


class Received:
    """One record as an agent gets it. `message` has `topic`, `partition`, `offset`, `headers` and `value`."""

    __slots__ = ("consumer", "message")

    def __init__(self, message: Any, consumer: FetchConsumer) -> None:
        self.message = message
        self.consumer = consumer

    @property
    def value(self) -> bytes | None:
        """The record's value."""
        value: bytes | None = self.message.value
        return value

    def ack(self) -> None:
        """This record and all before it in its partition are done with."""
        self.consumer.acknowledge(self.message.topic, self.message.partition, self.message.offset + 1)


class Token:
    """One input waiting for its deliveries. `done_one` may be called from any thread."""

    __slots__ = ("_event", "_left", "_lock", "_owner", "_sealed")

    def __init__(self, owner: "OrderedAcks", event: Input) -> None:
        self._owner = owner
        self._event = event
        self._left = 0
        self._sealed = False
        self._lock = threading.Lock()

    def expect(self, count: int = 1) -> None:
        """The input is not acknowledged before `count` more deliveries."""
        with self._lock:
            self._left += count

    def seal(self) -> None:
        """No more `expect` will follow."""
        with self._lock:
            self._sealed = True
            ready = self._left == 0
        if ready:
            self._owner.wake()

    def done_one(self, _message: Any = None) -> None:
        """One delivery was acknowledged by the broker."""
        with self._lock:
            self._left -= 1
            ready = self._left == 0 and self._sealed
        if ready:
            self._owner.wake()

    @property
    def ready(self) -> bool:
        """Everything expected has been delivered."""
        return self._sealed and self._left == 0

    def acknowledge(self) -> None:
        """Tell Faust; event loop thread only."""
        self._event.ack()


class OrderedAcks:
    """Acknowledges inputs strictly in the order they were added. `add` and the acknowledgements run on the loop."""

    def __init__(self) -> None:
        self._waiting: deque[Token] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled = False

    def add(self, event: Input) -> Token:
        """Register the next input; its Token must be sealed once all its deliveries are expected."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        token = Token(self, event)
        self._waiting.append(token)
        return token

    def wake(self) -> None:
        """Have the finished head acknowledged soon; thread-safe."""
        if self._loop is not None and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._acknowledge)

    def forget(self) -> None:
        """Drop everything that waits: after a revocation the inputs come again, here or elsewhere."""
        self._waiting.clear()

    def __len__(self) -> int:
        return len(self._waiting)

    def _acknowledge(self) -> None:
        self._scheduled = False
        while self._waiting and self._waiting[0].ready:
            self._waiting.popleft().acknowledge()


class ProgressWatch:
    """Ends the process when records of a partition have waited for `limit_s` and none was processed.

    Faust's consumers may stall; they are known to after broker trouble. `processed` is called as records are taken in;
    a thread compares every assigned partition with the cluster's end offsets. What counts is for how long records have
    been seen to wait: a partition that was quiet for long and has one just now is no stall.
    """

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], *, limit_s: float = 20.0) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._topics = frozenset(topics)
        self._limit_s = limit_s
        self._positions: dict[tuple[str, int], int | None] = {}
        self._waiting: dict[tuple[str, int], tuple[int | None, float]] = {}
        self._log = logs.get(part="progress-watch")
        self._thread = threading.Thread(target=self._run, name="progress-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def processed(self, topic: str, partition: int, offset: int) -> None:
        """Everything up to this offset was taken in."""
        self._positions[topic, partition] = offset + 1

    def assigned(self, partitions: set[tuple[str, int]]) -> None:
        """Watch what is assigned here from now on, and nothing else."""
        self._waiting = {}
        self._positions = {place: None for place in partitions if place[0] in self._topics}

    def _run(self) -> None:
        client = kafka.consumer(self._bootstrap, self._group)
        while True:
            time.sleep(LOOK_EVERY_S)
            stalled = self.look(client, time.monotonic())
            if stalled is not None:
                topic, partition = stalled
                self._log.error("records wait but none is processed: ending", topic=topic, partition=partition)
                os._exit(EXIT_STALLED)

    def look(self, client: Consumer, now: float) -> tuple[str, int] | None:
        """One look at every partition; returns one whose records have waited for too long."""
        waiting = self._waiting
        for place, position in list(self._positions.items()):
            if not self._records_wait(client, TopicPartition(*place), position):
                waiting.pop(place, None)
                continue
            before, since = waiting.get(place, (position, now))
            if before != position:
                since = now
            waiting[place] = position, since
            if now - since >= self._limit_s:
                return place
        return None

    @staticmethod
    def _records_wait(client: Consumer, place: TopicPartition, position: int | None) -> bool:
        try:
            if position is None:
                position = client.committed([place], timeout=5)[0].offset
            low, high = client.get_watermark_offsets(place, timeout=5)
        except KafkaException:  # a broker that is down is no stall of ours
            return False
        return bool(high > max(position, low))


class Edge(ABC):
    """The worker around a core: everything that waits, reads a clock or sends, and the life of it.

    `take` is what a worker does. Whenever partitions are assigned, `begin` makes ready for them, and nothing is taken
    in before; `let_go` ends what was when they are revoked.
    """

    def __init__(
        self, name: str, kafka_settings: KafkaSettings, inputs: Sequence[str], references: Sequence[str]
    ) -> None:
        self.name = name
        self._bootstrap = kafka_settings.kafka_us
        self._topic = partial(run_topic, kafka_settings.run)
        """The topic that stands for an origin: itself, or that of the run which the settings name."""
        self._inputs = tuple(map(self._topic, inputs))
        self._log = logs.configure(name)
        self._publisher = kafka.Publisher(self._bootstrap, f"dutchbook-{name}")
        self._dead_letters = kafka.DeadLetters(self._publisher, name, ratio=0.2, run=100)
        self._follower = ReferenceFollower(self._bootstrap, [self._topic(origin) for origin in references])
        self._acks = OrderedAcks()
        self._watch = ProgressWatch(self._bootstrap, app_id(name, kafka_settings.run), self._inputs)
        self._ready = asyncio.Event()
        self._generation = 0
        self._started = False
        self._reporters = (
            HeartbeatSender(name, "us", self._send),
            MetricReporter(name, "us", self._send),
        )

    # -- what a worker is ----------------------------------------------------------------------------------------

    @abstractmethod
    def take(self, event: Any) -> None:
        """One record of an input topic. Raises only when the worker cannot go on."""

    @abstractmethod
    def refresh(self) -> None:
        """Take in what the reference topics brought since the last call; called before every turn."""

    @abstractmethod
    def know(self, message: Message) -> None:
        """One record that a reference topic had before this worker started. Not on the event loop's thread."""

    @abstractmethod
    async def begin(self, partitions: set[tuple[str, int]]) -> None:
        """Make ready for what is assigned; everything of an assignment before is forgotten."""

    @abstractmethod
    def let_go(self) -> None:
        """End what was assigned. Everything that is published here is delivered before the partitions leave."""

    async def before_turn(self) -> None:  # noqa: B027 - most have nothing to do
        """Whatever is due between two turns; partitions may move meanwhile."""

    # -- its life ------------------------------------------------------------------------------------------------

    async def assigned(self, partitions: set[tuple[str, int]]) -> None:
        """Start at first, and begin with the partitions."""
        self._ready.clear()
        self._generation += 1
        if not self._started:
            await asyncio.to_thread(self._start)
        self._acks.forget()
        self._watch.assigned(partitions)
        await self.begin(partitions)
        self._ready.set()

    async def revoked(self) -> None:
        """Let go: another worker, or this one anew, takes over."""
        self._ready.clear()
        self._generation += 1
        self.let_go()
        self._acks.forget()
        await asyncio.to_thread(self._publisher.flush)

    async def stop(self) -> None:
        """Deliver what is under way and end the threads."""
        for reporter in self._reporters if self._started else ():
            await asyncio.to_thread(reporter.stop)
        await asyncio.to_thread(self._follower.stop)
        await asyncio.to_thread(self._publisher.flush)
        await asyncio.sleep(0)  # what waited for a delivery is sent now
        await asyncio.to_thread(self._publisher.close)

    async def ready(self) -> None:
        """Wait until what is assigned has begun: nothing is decided before."""
        await self._ready.wait()

    async def take_all(self, records: Sequence[Any], consumer: FetchConsumer) -> None:
        """What one fetch brought, in turns that let the event loop live; when partitions move, the rest comes again."""
        generation = self._generation
        await self.ready()
        for begin in range(0, len(records), TURN):
            if generation != self._generation:
                return
            turn = records[begin : begin + TURN]
            await self.before_turn()
            if generation != self._generation:
                return
            self.refresh()
            for record in turn:
                self.take(Received(record, consumer))
            for (topic, partition), offset in {(one.topic, one.partition): one.offset for one in turn}.items():
                self._watch.processed(topic, partition, offset)
            await asyncio.sleep(0)

    def _send(self, topic: str, key: bytes, value: bytes) -> None:
        self._publisher.publish(self._topic(topic), value, key=key)

    def _start(self) -> None:
        for message in self._follower.start_and_wait():
            self.know(message)
        for reporter in self._reporters:
            reporter.start()
        self._watch.start()
        self._started = True


E = TypeVar("E", bound=Edge)


def serve(app: Any, settings: KafkaSettings, origins: Sequence[str], make: Callable[[], E]) -> Callable[[], E]:
    """Have the app's one agent feed an edge with these topics, or those of the settings' run that stand for them.

    Returns what gives the edge, made at its first use.

    What the edge cannot survive ends the worker, for the supervisor to start it afresh.
    """
    made: list[E] = []

    def edge() -> E:
        if not made:
            made.append(make())
        return made[0]

    async def assigned(_app: Any, assigned: Any, **_: Any) -> None:
        await edge().assigned({(place.topic, place.partition) for place in assigned})

    async def revoked(_app: Any, _revoked: Any, **_: Any) -> None:
        await edge().revoked()

    async def shutdown(_app: Any, **_: Any) -> None:
        await edge().stop()

    async def feed(stream: Any) -> None:
        worker = edge()
        async for event in stream.noack().events():
            app.consumer.took()
            try:
                await worker.take_all(event.value.records, app.consumer)
            except Exception:
                await give_up(app, worker.name)
                raise

    app.on_partitions_assigned.connect(assigned)
    app.on_partitions_revoked.connect(revoked)
    app.on_before_shutdown.connect(shutdown)
    topics = [run_topic(settings.run, origin) for origin in origins]
    app.agent(app.topic(*topics, key_type=bytes, value_type=bytes), name=app.conf.id, concurrency=1)(feed)
    return edge


async def give_up(app: Any, name: str) -> None:
    """End the worker; called while an exception is handled."""
    logs.get(process=name).exception(f"the {name} cannot go on")
    await app.crash(RuntimeError(name))
