"""Whether what a detector emitted is what the core says to the inputs in its journal, byte for byte."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from bench.detector import SETTINGS, Load, Run
from bench.topics import OPPORTUNITY_TOPIC, Coordinates, Place
from runtime import kafka
from runtime.settings import MILLISECOND_NS, DetectorSettings
from runtime.settings import load as load_settings
from schemas.codec import decode_books, decode_record, encode
from schemas.records import Group, Journal, JournalItem, Market, Opportunity
from schemas.topics import HOME, venue_topic
from streams.core.detection import Detection, Source
from streams.core.journal import unpack_stamps
from streams.gates import gates_of

GROUP_TOPIC: Final = "group"
MARKET_TOPICS: Final = tuple(venue_topic("market", venue, "us") for venue in HOME)

References = dict[tuple[str, int], Group | Market]
"""Reference records by topic and offset."""


def differences(bootstrap: str, load: Load, run: Run) -> int:
    """How many events are in Kafka but not in a replay of the run's journal, or the other way round."""
    values = _placed(load.records, run.begin)
    references = dict(_references(bootstrap))
    emitted = list(_opportunities(bootstrap))
    before = run.begin[OPPORTUNITY_TOPIC, 0]
    in_kafka = Counter(encode(one) for offset, one in emitted if offset >= before)
    earlier = [(offset, one) for offset, one in emitted if offset < before]
    replayed: Counter[bytes] = Counter()
    for partition in sorted({record.partition for record in run.journal}):
        own = [record for record in run.journal if record.partition == partition]
        replayed.update(encode(one) for one in _replay(partition, own, values, references, earlier))
    return ((in_kafka - replayed) + (replayed - in_kafka)).total()


def _replay(
    partition: int,
    journal: Iterable[Journal],
    values: dict[Coordinates, bytes],
    references: References,
    earlier: list[tuple[int, Opportunity]],
) -> Iterator[Opportunity]:
    freshness_ns = int(SETTINGS["DUTCHBOOK_FRESHNESS_MS"]) * MILLISECOND_NS
    detection = Detection(partition, replace(gates_of(load_settings(DetectorSettings)), freshness_ns=freshness_ns))
    for record in journal:
        for item in record.items:
            if item.kind == "assign":
                end = json.loads(item.detail)["opportunity_offset"]
                detection.assign(record.epoch, [one for offset, one in earlier if offset < end])
            elif item.kind == "reference":
                yield from _tell(detection, references[item.topic, item.offset])
            elif item.kind == "input":
                yield from _inputs(detection, item, values)


def _inputs(detection: Detection, item: JournalItem, values: dict[Coordinates, bytes]) -> Iterator[Opportunity]:
    for number, stamp in enumerate(unpack_stamps(item)):
        offset = item.offset + number
        for index, book in enumerate(decode_books(values[item.topic, item.partition, offset])):
            yield from detection.on_book(book, Source(item.topic, item.partition, offset, index), stamp)


def _tell(detection: Detection, record: Group | Market) -> list[Opportunity]:
    return detection.on_group(record) if isinstance(record, Group) else detection.on_market(record)


def _placed(records: Iterable[tuple[Place, bytes]], begin: dict[Place, int]) -> dict[Coordinates, bytes]:
    offsets = dict(begin)
    values: dict[Coordinates, bytes] = {}
    for place, value in records:
        values[*place, offsets[place]] = value
        offsets[place] += 1
    return values


def _references(bootstrap: str) -> Iterator[tuple[tuple[str, int], Group | Market]]:
    for message in kafka.read_whole(bootstrap, [GROUP_TOPIC, *MARKET_TOPICS]):
        value, place = message.value() or b"", (message.topic(), message.offset())
        yield place, decode_record(value, Group) if message.topic() == GROUP_TOPIC else decode_record(value, Market)


def _opportunities(bootstrap: str) -> Iterator[tuple[int, Opportunity]]:
    for message in kafka.read_whole(bootstrap, [OPPORTUNITY_TOPIC]):
        yield message.offset(), decode_record(message.value() or b"", Opportunity)
