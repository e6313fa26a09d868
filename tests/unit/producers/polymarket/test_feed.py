"""Polymarket's feed against a small server in this process: no Kafka, no simulator."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from producers.polymarket.feed import PolymarketFeed
from producers.polymarket.rest import Rest
from runtime import metrics
from runtime.settings import PolymarketSettings
from tests.unit.producers.polymarket.frames import (
    MARKET,
    NO,
    YES,
    book_event,
    change_event,
    encode,
    rest_book,
    tick_event,
    trade_event,
)
from tests.unit.producers.support import FakePublisher, make_tools, rest_client

OTHER = "0xother"
SLOW = 3_600_000
"""A reconcile interval that never comes in a test."""


class Venue:
    """Keeps what the client sends; `books` is what `POST /books` answers."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.books: list[dict[str, Any]] | int = []
        self.url = ""
        self._socket: ServerConnection | None = None
        self._came = asyncio.Event()

    async def serve(self, socket: ServerConnection) -> None:
        self._socket = socket
        try:
            async for text in socket:
                self.sent.append(str(text))
                self._came.set()
        except ConnectionClosed:
            return

    async def send(self, *events: Any) -> None:
        assert self._socket is not None
        for event in events:
            await self._socket.send(event if isinstance(event, bytes) else encode(event), text=True)

    async def cut(self) -> None:
        assert self._socket is not None
        self._socket.transport.abort()

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._came.clear()
                await self._came.wait()

    def rest(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/books":
            return httpx.Response(self.books) if isinstance(self.books, int) else httpx.Response(200, json=self.books)
        condition = request.url.path.rsplit("/", 1)[-1]
        if condition == "markets":
            return httpx.Response(200, json=[])
        tokens = [YES, NO] if condition == MARKET else [f"{condition}-yes", f"{condition}-no"]
        return httpx.Response(200, json={"c": condition, "t": [{"t": t} for t in tokens], "mts": 0.01, "mos": 5})


@asynccontextmanager
async def running(
    fake: FakePublisher, markets: list[str], **settings: Any
) -> AsyncIterator[tuple[Venue, PolymarketFeed]]:
    venue = Venue()
    async with serve(venue.serve, "127.0.0.1", 0) as server:
        venue.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/market"
        tools = make_tools("polymarket", fake, **({"reconcile_ms": SLOW} | settings))
        rest = Rest(rest_client(venue.rest), rest_client(venue.rest))
        feed = PolymarketFeed(tools, PolymarketSettings(polymarket_ws_url=venue.url), rest)
        task = asyncio.create_task(feed.run())
        feed.assign(dict.fromkeys(markets, "g"))
        try:
            await venue.until(lambda: venue.sent)
            yield venue, feed
        finally:
            task.cancel()
            await asyncio.wait([task])
            await feed.close()


def summary(fake: FakePublisher) -> list[tuple[str, str, int]]:
    return [(book.state, book.reason, book.sequence) for book in fake.books("polymarket")]


FIRST = [
    book_event([("0.40", "1.00")], [("0.50", "2.00")], tick_size="0.01"),
    book_event([("0.50", "2.00")], [("0.60", "1.00")], token=NO, tick_size="0.01"),
]


def test_subscribe_snapshot_change_disconnect_reconnect_new_epoch() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, [MARKET]) as (venue, _):
            assert json.loads(venue.sent[0])["assets_ids"] == [YES, NO]
            await venue.send(FIRST, b"PONG", change_event((YES, "SELL", "0.50", "3"), (NO, "BUY", "0.50", "3")))
            await fake.until(lambda: len(fake.books("polymarket")) == 2)
            await venue.cut()
            await fake.until(lambda: len(fake.books("polymarket")) == 3)
            await venue.until(lambda: len(venue.sent) == 2)
            await venue.send(book_event([("0.41", "1")], [], ts=1005))
            await fake.until(lambda: len(fake.books("polymarket")) == 4)
        first, second, lost, again = fake.books("polymarket")[:4]
        assert first.sides() == ([(4000, 100)], [(5000, 200)])
        assert second.sides() == ([(4000, 100)], [(5000, 300)])
        assert summary(fake)[:4] == [
            ("live", "", 1), ("live", "", 2), ("recovering", "disconnected", 3), ("live", "", 1),
        ]  # fmt: skip
        assert first.epoch == second.epoch == lost.epoch < again.epoch
        assert (again.sides(), first.connection == again.connection) == (([(4100, 100)], []), False)
        raw = [record for record in fake.on("raw.polymarket") if record.key == second.connection.encode()]
        assert (raw[1].value, second.frame) == (b"PONG", 2)
        assert second.confirmed_ns == second.api_response_ns == int(raw[2].headers["received_ns"])

    asyncio.run(scenario())


