"""Polymarket's websocket: both tokens of every market in, one YES ladder each, text PINGs out."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from websockets.asyncio.client import ClientConnection

from producers.books import Receipt
from producers.line import FeedLost, Followed, WebsocketLine
from producers.polymarket import wire
from producers.polymarket.book import OFF_GRID, MarketBook, OffGrid
from producers.publisher import publish_trades
from producers.tools import Tools
from runtime import metrics
from schemas.records import Trade
from schemas.units import ONE

STALE_S: Final = 30.0
"""Neither data nor PONG for this long: the connection is dead (the venue's own clients take the same)."""

MALFORMED: Final = "malformed frame"


class PolymarketLine(WebsocketLine[MarketBook]):
    """One connection of the market channel, at most 200 assets."""

    def __init__(self, tools: Tools, lines_changed: Callable[[], None], url: str, urgent: Callable[[], None]) -> None:
        super().__init__(tools, lines_changed, url)
        self._urgent = urgent
        self._heard_s = 0.0
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()

    def make_book(self, followed: Followed) -> MarketBook:
        """The book builder of a market."""
        yes, no = followed.market.tokens
        return MarketBook(self.published_book(followed), yes, no, followed.market.ticks[0].step)

    def opened(self) -> None:
        """Subscribe to both tokens of everything this line carries."""
        self._outgoing.put_nowait(wire.subscribe(self._tokens(list(self.books))))
        for book in self.books.values():
            book.subscribed(self.tools.now())

    def closed(self) -> None:
        """Subscriptions do not survive their connection."""
        self._outgoing = asyncio.Queue()
        for book in self.books.values():
            book.disconnect()

    def companions(self, socket: ClientConnection) -> list[Coroutine[Any, Any, None]]:
        """Commands out; text PINGs that keep the connection."""
        self._heard_s = time.monotonic()
        return [self._send(socket, self._outgoing), self._keep_alive(socket)]

    def added(self, markets: list[str]) -> None:
        """Subscribe to markets that came while connected."""
        if self.connected:
            self._outgoing.put_nowait(wire.change_subscription("subscribe", self._tokens(markets)))
            for market in markets:
                self.books[market].subscribed(self.tools.now())

    def removed(self, market: str, book: MarketBook) -> None:  # noqa: ARG002 - the line's general form
        """Take a market off the connection."""
        if self.connected:
            self._outgoing.put_nowait(wire.change_subscription("unsubscribe", [book.yes, book.no]))

    def frame(self, receipt: Receipt, data: bytes) -> None:
        """Decode and apply, market by market."""
        self._heard_s = time.monotonic()
        if data.strip() == wire.PONG:
            return
        try:
            messages = wire.decode(data)
        except wire.WireError as error:
            self._distrust(error.market)
            self.tools.undecodable(data, error)
            return
        broken = next((message.error for message in messages if isinstance(message, wire.Malformed)), None)
        by_market: dict[str, list[wire.Message]] = {}
        for message in messages:
            if isinstance(message, wire.Unknown):
                self.tools.unknown(message.kind)
            elif isinstance(message, wire.Malformed) and message.about_book and not message.market:
                self._distrust("")
            elif message.market not in self.books:
                self.tools.ignored("not asked for")
            else:
                by_market.setdefault(message.market, []).append(message)
        for market, about in by_market.items():
            broken = self._apply(self.books[market], about, receipt) or broken
        if broken is None:
            self.tools.dead_letters.good()
        else:
            self.tools.undecodable(data, broken)

    def _apply(self, book: MarketBook, messages: list[wire.Message], receipt: Receipt) -> Exception | None:
        """Apply a frame's messages about one market; returns what was wrong with them."""
        for message in messages:
            if isinstance(message, wire.Print):
                self._print(book, message, receipt)
            elif isinstance(message, wire.TokenBook | wire.PriceChange) and message.floored:
                metrics.SIZES_FLOORED.labels(self.tools.venue).inc(message.floored)
        broken = next(
            (message.error for message in messages if isinstance(message, wire.Malformed) and message.about_book), None
        )
        if broken is not None:
            self._interrupt(book, MALFORMED)
            return broken
        try:
            self.tools.books.offer(book.apply(messages, receipt, self.tools.now()))
        except OffGrid as error:
            self._interrupt(book, OFF_GRID)
            return error
        if book.urgent:
            self._urgent()
        return None

    def _distrust(self, market: str) -> None:
        """Something was lost in a frame that could not be read: about this market or, with no name, about anyone."""
        for name, book in self.books.items():
            if market in ("", name):
                self._interrupt(book, MALFORMED)

    def _interrupt(self, book: MarketBook, reason: str) -> None:
        self.tools.books.offer(book.interrupt(reason, self.tools.now()))
        book.urgent = True
        self._urgent()

    def _print(self, book: MarketBook, message: wire.Print, receipt: Receipt) -> None:
        yes = message.token == book.yes
        opposite = {"buy": "sell", "sell": "buy"}
        trade = Trade(
            venue="polymarket",
            market=message.market,
            group=book.published.group,
            trade_id=message.trade_id,
            price=message.price if yes else ONE - message.price,
            fill_quantity=message.fill_quantity,
            taker_side=message.taker_side if yes else opposite[message.taker_side],  # type: ignore[arg-type]
            exchange_ns=message.exchange_ns,
            api_response_ns=receipt.response_ns,
        )
        publish_trades(self.tools.publisher, [trade])

    def _tokens(self, markets: list[str]) -> list[str]:
        return [token for market in markets for token in (self.books[market].yes, self.books[market].no)]

    async def _keep_alive(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(wire.PING_INTERVAL_S)
            if time.monotonic() - self._heard_s > STALE_S:
                raise FeedLost(f"neither data nor PONG for {STALE_S:g} s")
            await socket.send(wire.PING)

    async def _send(self, socket: ClientConnection, outgoing: "asyncio.Queue[str]") -> None:
        while True:
            await socket.send(await outgoing.get())
