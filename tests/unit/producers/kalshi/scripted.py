"""A host for Kalshi sessions whose test is the venue, or has one that answers as the papers say. Time is a number."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from producers.books import Clocks, PublishedBook, Receipt
from producers.kalshi.session import KalshiSession
from producers.session import Host, Session
from producers.transcript import Closed, Follow, Followed, Mark, Opened
from schemas.records import Book, Market, Trade
from tests.unit.producers.kalshi.frames import reply, snapshot, subscribed
from tests.unit.producers.support import make_market

SECOND = 1_000_000_000
TICK_NS = SECOND // 20
START_NS = 1_790_000_000 * SECOND
Make = Callable[[Host, Callable[[Followed], PublishedBook]], Session[Any]]
Sides = tuple[list[tuple[str, str]], list[tuple[str, str]]]


class Scripted:
    """Numbers everything, keeps it, and gives the session what it does, as a line would."""

    def __init__(
        self, *markets: str, make: Make = KalshiSession, group: str = "g", step: int = 10, opened: bool = True
    ) -> None:
        self.now_ns = START_NS
        self.books: list[Book] = []
        self.trades: list[Trade] = []
        self.sent: list[dict[str, Any]] = []
        self.asked: list[tuple[int, str]] = []
        self.marks: list[Mark] = []
        self.lost: list[tuple[str, bool]] = []
        self.broken: list[Exception] = []
        self.good = 0
        self.pings = 0
        self.changed: list[str] = []
        self.transcript: list[tuple[str, Receipt, Any]] = []
        self.answer: Callable[[dict[str, Any]], None] = lambda _: None
        self._unanswered: list[dict[str, Any]] = []
        self._number = 0
        clocks = Clocks()
        self._published = lambda one: PublishedBook("kalshi", one.market.market, one.group, 32, clocks)
        self.session = make(self, self._published)
        self.follow(*(make_market("kalshi", market, step=step) for market in markets), group=group)
        if opened:
            self.give(Opened())

    # What a session asks for

    def say(self, book: Book | None) -> None:
        if book is not None:
            self.books.append(book)

    def trade(self, trade: Trade) -> None:
        self.trades.append(trade)

    def send(self, text: str) -> None:
        command = json.loads(text)
        self.sent.append(command)
        self._note("sent", text)
        self._unanswered.append(command)

    def ask(self, path: str, body: bytes | None = None) -> None:
        self.asked.append((self._number, path))
        self._note("asked", (path, body))

    def ping(self) -> None:
        self.pings += 1

    def mark(self, mark: Mark) -> None:
        self.marks.append(mark)
        self.give(mark)

    def lose(self, reason: str, *, planned: bool = False) -> None:
        self.lost.append((reason, planned))

    def undecodable(self, data: bytes, error: Exception) -> None:
        self.broken.append(error)

    def understood(self) -> None:
        self.good += 1

    def catalogue_changed(self, market: str) -> None:
        self.changed.append(market)

    # What a test does

    def follow(self, *markets: Market, group: str = "g") -> None:
        self.give(Follow(tuple(Followed(market, group) for market in markets)))

    def give(self, mark: Mark) -> None:
        self._note("mark", mark)

    def take(self, *frames: bytes) -> None:
        for data in frames:
            self._note("ws", data)

    def body(self, asked: int, data: bytes, *, call_start_ns: int = 0) -> None:
        self._note("rest", (asked, data), call_start_ns)

    def wait(self, seconds: float) -> None:
        """Let time pass, with a tick every 50 ms."""
        end_ns = self.now_ns + round(seconds * SECOND)
        self.settle()
        while self.now_ns < end_ns:
            self.now_ns = min(end_ns, self.now_ns + TICK_NS)
            self.session.tick(self.now_ns)
            self.settle()

    def settle(self) -> None:
        """Let the venue answer what it was sent."""
        while self._unanswered:
            self.answer(self._unanswered.pop(0))

    def open(self) -> None:
        """The connection is made."""
        self.give(Opened())
        self.settle()

    def reopen(self) -> None:
        """The connection is lost and made again."""
        self.give(Closed("cut"))
        self._unanswered.clear()
        self.open()

    def last(self, market: str = "X") -> tuple[str, str]:
        book = [book for book in self.books if book.market == market][-1]
        return book.state, book.reason

    def said(self, market: str = "X") -> list[tuple[str, str, int]]:
        return [(book.state, book.reason, book.sequence) for book in self.books if book.market == market]

    def commands(self, cmd: str = "", action: str = "", channel: str = "") -> list[dict[str, Any]]:
        """The parameters of the commands that were sent, of one kind."""
        return [
            command["params"]
            for command in self.sent
            if cmd in ("", command["cmd"])
            and action in ("", command["params"].get("action"))
            and channel in ("", *command["params"].get("channels", ()))
        ]

    def replayed(self, make: Make = KalshiSession) -> list[Book]:
        """The books of a fresh session that is given the transcript and is never told what time it is."""
        host = Scripted(make=make, opened=False)
        host.transcript.clear()
        silent = _Silent(host)
        host.session = make(silent, host._published)
        for kind, receipt, what in self.transcript:
            host._tell(kind, receipt, what, receipt.response_ns)
        return host.books

    def _note(self, kind: str, what: Any, call_start_ns: int = 0) -> None:
        receipt = Receipt("c", self._number, call_start_ns or self.now_ns, self.now_ns)
        self._number += 1
        self.transcript.append((kind, receipt, what))
        self._tell(kind, receipt, what, self.now_ns)

    def _tell(self, kind: str, receipt: Receipt, what: Any, now_ns: int) -> None:
        session = self.session
        match kind:
            case "ws":
                session.frame(receipt, what, now_ns)
            case "rest":
                asked, data = what
                session.answered(receipt, asked, data, now_ns)
            case "sent":
                session.sent(receipt, what)
            case "asked":
                session.asked(receipt, *what)
            case "mark":
                session.mark(receipt, what, now_ns)


class _Silent:
    """Publishes to a host, and does nothing else for it."""

    def __init__(self, host: Scripted) -> None:
        self.say = host.say
        self.understood = host.understood

    def trade(self, trade: Trade) -> None: ...
    def send(self, text: str) -> None: ...
    def ask(self, path: str, body: bytes | None = None) -> None: ...
    def ping(self) -> None: ...
    def mark(self, mark: Mark) -> None: ...
    def lose(self, reason: str, *, planned: bool = False) -> None: ...
    def undecodable(self, data: bytes, error: Exception) -> None: ...
    def catalogue_changed(self, market: str) -> None: ...


class Papers:
    """A venue that does what its papers say, at once; the test can keep it from doing so.

    `quiet` commands are not answered; `frozen` markets send nothing. Books are YES bids and NO bids.
    """

    def __init__(self, host: Scripted, books: dict[str, Sides] | None = None) -> None:
        self.host = host
        self.books = books or {}
        self.sids: dict[str, int] = {}
        self.seq: dict[int, int] = {}
        self.markets: dict[int, set[str]] = {}
        self.quiet: set[str] = set()
        self.frozen: set[str] = set()
        self.numbered = True
        host.answer = self.command

    def command(self, command: dict[str, Any]) -> None:
        params = command["params"]
        action = params.get("action", "subscribe")
        if action in self.quiet:
            return
        if action == "subscribe":
            for channel in params["channels"]:
                self.subscribe(command["id"], channel, params.get("market_tickers", []))
            return
        (sid,) = params["sids"]
        if action != "get_snapshot":
            self.acknowledge(command["id"], sid)
        if action == "delete_markets":
            self.markets[sid] -= set(params["market_tickers"])
            return
        fresh = [market for market in params["market_tickers"] if market not in self.markets[sid]]
        self.markets[sid] |= set(params["market_tickers"])
        self.snapshots(sid, params["market_tickers"] if action == "get_snapshot" else fresh)

    def subscribe(self, number: int, channel: str, markets: Sequence[str]) -> None:
        known = channel in self.sids
        sid = self.sids.setdefault(channel, len(self.sids) + 1)
        fresh = [market for market in markets if market not in self.markets.get(sid, set())]
        self.markets.setdefault(sid, set()).update(markets)
        if known:
            self.acknowledge(number, sid)
        else:
            self.host.take(subscribed(number, channel, sid))
        self.snapshots(sid, fresh)

    def acknowledge(self, number: int, sid: int) -> None:
        place = {"sid": sid, "seq": self.next(sid)} if self.numbered else {}
        self.host.take(reply("ok", number, msg={}, **place))

    def snapshots(self, sid: int, markets: Sequence[str]) -> None:
        if sid != self.sids.get("orderbook_delta"):
            return
        for market in markets:
            if market not in self.frozen:
                yes, no = self.books.get(market, ([("0.40", "1.00")], [("0.50", "2.00")]))
                self.host.take(snapshot(market, self.next(sid), yes, no, sid=sid))

    def next(self, sid: int = 1) -> int:
        self.seq[sid] = self.seq.get(sid, 0) + 1
        return self.seq[sid]

    def forget(self) -> None:
        """The connection is gone."""
        self.sids, self.seq, self.markets = {}, {}, {}
