"""What a venue's producer does: how fast, how soon, and in how much memory. One broker stands for both regions'.

Frames are those of `bench.frames`. Speed into Kafka is measured in a process of its own (`bench.publishing`); times and
memory are those of the producers' own processes, which follow a simulated venue over real sockets (`bench.feeds`).
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from bench import feeds, normalise
from bench.figures import Figure, gather
from bench.publishing import Published
from bench.stack import BenchFailed, Ground, ground, watched
from infra.local.child import ChildSpec
from infra.local.parts import Parts
from infra.local.services import kafka
from runtime.kafka import create_topics
from schemas.records import Venue
from schemas.topics import HOME, REGIONS, creations

LOOK_EVERY_S: Final = 0.1

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each: thousands of different frames, how often raw ones are sent, seconds at 1,000 frames a second,
    seconds that a producer follows many markets.
    """

    thousands: int = 40
    raw_times: int = 8
    paced_s: int = 20
    followed_s: int = 15


QUICK: Final = Size(thousands=15, raw_times=10, paced_s=10, followed_s=8)


async def measure(parts: Parts, repeats: int, *, quick: bool, say: Say) -> list[Figure]:
    """All of it: frames a second without Kafka and with it, time to Kafka, memory."""
    size = QUICK if quick else Size()
    figures = await asyncio.to_thread(normalise.measure, repeats, size.thousands, say)
    async with ground(parts) as here:
        await here.supervisor.start(kafka("us", parts, here.folder, here.ports, full_compiler=True))
        return figures + await watched(here.supervisor, _measure(here, repeats, size, say))


async def _measure(here: Ground, repeats: int, size: Size, say: Say) -> list[Figure]:
    plan = {creation.name: creation for region in REGIONS for creation in creations(region)}
    await asyncio.to_thread(create_topics, here.addresses.kafka_us, list(plan.values()))
    figures: list[Figure] = []
    for what, section in (
        ("raw", "raw frames to acknowledgement (acks=all), one process"),
        ("line", "a whole line to acknowledgement (raw frames, books, trades), one process"),
    ):
        found = {venue: await publish(here, venue, what, repeats, size) for venue in HOME}
        for figure in _published(section, found, repeats):
            figures.append(figure)
            if figure.unit == "frames/s":
                values = ", ".join(f"{value:,.0f}" for value in figure.values)
                say(f"{what} to acknowledgement, {figure.name}: {values} frames/s")
    figures += await feeds.measure_times(here, repeats, size.paced_s, say)
    return figures + await feeds.measure_memory(here, repeats, size.followed_s, say)


async def publish(here: Ground, venue: Venue, what: str, repeats: int, size: Size) -> list[Published]:
    """Runs of `bench.publishing` in a process of its own."""
    name, file = f"publishing-{venue}-{what}", here.folder / f"publishing-{venue}-{what}.json"
    argv = (sys.executable, "-m", "bench.publishing", here.addresses.kafka_us, venue, what, str(file))
    options = {"--repeats": repeats, "--thousands": size.thousands, "--times": size.raw_times}
    numbers = [text for option, value in options.items() for text in (option, str(value))]
    await here.supervisor.start(ChildSpec(name=name, argv=(*argv, *numbers), may_finish=True, restart_limit=0))
    while here.supervisor.records[name].state != "finished":
        await asyncio.sleep(LOOK_EVERY_S)
    runs = msgspec.json.decode(await asyncio.to_thread(file.read_bytes), type=list[Published])
    if what == "line" and any(run.books < run.frames / 2 for run in runs):
        raise BenchFailed(f"{name}: {runs[0].frames} frames gave {min(run.books for run in runs)} books")
    return runs


def _published(section: str, found: dict[Venue, list[Published]], repeats: int) -> list[Figure]:
    rates: Sequence[dict[str, float]] = [{} for _ in range(repeats)]
    books: Sequence[dict[str, float]] = [{} for _ in range(repeats)]
    cores: Sequence[dict[str, float]] = [{} for _ in range(repeats)]
    for venue, runs in found.items():
        for repeat, run in enumerate(runs):
            name = f"{feeds.NAMES[venue]}, {run.frame_bytes:.0f} bytes a frame"
            rates[repeat][name] = run.frames / run.seconds
            if run.books:
                books[repeat][f"- {feeds.NAMES[venue]}: new books"] = run.books / run.seconds
            cores[repeat][f"- {feeds.NAMES[venue]}: the process"] = run.processor_s / run.seconds
    return gather(section, "frames/s", rates) + gather(section, "books/s", books) + gather(section, "cores", cores)
