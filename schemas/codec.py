"""Avro single-object encoding (Avro specification 1.12, "Single-object encoding") of every record.

A value is C3 01, the eight bytes of the schema's CRC-64-AVRO fingerprint in little-endian order, and the Avro body.
The writer's schema is found by that fingerprint among the `.avsc` files of this folder and of `released/`; the reader's
schema is always the current one, so records written by an older release read as today's type.
"""

import io
import json
from pathlib import Path
from typing import Any, Final, TypeVar

import fastavro
import msgspec
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas import records
from schemas.book_reader import read_books
from schemas.records import Book, Record

MARKER: Final = b"\xc3\x01"
HEADER_SIZE: Final = 10

_FOLDER = Path(__file__).parent
RECORD_TYPES: Final[dict[str, type[Record] | type[Book]]] = {
    name.lower(): getattr(records, name)
    for name in (
        "Alert", "Analysis", "Book", "Control", "Execution", "Group", "Heartbeat", "Journal", "Market", "Metric",
        "Opportunity", "Order", "Ticket", "Trade",
    )
}  # fmt: skip
"""Every record type by its schema's name."""

R = TypeVar("R", bound=Record)


class DecodeError(ValueError):
    """Bytes that are not a record of ours; the message says why."""


class UnknownSchema(DecodeError):
    """A record of ours, written with a schema that this release does not have."""


class Schema:
    """One parsed schema with its name, source and framing header."""

    def __init__(self, name: str, source: Any) -> None:
        self.name = name
        self.source = source
        self.parsed = fastavro.parse_schema(source, _write_hint=False)
        digest = fingerprint(to_parsing_canonical_form(source), "CRC-64-AVRO")
        # fastavro prints the digest's bytes in little-endian order: checked against Java's encoder in the unit tests.
        self.header = MARKER + bytes.fromhex(digest)


def _load() -> tuple[dict[str, Schema], dict[bytes, Schema]]:
    current = {path.stem: Schema(path.stem, json.loads(path.read_text())) for path in sorted(_FOLDER.glob("*.avsc"))}
    by_header = {
        schema.header: schema
        for path in sorted((_FOLDER / "released").glob("*.avsc"))
        for schema in [Schema(path.stem.split("-")[0], json.loads(path.read_text()))]
    }
    by_header.update({schema.header: schema for schema in current.values()})
    return current, by_header


SCHEMAS, _BY_HEADER = _load()
_BOOK = SCHEMAS["book"]
_NAMES = {record: name for name, record in RECORD_TYPES.items()}


def _read(data: bytes) -> tuple[str, Any]:
    if data[:2] != MARKER or len(data) < HEADER_SIZE:
        raise DecodeError(f"value of {len(data)} bytes does not begin with an Avro single-object header")
    writer = _BY_HEADER.get(data[:HEADER_SIZE])
    if writer is None:
        raise UnknownSchema(f"unknown schema fingerprint {data[2:HEADER_SIZE].hex()}: written by another release")
    body = io.BytesIO(data)
    body.seek(HEADER_SIZE)
    reader = SCHEMAS[writer.name]
    try:
        if reader is writer:
            value = fastavro.schemaless_reader(body, writer.parsed)
        else:
            value = fastavro.schemaless_reader(body, writer.parsed, reader.parsed)
    except (EOFError, ValueError, TypeError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        raise DecodeError(f"broken {writer.name} record: {type(error).__name__}: {error}") from error
    if body.read(1):
        raise DecodeError(f"{writer.name} record is followed by {len(data) - body.tell() + 1} stray bytes")
    return writer.name, value


def encode(record: Record) -> bytes:
    """Encode one record other than a Book."""
    schema = SCHEMAS[_NAMES[type(record)]]
    out = io.BytesIO()
    out.write(schema.header)
    fastavro.schemaless_writer(out, schema.parsed, msgspec.to_builtins(record, builtin_types=(bytes,)))
    return out.getvalue()


def encode_books(books: list[Book]) -> bytes:
    """Encode the books of one partition that were ready at the same moment as one value."""
    out = io.BytesIO()
    out.write(_BOOK.header)
    fastavro.schemaless_writer(out, _BOOK.parsed, [msgspec.structs.asdict(book) for book in books])
    return out.getvalue()


def decode_books(data: bytes) -> list[Book]:
    """Decode a value of a book topic; raises DecodeError."""
    if data[:HEADER_SIZE] == _BOOK.header:
        books = read_books(data, HEADER_SIZE)
        if books is not None:
            return books
    name, value = _read(data)
    if name != "book":
        raise DecodeError(f"expected books, found a {name} record")
    return [Book(**item) for item in value]


def decode_record(data: bytes, expected: type[R]) -> R:
    """Decode a value that must be of type `expected`; raises DecodeError."""
    name, value = _read(data)
    if RECORD_TYPES[name] is not expected:
        raise DecodeError(f"expected a {_NAMES[expected]} record, found a {name} record")
    try:
        return msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        raise DecodeError(f"broken {name} record: {error}") from error


def decode(data: bytes) -> list[Book] | Record:
    """Decode a value of any topic with Avro values; raises DecodeError."""
    name, value = _read(data)
    if name == "book":
        return [Book(**item) for item in value]
    try:
        return msgspec.convert(value, RECORD_TYPES[name])  # type: ignore[return-value]
    except msgspec.ValidationError as error:
        raise DecodeError(f"broken {name} record: {error}") from error
