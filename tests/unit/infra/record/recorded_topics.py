"""Topics that are lists, with times: what `dutchbook record` reads, without Kafka."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.rebuild import Entry
from infra.record import kafka as record_kafka
from infra.record import order as record_order
from runtime.ranges import EmptyRange
from schemas.codec import encode, encode_books
from schemas.records import Book, Group, Journal, Market
from schemas.topics import HOME
from tests.unit.kafka_fakes import FakeMessage

MILLISECOND = 1_000_000


class Message(FakeMessage):
    """A record with its time in ms; of a raw one also its headers."""

    def __init__(self, topic: str, at_ms: int, value: bytes | None, entry: Entry | None = None, **place: Any) -> None:
        super().__init__(topic, value, **({"key": entry.connection.encode()} if entry else {}) | place)
        self._at_ms = at_ms
        self._entry = entry

    def timestamp(self) -> tuple[int, int]:
        return 1, self._at_ms

    def headers(self) -> list[tuple[str, bytes]]:
        entry = self._entry
        if entry is None:
            return []
        fields = {"frame": entry.frame, "received_ns": entry.received_ns, "kind": entry.kind, "url": entry.url}
        return [(name, str(value).encode()) for name, value in fields.items()]


class Topics:
    """What stands on the topics of both clusters, which are called by their regions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records: dict[tuple[str, str], list[Message]] = {}
        self.held = 0
        self.most_held = 0
        for module in (record_kafka, record_order):
            monkeypatch.setattr(module, "read_range", self.read_range)
        monkeypatch.setattr(record_kafka, "read_whole", self.read_whole)

    def read_range(
        self, region: str, topic: str, *, from_ms: int | None = None, to_ms: int | None = None
    ) -> Iterator[Message]:
        found = [
            message
            for message in self.records.get((region, topic), [])
            if (from_ms or 0) <= message.timestamp()[1] and (to_ms is None or message.timestamp()[1] < to_ms)
        ]
        if not found:
            raise EmptyRange(f"{topic}: no records in the given time")
        yield from sorted(found, key=lambda message: message.timestamp()[1])

    def read_whole(self, region: str, topics: list[str]) -> Iterator[Message]:
        return (message for topic in topics for message in self.records.get((region, topic), []))

    def put(self, region: str, message: Message) -> None:
        self.records.setdefault((region, message.topic()), []).append(message)

    def keep(self, venue: Any, *entries: Entry) -> None:
        """Raw records, at the times at which they were received."""
        for entry in entries:
            at_ms = entry.received_ns // MILLISECOND
            self.put(HOME[venue], Message(f"raw.{venue}", at_ms, entry.data, entry))

    def describe(self, market: Market, at_ms: int = 0) -> None:
        topic = f"market.{market.venue}"
        self.put(HOME[market.venue], Message(topic, at_ms, encode(market), key=market.market.encode()))

    def group(self, group: Group | None, at_ms: int = 0, name: str = "") -> None:
        key = (group.group if group is not None else name).encode()
        self.put("us", Message("group", at_ms, None if group is None else encode(group), key=key))

    def see(self, topic: str, at_ms: int, books: list[Book], partition: int = 0) -> int:
        """A record of a book topic in the us region; returns its offset."""
        there = [one for one in self.records.get(("us", topic), []) if one.partition() == partition]
        value = encode_books(books)
        self.put("us", Message(topic, at_ms, value, partition=partition, offset=len(there)))
        return len(there)

    def journal(self, record: Journal, at_ms: int) -> None:
        self.put("us", Message("journal.detector", at_ms, encode(record), partition=record.partition))
