"""One venue simulator as a server: the venue's websockets and REST on one port, and a control face.

Control face, for whoever runs the simulator (see ``control``): start and status of the playback, the fault panel, the
canonical books.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aiohttp import WSMsgType, web

from infra.simulator.control import PREFIX, Control
from infra.simulator.faces import KALSHI_PATH, POLYMARKET_PATH, make_site
from infra.simulator.outbox import DEFAULT_LIMIT
from infra.simulator.playback import Driver, Player, Pulse
from infra.simulator.recorded import Reply, Request
from infra.simulator.site import Connection, HandshakeRefused, Settings
from infra.simulator.tape import VENUES, Tape

__all__ = ["HOST", "KALSHI_PATH", "POLYMARKET_PATH", "Options", "Simulator", "serve"]

HOST = "127.0.0.1"
"""Where a simulator listens unless told otherwise: its control face asks nobody who they are."""
PING_EVERY_S = 10.0
# How long a playback at full speed waits for a client that reads nothing before its queue overflows.
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a simulator runs.

    ``speed`` None plays as fast as the clients read; ``hold`` waits for ``/_simulator/start``, otherwise the first
    subscription starts the tape; ``queue`` bounds the frames waiting for one client; ``port`` 0 takes a free one of
    ``host``.
    ``exchange``: the tape supplies catalogue and groups only, and ``rate`` actions a second, chosen by ``seed``, move
    the books from the beginning on; the seed also chooses what the faults strike.
    """

    port: int = 0
    speed: float | None = 1.0
    hold: bool = False
    queue: int = DEFAULT_LIMIT
    kalshi_public_key: Path | None = None
    ping_every_s: float = PING_EVERY_S
    patience_s: float = PATIENCE_S
    exchange: bool = False
    seed: int = 0
    rate: float = 50.0
    host: str = HOST


class Simulator:
    """A running venue simulator; use it as an async context manager."""

    def __init__(self, venue: str, tape: Tape, options: Options) -> None:
        self._options = options
        self._tasks: set[asyncio.Task[None]] = set()
        settings = Settings(seed=options.seed, queue=options.queue)
        self.site = make_site(
            venue, tape, settings, exchange=options.exchange, kalshi_public_key=options.kalshi_public_key
        )
        self.driver = self._pulse() if options.exchange else self._player(venue, tape)
        self._app = web.Application()
        for path in self.site.face.paths:
            self._app.router.add_get(path, self._websocket)
        self._control = Control(self.site, tape, self.driver, self._failure)
        self._app.router.add_route("*", PREFIX + "{path:.*}", self._panel)
        self._app.router.add_route("*", "/{path:.*}", self._rest)
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1.0)
        self.host = options.host
        self.port = options.port
        self.played: asyncio.Task[None] | None = None

    def _player(self, venue: str, tape: Tape) -> Driver:
        # The other venue's receive times belong to the timeline: damage there must be named before anything listens.
        deque((stamp for other in VENUES if other != venue for stamp in tape.stamps(other)), maxlen=0)
        total = sum(1 for _ in tape.stamps(venue))
        timeline = tape.timeline(venue, self._options.speed)
        player = Player(timeline, self.site.venue.deliver, self._pressure, total)
        if not self._options.hold:
            self.site.venue.on_subscribed = lambda: _void(player.start())
        return player

    def _pulse(self) -> Driver:
        traffic = self.site.traffic
        assert traffic is not None
        pulse = Pulse(traffic.step, self._options.rate)
        traffic.fill()
        if not self._options.hold:
            pulse.start()
        return pulse

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._options.host, self._options.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            place = f"{self._options.host}:{self._options.port}"
            raise OSError(error.errno, f"cannot listen on {place}: {error.strerror}") from error
        self.port = self._runner.addresses[0][1]
        self.played = asyncio.create_task(self.driver.run(), name="playback")
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for task in (self.played, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        self.site.cut()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where REST and the control face are."""
        return f"http://{self.host}:{self.port}"

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        """Serve one websocket until either side ends it; closing its outbox cuts the connection."""
        try:
            connection = await self.site.connect(request.path, _headers(request))
        except HandshakeRefused as refused:
            return _response(refused.reply)
        socket = web.WebSocketResponse(compress=False, autoping=False)
        try:
            await socket.prepare(request)
            await self._converse(request, socket, connection)
        except ConnectionError:
            pass  # the client did not wait for the answer
        finally:
            connection.close()
        return socket

    async def _converse(self, request: web.Request, socket: web.WebSocketResponse, connection: Connection) -> None:
        helpers = {
            asyncio.create_task(connection.outbox.drain_to(socket.send_str)),
            asyncio.create_task(_cut(connection, request)),
        }
        if self.site.face.ping is not None:
            helpers.add(asyncio.create_task(self._ping(socket, connection, self.site.face.ping)))
        self._tasks |= helpers
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    connection.handle(message.data)
                elif message.type is WSMsgType.PING and connection.reachable:
                    await socket.pong(message.data)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._tasks -= helpers

    async def _ping(self, socket: web.WebSocketResponse, connection: Connection, body: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._options.ping_every_s)
                if connection.reachable:
                    await socket.ping(body)

    async def _pressure(self) -> None:
        if self._options.speed is None:
            for connection in list(self.site.connections):
                await connection.outbox.room(self._options.patience_s)

    async def _rest(self, request: web.Request) -> web.Response:
        return _response(await self.site.rest.answer(await _plain(request)))

    async def _panel(self, request: web.Request) -> web.Response:
        return _response(self._control.answer(await _plain(request)))

    def _failure(self) -> BaseException | None:
        """What ended the playback, when something did."""
        played = self.played
        return played.exception() if played and played.done() and not played.cancelled() else None


async def serve(venue: str, tape: Tape, options: Options, ready: Callable[[Simulator], Awaitable[None] | None]) -> None:
    """Run a simulator until cancelled; a tape that turns out damaged in playback ends it with ``TapeError``."""
    async with Simulator(venue, tape, options) as simulator:
        outcome = ready(simulator)
        if outcome is not None:
            await outcome
        if simulator.played is not None:
            await simulator.played
        await asyncio.Event().wait()


async def _cut(connection: Connection, request: web.Request) -> None:
    """End the connection of a closed outbox at once: a client that does not read would not read a close frame."""
    await connection.outbox.wait_closed()
    if request.transport is not None:
        request.transport.abort()


async def _plain(request: web.Request) -> Request:
    query = list(request.query.items())
    return Request(request.method, request.path, query, await request.read(), _headers(request))


def _headers(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _response(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.encoded(), headers=reply.all_headers())


def _void(_: object) -> None:
    """Drop a result where a callback must return nothing."""
