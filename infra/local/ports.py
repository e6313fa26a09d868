"""Loopback ports for the stack's services, so that several stacks run side by side and never meet."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

LOWEST_PORT = 10_000
ATTEMPTS = 500


class PortInUse(Exception):
    """A configured port is taken, or no free one was found; the text names service and port."""


def ephemeral_start() -> int:
    """First port the kernel hands to outgoing connections: at or above it a free port may be gone a moment later."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now (connections in TIME_WAIT do not count)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class PortLease:
    """A port for each named service, kept from other stacks of this user for as long as the lease is open.

    `configured` ports are taken as they are, or `PortInUse` is raised. `preferred` ones (of an earlier run on the same
    data: MirrorMaker keeps addresses there) are taken where they are free. The others are drawn at random between
    10,000 and the kernel's ephemeral range. A lease is one locked file per port: a killed process gives its ports back.
    """

    def __init__(
        self,
        services: Iterable[str],
        configured: Mapping[str, int] | None = None,
        draw: random.Random | None = None,
        folder: Path | None = None,
        preferred: Mapping[str, int] | None = None,
    ) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / f"dutchbook-ports-{os.getuid()}"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._draw = draw or random.SystemRandom()
        self._held: list[int] = []
        self.ports: dict[str, int] = {}
        try:
            self._take_all(tuple(services), configured or {}, preferred or {})
        except BaseException:
            self.close()
            raise

    def _take_all(self, services: tuple[str, ...], configured: Mapping[str, int], preferred: Mapping[str, int]) -> None:
        for service in services:
            port = configured.get(service)
            if port is None:
                continue
            if not 1 <= port <= 65_535:
                raise PortInUse(f"{service}: {port} is not a port (1 to 65535)")
            if not self._take(port):
                raise PortInUse(
                    f"{service}: port {port} on 127.0.0.1 is in use; stop what uses it or configure another"
                )
            self.ports[service] = port
        for service in services:
            if service not in self.ports:
                wish = preferred.get(service, 0)
                self.ports[service] = wish if wish > 0 and self._take(wish) else self._take_random(service)

    def _take_random(self, service: str) -> int:
        for _ in range(ATTEMPTS):
            port = self._draw.randrange(LOWEST_PORT, max(ephemeral_start(), LOWEST_PORT + 1000))
            if self._take(port):
                return port
        raise PortInUse(f"{service}: no free port found on 127.0.0.1 in {ATTEMPTS} attempts")

    def _take(self, port: int) -> bool:
        handle = os.open(self._folder / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        if not is_free(port):
            os.close(handle)
            return False
        self._held.append(handle)
        return True

    def close(self) -> None:
        """Give the ports back."""
        while self._held:
            os.close(self._held.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
