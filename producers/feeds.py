"""A venue's feed: which of its markets are followed, over which lines, and whether the venue trades them.

Markets come from the groups and from the venue's catalogue. Their metadata is read before they are followed, again and
again while they are, and at once when the venue says that something changed.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

from producers.catalogue import GONE, OPEN, Catalogue, Described, VenueCatalogue, same_but_for_time
from producers.clock import VenueClock
from producers.closing import Closing
from producers.line import Line
from producers.pool import Pool
from producers.publisher import publish_market
from producers.refusals import RestError
from producers.roster import RETRY_NS, Entry, Roster
from producers.session import Tracked
from producers.tools import Tools
from producers.walk import Walk, wait_until
from producers.watch import Watch
from runtime import logs, metrics

AT_ONCE: Final = 100
"""Markets described together, those of groups first: what comes meanwhile waits for no more than these."""

TOGETHER_NS: Final = 1_000_000_000
"""Who is due this soon is asked for along with those who are due."""

HALTED_NS: Final = 4_000_000_000
"""A halted market of a group is described again after this: it may have been closed, which polls need not tell."""

B = TypeVar("B", bound=Tracked)


class Feed(ABC, Generic[B]):
    """Follows the markets of one venue. `assign` says which it must; `run` does it; `stop` says goodbye."""

    def __init__(
        self, tools: Tools, catalogue: VenueCatalogue, *, markets_per_line: int, clock: VenueClock | None = None
    ) -> None:
        self.tools = tools
        self.clock = clock or VenueClock(tools.venue, tools.now)
        self._catalogue = catalogue
        self._roster = Roster(tools.settings.market_budget)
        self._pool: Pool[B] = Pool(self.make_line, markets_per_line, self._start)
        self._fresh: set[str] = set()
        self._due = asyncio.Event()
        self._watch = Watch(tools, catalogue, self._roster, self.clock, self._stood)
        self._closing = Closing(tools, self._roster, self.clock, self._stood)
        self._walk = Walk(tools, catalogue, self._roster, self._walked)
        self._tasks: asyncio.TaskGroup | None = None
        self._log = logs.get(venue=tools.venue)

    @property
    def lines(self) -> list[Line[B]]:
        """All lines, those without markets too."""
        return self._pool.lines

    @abstractmethod
    def make_line(self) -> Line[B]:
        """A new line without markets."""

    @abstractmethod
    async def close(self) -> None:
        """Release what the feed holds, once `run` has ended."""

    def companions(self) -> list[Coroutine[Any, Any, None]]:
        """What runs beside the lines."""
        return []

    # What others say

    def assign(self, markets: Mapping[str, str]) -> None:
        """The markets of the groups are exactly these (market to group). Called on the event loop's thread."""
        gone, moved = self._roster.assign(markets)
        self._drop(gone)
        for market in moved:
            entry = self._roster.entries[market]
            if entry.line is not None:
                entry.line.move(market, entry.group)
        self._walk.begin()
        self._due.set()

    def catalogue_changed(self, name: str) -> None:
        """The venue says that a market, or all of an event, changed or came into being; empty: something did."""
        if not name:
            self._walk.soon()
            return
        named = [
            market
            for market, entry in self._roster.entries.items()
            if name == market or (entry.market is not None and entry.market.event == name)
        ]
        if not named and not self._roster.propose(name):
            return
        for market in named:
            self._roster.entries[market].look_again()
        self._fresh.update(named)
        self._due.set()

    def book(self, market: str) -> B | None:
        """The book of a followed market."""
        entry = self._roster.entries.get(market)
        return None if entry is None or entry.line is None else entry.line.books[market]

    # Life

    async def run(self) -> None:
        """Follow what is assigned until cancelled; raises what must end the process."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for part in (
                self.tools.books.run(),
                self._catalogue.prepare(),
                self._describe_due(),
                self._closing.run() if self._catalogue.closes_by_clock else _nothing(),
                self._walk.run(),
                self._watch.run(),
                *self.companions(),
            ):
                tasks.create_task(part)

    def stop(self) -> None:
        """Say that no book is followed any more; `run` has ended before."""
        for line in self.lines:
            line.stop()
        self.tools.books.flush()

    def measure(self) -> None:
        """Set the gauges: a feed is connected when every line that carries markets is."""
        venue, carrying = self.tools.venue, [line for line in self.lines if line.books]
        connected = bool(carrying) and all(line.connected for line in carrying)
        metrics.FEED_CONNECTED.labels(venue).set(int(connected))
        metrics.MARKETS_SUBSCRIBED.labels(venue).set(sum(len(line.books) for line in carrying))
        entries = self._roster.entries.values()
        metrics.MARKETS_UNKNOWN.labels(venue).set(sum(entry.unknown for entry in entries if entry.group))
        for state in ("halted", "closed"):
            held = sum(1 for entry in entries if entry.line is not None and entry.said.state == state)
            metrics.MARKETS_HELD.labels(venue, state).set(held)

    def _start(self, line: Line[B]) -> None:
        assert self._tasks is not None, "markets are placed while the feed runs"
        self._tasks.create_task(line.run())

    def _stood(self, changed: Sequence[str]) -> None:
        """The venue said of these markets something else than before: look at them closely."""
        for market in changed:
            self._roster.entries[market].look_again()
        self._fresh.update(changed)
        self.judge()
        self._due.set()

    # Metadata

    async def _describe_due(self) -> None:
        while True:
            self._due.clear()
            due = self._next_due()
            if due:
                await self._describe(due)
            else:
                next_ns = min((entry.due_ns for entry in self._roster.entries.values()), default=0)
                await wait_until(self._due, next_ns or self.tools.now() + RETRY_NS, self.tools.now)

    def _next_due(self) -> list[str]:
        """The next to be described together: those of groups first, those that must not come from memory apart."""
        now_ns, entries = self.tools.now(), self._roster.entries
        if not any(entry.due_ns <= now_ns for entry in entries.values()):
            return []
        soon = [market for market, entry in entries.items() if entry.due_ns <= now_ns + TOGETHER_NS]
        soon.sort(key=lambda market: (not entries[market].group, entries[market].due_ns))
        fresh = [market for market in soon if market in self._fresh]
        return (fresh or soon)[:AT_ONCE]

    async def _describe(self, due: list[str]) -> None:
        fresh = not self._fresh.isdisjoint(due)
        self._fresh.difference_update(due)
        for market in due:
            self._roster.entries[market].again = False
        try:
            catalogue = await self._catalogue.describe(due, self.tools.now(), fresh=fresh)
        except RestError as error:
            catalogue = Catalogue(failed=dict.fromkeys(due, str(error)))
        for market in due:
            entry = self._roster.entries.get(market)
            if entry is None:
                continue  # it went while the venue was asked
            if market in catalogue.found:
                self._take(entry, catalogue.found[market])
            elif market in catalogue.failed:
                self._again(market, entry, catalogue.failed[market])
            elif market in catalogue.refused:
                self._refuse(market, entry, catalogue.refused[market])
            else:
                entry.unknown = entry.market is None
                entry.standing = OPEN if entry.unknown else GONE
                self._again(market, entry, "the venue does not know this market")
        self.judge()

    def _take(self, entry: Entry, described: Described) -> None:
        now_ns, known, market = self.tools.now(), entry.market, described.market
        entry.take(described, self.clock.latest_ns(now_ns))
        entry.described_ns = now_ns
        next_ns = now_ns + self.tools.settings.metadata_refresh_ms * 1_000_000
        if entry.group and described.standing.state == "halted":
            next_ns = min(next_ns, now_ns + HALTED_NS)
        if described.refresh_ns:
            next_ns = min(next_ns, self.clock.local_ns(described.refresh_ns))
        entry.described_until(next_ns)
        self._closing.changed()
        if known is None:
            self._watch.soon()
        if known is not None and same_but_for_time(known, market):
            return
        publish_market(self.tools.publisher, market)
        if entry.line is not None:
            entry.line.describe(market)

    def _again(self, market: str, entry: Entry, problem: str) -> None:
        """Ask again later; the same complaint is logged once. A followed market goes on with what is known of it."""
        entry.described_until(self.tools.now() + entry.again_in_ns())
        if entry.complained != problem:
            entry.complained = problem
            self._log.warning("market not described", market=market, group=entry.group, problem=problem)

    def _refuse(self, market: str, entry: Entry, problem: str) -> None:
        """Keep a market out until its metadata makes sense; one in no group gives way to the next."""
        entry.refused = True
        entry.described_until(self.tools.now() + RETRY_NS)
        if entry.complained != problem:
            entry.complained = problem
            self._log.warning("market kept out", market=market, group=entry.group, problem=problem)
        if not entry.group:
            self._drop(self._roster.keep_out(market))
            self._due.set()

    # Where markets stand

    def judge(self) -> None:
        """Place who is to be followed, tell the lines who is traded and who is not, give up who is long closed."""
        now_ns, entries = self.tools.now(), self._roster.entries
        venue_ns, by_clock = self.clock.latest_ns(now_ns), self._catalogue.closes_by_clock
        standings = {market: entry.standing_at(venue_ns, closes_by_clock=by_clock) for market, entry in entries.items()}
        self._pool.place([market for market in entries if entries[market].to_be_placed(standings[market])], entries)
        self._pool.tell(standings, entries)
        self._pool.contradict(now_ns, entries)
        long_ns = self.tools.settings.closed_kept_ms * 1_000_000
        for market, standing in standings.items():
            entry = entries.get(market)
            if entry is None:
                continue  # it made room for another
            entry.closed_ns = (entry.closed_ns or now_ns) if standing.state == "closed" else 0
            if entry.closed_ns and (now_ns - entry.closed_ns >= long_ns or entry.line is None):
                self._give_up(market, entry)
        self.measure()

    def _give_up(self, market: str, entry: Entry) -> None:
        """A market that closed long ago: one of a group is looked at again now and then, another makes room."""
        self._drop({market: entry})
        if not entry.group:
            self._drop(self._roster.keep_out(market))
            self._due.set()

    def _walked(self, ranked: Sequence[str]) -> None:
        self._drop(self._roster.rank(ranked))
        self._due.set()

    def _drop(self, gone: Mapping[str, Entry]) -> None:
        for market, entry in gone.items():
            self._pool.remove(market, entry)
            metrics.AGES.forget(self.tools.venue, market)
        self.measure()


async def _nothing() -> None:
    return None
