"""A venue's feed: from the groups' markets to metadata, to lines, and back out again when a group goes."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from producers.line import STOPPED, Followed, Line, Tracked
from producers.publisher import publish_market
from producers.resilience import Backoff, RestError
from producers.tools import Tools
from runtime import logs, metrics
from schemas.records import Market

RETRY_NS: Final = 60_000_000_000
"""How often a market that the venue does not know is asked for again."""

REFRESH_NS: Final = 600_000_000_000
"""How often a followed market's metadata is read again; it is published when it changed."""


@dataclass(frozen=True, slots=True)
class Described:
    """A market's metadata; `refresh_ns` is when it changes by the clock (the end of a fee waiver), 0 for never."""

    market: Market
    refresh_ns: int = 0


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A venue's answer about some markets. What is in neither part is not known to the venue."""

    found: dict[str, Described] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Wanted:
    """A market of a group and where it stands."""

    group: str
    due_ns: int = 0
    market: Market | None = None
    complained: str = ""
    unknown: bool = False
    backoff: Backoff | None = None


B = TypeVar("B", bound=Tracked)


class Feed(ABC, Generic[B]):
    """Follows the markets of one venue. `assign` says which; `run` does it; `stop` says goodbye."""

    def __init__(self, tools: Tools, *, markets_per_line: int) -> None:
        self.tools = tools
        self.lines: list[Line[B]] = []
        self._per_line = markets_per_line
        self._wanted: dict[str, _Wanted] = {}
        self._wake = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._log = logs.get(venue=tools.venue)

    @abstractmethod
    async def describe(self, markets: Sequence[str]) -> Catalogue:
        """Ask the venue about markets; raises RestError when it does not answer at all."""

    @abstractmethod
    def make_line(self) -> Line[B]:
        """A new line without markets."""

    def companions(self) -> list[Coroutine[Any, Any, None]]:
        """What runs beside the lines."""
        return []

    @abstractmethod
    async def close(self) -> None:
        """Release what the feed holds, once `run` has ended."""

    def assign(self, markets: Mapping[str, str]) -> None:
        """Follow exactly these markets (market to group). Called on the event loop's thread."""
        for market in [market for market in self._wanted if market not in markets]:
            self._drop(market)
        for market, group in markets.items():
            wanted = self._wanted.get(market)
            if wanted is None:
                self._wanted[market] = _Wanted(group)
            elif wanted.group != group:
                wanted.group = group
                self._move(market, group)
        self._wake.set()

    def book(self, market: str) -> B | None:
        """The book of a followed market."""
        line = self._line_of(market)
        return None if line is None else line.books[market]

    async def run(self) -> None:
        """Follow what is assigned until cancelled; raises what must end the process."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self.tools.books.run())
            tasks.create_task(self._admit())
            for companion in self.companions():
                tasks.create_task(companion)

    def stop(self) -> None:
        """Say that no book is followed any more; `run` has ended before."""
        for line in self.lines:
            line.interrupt_all(STOPPED)
            line.set_connected(False)
        self.tools.books.flush()

    async def _admit(self) -> None:
        while True:
            self._wake.clear()
            now_ns = self.tools.now()
            due = [market for market, wanted in self._wanted.items() if wanted.due_ns <= now_ns]
            if due:
                await self._describe(due)
            await self._sleep_until_due()

    async def _sleep_until_due(self) -> None:
        next_ns = min((wanted.due_ns for wanted in self._wanted.values()), default=self.tools.now() + RETRY_NS)
        try:
            async with asyncio.timeout(max(0.0, min(next_ns - self.tools.now(), RETRY_NS) / 1e9)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _describe(self, due: list[str]) -> None:
        try:
            catalogue = await self.describe(due)
        except RestError as error:
            catalogue = Catalogue(failed=dict.fromkeys(due, str(error)))
        fresh = []
        for market in due:
            wanted = self._wanted.get(market)
            if wanted is None:
                continue  # its group went while the venue was asked
            described = catalogue.found.get(market)
            if described is not None:
                fresh += self._describe_one(wanted, described)
            elif market in catalogue.failed:
                self._again(market, wanted, catalogue.failed[market], wait_ns=self._delay_ns(wanted))
            else:
                wanted.unknown = wanted.market is None
                self._again(market, wanted, "the venue does not know this market", wait_ns=RETRY_NS)
        self._place(fresh)

    def _describe_one(self, wanted: _Wanted, described: Described) -> list[Followed]:
        """Take in metadata; returns the market when it is new."""
        new = wanted.market is None
        if new or described.market != wanted.market:
            publish_market(self.tools.publisher, described.market)
        wanted.market = described.market
        wanted.unknown = False
        wanted.due_ns = self.tools.now() + REFRESH_NS
        if described.refresh_ns:
            wanted.due_ns = min(wanted.due_ns, described.refresh_ns)
        wanted.complained = ""
        wanted.backoff = None
        return [Followed(described.market, wanted.group)] if new else []

    def _again(self, market: str, wanted: _Wanted, problem: str, *, wait_ns: int) -> None:
        """Ask again later; the same complaint is logged once."""
        wanted.due_ns = self.tools.now() + wait_ns
        if wanted.complained != problem:
            wanted.complained = problem
            self._log.warning("market not followed", market=market, group=wanted.group, problem=problem)

    def _delay_ns(self, wanted: _Wanted) -> int:
        if wanted.backoff is None:
            wanted.backoff = Backoff(1000, RETRY_NS // 1_000_000)
        return int(wanted.backoff.delay_s() * 1e9)

    def _place(self, fresh: list[Followed]) -> None:
        """Give markets to lines with room, opening lines as needed."""
        while fresh:
            line = next((line for line in self.lines if len(line.books) < self._per_line), None)
            if line is None:
                line = self.make_line()
                self.lines.append(line)
                assert self._tasks is not None, "markets are placed while the feed runs"
                self._tasks.create_task(line.run())
            room = self._per_line - len(line.books)
            line.add(fresh[:room])
            fresh = fresh[room:]
        self.measure()

    def _drop(self, market: str) -> None:
        del self._wanted[market]
        line = self._line_of(market)
        if line is not None:
            line.remove(market)
            self._log.info("market no longer followed", market=market)
        self.measure()

    def _move(self, market: str, group: str) -> None:
        book = self.book(market)
        if book is not None:
            for record in book.published.move(group, self.tools.now()):
                self.tools.books.offer(record)

    def _line_of(self, market: str) -> Line[B] | None:
        return next((line for line in self.lines if market in line.books), None)

    def measure(self) -> None:
        """Set the gauges: a feed is connected when every line that carries markets is."""
        carrying = [line for line in self.lines if line.books]
        connected = bool(carrying) and all(line.connected for line in carrying)
        metrics.FEED_CONNECTED.labels(self.tools.venue).set(int(connected))
        metrics.MARKETS_SUBSCRIBED.labels(self.tools.venue).set(sum(len(line.books) for line in carrying))
        metrics.MARKETS_UNKNOWN.labels(self.tools.venue).set(sum(wanted.unknown for wanted in self._wanted.values()))
