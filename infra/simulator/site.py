"""One simulated venue with everything but its sockets: the server and the in-process harness are built on it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from infra.simulator.churn import Churn
from infra.simulator.engine import MatchingEngine
from infra.simulator.faults import Fault, FaultName, FaultPanel
from infra.simulator.link import Link
from infra.simulator.outbox import DEFAULT_LIMIT, Outbox
from infra.simulator.recorded import Reply
from infra.simulator.rest_door import RestDoor
from infra.simulator.traffic import Traffic
from infra.simulator.venue import Conversation, Face, Headers

HALF_OPEN_CHECK_S = 0.05
"""How often a handshake that goes unanswered looks whether the connection works again."""


class HandshakeRefused(ConnectionError):
    """The venue does not want this connection; ``reply`` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"handshake refused with {reply.status}")
        self.reply = reply


def later(delay_ns: int, function: Callable[[], None]) -> None:
    """Run a function after so many ns of the running loop's clock."""
    asyncio.get_running_loop().call_later(delay_ns / 1e9, function)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a site is run, whatever the venue.

    ``seed`` chooses traffic and faults, ``queue`` bounds the frames under way to one client, ``latency_ns`` is what a
    frame takes to it, ``now`` is the wall clock.
    """

    seed: int = 0
    queue: int = DEFAULT_LIMIT
    latency_ns: int = 0
    now: Callable[[], int] = time.time_ns


class Site:
    """A venue, its fault panel, its traffic and its connections. It lives in one event loop.

    Args:
        engine: what moves the books; None when a tape does.
    """

    def __init__(self, face: Face, faults: FaultPanel, settings: Settings, engine: MatchingEngine | None) -> None:
        self.face = face
        self.venue = face.venue
        self.faults = faults
        self.settings = settings
        self.rest = RestDoor(face.rest, faults)
        self.connections: dict[Connection, None] = {}
        self.traffic = Traffic(engine, engine.markets, settings.seed, face.venue.grid) if engine else None
        self._churn = Churn(face.venue, faults, later, settings.seed)
        self._sent_before = 0
        faults.on_strike.append(self._strike)

    async def connect(self, path: str, headers: Headers) -> "Connection":
        """A client's handshake; unanswered while connections are half open.

        Raises:
            HandshakeRefused: by the venue, or by the fault panel with 503.
        """
        while self.faults.active(FaultName.HALF_OPEN):
            await asyncio.sleep(HALF_OPEN_CHECK_S)
        if self.faults.strikes(FaultName.REFUSE):
            raise HandshakeRefused(self.face.rest.error_reply(503))
        refusal = self.face.refusal(path, headers)
        if refusal is not None:
            raise HandshakeRefused(refusal)
        outbox = Outbox(self.settings.queue, Link(self.faults, self.settings.latency_ns), self.settings.now)
        connection = Connection(self, outbox, self.face.open(path, outbox))
        self.connections[connection] = None
        return connection

    def forget(self, connection: "Connection") -> None:
        """A connection has ended."""
        if connection in self.connections:
            del self.connections[connection]
            self._sent_before += connection.outbox.sent

    def cut(self) -> None:
        """End every connection."""
        for connection in list(self.connections):
            connection.outbox.close()

    @property
    def frames_sent(self) -> int:
        """Frames that clients were sent so far."""
        return self._sent_before + sum(connection.outbox.sent for connection in self.connections)

    def _strike(self, fault: Fault) -> None:
        if fault.name in (FaultName.CUT, FaultName.MAINTENANCE):
            self.cut()
        if fault.name is FaultName.CHURN:
            self._churn.strike(fault)
        elif fault.name is not FaultName.CUT:
            self.venue.strike(fault)


class Connection:
    """One client's connection. Whoever owns the socket writes what comes out of ``outbox``; closing that cuts it."""

    def __init__(self, site: Site, outbox: Outbox, conversation: Conversation) -> None:
        self.outbox = outbox
        self._site = site
        self._conversation = conversation

    @property
    def reachable(self) -> bool:
        """Whether what the client sends arrives and what the socket itself answers gets out, pongs above all."""
        return not self.outbox.closed and self._site.faults.active(FaultName.HALF_OPEN) is None

    def handle(self, text: str) -> None:
        """Take a client's message, unless the connection is half open."""
        if self.reachable:
            self._conversation.handle(text)

    def close(self) -> None:
        """Forget the client; twice is once."""
        self._site.forget(self)
        self._conversation.close()
        self.outbox.close()
