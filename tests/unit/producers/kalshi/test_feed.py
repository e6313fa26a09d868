"""Kalshi's feed against a small server in this process: no Kafka, no simulator."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from producers.kalshi import proof
from producers.kalshi.auth import Signer
from producers.kalshi.feed import KalshiFeed
from producers.kalshi.line import KalshiLine
from producers.kalshi.rest import Rest
from producers.publisher import RAW_LIMIT
from runtime import metrics
from runtime.kafka import DeliveryFailed
from runtime.settings import KalshiSettings
from tests.unit.producers.kalshi.frames import delta, frame, market_body, snapshot, trade
from tests.unit.producers.support import FakePublisher, make_tools, rest_client

Answer = Callable[["Venue", dict[str, Any]], "dict[str, Any] | None"]


def numbered(venue: "Venue", _command: dict[str, Any]) -> dict[str, Any]:
    return {"type": "ok", "sid": 1, "seq": venue.next_seq()}


def silent(_venue: "Venue", _command: dict[str, Any]) -> None:
    return None


class Venue:
    """Answers subscribes with `subscribed`, and lets the test send frames on the newest connection.

    `answer` makes the reply to an `add_markets`; `next_seq` numbers what is sent where that matters.
    """

    def __init__(self) -> None:
        self.answer: Answer = numbered
        self.seq = 0
        self.added_ns: list[int] = []
        self.commands: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self._socket: ServerConnection | None = None
        self._came = asyncio.Event()

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.headers.append(dict(socket.request.headers.raw_items()))
        self._socket = socket
        try:
            async for text in socket:
                await self._take(socket, json.loads(text))
        except ConnectionClosed:
            return

    async def _take(self, socket: ServerConnection, command: dict[str, Any]) -> None:
        if command["cmd"] == "subscribe":
            channel = command["params"]["channels"][0]
            sid = 1 if channel == "orderbook_delta" else 2
            reply = {"id": command["id"], "type": "subscribed", "msg": {"channel": channel, "sid": sid}}
            await socket.send(json.dumps(reply))
        elif command["params"]["action"] == "add_markets":
            self.added_ns.append(time.time_ns())
            answer = self.answer(self, command)
            if answer is not None:
                await socket.send(json.dumps({"id": command["id"], "msg": {}} | answer))
        self.commands.append(command)
        self._came.set()

    async def send(self, *frames: bytes) -> None:
        assert self._socket is not None
        for data in frames:
            await self._socket.send(data, text=True)

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    async def send_next(self, make: Callable[[int], bytes]) -> None:
        await self.send(make(self.next_seq()))

    async def cut(self) -> None:
        assert self._socket is not None
        self._socket.transport.abort()

    def subscribes(self) -> int:
        return sum(
            command["cmd"] == "subscribe" and command["params"]["channels"] == ["orderbook_delta"]
            for command in self.commands
        )

    def asked(self, action: str) -> list[list[str]]:
        params = [command["params"] for command in self.commands if command["cmd"] == "update_subscription"]
        return [each["market_tickers"] for each in params if each["action"] == action]

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._came.clear()
                await self._came.wait()


def rest_answer(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/markets":
        tickers = request.url.params["tickers"].split(",")
        return httpx.Response(200, json={"markets": [market_body(ticker) for ticker in tickers], "cursor": ""})
    return httpx.Response(404)


@asynccontextmanager
async def running(
    fake: FakePublisher, markets: list[str], **settings: Any
) -> AsyncIterator[tuple[Venue, KalshiFeed, "asyncio.Task[None]"]]:
    venue = Venue()
    async with serve(venue.serve, "127.0.0.1", 0) as server:
        venue.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/trade-api/ws/v2"
        tools = make_tools("kalshi", fake, **settings)
        signer = Signer(tools.now, "key-id", Ed25519PrivateKey.generate())
        settings_of_venue = KalshiSettings(kalshi_ws_url=venue.url, kalshi_poll_ms=1000)
        feed = KalshiFeed(tools, settings_of_venue, signer, Rest(rest_client(rest_answer)))
        task = asyncio.create_task(feed.run())
        feed.assign(dict.fromkeys(markets, "g"))
        try:
            await venue.until(venue.subscribes)
            yield venue, feed, task
        finally:
            task.cancel()
            await asyncio.wait([task])
            await feed.close()


def summary(fake: FakePublisher, market: str) -> list[tuple[str, str, int]]:
    return [(book.state, book.reason, book.sequence) for book in fake.books("kalshi", market)]


def test_subscribe_snapshot_delta_disconnect_reconnect_new_epoch() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (venue, _, _):
            assert venue.headers[0]["KALSHI-ACCESS-KEY"] == "key-id"
            await venue.send(snapshot("X", 1, [("0.40", "1.00")], [("0.50", "2.00")]), delta("X", 2, "no", "0.50", "1"))
            await fake.until(lambda: len(fake.books("kalshi")) == 2)
            await venue.cut()
            await fake.until(lambda: len(fake.books("kalshi")) == 3)
            await venue.until(lambda: venue.subscribes() == 2)
            await venue.send(snapshot("X", 1, [("0.41", "1.00")]))
            await fake.until(lambda: len(fake.books("kalshi")) == 4)
        first, second, lost, again = fake.books("kalshi")[:4]
        assert first.sides() == ([(4000, 100)], [(5000, 200)])
        assert second.sides() == ([(4000, 100)], [(5000, 300)])
        assert [(book.state, book.sequence) for book in (first, second, lost)] == [
            ("live", 1), ("live", 2), ("recovering", 3),
        ]  # fmt: skip
        assert lost.reason == "disconnected"
        assert len({first.epoch, second.epoch, lost.epoch}) == 1
        assert (again.epoch > first.epoch, again.sequence, again.sides()) == (True, 1, ([(4100, 100)], []))
        assert first.connection != again.connection
        raw = [record for record in fake.on("raw.kalshi") if record.key == second.connection.encode()]
        assert json.loads(raw[second.frame].value or b"")["type"] == "orderbook_delta"
        assert [record.headers["frame"] for record in raw] == [b"%d" % number for number in range(len(raw))]
        assert second.confirmed_ns == second.api_response_ns == int(raw[second.frame].headers["received_ns"])

    asyncio.run(scenario())


def test_a_gap_interrupts_every_book_of_the_sid_and_snapshots_heal_it() -> None:
    gaps = metrics.SEQUENCE_GAPS.labels("kalshi")._value.get()

    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X", "Y"]) as (venue, _, _):
            await venue.send(snapshot("X", 1, [("0.40", "1")]), snapshot("Y", 2, [("0.30", "1")]))
            await venue.send(delta("X", 4, "yes", "0.40", "5"))
            await venue.until(lambda: venue.asked("get_snapshot"))
            assert venue.asked("get_snapshot") == [["X", "Y"]]
            ok = {"id": 9, "sid": 1, "seq": 5, "type": "ok", "msg": {}}
            await venue.send(json.dumps(ok).encode(), delta("Y", 6, "yes", "0.30", "7"))
            await venue.send(snapshot("X", 7, [("0.40", "9")]), delta("X", 8, "yes", "0.40", "1"))
            await venue.send(snapshot("Y", 9, [("0.30", "8")]))
            await fake.until(lambda: len(fake.books("kalshi")) == 7)
        assert summary(fake, "X") == [
            ("live", "", 1), ("recovering", "sequence gap", 2), ("live", "", 1), ("live", "", 2),
        ]  # fmt: skip
        assert summary(fake, "Y") == [("live", "", 1), ("recovering", "sequence gap", 2), ("live", "", 1)]
        assert fake.books("kalshi", "X")[-1].sides()[0] == [(4000, 1000)]

    asyncio.run(scenario())
    assert metrics.SEQUENCE_GAPS.labels("kalshi")._value.get() == gaps + 1


def test_duplicates_strangers_and_unknown_kinds_change_nothing() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (venue, _, _):
            await venue.send(snapshot("X", 1, [("0.40", "1")]), delta("X", 2, "yes", "0.40", "1"))
            await venue.send(delta("X", 2, "yes", "0.40", "1"), delta("other", 3, "yes", "0.40", "1"))
            await venue.send(frame("ticker", 0, 0, {}), frame("weird", 1, 4, {}), trade("X", 1))
            await venue.send(delta("X", 5, "yes", "0.40", "1"))
            await fake.until(lambda: len(fake.books("kalshi")) == 3)
        assert summary(fake, "X") == [("live", "", 1), ("live", "", 2), ("live", "", 3)]
        assert fake.books("kalshi", "X")[-1].sides()[0] == [(4000, 300)]
        (printed,) = fake.trades("kalshi")
        assert (printed.group, printed.price, printed.taker_side) == ("g", 3600, "sell")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "data", [b"not json", b'{"type":"orderbook_delta","sid":"1"}', frame("orderbook_delta", 0, 0, {})]
)
def test_a_frame_of_which_nothing_can_be_said_leaves_no_book_confirmed(data: bytes) -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X", "Y"]) as (venue, _, _):
            await venue.send(snapshot("X", 1, [("0.40", "1")]), snapshot("Y", 2, [("0.30", "1")]), data)
            await venue.until(lambda: venue.asked("get_snapshot"))
            assert venue.asked("get_snapshot") == [["X", "Y"]]
            await venue.send(snapshot("X", 3, [("0.40", "1")]), snapshot("Y", 4, [("0.30", "2")]))
            await fake.until(lambda: len(fake.books("kalshi")) == 6)
        for market in ("X", "Y"):
            assert summary(fake, market) == [("live", "", 1), ("recovering", "malformed frame", 2), ("live", "", 1)]

    asyncio.run(scenario())


def test_bad_frames_are_dead_lettered_and_the_book_heals() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (venue, _, _):
            await venue.send(b"not json", snapshot("X", 1, [("0.40", "1")]))
            await venue.send(delta("X", 2, "yes", "0.40001", "1"))
            await venue.until(lambda: venue.asked("get_snapshot"))
            await venue.send(snapshot("X", 3, [("0.40", "2")]))
            await fake.until(lambda: len(fake.books("kalshi")) == 3)
        assert summary(fake, "X") == [("live", "", 1), ("recovering", "malformed frame", 2), ("live", "", 1)]
        dead = fake.on("deadletter.book.kalshi")
        assert [record.value for record in dead] == [b"not json", delta("X", 2, "yes", "0.40001", "1")]
        assert b"0.40001" in dead[1].headers["__connect.errors.exception.message"]

    asyncio.run(scenario())


@pytest.mark.parametrize("code", [10, 25])
def test_a_terminal_error_resubscribes(code: int) -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (venue, _, _):
            await venue.send(snapshot("X", 1, [("0.40", "1")]))
            await venue.send(frame("error", 1, 2, {"code": code, "msg": "over"}))
            await venue.until(lambda: venue.subscribes() == 2)
            await venue.send(snapshot("X", 1, [("0.40", "1")], sid=3))
            await fake.until(lambda: len(fake.books("kalshi")) == 3)
        assert summary(fake, "X") == [
            ("live", "", 1), ("recovering", f"subscription lost (code {code})", 2), ("live", "", 1),
        ]  # fmt: skip

    asyncio.run(scenario())


def test_a_terminal_error_without_a_sid_makes_the_connection_again() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (venue, _, _):
            await venue.send(snapshot("X", 1, [("0.40", "1")]), frame("error", 0, 0, {"code": 25, "msg": "over"}))
            await venue.until(lambda: venue.subscribes() == 2)
            assert len(venue.headers) == 2
        assert summary(fake, "X")[1] == ("recovering", "disconnected", 2)

    asyncio.run(scenario())


def first_book(seq: int) -> bytes:
    return snapshot("X", seq, [("0.40", "1")])


def proofs(form: str) -> Any:
    return metrics.SUBSCRIPTION_PROOFS.labels("kalshi", form)._value.get()


def test_an_answer_in_sequence_proves_a_quiet_book_as_of_the_question() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"], reconcile_ms=100) as (venue, _, _):
            await venue.send_next(first_book)
            await fake.until(lambda: fake.books("kalshi"))
            (original,) = fake.books("kalshi")
            venue.answer = silent
            asked = len(venue.added_ns)
            await venue.until(lambda: len(venue.added_ns) > asked)
            question = venue.commands[-1]
            assert question["params"] == {
                "sids": [1], "action": "add_markets", "market_tickers": ["X"], "skip_ticker_ack": True,
            }  # fmt: skip
            assert len({command["id"] for command in venue.commands}) == len(venue.commands)
            before = fake.books("kalshi", repeated=True)[-1:] or [original]
            ok = {"id": question["id"], "type": "ok", "sid": 1, "seq": venue.next_seq(), "msg": {}}
            await venue.send(json.dumps(ok).encode())
            await fake.until(
                lambda: (
                    fake.books("kalshi", repeated=True)
                    and fake.books("kalshi", repeated=True)[-1].confirmed_ns > before[0].confirmed_ns
                )
            )
            repeated = fake.books("kalshi", repeated=True)[-1]
            assert before[0].confirmed_ns < repeated.confirmed_ns < venue.added_ns[-1]
            assert (repeated.epoch, repeated.sequence) == (original.epoch, original.sequence)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        silent,
        lambda venue, _: {"type": "ok", "sid": 2, "seq": venue.next_seq()},
        lambda _, __: {"type": "error", "msg": {"code": 27, "msg": "too many requests"}},
    ],
    ids=["no answer", "of another subscription", "refused"],
)
def test_a_pong_alone_proves_nothing(answer: Answer) -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"], reconcile_ms=100) as (venue, _, _):
            venue.answer = answer
            await venue.send_next(first_book)
            await fake.until(lambda: len(fake.books("kalshi", repeated=True)) >= 6)
            assert venue.added_ns
        (original,) = [book for book in fake.books("kalshi") if book.state == "live"]
        assert {book.confirmed_ns for book in fake.books("kalshi", repeated=True)} == {original.confirmed_ns}

    asyncio.run(scenario())


def test_a_subscription_that_does_not_answer_has_the_connection_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "ANSWER_TIMEOUT_S", 0.2)

    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"], reconcile_ms=100) as (venue, _, _):
            venue.answer = silent
            await venue.send_next(first_book)
            await venue.until(lambda: venue.subscribes() == 2)
            assert len(venue.headers) == 2
        assert summary(fake, "X")[1] == ("recovering", "disconnected", 2)

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [{"type": "ok"}, {"type": "ok", "sid": 1}, {"type": "ok", "seq": 9}])
def test_where_answers_have_no_number_the_pong_is_the_proof(answer: dict[str, Any]) -> None:
    before = proofs("unnumbered"), proofs("pong"), proofs("numbered")

    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"], reconcile_ms=100) as (venue, _, _):
            venue.answer = lambda _venue, _command: answer
            await venue.send_next(first_book)
            await fake.until(lambda: len({book.confirmed_ns for book in fake.books("kalshi", repeated=True)}) >= 3)
            assert len(venue.added_ns) == 1
        assert summary(fake, "X")[:1] == [("live", "", 1)]

    asyncio.run(scenario())
    assert proofs("unnumbered") == before[0] + 1
    assert proofs("pong") >= before[1] + 2
    assert proofs("numbered") == before[2]


def test_an_answer_that_shows_a_gap_proves_nothing_and_interrupts() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"], reconcile_ms=100) as (venue, _, _):
            await venue.send_next(first_book)
            venue.seq += 1  # a message that never came
            await venue.until(lambda: venue.asked("get_snapshot"))
            await venue.send_next(first_book)
            await fake.until(lambda: len(fake.books("kalshi")) >= 3)
        assert summary(fake, "X")[:3] == [("live", "", 1), ("recovering", "sequence gap", 2), ("live", "", 1)]
        interrupted = fake.books("kalshi")[1]
        assert interrupted.confirmed_ns < min(ns for ns in venue.added_ns if ns > fake.books("kalshi")[0].confirmed_ns)

    asyncio.run(scenario())


def test_an_answer_may_repeat_a_number_and_have_its_own_repeated() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"], reconcile_ms=100) as (venue, _, _):
            venue.answer = lambda venue, _: {"type": "ok", "sid": 1, "seq": venue.seq}  # uses no number up
            await venue.send_next(first_book)
            await fake.until(lambda: len({book.confirmed_ns for book in fake.books("kalshi", repeated=True)}) >= 3)
            venue.answer = lambda venue, _: {"type": "ok", "sid": 1, "seq": venue.seq + 1}  # names the next one
            answered = len(venue.added_ns)
            await venue.until(lambda: len(venue.added_ns) >= answered + 2)
            await venue.send_next(lambda seq: delta("X", seq, "yes", "0.40", "1"))
            await fake.until(lambda: len(fake.books("kalshi")) == 2)
            assert venue.asked("get_snapshot") == []
        assert summary(fake, "X")[:2] == [("live", "", 1), ("live", "", 2)]

    asyncio.run(scenario())


def test_a_subscription_that_the_venue_does_not_know_is_made_again() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"], reconcile_ms=100) as (venue, _, _):
            await venue.send_next(first_book)
            await fake.until(lambda: fake.books("kalshi"))
            venue.answer = lambda _venue, _command: {"type": "error", "msg": {"code": 7, "msg": "Unknown sid"}}
            await venue.until(lambda: venue.subscribes() == 2)
            assert len(venue.headers) == 1
        assert summary(fake, "X")[1] == ("recovering", "subscription lost (code 7)", 2)

    asyncio.run(scenario())


def test_a_change_of_one_market_proves_the_others_of_its_subscription() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X", "Y"]) as (venue, _, _):
            await venue.send(snapshot("X", 1, [("0.40", "1")]), snapshot("Y", 2, [("0.30", "1")]))
            await venue.send(delta("Y", 3, "yes", "0.30", "1"))
            await fake.until(lambda: len(fake.books("kalshi")) == 3)
            latest = fake.books("kalshi")[-1]
            shown = len(fake.books("kalshi", "X", repeated=True))
            await fake.until(lambda: len(fake.books("kalshi", "X", repeated=True)) > shown + 1)
            assert fake.books("kalshi", "X", repeated=True)[-1].confirmed_ns == latest.api_response_ns

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [numbered, lambda _venue, _command: {"type": "ok"}], ids=["numbered", "unnumbered"])
def test_nothing_is_proved_while_a_frame_is_not_handled(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "ANSWER_TIMEOUT_S", 0.2)

    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"], reconcile_ms=100) as (venue, feed, _):
            venue.answer = answer
            await venue.send_next(first_book)
            await fake.until(lambda: fake.books("kalshi", repeated=True))
            fake.waiting = RAW_LIMIT  # Kafka is behind: the reader holds the next frame back
            await venue.send_next(lambda seq: delta("X", seq, "yes", "0.40", "1"))
            await fake.until(lambda: not cast(KalshiLine, feed.lines[0]).idle)
            held_ns, repeated = feed.tools.now(), len(fake.books("kalshi", repeated=True))
            await fake.until(lambda: len(fake.books("kalshi", repeated=True)) >= repeated + 5)
            assert all(book.confirmed_ns < held_ns for book in fake.books("kalshi", repeated=True))
            fake.waiting = 0
            await fake.until(lambda: len(fake.books("kalshi")) == 2)
            latest = fake.books("kalshi")[-1]
            await fake.until(lambda: fake.books("kalshi", repeated=True)[-1].confirmed_ns > latest.confirmed_ns)
            assert len(venue.headers) == 1

    asyncio.run(scenario())


def test_markets_come_and_go_on_a_standing_connection() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (venue, feed, _):
            await venue.send(snapshot("X", 1, [("0.40", "1")]))
            await fake.until(lambda: fake.books("kalshi"))
            feed.assign({"X": "g", "Y": "g"})
            await venue.until(lambda: venue.subscribes() == 2)
            feed.assign({"Y": "g"})
            await venue.until(lambda: venue.asked("delete_markets"))
            await venue.send(delta("X", 2, "yes", "0.40", "1"), snapshot("Y", 3, [("0.30", "1")]))
            await fake.until(lambda: fake.books("kalshi", "Y"))
        assert summary(fake, "X") == [("live", "", 1), ("closed", "group removed", 2)]

    asyncio.run(scenario())


def test_a_lost_record_ends_the_feed() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (venue, _, task):
            fake.lost = DeliveryFailed("gone")
            await venue.send(snapshot("X", 1, [("0.40", "1")]))
            await asyncio.wait([task], timeout=10)
            assert isinstance(task.exception(), ExceptionGroup)
            fake.lost = None

    asyncio.run(scenario())


def test_too_many_bad_frames_end_the_feed() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        async with running(fake, ["X"]) as (venue, _, task):
            await venue.send(b"1", b"2", b"3", b"4")
            await asyncio.wait([task], timeout=10)
            assert "4 dead letters in a row" in repr(task.exception())

    asyncio.run(scenario())


def test_without_a_key_the_rest_books_are_polled() -> None:
    answers = iter([[["0.40", "1"]], [["0.40", "1"]], None, [["0.41", "1"]]])
    latest: list[list[str]] | None = [["0.41", "1"]]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/markets/orderbooks":
            return rest_answer(request)
        levels = next(answers, latest)
        if levels is None:
            return httpx.Response(503)
        books = [{"ticker": t, "orderbook_fp": {"yes_dollars": levels}} for t in request.url.params.get_list("tickers")]
        return httpx.Response(200, json={"orderbooks": books})

    async def scenario() -> None:
        fake = FakePublisher()
        tools = make_tools("kalshi", fake)
        feed = KalshiFeed(tools, KalshiSettings(kalshi_poll_ms=50), Signer(tools.now), Rest(rest_client(answer)))
        task = asyncio.create_task(feed.run())
        feed.assign({"X": "g", "Y": "g"})
        await fake.until(lambda: len(fake.books("kalshi")) == 6)
        task.cancel()
        await asyncio.wait([task])
        await feed.close()
        assert summary(fake, "X") == [("live", "", 1), ("recovering", "disconnected", 2), ("live", "", 1)]
        again = fake.books("kalshi", "X")[-1]
        assert again.sides() == ([(4100, 100)], [])
        assert again.confirmed_ns == again.api_call_start_ns <= again.api_response_ns
        raw = fake.on("raw.kalshi")[again.frame]
        assert raw.headers["url"] == b"/markets/orderbooks?tickers=X&tickers=Y"

    asyncio.run(scenario())
