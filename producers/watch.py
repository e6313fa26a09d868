"""Asks a venue again and again whether it trades: the grouped markets each, and the venue as a whole; and its clock."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar

from producers.catalogue import VenueCatalogue
from producers.clock import VenueClock
from producers.refusals import RestError
from producers.roster import Entry, Roster
from producers.tools import Tools
from producers.walk import wait_until
from runtime import logs
from schemas.records import Market

T = TypeVar("T")

OTHERS_EVERY: Final = 2
"""Markets in no group are asked about as often as this many rounds of the others."""

OUTDATED_NS: Final = 4_000_000_000
"""A description that a poll contradicts is made again no sooner than this after it was made."""

EARLY: Final = 0.75
"""A question is asked after this part of its interval, or up to a second later: when it tells most of the clock."""

CLOCK_S: Final = 3.0
"""How often a venue's clock is asked that takes a request of its own."""


class Watch:
    """Keeps what is known of the markets' standing up to date; `changed(markets)` hears of what is new."""

    def __init__(
        self,
        tools: Tools,
        catalogue: VenueCatalogue,
        roster: Roster,
        clock: VenueClock,
        changed: Callable[[Sequence[str]], None],
    ) -> None:
        self._catalogue = catalogue
        self._roster = roster
        self._clock = clock
        self._changed = changed
        self._interval_s = tools.settings.status_poll_ms / 1000
        self._now = tools.now
        self._new = (asyncio.Event(), asyncio.Event())
        self._complaints: dict[str, str] = {}
        self._log = logs.get(venue=tools.venue)

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(self._interval_s, self._pauses, self._new[0]))
            tasks.create_task(self._every(self._interval_s, self._standings, self._new[1]))
            tasks.create_task(self._every(self._interval_s * OTHERS_EVERY, self._others, asyncio.Event()))
            tasks.create_task(self._every(CLOCK_S, self._time, asyncio.Event()))

    def soon(self) -> None:
        """There are markets of which nothing is known yet: ask now."""
        for event in self._new:
            event.set()

    async def _every(self, interval_s: float, ask: Callable[[], Awaitable[None]], at_once: asyncio.Event) -> None:
        while True:
            wait_s = self._clock.probe_in_s(interval_s * EARLY)
            await wait_until(at_once, self._now() + int(wait_s * 1e9), self._now)
            at_once.clear()
            await ask()

    async def _pauses(self) -> None:
        """Whether the venue trades at all; what it says of no market changes nothing."""
        entries = self._followed()
        if not entries:
            return
        said = await self._answer("pauses", self._catalogue.pauses(_markets(entries.values())))
        changed = []
        for market, pause in (said or {}).items():
            entry = entries[market]
            if entry.pause != pause:
                entry.pause = pause
                changed.append(market)
        self._tell(changed)

    async def _standings(self) -> None:
        await self._stand(closely=True)

    async def _others(self) -> None:
        await self._stand(closely=False)

    async def _stand(self, *, closely: bool) -> None:
        """Whether each market is traded; those of groups are asked about closely."""
        entries = {market: entry for market, entry in self._followed().items() if bool(entry.group) == closely}
        if not entries:
            return
        asked = self._catalogue.standings(_markets(entries.values()), closely=closely)
        said = await self._answer(f"standings {closely}", asked)
        changed = []
        for market, standing in (said or {}).items():
            entry = entries[market]
            # A description may have been made between two polls that agree with each other and not with it.
            old = self._now() - entry.described_ns >= OUTDATED_NS
            outdated = old and standing.state == "open" != entry.standing.state
            if entry.polled != standing or outdated:
                entry.polled = standing
                changed.append(market)
        self._tell(changed)

    async def _time(self) -> None:
        await self._answer("time", self._catalogue.ask_time())

    async def _answer(self, what: str, asked: Awaitable[T]) -> T | None:
        """The answer; None when there is none, which is logged once."""
        try:
            answer = await asked
        except RestError as error:
            if self._complaints.get(what) != str(error):
                self._complaints[what] = str(error)
                self._log.warning("the venue did not answer", asked=what, error=str(error))
            return None
        self._complaints.pop(what, None)
        return answer

    def _followed(self) -> dict[str, Entry]:
        return {market: entry for market, entry in self._roster.entries.items() if entry.market is not None}

    def _tell(self, changed: list[str]) -> None:
        still = [market for market in changed if market in self._roster.entries]
        if still:
            self._changed(still)


def _markets(entries: Iterable[Entry]) -> list[Market]:
    return [entry.market for entry in entries if entry.market is not None]
