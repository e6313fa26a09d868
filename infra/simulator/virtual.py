"""An event loop whose clock jumps: when nothing is ready, it is at once as late as the next timer wants it.

Hours of protocol run in seconds, always in the same order. Whatever would wait for ever is an error instead.
"""

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START_NS = 1_790_000_000_000_000_000
"""Wall time at which every virtual run begins, in September 2026."""

CLEANING_UP = 10_000
"""Turns that the loop still makes after it has given up, so that tasks can end."""


class GaveUp(RuntimeError):
    """The run took longer than it was allowed, or nothing could ever happen any more."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: asks the loop to be later instead."""

    def __init__(self, jump: Callable[[float | None], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            self._jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time.

    Args:
        longest_s: virtual seconds after which the run is given up.
        turns: turns of the loop after which it is given up, so that a loop without a timer ends, too.
    """

    def __init__(self, longest_s: float = 3_600.0, turns: int = 5_000_000) -> None:
        self._elapsed_ns = 0
        self._longest_ns = int(longest_s * 1e9)
        self._turns_left = turns
        self._given_up = False
        self.failures: list[BaseException] = []
        super().__init__(_JumpingSelector(self._jump))
        self.set_exception_handler(_note_failure)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._elapsed_ns / 1e9

    def now_ns(self) -> int:
        """Virtual wall time: every run begins at the same moment."""
        return START_NS + self._elapsed_ns

    def _jump(self, timeout: float | None) -> None:
        """Let this much time pass; None means that no timer is left."""
        self._turns_left -= 1
        if timeout is None:
            self._give_up("nothing is scheduled: everybody waits")
        if self._turns_left <= 0:
            self._give_up("too many turns of the loop")
        self._elapsed_ns += math.ceil((timeout or 0) * 1e9)
        if self._elapsed_ns > self._longest_ns:
            self._give_up("too much time has passed")

    def _give_up(self, why: str) -> None:
        waiting = sorted(task.get_name() for task in asyncio.all_tasks(self))
        at_s, self._longest_ns, self._turns_left = self.time(), self._elapsed_ns + 10**13, CLEANING_UP
        raise GaveUp(f"{why}; after {at_s:.3f} virtual s; tasks: {', '.join(waiting)}")


def run_virtual(
    main: Callable[[VirtualTimeLoop], Coroutine[Any, Any, T]], *, longest_s: float = 3_600.0, turns: int = 5_000_000
) -> T:
    """Run a coroutine in a virtual loop of its own; what failed unseen in it (a callback, a task) is raised, too.

    Raises:
        GaveUp: when it does not come to an end.
    """
    loops: list[VirtualTimeLoop] = []

    def make() -> VirtualTimeLoop:
        loops.append(VirtualTimeLoop(longest_s, turns))
        return loops[-1]

    with asyncio.Runner(loop_factory=make) as runner:
        runner.get_loop()
        result = runner.run(main(loops[0]))
    if loops[0].failures:
        raise loops[0].failures[0]
    return result


def _note_failure(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    assert isinstance(loop, VirtualTimeLoop)
    loop.failures.append(context.get("exception") or RuntimeError(context["message"]))
