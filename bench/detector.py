"""Books per second through the detector's process alone, saturated: `faust -A streams.detector worker` on a real Kafka.

The books wait in Kafka before the worker starts. The time runs from the first to the last input by the journal's
stamps, so start-up and group join are outside, and everything else is inside: fetching, decoding, deciding, journal,
opportunities, acknowledgements, commits. Nothing else runs but the broker and the reader of the journal.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.figures import Figure, gather, rate
from bench.load import alone, references, rounds, together
from bench.stack import BenchFailed, Ground, cores_used, cpu_seconds, ground, produce, publishing, watched
from bench.topics import (
    BOOK_TOPICS,
    JOURNAL_TOPIC,
    OPPORTUNITY_TOPIC,
    Follower,
    Place,
    ends,
    journal_of,
    set_group,
    stamped,
)
from infra.local.parts import Parts
from infra.local.services import kafka
from runtime.kafka import create_topics
from schemas.codec import decode_books, encode
from schemas.records import Group, Journal, Market
from schemas.topics import creations, venue_topic

GROUP: Final = "dutchbook-detector"
ROUND_BOOKS: Final = 100
WITHIN_S: Final = 120.0
SETTINGS: Final = {"DUTCHBOOK_FRESHNESS_MS": "3600000"}
"""The books have waited when they are read; with a live run's limit they would all be stale."""


@dataclass(frozen=True, slots=True)
class Load:
    """Records to preload and what they are called in the table."""

    name: str
    records: list[tuple[Place, bytes]]
    books: int


@dataclass(frozen=True, slots=True)
class Run:
    """One saturated run of the detector: what it did, the journal it wrote, and where what it was given began."""

    books_per_s: float
    opportunity_events: int
    detector_cores: float
    broker_cores: float
    journal: list[Journal]
    begin: dict[Place, int]


def loads(books: int) -> list[Load]:
    """The two layouts: as a publisher sends when it is held back, and one book a record (a third of the books)."""
    now_ns = time.time_ns()
    many = list(rounds(max(1, books // ROUND_BOOKS), now_ns))
    few = many[: len(many) // 3]
    records = together(many)
    mean = f"{sum(len(found) for _, found in many) / len(records):.1f}"
    return [
        Load(f"{mean} books a record", records, sum(len(found) for _, found in many)),
        Load("1 book a record", alone(few), sum(len(found) for _, found in few)),
    ]


async def measure(parts: Parts, books: int, repeats: int, say: Callable[[str], None]) -> list[Figure]:
    """Run each layout `repeats` times after one run that is not counted."""
    async with ground(parts) as here:
        await here.supervisor.start(kafka("us", parts, here.folder, here.ports, full_compiler=True))
        return await watched(here.supervisor, _measure(here, books, repeats, say))


async def _measure(here: Ground, books: int, repeats: int, say: Callable[[str], None]) -> list[Figure]:
    await asyncio.to_thread(prepare, here, *references())
    prepared = await asyncio.to_thread(loads, books)
    await run(here, prepared[0], "detector-warm-up")
    figures = []
    for load in prepared:
        runs = []
        for repeat in range(repeats):
            done = await run(here, load, f"detector-{len(load.records)}-{repeat}")
            say(f"detector, {load.name}: {done.books_per_s:,.0f} books/s")
            runs.append(done)
        rates = [{f"books through the detector, {load.name}": done.books_per_s} for done in runs]
        cores = [{"- detector process": done.detector_cores, "- broker": done.broker_cores} for done in runs]
        events = [{"- opportunity events": float(done.opportunity_events)} for done in runs]
        section = "detector alone, saturated"
        figures += gather(section, "books/s", rates) + gather(section, "cores", cores)
        figures += gather(section, "events", events)
    return figures


def prepare(here: Ground, groups: Sequence[Group], markets: Sequence[Market]) -> None:
    """Create the topics and put groups and markets on theirs."""
    bootstrap = here.addresses.kafka_us
    create_topics(bootstrap, creations("us"))
    with publishing(bootstrap) as publisher:
        for group in groups:
            publisher.publish("group", encode(group), key=group.group.encode())
        for market in markets:
            publisher.publish(venue_topic("market", market.venue, "us"), encode(market), key=market.market.encode())


async def run(here: Ground, load: Load, name: str) -> Run:
    """Preload, start a fresh worker, wait until it has taken in everything, stop it."""
    bootstrap = here.addresses.kafka_us
    begin = await asyncio.to_thread(ends, bootstrap, BOOK_TOPICS)
    await asyncio.to_thread(set_group, bootstrap, GROUP, begin)
    await asyncio.to_thread(produce, bootstrap, load.records)
    opportunities = await asyncio.to_thread(ends, bootstrap, [OPPORTUNITY_TOPIC])
    journal_begin = await asyncio.to_thread(ends, bootstrap, [JOURNAL_TOPIC])
    await here.supervisor.start(here.process("detector", name, SETTINGS))
    follower = Follower(bootstrap, journal_begin)
    try:
        journal, cores = await _until_taken_in(here, follower, len(load.records), name)
    finally:
        await asyncio.to_thread(follower.close)
    await here.supervisor.finish(name)
    here.require_health()
    stamps = stamped(journal)
    if len(stamps) != len(load.records):
        raise BenchFailed(f"{name}: {len(load.records)} records were loaded, the journal has {len(stamps)}")
    ended = await asyncio.to_thread(ends, bootstrap, [OPPORTUNITY_TOPIC])
    return Run(
        books_per_s=rate(*_weighted(load, begin, stamps)),
        opportunity_events=sum(ended.values()) - sum(opportunities.values()),
        detector_cores=cores.get(name, 0.0),
        broker_cores=cores.get("us-kafka", 0.0),
        journal=journal,
        begin=begin | opportunities,
    )


def _weighted(
    load: Load, begin: dict[Place, int], stamps: dict[tuple[str, int, int], int]
) -> tuple[list[int], list[int]]:
    """Stamp and number of books of every record, in the order of the load."""
    offsets = dict(begin)
    moments, weights = [], []
    for place, value in load.records:
        moments.append(stamps[*place, offsets[place]])
        weights.append(len(decode_books(value)))
        offsets[place] += 1
    return moments, weights


async def _until_taken_in(
    here: Ground, follower: Follower, records: int, name: str
) -> tuple[list[Journal], dict[str, float]]:
    """Follow the journal until it names `records` inputs; also the cores that were busy from the first on."""
    journal: list[Journal] = []
    taken_in, began = 0, 0.0
    before: dict[str, float] = {}
    deadline = time.monotonic() + WITHIN_S
    while taken_in < records:
        if time.monotonic() > deadline:
            raise BenchFailed(f"{name}: {taken_in} of {records} records after {WITHIN_S:.0f} s")
        fresh = journal_of(await asyncio.to_thread(follower.take))
        journal += fresh
        taken_in += sum(item.count for record in fresh for item in record.items if item.kind == "input")
        if taken_in and not before:
            began, before = time.monotonic(), cpu_seconds(here.supervisor)
    seconds = time.monotonic() - began
    return journal, cores_used(before, cpu_seconds(here.supervisor), seconds)
