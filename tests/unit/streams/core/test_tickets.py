"""Tickets of any number of legs: what they expect, what uneven fills are worth at worst, what they say."""

from collections.abc import Sequence
from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import ExecutionKind, Opportunity, Ticket, Venue
from schemas.units import FILL_PER_QUANTITY, ONE
from streams.core.tickets import (
    BadOpportunity,
    alert_for,
    answer,
    guaranteed_payout,
    is_finished,
    open_ticket,
    orders,
)
from tests.unit.trading import SECOND, answer_to, opportunity, opportunity_leg

VENUES: tuple[Venue, ...] = ("kalshi", "polymarket")


def wide(prices: Sequence[int], true: int = 1, quantity: int = 1000) -> Opportunity:
    """A basket of which at least `true` claims come true, one leg a price, on both venues in turn."""
    legs = [
        opportunity_leg(VENUES[number % 2], price, market=f"market-{number}") for number, price in enumerate(prices)
    ]
    payout = quantity * true * ONE
    gross = payout - quantity * sum(prices)
    made = opportunity(legs=legs, quantity=quantity)
    return msgspec.structs.replace(made, payout=payout, gross=gross, net=gross, peak_net=gross)


def answered(ticket: Ticket, answers: Sequence[tuple[ExecutionKind, int, int]], reason: str = "") -> Ticket:
    """The ticket after (kind, quantity, fee) of each leg, the last leg first."""
    for order, (kind, quantity, fee) in reversed(list(zip(orders(ticket), answers, strict=True))):
        ticket = answer(ticket, answer_to(order, kind, quantity, fee=fee, reason=reason), SECOND)
    return ticket


def worst(true: int, fills: Sequence[int]) -> int:
    """By brute force: what the fills (1e-6 contract) pay in the worst outcome with at least `true` true claims."""
    legs = range(len(fills))
    outcomes = [chosen for size in range(true, len(fills) + 1) for chosen in combinations(legs, size)]
    return min(sum(fills[leg] for leg in chosen) for chosen in outcomes) * ONE // FILL_PER_QUANTITY


@st.composite
def fills_of_a_basket(draw: st.DrawFn) -> tuple[int, int, list[int]]:
    """How many claims come true at least, the quantity, and what is held of each claim (1e-6 contract)."""
    count, quantity = draw(st.integers(1, 7)), draw(st.integers(1, 50))
    fill = st.integers(0, quantity * FILL_PER_QUANTITY)
    return draw(st.integers(1, count)), quantity, draw(st.lists(fill, min_size=count, max_size=count))


@given(fills_of_a_basket())
def test_uneven_fills_are_worth_what_they_pay_in_the_worst_outcome(basket: tuple[int, int, list[int]]) -> None:
    true, quantity, fills = basket
    assert guaranteed_payout(quantity * true * ONE, quantity, fills) == worst(true, fills)


@given(fills_of_a_basket())
def test_even_fills_are_worth_their_share_of_the_payout(basket: tuple[int, int, list[int]]) -> None:
    true, quantity, (fill, *others) = basket
    payout = quantity * true * ONE
    even = [fill] * (1 + len(others))
    assert guaranteed_payout(payout, quantity, even) == payout * fill // (quantity * FILL_PER_QUANTITY)


@pytest.mark.parametrize(
    ("true", "fills", "payout"),
    [
        (1, [10, 10, 10], 10),
        (1, [10, 4, 10], 4),
        (1, [10, 0, 10], 0),
        (2, [10, 10, 10], 20),
        (2, [10, 0, 10], 10),
        (2, [10, 0, 0], 0),
        (2, [10, 4, 7], 11),
    ],
)
def test_worst_cases_by_hand(true: int, fills: list[int], payout: int) -> None:
    """Contracts and dollars: of three exclusive markets at least two NO come true, so two that fill still pay once."""
    held = [100 * FILL_PER_QUANTITY * fill for fill in fills]
    assert guaranteed_payout(true * 1000 * ONE, 1000, held) == payout * 1_000_000


