"""Kafka clients, made in one place: producers, consumers, dead letters, topic creation, and reading a topic whole.

`bootstrap` is always a cluster's address as `runtime.msk` reads it: plain, or `iam://…` for Amazon MSK.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from runtime import logs, metrics, msk
from schemas.topics import MAXIMUM_RECORD_BYTES, Creation, dead_letter_name

Headers = list[tuple[str, bytes]]


class KafkaUnavailable(RuntimeError):
    """The cluster did not answer in time; the message names it."""


class DeliveryFailed(RuntimeError):
    """A record could not be delivered; nothing that depends on it may be acknowledged."""


class ErrorLog:
    """Logs a client's errors, the same one at most every ten seconds: librdkafka repeats itself 20 times a second."""

    QUIET_S: Final = 10.0

    def __init__(self, client: str) -> None:
        self._log = logs.get(client=client)
        self._said: dict[int, float] = {}

    def __call__(self, error: KafkaError) -> None:
        """Called by librdkafka on the thread that polls."""
        now = time.monotonic()
        if now - self._said.get(error.code(), -self.QUIET_S) >= self.QUIET_S:
            self._said[error.code()] = now
            self._log.warning("kafka", error=error.str())


class Publisher:
    """An idempotent producer (acks=all, no linger) whose delivery reports are served by a thread of its own.

    `publish` never blocks for the network; when librdkafka's queue is full it waits for room (backpressure).
    A failed delivery is kept and raised by the next `publish`, `check` or `flush`: the process must then stop.
    """

    def __init__(self, bootstrap: str, client_id: str, *, queue_messages: int = 200_000) -> None:
        self._producer = Producer(
            msk.client_settings(bootstrap, client_id)
            | {
                "client.id": client_id,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0,
                "sticky.partitioning.linger.ms": 0,
                "partitioner": "murmur2_random",
                "queue.buffering.max.messages": queue_messages,
                "message.max.bytes": MAXIMUM_RECORD_BYTES,
                "compression.type": "lz4",
                "message.timeout.ms": 120_000,
                "reconnect.backoff.max.ms": 1000,
                "socket.keepalive.enable": True,
                "log_level": 0,
                "error_cb": ErrorLog(client_id),
            }
        )
        self._failure: KafkaError | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._serve, name="delivery-reports", daemon=True)
        self._thread.start()

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = -1,
        headers: Headers | None = None,
        timestamp_ms: int = 0,
        delivered: Callable[[Message], None] | None = None,
    ) -> None:
        """Hand one record to the producer; `delivered` is called (on another thread) once it is acknowledged.

        A record without `timestamp_ms` gets the present.
        """
        self.check()
        report = self._report if delivered is None else self._report_to(delivered)
        while True:
            try:
                self._producer.produce(
                    topic, value, key=key, partition=partition, headers=headers or [], timestamp=timestamp_ms,
                    on_delivery=report,
                )  # fmt: skip
            except BufferError:
                time.sleep(0.005)
                self.check()
            else:
                return

    def check(self) -> None:
        """Raise DeliveryFailed when a delivery has failed."""
        if self._failure is not None:
            raise DeliveryFailed(f"a record could not be delivered: {self._failure.str()}")

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything handed over is acknowledged; raises DeliveryFailed otherwise."""
        left = self._producer.flush(timeout_s)
        self.check()
        if left:
            raise DeliveryFailed(f"{left} records were not acknowledged within {timeout_s} s")

    def pending(self) -> int:
        """Records not yet acknowledged."""
        return len(self._producer)

    def close(self, timeout_s: float = 10.0) -> None:
        """Flush and end the delivery-report thread."""
        try:
            self.flush(timeout_s)
        finally:
            self._stopped = True
            self._thread.join(timeout=2)

    def _serve(self) -> None:
        while not self._stopped:
            self._producer.poll(0.1)

    def _report(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None and self._failure is None:
            self._failure = error

    def _report_to(self, delivered: Callable[[Message], None]) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, message: Message) -> None:
            self._report(error, message)
            if error is None:
                delivered(message)

        return report


def consumer(bootstrap: str, group: str, **overrides: Any) -> Consumer:
    """A consumer that commits nothing by itself, starts at the beginning, and fetches without waiting."""
    return Consumer(
        msk.client_settings(bootstrap, group)
        | {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 10_000,
            "heartbeat.interval.ms": 2000,
            "fetch.wait.max.ms": 100,
            "fetch.queue.backoff.ms": 10,
            "topic.metadata.refresh.interval.ms": 10_000,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 0,
            "error_cb": ErrorLog(group),
        }
        | overrides
    )


def admin_client(bootstrap: str) -> AdminClient:
    """A client that administers a cluster. Raises KafkaUnavailable when there is nothing to sign in with."""
    region = msk.parse(bootstrap).aws_region
    if region is not None:
        try:
            msk.sign(region)
        except msk.TokenFailed as error:
            raise KafkaUnavailable(f"no token for {bootstrap}: {error}") from error
    return AdminClient(msk.client_settings(bootstrap, "admin") | {"log_level": 0})


_TRANSIENT: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._UNKNOWN_PARTITION,
    }
)
"""Errors that a young topic or a broker that is coming back gives for a while."""


def end_offsets(client: Consumer, topics: Sequence[str], *, timeout_s: float = 20.0) -> dict[tuple[str, int], int]:
    """The end offset of every partition of the topics; raises KafkaUnavailable when the cluster does not answer."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return _end_offsets(client, topics)
        except KafkaException as error:
            problem: KafkaError = error.args[0]
            if problem.code() not in _TRANSIENT or time.monotonic() > deadline:
                raise KafkaUnavailable(f"cluster did not answer: {problem.str()}") from error
            time.sleep(0.2)