def test_a_tick_change_is_healed_by_rest_at_once() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, [MARKET]) as (venue, _):
            venue.books = [rest_book([("0.405", "1")], [], ts=1003, tick_size="0.001")]
            await venue.send(FIRST, tick_event("0.001"))
            await fake.until(lambda: len(fake.books("polymarket")) == 3)
            await venue.send(change_event((YES, "BUY", "0.406", "1"), ts=1004))
            await fake.until(lambda: len(fake.books("polymarket")) == 4)
        assert summary(fake)[:4] == [
            ("live", "", 1), ("recovering", "tick change", 2), ("live", "", 1), ("live", "", 2),
        ]  # fmt: skip
        rest = fake.books("polymarket")[2]
        raw = [record for record in fake.on("raw.polymarket") if record.key == rest.connection.encode()]
        assert (raw[rest.frame].headers["kind"], raw[rest.frame].headers["url"]) == (b"rest", b"/books")
        assert rest.confirmed_ns == rest.api_call_start_ns <= rest.api_response_ns

    asyncio.run(scenario())


def test_bad_frames_are_dead_lettered_and_the_book_heals() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, [MARKET]) as (venue, _):
            venue.books = [rest_book([("0.42", "1")], [], ts=1003)]
            bad = change_event((YES, "BUY", "0.415", "1"))
            await venue.send(b"{}", FIRST, bad)
            await fake.until(lambda: len(fake.books("polymarket")) == 3)
        assert summary(fake)[:3] == [("live", "", 1), ("recovering", "off-grid price", 2), ("live", "", 1)]
        assert fake.books("polymarket")[2].sides() == ([(4200, 100)], [])
        assert [record.value for record in fake.on("deadletter.book.polymarket")] == [encode(bad)]

    asyncio.run(scenario())


CUT = json.dumps(change_event((YES, "SELL", "0.50", "3")))[:-20].encode()
NAMELESS = change_event((YES, "SELL", "0.50", "3"))
del NAMELESS["market"]


@pytest.mark.parametrize(
    ("data", "interrupted"),
    [
        (b"not json", {MARKET, OTHER}),
        (b"[" + CUT, {MARKET, OTHER}),
        (encode(NAMELESS), {MARKET, OTHER}),
        (CUT, {MARKET}),
        (CUT.replace(MARKET.encode(), b"0xstranger"), set()),
    ],
    ids=["not json", "array cut off", "no market", "one market", "a stranger's"],
)
def test_an_unreadable_frame_leaves_no_book_confirmed_that_it_may_be_about(data: bytes, interrupted: set[str]) -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, [MARKET, OTHER]) as (venue, _):
            other = [book_event([("0.30", "1")], [], token=f"{OTHER}-yes", market=OTHER)]
            venue.books = [
                rest_book([("0.42", "1")], [], ts=1003),
                rest_book([("0.31", "1")], [], ts=1003, token=f"{OTHER}-yes", market=OTHER),
            ]
            await venue.send(FIRST, other)
            await fake.until(lambda: len(fake.books("polymarket")) == 2)
            await venue.send(data)
            await fake.until(lambda: fake.on("deadletter.book.polymarket"))
            await fake.until(lambda: len(fake.books("polymarket")) == 2 + 2 * len(interrupted))
        said = [(book.market, book.state, book.reason) for book in fake.books("polymarket")[2:]]
        assert {market for market, state, reason in said if reason == "malformed frame"} == interrupted
        assert {market for market, state, _ in said if state == "live"} == interrupted

    asyncio.run(scenario())


