"""Markets close when their close time passes, and some venues do not say so: the clock does."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from producers.clock import VenueClock
from producers.roster import RETRY_NS, Roster
from producers.tools import Tools
from producers.walk import wait_until

LOOK_NS: Final = 50_000_000
"""A close time that has passed by one estimate of the venue's clock, and not by the next, is looked at again then."""


class Closing:
    """Tells `passed(markets)` the moment that the close time of followed markets may have passed at the venue."""

    def __init__(
        self, tools: Tools, roster: Roster, clock: VenueClock, passed: Callable[[Sequence[str]], None]
    ) -> None:
        self._roster = roster
        self._clock = clock
        self._passed = passed
        self._now = tools.now
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """A market came, or its close time is another."""
        self._changed.set()

    async def run(self) -> None:
        """Wait for one close time after another, until cancelled."""
        while True:
            self._changed.clear()
            now_ns, closing = self._now(), self._closing()
            passed = [market for market, at_ns in closing.items() if at_ns <= now_ns]
            next_ns = min((at_ns for at_ns in closing.values() if at_ns > now_ns), default=now_ns + RETRY_NS)
            if passed:
                self._passed(passed)
                next_ns = min(next_ns, now_ns + LOOK_NS)
            await wait_until(self._changed, next_ns, self._now)

    def _closing(self) -> dict[str, int]:
        """By our clock, the earliest moment at which each market can close; those that are closed already are not."""
        now_ns = self._now()
        ahead_ns = self._clock.latest_ns(now_ns) - now_ns
        return {
            market: entry.market.close_ns - ahead_ns
            for market, entry in self._roster.entries.items()
            if entry.market is not None and entry.line is not None and entry.clocked and entry.said.state != "closed"
        }
