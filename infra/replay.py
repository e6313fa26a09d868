"""One replay from beginning to end: its script, its topics, its workers, and what it came to."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from confluent_kafka import TopicPartition

from infra.local.child import ChildSpec
from infra.local.drain import GROUPS, group_lag
from infra.local.pipeline import PRIVATE, faust_worker
from infra.local.supervise import StopRequested, Supervisor
from infra.run_results import results
from runtime.kafka import consumer
from runtime.ranges import EmptyRange
from schemas.codec import decode_record
from schemas.records import Journal, Ticket
from schemas.runs import RUN_HOME, group_of, run_creations, run_topic
from schemas.topics import HOME, local_name
from streams.replay.publish import Counts, Item, Pace, Replay, Stopped, controls_of, items_of
from streams.replay.reading import JOURNAL, OPPORTUNITY, by_partition, read_journal, read_opportunities
from streams.replay.records import LiveRecords
from streams.replay.runs import Manifest, RunExists, topics_of
from streams.replay.script import Filter, PartitionScript, Stretch, script_of

Say = Callable[[str], None]
T = TypeVar("T")
WORKERS: Final = {
    "detector": faust_worker("streams.detector"),
    "executor": faust_worker("streams.executor"),
    "gateway-kalshi": (sys.executable, "-m", "producers.kalshi.gateway"),
    "gateway-polymarket": (sys.executable, "-m", "producers.polymarket.gateway"),
}
"""What a run's topics are worked with: names and commands."""
COMMITTING: Final = {
    "dutchbook-executor": GROUPS["us"]["dutchbook-executor"],
    **{f"dutchbook-gateway.{venue}": (local_name(f"order.{venue}", "us", RUN_HOME),) for venue in HOME},
}
"""The consumer groups of a run that commit, and the origins of what they read."""
KEYS: Final = tuple(f"DUTCHBOOK_{name}_" for name in PRIVATE)
"""What begins so is a venue's or a store's: a run has nothing to do with either."""
TICKET: Final = "ticket"
LOOK_EVERY_S: Final = 0.25
CLEAN_ROUNDS: Final = 3
"""An event may be on its way while nothing seems to wait."""
EXIT_STOPPED: Final = 130


@dataclass(frozen=True, slots=True)
class Wish:
    """What to replay, how fast (times as recorded, 0: as fast as it is read), and where logs go."""

    run: str
    stretch: Stretch
    speed: float
    speed_text: str
    publish_only: bool
    folder: Path


def replay(address: str, wish: Wish, say: Say) -> int:
    """Carry it out; returns the exit code. Raises RunExists, EmptyRange, Evicted, Unreadable, JournalError."""
    if topics_of(address, wish.run):
        raise RunExists(f"there is a run {wish.run!r} already: choose another --run, or `dutchbook runs remove` it")
    prepared = Prepared.read(address, wish.stretch)
    say(f"run {wish.run}: {prepared.words()}")
    try:
        if wish.publish_only:
            publish_run(address, wish, prepared, Stopping())
            say(f"published; start its workers with DUTCHBOOK_RUN={wish.run}")
            return 0
        return asyncio.run(_with_workers(address, wish, prepared, say))
    finally:
        prepared.close()


class Stopping:
    """Whether the replay is to stop, asked on the thread that publishes."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Have the publishing thread stop soon, also while it waits for a record's time."""
        self._asked.set()

    def look(self, _counts: Counts) -> None:
        """Raise Stopped when asked to."""
        if self._asked.is_set():
            raise Stopped("stopped")

    def wait(self, seconds: float) -> None:
        """Wait; raise Stopped as soon as asked to."""
        if self._asked.wait(seconds):
            raise Stopped("stopped")


