"""The store that is no store: a task that keeps rows in a dictionary, for tests of the worker and of the contract."""

from collections.abc import Collection, Sequence

from schemas.records import Record
from sinks.task import BatchRejected, Offsets, Place, RecordRejected, RetriableError, SinkRecord


class MemoryTask:
    """Keeps one row a record. `down` makes it unreachable, `hopeless` offsets are refused one by one or unnamed."""

    name = "memory"

    def __init__(self, topics: tuple[str, ...] = ("ticket",), *, names_the_record: bool = False) -> None:
        self.topics = topics
        self.rows: dict[tuple[str, int, int], Record | list[object]] = {}
        self.hopeless: set[int] = set()
        self.down = False
        self.stored: dict[Place, int] = {}
        self.writes: list[int] = []
        self._names_the_record = names_the_record
        self._buffer: list[SinkRecord] = []
        self._durable: dict[Place, int] = {}

    def start(self) -> None:
        self._reach()

    def open(self, partitions: Collection[Place]) -> None:
        """Nothing to prepare."""

    def start_offsets(self, partitions: Collection[Place]) -> dict[Place, int]:
        self._reach()
        return {place: self.stored[place] for place in partitions if place in self.stored}

    def put(self, records: Sequence[SinkRecord]) -> None:
        self._buffer.extend(records)

    def flush(self, positions: Offsets) -> None:
        batch, self._buffer = self._buffer, []
        self._reach()
        for record in batch:
            if record.offset in self.hopeless:
                raise RecordRejected(record, "hopeless") if self._names_the_record else BatchRejected("one is hopeless")
        self.rows.update({(*record.place, record.offset): record.content for record in batch})  # type: ignore[misc]
        self.writes.append(len(batch))
        self.stored.update(positions)
        self._durable.update(positions)

    def pre_commit(self) -> dict[Place, int]:
        return dict(self._durable)

    def close(self, partitions: Collection[Place]) -> None:
        self._buffer.clear()
        for place in partitions:
            self._durable.pop(place, None)

    def stop(self) -> None:
        self._buffer.clear()

    def _reach(self) -> None:
        if self.down:
            raise RetriableError("the store is down")
