"""One entry of the journal as a value, and the headers under which a replay carries it along."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from schemas.replayed import EPOCH, ORIGIN, PARTITION, POSITION, RECEIVED, RUN_TURN, TURN, NotReplayed

__all__ = ["Entry", "EntryKind", "NotReplayed", "Replayed"]

EntryKind = Literal["input", "reference"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the detector consumed at one position of a partition's epoch.

    `topic`, `offset` and `source_partition` address the record where it was recorded; `received_ns` is the stamp it
    got, for a reference that of the last input before it (0 before the first).
    """

    partition: int
    epoch: int
    position: int
    kind: EntryKind
    topic: str
    source_partition: int
    offset: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """An entry on its way through a run.

    `turn` counts the entries of its partition, `run_turn` those of the whole run, both from 0 on and without gaps.
    """

    turn: int
    run_turn: int
    entry: Entry

    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers that `read` understands."""
        entry = self.entry
        fields = {
            TURN: self.turn,
            RUN_TURN: self.run_turn,
            PARTITION: entry.partition,
            EPOCH: entry.epoch,
            POSITION: entry.position,
            RECEIVED: entry.received_ns,
            ORIGIN: f"{entry.topic}/{entry.source_partition}/{entry.offset}",
        }
        return [(name, str(value).encode()) for name, value in fields.items()]

    @classmethod
    def read(cls, headers: Iterable[tuple[str, bytes]], kind: EntryKind) -> "Replayed":
        """Undo `headers`; raises NotReplayed."""
        said = dict(headers)
        try:
            topic, partition, offset = said[ORIGIN].decode().rsplit("/", 2)
            entry = Entry(
                partition=int(said[PARTITION]),
                epoch=int(said[EPOCH]),
                position=int(said[POSITION]),
                kind=kind,
                topic=topic,
                source_partition=int(partition),
                offset=int(offset),
                received_ns=int(said[RECEIVED]),
            )
            return cls(int(said[TURN]), int(said[RUN_TURN]), entry)
        except (KeyError, ValueError) as error:
            raise NotReplayed(f"not a record of a replay: {error!r}") from error
