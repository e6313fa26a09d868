"""What the Kalshi simulator lists: the series, events and markets that a tape is about, and those that come later."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from infra.simulator.exchange import KalshiBook, fixed
from infra.simulator.kalshi.channels import BOOK, CHANNEL_OF, ENVELOPE, MESSAGE
from infra.simulator.kalshi.grid import bands_of
from infra.simulator.kalshi.market import ListedMarket, parse_time, rfc3339
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.metadata import (
    CENT,
    FAR_FUTURE,
    event_of,
    kalshi_event,
    kalshi_market,
    kalshi_series,
    market_id_of,
    series_of,
)
from infra.simulator.tape import Tape, TapeError

Bodies = dict[str, dict[str, Any]]

ENDS = ("close_time", "expected_expiration_time", "latest_expiration_time")


@dataclass(slots=True)
class Survey:
    """What a first reading of the tape tells: number of frames, first frame type and finest price step per market."""

    frames: int = 0
    first: dict[str, str] = field(default_factory=dict)
    step: dict[str, int] = field(default_factory=dict)


def survey_tape(tape: Tape) -> Survey:
    """Read the whole tape once; damaged frames are counted and otherwise left out."""
    survey = Survey()
    for frame in tape.frames("kalshi"):
        survey.frames += 1
        try:
            envelope = ENVELOPE.decode(frame.text)
            if CHANNEL_OF.get(envelope.type) != BOOK:
                continue
            message = MESSAGE.decode(envelope.msg)
            prices = [price for price, _ in (*message.yes_dollars_fp, *message.no_dollars_fp)]
            step = _finest(fixed(price, 4) for price in (*prices, message.price_dollars))
        except (msgspec.MsgspecError, ValueError):
            continue
        if message.market_ticker:
            survey.first.setdefault(message.market_ticker, envelope.type)
            survey.step[message.market_ticker] = min(step, survey.step.get(message.market_ticker, CENT))
    return survey


def _finest(prices: Iterable[int]) -> int:
    """The coarsest of the venue's ticks (0.01, 0.001, 0.0001 dollar) on which all these prices lie."""
    step = CENT
    for price in prices:
        while price % step:
            step //= 10
    return step


def recorded_objects(bodies: Iterable[tuple[str, Any]], one: str, many: str, key: str) -> Bodies:
    """Every object of a kind among the recorded REST bodies, alone or in a list, by its ticker."""
    found: Bodies = {}
    for _, body in bodies:
        if not isinstance(body, dict):
            continue
        listed = body.get(many)
        for each in [body.get(one), *(listed if isinstance(listed, list) else [])]:
            if isinstance(each, dict) and isinstance(each.get(key), str):
                found.setdefault(each[key], each)
    return found


