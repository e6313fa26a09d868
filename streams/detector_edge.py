"""The detector's edge around `streams.core.detection`: everything that waits, reads a clock or sends.

It reads both venues' books in the us region, stamps each record, journals it, lets the core decide, and emits
opportunities, and some of what it rejected. An input is acknowledged only when its journal entry and every opportunity
emitted for it have been delivered.
"""

import asyncio
import time
from collections import deque
from typing import Any, Final

from confluent_kafka import Message

from runtime import kafka, metrics
from runtime.settings import DetectorSettings, KafkaSettings
from schemas.codec import DecodeError, decode_record, encode
from schemas.records import Group, Market, Opportunity
from schemas.topics import HOME, partition_of, venue_topic
from streams.app import Edge, Received, Token
from streams.core.detection import Source
from streams.core.references import Reference, References
from streams.gates import gates_of
from streams.partition import JOURNAL_HEADER, PartitionCore, assign_detail

BOOK_TOPICS: Final = tuple(venue_topic("book", venue, "us") for venue in HOME)
MARKET_TOPICS: Final = tuple(venue_topic("market", venue, "us") for venue in HOME)
GROUP_TOPIC: Final = "group"
JOURNAL_TOPIC: Final = "journal.detector"
OPPORTUNITY_TOPIC: Final = "opportunity"
ANALYSIS_TOPIC: Final = "analysis"
JOURNAL_ITEMS: Final = 64
JOURNAL_DELAY_S: Final = 0.05
"""How long inputs wait for their journal record, and with it for their acknowledgement; opportunities do not wait."""


class Run:
    """The inputs that one journal record names. They are acknowledged together."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: dict[str, Received] = {}

    def ack(self) -> None:
        """Every topic up to the last record of it in this run."""
        for received in self.last.values():
            received.ack()


class Partition:
    """One assigned partition: its core, the inputs that wait for the journal's delivery, and the journal under way."""

    def __init__(self, core: PartitionCore) -> None:
        self.core = core
        self.run = Run()
        self.token: Token | None = None
        self.undelivered: deque[bytes] = deque()


