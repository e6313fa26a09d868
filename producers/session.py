"""One connection's protocol without a socket and without a clock: what came in, what to say, what to send.

A session is given everything that happens on a connection, in the order in which it stands on `raw.<venue>`: frames,
answers, its own commands and requests once they are on their way, and marks. From these alone its books follow. Time
may pass only in `tick`, which changes a book by nothing but a mark; so whoever feeds a recorded connection to a
session comes to the same books (`dutchbook rebuild`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar, Final, Generic, Protocol, TypeVar

from producers.books import PublishedBook, Receipt
from producers.transcript import (
    Closed,
    Described,
    Distrust,
    Doubt,
    Follow,
    Followed,
    Hold,
    Mark,
    Moved,
    Opened,
    Release,
    Trust,
    Unanswered,
    Unfollow,
)
from schemas.records import Book, Market, Trade

REMOVED: Final = "no longer followed"
OVERDUE: Final = "proof overdue"


class Host(Protocol):
    """What a session asks of whoever runs it. While a recorded connection is replayed nothing is sent or asked."""

    def say(self, book: Book | None) -> None:
        """Publish a book; None is nothing to say."""

    def trade(self, trade: Trade) -> None:
        """Publish a print."""

    def send(self, text: str) -> None:
        """Send a command. It is recorded and comes back through `Session.sent` before this returns."""

    def ask(self, path: str, body: bytes | None = None) -> None:
        """Ask by REST: GET, or POST with a body. Comes back through `asked` before this returns, `answered` later."""

    def ping(self) -> None:
        """Send a protocol ping; its pong comes back through `Session.ponged`."""

    def mark(self, mark: Mark) -> None:
        """Record a mark and give it to `Session.mark` before this returns. Only `tick` may call it."""

    def lose(self, reason: str, *, planned: bool = False) -> None:
        """Close the connection and make it again, at once when `planned`. `Session.mark` hears `Closed` later."""

    def undecodable(self, data: bytes, error: Exception) -> None:
        """Bytes could not be understood: count and dead-letter them."""

    def understood(self) -> None:
        """A frame was understood."""

    def catalogue_changed(self, market: str) -> None:
        """The venue says that its catalogue changed; `market` is empty where it does not say for which."""


class Tracked(Protocol):
    """What every venue's market book has."""

    published: PublishedBook

    def distrust(self, reason: str, receipt: Receipt, now_ns: int) -> Book | None:
        """The book cannot be trusted until the venue sends it whole again."""


B = TypeVar("B", bound=Tracked)


