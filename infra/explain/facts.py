"""What `dutchbook explain` knows of one event of an opportunity, and what follows from it; pure.

Times are nanoseconds, money 1e-6 dollar. Legs are numbered from 0, as in orders and in `Opportunity.cause`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.records import Book, Group, GroupStatus, Market, Opportunity, OpportunityLeg, Ticket, Venue

MILLISECOND_NS: Final = 1_000_000
LEVELS: Final = 5
"""Levels a side that are told of at least, where a book has them."""

MarketKey = tuple[Venue, str]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of an opportunity's life as its topic has it. `produced_ns` is its header, 0 where it has none."""

    record: Opportunity
    offset: int
    timestamp_ms: int
    produced_ns: int


@dataclass(frozen=True, slots=True)
class KnownMarket:
    """A market's record and when it was published; `later`: none that was there at the decision is kept any more."""

    record: Market
    timestamp_ms: int
    later: bool


@dataclass(frozen=True, slots=True)
class LegFacts:
    """A leg with the book that it was decided on; where that cannot be read, `problem` says why."""

    number: int
    leg: OpportunityLeg
    book: Book | None
    problem: str
    market: KnownMarket | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is told of one event.

    `life` are all events of the opportunity, in order; `show_life` says whether they are told, too. `group` is the
    record in force at the decision, `status_now` the group's status today. `markets` are those of the group and of the
    legs. A replay's `run` has topics and a clock of its own.
    """

    event: Event
    life: tuple[Event, ...]
    legs: tuple[LegFacts, ...]
    topic: str
    journal_topic: str
    show_life: bool = True
    run: str = ""
    group: Group | None = None
    status_now: GroupStatus | None = None
    markets: Mapping[MarketKey, KnownMarket] = field(default_factory=dict)
    tickets: tuple[Ticket, ...] = ()

    @property
    def bought(self) -> Event:
        """The event whose size and books the legs tell of: this one, or for a closing the last one with a size."""
        return bought(self.life, self.event)


def bought(life: tuple[Event, ...], event: Event) -> Event:
    """The last event up to this one that has a size; this one where there is none."""
    with_size = [one for one in life if one.record.quantity and one.record.revision <= event.record.revision]
    return event if event.record.quantity or not with_size else with_size[-1]


@dataclass(frozen=True, slots=True)
class Step:
    """One step from payout to net: what it takes (negative) or gives, and what is left after it; money."""

    name: str
    amount: int
    left: int


SUBTOTALS: Final = ("gross", "net")
"""Steps that take nothing: they name what is left."""

CHARGES: Final = ("fees", "gas", "basis", "settlement_risk", "time_value")


def waterfall(record: Opportunity) -> list[Step]:
    """payout - costs at the best prices - depth = gross; gross - fees - gas - basis - risk - time value = net.

    What is left is added up here, so it ends at the record's gross and net only where that is true. A closing, whose
    legs are those of the event before, has nothing but zeros.
    """
    costs = sum(leg.cost for leg in record.legs) if record.quantity else 0
    taken = [("payout", record.payout), ("costs", record.depth_cost - costs), ("depth", -record.depth_cost)]
    taken += [("gross", 0), *((name, -getattr(record, name)) for name in CHARGES), ("net", 0)]
    steps, left = [], 0
    for name, amount in taken:
        left += amount
        steps.append(Step(name, amount, left))
    return steps


@dataclass(frozen=True, slots=True)
class Stamp:
    """One stamp of a trail; `step_ns` is what passed since the one before, None where either is unknown."""

    name: str
    ns: int
    step_ns: int | None


PROOF: Final = "confirmed_ns"
"""Stands in the trail and is no step of the road: a book may be proved before it is sent, or again after it."""


def proof_age_ns(leg: OpportunityLeg, decided_ns: int) -> int:
    """How old the venue's last proof of the leg's book was at the decision."""
    return decided_ns - leg.confirmed_ns


def trail(leg: LegFacts, decided_ns: int) -> list[Stamp]:
    """The stamps of a leg's book up to the decision; the step of the proof (`PROOF`) is that to the decision."""
    book, record = leg.book, leg.leg
    road = [
        ("exchange_ns", 0 if book is None else book.exchange_ns),
        ("api_call_start_ns", 0 if book is None else book.api_call_start_ns),
        ("api_response_ns", record.api_response_ns),
        ("processing_complete_ns", record.processing_complete_ns),
        (PROOF, record.confirmed_ns),
        ("virginia_received_ns", record.virginia_received_ns),
        ("time_ns", decided_ns),
    ]
    stamps, before = [], 0
    for name, ns in road:
        if name == PROOF:
            stamps.append(Stamp(name, ns, proof_age_ns(record, decided_ns) if ns else None))
            continue
        stamps.append(Stamp(name, ns, ns - before if ns and before else None))
        before = ns or before
    return stamps


def published(event: Event) -> list[Stamp]:
    """The stamps after the decision: the record's header, and Kafka's own, which has whole milliseconds only."""
    decided_ns, produced_ns = event.record.time_ns, event.produced_ns
    timestamp_ns = event.timestamp_ms * MILLISECOND_NS
    return [
        Stamp("produced_ns", produced_ns, produced_ns - decided_ns if produced_ns else None),
        Stamp("timestamp", timestamp_ns, timestamp_ns - (produced_ns or decided_ns)),
    ]
