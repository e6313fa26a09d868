"""What `dutchbook explain` reads from Kafka: an opportunity's life, the records it was decided on, its tickets."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from infra.explain.facts import MILLISECOND_NS, Event, Facts, KnownMarket, LegFacts, MarketKey, bought
from infra.explain.text import moment
from runtime import kafka
from runtime.kafka import KafkaUnavailable, read_whole
from schemas.codec import DecodeError, decode_books, decode_record
from schemas.identity import ID_LENGTH
from schemas.records import Book, Group, Market, Opportunity, OpportunityLeg, Ticket, Venue
from schemas.runs import run_of, run_topic
from schemas.topics import HOME, venue_topic
from streams.core.ladder import LadderError, check_length

CANDIDATES: Final = 10
"""Opportunities that are listed at most where several begin alike."""
READ_S: Final = 10.0
GROUP_TOPIC: Final = "group"
MARKET_TOPICS: Final[dict[Venue, str]] = {venue: venue_topic("market", venue, "us") for venue in HOME}


class ExplainError(ValueError):
    """What was asked for is not there, or cannot be read; the message names it."""


class LegUnread(ExplainError):
    """The book of a leg cannot be shown; the message says why."""


@dataclass(slots=True)
class _References:
    """Every kept record of the reference topics, by topic and key, with its time; None is a tombstone."""

    kept: dict[tuple[str, str], list[tuple[int, bytes | None]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, message: Message) -> None:
        """One record, in the topic's order."""
        key = (message.key() or b"").decode(errors="replace")
        self.kept[message.topic(), key].append((message.timestamp()[1], message.value()))

    def at(self, topic: str, key: str, time_ms: int) -> tuple[int, bytes | None, bool]:
        """The record in force at a time; where none from before is kept, the first one after (True)."""
        kept = self.kept.get((topic, key), [])
        before = [one for one in kept if one[0] <= time_ms]
        timestamp_ms, value = before[-1] if before else kept[0] if kept else (0, None)
        return timestamp_ms, value, not before

    def newest(self, topic: str, key: str) -> bytes | None:
        """The record in force now."""
        kept = self.kept.get((topic, key))
        return kept[-1][1] if kept else None


class Topics:
    """Reads what an explanation is made of, all of it in one cluster; raises KafkaUnavailable when that is not there.

    Legs name topics of the live system, also in a run.
    """

    def __init__(self, bootstrap: str, run_name: str) -> None:
        self._bootstrap = bootstrap
        self._run = run_name
        self._client: Consumer = kafka.consumer(bootstrap, "dutchbook-explain")

    def __enter__(self) -> "Topics":
        try:
            self._names = frozenset(self._client.list_topics(timeout=READ_S).topics)
        except KafkaException as error:
            self._client.close()
            message = f"the cluster at {self._bootstrap} does not answer: {error.args[0].str()}"
            raise KafkaUnavailable(message) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    # -- the opportunity -----------------------------------------------------------------------------------------

    def life(self, wanted: str) -> tuple[Event, ...]:
        """All events of the one opportunity whose id begins so; raises ExplainError."""
        topic = self._opportunity_topic()
        found: dict[str, list[Event]] = defaultdict(list)
        unreadable = 0
        for message in read_whole(self._bootstrap, [topic]):
            try:
                record = decode_record(message.value() or b"", Opportunity)
            except DecodeError as error:
                unreadable, problem = unreadable + 1, error
                continue
            if record.opportunity_id.startswith(wanted):
                found[record.opportunity_id].append(_event(record, message))
        if not found:
            more = f" ({unreadable} of its records cannot be read: {problem})" if unreadable else ""
            words = f"the id {wanted}" if len(wanted) == ID_LENGTH else f"an id that begins with {wanted}"
            raise ExplainError(f"no opportunity in {topic} has {words}{more}")
        if len(found) > 1:
            raise ExplainError(_ambiguous(wanted, found))
        (events,) = found.values()
        return _once(events)

    def _opportunity_topic(self) -> str:
        topic = run_topic(self._run, "opportunity")
        if self._run and topic not in self._names:
            names = sorted(run for name in self._names if (run := run_of(name)) is not None)
            raise ExplainError(f"there is no run {self._run!r}; runs: {', '.join(names) or 'none'}")
        return topic

    # -- what belongs to it --------------------------------------------------------------------------------------

    def facts(self, life: tuple[Event, ...], revision: int | None) -> Facts:
        """Everything about one event of a life: the opening without a revision; raises ExplainError."""
        event = _chosen(life, revision)
        told = bought(life, event)
        references, tickets = self._records(told.record.opportunity_id)
        # A run has a clock of its own for what it publishes; its decisions have that of what it repeats.
        at_ms = (0 if self._run else told.produced_ns) // MILLISECOND_NS or told.record.time_ns // MILLISECOND_NS
        group = _decoded(references.at(GROUP_TOPIC, told.record.group, at_ms)[1], Group)
        now = _decoded(references.newest(GROUP_TOPIC, told.record.group), Group)
        members = [(leg.venue, leg.market) for leg in told.record.legs]
        members += [(member.venue, member.market) for member in group.members] if group is not None else []
        markets = _markets(references, members, at_ms)
        return Facts(
            event=event,
            life=life,
            legs=tuple(self._leg(number, leg, markets) for number, leg in enumerate(told.record.legs)),
            topic=run_topic(self._run, "opportunity"),
            journal_topic=run_topic(self._run, "journal.detector"),
            show_life=revision is None,
            run=self._run,
            group=group,
            status_now=None if now is None else now.status,
            markets=markets,
            tickets=tickets,
        )

    def _records(self, opportunity_id: str) -> tuple[_References, tuple[Ticket, ...]]:
        """The reference topics, and the newest revision of every ticket of the opportunity."""
        references, newest = _References(), dict[str, Ticket]()
        ticket_topic = run_topic(self._run, "ticket")
        optional = [ticket_topic] if not self._run or ticket_topic in self._names else []
        for message in read_whole(self._bootstrap, [GROUP_TOPIC, *MARKET_TOPICS.values(), *optional]):
            if message.topic() != ticket_topic:
                references.take(message)
                continue
            ticket = _decoded(message.value(), Ticket)
            if ticket is None or ticket.opportunity_id != opportunity_id:
                continue
            known = newest.get(ticket.ticket_id)
            if known is None or ticket.revision >= known.revision:
                newest[ticket.ticket_id] = ticket
        return references, tuple(newest.values())

    def _leg(self, number: int, leg: OpportunityLeg, markets: dict[MarketKey, KnownMarket]) -> LegFacts:
        market = markets.get((leg.venue, leg.market))
        try:
            return LegFacts(number, leg, self._book(leg), "", market)
        except LegUnread as error:
            return LegFacts(number, leg, None, str(error), market)

    def _book(self, leg: OpportunityLeg) -> Book:
        """The book that a leg names; raises LegUnread."""
        where = f"{leg.topic}, partition {leg.partition}, offset {leg.offset}"
        if leg.topic not in self._names:
            raise LegUnread(f"{where}: the topic does not exist")
        try:
            books = decode_books(self._read_at(leg.topic, leg.partition, leg.offset))
        except DecodeError as error:
            raise LegUnread(f"{where}: the record cannot be read: {error}") from error
        except KafkaException as error:
            raise LegUnread(f"{where}: {error.args[0].str()}") from error
        if not 0 <= leg.index < len(books):
            raise LegUnread(f"{where}: index {leg.index} is not there: the record has {len(books)} books")
        try:
            check_length(books[leg.index])
        except LadderError as error:
            raise LegUnread(f"{where}, index {leg.index}: {error}") from error
        return books[leg.index]

    def _read_at(self, topic: str, partition: int, offset: int) -> bytes:
        """The value of one record; raises LegUnread where retention or anything else has taken it."""
        place, where = TopicPartition(topic, partition, offset), f"{topic}, partition {partition}, offset {offset}"
        low, high = self._client.get_watermark_offsets(place, timeout=READ_S)
        if offset < low:
            kept = f"the earliest kept is {low}" if low < high else "nothing is kept"
            raise LegUnread(f"{where}: deleted by retention, {kept}")
        if offset >= high:
            raise LegUnread(f"{where}: not written yet, the partition ends at {high}")
        self._client.assign([place])
        deadline = time.monotonic() + READ_S
        while time.monotonic() < deadline:
            message = self._client.poll(0.2)
            if message is None:
                continue
            if message.error() is not None:
                raise LegUnread(f"{where}: {message.error().str()}")
            if message.offset() != offset:
                raise LegUnread(f"{where}: not there, the next record is {message.offset()}")
            return message.value() or b""
        raise LegUnread(f"{where}: nothing was read for {READ_S:g} s")


