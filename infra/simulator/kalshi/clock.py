"""The Kalshi simulator's time: what is due later, when markets open and close by the clock, and when trading pauses.

None of it is told on the websocket. Sources: the venue's pages "Market Lifecycle", "Maintenance and Pauses" (Thursdays
03:00 to 05:00 Eastern Time), "Get Exchange Status" and "Get Exchange Schedule".
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any
from zoneinfo import ZoneInfo

from infra.simulator.engine import MatchingEngine
from infra.simulator.faults import MILLISECOND, FaultName, FaultPanel
from infra.simulator.kalshi.catalogue import Catalogue
from infra.simulator.kalshi.market import SECOND, ListedMarket
from infra.simulator.venue import Schedule

EASTERN = ZoneInfo("America/New_York")
THURSDAY = 3
PAUSE_FROM, PAUSE_TO = 3, 5
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SHARDS = {0: "default", 1: "Exotics", 2: "Crypto and Commodities", 3: "Tennis, Baseball and Basketball"}
TRADES = ("active", "inactive")
"""States in which orders may rest."""

WHOLE_EXCHANGE = "exchange"
"""The detail of a pause that stops cancels, too."""


class Agenda:
    """Functions that are due at a time. They run in ``step``; ``schedule``, where there is one, sees to a next step.

    Nothing is scheduled before the first step: the venue may be built before its event loop runs.
    """

    def __init__(self, now: Callable[[], int], schedule: Schedule | None) -> None:
        self._now = now
        self._schedule = schedule
        self._planned: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._begun = False
        self._awaited_ns = 0

    def later(self, delay_ns: int, function: Callable[[], None]) -> None:
        """Plan a function for so many ns from now."""
        self._count += 1
        heappush(self._planned, (self._now() + max(0, delay_ns), self._count, function))
        self._await_next()

    def step(self) -> None:
        """Run what is due, in the order of the times; what it plans for now is run as well."""
        self._begun = True
        while self._planned and self._planned[0][0] <= self._now():
            heappop(self._planned)[2]()
        self._await_next()

    def _await_next(self) -> None:
        if self._schedule is None or not self._begun or not self._planned:
            return
        due_ns = self._planned[0][0]
        if not self._awaited_ns or due_ns < self._awaited_ns:
            self._awaited_ns = due_ns
            self._schedule(max(0, due_ns - self._now()), self._awaken)

    def _awaken(self) -> None:
        self._awaited_ns = 0
        self.step()


class TradingHours:
    """Sees to it that the engine takes orders from a market's opening to its close, and cancels what rests then.

    Args:
        later: plans a function for so many ns from now.
        cancel_all: cancels a market's orders for a reason.
        close_cancel_ms: how long after the close the resting orders are cancelled.
    """

    def __init__(
        self,
        engine: MatchingEngine,
        now: Callable[[], int],
        later: Callable[[int, Callable[[], None]], None],
        cancel_all: Callable[[str, str], None],
        close_cancel_ms: int,
    ) -> None:
        self._engine = engine
        self._now = now
        self._later = later
        self._cancel_all = cancel_all
        self._close_cancel_ns = close_cancel_ms * MILLISECOND

    def follow(self, market: ListedMarket) -> None:
        """Begin with a market, or go on with one whose times have changed."""
        status, now_ns = market.status(self._now()), self._now()
        if status == "initialized":
            self._later(market.open_ns - now_ns, lambda: self.follow(market))
        elif status in TRADES:
            self._engine.list_market(market.ticker)
            self._later(market.close_ns - now_ns, lambda: self.close(market))

    def close(self, market: ListedMarket) -> None:
        """A market's close has passed, unless it has moved since this was planned."""
        if self._closed(market):
            self._later(self._close_cancel_ns, lambda: self._end(market))

    def _end(self, market: ListedMarket) -> None:
        if self._closed(market):
            self.end(market)

    def end(self, market: ListedMarket) -> None:
        """Cancel every order of a market and take no more."""
        self._cancel_all(market.ticker, "CloseCancel")
        self._engine.delist(market.ticker)

    def _closed(self, market: ListedMarket) -> bool:
        return market.status(self._now()) not in (*TRADES, "initialized")


