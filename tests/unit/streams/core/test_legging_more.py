"""The executor's decisions at their bounds: ages, closings, repetitions, several tickets at once, odd restarts."""

import msgspec
import pytest

from schemas.identity import ticket_id
from schemas.records import Control
from streams.core.legging import NOTHING, Rules, UnknownTicket
from streams.core.risk import ControlRefused
from tests.unit.streams.core.test_legging import RULES, closed, elsewhere, executor, fill_all, opened, other
from tests.unit.trading import SECOND, answer_to, opportunity


@pytest.mark.parametrize("scope", ["all", "g", "kalshi", "polymarket"])
def test_whatever_is_halted_of_an_opportunity_stops_it(scope: str) -> None:
    made = executor()
    halt = Control(scope=scope, origin="eu", action="halt", reason="", limits={}, time_ns=0)
    made.on_control(halt)
    assert opened(made) == NOTHING
    made.on_control(msgspec.structs.replace(halt, action="resume"))
    assert made.on_opportunity(other(), 2 * SECOND).orders
    with pytest.raises(ControlRefused):
        made.on_control(msgspec.structs.replace(halt, action="limits"))


def test_removing_a_group_twice_or_an_unknown_one_is_no_error() -> None:
    made = executor()
    made.on_group_removed("other")
    assert opened(made).orders
    made.on_group_removed("g")
    made.on_group_removed("g")
    assert made.on_opportunity(other(), 2 * SECOND) == NOTHING


def test_an_opportunity_may_be_exactly_as_old_as_allowed() -> None:
    assert executor().on_opportunity(opportunity(), SECOND + RULES.maximum_age_ns).orders


def test_a_closing_counts_however_old_it_is() -> None:
    made = executor()
    fill_all(made, opened(made).orders)
    assert made.on_opportunity(closed(), 3_600 * SECOND) == NOTHING
    assert made.armed("g", "b", 3 * SECOND)


def test_an_execution_for_an_unknown_ticket_is_named() -> None:
    made = executor()
    answer = answer_to(opened(made).orders[0])
    with pytest.raises(UnknownTicket, match=f"^execution {answer.execution_id}: ticket t is not known$"):
        made.on_execution(msgspec.structs.replace(answer, ticket_id="t"), SECOND)


def test_the_newest_revision_of_a_ticket_is_known_by_its_id() -> None:
    made = executor()
    assert made.ticket(ticket_id("o1")) is None
    orders = opened(made).orders
    assert [ticket.revision for ticket in made.unfinished()] == [1]
    last = fill_all(made, orders)
    assert made.ticket(ticket_id("o1")) == last
    assert list(made.unfinished()) == []


def test_a_new_ticket_is_nothing_that_a_person_must_know() -> None:
    decision = opened(executor())
    assert (decision.alerts, decision.reached) == ((), ("working",))


# -- alerts -------------------------------------------------------------------------------------------------------


def test_a_second_unknown_leg_is_recorded_and_not_told_again() -> None:
    made = executor()
    first, second = opened(made).orders
    told = made.on_execution(answer_to(first, "unknown"), 2 * SECOND)
    assert ([one.time_ns for one in told.alerts], told.reached) == ([2 * SECOND], ("unknown",))
    again = made.on_execution(answer_to(second, "unknown"), 3 * SECOND)
    assert ([ticket.revision for ticket in again.tickets], again.alerts, again.reached) == ([3], (), ())


def test_a_half_answered_unknown_ticket_stays_unknown_without_a_second_alert() -> None:
    made = executor()
    first, second = opened(made).orders
    made.on_execution(answer_to(first, "unknown"), 2 * SECOND)
    halfway = made.on_execution(answer_to(second), 3 * SECOND)
    assert (halfway.tickets[0].state, halfway.alerts, halfway.reached) == ("unknown", (), ())
    assert made.on_execution(answer_to(first), 4 * SECOND).reached == ("filled",)


def test_every_ticket_that_waits_too_long_is_reported_at_once() -> None:
    """The first of three was answered, the second is known to be unknown."""
    made = executor(rules(unknown_after_ns=2_500_000_000))
    fill_all(made, opened(made).orders)
    identities = []
    for number in range(3):
        legs = elsewhere(market=f"m{number}")
        legs[0] = msgspec.structs.replace(legs[0], market=f"own{number}")
        offer = opportunity(f"x{number}", basket=f"x{number}", legs=legs, time_ns=2 * SECOND)
        (ticket,) = made.on_opportunity(offer, 2 * SECOND).tickets
        identities.append(ticket.ticket_id)
    for order in made.pending_orders()[:2]:
        made.on_execution(answer_to(order, "unknown"), 3 * SECOND)
    decision = made.on_time(5 * SECOND)
    assert [ticket.ticket_id for ticket in decision.tickets] == identities[1:]
    assert {ticket.reason for ticket in decision.tickets} == {"no answer within 2.5 s"}
    assert {ticket.updated_ns for ticket in decision.tickets} == {5 * SECOND}
    assert [alert.alert_id for alert in decision.alerts] == [f"unknown.{identity}" for identity in identities[1:]]
    assert {alert.time_ns for alert in decision.alerts} == {5 * SECOND}
    assert decision.reached == ("unknown", "unknown")
    assert decision.orders == ()
    assert made.on_time(6 * SECOND) == NOTHING


def rules(**changes: int) -> Rules:
    fields = {"cool_down_ns": SECOND, "unknown_after_ns": 10 * SECOND, "maximum_age_ns": 5 * SECOND}
    return Rules(RULES.limits, **(fields | changes))