def _event(record: Opportunity, message: Message) -> Event:
    produced_ns = 0
    for name, value in message.headers() or []:
        if name == "produced_ns":
            with suppress(ValueError):
                produced_ns = int(value or b"")
    return Event(record, message.offset(), message.timestamp()[1], produced_ns)


def _once(events: Iterable[Event]) -> tuple[Event, ...]:
    """The events in order of their revisions, each once: after a crash the same one may have been written again."""
    first: dict[int, Event] = {}
    for event in events:
        first.setdefault(event.record.revision, event)
    return tuple(first[revision] for revision in sorted(first))


def _chosen(life: Sequence[Event], revision: int | None) -> Event:
    """The event asked for; without a revision the first opening, or the first event where retention took that."""
    if revision is None:
        return next((event for event in life if event.record.event == "opened"), life[0])
    for event in life:
        if event.record.revision == revision:
            return event
    there = f"{life[0].record.revision} to {life[-1].record.revision}"
    raise ExplainError(f"opportunity {life[0].record.opportunity_id} has no revision {revision}: it has {there}")


def _ambiguous(wanted: str, found: dict[str, list[Event]]) -> str:
    """The candidates, one a line."""
    shown = [f"{wanted} begins {len(found)} ids:"]
    for identity, events in list(found.items())[:CANDIDATES]:
        record = events[0].record
        shown.append(f"  {identity}  {moment(record.opened_ns)}  {record.group}")
    if len(found) > CANDIDATES:
        shown.append(f"  … {len(found) - CANDIDATES} more")
    return "\n".join(shown)


def _markets(references: _References, keys: Iterable[MarketKey], time_ms: int) -> dict[MarketKey, KnownMarket]:
    found: dict[MarketKey, KnownMarket] = {}
    for venue, name in dict.fromkeys(keys):
        timestamp_ms, value, later = references.at(MARKET_TOPICS[venue], name, time_ms)
        record = _decoded(value, Market)
        if record is not None:
            found[venue, name] = KnownMarket(record, timestamp_ms, later)
    return found


def _decoded(value: bytes | None, kind: type[Any]) -> Any:
    """The record, None for a tombstone and for what cannot be read."""
    if value is None:
        return None
    try:
        return decode_record(value, kind)
    except DecodeError:
        return None
