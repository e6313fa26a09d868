"""One market of the Kalshi simulator: where it stands in its life, its grid, what has been traded in it.

``initialized`` to ``active`` at ``open_time`` and ``active`` to ``closed`` at ``close_time`` happen by the clock alone;
every other step is somebody's doing (the venue's page "Market Lifecycle").
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from infra.simulator.engine import EngineTrade, MarketState
from infra.simulator.exchange import KalshiBook, contracts, dollars
from infra.simulator.kalshi.grid import STRUCTURES, Bands, bands_of, price_ranges
from infra.simulator.metadata import event_of, with_top

SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FILTER_WORDS = {
    "unopened": ("initialized",),
    "open": ("active",),
    "paused": ("inactive",),
    "closed": ("closed", "determined", "disputed", "amended"),
    "settled": ("finalized",),
}
"""The words of the ``status`` filter and the states they stand for."""


def rfc3339(ns: int) -> str:
    """A time as the venue's REST writes it, to the microsecond, which is left out when it is zero."""
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    return moment.isoformat().replace("+00:00", "Z")


def parse_time(text: str | None) -> int:
    """An RFC 3339 time in ns; 0 for none. ValueError when it is malformed."""
    if not text:
        return 0
    moment = datetime.fromisoformat(text)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1) * 1000


@dataclass(slots=True)
class ListedMarket:
    """A market's metadata and state. ``number`` orders the markets by when they were listed.

    ``phase`` is the state that is not the clock's: empty while the clock decides. A market that is not ``timed`` (a
    tape's) has the state that was recorded, and its times are not read. ``known_ns`` is when REST first knows it.
    """

    ticker: str
    body: dict[str, Any]
    number: int
    shard: int
    timed: bool
    open_ns: int = 0
    close_ns: int = 0
    phase: str = ""
    known_ns: int = 0
    settles_ns: int = 0
    settled_ns: int = 0
    updated_ns: int = 0
    volume: int = 0
    dollar_volume: int = 0
    last_price: int = 0
    last_size: int = 0
    _bands: Bands | None = None

    def read_times(self) -> None:
        """Take the times of the body; ValueError when one is malformed."""
        self.open_ns = parse_time(self.body.get("open_time"))
        self.close_ns = parse_time(self.body.get("close_time"))
        self.updated_ns = parse_time(self.body.get("updated_time"))

    @property
    def bands(self) -> Bands:
        """The price grid; ValueError when the body's is malformed."""
        if self._bands is None:
            self._bands = bands_of(self.body)
        return self._bands

    @property
    def event(self) -> str:
        """The event it belongs to."""
        return str(self.body.get("event_ticker") or event_of(self.ticker))

    def status(self, now_ns: int) -> str:
        """The state as REST names it."""
        if not self.timed:
            return str(self.body.get("status") or "active")
        if self.phase and self.phase != "inactive":
            return self.phase
        if now_ns >= self.close_ns:
            return "closed"
        if now_ns < self.open_ns:
            return "initialized"
        return self.phase or "active"

    def trading(self, now_ns: int) -> MarketState:
        """The state of its book: open, halted, or closed, which it also is before it opens."""
        status = self.status(now_ns)
        return "open" if status == "active" else "halted" if status == "inactive" else "closed"

    def traded(self, trade: EngineTrade) -> None:
        """Count a trade."""
        self.volume += trade.quantity
        self.dollar_volume += trade.quantity * trade.price
        self.last_price, self.last_size = trade.price, trade.quantity

    def restructure(self, structure: str) -> None:
        """Take another price grid; KeyError when the structure has no documented meaning."""
        self._bands = STRUCTURES[structure]
        self.body["price_level_structure"] = structure
        self.body["price_ranges"] = price_ranges(self._bands)

    def rest_body(self, book: KalshiBook, now_ns: int) -> dict[str, Any]:
        """The market object: metadata, state, trades so far, and the present top of its book."""
        shown = with_top(self.body, book)
        if not self.timed:
            return shown
        shown |= {
            "status": self.status(now_ns),
            "open_time": rfc3339(self.open_ns),
            "close_time": rfc3339(self.close_ns),
            "updated_time": rfc3339(self.updated_ns),
            "exchange_index": self.shard,
            "last_price_dollars": dollars(self.last_price),
            "volume_fp": contracts(self.volume),
            "volume_24h_fp": contracts(self.volume),
            "open_interest_fp": contracts(self.volume),
        }
        return shown | ({"settlement_ts": rfc3339(self.settled_ns)} if self.settled_ns else {})


class TradeLog:
    """The last public trades, newest first when read."""

    def __init__(self, keep: int = 10_000) -> None:
        self._trades: deque[tuple[int, int, EngineTrade]] = deque(maxlen=keep)
        self._count = 0

    def add(self, trade: EngineTrade, stamp_ns: int) -> None:
        """Note a trade with the venue's time."""
        self._count += 1
        self._trades.append((self._count, stamp_ns, trade))

    def newest(self) -> Iterator[tuple[int, int, EngineTrade]]:
        """(number, time in ns, trade), the newest first."""
        return reversed(self._trades)