class DetectorEdge(Edge):
    """The worker around the cores of its partitions. All but starting runs on the event loop's thread."""

    def __init__(self, kafka_settings: KafkaSettings, settings: DetectorSettings) -> None:
        super().__init__("detector", kafka_settings, BOOK_TOPICS, [GROUP_TOPIC, *MARKET_TOPICS])
        self._settings = settings
        self._epoch_s = 60.0 * settings.detector_epoch_minutes
        self._begun_s = 0.0
        self._gates = gates_of(settings)
        self._references = References(partition_of)
        self._partitions: dict[int, Partition] = {}
        self._flush_timer: asyncio.TimerHandle | None = None
        self._consumed = dict.fromkeys(self._inputs, 0)

    # -- the life of a worker ------------------------------------------------------------------------------------

    async def begin(self, partitions: set[tuple[str, int]]) -> None:
        """Forget what was, read what must be known, and open a journal epoch for every assigned partition."""
        numbers = sorted({number for topic, number in partitions if topic in self._inputs})
        generation = self._generation
        earlier, end = await asyncio.to_thread(self._earlier_opportunities)
        if generation != self._generation:  # partitions moved meanwhile: whoever has them now begins them
            return
        self._begun_s = time.monotonic()
        epoch = time.time_ns()
        self._partitions = {number: self._open(number, epoch, earlier.get(number, []), end) for number in numbers}
        still_open = sum(len(partition.core.detection.open_opportunities()) for partition in self._partitions.values())
        self._log.info("partitions assigned", partitions=numbers, open_opportunities=still_open)

    async def before_turn(self) -> None:
        """Begin new journal epochs when the present ones are old.

        What `verify` and `replay` read begins with an epoch, and the journal is kept for some days only. Books are
        forgotten as after any assignment, and are all back within the time in which they are published again.
        """
        if not self._epoch_s or time.monotonic() - self._begun_s < self._epoch_s:
            return
        generation = self._generation
        partitions = {(topic, number) for topic in self._inputs for number in self._partitions}
        self._ready.clear()
        self.let_go()
        await asyncio.to_thread(self._publisher.flush)
        await self.begin(partitions)
        if generation == self._generation:
            self._ready.set()

    def let_go(self) -> None:
        """Close the journal epochs and let go of everything."""
        for partition in self._partitions.values():
            partition.core.journal.revoke()
            self._flush(partition)
        self._partitions = {}

    def know(self, message: Message) -> None:
        """A group or a market from before."""
        reference = self._reference(message)
        if reference is not None:
            self._references.take(reference)

    def take(self, event: Received) -> None:
        """One record of a book topic. That of a partition revoked meanwhile comes again where it is assigned."""
        message = event.message
        partition = self._partitions.get(message.partition)
        if partition is None:
            return
        self._take_books(partition, self._token(partition, event), message, time.time_ns())

    def tick(self) -> None:
        """Several times a second: take in references also while no book comes, and notice lost deliveries."""
        self._publisher.check()
        if self._ready.is_set():
            self.refresh()

    # -- inputs --------------------------------------------------------------------------------------------------

    def _token(self, partition: Partition, event: Received) -> Token:
        """What the record is acknowledged with: that of the run which the next journal record will name."""
        token = partition.token
        if token is None:
            partition.run = Run()
            partition.token = token = self._acks.add(partition.run)
            token.expect()  # the journal record's own delivery
        partition.run.last[event.message.topic] = event
        return token

    def _take_books(self, partition: Partition, token: Token, message: Any, received_ns: int) -> None:
        source = Source(message.topic, message.partition, message.offset, 0)
        taken = partition.core.take(source, message.value or b"", received_ns)
        if taken.error is not None:
            self._divert(message, taken.error, token)
        if not isinstance(taken.error, DecodeError):
            self._dead_letters.good()
        self._consumed[message.topic] += taken.books
        self._emit(partition, taken.events, token)
        if taken.events or len(partition.core.journal) >= JOURNAL_ITEMS:
            self._flush(partition)
        else:
            self._flush_soon()

    def _divert(self, message: Any, error: Exception, token: Token) -> None:
        metrics.DECODE_ERRORS.labels(message.topic).inc()
        token.expect()
        self._dead_letters.send(
            message.topic,
            message.value,
            error,
            partition=message.partition,
            offset=message.offset,
            delivered=token.done_one,
        )

    def refresh(self) -> None:
        """Take in the groups and markets that came since the last turn."""
        for message in self._follower.drain():
            reference = self._reference(message)
            if reference is None:
                continue
            for number, part in self._references.take(reference):
                partition = self._partitions.get(number)
                if partition is not None:
                    self._emit(partition, self._tell(partition, part), None)
                    self._flush_soon()

    def _tell(self, partition: Partition, reference: Reference) -> list[Opportunity]:
        taken = partition.core.tell(reference)
        if taken.error is not None:
            error, topic = taken.error, reference.topic
            self._log.warning("reference record refused", topic=topic, key=reference.key, error=str(error))
            value = None if reference.record is None else encode(reference.record)
            self._dead_letters.send(topic, value, error, offset=reference.offset)
        return taken.events

    def _reference(self, message: Message) -> Reference | None:
        key = (message.key() or b"").decode(errors="replace")
        value = message.value()
        try:
            if message.topic() == GROUP_TOPIC:
                record: Group | Market | None = None if value is None else decode_record(value, Group)
            elif value is None:
                return None
            else:
                record = decode_record(value, Market)
        except DecodeError as error:
            metrics.DECODE_ERRORS.labels(message.topic()).inc()
            self._dead_letters.send(message.topic(), value, error, partition=0, offset=message.offset())
            return None
        return Reference(message.topic(), message.offset(), key, record)

    # -- outputs -------------------------------------------------------------------------------------------------

    def _emit(self, partition: Partition, emitted: list[Opportunity], token: Token | None) -> None:
        """Publish events, each with the journal records that may not have arrived yet.

        They are handed over before it, but to another partition: after a kill between the two deliveries, `verify` and
        `replay` take them from the event's headers.
        """
        if not emitted:
            return
        if token is not None:
            token.expect(len(emitted))
        self._flush(partition)
        journal = [(JOURNAL_HEADER, record) for record in list(partition.undelivered)]
        for opportunity in emitted:
            self._publisher.publish(
                self._topic(OPPORTUNITY_TOPIC),
                encode(opportunity),
                key=opportunity.basket.encode(),
                headers=[("produced_ns", str(time.time_ns()).encode()), *journal],
                delivered=None if token is None else token.done_one,
            )
            metrics.OPPORTUNITIES.labels(opportunity.event).inc()
            if opportunity.event == "closed":
                metrics.OPPORTUNITY_SURVIVAL.observe(opportunity.survived_ns / 1e9)

    def _flush(self, partition: Partition) -> None:
        record = partition.core.journal.take()
        if record is None:
            return
        token, partition.token = partition.token, None
        encoded = encode(record)
        partition.undelivered.append(encoded)

        def delivered(message: Message) -> None:  # on the thread of the delivery reports, in order of handing over
            partition.undelivered.popleft()
            if token is not None:
                token.done_one(message)

        self._publisher.publish(self._topic(JOURNAL_TOPIC), encoded, partition=record.partition, delivered=delivered)
        if token is not None:
            token.seal()
        self._report(partition)

    def _report(self, partition: Partition) -> None:
        """What was consumed and rejected since the last time. No input waits for a rejection's delivery."""
        for topic, books in self._consumed.items():
            if books:
                metrics.BOOKS_CONSUMED.labels(topic).inc(books)
                self._consumed[topic] = 0
        for analysis in partition.core.detection.rejections():
            self._publisher.publish(self._topic(ANALYSIS_TOPIC), encode(analysis), key=analysis.basket.encode())

    def _flush_soon(self) -> None:
        if self._flush_timer is None:
            self._flush_timer = asyncio.get_running_loop().call_later(JOURNAL_DELAY_S, self._flush_all)

    def _flush_all(self) -> None:
        self._flush_timer = None
        for partition in self._partitions.values():
            self._flush(partition)

    # -- beginnings ----------------------------------------------------------------------------------------------

    def _open(self, number: int, epoch: int, earlier: list[Opportunity], end: int) -> Partition:
        partition = Partition(PartitionCore(number, self._gates))
        partition.core.assign(epoch, earlier, assign_detail(end, self._settings))
        for reference in self._references.for_partition(number):
            self._emit(partition, self._tell(partition, reference), None)
        self._flush(partition)
        return partition

    def _earlier_opportunities(self) -> tuple[dict[int, list[Opportunity]], int]:
        """Per partition, the newest revision of every opportunity known to Kafka, and the offset up to which was read.

        Open ones go on under their ids; closed ones are needed for their revisions, should they open again.
        """
        self._publisher.flush()
        newest: dict[str, Opportunity] = {}
        end = 0
        for message in kafka.read_whole(self._bootstrap, [OPPORTUNITY_TOPIC]):
            end = message.offset() + 1
            try:
                opportunity = decode_record(message.value() or b"", Opportunity)
            except DecodeError:
                continue
            known = newest.get(opportunity.opportunity_id)
            if known is None or opportunity.revision > known.revision:
                newest[opportunity.opportunity_id] = opportunity
        earlier: dict[int, list[Opportunity]] = {}
        for opportunity in newest.values():
            earlier.setdefault(partition_of(opportunity.group), []).append(opportunity)
        return earlier, end