class Catalogue:
    """Series, events and markets, recorded where they were, else made; and a book for every market.

    Args:
        timed: the venue trades now: markets live by the clock, and one that had closed when it was recorded is open
            again. Otherwise everything stays as recorded.
    """

    def __init__(
        self, recorded: Iterable[tuple[str, Any]], survey: Survey, options: KalshiOptions, now_ns: int, *, timed: bool
    ) -> None:
        bodies = list(recorded)
        self._options = options
        self._timed = timed
        self._numbers = 0
        self.series: Bodies = dict(recorded_objects(bodies, "series", "series", "ticker"))
        self.events: Bodies = dict(recorded_objects(bodies, "event", "events", "event_ticker"))
        self.markets: dict[str, ListedMarket] = {}
        self.books: dict[str, KalshiBook] = {}
        self._now_ns = now_ns
        self.event_fee_changes: list[dict[str, Any]] = []
        self.series_fee_changes: list[dict[str, Any]] = []
        for body in recorded_objects(bodies, "market", "markets", "ticker").values():
            self.add(dict(body))
        for ticker in survey.first:
            if ticker not in self.markets:
                self.add(kalshi_market(ticker, step=survey.step.get(ticker, CENT)))

    def add(self, body: dict[str, Any]) -> ListedMarket:
        """List a market, with its event and series when they are new.

        Raises:
            TapeError: a time or price grid by which the market would be traded makes no sense.
        """
        ticker = body["ticker"]
        if self._timed:
            body = kalshi_market(ticker) | body
            try:
                if parse_time(body["close_time"]) <= self._now_ns:
                    body |= {"status": "active", "result": ""} | dict.fromkeys(ENDS, FAR_FUTURE)
                bands_of(body)
                for name in ("open_time", "updated_time", "fee_waiver_expiration_time"):
                    parse_time(body.get(name))
            except ValueError as error:
                raise TapeError(f"market {ticker} cannot be traded: {error}") from error
        self._numbers += 1
        event = body.get("event_ticker") or event_of(ticker)
        series = self.events.get(event, {}).get("series_ticker") or series_of(event)
        shard = body.get("exchange_index") or self._options.shards.get(series, 0)
        self.series.setdefault(series, kalshi_series(series) | {"exchange_index": shard})
        self.events.setdefault(event, kalshi_event(event) | {"series_ticker": series, "exchange_index": shard})
        market = self.markets[ticker] = ListedMarket(ticker, body, self._numbers, shard, self._timed)
        if self._timed:
            market.read_times()
        book = self.books[ticker] = KalshiBook(ticker, market_id_of(ticker))
        book.started = self._timed
        return market

    def remove(self, ticker: str) -> None:
        """Take a market out of every list."""
        del self.markets[ticker]

    def series_ticker(self, market: ListedMarket) -> str:
        """The series a market belongs to."""
        return str(self.events.get(market.event, {}).get("series_ticker") or series_of(market.event))

    def of_event(self, event: str) -> Iterator[ListedMarket]:
        """The markets of an event, in the order of listing."""
        return (market for market in self.markets.values() if market.event == event)

    def series_body(self, ticker: str, now_ns: int) -> dict[str, Any] | None:
        """A series with the fee that holds now; None when there is no such series."""
        body = self.series.get(ticker)
        for change in self.series_fee_changes if body else ():
            if change["series_ticker"] == ticker and parse_time(change["scheduled_ts"]) <= now_ns:
                body = {**(body or {}), "fee_type": change["fee_type"], "fee_multiplier": change["fee_multiplier"]}
        return body

    def schedule_series_fee(self, ticker: str, fee_type: str, multiplier: float, at_ns: int) -> None:
        """A series' fee changes at a time; no frame tells of it."""
        number = len(self.series_fee_changes) + 1
        change = {"id": market_id_of(f"series fee change {number}"), "series_ticker": ticker, "fee_type": fee_type}
        self.series_fee_changes.append(change | {"fee_multiplier": multiplier, "scheduled_ts": rfc3339(at_ns)})

    def override_fee(self, event: str, fields: dict[str, Any], at_ns: int) -> None:
        """An event's fee override is another from now on; None values clear it."""
        self.events[event] = self.events[event] | fields
        number = len(self.event_fee_changes) + 1
        change = {
            "id": market_id_of(f"event fee change {number}"),
            "event_ticker": event,
            "scheduled_ts": rfc3339(at_ns),
        }
        self.event_fee_changes.append(change | {"series_ticker": self.events[event].get("series_ticker", "")} | fields)

    def fee(self, market: ListedMarket, now_ns: int) -> tuple[str, str]:
        """Fee type and multiplier that hold for a market now: the event's override, else the series'; waived is 0."""
        if now_ns < parse_time(market.body.get("fee_waiver_expiration_time")):
            return "quadratic", "0"
        event = self.events.get(market.event, {})
        series = self.series_body(self.series_ticker(market), now_ns) or {}
        kind = event.get("fee_type_override") or series.get("fee_type") or "quadratic"
        chosen = event.get("fee_multiplier_override")
        return str(kind), str(series.get("fee_multiplier", 1) if chosen is None else chosen)
