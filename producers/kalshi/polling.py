"""Kalshi without a key: the public REST books, asked for again and again."""

import asyncio
from collections.abc import Callable
from typing import Final

from producers.books import Receipt
from producers.kalshi import wire
from producers.kalshi.book import MarketBook
from producers.kalshi.rest import MARKETS_PER_CALL, Rest, books_path
from producers.line import DISCONNECTED, Followed, Line
from producers.resilience import RestError
from producers.tools import Tools, batches
from runtime import metrics

MALFORMED: Final = "malformed answer"


class PollingLine(Line[MarketBook]):
    """The public REST books, asked for again and again: what there is without a key."""

    def __init__(self, tools: Tools, lines_changed: Callable[[], None], rest: Rest, poll_ms: int) -> None:
        super().__init__(tools, lines_changed)
        self._rest = rest
        self._poll_s = poll_ms / 1000
        self._connection = tools.connections.name()
        self._frame = 0
        self._frames_read = metrics.FRAMES_READ.labels(tools.venue)

    def make_book(self, followed: Followed) -> MarketBook:
        """The book builder of a market."""
        return MarketBook(self.published_book(followed))

    async def run(self) -> None:
        """Ask for all books every `kalshi_poll_ms`, until cancelled."""
        self.log.info("no Kalshi key: the public REST books are polled", every_ms=round(self._poll_s * 1000))
        while True:
            await self.some_markets()
            for batch in batches(list(self.books), MARKETS_PER_CALL):
                await self._poll(batch)
            await asyncio.sleep(self._poll_s)

    async def _poll(self, markets: list[str]) -> None:
        path, start_ns = books_path(markets), self.tools.now()
        try:
            body = await self._rest.books(path)
        except RestError as error:
            if self.connected:
                self.log.warning("poll failed", error=str(error))
            self._fail(markets, DISCONNECTED)
            return
        receipt = Receipt(self._connection, self._frame, start_ns, self.tools.now())
        self._frame += 1
        await self.tools.raw.room()
        self.tools.raw.body(receipt, body, path)
        self._frames_read.inc()
        try:
            books = wire.decode_orderbooks(body)
        except wire.WireError as error:
            self.tools.undecodable(body, error)
            self._fail(markets, MALFORMED)
            return
        self.set_connected(True)
        self._apply(markets, books, receipt, body)

    def _apply(
        self, markets: list[str], books: list[wire.Snapshot | wire.Malformed], receipt: Receipt, body: bytes
    ) -> None:
        answered = {message.market: message for message in books}
        broken = next((message.error for message in books if isinstance(message, wire.Malformed)), None)
        if broken is None:
            self.tools.dead_letters.good()
        else:
            self.tools.undecodable(body, broken)
        for market in markets:
            book, message = self.books.get(market), answered.get(market)
            if book is None:
                continue  # its group went while the venue was asked
            if isinstance(message, wire.Snapshot):
                if message.floored:
                    metrics.SIZES_FLOORED.labels(self.tools.venue).inc(message.floored)
                self.tools.books.offer(book.snapshot(message, receipt, self.tools.now()))
            else:
                reason = "not in the venue's answer" if message is None else MALFORMED
                self.tools.books.offer(book.interrupt(reason, self.tools.now()))

    def _fail(self, markets: list[str], reason: str) -> None:
        self.set_connected(False)
        for market in markets:
            if market in self.books:
                self.tools.books.offer(self.books[market].interrupt(reason, self.tools.now()))
