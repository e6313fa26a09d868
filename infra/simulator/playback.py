"""What moves a simulator's books: the clock that plays a venue's part of a tape, or the pulse of its traffic."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator
from enum import StrEnum
from typing import Any

from infra.simulator.tape import TapeFrame

# A long run of frames that are all due must still let the connections write: one turn of the loop every so many.
FRAMES_PER_TURN = 64


class State(StrEnum):
    """Where the playback stands."""

    HOLDING = "holding"
    PLAYING = "playing"
    ENDED = "ended"


class Driver(ABC):
    """Holds until it is started, and then runs."""

    def __init__(self, now: Callable[[], int] = time.time_ns) -> None:
        self.state = State.HOLDING
        self._now = now
        self._starting = asyncio.Event()
        self._at_ns = 0

    def start(self, at_ns: int | None = None) -> bool:
        """Begin at a wall-clock moment (now when None); False when it has already been started.

        Simulators of both venues that are given the same moment stay in step, also when it is already past.
        """
        if self._starting.is_set():
            return False
        self._at_ns = self._now() if at_ns is None else at_ns
        self._starting.set()
        return True

    async def run(self) -> None:
        """Wait for the start, then go on to the end."""
        await self._starting.wait()
        # The wall clock is read once: a clock that is set during playback must not shift the pacing.
        origin_s = _clock() + (self._at_ns - self._now()) / 1e9
        await _sleep_until(origin_s)
        self.state = State.PLAYING
        await self._drive(origin_s)
        self.state = State.ENDED

    @abstractmethod
    async def _drive(self, origin_s: float) -> None:
        """Do everything from this moment of the loop's clock on."""

    @abstractmethod
    def progress(self) -> dict[str, Any]:
        """What the status tells of it."""


class Player(Driver):
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
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(now)
        self._timeline = timeline
        self._deliver = deliver
        self._pressure = pressure
        self.frames_total = frames_total
        self.frames_played = 0
        self.position_ns = 0

    async def _drive(self, origin_s: float) -> None:
        for due_ns, frame in self._timeline:
            if origin_s + due_ns / 1e9 > _clock():
                await _sleep_until(origin_s + due_ns / 1e9)
            self._deliver(frame)
            self.frames_played += 1
            self.position_ns = due_ns
            if self.frames_played % FRAMES_PER_TURN == 0:
                await asyncio.sleep(0)
                await self._pressure()

    def progress(self) -> dict[str, Any]:
        """Frames and position."""
        return {
            "frames_total": self.frames_total,
            "frames_played": self.frames_played,
            "position_ns": self.position_ns,
        }


class Pulse(Driver):
    """Lets a small exchange's traffic act ``rate`` times a second, without end; at rate 0 it rests."""

    def __init__(self, act: Callable[[], None], rate: float, now: Callable[[], int] = time.time_ns) -> None:
        super().__init__(now)
        self._act = act
        self._rate = rate
        self._changed = asyncio.Event()
        self.actions = 0

    @property
    def rate(self) -> float:
        """Actions a second."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate = rate
        self._changed.set()

    async def _drive(self, origin_s: float) -> None:
        next_s = origin_s
        while True:
            if self._changed.is_set() or not self._rate:
                next_s = await self._settle()
            next_s += 1 / self._rate
            await _sleep_until(next_s)
            if not self._changed.is_set():
                self._act()
                self.actions += 1

    async def _settle(self) -> float:
        """Wait until the rate is above 0; returns the moment from which it counts."""
        while True:
            self._changed.clear()
            if self._rate:
                return _clock()
            await self._changed.wait()

    def progress(self) -> dict[str, Any]:
        """Actions and their rate."""
        return {"actions": self.actions, "rate": self._rate}


def parse_rate(text: str) -> float:
    """Actions a second, 0 or more; ValueError when it is no such number."""
    try:
        rate = float(text)
    except ValueError:
        raise ValueError(f"rate {text!r}: expected a number from 0 on") from None
    if not 0 <= rate < float("inf"):
        raise ValueError(f"rate {text!r}: expected a number from 0 on")
    return rate


def _clock() -> float:
    return asyncio.get_running_loop().time()


async def _sleep_until(moment_s: float) -> None:
    await asyncio.sleep(max(0.0, moment_s - _clock()))
