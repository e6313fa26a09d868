"""Venue times to integer nanoseconds since the epoch, none of which is outside 64 bits."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND_NS: Final = 1_000_000
LATEST_NS: Final = 2**63 - 1


def milliseconds_ns(milliseconds: int) -> int:
    """Unix milliseconds to nanoseconds; ValueError when before 1970 or after 2262."""
    return _bounded(milliseconds * MILLISECOND_NS, milliseconds)


def rfc3339_ns(text: str | None) -> int:
    """RFC 3339 time to nanoseconds (microsecond precision); 0 for none, ValueError when malformed or out of range.

    The year 1 is none, too: the zero time of the language the venues are written in.
    """
    if not text:
        return 0
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.year == 1:
        return 0
    return _bounded((moment - _EPOCH) // timedelta(microseconds=1) * 1000, text)


def _bounded(ns: int, given: object) -> int:
    if not 0 <= ns <= LATEST_NS:
        raise ValueError(f"time was {given!r:.40}: outside 1970 to 2262")
    return ns
