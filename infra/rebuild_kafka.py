"""Rebuilding books from `raw.<venue>`, and checking what was published against them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import Message

from infra.rebuild import Entry, Rebuilder, process_of, rebuild
from producers.transcript import Followed
from runtime.kafka import read_whole
from runtime.ranges import EmptyRange, read_range
from schemas.codec import DecodeError, decode_books, decode_record
from schemas.records import Book, BookState, Market, Venue

EXAMPLES: Final = 10
MILLISECOND_NS: Final = 1_000_000
LATER_NS: Final = 60_000_000_000
"""How long after its raw record a book may have been published: Kafka may have been away meanwhile."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What to rebuild: one venue, a time, perhaps one connection up to a record, perhaps some markets."""

    venue: Venue
    from_ns: int | None = None
    to_ns: int | None = None
    connection: str = ""
    frame: int | None = None
    markets: frozenset[str] = frozenset()

    def needs(self, entry: Entry) -> bool:
        """True for a raw record on which a book that was asked for may depend.

        What a connection is the first to say of a market follows from what its process has said before.
        """
        if entry.connection == self.connection:
            return self.frame is None or entry.frame <= self.frame
        return not self.connection or process_of(entry.connection) == process_of(self.connection)

    def shows(self, book: Book) -> bool:
        """True for a book that was asked for."""
        if self.connection and book.connection != self.connection:
            return False
        if self.frame is not None and book.frame > self.frame:
            return False
        return not self.markets or book.market in self.markets


def rebuilt(bootstrap: str, stretch: Stretch, rebuilder: Rebuilder) -> Iterator[Book]:
    """The books of a stretch of the raw topic; raises EmptyRange, KafkaUnavailable, RebuildError."""
    return (book for book in rebuild(_entries(bootstrap, stretch), rebuilder) if stretch.shows(book))


def described(bootstrap: str, venue: Venue) -> list[Followed]:
    """The newest metadata of every market, for connections whose beginning is missing."""
    newest: dict[bytes, Market] = {}
    for message in read_whole(bootstrap, [f"market.{venue}"]):
        try:
            newest[message.key() or b""] = decode_record(message.value() or b"", Market)
        except DecodeError:
            newest.pop(message.key() or b"", None)
    return [Followed(market) for market in newest.values()]


Said = tuple[str, BookState, str, int, int, bytes]


@dataclass(slots=True)
class Rebuilt:
    """What each record of a stretch rebuilds to, and from which on each process is known to have spoken of a market."""

    said: dict[tuple[str, int], list[Said]] = field(default_factory=dict)
    places: dict[tuple[str, int], int] = field(default_factory=dict)
    known_from: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, entry: Entry, books: list[Book]) -> None:
        """Note the next record and what it rebuilds to."""
        place, number = (entry.connection, entry.frame), len(self.places)
        self.said[place], self.places[place] = [_said(book) for book in books], number
        for book in books:
            self.known_from.setdefault((process_of(book.connection), book.market), number)

    def about(self, book: Book) -> list[Said] | None:
        """What the record that a book names rebuilds to; None when that depends on what was before the stretch."""
        place, market = (book.connection, book.frame), (process_of(book.connection), book.market)
        if place not in self.said or self.known_from.get(market, len(self.places)) > self.places[place]:
            return None
        return self.said[place]

    def forget(self, connection: str) -> None:
        """Nothing is certain of a connection."""
        for place in [place for place in self.said if place[0] == connection]:
            del self.said[place]


@dataclass(slots=True)
class Verdict:
    """What the check of published books found. `uncovered` books depend on records outside the stretch."""

    equal: int = 0
    uncovered: int = 0
    different: int = 0
    examples: list[str] = field(default_factory=list)

    def judge(self, book: Book, rebuilt: list[Said] | None) -> None:
        """Compare one published book with those rebuilt from the record it names."""
        if rebuilt is None:
            self.uncovered += 1
        elif _said(book) in rebuilt:
            self.equal += 1
        else:
            self.different += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append(_example(book, [one for one in rebuilt if one[0] == book.market]))


def check(bootstrap: str, stretch: Stretch, rebuilder: Rebuilder) -> Verdict:
    """Compare every book on `book.<venue>` that names a record of the stretch with what that record rebuilds to."""
    rebuilt = Rebuilt()
    for entry in _entries(bootstrap, stretch):
        rebuilt.take(entry, rebuilder.take(entry))
    for connection in rebuilder.incomplete:
        rebuilt.forget(connection)
    verdict = Verdict()
    for book in _published(bootstrap, stretch):
        if stretch.shows(book):
            verdict.judge(book, rebuilt.about(book))
    return verdict


def _example(book: Book, others: list[Said]) -> str:
    place = f"{book.market} ({book.epoch}, {book.sequence}) from {book.connection} record {book.frame}"
    rebuilt_as = " then ".join(f"{state} {reason!r}" for _, state, reason, *_ in others) or "nothing"
    ladders = "equal" if any(one[3:] == _said(book)[3:] for one in others) else "differ"
    return f"{place}: published {book.state} {book.reason!r}, rebuilt {rebuilt_as}, ladders {ladders}"


def _entries(bootstrap: str, stretch: Stretch) -> Iterator[Entry]:
    there = not stretch.connection
    for message in _range(bootstrap, f"raw.{stretch.venue}", stretch.from_ns, stretch.to_ns):
        entry = Entry.read(message)
        there = there or entry.connection == stretch.connection
        if stretch.needs(entry):
            yield entry
    if not there:
        raise EmptyRange(f"raw.{stretch.venue}: no record of the connection {stretch.connection} in the given time")


def _published(bootstrap: str, stretch: Stretch) -> Iterator[Book]:
    from_ns, to_ns = stretch.from_ns or 0, stretch.to_ns or 2**63
    until_ns = None if stretch.to_ns is None else to_ns + LATER_NS
    for message in _range(bootstrap, f"book.{stretch.venue}", stretch.from_ns, until_ns):
        for book in decode_books(message.value() or b""):
            if not book.republished and from_ns <= book.api_response_ns < to_ns:
                yield book


def _said(book: Book) -> Said:
    return book.market, book.state, book.reason, book.bid_count, book.ask_count, book.ladder


def _range(bootstrap: str, topic: str, from_ns: int | None, to_ns: int | None) -> Iterator[Message]:
    from_ms, to_ms = (None if ns is None else ns // MILLISECOND_NS for ns in (from_ns, to_ns))
    return read_range(bootstrap, topic, from_ms=from_ms, to_ms=to_ms)
