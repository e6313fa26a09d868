"""Kalshi's books: snapshots and signed changes to a YES ladder on its price grid. Pure: times are passed in."""

from functools import lru_cache
from typing import Final

from producers.books import PublishedBook, Receipt
from producers.kalshi.messages import Delta, Snapshot
from producers.ladder import Ladder, NegativeLevel, Side
from schemas.records import Book, Level, TickRange
from schemas.units import ONE

NEGATIVE: Final = "negative level"
CROSSED: Final = "crossed"
VENUE_CROSSED: Final = "crossed at the venue"
OFF_GRID: Final = "price off the grid"
NEW_GRID: Final = "new price grid"


@lru_cache(maxsize=1024)
def grid_of(ticks: tuple[TickRange, ...]) -> bytes:
    """One byte for each price from 0 to 1, which is 1 where an order may rest; everywhere when no band is known."""
    if not ticks:
        return b"\x01" * (ONE + 1)
    grid = bytearray(ONE + 1)
    for band in ticks:
        for price in range(band.start, min(band.end, ONE) + 1, band.step):
            grid[price] = 1
    return bytes(grid)


def within(coarse: bytes, fine: bytes) -> bool:
    """True when every price of one grid is on the other."""
    return int.from_bytes(coarse, "big") & ~int.from_bytes(fine, "big") == 0


class MarketBook:
    """One market's ladder. While `awaiting`, changes are passed over until a snapshot comes; `why` says the reason.

    `sid` is the subscription whose snapshot was the last: changes count on that one only. `grid_told` says that the
    stream told the grid, which the metadata may not know yet.
    """

    def __init__(self, published: PublishedBook, ticks: tuple[TickRange, ...]) -> None:
        self.published = published
        self.awaiting = True
        self.why = ""
        self.sid = 0
        self.grid = grid_of(ticks)
        self.grid_told = False
        self._ladder = Ladder()

    def restart(self, ticks: tuple[TickRange, ...]) -> None:
        """A new connection: nothing is known but the metadata."""
        self.awaiting, self.why, self.sid = True, "", 0
        self.grid, self.grid_told = grid_of(ticks), False

    def snapshot(self, message: Snapshot, receipt: Receipt, proved_ns: int | None, now_ns: int) -> Book | None:
        """Take the whole book. One that cannot be right leaves the market awaiting the next."""
        self._ladder.replace(message.bids, message.asks)
        self.awaiting, self.why, self.sid = False, "", message.sid
        grid = self.grid
        if not all(grid[price] for price, _ in message.bids) or not all(grid[price] for price, _ in message.asks):
            return self.distrust(OFF_GRID, receipt, now_ns)
        if self._ladder.crossed():
            return self.distrust(VENUE_CROSSED, receipt, now_ns)
        return self.published.show(self._ladder, receipt, 0, now_ns, proved_ns=proved_ns)

    def delta(self, message: Delta, receipt: Receipt, now_ns: int) -> Book | None:
        """Apply a change. What cannot be right leaves the market awaiting a snapshot, and says so.

        A change proves nothing by itself: a stream may be late. What it shares with its subscription does.
        """
        if self.awaiting:
            return None
        if not self.grid[message.price]:
            return self.distrust(OFF_GRID, receipt, now_ns)
        try:
            self._ladder.add(message.side, message.price, message.change)
        except NegativeLevel:
            return self.distrust(NEGATIVE, receipt, now_ns)
        if self._ladder.crossed():
            return self.distrust(CROSSED, receipt, now_ns)
        return self.published.show(self._ladder, receipt, message.exchange_ns, now_ns, proved_ns=0)

    def distrust(self, reason: str, receipt: Receipt, now_ns: int) -> Book | None:
        """The book cannot be trusted until the next snapshot."""
        self.awaiting, self.why = True, reason
        return self.published.distrust(reason, receipt, now_ns)

    def equals(self, message: Snapshot) -> bool:
        """True when a snapshot says what is known already."""
        return _same(self._ladder.bids, message.bids) and _same(self._ladder.asks, message.asks)


def crossed_in_other_leg(message: Snapshot) -> bool:
    """True when a book is crossed also with the prices of its NO side seen from the other leg."""
    bid = max((price for price, _ in message.bids), default=0)
    return any(ONE - price <= bid for price, _ in message.asks)


def _same(side: Side, levels: tuple[Level, ...]) -> bool:
    told = {price: size for price, size in levels if size}
    return len(told) == len(side) and all(side.size(price) == size for price, size in told.items())
