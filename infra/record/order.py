"""The order of a tape's lines: when the detector saw what follows from each raw record, by the journal's stamps.

A venue's frames were received long before the detector saw the books that they made, Polymarket's longer than Kalshi's:
they came through the mirror. Which leg was newer at a moment is told by the detector's stamps only.
"""

import heapq
from collections.abc import Callable, Collection, Iterator
from typing import Final

from confluent_kafka import Message

from infra.rebuild import Entry
from infra.record.kafka import MILLISECOND_NS, Stretch
from infra.record.recorder import TapeLine
from runtime.ranges import EmptyRange, read_range
from schemas.codec import DecodeError, decode_books, decode_record
from schemas.records import Journal, Venue
from schemas.topics import venue_topic
from streams.core.journal import unpack_stamps

LATER_MS: Final = 5_000
"""So long after its raw record a book is looked for."""

MIRRORED_MS: Final = 60_000
"""So long after a book its stamp is looked for: a mirror may have been away meanwhile."""

Place = tuple[int, int]
"""Partition and offset in the venue's book topic."""


class DetectorOrder:
    """The detector's stamps of one venue, read along with the raw records; only a few seconds of them are held."""

    def __init__(self, bootstrap: str, venue: Venue, stretch: Stretch, shard: Callable[[str], int]) -> None:
        """`bootstrap` is that of the us cluster, where the detector runs; `shard` gives a market's partition."""
        to_ms = None if stretch.to_ms is None else stretch.to_ms + LATER_MS
        until_ms = None if to_ms is None else to_ms + MIRRORED_MS
        self._topic = venue_topic("book", venue, "us")
        self._books = _read(bootstrap, self._topic, stretch.from_ms, to_ms)
        self._journal = _read(bootstrap, "journal.detector", stretch.from_ms, until_ms)
        self._shard = shard
        self._stamps: dict[Place, int] = {}
        self._journalled_ms = 0
        self._seen: dict[tuple[str, int, int], tuple[int, int]] = {}
        self._seen_ms = 0
        self._swept_ms = 0
        self._latest_ns: dict[int, int] = {}

    def time_of(self, entry: Entry, markets: Collection[str]) -> int:
        """When the detector saw the books of an entry: within a shard never before that of an earlier entry.

        Where an entry made no book, or none that the detector saw: its receive time, or that of the entry before it.
        """
        self._read_on(entry.received_ns // MILLISECOND_NS + LATER_MS)
        shards = {self._shard(market) for market in markets}
        places = [(entry.connection, entry.frame, shard) for shard in shards]
        seen_ns = min((self._seen[place][0] for place in places if place in self._seen), default=entry.received_ns)
        time_ns = max(seen_ns, *(self._latest_ns.get(shard, 0) for shard in shards))
        self._latest_ns |= dict.fromkeys(shards, time_ns)
        return time_ns

    def _read_on(self, until_ms: int) -> None:
        """Take in the books that were published up to a time."""
        while self._seen_ms <= until_ms:
            message = next(self._books, None)
            if message is None:
                self._seen_ms = until_ms + 1
                break
            self._seen_ms = _at_ms(message)
            self._take(message)
        if until_ms - self._swept_ms > LATER_MS:
            self._swept_ms, oldest_ms = until_ms, until_ms - 3 * LATER_MS
            self._seen = {place: seen for place, seen in self._seen.items() if seen[1] >= oldest_ms}

    def _take(self, message: Message) -> None:
        place = (message.partition() or 0, message.offset() or 0)
        stamp = self._stamp(place, self._seen_ms + MIRRORED_MS)
        if stamp is None:
            return
        try:
            books = decode_books(message.value() or b"")
        except DecodeError:
            return
        for book in books:
            if not book.republished:
                self._seen.setdefault((book.connection, book.frame, place[0]), (stamp, self._seen_ms))

    def _stamp(self, place: Place, until_ms: int) -> int | None:
        """The stamp of a book record; None when the detector did not journal it within some seconds."""
        while place not in self._stamps and self._journalled_ms <= until_ms:
            message = next(self._journal, None)
            if message is None:
                self._journalled_ms = until_ms + 1
                break
            self._journalled_ms = _at_ms(message)
            entry = decode_record(message.value() or b"", Journal)
            for item in entry.items:
                if item.kind == "input" and item.topic == self._topic:
                    for number, stamp in enumerate(unpack_stamps(item)):
                        self._stamps.setdefault((entry.partition, item.offset + number), stamp)
        return self._stamps.pop(place, None)


class InOrder:
    """Lines that wait until nothing earlier can come; of equal times the first that was put is the first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, TapeLine]] = []
        self._count = 0

    def put(self, line: TapeLine) -> None:
        """Let a line wait."""
        self._count += 1
        heapq.heappush(self._waiting, (line.t, self._count, line))

    def until(self, t_ns: int | None = None) -> Iterator[TapeLine]:
        """The lines before a time, in order; all of them without one."""
        while self._waiting and (t_ns is None or self._waiting[0][0] < t_ns):
            yield heapq.heappop(self._waiting)[2]


def _read(bootstrap: str, topic: str, from_ms: int | None, to_ms: int | None) -> Iterator[Message]:
    """A stretch of a topic; nothing where there is none."""
    try:
        yield from read_range(bootstrap, topic, from_ms=from_ms, to_ms=to_ms)
    except EmptyRange:
        return


def _at_ms(message: Message) -> int:
    return int(message.timestamp()[1])
