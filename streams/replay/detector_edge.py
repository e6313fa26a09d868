"""The detector's edge in a replay: the same core and outputs, fed with a run's topics in the journal's order.

Every record of a run says where it was consumed, when, and at which turn. What comes early waits for its turn,
whatever Kafka and Faust deliver first. A worker that has all partitions keeps the turns of the whole run, so that its
events come in the same order every time; workers that share them keep each partition's. A turn with another epoch
begins that epoch, with what the run itself has said so far and what was known before the stretch. So all that a run
says follows from its topics alone. Nothing is ever acknowledged: a worker that is started again, or gets a partition
anew, reads it from its beginning and comes to the same events; those that are in the run's topic already it does not
publish again.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import Message
from faust.types import TP

from runtime import kafka, metrics
from runtime.settings import DetectorSettings, KafkaSettings
from schemas.codec import DecodeError, decode_record
from schemas.records import Opportunity
from schemas.runs import EARLIER, run_topic
from schemas.topics import KEYED_PARTITIONS
from streams.app import Received
from streams.consumer import FetchConsumer
from streams.core.detection import Source
from streams.detector_edge import JOURNAL_ITEMS, OPPORTUNITY_TOPIC, DetectorEdge, Partition
from streams.partition import PartitionCore, Taken, assign_detail
from streams.replay.entry import NotReplayed, Replayed
from streams.replay.reading import Unreadable
from streams.replay.verify import read_reference

WAITING: Final = 20_000
"""Records that wait for their turn, about the most; what is ahead is not read on then."""
NO_OFFSET: Final = -1

Said = tuple[str, int]
"""An event: opportunity and revision."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One entry with its record; `place` is where the run has it."""

    replayed: Replayed
    key: str
    value: bytes | None
    place: TP


@dataclass(slots=True)
class Turns:
    """Entries that wait for their turn, and whose turn it is: of one partition, or of the whole run."""

    next: int = 0
    waiting: dict[int, Turn] = field(default_factory=dict)
    paused: set[TP] = field(default_factory=set)


@dataclass(slots=True)
class RunPartition(Partition):
    """One assigned partition of a run."""

    core: PartitionCore
    turns: Turns
    earlier: list[Opportunity]
    said: set[Said]
    epoch: int = 0

    def __post_init__(self) -> None:
        Partition.__init__(self, self.core)


