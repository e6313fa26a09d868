"""The executor's decisions, one by one; `test_legging_machine` has what holds under any order of events."""

from typing import Any

import msgspec
import pytest

from schemas.identity import order_id, ticket_id
from schemas.records import Control, Opportunity, OpportunityEvent, OpportunityLeg, Order, Ticket
from schemas.units import FILL_PER_QUANTITY, MONEY_SCALE
from streams.core.legging import NOTHING, Decision, Executor, Rules, UnknownTicket
from streams.core.risk import Limits
from streams.core.tickets import BadExecution, BadOpportunity
from tests.unit.trading import SECOND, answer_to, group, opportunity, opportunity_leg

RULES = Rules(
    limits=Limits(group_contracts=10_000, venue_money=100_000 * MONEY_SCALE, open_tickets=20),
    cool_down_ns=SECOND,
    unknown_after_ns=10 * SECOND,
    maximum_age_ns=5 * SECOND,
)


def executor(rules: Rules = RULES) -> Executor:
    made = Executor(rules)
    made.on_group(group())
    return made


def opened(made: Executor, identity: str = "o1", time_ns: int = SECOND) -> Decision:
    return made.on_opportunity(opportunity(identity, time_ns=time_ns), time_ns)


def closed(identity: str = "o1", time_ns: int = 2 * SECOND, opened_ns: int = SECOND) -> Opportunity:
    return opportunity(identity, "closed", revision=9, time_ns=time_ns, opened_ns=opened_ns)


def elsewhere(**leg: Any) -> list[OpportunityLeg]:
    """The legs of another basket: one on a market of its own, one as told, else on another such market."""
    own = opportunity_leg("polymarket", 5500, market="own")
    return [own, opportunity_leg("kalshi", **({"market": "another"} | leg))]


def fill_all(made: Executor, orders: tuple[Order, ...], now_ns: int = SECOND) -> Ticket:
    """Fill every order whole and return the ticket's last revision."""
    return [made.on_execution(answer_to(order), now_ns) for order in orders][-1].tickets[0]


# -- opening ----------------------------------------------------------------------------------------------------


def test_an_opportunity_becomes_a_ticket_and_both_orders_at_once() -> None:
    decision = opened(executor())
    (ticket,) = decision.tickets
    assert (ticket.ticket_id, ticket.state, ticket.revision) == (ticket_id("o1"), "working", 1)
    assert (ticket.payout, ticket.expected_net, ticket.opened_ns) == (10 * MONEY_SCALE, 500_000, SECOND)
    assert decision.reached == ("working",)
    first, second = decision.orders
    assert (first.venue, first.outcome, first.limit_price, first.quantity) == ("kalshi", "yes", 4000, 1000)
    assert (second.venue, second.outcome, second.limit_price, second.quantity) == ("polymarket", "no", 5500, 1000)
    assert {order.time_in_force for order in decision.orders} == {"immediate_or_cancel"}
    assert [order.order_id for order in decision.orders] == [order_id(ticket.ticket_id, leg, 0) for leg in (0, 1)]


@pytest.mark.parametrize("status", ["proposed", "blocked"])
def test_only_approved_groups_are_traded(status: str) -> None:
    made = executor()
    made.on_group(group(status))
    assert opened(made) == NOTHING


def test_an_unknown_or_removed_group_is_not_traded() -> None:
    assert opened(Executor(RULES)) == NOTHING
    made = executor()
    made.on_group_removed("g")
    assert opened(made) == NOTHING


def test_nothing_new_is_traded_while_halted_but_answers_are_taken() -> None:
    made = executor()
    orders = opened(made).orders
    halt = Control(scope="all", origin="eu", action="halt", reason="", limits={}, time_ns=0)
    made.on_control(halt)
    assert made.on_opportunity(opportunity("o2", basket="c"), SECOND) == NOTHING
    assert fill_all(made, orders).state == "filled"
    made.on_control(msgspec.structs.replace(halt, action="resume"))
    assert made.on_opportunity(opportunity("o3", basket="d", legs=elsewhere()), SECOND).orders


