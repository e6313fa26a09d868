"""How many rejected candidates are written: a sample, bounded in number, a function of the inputs' times alone."""

from typing import Final

INTERVAL_NS: Final = 10_000_000_000
"""A basket is written at most once in this for each kind of reason."""
PER_SECOND: Final = 20
"""Of all baskets of a partition together, at most so many a second."""
_SECOND_NS: Final = 1_000_000_000
_REMEMBERED: Final = 10_000

Key = tuple[str, str, str]
"""Group, basket id, kind of reason."""


class Sampler:
    """Says which rejection is written, and how many like it were not since the last."""

    def __init__(self) -> None:
        self._next_ns: dict[Key, int] = {}
        self._suppressed: dict[Key, int] = {}
        self._second = self._written = 0

    def take(self, key: Key, now_ns: int) -> int | None:
        """None when this one is not written, else the number suppressed before it."""
        if now_ns < self._next_ns.get(key, 0) or not self._room(now_ns):
            self._suppressed[key] = self._suppressed.get(key, 0) + 1
            self._bound()
            return None
        self._written += 1
        self._next_ns[key] = now_ns + INTERVAL_NS
        self._bound()
        return self._suppressed.pop(key, 0)

    def _room(self, now_ns: int) -> bool:
        second = now_ns // _SECOND_NS
        if second != self._second:
            self._second, self._written = second, 0
        return self._written < PER_SECOND

    def _bound(self) -> None:
        for memory in (self._next_ns, self._suppressed):
            if len(memory) > _REMEMBERED:
                memory.clear()
