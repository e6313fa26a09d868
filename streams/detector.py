"""The detector: `faust -A streams.detector worker`. A thin edge around `streams.core.detection`.

It reads both venues' books in the us region, stamps each record, journals it, lets the core decide, and emits
opportunities. An input is acknowledged only when its journal entry and everything emitted for it have been delivered.
"""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import Message

from runtime import kafka, logs, metrics
from runtime.health import HeartbeatSender
from runtime.metrics import MetricReporter
from runtime.settings import MILLISECOND_NS, DetectorSettings, KafkaSettings
from schemas.codec import DecodeError, decode_books, decode_record, encode
from schemas.fees import FeeError
from schemas.records import Book, Group, Market, Opportunity
from schemas.topics import HOME, partition_of, venue_topic
from streams.app import OrderedAcks, ProgressWatch, Token, load_or_exit, make_app
from streams.core.detection import Detection, Gates, Source
from streams.core.groups import GroupError
from streams.core.journal import JournalRun
from streams.core.references import Reference, References
from streams.reference import ReferenceFollower

BOOK_TOPICS: Final = tuple(venue_topic("book", venue, "us") for venue in HOME)
MARKET_TOPICS: Final = tuple(venue_topic("market", venue, "us") for venue in HOME)
GROUP_TOPIC: Final = "group"
JOURNAL_TOPIC: Final = "journal.detector"
OPPORTUNITY_TOPIC: Final = "opportunity"
JOURNAL_ITEMS: Final = 64
JOURNAL_DELAY_S: Final = 0.02


class Partition:
    """One assigned partition: its core, its journal, and the tokens that wait for the journal's delivery."""

    def __init__(self, number: int, epoch: int, gates: Gates) -> None:
        self.detection = Detection(number, gates)
        self.journal = JournalRun(number, epoch)
        self.tokens: list[Token] = []


