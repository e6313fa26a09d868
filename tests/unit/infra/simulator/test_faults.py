"""The fault panel: what is in force, for how long, on what; and the bodies that set it."""

import json
from typing import Any

import pytest

from infra.simulator.faults import (
    MILLISECOND,
    Fault,
    FaultError,
    FaultName,
    FaultPanel,
    fault_body,
    fault_name,
    parse_fault,
)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.ns = 1_000

    def __call__(self) -> int:
        return self.ns


def test_a_fault_lasts_until_its_time_is_over_or_it_is_cleared() -> None:
    clock = Clock()
    panel = FaultPanel(clock)
    panel.set(Fault(FaultName.DROP, until_ns=2_000))
    panel.set(Fault(FaultName.FREEZE))
    clock.ns = 1_999
    assert [fault.name for fault in panel.faults()] == [FaultName.DROP, FaultName.FREEZE]
    clock.ns = 2_000
    assert panel.active(FaultName.DROP) is None
    assert panel.strikes(FaultName.DROP) is None
    assert not panel.clear(FaultName.DROP)
    assert panel.clear(FaultName.FREEZE)
    assert panel.faults() == []
    panel.set(Fault(FaultName.FREEZE))
    panel.clear_all()
    assert panel.active(FaultName.FREEZE) is None


def test_a_fault_replaces_the_one_of_its_name() -> None:
    panel = FaultPanel(Clock())
    panel.set(Fault(FaultName.DELAY, delay_ms=5))
    panel.set(Fault(FaultName.DELAY, delay_ms=9))
    assert [fault.delay_ms for fault in panel.faults()] == [9]


def test_a_fault_of_some_markets_strikes_what_is_about_one_of_them() -> None:
    panel = FaultPanel(Clock())
    panel.set(Fault(FaultName.DROP, markets=("a", "b")))
    assert panel.strikes(FaultName.DROP, "a", "z")
    assert not panel.strikes(FaultName.DROP, "z")
    assert not panel.strikes(FaultName.DROP)
    panel.set(Fault(FaultName.DROP))
    assert panel.strikes(FaultName.DROP, "z")
    assert panel.strikes(FaultName.DROP)


def test_a_share_falls_on_that_share_of_the_chances_the_same_ones_for_one_seed() -> None:
    def chances(seed: int) -> list[bool]:
        panel = FaultPanel(Clock(), seed)
        panel.set(Fault(FaultName.DROP, share=0.25))
        return [panel.strikes(FaultName.DROP) is not None for _ in range(2_000)]

    assert chances(1) == chances(1) != chances(2)
    assert 400 < sum(chances(1)) < 600


def test_what_happens_once_is_told_and_not_in_force() -> None:
    panel = FaultPanel(Clock())
    struck: list[Fault] = []
    panel.on_strike.append(struck.append)
    once = [Fault(name) for name in ("cut", "channel_error", "overflow", "tick_change")]  # type: ignore[arg-type]
    once = [Fault(FaultName(fault.name)) for fault in once]
    once.append(Fault(FaultName.CHURN, detail="close"))
    for fault in once:
        panel.set(fault)
    assert struck == once
    assert panel.faults() == []
    lasting = [Fault(FaultName.MAINTENANCE), Fault(FaultName.CHURN), Fault(FaultName.DROP)]
    for fault in lasting:
        panel.set(fault)
    assert struck == [*once, *lasting[:2]]
    assert panel.faults() == lasting


def test_a_pause_is_a_pause_or_maintenance_and_the_skew_is_the_faults_delay() -> None:
    panel = FaultPanel(Clock())
    assert (panel.paused(), panel.skew_ns()) == (None, 0)
    panel.set(Fault(FaultName.MAINTENANCE))
    assert panel.paused() == Fault(FaultName.MAINTENANCE)
    panel.set(Fault(FaultName.CLOCK_SKEW, delay_ms=-3))
    assert panel.skew_ns() == -3 * MILLISECOND


def test_a_body_sets_what_it_says() -> None:
    body = {"name": "drop", "share": 0.5, "delay_ms": 2, "markets": ["a"], "for_ms": 7, "detail": "x"}
    fault = parse_fault(json.dumps(body).encode(), 1_000)
    assert fault == Fault(FaultName.DROP, 0.5, 2, ("a",), 1_000 + 7 * MILLISECOND, "x")
    shown = fault_body(fault, 2_000)
    assert (shown["name"], shown["markets"], shown["left_ms"]) == ("drop", ("a",), 7)
    assert parse_fault(b'{"name":"drop"}', 5) == Fault(FaultName.DROP)
    assert fault_body(Fault(FaultName.DROP), 5)["left_ms"] is None
    assert parse_fault(b'{"name":"clock_skew","delay_ms":-9}', 5).delay_ms == -9


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "JSON|truncated"),
        (b"[]", "object"),
        (b"{}", "name"),
        ({"name": 7}, "name"),
        ({"name": "droop"}, "'droop' is no fault; there are drop, "),
        ({"name": "drop", "share": 0}, "share: 0.0 "),
        ({"name": "drop", "share": 1.5}, "share: 1.5 "),
        ({"name": "drop", "share": "all"}, r"\$\.share"),
        ({"name": "drop", "for_ms": -1}, "for_ms: -1 "),
        ({"name": "drop", "delay_ms": -1}, "delay_ms: -1 "),
        ({"name": "delay"}, "delay_ms: delay does nothing"),
        ({"name": "rest_slow"}, "delay_ms: rest_slow does nothing"),
        ({"name": "drop", "markets": "a"}, r"\$\.markets"),
        ({"name": "drop", "until_ns": 5}, "until_ns"),
        ({"name": "malformed", "detail": "odd"}, "detail: 'odd' is not one of value, noise"),
        ({"name": "rest_500", "detail": "418"}, "detail: '418'"),
        ({"name": "churn", "detail": "explode"}, "detail: 'explode'"),
    ],
    ids=str,
)
def test_a_wrong_body_is_refused_by_the_name_of_its_field(body: Any, named: str) -> None:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(FaultError, match=named):
        parse_fault(text, 0)


def test_an_unknown_name_is_told_those_there_are() -> None:
    assert fault_name("cut") is FaultName.CUT
    with pytest.raises(FaultError, match=r"name: 'x' is no fault; there are .*rest_stale"):
        fault_name("x")
