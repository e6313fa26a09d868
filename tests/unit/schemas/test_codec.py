"""Every record survives the wire, and nothing else is taken for one."""

import json
import typing
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from schemas import codec, records
from schemas.codec import RECORD_TYPES, DecodeError, decode, decode_books, decode_record, encode, encode_books
from schemas.records import Book, Group, Heartbeat, pack_ladder, unpack_ladder
from tests.unit.schemas.examples import LONG
from tests.unit.schemas.examples import records as any_record

OTHERS = sorted(set(RECORD_TYPES) - {"book"})
JAVA_HEARTBEAT = "c301c17b0eeaa7ec5f83106465746563746f720002048080d0e2c6bfce972f"
"""What Java Avro 1.12.0 writes: BinaryMessageEncoder over heartbeat.avsc with the values of the test below."""
JAVA_FINGERPRINT = 0x835FECA7EA0E7BC1
"""SchemaNormalization.parsingFingerprint64 of the same schema, from the same run."""


def test_framing_equals_that_of_java_avro() -> None:
    record = Heartbeat(source="detector", region="us", instance_ns=1, sequence=2, time_ns=1_700_000_000_000_000_000)
    assert encode(record).hex() == JAVA_HEARTBEAT
    assert int.from_bytes(encode(record)[2:10], "little") == JAVA_FINGERPRINT
    assert decode(bytes.fromhex(JAVA_HEARTBEAT)) == record


@pytest.mark.parametrize("name", OTHERS)
def test_round_trip(name: str) -> None:
    kind: Any = RECORD_TYPES[name]

    @settings(max_examples=25, deadline=None)
    @given(any_record(kind))
    def check(record: Any) -> None:
        assert decode(encode(record)) == record
        assert decode_record(encode(record), kind) == record

    check()


@settings(max_examples=50, deadline=None)
@given(st.lists(any_record(Book), max_size=4))
def test_books_round_trip(books: list[Book]) -> None:
    assert decode_books(encode_books(books)) == books


LEVELS = st.lists(st.tuples(LONG, LONG), max_size=40)


@given(LEVELS, LEVELS)
def test_ladder_round_trip(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> None:
    assert unpack_ladder(pack_ladder(bids, asks), len(bids), len(asks)) == (bids, asks)


def test_a_ladder_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="does not hold 2 bids and 1 asks"):
        unpack_ladder(bytes(16), 2, 1)


@given(st.binary(max_size=64))
def test_any_bytes_decode_or_say_why_not(data: bytes) -> None:
    for prefix in (b"", codec.MARKER, *(schema.header for schema in codec.SCHEMAS.values())):
        try:
            decode(prefix + data)
        except DecodeError as error:
            assert str(error)


def test_errors_name_what_is_wrong() -> None:
    whole = bytes.fromhex(JAVA_HEARTBEAT)
    with pytest.raises(DecodeError, match="does not begin with"):
        decode(b"{}")
    with pytest.raises(DecodeError, match="unknown schema fingerprint 0000000000000000"):
        decode(codec.MARKER + bytes(8) + b"x")
    with pytest.raises(DecodeError, match="broken heartbeat record"):
        decode(whole[:-3])
    with pytest.raises(DecodeError, match="stray bytes"):
        decode(whole + b"x")
    with pytest.raises(DecodeError, match="expected a group record, found a heartbeat"):
        decode_record(whole, Group)
    with pytest.raises(DecodeError, match="expected books, found a heartbeat"):
        decode_books(whole)


def _fields(kind: Any) -> Any:
    """The Avro shape of a type, without names and docs."""
    if get_origin(kind) is typing.Literal:
        return list(get_args(kind))
    if get_origin(kind) is tuple:
        return ("array", _fields(get_args(kind)[0]))
    if get_origin(kind) is dict:
        return ("map", _fields(get_args(kind)[1]))
    simple = {int: "long", str: "string", bool: "boolean", bytes: "bytes", float: "double"}
    if kind in simple:
        return simple[kind]
    hints = typing.get_type_hints(kind)
    return {name: _fields(hints[name]) for name in kind.__struct_fields__}


def _shape(schema: Any, known: dict[str, Any]) -> Any:
    if isinstance(schema, str):
        return known.get(schema, schema)
    if schema["type"] == "enum":
        known[f"dutchbook.{schema['name']}"] = schema["symbols"]
        return schema["symbols"]
    if schema["type"] in ("array", "map"):
        return (schema["type"], _shape(schema["items" if schema["type"] == "array" else "values"], known))
    shape = {field["name"]: _shape(field["type"], known) for field in schema["fields"]}
    known[f"dutchbook.{schema['name']}"] = shape
    return shape


@pytest.mark.parametrize("name", sorted(RECORD_TYPES))
def test_schema_and_type_have_the_same_fields(name: str) -> None:
    schema = json.loads((Path(schemas.__file__ or "").parent / f"{name}.avsc").read_text())
    shape = _shape(schema, {})
    expected = _fields(RECORD_TYPES[name])
    assert shape == (("array", expected) if name == "book" else expected)


def test_every_schema_has_a_type_and_a_doc() -> None:
    folder = Path(schemas.__file__ or "").parent
    assert {path.stem for path in folder.glob("*.avsc")} == set(RECORD_TYPES)
    for kind in RECORD_TYPES.values():
        assert kind.__doc__
        assert issubclass(kind, msgspec.Struct)
    assert records.Record not in RECORD_TYPES.values()