class Detector:
    """The edge: everything that waits, reads a clock or sends."""

    def __init__(self, kafka_settings: KafkaSettings, settings: DetectorSettings) -> None:
        self._bootstrap = kafka_settings.kafka_us
        self._gates = Gates(
            freshness_ns=settings.freshness_ms * MILLISECOND_NS, minimum_net=settings.minimum_net_microdollars
        )
        self._log = logs.configure("detector")
        self._publisher = kafka.Publisher(self._bootstrap, "dutchbook-detector")
        self._dead_letters = kafka.DeadLetters(self._publisher, "detector", ratio=0.2, run=100)
        self._follower = ReferenceFollower(self._bootstrap, [GROUP_TOPIC, *MARKET_TOPICS])
        self._references = References(partition_of)
        self._partitions: dict[int, Partition] = {}
        self._acks = OrderedAcks()
        self._watch = ProgressWatch(self._bootstrap, "dutchbook-detector", BOOK_TOPICS)
        self._flush_timer: asyncio.TimerHandle | None = None
        self._started = False
        self._ready = asyncio.Event()
        self._generation = 0
        self._reporters = (
            HeartbeatSender("detector", "us", self._send),
            MetricReporter("detector", "us", self._send),
        )

    # -- the life of a worker ------------------------------------------------------------------------------------

    async def assigned(self, partitions: set[tuple[str, int]]) -> None:
        """Forget what was, read what must be known, and open a journal epoch for every assigned partition."""
        self._ready.clear()
        self._generation += 1
        if not self._started:
            await asyncio.to_thread(self._start)
        self._acks.forget()
        self._watch.assigned(partitions)
        numbers = sorted({number for topic, number in partitions if topic in BOOK_TOPICS})
        earlier, end = await asyncio.to_thread(self._earlier_opportunities)
        epoch = time.time_ns()
        self._partitions = {number: self._begin(number, epoch, earlier.get(number, []), end) for number in numbers}
        still_open = sum(len(partition.detection.open_opportunities()) for partition in self._partitions.values())
        self._log.info("partitions assigned", partitions=numbers, open_opportunities=still_open)
        self._ready.set()

    async def revoked(self) -> None:
        """Close the journal epochs and let go of everything."""
        self._ready.clear()
        self._generation += 1
        for partition in self._partitions.values():
            partition.journal.revoke()
            self._flush(partition)
        self._partitions = {}
        self._acks.forget()
        await asyncio.to_thread(self._publisher.flush)

    async def stop(self) -> None:
        """Deliver what is under way and end the threads."""
        for reporter in self._reporters if self._started else ():
            await asyncio.to_thread(reporter.stop)
        await asyncio.to_thread(self._follower.stop)
        await asyncio.to_thread(self._publisher.close)

    async def ready(self) -> bool:
        """Wait until the assigned partitions have begun: nothing is decided before.

        False when they were assigned anew meanwhile: the event in hand is of the time before, and it comes again.
        """
        generation = self._generation
        await self._ready.wait()
        return generation == self._generation

    def take(self, event: Any) -> None:
        """One record of a book topic. That of a partition revoked meanwhile comes again where it is assigned."""
        message = event.message
        partition = self._partitions.get(message.partition)
        if partition is None:
            return
        received_ns = time.time_ns()
        self._take_references()
        token = self._acks.add(event)
        self._take_books(partition, token, message, event.value, received_ns)
        token.seal()
        self._watch.processed(message.topic, message.partition, message.offset)

    # -- inputs --------------------------------------------------------------------------------------------------

    def _take_books(self, partition: Partition, token: Token, message: Any, value: Any, received_ns: int) -> None:
        partition.journal.input(message.topic, message.offset, received_ns)
        token.expect()
        partition.tokens.append(token)
        try:
            books = decode_books(value or b"")
        except DecodeError as error:
            metrics.DECODE_ERRORS.labels(message.topic).inc()
            self._divert(message, error, token)
            books = []
        else:
            self._dead_letters.good()
        emitted = self._decide(partition, message, books, received_ns, token)
        self._emit(partition, emitted, token)
        if emitted or len(partition.journal) >= JOURNAL_ITEMS:
            self._flush(partition)
        else:
            self._flush_soon()

    def _decide(
        self, partition: Partition, message: Any, books: list[Book], received_ns: int, token: Token
    ) -> list[Opportunity]:
        """What the core says to one record's books. A record that it cannot take is diverted, once, and counted."""
        emitted: list[Opportunity] = []
        failure: Exception | None = None
        on_book: Callable[[Book, Source, int], list[Opportunity]] = partition.detection.on_book
        for index, book in enumerate(books):
            source = Source(message.topic, message.partition, message.offset, index)
            try:
                emitted += on_book(book, source, received_ns)
            except Exception as error:
                failure = error
        if failure is not None:
            self._divert(message, failure, token)
        metrics.BOOKS_CONSUMED.labels(message.topic).inc(len(books))
        return emitted

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

    def _take_references(self) -> None:
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
        partition.journal.reference(reference.topic, reference.offset)
        try:
            if isinstance(reference.record, Group):
                return partition.detection.on_group(reference.record)
            if isinstance(reference.record, Market):
                return partition.detection.on_market(reference.record)
        except (GroupError, FeeError) as error:
            self._log.warning("reference record refused", topic=reference.topic, key=reference.key, error=str(error))
            value = None if reference.record is None else encode(reference.record)
            self._dead_letters.send(reference.topic, value, error, offset=reference.offset)
            return []
        return partition.detection.on_group_removed(reference.key)

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
        if not emitted:
            return
        # Handed over before the opportunity, but to another partition: a kill between the two deliveries can leave an
        # opportunity whose inputs no journal entry names. Its inputs come again, in the next epoch.
        self._flush(partition)
        for opportunity in emitted:
            headers = [("produced_ns", str(time.time_ns()).encode())]
            if token is not None:
                token.expect()
            self._publisher.publish(
                OPPORTUNITY_TOPIC,
                encode(opportunity),
                key=opportunity.basket.encode(),
                headers=headers,
                delivered=None if token is None else token.done_one,
            )
            metrics.OPPORTUNITIES.labels(opportunity.event).inc()

    def _flush(self, partition: Partition) -> None:
        record = partition.journal.take()
        if record is None:
            return
        tokens, partition.tokens = partition.tokens, []

        def delivered(_message: Message) -> None:
            for token in tokens:
                token.done_one()

        self._publisher.publish(JOURNAL_TOPIC, encode(record), partition=record.partition, delivered=delivered)

    def _flush_soon(self) -> None:
        if self._flush_timer is None:
            self._flush_timer = asyncio.get_running_loop().call_later(JOURNAL_DELAY_S, self._flush_all)

    def _flush_all(self) -> None:
        self._flush_timer = None
        for partition in self._partitions.values():
            self._flush(partition)

    def _send(self, topic: str, key: bytes, value: bytes) -> None:
        self._publisher.publish(topic, value, key=key)

    # -- beginnings ----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        for message in self._follower.start_and_wait():
            reference = self._reference(message)
            if reference is not None:
                self._references.take(reference)
        for reporter in self._reporters:
            reporter.start()
        self._watch.start()
        self._started = True

    def _begin(self, number: int, epoch: int, earlier: list[Opportunity], end: int) -> Partition:
        partition = Partition(number, epoch, self._gates)
        partition.detection.assign(epoch, earlier)
        partition.journal.assign(json.dumps({"opportunity_offset": end}, separators=(",", ":")))
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


KAFKA = load_or_exit(KafkaSettings)
SETTINGS = load_or_exit(DetectorSettings)
app = make_app("detector", KAFKA, SETTINGS.detector_web_port)
books = app.topic(*BOOK_TOPICS, key_type=bytes, value_type=bytes)
detector: Detector | None = None


def _detector() -> Detector:
    global detector
    if detector is None:
        detector = Detector(KAFKA, SETTINGS)
    return detector


@app.on_partitions_assigned.connect
async def _on_assigned(_app: Any, assigned: Any, **_: Any) -> None:
    await _detector().assigned({(place.topic, place.partition) for place in assigned})


@app.on_partitions_revoked.connect
async def _on_revoked(_app: Any, _revoked: Any, **_: Any) -> None:
    await _detector().revoked()


@app.on_before_shutdown.connect
async def _on_shutdown(_app: Any, **_: Any) -> None:
    await _detector().stop()


@app.agent(books, concurrency=1)
async def detect(stream: Any) -> None:
    """Feed every record to the edge; an error ends the worker, for the supervisor to start it afresh."""
    edge = _detector()
    async for event in stream.noack().events():
        if not await edge.ready():
            continue
        try:
            edge.take(event)
        except Exception:
            logs.get(process="detector").exception("the detector cannot go on")
            await app.crash(RuntimeError("detector"))
            raise
