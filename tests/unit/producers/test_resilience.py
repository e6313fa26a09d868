"""A RestClient whose venue is a function, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from infra.simulator.virtual import START_NS, VirtualTimeLoop, run_virtual
from producers.guard import FAILURES, OPEN_S, Breaker
from producers.limits import Bucket, RateLimiter
from producers.resilience import ATTEMPTS, PATIENCE_S, TIMEOUT_S, Heard, RestClient, RestError, is_loopback
from runtime import metrics

BASE = "http://127.0.0.1:1/trade-api/v2"
Answer = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


class Transport(httpx.AsyncBaseTransport):
    """Answers with a function; keeps what was asked and when."""

    def __init__(self, loop: VirtualTimeLoop, answer: Answer) -> None:
        self.asked: list[httpx.Request] = []
        self.times: list[float] = []
        self._loop = loop
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.times.append(self._loop.time())
        answer = self._answer(request)
        return answer if isinstance(answer, httpx.Response) else await answer


def in_turn(*answers: httpx.Response) -> Answer:
    left: Iterator[httpx.Response] = iter(answers)
    return lambda _request: next(left)


def run(
    answer: Answer, act: Callable[[RestClient, VirtualTimeLoop], Awaitable[Any]], **options: Any
) -> tuple[Any, Transport]:
    """What `act` returns, and the transport that it went over."""

    async def main(loop: VirtualTimeLoop) -> tuple[Any, Transport]:
        transport = Transport(loop, answer)
        client = RestClient(
            BASE, lambda _method, _path: {}, venue="kalshi", now=loop.now_ns, transport=transport, **options
        )
        try:
            return await act(client, loop), transport
        finally:
            await client.close()

    return run_virtual(main)


async def failing(client: RestClient, path: str = "/a", **options: Any) -> RestError:
    with pytest.raises(RestError) as caught:
        await client.request("GET", path, **options)
    return caught.value


def test_passing_failures_are_tried_again() -> None:
    answers = in_turn(httpx.Response(503), httpx.Response(429), httpx.Response(425), httpx.Response(200, content=b"{}"))
    body, transport = run(answers, lambda client, _loop: client.request("GET", "/a?b=c"))
    assert body == b"{}"
    assert [str(request.url) for request in transport.asked] == [f"{BASE}/a?b=c"] * 4


def test_a_connection_that_breaks_is_tried_again_and_named_in_the_end() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    error, transport = run(answer, lambda client, _loop: failing(client))
    assert str(error) == f"GET {BASE}/a: ConnectError: refused"
    assert (len(transport.asked), error.passing, error.unknown, error.status) == (ATTEMPTS, True, False, 0)


def test_other_refusals_are_final() -> None:
    answer = in_turn(httpx.Response(404, json={"error": {"code": "not_found", "message": "no such market"}}))
    error, transport = run(answer, lambda client, _loop: failing(client))
    assert (error.status, error.code, error.detail) == (404, "not_found", "no such market")
    assert str(error) == f"GET {BASE}/a: HTTP 404: not_found: no such market"
    assert len(transport.asked) == 1


def test_the_venue_is_not_asked_again_before_it_said() -> None:
    answers = in_turn(httpx.Response(429, headers={"retry-after": "7"}), httpx.Response(200))
    _, transport = run(answers, lambda client, _loop: client.request("GET", "/a"))
    first_s, second_s = transport.times
    assert first_s + 7 <= second_s <= first_s + 7.3


def test_a_throttled_request_holds_up_the_others_too() -> None:
    async def act(client: RestClient, loop: VirtualTimeLoop) -> float:
        client.limiter = RateLimiter("kalshi", {"read": Bucket(100, 100)}, lambda _method, _path: {"read": 1.0})
        await failing(client, attempts=1)
        await client.request("GET", "/b")
        return loop.time()

    answers = in_turn(httpx.Response(429, json={"error": "x", "retry_after_seconds": 3}), httpx.Response(200))
    assert run(answers, act)[0] == pytest.approx(3.0)


def test_a_bare_429_pauses_nobody() -> None:
    async def act(client: RestClient, loop: VirtualTimeLoop) -> float:
        client.limiter = RateLimiter("kalshi", {"read": Bucket(100, 100)}, lambda _method, _path: {"read": 1.0})
        error = await failing(client, attempts=1)
        assert (error.detail, error.retry_after_s) == ("too many requests", 0.0)
        await client.request("GET", "/b")
        return loop.time()

    answers = in_turn(httpx.Response(429, json={"error": "too many requests"}), httpx.Response(200))
    assert run(answers, act)[0] == 0.0


def test_no_one_waits_longer_than_patience_allows() -> None:
    async def act(client: RestClient, loop: VirtualTimeLoop) -> float:
        await failing(client)
        return loop.time()

    answer = in_turn(httpx.Response(503, headers={"retry-after": str(int(PATIENCE_S) + 1)}))
    assert run(answer, act)[0] == 0.0


def test_an_answer_that_takes_too_long_is_none() -> None:
    async def answer(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(3600)
        return httpx.Response(200)

    async def act(client: RestClient, loop: VirtualTimeLoop) -> tuple[str, float]:
        return str(await failing(client, attempts=1)), loop.time()

    (text, at_s), _ = run(answer, act)
    assert "TimeoutError" in text
    assert at_s == TIMEOUT_S


def test_a_storm_opens_the_circuit_which_heals_soon_after_it() -> None:
    ends_s = 30.0

    async def act(client: RestClient, loop: VirtualTimeLoop) -> float:
        while True:
            try:
                await client.ask("/a")
            except RestError as error:
                assert error.passing
                await asyncio.sleep(0.1)
            else:
                return loop.time()

    async def main(loop: VirtualTimeLoop) -> tuple[float, Transport]:
        transport = Transport(loop, lambda _request: httpx.Response(200 if loop.time() >= ends_s else 502))
        client = RestClient(BASE, lambda _method, _path: {}, transport=transport)
        return await act(client, loop), transport

    healed_s, transport = run_virtual(main)
    assert ends_s <= healed_s <= ends_s + OPEN_S + 0.2
    assert len(transport.asked) <= FAILURES + ends_s / OPEN_S + 2


def test_refusals_and_throttling_open_no_circuit() -> None:
    async def act(client: RestClient, _loop: VirtualTimeLoop) -> None:
        for _ in range(3 * FAILURES):
            await failing(client, attempts=1)

    statuses = [404, 429, 425] * FAILURES
    _, transport = run(in_turn(*(httpx.Response(status) for status in statuses)), act)
    assert len(transport.asked) == len(statuses)


def test_an_open_circuit_is_an_error_that_passes_and_says_when() -> None:
    async def act(client: RestClient, _loop: VirtualTimeLoop) -> RestError:
        breaker = Breaker("kalshi", "test")
        client._breaker = breaker
        for _ in range(FAILURES):
            breaker.failed(OSError("down"))
        return await failing(client, attempts=1)

    error, transport = run(in_turn(), act)
    assert (error.passing, error.retry_after_s, transport.asked) == (True, OPEN_S, [])
    assert "the circuit is open" in str(error)


def test_requests_wait_for_the_venues_limits() -> None:
    async def act(client: RestClient, loop: VirtualTimeLoop) -> float:
        client.limiter = RateLimiter("kalshi", {"read": Bucket(20, 10)}, lambda _method, _path: {"read": 10.0})
        await asyncio.gather(*(client.request("GET", "/a") for _ in range(4)))
        return loop.time()

    assert run(lambda _request: httpx.Response(200), act)[0] == pytest.approx(2.0, abs=0.05)


def test_a_request_that_costs_more_than_there_ever_is_is_final() -> None:
    async def act(client: RestClient, _loop: VirtualTimeLoop) -> RestError:
        client.limiter = RateLimiter("kalshi", {"read": Bucket(5, 5)}, lambda _method, _path: {"read": 10.0})
        return await failing(client)

    error, transport = run(in_turn(), act)
    assert (error.passing, transport.asked) == (False, [])


def test_the_limits_and_signatures_are_told_the_path_without_its_query() -> None:
    charged, signed = [], []

    async def act(client: RestClient, _loop: VirtualTimeLoop) -> None:
        def charge(method: str, path: str) -> dict[str, float]:
            charged.append((method, path))
            return {}

        def sign(method: str, path: str) -> dict[str, str]:
            signed.append((method, path))
            return {"x-key": "k"}

        client.limiter = RateLimiter("kalshi", {}, charge)
        client._sign = sign
        await client.ask("/a?b=c")
        await client.ask("/a?b=c", b"{}")

    _, transport = run(lambda _request: httpx.Response(200), act)
    assert charged == [("GET", "/a"), ("POST", "/a")]
    assert signed == [("GET", "/trade-api/v2/a"), ("POST", "/trade-api/v2/a")]
    assert [request.headers["x-key"] for request in transport.asked] == ["k", "k"]
    assert transport.asked[1].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("headers", "date"),
    [
        ({"date": "Mon, 21 Sep 2026 13:33:20 GMT"}, "Mon, 21 Sep 2026 13:33:20 GMT"),
        ({"date": "Mon, 21 Sep 2026 13:33:20 GMT", "age": "0"}, "Mon, 21 Sep 2026 13:33:20 GMT"),
        ({"date": "Mon, 21 Sep 2026 13:33:20 GMT", "age": "12"}, ""),
        ({}, ""),
    ],
)
def test_every_answer_tells_the_venues_time_unless_it_was_kept_in_a_cache(headers: dict[str, str], date: str) -> None:
    heard: list[Heard] = []

    async def answer(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.5)
        return httpx.Response(503, headers=headers)

    run(answer, lambda client, _loop: failing(client, attempts=1), heard=heard.append)
    assert heard == [Heard(START_NS, START_NS + 500_000_000, date)]


def test_what_happened_is_counted() -> None:
    def count(outcome: str) -> float:
        return float(metrics.REST_REQUESTS.labels("kalshi", outcome)._value.get())

    before = {outcome: count(outcome) for outcome in ("answered", "throttled", "failed", "refused")}
    retries = metrics.REST_RETRIES.labels("kalshi")._value.get()
    answers = in_turn(httpx.Response(503), httpx.Response(429), httpx.Response(200), httpx.Response(403))

    async def act(client: RestClient, _loop: VirtualTimeLoop) -> None:
        await client.request("GET", "/a")
        await failing(client)

    run(answers, act)
    assert {outcome: count(outcome) - before[outcome] for outcome in before} == dict.fromkeys(before, 1.0)
    assert metrics.REST_RETRIES.labels("kalshi")._value.get() - retries == 2


@pytest.mark.parametrize(
    ("url", "loopback"), [("http://127.0.0.1:8/x", True), ("ws://localhost/", True), ("https://a.b", False)]
)
def test_loopback_needs_no_proxy(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback
