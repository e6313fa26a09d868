"""What verify and replay read from Kafka: the journal of a stretch, opportunities, references, and single records.

Every reader fixes its end when it begins. Topics are read outside any consumer group.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from runtime.kafka import KafkaUnavailable, consumer, end_offsets, read_whole
from runtime.ranges import EmptyRange, read_span, spans
from runtime.settings import MILLISECOND_NS
from schemas.codec import DecodeError, decode_record
from schemas.records import Journal, Opportunity
from schemas.runs import run_topic
from streams.partition import JOURNAL_HEADER

JOURNAL: Final = "journal.detector"
OPPORTUNITY: Final = "opportunity"
GROUP: Final = "commit-nothing"
BATCH: Final = 500
POLL_S: Final = 0.2
SILENCE_S: Final = 30.0
FLUSH_SLACK_MS: Final = 5000
"""A journal record is written some time after its inputs were stamped: far less than this."""
CURSOR_SETTINGS: Final = {"queued.max.messages.kbytes": 8192, "fetch.message.max.bytes": 1_048_576}


class Evicted(ValueError):
    """A record that is needed is no longer in its topic; the message names topic, partition and offset."""


class Unreadable(ValueError):
    """A record that is needed cannot be decoded; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Known:
    """An opportunity's record with its place in the topic and the journal records that its headers carry."""

    offset: int
    value: bytes
    record: Opportunity
    journal: tuple[bytes, ...] = ()


def place_of(message: Message) -> str:
    """How errors name a record."""
    return f"{message.topic()}, partition {message.partition()}, offset {message.offset()}"


# -- the journal -----------------------------------------------------------------------------------------------------


