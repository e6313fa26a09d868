"""What has been read and is not yet durable: kept in order, halved around bad records, given to the task again."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from runtime import metrics
from sinks.task import BatchRejected, Place, RecordRejected, SinkRecord, SinkTask


class DeadLetterSender(Protocol):
    """What delivery needs of `runtime.kafka.DeadLetters`."""

    def good(self, count: int = 1) -> None:
        """Count records that went well."""

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
        """Publish the original bytes; raises DeadLetterLimit past the limit."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to be written together; once they are, everything before `positions` is done."""

    records: list[SinkRecord]
    positions: Mapping[Place, int]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that stands between batches because no store will ever take it."""

    place: Place
    offset: int
    value: bytes
    error: Exception
    stage: str


class Delivery:
    """The records between Kafka and the store, in the order in which they were read.

    `confirm_dead_letters` returns once Kafka has acknowledged every dead letter, and raises when one is lost.
    """

    def __init__(
        self, task: SinkTask, dead_letters: DeadLetterSender, confirm_dead_letters: Callable[[], None]
    ) -> None:
        self._task = task
        self._dead_letters = dead_letters
        self._confirm_dead_letters = confirm_dead_letters
        self._unconfirmed = False
        self._records: list[SinkRecord] = []
        self._positions: dict[Place, int] = {}
        self._queue: deque[Batch | DeadLetter] = deque()

    def __len__(self) -> int:
        """Records that are waiting."""
        return len(self._records) + sum(len(item.records) if isinstance(item, Batch) else 1 for item in self._queue)

    @property
    def empty(self) -> bool:
        """True when neither a record nor a position waits."""
        return not self._positions and not self._queue

    def add(self, record: SinkRecord) -> None:
        """Take a record that could be decoded."""
        self._records.append(record)
        self.skip(record.place, record.offset)

    def skip(self, place: Place, offset: int) -> None:
        """Count a record as done that no store has a use for."""
        self._positions[place] = offset + 1

    def reject(self, place: Place, offset: int, value: bytes, error: Exception) -> None:
        """Take a record that could not be decoded: a dead letter, in its turn."""
        self._seal()
        self._queue.append(DeadLetter(place, offset, value, error, "VALUE_CONVERTER"))
        self.skip(place, offset)

    def clear(self) -> None:
        """Forget everything that waits: it will be read again."""
        self._records, self._positions = [], {}
        self._queue.clear()

    def settle(self) -> None:
        """Make everything that waits durable, in the store or as dead letters.

        On RetriableError nothing is forgotten: call it again. Any other exception must end the process.
        """
        self._seal()
        while self._queue:
            self._advance(self._queue[0])

    def _seal(self) -> None:
        if self._positions:
            self._queue.append(Batch(self._records, self._positions))
            self._records, self._positions = [], {}

    def _advance(self, item: Batch | DeadLetter) -> None:
        if isinstance(item, DeadLetter):
            self._bury(item)
            self._queue.popleft()
            return
        try:
            self._write(item)
        except RecordRejected as rejected:
            self._replace(_around(item, rejected))
        except BatchRejected as refused:
            self._replace(_halves(item, refused))
        else:
            self._queue.popleft()

    def _bury(self, letter: DeadLetter) -> None:
        topic, partition = letter.place
        self._unconfirmed = True
        self._dead_letters.send(
            topic, letter.value, letter.error, partition=partition, offset=letter.offset, stage=letter.stage
        )

    def _write(self, batch: Batch) -> None:
        if self._unconfirmed:
            # The positions of this batch may cover dead letters, which must be as durable as the rest.
            self._confirm_dead_letters()
            self._unconfirmed = False
        self._task.put(batch.records)
        self._task.flush(batch.positions)
        self._dead_letters.good(len(batch.records))
        for topic, count in Counter(record.topic for record in batch.records).items():
            metrics.SINK_RECORDS.labels(self._task.name, topic).inc(count)

    def _replace(self, items: list[Batch | DeadLetter]) -> None:
        self._queue.popleft()
        self._queue.extendleft(reversed(items))


def _positions(records: list[SinkRecord]) -> dict[Place, int]:
    return {record.place: record.offset + 1 for record in records}


def _around(batch: Batch, rejected: RecordRejected) -> list[Batch | DeadLetter]:
    """Split a batch at a hopeless record.

    What stands before it goes in first: so the run of dead letters is counted in the order of reading, and no record
    is put more than twice.
    """
    record = rejected.record
    at = next(index for index, candidate in enumerate(batch.records) if candidate is record)
    before = batch.records[:at]
    letter = DeadLetter(record.place, record.offset, record.value, rejected, "TASK_PUT")
    items: list[Batch | DeadLetter] = [Batch(before, _positions(before))] if before else []
    return [*items, letter, Batch(batch.records[at + 1 :], batch.positions)]


def _halves(batch: Batch, refused: BatchRejected) -> list[Batch | DeadLetter]:
    """Halve a refused batch; a record that stands alone is the one at fault."""
    if not batch.records:
        raise RuntimeError(f"the store refused a batch without records: {refused}") from refused
    if len(batch.records) == 1:
        return _around(batch, RecordRejected(batch.records[0], str(refused)))
    middle = len(batch.records) // 2
    first, second = batch.records[:middle], batch.records[middle:]
    return [Batch(first, _positions(first)), Batch(second, batch.positions)]
