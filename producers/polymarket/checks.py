"""What one connection's books share about hashes: how many may be checked, and whether they mean what we think.

The venue's pages call a change's hash that of the order behind it; in recordings it is that of the book after it. Where
books turn out right although their changes' hashes did not fit, again and again, the pages are believed.
"""

from typing import Final

from runtime import metrics

WINDOW_NS: Final = 100_000_000
CHECKS_PER_WINDOW: Final = 100
"""Above a thousand checks a second, each market is checked once a window."""

SEARCHES_PER_WINDOW: Final = 2
"""Among all last trade prices; a search takes about half a millisecond."""

FALSE_ALARMS: Final = 3
"""So many mismatches of right books, with no match between, and changes are not checked any more."""

MATCHED: Final = metrics.HASH_CHECKS.labels("polymarket", "matched")
MISMATCHED: Final = metrics.HASH_CHECKS.labels("polymarket", "mismatched")
UNDER_LOAD: Final = metrics.HASH_CHECKS.labels("polymarket", "under load")
ABSENT: Final = metrics.HASH_CHECKS.labels("polymarket", "absent")
UNVERIFIABLE: Final = metrics.HASH_CHECKS.labels("polymarket", "unverifiable")
SWITCHED_OFF: Final = metrics.HASH_CHECKS.labels("polymarket", "switched off")
FALSE_ALARM: Final = metrics.HASH_CHECKS.labels("polymarket", "false alarm")


class Checks:
    """One connection's. Times are those of receipts, so that a replay checks what was checked."""

    def __init__(self) -> None:
        self.off = False
        self._window = -1
        self._left = 0
        self._search_window = -1
        self._searches_left = 0
        self._false_alarms = 0

    def allow(self, ns: int, last_ns: int) -> bool:
        """True when a market that was last checked at `last_ns` may be checked now."""
        window = ns // WINDOW_NS
        if window != self._window:
            self._window, self._left = window, CHECKS_PER_WINDOW
        if self._left:
            self._left -= 1
            return True
        return ns - last_ns >= WINDOW_NS

    def allow_search(self, ns: int) -> bool:
        """True when all last trade prices may be tried now."""
        window = ns // WINDOW_NS
        if window != self._search_window:
            self._search_window, self._searches_left = window, SEARCHES_PER_WINDOW
        self._searches_left -= 1
        return self._searches_left >= 0

    def matched(self) -> None:
        """A change's hash was that of the book."""
        self._false_alarms = 0

    def false_alarm(self) -> None:
        """A book was right although its change's hash was another."""
        FALSE_ALARM.inc()
        self._false_alarms += 1
        if self._false_alarms >= FALSE_ALARMS and not self.off:
            self.off = True
            metrics.FORMS_SEEN.labels("polymarket", "hash of a change", "not of the book").inc()
