"""What a replay needs before its first record, and when it is done."""

from typing import Any

import pytest

from infra import replay
from infra.replay import Progress, Wish, has_inputs, workers
from schemas.codec import encode
from schemas.records import Journal
from streams.core.journal import JournalRun
from streams.replay.runs import Manifest
from streams.replay.script import Stretch, script_of
from tests.unit.kafka_fakes import FakeMessage
from tests.unit.streams.replay.story import NUMBER, crossings, told
from tests.unit.trading import SECOND


@pytest.mark.parametrize(
    ("from_ns", "to_ns", "expected"),
    [
        (None, None, True),
        (None, SECOND, False),
        (None, 2 * SECOND, True),
        (SECOND, None, True),
        (10 * SECOND, None, False),
        (2 * SECOND, 3 * SECOND, False),
    ],
)
def test_whether_there_is_anything_in_a_stretch(from_ns: int | None, to_ns: int | None, expected: bool) -> None:
    memory = told(list(crossings()))
    stretch = Stretch(from_ns, to_ns)
    assert has_inputs(script_of(NUMBER, memory.journal, memory.known, stretch), stretch) is expected


def test_the_workers_are_those_of_the_pipeline_with_the_runs_name(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("DUTCHBOOK_HURDLE_PPM", "7")
    monkeypatch.setenv("DUTCHBOOK_KALSHI_KEY_ID", "secret")
    specs = {spec.name: spec for spec in workers("h:1", Wish("r1", Stretch(), 0.0, "max", False, tmp_path))}
    assert list(specs) == ["detector", "executor", "gateway-kalshi", "gateway-polymarket"]
    for spec in specs.values():
        assert spec.env["DUTCHBOOK_RUN"] == "r1"
        assert spec.env["DUTCHBOOK_KAFKA_US"] == "h:1"
        assert spec.env["DUTCHBOOK_HURDLE_PPM"] == "7"
        assert "DUTCHBOOK_KALSHI_KEY_ID" not in spec.env


class FakeConsumer:
    """Gives what is put into it."""

    def __init__(self) -> None:
        self.messages: list[FakeMessage] = []

    def assign(self, places: Any) -> None:
        self.places = [(place.topic, place.partition) for place in places]

    def poll(self, _: float) -> FakeMessage | None:
        return self.messages.pop(0) if self.messages else None

    def close(self) -> None:
        pass


def journal(partition: int, epoch: int, *counts: int) -> list[Journal]:
    run = JournalRun(partition, epoch)
    run.assign("{}")
    records = []
    for count in counts:
        for offset in range(count):
            run.input("book.kalshi", offset, 1)
        record = run.take()
        assert record is not None
        records.append(record)
    return records


def test_a_run_is_taken_in_when_every_partitions_last_entry_is_journalled(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeConsumer()
    monkeypatch.setattr(replay, "consumer", lambda *_: client)
    manifest = Manifest(
        run="r1", state="published", created_ns=1, updated_ns=1, from_ns=0, to_ns=0, groups=(), speed="1", cold=False,
        last={0: (5, 3), 2: (9, 1)},
    )  # fmt: skip
    progress = Progress("x", manifest)
    topic = "replay.r1.journal.detector"
    assert client.places[:2] == [(topic, 0), (topic, 2)]
    assert not progress.journalled()
    first, second = journal(0, 5, 2, 1)
    client.messages = [FakeMessage(topic, encode(first))]
    assert not progress.journalled()
    client.messages = [FakeMessage(topic, encode(one)) for one in journal(2, 8, 9)]  # an earlier epoch
    assert not progress.journalled()
    client.messages = [FakeMessage(topic, encode(one)) for one in [second, *journal(2, 9, 1)]]
    assert progress.journalled()
