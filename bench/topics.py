"""Reading topics between two moments, for measurements taken from what the processes themselves wrote down."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime import kafka
from schemas.codec import decode_record
from schemas.records import Journal
from schemas.topics import HOME, venue_topic
from streams.core.journal import unpack_stamps

BOOK_TOPICS: Final = tuple(venue_topic("book", venue, "us") for venue in HOME)
JOURNAL_TOPIC: Final = "journal.detector"
OPPORTUNITY_TOPIC: Final = "opportunity"
BATCH: Final = 1000

Place = tuple[str, int]
"""Topic and partition."""

Coordinates = tuple[str, int, int]
"""Topic, partition and offset."""


def ends(bootstrap: str, topics: Sequence[str]) -> dict[Place, int]:
    """The end offset of every partition of the topics."""
    client = kafka.consumer(bootstrap, "dutchbook-bench-ends")
    try:
        return kafka.end_offsets(client, topics)
    finally:
        client.close()


def read_since(bootstrap: str, begin: Mapping[Place, int], *, timeout_s: float = 60.0) -> list[Message]:
    """Every record from the offsets `begin` on that exists now, in order per partition."""
    reader = Follower(bootstrap, begin)
    try:
        wanted = ends(bootstrap, sorted({topic for topic, _ in begin}))
        deadline = time.monotonic() + timeout_s
        messages: list[Message] = []
        while any(reader.position(place) < end for place, end in wanted.items() if place in begin):
            if time.monotonic() > deadline:
                raise kafka.KafkaUnavailable(f"{bootstrap}: the ends of {sorted(begin)} were not reached in time")
            messages += reader.take()
        return messages
    finally:
        reader.close()


class Follower:
    """Reads partitions from given offsets on, a batch at a time, outside any consumer group."""

    def __init__(self, bootstrap: str, begin: Mapping[Place, int]) -> None:
        self._client = kafka.consumer(bootstrap, "dutchbook-bench-reader")
        self._client.assign([TopicPartition(*place, offset) for place, offset in begin.items()])
        self._positions = dict(begin)

    def position(self, place: Place) -> int:
        """The offset that is read next."""
        return self._positions[place]

    def take(self, timeout_s: float = 0.2) -> list[Message]:
        """What came since the last call; waits at most `timeout_s`. Raises KafkaUnavailable for a record's error."""
        messages: list[Message] = self._client.consume(BATCH, timeout_s)
        for message in messages:
            problem = message.error()
            if problem is not None:
                raise kafka.KafkaUnavailable(f"{message.topic()}: {problem.str()}")
            self._positions[message.topic(), message.partition()] = message.offset() + 1
        return messages

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def stamped(journal: Iterable[Journal]) -> dict[Coordinates, int]:
    """When the detector took in each record, by the journal; ValueError when one was taken in twice."""
    stamps: dict[Coordinates, int] = {}
    for record in journal:
        for item in record.items:
            if item.kind != "input":
                continue
            for number, stamp in enumerate(unpack_stamps(item)):
                place = (item.topic, item.partition, item.offset + number)
                if place in stamps:
                    raise ValueError(f"{place} is in the journal twice")
                stamps[place] = stamp
    return stamps


def journal_of(messages: Iterable[Message]) -> list[Journal]:
    """The journal's records in these messages."""
    return [decode_record(message.value() or b"", Journal) for message in messages]


def set_group(bootstrap: str, group: str, offsets: Mapping[Place, int]) -> None:
    """Have a consumer group that nobody is in begin at these offsets."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    places = [TopicPartition(*place, offset) for place, offset in offsets.items()]
    for future in admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)]).values():
        future.result(timeout=30)
