"""How Kalshi's REST refuses, and how it pages: error bodies in both of their forms, cursors that tell nothing.

Sources: the venue's API description (the error object is bare) and replies that were observed (it stands under
``error``); its page "Understanding Pagination".
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import Any

from infra.simulator.kalshi.options import ErrorShape
from infra.simulator.recorded import Reply, Request

POSITION_BYTES = 8
MOST_DIGITS = 18
SEAL_BYTES = 28
"""Together 36 bytes: cursors of 48 characters, about as long as the venue's."""


class Refused(Exception):
    """A request that the venue does not carry out: HTTP status, code, and what is wrong with it."""

    def __init__(self, status: int, code: str, details: str = "") -> None:
        super().__init__(details or code)
        self.status = status
        self.code = code
        self.details = details


def bad_request(details: str) -> Refused:
    """A malformed request."""
    return Refused(400, "bad_request", details)


def problem(status: int, code: str, details: str) -> Reply:
    """An error in the form that was observed."""
    return Reply(status, {"error": _error(code, details)})


def _error(code: str, details: str) -> dict[str, str]:
    return {"code": code, "message": code.replace("_", " ").lower(), "details": details}


class Errors:
    """Error replies in the form that the options ask for."""

    def __init__(self, shape: ErrorShape) -> None:
        self._shape = shape
        self._count = 0

    def reply(self, status: int, code: str, details: str) -> Reply:
        """An error reply; under ``alternate`` every second one is bare."""
        self._count += 1
        if self._shape == "flat" or (self._shape == "alternate" and self._count % 2 == 0):
            return Reply(status, _error(code, details))
        return problem(status, code, details)


def _seal(name: str, position: bytes) -> bytes:
    return hashlib.sha256(name.encode() + position).digest()[:SEAL_BYTES]


def make_cursor(name: str, position: int) -> str:
    """The cursor of a list that goes on after a position."""
    packed = position.to_bytes(POSITION_BYTES, "big", signed=True)
    return base64.b64encode(packed + _seal(name, packed)).decode()


def read_cursor(name: str, cursor: str) -> int:
    """The position of a cursor; Refused when this list did not give it."""
    try:
        raw = base64.b64decode(cursor, validate=True)
    except (binascii.Error, ValueError):
        raise bad_request("cursor: not one that was given") from None
    packed, seal = raw[:POSITION_BYTES], raw[POSITION_BYTES:]
    if seal != _seal(name, packed):
        raise bad_request("cursor: not one that was given")
    return int.from_bytes(packed, "big", signed=True)


def number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number from the query; Refused when it is none or out of its range."""
    text = request.first(name, str(default))
    digits = text.removeprefix("-")
    sensible = digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS
    if not sensible or not least <= int(text) <= most:
        raise bad_request(f"{name}: {text!r} is not a number from {least} to {most}")
    return int(text)


def page(
    request: Request, name: str, items: Iterable[tuple[int, Any]], default: int, most: int, *, null_cursor: bool = False
) -> tuple[list[Any], str | None]:
    """One page of a list and the cursor of the next.

    Args:
        items: (position, item) with rising positions, which stay an item's own when the list changes.
        null_cursor: the last page's cursor is None, not empty.
    """
    limit = number(request, "limit", default, 1, most)
    cursor = request.first("cursor")
    after = read_cursor(name, cursor) if cursor else None
    left = [(position, item) for position, item in items if after is None or position > after]
    chosen = left[:limit]
    if len(left) > limit:
        return [item for _, item in chosen], make_cursor(name, chosen[-1][0])
    return [item for _, item in chosen], None if null_cursor else ""
