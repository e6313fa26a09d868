"""The executor's decisions: which opportunity becomes a ticket, what its orders are, when its basket trades again.

All legs are sent at once, immediate or cancel, each at the limit price of the detector's walk. When their answers leave
the legs uneven, the ticket says so and a person is told; nothing is unwound by itself in this form.

A (group, basket) has at most one unfinished ticket. It is armed again when its last ticket is finished, the opportunity
behind that ticket has closed, and the cool-down has passed since, in the detector's own time. An opportunity is
considered once, at first sight, so that one which was passed over does not trade on its next change.

Baskets that share a market are never worked at once: of those the detector emits at one moment the first wins, which is
the one with the highest net. One that only has to wait for another's depth (`streams.core.contention`) is not counted
as considered: its next event is looked at again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from schemas.records import Alert, Control, Execution, Group, GroupStatus, Opportunity, Order, Ticket, TicketState
from streams.core import tickets
from streams.core.contention import Contention
from streams.core.positions import Positions
from streams.core.risk import Halts, Limits, refusal

Basket = tuple[str, str]
"""Group and basket."""


class UnknownTicket(ValueError):
    """An execution names a ticket that was never opened here."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one event, to be published in this order: tickets, orders, alerts.

    `reached` names the states that tickets changed to.
    """

    tickets: tuple[Ticket, ...] = ()
    orders: tuple[Order, ...] = ()
    alerts: tuple[Alert, ...] = ()
    reached: tuple[TicketState, ...] = ()


NOTHING: Final = Decision()

LATER: Final = Decision()
"""Nothing follows now, but the opportunity's next event is considered again."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The executor's bounds. An opportunity whose newest event is older than `maximum_age_ns` is passed over; an order
    unanswered for `unknown_after_ns` is reported."""

    limits: Limits
    cool_down_ns: int
    unknown_after_ns: int
    maximum_age_ns: int


@dataclass(slots=True)
class _BasketState:
    """What is known of one basket."""

    seen: Opportunity | None = None
    """Its newest opportunity event."""
    considered: str = ""
    """The id of the opportunity that was considered last."""
    ticket: Ticket | None = None
    closed_ns: int | None = None
    """When the edge behind its newest ticket closed."""


@dataclass(slots=True)
class Executor:
    """State and decisions, without a clock: every method is given the time it needs (wall clock, nanoseconds).

    All methods check their input before they change anything, so one that raises leaves the state as it was.
    """

    rules: Rules
    halts: Halts = field(default_factory=Halts)
    statuses: dict[str, GroupStatus] = field(default_factory=dict)
    positions: Positions = field(default_factory=Positions)
    _contention: Contention = field(default_factory=Contention)
    _tickets: dict[str, Ticket] = field(default_factory=dict)
    _unfinished: dict[str, int] = field(default_factory=dict)
    """When the orders of each unfinished ticket were sent, by ticket id."""
    _baskets: dict[Basket, _BasketState] = field(default_factory=dict)

    # -- what is known ------------------------------------------------------------------------------------------

    def ticket(self, ticket_id: str) -> Ticket | None:
        """The newest revision of a ticket."""
        return self._tickets.get(ticket_id)

    def unfinished(self) -> Iterator[Ticket]:
        """The tickets that wait for answers, oldest first."""
        return (self._tickets[ticket_id] for ticket_id in self._unfinished)

    def armed(self, group: str, basket: str, time_ns: int) -> bool:
        """Whether an opportunity of this basket, dated `time_ns` by the detector, may become a ticket."""
        state = self._baskets.get((group, basket))
        if state is None or state.ticket is None:
            return True
        if not tickets.is_finished(state.ticket) or state.closed_ns is None:
            return False
        return time_ns >= state.closed_ns + self.rules.cool_down_ns

    # -- references ---------------------------------------------------------------------------------------------

    def on_group(self, group: Group) -> None:
        """Learn a group's status; only approved groups are traded."""
        self.statuses[group.group] = group.status

    def on_group_removed(self, group: str) -> None:
        """Trade a group no more."""
        self.statuses.pop(group, None)

    def on_control(self, control: Control) -> None:
        """Halt or resume new tickets; what is in flight takes its course. Raises ControlRefused."""
        self.halts.take(control)

    # -- events -------------------------------------------------------------------------------------------------

    def on_opportunity(self, opportunity: Opportunity, now_ns: int) -> Decision:
        """Take in one opportunity event; raises BadOpportunity when it cannot be turned into orders."""
        state = self._baskets.setdefault((opportunity.group, opportunity.basket), _BasketState())
        if not _is_news(state.seen, opportunity):
            return NOTHING
        if opportunity.event == "closed":
            self._close(state, opportunity)
            state.seen = opportunity
            return NOTHING
        if now_ns - opportunity.time_ns > self.rules.maximum_age_ns:
            return NOTHING  # not counted as seen: a later, fresh event of it may still trade
        considered = state.considered == opportunity.opportunity_id
        decision = NOTHING if considered else self._consider(opportunity, now_ns)
        state.seen = opportunity
        if decision is not LATER:
            state.considered = opportunity.opportunity_id
        return decision

    def on_execution(self, execution: Execution, now_ns: int) -> Decision:
        """Take in a venue's answer. A repeated one changes nothing; raises UnknownTicket or BadExecution."""
        before = self._tickets.get(execution.ticket_id)
        if before is None:
            raise UnknownTicket(f"execution {execution.execution_id}: ticket {execution.ticket_id} is not known")
        after = tickets.answer(before, execution, now_ns)
        if after is before:
            return NOTHING
        self._contention.bought(after, execution)
        return self._record(after, now_ns)

    def on_time(self, now_ns: int) -> Decision:
        """Report, once a ticket, orders that have been unanswered for too long. Nothing is sent again."""
        decisions: list[Decision] = []
        waited_s = self.rules.unknown_after_ns / 1_000_000_000
        for ticket_id, sent_ns in list(self._unfinished.items()):
            if now_ns - sent_ns > self.rules.unknown_after_ns:
                before = self._tickets[ticket_id]
                after = tickets.mark_unknown(before, f"no answer within {waited_s:g} s", now_ns)
                if after is not before:
                    decisions.append(self._record(after, now_ns))
        return Decision(
            tickets=tuple(ticket for one in decisions for ticket in one.tickets),
            alerts=tuple(alert for one in decisions for alert in one.alerts),
            reached=tuple(state for one in decisions for state in one.reached),
        )

    # -- restart ------------------------------------------------------------------------------------------------

    def restore(self, revisions: Iterable[Ticket], opportunities: Iterable[Opportunity], now_ns: int) -> None:
        """Rebuild an empty executor from the ticket topic's records and the opportunity events that there were.

        Of the opportunities only closings count: they arm baskets, and an event that comes again for what has closed
        since is no news. Nothing is traded. Orders still without an answer are those of `pending_orders`, and their
        waiting time begins anew.
        """
        newest: dict[str, Ticket] = {}
        for ticket in revisions:
            known = newest.get(ticket.ticket_id)
            if known is None or ticket.revision > known.revision:
                # Moved to the end: a basket's newest ticket is the one whose newest revision stands last.
                newest.pop(ticket.ticket_id, None)
                newest[ticket.ticket_id] = ticket
        for ticket in newest.values():
            self._record(ticket, now_ns)
        for opportunity in opportunities:
            if opportunity.event == "closed":
                state = self._baskets.setdefault((opportunity.group, opportunity.basket), _BasketState())
                self._close(state, opportunity)
                if _is_news(state.seen, opportunity):
                    state.seen = opportunity

    def pending_orders(self) -> list[Order]:
        """The orders without an answer, exactly as they were first made: they may never have reached Kafka, and a
        gateway answers each order id once."""
        return [order for ticket in self.unfinished() for order in tickets.orders(ticket)]

    # -- inside -------------------------------------------------------------------------------------------------

    def _consider(self, opportunity: Opportunity, now_ns: int) -> Decision:
        group, venues = opportunity.group, {leg.venue for leg in opportunity.legs}
        if self.statuses.get(group) != "approved" or self.halts.halted(group, venues):
            return NOTHING
        if not self.armed(group, opportunity.basket, opportunity.time_ns):
            return NOTHING
        tickets.check_opportunity(opportunity)
        if self._contention.blocks(opportunity):
            return LATER
        ticket = tickets.open_ticket(opportunity, now_ns)
        if ticket.ticket_id in self._tickets:
            return NOTHING
        reason = refusal(self.rules.limits, self.positions, self.unfinished(), ticket)
        if reason:
            return self._record(tickets.refuse(ticket, reason), now_ns)
        return self._record(ticket, now_ns, orders=tuple(tickets.orders(ticket)))

    def _record(self, ticket: Ticket, now_ns: int, *, orders: tuple[Order, ...] = ()) -> Decision:
        """Make `ticket` the newest revision of itself and of its basket; alert when its new state asks for it."""
        before = self._tickets.get(ticket.ticket_id)
        self.positions.apply(before, ticket)
        self._tickets[ticket.ticket_id] = ticket
        if tickets.is_finished(ticket):
            if self._unfinished.pop(ticket.ticket_id, None) is not None:
                self._contention.end(ticket)
        elif ticket.ticket_id not in self._unfinished:
            self._unfinished[ticket.ticket_id] = now_ns
            self._contention.begin(ticket)
        state = self._baskets.setdefault((ticket.group, ticket.basket), _BasketState())
        if before is None:
            state.ticket, state.closed_ns = ticket, None
        elif state.ticket is before:
            state.ticket = ticket
        if before is not None and before.state == ticket.state:
            return Decision(tickets=(ticket,))
        alert = tickets.alert_for(ticket, now_ns)
        alerts = () if alert is None else (alert,)
        return Decision(tickets=(ticket,), orders=orders, alerts=alerts, reached=(ticket.state,))

    @staticmethod
    def _close(state: _BasketState, opportunity: Opportunity) -> None:
        """Note the first closing that concerns the newest ticket: of its opportunity, or of any later one."""
        if state.ticket is None or state.closed_ns is not None:
            return
        if opportunity.opportunity_id == state.ticket.opportunity_id or opportunity.time_ns > state.ticket.opened_ns:
            state.closed_ns = opportunity.time_ns


def _is_news(seen: Opportunity | None, opportunity: Opportunity) -> bool:
    """Whether the event is newer than the newest seen of its basket; redelivered ones are not."""
    if seen is None or opportunity.opened_ns > seen.opened_ns:
        return True
    if opportunity.opportunity_id == seen.opportunity_id:
        return opportunity.revision > seen.revision
    # A basket that closes and opens again within one stamp: told apart by its id.
    return opportunity.opened_ns == seen.opened_ns and seen.event == "closed" and opportunity.event == "opened"
