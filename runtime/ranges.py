"""A stretch of a topic by time, every partition of it, in the order of its records' times."""

import heapq
from collections.abc import Iterator
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from runtime.kafka import KafkaUnavailable, consumer, end_offsets

BATCH: Final = 1000
POLL_S: Final = 0.2
SILENCE_S: Final = 30.0
"""A partition that gives nothing for this long, before its end, is not available."""


class EmptyRange(ValueError):
    """A topic has no record in the stretch that was asked for."""


def read_range(
    bootstrap: str, topic: str, *, from_ms: int | None = None, to_ms: int | None = None
) -> Iterator[Message]:
    """The records with `from_ms` <= timestamp < `to_ms`, merged over partitions by timestamp.

    The end is fixed when reading begins: what is written meanwhile is left out. Raises EmptyRange, KafkaUnavailable.
    """
    places = spans(bootstrap, topic, from_ms, to_ms)
    if not places:
        raise EmptyRange(f"{topic}: no records in the given time")
    partitions = [read_span(bootstrap, topic, partition, *span) for partition, span in sorted(places.items())]
    yield from heapq.merge(*partitions, key=lambda message: message.timestamp()[1])


def spans(bootstrap: str, topic: str, from_ms: int | None, to_ms: int | None) -> dict[int, tuple[int, int]]:
    """First and end offset of every partition with records in the stretch; raises KafkaUnavailable."""
    client = consumer(bootstrap, f"dutchbook-range-{topic}")
    try:
        ends = {partition: end for (_, partition), end in end_offsets(client, [topic]).items()}
        firsts = {partition: client.get_watermark_offsets(TopicPartition(topic, partition))[0] for partition in ends}
        if from_ms is not None:
            firsts = _offsets_for(client, topic, ends, from_ms)
        if to_ms is not None:
            ends = _offsets_for(client, topic, ends, to_ms)
    except KafkaException as error:
        raise KafkaUnavailable(f"{topic}: {error.args[0].str()}") from error
    finally:
        client.close()
    return {partition: (first, ends[partition]) for partition, first in firsts.items() if first < ends[partition]}


def _offsets_for(client: Consumer, topic: str, ends: dict[int, int], at_ms: int) -> dict[int, int]:
    """Of every partition the first offset at or after a time; its end where there is none."""
    asked = [TopicPartition(topic, partition, at_ms) for partition in ends]
    found = client.offsets_for_times(asked, timeout=20.0)
    return {place.partition: place.offset if place.offset >= 0 else ends[place.partition] for place in found}


def read_span(bootstrap: str, topic: str, partition: int, first: int, end: int) -> Iterator[Message]:
    """The records of a partition from offset `first` to before `end`, in order; raises KafkaUnavailable."""
    client = consumer(bootstrap, f"dutchbook-range-{topic}")
    try:
        client.assign([TopicPartition(topic, partition, first)])
        silent_s = 0.0
        at = first
        while at < end:
            messages = client.consume(min(BATCH, end - at), POLL_S)
            at = max(at, client.position([TopicPartition(topic, partition)])[0].offset)
            silent_s = 0.0 if messages else silent_s + POLL_S
            if silent_s > SILENCE_S:
                raise KafkaUnavailable(f"{topic}, partition {partition}: nothing was read for {SILENCE_S:g} s")
            for message in messages:
                error = message.error()
                if error is not None:
                    if error.fatal():
                        raise KafkaUnavailable(f"{topic}, partition {partition}: {error.str()}")
                elif message.offset() < end:
                    yield message
    finally:
        client.close()
