"""What is held: positions per claim, folded from the fills that tickets report.

Nothing settles in this form, so every fill stays an open position and its cost stays at work.
"""

from collections.abc import Iterator
from typing import NamedTuple

from schemas.records import Outcome, Ticket, Venue

Claim = tuple[Venue, str, Outcome]
"""Venue, market and outcome: what one contract is a claim on."""


class Position(NamedTuple):
    """Contracts held of one claim (1e-6 contract) and what they cost, fees included (money)."""

    fill_quantity: int
    cost: int


NOTHING = Position(0, 0)


class Positions:
    """All positions and their sums by group and by venue. A ticket counts as what its newest revision says."""

    def __init__(self) -> None:
        self._claims: dict[Claim, Position] = {}
        self._groups: dict[str, int] = {}
        self._venues: dict[Venue, int] = {}

    def apply(self, before: Ticket | None, after: Ticket) -> None:
        """Replace what `before`, the last revision applied of this ticket, contributed by what `after` does."""
        if before is not None:
            self._add(before, -1)
        self._add(after, 1)

    def of(self, venue: Venue, market: str, outcome: Outcome) -> Position:
        """The position in one claim."""
        return self._claims.get((venue, market, outcome), NOTHING)

    def group_fill_quantity(self, group: str) -> int:
        """Contracts held in a group, summed over its claims (1e-6 contract)."""
        return self._groups.get(group, 0)

    def venue_cost(self, venue: Venue) -> int:
        """What the positions on a venue cost, fees included (money)."""
        return self._venues.get(venue, 0)

    def __iter__(self) -> Iterator[tuple[Claim, Position]]:
        return iter(self._claims.items())

    def _add(self, ticket: Ticket, sign: int) -> None:
        for leg in ticket.legs:
            if leg.fill_quantity == 0 and leg.cost == 0 and leg.fee == 0:
                continue
            fill_quantity, cost = sign * leg.fill_quantity, sign * (leg.cost + leg.fee)
            claim = (leg.venue, leg.market, leg.outcome)
            held = Position(self.of(*claim).fill_quantity + fill_quantity, self.of(*claim).cost + cost)
            if held == NOTHING:
                self._claims.pop(claim, None)
            else:
                self._claims[claim] = held
            self._groups[ticket.group] = self._groups.get(ticket.group, 0) + fill_quantity
            self._venues[leg.venue] = self._venues.get(leg.venue, 0) + cost
