"""A line to a venue: the markets it carries, the connection that is made again and again, and all that is recorded.

A line gives its session whatever happens and does what the session asks for. Everything is put on the raw topic first,
in the order in which the session hears of it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Generic, Literal, TypeVar

from producers.books import PublishedBook, Receipt
from producers.publisher import publish_trades
from producers.refusals import RestError
from producers.session import Host, Session, Tracked
from producers.sockets import Socket, SocketLost
from producers.tools import Tools, batches
from producers.transcript import (
    Closed,
    Described,
    Follow,
    Followed,
    Hold,
    Mark,
    Moved,
    Opened,
    Release,
    Unanswered,
    Unfollow,
)
from runtime import logs, metrics
from schemas.records import Book, Market, Trade

TICK_S: Final = 0.05
"""How often a session looks at the time."""

MARKETS_PER_MARK: Final = 50
"""Rules texts are long: a record must stay below 1 MB."""

DISCONNECTED: Final = "disconnected"
STOPPED: Final = "producer stopped"

B = TypeVar("B", bound=Tracked)
Rest = Callable[[str, bytes | None], Awaitable[bytes]]
"""GET a path, or POST a body to it; raises RestError."""

MakeSession = Callable[[Host, Callable[[Followed], PublishedBook]], Session[B]]


class Lost(ConnectionError):
    """The session gave the connection up; the message says why."""

    def __init__(self, reason: str, *, planned: bool) -> None:
        super().__init__(reason)
        self.planned = planned


class Line(ABC, Generic[B]):
    """Some markets of a venue, their session, and the transcript of what happens."""

    def __init__(
        self,
        tools: Tools,
        make_session: MakeSession[B],
        rest: Rest,
        *,
        changed: Callable[[], None],
        catalogue_changed: Callable[[str], None],
    ) -> None:
        """`changed` hears that the line came up or went down."""
        self.tools = tools
        self.log = logs.get(venue=tools.venue)
        self.connection = tools.connections.name()
        self.session = make_session(self, self._published)
        self._rest = rest
        self._changed = changed
        self._said_connected = False
        self.catalogue_changed = catalogue_changed
        self._number = 0
        self._some = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._frames_read = metrics.FRAMES_READ.labels(tools.venue)

    # What a feed asks for

    @property
    def books(self) -> Mapping[str, B]:
        """The followed markets."""
        return self.session.books

    @property
    @abstractmethod
    def connected(self) -> bool:
        """True while books come in."""

    def add(self, followed: Sequence[Followed]) -> None:
        """Follow these markets, too."""
        fresh = [one for one in followed if one.market.market not in self.books]
        for batch in batches(fresh, MARKETS_PER_MARK):
            self._some.set()
            self._note(Follow(tuple(batch)))

    def remove(self, market: str) -> None:
        """Follow this market no more: its book is closed and its messages are ignored from now on."""
        self.tools.books.forget(market)
        self._note(Unfollow(market))
        if not self.books:
            self._some.clear()

    def describe(self, market: Market) -> None:
        """A followed market's metadata changed."""
        self._note(Described(market))

    def move(self, market: str, group: str) -> None:
        """A followed market belongs to another group now."""
        self._note(Moved(market, group))
        self.tools.books.follow(self.books[market].published)

    def hold(self, markets: Sequence[str], state: Literal["halted", "closed"], reason: str) -> None:
        """These markets cannot be traded at the venue."""
        fresh = [market for market in markets if self.books[market].published.held != (state, reason)]
        if fresh:
            self._note(Hold(tuple(fresh), state, reason))

    def release(self, markets: Sequence[str]) -> None:
        """These markets can be traded again."""
        held = [market for market in markets if self.books[market].published.held is not None]
        if held:
            self._note(Release(tuple(held)))

    def stop(self) -> None:
        """No book of this line is followed any more; `run` has ended before."""
        self._note(Closed(STOPPED))
        self.report()

    @abstractmethod
    async def run(self) -> None:
        """Bring books in until cancelled; only what must end the process is raised."""

    # What a session asks for

    def say(self, book: Book | None) -> None:
        """Publish a book."""
        self.tools.books.offer(book)

    def trade(self, trade: Trade) -> None:
        """Publish a print."""
        publish_trades(self.tools.publisher, [trade])

    def send(self, text: str) -> None:
        """Record a command; a line with a socket sends it."""
        receipt = self._receipt()
        self.tools.raw.sent(receipt, text)
        self.session.sent(receipt, text)

    def ask(self, path: str, body: bytes | None = None) -> None:
        """Ask by REST."""
        receipt = self._receipt()
        self.tools.raw.asked(receipt, body or b"", path)
        self.session.asked(receipt, path, body)
        self._spawn(self._asked(receipt, path, body))

    def ping(self) -> None:
        """A line without a socket has nothing to ping."""

    def mark(self, mark: Mark) -> None:
        """Record a mark of the session's own."""
        self._note(mark)

    def lose(self, reason: str, *, planned: bool = False) -> None:
        """A line without a socket has nothing to lose."""

    def undecodable(self, data: bytes, error: Exception) -> None:
        """Count and dead-letter; raises DeadLetterLimit when there are too many."""
        self.tools.undecodable(data, error)

    def understood(self) -> None:
        """A frame was understood."""
        self.tools.dead_letters.good()

    # What lines share

    def report(self) -> None:
        """Tell the feed when the line came up or went down."""
        if self.connected != self._said_connected:
            self._said_connected = self.connected
            self._changed()

    async def _ticks(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._handled():
                self.session.tick(self.tools.now())
            self.report()

    def _handled(self) -> bool:
        """True when nothing received is left unhandled."""
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside the rest, while the connection lasts."""
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(work)

    async def _asked(self, asked: Receipt, path: str, body: bytes | None) -> None:
        call_start_ns = self.tools.now()
        try:
            data = await self._rest(path, body)
        except RestError as error:
            if asked.connection == self.connection:
                self._note(Unanswered(asked.frame, str(error)))
            return
        response_ns = self.tools.now()
        if self.tools.raw.full():
            await self.tools.raw.room()
        if asked.connection != self.connection:
            return  # it was asked over a connection that is gone
        receipt = self._receipt(call_start_ns, response_ns)
        self.tools.raw.body(receipt, data, path, asked.frame)
        self._frames_read.inc()
        self.session.answered(receipt, asked.frame, data, self.tools.now())

    def _note(self, mark: Mark) -> None:
        receipt = self._receipt()
        self.tools.raw.mark(receipt, mark)
        self.session.mark(receipt, mark, receipt.response_ns)

    def _receipt(self, call_start_ns: int = 0, response_ns: int = 0) -> Receipt:
        """The next record of this connection; noted now when no times are given."""
        response_ns = response_ns or self.tools.now()
        receipt = Receipt(self.connection, self._number, call_start_ns or response_ns, response_ns)
        self._number += 1
        return receipt

    def _begin(self) -> None:
        """A new connection: its transcript says first what is followed and held, then that it is open."""
        self.connection = self.tools.connections.name()
        self._number = 0
        markets = self.session.markets
        everything = [Followed(markets[market], book.published.group) for market, book in self.books.items()]
        for batch in batches(everything, MARKETS_PER_MARK):
            self._note(Follow(tuple(batch)))
        for market, book in self.books.items():
            if book.published.held is not None:
                state, reason = book.published.held
                self._note(Hold((market,), state, reason))  # type: ignore[arg-type]
        self._note(Opened(self.session.way))

    def _published(self, followed: Followed) -> PublishedBook:
        tools, market = self.tools, followed.market.market
        book = PublishedBook(tools.venue, market, followed.group, tools.settings.book_depth, tools.clocks)
        tools.books.follow(book)
        return book


class WebsocketLine(Line[B]):
    """A line over one websocket at a time, made again whenever it is lost."""

    def __init__(
        self,
        tools: Tools,
        make_session: MakeSession[B],
        rest: Rest,
        *,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        changed: Callable[[], None],
        catalogue_changed: Callable[[str], None],
    ) -> None:
        """`headers()` gives those of the next handshake."""
        super().__init__(tools, make_session, rest, changed=changed, catalogue_changed=catalogue_changed)
        self._url = url
        self._headers = headers
        self._guard = tools.guard()
        self._connected_before = False
        self._idle = False
        self._up = False
        self._socket: Socket | None = None
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()
        self._lost: asyncio.Future[None] | None = None

    @property
    def connected(self) -> bool:
        """True while the socket is open."""
        return self._up

    async def run(self) -> None:
        """Connect, read, and connect again, until cancelled."""
        await self._some.wait()
        await asyncio.sleep(self._guard.first_delay_s())
        while True:
            await self._some.wait()
            started_ns = self.tools.now()
            lost: Exception | None = None
            try:
                await self._connection()
            except* (SocketLost, Lost) as errors:
                lost = _first(errors)
            if isinstance(lost, Lost) and lost.planned:
                self.log.info("feed made again", url=self._url, reason=str(lost))
                continue
            delay_s = self._guard.delay_s(self.tools.now() - started_ns, lost)
            self.log.warning("feed lost", url=self._url, error=str(lost), again_in_s=round(delay_s, 3))
            await asyncio.sleep(delay_s)

    def send(self, text: str) -> None:
        """Record a command and send it."""
        super().send(text)
        self._outgoing.put_nowait(text)

    def ping(self) -> None:
        """Ping, and tell the session when the pong has come and all frames before it are handled."""
        if self._socket is not None:
            self._spawn(self._pinged(self._socket))

    def lose(self, reason: str, *, planned: bool = False) -> None:
        """Close the connection and make it again."""
        if self._lost is not None and not self._lost.done():
            self._lost.set_exception(Lost(reason, planned=planned))

    def _handled(self) -> bool:
        return self._idle

    async def _connection(self) -> None:
        socket = await self.tools.connect(self._url, self._headers())
        self._guard.succeeded()
        try:
            self._outgoing = asyncio.Queue()
            self._lost = asyncio.get_running_loop().create_future()
            self._socket, self._up = socket, True
            if self._connected_before:
                metrics.RECONNECTS.labels(self.tools.venue).inc()
            self._connected_before = True
            self.log.info("feed connected", url=self._url)
            async with asyncio.TaskGroup() as self._tasks:
                self._tasks.create_task(self._read(socket))
                self._tasks.create_task(self._write(socket))
                self._tasks.create_task(self._ticks())
                self._tasks.create_task(_wait(self._lost))
                self._begin()
                self.report()
        finally:
            self._tasks, self._socket, self._up, self._lost = None, None, False, None
            self._note(Closed(DISCONNECTED))
            self.report()
            await socket.close()

    async def _read(self, socket: Socket) -> None:
        raw, now, session = self.tools.raw, self.tools.now, self.session
        while True:
            # recv returns without suspending while frames are queued: whoever sees `_idle` set sees an empty queue.
            self._idle = True
            data = await socket.recv()
            self._idle = False
            received_ns = now()
            if raw.full():
                await raw.room()
            receipt = Receipt(self.connection, self._number, received_ns, received_ns)
            self._number += 1
            raw.frame(receipt, data)
            self._frames_read.inc()
            session.frame(receipt, data, now())

    async def _write(self, socket: Socket) -> None:
        outgoing = self._outgoing
        while True:
            await socket.send(await outgoing.get())

    async def _pinged(self, socket: Socket) -> None:
        sent_ns = self.tools.now()
        try:
            await (await socket.ping())
        except SocketLost:
            return  # the reader hears of it, too
        while self._socket is socket:
            if self._idle:
                self.session.ponged(sent_ns)
                return
            await asyncio.sleep(0.001)


class PollingLine(Line[B]):
    """A line without a socket: its session asks by REST, again and again."""

    @property
    def connected(self) -> bool:
        """True while the venue answers."""
        return self.session.answering

    async def run(self) -> None:
        """Let the session ask, until cancelled."""
        await self._some.wait()
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._ticks())
            self._begin()


async def _wait(future: asyncio.Future[None]) -> None:
    await future


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """The first plain error inside a group of errors."""
    error: Exception = errors
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
