"""What the server, the in-process harness, the traffic and the churn need of a venue, whichever it is.

A venue is built with keywords it shares with the other one: ``now`` (wall ns), ``faults`` (the panel), ``schedule``
(run a function after so many ns) and ``engine`` (None: it plays its tape; else the engine is its books' only writer).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from infra.simulator.engine import CanonicalBook
from infra.simulator.faults import Fault
from infra.simulator.outbox import Outbox
from infra.simulator.recorded import Reply, Request
from infra.simulator.tape import TapeFrame

Schedule = Callable[[int, Callable[[], None]], None]
Headers = Mapping[str, str]
"""Header names in lower case."""


class Band(Protocol):
    """A stretch of prices with one step, all in 1e-4 dollar."""

    @property
    def start(self) -> int:
        """The lowest price."""

    @property
    def end(self) -> int:
        """The highest price."""

    @property
    def step(self) -> int:
        """The distance between two prices."""


class Venue(Protocol):
    """A venue behind all its connections. Not thread-safe; it lives in one event loop."""

    on_subscribed: Callable[[], None]

    @property
    def name(self) -> str:
        """kalshi or polymarket."""

    def deliver(self, frame: TapeFrame) -> None:
        """Play one frame of the tape."""

    def strike(self, fault: Fault) -> None:
        """Suffer a fault that happens once; names that do not concern this venue are passed over."""

    def canonical(self) -> dict[str, CanonicalBook]:
        """Every market's true book."""

    def grid(self, market: str) -> Sequence[Band]:
        """The prices at which orders may be placed in a market now; none while it does not trade."""


class Rest(Protocol):
    """A venue's REST side."""

    def answer(self, request: Request) -> Reply:
        """The reply to a request."""

    def error_reply(self, status: int) -> Reply:
        """425, 429 or 5xx in the venue's own words."""


class Conversation(Protocol):
    """The venue's side of one connection."""

    def handle(self, text: str) -> None:
        """Take one message of the client."""

    def close(self) -> None:
        """Forget the client."""


@dataclass(frozen=True, slots=True)
class Face:
    """A venue as its clients meet it: REST, and websockets at some paths.

    ``ping`` is the body of the pings that it sends, None when it sends none; ``refusal`` says why a handshake with
    these headers is refused, None when it is welcome; ``open`` takes a new client, whose frames go into the outbox.
    """

    venue: Venue
    rest: Rest
    paths: tuple[str, ...]
    ping: bytes | None
    refusal: Callable[[str, Headers], Reply | None]
    open: Callable[[str, Outbox], Conversation]
