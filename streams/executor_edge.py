"""The executor's edge around `streams.core.legging`: everything that waits, reads a clock or sends.

It reads opportunities and both venues' executions in the us region, lets the core decide, and publishes tickets, orders
and alerts. Orders leave only after the broker has acknowledged their ticket, so no order exists without its ticket, and
an event is acknowledged only when everything that followed from it has been delivered.

Whenever the topics are assigned to this worker, the core is built anew from the ticket topic, and orders without an
answer are sent again under their old ids: a gateway answers each id once.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from confluent_kafka import Message

from runtime import kafka, metrics
from runtime.settings import MILLISECOND_NS, ExecutorSettings, KafkaSettings
from schemas.codec import DecodeError, decode_record, encode
from schemas.records import Control, Execution, Group, Opportunity, Order, Region, Ticket
from schemas.topics import HOME, REGIONS, local_name, venue_topic
from schemas.units import MONEY_SCALE
from streams.app import Edge, Token
from streams.core.legging import Decision, Executor, Rules
from streams.core.risk import ControlRefused, Limits

OPPORTUNITY_TOPIC: Final = "opportunity"
EXECUTION_TOPICS: Final = tuple(venue_topic("execution", venue, "us") for venue in HOME)
EVENT_TOPICS: Final = (OPPORTUNITY_TOPIC, *EXECUTION_TOPICS)
GROUP_TOPIC: Final = "group"
CONTROL_TOPICS: Final[dict[str, Region]] = {local_name("control", origin, "us"): origin for origin in REGIONS}
TICKET_TOPIC: Final = "ticket"
ALERT_TOPIC: Final = "alert"


def rules_of(settings: ExecutorSettings) -> Rules:
    """The core's bounds from the settings."""
    limits = Limits(
        group_contracts=settings.limit_group_contracts,
        venue_money=settings.limit_venue_dollars * MONEY_SCALE,
        open_tickets=settings.limit_open_tickets,
    )
    return Rules(
        limits=limits,
        cool_down_ns=settings.cool_down_ms * MILLISECOND_NS,
        unknown_after_ns=settings.executor_unknown_ms * MILLISECOND_NS,
        maximum_age_ns=settings.executor_maximum_age_ms * MILLISECOND_NS,
    )


class WallClock:
    """The time of day, whatever an event says."""

    @property
    def now_ns(self) -> int:
        """Now."""
        return time.time_ns()

    def at(self, _event_ns: int) -> int:
        """Now."""
        return time.time_ns()


class RunClock:
    """A replay's time: the newest that an event has said. Its events are of long ago, and come at any speed."""

    def __init__(self) -> None:
        self.now_ns = 0

    def at(self, event_ns: int) -> int:
        """The time once an event of `event_ns` has come."""
        self.now_ns = max(self.now_ns, event_ns)
        return self.now_ns


