"""Polymarket's feed: the market channel for changes, `POST /books` as the proof that nothing was missed."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from producers.books import Receipt
from producers.feeds import Catalogue, Feed
from producers.home import require_home
from producers.line import Line
from producers.polymarket import wire
from producers.polymarket.auth import Signer
from producers.polymarket.book import OFF_GRID, MarketBook, OffGrid, Verdict
from producers.polymarket.catalogue import PolymarketCatalogue
from producers.polymarket.line import PolymarketLine
from producers.polymarket.rest import BOOKS_PATH, BOOKS_PER_CALL, Rest
from producers.resilience import RestClient, RestError
from producers.tools import Tools, batches
from runtime import metrics
from runtime.settings import PolymarketSettings, load

MARKETS_PER_LINE: Final = 100
"""200 assets: above several hundred the venue silently leaves out first books."""

URGENT_PAUSE_S: Final = 0.1
"""Between two urgent REST rounds, at least: 10 requests a second is a fifth of the venue's limit."""


def make_feed(tools: Tools) -> "PolymarketFeed":
    """The feed that the environment's settings describe; raises SettingsError."""
    settings = load(PolymarketSettings)
    require_home("polymarket", settings.region)
    sign = Signer().headers
    rest = Rest(RestClient(settings.polymarket_clob_url, sign), RestClient(settings.polymarket_gamma_url, sign))
    return PolymarketFeed(tools, settings, rest)


class PolymarketFeed(Feed[MarketBook]):
    """Polymarket's markets."""

    def __init__(self, tools: Tools, settings: PolymarketSettings, rest: Rest) -> None:
        super().__init__(tools, markets_per_line=MARKETS_PER_LINE)
        self._settings = settings
        self._rest = rest
        self._catalogue = PolymarketCatalogue(rest)
        self._connection = tools.connections.name()
        self._frame = 0
        self._urgent = asyncio.Event()

    async def describe(self, markets: Sequence[str]) -> Catalogue:
        """Ask the venue about markets."""
        return await self._catalogue.describe(markets)

    def make_line(self) -> Line[MarketBook]:
        """A websocket line; market data needs no key."""
        return PolymarketLine(self.tools, self.measure, self._settings.polymarket_ws_url, self._urgent.set)

    def companions(self) -> list[Coroutine[Any, Any, None]]:
        """The check against REST."""
        return [self._reconcile()]

    async def close(self) -> None:
        """Close the REST connections."""
        await self._rest.close()

    async def _reconcile(self) -> None:
        """Check all books every `reconcile_ms`, and those that cannot wait at once."""
        interval_s = self.tools.settings.reconcile_ms / 1000
        due_s = time.monotonic() + interval_s
        while True:
            try:
                async with asyncio.timeout(max(0.0, due_s - time.monotonic())):
                    await self._urgent.wait()
                urgent_only = True
            except TimeoutError:
                urgent_only = False
                due_s = time.monotonic() + interval_s
            self._urgent.clear()
            now_ns = self.tools.now()
            books = [book for line in self.lines for book in line.books.values()]
            chosen = [book for book in books if (book.urgent if urgent_only else book.wants_rest(now_ns))]
            for batch in batches(chosen, BOOKS_PER_CALL):
                await self._check(batch)
            await asyncio.sleep(min(URGENT_PAUSE_S, interval_s))

    async def _check(self, books: list[MarketBook]) -> None:
        asked = {book.yes: (book, book.ask()) for book in books}
        start_ns = self.tools.now()
        try:
            body = await self._rest.books(wire.books_request(asked))
        except RestError as error:
            self._log.warning("books could not be checked", books=len(books), error=str(error))
            return
        receipt = Receipt(self._connection, self._frame, start_ns, self.tools.now())
        self._frame += 1
        await self.tools.raw.room()
        self.tools.raw.body(receipt, body, BOOKS_PATH)
        try:
            answers = wire.decode_books(body)
        except wire.WireError as error:
            self.tools.undecodable(body, error)
            return
        broken = next((answer.error for answer in answers if isinstance(answer, wire.Malformed)), None)
        if broken is not None:
            self.tools.undecodable(body, broken)
        for answer in answers:
            if isinstance(answer, wire.TokenBook) and answer.token in asked:
                self._judge(*asked[answer.token], answer, receipt)

    def _judge(self, book: MarketBook, asked: int, answer: wire.TokenBook, receipt: Receipt) -> None:
        market = book.published.market
        if self.book(market) is not book:
            return  # its group went while the venue was asked
        try:
            verdict, said = book.answer(answer, asked, receipt, self.tools.now())
        except OffGrid as error:
            self._log.warning("change off the venue's own grid", market=market, error=str(error))
            verdict, said = Verdict.NOTHING, []
            self.tools.books.offer(book.interrupt(OFF_GRID, self.tools.now()))
        if verdict is Verdict.MISMATCH:
            metrics.RECONCILE_MISMATCHES.labels(self.tools.venue).inc()
            self._log.warning("book differed from the venue's answer", market=market)
        for record in said:
            self.tools.books.offer(record)
