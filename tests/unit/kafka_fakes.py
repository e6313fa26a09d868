"""Kafka as the edges see it, in memory: records go in, deliveries are reported when a test says so."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import TopicPartition


class FakeMessage:
    """What `confluent_kafka.Message` and Faust's messages have in common, both ways of asking."""

    def __init__(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes = b"",
        partition: int = 0,
        offset: int = 0,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        self._fields = {
            "topic": topic, "value": value, "key": key, "partition": partition, "offset": offset, "headers": headers
        }  # fmt: skip

    def topic(self) -> Any:
        return self._fields["topic"]

    def value(self) -> Any:
        return self._fields["value"]

    def key(self) -> Any:
        return self._fields["key"]

    def partition(self) -> Any:
        return self._fields["partition"]

    def offset(self) -> Any:
        return self._fields["offset"]

    def headers(self) -> Any:
        return self._fields["headers"]

    def error(self) -> None:
        return None


class FakePublisher:
    """Keeps what was published; delivers at once, or on `deliver` when `held`."""

    def __init__(self, *_: Any) -> None:
        self.records: list[tuple[str, bytes | None, bytes | None]] = []
        self.headers: list[list[tuple[str, bytes]]] = []
        self.held = False
        self.failure: Exception | None = None
        self.closed = False
        self._undelivered: list[Callable[[Any], None]] = []

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = -1,
        headers: list[tuple[str, bytes]] | None = None,
        delivered: Callable[[Any], None] | None = None,
    ) -> None:
        self.check()
        self.records.append((topic, key, value))
        self.headers.append(headers or [])
        if delivered is not None:
            self._undelivered.append(delivered)
        if not self.held:
            self.deliver()

    def deliver(self) -> None:
        """Report everything published so far as acknowledged."""
        waiting, self._undelivered = self._undelivered, []
        for delivered in waiting:
            delivered(None)

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def flush(self, _timeout_s: float = 0) -> None:
        self.check()
        self.deliver()

    def close(self, _timeout_s: float = 0) -> None:
        self.flush()
        self.closed = True

    def of(self, *topics: str) -> list[bytes]:
        """The values published to these topics."""
        return [value or b"" for topic, _, value in self.records if topic in topics]


class FakeConsumer:
    """Serves prepared messages; calls `on_empty` when there are no more."""

    def __init__(self) -> None:
        self.messages: list[FakeMessage] = []
        self.on_empty: Callable[[], None] = lambda: None
        self.committed: list[int] = []
        self.topics: list[str] = []
        self.callbacks: dict[str, Callable[..., None]] = {}
        self.closed = False

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        self.topics = topics
        self.callbacks = callbacks
        callbacks["on_assign"](self, [TopicPartition(topics[0], 0)])

    def assign(self, places: list[TopicPartition]) -> None:
        self.topics = [place.topic for place in places]

    def offsets_for_times(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition(place.topic, place.partition, -1) for place in places]

    def position(self, places: list[TopicPartition]) -> list[TopicPartition]:
        return places

    def poll(self, _timeout_s: float) -> FakeMessage | None:
        if self.messages:
            return self.messages.pop(0)
        self.on_empty()
        return None

    def consume(self, _count: int, timeout: float) -> list[FakeMessage]:
        served, self.messages = self.messages, []
        return served

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self.committed += [place.offset for place in offsets]

    def close(self) -> None:
        self.closed = True


class FakeReporter:
    """Instead of heartbeats and metrics."""

    def __init__(self, *_: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass
