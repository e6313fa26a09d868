"""The whole road: simulated venues, producers, two Kafka clusters, MirrorMaker 2, detector; saturated and paced.

Executor, gateways, sinks and stores do not run: they are behind the detector, and on few cores they would be measured
with it. Brokers, mirror and detector live through all runs of one measurement; each run has fresh simulators and
producers. Everything is read afterwards from what the processes wrote: stamps in books, journal, opportunities.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx
from confluent_kafka import Message

from bench.figures import Figure, gather
from bench.stack import MACHINE, BenchFailed, Ground, cores_used, cpu_seconds, ground, watched
from bench.topics import (
    BOOK_TOPICS,
    JOURNAL_TOPIC,
    OPPORTUNITY_TOPIC,
    Coordinates,
    Follower,
    Place,
    ends,
    journal_of,
    read_since,
    stamped,
)
from bench.trail import Seen, Window, bottleneck, journey, latencies, rates, seen_books
from infra.groups import publish_groups, read_groups
from infra.local.parts import Parts, cache_folder
from infra.local.pipeline import Playback, simulators
from infra.local.services import kafka, mirrormaker
from infra.local.stack import make_key
from infra.observe import Observer
from infra.simulator.generate import generate
from runtime.kafka import create_topics
from schemas.codec import decode_books, decode_record
from schemas.records import Opportunity
from schemas.topics import HOME, REGIONS, creations, mirrormaker_properties

PAIRS: Final = 50
TAPE: Final = "bench-v1"
TAPE_MINUTES: Final = 40.0
TAPE_ROUNDS: Final = 25
"""Edges per pair: one standing somewhere about every other second of tape."""

PACE: Final = 500.0
WARM_UP_S: Final = 15.0
READY_WITHIN_S: Final = 60.0
DRAIN_WITHIN_S: Final = 60.0
KINDS: Final = ("venue-kalshi", "venue-polymarket", "producer-kalshi", "producer-polymarket")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run gave."""

    seen: list[Seen]
    opportunities: list[tuple[Opportunity, int]]
    window: Window
    cores: dict[str, float]
    books_per_record: float


def tape(cache: Path) -> Path:
    """The folder of the tape that is played, generated where it is not there yet; the same bytes everywhere."""
    folder = cache / TAPE
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".generating-", dir=cache))
        try:
            generate(draft, 7, PAIRS, TAPE_MINUTES, PAIRS, 0, TAPE_ROUNDS)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def frames_per_second(folder: Path) -> float:
    """How many frames both venues together send in a second of tape, on average."""
    frames = sum((folder / venue / "frames.jsonl").read_bytes().count(b"\n") for venue in HOME)
    return frames / (TAPE_MINUTES * 60)


async def measure(parts: Parts, repeats: int, seconds: float, say: Callable[[str], None]) -> tuple[list[Figure], str]:
    """Paced runs of `seconds` each, then runs of the whole tape as fast as it goes; also what limited the latter."""
    folder = await asyncio.to_thread(tape, cache_folder() / "tapes")
    async with ground(parts) as here:
        return await watched(here.supervisor, _measure(here, folder, repeats, seconds, say))


async def _measure(
    here: Ground, folder: Path, repeats: int, seconds: float, say: Callable[[str], None]
) -> tuple[list[Figure], str]:
    road = Road(here, folder)
    await road.open()
    speed = f"{PACE / frames_per_second(folder):.3f}"
    await road.play("warm-up", speed, WARM_UP_S)
    paced = []
    for repeat in range(repeats):
        paced.append(await road.play(f"paced-{repeat}", speed, seconds))
        say(f"whole road at {PACE:.0f} frames/s: {_short(latencies(paced[-1].opportunities, paced[-1].window))}")
    saturated = []
    for repeat in range(repeats):
        saturated.append(await road.play(f"saturated-{repeat}", "max", None))
        say(f"whole road, saturated: {rates(saturated[-1].seen)['books through the whole road']:,.0f} books/s")
    last = saturated[-1]
    processes = {name: share for name, share in last.cores.items() if name != MACHINE}
    limit = bottleneck(processes, last.cores[MACHINE], len(os.sched_getaffinity(0)), last.seen)
    return _figures(paced, saturated, seconds), limit


def _short(found: Mapping[str, float]) -> str:
    """Median and p99 of either venue, for the progress line."""
    shown = {name: value for name, value in found.items() if name.endswith(("p50", "p99"))}
    return ", ".join(f"{name.replace(' frame to opportunity,', '')} {value:.1f} ms" for name, value in shown.items())


def _figures(paced: list[Run], saturated: list[Run], seconds: float) -> list[Figure]:
    section = f"whole road at {PACE:.0f} frames/s, both venues together, {seconds:.0f} s"
    figures = gather(section, "books/s", [{"books that came": len(run.seen) / seconds} for run in paced])
    events = [{"opportunity events": float(len(run.opportunities))} for run in paced]
    figures += gather(section, "events", events)
    figures += gather(section, "ms", [latencies(run.opportunities, run.window) for run in paced])
    figures += gather(section, "ms", [journey(run.seen) for run in paced])
    figures += gather(section, "cores", [{f"- {MACHINE}": run.cores[MACHINE]} for run in paced])
    section = "whole road, saturated"
    figures += gather(section, "books/s", [rates(run.seen) for run in saturated])
    figures += gather(section, "books", [{"- books a record": run.books_per_record} for run in saturated])
    figures += gather(
        section, "cores", [{f"- {name}": share for name, share in run.cores.items()} for run in saturated]
    )
    return figures


class Road:
    """Two clusters, the mirror and the detector, over which a tape is played again and again."""

    def __init__(self, here: Ground, folder: Path) -> None:
        self._here = here
        self._tape = folder

    async def open(self) -> None:
        """Bring up what lives through all runs."""
        here = self._here
        parts, data_dir, ports = here.parts, here.folder, here.ports
        await here.supervisor.start(
            kafka("us", parts, data_dir, ports, full_compiler=True),
            kafka("eu", parts, data_dir, ports, full_compiler=True),
        )
        await asyncio.to_thread(self._prepare)
        properties = mirrormaker_properties(here.addresses.kafka_us, here.addresses.kafka_eu)
        await here.supervisor.start(
            mirrormaker(properties, parts, data_dir, ports, full_compiler=True),
            here.process("detector", "detector", {}),
        )

    def _prepare(self) -> None:
        for region in REGIONS:
            bootstrap = self._here.addresses.kafka_us if region == "us" else self._here.addresses.kafka_eu
            create_topics(bootstrap, creations(region))
        groups = read_groups(self._tape / "groups.yaml", status="approved", updated_by="bench")
        publish_groups(self._here.addresses.kafka_us, groups)

    async def play(self, name: str, speed: str, seconds: float | None) -> Run:
        """Play the tape with fresh simulators and producers, for `seconds` or to its end, until all is taken in."""
        us = self._here.addresses.kafka_us
        topics = [*BOOK_TOPICS, JOURNAL_TOPIC, OPPORTUNITY_TOPIC]
        begin = await asyncio.to_thread(ends, us, topics)
        follower = Follower(us, {place: end for place, end in begin.items() if place[0] == JOURNAL_TOPIC})
        try:
            await self._bring_up(name, speed)
            begin_ns = await self._start()
            await asyncio.sleep((begin_ns - time.time_ns()) / 1e9)
            before, began = cpu_seconds(self._here.supervisor), time.monotonic()
            await (self._until_ended() if seconds is None else asyncio.sleep(seconds))
            end_ns = time.time_ns()
            stamps = await self._until_taken_in(begin, follower) if seconds is None else {}
            cores = cores_used(before, cpu_seconds(self._here.supervisor), time.monotonic() - began)
            for kind in reversed(KINDS):
                await self._here.supervisor.finish(f"{kind}-{name}")
            stamps = await self._until_taken_in(begin, follower, stamps)
        finally:
            await asyncio.to_thread(follower.close)
        window = Window(begin_ns, end_ns)
        self._here.require_health()
        read = {place: offset for place, offset in begin.items() if place[0] != JOURNAL_TOPIC}
        messages = await asyncio.to_thread(read_since, us, read)
        shares = {child.removesuffix(f"-{name}"): share for child, share in cores.items()}
        seen = _books(messages, stamps, window)
        per_record = len(seen) / max(1, sum(message.topic() in BOOK_TOPICS for message in messages))
        return Run(seen, _opportunities(messages, window), window, shares, per_record)

    async def _bring_up(self, name: str, speed: str) -> None:
        """Start simulators and producers; returns when every market is followed."""
        here = self._here
        private, public = make_key(here.folder / "kalshi-simulator-key")
        ports = here.ports["venue-kalshi"], here.ports["venue-polymarket"]
        playback = Playback(self._tape, speed, *ports, public, private)
        specs = [replace(spec, name=f"{spec.name}-{name}") for spec in simulators(playback)]
        settings = playback.environment()
        specs += [here.process(kind, f"{kind}-{name}", settings) for kind in KINDS if kind.startswith("producer")]
        observer = Observer(here.addresses.kafka_us, from_beginning=False, since_ns=time.time_ns())
        observer.start()
        try:
            await here.supervisor.start(*specs)
            deadline = time.monotonic() + READY_WITHIN_S
            while any(observer.seen.newest("markets_subscribed", venue=venue) < PAIRS for venue in HOME):
                if time.monotonic() > deadline:
                    raise BenchFailed(f"{name}: the producers did not follow all markets in {READY_WITHIN_S:.0f} s")
                await asyncio.sleep(0.1)
        finally:
            await asyncio.to_thread(observer.stop)
        await asyncio.sleep(1.0)  # first snapshots are through, start-up work is over

    async def _start(self) -> int:
        at_ns = time.time_ns() + 300_000_000
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            for port in self._venue_ports():
                answer = await client.post(f"http://127.0.0.1:{port}/_simulator/start", json={"at_ns": at_ns})
                answer.raise_for_status()
        return at_ns

    def _venue_ports(self) -> tuple[int, int]:
        return self._here.ports["venue-kalshi"], self._here.ports["venue-polymarket"]

    async def _until_ended(self) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            for port in self._venue_ports():
                while (await client.get(f"http://127.0.0.1:{port}/_simulator/status")).json()["state"] != "ended":
                    await asyncio.sleep(0.25)

    async def _until_taken_in(
        self, begin: Mapping[Place, int], follower: Follower, known: Mapping[Coordinates, int] | None = None
    ) -> dict[Coordinates, int]:
        """Wait until everything that stood in both venues' book topics when this began is in the journal."""
        addresses = self._here.addresses
        (mirrored,) = [topic for topic in BOOK_TOPICS if topic.startswith("eu.")]
        wanted = await asyncio.to_thread(ends, addresses.kafka_us, BOOK_TOPICS)
        at_home = await asyncio.to_thread(ends, addresses.kafka_eu, [mirrored.removeprefix("eu.")])
        wanted |= {
            (mirrored, partition): max(end, wanted[mirrored, partition]) for (_, partition), end in at_home.items()
        }
        missing = sum(end - begin[place] for place, end in wanted.items()) - len(known or {})
        stamps = dict(known or {})
        deadline = time.monotonic() + DRAIN_WITHIN_S
        while any((*place, end - 1) not in stamps for place, end in wanted.items() if end > begin[place]):
            if time.monotonic() > deadline:
                raise BenchFailed(f"about {missing} records were still on their way after {DRAIN_WITHIN_S:.0f} s")
            stamps |= stamped(journal_of(await asyncio.to_thread(follower.take)))
        return stamps


def _books(messages: list[Message], stamps: Mapping[Coordinates, int], window: Window) -> list[Seen]:
    records = [
        ((message.topic(), message.partition(), message.offset()), decode_books(message.value() or b""))
        for message in messages
        if message.topic() in BOOK_TOPICS
    ]
    known = [(place, books) for place, books in records if place in stamps]
    if len(known) < 0.9 * len(records):
        raise BenchFailed(f"the journal has {len(known)} of {len(records)} records")
    return seen_books(known, stamps, window)


def _opportunities(messages: list[Message], window: Window) -> list[tuple[Opportunity, int]]:
    """The opportunity events that a frame of the window caused, each with the moment it was produced."""
    found = []
    for message in messages:
        if message.topic() != OPPORTUNITY_TOPIC:
            continue
        opportunity = decode_record(message.value() or b"", Opportunity)
        if window.holds(opportunity.cause_api_response_ns):
            found.append((opportunity, int(dict(message.headers() or [])["produced_ns"])))
    return found
