"""What Kalshi's markets depend on: their events, their series, and the announced changes of fees."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from producers.kalshi.fees import FeeChanges
from producers.kalshi.metadata import EventBody, MarketBody, SeriesBody, event_of
from producers.kalshi.rest import EVENTS_PER_CALL, Rest
from producers.paging import BROKEN, decode_as, pages
from producers.refusals import RestError
from producers.tools import batches
from runtime import logs, metrics

T = TypeVar("T")

REMEMBERED_NS: Final = 300_000_000_000
"""After this everything is read again; at once when something fresh is asked for."""

AT_ONCE: Final = 4


class _Events(msgspec.Struct):
    events: list[msgspec.Raw]
    cursor: str | None = None


class _Event(msgspec.Struct):
    event: EventBody


class _Series(msgspec.Struct):
    series: SeriesBody


class _SeriesFees(msgspec.Struct):
    series_fee_change_arr: list[msgspec.Raw] | None = None


class _EventFees(msgspec.Struct):
    event_fee_changes: list[msgspec.Raw] | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """Something the venue said at `read_ns`."""

    read_ns: int
    body: T


class References:
    """Events and series by ticker, and `changes`: read when needed, remembered for a while."""

    def __init__(self, rest: Rest) -> None:
        self.changes = FeeChanges()
        self.failed: dict[str, str] = {}
        self._rest = rest
        self._events: dict[str, Read[EventBody]] = {}
        self._series: dict[str, Read[SeriesBody]] = {}
        self._changes_read_ns = 0
        self._log = logs.get(venue="kalshi")

    async def load(self, markets: Iterable[MarketBody], now_ns: int, *, fresh: bool) -> None:
        """Read what these markets depend on; what could not be read is in `failed`, by its ticker."""
        self.failed = {}
        listed = list(markets)
        await self._load_changes(now_ns, fresh)
        events = self._missing(self._events, (event_of(market) for market in listed), now_ns, fresh)
        for batch in batches(events, EVENTS_PER_CALL):
            await self._load_events(batch, now_ns)
        series = self._missing(self._series, (self.series_of(market) for market in listed), now_ns, fresh)
        await self._load_series(series, now_ns)

    def event(self, market: MarketBody) -> Read[EventBody]:
        """The event of a market that `load` was called for; raises RestError when it could not be read."""
        return self._found(self._events, event_of(market))

    def series(self, market: MarketBody) -> Read[SeriesBody]:
        """The series of a market that `load` was called for; raises RestError when it could not be read."""
        return self._found(self._series, self.series_of(market))

    def series_of(self, market: MarketBody) -> str:
        """The ticker of a market's series: its event's; where that says nothing, the first part of the market's own."""
        event = self._events.get(event_of(market))
        return (event.body.series_ticker if event is not None else None) or market.ticker.partition("-")[0]

    def _found(self, known: dict[str, Read[T]], name: str) -> Read[T]:
        if name in self.failed:
            raise RestError(self.failed[name])
        return known[name]

    def _missing(self, known: dict[str, Read[T]], names: Iterable[str], now_ns: int, fresh: bool) -> list[str]:
        oldest_ns = now_ns if fresh else now_ns - REMEMBERED_NS
        return [name for name in dict.fromkeys(names) if name not in known or known[name].read_ns < oldest_ns]

    async def _load_changes(self, now_ns: int, fresh: bool) -> None:
        if self._changes_read_ns and not fresh and now_ns - self._changes_read_ns < REMEMBERED_NS:
            return
        try:
            body = decode_as(await self._rest.series_fee_changes(), _SeriesFees, "series fee changes")
            self.changes.take_series(body.series_fee_change_arr or ())
            found: list[msgspec.Raw] = []
            async for page in pages("kalshi", "event fee changes", self._rest.event_fee_changes, _event_fees):
                found += page
            self.changes.take_events(found)
        except RestError as error:
            # Before the first answer nothing may be said of fees; later the old list is better than none.
            if error.passing and not self._changes_read_ns:
                raise
            metrics.FORMS_SEEN.labels("kalshi", "fee changes", "not read").inc()
            self._log.warning("announced fee changes were not read", error=str(error))
        self._changes_read_ns = now_ns

    async def _load_events(self, names: list[str], now_ns: int) -> None:
        found: list[msgspec.Raw] = []
        try:
            async for page in pages("kalshi", "events", lambda cursor: self._rest.events(names, cursor), _events):
                found += page
            metrics.FORMS_SEEN.labels("kalshi", "events", "listed").inc()
        except RestError as error:
            if error.passing:
                raise
            metrics.FORMS_SEEN.labels("kalshi", "events", "one by one").inc()
        for item in found:
            try:
                event = msgspec.json.decode(item, type=EventBody)
            except BROKEN:
                continue  # asked for alone, it says what is wrong with it
            self._events[event.event_ticker] = Read(now_ns, event)
        for name in names:
            if name not in self._events or self._events[name].read_ns != now_ns:
                body = await self._one(name, self._rest.event, _Event, "event")
                if name not in self.failed:
                    self._events[name] = Read(now_ns, EventBody() if body is None else body.event)

    async def _load_series(self, names: list[str], now_ns: int) -> None:
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with turn:
                body = await self._one(name, self._rest.series, _Series, "series")
            if name not in self.failed:
                self._series[name] = Read(now_ns, SeriesBody() if body is None else body.series)

        async with asyncio.TaskGroup() as tasks:
            for name in names:
                tasks.create_task(one(name))

    async def _one(self, name: str, ask: Callable[[str], Awaitable[bytes]], kind: type[T], what: str) -> T | None:
        """One event or series; None when the venue does not know it: no override, and the ordinary fee, is assumed."""
        try:
            return decode_as(await ask(name), kind, f"{what} {name}")
        except RestError as error:
            if not error.unknown:
                self.failed[name] = str(error)
                return None
            self._log.warning("unknown to the venue: the ordinary fee is assumed", what=what, ticker=name)
            return None


def _events(data: bytes) -> tuple[list[msgspec.Raw], str | None]:
    body = decode_as(data, _Events, "events")
    return body.events, body.cursor


def _event_fees(data: bytes) -> tuple[list[msgspec.Raw], str | None]:
    body = decode_as(data, _EventFees, "event fee changes")
    return body.event_fee_changes or [], body.cursor
