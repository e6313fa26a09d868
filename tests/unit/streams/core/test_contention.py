"""Who waits for whose depth."""

from collections.abc import Sequence

import msgspec
import pytest

from schemas.records import Opportunity, OpportunityLeg, Outcome
from streams.core.contention import Contention
from streams.core.tickets import open_ticket, orders
from tests.unit.trading import answer_to, opportunity, opportunity_leg


def leg(market: str, outcome: Outcome, sequence: int = 1, epoch: int = 1) -> OpportunityLeg:
    return opportunity_leg("kalshi", market=market, outcome=outcome, sequence=sequence, epoch=epoch)


def offer(basket: str, *legs: OpportunityLeg) -> Opportunity:
    return opportunity(f"of {basket}", basket=basket, legs=legs)


TAKEN = offer("taken", leg("A", "yes"), leg("B", "no"))


@pytest.mark.parametrize(
    ("legs", "waits"),
    [
        ([leg("A", "yes"), leg("C", "no")], True),
        ([leg("A", "no"), leg("C", "no")], True),
        ([leg("A", "yes"), leg("B", "no")], True),
        ([leg("C", "yes"), leg("D", "yes"), leg("E", "yes"), leg("B", "yes")], True),
        ([leg("C", "yes"), leg("D", "no")], False),
        ([opportunity_leg("polymarket", market="A")], False),
    ],
)
def test_a_market_that_is_worked_is_waited_for_whatever_the_claim(legs: Sequence[OpportunityLeg], waits: bool) -> None:
    contention = Contention()
    ticket = open_ticket(TAKEN, 0)
    wanted = offer("wanted", *legs)
    assert not contention.blocks(wanted)
    contention.begin(ticket)
    assert contention.blocks(wanted) is waits
    contention.end(ticket)
    assert not contention.blocks(wanted)


def test_a_market_worked_twice_is_waited_for_until_both_are_done() -> None:
    """Tickets of an earlier version, restored: it did not know of contention."""
    contention = Contention()
    tickets = [open_ticket(TAKEN, 0), open_ticket(offer("other", leg("A", "yes")), 0)]
    for ticket in tickets:
        contention.begin(ticket)
    contention.end(tickets[0])
    assert contention.blocks(TAKEN)
    contention.end(tickets[1])
    assert not contention.blocks(TAKEN)


def bought(*, epoch: int, sequence: int, quantity: int = 5) -> Contention:
    contention, ticket = Contention(), open_ticket(TAKEN, 0)
    filled = answer_to(orders(ticket)[0], "filled" if quantity else "cancelled", quantity)
    contention.bought(ticket, msgspec.structs.replace(filled, book_epoch=epoch, book_sequence=sequence))
    return contention


@pytest.mark.parametrize(
    ("wanted", "waits"),
    [
        (leg("A", "yes", sequence=7, epoch=3), True),
        (leg("A", "yes", sequence=6, epoch=3), True),
        (leg("A", "yes", sequence=9, epoch=2), True),
        (leg("A", "yes", sequence=8, epoch=3), False),
        (leg("A", "yes", sequence=0, epoch=4), False),
        (leg("A", "no", sequence=7, epoch=3), False),
        (leg("B", "no", sequence=7, epoch=3), False),
    ],
)
def test_a_claim_bought_for_another_basket_waits_for_a_newer_book(wanted: OpportunityLeg, waits: bool) -> None:
    contention = bought(epoch=3, sequence=7)
    assert contention.blocks(offer("wanted", wanted, leg("C", "no"))) is waits
    assert not contention.blocks(offer("taken", wanted, leg("C", "no"))), "a basket has its own cool-down"


def test_the_least_fill_counts() -> None:
    contention, ticket = Contention(), open_ticket(TAKEN, 0)
    least = msgspec.structs.replace(answer_to(orders(ticket)[0], "filled", 1), fill_quantity=1, book_sequence=1)
    contention.bought(ticket, least)
    assert contention.blocks(offer("wanted", leg("A", "yes")))


def test_what_did_not_fill_took_nothing() -> None:
    assert not bought(epoch=3, sequence=7, quantity=0).blocks(offer("wanted", leg("A", "yes")))
