"""What an earlier process of this producer said last: read back at the start, so that nothing newer is older."""

import time
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from runtime import logs, metrics
from runtime.kafka import KafkaUnavailable, consumer, end_offsets
from runtime.settings import MILLISECOND_NS
from schemas.codec import DecodeError, decode_books
from schemas.records import Book

RECORDS: Final = 200
"""Records read back per partition: with one repetition every two seconds, some minutes of its books."""

BATCH: Final = 500


def newest_ns(bootstrap: str, topic: str, *, timeout_s: float = 10.0) -> int:
    """The newest time in the last records of a book topic, 0 for an empty topic; raises KafkaUnavailable.

    No epoch or stamp in them is newer, and they were published before it: what was said earlier of other markets, by a
    clock that ran, is older too.
    """
    client = consumer(bootstrap, f"dutchbook-history-{topic}")
    try:
        return _newest(client, topic, timeout_s)
    finally:
        client.close()


def _newest(client: Consumer, topic: str, timeout_s: float) -> int:
    deadline = time.monotonic() + timeout_s
    left = _last_records(client, topic, timeout_s)
    client.assign([TopicPartition(topic, partition, first) for partition, (first, _) in left.items()])
    newest = 0
    while left:
        for message in client.consume(BATCH, 0.05):
            newest = max(newest, _newest_in(message))
        for place in client.position([TopicPartition(topic, partition) for partition in left]):
            if place.offset >= left[place.partition][1]:
                del left[place.partition]
        if left and time.monotonic() > deadline:
            raise KafkaUnavailable(f"{topic}: its last records were not read within {timeout_s:g} s")
    return newest


def _last_records(client: Consumer, topic: str, timeout_s: float) -> dict[int, tuple[int, int]]:
    """From where to where to read, by partition; empty partitions are left out."""
    ranges = {}
    try:
        for _, partition in end_offsets(client, [topic], timeout_s=timeout_s):
            low, end = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout_s)
            if low < end:
                ranges[partition] = (max(low, end - RECORDS), end)
    except KafkaException as error:
        raise KafkaUnavailable(f"{topic}: {error.args[0].str()}") from error
    return ranges


def _newest_in(message: Message) -> int:
    error = message.error()
    if error is not None:
        if error.fatal():
            raise KafkaUnavailable(f"{message.topic()}: {error.str()}")
        return 0
    published_ns: int = (message.timestamp()[1] + 1) * MILLISECOND_NS
    try:
        books = decode_books(message.value() or b"")
    except DecodeError as problem:
        metrics.DECODE_ERRORS.labels(message.topic()).inc()
        logs.get(topic=message.topic()).warning("broken record", offset=message.offset(), error=str(problem))
        books = []
    return max([published_ns, *(_newest_of(book) for book in books)])


def _newest_of(book: Book) -> int:
    return max(book.epoch, book.processing_complete_ns, book.confirmed_ns)
