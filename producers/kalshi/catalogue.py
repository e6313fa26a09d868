"""Kalshi's markets as Market records: price grid from `price_ranges`, fees from series, event overrides and waivers.

Sources: "Get Markets", "Get Event", "Get Series"; fee schedule effective 2026-07-07 (taker 0.07, maker 0.0175 or
0.035 times the multiplier); "Fee Rounding" (direct members' balances move in 0.0001 dollar).
"""

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from producers.feeds import Catalogue, Described
from producers.kalshi.rest import MARKETS_PER_CALL, Rest
from producers.resilience import RestError
from producers.timestamps import rfc3339_ns
from runtime import logs
from schemas.records import FeeSchedule, Market, TickRange
from schemas.units import RATE_SCALE, parse_price, parse_rate

T = TypeVar("T")

TAKER_RATE: Final = 70_000
MAKER_RATES: Final = {
    "quadratic": 0,
    "quadratic_with_maker_fees": 17_500,
    "quadratic_with_combo_maker_fees": 35_000,
}
DIRECT_MEMBER_PRECISION: Final = 100
NO_FEE: Final = FeeSchedule(model="none", taker_rate=0, maker_rate=0, exponent=0, balance_precision=100)
MINIMUM_QUANTITY: Final = 1
"""0.01 contract, on every market."""


class _Range(msgspec.Struct):
    start: str
    end: str
    step: str


class _Market(msgspec.Struct):
    ticker: str
    event_ticker: str
    status: str
    price_ranges: list[_Range]
    title: str | None = None
    yes_sub_title: str | None = None
    rules_primary: str | None = None
    rules_secondary: str | None = None
    open_time: str | None = None
    close_time: str | None = None
    expected_expiration_time: str | None = None
    latest_expiration_time: str | None = None
    updated_time: str | None = None
    fee_waiver_expiration_time: str | None = None


class _Markets(msgspec.Struct):
    markets: list[msgspec.Raw]


class _Ticker(msgspec.Struct):
    ticker: str = ""


class _Event(msgspec.Struct):
    series_ticker: str = ""
    title: str | None = None
    fee_type_override: str | None = None
    fee_multiplier_override: float | int | None = None


class _EventBody(msgspec.Struct):
    event: _Event


class _Series(msgspec.Struct):
    fee_type: str = "quadratic"
    fee_multiplier: float | int | None = None


class _SeriesBody(msgspec.Struct):
    series: _Series


class KalshiCatalogue:
    """Asks for markets, and once a time for each event and series they belong to."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._events: dict[str, _Event] = {}
        self._series: dict[str, _Series] = {}
        self._log = logs.get(venue="kalshi")

    async def describe(self, tickers: Sequence[str], now_ns: int) -> Catalogue:
        """What the venue knows about these markets; raises RestError when it does not answer."""
        self._events.clear()
        self._series.clear()
        catalogue = Catalogue()
        for start in range(0, len(tickers), MARKETS_PER_CALL):
            batch = tickers[start : start + MARKETS_PER_CALL]
            for item in _decode(await self._rest.markets(batch), _Markets, "markets").markets:
                await self._describe_one(item, now_ns, catalogue)
        return catalogue

    async def _describe_one(self, item: msgspec.Raw, now_ns: int, catalogue: Catalogue) -> None:
        ticker = ""
        try:
            ticker = msgspec.json.decode(item, type=_Ticker).ticker
            market = msgspec.json.decode(item, type=_Market)
            event = await self._event(market.event_ticker)
            series = await self._series_of(event.series_ticker or market.event_ticker.partition("-")[0])
            catalogue.found[ticker] = described(market, event, series, now_ns)
        except (msgspec.MsgspecError, ValueError, RestError) as error:
            catalogue.failed[ticker] = str(error)

    async def _event(self, ticker: str) -> _Event:
        if ticker not in self._events:
            try:
                body = _decode(await self._rest.event(ticker), _EventBody, f"event {ticker}")
            except RestError as error:
                if not error.unknown:
                    raise
                self._log.warning("event unknown: no title and no fee override taken from it", event_ticker=ticker)
                body = _EventBody(_Event())
            self._events[ticker] = body.event
        return self._events[ticker]

    async def _series_of(self, ticker: str) -> _Series:
        if ticker not in self._series:
            try:
                body = _decode(await self._rest.series(ticker), _SeriesBody, f"series {ticker}")
            except RestError as error:
                if not error.unknown:
                    raise
                self._log.warning("series unknown: the ordinary taker fee is assumed", series_ticker=ticker)
                body = _SeriesBody(_Series())
            self._series[ticker] = body.series
        return self._series[ticker]


def described(market: _Market, event: _Event, series: _Series, now_ns: int) -> Described:
    """One market as a record; raises ValueError when a number or time in it is malformed."""
    waived_until_ns = rfc3339_ns(market.fee_waiver_expiration_time)
    waived = now_ns < waived_until_ns
    record = Market(
        venue="kalshi",
        market=market.ticker,
        event=market.event_ticker,
        title=market.title or " - ".join(filter(None, (event.title, market.yes_sub_title))) or market.ticker,
        rules="\n".join(filter(None, (market.rules_primary, market.rules_secondary))),
        status=market.status,
        tokens=(),
        ticks=tuple(
            TickRange(start=parse_price(band.start), end=parse_price(band.end), step=parse_price(band.step))
            for band in market.price_ranges
        ),
        fee=NO_FEE if waived else fee_schedule(event, series),
        minimum_quantity=MINIMUM_QUANTITY,
        minimum_value=0,
        negative_risk=False,
        open_ns=rfc3339_ns(market.open_time),
        close_ns=rfc3339_ns(market.close_time),
        expected_settlement_ns=rfc3339_ns(market.expected_expiration_time or market.latest_expiration_time),
        updated_ns=rfc3339_ns(market.updated_time),
    )
    return Described(record, refresh_ns=waived_until_ns if waived else 0)


def fee_schedule(event: _Event, series: _Series) -> FeeSchedule:
    """The fee of a market: its event's override where there is one, else its series'; raises ValueError when unknown.

    A fee type whose formula is not public is refused: a market with a guessed fee must not be traded.
    """
    fee_type = event.fee_type_override or series.fee_type
    if fee_type not in MAKER_RATES:
        raise ValueError(f"fee type {fee_type!r} has no known formula")
    chosen = series.fee_multiplier if event.fee_multiplier_override is None else event.fee_multiplier_override
    multiplier = parse_rate(1 if chosen is None else chosen)
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


def _decode(data: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise RestError(f"{what}: the answer is not what was asked for: {error}") from error