def test_an_opportunity_is_considered_once() -> None:
    made = executor()
    made.on_group(group("proposed"))
    assert opened(made) == NOTHING
    made.on_group(group())
    assert made.on_opportunity(opportunity(event="changed", revision=2), SECOND) == NOTHING
    assert opened(made) == NOTHING


def test_an_opportunity_first_seen_by_its_change_is_traded() -> None:
    assert executor().on_opportunity(opportunity(event="changed", revision=7), SECOND).orders


def test_a_stale_opportunity_waits_for_a_fresh_event() -> None:
    made = executor()
    assert made.on_opportunity(opportunity(), SECOND + RULES.maximum_age_ns + 1) == NOTHING
    fresh = opportunity(event="changed", revision=2, time_ns=7 * SECOND, opened_ns=SECOND)
    assert made.on_opportunity(fresh, 7 * SECOND).orders


def test_an_opportunity_that_makes_no_order_is_named() -> None:
    made = executor()
    with pytest.raises(BadOpportunity, match="o1: 0 contracts of 2 legs"):
        made.on_opportunity(opportunity(quantity=0), SECOND)
    with pytest.raises(BadOpportunity, match="limit price 10000 of kalshi-market"):
        made.on_opportunity(opportunity(legs=[opportunity_leg(limit_price=10_000)]), SECOND)
    assert opened(made, "o2").orders


# -- baskets that share markets ---------------------------------------------------------------------------------


def other(event: OpportunityEvent = "opened", revision: int = 0, **leg: Any) -> Opportunity:
    """An opportunity of another basket, one leg of it as told."""
    return opportunity("other", event, revision=revision, basket="other", time_ns=2 * SECOND, legs=elsewhere(**leg))


@pytest.mark.parametrize("outcome", ["yes", "no"])
def test_a_basket_that_shares_a_market_waits_for_the_unfinished_ticket(outcome: str) -> None:
    made = executor()
    orders = opened(made).orders
    shared: dict[str, Any] = {"market": "kalshi-market", "outcome": outcome, "sequence": 2}
    assert made.on_opportunity(other(**shared), 2 * SECOND) == NOTHING
    fill_all(made, orders[:1], 2 * SECOND)
    assert made.on_opportunity(other("changed", 1, **shared), 2 * SECOND) == NOTHING, "one leg is still unanswered"
    fill_all(made, orders[1:], 2 * SECOND)
    assert made.on_opportunity(other("changed", 1, **shared), 2 * SECOND) == NOTHING, "the same event again"
    assert len(made.on_opportunity(other("changed", 2, **shared), 2 * SECOND).orders) == 2


def test_what_waits_is_as_quiet_as_the_cool_down() -> None:
    made = executor()
    opened(made)
    assert made.on_opportunity(other(market="kalshi-market"), 2 * SECOND) == NOTHING
    assert [ticket.opportunity_id for ticket in made.unfinished()] == ["o1"]
    assert made.armed("g", "other", 2 * SECOND)
    assert made.on_opportunity(other("closed", 1, market="kalshi-market"), 2 * SECOND) == NOTHING


def test_baskets_without_a_common_market_are_worked_at_once() -> None:
    made = executor()
    opened(made)
    assert made.on_opportunity(other(), 2 * SECOND).orders
    assert len(list(made.unfinished())) == 2


def test_an_unknown_order_is_waited_for_also_after_a_restart() -> None:
    made = executor()
    tickets = opened(made).tickets
    tickets += made.on_time(20 * SECOND).tickets
    again = executor()
    again.restore(tickets, [], 2 * SECOND)
    assert again.on_opportunity(other(market="kalshi-market", sequence=9), 2 * SECOND) == NOTHING
    assert len(list(again.unfinished())) == 1


def test_a_claim_bought_for_another_basket_waits_for_a_book_that_shows_it() -> None:
    made = executor()
    fill_all(made, opened(made).orders)  # from the book of sequence 1
    shared: dict[str, Any] = {"market": "kalshi-market", "outcome": "yes"}
    assert made.on_opportunity(other(**shared, sequence=1), 2 * SECOND) == NOTHING
    assert made.on_opportunity(other("changed", 1, **shared, sequence=2), 2 * SECOND).orders


