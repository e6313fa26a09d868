import asyncio

import httpx
import pytest

from producers.resilience import STABLE_NS, Backoff, RestError, is_loopback
from tests.unit.producers.support import rest_client


def test_delays_grow_exponentially_to_the_limit_and_start_again_after_a_stable_minute() -> None:
    backoff = Backoff(250, 1000, uniform=lambda _low, high: high)
    assert [backoff.delay_s() for _ in range(4)] == [0.25, 0.5, 1.0, 1.0]
    assert backoff.delay_s(STABLE_NS - 1) == 1.0
    assert backoff.delay_s(STABLE_NS) == 0.25


def test_jitter_is_full() -> None:
    asked = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    Backoff(250, 1000, uniform).delay_s()
    assert asked == [(0.0, 0.25)]


def test_passing_failures_are_tried_again() -> None:
    answers = iter([httpx.Response(503), httpx.Response(429), httpx.Response(200, content=b"{}")])
    client = rest_client(lambda _request: next(answers))
    assert asyncio.run(client.request("GET", "/a?b=c")) == b"{}"


def test_a_connection_that_breaks_is_tried_again_and_named_in_the_end() -> None:
    tries = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(RestError, match=r"GET http://127.0.0.1:1/a: ConnectError: refused") as caught:
        asyncio.run(rest_client(answer).request("GET", "/a"))
    assert (len(tries), caught.value.passing, caught.value.unknown) == (4, True, False)


def test_other_refusals_are_final() -> None:
    tries = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(request)
        return httpx.Response(404, json={"error": "no such market"})

    with pytest.raises(RestError, match="HTTP 404.*no such market") as caught:
        asyncio.run(rest_client(answer).request("GET", "/a"))
    assert (len(tries), caught.value.unknown) == (1, True)


@pytest.mark.parametrize(
    ("url", "loopback"), [("http://127.0.0.1:8/x", True), ("ws://localhost/", True), ("https://a.b", False)]
)
def test_loopback_needs_no_proxy(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback
