import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import cast

import pytest

from producers.line import PollingLine, WebsocketLine
from producers.resilience import RestError
from producers.sockets import Socket, SocketLost
from producers.transcript import Closed, Follow, Followed, Opened, decode_mark
from tests.unit.producers.support import FakePublisher, Published, make_market, make_tools
from tests.unit.producers.toy import ToyBook, ToySession

pytestmark = pytest.mark.anyio

DEADLINE_S = 10.0


class FakeSocket:
    """A connection whose other end is the test."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.commands: list[str] = []
        self.closed = False
        self.pongs = True

    async def recv(self) -> bytes:
        data = await self.incoming.get()
        if data is None:
            raise SocketLost("cut by the test")
        return data

    async def send(self, text: str) -> None:
        self.commands.append(text)

    async def ping(self) -> Awaitable[object]:
        return asyncio.sleep(0) if self.pongs else asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


class Venue:
    """Connections and answers as the test wants them."""

    def __init__(self) -> None:
        self.sockets: list[FakeSocket] = []
        self.refusals = 0
        self.answers: dict[str, bytes] = {}
        self.changes = 0
        self.publisher = FakePublisher()

    async def connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        if self.refusals:
            self.refusals -= 1
            raise SocketLost("HTTP 503")
        self.sockets.append(FakeSocket())
        return self.sockets[-1]

    async def rest(self, path: str, body: bytes | None) -> bytes:
        if path == "/never":
            await asyncio.Event().wait()
        try:
            return self.answers[path]
        except KeyError:
            raise RestError(f"{path}: HTTP 500", 500) from None

    def raw(self) -> list[Published]:
        return self.publisher.on("raw.kalshi")

    def states(self) -> list[str]:
        return [book.state for book in self.publisher.books("kalshi")]

    def changed(self) -> None:
        self.changes += 1


@asynccontextmanager
async def running(venue: Venue) -> AsyncIterator[WebsocketLine[ToyBook]]:
    tools = make_tools("kalshi", venue.publisher, connect=venue.connect)
    line: WebsocketLine[ToyBook] = WebsocketLine(
        tools,
        lambda host, published: ToySession(host, published, overdue_ns=10**18),
        venue.rest,
        url="ws://test",
        headers=dict,
        changed=venue.changed,
        catalogue_changed=lambda _: None,
    )
    line.add([Followed(make_market("kalshi", "A"), "g")])
    tasks = [asyncio.create_task(line.run()), asyncio.create_task(tools.books.run())]
    try:
        yield line
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        line.stop()
        tools.books.flush()


def toy(line: WebsocketLine[ToyBook] | PollingLine[ToyBook]) -> ToySession:
    return cast(ToySession, line.session)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0)


async def test_the_transcript_of_a_connection_says_everything_in_order() -> None:
    venue = Venue()
    venue.answers["/book"] = b"A 5000"
    async with running(venue) as line:
        await until(lambda: venue.sockets and venue.sockets[0].commands)
        connection = line.connection
        venue.sockets[0].incoming.put_nowait(b"A 4000")
        await venue.publisher.until(lambda: venue.publisher.books("kalshi"))
        line.ask("/book", b"[1]")
        await venue.publisher.until(lambda: len(venue.publisher.books("kalshi")) == 2)
    records = [record for record in venue.raw() if record.key == connection.encode()]
    assert [record.headers["kind"] for record in records] == [
        *(b"mark", b"mark", b"sent", b"ws", b"asked", b"rest", b"mark", b"mark")
    ]
    assert [int(record.headers["frame"]) for record in records] == list(range(8))
    marks = [decode_mark(record.value or b"") for record in records if record.headers["kind"] == b"mark"]
    assert marks == [
        Follow((Followed(make_market("kalshi", "A"), "g"),)),
        Opened(),
        Closed("disconnected"),
        Closed("producer stopped"),
    ]
    assert [(book.frame, book.state) for book in venue.publisher.books("kalshi")] == [
        (3, "live"),
        (5, "live"),
        (6, "recovering"),
        (7, "recovering"),
    ]
    assert ("answered", 5, 4, b"A 5000") in toy(line).heard


async def test_a_lost_connection_is_made_again_under_a_new_name_that_says_what_is_followed_and_held() -> None:
    venue = Venue()
    async with running(venue) as line:
        await until(lambda: venue.sockets and venue.sockets[0].commands)
        venue.sockets[0].incoming.put_nowait(b"A 4000")
        await venue.publisher.until(lambda: venue.states() == ["live"])
        line.hold(["A"], "halted", "trading paused")
        line.hold(["A"], "halted", "trading paused")
        venue.refusals = 2
        first = line.connection
        venue.sockets[0].incoming.put_nowait(None)
        await until(lambda: len(venue.sockets) == 2 and venue.sockets[1].commands)
        assert venue.sockets[0].closed
        assert line.connection != first
        venue.sockets[1].incoming.put_nowait(b"A 4000")
        line.release(["A"])
        await venue.publisher.until(lambda: venue.states()[-1] == "live")
        second = [record for record in venue.raw() if record.key == line.connection.encode()]
        assert [type(decode_mark(record.value or b"")).__name__ for record in second[:3]] == [
            "Follow",
            "Hold",
            "Opened",
        ]
    # the lost connection says nothing: that the market is halted is graver
    assert venue.states()[:2] == ["live", "halted"]
    assert venue.changes >= 3


async def test_a_session_that_gives_its_connection_up_as_planned_gets_another_without_delay() -> None:
    venue = Venue()
    async with running(venue) as line:
        await until(lambda: venue.sockets)
        toy(line).lose_at_ns = 1
        await until(lambda: len(venue.sockets) == 2)
        assert venue.sockets[0].closed


async def test_a_request_that_fails_is_told_and_one_over_a_lost_connection_is_not() -> None:
    venue = Venue()
    async with running(venue) as line:
        await until(lambda: venue.sockets and venue.sockets[0].commands)
        line.ask("/nothing")
        await until(lambda: any(heard[0] == "unanswered" for heard in toy(line).heard))
        unanswered = next(heard for heard in toy(line).heard if heard[0] == "unanswered")
        assert unanswered[2] == "/nothing: HTTP 500"
        line.ask("/never")
        venue.sockets[0].incoming.put_nowait(None)
        await until(lambda: len(venue.sockets) == 2)
        assert [heard[0] for heard in toy(line).heard].count("unanswered") == 1


async def test_a_pong_is_told_once_every_frame_before_it_is_handled() -> None:
    venue = Venue()
    async with running(venue) as line:
        await until(lambda: venue.sockets and venue.sockets[0].commands)
        line.ping()
        await until(lambda: ("ponged",) in toy(line).heard)


async def test_a_polling_line_is_connected_while_the_venue_answers() -> None:
    venue = Venue()
    tools = make_tools("kalshi", venue.publisher)
    line: PollingLine[ToyBook] = PollingLine(
        tools, ToySession, venue.rest, changed=venue.changed, catalogue_changed=lambda _: None
    )
    line.add([Followed(make_market("kalshi", "A"), "g")])
    task = asyncio.create_task(line.run())
    await until(lambda: venue.changes)
    assert line.connected
    line.session.answering = False
    await until(lambda: venue.changes == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [record.headers["kind"] for record in venue.raw()][:2] == [b"mark", b"mark"]
