"""Kalshi's websocket: commands out, frames in, sequences checked, snapshots asked for when something is missing."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection

from producers.books import Receipt
from producers.kalshi import wire
from producers.kalshi.auth import Signer
from producers.kalshi.book import MarketBook, Step, Subscription
from producers.kalshi.proof import Prover
from producers.line import FeedLost, Followed, WebsocketLine
from producers.publisher import publish_trades
from producers.tools import Tools, batches
from runtime import metrics
from schemas.records import Trade

MARKETS_PER_COMMAND: Final = 100
BOOKS: Final = "orderbook_delta"
TRADES: Final = "trade"

SNAPSHOT_PATIENCE_NS: Final = 5_000_000_000
"""A snapshot that was asked for and has not come is asked for again after this."""

GAP: Final = "sequence gap"
MALFORMED: Final = "malformed frame"


class KalshiLine(WebsocketLine[MarketBook]):
    """One authenticated connection: a subscription per batch of markets, each with its own sequence."""

    def __init__(self, tools: Tools, lines_changed: Callable[[], None], url: str, signer: Signer) -> None:
        super().__init__(tools, lines_changed, url)
        self._signer = signer
        self._path = urlsplit(url).path
        self._command = 0
        self._commands: dict[int, tuple[str, list[str]]] = {}
        self._subscriptions: dict[int, Subscription] = {}
        self._asked_ns: dict[str, int] = {}
        self._outgoing: asyncio.Queue[bytes] = asyncio.Queue()
        self._prover = Prover(self, self._subscriptions, self._probe)

    def make_book(self, followed: Followed) -> MarketBook:
        """The book builder of a market."""
        return MarketBook(self.published_book(followed))

    def headers(self) -> dict[str, str]:
        """The signed handshake."""
        return self._signer.headers("GET", self._path)

    def opened(self) -> None:
        """Subscribe to everything this line carries."""
        self._subscribe(list(self.books))

    def closed(self) -> None:
        """Subscriptions do not survive their connection."""
        self._commands.clear()
        self._subscriptions.clear()
        self._asked_ns.clear()
        self._outgoing = asyncio.Queue()
        self._prover = Prover(self, self._subscriptions, self._probe)

    def companions(self, socket: ClientConnection) -> list[Coroutine[Any, Any, None]]:
        """Commands out; questions that prove the books; snapshots asked for again."""
        return [self._send(socket, self._outgoing), self._prover.run(socket), self._heal()]

    def added(self, markets: list[str]) -> None:
        """Subscribe to markets that came while connected."""
        if self.connected:
            self._subscribe(markets)

    def removed(self, market: str, book: MarketBook) -> None:  # noqa: ARG002 - the line's general form
        """Take a market off its subscriptions."""
        self._asked_ns.pop(market, None)
        for subscription in self._subscriptions.values():
            if market in subscription.markets:
                subscription.markets.discard(market)
                self._queue(wire.update(self._next_command(), subscription.sid, "delete_markets", [market]))

    def frame(self, receipt: Receipt, data: bytes) -> None:
        """Decode, check the sequence, apply."""
        try:
            message = wire.decode(data)
        except wire.WireError as error:
            self._interrupt(list(self.books), MALFORMED)  # whose it was cannot be known
            self.tools.undecodable(data, error)
            return
        subscription = self._subscription_of(message)
        if subscription is not None and message.seq and not self._in_sequence(subscription, message, receipt):
            return
        if isinstance(message, wire.Malformed):
            self.tools.undecodable(data, message.error)
        else:
            self.tools.dead_letters.good()
        self._handle(message, subscription, receipt)

    def _handle(self, message: wire.Message, subscription: Subscription | None, receipt: Receipt) -> None:
        match message:
            case wire.Delta() | wire.Snapshot():
                self._change(message, subscription, receipt)
            case wire.Print():
                self._print(message, receipt)
            case wire.Malformed():
                self._distrust(message)
            case wire.Subscribed():
                self._subscribed(message)
            case wire.Acknowledged():
                self._commands.pop(message.command, None)
                self._prover.acknowledged(message)
            case wire.Refused():
                self._refused(message)
            case wire.Unknown():
                self.tools.unknown(message.kind)

    def _change(self, message: wire.Delta | wire.Snapshot, subscription: Subscription | None, receipt: Receipt) -> None:
        book = self.books.get(message.market)
        if book is None:
            self.tools.ignored("not asked for")
            return
        now_ns = self.tools.now()
        if isinstance(message, wire.Snapshot):
            if subscription is not None:
                subscription.markets.add(message.market)
                book.published.proof = subscription.proof
            self._asked_ns.pop(message.market, None)
            if message.floored:
                metrics.SIZES_FLOORED.labels(self.tools.venue).inc(message.floored)
            said = book.snapshot(message, receipt, now_ns)
        elif book.awaiting:
            self.tools.ignored("before snapshot")
            return
        else:
            said = book.delta(message, receipt, now_ns)
        self.tools.books.offer(said)
        if book.awaiting and isinstance(message, wire.Snapshot):
            self._asked_ns[message.market] = now_ns  # the venue itself shows a crossed book: ask again, but not at once
        elif book.awaiting:
            self._ask_again([message.market])

    def _print(self, message: wire.Print, receipt: Receipt) -> None:
        book = self.books.get(message.market)
        if book is None:
            self.tools.ignored("not asked for")
            return
        trade = Trade(
            venue="kalshi",
            market=message.market,
            group=book.published.group,
            trade_id=message.trade_id,
            price=message.price,
            fill_quantity=message.fill_quantity,
            taker_side=message.taker_side,
            exchange_ns=message.exchange_ns,
            api_response_ns=receipt.response_ns,
        )
        publish_trades(self.tools.publisher, [trade])

    def _distrust(self, message: wire.Malformed) -> None:
        """A change was lost in a frame that could not be read: whose it was, or anyone's on that sid, or anyone's."""
        if not message.about_book:
            return
        if message.market in self.books:
            self._interrupt([message.market], MALFORMED)
        elif message.sid in self._subscriptions:
            self._interrupt(sorted(self._subscriptions[message.sid].markets), MALFORMED)
        else:
            self._interrupt(list(self.books), MALFORMED)

    def _subscription_of(self, message: wire.Message) -> Subscription | None:
        if not message.sid:
            return None
        known = self._subscriptions.get(message.sid)
        if known is None and isinstance(message, wire.Snapshot | wire.Delta):
            known = self._open(message.sid, BOOKS)
        return known

    def _open(self, sid: int, channel: str) -> Subscription:
        """The subscription of a sid; the venue may add a second command's markets to the first one's sid."""
        return self._subscriptions.setdefault(sid, Subscription(sid, channel))

    def _in_sequence(self, subscription: Subscription, message: wire.Message, receipt: Receipt) -> bool:
        """False when the message was seen before. A gap interrupts every book of the subscription."""
        reply = isinstance(message, wire.Acknowledged | wire.Refused)
        step = subscription.sequence.take(message.seq, reply=reply)
        if step is Step.DUPLICATE:
            self.tools.ignored("duplicate")
            return False
        if step is Step.GAP:
            metrics.SEQUENCE_GAPS.labels(self.tools.venue).inc()
            self.log.warning("sequence gap", sid=subscription.sid, seq=message.seq, channel=subscription.channel)
            self._prover.forget(subscription)
            for market in subscription.markets:
                self._asked_ns.pop(market, None)  # the snapshot asked for may be what was lost
            self._interrupt(sorted(subscription.markets), GAP)
        elif not reply:
            subscription.proof.renew(receipt.response_ns)
        return True

    def _interrupt(self, markets: list[str], reason: str) -> None:
        for market in markets:
            if market in self.books:
                self.tools.books.offer(self.books[market].interrupt(reason, self.tools.now()))
        self._ask_again(markets)

    def _subscribed(self, message: wire.Subscribed) -> None:
        channel, markets = self._commands.pop(message.command, (message.channel, []))
        subscription = self._open(message.opened, channel)
        if channel == BOOKS:
            self._join(subscription, markets)

    def _join(self, subscription: Subscription, markets: list[str]) -> None:
        for market in markets:
            if market in self.books:
                subscription.markets.add(market)
                self.books[market].published.proof = subscription.proof
            else:
                self._queue(wire.update(self._next_command(), subscription.sid, "delete_markets", [market]))

    def _refused(self, message: wire.Refused) -> None:
        """A subscription that ended or is gone is made again; what was refused otherwise is tried again when due."""
        channel, markets = self._commands.pop(message.command, ("", []))
        self.log.warning(
            "venue error", code=message.code, text=message.text, sid=message.sid, channel=channel, markets=len(markets)
        )
        asked = self._prover.refused(message)
        sid = message.sid or asked
        gone = message.code == wire.UNKNOWN_SID and sid in self._subscriptions
        if message.code not in wire.TERMINAL_ERRORS and not gone:
            return
        dead = self._subscriptions.pop(sid, None)
        if dead is None:
            raise FeedLost(f"code {message.code} ({message.text}) ended a subscription that it does not name")
        self._prover.forget(dead)
        lost = [market for market in sorted(dead.markets) if market in self.books]
        for market in lost:
            book = self.books[market]
            self.tools.books.offer(book.interrupt(f"subscription lost (code {message.code})", self.tools.now()))
        self._subscribe_to(dead.channel, lost if dead.channel == BOOKS else list(self.books))

    def _subscribe(self, markets: list[str]) -> None:
        self._subscribe_to(BOOKS, markets)
        self._subscribe_to(TRADES, markets)

    def _subscribe_to(self, channel: str, markets: list[str]) -> None:
        now_ns = self.tools.now()
        for batch in batches(markets, MARKETS_PER_COMMAND):
            command = self._next_command()
            self._commands[command] = (channel, batch)
            if channel == BOOKS:
                self._asked_ns.update(dict.fromkeys(batch, now_ns))
            self._queue(wire.subscribe(command, channel, batch))

    def _ask_again(self, markets: list[str]) -> None:
        """Ask for the snapshots of markets that await one, on the subscription each is on."""
        now_ns = self.tools.now()
        left = {
            market
            for market in markets
            if market in self.books and now_ns - self._asked_ns.get(market, 0) >= SNAPSHOT_PATIENCE_NS
        }
        for subscription in self._subscriptions.values():
            mine = sorted(subscription.markets & left) if subscription.channel == BOOKS else []
            left.difference_update(mine)
            for batch in batches(mine, MARKETS_PER_COMMAND):
                self._asked_ns.update(dict.fromkeys(batch, now_ns))
                self._queue(wire.update(self._next_command(), subscription.sid, "get_snapshot", batch))
        if left:
            self._subscribe_to(BOOKS, sorted(left))

    async def _heal(self) -> None:
        """Ask again for what was asked for and has not come."""
        while True:
            await asyncio.sleep(self.tools.settings.reconcile_ms / 1000)
            self._ask_again([market for market, book in self.books.items() if book.awaiting])

    async def _send(self, socket: ClientConnection, outgoing: "asyncio.Queue[bytes]") -> None:
        while True:
            await socket.send(await outgoing.get(), text=True)

    def _probe(self, subscription: Subscription, market: str) -> int:
        command = self._next_command()
        self._queue(wire.probe(command, subscription.sid, market))
        return command

    def _queue(self, command: bytes) -> None:
        self._outgoing.put_nowait(command)

    def _next_command(self) -> int:
        self._command += 1
        return self._command