def test_a_bad_opportunity_is_named_also_where_it_would_have_to_wait() -> None:
    made = executor()
    opened(made)
    with pytest.raises(BadOpportunity, match="other: limit price 10000"):
        made.on_opportunity(other(market="kalshi-market", limit_price=10_000), 2 * SECOND)


def test_one_that_is_considered_and_passed_over_does_not_come_back_as_one_that_waits() -> None:
    made = executor()
    orders = opened(made).orders
    made.on_group(group("blocked"))
    assert made.on_opportunity(other(market="kalshi-market"), 2 * SECOND) == NOTHING
    made.on_group(group())
    fill_all(made, orders, 2 * SECOND)
    assert made.on_opportunity(other("changed", 1, market="kalshi-market", sequence=2), 2 * SECOND) == NOTHING


# -- limits -----------------------------------------------------------------------------------------------------


def test_a_refusal_is_one_ticket_that_names_the_limit_and_sends_nothing() -> None:
    tight = Limits(19, RULES.limits.venue_money, 20)
    made = executor(Rules(tight, SECOND, SECOND, SECOND))
    decision = opened(made)
    (ticket,) = decision.tickets
    assert (ticket.state, ticket.reason) == ("refused", "contracts in group g: 20.00 of at most 19")
    assert (decision.orders, made.pending_orders(), dict(made.positions)) == ((), [], {})
    # Neither a change nor another opportunity before the close makes a second record.
    assert made.on_opportunity(opportunity(event="changed", revision=2), SECOND) == NOTHING
    assert opened(made, "o2", 9 * SECOND) == NOTHING


# -- answers ----------------------------------------------------------------------------------------------------


def test_both_legs_filled_is_filled_and_realises_payout_less_costs_and_fees() -> None:
    made = executor()
    first, second = opened(made).orders
    halfway = made.on_execution(answer_to(first, fee=70_000), 2 * SECOND)
    assert (halfway.tickets[0].state, halfway.reached) == ("working", ())
    ticket = made.on_execution(answer_to(second, fee=30_000), 3 * SECOND).tickets[0]
    assert (ticket.state, ticket.revision, ticket.updated_ns) == ("filled", 3, 3 * SECOND)
    assert ticket.realised_net == 10_000_000 - 4_000_000 - 5_500_000 - 100_000
    assert list(made.unfinished()) == []
    assert made.positions.of("kalshi", "kalshi-market", "yes") == (1000 * FILL_PER_QUANTITY, 4_070_000)


def test_equal_parts_are_partial() -> None:
    made = executor()
    for order in opened(made).orders:
        decision = made.on_execution(answer_to(order, quantity=250), SECOND)
    assert decision.reached == ("partial",)
    assert decision.tickets[0].realised_net == 2_500_000 - 250 * 9500


def test_unequal_fills_are_unbalanced_the_surplus_worth_nothing_and_a_person_is_told() -> None:
    made = executor()
    first, second = opened(made).orders
    made.on_execution(answer_to(first, quantity=1000), SECOND)
    decision = made.on_execution(answer_to(second, quantity=400, reason="no liquidity"), SECOND)
    (ticket,) = decision.tickets
    assert ticket.state == "unbalanced"
    assert ticket.reason == "filled 10.000000 and 4.000000 of 10.00: no liquidity"
    assert ticket.realised_net == 4_000_000 - 4_000_000 - 400 * 5500
    assert [alert.alert_id for alert in decision.alerts] == [f"unbalanced.{ticket.ticket_id}"]
    assert decision.orders == ()


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (("rejected", "rejected"), "rejected"),
        (("cancelled", "rejected"), "cancelled"),
        (("cancelled", "cancelled"), "cancelled"),
    ],
)
def test_no_fill_at_all(kinds: tuple[str, str], state: str) -> None:
    made = executor()
    for order, kind in zip(opened(made).orders, kinds, strict=True):
        decision = made.on_execution(answer_to(order, kind, reason="why"), SECOND)  # type: ignore[arg-type]
    (ticket,) = decision.tickets
    assert (ticket.state, ticket.reason, ticket.realised_net) == (state, "why", 0)


