"""Books from their raw records: a recorded connection is given to a session again, and says the same books.

Sources are `raw.<venue>` (everything that happened on each connection, as the producers kept it) and tapes (frames
only). Nothing is sent or asked while rebuilding.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from confluent_kafka import Message

from producers.books import Clocks, PublishedBook, Receipt
from producers.kalshi.polling import KalshiPolling
from producers.kalshi.session import KalshiSession
from producers.polymarket.session import PolymarketSession
from producers.session import Session
from producers.transcript import Follow, Followed, Mark, Opened, Unfollow, decode_mark
from schemas.records import Book, Trade, Venue

SESSIONS: Final[dict[tuple[str, str], Callable[..., Session[Any]]]] = {
    ("kalshi", KalshiSession.way): KalshiSession,
    ("kalshi", KalshiPolling.way): KalshiPolling,
    ("polymarket", PolymarketSession.way): PolymarketSession,
}


class RebuildError(ValueError):
    """A raw record is not what the producers write; the message names it."""


def process_of(connection: str) -> str:
    """The producer's process that made a connection (`producers.tools.Connections`)."""
    return connection.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a connection: `kind` and the fields of the raw topic's headers (`producers.transcript`)."""

    connection: str
    frame: int
    received_ns: int
    kind: str
    data: bytes
    url: str = ""
    asked: int = 0
    call_start_ns: int = 0

    @classmethod
    def read(cls, message: Message) -> "Entry":
        """The entry of a raw record; raises RebuildError."""
        headers = dict(message.headers() or [])
        try:
            return cls(
                connection=(message.key() or b"").decode(),
                frame=int(headers["frame"]),
                received_ns=int(headers["received_ns"]),
                kind=headers["kind"].decode(),
                data=message.value() or b"",
                url=headers.get("url", b"").decode(),
                asked=int(headers.get("asked", b"0")),
                call_start_ns=int(headers.get("call_start_ns", b"0")),
            )
        except (KeyError, ValueError) as error:
            place = f"{message.topic()}, partition {message.partition()}, offset {message.offset()}"
            raise RebuildError(f"{place}: not a record of a producer: {error!r}") from error

    @property
    def receipt(self) -> Receipt:
        """Where and when."""
        return Receipt(self.connection, self.frame, self.call_start_ns or self.received_ns, self.received_ns)

    @property
    def place(self) -> str:
        """How errors name it."""
        return f"{self.connection}, record {self.frame}"

    def mark(self) -> Mark:
        """The mark that it is; raises RebuildError."""
        try:
            return decode_mark(self.data)
        except msgspec.MsgspecError as error:
            raise RebuildError(f"{self.place}: not a mark: {error}") from error


@dataclass(slots=True)
class _Recorded:
    """A connection that is being replayed; a host that sends and asks nothing."""

    said: list[Book] = field(default_factory=list)
    broken: int = 0

    def say(self, book: Book | None) -> None:
        if book is not None:
            self.said.append(book)

    def trade(self, trade: Trade) -> None:
        """Prints are no part of a book."""

    def send(self, text: str) -> None:
        """What was sent stands in the transcript."""

    def ask(self, path: str, body: bytes | None = None) -> None:
        """What was asked stands in the transcript."""

    def ping(self) -> None:
        """Pongs prove, but change no ladder and no state."""

    def mark(self, mark: Mark) -> None:
        """Marks stand in the transcript."""

    def lose(self, reason: str, *, planned: bool = False) -> None:
        """The loss stands in the transcript."""

    def undecodable(self, data: bytes, error: Exception) -> None:  # noqa: ARG002 - a host's general form
        self.broken += 1

    def understood(self) -> None:
        """Nothing to count."""

    def catalogue_changed(self, market: str) -> None:
        """What followed from it stands in the transcript."""


