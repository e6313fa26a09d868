"""The most of a basket that may be bought at all: what an executor with nothing open would take.

The bounds are those of `streams.core.risk`, so that no opportunity is sized beyond what its limits allow: contracts a
group over all legs, and money a venue, counted as the worst that the orders can cost. A third bounds what a void may
take, however unlikely it is.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from schemas.records import Level, Venue
from schemas.units import MONEY_SCALE, QUANTITY_SCALE
from streams.core.baskets import Claim
from streams.core.depth import WalkLeg
from streams.core.risk import worst_order_cost


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """Whole contracts over all legs and whole dollars a venue that one opportunity may take, and whole dollars that it
    may fall short of its payout should its event be voided; None: any number."""

    group_contracts: int | None = None
    venue_dollars: int | None = None
    void_dollars: int | None = None


UNLIMITED: Final = SizeLimits()


def most(legs: Sequence[WalkLeg], claims: Sequence[Claim], limits: SizeLimits, shortfall: int) -> int | None:
    """The greatest quantity of each leg (1e-2 contract) within the limits; None when they do not bind.

    `shortfall` is what a void takes from the payout of a contract (1e-4 dollar).
    """
    depth = min(sum(quantity for _, quantity in leg.levels) for leg in legs)
    bound = depth
    if limits.group_contracts is not None:
        bound = min(bound, limits.group_contracts * QUANTITY_SCALE // len(legs))
    if limits.void_dollars is not None and shortfall:
        bound = min(bound, limits.void_dollars * MONEY_SCALE // shortfall)
    if limits.venue_dollars is not None:
        money = limits.venue_dollars * MONEY_SCALE
        for venue in {claim.venue for claim in claims}:
            ladders = [leg.levels for leg, claim in zip(legs, claims, strict=True) if claim.venue == venue]
            bound = _affordable(venue, ladders, money, bound)
    return None if bound == depth else bound


def _affordable(venue: Venue, ladders: Sequence[Sequence[Level]], money: int, bound: int) -> int:
    """The greatest quantity up to `bound` for which all ladders together cost at most `money`: it only rises."""
    if _worst(venue, ladders, bound) <= money:
        return bound
    low, high = 0, bound
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _worst(venue, ladders, middle) <= money else (low, middle)
    return low


def _worst(venue: Venue, ladders: Sequence[Sequence[Level]], quantity: int) -> int:
    return sum(worst_order_cost(venue, quantity, _price_at(levels, quantity)) for levels in ladders)


def _price_at(levels: Sequence[Level], quantity: int) -> int:
    """The price of the last contract when `quantity` is bought, which the levels have."""
    ends = list(accumulate(size for _, size in levels))
    return levels[bisect_left(ends, quantity)][0]
