"""Whether what a detector emitted is what the core says to its inputs, byte for byte.

The core is run over the journal's entries in their order, every epoch from its assignment on with the settings that its
assign mark names. Each event must be at the position that caused it, and the other way round, with two exceptions:
the last events of an epoch that a kill ended may be missing, if their inputs came again in the epoch after it (they
were never acknowledged); and of an epoch that is still running, events beyond the journal that was read are newer.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from runtime.settings import DetectorSettings
from schemas.codec import DecodeError, decode_record, encode
from schemas.records import Group, Journal, Market, Opportunity
from streams.core.detection import Source
from streams.core.references import Reference
from streams.gates import gates_of
from streams.partition import PartitionCore, Taken
from streams.replay.differences import FieldDifference, differing_fields
from streams.replay.entry import Entry
from streams.replay.journal import Epoch, epochs_of
from streams.replay.reading import Evicted, Known, Unreadable

DROP_EVERY: Final = 4096
"""Entries after which the journal that the core writes while it is verified is thrown away."""


class Records(Protocol):
    """Where the records are that a journal names."""

    def input(self, entry: Entry) -> bytes:
        """The value of a record of books; raises Evicted."""

    def reference(self, entry: Entry) -> tuple[str, bytes | None]:
        """Key and value of a reference record; raises Evicted."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An event that is not what the core says: `missing` in the topic, `unexpected` there, or with other `fields`."""

    kind: str
    opportunity_id: str
    revision: int
    partition: int
    epoch: int
    position: int
    fields: tuple[FieldDifference, ...] = ()


