"""When a stack is ready, and what it says of markets that their venue does not know."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from infra.local import stack as module
from infra.local.pipeline import SOURCES
from infra.local.stack import ALL_PORTS, Stack, StackOptions, make_key, markets_of, unhealthy
from schemas.records import Group, Member, Metric, Relation, Sample
from tests.unit.kafka_fakes import FakeMessage


def group(name: str) -> Group:
    members = (Member(venue="kalshi", market=f"K-{name}"), Member(venue="polymarket", market=f"0x{name}"))
    return Group(
        group=name,
        members=members,
        relations=(Relation(kind="same", members=(0, 1)),),
        status="approved",
        evidence="",
        rules_fingerprint="",
        updated_by="test",
        updated_ns=0,
    )


GROUPS = [group("a"), group("b"), group("c")]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def stack(tmp_path: Path, said: list[str]) -> Stack:
    ports = {name: 20_000 + number for number, name in enumerate(ALL_PORTS)}
    none: Any = None
    return Stack(none, none, StackOptions(tmp_path, None, "1", {}), ports, said.append)


def report(stack: Stack, source: str, **gauges: int) -> None:
    venue = source.partition(".")[2]
    samples = tuple(
        Sample(name=f"dutchbook_{name}", labels={"venue": venue}, value=value) for name, value in gauges.items()
    )
    stack.observer.seen.metrics[source, 1] = Metric(
        source=source, region="us", instance_ns=1, time_ns=1, samples=samples
    )


def report_all(stack: Stack, kalshi: dict[str, int], polymarket: dict[str, int]) -> None:
    for source in SOURCES:
        report(stack, source)
    report(stack, "producer.kalshi", **kalshi)
    report(stack, "producer.polymarket", **polymarket)


def test_what_has_not_reported_is_named(stack: Stack) -> None:
    assert stack._missing([]) == [f"{source} has not reported" for source in SOURCES]


def test_every_market_is_waited_for(stack: Stack) -> None:
    report_all(stack, {"markets_subscribed": 3}, {"markets_subscribed": 1})
    assert stack._missing(GROUPS) == ["polymarket follows 1 of 3 markets"]


def test_a_market_that_its_venue_does_not_know_is_not_waited_for(stack: Stack) -> None:
    report_all(stack, {"markets_subscribed": 3}, {"markets_subscribed": 2, "markets_unknown": 1})
    assert stack._missing(GROUPS) == []


def test_it_is_named_in_a_warning(stack: Stack, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def read(bootstrap: str, topics: list[str]) -> list[FakeMessage]:
        assert (bootstrap, topics) == (stack.addresses.kafka_eu, ["market.polymarket"])
        return [FakeMessage("market.polymarket", b"", key=key) for key in (b"0xa", b"0xc")]

    monkeypatch.setattr(module, "read_whole", read)
    report_all(stack, {"markets_subscribed": 3}, {"markets_subscribed": 2, "markets_unknown": 1})
    stack._warn_of_unknown_markets(GROUPS)
    assert said == ["warning      polymarket does not know market 0xb of group b; the others go on"]
    assert stack.warnings == ["polymarket does not know market 0xb of group b; the others go on"]


def test_no_warning_when_every_market_is_known(stack: Stack, said: list[str]) -> None:
    report_all(stack, {"markets_subscribed": 3}, {"markets_subscribed": 3})
    stack._warn_of_unknown_markets(GROUPS)
    assert said == []


def test_markets_of_a_venue() -> None:
    assert markets_of(GROUPS, "kalshi") == {"K-a": "a", "K-b": "b", "K-c": "c"}


def test_the_simulators_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    private, public = make_key(tmp_path / "key")
    first = private.read_bytes()
    load_pem_private_key(first, password=None)
    assert private.stat().st_mode & 0o777 == 0o600
    assert b"PUBLIC KEY" in public.read_bytes()
    assert make_key(tmp_path / "key") == (private, public)
    assert private.read_bytes() == first


def test_a_part_that_was_started_again_is_unhealthy() -> None:
    supervisor: Any = SimpleNamespace(
        records={"detector": SimpleNamespace(restarts=2), "executor": SimpleNamespace(restarts=0)}
    )
    assert unhealthy(supervisor) == ["detector died and was started again 2 times"]
