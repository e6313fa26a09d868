"""Kalshi's catalogue: markets by ticker with the fee of their series and event, and the walk through all open markets.

Sources: "Get Markets", "Get Events", "Get Series", "Get Series Fee Changes", "Understanding Pagination" (a cursor is
opaque; none, null or an empty one ends a list).
"""

import heapq
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial

import msgspec

from producers.catalogue import GONE, Catalogue, Described, Standing, count_refused
from producers.kalshi import fees, metadata
from producers.kalshi.limits import Costs, Limits, buckets, charges
from producers.kalshi.metadata import MarketBody
from producers.kalshi.references import References
from producers.kalshi.rest import MARKETS_PER_CALL, Rest
from producers.kalshi.status import decode_status, status_of
from producers.paging import BROKEN, decode_as, pages
from producers.refusals import RestError
from producers.timestamps import rfc3339_ns
from producers.tools import batches
from runtime import logs, metrics
from schemas.records import Market

Ask = Callable[[Sequence[str], str], Awaitable[bytes]]
"""A page of the markets with these tickers, from a cursor on."""


class _Markets(msgspec.Struct):
    markets: list[msgspec.Raw]
    cursor: str | None = None


class _Ticker(msgspec.Struct):
    ticker: str = ""


_market = msgspec.json.Decoder(MarketBody)
_ticker = msgspec.json.Decoder(_Ticker)


class KalshiCatalogue:
    """Asks for markets and for what they depend on."""

    closes_by_clock = True

    def __init__(self, rest: Rest, *, has_key: bool = False) -> None:
        self._rest = rest
        self._has_key = has_key
        self._references = References(rest)
        self._log = logs.get(venue="kalshi")

    async def prepare(self) -> None:
        """Take the account's own limits and costs, where there is a key; without an answer the documented ones stay."""
        limiter = self._rest.client.limiter
        if limiter is None or not self._has_key:
            return
        try:
            limits = decode_as(await self._rest.account_limits(), Limits, "account limits")
            costs = decode_as(await self._rest.endpoint_costs(), Costs, "endpoint costs")
        except RestError as error:
            self._log.warning("limits unknown: those of the Basic tier are kept to", error=str(error))
            return
        limiter.resize(buckets(limits), charges(costs))
        self._log.info("limits", tier=limits.usage_tier, reads=limits.read.refill_rate, default_cost=costs.default_cost)

    async def describe(self, markets: Sequence[str], now_ns: int, *, fresh: bool = False) -> Catalogue:
        """What the venue knows about these markets; raises RestError when it does not answer."""
        catalogue = Catalogue()
        bodies: dict[str, MarketBody] = {}
        for ticker, item in (await self._items(markets, self._rest.markets)).items():
            try:
                bodies[ticker] = _market.decode(item)
            except BROKEN as error:
                catalogue.keep_out("kalshi", ticker, error)
        if bodies:
            await self._references.load(bodies.values(), now_ns, fresh=fresh)
        for ticker, body in bodies.items():
            try:
                catalogue.found[ticker] = self._described(body, now_ns)
            except (*BROKEN, RestError) as error:
                catalogue.keep_out("kalshi", ticker, error)
        return catalogue

    async def ranked(self, limit: int) -> list[str]:
        """All open markets by what was traded of them in a day, then ever."""
        volumes: dict[str, tuple[int, int]] = {}
        async for page in pages("kalshi", "open markets", self._rest.open_markets, _page):
            for item in page:
                try:
                    body = _market.decode(item)
                    metadata.check_contract(body)
                    if metadata.standing_of(body.status).state == "open":
                        volumes[body.ticker] = metadata.volume_of(body)
                except BROKEN as error:
                    count_refused("kalshi", error)
        metrics.CATALOGUE_MARKETS.labels("kalshi").set(len(volumes))
        return heapq.nlargest(limit, volumes, key=lambda ticker: (volumes[ticker], ticker))

    async def discover(self, budget: int, now_ns: int) -> list[Described]:
        """The `budget` most traded open markets, described, the most traded first."""
        ranked = await self.ranked(budget)
        found = (await self.describe(ranked, now_ns)).found
        return [found[ticker] for ticker in ranked if ticker in found]

    async def standings(self, markets: Iterable[Market], *, closely: bool = True) -> dict[str, Standing]:  # noqa: ARG002 - one way serves both
        """What the venue says of each market now."""
        tickers = [market.market for market in markets]
        found = dict.fromkeys(tickers, GONE)
        for ticker, item in (await self._items(tickers, self._rest.markets_now)).items():
            try:
                found[ticker] = metadata.standing_of(_market.decode(item).status)
            except BROKEN:
                del found[ticker]  # its next description says what is wrong with it
        return found

    async def pauses(self, markets: Iterable[Market]) -> dict[str, str]:
        """Whether the exchange trades, by each market's shard."""
        try:
            status = decode_status(await self._rest.status())
        except RestError as error:
            status = status_of(error)
        shards = status.pauses()
        return {market.market: shards.get(market.shard, shards[-1]) for market in markets}

    async def ask_time(self) -> None:
        """Nothing: every answer carries the venue's time."""

    def _described(self, body: MarketBody, now_ns: int) -> Described:
        event, series = self._references.event(body), self._references.series(body)
        series_name, event_name = self._references.series_of(body), metadata.event_of(body)
        changes = self._references.changes
        changes.check_read(series_name, event_name)
        terms = changes.series_terms(series_name, series.body.terms(), series.read_ns, now_ns)
        override = changes.event_terms(event_name, event.body.override(), event.read_ns, now_ns)
        waived_until_ns = rfc3339_ns(body.fee_waiver_expiration_time)
        schedule = fees.fee_schedule(terms, override)
        record = metadata.market_record(
            body, event.body, series.body, fees.NO_FEE if now_ns < waived_until_ns else schedule
        )
        return metadata.described(record, now_ns, waived_until_ns, changes.next_ns(series_name, event_name, now_ns))

    async def _items(self, tickers: Sequence[str], ask: Ask) -> dict[str, msgspec.Raw]:
        """The market objects of these tickers; what was not asked for is left out."""
        found: dict[str, msgspec.Raw] = {}
        for batch in batches(tickers, MARKETS_PER_CALL):
            wanted = set(batch)
            async with aclosing(pages("kalshi", "markets", partial(ask, batch), _page)) as answer:
                async for page in answer:
                    items = {ticker: item for item in page if (ticker := _ticker_in(item)) in wanted}
                    found.update(items)
                    wanted.difference_update(items)
                    if not wanted:
                        break
        return found


def _ticker_in(item: msgspec.Raw) -> str:
    try:
        return _ticker.decode(item).ticker
    except BROKEN:
        return ""


def _page(data: bytes) -> tuple[list[msgspec.Raw], str | None]:
    body = decode_as(data, _Markets, "markets")
    return body.markets, body.cursor
