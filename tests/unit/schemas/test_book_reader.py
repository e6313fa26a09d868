"""The quick reader of books says what fastavro says, or leaves it to fastavro."""

import time
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.book_reader import read_books
from schemas.codec import HEADER_SIZE, DecodeError, decode_books, encode_books
from schemas.records import Book, pack_ladder
from tests.unit.schemas.examples import records

NOW_NS = time.time_ns()


@dataclass(frozen=True)
class Answer:
    """What a reader made of some bytes."""

    books: list[Book] | None


def slowly(data: bytes) -> Answer:
    """With fastavro alone."""
    try:
        name, value = codec._read(data)
    except DecodeError:
        return Answer(None)
    return Answer([Book(**item) for item in value] if name == "book" else None)


def answered(data: bytes) -> Answer:
    """As everybody reads books."""
    try:
        return Answer(decode_books(data))
    except DecodeError:
        return Answer(None)


def usual(**changes: object) -> Book:
    """A book as a producer publishes it."""
    levels = [(4000 - 10 * level, 100 + level) for level in range(20)]
    book = Book(
        venue="polymarket", market="0x" + 64 * "a", group="pair-1", epoch=NOW_NS, sequence=300, state="live", reason="",
        republished=False, connection="polymarket-1-3", frame=70_000, exchange_ns=NOW_NS, api_call_start_ns=NOW_NS + 1,
        api_response_ns=NOW_NS + 2, processing_complete_ns=NOW_NS + 3, confirmed_ns=NOW_NS + 4, bid_count=20,
        ask_count=20, ladder=pack_ladder(levels, levels),
    )  # fmt: skip
    return msgspec.structs.replace(book, **changes)


@pytest.mark.parametrize(
    "book",
    [
        usual(),
        usual(exchange_ns=0, api_call_start_ns=0),
        usual(state="recovering", reason="gap"),
        usual(group="", republished=True, bid_count=0, ask_count=0, ladder=b""),
        usual(epoch=1, sequence=0),
        usual(market="x" * 5000),
        usual(connection="é"),
    ],
)
def test_what_producers_publish_is_read_quickly(book: Book) -> None:
    data = encode_books([book, usual(), book])
    assert read_books(data, HEADER_SIZE) == [book, usual(), book] == slowly(data).books


@given(st.lists(records(Book), max_size=4))
def test_any_books_are_read_as_fastavro_reads_them(books: list[Book]) -> None:
    data = encode_books(books)
    assert read_books(data, HEADER_SIZE) in (None, books)
    assert decode_books(data) == books


@given(st.data())
def test_broken_bytes_are_what_fastavro_says_they_are(draws: st.DataObject) -> None:
    data = bytearray(encode_books([usual(), usual(exchange_ns=0)]))
    for _ in range(draws.draw(st.integers(1, 3))):
        place = draws.draw(
            st.one_of(st.integers(HEADER_SIZE, HEADER_SIZE + 220), st.integers(HEADER_SIZE, len(data) - 1))
        )
        data[place] = draws.draw(st.integers(0, 255))
    broken = (
        bytes(data[: draws.draw(st.integers(HEADER_SIZE, len(data)))]) if draws.draw(st.booleans()) else bytes(data)
    )
    assert answered(broken) == slowly(broken)


@pytest.mark.parametrize("more", [b"\x00", b"\x02"])
def test_stray_bytes_are_no_books(more: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_books(encode_books([usual()]) + more)


def test_every_truncation_is_broken() -> None:
    data = encode_books([usual()])
    for length in range(HEADER_SIZE, len(data)):
        with pytest.raises(DecodeError):
            decode_books(data[:length])
