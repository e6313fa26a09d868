"""Ids as pure functions of content: the same inputs give the same ids, in a replay as in the first run.

Every part is hashed as its length in bytes, a colon, and the bytes, so no choice of names can make two different lists
of parts look alike ("ab" + "c" against "a" + "bc", or a name that holds the separator). The first part says what kind
of id it is, so an order's id never equals a ticket's.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from schemas.records import ExecutionKind, Venue

ID_LENGTH: Final = 32
"""Hexadecimal digits kept of SHA-256: 128 bits."""

Input = tuple[Venue, str, int, int]
"""Venue, market, epoch and sequence of a book that a decision was made on."""


def _digest(*parts: str | int) -> str:
    digest = sha256()
    for part in parts:
        data = str(part).encode()
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()[:ID_LENGTH]


def opportunity_id(group: str, basket_id: str, inputs: Iterable[Input]) -> str:
    """Id of the opportunity that these books opened. The order of `inputs` counts: give them in leg order."""
    return _digest("opportunity", group, basket_id, *(part for book in inputs for part in book))


def ticket_id(opportunity_id: str) -> str:
    """Id of the one ticket that may be made of an opportunity."""
    return _digest("ticket", opportunity_id)


def order_id(ticket_id: str, leg: int, attempt: int) -> str:
    """Id of one attempt of one leg of a ticket."""
    return _digest("order", ticket_id, leg, attempt)


def execution_id(order_id: str, kind: ExecutionKind) -> str:
    """Id of the one answer of `kind` to an order."""
    return _digest("execution", order_id, kind)
