"""The worker: one consumer that feeds one task, and commits to Kafka only what the store has acknowledged."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_when_event_set

from runtime import logs, metrics
from runtime.health import HEALTH
from runtime.settings import SinkSettings
from schemas.codec import DecodeError, decode
from sinks.delivery import DeadLetterSender, Delivery
from sinks.task import Place, RetriableError, SinkRecord, SinkTask

POLL_S: Final = 0.1
"""Longest wait inside one call of the consumer: a signal is seen when the call returns."""

COMMIT_LOST: Final = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._WAIT_COORD,
        KafkaError._STATE,
        KafkaError._ASSIGNMENT_LOST,
    }
)
"""A commit that fails so costs nothing: a later one covers it, or the next owner reads the records again."""


class Outlet(Protocol):
    """What the worker needs of the publisher that its dead letters go through."""

    def check(self) -> None:
        """Raise when a delivery has failed."""

    def flush(self) -> None:
        """Wait until everything is acknowledged; raises when something is not."""


class Worker:
    """Reads, decodes, hands to the task in batches, and commits.

    A batch is settled after `sink_batch_records` records or `sink_batch_ms` since its first, whichever is earlier.
    While the store is away the partitions are paused and polling goes on, so the group membership is kept and nothing
    piles up. `clock` is monotonic seconds, `wall_ns` wall-clock nanoseconds.
    """

    def __init__(
        self,
        task: SinkTask,
        consumer: Consumer,
        dead_letters: DeadLetterSender,
        outlet: Outlet,
        settings: SinkSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_ns: Callable[[], int] = time.time_ns,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._task = task
        self._consumer = consumer
        self._settings = settings
        self._clock = clock
        self._wall_ns = wall_ns
        self._uniform = uniform
        self._outlet = outlet
        self._delivery = Delivery(task, dead_letters, outlet.flush)
        self._batch_since = 0.0
        self._committed: dict[Place, int] = {}
        self._backing_off = False
        self._stopping = threading.Event()
        self._log = logs.get(sink=task.name)

    def request_stop(self) -> None:
        """Make `run` settle what it has and return; safe in a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Work until `request_stop`. Raises when it cannot go on; nothing that was not durable is committed then."""
        try:
            self._retry(self._task.start, self._stopping.wait)
            self._consumer.subscribe(
                list(self._task.topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            while not self._stopping.is_set():
                HEALTH.turned()
                self._outlet.check()
                self._read()
                if self._due():
                    self._settle()
            self._settle_once("stop")
        except RetriableError as error:
            # Only a stop ends the retrying: what is not durable is not committed, and is read again after the start.
            self._log.warning("stopped while the store was away", error=str(error))
        finally:
            self._delivery.clear()
            self._consumer.close()
            self._task.stop()

    def _read(self) -> None:
        """Take what Kafka has ready, at most a batch. The first record is waited for, the others are not."""
        message = self._consumer.poll(POLL_S if self._delivery.empty else self._remaining())
        if message is None:
            return
        if self._delivery.empty:
            self._batch_since = self._clock()
        # Taken in before the consumer is called again: that call may take its partition back.
        self._accept(message, self._wall_ns())
        room = self._settings.sink_batch_records - len(self._delivery)
        rest = self._consumer.consume(room, 0) if room > 0 else []
        received_ns = self._wall_ns()
        for each in rest:
            self._accept(each, received_ns)

    def _remaining(self) -> float:
        left = self._batch_since + self._settings.sink_batch_ms / 1000 - self._clock()
        return min(max(left, 0.0), POLL_S)

    def _due(self) -> bool:
        if self._delivery.empty:
            return False
        return len(self._delivery) >= self._settings.sink_batch_records or self._remaining() == 0.0

    def _accept(self, message: Message, received_ns: int) -> None:
        if message.error() is not None:
            self._report(message.error(), message.topic())
            return
        place = message.topic(), message.partition()
        value = message.value()
        if value is None:
            # A tombstone frees room in a compacted topic; the stores keep history.
            self._delivery.skip(place, message.offset())
            return
        try:
            self._delivery.add(_record(message, value, received_ns))
        except DecodeError as error:
            metrics.DECODE_ERRORS.labels(place[0]).inc()
            self._delivery.reject(place, message.offset(), value, error)

    def _report(self, error: Any, topic: str | None) -> None:
        if error.fatal():
            raise KafkaException(error)
        self._log.warning("kafka", topic=topic, error=error.str())

    def _settle(self) -> None:
        """Make durable what waits, however long the store stays away, and commit it."""
        self._retry(self._delivery.settle, self._poll_paused)
        self._commit()

    def _settle_once(self, occasion: str) -> None:
        """Like `_settle`, without waiting for a store that is away."""
        if self._delivery.empty:
            return
        try:
            self._delivery.settle()
        except RetriableError as error:
            self._log.warning("not settled, will be read again", occasion=occasion, error=str(error))
        self._commit()

    def _commit(self) -> None:
        durable = {
            place: offset for place, offset in self._task.pre_commit().items() if self._committed.get(place) != offset
        }
        if not durable:
            return
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in durable.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() not in COMMIT_LOST:
                raise
            self._log.warning("commit lost", error=error.args[0].str())
        else:
            self._committed.update(durable)

    def _retry(self, attempt: Callable[[], None], sleep: Callable[[float], object]) -> None:
        """Attempt until there is no RetriableError; after `request_stop` that error is raised."""
        try:
            Retrying(
                retry=retry_if_exception_type(RetriableError),
                wait=self._backoff,
                sleep=sleep,  # type: ignore[arg-type]
                stop=stop_when_event_set(self._stopping),
                before_sleep=self._note_retry,
                reraise=True,
            )(attempt)
        finally:
            self._backing_off = False

    def _backoff(self, state: RetryCallState) -> float:
        """Exponential backoff with full jitter, but never earlier than the store asked for."""
        window_ms = self._settings.sink_backoff_initial_ms * 2 ** min(state.attempt_number - 1, 30)
        wait_s = self._uniform(0.0, min(window_ms, self._settings.sink_backoff_limit_ms) / 1000)
        error = state.outcome.exception() if state.outcome is not None else None
        return max(wait_s, error.retry_after_s) if isinstance(error, RetriableError) else wait_s

    def _note_retry(self, state: RetryCallState) -> None:
        self._backing_off = True
        metrics.SINK_RETRIES.labels(self._task.name).inc()
        error = state.outcome.exception() if state.outcome is not None else None
        self._log.warning("store away", attempt=state.attempt_number, wait_s=state.upcoming_sleep, error=str(error))

    def _poll_paused(self, wait_s: float) -> None:
        """Stay in the group for `wait_s` without reading."""
        until = self._clock() + wait_s
        self._consumer.pause(self._consumer.assignment())
        while (left := until - self._clock()) > 0 and not self._stopping.is_set():
            HEALTH.turned()
            message = self._consumer.poll(min(left, POLL_S))
            if message is not None:
                # Partitions that were assigned meanwhile are not paused: what they bring waits with the rest.
                self._consumer.pause(self._consumer.assignment())
                self._accept(message, self._wall_ns())
        self._consumer.resume(self._consumer.assignment())

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = [(each.topic, each.partition) for each in partitions]
        self._task.open(places)
        stored = self._stored(places, partitions)
        consumer.assign(
            [
                TopicPartition(topic, partition, stored[topic, partition]) if (topic, partition) in stored else each
                for each, (topic, partition) in zip(partitions, places, strict=True)
            ]
        )
        self._log.info("assigned", partitions=len(places), from_store=len(stored))

    def _stored(self, places: list[Place], partitions: list[TopicPartition]) -> dict[Place, int]:
        """Where the store says to start; without an answer the group's offsets are as safe, only further back.

        A place without a committed offset is left out: its topic may be younger than the store, and is then read from
        the beginning, which is safe because every write is idempotent.
        """
        try:
            stored = self._task.start_offsets(places)
            if not stored:
                return {}
            committed = self._consumer.committed(partitions, timeout=10)
        except (RetriableError, KafkaException) as error:
            self._log.warning("the store's own offsets are not used", error=str(error))
            return {}
        known = {(each.topic, each.partition) for each in committed if each.offset >= 0}
        return {place: offset for place, offset in stored.items() if place in known}

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if not self._backing_off:
            self._settle_once("revoke")
        self._forget(partitions)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget(partitions)

    def _forget(self, partitions: list[TopicPartition]) -> None:
        """The assignor takes all partitions back at once (eager rebalancing), so all that waits goes with them."""
        self._delivery.clear()
        places = [(each.topic, each.partition) for each in partitions]
        self._task.close(places)
        for place in places:
            self._committed.pop(place, None)
        self._log.info("revoked", partitions=len(places))


def _record(message: Message, value: bytes, received_ns: int) -> SinkRecord:
    """One message as the task sees it; raises DecodeError."""
    return SinkRecord(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        key=message.key(),
        value=value,
        timestamp_ms=message.timestamp()[1],
        headers=tuple(message.headers() or ()),
        received_ns=received_ns,
        content=decode(value),
    )
