"""The fault panel: which faults a simulator suffers from now, for how long, and what they strike.

A fault that lasts is looked up by whoever suffers it; a fault that happens once is told to ``on_strike``. Every
chance is drawn from one seeded generator and every time from ``now``, so a run is repeated by its seed.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any

import msgspec

MILLISECOND = 1_000_000


class FaultName(StrEnum):
    """Every fault there is. In brackets: who applies it."""

    DROP = "drop"  # [link] a frame is lost
    DUPLICATE = "duplicate"  # [link] a frame comes twice, the second time delay_ms later
    REORDER = "reorder"  # [link] a frame comes after its successor, at most delay_ms late
    DELAY = "delay"  # [link] frames come delay_ms late, in order
    TRUNCATE = "truncate"  # [link] a frame ends too early
    MALFORMED = "malformed"  # [link] a value of the wrong kind (detail "value"), or noise (detail "noise")
    FREEZE = "freeze"  # [link] no frames on old and new connections; pings and PONG live
    FREEZE_MARKET = "freeze_market"  # [face, before a sequence number is taken; else link] some markets' frames stop
    HALF_OPEN = "half_open"  # [link, server] nothing in either direction, the socket stays
    CUT = "cut"  # [server] connections are closed, once
    REFUSE = "refuse"  # [server] handshakes are refused with 503
    GAP = "gap"  # [face] a sequence number is skipped (Kalshi)
    NO_FIRST_BOOK = "no_first_book"  # [face] a subscription's first book does not come
    CHANNEL_ERROR = "channel_error"  # [face, once] error 10, terminal (Kalshi)
    OVERFLOW = "overflow"  # [face, once] error 25, terminal (Kalshi)
    TICK_CHANGE = "tick_change"  # [face, once] the price grid changes
    CLOCK_SKEW = "clock_skew"  # [face] the venue's stamps are off by delay_ms, which may be negative
    PAUSE = "pause"  # [face] trading pauses (Polymarket: cancel-only)
    MAINTENANCE = "maintenance"  # [face, server] a pause that begins with cut connections
    CHURN = "churn"  # [face, once: the step that detail names] or [churn.py, for a while: one step after another]
    REST_429 = "rest_429"  # [rest door] too many requests
    REST_425 = "rest_425"  # [rest door] the matching engine restarts
    REST_500 = "rest_500"  # [rest door] a storm of 5xx; detail chooses one status
    REST_SLOW = "rest_slow"  # [rest door] replies come delay_ms late
    REST_STALE = "rest_stale"  # [face] REST answers with old books and old stamps


class ChurnStep(StrEnum):
    """What can happen to a market: the ``detail`` of a churn that happens once, to each of the fault's markets.

    A face passes over a step that does not fit the market's state.
    """

    APPEAR = "appear"  # a market that never was is listed; the face names it (the fault names none)
    OPEN = "open"  # a closed or not yet opened market trades, as when its open_time passes or it is reopened
    HALT = "halt"  # trading stops (Kalshi: deactivated; Polymarket: acceptingOrders false)
    RESUME = "resume"  # trading goes on (Kalshi: activated, which cancels every resting order)
    CLOSE = "close"  # close_time passes without a word; resting orders are cancelled
    SETTLE = "settle"  # a closed market is determined and settled (Polymarket: resolved)
    VANISH = "vanish"  # a closed market is in no list and no book any more
    REVISE = "revise"  # an open market is described and charged otherwise (Kalshi: metadata, its event's fee override)


ONCE = frozenset({FaultName.CUT, FaultName.CHANNEL_ERROR, FaultName.OVERFLOW, FaultName.TICK_CHANGE})
"""Faults that happen when they are set and are over then."""

STRUCK = ONCE | {FaultName.MAINTENANCE, FaultName.CHURN}
"""Faults that ``on_strike`` hears of: those that happen once, and those that begin with something that does."""

MUST_DELAY = frozenset({FaultName.DELAY, FaultName.CLOCK_SKEW, FaultName.REST_SLOW})
"""Faults that do nothing without ``delay_ms``."""

DETAILS: dict[FaultName, tuple[str, ...]] = {
    FaultName.MALFORMED: ("value", "noise"),
    FaultName.CHURN: tuple(ChurnStep),
    FaultName.REST_500: ("500", "502", "503", "504"),
}
"""What ``detail`` may be, besides empty; a fault that is not here leaves it to the face."""


class FaultError(ValueError):
    """A fault that cannot be set; the message names the field."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``share`` is the probability of each chance, ``markets`` empty means all, ``until_ns`` 0 for ever."""

    name: FaultName
    share: float = 1.0
    delay_ms: int = 0
    markets: tuple[str, ...] = ()
    until_ns: int = 0
    detail: str = ""

    @property
    def once(self) -> bool:
        """Whether the fault is over as soon as it has happened."""
        return self.name in ONCE or (self.name is FaultName.CHURN and bool(self.detail))

    def concerns(self, markets: Collection[str]) -> bool:
        """Whether something about these markets is struck; what is about no market, only by a fault of all."""
        return not self.markets or any(market in self.markets for market in markets)


