"""Polymarket's feed from the groups to the topics, in virtual time, against a venue in this file."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx

from infra.simulator.virtual import VirtualTimeLoop, run_virtual
from producers.polymarket.feed import PolymarketFeed
from producers.polymarket.rest import Rest
from producers.sockets import Socket, SocketLost
from runtime.settings import PolymarketSettings
from tests.unit.producers.polymarket.frames import NO, YES, VenueMarket, encode, trade_event
from tests.unit.producers.support import FakePublisher, make_tools, rest_client

MARKET = "0x690f" + "a" * 60


class Connection:
    """One client's socket at the venue."""

    def __init__(self, venue: "Venue") -> None:
        self._venue = venue
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def recv(self) -> bytes:
        data = await self._frames.get()
        if data is None:
            raise SocketLost("cut")
        return data

    async def send(self, text: str) -> None:
        self._venue.take(self, text)

    async def ping(self) -> Awaitable[object]:
        raise AssertionError("the venue's pings are text")

    async def close(self) -> None:
        self._frames.put_nowait(None)

    def put(self, event: Any) -> None:
        self._frames.put_nowait(event if isinstance(event, bytes) else encode(event))


class Venue:
    """Answers subscriptions with whole books, PING with PONG, and REST with the books as they stand."""

    def __init__(self, count: int = 1) -> None:
        names = [(MARKET, YES, NO), *((f"0x{number}", f"1{number}", f"2{number}") for number in range(1, count))]
        self.markets = {name: VenueMarket(name, yes, no) for name, yes, no in names}
        self.connections: list[Connection] = []
        self.commands: list[dict[str, Any]] = []
        self.pings = 0

    async def connect(self, url: str, headers: Mapping[str, str]) -> Socket:
        assert (url, dict(headers)) == ("ws://venue/ws/market", {})
        self.connections.append(Connection(self))
        return self.connections[-1]

    def take(self, connection: Connection, text: str) -> None:
        if text == "PING":
            self.pings += 1
            connection.put(b"PONG")
            return
        command = json.loads(text)
        self.commands.append(command)
        tokens = command["assets_ids"]
        if command.get("operation") != "unsubscribe":
            books = [m.book(one, first=True) for m in self.markets.values() for one in (m.yes, m.no) if one in tokens]
            connection.put(books)

    def send(self, *events: Any) -> None:
        for event in events:
            self.connections[-1].put(event)

    def rest(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/books":
            wanted = {one["token_id"] for one in json.loads(request.content)}
            return httpx.Response(200, json=[m.rest() for m in self.markets.values() if m.yes in wanted])
        if path == "/time":
            return httpx.Response(200, content=b"1790000000")
        market = self.markets.get(path.rpartition("/")[2])
        if market is None:
            return httpx.Response(200, json={"markets": []} if "keyset" in path else [])
        tokens = [{"t": market.yes, "o": "Yes"}, {"t": market.no, "o": "No"}]
        body = {"c": market.market, "t": tokens, "mts": 0.01, "mos": 5, "ao": True, "v": "v1"}
        return httpx.Response(200, json=body)


Scenario = Callable[[Venue, PolymarketFeed, FakePublisher], Awaitable[None]]


def run(act: Scenario, *, count: int = 1, **settings: Any) -> None:
    """A feed with all of the venue's markets in a group, and a scenario beside it."""

    async def main(loop: VirtualTimeLoop) -> None:
        venue, fake = Venue(count), FakePublisher()
        tools = make_tools("polymarket", fake, loop.now_ns, venue.connect, **({"market_budget": 0} | settings))
        addresses = PolymarketSettings.model_validate(
            {"polymarket_ws_url": "ws://venue/ws/market", "polymarket_rotate_minutes": 1}
        )
        feed = PolymarketFeed(tools, addresses, Rest(rest_client(venue.rest), rest_client(venue.rest)))
        running = asyncio.create_task(feed.run())
        feed.assign(dict.fromkeys(venue.markets, "g"))
        await asyncio.sleep(1)
        await act(venue, feed, fake)
        running.cancel()
        await asyncio.wait([running])
        feed.stop()
        await feed.close()

    run_virtual(main)


def summary(fake: FakePublisher) -> list[tuple[str, str, int]]:
    return [(book.state, book.reason, book.sequence) for book in fake.books("polymarket")]


def test_from_the_group_to_books_trades_and_a_transcript() -> None:
    async def act(venue: Venue, feed: PolymarketFeed, fake: FakePublisher) -> None:
        market = venue.markets[MARKET]
        venue.send(market.change("bid", 4100, "7"), trade_event())
        await asyncio.sleep(0.1)
        assert summary(fake) == [("live", "", 1), ("live", "", 2)]
        assert fake.books("polymarket")[1].sides() == market.ladder()
        assert [trade.price for trade in fake.trades("polymarket")] == [7800]
        assert feed.book(MARKET) is not None
        await asyncio.sleep(4)
        transcript = [record for record in fake.on("raw.polymarket") if record.key == b"polymarket-" + _name(fake)]
        kinds = [record.headers["kind"] for record in transcript]
        assert kinds[:6] == [b"mark", b"mark", b"sent", b"ws", b"ws", b"ws"]
        assert [int(record.headers["frame"]) for record in transcript] == list(range(len(transcript)))
        asked = [record for record in transcript if record.headers["kind"] == b"asked"]
        answered = [record for record in transcript if record.headers["kind"] == b"rest"]
        assert [one.headers["asked"] for one in answered] == [one.headers["frame"] for one in asked]
        assert fake.books("polymarket", repeated=True)[-1].confirmed_ns > fake.books("polymarket")[1].confirmed_ns
        assert len(fake.books("polymarket")) == 2

    run(act)


def _name(fake: FakePublisher) -> bytes:
    """The last part of the name of the connection that has said most."""
    keys = [record.key or b"" for record in fake.on("raw.polymarket")]
    return max(set(keys), key=keys.count).removeprefix(b"polymarket-")


def test_a_cut_connection_is_made_again_and_a_missed_change_healed_over_it() -> None:
    async def act(venue: Venue, feed: PolymarketFeed, fake: FakePublisher) -> None:
        market = venue.markets[MARKET]
        await venue.connections[0].close()
        await asyncio.sleep(1)
        assert summary(fake) == [("live", "", 1), ("recovering", "disconnected", 2), ("live", "", 1)]
        market.move("bid", 4100, "7")
        venue.send(market.change("bid", 3900, "1"))
        await asyncio.sleep(0.2)
        assert summary(fake)[3:] == [("recovering", "hash mismatch", 2), ("live", "", 1)]
        assert fake.books("polymarket")[-1].sides() == market.ladder()
        assert len(venue.connections) == 2

    run(act)


def test_connections_are_pinged_and_made_again_after_their_time() -> None:
    async def act(venue: Venue, feed: PolymarketFeed, fake: FakePublisher) -> None:
        await asyncio.sleep(90)
        assert venue.pings >= 15
        assert len(venue.connections) == 2
        reasons = [book.reason for book in fake.books("polymarket")]
        assert reasons == ["", "disconnected", ""]

    run(act)


def test_markets_come_and_go_and_each_line_carries_at_most_200_assets() -> None:
    async def act(venue: Venue, feed: PolymarketFeed, fake: FakePublisher) -> None:
        assert sorted(len(command["assets_ids"]) for command in venue.commands) == [100, 200]
        late = VenueMarket("0xlate", "97", "98")
        venue.markets[late.market] = late
        everything = dict.fromkeys(venue.markets, "g")
        feed.assign(everything)
        await asyncio.sleep(1)
        assert (venue.commands[2]["operation"], venue.commands[2]["assets_ids"]) == ("subscribe", ["97", "98"])
        assert fake.books("polymarket", late.market)[-1].state == "live"
        del everything[late.market]
        feed.assign(everything)
        await asyncio.sleep(1)
        assert (venue.commands[3]["operation"], venue.commands[3]["assets_ids"]) == ("unsubscribe", ["97", "98"])
        assert fake.books("polymarket", late.market)[-1].reason == "no longer followed"

    run(act, count=150)


def test_the_feed_says_goodbye() -> None:
    kept: list[FakePublisher] = []

    async def act(venue: Venue, feed: PolymarketFeed, fake: FakePublisher) -> None:
        kept.append(fake)

    run(act)
    assert summary(kept[0])[-1][:2] == ("recovering", "producer stopped")
