"""What may be risked: limits on new tickets, and halts.

Exposure counts the worse case: an order without an answer counts as filled whole at its limit price with the highest
fee. Fees are bounded rather than computed, because a ticket must be weighed again after a restart from itself alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, get_args

from schemas.records import Control, Region, Ticket, TicketLeg, Venue
from schemas.units import (
    FILL_PER_QUANTITY,
    MONEY_SCALE,
    ONE,
    QUANTITY_SCALE,
    RATE_SCALE,
    format_money,
    format_quantity,
)
from streams.core.positions import Positions
from streams.core.tickets import is_pending

FEE_RATE_BOUND: Final = 200_000
"""Rate, in millionths, whose fee rate x P x (1 - P) no taker fee exceeds: the dearest rate known is Kalshi's 0.07 with
the multiplier 2 of specified combos (Kalshi "Fee Rounding"); Polymarket's highest is 0.07."""

ROUNDING_BOUND: Final[dict[Venue, int]] = {"kalshi": 32 * 10_000, "polymarket": 32 * 10}
"""Money by which a venue's rounding may raise one order's fees. Kalshi rounds the balance to at most one cent a fill
and gives back no more than that fill was charged; Polymarket rounds the fee of a fill to 1e-5 dollar. An order meets at
most the 32 levels of a default ladder."""

HALT_ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is open and in flight together: contracts a group over all its legs, money a venue, tickets."""

    group_contracts: int
    venue_money: int
    open_tickets: int


def worst_cost(leg: TicketLeg) -> int:
    """The most that an unanswered leg can cost, fees included (money)."""
    return worst_order_cost(leg.venue, leg.quantity, leg.limit_price)


def worst_order_cost(venue: Venue, quantity: int, limit_price: int) -> int:
    """The most that an order of `quantity` (1e-2 contract) can cost, fees included (money).

    A cheaper fill cannot cost more: price + fee rises with the price while the rate is below 1. The fee is that of the
    price, not of the dearest one: a basket of many cheap legs would else count for several times what it can cost.
    """
    fee = -(-FEE_RATE_BOUND * limit_price * (ONE - limit_price) // (RATE_SCALE * ONE))
    return quantity * (limit_price + fee) + ROUNDING_BOUND[venue]


def group_exposure(group: str, positions: Positions, unfinished: Iterable[Ticket]) -> int:
    """Contracts of a group (1e-6 contract), held and in flight, summed over the legs."""
    in_flight = sum(
        leg.quantity for ticket in unfinished if ticket.group == group for leg in ticket.legs if is_pending(leg)
    )
    return positions.group_fill_quantity(group) + in_flight * FILL_PER_QUANTITY


def venue_exposure(venue: Venue, positions: Positions, unfinished: Iterable[Ticket]) -> int:
    """Money at work on a venue: the cost of what is held and the worst cost of what is in flight."""
    in_flight = sum(
        worst_cost(leg) for ticket in unfinished for leg in ticket.legs if leg.venue == venue and is_pending(leg)
    )
    return positions.venue_cost(venue) + in_flight


def refusal(limits: Limits, positions: Positions, unfinished: Iterable[Ticket], ticket: Ticket) -> str:
    """Why `ticket`, not yet among `unfinished`, must not be worked; empty when it may be.

    Names the limit, the value that it would take, and the bound.
    """
    with_it = [*unfinished, ticket]
    if len(with_it) > limits.open_tickets:
        return f"open tickets: {len(with_it)} of at most {limits.open_tickets}"
    contracts = group_exposure(ticket.group, positions, with_it)
    if contracts > limits.group_contracts * QUANTITY_SCALE * FILL_PER_QUANTITY:
        shown = format_quantity(-(-contracts // FILL_PER_QUANTITY))
        return f"contracts in group {ticket.group}: {shown} of at most {limits.group_contracts}"
    for venue in dict.fromkeys(leg.venue for leg in ticket.legs):
        money = venue_exposure(venue, positions, with_it)
        if money > limits.venue_money:
            bound = limits.venue_money // MONEY_SCALE
            return f"capital on {venue}: {format_money(money)} dollars of at most {bound}"
    return ""


class ControlRefused(ValueError):
    """A control record that this executor cannot obey; the message says why."""


class Halts:
    """Who halted what. A scope is `all`, a venue or a group; it is halted while either origin says so."""

    def __init__(self) -> None:
        self._halted: dict[tuple[str, Region], str] = {}

    def take(self, control: Control) -> None:
        """Obey a halt or a resume: an origin sets and clears only its own. Raises ControlRefused for anything else."""
        if control.action == "halt":
            self._halted[control.scope, control.origin] = control.reason
        elif control.action == "resume":
            self._halted.pop((control.scope, control.origin), None)
        else:
            raise ControlRefused(f"control of scope {control.scope!r} sets {control.action}: only halt and resume work")

    def halted(self, group: str, venues: Iterable[Venue]) -> bool:
        """Whether a trade of this group on these venues is halted."""
        if not self._halted:
            return False
        return any(
            (scope, origin) in self._halted for scope in (HALT_ALL, group, *venues) for origin in get_args(Region)
        )

    def __len__(self) -> int:
        return len(self._halted)
