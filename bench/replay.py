"""Verify and replay, measured on what one saturated detector left: books per second, messages per second.

The detector takes in a load on a real broker first, as in `bench.detector`. Then `verify` runs the core over its
journal (records are read from Kafka in the same time), and the stretch is replayed at full speed: publishing alone,
then the run's own detector over it, from the run's first journal record to the last. All must come to the same
opportunities.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from bench.detector import SETTINGS, loads, prepare, run
from bench.figures import Figure, gather
from bench.load import references
from bench.stack import BenchFailed, Ground, ground, watched
from infra.local.parts import Parts
from infra.local.services import kafka
from infra.replay import Prepared, Progress, Stopping, Wish, publish_run
from infra.verify_command import verify
from runtime.kafka import read_whole
from schemas.runs import run_topic
from streams.replay.publish import Counts
from streams.replay.reading import JOURNAL
from streams.replay.runs import Manifest
from streams.replay.script import Stretch
from streams.replay.verify import Report, Wanted

WITHIN_S: Final = 300.0
SECTION: Final = "replay and verify, one core's work"


async def measure(parts: Parts, books: int, repeats: int, say: Callable[[str], None]) -> list[Figure]:
    """Load once, then verify and replay `repeats` times."""
    async with ground(parts) as here:
        await here.supervisor.start(kafka("us", parts, here.folder, here.ports, full_compiler=True))
        return await watched(here.supervisor, _measure(here, books, repeats, say))


async def _measure(here: Ground, books: int, repeats: int, say: Callable[[str], None]) -> list[Figure]:
    await asyncio.to_thread(prepare, here, *references())
    load = (await asyncio.to_thread(loads, 3 * books))[1]  # 1 book a record
    await run(here, load, "detector-live")
    rates: list[dict[str, float]] = []
    for repeat in range(repeats):
        found = await _once(here, load.books, f"r{repeat}")
        rates.append(found)
        say(", ".join(f"{name}: {rate:,.0f}" for name, rate in found.items()))
    books_rates = [{name: rate for name, rate in one.items() if "books" in name} for one in rates]
    records = [{name: rate for name, rate in one.items() if "books" not in name} for one in rates]
    return gather(SECTION, "books/s", books_rates) + gather(SECTION, "messages/s", records)


async def _once(here: Ground, books: int, name: str) -> dict[str, float]:
    address = here.addresses.kafka_us
    began = time.perf_counter()
    report = await asyncio.to_thread(verify, address, Wanted())
    verifying_s = time.perf_counter() - began
    _require(report, books)
    manifest, publishing_s = await asyncio.to_thread(_published, address, name, here)
    settings = SETTINGS | {"DUTCHBOOK_RUN": name}
    worker = f"detector-{name}"
    await here.supervisor.start(here.process("detector", worker, settings))
    await _until_done(address, manifest)
    await here.supervisor.finish(worker)
    here.require_health()
    replayed = await asyncio.to_thread(verify, address, Wanted(run=name))
    _require(replayed, books)
    if replayed.events != report.events:
        raise BenchFailed(f"{name}: {replayed.events} events in the run, {report.events} were live")
    published = sum(manifest.records.values())
    return {
        "core under verify, records read from Kafka, books": report.books / verifying_s,
        "published at max speed": published / publishing_s,
        "through the run's detector": published / await asyncio.to_thread(_journal_s, address, name),
    }


def _require(report: Report, books: int) -> None:
    if report.differences or report.books != books:
        raise BenchFailed(f"verify: {report.books} of {books} books, {len(report.differences)} events differ")


def _published(address: str, name: str, here: Ground) -> tuple[Manifest, float]:
    """Publish the whole stretch; reading the journal and creating topics are outside the time."""
    stretch = Stretch()
    prepared = Prepared.read(address, stretch)
    first = _First()
    try:
        manifest = publish_run(address, Wish(name, stretch, 0.0, "max", True, here.folder), prepared, first)
        return manifest, time.perf_counter() - first.looked_s
    finally:
        prepared.close()


class _First(Stopping):
    """Never stops; notes when it was first asked, just before the first record."""

    looked_s = 0.0

    def look(self, _counts: Counts) -> None:
        """Note the time, once."""
        self.looked_s = self.looked_s or time.perf_counter()


async def _until_done(address: str, manifest: Manifest) -> None:
    progress = Progress(address, manifest)
    deadline = time.monotonic() + WITHIN_S
    try:
        while not await asyncio.to_thread(progress.journalled):
            if time.monotonic() > deadline:
                raise BenchFailed(f"run {manifest.run}: not worked off after {WITHIN_S:.0f} s")
    finally:
        progress.close()


def _journal_s(address: str, name: str) -> float:
    """From the run's first journal record to its last."""
    stamps: list[int] = [message.timestamp()[1] for message in read_whole(address, [run_topic(name, JOURNAL)])]
    return max(0.001, (max(stamps) - min(stamps)) / 1000)
