"""Reading back the last books, against librdkafka's broker in this process."""

from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition

from producers import history
from producers.books import Clocks, PublishedBook, Receipt
from producers.history import RECORDS, newest_ns
from producers.ladder import Ladder
from runtime.kafka import KafkaUnavailable
from runtime.settings import MILLISECOND_NS
from schemas.codec import encode_books
from schemas.records import Book

TOPIC = "book.kalshi"


@pytest.fixture
def mock() -> tuple[Producer, str]:
    """A writer that keeps its broker alive, and the broker's address; a topic has four partitions there."""
    producer = Producer({"bootstrap.servers": "in-process", "test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(producer.list_topics(TOPIC, timeout=10).brokers.values()))
    return producer, f"{broker.host}:{broker.port}"


def book(epoch: int, now_ns: int, confirmed_ns: int = 1) -> bytes:
    clocks = Clocks()
    clocks.begin_after(epoch - 1)
    ladder = Ladder()
    ladder.replace([(4000, 100)], [])
    published = PublishedBook("kalshi", "M", "g", 32, clocks)
    said = published.show(ladder, Receipt("c", 0, confirmed_ns, confirmed_ns), 0, now_ns)
    assert isinstance(said, Book)
    assert said.epoch == max(epoch, now_ns)
    return encode_books([said])


def write(mock: tuple[Producer, str], *values: bytes, partition: int = 0, timestamp_ms: int = 1) -> None:
    for value in values:
        mock[0].produce(TOPIC, value, partition=partition, timestamp=timestamp_ms)
    assert mock[0].flush(10) == 0


def test_an_empty_topic_says_nothing(mock: tuple[Producer, str]) -> None:
    assert newest_ns(mock[1], TOPIC) == 0


@pytest.mark.parametrize(
    ("value", "timestamp_ms", "newest"),
    [
        (book(10**18, 5), 1, 10**18),
        (book(5, 10**18), 1, 10**18),
        (book(5, 5, confirmed_ns=10**18), 1, 10**18),
        (book(5, 5), 7_000, 7_001 * MILLISECOND_NS),
        (b"broken", 7_000, 7_001 * MILLISECOND_NS),
    ],
    ids=["epoch", "stamp", "proof", "publication", "broken record"],
)
def test_the_newest_time_of_any_partition_counts(
    mock: tuple[Producer, str], value: bytes, timestamp_ms: int, newest: int
) -> None:
    write(mock, book(5, 5), book(6, 6), partition=0)
    write(mock, value, partition=2, timestamp_ms=timestamp_ms)
    write(mock, book(7, 7), partition=2)
    assert newest_ns(mock[1], TOPIC) == newest


def test_only_the_last_records_are_read(mock: tuple[Producer, str]) -> None:
    write(mock, book(10**18, 5), *[book(5, 5)] * RECORDS)
    assert newest_ns(mock[1], TOPIC) == 2 * MILLISECOND_NS


class DeadConsumer:
    """A partition with five records that never come."""

    def __init__(self, *_: str) -> None:
        self.closed = False

    def assign(self, places: list[TopicPartition]) -> None:
        return None

    def get_watermark_offsets(self, _place: TopicPartition, timeout: float) -> tuple[int, int]:
        return 0, 5

    def consume(self, _count: int, _timeout: float) -> list[Any]:
        return []

    def position(self, places: list[TopicPartition]) -> list[TopicPartition]:
        return places

    def close(self) -> None:
        self.closed = True


def test_records_that_do_not_come_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    client = DeadConsumer()
    monkeypatch.setattr(history, "consumer", lambda *_: client)
    monkeypatch.setattr(history, "end_offsets", lambda *_, timeout_s: {(TOPIC, 0): 5})
    with pytest.raises(KafkaUnavailable, match="its last records were not read within 0 s"):
        newest_ns("here", TOPIC, timeout_s=0)
    assert client.closed
