"""Printing any topic's records as JSON lines, like Kafka's console consumer with our codec."""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import Message, TopicPartition

from runtime import kafka
from runtime.kafka import KafkaUnavailable
from schemas.codec import MARKER, DecodeError, decode
from schemas.records import Book, Journal, Record, Region
from schemas.topics import REGIONS, creations


class UnknownTopic(ValueError):
    """No cluster has a topic of that name."""


def region_of(topic: str, wanted: Region | None = None) -> Region:
    """The cluster that a topic stands in: the wanted one, else us first where both have it; raises UnknownTopic."""
    homes = [region for region in REGIONS if any(creation.name == topic for creation in creations(region))]
    if not homes:
        raise UnknownTopic(f"no topic {topic!r}: `dutchbook topics list` names them all")
    if wanted is not None and wanted not in homes:
        raise UnknownTopic(f"no topic {topic!r} in {wanted}: it stands in {homes[0]} only")
    return wanted or homes[0]


def readable(value: bytes | None) -> Any:
    """A record's value as JSON-able data: our records by their fields, other text as text, the rest in base64."""
    if value is None:
        return None
    if value[:2] == MARKER:
        try:
            record = decode(value)
        except DecodeError as error:
            return {"error": str(error), "base64": base64.b64encode(value).decode()}
        return [_book(book) for book in record] if isinstance(record, list) else _plain(record)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _book(book: Book) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.structs.asdict(book)
    del fields["ladder"]
    fields["bids"], fields["asks"] = book.sides()
    return fields


def _plain(record: Record) -> Any:
    """Fields as they are named; the journal's packed stamps as a list of nanoseconds."""
    fields = msgspec.to_builtins(record)
    if isinstance(record, Journal):
        for item, plain in zip(record.items, fields["items"], strict=True):
            plain["stamps"] = memoryview(item.stamps).cast("q").tolist()
    return fields


def line(message: Message) -> bytes:
    """One record as one JSON line."""
    headers = {name: (data or b"").decode(errors="replace") for name, data in message.headers() or []}
    key = message.key()
    return msgspec.json.encode(
        {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp_ms": message.timestamp()[1],
            "key": None if key is None else key.decode(errors="replace"),
            "headers": headers,
            "value": readable(message.value()),
        }
    )


def follow(bootstrap: str, topic: str, *, from_beginning: bool, maximum: int | None) -> Iterator[bytes]:
    """Yield lines of a topic's records: the existing ones first if asked, then new ones until `maximum`."""
    client = kafka.consumer(bootstrap, "dutchbook-decode")
    try:
        ends = kafka.end_offsets(client, [topic])
        client.assign([TopicPartition(name, part, 0 if from_beginning else end) for (name, part), end in ends.items()])
        count = 0
        while maximum is None or count < maximum:
            message = client.poll(0.5)
            if message is None:
                continue
            if message.error() is not None:
                raise KafkaUnavailable(message.error().str())
            yield line(message)
            count += 1
    finally:
        client.close()
