"""Polymarket's request limits by IP address: sliding windows of ten seconds, kept to with a margin.

Source: page "Rate Limits" as of September 2026. Excess is delayed before it is refused, so that a limit that is hit
looks like a slow venue: hence the margin.
"""

from collections.abc import Mapping
from typing import Final

from producers.limits import Bucket

WINDOW_S: Final = 10.0
GENERAL: Final = "general"

CLOB: Final = {
    GENERAL: Bucket.within(9000, WINDOW_S),
    "book": Bucket.within(1500, WINDOW_S),
    "books": Bucket.within(500, WINDOW_S),
    "tick size": Bucket.within(200, WINDOW_S),
    "health": Bucket.within(100, WINDOW_S),
}
GAMMA: Final = {
    GENERAL: Bucket.within(4000, WINDOW_S),
    "lists": Bucket.within(900, WINDOW_S),
    "markets": Bucket.within(300, WINDOW_S),
    "events": Bucket.within(500, WINDOW_S),
}

_CLOB_SCOPES: Final = {
    "/book": "book",
    "/price": "book",
    "/midpoint": "book",
    "/books": "books",
    "/prices": "books",
    "/midpoints": "books",
    "/tick-size": "tick size",
    "/ok": "health",
}


def clob_charge(_method: str, path: str) -> Mapping[str, float]:
    """What a request to the CLOB takes."""
    scope = _CLOB_SCOPES.get(path)
    return {GENERAL: 1.0} if scope is None else {GENERAL: 1.0, scope: 1.0}


def gamma_charge(_method: str, path: str) -> Mapping[str, float]:
    """What a request to Gamma takes: its lists have limits of their own, and one together."""
    for scope in ("markets", "events"):
        if path.startswith(f"/{scope}"):
            return {GENERAL: 1.0, "lists": 1.0, scope: 1.0}
    return {GENERAL: 1.0}
