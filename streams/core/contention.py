"""Whether an opportunity wants what a ticket has taken or is taking: the same depth, counted twice by the detector.

The baskets of one group share claims, and the detector looks at each alone. Two things stand in a ticket's way: an
unfinished ticket works one of its markets (the same claim wants the same depth, the opposite claim undoes it); or a leg
was decided on a book that is no newer than the one from which another basket's ticket has bought that claim.

The second is what this process has seen filled. After a restart it begins empty: a ticket may then find less than the
detector saw, and ends uneven or cancelled at worst.
"""

from collections import Counter
from dataclasses import dataclass, field

from schemas.records import Execution, Opportunity, Ticket, Venue
from streams.core.positions import Claim

Market = tuple[Venue, str]
"""Venue and market."""

Version = tuple[int, int]
"""Epoch and sequence of a book."""


@dataclass(slots=True)
class Contention:
    """Which markets are being worked, and from which book each claim was bought last."""

    _worked: Counter[Market] = field(default_factory=Counter)
    _bought: dict[Claim, tuple[Version, str]] = field(default_factory=dict)
    """The book's version and the basket it was bought for."""

    def begin(self, ticket: Ticket) -> None:
        """A ticket's orders go out."""
        self._worked.update((leg.venue, leg.market) for leg in ticket.legs)

    def end(self, ticket: Ticket) -> None:
        """A ticket that began has all its answers."""
        for leg in ticket.legs:
            market = leg.venue, leg.market
            self._worked[market] -= 1
            if not self._worked[market]:
                del self._worked[market]

    def bought(self, ticket: Ticket, execution: Execution) -> None:
        """An order of the ticket was answered."""
        if execution.fill_quantity > 0:
            claim = execution.venue, execution.market, execution.outcome
            self._bought[claim] = (execution.book_epoch, execution.book_sequence), ticket.basket

    def blocks(self, opportunity: Opportunity) -> bool:
        """Whether the opportunity must wait: for answers, or for books that show what was bought."""
        for leg in opportunity.legs:
            if (leg.venue, leg.market) in self._worked:
                return True
            bought = self._bought.get((leg.venue, leg.market, leg.outcome))
            if bought is not None and bought[1] != opportunity.basket and (leg.epoch, leg.sequence) <= bought[0]:
                return True
        return False