def test_a_repeated_answer_changes_nothing_also_after_the_ticket_is_finished() -> None:
    made = executor()
    orders = opened(made).orders
    assert made.on_execution(answer_to(orders[0]), SECOND) != NOTHING
    assert made.on_execution(answer_to(orders[0]), SECOND) == NOTHING
    fill_all(made, orders[1:])
    assert [made.on_execution(answer_to(order), SECOND) for order in orders] == [NOTHING, NOTHING]


def test_answers_that_do_not_fit_are_refused_and_change_nothing() -> None:
    made = executor()
    first, second = opened(made).orders
    good = answer_to(first)
    bad = {
        "ticket": (UnknownTicket, msgspec.structs.replace(good, ticket_id="other")),
        "no leg 5": (BadExecution, msgspec.structs.replace(good, leg=5)),
        "is not that of leg 1": (BadExecution, msgspec.structs.replace(good, leg=1)),
        "asked for": (BadExecution, msgspec.structs.replace(good, market="other")),
        "is no answer": (BadExecution, msgspec.structs.replace(good, kind="settled")),
        "of 10.00": (BadExecution, msgspec.structs.replace(good, fill_quantity=good.fill_quantity + 1)),
        "rejected with": (BadExecution, msgspec.structs.replace(good, kind="rejected")),
        "filled with 0.000000": (BadExecution, answer_to(first, quantity=0)),
        "cost": (BadExecution, msgspec.structs.replace(good, cost=good.cost + 1)),
    }
    for words, (error, execution) in bad.items():
        with pytest.raises(error, match=words):
            made.on_execution(execution, SECOND)
    assert made.pending_orders() == [first, second]
    made.on_execution(good, SECOND)
    with pytest.raises(BadExecution, match="answered filled and now rejected"):
        made.on_execution(answer_to(first, "rejected"), SECOND)


def test_an_unanswered_order_is_reported_once_and_may_still_be_answered() -> None:
    made = executor()
    first, second = opened(made).orders
    made.on_execution(answer_to(first), SECOND)
    assert made.on_time(SECOND + RULES.unknown_after_ns) == NOTHING
    decision = made.on_time(SECOND + RULES.unknown_after_ns + 1)
    (ticket,) = decision.tickets
    assert (ticket.state, ticket.reason, ticket.legs[1].order_state) == ("unknown", "no answer within 10 s", "unknown")
    assert ticket.legs[0].order_state == "filled"
    assert [alert.severity for alert in decision.alerts] == ["critical"]
    assert made.on_time(100 * SECOND) == NOTHING
    assert made.pending_orders() == [second]
    assert made.on_execution(answer_to(second), 101 * SECOND).reached == ("filled",)


def test_a_venue_that_does_not_know_leaves_the_other_leg_waiting() -> None:
    made = executor()
    first, _second = opened(made).orders
    (ticket,) = made.on_execution(answer_to(first, "unknown"), SECOND).tickets
    assert [leg.order_state for leg in ticket.legs] == ["unknown", "acknowledged"]
    assert made.on_execution(answer_to(first, "acknowledged"), SECOND) == NOTHING


# -- arming -----------------------------------------------------------------------------------------------------


def test_a_basket_is_armed_again_after_the_ticket_the_close_and_the_cool_down() -> None:
    made = executor()
    orders = opened(made).orders
    assert made.on_opportunity(closed(), 2 * SECOND) == NOTHING
    assert not made.armed("g", "b", 9 * SECOND), "the ticket is unfinished"
    fill_all(made, orders)
    assert not made.armed("g", "b", 3 * SECOND - 1), "the cool-down has not passed"
    assert made.armed("g", "b", 3 * SECOND)
    assert opened(made, "o2", 3 * SECOND).orders


