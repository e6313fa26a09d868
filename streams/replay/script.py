"""What a replay publishes for a partition: the journal's entries of a stretch, in order, each exactly as consumed.

The stretch begins with the epoch in which it lies (its *lead-in*), so that the detector of the run has every book and
every open opportunity that the live one had; a cold run leaves the lead-in's books away. Of an epoch that a kill ended,
what came again in the next one is replayed there only, but for what opportunities were delivered on.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from schemas.codec import DecodeError, decode_record
from schemas.records import Group, Journal
from schemas.topics import partition_of
from streams.replay.entry import Entry
from streams.replay.journal import Epoch, epochs_of
from streams.replay.reading import Evicted, Known, Unreadable
from streams.replay.verify import wanted_epochs, with_headers

ReadReference = Callable[[Entry], tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Inputs stamped from `from_ns` to before `to_ns`; of the named groups only, where any are named."""

    from_ns: int | None = None
    to_ns: int | None = None
    groups: frozenset[str] = frozenset()
    cold: bool = False

    def partitions(self) -> frozenset[int] | None:
        """The detector's partitions that the groups live in; None for all."""
        return frozenset(map(partition_of, self.groups)) if self.groups else None


@dataclass(frozen=True, slots=True)
class PartitionScript:
    """One partition's epochs with the last position that is replayed of each, and the opportunities known before."""

    number: int
    epochs: tuple[tuple[Epoch, int], ...]
    seeds: tuple[Known, ...]

    def first_offsets(self) -> dict[str, int]:
        """The first offset of each input topic."""
        found: dict[str, int] = {}
        for epoch, _ in self.epochs:
            found = epoch.first_offsets() | found
        return found


def script_of(number: int, journal: Iterable[Journal], known: Sequence[Known], stretch: Stretch) -> PartitionScript:
    """The script of one partition; raises JournalError, Evicted when the stretch's beginning is no longer kept."""
    whole, beheaded = epochs_of(with_headers(journal, known))
    if beheaded and stretch.from_ns is not None:
        raise Evicted(f"journal.detector, partition {number}: what epoch {beheaded[-1]} began with is evicted")
    chosen = wanted_epochs(whole, stretch.from_ns)
    ends = [cut(epoch, follower, known) for epoch, follower in zip_longest(chosen, chosen[1:])]
    seeds: tuple[Known, ...] = ()
    if chosen and not stretch.cold:
        seeds = tuple(relevant(one for one in known if one.offset < chosen[0].assigned.opportunity_offset))
    return PartitionScript(number, tuple(zip(chosen, ends, strict=True)), seeds)


def cut(epoch: Epoch, following: Epoch | None, known: Iterable[Known]) -> int:
    """The last position of an epoch to replay: all of it, unless a kill ended it and its last inputs came again."""
    if following is None or epoch.revoked:
        return epoch.end
    again = following.first_offsets()
    read_again = (
        entry.position
        for entry in epoch.entries()
        if entry.kind == "input" and entry.topic in again and entry.offset >= again[entry.topic]
    )
    first = next(read_again, epoch.end + 1)
    delivered = max(
        (one.record.journal_position for one in known if one.record.journal_epoch == epoch.epoch), default=0
    )
    return max(first - 1, delivered)


def relevant(known: Iterable[Known]) -> list[Known]:
    """Of earlier opportunities what a detector goes by: what is open, and of each basket what was closed last."""
    newest: dict[str, Known] = {}
    for one in known:
        there = newest.get(one.record.opportunity_id)
        if there is None or one.record.revision > there.record.revision:
            newest[one.record.opportunity_id] = one
    kept: list[Known] = []
    closed: dict[tuple[str, str], Known] = {}
    for one in sorted(newest.values(), key=lambda one: (one.record.time_ns, one.record.opportunity_id)):
        if one.record.event == "closed":
            closed[one.record.group, one.record.basket] = one
        else:
            kept.append(one)
    return sorted([*kept, *closed.values()], key=lambda one: one.offset)


@dataclass(slots=True)
class Filter:
    """Which references of a partition are replayed: all, or those of some groups and their markets.

    Inputs are never left out: their stamps are the partition's time.
    """

    groups: frozenset[str]
    read: ReadReference
    _members: set[tuple[str, str]] = field(default_factory=set)

    def keeps(self, entry: Entry) -> bool:
        """Whether an entry is replayed; entries must come in order. Raises Unreadable, Evicted."""
        if not self.groups or entry.kind == "input":
            return True
        key, value = self.read(entry)
        if entry.topic != "group":
            return (entry.topic.rpartition(".")[2], key) in self._members
        if key not in self.groups:
            return False
        if value is not None:
            try:
                members = decode_record(value, Group).members
            except DecodeError as error:
                raise Unreadable(f"{entry.topic}, offset {entry.offset}: {error}") from error
            self._members.update((member.venue, member.market) for member in members)
        return True


def entries_of(script: PartitionScript, stretch: Stretch, chosen: Filter) -> Iterator[tuple[Entry, bool]]:
    """Every entry to replay, in order, and whether it belongs to the lead-in. What comes before any input does."""
    from_ns = 1 if stretch.from_ns is None else stretch.from_ns
    for epoch, last in script.epochs:
        for entry in epoch.entries():
            if entry.position > last:
                break
            if stretch.to_ns is not None and entry.received_ns >= stretch.to_ns:
                return
            lead_in = entry.received_ns < from_ns
            if lead_in and stretch.cold and entry.kind == "input":
                continue
            if chosen.keeps(entry):
                yield entry, lead_in
