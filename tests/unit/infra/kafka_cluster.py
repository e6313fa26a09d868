"""One cluster in memory as `runtime.kafka.consumer`'s clients see it: topics, partitions, what retention took."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from tests.unit.kafka_fakes import FakeMessage


class StampedMessage(FakeMessage):
    """A message with Kafka's own timestamp and headers."""

    def __init__(self, timestamp_ms: int, headers: list[tuple[str, bytes]], *fields: Any, **more: Any) -> None:
        super().__init__(*fields, **more)
        self._timestamp_ms = timestamp_ms
        self._headers = headers

    def timestamp(self) -> tuple[int, int]:
        return 1, self._timestamp_ms

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._headers or None


class FakeCluster:
    """Holds topics; `consumer` stands in for the real one. `failure` is what every question then gives."""

    def __init__(self, topics: Iterable[str] = (), partitions: int = 1) -> None:
        self.logs: dict[tuple[str, int], list[StampedMessage]] = {}
        self.low: dict[tuple[str, int], int] = {}
        self.failure: KafkaError | None = None
        self.clients: list[FakeClient] = []
        for topic in topics:
            self.create(topic, partitions)

    def create(self, topic: str, partitions: int = 1) -> None:
        for partition in range(partitions):
            self.logs.setdefault((topic, partition), [])

    def add(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes = b"",
        partition: int = 0,
        timestamp_ms: int = 0,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        log = self.logs.setdefault((topic, partition), [])
        offset = log[-1].offset() + 1 if log else 0
        log.append(
            StampedMessage(timestamp_ms, headers or [], topic, value, key=key, partition=partition, offset=offset)
        )

    def evict(self, topic: str, partition: int, before: int) -> None:
        """Retention takes the records before an offset."""
        self.low[topic, partition] = before

    def consumer(self, _bootstrap: str, _group: str, **_: Any) -> "FakeClient":
        self.clients.append(FakeClient(self))
        return self.clients[-1]


class FakeClient:
    """A consumer of one cluster, outside any group."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._at: dict[tuple[str, int], int] = {}
        self.closed = False

    def list_topics(self, timeout: float) -> Any:
        self._check()
        topics: dict[str, Any] = {}
        for topic, partition in self._cluster.logs:
            topics.setdefault(topic, SimpleNamespace(error=None, partitions={})).partitions[partition] = None
        return SimpleNamespace(topics=topics)

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        self._check()
        log = self._cluster.logs.get((place.topic, place.partition))
        if log is None:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
        low = self._cluster.low.get((place.topic, place.partition), 0)
        return low, log[-1].offset() + 1 if log else low

    def assign(self, places: list[TopicPartition]) -> None:
        self._at = {
            (place.topic, place.partition): self._low(place) if place.offset == OFFSET_BEGINNING else place.offset
            for place in places
        }

    def _low(self, place: TopicPartition) -> int:
        return self._cluster.low.get((place.topic, place.partition), 0)

    def poll(self, _timeout_s: float) -> StampedMessage | None:
        for place, offset in self._at.items():
            for message in self._cluster.logs[place]:
                if message.offset() >= max(offset, self._cluster.low.get(place, 0)):
                    self._at[place] = message.offset() + 1
                    return message
        return None

    def position(self, places: list[TopicPartition]) -> list[TopicPartition]:
        return [
            TopicPartition(place.topic, place.partition, self._at[place.topic, place.partition]) for place in places
        ]

    def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self._cluster.failure is not None:
            raise KafkaException(self._cluster.failure)
