"""Positions are the sum of what the newest revisions of all tickets say."""

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Ticket, TicketLeg
from streams.core.positions import NOTHING, Position, Positions
from streams.core.tickets import open_ticket
from tests.unit.trading import opportunity

FILL = st.tuples(st.integers(0, 1000), st.integers(0, 10**6), st.integers(0, 10**4))


def filled(ticket: Ticket, fills: Sequence[tuple[int, int, int]]) -> Ticket:
    """The ticket with (fill quantity, cost, fee) per leg."""

    def leg(one: TicketLeg, fill: tuple[int, int, int]) -> TicketLeg:
        return msgspec.structs.replace(one, fill_quantity=fill[0], cost=fill[1], fee=fill[2])

    return msgspec.structs.replace(ticket, legs=tuple(map(leg, ticket.legs, fills)))


def test_a_fill_is_held_by_claim_group_and_venue() -> None:
    positions = Positions()
    positions.apply(None, filled(open_ticket(opportunity(), 0), [(700, 2_800, 17), (0, 0, 0)]))
    assert positions.of("kalshi", "kalshi-market", "yes") == Position(700, 2_817)
    assert positions.of("polymarket", "polymarket-market", "no") == NOTHING
    assert positions.group_fill_quantity("g") == 700
    assert positions.venue_cost("kalshi") == 2_817
    assert dict(positions) == {("kalshi", "kalshi-market", "yes"): Position(700, 2_817)}


@given(st.lists(st.tuples(st.integers(0, 2), FILL, FILL), max_size=20))
def test_only_the_newest_revision_of_each_ticket_counts(
    revisions: list[tuple[int, tuple[int, int, int], tuple[int, int, int]]],
) -> None:
    positions, newest = Positions(), dict[int, Ticket]()
    for number, *fills in revisions:
        ticket = filled(open_ticket(opportunity(f"o{number}"), 0), fills)
        positions.apply(newest.get(number), ticket)
        newest[number] = ticket
    legs = [leg for ticket in newest.values() for leg in ticket.legs]
    for venue in ("kalshi", "polymarket"):
        assert positions.venue_cost(venue) == sum(leg.cost + leg.fee for leg in legs if leg.venue == venue)
    assert positions.group_fill_quantity("g") == sum(leg.fill_quantity for leg in legs)
    assert sum(position.fill_quantity for _, position in positions) == positions.group_fill_quantity("g")
