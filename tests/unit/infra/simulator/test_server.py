"""Both simulators on real sockets of the loopback interface."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from infra.simulator.__main__ import main
from infra.simulator.server import KALSHI_PATH, POLYMARKET_PATH, Options, Simulator
from infra.simulator.tape import Tape
from tests.unit.infra.simulator.tapes import CONDITION, NO, SECOND, YES, delta, snapshot, write_tape
from tests.unit.infra.simulator.test_auth import now, pem, signed

KALSHI = [(0, snapshot(1, yes=[["0.4000", "10.00"]])), (SECOND, delta(2, "0.4100", "3.00"))]
BOOK = {"market": CONDITION, "asset_id": YES, "bids": [], "asks": [], "timestamp": "1", "event_type": "book"}
MOVE = {"asset_id": YES, "side": "BUY", "price": "0.4", "size": "9"}
CHANGE = {"market": CONDITION, "price_changes": [MOVE], "timestamp": "2", "event_type": "price_change"}
POLYMARKET = [(0, json.dumps([BOOK])), (SECOND, json.dumps(CHANGE))]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


def tape(folder: Path) -> Tape:
    return write_tape(folder, kalshi=KALSHI, polymarket=POLYMARKET)


async def receive(client: ClientConnection, count: int) -> list[str]:
    return [str(await client.recv()) for _ in range(count)]


def address(simulator: Simulator, path: str) -> str:
    return simulator.url.replace("http", "ws", 1) + path


SUBSCRIBE = '{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"],"market_tickers":["A-1"]}}'


def test_kalshi_handshake_subscription_and_frames(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    options = Options(speed=None, kalshi_public_key=pem(tmp_path / "key.pem", key))

    async def scenario() -> None:
        stamp = now()
        headers = signed(key, stamp, f"{stamp}GET{KALSHI_PATH}")
        async with Simulator("kalshi", tape(tmp_path / "tape"), options) as simulator:
            url = address(simulator, KALSHI_PATH)
            for refused in ({}, headers | {"kalshi-access-signature": "AAAA"}):
                with pytest.raises(InvalidStatus) as error:
                    await connect(url, additional_headers=refused)
                assert error.value.response.status_code == 401
            async with connect(url, additional_headers=headers) as client:
                await client.send(SUBSCRIBE)
                got = await receive(client, 3)
                assert json.loads(got[0])["type"] == "subscribed"
                assert got[1:] == [text for _, text in KALSHI]

    run(scenario())


def test_kalshi_pings_with_its_body(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Simulator("kalshi", tape(tmp_path), Options(ping_every_s=0.01)) as simulator:
            headers = signed(Ed25519PrivateKey.generate(), now(), "")
            reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
            lines = [f"GET {KALSHI_PATH} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
            lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101")
            assert await reader.readexactly(11) == b"\x89\x09heartbeat"
            writer.close()
            await writer.wait_closed()

    run(scenario())


def test_polymarket_subscription_frames_and_pong(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Simulator("polymarket", tape(tmp_path), Options(speed=None)) as simulator,
            connect(address(simulator, POLYMARKET_PATH)) as client,
        ):
            await client.send("PING")
            assert await client.recv() == "PONG"
            await client.send(json.dumps({"assets_ids": [YES, NO], "type": "market"}))
            assert await receive(client, 3) == ["[]\n", *(text for _, text in POLYMARKET)]

    run(scenario())


def test_held_playback_starts_on_command_and_rest_goes_on_after_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = Options(speed=None, hold=True)
        async with Simulator("polymarket", tape(tmp_path), options) as simulator, httpx.AsyncClient() as http:

            async def status() -> dict[str, Any]:
                body = (await http.get(simulator.url + "/_simulator/status")).json()
                assert isinstance(body, dict)
                return body

            async with connect(address(simulator, POLYMARKET_PATH)) as client:
                await client.send(json.dumps({"assets_ids": [YES], "type": "market"}))
                assert await client.recv() == "[]\n"
                held = await status()
                assert (held["state"], held["frames_total"], held["connections"]) == ("holding", 2, 1)
                wrong = await http.post(simulator.url + "/_simulator/start", content='{"at_ns":"soon"}')
                assert wrong.status_code == 400
                assert (await http.post(simulator.url + "/_simulator/start", json={"at_ns": 1})).status_code == 200
                assert (await http.post(simulator.url + "/_simulator/start")).status_code == 409
                await receive(client, 2)
                ended = await status()
                assert (ended["state"], ended["frames_played"], ended["frames_sent"]) == ("ended", 2, 3)
                await client.send("PING")
                assert await client.recv() == "PONG"
            books = await http.post(simulator.url + "/books", json=[{"token_id": YES}])
            assert books.json()[0]["bids"] == [{"price": "0.4", "size": "9"}]
            assert (await http.get(simulator.url + "/nowhere")).status_code == 404

    run(scenario())


def test_a_client_that_reads_nothing_is_cut_and_the_tape_plays_on(tmp_path: Path) -> None:
    big = json.dumps({**CHANGE, "padding": "x" * 200_000})
    long_tape = write_tape(tmp_path, polymarket=[POLYMARKET[0], *((1, big) for _ in range(200))])

    async def scenario() -> None:
        options = Options(speed=None, queue=8, patience_s=0.05)
        async with Simulator("polymarket", long_tape, options) as simulator:
            client = await connect(address(simulator, POLYMARKET_PATH), max_queue=1)
            await client.send(json.dumps({"assets_ids": [YES], "type": "market"}))
            assert simulator.played is not None
            await simulator.played
            assert simulator.driver.progress()["frames_played"] == 201
            with pytest.raises(ConnectionClosed):
                await receive(client, 201)

    run(scenario())


def test_a_damaged_tape_is_refused_before_anything_listens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tape(tmp_path / "tape").folder
    (folder / "kalshi" / "frames.jsonl").write_text('{"frame": "x"}\n')
    for venue in ("kalshi", "polymarket"):
        assert main([venue, "--tape", str(folder)]) == 2
        assert "kalshi/frames.jsonl, line 1" in capsys.readouterr().err


def test_a_port_in_use_and_a_wrong_speed_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tape(tmp_path / "tape").folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["polymarket", "--tape", folder, "--port", str(port)]) == 2
        assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
    assert main(["polymarket", "--tape", folder, "--speed", "warp"]) == 2
    assert "speed 'warp'" in capsys.readouterr().err
    assert main(["polymarket", "--tape", "nowhere"]) == 2
    assert "known names" in capsys.readouterr().err


def test_the_process_says_where_it_listens_and_stops_on_a_signal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.simulator", "kalshi", "--tape", str(tape(tmp_path).folder), "--hold"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on 127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_it_listens_on_the_host_that_is_named_and_on_no_other(tmp_path: Path, host: str) -> None:
    other = {"127.0.0.1": "127.0.0.2", "127.0.0.2": "127.0.0.1"}[host]

    async def scenario() -> None:
        async with Simulator("kalshi", tape(tmp_path), Options(hold=True, host=host)) as simulator:
            assert simulator.url == f"http://{host}:{simulator.port}"
            async with httpx.AsyncClient() as http:
                answer = await http.get(simulator.url + "/_simulator/status")
                assert answer.json()["state"] == "holding"
                with pytest.raises(httpx.ConnectError):
                    await http.get(f"http://{other}:{simulator.port}/_simulator/status")

    run(scenario())


def test_the_process_listens_where_the_command_line_says(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.simulator", "polymarket", "--tape", str(tape(tmp_path).folder), "--hold"]
    with subprocess.Popen([*command, "--host", "127.0.0.2"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert line.startswith("listening on 127.0.0.2:")
