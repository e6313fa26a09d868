"""Kalshi without a key: the public REST books, asked for again and again ("Get Multiple Market Orderbooks").

A REST book carries no time and no number. Each is taken as it is, as of its request; two are never under way for one
market, so they cannot overtake one another. Whether the venue's own cache is behind cannot be told.
"""

from collections.abc import Callable, Iterable
from typing import ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from producers.books import PublishedBook, Receipt
from producers.kalshi import wire
from producers.kalshi.book import OFF_GRID, MarketBook, grid_of
from producers.kalshi.messages import Malformed, Snapshot
from producers.kalshi.rest import MARKETS_PER_CALL, books_path
from producers.session import Host, Session
from producers.tools import batches
from producers.transcript import Followed
from runtime import metrics
from schemas.records import Market

OVERDUE_NS: Final = 3_000_000_000
POLL_NS: Final = 1_000_000_000

MALFORMED: Final = "malformed answer"
LEFT_OUT: Final = "not in the venue's answer"
STALLED_NS: Final = 15_000_000_000
"""A request that nothing is heard of is counted as lost; the REST client gives up sooner."""


class KalshiPolling(Session[MarketBook]):
    """Asks for every book each `poll_ns`."""

    way: ClassVar[str] = "polling"

    def __init__(
        self,
        host: Host,
        published: Callable[[Followed], PublishedBook],
        *,
        overdue_ns: int = OVERDUE_NS,
        poll_ns: int = POLL_NS,
    ) -> None:
        super().__init__(host, published, overdue_ns=overdue_ns)
        self._poll_ns = poll_ns
        self._due_ns: dict[str, int] = {}
        self._requests: dict[int, tuple[str, ...]] = {}
        self._busy_ns: dict[str, int] = {}
        self._applied_ns: dict[str, int] = {}

    def make_book(self, followed: Followed, published: PublishedBook) -> MarketBook:
        """The book builder of a market."""
        return MarketBook(published, followed.market.ticks)

    def unfollowed(self, market: str, book: MarketBook) -> None:  # noqa: ARG002 - the general form
        """Nothing is asked about a market any more."""
        for known in (self._due_ns, self._busy_ns, self._applied_ns):
            known.pop(market, None)

    def described(self, market: Market, receipt: Receipt, now_ns: int) -> None:
        """A market's metadata changed, perhaps its price grid; the next answer shows whether its book is on it."""
        book = self.books[market.market]
        if book.grid != grid_of(market.ticks):
            book.grid = grid_of(market.ticks)
            self.distrust([market.market], OFF_GRID, receipt, now_ns)
            self._due_ns.pop(market.market, None)

    def frame(self, receipt: Receipt, data: bytes, now_ns: int) -> None:
        """There is no socket, so there are no frames."""

    def sent(self, receipt: Receipt, text: str) -> None:
        """There is no socket, so nothing is sent."""

    def asked(self, receipt: Receipt, path: str, body: bytes | None) -> None:  # noqa: ARG002 - the general form
        """A request is on its way: the path names its markets."""
        markets = tuple(parse_qs(urlsplit(path).query).get("tickers", ()))
        self._requests[receipt.frame] = markets
        for market in markets:
            self._busy_ns[market] = receipt.response_ns
            self._due_ns[market] = receipt.response_ns + self._poll_ns

    def answered(self, receipt: Receipt, asked: int, data: bytes, now_ns: int) -> None:
        """The books that answer a request came."""
        markets = self._done(asked)
        if not markets:
            return
        try:
            books = wire.decode_orderbooks(data)
        except wire.WireError as error:
            self.answering = False
            self.distrust(markets, MALFORMED, receipt, now_ns)
            self.host.undecodable(data, error)
            return
        self.answering = True
        told = {message.market: message for message in books}
        for market in markets:
            if market in self.books:
                self._take(market, told.get(market), receipt, now_ns)
        broken = next((message.error for message in books if isinstance(message, Malformed)), None)
        if broken is None:
            self.host.understood()
        else:
            self.host.undecodable(data, broken)

    def unanswered(self, asked: int, reason: str, receipt: Receipt, now_ns: int) -> None:  # noqa: ARG002 - general form
        """A request failed. What is known stays, until its proof is overdue."""
        if self._done(asked):
            self.answering = False

    def tick(self, now_ns: int) -> None:
        """Ask for what is due."""
        super().tick(now_ns)
        if self.open:
            due = [market for market in self.books if self._due(market, now_ns)]
            for batch in batches(due, MARKETS_PER_CALL):
                self.host.ask(books_path(batch))

    def closed(self) -> None:
        """Answers to what was asked before are not waited for."""
        self._requests.clear()
        self._busy_ns.clear()

    def _due(self, market: str, now_ns: int) -> bool:
        busy_ns = self._busy_ns.get(market)
        if busy_ns is not None and now_ns - busy_ns < STALLED_NS:
            return False
        return self._due_ns.get(market, 0) <= now_ns

    def _done(self, asked: int) -> Iterable[str]:
        markets = self._requests.pop(asked, ())
        for market in markets:
            self._busy_ns.pop(market, None)
        return markets

    def _take(self, market: str, message: Snapshot | Malformed | None, receipt: Receipt, now_ns: int) -> None:
        book = self.books[market]
        if not isinstance(message, Snapshot):
            self.distrust([market], LEFT_OUT if message is None else MALFORMED, receipt, now_ns)
            return
        if receipt.call_start_ns < self._applied_ns.get(market, 0):
            return  # a request that was counted as lost: a newer one has been answered
        self._applied_ns[market] = receipt.call_start_ns
        if message.floored:
            metrics.SIZES_FLOORED.labels("kalshi").inc(message.floored)
        if message.numbers:
            metrics.FORMS_SEEN.labels("kalshi", "decimals", "JSON numbers").inc(message.numbers)
        self.host.say(book.snapshot(message, receipt, None, now_ns))
        if book.why == OFF_GRID:
            self.host.catalogue_changed(market)