class Rebuilder:
    """Feeds entries of one venue's connections to sessions.

    Connections of one process share what they said of a market. What is assumed of a connection whose beginning is
    missing: it follows the markets `assumed`, and Kalshi was asked for what `use_yes_price` says.
    """

    def __init__(
        self, venue: Venue, depth: int, assumed: Iterable[Followed] = (), *, use_yes_price: bool = False
    ) -> None:
        self.incomplete: set[str] = set()
        self.broken = 0
        self._venue: Venue = venue
        self._depth = depth
        self._assumed = tuple(assumed)
        self._settings = {"use_yes_price": True} if use_yes_price and venue == "kalshi" else {}
        self._clocks = Clocks()
        self._hosts: dict[str, _Recorded] = {}
        self._sessions: dict[str, Session[Any]] = {}
        self._early: dict[str, list[Entry]] = {}
        self._published: dict[tuple[str, str], PublishedBook] = {}

    def take(self, entry: Entry) -> list[Book]:
        """The books that follow from one entry."""
        session = self._sessions.get(entry.connection)
        if session is None:
            return self._begin(entry)
        return self._give(session, entry)

    def _begin(self, entry: Entry) -> list[Book]:
        """Which session a connection needs is told by its `Opened` mark; what came before is kept until then."""
        if entry.frame and entry.connection not in self._early:
            return self._assume(entry)
        early = self._early.setdefault(entry.connection, [])
        early.append(entry)
        opened = entry.mark() if entry.kind == "mark" else None
        if not isinstance(opened, Opened):
            return []
        if (self._venue, opened.way) not in SESSIONS:
            raise RebuildError(f"{entry.place}: {self._venue} has no connections of the kind {opened.way!r}")
        del self._early[entry.connection]
        session = self._open(entry.connection, opened.way)
        return [book for one in early for book in self._give(session, one)]

    def _assume(self, entry: Entry) -> list[Book]:
        self.incomplete.add(entry.connection)
        session = self._open(entry.connection, "websocket")
        for mark in (Follow(self._assumed), Opened()):
            session.mark(entry.receipt, mark, entry.received_ns)
        self._hosts[entry.connection].said.clear()
        return self._give(session, entry)

    def _open(self, connection: str, way: str) -> Session[Any]:
        host = self._hosts[connection] = _Recorded()
        process = process_of(connection)

        def published(followed: Followed) -> PublishedBook:
            key = (process, followed.market.market)
            if key not in self._published:
                market = followed.market.market
                self._published[key] = PublishedBook(self._venue, market, followed.group, self._depth, self._clocks)
            return self._published[key]

        settings = self._settings if way == KalshiSession.way else {}
        session = self._sessions[connection] = SESSIONS[self._venue, way](host, published, **settings)
        return session

    def _give(self, session: Session[Any], entry: Entry) -> list[Book]:
        host, receipt = self._hosts[entry.connection], entry.receipt
        match entry.kind:
            case "ws":
                session.frame(receipt, entry.data, entry.received_ns)
            case "rest":
                session.answered(receipt, entry.asked, entry.data, entry.received_ns)
            case "sent":
                session.sent(receipt, entry.data.decode())
            case "asked":
                session.asked(receipt, entry.url, entry.data or None)
            case "mark":
                self._mark(session, entry)
            case other:
                raise RebuildError(f"{entry.place}: kind {other!r} is none of a producer's")
        said, host.said = host.said, []
        self.broken, host.broken = self.broken + host.broken, 0
        return said

    def _mark(self, session: Session[Any], entry: Entry) -> None:
        mark = entry.mark()
        session.mark(entry.receipt, mark, entry.received_ns)
        if isinstance(mark, Unfollow):
            self._published.pop((process_of(entry.connection), mark.market), None)


def rebuild(entries: Iterable[Entry], rebuilder: Rebuilder) -> Iterator[Book]:
    """The books of entries, in order."""
    for entry in entries:
        yield from rebuilder.take(entry)


def as_line(book: Book, **more: Any) -> bytes:
    """One book change as a JSON line, prices and sizes in the design's integer units, best first."""
    bids, asks = book.sides()
    return (
        msgspec.json.encode(
            {
                "venue": book.venue,
                "market": book.market,
                "epoch": book.epoch,
                "sequence": book.sequence,
                "state": book.state,
                "reason": book.reason,
                "bids": bids,
                "asks": asks,
                "frame": book.frame,
                **more,
            }
        )
        + b"\n"
    )
