"""One market's book, and what the venue's REST answers say of it.

A REST book is the venue's word about a moment near its request: it can confirm our book, replace one that is not to be
trusted, or show that the stream says nothing any more. It has also been seen to be old, and to be wrong under the
newest stamp; so it never outweighs a hash of the stream.
"""

from dataclasses import dataclass
from typing import Final

from producers.books import PublishedBook, Receipt
from producers.polymarket.checks import Checks
from producers.polymarket.content import whole_yes
from producers.polymarket.messages import TokenBook
from producers.polymarket.stream import StreamBook
from producers.polymarket.wire import RestBook
from runtime import metrics
from schemas.records import Book, Market

BEHIND: Final = "behind the venue's answer"
DIFFERS: Final = "differs from the venue's answer"

PATIENCE_NS: Final = 250_000_000
"""The stream may be later than a REST answer by this."""

STREAM_FIRST_NS: Final = 2_500_000_000
FIRST_BOOK_NS: Final = 5_000_000_000
"""So long after it became unsound, or was first subscribed to, a book is healed only by an answer that a hash of the
stream bears out: the stream was asked for a whole book, too, and again."""

SILENT_NS: Final = 5_000_000_000
"""After the stream fell behind, REST alone is not enough for so long, and twice as long each further time."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A REST book that is newer than the stream."""

    book: TokenBook
    receipt: Receipt


