"""Kalshi's fees: what a series says, what an event overrides, what is scheduled to change, and waivers.

Sources: OpenAPI 3.31.0 (Series, Event, SeriesFeeChange, EventFeeChange); fee schedule effective 2026-07-07 (taker 0.07,
maker 0.0175 or 0.035 times the multiplier); "Fee Rounding" (direct members' balances move in 0.0001 dollar).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from producers.catalogue import NotUnderstood, count_refused
from producers.paging import BROKEN
from producers.timestamps import LATEST_NS, milliseconds_ns, rfc3339_ns
from runtime import metrics
from schemas.records import FeeSchedule
from schemas.units import RATE_SCALE, parse_rate

TAKER_RATE: Final = 70_000
MAKER_RATES: Final = {
    "quadratic": 0,
    "quadratic_with_maker_fees": 17_500,
    "quadratic_with_combo_maker_fees": 35_000,
}
DIRECT_MEMBER_PRECISION: Final = 100
NO_FEE: Final = FeeSchedule(
    model="kalshi_quadratic", taker_rate=0, maker_rate=0, exponent=1, balance_precision=DIRECT_MEMBER_PRECISION
)
"""While fees are waived the balance is rounded all the same (Kalshi, "Fee Rounding")."""

SETTLING_NS: Final = 60_000_000_000
"""What a series or event says may be older than its answer by so much: a change this close before it is applied."""

Number = float | int | str


class SeriesFee(msgspec.Struct, frozen=True):
    """A change of a series' fee."""

    series_ticker: str
    fee_type: str
    fee_multiplier: Number
    scheduled_ts: str | float


class EventFee(msgspec.Struct, frozen=True):
    """A change of an event's override; null takes it away."""

    event_ticker: str
    scheduled_ts: str | float
    fee_type_override: str | None = None
    fee_multiplier_override: Number | None = None


class _Named(msgspec.Struct, frozen=True):
    event_ticker: str = ""
    series_ticker: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """A fee type and its multiplier in millionths; None is "as the series has it"."""

    fee_type: str | None = None
    multiplier: int | None = None


@dataclass(frozen=True, slots=True)
class _Change:
    at_ns: int
    terms: Terms


class FeeChanges:
    """The changes that the venue has announced, by series and by event."""

    def __init__(self) -> None:
        self._series: dict[str, list[_Change]] = {}
        self._events: dict[str, list[_Change]] = {}
        self._unread_series: set[str] = set()
        self._unread_events: set[str] = set()

    def take_series(self, changes: Iterable[msgspec.Raw]) -> None:
        """Add announced changes of series: those that came into force are kept, as the venue lists them no more."""
        self._unread_series = set()
        for item in changes:
            try:
                change = msgspec.json.decode(item, type=SeriesFee)
                terms = Terms(change.fee_type, parse_rate(change.fee_multiplier))
                at_ns = _time_ns(change.scheduled_ts)
            except BROKEN as error:
                self._unread_series.add(_whose(item, error))
                continue
            _insert(self._series.setdefault(change.series_ticker, []), _Change(at_ns, terms))

    def take_events(self, changes: Iterable[msgspec.Raw]) -> None:
        """The whole list of announced changes of events, in place of the one before."""
        self._events, self._unread_events = {}, set()
        for item in changes:
            try:
                change = msgspec.json.decode(item, type=EventFee)
                terms = Terms(change.fee_type_override, _rate(change.fee_multiplier_override))
                at_ns = _time_ns(change.scheduled_ts)
            except BROKEN as error:
                self._unread_events.add(_whose(item, error))
                continue
            _insert(self._events.setdefault(change.event_ticker, []), _Change(at_ns, terms))

    def check_read(self, series: str, event: str) -> None:
        """Raise NotUnderstood where a change of this series or event was announced that could not be read."""
        for ticker, unread in ((series, self._unread_series), (event, self._unread_events)):
            if ticker in unread:
                raise NotUnderstood("fee change", f"a fee change of {ticker} could not be read")

    def series_terms(self, ticker: str, said: Terms, read_ns: int, now_ns: int) -> Terms:
        """A series' terms now, given what it said at `read_ns`: a change that came into force since then counts."""
        changed = _in_force(self._series.get(ticker, ()), read_ns - SETTLING_NS, now_ns)
        return said if changed is None else changed

    def event_terms(self, ticker: str, said: Terms | None, read_ns: int, now_ns: int) -> Terms:
        """An event's override now, given what it said at `read_ns`; None where events say nothing of overrides."""
        changes = self._events.get(ticker, ())
        since_ns = 0 if said is None else read_ns - SETTLING_NS
        changed = _in_force(changes, since_ns, now_ns)
        return changed if changed is not None else said or Terms()

    def next_ns(self, series: str, event: str, now_ns: int) -> int:
        """When the terms of a market change next; 0 for never."""
        coming = [change.at_ns for change in (*self._series.get(series, ()), *self._events.get(event, ()))]
        return min((at_ns for at_ns in coming if at_ns > now_ns), default=0)


def fee_schedule(series: Terms, override: Terms) -> FeeSchedule:
    """The fee of a market: its event's override where there is one, else its series'; raises NotUnderstood.

    A fee type whose formula is not public is refused: a market with a guessed fee must not be traded.
    """
    fee_type = override.fee_type or series.fee_type or "quadratic"
    multiplier = override.multiplier if override.multiplier is not None else series.multiplier
    if multiplier is None:
        multiplier = RATE_SCALE
    if fee_type not in MAKER_RATES:
        raise NotUnderstood("fee type", f"fee type {fee_type!r} has no known formula")
    return FeeSchedule(
        model="kalshi_quadratic",
        taker_rate=_scaled(TAKER_RATE, multiplier),
        maker_rate=_scaled(MAKER_RATES[fee_type], multiplier),
        exponent=1,
        balance_precision=DIRECT_MEMBER_PRECISION,
    )


def _scaled(rate: int, multiplier: int) -> int:
    """rate x multiplier in millionths, rounded up: a fee is never understated."""
    return -(-rate * multiplier // RATE_SCALE)


def _in_force(changes: Iterable[_Change], since_ns: int, now_ns: int) -> Terms | None:
    terms = None
    for change in changes:
        if since_ns < change.at_ns <= now_ns:
            terms = change.terms
    return terms


def _insert(changes: list[_Change], change: _Change) -> None:
    if change not in changes:
        changes.append(change)
        changes.sort(key=lambda one: one.at_ns)


def _whose(item: msgspec.Raw, error: Exception) -> str:
    """Whose change it was that cannot be read; empty where not even that can be."""
    count_refused("kalshi", error)
    try:
        named = msgspec.json.decode(item, type=_Named)
    except BROKEN:
        return ""
    return named.event_ticker or named.series_ticker


def _rate(multiplier: Number | None) -> int | None:
    return None if multiplier is None else parse_rate(multiplier)


def _time_ns(when: str | float) -> int:
    """A scheduled time: RFC 3339, or Unix seconds."""
    metrics.FORMS_SEEN.labels("kalshi", "scheduled_ts", "text" if isinstance(when, str) else "number").inc()
    if isinstance(when, str):
        return rfc3339_ns(when)
    return milliseconds_ns(int(min(when, LATEST_NS) * 1000))