def test_a_finished_ticket_alone_does_not_arm() -> None:
    made = executor()
    fill_all(made, opened(made).orders)
    assert opened(made, "o2", 9 * SECOND) == NOTHING
    # What was passed over does not count as closed by its change; the close of any later opportunity does.
    made.on_opportunity(closed("o2", 10 * SECOND, 9 * SECOND), 10 * SECOND)
    assert opened(made, "o3", 11 * SECOND).orders


def test_an_old_event_that_comes_again_is_not_news() -> None:
    made = executor()
    first = opened(made)
    made.on_opportunity(closed(), 2 * SECOND)
    fill_all(made, first.orders)
    assert opened(made, "o2", 3 * SECOND).orders
    for old in (opportunity(), closed()):
        assert made.on_opportunity(old, 3 * SECOND) == NOTHING
    assert not made.armed("g", "b", 99 * SECOND)


def test_an_old_event_does_not_make_a_passed_over_opportunity_new() -> None:
    made = executor()
    orders = opened(made).orders
    made.on_opportunity(closed(), 2 * SECOND)
    assert opened(made, "o2", 4 * SECOND) == NOTHING, "the ticket of the first is unfinished"
    fill_all(made, orders)
    made.on_opportunity(opportunity(), 4 * SECOND)
    changed = opportunity("o2", "changed", revision=2, time_ns=5 * SECOND, opened_ns=4 * SECOND)
    assert made.on_opportunity(changed, 5 * SECOND) == NOTHING


def test_a_basket_that_closes_and_opens_within_one_stamp_is_seen() -> None:
    made = executor(Rules(RULES.limits, 0, SECOND, SECOND))
    fill_all(made, opened(made).orders)
    made.on_opportunity(closed(time_ns=SECOND), SECOND)
    assert opened(made, "o2", SECOND).orders


# -- restart ----------------------------------------------------------------------------------------------------


def test_after_a_restart_unanswered_orders_are_the_same_orders() -> None:
    made = executor()
    decision = opened(made)
    halfway = made.on_execution(answer_to(decision.orders[0]), SECOND).tickets
    again = executor()
    again.restore([*halfway, *decision.tickets], [], 50 * SECOND)
    assert again.pending_orders() == [decision.orders[1]]
    assert not again.armed("g", "b", 99 * SECOND)
    assert again.on_time(60 * SECOND) == NOTHING, "waiting begins anew"
    assert again.on_time(60 * SECOND + 1).reached == ("unknown",)
    assert again.on_execution(answer_to(decision.orders[1]), 61 * SECOND).reached == ("filled",)


def test_after_a_restart_an_event_that_comes_again_makes_no_second_ticket() -> None:
    made = executor()
    tickets = (*opened(made).tickets, fill_all(made, tuple(made.pending_orders())))
    again = executor()
    again.restore(tickets, [], SECOND)
    assert opened(again) == NOTHING
    again.on_opportunity(closed(), 2 * SECOND)
    assert opened(again, "o2", 3 * SECOND).orders


def test_after_a_restart_a_close_seen_before_still_arms() -> None:
    made = executor()
    tickets = (*opened(made).tickets, fill_all(made, tuple(made.pending_orders())))
    again = executor()
    again.restore(tickets, [opportunity(), closed(), closed("o9", 99 * SECOND)], 9 * SECOND)
    assert again.armed("g", "b", 3 * SECOND)


def test_a_close_from_before_the_ticket_does_not_arm() -> None:
    made = executor()
    tickets = (*opened(made, time_ns=5 * SECOND).tickets, fill_all(made, tuple(made.pending_orders())))
    again = executor()
    again.restore(tickets, [closed("o0", 4 * SECOND)], 9 * SECOND)
    assert not again.armed("g", "b", 99 * SECOND)


def test_no_opportunity_gets_a_second_ticket_even_without_a_cool_down() -> None:
    rules = Rules(RULES.limits, 0, SECOND, SECOND)
    made = executor(rules)
    tickets = (*opened(made).tickets, fill_all(made, tuple(made.pending_orders())))
    again = executor(rules)
    again.restore(tickets, [closed(time_ns=SECOND)], SECOND)
    assert again.armed("g", "b", SECOND)
    assert opened(again) == NOTHING
