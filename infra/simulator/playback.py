"""The clock that plays a venue's part of a tape."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from enum import StrEnum

from infra.simulator.tape import TapeFrame

# A long run of frames that are all due must still let the connections write: one turn of the loop every so many.
FRAMES_PER_TURN = 64


class State(StrEnum):
    """Where the playback stands."""

    HOLDING = "holding"
    PLAYING = "playing"
    ENDED = "ended"


class Player:
    """Hands each frame of a timeline to ``deliver`` when it is due.

    Args:
        timeline: (due ns after the start, frame) in order.
        deliver: takes one frame at its time.
        pressure: awaited between runs of frames; a fast playback waits there for clients that are behind.
    """

    def __init__(
        self,
        timeline: Iterator[tuple[int, TapeFrame]],
        deliver: Callable[[TapeFrame], None],
        pressure: Callable[[], Awaitable[None]],
        frames_total: int,
    ) -> None:
        self._timeline = timeline
        self._deliver = deliver
        self._pressure = pressure
        self._starting = asyncio.Event()
        self._at_ns = 0
        self.state = State.HOLDING
        self.frames_total = frames_total
        self.frames_played = 0
        self.position_ns = 0

    def start(self, at_ns: int | None = None) -> bool:
        """Begin at a wall-clock moment (now when None); False when it has already been started.

        Simulators of both venues that are given the same moment stay in step, also when it is already past.
        """
        if self._starting.is_set():
            return False
        self._at_ns = time.time_ns() if at_ns is None else at_ns
        self._starting.set()
        return True

    async def run(self) -> None:
        """Wait for the start, then play to the end of the tape."""
        await self._starting.wait()
        # The wall clock is read once: a clock that is set during playback must not shift the pacing.
        origin_ns = time.monotonic_ns() + self._at_ns - time.time_ns()
        await _sleep_until(origin_ns)
        self.state = State.PLAYING
        for due_ns, frame in self._timeline:
            if origin_ns + due_ns > time.monotonic_ns():
                await _sleep_until(origin_ns + due_ns)
            self._deliver(frame)
            self.frames_played += 1
            self.position_ns = due_ns
            if self.frames_played % FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)
                await self._pressure()
        self.state = State.ENDED


async def _sleep_until(moment_ns: int) -> None:
    await asyncio.sleep(max(0.0, (moment_ns - time.monotonic_ns()) / 1e9))
