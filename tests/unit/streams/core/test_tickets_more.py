"""Tickets, orders and alerts field by field, and answers at the bounds of what an order allows."""

import msgspec
import pytest

from schemas.identity import order_id, ticket_id
from schemas.records import Alert, Execution, Opportunity, Order, Ticket, TicketLeg
from schemas.units import FILL_PER_QUANTITY, ONE
from streams.core.tickets import (
    BadExecution,
    BadOpportunity,
    alert_for,
    answer,
    guaranteed_payout,
    mark_unknown,
    open_ticket,
    orders,
    refuse,
)
from tests.unit.trading import SECOND, answer_to, opportunity, opportunity_leg

TICKET_ID = ticket_id("o1")


def ticket_of(legs: int) -> Ticket:
    """A ticket for 10 contracts of each leg, at 0.10 and every on a market of its own."""
    claims = [opportunity_leg("kalshi", 1000, market=f"m{number}") for number in range(legs)]
    return open_ticket(opportunity(legs=claims), SECOND)


def answered(ticket: Ticket, *quantities: int, reasons: tuple[str, ...] = ()) -> Ticket:
    """The ticket after each leg filled so much (1e-2 contract)."""
    for at, (order, quantity) in enumerate(zip(orders(ticket), quantities, strict=True)):
        reason = reasons[at] if reasons else ""
        ticket = answer(ticket, answer_to(order, quantity=quantity, reason=reason), SECOND)
    return ticket


def test_a_new_ticket_says_everything() -> None:
    offer = msgspec.structs.replace(opportunity(), fees=300, gas=40, net=499_660)
    made = open_ticket(offer, 5 * SECOND)
    claims = (("kalshi", "kalshi-market", "yes", 4000), ("polymarket", "polymarket-market", "no", 5500))
    assert made == Ticket(
        ticket_id=TICKET_ID,
        revision=1,
        state="working",
        reason="",
        opportunity_id="o1",
        group="g",
        basket="b",
        quantity=1000,
        payout=10_000_000,
        expected_net=499_700,
        realised_net=0,
        legs=tuple(
            TicketLeg(
                venue=venue,  # type: ignore[arg-type]
                market=market,
                outcome=outcome,  # type: ignore[arg-type]
                limit_price=price,
                quantity=1000,
                order_id=order_id(TICKET_ID, leg, 0),
                order_state="acknowledged",
                reason="",
                fill_quantity=0,
                cost=0,
                fee=0,
            )
            for leg, (venue, market, outcome, price) in enumerate(claims)
        ),
        opened_ns=5 * SECOND,
        updated_ns=5 * SECOND,
    )


def test_an_order_says_everything() -> None:
    _, second = orders(open_ticket(opportunity(), 5 * SECOND))
    assert second == Order(
        order_id=order_id(TICKET_ID, 1, 0),
        ticket_id=TICKET_ID,
        leg=1,
        attempt=0,
        action="place",
        venue="polymarket",
        market="polymarket-market",
        outcome="no",
        side="buy",
        quantity=1000,
        limit_price=5500,
        time_in_force="immediate_or_cancel",
        created_ns=5 * SECOND,
    )


def test_a_refused_ticket_has_no_order_ids() -> None:
    ticket = open_ticket(opportunity(), SECOND)
    refused = refuse(ticket, "too much")
    never = [
        msgspec.structs.replace(leg, order_id="", order_state="cancelled", reason="never sent") for leg in ticket.legs
    ]
    assert refused == msgspec.structs.replace(ticket, state="refused", reason="too much", legs=tuple(never))
    assert orders(refused) == []


@pytest.mark.parametrize("price", [0, 10_000])
def test_a_price_at_either_end_makes_no_order(price: int) -> None:
    offer = opportunity(legs=[opportunity_leg(limit_price=price)])
    with pytest.raises(BadOpportunity, match=f"^opportunity o1: limit price {price} of kalshi-market$"):
        open_ticket(offer, SECOND)


@pytest.mark.parametrize("price", [1, 9_999])
def test_a_price_just_within_makes_one(price: int) -> None:
    assert [order.limit_price for order in orders(open_ticket(one_leg(price), SECOND))] == [price]


def test_the_smallest_quantity_makes_orders() -> None:
    assert [order.quantity for order in orders(open_ticket(opportunity(quantity=1), SECOND))] == [1, 1]
    with pytest.raises(BadOpportunity, match="^opportunity o1: 0 contracts of 2 legs$"):
        open_ticket(opportunity(quantity=0), SECOND)


def one_leg(price: int) -> Opportunity:
    return opportunity(legs=[opportunity_leg(limit_price=price)])


