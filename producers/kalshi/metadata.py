"""Kalshi's markets, events and series as the catalogue sends them, and the Market record that they make.

Sources: OpenAPI 3.31.0 (Market, Event, Series); "Market Lifecycle"; "Fixed-Point Representation" (the price grid comes
from `price_ranges`, never from the label); recorded market objects of June 2026. Absent and null fields are the same.
"""

from typing import Final

import msgspec

from producers.catalogue import OPEN, Described, NotUnderstood, Standing
from producers.kalshi.fees import Number, Terms
from producers.timestamps import rfc3339_ns
from runtime import metrics
from schemas.records import FeeSchedule, Market, TickRange
from schemas.units import ONE, parse_price, parse_rate, plain

MINIMUM_QUANTITY: Final = 1
"""0.01 contract, on every market."""

_OPEN_WORDS: Final = frozenset({"active", "open"})
_HALTED: Final = {
    "initialized": "not open yet",
    "unopened": "not open yet",
    "inactive": "paused by the venue",
    "paused": "paused by the venue",
}
_CLOSED: Final = frozenset({"closed", "determined", "disputed", "amended", "finalized", "settled"})
"""REST says the first word of each; the others are the filter's words for the same."""


class Range(msgspec.Struct, frozen=True):
    """Prices from start to end lie on multiples of step above start."""

    start: Number
    end: Number
    step: Number


class MarketBody(msgspec.Struct, frozen=True):
    """A market object."""

    ticker: str
    event_ticker: str | None = None
    status: str | None = None
    market_type: str | None = None
    price_ranges: tuple[Range, ...] | None = None
    notional_value_dollars: Number | None = None
    settlement_bounds_type: str | None = None
    title: str | None = None
    yes_sub_title: str | None = None
    no_sub_title: str | None = None
    rules_primary: str | None = None
    rules_secondary: str | None = None
    open_time: str | None = None
    close_time: str | None = None
    expected_expiration_time: str | None = None
    latest_expiration_time: str | None = None
    updated_time: str | None = None
    fee_waiver_expiration_time: str | None = None
    result: str | None = None
    expiration_value: Number | None = None
    settlement_value_dollars: Number | None = None
    early_close_condition: str | None = None
    volume_24h_fp: Number | None = None
    volume_fp: Number | None = None
    exchange_index: int | None = None


class Source(msgspec.Struct, frozen=True):
    """Where a result is looked up."""

    name: str | None = None
    url: str | None = None


class EventBody(msgspec.Struct, frozen=True):
    """An event object. The two overrides are absent where the venue keeps them in its list of fee changes only."""

    event_ticker: str = ""
    series_ticker: str | None = None
    title: str | None = None
    category: str | None = None
    mutually_exclusive: bool | None = None
    settlement_sources: tuple[Source, ...] | None = None
    exchange_index: int | None = None
    fee_type_override: str | msgspec.UnsetType | None = msgspec.UNSET
    fee_multiplier_override: Number | msgspec.UnsetType | None = msgspec.UNSET

    def override(self) -> Terms | None:
        """The override it states (perhaps none); None where it says nothing of overrides."""
        fee_type, multiplier = self.fee_type_override, self.fee_multiplier_override
        unsaid = fee_type is msgspec.UNSET and multiplier is msgspec.UNSET
        metrics.FORMS_SEEN.labels("kalshi", "event fee override", "unsaid" if unsaid else "said").inc()
        if unsaid:
            return None
        return Terms(
            None if fee_type is msgspec.UNSET else fee_type,
            None if multiplier is msgspec.UNSET or multiplier is None else parse_rate(multiplier),
        )


class SeriesBody(msgspec.Struct, frozen=True):
    """A series object."""

    ticker: str = ""
    title: str | None = None
    category: str | None = None
    categories: tuple[str, ...] | None = None
    fee_type: str | None = None
    fee_multiplier: Number | None = None
    settlement_sources: tuple[Source, ...] | None = None

    def terms(self) -> Terms:
        """The fee it states; where it states none, the ordinary one is assumed."""
        return Terms(self.fee_type, None if self.fee_multiplier is None else parse_rate(self.fee_multiplier))


def standing_of(status: str | None) -> Standing:
    """Whether a market with this status is traded; a word that is not known is not trusted."""
    word = status or ""
    if word in _OPEN_WORDS:
        return OPEN
    if word in _HALTED:
        return Standing("halted", _HALTED[word])
    if word in _CLOSED:
        return Standing("closed", f"{word} by the venue")
    metrics.FORMS_SEEN.labels("kalshi", "market status", "unknown").inc()
    return Standing("halted", f"status {word!r} is not understood")


