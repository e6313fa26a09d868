"""The records of several partitions in one order of time, each handed out as soon as nothing earlier can still come.

Pure: no clock, no Kafka.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Generic, TypeVar

Place = tuple[str, int]
"""Topic and partition."""

EVER_NS: Final = 2**63 - 1
"""Later than every moment."""

R = TypeVar("R")


class Merge(Generic[R]):
    """Partitions are read in their own order, whose times never go back. Of equal times the lower place comes first.

    What an empty partition may still bring is known from `bound` only.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self._queues: dict[Place, deque[tuple[int, R]]] = {place: deque() for place in places}
        self._reached: dict[Place, int] = dict.fromkeys(self._queues, 0)
        self._next: dict[Place, int] = dict.fromkeys(self._queues, 0)
        self._ends: dict[Place, int] = {}
        self._known_ns = 0
        self.newest_ns = 0
        """The latest time of any record so far."""

    def add(self, place: Place, offset: int, time_ns: int, record: R) -> None:
        """The next record of a partition. One whose time is before that of its predecessor counts as of then."""
        reached_ns = self._reached[place] = max(self._reached[place], time_ns)
        self.newest_ns = max(self.newest_ns, reached_ns)
        self._next[place] = offset + 1
        self._queues[place].append((reached_ns, record))

    def skip(self, place: Place, offset: int) -> None:
        """The next record of a partition was read and is none of ours."""
        self._next[place] = offset + 1

    def bound(self, known_ns: int, ends: Mapping[Place, int]) -> None:
        """From the end offsets `ends` on, every partition brings only records of `known_ns` or later."""
        if known_ns >= self._known_ns:
            self._known_ns, self._ends = known_ns, dict(ends)

    def until(self, moment_ns: int) -> Iterator[R]:
        """Hand out what is of `moment_ns` or earlier, as far as it is sure that nothing comes before."""
        while (head := self._head()) is not None and head[0] <= moment_ns and head[0] < self._sure_ns():
            yield self._queues[head[1]].popleft()[1]

    def complete(self, moment_ns: int) -> bool:
        """Whether everything of `moment_ns` or earlier has been handed out."""
        head = self._head()
        return (head is None or head[0] > moment_ns) and self._sure_ns() > moment_ns

    def crowded(self, size: int) -> set[Place]:
        """The partitions of which `size` records or more wait, of more than one moment."""
        return {
            place for place, queue in self._queues.items() if len(queue) >= size and queue[0][0] < queue[-1][0]
        }  # fmt: skip

    def _head(self) -> tuple[int, Place] | None:
        return min(((queue[0][0], place) for place, queue in self._queues.items() if queue), default=None)

    def _sure_ns(self) -> int:
        """Before this moment no partition brings anything that does not wait here already."""
        sure_ns = EVER_NS
        for place, queue in self._queues.items():
            if not queue:
                past = self._next[place] >= self._ends.get(place, EVER_NS)
                sure_ns = min(sure_ns, max(self._reached[place], self._known_ns if past else 0))
        return sure_ns
