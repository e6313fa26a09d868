"""Accounts of the Kalshi simulator: cash per shard, netted positions, the fees of fills, and what reads show of them.

Sources: the venue's pages "Fee Schedule", "Fee Rounding", "Get Balance" and "Market Settlement". Money is 1e-6 dollar,
quantity 1e-2 contract, price 1e-4 dollar.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from infra.simulator.engine import ONE_DOLLAR, BookSide
from schemas.fees import kalshi_fill_fee
from schemas.units import FILL_PER_QUANTITY, RATE_SCALE, parse_rate

CENT_MONEY = 10_000
TAKER_RATE = 70_000
MAKER_RATES = {"quadratic_with_maker_fees": 17_500, "quadratic_with_combo_maker_fees": 35_000}
"""Millionths; every other fee type has no maker fee."""

Body = dict[str, Any]


def money_text(money: int, places: int = 4) -> str:
    """Money as dollars: 4 decimals, or 6 where it needs or is asked for more."""
    sign, magnitude = "-" if money < 0 else "", abs(money)
    if places == 4 and magnitude % 100 == 0:
        return f"{sign}{magnitude // 1_000_000}.{magnitude % 1_000_000 // 100:04d}"
    return f"{sign}{magnitude // 1_000_000}.{magnitude % 1_000_000:06d}"


def fee_rate(kind: str, multiplier: str, *, taker: bool) -> int:
    """The rate of a fee type in millionths. ``flat`` has no public formula and costs a taker the ordinary fee here."""
    rate = TAKER_RATE if taker else MAKER_RATES.get(kind, 0)
    return -(-rate * parse_rate(multiplier) // RATE_SCALE)


def bought_price(side: BookSide, yes_price: int) -> int:
    """What one contract of the outcome costs that an order on this side buys: an ask buys NO."""
    return yes_price if side == "bid" else ONE_DOLLAR - yes_price


def fill_fee(rate: int, precision: int, accumulator: int, side: BookSide, price: int, quantity: int) -> tuple[int, int]:
    """Net fee of a fill and the order's accumulator after it.

    Selling what one holds brings the same rounding as buying the other outcome: a contract's dollar is a multiple of
    every precision.
    """
    return kalshi_fill_fee(rate, precision, accumulator, bought_price(side, price), quantity * FILL_PER_QUANTITY)


@dataclass(slots=True)
class Holding:
    """One market's position: + is YES, - is NO; ``cost`` is what the present position was bought for."""

    quantity: int = 0
    cost: int = 0
    traded: int = 0
    realized: int = 0
    fees: int = 0

    def closing(self, side: BookSide, quantity: int) -> int:
        """How much of an order closes the position instead of opening one."""
        against = -self.quantity if side == "bid" else self.quantity
        return min(max(0, against), quantity)

    def fill(self, side: BookSide, price: int, quantity: int) -> int:
        """Take a fill; returns the change of cash before fees."""
        closing, unit = self.closing(side, quantity), bought_price(side, price)
        freed = self.cost * closing // abs(self.quantity) if closing else 0
        spent, proceeds = (quantity - closing) * unit, closing * (ONE_DOLLAR - unit)
        self.quantity += quantity if side == "bid" else -quantity
        self.cost += spent - freed
        self.realized += proceeds - freed
        self.traded += quantity * unit
        return proceeds - spent

    def payout(self, value: int, *, scalar: bool) -> int:
        """What settlement pays when a YES contract is worth ``value``; a scalar market pays whole cents."""
        paid = self.quantity * value if self.quantity > 0 else -self.quantity * (ONE_DOLLAR - value)
        return paid - paid % CENT_MONEY if scalar else paid


@dataclass(slots=True)
class Account:
    """One API key's money and positions."""

    key: str
    cash: dict[int, int]
    holdings: dict[str, Holding] = field(default_factory=dict)

    def holding(self, market: str) -> Holding:
        """The position in a market."""
        return self.holdings.setdefault(market, Holding())


class Ledger:
    """What an account's reads show: every row as it was ``lag_ns`` ago."""

    AT_ONCE = ("balance", "positions")

    def __init__(self, now: Callable[[], int], lag_ns: int) -> None:
        self._now = now
        self._lag_ns = lag_ns
        self._coming: deque[tuple[int, str, str, str, Body]] = deque()
        self._rows: dict[tuple[str, str], dict[str, Body]] = {}

    def put(self, account: str, kind: str, key: str, row: Body) -> None:
        """Write a row, in place of one with the same key; the first of an account's own shows at once."""
        if (account, kind) not in self._rows and kind in self.AT_ONCE:
            self._rows[account, kind] = {key: row}
            return
        self._coming.append((self._now() + self._lag_ns, account, kind, key, row))

    def rows(self, account: str, kind: str) -> dict[str, Body]:
        """The rows of a kind by key, in the order in which they first came."""
        while self._coming and self._coming[0][0] <= self._now():
            _, owner, of, key, row = self._coming.popleft()
            self._rows.setdefault((owner, of), {})[key] = row
        return self._rows.get((account, kind), {})

    def as_of_ns(self) -> int:
        """The time of what is shown now."""
        return self._now() - self._lag_ns
