"""The journal read back: a partition's epochs with every entry once, in order.

The same entries may be there twice: after a kill, an opportunity's headers have what the topic may have too, and a
replay's worker that is started again journals from the beginning. What is missing in between is an error.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from schemas.records import Journal, JournalItem
from streams.core.journal import unpack_stamps
from streams.partition import Assigned
from streams.replay.entry import Entry

STAMP_BYTES = 8


class JournalError(ValueError):
    """The journal does not say what the detector consumed; the message names partition, epoch and positions."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one partition consumed from an assignment to its end.

    `items` are the journal's inputs and references with the position of their first entry; `end` is the position after
    the last. `revoked` says that the epoch was ended in order: everything that followed from it was delivered.
    """

    partition: int
    epoch: int
    assigned: Assigned
    items: tuple[tuple[int, JournalItem], ...]
    end: int
    revoked: bool

    def entries(self) -> Iterator[Entry]:
        """Every entry but the marks, in order."""
        received_ns = 0
        for position, item in self.items:
            if item.kind == "reference":
                yield Entry(
                    self.partition, self.epoch, position, "reference",
                    item.topic, item.partition, item.offset, received_ns,
                )  # fmt: skip
                continue
            for number, stamp in enumerate(unpack_stamps(item)):
                received_ns = stamp
                yield Entry(
                    self.partition, self.epoch, position + number, "input",
                    item.topic, item.partition, item.offset + number, stamp,
                )  # fmt: skip

    def first_stamp(self) -> int:
        """The stamp of the first input, 0 where there is none."""
        return next((unpack_stamps(item)[0] for _, item in self.items if item.kind == "input"), 0)

    def last_stamp(self) -> int:
        """The stamp of the last input, 0 where there is none."""
        return next((unpack_stamps(item)[-1] for _, item in reversed(self.items) if item.kind == "input"), 0)

    def first_offsets(self) -> dict[str, int]:
        """The lowest offset of each input topic that the epoch consumed."""
        found: dict[str, int] = {}
        for _, item in self.items:
            if item.kind == "input":
                found[item.topic] = min(item.offset, found.get(item.topic, item.offset))
        return found


def epochs_of(records: Iterable[Journal], *, gaps: bool = False) -> tuple[list[Epoch], list[int]]:
    """The epochs of one partition's records in order, and the numbers of those whose beginning is not among them.

    `gaps` allows positions to be left out, as a replay of some groups does. Raises JournalError.
    """
    by_epoch: dict[int, list[Journal]] = {}
    for record in records:
        by_epoch.setdefault(record.epoch, []).append(record)
    whole, beheaded = [], []
    for number in sorted(by_epoch):
        ordered = sorted(by_epoch[number], key=lambda record: record.position)
        if ordered[0].position > 0:
            beheaded.append(number)
        else:
            whole.append(_epoch(ordered, gaps=gaps))
    return whole, beheaded


def first_offsets(records: Iterable[Journal]) -> dict[str, int]:
    """Of each input topic the first offset that a partition's journal names."""
    found: dict[str, int] = {}
    for record in sorted(records, key=lambda one: (one.epoch, one.position)):
        for item in record.items:
            if item.kind == "input":
                found.setdefault(item.topic, item.offset)
    return found


def _epoch(ordered: list[Journal], *, gaps: bool) -> Epoch:
    place = f"journal.detector, partition {ordered[0].partition}, epoch {ordered[0].epoch}"
    items: list[tuple[int, JournalItem]] = []
    assigned: Assigned | None = None
    revoked, end = False, 0
    for record in ordered:
        if record.position > end and not gaps:
            raise JournalError(f"{place}: entries {end} to {record.position - 1} are missing")
        position = record.position
        for item in record.items:
            left = _without_first(item, end - position)
            if left is not None:
                first = max(position, end)
                if left.kind == "assign":
                    assigned = _assigned(left, place)
                elif left.kind == "revoke":
                    revoked = True
                else:
                    items.append((first, left))
                end = first + left.count
            position += item.count
    if assigned is None:
        raise JournalError(f"{place}: does not begin with an assign mark")
    return Epoch(ordered[0].partition, ordered[0].epoch, assigned, tuple(items), end, revoked)


def _without_first(item: JournalItem, count: int) -> JournalItem | None:
    """The item without so many of its entries at the front; None when nothing is left."""
    if count <= 0:
        return item
    if count >= item.count:
        return None
    return replace(
        item, offset=item.offset + count, count=item.count - count, stamps=item.stamps[STAMP_BYTES * count :]
    )


def _assigned(item: JournalItem, place: str) -> Assigned:
    try:
        return Assigned.read(item.detail)
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(f"{place}: the assign mark is not readable: {error!r}") from error
