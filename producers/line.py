"""A line to a venue: the markets it carries and, for a websocket, the connection that is made again and again."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from producers.books import PublishedBook, Receipt
from producers.resilience import Backoff, is_loopback
from producers.tools import Tools
from runtime import logs, metrics
from schemas.records import Book, Market

OPEN_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 1.0
LARGEST_FRAME: Final = 64 * 1024 * 1024
"""A first frame can hold the whole books of 200 assets."""

QUEUED_FRAMES: Final = 256
"""Frames read from the socket before the reader takes them; a larger queue lets more books share a record."""

DISCONNECTED: Final = "disconnected"
REMOVED: Final = "group removed"
STOPPED: Final = "producer stopped"


class FeedLost(ConnectionError):
    """The connection is up but useless; the message says why. It is closed and made again."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A market to follow: its metadata and its group."""

    market: Market
    group: str


class Tracked(Protocol):
    """What a line needs of a venue's market book."""

    published: PublishedBook

    def interrupt(self, reason: str, now_ns: int) -> Book | None:
        """The book cannot be trusted until the venue sends it whole again."""


B = TypeVar("B", bound=Tracked)


class Line(ABC, Generic[B]):
    """Some markets of a venue and the way their books come in."""

    def __init__(self, tools: Tools, lines_changed: Callable[[], None]) -> None:
        self.books: dict[str, B] = {}
        self.connected = False
        self.tools = tools
        self.log = logs.get(venue=tools.venue)
        self._lines_changed = lines_changed
        self._some = asyncio.Event()

    def add(self, followed: Sequence[Followed]) -> None:
        """Follow these markets, too."""
        fresh = [one for one in followed if one.market.market not in self.books]
        for one in fresh:
            book = self.make_book(one)
            self.books[one.market.market] = book
            self.tools.books.follow(book.published)
        if fresh:
            self._some.set()
            self.added([one.market.market for one in fresh])

    def remove(self, market: str) -> None:
        """Follow this market no more: its book is closed and its messages are ignored from now on."""
        book = self.books.pop(market)
        self.tools.books.forget(market)
        self.tools.books.offer(book.published.interrupt("closed", REMOVED, self.tools.now()))
        self.removed(market, book)
        if not self.books:
            self._some.clear()

    def interrupt_all(self, reason: str) -> None:
        """No book of this line can be trusted any more."""
        for book in self.books.values():
            self.tools.books.offer(book.interrupt(reason, self.tools.now()))

    def set_connected(self, connected: bool) -> None:
        """Note that books come in, or that they do not."""
        if connected != self.connected:
            self.connected = connected
            self._lines_changed()

    async def some_markets(self) -> None:
        """Wait until there is a market to follow."""
        await self._some.wait()

    def published_book(self, followed: Followed) -> PublishedBook:
        """What will be said about a market that nothing was said about yet."""
        tools = self.tools
        return PublishedBook(
            tools.venue, followed.market.market, followed.group, tools.settings.book_depth, tools.clocks
        )

    @abstractmethod
    def make_book(self, followed: Followed) -> B:
        """The venue's book builder for a market."""

    def added(self, markets: list[str]) -> None:
        """Markets were added."""

    def removed(self, market: str, book: B) -> None:
        """A market was removed."""

    @abstractmethod
    async def run(self) -> None:
        """Bring books in until cancelled; only what must end the process is raised."""


class WebsocketLine(Line[B]):
    """A line over one websocket at a time, made again with backoff whenever it is lost."""

    def __init__(self, tools: Tools, lines_changed: Callable[[], None], url: str) -> None:
        super().__init__(tools, lines_changed)
        self._url = url
        self._backoff = Backoff(tools.settings.backoff_initial_ms, tools.settings.backoff_limit_ms)
        self.idle = False
        self._connected_before = False
        self._frames_read = metrics.FRAMES_READ.labels(tools.venue)
        self.connection = ""

    def headers(self) -> dict[str, str]:
        """Headers of the handshake."""
        return {}

    @abstractmethod
    def opened(self) -> None:
        """The connection is up: subscribe (by a companion, so that nothing is added unseen meanwhile)."""

    @abstractmethod
    def frame(self, receipt: Receipt, data: bytes) -> None:
        """One frame came; it is on the raw topic already."""

    @abstractmethod
    def closed(self) -> None:
        """The connection is gone: forget what belonged to it."""

    @abstractmethod
    def companions(self, socket: ClientConnection) -> list[Coroutine[Any, Any, None]]:
        """What runs beside the reader while the connection is up."""

    async def run(self) -> None:
        """Connect, read, and connect again, until cancelled."""
        while True:
            await self.some_markets()
            started_ns = time.monotonic_ns()
            lost: BaseException | None = None
            try:
                await self._connection()
            except* (OSError, ConnectionClosed, InvalidHandshake, EOFError) as errors:
                lost = errors
            self.interrupt_all(DISCONNECTED)
            delay_s = self._backoff.delay_s(time.monotonic_ns() - started_ns)
            self.log.warning("feed lost", url=self._url, error=_first(lost), again_in_s=round(delay_s, 3))
            await asyncio.sleep(delay_s)

    async def drained(self) -> None:
        """Return when every frame received so far has been handled."""
        while not self.idle:
            await asyncio.sleep(0.001)

    async def _connection(self) -> None:
        try:
            async with connect(
                self._url,
                additional_headers=self.headers(),
                compression=None,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=None,
                max_size=LARGEST_FRAME,
                max_queue=QUEUED_FRAMES,
                proxy=None if is_loopback(self._url) else True,
            ) as socket:
                self.connection = self.tools.connections.name()
                if self._connected_before:
                    metrics.RECONNECTS.labels(self.tools.venue).inc()
                self._connected_before = True
                self.log.info("feed connected", url=self._url, connection=self.connection)
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._read(socket))
                    for companion in self.companions(socket):
                        tasks.create_task(companion)
                    self.opened()
                    self.set_connected(True)
        except InvalidURI as error:
            raise ValueError(f"{self._url}: not a websocket address: {error}") from error
        finally:
            self.set_connected(False)
            self.closed()

    async def _read(self, socket: ClientConnection) -> None:
        raw, now, number = self.tools.raw, self.tools.now, 0
        while True:
            # recv returns without suspending while frames are queued: whoever sees `idle` set sees an empty queue.
            self.idle = True
            data = await socket.recv(decode=False)
            self.idle = False
            received_ns = now()
            receipt = Receipt(self.connection, number, received_ns, received_ns)
            number += 1
            if raw.full():
                await raw.room()
            raw.frame(receipt, data)
            self._frames_read.inc()
            self.frame(receipt, data)


def _first(error: BaseException | None) -> str:
    """The text of the first plain error inside a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
