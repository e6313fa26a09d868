"""The in-process harness with a toy venue: sockets and REST without a network, in virtual time, faults included."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx
import pytest

from infra.simulator.faults import MILLISECOND, Fault, FaultName
from infra.simulator.inprocess import InProcessVenue
from infra.simulator.site import Settings
from infra.simulator.virtual import VirtualTimeLoop, run_virtual
from producers.sockets import Connector, Socket, SocketLost
from tests.unit.infra.simulator.toy import GOOD, URL, Toy, toy

SECOND = 1_000_000_000
Scenario = Callable[[Toy, InProcessVenue, VirtualTimeLoop], Awaitable[None]]


def run(scenario: Scenario, *markets: str, queue: int = 1000) -> None:
    """Run a scenario with a toy venue, 10 ms away."""

    async def main(loop: VirtualTimeLoop) -> None:
        made = toy(Settings(seed=5, queue=queue, latency_ns=10 * MILLISECOND, now=loop.now_ns), *markets)
        await scenario(made, InProcessVenue(made.site), loop)

    run_virtual(main, longest_s=600)


async def read_all(socket: Socket) -> list[str]:
    """What comes until nothing comes for a second."""
    frames = []
    while True:
        try:
            async with asyncio.timeout(1):
                frames.append((await socket.recv()).decode())
        except TimeoutError:
            return frames


def test_messages_take_the_latency_in_both_directions_and_keep_their_order() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        connect: Connector = venue.connect
        socket = await connect(URL, {"Key": "good"})
        assert loop.time() == pytest.approx(0.020)
        for text in "abcdefgh":
            await socket.send(text)
        assert made.venue.heard == []
        assert await socket.recv() == b"echo a"
        assert loop.time() == pytest.approx(0.040)
        assert await read_all(socket) == [f"echo {text}" for text in "bcdefgh"]

    run(scenario)


def test_a_handshake_is_refused_by_the_venue_and_by_the_panel() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        with pytest.raises(SocketLost, match="401"):
            await venue.connect(URL, {})
        made.faults.set(Fault(FaultName.REFUSE, until_ns=loop.now_ns() + SECOND))
        with pytest.raises(SocketLost, match="503"):
            await venue.connect(URL, GOOD)
        await asyncio.sleep(1)
        await venue.connect(URL, GOOD)

    run(scenario)


def test_a_half_open_connection_passes_nothing_and_lives_again() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        socket = await venue.connect(URL, GOOD)
        made.faults.set(Fault(FaultName.HALF_OPEN, until_ns=loop.now_ns() + 8 * SECOND))
        await socket.send("unheard")
        await socket.send("PING")
        pong = await socket.ping()
        with pytest.raises(SocketLost, match="timed out"):
            await venue.connect(URL, GOOD)
        assert loop.time() == pytest.approx(5.02, abs=0.01)
        waited = await venue.connect(URL, GOOD)
        assert 8 <= loop.time() < 8.2
        assert (made.venue.heard, pong.done()) == ([], False)  # type: ignore[attr-defined]
        await socket.send("PING")
        assert await socket.recv() == b"PONG"
        await (await waited.ping())
        await socket.close()
        with pytest.raises(SocketLost):
            await pong

    run(scenario)


def test_a_freeze_stops_frames_but_no_pong() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        made.faults.set(Fault(FaultName.FREEZE))
        socket = await venue.connect(URL, GOOD)
        await socket.send("PING")
        await socket.send("unanswered")
        await (await socket.ping())
        assert await read_all(socket) == ["PONG"]
        assert made.venue.heard == ["PING", "unanswered"]

    run(scenario)


def test_a_pong_comes_after_the_frames_that_were_sent_before_it() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        socket = await venue.connect(URL, GOOD)
        heard: list[str] = []

        async def read() -> None:
            while True:
                heard.append((await socket.recv()).decode())

        reader = asyncio.create_task(read())
        await socket.send("a")
        await (await socket.ping())
        assert heard == ["echo a"]
        reader.cancel()

    run(scenario)


def test_a_cut_ends_every_socket_once() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        sockets = [await venue.connect(URL, GOOD) for _ in range(2)]
        pong = await sockets[0].ping()
        await sockets[0].send("too late")
        made.faults.set(Fault(FaultName.CUT))
        for socket in sockets:
            with pytest.raises(SocketLost):
                await socket.recv()
            with pytest.raises(SocketLost):
                await socket.send("x")
            with pytest.raises(SocketLost):
                await socket.ping()
        with pytest.raises(SocketLost):
            await pong
        await asyncio.sleep(1)
        assert made.venue.heard == []
        for socket in (*sockets, *sockets):
            await socket.close()
        assert (made.site.connections, made.venue.outboxes) == ({}, {})
        assert await (await venue.connect(URL, GOOD)).ping()

    run(scenario)


def test_maintenance_cuts_and_is_told_to_the_venue_and_what_happens_once_only_to_the_venue() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        socket = await venue.connect(URL, GOOD)
        made.faults.set(Fault(FaultName.TICK_CHANGE, detail="0.001"))
        await socket.send("still there")
        assert await socket.recv() == b"echo still there"
        made.faults.set(Fault(FaultName.MAINTENANCE))
        with pytest.raises(SocketLost):
            await socket.recv()
        assert made.venue.struck == [Fault(FaultName.TICK_CHANGE, detail="0.001"), Fault(FaultName.MAINTENANCE)]

    run(scenario)


def test_a_client_that_follows_the_frames_has_the_engines_books() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        socket = await venue.connect(URL, GOOD)
        books: dict[str, dict[int, int]] = {}

        async def follow() -> None:
            while True:
                frame = json.loads(await socket.recv())
                books.setdefault(f"{frame['market']} {frame['side']}", {})[frame["price"]] = frame["size"]

        reader = asyncio.create_task(follow())
        async with venue.trading(rate=200) as pulse:
            await asyncio.sleep(10)
            assert pulse.actions == pytest.approx(2000, abs=1)
        await asyncio.sleep(0.1)
        reader.cancel()
        for market, book in made.venue.canonical().items():
            for side, levels in (("bid", book.bids), ("ask", book.asks)):
                assert {p: s for p, s in books[f"{market} {side}"].items() if s} == dict(levels)
                assert levels

    run(scenario, "a", "b", queue=100_000)


def test_rest_goes_through_the_venue_with_path_query_body_and_headers() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        async with httpx.AsyncClient(transport=venue.transport(), base_url="http://toy") as client:
            reply = await client.post("/books?a=1&b=&a=2", content="[7]", headers={"X-Key": "k"})
            assert (reply.status_code, reply.headers["x-count"]) == (200, "1")
            assert reply.json() == {"path": "/books", "query": [["a", "1"], ["b", ""], ["a", "2"]], "body": "[7]"}
            assert made.rest.asked[0].headers["x-key"] == "k"
            assert loop.time() == pytest.approx(0.020)

    run(scenario)


def test_rest_suffers_storms_in_the_venues_own_words() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        async with httpx.AsyncClient(transport=venue.transport(), base_url="http://toy") as client:
            for name, status in ((FaultName.REST_429, 429), (FaultName.REST_425, 425)):
                made.faults.set(Fault(name))
                reply = await client.get("/")
                assert (reply.status_code, reply.text, reply.headers["content-type"]) == (
                    status,
                    "toy: no",
                    "text/plain",
                )
                made.faults.clear_all()
            made.faults.set(Fault(FaultName.REST_500))
            assert {(await client.get("/")).status_code for _ in range(50)} == {500, 502, 503, 504}
            assert made.rest.asked == []
            made.faults.set(Fault(FaultName.REST_500, detail="502"))
            assert {(await client.post("/order")).status_code for _ in range(50)} == {502}
            assert 10 < len(made.rest.asked) < 40, "an order that got a server error may have been taken"

    run(scenario)


def test_a_slow_reply_is_old_when_it_comes_and_a_timeout_when_it_is_too_slow() -> None:
    async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
        async with httpx.AsyncClient(transport=venue.transport(), base_url="http://toy", timeout=3) as client:
            made.faults.set(Fault(FaultName.REST_SLOW, delay_ms=2000))
            asked = asyncio.create_task(client.get("/"))
            await asyncio.sleep(0.015)
            assert len(made.rest.asked) == 1
            assert (await asked).status_code == 200
            assert loop.time() == pytest.approx(2.02)
            made.faults.set(Fault(FaultName.REST_SLOW, delay_ms=4000))
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/")
            assert loop.time() == pytest.approx(5.02)

    run(scenario)


def test_a_run_is_the_same_every_time() -> None:
    def frames() -> list[str]:
        heard: list[str] = []

        async def scenario(made: Toy, venue: InProcessVenue, loop: VirtualTimeLoop) -> None:
            socket = await venue.connect(URL, GOOD)
            for name in ("drop", "duplicate", "reorder", "malformed"):
                made.faults.set(Fault(FaultName(name), share=0.1, delay_ms=3))
            async with venue.trading(rate=100):
                await asyncio.sleep(3)
            heard.extend(await read_all(socket))

        run(scenario, "a", "b")
        return heard

    assert frames() == frames() != []
