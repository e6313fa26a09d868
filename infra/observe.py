"""Watching a running pipeline from its topics: what the status view shows and the summary counts."""

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Message, TopicPartition

from runtime import kafka, logs
from runtime.kafka import KafkaUnavailable
from schemas.codec import DecodeError, decode
from schemas.records import Execution, Heartbeat, Metric, Opportunity, Order, Ticket
from schemas.topics import HOME, venue_topic

WATCHED = (
    "opportunity",
    "ticket",
    "metric",
    "eu.metric",
    "eu.heartbeat",
    *(f"order.{venue}" for venue in HOME),
    *(venue_topic("execution", venue, "us") for venue in HOME),
)


@dataclass(slots=True)
class Observed:
    """Everything seen so far. Tickets are kept by their newest revision, metrics by process life.

    Records published before `since_ns` belong to an earlier run on the same data folder and are passed over, except
    tickets that it left unfinished.
    """

    since_ns: int = 0
    opportunities: int = 0
    opportunity_events: Counter[str] = field(default_factory=Counter)
    first_opportunity_ns: int = 0
    last_opportunities: deque[Opportunity] = field(default_factory=lambda: deque(maxlen=12))
    detection_latency_us: list[int] = field(default_factory=list)
    mirror_latency_us: list[int] = field(default_factory=list)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    orders: set[str] = field(default_factory=set)
    executions: set[str] = field(default_factory=set)
    fills: int = 0
    metrics: dict[tuple[str, int], Metric] = field(default_factory=dict)

    def total(self, name: str, **labels: str) -> int:
        """The sum of a counter over all processes and all their lives."""
        return int(
            sum(
                sample.value
                for metric in list(self.metrics.values())
                for sample in metric.samples
                if sample.name == f"dutchbook_{name}_total" and labels.items() <= sample.labels.items()
            )
        )

    def newest(self, name: str, **labels: str) -> float:
        """A gauge's value in the youngest process that has it, 0 where none has."""
        values = [
            (instance, sample.value)
            for (_, instance), metric in list(self.metrics.items())
            for sample in metric.samples
            if sample.name == f"dutchbook_{name}" and labels.items() <= sample.labels.items()
        ]
        return max(values)[1] if values else 0.0

    def ticket_states(self) -> dict[str, int]:
        """How many tickets are in which state."""
        return dict(Counter(ticket.state for ticket in list(self.tickets.values())))

    def take(self, message: Message) -> None:
        """Take in one record; what cannot be decoded is left to the dead letter counts."""
        try:
            record = decode(message.value() or b"")
        except DecodeError:
            return
        if isinstance(record, Ticket):
            if self._earlier(message) and record.state != "working":
                self.tickets.pop(record.ticket_id, None)
                return
            known = self.tickets.get(record.ticket_id)
            if known is None or record.revision >= known.revision:
                self.tickets[record.ticket_id] = record
        elif self._earlier(message):
            return
        elif isinstance(record, Opportunity):
            self._opportunity(record, message)
        elif isinstance(record, Order):
            self.orders.add(record.order_id)
        elif isinstance(record, Execution) and record.execution_id not in self.executions:
            self.executions.add(record.execution_id)
            self.fills += len(record.fills)
        elif isinstance(record, Heartbeat):
            self.mirror_latency_us.append((time.time_ns() - record.time_ns) // 1000)
        elif isinstance(record, Metric):
            self.metrics[record.source, record.instance_ns] = record

    def _earlier(self, message: Message) -> bool:
        return bool(message.timestamp()[1] < self.since_ns // 1_000_000)

    def _opportunity(self, record: Opportunity, message: Message) -> None:
        self.opportunity_events[record.event] += 1
        self.last_opportunities.append(record)
        produced_ns = _header_ns(message, "produced_ns")
        if record.event == "opened":
            self.opportunities += 1
            if not self.first_opportunity_ns:
                self.first_opportunity_ns = produced_ns
        if record.cause_api_response_ns > self.since_ns and produced_ns:
            self.detection_latency_us.append((produced_ns - record.cause_api_response_ns) // 1000)


def _header_ns(message: Message, name: str) -> int:
    for key, value in message.headers() or []:
        if key == name and value is not None:
            return int(value)
    return 0


class Observer:
    """Follows the watched topics of the us cluster from a thread of its own; `since_ns` as in `Observed`."""

    def __init__(self, bootstrap: str, *, from_beginning: bool = True, since_ns: int = 0) -> None:
        self.seen = Observed(since_ns=since_ns)
        self._bootstrap = bootstrap
        self._from_beginning = from_beginning
        self._stopped = threading.Event()
        self._caught_up: dict[tuple[str, int], int] = {}
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End following; nothing happens when it never began."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def catch_up(self, timeout_s: float = 20.0) -> bool:
        """Wait until everything that exists now has been taken in; False when it was not in time.

        Raises KafkaUnavailable when the cluster does not answer.
        """
        client = kafka.consumer(self._bootstrap, "dutchbook-observer-ends")
        try:
            ends = kafka.end_offsets(client, WATCHED)
        finally:
            client.close()
        deadline = time.monotonic() + timeout_s
        while any(self._caught_up.get(place, 0) < end for place, end in ends.items() if end):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _run(self) -> None:
        client = kafka.consumer(self._bootstrap, "dutchbook-observer")
        ends: dict[tuple[str, int], int] = {}
        while not ends and not self._stopped.is_set():
            try:
                ends = kafka.end_offsets(client, WATCHED)
            except KafkaUnavailable as error:
                logs.get(part="observer").warning("observer", error=str(error))
                self._stopped.wait(1.0)
        if not self._from_beginning:
            self._caught_up.update(ends)
        client.assign([TopicPartition(*place, 0 if self._from_beginning else end) for place, end in ends.items()])
        while not self._stopped.is_set():
            message: Any = client.poll(0.2)
            if message is None:
                continue
            if message.error() is not None:
                logs.get(part="observer").warning("observer", error=message.error().str())
                continue
            self.seen.take(message)
            self._caught_up[message.topic(), message.partition()] = message.offset() + 1
        client.close()
