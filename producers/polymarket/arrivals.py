"""What came before: the venue sends messages again, and messages of one stamp cannot be put in order."""

from collections.abc import Iterable
from typing import Final

REMEMBERED: Final = 64
"""So many messages of a market are known again when they come again."""

AT_ONCE_NS: Final = 5_000_000
"""Of one stamp, a message like an earlier one was meant when it came this soon after it, else it was sent again."""


class Arrivals:
    """One market's newest messages. `doubtful` says that messages of the newest stamp may have changed places."""

    def __init__(self) -> None:
        self.doubtful = False
        self._recent: dict[int, int] = {}
        self._stamp_ns = 0
        self._levels: set[tuple[str, int]] = set()
        self._book_ns = 0

    def again(self, key: int, exchange_ns: int, newest_ns: int, received_ns: int) -> bool:
        """True for a message that came before; the very newest does no harm and may come any number of times."""
        recent = self._recent
        before_ns = recent.get(key)
        if before_ns is None:
            recent[key] = received_ns
            if len(recent) > REMEMBERED:
                del recent[next(iter(recent))]
            return False
        if exchange_ns == newest_ns:
            return key != next(reversed(recent)) and received_ns - before_ns > AT_ONCE_NS
        return exchange_ns < newest_ns

    def changed(self, levels: Iterable[tuple[str, int]], exchange_ns: int) -> None:
        """A change of the newest stamp touched these levels: which of two changes of a level is the later?"""
        if exchange_ns != self._stamp_ns:
            self._stamp_ns, self._levels, self.doubtful = exchange_ns, set(levels), exchange_ns == self._book_ns
            return
        before = len(self._levels)
        touched = list(levels)
        self._levels.update(touched)
        self.doubtful = self.doubtful or len(self._levels) < before + len(touched)

    def settled(self, exchange_ns: int) -> None:
        """A whole book of the newest stamp came, as a rule after the changes that it has in it."""
        self.doubtful = False
        self._book_ns = exchange_ns
