"""A full YES ladder of one market, kept sorted, in integer units."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Literal, NamedTuple

from schemas.records import Level, pack_ladder

SideName = Literal["bid", "ask"]


class NegativeLevel(ValueError):
    """A change would take more from a level than rests there: a message was missed."""


class Packed(NamedTuple):
    """The visible top of a ladder as a Book carries it; equal when the visible ladders are equal."""

    bid_count: int
    ask_count: int
    ladder: bytes


class Side:
    """The levels of one side: price (1e-4 dollar) to size (1e-2 contract, above zero).

    Keys are prices for bids and negated prices for asks, ascending, so that the best level is always the last key.
    """

    __slots__ = ("_keys", "_sign", "_sizes")

    def __init__(self, name: SideName) -> None:
        self._sign = 1 if name == "bid" else -1
        self._keys: list[int] = []
        self._sizes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def size(self, price: int) -> int:
        """The size at a price; 0 where there is no level."""
        return self._sizes.get(self._sign * price, 0)

    def put(self, price: int, size: int) -> None:
        """Set the size at a price; 0 removes the level."""
        key = self._sign * price
        if size:
            if key not in self._sizes:
                insort(self._keys, key)
            self._sizes[key] = size
        elif self._sizes.pop(key, 0):
            del self._keys[bisect_left(self._keys, key)]

    def replace(self, levels: Iterable[Level]) -> None:
        """Put these levels in place of everything; a level of size 0 is none."""
        self._sizes = {self._sign * price: size for price, size in levels if size}
        self._keys = sorted(self._sizes)

    def best(self) -> int | None:
        """The best price; None when the side is empty."""
        return self._sign * self._keys[-1] if self._keys else None

    def top(self, depth: int) -> list[Level]:
        """Up to `depth` levels, best first."""
        sign, sizes = self._sign, self._sizes
        return [(sign * key, sizes[key]) for key in reversed(self._keys[-depth:])]


class Ladder:
    """Both sides. `version` rises with every change that was applied, visible or not."""

    __slots__ = ("asks", "bids", "version")

    def __init__(self) -> None:
        self.bids = Side("bid")
        self.asks = Side("ask")
        self.version = 0

    def replace(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Put a snapshot in place of everything."""
        self.bids.replace(bids)
        self.asks.replace(asks)
        self.version += 1

    def put(self, side: SideName, price: int, size: int) -> None:
        """Set the absolute size of a level; 0 removes it."""
        levels = self.bids if side == "bid" else self.asks
        if levels.size(price) != size:
            levels.put(price, size)
            self.version += 1

    def add(self, side: SideName, price: int, change: int) -> None:
        """Change a level's size by a signed amount; raises NegativeLevel and leaves the level as it was."""
        levels = self.bids if side == "bid" else self.asks
        size = levels.size(price) + change
        if size < 0:
            raise NegativeLevel(f"{side} {price}: {levels.size(price)} rest there, {-change} were taken")
        self.put(side, price, size)

    def crossed(self) -> bool:
        """True when the best bid is at or above the best ask; no venue lets such a book stand."""
        bid, ask = self.bids.best(), self.asks.best()
        return bid is not None and ask is not None and bid >= ask

    def pack(self, depth: int) -> Packed:
        """The top `depth` levels a side."""
        bids, asks = self.bids.top(depth), self.asks.top(depth)
        return Packed(len(bids), len(asks), pack_ladder(bids, asks))
