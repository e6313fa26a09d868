"""What an edge is worth: exact profit of buying one claim on Kalshi and the opposite one on Polymarket.

Written for the planted answers of the generated tape, apart from the detector and by exhaustive search, so that each
can be held against the other. Units: price 1e-4 dollar, size 1e-2 contract, money 1e-6 dollar.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

Ladder = Sequence[tuple[int, int]]

ONE_DOLLAR = 10_000
KALSHI_ALIGNMENT = 100  # direct members' balances move in steps of 0.0001 dollar
MIN_QUANTITY = 500  # Polymarket's minimum order: 5 shares
MIN_WORTH = 1_000_000  # Polymarket's minimum marketable order: 1 dollar


@dataclass(frozen=True, slots=True)
class Best:
    """The most profitable quantity (1e-2 contract), its net profit (1e-6 dollar), and whether no other equals it."""

    quantity: int
    net: int
    alone: bool = True


def kalshi_cost(fills: Ladder) -> int:
    """What an order's fills take from the balance, fees and rounding included.

    Page "Fee Rounding": the fee is raised to 1e-6 dollar per fill, the balance change is lowered to the alignment,
    and what that took too much comes back in whole alignment steps as it adds up over the order.
    """
    cost = accumulated = 0
    for price, size in fills:
        fee = -(-7 * size * price * (ONE_DOLLAR - price) // 1_000_000)  # ceil(0.07 C P (1 - P))
        due = price * size + fee
        rounding = -due % KALSHI_ALIGNMENT
        accumulated += rounding
        rebate = min(accumulated, fee + rounding) // KALSHI_ALIGNMENT * KALSHI_ALIGNMENT
        accumulated -= rebate
        cost += due + rounding - rebate
    return cost


def polymarket_cost(fills: Ladder) -> int:
    """What an order's fills cost with the taker fee, per fill rounded to 1e-5 dollar, ties to even."""
    cost = 0
    for price, size in fills:
        whole, rest = divmod(7 * size * price * (ONE_DOLLAR - price), 10_000_000)
        up = 2 * rest > 10_000_000 or (2 * rest == 10_000_000 and whole % 2 == 1)
        cost += price * size + 10 * (whole + up)
    return cost


def take(ladder: Ladder, quantity: int) -> list[tuple[int, int]]:
    """The fills of buying a quantity from a ladder of asks, best first; ValueError when it is not deep enough."""
    fills = []
    for price, size in ladder:
        fills.append((price, min(size, quantity)))
        quantity -= fills[-1][1]
        if not quantity:
            return fills
    raise ValueError(f"the ladder lacks {quantity} hundredths of a contract")


def net_profit(kalshi: Ladder, polymarket: Ladder, quantity: int) -> int:
    """Profit of buying the same quantity of both claims: one of them pays a dollar."""
    payout = quantity * ONE_DOLLAR
    return payout - kalshi_cost(take(kalshi, quantity)) - polymarket_cost(take(polymarket, quantity))


def best_quantity(kalshi: Ladder, polymarket: Ladder) -> Best | None:
    """The most profitable permitted quantity, found by trying every one; the smallest among equals.

    Past the depth that crosses before fees every further contract loses, so the search ends there, or at the first
    permitted quantity when even that lies deeper. None when the ladders cannot fill any permitted quantity.
    """
    depth = min(sum(size for _, size in kalshi), sum(size for _, size in polymarket))
    limit = crossing_depth(kalshi, polymarket)
    best: Best | None = None
    for quantity in range(MIN_QUANTITY, depth + 1):
        if quantity > limit and best is not None:
            break
        if sum(price * size for price, size in take(polymarket, quantity)) < MIN_WORTH:
            continue
        net = net_profit(kalshi, polymarket, quantity)
        if best is None or net > best.net:
            best = Best(quantity, net)
        elif net == best.net:
            best = replace(best, alone=False)
    return best


def crossing_depth(kalshi: Ladder, polymarket: Ladder) -> int:
    """How much of both ladders costs less than a dollar together before fees."""
    depth, left, right = 0, list(kalshi), list(polymarket)
    while left and right and left[0][0] + right[0][0] < ONE_DOLLAR:
        size = min(left[0][1], right[0][1])
        depth += size
        for ladder in (left, right):
            price, available = ladder[0]
            ladder[:1] = [(price, available - size)] if available > size else []
    return depth
