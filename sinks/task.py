"""The contract between the worker, which knows Kafka, and a task, which knows one store.

Errors are named by what the worker does next:

    SinkError
    ├── RetriableError   the same records again, after a backoff
    ├── RecordRejected   this record goes to its dead letter topic, the others go in
    └── BatchRejected    the worker halves the batch until the record at fault stands alone

Any other exception stops the process with nothing committed; after a restart the same records are read again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.records import Book, Record

Place = tuple[str, int]
"""Topic and partition."""

Offsets = Mapping[Place, int]
"""Per place the offset of the next record: everything before it is done."""


@dataclass(frozen=True, slots=True)
class SinkRecord:
    """One Kafka record as a task sees it.

    `content` is `value` decoded; `value` stays for the dead letter. `received_ns` is the wall clock when this process
    read the record (`virginia_received_ns` as this consumer stamps it for itself). Topic, partition and offset are
    those of the cluster it was read from.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes = field(repr=False)
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...]
    received_ns: int
    content: list[Book] | Record

    @property
    def place(self) -> Place:
        """Topic and partition."""
        return self.topic, self.partition

    def header(self, name: str) -> bytes | None:
        """The last header of that name."""
        return next((value for key, value in reversed(self.headers) if key == name), None)


class SinkError(Exception):
    """Base of what a task may raise on purpose."""


class RetriableError(SinkError):
    """The store cannot take anything now: give the same records again, not earlier than after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RecordRejected(SinkError):
    """The store can never take this record."""

    def __init__(self, record: SinkRecord, reason: str) -> None:
        super().__init__(reason)
        self.record = record
        self.reason = reason


class BatchRejected(SinkError):
    """The store refused the records and did not say which of them is at fault."""


class SinkTask(Protocol):
    """One store. All methods are called from one thread, in the order start, (open, (put, flush)*, close)*, stop.

    A method that raises has dropped every record that it was given and that is not durable: the worker keeps the
    records and gives them again. So `put` must bear any record again, also one that was durable before; the effect is
    the same as if it had come once.
    """

    @property
    def name(self) -> str:
        """The sink's name: consumer group, metrics and logs carry it."""

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics it reads, by their names in the us cluster."""

    def start(self) -> None:
        """Connect and prepare the store. May block for seconds; RetriableError when the store does not answer."""

    def open(self, partitions: Collection[Place]) -> None:
        """Partitions are now this task's. Must not block."""

    def start_offsets(self, partitions: Collection[Place]) -> dict[Place, int]:
        """The next offsets that the store itself has recorded, for the places where it has; else nothing.

        May block. The worker starts there rather than at the consumer group's offsets, except where the group has none
        (then the topic may be younger than the store). On RetriableError it starts at the group's offsets.
        """

    def put(self, records: Sequence[SinkRecord]) -> None:
        """Take records, in order within each partition; need not write yet. RecordRejected names a hopeless one."""

    def flush(self, positions: Offsets) -> None:
        """Return when all records that were put, and `positions` where the store keeps them, are durable.

        Every record before `positions` has been put, or is of no use to any store, or is in a dead letter topic; so a
        flush without records moves the positions too. May block up to the store's timeout. Raises any SinkError.
        """

    def pre_commit(self) -> dict[Place, int]:
        """The positions of the last successful flush of each open place: these may be committed to Kafka."""

    def close(self, partitions: Collection[Place]) -> None:
        """Partitions are no longer this task's: forget them and every record that is not durable. Must not block."""

    def stop(self) -> None:
        """Release the store. Must not raise."""
