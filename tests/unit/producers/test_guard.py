"""Backoff, circuit and guard, on a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.guard import FAILURES, OPEN_S, STABLE_NS, Backoff, Breaker, Guard


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def longest(_low: float, high: float) -> float:
    return high


def breaker(clock: Clock) -> Breaker:
    return Breaker("kalshi", "test", clock=clock)


def test_delays_grow_exponentially_to_the_limit_and_start_again_after_a_stable_minute() -> None:
    backoff = Backoff(250, 1000, uniform=longest)
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


def test_a_circuit_opens_after_failures_in_a_row_and_a_success_between_them_counts() -> None:
    circuit = breaker(Clock())
    for _ in range(FAILURES - 1):
        circuit.failed(OSError("down"))
    circuit.succeeded()
    for _ in range(FAILURES - 1):
        circuit.failed(OSError("down"))
    assert (circuit.closed, circuit.admits(), circuit.wait_s()) == (True, True, 0.0)
    circuit.failed(OSError("down"))
    assert (circuit.closed, circuit.admits(), circuit.wait_s()) == (False, False, OPEN_S)


def opened(clock: Clock) -> Breaker:
    circuit = breaker(clock)
    for _ in range(FAILURES):
        circuit.failed(OSError("down"))
    return circuit


def test_an_open_circuit_admits_one_trial_at_a_time() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.s += OPEN_S
    assert circuit.wait_s() == 0.0
    assert circuit.admits()
    assert not circuit.admits()
    circuit.failed(OSError("still down"))
    assert circuit.wait_s() == OPEN_S
    clock.s += OPEN_S
    assert circuit.admits()
    circuit.succeeded()
    assert circuit.closed
    assert circuit.admits()
    assert circuit.admits()


def test_a_trial_that_is_never_reported_holds_up_the_next_no_longer_than_a_failed_one() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.s += OPEN_S
    assert circuit.admits()
    assert circuit.wait_s() == OPEN_S
    clock.s += OPEN_S
    assert circuit.admits()


def test_failures_of_attempts_from_before_do_not_keep_a_circuit_open() -> None:
    clock = Clock()
    circuit = opened(clock)
    clock.s += OPEN_S / 2
    circuit.failed(OSError("an older request timed out"))
    assert circuit.wait_s() == OPEN_S / 2


def test_any_success_closes_a_circuit() -> None:
    circuit = opened(Clock())
    circuit.succeeded()
    assert circuit.closed


@given(st.lists(st.tuples(st.sampled_from("sfa"), st.floats(0, 3)), max_size=40))
def test_a_circuit_never_waits_longer_than_its_time_and_never_shuts_for_ever(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    circuit = breaker(clock)
    for step, seconds in steps:
        clock.s += seconds
        if step == "s":
            circuit.succeeded()
            assert circuit.closed
        elif step == "f":
            circuit.failed(OSError("down"))
        elif circuit.admits() and not circuit.closed:
            assert not circuit.admits()
        assert 0.0 <= circuit.wait_s() <= OPEN_S
    clock.s += circuit.wait_s()
    assert circuit.admits()


def test_guards_of_one_address_share_its_circuit() -> None:
    clock = Clock()
    circuit = breaker(clock)
    first, second = (Guard(circuit, 250, 2500, uniform=longest) for _ in range(2))
    assert first.first_delay_s() == 0.0
    delays = [first.delay_s() for _ in range(FAILURES)]
    assert delays[:4] == [0.25, 0.5, 1.0, 2.0]
    assert delays[4] == OPEN_S + 1.25
    assert second.first_delay_s() == OPEN_S + 1.25
    second.succeeded()
    assert first.delay_s() == 2.5
    assert third_after_success(second) == 0.25


def third_after_success(guard: Guard) -> float:
    return guard.delay_s(lasted_ns=1)


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 5000))
def test_no_wait_is_longer_than_the_limit(outcomes: list[bool], limit_ms: int) -> None:
    clock = Clock()
    circuit = Breaker("kalshi", "test", open_s=limit_ms / 2000, clock=clock)
    guard = Guard(circuit, 250, limit_ms, uniform=longest)
    for connected in outcomes:
        if connected:
            guard.succeeded()
        delay_s = guard.delay_s(lasted_ns=1)
        assert 0.0 <= delay_s <= limit_ms / 1000
        assert guard.first_delay_s() <= limit_ms / 1000 + 1e-9
        clock.s += delay_s


def test_a_connection_that_was_made_is_no_failure_of_the_address() -> None:
    circuit = breaker(Clock())
    guard = Guard(circuit, 250, 2500)
    for _ in range(3 * FAILURES):
        guard.succeeded()
        guard.delay_s(lasted_ns=1)
    assert circuit.closed


@pytest.mark.parametrize("limit_ms", [2500])
def test_shared_guards_are_made_of_settings(limit_ms: int) -> None:
    make = Guard.shared("kalshi", 250, limit_ms)
    assert make() is not make()
