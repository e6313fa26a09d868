"""A simulated venue for clients in the same process: no sockets, one event loop, as a rule in virtual time.

The client's own asyncio code runs as it is: it is given ``connect`` in place of a websocket library and ``transport``
in place of the network under its HTTP client. All the rest, faults included, is what the server serves::

    async def main(loop: VirtualTimeLoop) -> None:
        settings = Settings(seed=7, latency_ns=MILLISECOND, now=loop.now_ns)
        venue = InProcessVenue(make_site("kalshi", tape, settings, exchange=True))
        async with venue.trading(rate=100):
            socket = await venue.connect("ws://venue/trade-api/ws/v2", headers)
            ...

    run_virtual(main)
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

import httpx

from infra.simulator.faults import FaultPanel
from infra.simulator.playback import Pulse
from infra.simulator.recorded import Request
from infra.simulator.site import Connection, HandshakeRefused, Site, later
from producers.sockets import OPEN_TIMEOUT_S, SocketLost

BEHIND_NS = 1_000
"""A pong comes this much after what was sent before it: the order of one connection, where times are equal."""


class InProcessVenue:
    """A site with clients in the same loop; whatever is sent takes the latency of the site's settings."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.venue = site.venue
        self.faults: FaultPanel = site.faults

    @asynccontextmanager
    async def trading(self, rate: float) -> AsyncIterator[Pulse]:
        """Fill the books and let the traffic act ``rate`` times a second, until the end of the block."""
        traffic = self.site.traffic
        assert traffic is not None, "only an exchange trades"
        traffic.fill()
        pulse = Pulse(traffic.step, rate, self.site.settings.now)
        pulse.start()
        running = asyncio.create_task(pulse.run(), name="traffic")
        try:
            yield pulse
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def later(self, delay_ns: int, function: Callable[[], None]) -> None:
        """Run a function after so many ns of the loop's clock."""
        later(delay_ns, function)

    async def connect(self, url: str, headers: Mapping[str, str]) -> "InProcessSocket":
        """Open a websocket; SocketLost when the venue refuses it or does not answer in time."""
        lower = {name.lower(): value for name, value in headers.items()}
        latency_ns = self.site.settings.latency_ns
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await asyncio.sleep(2 * latency_ns / 1e9)
                connection = await self.site.connect(urlsplit(url).path, lower)
        except HandshakeRefused as refused:
            raise SocketLost(str(refused)) from refused
        except TimeoutError:
            raise SocketLost("timed out during opening handshake") from None
        return InProcessSocket(connection, latency_ns)

    def transport(self) -> httpx.AsyncBaseTransport:
        """The network under an HTTP client."""
        return _Transport(self.site)


class InProcessSocket:
    """The client's end of a connection, as a producer's line sees it."""

    def __init__(self, connection: Connection, latency_ns: int) -> None:
        self._connection = connection
        self._latency_ns = latency_ns
        self._to_venue: asyncio.Queue[str] = asyncio.Queue()
        self._pongs: set[asyncio.Future[None]] = set()
        self._loop = asyncio.get_running_loop()

    async def recv(self) -> bytes:
        """The next frame, without suspending while there are some; SocketLost when the connection is gone."""
        try:
            return (await self._connection.outbox.next()).encode()
        except ConnectionError:
            self._lose_pongs()
            raise SocketLost("connection lost") from None

    async def send(self, text: str) -> None:
        """Send a text frame; SocketLost when the connection is gone."""
        self._check()
        self._to_venue.put_nowait(text)
        self._after(self._latency_ns, self._arrive)

    async def ping(self) -> Awaitable[None]:
        """Ping; what is returned is awaited for the pong, and raises SocketLost when the connection is lost first."""
        self._check()
        pong: asyncio.Future[None] = self._loop.create_future()
        self._pongs.add(pong)
        self._after(self._latency_ns, lambda: self._pinged(pong))
        return pong

    async def close(self) -> None:
        """Close the connection; twice is once."""
        self._connection.close()
        self._lose_pongs()

    def _after(self, delay_ns: int, function: Callable[[], None]) -> None:
        self._loop.call_later(delay_ns / 1e9, function)

    def _check(self) -> None:
        if self._connection.outbox.closed:
            raise SocketLost("connection lost")

    def _arrive(self) -> None:
        """The oldest message under way has arrived: timers of one moment go off in no certain order."""
        self._connection.handle(self._to_venue.get_nowait())

    def _pinged(self, pong: asyncio.Future[None]) -> None:
        if self._connection.reachable:
            self._after(self._latency_ns + BEHIND_NS, lambda: self._ponged(pong))

    def _ponged(self, pong: asyncio.Future[None]) -> None:
        self._pongs.discard(pong)
        if not pong.done():
            pong.set_result(None)

    def _lose_pongs(self) -> None:
        for pong in self._pongs:
            if not pong.done():
                pong.set_exception(SocketLost("connection lost"))
                pong.exception()  # whoever does not wait for it any more is not told
        self._pongs.clear()


class _Transport(httpx.AsyncBaseTransport):
    """Hands requests to a site; a reply that takes longer than the client's read timeout is one."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        query = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        headers = {name.lower(): value for name, value in request.headers.items()}
        plain = Request(request.method, request.url.path, query, await request.aread(), headers)
        latency_s = self._site.settings.latency_ns / 1e9
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("read")):
                await asyncio.sleep(latency_s)
                reply = await self._site.rest.answer(plain)
                await asyncio.sleep(latency_s)
        except TimeoutError:
            raise httpx.ReadTimeout("no reply in time", request=request) from None
        return httpx.Response(reply.status, headers=reply.all_headers(), content=reply.encoded(), request=request)
