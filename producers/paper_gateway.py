"""The paper gateway of a venue: orders from its own region's cluster in, executions out, books and metadata beside.

An order's offset is committed only after its execution has been acknowledged. Whenever the orders are assigned to this
process, it first rereads the execution topic whole, so that an order is answered once, also after a kill.

With `DUTCHBOOK_RUN` it does the same in a replay, by the time of the run (`producers.paper_run`).
"""

import queue
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from producers.home import require_home
from producers.paper import PaperMatcher
from producers.paper_data import MarketData
from producers.paper_desk import Address, OffsetLedger, PaperDesk
from producers.paper_run import RunData
from producers.paper_station import Station
from runtime import kafka, logs, metrics
from runtime.health import HEALTH, HeartbeatSender, on_stop_signal
from runtime.metrics import MetricReporter
from runtime.settings import (
    MILLISECOND_NS,
    KafkaSettings,
    KalshiSettings,
    PaperSettings,
    PolymarketSettings,
    SettingsError,
    load,
)
from schemas.codec import DecodeError, decode_record, encode
from schemas.records import Execution, Order, Venue

EXIT_FAILED: Final = 1
EXIT_SETTINGS: Final = 2
IDLE_S: Final = 0.01
"""How long a round waits for an order when nothing else is due."""

DRAIN_S: Final = 5.0
"""How long the orders in hand may take when the process is asked to end."""


class PaperGateway:
    """One venue's gateway. Everything but delivery reports and the reporters happens on the thread that calls `run`."""

    def __init__(self, venue: Venue, kafka_settings: KafkaSettings, settings: PaperSettings) -> None:
        self._station = station = Station(venue, kafka_settings.run)
        self._venue = venue
        self._bootstrap = station.bootstrap(kafka_settings)
        self._order_topic, self._execution_topic = station.orders, station.executions
        source = f"gateway.{venue}"
        self._log = logs.get(source=source)
        self._publisher = kafka.Publisher(self._bootstrap, f"dutchbook-{source}")
        self._dead_letters = kafka.DeadLetters(self._publisher, source, ratio=0.2, run=100)
        matcher = PaperMatcher(
            venue, settings.freshness_ms * MILLISECOND_NS, settings.paper_order_age_ms * MILLISECOND_NS
        )
        self._data = (RunData if station.run else MarketData)(station, self._bootstrap, matcher, self._dead_letters)
        self._desk = PaperDesk(matcher, settings.paper_latency_ms * MILLISECOND_NS, self._data.patience_ns)
        self._ledger = OffsetLedger()
        self._delivered: queue.SimpleQueue[Address] = queue.SimpleQueue()
        self._orders = kafka.consumer(self._bootstrap, station.group)
        self._stopped = threading.Event()
        self._reporters = (
            HeartbeatSender(source, station.here, self._send),
            MetricReporter(source, station.here, self._send),
        )

    def run(self) -> None:
        """Answer orders until `stop`; raises when it cannot go on."""
        self._data.catch_up()
        for reporter in self._reporters:
            reporter.start()
        self._orders.subscribe(
            [self._order_topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        self._log.info("gateway is ready", orders=self._order_topic, executions=self._execution_topic, mode="paper")
        while not self._stopped.is_set():
            self._round(accepting=True)
        self._finish()

    def stop(self) -> None:
        """Ask `run` to finish the orders in hand and return; callable from a signal handler."""
        self._stopped.set()

    # -- one round ----------------------------------------------------------------------------------------------

    def _round(self, *, accepting: bool) -> None:
        HEALTH.turned()
        self._publisher.check()
        self._data.drain(self._desk.next_due_ns())
        self._answer_due()
        if accepting and not self._desk.full:
            self._take_order(self._orders.poll(self._pause_s()))
        else:
            time.sleep(self._pause_s())
        self._commit(asynchronous=True)

    def _pause_s(self) -> float:
        due_ns = self._desk.next_due_ns()
        if due_ns is None:
            return IDLE_S
        return min(IDLE_S, max(0.001, (due_ns - self._data.now_ns()) / 1e9))

    def _answer_due(self) -> None:
        for answer in self._desk.due(self._data.now_ns()):
            execution = answer.execution
            metrics.EXECUTIONS.labels(self._venue, execution.kind).inc()
            self._publisher.publish(
                self._execution_topic,
                encode(execution),
                key=execution.ticket_id.encode(),
                delivered=partial(self._note_delivery, answer.address),
            )

    def _note_delivery(self, address: Address, _message: Message) -> None:
        """Called on the thread of the delivery reports."""
        self._delivered.put(address)

    def _take_order(self, message: Message | None) -> None:
        if message is None:
            return
        if message.error() is not None:
            if message.error().fatal():
                raise KafkaException(message.error())
            self._log.warning("orders", error=message.error().str())
            return
        address = Address(message.partition(), message.offset())
        self._ledger.begin(address)
        try:
            order = decode_record(message.value() or b"", Order)
        except DecodeError as error:
            metrics.DECODE_ERRORS.labels(self._order_topic).inc()
            self._dead_letters.send(
                self._order_topic, message.value(), error, partition=address.partition, offset=address.offset
            )
            self._publisher.flush()
            self._ledger.done(address)
            return
        self._dead_letters.good()
        if not self._desk.accept(order, address, self._data.arrived_ns(order)):
            self._ledger.done(address)

    def _commit(self, *, asynchronous: bool) -> None:
        while not self._delivered.empty():
            self._ledger.done(self._delivered.get_nowait())
        advanced = self._ledger.committable()
        if not advanced:
            return
        offsets = [TopicPartition(self._order_topic, place.partition, place.offset) for place in advanced]
        try:
            self._orders.commit(offsets=offsets, asynchronous=asynchronous)
        except KafkaException as error:
            # Uncommitted orders come again and are recognised by their ids.
            self._log.warning("offsets not committed", error=str(error))

    def _finish(self) -> None:
        deadline = time.monotonic() + DRAIN_S
        while len(self._desk) and time.monotonic() < deadline:
            self._round(accepting=False)
        self._publisher.flush()
        self._commit(asynchronous=False)
        self._orders.close()
        self._data.close()
        for reporter in self._reporters:
            reporter.stop()
        self._publisher.close()
        self._log.info("gateway ended")

    # -- assignment ---------------------------------------------------------------------------------------------

    def _assigned(self, _client: Consumer, partitions: list[TopicPartition]) -> None:
        if not partitions:
            return
        self._publisher.flush()
        executions = list(self._executions())
        self._desk.restore(executions)
        self._log.info("orders assigned", answered=len(executions))

    def _revoked(self, _client: Consumer, _partitions: list[TopicPartition]) -> None:
        self._publisher.flush()
        self._commit(asynchronous=False)
        self._lost(_client, _partitions)

    def _lost(self, _client: Consumer, _partitions: list[TopicPartition]) -> None:
        self._desk.clear()
        self._ledger.clear()

    def _executions(self) -> Iterator[Execution]:
        for message in kafka.read_whole(self._bootstrap, [self._execution_topic]):
            try:
                yield decode_record(message.value() or b"", Execution)
            except DecodeError as error:
                # Not ours to divert: it only tells what was answered, and a reader of executions will report it.
                self._log.warning("unreadable execution", offset=message.offset(), error=str(error))

    def _send(self, topic: str, key: bytes, value: bytes) -> None:
        self._publisher.publish(self._station.topic(topic), value, key=key)


def main(venue: Venue) -> int:
    """Run the venue's gateway; returns the exit code: 2 for wrong settings, 1 when it cannot go on.

    A run's gateway reads no setting of the venue, and runs where the run is (`producers.paper_station`).
    """
    try:
        kafka_settings, settings = load(KafkaSettings), load(PaperSettings)
        if not kafka_settings.run:
            region = load(KalshiSettings).region if venue == "kalshi" else load(PolymarketSettings).region
            require_home(venue, region, "gateway")
    except SettingsError as error:
        print(f"gateway.{venue}: {error}", file=sys.stderr)
        return EXIT_SETTINGS
    log = logs.configure(f"gateway.{venue}")
    try:
        gateway = PaperGateway(venue, kafka_settings, settings)
        on_stop_signal(gateway.stop)
        gateway.run()
    except (KafkaException, kafka.KafkaUnavailable, kafka.DeliveryFailed, kafka.DeadLetterLimit) as error:
        log.error("the gateway cannot go on", error=str(error))  # noqa: TRY400 - the sentence says it all
        return EXIT_FAILED
    return 0
