"""Any topic's records as JSON lines a person can read."""

import base64
import json
from typing import Any

import pytest

from infra.decode import UnknownTopic, line, readable, region_of
from schemas.codec import MARKER, encode, encode_books
from schemas.records import Journal, JournalItem
from tests.unit.kafka_fakes import FakeMessage
from tests.unit.sinks.make import book, ticket


class Message(FakeMessage):
    def timestamp(self) -> tuple[int, int]:
        return 1, 1234

    def headers(self) -> list[tuple[str, bytes]]:
        return [("__connect.errors.topic", b"book.kalshi"), ("odd", b"\xff")]


def test_books_show_their_ladders() -> None:
    (shown,) = readable(encode_books([book(3)]))
    assert (shown["bids"], shown["asks"]) == ([(4200, 1050), (4100, 7)], [(4301, 200)])
    assert "ladder" not in shown
    assert shown["sequence"] == 3


def test_records_show_their_fields() -> None:
    shown = readable(encode(ticket(1)))
    assert shown["ticket_id"] == "ticket-1"
    assert shown["legs"][0]["venue"] == "kalshi"


def test_journal_stamps_are_numbers() -> None:
    packed = b"".join(stamp.to_bytes(8, "little") for stamp in (5, 7))
    item = JournalItem(kind="input", topic="book.kalshi", partition=0, offset=1, count=2, stamps=packed, detail="")
    shown = readable(encode(Journal(partition=0, epoch=1, position=0, items=(item,))))
    assert shown["items"][0]["stamps"] == [5, 7]


def test_what_is_no_record_of_ours() -> None:
    assert readable(None) is None
    assert readable(b'{"type":"ok"}') == '{"type":"ok"}'
    assert readable(b"\xff\xfe") == {"base64": base64.b64encode(b"\xff\xfe").decode()}
    torn = MARKER + b"\0" * 8
    assert set(readable(torn)) == {"error", "base64"}


def test_a_line_is_one_json_object() -> None:
    message: Any = Message("book.kalshi", encode_books([book()]), key=b"k", partition=3, offset=9)
    text = line(message)
    assert b"\n" not in text
    shown = json.loads(text)
    assert (shown["topic"], shown["partition"], shown["offset"], shown["timestamp_ms"]) == ("book.kalshi", 3, 9, 1234)
    assert shown["key"] == "k"
    assert shown["headers"] == {"__connect.errors.topic": "book.kalshi", "odd": "�"}
    assert shown["value"][0]["bids"] == [[4200, 1050], [4100, 7]]


def test_where_a_topic_stands() -> None:
    assert region_of("book.kalshi") == "us"
    assert region_of("book.polymarket") == "eu"
    assert region_of("eu.book.polymarket") == "us"
    assert region_of("heartbeat") == "us"
    assert region_of("heartbeat", "eu") == "eu"
    with pytest.raises(UnknownTopic, match="no topic 'book.kalshi' in eu: it stands in us only"):
        region_of("book.kalshi", "eu")
    with pytest.raises(UnknownTopic, match="no topic 'book'"):
        region_of("book", "eu")