# -- closings and news --------------------------------------------------------------------------------------------


def test_the_first_closing_counts_for_the_cool_down() -> None:
    made = executor()
    fill_all(made, opened(made).orders)
    made.on_opportunity(closed(), 2 * SECOND)
    made.on_opportunity(closed("o2", 8 * SECOND, 7 * SECOND), 8 * SECOND)
    assert made.armed("g", "b", 3 * SECOND)


@pytest.mark.parametrize(("time_ns", "armed"), [(SECOND, False), (SECOND + 1, True)])
def test_the_closing_of_another_opportunity_counts_if_it_is_later_than_the_ticket(time_ns: int, armed: bool) -> None:
    made = executor()
    fill_all(made, opened(made).orders)
    made.on_opportunity(closed("o2", time_ns, SECOND + 1), time_ns)
    assert made.armed("g", "b", 99 * SECOND) == armed


def test_a_new_ticket_waits_for_a_closing_of_its_own() -> None:
    made = executor()
    fill_all(made, opened(made).orders)
    made.on_opportunity(closed(), 2 * SECOND)
    orders = opened(made, "o2", 3 * SECOND).orders
    fill_all(made, orders, 3 * SECOND)
    assert not made.armed("g", "b", 99 * SECOND)
    made.on_opportunity(closed("o2", 4 * SECOND, 3 * SECOND), 4 * SECOND)
    assert not made.armed("g", "b", 5 * SECOND - 1)
    assert made.armed("g", "b", 5 * SECOND)


def test_of_two_opportunities_that_opened_at_one_time_the_second_is_news_only_after_a_closing() -> None:
    made = executor()
    made.on_opportunity(closed("o0", SECOND, SECOND), SECOND)
    changed = opportunity("o1", "changed", revision=2, time_ns=SECOND)
    assert made.on_opportunity(changed, SECOND) == NOTHING, "not the one that opened"
    assert opened(made, "o1").orders
    assert opened(made, "o2") == NOTHING


def test_an_event_of_an_opportunity_that_opened_earlier_is_no_news() -> None:
    made = executor()
    made.on_opportunity(closed("o2", 3 * SECOND, 2 * SECOND), 3 * SECOND)
    assert opened(made, "o1", SECOND) == NOTHING
    late = opportunity("o1", "opened", revision=9, time_ns=4 * SECOND, opened_ns=2 * SECOND - 1)
    assert made.on_opportunity(late, 4 * SECOND) == NOTHING
    assert opened(made, "o3", 4 * SECOND).orders


# -- restart ------------------------------------------------------------------------------------------------------


def test_after_a_restart_the_basket_follows_the_ticket_whose_newest_revision_stands_last() -> None:
    """A record that comes twice, and an older one that comes late, do not put a ticket last."""
    made = executor()
    first = (*opened(made).tickets, fill_all(made, tuple(made.pending_orders())))
    made.on_opportunity(closed(), 2 * SECOND)
    second = opened(made, "o2", 3 * SECOND).tickets
    again = executor()
    again.restore([*first, *second, first[1], first[0]], [], 9 * SECOND)
    assert [ticket.opportunity_id for ticket in again.unfinished()] == ["o2"]
    assert not again.armed("g", "b", 99 * SECOND)
    again.on_opportunity(closed("o2", 10 * SECOND, 3 * SECOND), 10 * SECOND)
    assert not again.armed("g", "b", 99 * SECOND), "its orders are unanswered"
    fill_all(again, tuple(again.pending_orders()), 10 * SECOND)
    assert again.armed("g", "b", 11 * SECOND)
    last = (*second, *(again.ticket(ticket.ticket_id) for ticket in second))
    late = executor()
    late.restore([last[0], *first, last[1]], [closed()], 12 * SECOND)  # type: ignore[list-item]
    assert not late.armed("g", "b", 99 * SECOND), "the closing is from before the second"


def test_after_a_restart_positions_and_limits_are_those_of_the_tickets() -> None:
    made = executor()
    tickets = (*opened(made).tickets, fill_all(made, tuple(made.pending_orders())))
    again = executor()
    again.restore(tickets, [], 9 * SECOND)
    assert dict(again.positions) == dict(made.positions)
    assert len(dict(again.positions)) == 2


def test_after_a_restart_what_had_closed_is_no_news_and_what_was_open_is() -> None:
    again = executor()
    again.restore([], [opportunity(), closed("o2", 3 * SECOND, 2 * SECOND), closed("o0", SECOND, 0)], 4 * SECOND)
    assert opened(again, "o2", 2 * SECOND) == NOTHING
    again = executor()
    again.restore([], [opportunity()], 4 * SECOND)
    assert opened(again).orders


def test_an_answer_to_an_older_ticket_leaves_the_basket_with_its_newest() -> None:
    made = executor()
    working = opened(made).tickets
    orders = made.pending_orders()
    fill_all(made, tuple(orders))
    made.on_opportunity(closed(), 2 * SECOND)
    newest = (*opened(made, "o2", 3 * SECOND).tickets, fill_all(made, tuple(made.pending_orders()), 3 * SECOND))
    again = executor()
    again.restore([*working, *newest], [closed("o2", 4 * SECOND, 3 * SECOND)], 9 * SECOND)
    assert again.armed("g", "b", 5 * SECOND)
    for order in orders:
        again.on_execution(answer_to(order), SECOND)
        assert again.armed("g", "b", 5 * SECOND)
    assert again.ticket(ticket_id("o1")) == made.ticket(ticket_id("o1"))