class Pauses:
    """Which shards do not trade now: by a fault of the panel, or in the weekly window when that is kept.

    Args:
        started: told the shard when a pause begins.
        weekly: whether the Thursday window is kept.
    """

    def __init__(
        self, faults: FaultPanel, catalogue: Catalogue, now: Callable[[], int], *, weekly: bool = False
    ) -> None:
        self.started: Callable[[int], None] = lambda _shard: None
        self._faults = faults
        self._catalogue = catalogue
        self._now = now
        self._weekly = weekly
        self._paused: set[int] = set()

    def of(self, shard: int) -> bool:
        """Whether a shard's trading is paused now."""
        fault = self._faults.paused()
        if fault is None:
            return self._weekly and in_window(self._now())
        named = [self._catalogue.markets[ticker] for ticker in fault.markets if ticker in self._catalogue.markets]
        return not fault.markets or any(market.shard == shard for market in named)

    def whole(self) -> bool:
        """Whether the pause is the exchange's, which refuses cancels as well."""
        fault = self._faults.paused()
        return fault is not None and fault.detail == WHOLE_EXCHANGE

    def step(self) -> None:
        """Tell of the pauses that have begun."""
        paused = {shard for shard in SHARDS if self.of(shard)}
        begun, self._paused = paused - self._paused, paused
        for shard in sorted(begun):
            self.started(shard)

    def status(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and body of ``GET /exchange/status``; the top level is shard 0's."""
        down = self.whole() or self._faults.active(FaultName.MAINTENANCE) is not None
        shards = [
            self._status_of(shard, down=down and self.of(shard)) | {"description": SHARDS[shard]} for shard in SHARDS
        ]
        body = self._status_of(0, down=down and self.of(0)) | {"exchange_index_statuses": shards}
        fault = self._faults.paused()
        if fault is not None and fault.until_ns:
            resumes = datetime.fromtimestamp(fault.until_ns // SECOND, UTC)
            body["exchange_estimated_resume_time"] = resumes.isoformat().replace("+00:00", "Z")
        del body["exchange_index"]
        return (503 if self.whole() else 200), body

    def _status_of(self, shard: int, *, down: bool) -> dict[str, Any]:
        return {
            "exchange_index": shard,
            "exchange_active": not down,
            "trading_active": not self.of(shard),
            "intra_exchange_transfers_active": not down,
        }


def in_window(now_ns: int) -> bool:
    """Whether a time is in the weekly maintenance window."""
    local = datetime.fromtimestamp(now_ns / SECOND, EASTERN)
    return local.weekday() == THURSDAY and PAUSE_FROM <= local.hour < PAUSE_TO


def exchange_schedule(now_ns: int) -> dict[str, Any]:
    """The body of ``GET /exchange/schedule``: always open, but for the next four Thursday windows."""
    today = datetime.fromtimestamp(now_ns / SECOND, EASTERN).replace(hour=0, minute=0, second=0, microsecond=0)
    first = today + timedelta(days=(THURSDAY - today.weekday()) % 7)
    windows = [
        {
            "start_datetime": day.replace(hour=PAUSE_FROM).isoformat(),
            "end_datetime": day.replace(hour=PAUSE_TO).isoformat(),
        }
        for day in (first + timedelta(weeks=week) for week in range(4))
    ]
    hours: dict[str, Any] = {day: [{"open_time": "00:00", "close_time": "00:00"}] for day in DAYS}
    hours |= {"start_time": today.isoformat(), "end_time": (today + timedelta(days=365)).isoformat()}
    return {"schedule": {"standard_hours": [hours], "maintenance_windows": windows}}