def _end_offsets(client: Consumer, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    metadata = client.list_topics(timeout=10).topics
    ends = {}
    for topic in topics:
        if topic not in metadata or metadata[topic].error is not None:
            raise KafkaUnavailable(f"topic {topic} does not exist: run `dutchbook topics create`")
        for partition in metadata[topic].partitions:
            ends[topic, partition] = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
    return ends


def read_whole(bootstrap: str, topics: Sequence[str], *, timeout_s: float = 30.0) -> Iterator[Message]:
    """Yield every record of the topics that exists now, per partition in order, outside any consumer group."""
    client = consumer(bootstrap, "dutchbook-reader")
    try:
        left = {place: end for place, end in end_offsets(client, topics).items() if not _is_empty(client, place)}
        client.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in left])
        deadline = time.monotonic() + timeout_s
        while left:
            message = client.poll(0.2)
            _drop_finished(client, left)
            if message is None:
                if time.monotonic() > deadline:
                    raise KafkaUnavailable(f"no end of {sorted(left)} within {timeout_s} s")
                continue
            if message.error() is not None:
                raise KafkaUnavailable(f"{message.topic()}: {message.error().str()}")
            deadline = time.monotonic() + timeout_s
            yield message
    finally:
        client.close()


def _is_empty(client: Consumer, place: tuple[str, int]) -> bool:
    """Whether retention, or never having been written to, left nothing to read."""
    low, high = client.get_watermark_offsets(TopicPartition(*place), timeout=10)
    return bool(low == high)


def _drop_finished(client: Consumer, left: dict[tuple[str, int], int]) -> None:
    """Forget partitions whose position has reached the end, gaps of compaction included."""
    for place in client.position([TopicPartition(*key) for key in left]):
        if place.offset >= left[place.topic, place.partition]:
            del left[place.topic, place.partition]


def create_topics(bootstrap: str, plan: Sequence[Creation], *, replication_factor: int = 1) -> list[str]:
    """Create what is missing and return the names created; existing topics are left as they are."""
    admin = admin_client(bootstrap)
    existing = set(admin.list_topics(timeout=10).topics)
    missing = [
        NewTopic(item.name, item.partitions, replication_factor, config=item.configuration)
        for item in plan
        if item.name not in existing
    ]
    if not missing:
        return []
    created = []
    for name, future in admin.create_topics(missing, operation_timeout=30).items():
        try:
            future.result(timeout=60)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise KafkaUnavailable(f"topic {name} could not be created: {error.args[0].str()}") from error
        else:
            created.append(name)
    return sorted(created)


class DeadLetterLimit(RuntimeError):
    """Too many dead letters in a row or in proportion: a bad deploy must not divert everything."""


class DeadLetters:
    """Sends what cannot be processed to its dead letter topic, with Kafka Connect's headers, up to a limit."""

    WINDOW: Final = 1000

    def __init__(self, publisher: Publisher, source: str, *, ratio: float, run: int) -> None:
        self._publisher = publisher
        self._source = source
        self._ratio = ratio
        self._run_limit = run
        self._run = 0
        self._seen = 0
        self._dead = 0
        self._log = logs.get(source=source)

    def good(self, count: int = 1) -> None:
        """Count records that went well."""
        self._run = 0
        self._seen += count
        if self._seen >= self.WINDOW:
            self._advance(0)

    def send(
        self,
        origin: str,
        value: bytes | None,
        error: BaseException,
        *,
        partition: int = -1,
        offset: int = -1,
        stage: str = "VALUE_CONVERTER",
        delivered: Callable[[Message], None] | None = None,
    ) -> None:
        """Publish the original bytes; raises DeadLetterLimit past the limit. `delivered` is as in `publish`."""
        context = {
            "topic": origin,
            "partition": str(partition),
            "offset": str(offset),
            "connector.name": self._source,
            "stage": stage,
            "exception.class.name": type(error).__name__,
            "exception.message": str(error),
        }
        headers = [(f"__connect.errors.{name}", text.encode()) for name, text in context.items()]
        self._publisher.publish(dead_letter_name(origin), value, headers=headers, delivered=delivered)
        metrics.DEAD_LETTERS.labels(origin).inc()
        self._log.warning("dead letter", origin=origin, partition=partition, offset=offset, error=str(error))
        self._run += 1
        self._dead += 1
        self._advance(1)
        self._enforce(error)

    def _advance(self, count: int) -> None:
        self._seen += count
        if self._seen >= self.WINDOW:
            self._seen //= 2
            self._dead //= 2

    def _enforce(self, error: BaseException) -> None:
        if self._run > self._run_limit:
            raise DeadLetterLimit(f"{self._run} dead letters in a row from {self._source}; the last: {error}")
        if self._dead > self._ratio * self.WINDOW:
            raise DeadLetterLimit(f"{self._dead} of about {self._seen} records of {self._source} were dead letters")