class Prepared:
    """Everything that a replay needs before its first record is published."""

    def __init__(
        self, address: str, stretch: Stretch, scripts: Sequence[PartitionScript], records: LiveRecords
    ) -> None:
        self.scripts = scripts
        self.records = records
        self.filter = Filter(stretch.groups, self.records.reference)
        self._address = address
        self._stretch = stretch

    @classmethod
    def read(cls, address: str, stretch: Stretch) -> "Prepared":
        """Read the journal and the opportunities; raises EmptyRange, Evicted, Unreadable, JournalError."""
        journal = read_journal(address, "", stretch.from_ns, stretch.to_ns)
        wanted = stretch.partitions()
        known = by_partition(read_opportunities(address, OPPORTUNITY))
        records = LiveRecords(address)
        if unknown := stretch.groups - records.groups():
            records.close()
            raise EmptyRange(f"no such group: {', '.join(sorted(unknown))}")
        scripts = [
            script_of(number, entries, known.get(number, ()), stretch)
            for number, entries in sorted(journal.items())
            if wanted is None or number in wanted
        ]
        if not any(has_inputs(script, stretch) for script in scripts):
            records.close()
            raise EmptyRange(f"{JOURNAL}: the detector consumed nothing in the given time")
        for script in scripts:
            records.prepare(script.number, script.first_offsets())
        return cls(address, stretch, scripts, records)

    def controls(self) -> list[Item]:
        """The controls of the stretch."""
        return controls_of(self._address, self._stretch)

    def seeds(self) -> list[bytes]:
        """The opportunities that were known before."""
        return [one.value for script in self.scripts for one in script.seeds]

    def words(self) -> str:
        """What will be replayed, in words."""
        epochs = sum(len(script.epochs) for script in self.scripts)
        return f"{epochs} journal epochs in {len(self.scripts)} partitions, {len(self.seeds())} earlier opportunities"

    def close(self) -> None:
        """Let go of all connections."""
        self.records.close()


def has_inputs(script: PartitionScript, stretch: Stretch) -> bool:
    """Whether a script has an input in the stretch itself."""
    begin = stretch.from_ns or 0
    end = stretch.to_ns
    return any(
        epoch.last_stamp() >= begin and epoch.first_stamp() and (end is None or epoch.first_stamp() < end)
        for epoch, _ in script.epochs
    )


def publish_run(address: str, wish: Wish, prepared: Prepared, stopping: Stopping) -> Manifest:
    """Create the run's topics and publish everything; returns its manifest. Raises Stopped."""
    stretch, now = wish.stretch, time.time_ns()
    manifest = Manifest(
        run=wish.run, state="publishing", created_ns=now, updated_ns=now, from_ns=stretch.from_ns or 0,
        to_ns=stretch.to_ns or 0, groups=tuple(sorted(stretch.groups)), speed=wish.speed_text, cold=stretch.cold,
    )  # fmt: skip
    made = Replay(address, manifest, stopping.look)
    try:
        items = items_of(prepared.scripts, stretch, prepared.records, prepared.controls(), prepared.filter)
        return made.publish(prepared.seeds(), items, Pace(wish.speed, sleep=stopping.wait))
    finally:
        made.close()


async def _with_workers(address: str, wish: Wish, prepared: Prepared, say: Say) -> int:
    began = time.monotonic()
    stopping = Stopping()
    async with Supervisor(wish.folder / wish.run, say) as supervisor:
        supervisor.handle_signals()
        publishing = asyncio.create_task(asyncio.to_thread(publish_run, address, wish, prepared, stopping))
        threads: list[asyncio.Task[Any]] = [publishing]
        try:
            await _until_there(address, wish.run, publishing)
            await supervisor.start(*workers(address, wish))
            manifest = await _while_all_live(supervisor, publishing)
            say(f"published {sum(manifest.records.values()):,} records in {time.monotonic() - began:.1f} s")
            working = asyncio.create_task(asyncio.to_thread(_until_worked_off, address, manifest, stopping))
            threads.append(working)
            await _while_all_live(supervisor, working)
        except (Stopped, StopRequested):
            say(f"stopped; what there is of it is kept: `dutchbook runs remove {wish.run}` removes it")
            return EXIT_STOPPED
        finally:
            stopping.ask()
            await asyncio.gather(*threads, return_exceptions=True)
    found = await asyncio.to_thread(results, address, wish.run)
    say(f"done after {time.monotonic() - began:.1f} s: {found.words()}")
    return 0


