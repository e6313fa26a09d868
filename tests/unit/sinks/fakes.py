"""A broker, a consumer and a dead letter topic without Kafka. Time passes only while a consumer waits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import TopicPartition

from runtime.kafka import DeadLetterLimit
from sinks.task import Place


@dataclass(frozen=True)
class FakeMessage:
    place: Place
    at: int
    payload: bytes | None
    problem: Any = None

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes | None:
        return self.payload

    def timestamp(self) -> tuple[int, int]:
        return 1, 123

    def headers(self) -> list[tuple[str, bytes]] | None:
        return None

    def error(self) -> Any:
        return self.problem


class FakeBroker:
    """Partitions of records, and the group's committed offsets: what outlives a process."""

    def __init__(self) -> None:
        self.log: dict[Place, list[bytes | None]] = {}
        self.committed: dict[Place, int] = {}
        self.now_s = 0.0

    def append(self, topic: str, *values: bytes | None, partition: int = 0) -> None:
        self.log.setdefault((topic, partition), []).extend(values)


class FakeConsumer:
    """The part of confluent_kafka.Consumer that the worker uses.

    `at_idle` actions run one by one, each time the consumer waits and nothing comes; after the last, `stop` is called.
    """

    def __init__(self, broker: FakeBroker, at_idle: Sequence[Callable[[], None]] = ()) -> None:
        self._broker = broker
        self._at_idle = list(at_idle)
        self.stop: Callable[[], None] = lambda: None
        self.positions: dict[Place, int] = {}
        self.paused: set[Place] = set()
        self.commits: list[dict[Place, int]] = []
        self.closed = False
        self.assigned = False
        self.waited_s: list[float] = []
        self.commit_fails: BaseException | None = None

    def subscribe(self, _topics: list[str], **callbacks: Callable[..., None]) -> None:
        self._callbacks = callbacks

    def poll(self, timeout: float) -> FakeMessage | None:
        if not self.assigned:
            self.rebalance()
        if ready := self.consume(1, 0):
            return ready[0]
        self.waited_s.append(timeout)
        self._broker.now_s += timeout
        if self._at_idle:
            self._at_idle.pop(0)()
        else:
            self.stop()
        return None

    def consume(self, count: int, _timeout: float) -> list[FakeMessage]:
        taken: list[FakeMessage] = []
        for place, at in self.positions.items():
            if place in self.paused:
                continue
            values = self._broker.log[place][at : at + count - len(taken)]
            taken += [FakeMessage(place, at + index, value) for index, value in enumerate(values)]
            self.positions[place] = at + len(values)
        return taken

    def rebalance(self, *, lost: bool = False) -> None:
        """Take everything back, or lose it, and get it again."""
        if self.assigned:
            self._callbacks["on_lost" if lost else "on_revoke"](self, self.assignment())
            self.positions.clear()
        self.assigned = True
        self.paused.clear()
        self._callbacks["on_assign"](self, [TopicPartition(*place) for place in self._broker.log])

    def assign(self, partitions: list[TopicPartition]) -> None:
        for each in partitions:
            place = each.topic, each.partition
            self.positions[place] = each.offset if each.offset >= 0 else self._broker.committed.get(place, 0)

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(*place) for place in self.positions]

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        known = self._broker.committed
        return [
            TopicPartition(each.topic, each.partition, known.get((each.topic, each.partition), -1001))
            for each in partitions
        ]

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused |= {(each.topic, each.partition) for each in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused -= {(each.topic, each.partition) for each in partitions}

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert not asynchronous
        if self.commit_fails is not None:
            raise self.commit_fails
        self.commits.append({(each.topic, each.partition): each.offset for each in offsets})
        self._broker.committed.update(self.commits[-1])

    def close(self) -> None:
        if self.assigned:
            self._callbacks["on_revoke"](self, self.assignment())
        self.closed = True


@dataclass
class FakeOutlet:
    """Dead letters and their publisher: a letter is `confirmed` only after a flush."""

    run_limit: int = 100
    sent: list[tuple[str, int, str]] = field(default_factory=list)
    confirmed: int = 0
    failure: Exception | None = None
    _run: int = 0

    def good(self, count: int = 1) -> None:
        if count:
            self._run = 0

    def send(
        self,
        origin: str,
        value: bytes | None,
        error: BaseException,
        *,
        partition: int = -1,
        offset: int = -1,
        stage: str = "VALUE_CONVERTER",
    ) -> None:
        self.sent.append((origin, offset, stage))
        self._run += 1
        if self._run > self.run_limit:
            raise DeadLetterLimit("too many")

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def flush(self) -> None:
        self.check()
        self.confirmed = len(self.sent)
