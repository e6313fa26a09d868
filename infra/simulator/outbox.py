"""A bounded send queue per connection, so that a slow or vanished client never holds up the others."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

DEFAULT_LIMIT = 8_192


class Outbox:
    """Frames waiting to be written to one client.

    ``offer`` refuses at ``limit`` frames; the venue then does what it does to a client that is too slow. What must
    still be said after that (the error itself) goes through ``force``.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._waiting: deque[str] = deque()
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
        return len(self._waiting)

    def offer(self, text: str) -> bool:
        """Queue a frame; False when the queue is full and the frame was not taken. A closed outbox swallows it."""
        if len(self._waiting) >= self._limit:
            return self.closed
        self.force(text)
        return True

    def force(self, text: str) -> None:
        """Queue a frame whatever the limit."""
        if self.closed:
            return
        self._waiting.append(text)
        self._filled.set()
        if len(self._waiting) * 2 >= self._limit:
            self._room.clear()

    def take(self) -> str | None:
        """The next frame to write; None when there is none."""
        if not self._waiting:
            return None
        text = self._waiting.popleft()
        if len(self._waiting) * 2 < self._limit:
            self._room.set()
        return text

    def close(self) -> None:
        """Take no more frames and let every waiter go on."""
        self._ended.set()
        self._waiting.clear()
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
        """Write queued frames in order until closed; a client that went away closes the outbox."""
        try:
            while not self.closed:
                await self._filled.wait()
                while (text := self.take()) is not None:
                    await write(text)
                    self.sent += 1
                if not self.closed:
                    self._filled.clear()
        except ConnectionError:
            self.close()