class ExecutorEdge(Edge):
    """The worker around the core. All but starting and rebuilding runs on the event loop's thread."""

    def __init__(self, kafka_settings: KafkaSettings, settings: ExecutorSettings) -> None:
        super().__init__("executor", kafka_settings, EVENT_TOPICS, [GROUP_TOPIC, *CONTROL_TOPICS])
        self._core = Executor(rules_of(settings))
        self._clock = RunClock() if kafka_settings.run else WallClock()
        self._controls = {self._topic(origin): region for origin, region in CONTROL_TOPICS.items()}
        self._active = False

    # -- the life of a worker ------------------------------------------------------------------------------------

    async def begin(self, partitions: set[tuple[str, int]]) -> None:
        """Build the core anew when the events are ours, and send again what was never answered."""
        self._active = any(topic in self._inputs for topic, _ in partitions)
        if self._active:
            self._core = await asyncio.to_thread(self._rebuild)
            pending = self._core.pending_orders()
            self._send_orders(pending, None)
            self._log.info("events assigned", orders_sent_again=len(pending))

    def let_go(self) -> None:
        """Time no longer passes for what another worker takes over."""
        self._active = False

    def take(self, event: Any) -> None:
        """One record of an event topic. Raises only when the worker cannot go on."""
        self.work(event, self._acks.add(event))

    def work(self, event: Any, token: Token) -> None:
        """Decide on one record and publish what follows; its token is sealed."""
        message = event.message
        self.refresh()
        try:
            decision = self._decide(message.topic, event.value or b"")
        except Exception as error:  # what the core cannot take is diverted, and the next event served
            self._divert(message.topic, event.value, error, message.partition, message.offset)
        else:
            self._publish(decision, token)
            self._dead_letters.good()
        token.seal()

    def tick(self) -> None:
        """Once a second: take in references, report unanswered orders, and notice lost deliveries."""
        self._publisher.check()
        if self._active and self._ready.is_set():
            self.refresh()
            self._publish(self._core.on_time(self._clock.now_ns), None)

    # -- inputs --------------------------------------------------------------------------------------------------

    def _decide(self, topic: str, value: bytes) -> Decision:
        if topic == self._topic(OPPORTUNITY_TOPIC):
            opportunity = decode_record(value, Opportunity)
            return self._core.on_opportunity(opportunity, self._clock.at(opportunity.time_ns))
        execution = decode_record(value, Execution)
        return self._core.on_execution(execution, self._clock.at(execution.executed_ns))

    def refresh(self) -> None:
        """Take in the groups and controls that came since the last call."""
        for message in self._follower.drain():
            self.know(message)

    def know(self, message: Message) -> None:
        """A group or a control, new or removed."""
        topic, value = message.topic(), message.value()
        key = (message.key() or b"").decode(errors="replace")
        try:
            if topic in self._controls:
                self._core.on_control(_control(self._controls[topic], key, value))
            elif value is None:
                self._core.on_group_removed(key)
            else:
                self._core.on_group(decode_record(value, Group))
        except (DecodeError, ControlRefused) as error:
            self._divert(topic, value, error, message.partition(), message.offset())

    def _divert(self, topic: str, value: bytes | None, error: Exception, partition: int, offset: int) -> None:
        if isinstance(error, DecodeError):
            metrics.DECODE_ERRORS.labels(topic).inc()
        self._dead_letters.send(topic, value, error, partition=partition, offset=offset)
        self._publisher.flush()  # the event is acknowledged only after this

    # -- outputs -------------------------------------------------------------------------------------------------

    def _publish(self, decision: Decision, token: Token | None) -> None:
        """Tickets and alerts at once; orders when every ticket is acknowledged by the broker."""
        for state in decision.reached:
            metrics.TICKETS.labels(state).inc()
        if token is not None:
            token.expect(len(decision.tickets) + len(decision.orders) + len(decision.alerts))
        loop, left = asyncio.get_running_loop(), len(decision.tickets)

        def ticket_delivered(message: Message) -> None:  # on the thread of the delivery reports
            nonlocal left
            left -= 1
            if left == 0 and decision.orders:
                loop.call_soon_threadsafe(self._send_orders, decision.orders, token)
            if token is not None:
                token.done_one(message)

        for ticket in decision.tickets:
            key = ticket.ticket_id.encode()
            self._publisher.publish(self._topic(TICKET_TOPIC), encode(ticket), key=key, delivered=ticket_delivered)
        for alert in decision.alerts:
            delivered = None if token is None else token.done_one
            self._publisher.publish(
                self._topic(ALERT_TOPIC), encode(alert), key=alert.source.encode(), delivered=delivered
            )

    def _send_orders(self, orders: Sequence[Order], token: Token | None) -> None:
        delivered = None if token is None else token.done_one
        for order in orders:
            metrics.ORDERS.labels(order.venue).inc()
            topic = local_name(f"order.{order.venue}", "us", "us")
            self._publisher.publish(
                self._topic(topic), encode(order), key=order.ticket_id.encode(), delivered=delivered
            )

    # -- beginnings ----------------------------------------------------------------------------------------------

    def _rebuild(self) -> Executor:
        self._publisher.flush()
        core = Executor(self._core.rules, halts=self._core.halts, statuses=self._core.statuses)
        tickets = list(self._records(TICKET_TOPIC, Ticket))
        now_ns = self._clock.at(max((ticket.updated_ns for ticket in tickets), default=0))
        core.restore(tickets, self._records(OPPORTUNITY_TOPIC, Opportunity), now_ns)
        return core

    def _records(self, topic: str, kind: type[Any]) -> Iterator[Any]:
        for message in kafka.read_whole(self._bootstrap, [self._topic(topic)]):
            value = message.value()
            if value is None:
                continue
            try:
                yield decode_record(value, kind)
            except DecodeError as error:
                self._log.error("unreadable record", topic=topic, offset=message.offset(), error=str(error))


def _control(origin: Region, scope: str, value: bytes | None) -> Control:
    """A control record; a tombstone is its origin's resume."""
    if value is None:
        return Control(scope=scope, origin=origin, action="resume", reason="removed", limits={}, time_ns=0)
    control = decode_record(value, Control)
    if control.origin != origin:
        raise ControlRefused(f"control of scope {control.scope!r} says origin {control.origin}, came from {origin}")
    return control
