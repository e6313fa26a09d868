"""REST: replies as plain values, and the bodies that a tape recorded, found whatever the order of the parameters."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from infra.simulator.tape import TapeError

Query = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """A REST request as a venue simulator sees it: method, path, query pairs, body, headers (lower-case names)."""

    method: str
    path: str
    query: Query
    body: bytes
    headers: dict[str, str]

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def every(self, name: str) -> list[str]:
        """Every value of a query parameter, repeated or comma separated."""
        return [part for key, value in self.query if key == name for part in value.split(",") if part]


class Held:
    """A reply that the venue keeps back for a while."""

    def __init__(self) -> None:
        self.reply: Reply | None = None
        self._waiting: list[Callable[[Reply], None]] = []

    def settle(self, reply: "Reply") -> None:
        """Give the reply to whoever waits for it."""
        self.reply = reply
        for function in self._waiting:
            function(reply)

    def then(self, function: Callable[["Reply"], None]) -> None:
        """Call this with the reply, at once when it is there."""
        if self.reply is None:
            self._waiting.append(function)
        else:
            function(self.reply)


@dataclass(frozen=True, slots=True)
class Reply:
    """A REST reply: status, a JSON body (bytes are sent as they are), and headers of its own.

    With ``held`` it is only what the venue would say now; the client gets what ``held`` brings.
    """

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)
    held: Held | None = None

    def encoded(self) -> bytes:
        """The body as it is sent."""
        return self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)

    def all_headers(self) -> dict[str, str]:
        """The headers as they are sent: JSON unless the reply says otherwise."""
        return {"Content-Type": "application/json", **self.headers}


class RecordedRest:
    """The bodies of a tape's ``rest.json`` by method, path and the set of query parameters."""

    def __init__(self, bodies: dict[str, Any], name: str) -> None:
        self._bodies = {_key(text, name): body for text, body in bodies.items()}

    def find(self, request: Request) -> Reply | None:
        """The recorded body for a request; None when the tape has none."""
        key = (request.method, request.path, tuple(sorted(request.query)))
        return Reply(200, self._bodies[key]) if key in self._bodies else None

    def bodies(self) -> Iterable[tuple[str, Any]]:
        """Every recorded (path, body), for what the venue knows beyond its frames."""
        return [(path, body) for (_, path, _), body in self._bodies.items()]


def _key(text: str, name: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    method, space, target = text.partition(" ")
    if not space or not method.isupper() or not target:
        raise TapeError(f'{name}: key {text!r} is not "METHOD /path?query"')
    parts = urlsplit(target)
    return method, parts.path, tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))
