"""Polymarket's catalogue: the CLOB asked for each market, Gamma for many at once, and the walk through all of them.

Sources: "Get CLOB market info"; Gamma's "List markets (keyset pagination)"; the tradeable predicate of "Market
details". Gamma clamps page sizes and may lag or fail: without it a market has neither title nor dates.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from producers.catalogue import GONE, Catalogue, Described, Standing, count_refused
from producers.clock import VenueClock
from producers.paging import BROKEN, decode_as, pages
from producers.polymarket.metadata import (
    CONDITION_LENGTH,
    ClobMarket,
    FullMarket,
    GammaMarket,
    NotReady,
    full_condition,
    market_record,
    standing_of,
)
from producers.polymarket.rest import GAMMA_PER_CALL, Rest
from producers.refusals import RestError
from producers.tools import batches
from runtime import logs, metrics
from schemas.records import Market

AT_ONCE: Final = 8
"""Market calls under way at the same time; far below the venue's limits."""


class _Page(msgspec.Struct):
    markets: list[msgspec.Raw]
    next_cursor: str | None = None


_clob = msgspec.json.Decoder(ClobMarket)
_gamma = msgspec.json.Decoder(GammaMarket)


class PolymarketCatalogue:
    """Asks the CLOB and Gamma."""

    closes_by_clock = False
    """A market is traded past its end date, until it is resolved."""

    def __init__(self, rest: Rest, clock: VenueClock | None = None) -> None:
        self._rest = rest
        self._clock = clock
        self._log = logs.get(venue="polymarket")

    async def prepare(self) -> None:
        """Nothing: the limits are those of an address, and documented."""

    async def describe(self, markets: Sequence[str], now_ns: int = 0, *, fresh: bool = False) -> Catalogue:  # noqa: ARG002 - nothing is remembered
        """What the venue knows about these markets."""
        try:
            texts = await self._texts(markets)
        except RestError as error:
            self._log.warning("Gamma gave no texts: markets go on without titles and dates", error=str(error))
            texts = {}
        catalogue, turn = Catalogue(), asyncio.Semaphore(AT_ONCE)

        async def one(condition: str) -> None:
            async with turn:
                await self._describe_one(condition, texts.get(full_condition(condition), GammaMarket()), catalogue)

        async with asyncio.TaskGroup() as tasks:
            for condition in markets:
                tasks.create_task(one(condition))
        return catalogue

    async def ranked(self, limit: int) -> list[str]:
        """The markets that can be traded, by what was traded of them in a day.

        The venue is asked for that order; where its pages do not come in it, all of them are read.
        """
        volumes: dict[str, float] = {}
        ordered, least = True, float("inf")
        async with aclosing(self._all_pages()) as walk:
            async for page in walk:
                for market in self._readable(page):
                    volume = _number(market.volume24hr) or 0.0
                    ordered, least = ordered and volume <= least, volume
                    if market.tradeable:
                        volumes[market.condition] = volume
                if ordered and len(volumes) >= limit:
                    break
        metrics.FORMS_SEEN.labels("polymarket", "catalogue order", "by volume" if ordered else "another").inc()
        metrics.CATALOGUE_MARKETS.labels("polymarket").set(len(volumes))
        return sorted(volumes, key=lambda condition: (-volumes[condition], condition))[:limit]

    async def discover(self, budget: int, now_ns: int = 0) -> list[Described]:
        """The `budget` most traded markets, described, the most traded first."""
        ranked = await self.ranked(budget)
        found = (await self.describe(ranked, now_ns)).found
        return [found[condition] for condition in ranked if condition in found]

    async def standings(self, markets: Iterable[Market], *, closely: bool = True) -> dict[str, Standing]:
        """Whether each market takes orders; raises RestError when the venue said nothing of any.

        Closely: the CLOB is asked for each. Else Gamma for many at once, which may lag.
        """
        asked = list(markets)
        if not closely:
            texts = await self._texts([market.market for market in asked])
            names = {market.market: full_condition(market.market) for market in asked}
            return {
                market: standing_of(ClobMarket(), texts[name]) if name in texts else GONE
                for market, name in names.items()
            }
        found: dict[str, Standing] = {}
        problems: list[RestError] = []
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(condition: str) -> None:
            async with turn:
                try:
                    clob = _clob.decode(await self._rest.market_now(condition))
                except BROKEN:
                    return  # its next description says what is wrong with it
                except RestError as error:
                    if error.unknown:
                        found[condition] = GONE
                    else:
                        problems.append(error)
                    return
            found[condition] = standing_of(clob, GammaMarket())

        async with asyncio.TaskGroup() as tasks:
            for market in asked:
                tasks.create_task(one(market.market))
        if problems and not found:
            raise problems[0]
        return found

    async def pauses(self, markets: Iterable[Market]) -> dict[str, str]:  # noqa: ARG002 - the general form
        """Nothing: the venue says of each market whether it takes orders."""
        return {}

    async def ask_time(self) -> None:
        """Ask the CLOB's clock."""
        if self._clock is None:
            return
        sent_ns = self._clock.now()
        body = await self._rest.time()
        self._clock.told(int(decode_as(body, float, "time")), sent_ns, self._clock.now())

    async def _describe_one(self, condition: str, text: GammaMarket, catalogue: Catalogue) -> None:
        try:
            clob = _clob.decode(await self._rest.market(full_condition(condition)))
            record = market_record(condition, clob, text)
            if text.closed and not record.result:
                record = await self._with_result(record)
            catalogue.found[condition] = Described(record, standing=standing_of(clob, text))
        except NotReady:
            return  # as if it were not known: it comes within minutes
        except RestError as error:
            if not error.unknown:
                catalogue.keep_out("polymarket", condition, error)
        except BROKEN as error:
            catalogue.keep_out("polymarket", condition, error)

    async def _with_result(self, record: Market) -> Market:
        """A closed market whose prices do not tell what it paid: the CLOB may name the winner."""
        try:
            full = decode_as(await self._rest.full_market(full_condition(record.market)), FullMarket, "market")
        except RestError:
            return record  # it is asked again with the next description
        return msgspec.structs.replace(record, result=full.result(record.tokens[0]))

    async def _texts(self, conditions: Sequence[str]) -> dict[str, GammaMarket]:
        """Gamma's view of these markets, by full condition id. Closed ones are asked for apart."""
        found: dict[str, GammaMarket] = {}
        for closed in (False, True):
            missing = [condition for condition in conditions if full_condition(condition) not in found]
            for batch in batches(missing, GAMMA_PER_CALL):
                body = await self._rest.texts(_every_form(batch), closed=closed)
                listed = decode_as(body, list[msgspec.Raw], "Gamma markets")
                found.update({market.condition: market for market in self._readable(listed)})
        return found

    async def _all_pages(self) -> AsyncGenerator[list[msgspec.Raw]]:
        came = False
        try:
            async with aclosing(pages("polymarket", "markets", self._rest.tradeable, _page)) as walk:
                async for page in walk:
                    came = True
                    yield page
        except RestError as error:
            if came or error.passing:
                raise
            self._log.warning("no keyset pages: going by offsets", error=str(error))
        if came:
            return
        metrics.FORMS_SEEN.labels("polymarket", "catalogue pages", "by offset").inc()
        offset, last = 0, b""
        while (body := await self._rest.tradeable_from(offset)) != last:  # a page that repeats goes on for ever
            listed = decode_as(body, list[msgspec.Raw], "Gamma markets")
            if not listed:
                break
            yield listed
            offset, last = offset + len(listed), body

    def _readable(self, items: Iterable[msgspec.Raw]) -> list[GammaMarket]:
        found = []
        for item in items:
            try:
                market = _gamma.decode(item)
                market.token_ids()
            except BROKEN as error:
                count_refused("polymarket", error)
                continue
            if market.condition_id:
                found.append(market)
        return found


def _page(data: bytes) -> tuple[list[msgspec.Raw], str | None]:
    body = decode_as(data, _Page, "Gamma markets")
    return body.markets, body.next_cursor


def _every_form(conditions: Sequence[str]) -> list[str]:
    """Condition ids in both lengths, where Gamma may know the shorter one."""
    forms = []
    for condition in map(full_condition, conditions):
        forms.append(condition)
        if len(condition) == CONDITION_LENGTH and condition.endswith("00"):
            forms.append(condition[:-2])
    return forms


def _number(value: float | int | str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
