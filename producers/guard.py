"""When something that failed may be tried again: backoff with full jitter, and a circuit breaker around an address."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from pybreaker import STATE_CLOSED, CircuitBreaker, CircuitBreakerError, CircuitMemoryStorage

from runtime import logs, metrics

STABLE_NS: Final = 60_000_000_000
"""A connection that lasted this long forgets the failures before it."""

FAILURES: Final = 5
"""So many failures in a row open a circuit."""

OPEN_S: Final = 1.25
"""So long an open circuit admits nothing; then one trial at a time, until one succeeds."""

_TOLERANCE_S: Final = 0.001
"""Whoever waits until a circuit admits again must not come too early by a rounding error."""


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class Backoff:
    """Exponential backoff with full jitter: the n-th delay is uniform between 0 and min(limit, initial x 2^n)."""

    def __init__(
        self, initial_ms: int, limit_ms: int, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._initial_s = initial_ms / 1000
        self._limit_s = limit_ms / 1000
        self._uniform = uniform
        self._failures = 0

    def delay_s(self, lasted_ns: int = 0) -> float:
        """Seconds to wait now, after an attempt that lasted `lasted_ns`."""
        if lasted_ns >= STABLE_NS:
            self._failures = 0
        ceiling = min(self._limit_s, self._initial_s * 2.0 ** min(self._failures, 64))
        self._failures += 1
        return self._uniform(0.0, ceiling)


class _Storage(CircuitMemoryStorage):
    """The library's state with a clock of ours; its own is the wall clock, which can jump and cannot be simulated."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(STATE_CLOSED)
        self.opened_s = 0.0
        self._clock = clock

    @property
    def opened_at(self) -> datetime:
        """When the circuit was opened, as far before the present wall-clock time as it is by the clock."""
        return datetime.now(UTC) - timedelta(seconds=self._clock() - self.opened_s + _TOLERANCE_S)

    @opened_at.setter
    def opened_at(self, _moment: datetime) -> None:
        self.opened_s = self._clock()


class Breaker:
    """A circuit around one address, shared by all that use it.

    Closed until `failures` in a row; then open for `open_s`, in which nothing is admitted; then one trial at a time: a
    success closes it, a failure opens it again. `clock()` gives seconds, by default those of the running event loop.
    """

    def __init__(
        self,
        venue: str,
        name: str,
        *,
        failures: int = FAILURES,
        open_s: float = OPEN_S,
        clock: Callable[[], float] = _loop_time,
    ) -> None:
        self._clock = clock
        self._open_s = open_s
        self._storage = _Storage(clock)
        self._trial_until_s = 0.0
        self._gauge = metrics.CIRCUIT_OPEN.labels(venue, name)
        self._gauge.set(0)
        self._log = logs.get(venue=venue, circuit=name)
        self._circuit = CircuitBreaker(
            fail_max=failures,
            reset_timeout=open_s,
            state_storage=self._storage,
            name=name,
            throw_new_error_on_trip=False,
        )

    @property
    def closed(self) -> bool:
        """True while everything is admitted."""
        return self._circuit.current_state == STATE_CLOSED

    def wait_s(self) -> float:
        """Seconds until something may be admitted again; 0 when now."""
        if self.closed:
            return 0.0
        return max(0.0, self._storage.opened_s + self._open_s - self._clock(), self._trial_until_s - self._clock())

    def admits(self) -> bool:
        """True when an attempt may be made now; whoever is told so makes it and reports how it ended.

        A trial that is never reported holds up the next one no longer than a failed one would.
        """
        if self.closed:
            return True
        if self.wait_s() > 0.0:
            return False
        self._trial_until_s = self._clock() + self._open_s
        return True

    def succeeded(self) -> None:
        """An attempt succeeded: whenever it was begun, the address answers."""
        if self.closed:
            self._circuit.call(_nothing)
            return
        self._circuit.close()
        self._gauge.set(0)
        self._log.info("circuit closed")

    def failed(self, error: Exception) -> None:
        """An attempt failed."""
        was_closed = self.closed
        with suppress(CircuitBreakerError, _Reported):
            self._circuit.call(_report, error)
        if was_closed and not self.closed:
            self._trial_until_s = 0.0
            self._gauge.set(1)
            self._log.warning("circuit opened", error=str(error))


class _Reported(Exception):
    """A failure on its way into the library's books."""


def _nothing() -> None:
    return None


def _report(error: Exception) -> None:
    raise _Reported from error


class Guard:
    """When one connection may be made again: its own backoff, and the circuit of its address.

    No wait is longer than the backoff's limit: a circuit stays open for half of it, and those who wait for it come
    back spread over the other half.
    """

    def __init__(
        self,
        breaker: Breaker,
        initial_ms: int,
        limit_ms: int,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._breaker = breaker
        self._backoff = Backoff(initial_ms, limit_ms, uniform)
        self._limit_s = limit_ms / 1000
        self._uniform = uniform
        self._succeeded = False

    @classmethod
    def shared(cls, venue: str, initial_ms: int, limit_ms: int) -> Callable[[], "Guard"]:
        """Makes the guards of all connections to one address: they share its circuit."""
        breaker = Breaker(venue, "websocket", open_s=limit_ms / 2000)
        return lambda: cls(breaker, initial_ms, limit_ms)

    def first_delay_s(self) -> float:
        """Seconds to wait before the first attempt: 0 unless others have found the address down."""
        return self._spread(self._breaker.wait_s())

    def succeeded(self) -> None:
        """The connection was made."""
        self._succeeded = True
        self._breaker.succeeded()

    def delay_s(self, lasted_ns: int = 0, error: Exception | None = None) -> float:
        """Seconds to wait now, after an attempt that lasted `lasted_ns`; it failed unless `succeeded` was said."""
        if not self._succeeded:
            self._breaker.failed(error or ConnectionError("not connected"))
        self._succeeded = False
        delay_s = self._backoff.delay_s(lasted_ns)
        closed_s = self._breaker.wait_s()
        return min(self._limit_s, self._spread(closed_s)) if closed_s else delay_s

    def _spread(self, closed_s: float) -> float:
        return closed_s + self._uniform(0.0, self._limit_s / 2) if closed_s else 0.0
