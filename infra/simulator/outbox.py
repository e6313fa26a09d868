"""A bounded send queue per connection, so that a slow or vanished client never holds up the others."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable

from infra.simulator.faults import FaultPanel
from infra.simulator.link import Link

DEFAULT_LIMIT = 8_192


class Outbox:
    """Frames under way to one client, through its link.

    ``offer`` refuses at ``limit`` frames; the venue then does what it does to a client that is too slow. What must
    still be said after that (the error itself) goes through ``force``.
    """

    def __init__(
        self, limit: int = DEFAULT_LIMIT, link: Link | None = None, now: Callable[[], int] = time.time_ns
    ) -> None:
        self._limit = limit
        self._link = Link(FaultPanel(now)) if link is None else link
        self._now = now
        self._arrived: deque[str] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ended = asyncio.Event()
        self.sent = 0

    @property
    def closed(self) -> bool:
        """Whether the outbox takes no more frames."""
        return self._ended.is_set()

    def __len__(self) -> int:
        return len(self._arrived) + len(self._link)

    def offer(self, text: str, markets: tuple[str, ...] = (), *, control: bool = False) -> bool:
        """Queue a frame about these markets (none: about no market); ``control`` is for a PONG only.

        False when the queue is full and the frame was not taken. A closed outbox swallows it.
        """
        if len(self) >= self._limit:
            return self.closed
        self.force(text, markets, control=control)
        return True

    def force(self, text: str, markets: tuple[str, ...] = (), *, control: bool = False) -> None:
        """Queue a frame whatever the limit."""
        if self.closed:
            return
        self._link.put(text, self._now(), markets, control=control)
        self._filled.set()
        if len(self) * 2 >= self._limit:
            self._room.clear()

    def take(self) -> str | None:
        """The next frame that has arrived; None when there is none."""
        if not self._arrived and not self.closed:
            self._arrived.extend(self._link.due(self._now()))
        if not self._arrived:
            return None
        self.sent += 1
        text = self._arrived.popleft()
        if not self._room.is_set() and len(self) * 2 < self._limit:
            self._room.set()
        return text

    async def next(self) -> str:
        """Wait for the next frame to arrive; ConnectionError when the outbox is closed."""
        while not self.closed:
            text = self.take()
            if text is not None:
                return text
            self._filled.clear()
            due_ns = self._link.next_due_ns()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due_ns is None else max(0, due_ns - self._now()) / 1e9):
                    await self._filled.wait()
        raise ConnectionResetError("connection is closed")

    def close(self) -> None:
        """Take no more frames and let every waiter go on."""
        self._ended.set()
        self._arrived.clear()
        self._filled.set()
        self._room.set()

    async def wait_closed(self) -> None:
        """Wait until the outbox is closed, by either side."""
        await self._ended.wait()

    async def room(self, patience_s: float) -> None:
        """Wait until less than half the queue is taken, at most ``patience_s``: the pressure of a fast playback."""
        if not self._room.is_set():
            try:
                await asyncio.wait_for(self._room.wait(), patience_s)
            except TimeoutError:
                return

    async def drain_to(self, write: Callable[[str], Awaitable[None]]) -> None:
        """Write frames in order until closed; a client that went away closes the outbox."""
        try:
            while True:
                text = self.take()
                await write(await self.next() if text is None else text)
        except ConnectionError:
            self.close()
