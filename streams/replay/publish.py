"""The replay itself: a script's records into a run's topics, in order, at the pace of their stamps.

Records keep key, value and timestamp; their headers say where they come from (`streams.replay.entry`). The lead-in goes
as fast as it can be read.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
from confluent_kafka import Message

from runtime.kafka import Publisher, create_topics, read_whole
from runtime.settings import MILLISECOND_NS
from schemas.runs import EARLIER, MANIFEST, run_creations, run_topic
from streams.replay.entry import Entry, Replayed
from streams.replay.records import CONTROLS, LiveRecords
from streams.replay.runs import Manifest
from streams.replay.script import Filter, PartitionScript, Stretch, entries_of

WAIT_FROM_S: Final = 0.0005
"""A shorter wait than this is none."""
TOLD_EVERY: Final = 256
"""Records between two looks at whether to stop."""


class Stopped(Exception):
    """The replay was asked to stop."""


@dataclass(slots=True)
class Counts:
    """What was published."""

    entries: dict[int, int] = field(default_factory=dict)
    last: dict[int, tuple[int, int]] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    run_turns: int = 0
    lead_in: int = 0
    first_ns: int = 0
    last_ns: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """One record to publish. `entry` is None for a control, which is no entry of the detector's."""

    due_ns: int
    lead_in: bool
    origin: str
    entry: Entry | None
    message: Message


class Pace:
    """When to publish what. `speed` times as fast as recorded, 0: at once. The clock and the wait are parameters."""

    def __init__(
        self,
        speed: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._began: tuple[int, float] | None = None

    def wait(self, due_ns: int, *, begins: bool) -> None:
        """Return when a record stamped `due_ns` is due. The first that `begins` is at once, and all before it."""
        if not self._speed or (self._began is None and not begins):
            return
        if self._began is None:
            self._began = due_ns, self._clock()
        first_ns, began = self._began
        left = began + (due_ns - first_ns) / 1e9 / self._speed - self._clock()
        if left > WAIT_FROM_S:
            self._sleep(left)


def items_of(
    scripts: Iterable[PartitionScript], stretch: Stretch, records: LiveRecords, controls: Iterable[Item], chosen: Filter
) -> Iterator[Item]:
    """The records of all partitions and the controls, merged by their stamps; a partition's stay in order."""

    def of(script: PartitionScript) -> Iterator[Item]:
        due_ns = 0
        for entry, lead_in in entries_of(script, stretch, chosen):
            due_ns = max(due_ns, entry.received_ns)
            message = records.reference_record(entry) if entry.kind == "reference" else records.input_record(entry)
            yield Item(due_ns, lead_in, entry.topic, entry, message)

    yield from heapq.merge(*(of(script) for script in scripts), controls, key=lambda item: item.due_ns)


def controls_of(bootstrap: str, stretch: Stretch) -> list[Item]:
    """Every control until the end of the stretch, in order of time; those from before it belong to the lead-in."""
    found = []
    for message in read_whole(bootstrap, CONTROLS):
        at_ns = message.timestamp()[1] * MILLISECOND_NS
        if stretch.to_ns is None or at_ns < stretch.to_ns:
            found.append(Item(at_ns, at_ns < (stretch.from_ns or 0), message.topic(), None, message))
    return sorted(found, key=lambda item: item.due_ns)


class Replay:
    """Publishes one run. `told` is called now and then with what was published, and may raise Stopped."""

    def __init__(self, bootstrap: str, manifest: Manifest, told: Callable[[Counts], None]) -> None:
        self.counts = Counts()
        self._bootstrap = bootstrap
        self._manifest = manifest
        self._told = told
        create_topics(bootstrap, run_creations(manifest.run))
        self._publisher = Publisher(bootstrap, f"dutchbook-replay-{manifest.run}")
        self._say("publishing")

    def publish(self, seeds: Iterable[bytes], items: Iterable[Item], pace: Pace) -> Manifest:
        """Publish everything; returns the last manifest. What it raises is in the manifest too."""
        try:
            self._publish(seeds, items, pace)
            self._publisher.flush(120.0)
        except BaseException as error:
            self._say("failed", str(error) or type(error).__name__)
            raise
        return self._say("published")

    def close(self) -> None:
        """Deliver what is under way."""
        self._publisher.close()

    def _publish(self, seeds: Iterable[bytes], items: Iterable[Item], pace: Pace) -> None:
        run, counts = self._manifest.run, self.counts
        for value in seeds:
            self._publisher.publish(run_topic(run, EARLIER), value)
        for number, item in enumerate(items):
            if number % TOLD_EVERY == 0:
                self._told(counts)
            if not item.lead_in:
                pace.wait(item.due_ns, begins=item.entry is not None and item.entry.kind == "input")
            self._send(run_topic(run, item.origin), item)

    def _send(self, topic: str, item: Item) -> None:
        message, entry, counts = item.message, item.entry, self.counts
        headers = []
        if entry is not None:
            turn = counts.entries.get(entry.partition, 0)
            headers = Replayed(turn, counts.run_turns, entry).headers()
            counts.entries[entry.partition] = turn + 1
            counts.run_turns += 1
            counts.last[entry.partition] = (entry.epoch, entry.position)
            if item.lead_in:
                counts.lead_in += 1
            elif entry.kind == "input":
                counts.first_ns = counts.first_ns or entry.received_ns
                counts.last_ns = max(counts.last_ns, entry.received_ns)
        counts.records[item.origin] = counts.records.get(item.origin, 0) + 1
        self._publisher.publish(
            topic,
            message.value(),
            key=message.key(),
            partition=message.partition(),
            headers=headers,
            timestamp_ms=message.timestamp()[1],
        )

    def _say(self, state: str, reason: str = "") -> Manifest:
        counts = self.counts
        self._manifest = msgspec.structs.replace(
            self._manifest,
            state=state,
            reason=reason,
            updated_ns=time.time_ns(),
            entries=dict(counts.entries),
            last=dict(counts.last),
            records=dict(counts.records),
            lead_in=counts.lead_in,
            first_ns=counts.first_ns,
            last_ns=counts.last_ns,
        )
        self._publisher.publish(
            run_topic(self._manifest.run, MANIFEST), msgspec.json.encode(self._manifest), key=b"run"
        )
        self._publisher.flush()
        return self._manifest
