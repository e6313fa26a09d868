"""The peers' tapes are read as they are written, and become books and records of ours."""

import zipfile
from array import array
from dataclasses import replace
from pathlib import Path

import pytest

from bench.peer_core import passed
from bench.peer_tape import VENUES, Books, Change, Tape, alone, books_of, read_tape, references, together
from schemas.codec import decode_books
from schemas.records import Book
from schemas.topics import partition_of

TYPES = {"venue": "B", "market": "H", "side": "B", "price": "H", "size": "i", "crossed": "B"}
NAMES = {"B": "|u1", "H": "<u2", "i": "<i4"}
Row = tuple[int, int, int, int, int]
OPENING: list[Row] = [
    (venue, 0, side, price, 1000) for venue in (0, 1) for side, price in ((0, 480), (0, 470), (1, 520), (1, 530))
]


def column(kind: str, numbers: list[int]) -> bytes:
    """An array as NumPy writes it."""
    head = f"{{'descr': '{NAMES[kind]}', 'fortran_order': False, 'shape': ({len(numbers)},), }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + array(kind, numbers).tobytes()


def write(folder: Path, rows: list[Row], crossed: list[int]) -> None:
    columns = dict(zip(("venue", "market", "side", "price", "size"), map(list, zip(*rows, strict=True)), strict=True))
    opening = dict(zip(columns, map(list, zip(*OPENING, strict=True)), strict=True))
    with zipfile.ZipFile(folder / "tape.npz", "w") as archive:
        for name, numbers in (columns | {"crossed": crossed}).items():
            archive.writestr(f"{name}.npy", column(TYPES[name], numbers))
        for name, numbers in opening.items():
            archive.writestr(f"init_{name}.npy", column(TYPES[name], numbers))


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    """Polymarket's bid comes up to 0.55 while Kalshi asks 0.52, and goes again."""
    rows: list[Row] = [(0, 0, 0, 480, 900), (1, 0, 0, 550, 500), (0, 0, 1, 530, 0), (1, 0, 0, 550, 0)]
    write(tmp_path, rows, [0, 1, 1, 0])
    return read_tape(tmp_path)


def test_a_tape_is_read(tape: Tape) -> None:
    assert tape.markets == 1
    assert len(tape.opening) == 8
    assert tape.changes[1] == Change("polymarket", 0, "bid", 5500, 500, crossed=True)
    assert tape.changes[3].size == 0


def test_what_is_no_tape_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "tape.npz", "w") as archive:
        archive.writestr("venue.npy", b"something else")
    with pytest.raises(ValueError, match="not an array"):
        read_tape(tmp_path)


def test_a_book_holds_the_whole_ladder_after_the_event(tape: Tape) -> None:
    books = list(books_of(tape, 5))
    assert [(book.venue, book.sequence) for book in books] == [
        ("kalshi", 1), ("polymarket", 1), ("kalshi", 2), ("polymarket", 2),
    ]  # fmt: skip
    assert books[1].sides() == ([(5500, 500), (4800, 1000), (4700, 1000)], [(5200, 1000), (5300, 1000)])
    assert books[2].sides()[1] == [(5200, 1000)]


def test_the_core_finds_what_is_crossed(tape: Tape) -> None:
    books = Books(tape, 5)
    run = passed(tape, tape.changes, books.after)  # type: ignore[arg-type]
    assert (run.found, run.wrong, run.events) == (2, 0, 4)
    assert run.basket_checks == 2 * 4


def test_a_wrong_truth_is_seen(tape: Tape) -> None:
    untrue = Tape(tape.opening, [replace(change, crossed=False) for change in tape.changes])
    assert passed(untrue, untrue.changes, Books(untrue, 5).after).wrong == 2  # type: ignore[arg-type]


def test_both_layouts_hold_every_book_once_in_its_groups_partition(tape: Tape) -> None:
    books = list(books_of(tape, 5))
    partition = partition_of(books[0].group)
    for layout in (alone(books), together(books)):
        found: list[Book] = []
        for (topic, number), value in layout:
            assert number == partition
            inside = decode_books(value)
            assert {book.venue for book in inside} == {topic.rpartition(".")[2]}
            found += inside
        assert sorted(found, key=lambda book: (book.venue, book.sequence)) == sorted(
            books, key=lambda book: (book.venue, book.sequence)
        )
    assert (len(alone(books)), len(together(books))) == (4, 2)


def test_every_question_has_a_group_of_both_venues(tape: Tape) -> None:
    groups, markets = references(tape)
    assert [member.venue for member in groups[0].members] == list(VENUES)
    assert {(market.venue, market.market) for market in markets} == {
        (member.venue, member.market) for group in groups for member in group.members
    }
