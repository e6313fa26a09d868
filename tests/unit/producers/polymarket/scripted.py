"""A host for Polymarket's sessions: keeps the transcript of everything, and can give it to a fresh session again."""

from typing import Any

from producers.books import Clocks, PublishedBook, Receipt
from producers.polymarket.session import PolymarketSession
from producers.transcript import Closed, Follow, Followed, Mark, Opened, Unanswered
from schemas.records import Book, Trade
from tests.unit.producers.polymarket.frames import MARKET, VenueMarket, encode

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_790_000_000 * SECOND
Said = tuple[int, str, str, str, Any, Any]


class Silent:
    """A host that does nothing, as while a recorded connection is replayed."""

    def __init__(self) -> None:
        self.books: list[Book] = []
        clocks = Clocks()
        self.session = PolymarketSession(
            self, lambda one: PublishedBook("polymarket", one.market.market, one.group, 32, clocks)
        )

    def say(self, book: Book | None) -> None:
        if book is not None:
            self.books.append(book)

    def trade(self, trade: Trade) -> None: ...
    def send(self, text: str) -> None: ...
    def ask(self, path: str, body: bytes | None = None) -> None: ...
    def ping(self) -> None: ...
    def mark(self, mark: Mark) -> None: ...
    def lose(self, reason: str, *, planned: bool = False) -> None: ...
    def undecodable(self, data: bytes, error: Exception) -> None: ...
    def understood(self) -> None: ...
    def catalogue_changed(self, market: str) -> None: ...

    def said(self) -> list[Said]:
        """Every book: frame, market, state, reason, sides."""
        return [(book.frame, book.market, book.state, book.reason, *book.sides()) for book in self.books]


class Scripted(Silent):
    """A line of which the test is the venue and the clock. `pongs` says whether pings are answered."""

    def __init__(self, *venues: VenueMarket, group: str = "g", rotate_ns: int = 0, opened: bool = True) -> None:
        self.now_ns = START
        self.number = 0
        self.connection = "polymarket-test-0"
        self.transcript: list[tuple[str, Receipt, tuple[Any, ...]]] = []
        self.sent: list[str] = []
        self.asked: list[tuple[int, str, bytes | None]] = []
        self.marks: list[Mark] = []
        self.lost: list[tuple[str, bool]] = []
        self.broken: list[bytes] = []
        self.good = 0
        self.trades: list[Trade] = []
        self.changed: list[str] = []
        self.pongs = True
        self._pings = 0
        super().__init__()
        self.session = PolymarketSession(
            self,
            lambda one: PublishedBook("polymarket", one.market.market, one.group, 32, Clocks()),
            rotate_ns=rotate_ns,
        )
        self.venues = list(venues)
        self.group = group
        if opened:
            self.open()

    # The host

    def trade(self, trade: Trade) -> None:
        self.trades.append(trade)

    def send(self, text: str) -> None:
        self.sent.append(text)
        self._give("sent", (text,))
        self._pings += text == "PING"

    def ask(self, path: str, body: bytes | None = None) -> None:
        self.asked.append((self.number, path, body))
        self._give("asked", (path, body))

    def mark(self, mark: Mark) -> None:
        self.marks.append(mark)
        self._give("mark", (mark,))

    def lose(self, reason: str, *, planned: bool = False) -> None:
        self.lost.append((reason, planned))

    def undecodable(self, data: bytes, error: Exception) -> None:
        self.broken.append(data)

    def understood(self) -> None:
        self.good += 1

    def catalogue_changed(self, market: str) -> None:
        self.changed.append(market)

    # The test

    def open(self) -> None:
        """Follow every market and connect."""
        self._give("mark", (Follow(tuple(Followed(venue.record(), self.group) for venue in self.venues)),))
        self._give("mark", (Opened(),))

    def reconnect(self) -> None:
        """Lose the connection and make another."""
        self._give("mark", (Closed("disconnected"),))
        self.number = 0
        self.connection = f"polymarket-test-{int(self.connection[-1]) + 1}"
        self.transcript.clear()
        self.books.clear()
        self.open()

    def take(self, *frames: Any, after_ms: int = 1) -> None:
        """Frames come, each so long after the one before."""
        for frame in frames:
            self.now_ns += after_ms * MS
            self._give("frame", (frame if isinstance(frame, bytes) else encode(frame), self.now_ns))

    def tick(self, after_ms: int = 50) -> None:
        """Time passes, and the session looks at it."""
        self.now_ns += after_ms * MS
        if self._pings and self.pongs:
            self._pings = 0
            self._give("frame", (b"PONG", self.now_ns))
        self.session.tick(self.now_ns)

    def pass_ms(self, milliseconds: int, *, answer: bool = False) -> None:
        """Time passes in ticks; requests are answered as the venue stands, or not at all."""
        for _ in range(0, milliseconds, 50):
            self.tick()
            if answer:
                self.answer()

    def answer(self, *books: Any, after_ms: int = 20) -> None:
        """Answer the oldest request, by default with what the venue's markets show now."""
        if not self.asked:
            return
        number, _, body = self.asked.pop(0)
        start_ns = self.now_ns
        self.now_ns += after_ms * MS
        known = [venue.rest() for venue in self.venues if venue.yes.encode() in (body or b"")]
        data = books[0] if books and isinstance(books[0], bytes) else encode(list(books) or known)
        self._give("answered", (number, data, self.now_ns), call_start_ns=start_ns)

    def fail(self) -> None:
        """The oldest request fails."""
        self._give("mark", (Unanswered(self.asked.pop(0)[0], "HTTP 500"),))

    def last(self, market: str = MARKET) -> tuple[str, str]:
        """State and reason of a market's newest book."""
        book = [book for book in self.books if book.market == market][-1]
        return book.state, book.reason

    def sides(self, market: str = MARKET) -> Any:
        """Bids and asks of a market's newest book."""
        return [book for book in self.books if book.market == market][-1].sides()

    def agrees(self) -> bool:
        """Whether every market's newest book is live and the venue's."""
        return all(
            self.last(venue.market) == ("live", "") and self.sides(venue.market) == venue.ladder()
            for venue in self.venues
        )

    def replayed(self) -> list[Said]:
        """What a fresh session says that is given the transcript."""
        fresh = Silent()
        for kind, receipt, given in self.transcript:
            _tell(fresh.session, kind, receipt, given)
        return fresh.said()

    def _give(self, kind: str, given: tuple[Any, ...], *, call_start_ns: int = 0) -> None:
        receipt = Receipt(self.connection, self.number, call_start_ns or self.now_ns, self.now_ns)
        self.number += 1
        self.transcript.append((kind, receipt, given))
        _tell(self.session, kind, receipt, given)


def _tell(session: PolymarketSession, kind: str, receipt: Receipt, given: tuple[Any, ...]) -> None:
    if kind == "mark":
        session.mark(receipt, given[0], receipt.response_ns)
    else:
        getattr(session, kind)(receipt, *given)
