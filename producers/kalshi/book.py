"""Kalshi's books: snapshots and signed changes to a YES ladder, and the sequence check. Pure: times are passed in."""

from enum import Enum
from typing import Final

from producers.books import Proof, PublishedBook, Receipt
from producers.kalshi.wire import Delta, Snapshot
from producers.ladder import Ladder, NegativeLevel
from schemas.records import Book

NEGATIVE: Final = "negative level"
CROSSED: Final = "crossed"


class Step(Enum):
    """What a sequence number says."""

    NEXT = "next"
    GAP = "gap"
    DUPLICATE = "duplicate"


class SequenceCheck:
    """Follows the numbers of one subscription on one connection: each is one above the last; the first is free.

    Whether a reply to a command uses up the number it carries is not documented. Both are taken: a reply may repeat the
    last number, and a message may repeat that of a reply before it.
    """

    __slots__ = ("_by_reply", "last")

    def __init__(self) -> None:
        self.last = 0
        self._by_reply = False

    def take(self, number: int, *, reply: bool = False) -> Step:
        """Judge the next number. After a gap the count goes on from the number that showed it."""
        if number == self.last and (reply or self._by_reply):
            self._by_reply = reply
            return Step.NEXT
        if self.last and number <= self.last:
            return Step.DUPLICATE
        step = Step.NEXT if self.last in (0, number - 1) else Step.GAP
        self.last, self._by_reply = number, reply
        return step


class Subscription:
    """One sid of one connection: its sequence, the markets on it, and the proof that they share."""

    def __init__(self, sid: int, channel: str) -> None:
        self.sid = sid
        self.channel = channel
        self.sequence = SequenceCheck()
        self.proof = Proof()
        self.markets: set[str] = set()


class MarketBook:
    """One market's ladder. While `awaiting`, changes are ignored until a snapshot comes."""

    def __init__(self, published: PublishedBook) -> None:
        self.published = published
        self.awaiting = True
        self._ladder = Ladder()

    def snapshot(self, message: Snapshot, receipt: Receipt, now_ns: int) -> Book | None:
        """Take the whole book."""
        self._ladder.replace(message.bids, message.asks)
        self.awaiting = False
        return self._show(receipt, 0, now_ns)

    def delta(self, message: Delta, receipt: Receipt, now_ns: int) -> Book | None:
        """Apply a change. What cannot be right leaves the book awaiting a snapshot, and says so."""
        if self.awaiting:
            return None
        try:
            self._ladder.add(message.side, message.price, message.change)
        except NegativeLevel:
            return self.interrupt(NEGATIVE, now_ns)
        return self._show(receipt, message.exchange_ns, now_ns)

    def interrupt(self, reason: str, now_ns: int) -> Book | None:
        """The book cannot be trusted until the next snapshot."""
        self.awaiting = True
        return self.published.interrupt("recovering", reason, now_ns)

    def _show(self, receipt: Receipt, exchange_ns: int, now_ns: int) -> Book | None:
        if self._ladder.crossed():
            return self.interrupt(CROSSED, now_ns)
        return self.published.show(self._ladder, receipt, exchange_ns, now_ns)
