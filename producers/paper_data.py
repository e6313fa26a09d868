"""What a paper gateway knows of its venue's markets: metadata from the beginning, books from a few seconds back."""

import time
from typing import ClassVar, Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from producers.paper import PaperMatcher
from producers.paper_desk import PATIENCE_NS
from producers.paper_station import Station
from runtime import kafka, logs, metrics
from schemas.codec import decode_books, decode_record
from schemas.records import Market, Order

REACH_MS: Final = 10_000
"""How far back books are read at start: grouped markets' books are published again every 2 s."""

BATCH: Final = 500
ROUNDS: Final = 20
"""Batches a drain takes at most, so that orders are looked after however fast books come."""


class MarketData:
    """Feeds a matcher from the venue's book and market topics, outside any consumer group.

    It also is the gateway's clock: what it has fed by `now_ns` is what was known then. Live that is the time of day.
    """

    patience_ns: ClassVar[int] = PATIENCE_NS
    """How long an order waits for a book or metadata that may still come."""

    def __init__(
        self, station: Station, bootstrap: str, matcher: PaperMatcher, dead_letters: kafka.DeadLetters
    ) -> None:
        self._book_topic = station.books
        self._market_topic = station.markets
        self._matcher = matcher
        self._dead_letters = dead_letters
        self._log = logs.get(source=f"gateway.{station.venue}")
        self._client = kafka.consumer(bootstrap, f"dutchbook-data-{station.venue}")

    def catch_up(self, timeout_s: float = 60.0) -> None:
        """Return when all metadata that exists has been read; raises KafkaUnavailable when that takes too long."""
        ends = kafka.end_offsets(self._client, [self._market_topic, self._book_topic])
        markets = {place: end for place, end in ends.items() if place[0] == self._market_topic}
        books = [number for topic, number in ends if topic == self._book_topic]
        self._client.assign([*self._book_starts(books), *(_beginning(place) for place in markets)])
        deadline = time.monotonic() + timeout_s
        while not _reached(self._client, markets):
            if time.monotonic() > deadline:
                raise kafka.KafkaUnavailable(f"{self._market_topic}: not read to its end within {timeout_s} s")
            message = self._client.poll(0.2)
            if message is not None:
                self._take(message)

    def now_ns(self) -> int:
        """The time by the gateway's clock."""
        return time.time_ns()

    def arrived_ns(self, _order: Order) -> int:
        """When an order that was just read arrived."""
        return time.time_ns()

    def drain(self, _due_ns: int | None) -> None:
        """Take in what has been received; never waits. `due_ns` is when the next order may be answered."""
        for _ in range(ROUNDS):
            messages = self._client.consume(BATCH, timeout=0)
            for message in messages:
                self._take(message)
            if len(messages) < BATCH:
                return

    def close(self) -> None:
        """End reading."""
        self._client.close()

    def _book_starts(self, partitions: list[int]) -> list[TopicPartition]:
        since_ms = time.time_ns() // 1_000_000 - REACH_MS
        asked = [TopicPartition(self._book_topic, number, since_ms) for number in partitions]
        try:
            return list(self._client.offsets_for_times(asked, timeout=10))
        except KafkaException as error:
            raise kafka.KafkaUnavailable(f"{self._book_topic}: {error.args[0].str()}") from error

    def _take(self, message: Message) -> None:
        if message.error() is not None:
            self._log.warning("market data", topic=message.topic(), error=message.error().str())
            return
        value = message.value()
        if value is None:
            return
        try:
            if message.topic() == self._market_topic:
                self._matcher.on_market(decode_record(value, Market))
            else:
                for book in decode_books(value):
                    self._matcher.on_book(book)
        except ValueError as error:
            origin = message.topic()
            metrics.DECODE_ERRORS.labels(origin).inc()
            self._dead_letters.send(origin, value, error, partition=message.partition(), offset=message.offset())
        else:
            self._dead_letters.good()


def _beginning(place: tuple[str, int]) -> TopicPartition:
    return TopicPartition(place[0], place[1], OFFSET_BEGINNING)


def _reached(client: Consumer, ends: dict[tuple[str, int], int]) -> bool:
    """Whether the positions are at these ends; an empty partition is at its end from the start."""
    left = {place: end for place, end in ends.items() if end > 0}
    positions = client.position([TopicPartition(*place) for place in left])
    return all(place.offset >= left[place.topic, place.partition] for place in positions)
