"""A venue's rate limits, kept on our side: token buckets by name, and what each request takes out of which."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiolimiter import AsyncLimiter

from runtime import logs, metrics
from schemas.records import Venue

STEP_S: Final = 0.01
"""How often whoever is first in a bucket's queue looks again."""

LONGEST_PAUSE_S: Final = 60.0
"""A venue that asks for a longer rest is asked again after this."""

BACKGROUND: Final = "background"
"""The bucket of requests that can wait (walks through the catalogue): they leave room for the others."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Holds `capacity` tokens, is full at first, gains `refill_per_s`."""

    capacity: float
    refill_per_s: float

    @classmethod
    def within(cls, requests: int, window_s: float, margin: float = 0.8) -> "Bucket":
        """The bucket that stays below `margin` of a sliding window's limit: a quarter at once, the rest evenly."""
        allowed = requests * margin
        return cls(capacity=allowed / 4, refill_per_s=allowed * 3 / 4 / window_s)


Charge = Callable[[str, str], Mapping[str, float]]
"""Tokens by bucket that a request takes: `charge(method, path)`, the path without its query."""


class TooCostlyError(ValueError):
    """A request takes more out of a bucket than it ever holds."""


class _Queue:
    """One bucket. Whoever came first goes first, so that a costly request is not passed over for ever.

    The library's own waiting can spin for ever where time only moves when everyone sleeps; so its bucket is asked,
    not waited for.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._limiter = AsyncLimiter(bucket.capacity, bucket.capacity / bucket.refill_per_s)
        self._turn = asyncio.Lock()

    async def take(self, tokens: float) -> None:
        async with self._turn:
            while not self._limiter.has_capacity(tokens):
                await asyncio.sleep(STEP_S)
            await self._limiter.acquire(tokens)


class RateLimiter:
    """Lets requests through as fast as a venue allows. One per account, shared by all that use it."""

    def __init__(self, venue: Venue, buckets: Mapping[str, Bucket], charge: Charge) -> None:
        self.charge = charge
        self._queues = {name: _Queue(bucket) for name, bucket in buckets.items()}
        self._paused_until_s = 0.0
        self._waited = metrics.REST_WAIT_SECONDS.labels(venue)
        self._log = logs.get(venue=venue)

    @property
    def buckets(self) -> dict[str, Bucket]:
        """The limits in force."""
        return {name: queue.bucket for name, queue in self._queues.items()}

    def resize(self, buckets: Mapping[str, Bucket], charge: Charge | None = None) -> None:
        """The venue told its limits, or what requests cost: they hold from now on."""
        for name, bucket in buckets.items():
            if name not in self._queues or self._queues[name].bucket != bucket:
                self._queues[name] = _Queue(bucket)
        if charge is not None:
            self.charge = charge

    def pause(self, seconds: float) -> None:
        """The venue asked for a rest: nothing is let through meanwhile."""
        until_s = asyncio.get_running_loop().time() + min(seconds, LONGEST_PAUSE_S)
        if until_s > self._paused_until_s:
            self._paused_until_s = until_s
            self._log.warning("the venue asked for a rest", seconds=round(seconds, 3))

    async def admit(self, method: str, path: str, *, background: bool = False) -> None:
        """Return when the request may be sent; raises TooCostlyError."""
        clock = asyncio.get_running_loop().time
        asked_s = clock()
        costs = dict(self.charge(method, path))
        if background and BACKGROUND in self._queues:
            costs = {BACKGROUND: max(costs.values(), default=1.0), **costs}
        for name, tokens in costs.items():
            queue, capacity = self._queues[name], self._queues[name].bucket.capacity
            if tokens > capacity:
                raise TooCostlyError(f"{method} {path} costs {tokens:g}, more than bucket {name!r} holds: {capacity:g}")
            await queue.take(tokens)
        while (rest_s := self._paused_until_s - clock()) > 0:
            await asyncio.sleep(rest_s)
        if clock() > asked_s:
            self._waited.inc(clock() - asked_s)
