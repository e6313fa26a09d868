"""Walks a venue's catalogue again and again, so that the budget is spent on the markets that are traded most."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from producers.catalogue import VenueCatalogue
from producers.refusals import RestError
from producers.roster import RETRY_NS, Roster
from producers.tools import Tools
from runtime import logs

PAUSE_NS: Final = 10_000_000_000
"""The catalogue is not walked again sooner, whatever the venue announces."""


SPARE: Final = 100


class Walk:
    """Tells `walked(ranked)` the most traded markets: more than there is room for, as some will be kept out."""

    def __init__(
        self,
        tools: Tools,
        catalogue: VenueCatalogue,
        roster: Roster,
        walked: Callable[[Sequence[str]], None],
    ) -> None:
        self._catalogue = catalogue
        self._roster = roster
        self._walked = walked
        self._now = tools.now
        self._interval_ns = tools.settings.catalogue_walk_ms * 1_000_000
        self._begun, self._soon = asyncio.Event(), asyncio.Event()
        self._log = logs.get(venue=tools.venue)

    def begin(self) -> None:
        """The groups are known: what they leave may be given away."""
        self._begun.set()

    def soon(self) -> None:
        """Walk as soon as that is allowed."""
        self._soon.set()

    async def run(self) -> None:
        """Walk until cancelled."""
        await self._begun.wait()
        while True:
            self._soon.clear()
            pause_ns, walked_ns = self._interval_ns, self._now()
            room = self._roster.room
            if room:
                try:
                    self._walked(await self._catalogue.ranked(2 * room + SPARE))
                except RestError as error:
                    self._log.warning("the catalogue was not walked", error=str(error))
                    pause_ns = min(pause_ns, RETRY_NS)
            await wait_until(self._soon, walked_ns + pause_ns, self._now)
            await asyncio.sleep(max(0, walked_ns + PAUSE_NS - self._now()) / 1e9)


async def wait_until(event: asyncio.Event, ns: int, now: Callable[[], int]) -> None:
    """Return when the event is set, or at `ns`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0, ns - now()) / 1e9):
            await event.wait()
