"""What the topics hold of a stretch: raw records, the groups and markets as they were then."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from confluent_kafka import Message

from infra.rebuild import Entry
from infra.record.frames import RecordError
from runtime.kafka import read_whole
from runtime.ranges import EmptyRange, read_range
from schemas.codec import DecodeError, decode_record
from schemas.records import Group, Market, Venue

MILLISECOND_NS: Final = 1_000_000
WARM_UP_NS: Final = 30_000_000_000
"""So much is read before a stretch: the books of groups come whole, or are proved, within seconds."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ns: int) -> str:
    """A time as people write it, to the millisecond."""
    text = (_EPOCH + timedelta(milliseconds=ns // MILLISECOND_NS)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time; None is the beginning or the end of what the topics hold. To the millisecond, as Kafka's."""

    from_ns: int | None = None
    to_ns: int | None = None

    def __str__(self) -> str:
        begin = "the beginning" if self.from_ns is None else moment(self.from_ns)
        return f"from {begin} to {'now' if self.to_ns is None else moment(self.to_ns)}"

    @property
    def from_ms(self) -> int | None:
        """The first millisecond."""
        return None if self.from_ns is None else self.from_ns // MILLISECOND_NS

    @property
    def to_ms(self) -> int | None:
        """The first millisecond after it."""
        return None if self.to_ns is None else self.to_ns // MILLISECOND_NS


@dataclass(frozen=True, slots=True)
class Raw:
    """Raw records in order: `before` those of the warm-up, `entries` those of the stretch, of which there are some."""

    before: list[Entry]
    entries: Iterator[Entry]
    begins_ns: int


def read_raw(bootstrap: str, venue: Venue, stretch: Stretch) -> Raw | None:
    """The raw records of a stretch; None when there are none. Raises KafkaUnavailable, RebuildError."""
    early_ms = None if stretch.from_ns is None else max(0, stretch.from_ns - WARM_UP_NS) // MILLISECOND_NS
    messages = read_range(bootstrap, f"raw.{venue}", from_ms=early_ms, to_ms=stretch.to_ms)
    before: list[Entry] = []
    try:
        for message in messages:
            entry = Entry.read(message)
            if stretch.from_ms is None or _at_ms(message) >= stretch.from_ms:
                return Raw(before, chain([entry], map(Entry.read, messages)), entry.received_ns)
            before.append(entry)
    except EmptyRange:
        return None
    return None


def groups_at(bootstrap: str, stretch: Stretch) -> dict[str, Group]:
    """The newest record of every group before the end of the stretch."""
    found: dict[str, Group] = {}
    for message in read_whole(bootstrap, ["group"]):
        name = (message.key() or b"").decode(errors="replace")
        if stretch.to_ms is not None and _at_ms(message) >= stretch.to_ms:
            continue
        value = message.value()
        if value is None:
            found.pop(name, None)
            continue
        try:
            found[name] = decode_record(value, Group)
        except DecodeError:
            continue
    return found


def markets_at(bootstrap: str, venue: Venue, begins_ns: int, stretch: Stretch) -> dict[str, Market]:
    """Every market as it was when the stretch began; one that came later as it was first."""
    begins_ms, found = begins_ns // MILLISECOND_NS, dict[str, Market]()
    for message in read_whole(bootstrap, [f"market.{venue}"]):
        at_ms = _at_ms(message)
        if stretch.to_ms is not None and at_ms >= stretch.to_ms:
            continue
        try:
            market = decode_record(message.value() or b"", Market)
        except DecodeError:
            continue
        if at_ms <= begins_ms or market.market not in found:
            found[market.market] = market
    return found


def chosen(groups: dict[str, Group], names: list[str] | None, stretch: Stretch) -> list[Group]:
    """The groups of these names, or all that are not blocked; raises RecordError for an unknown name."""
    if names is None:
        return [group for group in groups.values() if group.status != "blocked"]
    unknown = [name for name in names if name not in groups]
    if unknown:
        known = f"there are {', '.join(sorted(groups))}" if groups else "there are none"
        raise RecordError(f"--groups: no group {', '.join(unknown)} {stretch}: {known}")
    return [groups[name] for name in dict.fromkeys(names)]


def _at_ms(message: Message) -> int:
    return int(message.timestamp()[1])