def check_contract(market: MarketBody) -> None:
    """Raise NotUnderstood or UnitError unless this is a binary contract that pays one dollar or nothing."""
    problem = ""
    if market.market_type not in (None, "", "binary"):
        problem = f"market type {market.market_type!r}"
    elif market.notional_value_dollars is not None and parse_price(plain(market.notional_value_dollars)) != ONE:
        problem = f"pays {market.notional_value_dollars} dollars"
    elif market.settlement_bounds_type not in (None, "", "default"):
        problem = f"settlement bounds {market.settlement_bounds_type!r}"
    if problem:
        raise NotUnderstood("kind of contract", problem)


def grid(market: MarketBody) -> tuple[TickRange, ...]:
    """The market's price grid; raises NotUnderstood or UnitError when it is none."""
    ticks = tuple(
        TickRange(
            start=parse_price(plain(band.start)), end=parse_price(plain(band.end)), step=parse_price(plain(band.step))
        )
        for band in market.price_ranges or ()
    )
    if not ticks:
        raise NotUnderstood("price grid", "no price_ranges")
    if any(not (band.start < band.end and band.step) for band in ticks):
        raise NotUnderstood("price grid", f"price_ranges {ticks} are no grid")
    return tuple(sorted(ticks, key=lambda band: band.start))


def market_record(market: MarketBody, event: EventBody, series: SeriesBody, fee: FeeSchedule) -> Market:
    """One market as a record; raises NotUnderstood, UnitError or ValueError for what cannot be traded safely."""
    check_contract(market)
    series_ticker = event.series_ticker or market.ticker.partition("-")[0]
    return Market(
        venue="kalshi",
        market=market.ticker,
        event=event_of(market),
        title=market.title or " - ".join(filter(None, (event.title, market.yes_sub_title))) or market.ticker,
        rules="\n".join(filter(None, (market.rules_primary, market.rules_secondary))),
        status=market.status or "",
        tokens=(),
        ticks=grid(market),
        fee=fee,
        minimum_quantity=MINIMUM_QUANTITY,
        minimum_value=0,
        negative_risk=False,
        open_ns=rfc3339_ns(market.open_time),
        close_ns=rfc3339_ns(market.close_time),
        expected_settlement_ns=rfc3339_ns(market.expected_expiration_time or market.latest_expiration_time),
        updated_ns=rfc3339_ns(market.updated_time),
        series=series_ticker,
        category=event.category or series.category or next(iter(series.categories or ()), ""),
        outcomes=(market.yes_sub_title or "", market.no_sub_title or ""),
        shard=market.exchange_index if market.exchange_index is not None else event.exchange_index or 0,
        mutually_exclusive=bool(event.mutually_exclusive),
        result=market.result or "",
        resolution=_resolution(market, event.settlement_sources or series.settlement_sources or ()),
    )


def described(record: Market, now_ns: int, *moments_ns: int) -> Described:
    """The record with its standing, looked at again at the first of the moments to come, and when it opens."""
    standing = standing_of(record.status)
    opening = (record.open_ns,) if standing.state == "halted" else ()
    coming = [ns for ns in (*moments_ns, *opening) if ns > now_ns]
    return Described(record, refresh_ns=min(coming, default=0), standing=standing)


def event_of(market: MarketBody) -> str:
    """The event that a market belongs to; where it does not say, its ticker without the last part."""
    return market.event_ticker or market.ticker.rpartition("-")[0] or market.ticker


def volume_of(market: MarketBody) -> tuple[int, int]:
    """Contracts traded in a day, and ever, for ranking; what cannot be read counts as nothing."""
    return _contracts(market.volume_24h_fp), _contracts(market.volume_fp)


def _contracts(value: Number | None) -> int:
    try:
        return 0 if value is None else int(float(value))
    except (ValueError, OverflowError):
        return 0


def _resolution(market: MarketBody, sources: tuple[Source, ...]) -> str:
    named = ", ".join(filter(None, (source.name or source.url for source in sources)))
    said = (
        ("sources", named),
        ("closes early", market.early_close_condition),
        ("expired at", market.expiration_value),
        ("settles at", market.settlement_value_dollars),
    )
    return "; ".join(f"{what}: {text}" for what, text in said if text not in (None, ""))
