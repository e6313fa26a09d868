"""A mirror is well unless something waits at its source and nothing comes out."""

import time
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from infra.mirrormaker import passage
from infra.mirrormaker.passage import Passage, Watch
from runtime.settings import KafkaSettings


def test_a_source_that_is_silent_says_nothing() -> None:
    assert Passage(0).stuck_s(1000) == 0


def test_what_never_comes_out_is_stuck_from_when_it_was_seen() -> None:
    mirror = Passage(0)
    mirror.sent(1, now_s=100)
    mirror.sent(2, now_s=110)
    assert mirror.stuck_s(130) == 30


def test_a_mirror_that_is_behind_works_while_something_comes_out() -> None:
    mirror = Passage(0)
    for second in range(100):
        mirror.sent(1000 * second, now_s=second)
        mirror.arrived(10 * second, now_s=second)
    assert mirror.stuck_s(99) == 0
    assert mirror.stuck_s(140) == 41


def test_a_mirror_that_has_brought_everything_is_well_for_ever() -> None:
    mirror = Passage(0)
    mirror.sent(5, now_s=1)
    mirror.arrived(5, now_s=2)
    assert mirror.stuck_s(10_000) == 0
    mirror.sent(6, now_s=10_000)
    assert mirror.stuck_s(10_001) == 1


def test_what_comes_out_again_is_no_progress() -> None:
    mirror = Passage(0)
    mirror.sent(5, now_s=1)
    mirror.arrived(3, now_s=2)
    mirror.arrived(3, now_s=50)
    mirror.arrived(2, now_s=60)
    assert mirror.stuck_s(62) == 60


class Message:
    def __init__(self, timestamp_ms: int) -> None:
        self._timestamp_ms = timestamp_ms

    def error(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, self._timestamp_ms


class Cluster:
    """Gives a beat at each poll, one second after the last, while it flows."""

    def __init__(self, address: str, _group: str) -> None:
        self.address = address
        self.flows = True
        self.topics: list[str] = []
        self.closed = False
        self._beats = 0

    def assign(self, places: list[Any]) -> None:
        self.topics = [place.topic for place in places]

    def poll(self, _timeout_s: float) -> Message | None:
        time.sleep(0.001)
        if not self.flows:
            return None
        self._beats += 1
        return Message(1000 * self._beats)

    def close(self) -> None:
        self.closed = True


def test_the_file_is_touched_while_beats_come_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clusters: dict[str, Cluster] = {}
    now = [0.0]
    touches: list[float] = []

    class Health:
        def touch(self) -> None:
            touches.append(now[0])

    def make(address: str, group: str) -> Any:
        return clusters.setdefault(address, Cluster(address, group))

    def wait_for(condition: Any) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    monkeypatch.setattr(passage, "HEALTH", Health())
    with capture_logs() as logged:
        watch = Watch(KafkaSettings(kafka_us="us:1", kafka_eu="eu:1", run=""), "us", make=make, clock=lambda: now[0])
        watch.start()
        wait_for(lambda: len(touches) > 5)
        assert {cluster.address: cluster.topics for cluster in clusters.values()} == {
            "eu:1": ["heartbeat"],
            "us:1": ["eu.heartbeat"],
        }
        clusters["us:1"].flows = False
        time.sleep(0.02)
        now[0] = 31.0
        time.sleep(0.02)
        count = len(touches)
        time.sleep(0.05)
        assert len(touches) == count
        wait_for(lambda: bool(logged))
        clusters["us:1"].flows = True
        wait_for(lambda: len(touches) > count)
        watch.stop()
    assert [(entry["mirror"], entry["event"]) for entry in logged] == [("eu->us", "nothing comes through the mirror")]
    assert all(cluster.closed for cluster in clusters.values())
