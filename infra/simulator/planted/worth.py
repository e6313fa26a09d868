"""What a basket is worth at its best size: exact money, found by trying every quantity.

Fees follow the venues' pages as `infra.simulator.edges` reads them, with the rate as a parameter. Units: price 1e-4
dollar, size 1e-2 contract, money 1e-6 dollar, rates millionths.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from infra.simulator.edges import KALSHI_ALIGNMENT, ONE_DOLLAR, Ladder

_CURVE = 10_000_000_000
"""rate x size x price x (1 - price) is 1e-6 dollar times this."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one claim can be bought at, best first, and the terms of its market."""

    venue: str
    ladder: Ladder
    rate: int
    minimum_quantity: int = 0
    minimum_value: int = 0


@dataclass(frozen=True, slots=True)
class Worth:
    """A size and its cash: net = gross - fees, gross = payout - costs; `charged` is net less the charges asked for."""

    quantity: int
    gross: int
    fees: int
    charged: int

    @property
    def net(self) -> int:
        """Cash that is left."""
        return self.gross - self.fees


def fill_fee(offer: Offer, accumulator: int, price: int, size: int) -> tuple[int, int]:
    """The fee of an order's next fill, and what rounding has taken from the order so far."""
    exact = offer.rate * size * price * (ONE_DOLLAR - price)
    if offer.venue == "kalshi":
        fee = -(-exact // _CURVE)
        rounding = -(price * size + fee) % KALSHI_ALIGNMENT
        accumulator += rounding
        rebate = min(accumulator, fee + rounding) // KALSHI_ALIGNMENT * KALSHI_ALIGNMENT
        return fee + rounding - rebate, accumulator - rebate
    whole, rest = divmod(exact, 10 * _CURVE)
    up = 2 * rest > 10 * _CURVE or (2 * rest == 10 * _CURVE and whole % 2 == 1)
    return 10 * (whole + up), accumulator


def bought(offer: Offer, quantity: int) -> tuple[int, int]:
    """Cost and fee of buying a quantity from the ladder; ValueError when it is not deep enough."""
    cost = fees = accumulator = 0
    for price, size in offer.ladder:
        taken = min(size, quantity)
        fee, accumulator = fill_fee(offer, accumulator, price, taken)
        cost, fees, quantity = cost + price * taken, fees + fee, quantity - taken
        if not quantity:
            return cost, fees
    raise ValueError(f"the ladder lacks {quantity} hundredths of a contract")


def outlays(offer: Offer, depth: int) -> tuple[list[int], list[int]]:
    """What an order for 0, 1, 2 .. `depth` hundredths of a contract costs, and its fees."""
    costs, fees = [0], [0]
    accumulator = 0
    for price, size in offer.ladder:
        fills = range(1, min(size, depth + 1 - len(costs)) + 1)
        cost, fee = costs[-1], fees[-1]
        costs += [cost + price * taken for taken in fills]
        found = [fill_fee(offer, accumulator, price, taken) for taken in fills]
        fees += [fee + one for one, _ in found]
        accumulator = found[-1][1] if found else accumulator
    return costs, fees


def best(offers: Sequence[Offer], payout: int, charges: Sequence[int] = (0,)) -> list[Worth | None]:
    """The most profitable permitted quantity under each charge (1e-4 dollar a contract); the smallest among equals.

    `payout` is 1e-4 dollar a contract of each claim. Past the depth that crosses before fees every further contract
    loses, so the search ends there, or at the first permitted quantity when even that lies deeper. None when no
    permitted quantity can be filled.
    """
    depth, limit = min(sum(size for _, size in offer.ladder) for offer in offers), crossing_depth(offers, payout)
    legs = [outlays(offer, limit) for offer in offers]
    if not _permitted(offers, legs, limit):
        legs = [outlays(offer, depth) for offer in offers]
    least = next((quantity for quantity in range(1, depth + 1) if _permitted(offers, legs, quantity)), depth + 1)
    if least > depth:
        return [None] * len(charges)
    quantities = range(least, max(least, limit) + 1)
    nets = [payout * quantity for quantity in quantities]
    for costs, fees in legs:
        nets = [net - costs[quantity] - fees[quantity] for net, quantity in zip(nets, quantities, strict=True)]
    return [_at_best(legs, payout, quantities, nets, charge) for charge in charges]


def _at_best(
    legs: Sequence[tuple[list[int], list[int]]], payout: int, quantities: range, nets: list[int], charge: int
) -> Worth:
    charged = [net - charge * quantity for net, quantity in zip(nets, quantities, strict=True)] if charge else nets
    most = max(charged)
    quantity = quantities[charged.index(most)]
    gross = payout * quantity - sum(costs[quantity] for costs, _ in legs)
    return Worth(quantity, gross, sum(fees[quantity] for _, fees in legs), most)


def _permitted(offers: Sequence[Offer], legs: Sequence[tuple[list[int], list[int]]], quantity: int) -> bool:
    """Whether every venue takes an order of this size; a larger one is then taken as well."""
    return all(
        quantity >= offer.minimum_quantity and costs[quantity] >= offer.minimum_value
        for offer, (costs, _) in zip(offers, legs, strict=True)
    )


def crossing_depth(offers: Sequence[Offer], payout: int) -> int:
    """How much of all ladders costs less than the payout together before fees."""
    depth, left = 0, [list(offer.ladder) for offer in offers]
    while all(left) and sum(ladder[0][0] for ladder in left) < payout:
        size = min(ladder[0][1] for ladder in left)
        depth += size
        for ladder in left:
            price, available = ladder[0]
            ladder[:1] = [(price, available - size)] if available > size else []
    return depth
