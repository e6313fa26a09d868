"""What is asked of Polymarket about each book, and when: by REST, or of the stream by subscribing again.

Only the pace is decided here. What an answer means follows from the answer and its receipt, so that nothing of this is
needed to replay a connection. Times are passed in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from producers.polymarket.book import MarketBook

FIRST_BOOK_NS: Final = 1_000_000_000
"""A market whose first book has not come by then is asked for."""

CALL_PAUSE_NS: Final = 1_000_000_000
"""Between two subscriptions to the same market, at least."""

HASTE_NS: Final = 250_000_000
"""Between two requests about a book that is not to be trusted: doubled each time in vain, up to LONGEST_NS."""

LONGEST_NS: Final = 1_000_000_000
LOOK_NS: Final = 100_000_000
UNANSWERED_NS: Final = 6_000_000_000
"""A request that took longer has failed without a word."""

SLOWER: Final = 10
"""Books of markets in no group are compared so many times less often."""

BOOKS_PER_REQUEST: Final = 100
UNDER_WAY: Final = 4
"""Requests under way at the same time, at most."""


@dataclass(slots=True)
class Care:
    """What was asked about a market so far. `subscribed_ns` is 0 until the stream was told to carry it."""

    subscribed_ns: int = 0
    asked_ns: int = 0
    called_ns: int = 0
    unsound_ns: int = 0
    asks: int = 0
    calls: int = 0


@dataclass(slots=True)
class Due:
    """What to do now: markets to ask for by REST, to subscribe to again, and to unsubscribe from before that.

    `missing` are those whose first book has just been given up.
    """

    ask: list[str] = field(default_factory=list)
    call: list[str] = field(default_factory=list)
    renew: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def is_closed(book: MarketBook) -> bool:
    """True while the venue does not trade the market any more: nobody needs its book."""
    held = book.published.held
    return held is not None and held[0] == "closed"


class Asking:
    """The pace for one session; it outlives connections, what it knows of markets does not."""

    def __init__(self, prove_ns: int) -> None:
        self.prove_ns = prove_ns
        self._cares: dict[str, Care] = {}
        self._under_way: dict[int, tuple[int, tuple[str, ...]]] = {}

    def begin(self) -> None:
        """A new connection."""
        self._cares.clear()
        self._under_way.clear()

    def forget(self, market: str) -> None:
        """A market is followed no more."""
        self._cares.pop(market, None)

    def subscribed(self, markets: Iterable[str], ns: int) -> None:
        """The stream was told to carry these markets, or told again."""
        for market in markets:
            care = self._cares.setdefault(market, Care())
            if care.subscribed_ns:
                care.called_ns = ns
                care.calls += 1
            care.subscribed_ns = care.subscribed_ns or ns

    def asked(self, number: int, markets: tuple[str, ...], ns: int) -> None:
        """These markets are asked for."""
        self._under_way[number] = (ns, markets)
        for market in markets:
            care = self._cares.setdefault(market, Care())
            care.asked_ns = ns
            care.asks += 1

    def ended(self, number: int) -> None:
        """A request was answered, or failed."""
        self._under_way.pop(number, None)

    @property
    def waiting(self) -> bool:
        """True while an answer is awaited."""
        return bool(self._under_way)

    def overdue_ns(self, *, grouped: bool) -> int:
        """How old a book's proof may be; a little less than promised, since it is not looked at all the time."""
        return (self.prove_ns if grouped else self.prove_ns * SLOWER) - LOOK_NS

    def due(self, books: Mapping[str, MarketBook], now_ns: int, *, mute: bool) -> Due:
        """What is to be done now. A `mute` connection has said nothing at all: there REST heals nothing."""
        self._drop_lost(now_ns)
        busy = {market for _, markets in self._under_way.values() for market in markets}
        room = len(self._under_way) < UNDER_WAY
        due = Due()
        soon: list[str] = []
        for market, book in books.items():
            care = self._cares.get(market)
            if care is None or not care.subscribed_ns:
                continue
            if is_closed(book):
                continue
            if book.sound:
                self._sound(market, book, care, due, soon, now_ns)
            else:
                self._unsound(market, book, care, due, now_ns, mute=mute)
        if due.ask:
            due.ask += soon
        due.ask = [market for market in due.ask if market not in busy] if room else []
        return due

    def _sound(self, market: str, book: MarketBook, care: Care, due: Due, soon: list[str], now_ns: int) -> None:
        if care.unsound_ns:
            care.unsound_ns, care.asks, care.calls = 0, 0, 0
        grouped = bool(book.published.group)
        interval_ns = self.overdue_ns(grouped=grouped) // 2
        if book.arrivals.doubtful:
            due_ns = care.asked_ns + min(CALL_PAUSE_NS, interval_ns)
        elif care.asked_ns or book.verifier.suspended:
            due_ns = care.asked_ns + interval_ns
        else:  # the first time at some moment of the interval, so that connections made together spread
            due_ns = care.subscribed_ns + interval_ns * (crc32(market.encode()) % 8) // 8
        if now_ns >= due_ns:
            due.ask.append(market)
        elif now_ns >= due_ns - interval_ns // 4:
            soon.append(market)
        old_ns = now_ns - book.published.confirmed_ns
        if grouped and old_ns > self.prove_ns * 13 // 20 and now_ns - care.called_ns >= interval_ns:
            due.call.append(market)  # REST proves nothing in time: a whole book of the stream does

    def _unsound(self, market: str, book: MarketBook, care: Care, due: Due, now_ns: int, *, mute: bool) -> None:
        first = not book.content.whole
        if first and now_ns - care.subscribed_ns < FIRST_BOOK_NS:
            return
        if not care.unsound_ns:
            care.unsound_ns, care.asks, care.calls = now_ns, 0, 0
            if first:
                due.missing.append(market)
        if now_ns - care.called_ns >= (CALL_PAUSE_NS if care.calls else HASTE_NS):
            (due.renew if care.calls else due.call).append(market)
        pause_ns = min(HASTE_NS << min(max(care.asks - 1, 0), 4), LONGEST_NS) if care.asks else 0
        if not mute and now_ns - care.asked_ns >= pause_ns:
            due.ask.append(market)

    def _drop_lost(self, now_ns: int) -> None:
        for number, (ns, _) in list(self._under_way.items()):
            if now_ns - ns > UNANSWERED_NS:
                del self._under_way[number]
