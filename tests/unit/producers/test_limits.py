"""Rate limits in virtual time: never above what a venue allows, and never idle while there is room."""

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.virtual import VirtualTimeLoop, run_virtual
from producers.limits import BACKGROUND, LONGEST_PAUSE_S, Bucket, RateLimiter, TooCostlyError


def by_path(costs: Mapping[str, float]) -> RateLimiter:
    return RateLimiter(
        "kalshi", {"read": Bucket(40, 20), BACKGROUND: Bucket(10, 5)}, lambda _method, path: {"read": costs[path]}
    )


def admitted(requests: list[tuple[float, float, bool]]) -> list[tuple[float, float]]:
    """When each of (asked at, cost, background) is let through: (time, cost)."""

    async def main(loop: VirtualTimeLoop) -> list[tuple[float, float]]:
        limiter = by_path({str(index): cost for index, (_, cost, _) in enumerate(requests)})
        times: list[tuple[float, float]] = []

        async def one(index: int, at_s: float, cost: float, background: bool) -> None:
            await asyncio.sleep(at_s)
            await limiter.admit("GET", str(index), background=background)
            times.append((loop.time(), cost))

        await asyncio.gather(*(one(index, *request) for index, request in enumerate(requests)))
        return times

    return run_virtual(main)


REQUESTS = st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 10), st.booleans()), max_size=40)


@settings(max_examples=40, deadline=None)
@given(REQUESTS)
def test_no_stretch_of_time_takes_more_than_capacity_and_refill(requests: list[tuple[float, float, bool]]) -> None:
    times = sorted(admitted(requests))
    assert len(times) == len(requests)
    for first in range(len(times)):
        taken = 0.0
        for at_s, cost in times[first:]:
            taken += cost
            assert taken <= 40 + 20 * (at_s - times[first][0]) + 1e-6


def test_requests_wait_no_longer_than_they_must() -> None:
    times = admitted([(0.0, 10.0, False)] * 10)
    assert [round(at_s, 1) for at_s, _ in times] == [0.0] * 4 + [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]


def test_who_asks_first_goes_first_whatever_it_costs() -> None:
    times = admitted([(0.0, 40.0, False), (0.1, 40.0, False), (0.2, 1.0, False)])
    assert [cost for _, cost in times] == [40.0, 40.0, 1.0]


def test_background_requests_leave_room_for_the_others() -> None:
    times = admitted([(0.0, 5.0, True)] * 20 + [(1.0, 10.0, False)])
    assert (1.0, 10.0) in [(round(at_s, 1), cost) for at_s, cost in times]


def test_a_request_that_can_never_pass_is_refused() -> None:
    with pytest.raises(TooCostlyError, match="GET 0 costs 41, more than bucket 'read' holds: 40"):
        admitted([(0.0, 41.0, False)])


def test_a_pause_holds_for_everyone_and_ends() -> None:
    async def main(loop: VirtualTimeLoop) -> list[float]:
        limiter = by_path({"a": 1.0})
        limiter.pause(3.0)
        limiter.pause(1.0)
        await asyncio.gather(*(limiter.admit("GET", "a") for _ in range(3)))
        first_s = loop.time()
        limiter.pause(1e9)
        await limiter.admit("GET", "a")
        return [first_s, loop.time() - first_s]

    assert run_virtual(main) == [3.0, LONGEST_PAUSE_S]


def test_the_venues_own_limits_take_the_place_of_the_documented_ones() -> None:
    async def main(loop: VirtualTimeLoop) -> float:
        limiter = by_path({"a": 10.0})
        limiter.resize({"read": Bucket(100, 100)}, lambda _method, _path: {"read": 100.0})
        assert limiter.buckets["read"] == Bucket(100, 100)
        for _ in range(3):
            await limiter.admit("GET", "a")
        return loop.time()

    assert run_virtual(main) == pytest.approx(2.0, abs=0.03)


@given(st.integers(1, 100_000), st.floats(0.1, 600), st.floats(0.1, 1))
def test_a_bucket_within_a_sliding_window_never_exceeds_it(requests: int, window_s: float, margin: float) -> None:
    bucket = Bucket.within(requests, window_s, margin)
    assert bucket.capacity + bucket.refill_per_s * window_s == pytest.approx(requests * margin)
