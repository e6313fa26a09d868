"""A run's topics: named after their origins, none of them a live one, none with a cluster alias as a segment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.runs import (
    EARLIER,
    INPUTS,
    MANIFEST,
    RunNameError,
    check_run_name,
    group_of,
    is_whole,
    run_creations,
    run_of,
    run_prefixes,
    run_topic,
)
from schemas.topics import REGIONS, creations

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?", fullmatch=True).filter(lambda name: name not in REGIONS)


def test_a_topic_of_a_run_and_without_a_run() -> None:
    assert run_topic("r1", "book.kalshi") == "replay.r1.book.kalshi"
    assert run_topic("r1", "eu.book.polymarket") == "replay.r1.eu-book.polymarket"
    assert run_topic("", "eu.book.polymarket") == "eu.book.polymarket"
    assert (group_of("dutchbook-detector", "r1"), group_of("dutchbook-detector", "")) == (
        "dutchbook-detector.r1",
        "dutchbook-detector",
    )


@given(NAMES)
def test_runs_share_no_topic_with_what_is_live_or_with_mirrormaker(run: str) -> None:
    assert check_run_name(run) == run
    plan = run_creations(run)
    names = [creation.name for creation in plan]
    assert len(set(names)) == len(names)
    assert not set(names) & {creation.name for region in REGIONS for creation in creations(region)}
    assert all(name.startswith(run_prefixes(run)) for name in names)
    assert not [name for name in names if set(name.split(".")) & set(REGIONS)]
    assert [run_of(name) for name in names if run_of(name) is not None] == [run]


def test_a_run_has_all_that_the_workers_read_and_write_partitioned_as_it_was() -> None:
    live = {creation.name: creation.partitions for creation in creations("us")}
    made = {creation.name: creation for creation in run_creations("r1")}
    results = ("opportunity", "analysis", "ticket", "journal.detector", "metric", "alert", "heartbeat", "order.kalshi")
    for origin in (*INPUTS, *results, "order.polymarket", "execution.kalshi", "eu.execution.polymarket"):
        assert made[run_topic("r1", origin)].partitions == live[origin]
        assert f"deadletter.{run_topic('r1', origin)}" in made
    assert {made[run_topic("r1", origin)].partitions for origin in (MANIFEST, EARLIER)} == {1}
    assert {creation.configuration["retention.ms"] for creation in made.values()} == {"-1"}
    assert {creation.configuration["cleanup.policy"] for creation in made.values()} == {"delete"}


def test_what_is_replayed() -> None:
    assert set(INPUTS) == {
        "book.kalshi", "eu.book.polymarket", "market.kalshi", "eu.market.polymarket", "group", "control", "eu.control"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["", "us", "eu", "A", "a.b", "-a", "a-", "a b", "a" * 49, "ä", "a\n"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(RunNameError, match=r"is no name of a run"):
        check_run_name(name)


def test_another_topic_is_no_manifest() -> None:
    for topic in ("replay.r1.ticket", "replay.r1.run.x", "run", "replay.us.run" + "x", "deadletter.replay.r1.run"):
        assert run_of(topic) is None


@pytest.mark.parametrize(
    ("manifest", "whole"),
    [
        (b'{"run": "r1", "state": "publishing"}', False),
        (b'{"run": "r1", "state": "published"}', True),
        (b'{"run": "r1", "state": "failed"}', True),
        (b"{}", False),
        (b"[1]", False),
        (b"nonsense", False),
    ],
)
def test_a_run_is_whole_when_its_manifest_says_so(manifest: bytes, whole: bool) -> None:
    assert is_whole(manifest) == whole
