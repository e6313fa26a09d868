"""What every Faust app of ours shares: its settings, in-order acknowledgement, and a watch on its progress.

Faust acknowledges an event even when the agent raised, and commits past an event that is still in flight when later
ones are acknowledged first (faust-streaming issue 606). So every agent here takes its events without automatic
acknowledgement and hands them to `OrderedAcks`, which acknowledges strictly in order, and only when everything that
was emitted for the event has been delivered.
"""

import asyncio
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import faust
from confluent_kafka import Consumer, KafkaException, TopicPartition

from runtime import kafka, logs
from runtime.settings import KafkaSettings, Settings, SettingsError, load

EXIT_SETTINGS: Final = 2
EXIT_STALLED: Final = 70
ANSWER_S: Final = 1.0
SAID_EVERY: Final = 10
"""Of so many vain questions to the cluster one is logged."""

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


def make_app(name: str, settings: KafkaSettings, web_port: int) -> Any:
    """A Faust app on the us cluster: raw bytes, at-least-once, no topics of its own, web pages on loopback."""
    folder = Path(settings.data_dir) / "faust" / name
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)  # Faust makes the last folder only
    except OSError as error:
        raise _exit(f"DUTCHBOOK_DATA_DIR: {folder.parent} cannot be made: {error.strerror}") from None
    return _PatientApp(
        f"dutchbook-{name}",
        broker=f"kafka://{settings.kafka_us}",
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
        stream_buffer_maxsize=4096,
        consumer_auto_offset_reset="earliest",
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=web_port,
    )


class _PatientApp(faust.App):  # type: ignore[misc]
    """A worker that waits for its cluster: Faust itself ends when no broker answers while it starts."""

    async def on_first_start(self) -> None:
        log, host = logs.get(process=self.conf.id), self.conf.broker[0]
        client = kafka.consumer(f"{host.host}:{host.port}", f"{self.conf.id}-waiting")
        waited = 0
        try:
            while not await asyncio.to_thread(_answers, client):
                if waited % SAID_EVERY == 0:
                    log.warning("waiting for the cluster", broker=str(host))
                waited += 1
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


class Token:
    """One event waiting for its deliveries. `done_one` may be called from any thread."""

    __slots__ = ("_event", "_left", "_lock", "_owner", "_sealed")

    def __init__(self, owner: "OrderedAcks", event: Any) -> None:
        self._owner = owner
        self._event = event
        self._left = 0
        self._sealed = False
        self._lock = threading.Lock()

    def expect(self, count: int = 1) -> None:
        """The event is not acknowledged before `count` more deliveries."""
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
    """Acknowledges events strictly in the order they were added. `add` and the acknowledgements run on the loop."""

    def __init__(self) -> None:
        self._waiting: deque[Token] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled = False

    def add(self, event: Any) -> Token:
        """Register the next event; its Token must be sealed once all its deliveries are expected."""
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
        """Drop everything that waits: after a revocation the events come again, here or elsewhere."""
        self._waiting.clear()

    def __len__(self) -> int:
        return len(self._waiting)

    def _acknowledge(self) -> None:
        self._scheduled = False
        while self._waiting and self._waiting[0].ready:
            self._waiting.popleft().acknowledge()


class ProgressWatch:
    """Ends the process when records of a partition wait and none is processed: Faust's consumers may stall.

    They are known to after broker trouble. `processed` is called for every event; a thread compares every assigned
    partition with the cluster's end offsets.
    """

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], *, limit_s: float = 20.0) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._topics = frozenset(topics)
        self._limit_s = limit_s
        self._moved: dict[tuple[str, int], tuple[int | None, float]] = {}
        self._log = logs.get(part="progress-watch")
        self._thread = threading.Thread(target=self._run, name="progress-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def processed(self, topic: str, partition: int, offset: int) -> None:
        """An event was taken in."""
        self._moved[topic, partition] = (offset + 1, time.monotonic())

    def assigned(self, partitions: set[tuple[str, int]]) -> None:
        """Watch what is assigned here from now on, and nothing else."""
        now = time.monotonic()
        self._moved = {place: (None, now) for place in partitions if place[0] in self._topics}

    def _run(self) -> None:
        client = kafka.consumer(self._bootstrap, self._group)
        while True:
            time.sleep(5)
            for (topic, partition), (position, moved) in list(self._moved.items()):
                place = TopicPartition(topic, partition)
                if time.monotonic() - moved > self._limit_s and self._records_wait(client, place, position):
                    self._log.error("records wait but none is processed: ending", topic=topic, partition=partition)
                    os._exit(EXIT_STALLED)

    @staticmethod
    def _records_wait(client: Consumer, place: TopicPartition, position: int | None) -> bool:
        try:
            if position is None:
                position = client.committed([place], timeout=5)[0].offset
            low, high = client.get_watermark_offsets(place, timeout=5)
        except KafkaException:  # a broker that is down is no stall of ours
            return False
        return bool(high > max(position, low))
