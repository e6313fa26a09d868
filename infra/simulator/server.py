"""One venue simulator as a server: the venue's websocket and REST on one port of 127.0.0.1, and a control face.

Control face, for whoever runs the simulator: ``POST /_simulator/start`` with ``{"at_ns": wall ns}`` (optional) begins
playback, ``GET /_simulator/status`` tells where it stands.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec
from aiohttp import WSMsgType, web

from infra.simulator.kalshi import KalshiVenue
from infra.simulator.kalshi_auth import Verifier
from infra.simulator.kalshi_rest import KalshiRest, problem
from infra.simulator.kalshi_session import Session as KalshiSession
from infra.simulator.outbox import DEFAULT_LIMIT, Outbox
from infra.simulator.playback import Player
from infra.simulator.polymarket import PolymarketVenue
from infra.simulator.polymarket_rest import PolymarketRest
from infra.simulator.recorded import Reply, Request
from infra.simulator.tape import VENUES, Tape

HOST = "127.0.0.1"
KALSHI_PATH = "/trade-api/ws/v2"
POLYMARKET_PATH = "/ws/market"
PING_EVERY_S = 10.0
# How long a playback at full speed waits for a client that reads nothing before its queue overflows.
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a simulator runs.

    ``speed`` None plays as fast as the clients read; ``hold`` waits for ``/_simulator/start``, otherwise the first
    subscription starts the tape; ``queue`` bounds the frames waiting for one client; ``port`` 0 takes a free one.
    """

    port: int = 0
    speed: float | None = 1.0
    hold: bool = False
    queue: int = DEFAULT_LIMIT
    kalshi_public_key: Path | None = None
    ping_every_s: float = PING_EVERY_S
    patience_s: float = PATIENCE_S


class Simulator:
    """A running venue simulator; use it as an async context manager."""

    def __init__(self, venue: str, tape: Tape, options: Options) -> None:
        self._options = options
        self._tape = tape
        self._outboxes: dict[Outbox, None] = {}
        self._sent_before = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._app = web.Application()
        self._venue: KalshiVenue | PolymarketVenue = self._kalshi() if venue == "kalshi" else self._polymarket()
        # The other venue's receive times belong to the timeline: damage there must be named before anything listens.
        deque((stamp for other in VENUES if other != venue for stamp in tape.stamps(other)), maxlen=0)
        timeline = tape.timeline(venue, options.speed)
        self.player = Player(timeline, self._venue.deliver, self._pressure, self._venue.survey.frames)
        if not options.hold:
            self._venue.on_subscribed = lambda: void(self.player.start())
        self._app.router.add_post("/_simulator/start", self._start)
        self._app.router.add_get("/_simulator/status", self._status)
        self._app.router.add_route("*", "/{path:.*}", self._rest)
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1.0)
        self.port = options.port
        self.played: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._options.port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise OSError(error.errno, f"cannot listen on {HOST}:{self._options.port}: {error.strerror}") from error
        self.port = self._runner.addresses[0][1]
        self.played = asyncio.create_task(self.player.run(), name="playback")
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for task in (self.played, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        for outbox in list(self._outboxes):
            outbox.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where REST and the control face are."""
        return f"http://{HOST}:{self.port}"

    def _kalshi(self) -> KalshiVenue:
        verifier = Verifier.from_file(self._options.kalshi_public_key)
        venue = KalshiVenue(self._tape)
        self._answer: Callable[[Request], Reply] = KalshiRest(venue, verifier).answer

        async def connect(request: web.Request) -> web.StreamResponse:
            headers = {name.lower(): value for name, value in request.headers.items()}
            refusal = verifier.refusal(headers, "GET", KALSHI_PATH)
            if refusal:
                return _json(problem(401, "unauthorized", refusal))
            outbox = Outbox(self._options.queue)
            session = KalshiSession(venue, outbox)
            try:
                return await self._converse(request, outbox, session.handle, b"heartbeat")
            finally:
                session.close()

        self._app.router.add_get(KALSHI_PATH, connect)
        return venue

    def _polymarket(self) -> PolymarketVenue:
        venue = PolymarketVenue(self._tape)
        self._answer = PolymarketRest(venue).answer

        async def connect(request: web.Request) -> web.StreamResponse:
            session = venue.connect(Outbox(self._options.queue))
            try:
                return await self._converse(request, session.outbox, lambda text: venue.handle(session, text), None)
            finally:
                venue.close(session)

        self._app.router.add_get(POLYMARKET_PATH, connect)
        return venue

    async def _converse(
        self, request: web.Request, outbox: Outbox, handle: Callable[[str], None], ping: bytes | None
    ) -> web.StreamResponse:
        """Serve one websocket until either side ends it; closing the outbox cuts the connection."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._outboxes[outbox] = None
        helpers = {
            asyncio.create_task(outbox.drain_to(socket.send_str)),
            asyncio.create_task(_cut(outbox, request)),
        }
        if ping is not None:
            helpers.add(asyncio.create_task(_ping(socket, ping, self._options.ping_every_s)))
        self._tasks |= helpers
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    handle(message.data)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._tasks -= helpers
            self._sent_before += outbox.sent
            self._outboxes.pop(outbox, None)
        return socket

    async def _pressure(self) -> None:
        if self._options.speed is None:
            for outbox in list(self._outboxes):
                await outbox.room(self._options.patience_s)

    async def _rest(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = list(request.query.items())
        return _json(self._answer(Request(request.method, request.path, query, await request.read(), headers)))

    async def _start(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            at_ns = (msgspec.json.decode(body, type=dict[str, int]) if body else {}).get("at_ns")
        except msgspec.MsgspecError as error:
            return _json(Reply(400, {"error": f'expected {{"at_ns": integer}}: {error}'}))
        if not self.player.start(at_ns):
            return _json(Reply(409, {"error": "playback has already been started"}))
        return await self._status(request)

    async def _status(self, _request: web.Request) -> web.Response:
        player = self.player
        failure = (
            self.played.exception() if self.played and self.played.done() and not self.played.cancelled() else None
        )
        body = {
            "venue": self._venue.name,
            "tape": str(self._tape.folder),
            "state": player.state,
            "frames_total": player.frames_total,
            "frames_played": player.frames_played,
            "frames_sent": self._sent_before + sum(outbox.sent for outbox in self._outboxes),
            "connections": len(self._outboxes),
            "position_ns": player.position_ns,
        }
        return _json(Reply(200, body | ({"error": str(failure)} if failure else {})))


async def serve(venue: str, tape: Tape, options: Options, ready: Callable[[Simulator], Awaitable[None] | None]) -> None:
    """Run a simulator until cancelled; a tape that turns out damaged in playback ends it with ``TapeError``."""
    async with Simulator(venue, tape, options) as simulator:
        outcome = ready(simulator)
        if outcome is not None:
            await outcome
        if simulator.played is not None:
            await simulator.played
        await asyncio.Event().wait()


async def _cut(outbox: Outbox, request: web.Request) -> None:
    """End the connection of a closed outbox at once: a client that does not read would not read a close frame."""
    await outbox.wait_closed()
    if request.transport is not None:
        request.transport.abort()


async def _ping(socket: web.WebSocketResponse, body: bytes, every_s: float) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(every_s)
            await socket.ping(body)


def _json(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=msgspec.json.encode(reply.body), content_type="application/json")


def void(_: Any) -> None:
    """Drop a result where a callback must return nothing."""
