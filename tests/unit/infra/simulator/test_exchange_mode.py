"""Both venues as small exchanges: in process in virtual time, and as servers with their control face."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from infra.simulator.__main__ import main as simulate
from infra.simulator.faces import make_site
from infra.simulator.faults import MILLISECOND, Fault, FaultName
from infra.simulator.inprocess import InProcessVenue
from infra.simulator.server import Options, Simulator
from infra.simulator.site import Settings
from infra.simulator.tape import VENUES
from infra.simulator.virtual import VirtualTimeLoop, run_virtual
from tests.unit.infra.simulator.followers import FOLLOWERS, Follower
from tests.unit.infra.simulator.test_inprocess import read_all
from tests.unit.infra.simulator.test_server import tape

VENUE = pytest.mark.parametrize("venue", VENUES)


@VENUE
def test_a_client_of_an_exchange_in_process_has_its_books(venue: str, tmp_path: Path) -> None:
    def story(seed: int) -> list[str]:
        heard: list[str] = []

        async def main(loop: VirtualTimeLoop) -> None:
            settings = Settings(seed=seed, queue=100_000, latency_ns=MILLISECOND, now=loop.now_ns)
            inside = InProcessVenue(make_site(venue, tape(tmp_path), settings, exchange=True))
            follower = FOLLOWERS[venue]()
            async with inside.trading(rate=100):
                socket = await inside.connect("ws://venue" + follower.path, follower.headers(loop.now_ns()))
                await socket.send(follower.subscription)
                await asyncio.sleep(20)
            await asyncio.sleep(1)
            heard.extend(await read_all(socket))
            for text in heard:
                follower.frame(text)
            book = inside.venue.canonical()[follower.market]
            assert follower.ladders() == (list(book.bids), list(book.asks))
            assert book.bids or book.asks

        run_virtual(main)
        return heard

    assert len(story(1)) > 100
    assert story(1) == story(1) != story(2)


@VENUE
def test_a_replied_error_is_in_the_venues_words(venue: str, tmp_path: Path) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        site = make_site(venue, tape(tmp_path), Settings(now=loop.now_ns), exchange=True)
        for status in (425, 429, 500, 502, 503, 504):
            reply = site.face.rest.error_reply(status)
            assert reply.status == status
            assert reply.encoded()
        assert site.face.rest.error_reply(429).encoded() != site.face.rest.error_reply(500).encoded()

    run_virtual(main)


@VENUE
@pytest.mark.parametrize("name", list(FaultName))
def test_every_fault_strikes_an_exchange_and_passes(venue: str, name: FaultName, tmp_path: Path) -> None:
    """Whatever a fault did to the frames, a new connection after it has the venue's books."""

    async def main(loop: VirtualTimeLoop) -> None:
        settings = Settings(seed=4, queue=100_000, latency_ns=MILLISECOND, now=loop.now_ns)
        inside = InProcessVenue(make_site(venue, tape(tmp_path), settings, exchange=True))
        follower = FOLLOWERS[venue]()

        async def follow(subscribed: Follower) -> None:
            socket = await inside.connect("ws://venue" + follower.path, follower.headers(loop.now_ns()))
            await socket.send(subscribed.subscription)
            while True:
                subscribed.frame((await socket.recv()).decode())

        async def stand(subscribed: Follower) -> None:
            """Follow whatever comes; what cannot be understood or is lost ends it."""
            try:
                await follow(subscribed)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                return

        async with inside.trading(rate=50):
            before = asyncio.create_task(stand(FOLLOWERS[venue]()))
            await asyncio.sleep(1)
            fault = Fault(name, share=0.5, delay_ms=20, until_ns=loop.now_ns() + 2_000 * MILLISECOND)
            inside.faults.set(fault)
            during = asyncio.create_task(stand(FOLLOWERS[venue]()))
            await asyncio.sleep(3)
            assert inside.faults.faults() == []
            after = asyncio.create_task(follow(follower))
            await asyncio.sleep(1)
        await asyncio.sleep(1)
        for task in (before, during, after):
            task.cancel()
        await asyncio.gather(before, during, return_exceptions=True)
        with pytest.raises(asyncio.CancelledError):
            await after
        book = inside.venue.canonical().get(follower.market)
        if book is not None and book.state != "closed":
            assert follower.ladders() == (list(book.bids), list(book.asks))
        assert book is not None or name is FaultName.CHURN

    run_virtual(main)


