"""A replay keeps order, content, time and place; its pace is the recorded one divided by the speed."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from schemas.runs import run_creations
from streams.replay import publish
from streams.replay.entry import NotReplayed, Replayed
from streams.replay.publish import Counts, Item, Pace, Replay, Stopped, items_of
from streams.replay.runs import Manifest
from streams.replay.script import Filter, PartitionScript, Stretch, script_of
from tests.unit.streams.replay.story import NUMBER, Memory, crossings, told
from tests.unit.trading import SECOND

ALL = Stretch()
MANIFEST = Manifest(
    run="r1", state="publishing", created_ns=1, updated_ns=1, from_ns=0, to_ns=0, groups=(), speed="1", cold=False
)


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds, 6))
        self.now += seconds

    def pace(self, speed: float) -> Pace:
        return Pace(speed, lambda: self.now, self.sleep)


def test_records_come_at_the_recorded_distances_divided_by_the_speed() -> None:
    clock = Clock()
    pace = clock.pace(2)
    pace.wait(5 * SECOND, begins=False)  # nothing has begun
    pace.wait(10 * SECOND, begins=True)
    pace.wait(13 * SECOND, begins=True)
    pace.wait(13 * SECOND + 100, begins=True)  # too short a wait
    clock.now += 2.0  # behind: no wait until it has caught up
    pace.wait(15 * SECOND, begins=True)
    pace.wait(18 * SECOND, begins=False)
    assert clock.waits == [1.5, 0.5]


def test_as_fast_as_it_is_read_waits_for_nothing() -> None:
    clock = Clock()
    for at in (1, 10**15):
        clock.pace(0).wait(at, begins=True)
    assert clock.waits == []


class Message:
    """What confluent gives."""

    def __init__(self, value: bytes | None, key: bytes | None, partition: int, at_ms: int, topic: str = "") -> None:
        self._said = value, key, partition, at_ms, topic

    def value(self) -> bytes | None:
        return self._said[0]

    def key(self) -> bytes | None:
        return self._said[1]

    def partition(self) -> int:
        return self._said[2]

    def timestamp(self) -> tuple[int, int]:
        return 1, self._said[3]

    def topic(self) -> str:
        return self._said[4]


class Records:
    """The story's records as messages."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def input_record(self, entry: Any) -> Message:
        return Message(self._memory.input(entry), None, NUMBER, 7000 + entry.offset)

    def reference_record(self, entry: Any) -> Message:
        key, value = self._memory.reference(entry)
        return Message(value, key.encode(), 0, 6000 + entry.offset)


class FakePublisher:
    """Keeps everything that was published."""

    def __init__(self, *_: Any) -> None:
        self.records: list[dict[str, Any]] = []

    def publish(self, topic: str, value: bytes | None, **more: Any) -> None:
        self.records.append({"topic": topic, "value": value} | more)

    def flush(self, *_: Any) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> FakePublisher:
    made = FakePublisher()
    monkeypatch.setattr(publish, "Publisher", lambda *_: made)
    monkeypatch.setattr(publish, "create_topics", lambda _, plan: assert_is_the_runs(plan))
    return made


def assert_is_the_runs(plan: Any) -> None:
    assert plan == run_creations("r1")


def script(memory: Memory) -> PartitionScript:
    return script_of(NUMBER, memory.journal, memory.known, ALL)


def items(memory: Memory, controls: list[Item]) -> Iterator[Item]:
    chosen = Filter(frozenset(), memory.reference)
    return items_of([script(memory)], ALL, Records(memory), controls, chosen)  # type: ignore[arg-type]


def test_everything_is_published_in_order_with_its_place(publisher: FakePublisher) -> None:
    memory = told([*crossings(), ("revoke",), *crossings()])
    last_ns = max(epoch.last_stamp() for epoch, _ in script(memory).epochs)
    message: Any = Message(b"halt", b"all", 0, 9000, "eu.control")
    control = Item(last_ns, False, "eu.control", None, message)
    clock = Clock()
    done = Replay("x", MANIFEST, lambda _: None).publish([b"seed"], items(memory, [control]), clock.pace(1))
    records = [one for one in publisher.records if not one["topic"].endswith(".run")]
    assert records[0] == {"topic": "replay.r1.earlier", "value": b"seed"}
    replayed = [(one, Replayed.read(one["headers"], "input")) for one in records[1:] if one["headers"]]
    assert [told_.turn for _, told_ in replayed] == list(range(len(replayed)))
    assert [told_.run_turn for _, told_ in replayed] == list(range(len(replayed)))
    for one, told_ in replayed:
        entry = told_.entry
        assert one["topic"] == f"replay.r1.{entry.topic.replace('eu.', 'eu-')}"
        if "book" in entry.topic:
            assert (one["value"], one["partition"], one["key"]) == (memory.input(entry), NUMBER, None)
            assert one["timestamp_ms"] == 7000 + entry.offset
        else:
            assert one["key"] == memory.reference(entry)[0].encode()
            assert one["timestamp_ms"] == 6000 + entry.offset
    assert [one["topic"] for one in records if not one.get("headers")][1:] == ["replay.r1.eu-control"]
    stamps = [told_.entry.received_ns for _, told_ in replayed if "book" in told_.entry.topic]
    assert sum(clock.waits) == pytest.approx((stamps[-1] - stamps[0]) / 1e9)
    said = [one["value"] for one in publisher.records if one["topic"] == "replay.r1.run"]
    manifests = [msgspec.json.decode(value, type=Manifest) for value in said]
    assert [one.state for one in manifests] == ["publishing", "published"]
    assert manifests[-1] == done
    assert done.entries == {NUMBER: len(replayed)}
    assert done.last[NUMBER] == (replayed[-1][1].entry.epoch, replayed[-1][1].entry.position)
    assert (done.first_ns, done.last_ns) == (stamps[0], stamps[-1])
    assert sum(done.records.values()) == len(replayed) + 1
    assert done.lead_in == 6  # what the detector was told when each of the two epochs began


def test_turns_are_counted_for_each_partition_and_for_the_run(publisher: FakePublisher) -> None:
    memory = told(list(crossings()))
    one = script(memory)
    entries = tuple((replace(epoch, partition=2), last) for epoch, last in one.epochs)
    chosen = Filter(frozenset(), memory.reference)
    both = items_of([one, PartitionScript(2, entries, ())], ALL, Records(memory), [], chosen)  # type: ignore[arg-type]
    Replay("x", MANIFEST, lambda _: None).publish([], both, Pace(0))
    replayed = [Replayed.read(one["headers"], "input") for one in publisher.records if one.get("headers")]
    assert [told_.run_turn for told_ in replayed] == list(range(len(replayed)))
    for number in (2, NUMBER):
        turns = [told_.turn for told_ in replayed if told_.entry.partition == number]
        assert turns == list(range(len(replayed) // 2))


def test_a_replay_that_fails_or_is_stopped_says_so(publisher: FakePublisher) -> None:
    def stopped(_: Counts) -> None:
        raise Stopped("stopped")

    with pytest.raises(Stopped):
        Replay("x", MANIFEST, stopped).publish([], items(told(list(crossings())), []), Pace(0))
    last = msgspec.json.decode(publisher.records[-1]["value"], type=Manifest)
    assert (last.state, last.reason) == ("failed", "stopped")


def test_headers_that_are_not_a_replays() -> None:
    with pytest.raises(NotReplayed, match="origin"):
        Replayed.read([("turn", b"1")], "input")
    with pytest.raises(NotReplayed, match="not a record of a replay"):
        Replayed.read([(name, b"x") for name in ("turn", "epoch", "position", "received_ns", "origin")], "input")
