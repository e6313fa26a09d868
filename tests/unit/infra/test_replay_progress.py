"""A replay starts all that a run needs, and has ended when nobody has anything left to do."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from infra import replay as module
from infra.replay import Progress, Wish, workers
from schemas.codec import encode
from schemas.records import Journal, JournalItem
from schemas.runs import run_creations
from streams.replay.runs import Manifest
from streams.replay.script import Stretch
from tests.unit.infra.kafka_cluster import FakeCluster
from tests.unit.sinks.make import ticket

JOURNAL = "replay.r1.journal.detector"
TICKET = "replay.r1.ticket"
MANIFEST = Manifest(
    run="r1", state="published", created_ns=0, updated_ns=0, from_ns=0, to_ns=0, groups=(), speed="max", cold=False,
    last={3: (7, 1)},
)  # fmt: skip


def wish() -> Wish:
    return Wish("r1", Stretch(None, None, frozenset(), False), 0.0, "max", False, Path("/data/replays"))


def test_detector_executor_and_both_gateways_work_on_the_run_and_get_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUTCHBOOK_KALSHI_KEY_ID", "secret")
    monkeypatch.setenv("DUTCHBOOK_POSTGRES_PASSWORD", "secret")
    monkeypatch.setenv("DUTCHBOOK_PAPER_LATENCY_MS", "70")
    found = workers("127.0.0.1:9", wish())
    assert [spec.name for spec in found] == ["detector", "executor", "gateway-kalshi", "gateway-polymarket"]
    assert [spec.argv[1:] for spec in found[2:]] == [
        ("-m", "producers.kalshi.gateway"),
        ("-m", "producers.polymarket.gateway"),
    ]
    for spec in found:
        assert dict(spec.env) == {
            "DUTCHBOOK_KAFKA_US": "127.0.0.1:9",
            "DUTCHBOOK_RUN": "r1",
            "DUTCHBOOK_DATA_DIR": "/data/replays/r1",
            "DUTCHBOOK_REGION": "us",
            "DUTCHBOOK_PAPER_LATENCY_MS": "70",
        }


class Lags:
    """What the groups have not committed."""

    def __init__(self) -> None:
        self.asked: dict[str, Sequence[str]] = {}
        self.left: dict[str, int] = {}

    def __call__(self, _address: str, group: str, topics: Sequence[str]) -> int:
        self.asked[group] = topics
        return self.left.get(group, 0)


@pytest.fixture
def lags(monkeypatch: pytest.MonkeyPatch) -> Lags:
    made = Lags()
    monkeypatch.setattr(module, "group_lag", made)
    return made


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    made = FakeCluster([TICKET])
    made.create(JOURNAL, 8)
    monkeypatch.setattr(module, "consumer", made.consumer)
    return made


def journal(cluster: FakeCluster, position: int) -> None:
    item = JournalItem(kind="reference", topic="group", partition=0, offset=0, count=1, stamps=b"", detail="")
    cluster.add(JOURNAL, encode(Journal(partition=3, epoch=7, position=position, items=(item,))), partition=3)


def test_a_run_is_worked_off_when_its_last_entry_is_journalled_and_nothing_waits(
    cluster: FakeCluster, lags: Lags
) -> None:
    progress = Progress("", MANIFEST)
    assert not progress.done()
    journal(cluster, 0)
    assert not progress.done()
    journal(cluster, 1)
    assert progress.done()
    assert lags.asked == {
        "dutchbook-executor.r1": [
            "replay.r1.opportunity", "replay.r1.execution.kalshi", "replay.r1.eu-execution.polymarket"
        ],
        "dutchbook-gateway.kalshi.r1": ["replay.r1.order.kalshi"],
        "dutchbook-gateway.polymarket.r1": ["replay.r1.order.polymarket"],
    }  # fmt: skip
    names = {creation.name for creation in run_creations("r1")}
    assert {topic for topics in lags.asked.values() for topic in topics} <= names


@pytest.mark.parametrize("base", ["executor", "gateway.kalshi", "gateway.polymarket"])
def test_a_group_that_lags_is_waited_for(base: str, cluster: FakeCluster, lags: Lags) -> None:
    journal(cluster, 1)
    progress = Progress("", MANIFEST)
    lags.left = {f"dutchbook-{base}.r1": 1}
    assert not progress.done()
    lags.left = {}
    assert progress.done()


def test_a_ticket_that_is_working_is_waited_for_and_an_unknown_one_is_not(cluster: FakeCluster, lags: Lags) -> None:
    journal(cluster, 1)
    cluster.add(TICKET, encode(ticket(1)))
    cluster.add(TICKET, encode(ticket(2)))
    cluster.add(TICKET, encode(ticket(2, 1, state="filled")))
    progress = Progress("", MANIFEST)
    assert not progress.done()
    cluster.add(TICKET, encode(ticket(1, 1, state="unknown")))
    assert progress.done()
    assert lags.asked
