"""A detector's life in memory: books, kills, rebalances, and exactly what is left of it in Kafka."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from hypothesis import strategies as st

from runtime.settings import DetectorSettings, load
from schemas.codec import encode, encode_books
from schemas.records import Book, Group, Journal, Level, Market, Member, Opportunity, Relation, Venue
from schemas.topics import partition_of
from streams.core.detection import Source
from streams.core.references import Reference
from streams.gates import gates_of
from streams.partition import PartitionCore, assign_detail
from streams.replay.entry import Entry
from streams.replay.reading import Evicted, Known
from tests.unit.trading import SECOND, book, group, market

NUMBER = partition_of("g")
TOPICS: dict[Venue, str] = {"kalshi": "book.kalshi", "polymarket": "eu.book.polymarket"}
GROUP: Group = msgspec.structs.replace(
    group(),
    members=(Member(venue="kalshi", market="M"), Member(venue="polymarket", market="M")),
    relations=(Relation(kind="same", members=(0, 1)),),
)
SETTINGS = load(DetectorSettings)


@dataclass
class Memory:
    """The us cluster: values by address, references by address, and what the detector left."""

    inputs: dict[tuple[str, int], bytes] = field(default_factory=dict)
    references: dict[tuple[str, int], tuple[str, bytes | None]] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS.values(), 0))
    committed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS.values(), 0))
    journal: list[Journal] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
    next_offset: int = 0

    def input(self, entry: Entry) -> bytes:
        if (entry.topic, entry.offset) not in self.inputs:
            raise Evicted(f"{entry.topic}, offset {entry.offset} is gone")
        return self.inputs[entry.topic, entry.offset]

    def reference(self, entry: Entry) -> tuple[str, bytes | None]:
        return self.references[entry.topic, entry.offset]

    def publish(self, venue: Venue, bid: Level, ask: Level) -> None:
        """A new book of a venue."""
        topic = TOPICS[venue]
        offset = self.ends[topic]
        self.ends[topic] = offset + 1
        one: Book = book([bid], [ask], sequence=offset + 1, venue=venue, confirmed_ns=SECOND)
        self.inputs[topic, offset] = encode_books([one])

    def publish_raw(self, venue: Venue, value: bytes) -> None:
        """Anything at all as a record of books."""
        topic = TOPICS[venue]
        self.inputs[topic, self.ends[topic]] = value
        self.ends[topic] += 1


@dataclass
class Taking:
    """What one entry still waits for before it may be acknowledged."""

    topic: str
    offset: int
    events: list[Known]
    journal: Journal | None = None


class Worker:
    """One life of a detector with one partition; ends by `kill` or `revoke`."""

    def __init__(self, memory: Memory, now_ns: int) -> None:
        self.memory = memory
        self.core = PartitionCore(NUMBER, gates_of(SETTINGS))
        self.positions = dict(memory.committed)
        self.journal: list[Journal] = []
        self.events: list[Known] = []
        self.takings: list[Taking] = []
        self.now_ns = now_ns
        self.epoch = now_ns
        end = memory.next_offset
        earlier = [one.record for one in memory.known]
        self.core.assign(self.epoch, earlier, assign_detail(end, SETTINGS))
        for (topic, offset), (key, value) in sorted(memory.references.items()):
            record: Group | Market | None = _records[topic, offset] if value is not None else None
            self._emit(self.core.tell(Reference(topic, offset, key, record)).events)
        self.flush()

    def take(self, venue: Venue, count: int) -> None:
        """Take in so many records of a venue, as far as there are any."""
        topic = TOPICS[venue]
        for _ in range(count):
            offset = self.positions[topic]
            if offset >= self.memory.ends[topic]:
                return
            self.positions[topic] = offset + 1
            self.now_ns += SECOND // 10
            value = self.memory.inputs[topic, offset]
            taken = self.core.take(Source(topic, NUMBER, offset, 0), value, self.now_ns)
            self.takings.append(Taking(topic, offset, []))
            self._emit(taken.events)

    def _emit(self, events: list[Opportunity]) -> None:
        if not events:
            return
        self.flush()
        headers = tuple(encode(record) for record in self.journal)
        for event in events:
            known = Known(self.memory.next_offset, encode(event), event, headers)
            self.memory.next_offset += 1
            self.events.append(known)
            if self.takings:
                self.takings[-1].events.append(known)

    def flush(self) -> None:
        """Hand over a journal record."""
        record = self.core.journal.take()
        if record is not None:
            self.journal.append(record)
            for taking in self.takings:
                taking.journal = taking.journal or record

    def revoke(self) -> None:
        """End in order."""
        self.core.journal.revoke()
        self.flush()
        self._end(len(self.events), len(self.journal), 0)

    def kill(self, events: int, journal: int, late: int) -> None:
        """End at once: so many of the last events and journal records, and the commits of so many entries, are lost."""
        self._end(max(0, len(self.events) - events), max(0, len(self.journal) - journal), late)

    def _end(self, events: int, journal: int, late: int) -> None:
        delivered, written = self.events[:events], self.journal[:journal]
        self.memory.known += delivered
        self.memory.journal += written
        done = 0
        for taking in self.takings:
            if taking.journal not in written or any(one not in delivered for one in taking.events):
                break
            done += 1
        for taking in self.takings[: max(0, done - late)]:
            self.memory.committed[taking.topic] = taking.offset + 1


_records: dict[tuple[str, int], Group | Market] = {
    ("group", 0): GROUP,
    ("market.kalshi", 0): market(),
    ("eu.market.polymarket", 0): market(venue="polymarket"),
}


def fresh() -> Memory:
    """A cluster that knows the group and its markets, and no book."""
    made = Memory()
    for (topic, offset), record in _records.items():
        made.references[topic, offset] = ("g" if topic == "group" else "M", encode(record))
    return made


VENUES = st.sampled_from(["kalshi", "polymarket"])
LADDERS = st.integers(30, 60).map(lambda cents: ((cents * 100, 500), (cents * 100 + 100, 700)))
PUBLISH = st.tuples(st.just("publish"), VENUES, LADDERS)
TAKE = st.tuples(st.just("take"), VENUES, st.integers(1, 4))
FLUSH = st.tuples(st.just("flush"))
KILL = st.tuples(st.just("kill"), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
REVOKE = st.tuples(st.just("revoke"))
STEPS = st.lists(st.one_of(PUBLISH, PUBLISH, PUBLISH, TAKE, TAKE, TAKE, FLUSH, KILL, REVOKE), max_size=60)


def told(steps: list[tuple]) -> Memory:  # type: ignore[type-arg]
    """What a life of these steps leaves."""
    memory = fresh()
    worker = Worker(memory, SECOND)
    for step in steps:
        if step[0] == "publish":
            memory.publish(step[1], *step[2])
        elif step[0] == "take":
            worker.take(step[1], step[2])
        elif step[0] == "flush":
            worker.flush()
        else:
            worker.kill(*step[1:]) if step[0] == "kill" else worker.revoke()
            worker = Worker(memory, worker.now_ns + SECOND)
    worker.revoke()
    return memory


def crossings() -> Iterator[tuple]:  # type: ignore[type-arg]
    """Steps that open, change and close an opportunity: YES on Kalshi at 0.40, NO on Polymarket at 0.40."""
    yield "publish", "kalshi", ((3900, 1000), (4000, 1000))
    yield "publish", "polymarket", ((6000, 1000), (6100, 1000))
    yield "take", "kalshi", 1
    yield "take", "polymarket", 1
    yield "publish", "kalshi", ((3800, 1000), (3900, 1000))
    yield "take", "kalshi", 1
    yield "publish", "kalshi", ((6000, 1000), (6200, 1000))
    yield "take", "kalshi", 1
