"""Seeded agents that quote, cancel and take on every market that trades, so that its book lives like a real one.

Each market has a fair price that wanders, and now and then jumps, as often to an edge near 0 or 1 dollar as anywhere
else. Agents quote around it and take what stands on its wrong side. Prices in 1e-4 dollar, quantities in 1e-2
contract.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random
from typing import Final

from infra.simulator.engine import ONE_DOLLAR, Level, MatchingEngine, NewOrder, RestingOrder, SelfTrade, Side
from infra.simulator.venue import Band

FEWEST: Final = 3
MOST: Final = 12
"""Levels a side: one with fewer (a fair price jumped, a side was swept or emptied) is filled up, more never rest."""

AGENTS: Final = ("traffic-a", "traffic-b", "traffic-c")
SIDES: Final[tuple[Side, Side]] = ("buy", "sell")
SELF_TRADES: Final[tuple[SelfTrade, ...]] = ("allow", "maker", "taker_at_cross")

SMALLEST: Final = 500
LARGEST: Final = 30_000

JUMPS: Final = 0.004
SWEEPS: Final = 0.004
"""Share of the actions that move the fair price far away, and that empty a side."""


class Traffic:
    """One action at a time on one of the markets.

    Args:
        markets: the markets there are now.
        grid: the bands of a market's prices; none while it does not trade.
    """

    def __init__(
        self,
        engine: MatchingEngine,
        markets: Callable[[], Sequence[str]],
        seed: int,
        grid: Callable[[str], Sequence[Band]],
    ) -> None:
        self.engine = engine
        self._markets = markets
        self._grid = grid
        self._random = Random(seed)  # noqa: S311 - traffic that its seed repeats
        self._fair: dict[str, int] = {}
        self._orders = 0

    def fill(self) -> None:
        """Give every market that has no book yet its first levels."""
        for market in self._markets():
            prices = self._prices(market)
            if prices and market not in self._fair:
                self._open(market, prices)

    def step(self) -> None:
        """One action on one market, chosen by the seed: the first on a market fills its book."""
        markets = self._markets()
        market = self._random.choice(markets) if markets else ""
        prices = self._prices(market) if market else ()
        if not prices:
            return
        if market not in self._fair:
            self._open(market, prices)
            return
        middle = self._wander(market, prices)
        if self._random.random() < SWEEPS:
            self._sweep(market, self._random.choice(SIDES))
        elif not self._take_stale(market, prices, middle):
            self._ordinary(market, prices, middle)

    def _open(self, market: str, prices: Sequence[int]) -> None:
        self._fair[market] = self._random.choice(prices[len(prices) // 4 : -len(prices) // 4] or prices)
        middle = bisect_left(prices, self._fair[market])
        for side in SIDES:
            for _ in range(self._random.randint(FEWEST, MOST)):
                self._quote(market, side, prices, middle)

    def _wander(self, market: str, prices: Sequence[int]) -> int:
        """Move the fair price; returns where it stands on the grid: bids belong below that place, asks from it on."""
        middle, end = bisect_left(prices, self._fair[market]), len(prices) - 1
        if self._random.random() < JUMPS:
            edge = self._random.choice((0, end)) + self._random.randint(-FEWEST, FEWEST)
            middle = self._random.choice((edge, self._random.randint(0, end)))
        elif self._random.random() < 1 / 4:
            middle += self._random.randint(-2, 2)
        middle = min(max(middle, 1), end)
        self._fair[market] = prices[middle]
        return middle

    def _take_stale(self, market: str, prices: Sequence[int], middle: int) -> bool:
        """Take the best level of a side when the fair price has passed it; False when none is stale."""
        bids, asks = self.engine.levels(market)
        if bids and bids[0][0] >= prices[middle]:
            self._take(market, "sell", bids[:1])
        elif asks and asks[0][0] < prices[middle]:
            self._take(market, "buy", asks[:1])
        else:
            return False
        return True

    def _ordinary(self, market: str, prices: Sequence[int], middle: int) -> None:
        bids, asks = self.engine.levels(market)
        # Near an edge there are not as many prices as a side should have levels.
        thin: list[Side] = ["buy"] if len(bids) < min(FEWEST, middle) else []
        thin += ["sell"] if len(asks) < min(FEWEST, len(prices) - middle) else []
        side = self._random.choice(thin or SIDES)
        other = asks if side == "buy" else bids
        kind = "quote" if thin else self._random.choices(("quote", "cancel", "take"), (10, 7, 3))[0]
        if kind == "quote":
            self._quote(market, side, prices, middle)
        elif kind == "take" and other:
            self._take(market, side, other[: self._random.randint(1, 2)])
        elif mine := self._own_orders(market, side):
            self._cancel(self._random.choice(mine))

    def _quote(self, market: str, side: Side, prices: Sequence[int], middle: int) -> None:
        """Rest an order near the fair price; on a side that has the most levels, at one of them."""
        away = int(self._random.expovariate(1 / 4))
        price = prices[max(0, middle - 1 - away) if side == "buy" else min(middle + away, len(prices) - 1)]
        levels = self.engine.levels(market)[0 if side == "buy" else 1]
        if len(levels) >= MOST:
            price = self._random.choice(levels)[0]
        self._place(market, side, price, self._quantity(), post_only=True)

    def _take(self, market: str, side: Side, levels: Sequence[Level]) -> None:
        """Take from these levels of the other side, all of them as often as a part."""
        depth = sum(size for _, size in levels)
        whole = self._random.random() < 1 / 2
        self._place(market, side, levels[-1][0], depth if whole else self._quantity(), post_only=False)

    def _place(self, market: str, side: Side, price: int, quantity: int, *, post_only: bool) -> None:
        self._orders += 1
        order = NewOrder(
            order_id=f"traffic-{self._orders}",
            owner=self._random.choice(AGENTS),
            market=market,
            side=side,
            price=price,
            quantity=quantity,
            time_in_force="good_till_cancelled" if post_only else "immediate_or_cancel",
            post_only=post_only,
            self_trade=self._random.choice(SELF_TRADES),
        )
        self.engine.place(order)

    def _cancel(self, resting: RestingOrder) -> None:
        """Take an order away, or a part of it."""
        part = self._random.randint(1, resting.remaining)
        self.engine.cancel(resting.order.order_id, None if self._random.random() < 3 / 4 else part)

    def _sweep(self, market: str, side: Side) -> None:
        for resting in self._own_orders(market, side):
            self.engine.cancel(resting.order.order_id)

    def _own_orders(self, market: str, side: Side) -> list[RestingOrder]:
        return [
            resting
            for resting in self.engine.orders(market)
            if resting.order.side == side and resting.order.owner in AGENTS
        ]

    def _quantity(self) -> int:
        """Whole contracts as often as any hundredth of one."""
        quantity = self._random.randint(SMALLEST, LARGEST)
        return quantity // 100 * 100 if self._random.random() < 1 / 2 else quantity

    def _prices(self, market: str) -> Sequence[int]:
        return _grid_prices(tuple((band.start, band.end, band.step) for band in self._grid(market)))


@lru_cache(maxsize=256)
def _grid_prices(bands: tuple[tuple[int, int, int], ...]) -> Sequence[int]:
    """Every price of some bands between 0 and 1 dollar, ascending."""
    found = {price for start, end, step in bands for price in range(start, end + 1, step)}
    return sorted(found - {0, ONE_DOLLAR})