class Session(ABC, Generic[B]):
    """The state of one connection and the books that come over it.

    `published(followed)` gives what is said about a market: a new one, or the one that outlived an earlier connection.
    `markets` is the newest metadata of what `books` follow. `answering` is false while the venue answers no request; it
    is what a line without a socket calls connected. `way` tells sessions of one venue apart in transcripts.
    """

    way: ClassVar[str] = "websocket"

    def __init__(self, host: Host, published: Callable[[Followed], PublishedBook], *, overdue_ns: int) -> None:
        self.books: dict[str, B] = {}
        self.markets: dict[str, Market] = {}
        self.open = False
        self.answering = True
        self.host = host
        self._published = published
        self._overdue_ns = overdue_ns

    # What happens on the connection

    @abstractmethod
    def frame(self, receipt: Receipt, data: bytes, now_ns: int) -> None:
        """A frame came."""

    @abstractmethod
    def sent(self, receipt: Receipt, text: str) -> None:
        """A command is on its way."""

    @abstractmethod
    def asked(self, receipt: Receipt, path: str, body: bytes | None) -> None:
        """A request is on its way; `receipt.frame` is its number."""

    @abstractmethod
    def answered(self, receipt: Receipt, asked: int, data: bytes, now_ns: int) -> None:
        """The body that answers request `asked` came; a request this session knows nothing of is passed over."""

    def ponged(self, sent_ns: int) -> None:
        """The venue answered a ping that was sent at `sent_ns`."""

    def mark(self, receipt: Receipt, mark: Mark, now_ns: int) -> None:
        """Something happened that was no frame."""
        match mark:
            case Follow(followed):
                self._follow(followed, now_ns)
            case Unfollow(market):
                self._unfollow(market, receipt, now_ns)
            case Described(market):
                if market.market in self.books:
                    self.markets[market.market] = market
                    self.described(market, receipt, now_ns)
            case Moved(market, group):
                if market in self.books:
                    for book in self.books[market].published.move(group, receipt, now_ns):
                        self.host.say(book)
            case Opened():
                self.open = True
                self.opened(now_ns)
            case Closed(reason):
                self.open = False
                self.distrust(list(self.books), reason, receipt, now_ns)
                self.closed()
            case Unanswered(asked, reason):
                self.unanswered(asked, reason, receipt, now_ns)
            case _:
                self._mark_books(receipt, mark, now_ns)

    def tick(self, now_ns: int) -> None:
        """Time passed and nothing received is left unhandled: say what is overdue, ask what is due."""
        overdue: list[str] = []
        proved: list[str] = []
        for market, book in self.books.items():
            published = book.published
            fresh = now_ns - published.confirmed_ns <= self.overdue_ns(book)
            if published.trusted and fresh == published.doubted:
                (proved if fresh else overdue).append(market)
        if overdue:
            self.host.mark(Doubt(tuple(overdue), OVERDUE))
        if proved:
            self.host.mark(Trust(tuple(proved)))

    # What a venue adds

    @abstractmethod
    def make_book(self, followed: Followed, published: PublishedBook) -> B:
        """The venue's book builder for a market."""

    def opened(self, now_ns: int) -> None:
        """The connection is up: subscribe to everything in `books`."""

    def closed(self) -> None:
        """The connection is gone: forget what belonged to it. The books are distrusted already."""

    def followed(self, markets: list[str], now_ns: int) -> None:
        """Markets were added while the connection is open: subscribe to them."""

    def unfollowed(self, market: str, book: B) -> None:
        """A market was taken away; it is in `books` no more."""

    def described(self, market: Market, receipt: Receipt, now_ns: int) -> None:
        """A followed market's metadata changed."""

    def unanswered(self, asked: int, reason: str, receipt: Receipt, now_ns: int) -> None:
        """Request `asked` failed."""

    def overdue_ns(self, book: B) -> int:  # noqa: ARG002 - a venue may prove some books less often
        """How old a book's proof may be."""
        return self._overdue_ns

    # What venues share

    def distrust(self, markets: Iterable[str], reason: str, receipt: Receipt, now_ns: int) -> None:
        """These books cannot be trusted until they come whole again."""
        for market in markets:
            book = self.books.get(market)
            if book is not None:
                self.host.say(book.distrust(reason, receipt, now_ns))

    def _follow(self, followed: Iterable[Followed], now_ns: int) -> None:
        fresh = [one for one in followed if one.market.market not in self.books]
        for one in fresh:
            self.markets[one.market.market] = one.market
            self.books[one.market.market] = self.make_book(one, self._published(one))
        if fresh and self.open:
            self.followed([one.market.market for one in fresh], now_ns)

    def _unfollow(self, market: str, receipt: Receipt, now_ns: int) -> None:
        book = self.books.pop(market, None)
        self.markets.pop(market, None)
        if book is not None:
            self.host.say(book.published.hold("closed", REMOVED, receipt, now_ns))
            self.unfollowed(market, book)

    def _mark_books(self, receipt: Receipt, mark: Mark, now_ns: int) -> None:
        assert isinstance(mark, Distrust | Doubt | Trust | Hold | Release)
        if isinstance(mark, Distrust):
            self.distrust(mark.markets, mark.reason, receipt, now_ns)
            return
        for market in mark.markets:
            book = self.books.get(market)
            if book is None:
                continue
            published = book.published
            match mark:
                case Doubt():
                    said = published.doubt(mark.reason, receipt, now_ns)
                case Trust():
                    said = published.trust(receipt, now_ns)
                case Hold():
                    said = published.hold(mark.state, mark.reason, receipt, now_ns)
                case Release():
                    said = published.release(receipt, now_ns)
            self.host.say(said)