KIND: st.SearchStrategy[ExecutionKind] = st.sampled_from(["filled", "cancelled", "rejected"])
ANSWER = st.tuples(KIND, st.integers(1, 400), st.integers(0, 5000))


@st.composite
def answered_baskets(draw: st.DrawFn) -> tuple[Opportunity, int, list[tuple[ExecutionKind, int, int]]]:
    """An opportunity of up to 7 legs, how many claims come true at least, and an answer for each leg."""
    prices = draw(st.lists(st.integers(1, ONE - 1), min_size=2, max_size=7))
    true = draw(st.integers(1, len(prices) - 1))
    answers = draw(st.lists(ANSWER, min_size=len(prices), max_size=len(prices)))
    return wide(prices, true, quantity=400), true, answers


@given(answered_baskets())
def test_a_finished_ticket_says_how_it_ended_and_realises_the_worst_case(
    made: tuple[Opportunity, int, list[tuple[ExecutionKind, int, int]]],
) -> None:
    offer, true, answers = made
    ticket = answered(open_ticket(offer, 0), answers)
    fills = [leg.fill_quantity for leg in ticket.legs]
    assert is_finished(ticket)
    assert ticket.revision == 1 + len(answers)
    assert ticket.realised_net == worst(true, fills) - sum(leg.cost + leg.fee for leg in ticket.legs)
    if len(set(fills)) > 1:
        assert ticket.state == "unbalanced"
    elif fills[0] == 400 * FILL_PER_QUANTITY:
        assert ticket.state == "filled"
    elif fills[0] > 0:
        assert ticket.state == "partial"
    else:
        assert ticket.state in ("cancelled", "rejected")
    assert (alert_for(ticket, 0) is not None) == (ticket.state == "unbalanced")


@given(st.lists(st.tuples(st.integers(1, ONE - 1), st.integers(0, 9999)), min_size=2, max_size=64), st.integers(1, 63))
def test_what_fills_as_in_the_walk_realises_what_was_expected(legs: list[tuple[int, int]], true: int) -> None:
    """Costs that no answer says anything of are not expected either: gas, basis, risk and time."""
    offer = wide([price for price, _ in legs], true)
    fees = sum(fee for _, fee in legs)
    charged = {"gas": 17, "basis": 18, "settlement_risk": 19, "time_value": 20}
    offer = msgspec.structs.replace(offer, fees=fees, net=offer.gross - fees - 74, **charged)
    ticket = answered(open_ticket(offer, 0), [("filled", 1000, fee) for _, fee in legs])
    assert ticket.state == "filled"
    assert ticket.realised_net == ticket.expected_net == offer.gross - offer.fees


def test_a_ticket_of_many_legs_is_said_in_one_line() -> None:
    ticket = open_ticket(wide([100] * 64, 1), 0)
    for number, order in enumerate(orders(ticket)):
        reason = f"no liquidity for {number}.00"
        ticket = answer(ticket, answer_to(order, quantity=1000 - number % 9, reason=reason), SECOND)
    assert ticket.reason == (
        "filled from 9.920000 to 10.000000 on 64 legs of 10.00:"
        " no liquidity for 0.00; no liquidity for 1.00; no liquidity for 2.00; and 61 more"
    )
    alert = alert_for(ticket, 0)
    assert alert is not None
    assert alert.text == (
        f"ticket {ticket.ticket_id} for YES kalshi market-0 + NO polymarket market-1 + YES kalshi market-2 + 61 more"
        f" in group g: {ticket.reason}"
    )


def test_two_legs_of_one_market_make_no_ticket() -> None:
    legs = [opportunity_leg("kalshi", 4000), opportunity_leg("kalshi", 5500, outcome="no")]
    with pytest.raises(BadOpportunity, match="o1: two legs of one market"):
        open_ticket(opportunity(legs=legs), 0)