class MarketBook(StreamBook):
    """A StreamBook that is also told of REST answers. `ahead` is one that the stream has not come to yet."""

    def __init__(self, market: Market, published: PublishedBook, shared: Checks) -> None:
        self.ahead: Ahead | None = None
        self._behind_times = 0
        super().__init__(market, published, shared)

    def begin(self, market: Market, shared: Checks) -> None:
        """A new connection."""
        super().begin(market, shared)
        self.ahead = None
        self._behind_times = 0

    def distrust(self, reason: str, receipt: Receipt, now_ns: int) -> Book | None:
        """The levels may not be the venue's until a hash or a whole book says so."""
        if reason == BEHIND and self.ahead is not None:
            self.behind_ns = self.ahead.book.exchange_ns
            self.behind_since_ns = receipt.response_ns
            self._behind_times += 1
        self.ahead = None
        return super().distrust(reason, receipt, now_ns)

    def overdue_answer(self, now_ns: int) -> str:
        """Why the book is not to be trusted because of an answer that the stream has not borne out; else empty."""
        if self.ahead is None or not self.sound or now_ns - self.ahead.receipt.response_ns < PATIENCE_NS:
            return ""
        if self.newest_ns < self.ahead.book.exchange_ns:
            return BEHIND
        return "" if self.proven or self._agrees(self.ahead.book) else DIFFERS

    def answer(self, rest: RestBook, receipt: Receipt, version: int, now_ns: int) -> list[Book]:
        """Judge a REST book that was asked for at ladder version `version`; returns what is to be said.

        Raises MsgspecError or UnitError when it is malformed.
        """
        if self.content.whole and rest.exchange_ns < self.content.exchange_ns:
            _compared("older")
            return []
        if self.sound and self.proven and self._among_tips(rest) and rest.hash == self.verifier.matched:
            return self._confirm(receipt)
        book = rest.whole()
        if not self.verifier.fits(book, self.content, receipt.response_ns):
            _compared("damaged")
            return []
        said = [] if self.sound else self._heal(book, receipt, now_ns)
        if not said and self.sound:
            said = self._compare(book, receipt, version, now_ns)
        return said

    def compared(self, receipt: Receipt, now_ns: int) -> Book | None:
        """The stream has come to a newer stamp than that of an answer that was ahead: were they one?"""
        ahead = self.ahead
        if ahead is None or self.newest_ns < ahead.book.exchange_ns:
            return None
        if self.proven:
            self.ahead = None
        elif self.newest_ns > ahead.book.exchange_ns:
            self.ahead = None
            if not self._agrees(ahead.book):
                return self._differs(receipt, now_ns)
            self._confirm(ahead.receipt)
        return None

    # A sound book

    def _compare(self, book: TokenBook, receipt: Receipt, version: int, now_ns: int) -> list[Book]:
        """Compare an answer with a book that is trusted."""
        if self._agrees(book):
            return self._confirm(receipt)
        if book.exchange_ns > self.newest_ns:
            _compared("ahead")
            self.ahead = Ahead(book, receipt)
            return []
        if book.exchange_ns == self.newest_ns and version != self.content.ladder.version:
            _compared("overtaken")
            return []
        if self.proven and not (self.arrivals.doubtful and self._among_tips(book)):
            _compared("contradicts a hash")
            return []
        said = [self._differs(receipt, now_ns)]
        if self._among_tips(book):
            said += self._replace(book, receipt, now_ns)
        return [one for one in said if one is not None]

    def _differs(self, receipt: Receipt, now_ns: int) -> Book | None:
        _compared("differs")
        metrics.RECONCILE_MISMATCHES.labels("polymarket").inc()
        return self.distrust(DIFFERS, receipt, now_ns)

    def _confirm(self, receipt: Receipt) -> list[Book]:
        _compared("confirmed")
        self.arrivals.doubtful = False
        self.published.confirm(receipt.call_start_ns)
        return []

    def _agrees(self, book: TokenBook) -> bool:
        """True when an answer and the changes that are newer come to our ladder."""
        whole, ours = whole_yes(book, self.yes), self.content.packed()
        return any(self.content.with_changes(whole, equal=equal).packed() == ours for equal in (False, True))

    def _among_tips(self, book: TokenBook | RestBook) -> bool:
        """True when the stream had the same hash under its newest stamp."""
        return book.exchange_ns == self.newest_ns and (book.token, book.hash) in self.verifier.tips

    # A book that is not to be trusted

    def _heal(self, book: TokenBook, receipt: Receipt, now_ns: int) -> list[Book]:
        """Start again from an answer where that is better than waiting for the stream."""
        equal = self._fitting(book, receipt)
        if not self._acceptable(book, receipt, linked=equal is not None):
            _compared("not taken")
            return []
        return self._replace(book, receipt, now_ns, equal=bool(equal))

    def _acceptable(self, book: TokenBook, receipt: Receipt, *, linked: bool) -> bool:
        if self.newest_ns < self.behind_ns:  # the stream fell silent
            silent_ns = SILENT_NS << min(self._behind_times - 1, 4)
            return receipt.call_start_ns - self.behind_since_ns >= silent_ns and book.exchange_ns >= self.behind_ns
        if linked:
            return True
        if self._can_link(book):
            # Answer and hash cannot both be true, unless the hash is of something else.
            return book.exchange_ns == self.newest_ns and self.content.whole and self._agrees(book)
        if self.content.whole:
            return receipt.call_start_ns - self.distrusted_ns >= STREAM_FIRST_NS
        return receipt.call_start_ns - self.subscribed_ns >= FIRST_BOOK_NS

    def _can_link(self, book: TokenBook) -> bool:
        """Whether the stream's newest hash tells if an answer is right."""
        trusted = not (self.shared.off or self.verifier.suspended)
        return trusted and bool(self.verifier.tips) and self.newest_ns >= book.exchange_ns

    def _fitting(self, book: TokenBook, receipt: Receipt) -> bool | None:
        """Whether changes of the answer's own stamp come on top of it, so that the stream's hash fits; None if none."""
        if self._can_link(book):
            whole = whole_yes(book, self.yes)
            for equal in (False, True):
                merged = self.content.with_changes(whole, equal=equal)
                if self.verifier.explanation(merged, search=True):
                    return equal
        # What was asked for after the newest message had come is no older than that, whichever message was the latest.
        return False if self._among_tips(book) and receipt.call_start_ns >= self.received_ns else None

    def _replace(self, book: TokenBook, receipt: Receipt, now_ns: int, *, equal: bool = False) -> list[Book]:
        said = [self._retick(book.tick, book.tick_text, receipt, now_ns)]
        self._take_whole(book, by="REST", equal=equal)
        self._answered_ns = receipt.response_ns
        self.behind_ns = 0
        self.arrivals.doubtful = False
        if book.exchange_ns == self.newest_ns and not equal:
            self.verifier.add(book.token, book.hash, whole=True)
        said += self._settle(receipt, now_ns)
        return [one for one in said if one is not None]


def _compared(outcome: str) -> None:
    metrics.BOOKS_COMPARED.labels("polymarket", outcome).inc()