Scenario = Callable[[Simulator, httpx.AsyncClient, Follower], Coroutine[Any, Any, None]]


def serve(venue: str, folder: Path, scenario: Scenario) -> None:
    """Run a scenario with an exchange that listens, and a client of its control face."""

    async def main() -> None:
        options = Options(exchange=True, seed=6, rate=200.0)
        async with (
            Simulator(venue, tape(folder), options) as simulator,
            httpx.AsyncClient(base_url=simulator.url) as http,
        ):
            await scenario(simulator, http, FOLLOWERS[venue]())

    asyncio.run(asyncio.wait_for(main(), 60))


def opened(simulator: Simulator, follower: Follower) -> connect:
    """A websocket to the simulator, to be entered."""
    url = simulator.url.replace("http", "ws", 1) + follower.path
    return connect(url, additional_headers=follower.headers(time.time_ns()), ping_interval=None)


async def follow(socket: ClientConnection, follower: Follower, until: Callable[[], bool]) -> None:
    """Apply frames until the follower has what is wanted."""
    while not until():
        follower.frame(str(await socket.recv()))


@VENUE
def test_a_served_exchange_shows_the_books_that_its_clients_have(venue: str, tmp_path: Path) -> None:
    async def scenario(simulator: Simulator, http: httpx.AsyncClient, follower: Follower) -> None:
        async with opened(simulator, follower) as socket:
            await socket.send(follower.subscription)
            await follow(socket, follower, lambda: simulator.site.frames_sent > 20)
            status = (await http.post("/_simulator/rate", json={"rate": 0})).json()
            assert (status["mode"], status["state"], status["connections"]) == ("exchange", "playing", 1)
            assert status["actions"] > 0
            shown = (await http.get("/_simulator/books")).json()[follower.market]
            wanted = tuple([tuple(level) for level in shown[side]] for side in ("bids", "asks"))
            await follow(socket, follower, lambda: follower.ladders() == wanted)

    serve(venue, tmp_path, scenario)


@VENUE
def test_faults_are_switched_while_a_simulator_serves(venue: str, tmp_path: Path) -> None:
    async def scenario(simulator: Simulator, http: httpx.AsyncClient, follower: Follower) -> None:
        async def fault(**fields: Any) -> None:
            (await http.post("/_simulator/faults", json=fields)).raise_for_status()

        async with opened(simulator, follower) as socket:
            await fault(name="half_open")
            assert [each["name"] for each in (await http.get("/_simulator/status")).json()["faults"]] == ["half_open"]
            pong = await socket.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pong, 0.2)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(opened(simulator, follower), 0.2)
            await http.delete("/_simulator/faults/half_open")
            await (await socket.ping())
            await fault(name="cut")
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        await fault(name="refuse")
        with pytest.raises(InvalidStatus) as refused:
            await opened(simulator, follower)
        assert refused.value.response.status_code == 503
        await fault(name="rest_429")
        assert (await http.get("/")).status_code == 429
        await http.delete("/_simulator/faults")
        assert (await http.get("/")).status_code == 404
        wrong = await http.post("/_simulator/faults", json={"name": "droop"})
        assert wrong.status_code == 400
        assert "droop" in wrong.json()["error"]
        async with opened(simulator, follower) as socket:
            await socket.send(follower.subscription)
            await follow(socket, follower, lambda: bool(any(follower.ladders())))

    serve(venue, tmp_path, scenario)


@VENUE
def test_a_served_exchange_has_books_before_the_first_action(venue: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with Simulator(venue, tape(tmp_path), Options(exchange=True, rate=0.0)) as simulator:
            book = simulator.site.venue.canonical()[FOLLOWERS[venue].market]
            assert book.bids
            assert book.asks

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_wrong_rate_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tape(tmp_path).folder)
    assert simulate(["kalshi", "--tape", folder, "--exchange", "--rate", "-1"]) == 2
    assert "rate '-1'" in capsys.readouterr().err
