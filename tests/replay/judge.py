"""What must be true of every finished run, whatever the tape and whatever died on the way."""

from collections import Counter
from itertools import pairwise

from schemas.records import Opportunity
from tests.scenario import BOOK_TOPICS, Outcome

UNFINISHED = {"working", "unknown"}


def everything_is_stored_once(outcome: Outcome) -> None:
    """Each (market, epoch, sequence) once in InfluxDB, each ticket and execution once in Postgres, nothing dead."""
    stored = Counter(outcome.influx_books)
    assert set(stored) == outcome.stored_books()
    assert set(stored.values()) == {1}
    assert Counter(outcome.postgres_tickets) == Counter({t.ticket_id: 1 for t in outcome.tickets})
    assert Counter(outcome.postgres_executions) == Counter({e.execution_id: 1 for e in outcome.executions})
    assert outcome.summary["dead_letters"] == {}
    assert outcome.summary["drained"], outcome.summary["problems"]


def every_order_is_answered_once(outcome: Outcome) -> None:
    """One execution for each order, however often the order was sent."""
    answered = Counter(execution.order_id for execution in {e.execution_id: e for e in outcome.executions}.values())
    assert set(answered) == {order.order_id for order in outcome.orders}
    assert set(answered.values()) <= {1}


def no_basket_is_traded_twice(outcome: Outcome) -> None:
    """One ticket an opportunity, and never two unfinished ones of a basket."""
    newest = {ticket.ticket_id: ticket for ticket in sorted(outcome.tickets, key=lambda t: t.revision)}
    assert not [ticket for ticket in newest.values() if ticket.state in UNFINISHED]
    per_opportunity = Counter(ticket.opportunity_id for ticket in newest.values())
    assert set(per_opportunity.values()) <= {1}
    life: dict[str, list[tuple[int, int]]] = {}
    for ticket in newest.values():
        if ticket.state != "refused":
            life.setdefault(ticket.basket, []).append((ticket.opened_ns, ticket.updated_ns))
    for spans in life.values():
        ordered = sorted(spans)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ordered))


def opportunities_are_well_formed(outcome: Outcome) -> None:
    """An id's revisions rise by one, it opens first and again only after it closed, and its money adds up."""
    revisions: dict[str, list[tuple[int, str]]] = {}
    for opportunity in outcome.opportunities:
        revisions.setdefault(opportunity.opportunity_id, []).append((opportunity.revision, opportunity.event))
        its_money_adds_up(opportunity)
    for events in revisions.values():
        assert [revision for revision, _ in events] == list(range(len(events)))
        kinds = [event for _, event in events]
        assert kinds[0] == "opened"
        assert all((after == "opened") == (before == "closed") for before, after in pairwise(kinds))


def its_money_adds_up(one: Opportunity) -> None:
    """The waterfall sums exactly from payout to net, no step of it gives anything, and a closing has none."""
    steps = (one.fees, one.gas, one.basis, one.settlement_risk, one.time_value)
    assert one.net == one.gross - sum(steps)
    assert min(steps) >= 0
    assert one.survived_ns == one.time_ns - one.opened_ns
    if one.event == "closed":
        assert one.quantity == one.payout == one.gross == one.capital == one.void_payout == one.settles_ns == 0
        return
    costs = [leg.cost for leg in one.legs]
    assert one.gross == one.payout - sum(costs)
    assert one.fees == sum(leg.fee for leg in one.legs)
    assert one.capital == sum(costs) + one.fees + one.gas
    assert one.depth_cost == sum(leg.cost - leg.best_price * one.quantity for leg in one.legs) >= 0
    assert 0 <= one.void_payout <= one.payout
    assert 0 < one.net <= one.peak_net
    assert one.opened_ns <= one.peak_ns <= one.time_ns < one.settles_ns


def every_input_was_journalled(outcome: Outcome) -> None:
    """Every record of the book topics was taken in by the detector at least once."""
    journalled = {
        (item.topic, entry.partition, item.offset + number)
        for entry in outcome.journal
        for item in entry.items
        if item.kind == "input"
        for number in range(item.count)
    }
    there = {place for place in outcome.values if place[0] in BOOK_TOPICS}
    assert sorted(there - journalled) == []
    assert sorted(journalled - there) == []


def the_oracle_agrees(outcome: Outcome) -> None:
    """The detector's events are exactly the oracle's: none missed, none extra, same sizes, same money."""
    emitted, expected = outcome.emitted_events(), outcome.expected_events()
    for basket in sorted(set(emitted) | set(expected)):
        assert emitted.get(basket, []) == expected.get(basket, []), f"basket {basket}"


def all_that_survives_kills(outcome: Outcome) -> None:
    """What holds however many processes were killed."""
    every_input_was_journalled(outcome)
    everything_is_stored_once(outcome)
    every_order_is_answered_once(outcome)
    no_basket_is_traded_twice(outcome)
    opportunities_are_well_formed(outcome)
