"""Whether a connection lives, and how long it may. Times are passed in."""

from collections.abc import Callable
from typing import Final
from zlib import crc32

SECOND_NS: Final = 1_000_000_000
PING_NS: Final = 5 * SECOND_NS
"""The pages ask for a ping every ten seconds."""

DEAD_NS: Final = 12 * SECOND_NS
"""Neither data nor PONG for so long, two pings and a bit: the connection is dead."""

SILENT_NS: Final = SECOND_NS
"""How long a stream that the venue is ahead of may take to answer a subscription before it is made again."""

MUTE_NS: Final = 10 * SECOND_NS
"""A connection on which nothing but PONG has come for so long since it was subscribed is made again."""


class Pulse:
    """One connection's. `subscribed_ns` is 0 until something was asked of it, `spoke_ns` until it said anything."""

    def __init__(self, rotate_ns: int) -> None:
        self.subscribed_ns = 0
        self.spoke_ns = 0
        self.data_ns = 0
        self._rotate_ns = rotate_ns
        self._rotation_ns = 0
        self._heard_ns = 0
        self._pinged_ns = 0
        self._silent_ns = 0

    def subscribed(self, connection: str, ns: int) -> None:
        """The first command is on its way."""
        self.subscribed_ns = self._heard_ns = self._pinged_ns = ns
        self._rotation_ns = ns + self.lasts_ns(connection)

    def heard(self, ns: int) -> None:
        """Anything came."""
        self._heard_ns = ns

    def fell_silent(self, since_ns: int, now_ns: int) -> None:
        """The venue is ahead of the stream as of `since_ns`: perhaps of all of it."""
        if self.data_ns < since_ns and not self._silent_ns:
            self._silent_ns = now_ns

    def wants_ping(self, now_ns: int) -> bool:
        """True when a ping is due; it is taken for sent."""
        if not self.subscribed_ns or now_ns - self._pinged_ns < PING_NS:
            return False
        self._pinged_ns = now_ns
        return True

    def lost(self, now_ns: int) -> str:
        """Why the connection is of no use any more; else empty."""
        if not self.subscribed_ns:
            return ""
        if now_ns - self._heard_ns > DEAD_NS:
            return f"neither data nor PONG for {DEAD_NS // SECOND_NS} s"
        if self.data_ns >= self._silent_ns:
            self._silent_ns = 0
        if self._silent_ns and now_ns - self._silent_ns >= SILENT_NS:
            return "nothing is said while the venue moves"
        if not self.spoke_ns and now_ns - self.subscribed_ns > MUTE_NS:
            return "the subscription is not answered"
        return ""

    def done(self, now_ns: int, all_well: Callable[[], bool]) -> bool:
        """True when the connection has lasted long enough, and nothing is being healed over it."""
        return bool(self._rotate_ns and self.subscribed_ns) and now_ns >= self._rotation_ns and all_well()

    def lasts_ns(self, connection: str) -> int:
        """How long a connection lasts: not as long as those that were made together with it."""
        return self._rotate_ns * (75 + crc32(connection.encode()) % 50) // 100
