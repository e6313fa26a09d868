"""Every part of a fill counts by itself, on whichever leg it is."""

import msgspec
import pytest

from streams.core.positions import NOTHING, Position, Positions
from streams.core.tickets import open_ticket
from tests.unit.trading import opportunity


@pytest.mark.parametrize("leg", [0, 1])
@pytest.mark.parametrize("fill", [(1, 0, 0), (0, 5, 0), (0, 1, 0), (0, 0, 7), (0, 0, 1), (3, 5, 7)])
def test_a_part_of_a_fill_counts_until_the_next_revision_replaces_it(leg: int, fill: tuple[int, int, int]) -> None:
    empty = open_ticket(opportunity(), 0)
    legs = list(empty.legs)
    legs[leg] = msgspec.structs.replace(legs[leg], fill_quantity=fill[0], cost=fill[1], fee=fill[2])
    filled = msgspec.structs.replace(empty, legs=tuple(legs))
    held, claim = Position(fill[0], fill[1] + fill[2]), (legs[leg].venue, legs[leg].market, legs[leg].outcome)
    positions = Positions()
    positions.apply(None, filled)
    assert (positions.of(*claim), dict(positions)) == (held, {claim: held})
    assert positions.group_fill_quantity("g") == held.fill_quantity
    assert positions.venue_cost(claim[0]) == held.cost
    positions.apply(filled, empty)
    assert (positions.of(*claim), dict(positions)) == (NOTHING, {})
    assert (positions.group_fill_quantity("g"), positions.venue_cost(claim[0])) == (0, 0)