def read_journal(bootstrap: str, run: str, from_ns: int | None, to_ns: int | None) -> dict[int, list[Journal]]:
    """Per partition the journal of a stretch, from the beginning of the epoch in which it begins.

    `to_ns` None: up to now. Raises EmptyRange, Evicted, Unreadable, KafkaUnavailable.
    """
    topic = run_topic(run, JOURNAL)
    until_ms = None if to_ns is None else to_ns // MILLISECOND_NS + FLUSH_SLACK_MS
    found = spans(bootstrap, topic, None if from_ns is None else from_ns // MILLISECOND_NS, until_ms)
    if not found:
        raise EmptyRange(f"{topic}: the detector journalled nothing in the given time")
    return {number: list(_partition_journal(bootstrap, topic, number, *span)) for number, span in found.items()}


def _partition_journal(bootstrap: str, topic: str, partition: int, first: int, end: int) -> Iterator[Journal]:
    records = read_span(bootstrap, topic, partition, first, end)
    head = next(records)
    opening = _journal(head)
    if opening.position > 0:
        yield from _before(bootstrap, topic, partition, head.offset(), opening.epoch)
    yield opening
    for message in records:
        yield _journal(message)


def _before(bootstrap: str, topic: str, partition: int, end: int, epoch: int) -> Iterator[Journal]:
    """What an epoch's journal has before offset `end`. An epoch's number is the moment at which it began."""
    span = spans(bootstrap, topic, epoch // MILLISECOND_NS - FLUSH_SLACK_MS, None).get(partition)
    if span is not None and span[0] < end:
        yield from (
            record for record in map(_journal, read_span(bootstrap, topic, partition, span[0], end))
            if record.epoch == epoch
        )  # fmt: skip


def _journal(message: Message) -> Journal:
    try:
        return decode_record(message.value() or b"", Journal)
    except DecodeError as error:
        raise Unreadable(f"{place_of(message)}: {error}") from error


# -- opportunities ---------------------------------------------------------------------------------------------------


def read_opportunities(bootstrap: str, topic: str) -> Iterator[Known]:
    """Every record of an opportunity topic, in order; raises Unreadable for one that cannot be decoded."""
    for message in read_whole(bootstrap, [topic]):
        value = message.value() or b""
        try:
            record = decode_record(value, Opportunity)
        except DecodeError as error:
            raise Unreadable(f"{place_of(message)}: {error}") from error
        headers = message.headers() or ()
        yield Known(message.offset(), value, record, tuple(data for name, data in headers if name == JOURNAL_HEADER))


def by_partition(known: Iterable[Known]) -> dict[int, list[Known]]:
    """Opportunities by the partition they were decided in, in the order of their topic."""
    found: dict[int, list[Known]] = {}
    for one in known:
        found.setdefault(one.record.partition, []).append(one)
    return found


# -- single records --------------------------------------------------------------------------------------------------


class Cursor:
    """Reads records of one partition by offset; quick when each is after the one before.

    `low` and `end` are where the partition begins and ends. What follows `first` is fetched in the background at once.
    """

    def __init__(self, bootstrap: str, topic: str, partition: int, low: int, end: int, first: int) -> None:
        self._place = f"{topic}, partition {partition}"
        self._topic, self._partition = topic, partition
        self._low, self._end = low, end
        self._client: Consumer = consumer(bootstrap, GROUP, **CURSOR_SETTINGS)
        self._buffer: list[Message] = []
        self._at = 0
        self._next = max(first, low)
        self._client.assign([TopicPartition(topic, partition, self._next)])

    def at(self, offset: int) -> Message:
        """The record with this offset; raises Evicted, KafkaUnavailable."""
        if offset >= self._end:
            raise Evicted(f"{self._place}, offset {offset}: the topic ends at offset {self._end}: it was made anew")
        if offset < self._low:
            raise self._evicted(offset, self._low)
        if offset != self._next:
            self._seek(offset)
        if self._at >= len(self._buffer):
            self._fill(offset)
        message = self._buffer[self._at]
        if message.offset() != offset:
            raise self._evicted(offset, message.offset())
        self._at += 1
        self._next = offset + 1
        return message

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _evicted(self, offset: int, low: int) -> Evicted:
        return Evicted(f"{self._place}, offset {offset}: evicted, the topic now begins at offset {low}")

    def _seek(self, offset: int) -> None:
        first = self._buffer[0].offset() if self._buffer else -1
        if 0 <= first <= offset < first + len(self._buffer):
            self._at = offset - first
            return
        self._buffer, self._at = [], 0
        self._client.assign([TopicPartition(self._topic, self._partition, offset)])

    def _fill(self, offset: int) -> None:
        """Fetch what comes next: at least one record."""
        silent_s = 0.0
        while True:
            try:
                messages = self._client.consume(min(BATCH, self._end - offset), POLL_S)
            except KafkaException as error:
                raise KafkaUnavailable(f"{self._place}: {error.args[0].str()}") from error
            good = [message for message in messages if message.error() is None]
            if good:
                self._buffer, self._at = good, 0
                return
            silent_s += POLL_S
            if silent_s > SILENCE_S:
                raise KafkaUnavailable(f"{self._place}: offset {offset} was not read for {SILENCE_S:g} s")


class Inputs:
    """Records of some topics by address, read where they are."""

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._bootstrap = bootstrap
        self._spans = _spans_of(bootstrap, topics)
        self._cursors: dict[tuple[str, int], Cursor] = {}

    def prepare(self, topic: str, partition: int, offset: int) -> None:
        """Begin to fetch what comes from an offset on, in the background; it will be asked for."""
        span = self._spans.get((topic, partition))
        if span is not None and (topic, partition) not in self._cursors:
            self._cursors[topic, partition] = Cursor(self._bootstrap, topic, partition, *span, offset)

    def at(self, topic: str, partition: int, offset: int) -> Message:
        """The record at an address; raises Evicted, KafkaUnavailable."""
        self.prepare(topic, partition, offset)
        cursor = self._cursors.get((topic, partition))
        if cursor is None:
            raise Evicted(f"{topic}, partition {partition}: there is no such partition")
        return cursor.at(offset)

    def close(self) -> None:
        """Let go of all connections."""
        for cursor in self._cursors.values():
            cursor.close()
        self._cursors.clear()


def _spans_of(bootstrap: str, topics: Sequence[str]) -> dict[tuple[str, int], tuple[int, int]]:
    """Where each partition begins and ends."""
    client = consumer(bootstrap, GROUP)
    try:
        ends = end_offsets(client, topics)
        lows = {place: client.get_watermark_offsets(TopicPartition(*place), timeout=20)[0] for place in ends}
    except KafkaException as error:
        raise KafkaUnavailable(f"cluster did not answer: {error.args[0].str()}") from error
    finally:
        client.close()
    return {place: (lows[place], end) for place, end in ends.items()}
