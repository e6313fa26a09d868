"""Kalshi's feed over real sockets of this process: no Kafka, no simulator. What sessions decide is tested elsewhere."""

import asyncio
import http
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from producers.kalshi.auth import Signer
from producers.kalshi.feed import KalshiFeed, make_feed
from producers.kalshi.polling import KalshiPolling
from producers.kalshi.rest import Rest
from producers.kalshi.session import KalshiSession
from producers.publisher import RAW_LIMIT
from runtime.kafka import DeliveryFailed
from runtime.settings import KalshiSettings
from tests.unit.producers.kalshi.frames import delta, market_body, snapshot, trade
from tests.unit.producers.kalshi.scripted import Papers
from tests.unit.producers.kalshi.venue import Venue
from tests.unit.producers.support import FakePublisher, make_tools, rest_client


class Server:
    """A venue that does what its papers say, on each connection anew; `refuse` handshakes are answered with 503."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], None] = lambda _: None
        self.commands: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.refuse = 0
        self.url = ""
        self.papers = Papers(self)  # type: ignore[arg-type]
        self._socket: ServerConnection | None = None
        self._out: list[bytes] = []
        self._came = asyncio.Event()

    def take(self, *frames: bytes) -> None:
        """Papers send by this."""
        self._out.extend(frames)

    def handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        self.headers.append(dict(request.headers.raw_items()))
        if self.refuse:
            self.refuse -= 1
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "maintenance\n")
        return None

    async def serve(self, socket: ServerConnection) -> None:
        self._socket = socket
        self.papers = Papers(self)  # type: ignore[arg-type]
        papers, out = self.papers, self._out
        try:
            async for text in socket:
                command = json.loads(text)
                papers.command(command)
                frames, out[:] = list(out), []
                for data in frames:
                    await socket.send(data, text=True)
                self.commands.append(command)
                self._came.set()
        except ConnectionClosed:
            return

    async def send(self, *frames: bytes) -> None:
        assert self._socket is not None
        for data in frames:
            await self._socket.send(data, text=True)

    async def ping(self) -> None:
        """Returns when the pong has come."""
        assert self._socket is not None
        await (await self._socket.ping(b"heartbeat"))

    async def cut(self) -> None:
        assert self._socket is not None
        self._socket.transport.abort()

    def subscribed(self, channel: str = "orderbook_delta") -> list[list[str]]:
        return [
            command["params"]["market_tickers"]
            for command in self.commands
            if command["cmd"] == "subscribe" and command["params"]["channels"] == [channel]
        ]

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def running(
    fake: FakePublisher, markets: list[str], *, refuse: int = 0, **settings: Any
) -> AsyncIterator[tuple[Server, KalshiFeed, "asyncio.Task[None]"]]:
    server = Server()
    server.refuse = refuse
    own = {name: settings.pop(name) for name in list(settings) if name.startswith("kalshi_")}
    async with serve(server.serve, "127.0.0.1", 0, process_request=server.handshake) as listening:
        server.url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/trade-api/ws/v2"
        tools = make_tools("kalshi", fake, **settings)
        signer = Signer(tools.now, "key-id", Ed25519PrivateKey.generate())
        catalogue = Venue(*(market_body(market, close_time="2100-01-01T00:00:00Z") for market in markets))
        feed = KalshiFeed(
            tools, KalshiSettings(kalshi_ws_url=server.url, **own), signer, Rest(rest_client(catalogue.answer))
        )
        task = asyncio.create_task(feed.run())
        feed.assign(dict.fromkeys(markets, "g"))
        try:
            await server.until(server.subscribed)
            yield server, feed, task
        finally:
            task.cancel()
            await asyncio.wait([task])
            await feed.close()


def test_from_the_handshake_to_the_book_and_back_after_the_connection_was_cut() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (server, _, _):
            await fake.until(lambda: fake.books("kalshi"))
            assert server.headers[0]["KALSHI-ACCESS-KEY"] == "key-id"
            await server.send(delta("X", server.papers.next(2), "no", "0.50", "1", sid=2), trade("X", 1, sid=3))
            await fake.until(lambda: len(fake.books("kalshi")) == 2 and fake.trades("kalshi"))
            await server.ping()
            await server.cut()
            await fake.until(lambda: len(fake.books("kalshi")) == 4)
        first, second, lost, again = fake.books("kalshi")[:4]
        assert first.sides() == ([(4000, 100)], [(5000, 200)])
        assert second.sides() == ([(4000, 100)], [(5000, 300)])
        assert [(book.state, book.reason, book.sequence) for book in (first, second, lost)] == [
            ("live", "", 1), ("live", "", 2), ("recovering", "disconnected", 3),
        ]  # fmt: skip
        assert len({first.epoch, second.epoch, lost.epoch}) == 1
        assert (again.epoch > first.epoch, again.sequence, again.state) == (True, 1, "live")
        assert first.connection != again.connection
        raw = [record for record in fake.on("raw.kalshi") if record.key == second.connection.encode()]
        assert json.loads(raw[second.frame].value or b"")["type"] == "orderbook_delta"
        assert [record.headers["frame"] for record in raw] == [b"%d" % number for number in range(len(raw))]
        assert {"ws", "sent", "mark"} <= {record.headers["kind"].decode() for record in raw}

    asyncio.run(scenario())


def test_handshakes_that_are_refused_are_made_again() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"], refuse=3) as (server, feed, _):
            await fake.until(lambda: fake.books("kalshi"))
            assert len(server.headers) == 4
            assert len({headers["KALSHI-ACCESS-SIGNATURE"] for headers in server.headers}) >= 1
            assert [line.connected for line in feed.lines] == [True]

    asyncio.run(scenario())


def test_many_markets_are_carried_over_several_connections() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X", "Y", "Z"], kalshi_markets_per_connection=2) as (server, feed, _):
            await fake.until(lambda: len(fake.books("kalshi")) == 3)
            assert sorted(server.subscribed()) == [["X", "Y"], ["Z"]]
            assert {type(line.session) for line in feed.lines} == {KalshiSession}
            assert len({book.connection for book in fake.books("kalshi")}) == 2

    asyncio.run(scenario())


def test_the_settings_reach_the_session() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        own: dict[str, Any] = {"kalshi_use_yes_price": True, "kalshi_audit_markets": 0}
        async with running(fake, ["X"], reconcile_ms=200, **own) as (server, _, _):
            await server.until(lambda: len(server.commands) >= 6)
            assert server.commands[1]["params"]["use_yes_price"] is True
            assert {command["params"].get("action", "") for command in server.commands} == {"", "add_markets"}
            assert fake.books("kalshi")[0].sides()[1] == [(5000, 200)]

    asyncio.run(scenario())


def test_nothing_is_proved_while_a_frame_is_not_handled() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"], reconcile_ms=400) as (server, feed, _):
            await fake.until(lambda: len({book.confirmed_ns for book in fake.books("kalshi", repeated=True)}) >= 3)
            fake.waiting = RAW_LIMIT  # Kafka is behind: the reader holds the next frame back
            await server.send(delta("X", server.papers.next(2), "yes", "0.40", "1", sid=2))
            await fake.until(lambda: not feed.lines[0]._handled())
            held_ns, shown = feed.tools.now(), len(fake.books("kalshi", repeated=True))
            await fake.until(lambda: len(fake.books("kalshi", repeated=True)) >= shown + 8)
            assert all(book.confirmed_ns < held_ns for book in fake.books("kalshi", repeated=True))
            fake.waiting = 0
            await fake.until(lambda: fake.books("kalshi", repeated=True)[-1].confirmed_ns > held_ns)
            assert len(server.headers) == 1

    asyncio.run(scenario())


def test_a_lost_record_ends_the_feed() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (server, _, task):
            fake.lost = DeliveryFailed("gone")
            await server.send(snapshot("X", 9, [("0.40", "1")], sid=2))
            await asyncio.wait([task], timeout=10)
            assert isinstance(task.exception(), ExceptionGroup)
            fake.lost = None

    asyncio.run(scenario())


def test_too_many_bad_frames_end_the_feed() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (server, _, task):
            await fake.until(lambda: fake.books("kalshi"))
            server.papers.quiet = {"get_snapshot"}
            await server.send(b"1", b"2", b"3", b"4")
            await asyncio.wait([task], timeout=10)
            assert "4 dead letters in a row" in repr(task.exception())
        assert [record.value for record in fake.on("deadletter.book.kalshi")] == [b"1", b"2", b"3", b"4"]

    asyncio.run(scenario())


def test_without_a_key_the_rest_books_are_polled() -> None:
    levels = iter([[["0.40", "1"]], [["0.40", "1"]], None])
    catalogue = Venue(*(market_body(market, close_time="2100-01-01T00:00:00Z") for market in ("X", "Y")))

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/markets/orderbooks":
            return catalogue.answer(request)
        bids = next(levels, [["0.41", "1"]])
        if bids is None:
            return httpx.Response(503)
        tickers = request.url.params.get_list("tickers")
        return httpx.Response(
            200, json={"orderbooks": [{"ticker": t, "orderbook_fp": {"yes_dollars": bids}} for t in tickers]}
        )

    async def scenario() -> None:
        fake = FakePublisher()
        tools = make_tools("kalshi", fake)
        feed = KalshiFeed(tools, KalshiSettings(kalshi_poll_ms=50), Signer(tools.now), Rest(rest_client(answer)))
        task = asyncio.create_task(feed.run())
        feed.assign({"X": "g", "Y": "g"})
        await fake.until(lambda: len(fake.books("kalshi")) == 4)
        assert [type(line.session) for line in feed.lines] == [KalshiPolling]
        task.cancel()
        await asyncio.wait([task])
        await feed.close()
        first, again = fake.books("kalshi", "X")
        assert (first.sides(), again.sides()) == (([(4000, 100)], []), ([(4100, 100)], []))
        assert again.confirmed_ns == again.api_call_start_ns <= again.api_response_ns
        raw = [record for record in fake.on("raw.kalshi") if record.headers["kind"] == b"rest"]
        assert raw[-1].headers["url"] == b"/markets/orderbooks?tickers=X&tickers=Y"

    asyncio.run(scenario())


def test_the_environment_says_which_feed_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def scenario() -> None:
        polled = make_feed(make_tools("kalshi", FakePublisher()))
        assert type(polled.make_line().session) is KalshiPolling
        await polled.close()
        key = tmp_path / "key.pem"
        private = Ed25519PrivateKey.generate()
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        monkeypatch.setenv("DUTCHBOOK_KALSHI_KEY_ID", "k")
        monkeypatch.setenv("DUTCHBOOK_KALSHI_PRIVATE_KEY_FILE", str(key))
        signed = make_feed(make_tools("kalshi", FakePublisher()))
        assert type(signed.make_line().session) is KalshiSession
        await signed.close()

    asyncio.run(scenario())
