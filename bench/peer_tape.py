"""The peers' tapes as books of ours. A tape is changes of single levels of 50 markets at both venues, with the truth.

Its prices are thousandths of a dollar, its sizes hundredths of a contract. `crossed` says after which events a market
can be bought on one venue and sold on the other for at least 0.02; nothing on the tape crosses by less.
"""

import ast
import zipfile
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import Message

from bench.core import market, pair_of
from bench.topics import Place
from producers.ladder import Ladder, SideName
from producers.publisher import BookPublisher
from schemas.codec import encode_books
from schemas.records import Book, Group, Market, Member, Venue
from schemas.topics import partition_of, venue_topic

VENUES: Final[tuple[Venue, ...]] = ("kalshi", "polymarket")
SIDES: Final[tuple[SideName, ...]] = ("bid", "ask")
DEPTH: Final = 32
CODES: Final = {"|u1": "B", "<u2": "H", "<i2": "h", "<i4": "i", "<i8": "q"}

Columns = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Change:
    """One event: a level's new size, 0 where it is gone. `crossed` is the truth after it."""

    venue: Venue
    market: int
    side: SideName
    price: int
    size: int
    crossed: bool


@dataclass(frozen=True, slots=True)
class Tape:
    """The levels there are before the first event, and the events."""

    opening: list[Change]
    changes: list[Change]

    @property
    def markets(self) -> int:
        """How many questions both venues trade."""
        return 1 + max(change.market for change in self.changes)


def read_tape(folder: Path) -> Tape:
    """Read `tape.npz`; raises OSError or ValueError when it is not what the peers' maker writes."""
    columns = _columns(folder / "tape.npz")
    opening = columns | {"crossed": [0] * len(columns["init_venue"])}
    return Tape(_changes(opening, "init_"), _changes(columns, ""))


def _changes(columns: Columns, prefix: str) -> list[Change]:
    places = (columns[f"{prefix}{name}"] for name in ("venue", "market", "side", "price", "size"))
    return [
        Change(VENUES[venue], number, SIDES[side], 10 * price, size, bool(truth))
        for venue, number, side, price, size, truth in zip(*places, columns["crossed"], strict=True)
    ]


def _columns(file: Path) -> Columns:
    with zipfile.ZipFile(file) as archive:
        return {Path(name).stem: _numbers(archive.read(name)) for name in archive.namelist()}


def _numbers(data: bytes) -> list[int]:
    """A one-dimensional array of integers in NumPy's file format, version 1."""
    if data[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError("not an array in NumPy's format 1.0")
    begin = 10 + int.from_bytes(data[8:10], "little")
    head = ast.literal_eval(data[10:begin].decode("latin-1"))
    numbers = array(CODES[head["descr"]], data[begin:])
    if head["shape"] != (len(numbers),):
        raise ValueError(f"an array of {len(numbers)} numbers says that its shape is {head['shape']}")
    return numbers.tolist()


def references(tape: Tape) -> tuple[list[Group], list[Market]]:
    """Both venues' markets, and a group for each question."""
    groups = [
        pair_of(group_name(number), *(Member(venue=venue, market=_name(venue, number)) for venue in VENUES))
        for number in range(tape.markets)
    ]
    return groups, [market(venue, _name(venue, number)) for number in range(tape.markets) for venue in VENUES]


def group_name(number: int) -> str:
    """The group of a question."""
    return f"tape-{number:03}"


def _name(venue: Venue, number: int) -> str:
    return f"KXTAPE-27JAN01-M{number:03}" if venue == "kalshi" else f"0x{number:064x}"


class Books:
    """The books of a tape: one after each event, with the whole ladder."""

    def __init__(self, tape: Tape, now_ns: int) -> None:
        self._now_ns = now_ns
        self._ladders = {(venue, number): Ladder() for venue in VENUES for number in range(tape.markets)}
        self._sequences = dict.fromkeys(self._ladders, 0)
        for change in tape.opening:
            self._ladders[change.venue, change.market].put(change.side, change.price, change.size)

    def after(self, change: Change) -> Book:
        """Apply an event."""
        key = (change.venue, change.market)
        ladder = self._ladders[key]
        ladder.put(change.side, change.price, change.size)
        self._sequences[key] = sequence = self._sequences[key] + 1
        bid_count, ask_count, packed = ladder.pack(DEPTH)
        now_ns = self._now_ns
        return Book(
            venue=change.venue, market=_name(*key), group=group_name(change.market), epoch=now_ns, sequence=sequence,
            state="live", reason="", republished=False, connection="tape", frame=sequence, exchange_ns=now_ns,
            api_call_start_ns=now_ns, api_response_ns=now_ns, processing_complete_ns=now_ns, confirmed_ns=now_ns,
            bid_count=bid_count, ask_count=ask_count, ladder=packed,
        )  # fmt: skip


def alone(books: list[Book]) -> list[tuple[Place, bytes]]:
    """One record for every book."""
    return [((venue_topic("book", book.venue, "us"), partition_of(book.group)), encode_books([book])) for book in books]


def together(books: list[Book]) -> list[tuple[Place, bytes]]:
    """The records that our publishers make of books which are there when they look: nothing is conflated."""
    shelf = _Shelf()
    publishers = {
        venue: BookPublisher(venue, shelf, republish_ms=3_600_000, now=lambda: books[0].api_response_ns)
        for venue in VENUES
    }
    for book in books:
        publishers[book.venue].offer(book)
    for publisher in publishers.values():
        publisher.flush()
    return shelf.records


class _Shelf:
    """Keeps what a BookPublisher publishes, under the topics' names in the us region."""

    def __init__(self) -> None:
        self.records: list[tuple[Place, bytes]] = []

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,  # noqa: ARG002 - books have none
        partition: int = -1,
        headers: list[tuple[str, bytes]] | None = None,  # noqa: ARG002
        delivered: Callable[[Message], None] | None = None,  # noqa: ARG002
    ) -> None:
        kind, _, venue = topic.partition(".")
        local = next(venue_topic(kind, one, "us") for one in VENUES if one == venue)
        self.records.append(((local, partition), value or b""))

    def check(self) -> None:
        pass

    def pending(self) -> int:
        return 0


def books_of(tape: Tape, now_ns: int) -> Iterator[Book]:
    """The book after each event."""
    books = Books(tape, now_ns)
    return (books.after(change) for change in tape.changes)