@dataclass(slots=True)
class Report:
    """What verifying came to. `lost` were decided and died with their worker, `newer` came after the journal's end.

    `undecodable` are inputs that this release cannot read, with the reason; nothing is decided on them.
    """

    partitions: int = 0
    epochs: int = 0
    records: int = 0
    books: int = 0
    events: int = 0
    lost: int = 0
    newer: int = 0
    skipped_epochs: int = 0
    differences: list[Difference] = field(default_factory=list)
    undecodable: list[tuple[Entry, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to verify: inputs stamped from `from_ns` to before `to_ns`; `run` for a replay's own topics."""

    from_ns: int | None = None
    to_ns: int | None = None
    run: str = ""


class Verification:
    """Verifies partitions one after the other; `earlier` are opportunities that were known before all of them."""

    def __init__(self, records: Records, wanted: Wanted, current: DetectorSettings) -> None:
        self.report = Report()
        self._records = records
        self._wanted = wanted
        self._current = current

    def partition(
        self, number: int, journal: Iterable[Journal], known: Sequence[Known], seeds: Sequence[Opportunity] = ()
    ) -> None:
        """Verify one partition by its journal and its events (`known`, in the order of their topic)."""
        whole, beheaded = epochs_of(with_headers(journal, known), gaps=bool(self._wanted.run))
        self.report.partitions += 1
        self.report.skipped_epochs += len(beheaded)
        if beheaded and self._wanted.from_ns is not None:
            raise Evicted(f"journal.detector, partition {number}: what epoch {beheaded[-1]} began with is evicted")
        chosen = wanted_epochs(whole, self._wanted.from_ns)
        for at, epoch in enumerate(chosen):
            following = chosen[at + 1] if at + 1 < len(chosen) else None
            earlier = [*seeds, *earlier_of(epoch, known, run=bool(self._wanted.run))]
            mine = [one for one in known if one.record.journal_epoch == epoch.epoch]
            self._epoch(number, epoch, earlier, mine, following)

    def _epoch(
        self,
        number: int,
        epoch: Epoch,
        earlier: Sequence[Opportunity],
        known: Sequence[Known],
        following: Epoch | None,
    ) -> None:
        self.report.epochs += 1
        core = PartitionCore(number, gates_of(epoch.assigned.settings or self._current))
        core.assign(epoch.epoch, earlier, "")
        said = events_by_position(known)
        last_found = max(said, default=-1)
        missing: list[tuple[Entry, Opportunity]] = []
        last = -1
        for entry, taken in self._walk(core, epoch):
            last = entry.position
            there = said.pop(entry.position, ())
            if taken.events or there:
                self._compare(entry, taken.events, there, missing)
        self._judge_missing(missing, epoch, following, last_found)
        self._judge_left(said, last, epoch, following)

    def _walk(self, core: PartitionCore, epoch: Epoch) -> Iterator[tuple[Entry, Taken]]:
        """Every entry of the epoch that is wanted, with what the core says to it."""
        for entry in epoch.entries():
            if self._wanted.to_ns is not None and entry.received_ns >= self._wanted.to_ns:
                return
            if entry.position != core.journal.position or len(core.journal) >= DROP_EVERY:
                core.journal.take()
                core.journal.skip_to(entry.position)
            if entry.kind == "reference":
                yield entry, core.tell(read_reference(entry.topic, entry.offset, *self._records.reference(entry)))
                continue
            source = Source(entry.topic, entry.source_partition, entry.offset, 0)
            taken = core.take(source, self._records.input(entry), entry.received_ns)
            self.report.records += 1
            self.report.books += taken.books
            if isinstance(taken.error, DecodeError):
                self.report.undecodable.append((entry, str(taken.error)))
            yield entry, taken

    # -- comparing -----------------------------------------------------------------------------------------------

    def _compare(
        self,
        entry: Entry,
        expected: Sequence[Opportunity],
        found: Sequence[Known],
        missing: list[tuple[Entry, Opportunity]],
    ) -> None:
        self.report.events += len(found)
        for ours, theirs in zip(expected, found, strict=False):
            if encode(ours) != theirs.value:
                fields = tuple(differing_fields(ours, theirs.record))
                if fields:  # else only the schema they were written with differs
                    self._differs("differs", theirs.record, entry.epoch, entry.position, fields)
        missing += [(entry, ours) for ours in expected[len(found) :]]
        for theirs in found[len(expected) :]:
            self._differs("unexpected", theirs.record, entry.epoch, entry.position)

    def _differs(
        self, kind: str, record: Opportunity, epoch: int, position: int, fields: tuple[FieldDifference, ...] = ()
    ) -> None:
        self.report.differences.append(
            Difference(kind, record.opportunity_id, record.revision, record.partition, epoch, position, fields)
        )

    def _judge_missing(
        self, missing: list[tuple[Entry, Opportunity]], epoch: Epoch, following: Epoch | None, last_found: int
    ) -> None:
        """The tail of a killed epoch may be lost, if its inputs came again; anything else may not."""
        for entry, event in missing:
            at_the_end = entry.position >= last_found and not epoch.revoked
            if at_the_end and self._comes_again(entry, following):
                self.report.lost += 1
            else:
                self._differs("missing", event, epoch.epoch, entry.position)

    def _comes_again(self, entry: Entry, following: Epoch | None) -> bool:
        if following is None:  # still under way, or its inputs will come to whoever is started next
            return not self._wanted.run
        if entry.kind == "reference":  # whoever is assigned a partition is told of all
            return True
        return following.first_offsets().get(entry.topic, entry.offset + 1) <= entry.offset

    def _judge_left(
        self, said: Mapping[int, Sequence[Known]], last: int, epoch: Epoch, following: Epoch | None
    ) -> None:
        """Events at positions that no entry has."""
        for position, events in sorted(said.items()):
            beyond = position > last and (self._wanted.to_ns is not None or (following is None and not epoch.revoked))
            if beyond:
                self.report.newer += len(events)
                continue
            for one in events:
                self._differs("unexpected", one.record, epoch.epoch, position)


def read_reference(topic: str, offset: int, key: str, value: bytes | None) -> Reference:
    """A record of the group or a market topic; raises Unreadable."""
    if value is None:
        return Reference(topic, offset, key, None)
    try:
        record = decode_record(value, Group) if topic == "group" else decode_record(value, Market)
    except DecodeError as error:
        raise Unreadable(f"{topic}, offset {offset}: {error}") from error
    return Reference(topic, offset, key, record)


def with_headers(journal: Iterable[Journal], known: Iterable[Known]) -> list[Journal]:
    """The journal's records with those that only opportunities carry, as far as they join on without a gap.

    An epoch's last event carries everything that was under way when it was published, so only that one is asked.
    """
    records = list(journal)
    ends: dict[int, int] = {}
    for record in sorted(records, key=lambda one: one.position):
        ends[record.epoch] = max(ends.get(record.epoch, 0), _end(record))
    last = {one.record.journal_epoch: one for one in known}
    carried = [_carried(data, one) for one in last.values() for data in one.journal]
    for record in sorted(carried, key=lambda one: (one.epoch, one.position)):
        if record.position <= ends.get(record.epoch, 0) < _end(record):
            records.append(record)
            ends[record.epoch] = _end(record)
    return records


def _carried(data: bytes, known: Known) -> Journal:
    try:
        return decode_record(data, Journal)
    except DecodeError as error:
        raise Unreadable(f"opportunity, offset {known.offset}: a journal record in its headers: {error}") from error


def _end(record: Journal) -> int:
    return record.position + sum(item.count for item in record.items)


def wanted_epochs(epochs: Sequence[Epoch], from_ns: int | None) -> list[Epoch]:
    """The epochs from the one on in which the stretch begins: those that ended before it are left out."""
    if from_ns is None:
        return list(epochs)
    return [epoch for at, epoch in enumerate(epochs) if epoch.last_stamp() >= from_ns or at == len(epochs) - 1]


def earlier_of(epoch: Epoch, known: Iterable[Known], *, run: bool) -> Iterator[Opportunity]:
    """What the detector knew when the epoch began. A run knows what it has said itself in the epochs before."""
    for one in known:
        if one.record.journal_epoch < epoch.epoch if run else one.offset < epoch.assigned.opportunity_offset:
            yield one.record


def events_by_position(known: Iterable[Known]) -> dict[int, list[Known]]:
    """Events of one epoch by the position that caused them, each position's in their order."""
    found: dict[int, list[Known]] = {}
    for one in known:
        found.setdefault(one.record.journal_position, []).append(one)
    return found
