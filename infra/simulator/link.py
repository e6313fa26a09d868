"""One connection's way out, where frames are lost, doubled, held back or damaged as the fault panel says."""

from heapq import heappop, heappush
from random import Random
from typing import Any

import msgspec

from infra.simulator.faults import MILLISECOND, Fault, FaultName, FaultPanel

OVERTAKEN_MS = 50
"""How long a reordered frame waits at most for the one that shall overtake it, unless the fault says otherwise."""

NOISE = range(0x80, 0x300)
"""The characters of noise: none of them begins a JSON value."""

Where = tuple[dict[str, Any] | list[Any], Any]


class Link:
    """Frames between the venue and one client's socket. Without a fault they arrive in order, ``latency_ns`` later."""

    def __init__(self, faults: FaultPanel, latency_ns: int = 0) -> None:
        self._faults = faults
        self._latency_ns = latency_ns
        self._under_way: list[tuple[int, int, str]] = []
        self._count = 0
        self._latest_ns = 0
        self._overtaken: tuple[int, str] | None = None

    def __len__(self) -> int:
        return len(self._under_way) + (self._overtaken is not None)

    def put(self, text: str, now_ns: int, markets: tuple[str, ...] = (), *, control: bool = False) -> None:
        """Send a frame about these markets. A ``control`` frame (PONG) suffers only delay and half-open connections."""
        if self._faults.quiet and self._overtaken is None:
            self._latest_ns = max(self._latest_ns, now_ns + self._latency_ns)
            self._send(self._latest_ns, text)
            return
        if self._faults.active(FaultName.HALF_OPEN) or not (control or self._passes(markets)):
            return
        strikes = self._faults.strikes
        text = text if control else self._damaged(text, markets)
        late = strikes(FaultName.DELAY, *markets)
        due_ns = max(self._latest_ns, now_ns + self._latency_ns + _ns(late))
        if not control and self._overtaken is None and (reordered := strikes(FaultName.REORDER, *markets)):
            self._overtaken = (due_ns + (_ns(reordered) or OVERTAKEN_MS * MILLISECOND), text)
            return
        self._latest_ns = due_ns
        self._send(due_ns, text)
        if self._overtaken is not None:
            self._send(due_ns, self._overtaken[1])
            self._overtaken = None
        if not control and (twice := strikes(FaultName.DUPLICATE, *markets)):
            self._send(due_ns + _ns(twice), text)

    def due(self, now_ns: int) -> list[str]:
        """The frames that have arrived by now, in the order of their arrival; each is handed out once."""
        if self._overtaken is not None and self._overtaken[0] <= now_ns:
            self._send(*self._overtaken)
            self._overtaken = None
        arrived = []
        while self._under_way and self._under_way[0][0] <= now_ns:
            arrived.append(heappop(self._under_way)[2])
        return arrived

    def next_due_ns(self) -> int | None:
        """When the next frame arrives; None when none is under way."""
        dues = [entry[0] for entry in (*self._under_way[:1], self._overtaken) if entry is not None]
        return min(dues, default=None)

    def _send(self, due_ns: int, text: str) -> None:
        self._count += 1
        heappush(self._under_way, (due_ns, self._count, text))

    def _passes(self, markets: tuple[str, ...]) -> bool:
        if self._faults.active(FaultName.FREEZE):
            return False
        frozen = bool(markets) and self._faults.strikes(FaultName.FREEZE_MARKET, *markets)
        return not frozen and not self._faults.strikes(FaultName.DROP, *markets)

    def _damaged(self, text: str, markets: tuple[str, ...]) -> str:
        random = self._faults.random
        if self._faults.strikes(FaultName.TRUNCATE, *markets):
            text = truncated(text, random)
        if malformed := self._faults.strikes(FaultName.MALFORMED, *markets):
            kind = malformed.detail or random.choice(("value", "noise"))
            text = nonsense(text, random) if kind == "value" else noise(len(text), random)
        return text


def truncated(text: str, random: Random) -> str:
    """A frame without its end: never a whole JSON value any more."""
    return text[: random.randrange(max(1, len(text.rstrip())))]


def nonsense(text: str, random: Random) -> str:
    """Readable JSON with an object where some number or string was; noise when there is none, or no JSON.

    The wrong kind of value, not another value of the right kind: no client could tell that from the truth.
    """
    try:
        body = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return noise(len(text), random)
    places = _scalars(body)
    if not places:
        return noise(len(text), random)
    container, key = places[random.randrange(len(places))]
    container[key] = {"nonsense": []}
    return msgspec.json.encode(body).decode()


def noise(length: int, random: Random) -> str:
    """As many random characters, at least one."""
    return "".join(chr(random.choice(NOISE)) for _ in range(max(1, length)))


def _scalars(body: Any) -> list[Where]:
    """Every place of a string, number, boolean or null inside a JSON value."""
    found: list[Where] = []
    waiting = [body]
    while waiting:
        container = waiting.pop()
        if isinstance(container, dict | list):
            places = list(container.items() if isinstance(container, dict) else enumerate(container))
            found += [(container, key) for key, value in places if not isinstance(value, dict | list)]
            waiting += [value for _, value in places]
    return found


def _ns(fault: Fault | None) -> int:
    return fault.delay_ms * MILLISECOND if fault else 0
