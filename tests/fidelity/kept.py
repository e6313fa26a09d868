"""Everything that a producer put on its raw and book topics, in the order in which it did."""

from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import Message

from infra.rebuild import Entry
from schemas.codec import decode_books
from schemas.records import Book


@dataclass
class Kept:
    """Raw records as whoever rebuilds reads them, and books without their repetitions."""

    raw: list[Entry] = field(default_factory=list)
    books: list[Book] = field(default_factory=list)

    def keep(self, topic: str, value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]] | None) -> None:
        """A record was published."""
        if topic.startswith("raw."):
            message: Any = _Stored(topic, len(self.raw), key, value, headers)
            self.raw.append(Entry.read(cast(Message, message)))
        elif topic.startswith("book."):
            self.books += (book for book in decode_books(value or b"") if not book.republished)


class _Stored:
    """A raw record as a consumer gives it."""

    def __init__(self, topic: str, offset: int, *fields: Any) -> None:
        self._topic, self._offset = topic, offset
        self._key, self._value, self._headers = fields

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return cast(bytes | None, self._key)

    def value(self) -> bytes | None:
        return cast(bytes | None, self._value)

    def headers(self) -> list[tuple[str, bytes]] | None:
        return cast(list[tuple[str, bytes]] | None, self._headers)