class RunDetectorEdge(DetectorEdge):
    """The worker around the cores of a run's partitions."""

    def __init__(self, kafka_settings: KafkaSettings, settings: DetectorSettings) -> None:
        super().__init__(kafka_settings, settings)
        self._run = kafka_settings.run
        self._told: list[Turn] = []
        self._whole: Turns | None = None
        self._consumer: FetchConsumer | None = None

    # -- the life of a worker ------------------------------------------------------------------------------------

    async def begin(self, partitions: set[tuple[str, int]]) -> None:
        """Begin every assigned partition at the beginning of the run."""
        numbers = sorted({number for topic, number in partitions if topic in self._inputs})
        seeds = await asyncio.to_thread(self._opportunities, EARLIER)
        said = await asyncio.to_thread(self._opportunities, OPPORTUNITY_TOPIC)
        self._whole = Turns() if len(numbers) == KEYED_PARTITIONS else None
        self._partitions = {
            number: RunPartition(
                PartitionCore(number, self._gates),
                self._whole or Turns(),
                [one for one in seeds if one.partition == number],
                {(one.opportunity_id, one.revision) for one in said if one.partition == number},
            )
            for number in numbers
        }
        for turn in self._told:
            self._wait(turn)
        self._go_on()
        self._log.info("partitions of the run assigned", run=self._run, partitions=numbers, said_before=len(said))

    async def before_turn(self) -> None:
        """A run's epochs are those that were live."""

    def let_go(self) -> None:
        """Let go of everything: whoever is assigned a partition begins it anew."""
        for partition in self._partitions.values():
            self._flush(partition)
        self._partitions = {}

    def know(self, message: Message) -> None:
        """A reference record: it waits for its turn."""
        place = TP(message.topic(), message.partition())
        key = (message.key() or b"").decode(errors="replace")
        try:
            replayed = Replayed.read(message.headers() or (), "reference")
        except NotReplayed as error:
            self._dead_letters.send(message.topic(), message.value(), error, partition=0, offset=message.offset())
            return
        turn = Turn(replayed, key, message.value(), place)
        self._told.append(turn)
        self._wait(turn)

    def refresh(self) -> None:
        """Take in the references that came since the last turn."""
        for message in self._follower.drain():
            self.know(message)
        self._go_on()

    def take(self, event: Received) -> None:
        """One record of a book topic of the run: it waits for its turn."""
        message = event.message
        self._consumer = event.consumer
        try:
            replayed = Replayed.read(message.headers or (), "input")
        except NotReplayed as error:
            self._dead_letters.send(
                message.topic, message.value, error, partition=message.partition, offset=message.offset
            )
            return
        self._wait(Turn(replayed, "", message.value, TP(message.topic, message.partition)))
        partition = self._partitions.get(message.partition)
        if isinstance(partition, RunPartition):
            self._advance(partition.turns)

    # -- turns ---------------------------------------------------------------------------------------------------

    def _wait(self, turn: Turn) -> None:
        """Keep an entry until its turn. One that had its turn is a repetition."""
        entry = turn.replayed.entry
        partition = self._partitions.get(entry.partition)
        if not isinstance(partition, RunPartition):
            return
        turns = partition.turns
        number = turn.replayed.turn if self._whole is None else turn.replayed.run_turn
        if number < turns.next:
            return
        turns.waiting[number] = turn
        if len(turns.waiting) > WAITING and self._consumer is not None and entry.kind == "input":
            self._consumer.pause_partitions([turn.place])
            turns.paused.add(turn.place)

    def _go_on(self) -> None:
        for partition in self._partitions.values():
            assert isinstance(partition, RunPartition)
            self._advance(partition.turns)

    def _advance(self, turns: Turns) -> None:
        """Take in everything whose turn has come."""
        while (turn := turns.waiting.pop(turns.next, None)) is not None:
            turns.next += 1
            partition = self._partitions[turn.replayed.entry.partition]
            assert isinstance(partition, RunPartition)
            self._take_turn(partition, turn)
        if turns.paused and len(turns.waiting) < WAITING // 2 and self._consumer is not None:
            self._consumer.resume_partitions(turns.paused)
            turns.paused.clear()

    def _take_turn(self, partition: RunPartition, turn: Turn) -> None:
        entry = turn.replayed.entry
        core = partition.core
        if entry.epoch != partition.epoch:
            partition.epoch = entry.epoch
            self._flush(partition)
            core.assign(entry.epoch, partition.earlier, assign_detail(NO_OFFSET, self._settings))
        if entry.position != core.journal.position:
            self._flush(partition)
            core.journal.skip_to(entry.position)
        taken = self._tell_turn(core, turn) if entry.kind == "reference" else self._give_turn(core, turn)
        partition.earlier += taken.events
        self._emit(partition, self._unsaid(partition, taken.events), None)
        if len(core.journal) >= JOURNAL_ITEMS:
            self._flush(partition)
        else:
            self._flush_soon()

    def _tell_turn(self, core: PartitionCore, turn: Turn) -> Taken:
        entry = turn.replayed.entry
        try:
            reference = read_reference(entry.topic, entry.offset, turn.key, turn.value)
        except Unreadable as error:
            taken = Taken(error=error)
        else:
            taken = core.tell(reference)
        if taken.error is not None:
            self._dead_letters.send(turn.place.topic, turn.value, taken.error, offset=entry.offset)
        return taken

    def _give_turn(self, core: PartitionCore, turn: Turn) -> Taken:
        entry = turn.replayed.entry
        source = Source(entry.topic, entry.source_partition, entry.offset, 0)
        taken = core.take(source, turn.value or b"", entry.received_ns)
        if taken.error is not None:
            metrics.DECODE_ERRORS.labels(turn.place.topic).inc()
            self._dead_letters.send(
                turn.place.topic, turn.value, taken.error, partition=entry.source_partition, offset=entry.offset
            )
        if not isinstance(taken.error, DecodeError):
            self._dead_letters.good()
        self._consumed[turn.place.topic] += taken.books
        return taken

    def _unsaid(self, partition: RunPartition, events: Iterable[Opportunity]) -> list[Opportunity]:
        return [event for event in events if (event.opportunity_id, event.revision) not in partition.said]

    # -- beginnings ----------------------------------------------------------------------------------------------

    def _opportunities(self, origin: str) -> list[Opportunity]:
        found = []
        for message in kafka.read_whole(self._bootstrap, [run_topic(self._run, origin)]):
            try:
                found.append(decode_record(message.value() or b"", Opportunity))
            except DecodeError as error:
                self._log.error("unreadable record", topic=message.topic(), offset=message.offset(), error=str(error))
        return found


def edge_of(kafka_settings: KafkaSettings, settings: DetectorSettings) -> DetectorEdge:
    """The detector's edge: the live one, or that of the run that the settings name."""
    return (RunDetectorEdge if kafka_settings.run else DetectorEdge)(kafka_settings, settings)