class FaultPanel:
    """The faults in force, at most one of each name."""

    def __init__(self, now: Callable[[], int] = time.time_ns, seed: int = 0) -> None:
        self.now = now
        self.random = Random(seed)  # noqa: S311 - chances that a seed repeats
        self.on_strike: list[Callable[[Fault], None]] = []
        self._faults: dict[FaultName, Fault] = {}

    @property
    def quiet(self) -> bool:
        """Whether no fault is in force, as nearly always."""
        return not self._faults

    def set(self, fault: Fault) -> None:
        """Put a fault in force, in place of one of the same name; one that happens once happens now."""
        if not fault.once:
            self._faults[fault.name] = fault
        if fault.name in STRUCK:
            for listener in self.on_strike:
                listener(fault)

    def clear(self, name: FaultName) -> bool:
        """End a fault; False when it was not in force."""
        active = self.active(name) is not None
        self._faults.pop(name, None)
        return active

    def clear_all(self) -> None:
        """End every fault."""
        self._faults.clear()

    def active(self, name: FaultName) -> Fault | None:
        """A fault that is in force now; None otherwise."""
        fault = self._faults.get(name)
        if fault is not None and fault.until_ns and fault.until_ns <= self.now():
            del self._faults[name]
            return None
        return fault

    def strikes(self, name: FaultName, *markets: str) -> Fault | None:
        """The fault when it is in force, concerns these markets, and its share falls on this chance."""
        fault = self.active(name)
        if fault is None or not fault.concerns(markets):
            return None
        return fault if fault.share >= 1.0 or self.random.random() < fault.share else None

    def faults(self) -> list[Fault]:
        """Every fault in force now."""
        return [fault for name in list(self._faults) if (fault := self.active(name)) is not None]

    def paused(self) -> Fault | None:
        """The fault that pauses trading now: a pause or maintenance."""
        return self.active(FaultName.PAUSE) or self.active(FaultName.MAINTENANCE)

    def skew_ns(self) -> int:
        """What the venue's own clock is off by now."""
        fault = self.active(FaultName.CLOCK_SKEW)
        return fault.delay_ms * MILLISECOND if fault else 0


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """The body that sets a fault."""

    name: FaultName
    share: float = 1.0
    delay_ms: int = 0
    markets: tuple[str, ...] = ()
    for_ms: int = 0
    detail: str = ""


def fault_name(text: str) -> FaultName:
    """The fault of a name; FaultError tells the names there are."""
    try:
        return FaultName(text)
    except ValueError:
        raise FaultError(f"name: {text!r} is no fault; there are {', '.join(FaultName)}") from None


def parse_fault(body: bytes, now_ns: int) -> Fault:
    """The fault of a JSON body ``{"name", "share", "delay_ms", "markets", "for_ms", "detail"}``; only the name must be.

    Raises:
        FaultError: naming the field that is wrong.
    """
    try:
        fields = msgspec.json.decode(body)
        if isinstance(fields, dict) and isinstance(fields.get("name"), str):
            fault_name(fields["name"])
        wanted = msgspec.convert(fields, _Wanted)
    except msgspec.DecodeError as error:
        raise FaultError(str(error)) from error
    _check(wanted)
    until_ns = now_ns + wanted.for_ms * MILLISECOND if wanted.for_ms else 0
    return Fault(wanted.name, wanted.share, wanted.delay_ms, wanted.markets, until_ns, wanted.detail)


def _check(wanted: _Wanted) -> None:
    name, details = wanted.name, DETAILS.get(wanted.name, ())
    if not 0.0 < wanted.share <= 1.0:
        raise FaultError(f"share: {wanted.share} is not above 0 and at most 1")
    if wanted.for_ms < 0:
        raise FaultError(f"for_ms: {wanted.for_ms} is below 0")
    if wanted.delay_ms < 0 and name is not FaultName.CLOCK_SKEW:
        raise FaultError(f"delay_ms: {wanted.delay_ms} is below 0")
    if wanted.delay_ms == 0 and name in MUST_DELAY:
        raise FaultError(f"delay_ms: {name} does nothing without it")
    if wanted.detail and details and wanted.detail not in details:
        raise FaultError(f"detail: {wanted.detail!r} is not one of {', '.join(details)}")


def fault_body(fault: Fault, now_ns: int) -> dict[str, Any]:
    """A fault as the panel shows it: with the milliseconds that it still lasts, null when it must be cleared."""
    left_ms = -(-(fault.until_ns - now_ns) // MILLISECOND) if fault.until_ns else None
    return {
        "name": fault.name,
        "share": fault.share,
        "delay_ms": fault.delay_ms,
        "markets": fault.markets,
        "left_ms": left_ms,
        "detail": fault.detail,
    }
