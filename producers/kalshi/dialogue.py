"""What is agreed on over one Kalshi connection, and what is under way on it. It ends with the connection."""

from collections.abc import Mapping
from typing import Final

from producers.kalshi.asking import Asking
from producers.kalshi.book import MarketBook
from producers.kalshi.messages import BOOKS, TRADES
from producers.kalshi.proof import Prover
from producers.kalshi.subscriptions import Subscriptions
from runtime import metrics

BOOKS_PER_COMMAND: Final = 25
"""Each brings a whole book at once. Ten at a time were found safe, hundreds not (a public Go client, 2026)."""

TRADES_PER_COMMAND: Final = 250


class Dialogue:
    """The subscriptions, the questions, and which leg the NO side's prices were asked for in.

    Subscribing again to a channel adds to the subscription there is, so a connection has one of each: books, trades,
    lifecycle. `requested` are the markets whose books were asked for by `get_snapshot` and have not come since;
    `seen_ns` is when each book came whole for the last time.
    """

    def __init__(self, books: Mapping[str, MarketBook], *, overdue_ns: int, use_yes_price: bool) -> None:
        self.patience_ns = overdue_ns * 2 // 5
        """Asked twice within what is overdue, and waited for this long, with a little time left for others."""
        self._books = books
        self._overdue_ns = overdue_ns
        self._use_yes_price = use_yes_price
        self.forget()

    def forget(self) -> None:
        """The connection is gone, and everything that was agreed on with it."""
        self.yes_price = self._use_yes_price
        self.subscriptions = Subscriptions()
        self.prover = Prover(self._overdue_ns // 2)
        self.books = Asking(portion=BOOKS_PER_COMMAND, patience_ns=self.patience_ns, unasked=self.closed)
        self.trades = Asking(portion=TRADES_PER_COMMAND, patience_ns=self.patience_ns, unasked=self.closed)
        self.channels = Asking(portion=1, patience_ns=self.patience_ns, unasked=lambda _: False)
        self.requested: set[str] = set()
        self.seen_ns: dict[str, int] = {}

    def asking(self, channel: str) -> Asking:
        """The questions on a channel; those that take no markets are asked for themselves."""
        return {BOOKS: self.books, TRADES: self.trades}.get(channel, self.channels)

    def channel_of(self, sid: int) -> str:
        """The channel of a subscription; books where it is not known."""
        subscription = self.subscriptions.of(sid)
        return subscription.channel if subscription is not None else BOOKS

    def closed(self, market: str) -> bool:
        """Nothing is asked about a market that the venue has closed, until it is released."""
        book = self._books.get(market)
        held = book.published.held if book is not None else None
        return held is not None and held[0] == "closed"

    def leave(self, market: str) -> None:
        """A market is followed no more."""
        self.books.forget(market)
        self.trades.forget(market)
        self.requested.discard(market)
        self.seen_ns.pop(market, None)


def seen(field: str, form: str) -> None:
    """Count which of several forms came."""
    metrics.FORMS_SEEN.labels("kalshi", field, form).inc()