def test_a_quiet_book_is_confirmed_by_rest_and_a_wrong_one_replaced() -> None:
    mismatches = metrics.RECONCILE_MISMATCHES.labels("polymarket")._value.get()

    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, [MARKET], reconcile_ms=100) as (venue, _):
            venue.books = [rest_book([("0.40", "1.00")], [("0.50", "2.00")])]
            await venue.send(FIRST)
            await fake.until(lambda: len({book.confirmed_ns for book in fake.books("polymarket", repeated=True)}) > 2)
            assert len(fake.books("polymarket")) == 1
            venue.books = 503
            venue.books = [rest_book([("0.43", "1")], [], ts=1009)]
            await fake.until(lambda: len(fake.books("polymarket")) == 3)
        assert summary(fake)[:3] == [
            ("live", "", 1), ("recovering", "differs from the venue's answer", 2), ("live", "", 1),
        ]  # fmt: skip
        assert fake.books("polymarket")[2].sides() == ([(4300, 100)], [])

    asyncio.run(scenario())
    assert metrics.RECONCILE_MISMATCHES.labels("polymarket")._value.get() == mismatches + 1


def test_strangers_unknown_kinds_and_old_formats_change_nothing_and_trades_are_published() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, [MARKET]) as (venue, _):
            await venue.send(FIRST, book_event([], [], market="0xother", token="5"), {"event_type": "new_market"})
            await venue.send({"event_type": "price_change", "market": MARKET, "asset_id": YES, "changes": []})
            await venue.send(trade_event(), trade_event(token=NO, price="0.22", side="BUY"))
            await venue.send(change_event((YES, "BUY", "0.40", "5")))
            await fake.until(lambda: len(fake.books("polymarket")) == 2)
        assert summary(fake)[:2] == [("live", "", 1), ("live", "", 2)]
        prints = [(trade.group, trade.price, trade.taker_side) for trade in fake.trades("polymarket")]
        assert prints == [("g", 7800, "buy"), ("g", 7800, "sell")]
        assert fake.on("deadletter.book.polymarket") == []

    asyncio.run(scenario())


def test_a_first_book_that_does_not_come_is_taken_from_rest() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, [MARKET], reconcile_ms=100) as (venue, feed):
            venue.books = [rest_book([("0.40", "1")], [])]
            book = feed.book(MARKET)
            assert book is not None
            book.subscribed(0)  # long ago
            await fake.until(lambda: fake.books("polymarket"))
        assert fake.books("polymarket")[0].sides() == ([(4000, 100)], [])

    asyncio.run(scenario())


def test_markets_come_and_go_and_each_line_carries_at_most_200_assets() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        many = [f"0x{number}" for number in range(150)]
        async with running(fake, many) as (venue, feed):
            await venue.until(lambda: len(venue.sent) == 2)
            assert sorted(len(json.loads(text)["assets_ids"]) for text in venue.sent) == [100, 200]
            feed.assign(dict.fromkeys([*many, MARKET], "g"))
            await venue.until(lambda: len(venue.sent) == 3)
            added = json.loads(venue.sent[2])
            assert (added["operation"], added["assets_ids"]) == ("subscribe", [YES, NO])
            feed.assign(dict.fromkeys(many, "g"))
            await venue.until(lambda: len(venue.sent) == 4)
            assert json.loads(venue.sent[3])["operation"] == "unsubscribe"

    asyncio.run(scenario())