async def _while_all_live(supervisor: Supervisor, work: "asyncio.Task[T]") -> T:
    """The result of the work; raises ChildFailed or StopRequested when that comes first."""
    life = asyncio.create_task(supervisor.wait())
    try:
        await asyncio.wait({work, life}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        life.result()
        raise StopRequested("a stop was asked for")
    finally:
        life.cancel()


def workers(address: str, wish: Wish) -> list[ChildSpec]:
    """The same workers as ever, on the run's topics."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("DUTCHBOOK_")}
    environment = {name: value for name, value in ours.items() if not name.startswith(KEYS)} | {
        "DUTCHBOOK_KAFKA_US": address,
        "DUTCHBOOK_RUN": wish.run,
        "DUTCHBOOK_DATA_DIR": str(wish.folder / wish.run),
        "DUTCHBOOK_REGION": RUN_HOME,
    }
    return [ChildSpec(name, argv, env=environment) for name, argv in WORKERS.items()]


async def _until_there(address: str, run: str, publishing: "asyncio.Task[Manifest]") -> None:
    """Until the run's topics exist, or publishing has failed."""
    while not publishing.done() and not await asyncio.to_thread(_ready, address, run):
        await asyncio.sleep(LOOK_EVERY_S)


def _ready(address: str, run: str) -> bool:
    return len(topics_of(address, run)) == len(run_creations(run))


def _until_worked_off(address: str, manifest: Manifest, stopping: Stopping) -> None:
    """Until the detector has journalled every partition's last entry, and nobody has anything left to do."""
    progress = Progress(address, manifest)
    clean = 0
    try:
        while clean < CLEAN_ROUNDS:
            clean = clean + 1 if progress.done() else 0
            stopping.wait(LOOK_EVERY_S)
    finally:
        progress.close()


class Progress:
    """How far a run's workers are."""

    def __init__(self, address: str, manifest: Manifest) -> None:
        self._address, self._run = address, manifest.run
        self._left = dict(manifest.last)
        self._working: set[str] = set()
        self._ticket_topic = run_topic(manifest.run, TICKET)
        topic = run_topic(manifest.run, JOURNAL)
        self._client = consumer(address, "dutchbook-progress")
        places = [TopicPartition(topic, number, 0) for number in self._left]
        self._client.assign([*places, TopicPartition(self._ticket_topic, 0, 0)])

    def done(self) -> bool:
        """Whether everything has been worked off."""
        return self.journalled() and lag(self._address, self._run) == 0 and not self._working

    def journalled(self) -> bool:
        """Whether the detector has taken in everything; what journal and tickets say is kept between two calls."""
        while (message := self._client.poll(0.05)) is not None:
            if message.error() is not None:
                continue
            if message.topic() == self._ticket_topic:
                self._note(decode_record(message.value() or b"", Ticket))
            else:
                self._saw(decode_record(message.value() or b"", Journal))
        return not self._left

    def _note(self, ticket: Ticket) -> None:
        """Keep which tickets wait for answers. An unknown one does no longer: nobody may ever answer it."""
        (self._working.add if ticket.state == "working" else self._working.discard)(ticket.ticket_id)

    def _saw(self, record: Journal) -> None:
        last = self._left.get(record.partition)
        end = record.position + sum(item.count for item in record.items)
        if last is not None and (record.epoch, end) > last:
            del self._left[record.partition]

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


def lag(address: str, run: str) -> int:
    """Records that the run's executor and gateways have not committed."""
    return sum(
        group_lag(address, group_of(base, run), [run_topic(run, origin) for origin in origins])
        for base, origins in COMMITTING.items()
    )
