"""The websocket as a line sees it, and how one is opened."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from producers.resilience import is_loopback

OPEN_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 1.0
LARGEST_FRAME: Final = 64 * 1024 * 1024
"""A first frame can hold the whole books of 200 assets."""

QUEUED_FRAMES: Final = 256
"""Frames read from the socket before the reader takes them; a larger queue lets more books share a record."""


class SocketLost(ConnectionError):
    """The connection could not be made, or is gone; the message says why."""


class Socket(Protocol):
    """One open connection."""

    async def recv(self) -> bytes:
        """The next frame; without suspending while frames are queued. Raises SocketLost."""

    async def send(self, text: str) -> None:
        """Send a text frame; raises SocketLost."""

    async def ping(self) -> Awaitable[object]:
        """Send a protocol ping; what is returned is awaited for its pong. Raises SocketLost."""

    async def close(self) -> None:
        """Close the connection; twice is once."""


Connector = Callable[[str, Mapping[str, str]], Awaitable[Socket]]
"""Opens a connection to an address with headers of the handshake; raises SocketLost."""


async def open_websocket(url: str, headers: Mapping[str, str]) -> Socket:
    """A connection over the network; raises SocketLost, ValueError for an address that is none."""
    try:
        connection = await connect(
            url,
            additional_headers=dict(headers),
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,
            max_size=LARGEST_FRAME,
            max_queue=QUEUED_FRAMES,
            proxy=None if is_loopback(url) else True,
        )
    except InvalidURI as error:
        raise ValueError(f"{url}: not a websocket address: {error}") from error
    except (OSError, InvalidHandshake, ConnectionClosed, EOFError) as error:
        raise SocketLost(str(error) or type(error).__name__) from error
    return _Websocket(connection)


class _Websocket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def recv(self) -> bytes:
        try:
            return await self._connection.recv(decode=False)
        except (ConnectionClosed, OSError, EOFError) as error:
            raise SocketLost(str(error)) from error

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except (ConnectionClosed, OSError) as error:
            raise SocketLost(str(error)) from error

    async def ping(self) -> Awaitable[object]:
        try:
            return _pong(await self._connection.ping())
        except (ConnectionClosed, OSError) as error:
            raise SocketLost(str(error)) from error

    async def close(self) -> None:
        await self._connection.close()


async def _pong(waiter: Awaitable[float]) -> None:
    try:
        await waiter
    except (ConnectionClosed, OSError) as error:
        raise SocketLost(str(error)) from error
