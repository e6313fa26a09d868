"""What is asked of Kalshi about many markets, in portions: what is wanted, what was asked for, what is due.

Every market that is subscribed to brings its whole book, and a subscription whose buffer overflows is ended (code 25).
So markets are asked for some at a time, the next when those have come or have had their time. Times are passed in.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

MILLISECOND_NS = 1_000_000
HASTE_NS = 250 * MILLISECOND_NS
"""No market is asked for again earlier, whatever happens."""

SHORTEST_PAUSE_NS = 250 * MILLISECOND_NS
LONGEST_PAUSE_NS = 4000 * MILLISECOND_NS

ASKS_KEPT = 64


@dataclass(slots=True)
class _Wish:
    """A market that is asked for: first (since it came last) and latest when, and not again before `due_ns`.

    `unanswered` are the moments at which it was asked for, less one for each time that it came.
    """

    first_ns: int = 0
    latest_ns: int = 0
    due_ns: int = 0
    unanswered: deque[int] = field(default_factory=lambda: deque(maxlen=ASKS_KEPT))


class Asking:
    """What is asked for on one channel. `missing` are the markets that are wanted."""

    def __init__(self, *, portion: int, patience_ns: int, unasked: Callable[[str], bool]) -> None:
        """Nothing is asked for while `unasked` says so of a market."""
        self.missing: dict[str, None] = {}
        self.portion = portion
        self._largest = portion
        self._patience_ns = patience_ns
        self._unasked = unasked
        self._wishes: dict[str, _Wish] = {}
        self._under_way: set[str] = set()
        self._gate_ns = 0
        self._latest_ns = 0
        self._pause_ns = 0
        self._until_ns = 0

    def want(self, market: str, not_before_ns: int = 0) -> None:
        """A market is wanted, as soon as possible or not before a moment."""
        self.missing[market] = None
        wish = self._wishes.setdefault(market, _Wish())
        wish.due_ns = max(not_before_ns, wish.latest_ns + HASTE_NS if wish.latest_ns else 0)

    def forget(self, market: str) -> None:
        """A market is wanted no more."""
        self.missing.pop(market, None)
        self._wishes.pop(market, None)
        self._under_way.discard(market)

    def asked(self, markets: Iterable[str], now_ns: int, *, joining: bool = False) -> None:
        """These markets are asked for. Those that join for the first time hold back the next portion for longest."""
        portion, new = dict.fromkeys(markets), False
        for market in portion:
            wish = self._wishes.setdefault(market, _Wish())
            wish.latest_ns = now_ns
            wish.unanswered.append(now_ns)
            if not wish.first_ns or market in self.missing:
                wish.due_ns = now_ns + self._patience_ns
            if not wish.first_ns:
                wish.first_ns, new = now_ns, True
        self._under_way, self._latest_ns = set(portion), now_ns
        self._gate_ns = now_ns + (self._patience_ns if joining and new else HASTE_NS)

    def came(self, market: str) -> int:
        """A market came; returns a moment after which it was sent, 0 when it was not asked for.

        Answers may be late or lost, so it is taken for the answer to the earliest question that has had none.
        """
        self.missing.pop(market, None)
        if market in self._under_way:
            self._under_way.discard(market)
            if not self._under_way:
                self._pause_ns = 0
                self.portion = min(self._largest, self.portion * 2)
        wish = self._wishes.get(market)
        if wish is None:
            return 0
        wish.first_ns = 0
        return wish.unanswered.popleft() if wish.unanswered else 0

    def promised(self, markets: Iterable[str], now_ns: int) -> None:
        """The venue has taken these markets on: what does not come soon is to be asked for by another command."""
        for market in markets:
            if market in self.missing and market in self._wishes:
                wish = self._wishes[market]
                wish.due_ns = min(wish.due_ns, now_ns + 2 * HASTE_NS)
        self._gate_ns = min(self._gate_ns, now_ns + HASTE_NS)

    def lost(self, now_ns: int) -> None:
        """A message was lost: perhaps what is under way."""
        self._gate_ns = min(self._gate_ns, max(now_ns, self._latest_ns + HASTE_NS))

    def refused(self, markets: Iterable[str], until_ns: int) -> None:
        """These markets will not come of the last command; they are asked for again at a moment."""
        for market in markets:
            self._under_way.discard(market)
            wish = self._wishes.get(market)
            if wish is not None:
                wish.first_ns, wish.due_ns = 0, until_ns

    def postponed(self, markets: Iterable[str], until_ns: int) -> None:
        """The last command was not carried out; its markets are still waited for, and asked for again at a moment."""
        for market in markets:
            self._under_way.discard(market)
            wish = self._wishes.get(market)
            if wish is not None:
                wish.due_ns = until_ns
                if market not in self.missing:
                    wish.first_ns = 0

    def smaller(self, *, lasting: bool) -> None:
        """A portion was too large, for good, or for what was in it."""
        self.portion = max(1, self.portion // 2)
        if lasting:
            self._largest = self.portion

    def pause(self, now_ns: int) -> int:
        """Too much was asked: nothing is asked for a while, longer each time; returns until when."""
        self._pause_ns = min(LONGEST_PAUSE_NS, max(SHORTEST_PAUSE_NS, 2 * self._pause_ns))
        self._until_ns = now_ns + self._pause_ns
        return self._until_ns

    def paused(self, now_ns: int) -> bool:
        """True while nothing may be asked."""
        return now_ns < self._until_ns

    def ready(self, now_ns: int) -> bool:
        """True when the next portion may be asked for."""
        return not self.paused(now_ns) and (not self._under_way or now_ns >= self._gate_ns)

    def due(self, now_ns: int) -> list[str]:
        """The markets to ask for now, those that were never asked for first."""
        due = [
            (wish.first_ns, market)
            for market in self.missing
            if (wish := self._wishes[market]).due_ns <= now_ns and not self._unasked(market)
        ]
        due.sort(key=lambda one: one[0])
        return [market for _, market in due]

    def overdue(self, now_ns: int) -> list[str]:
        """The markets that were asked for without being missing, and did not come."""
        return [
            market
            for market, wish in self._wishes.items()
            if market not in self.missing and wish.first_ns and wish.due_ns <= now_ns
        ]

    def hopeless(self, since_ns: int) -> int:
        """How many missing markets have been asked for since before a moment in vain."""
        return sum(0 < self._wishes[market].first_ns < since_ns for market in self.missing if not self._unasked(market))