@pytest.mark.parametrize(("said", "reason"), [("no connection", "no connection"), ("", "kalshi does not know")])
def test_a_leg_that_its_venue_does_not_know_of(said: str, reason: str) -> None:
    ticket = open_ticket(opportunity(), SECOND)
    first, second = ticket.legs
    after = answer(ticket, answer_to(orders(ticket)[0], "unknown", reason=said), 3 * SECOND)
    legs = (msgspec.structs.replace(first, order_state="unknown", reason=reason), second)
    assert after == msgspec.structs.replace(
        ticket, revision=2, state="unknown", reason=reason, legs=legs, updated_ns=3 * SECOND
    )
    assert answer(after, answer_to(orders(ticket)[0], "unknown", reason="again"), 4 * SECOND) is after
    both = mark_unknown(after, "no answer", 5 * SECOND)
    assert (both.revision, both.updated_ns, both.legs[0]) == (3, 5 * SECOND, legs[0])
    assert (both.legs[1].order_state, both.legs[1].reason) == ("unknown", "no answer")


def test_alerts_say_everything() -> None:
    ticket = ticket_of(3)
    claims = "YES kalshi m0 + YES kalshi m1 + YES kalshi m2"
    assert alert_for(ticket, SECOND) is None
    unknown = mark_unknown(ticket, "no answer", 2 * SECOND)
    assert alert_for(unknown, 3 * SECOND) == Alert(
        alert_id=f"unknown.{TICKET_ID}",
        source="executor",
        severity="critical",
        title="An order is unanswered",
        text=f"ticket {TICKET_ID} for {claims} in group g: no answer",
        time_ns=3 * SECOND,
    )
    uneven = alert_for(answered(ticket, 1000, 1, 1), SECOND)
    assert uneven is not None
    assert (uneven.alert_id, uneven.title) == (f"unbalanced.{TICKET_ID}", "A ticket filled unevenly")


def test_uneven_fills_without_reasons_are_said_alone() -> None:
    assert answered(ticket_of(2), 1000, 1).reason == "filled 10.000000 and 0.010000 of 10.00"


def test_three_legs_and_three_reasons_are_all_said() -> None:
    ticket = answered(ticket_of(3), 1000, 2, 1, reasons=("slow", "thin", "closed"))
    assert ticket.reason == "filled 10.000000 and 0.020000 and 0.010000 of 10.00: slow; thin; closed"


@pytest.mark.parametrize(("quantity", "state"), [(1000, "filled"), (999, "partial")])
def test_a_ticket_of_one_leg_ends_like_any_other(quantity: int, state: str) -> None:
    assert answered(ticket_of(1), quantity).state == state


def test_the_smallest_fill_is_a_fill() -> None:
    ticket = ticket_of(2)
    for order in orders(ticket):
        smallest = msgspec.structs.replace(answer_to(order), fill_quantity=1, cost=0)
        ticket = answer(ticket, smallest, SECOND)
    assert (ticket.state, ticket.realised_net) == ("partial", 1)


@pytest.mark.parametrize(
    ("payout", "fills", "paid"),
    [(9_999, [1], 0), (10_001, [1], 1), (1, [FILL_PER_QUANTITY], 1), (ONE, [1, FILL_PER_QUANTITY], 1)],
)
def test_what_fills_pay_is_whole_micro_dollars_rounded_down(payout: int, fills: list[int], paid: int) -> None:
    """Of one hundredth of a contract."""
    assert guaranteed_payout(payout, 1, fills) == paid


def bad(**changes: object) -> Execution:
    """The answer that fills the second leg, but for these fields."""
    return msgspec.structs.replace(answer_to(orders(ticket_of(2))[1]), execution_id="e", **changes)


ORDER = order_id(TICKET_ID, 1, 0)


@pytest.mark.parametrize(
    ("execution", "words"),
    [
        (bad(leg=2), f"ticket {TICKET_ID} has no leg 2"),
        (bad(leg=-1), f"ticket {TICKET_ID} has no leg -1"),
        (bad(order_id="x"), "order x is not that of leg 1"),
        (bad(outcome="no"), f"kalshi m1 no buy is not what order {ORDER} asked for"),
        (bad(side="sell"), f"kalshi m1 yes sell is not what order {ORDER} asked for"),
        (bad(kind="settled"), "settled is no answer to an immediate-or-cancel order"),
        (bad(fill_quantity=-FILL_PER_QUANTITY * 100), "filled -1.000000 of 10.00"),
        (bad(fill_quantity=1000 * FILL_PER_QUANTITY + 1), "filled 10.000001 of 10.00"),
        (bad(kind="cancelled"), "cancelled with 10.000000 filled"),
        (bad(cost=1_000_001), "cost 1000001 or fee 0 does not fit what was filled"),
        (bad(cost=-1), "cost -1 or fee 0 does not fit what was filled"),
        (bad(fee=-1), "cost 1000000 or fee -1 does not fit what was filled"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_by_its_name(execution: Execution, words: str) -> None:
    with pytest.raises(BadExecution) as caught:
        answer(ticket_of(2), execution, SECOND)
    assert str(caught.value) == f"execution e: {words}"


def test_a_second_answer_is_compared_with_the_first() -> None:
    ticket = ticket_of(2)
    first = answer_to(orders(ticket)[0], fee=5)
    after = answer(ticket, first, SECOND)
    assert answer(after, first, 2 * SECOND) is after
    with pytest.raises(BadExecution) as caught:
        answer(after, msgspec.structs.replace(first, fee=6), 2 * SECOND)
    order = orders(ticket)[0].order_id
    assert str(caught.value) == f"order {order} was answered filled and now filled, differently"
