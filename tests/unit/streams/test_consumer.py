"""Whole fetches reach the agent in order, and only what was acknowledged is committed."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from runtime.settings import KafkaSettings, load
from streams.app import make_app
from streams.consumer import FetchConsumer, Fetched, _Found, in_turns

LEFT, RIGHT = TP("book.kalshi", 0), TP("eu.book.polymarket", 0)


@dataclass(frozen=True)
class Record:
    """What aiokafka gives."""

    topic: str
    partition: int
    offset: int
    timestamp: int = 1000
    timestamp_type: int = 0
    key: bytes | None = None
    value: bytes | None = b""


def records(place: TP, count: int, first: int = 0) -> list[Record]:
    return [Record(place.topic, place.partition, first + number) for number in range(count)]


def test_partitions_take_turns_and_the_same_number_stands_together() -> None:
    found = {TP("b", 1): records(TP("b", 1), 3), TP("a", 1): records(TP("a", 1), 1), TP("b", 0): records(TP("b", 0), 2)}
    places = [(record.topic, record.partition, record.offset) for record in in_turns(found, 2)]
    assert places == [("b", 0, 0), ("b", 0, 1), ("a", 1, 0), ("b", 1, 0), ("b", 1, 1), ("b", 1, 2)]


@given(st.dictionaries(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), st.integers(1, 40), min_size=1))
def test_every_record_comes_once_and_a_partition_in_order(counts: dict[tuple[str, int], int]) -> None:
    found = {TP(*place): records(TP(*place), count) for place, count in counts.items()}
    flat = in_turns(found)
    assert len(flat) == sum(counts.values())
    for place, expected in found.items():
        assert [record for record in flat if TP(record.topic, record.partition) == place] == expected


class World:
    """A consumer whose fetches are prepared and whose agent is a queue."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DUTCHBOOK_DATA_DIR", str(folder))
        self.app = make_app("test", load(KafkaSettings), 6066)
        self.app.consumer_generation_id = 1
        self.consumer: FetchConsumer = self.app.consumer
        self.fetches: deque[tuple[dict[TP, list[Record]], int]] = deque()
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.sought = 0
        self.ended = asyncio.Event()
        channel = type("Channel", (), {"queue": self.queue})()
        for place in (LEFT, RIGHT):
            self.app.topics._tp_index[place] = {channel}
        monkeypatch.setattr(self.consumer, "_wait_next_records", self._next)
        monkeypatch.setattr(self.consumer, "perform_seek", self._seek)
        monkeypatch.setattr(self.consumer, "highwater", lambda _: 0)
        monkeypatch.setattr("streams.consumer.ROOM_S", 0.01)

    async def _next(self, _timeout_s: float) -> tuple[_Found, None]:
        if not self.fetches:
            self.ended.set()
            await asyncio.sleep(0.001)
            return _Found({}, self.app.consumer_generation_id), None
        return _Found(*self.fetches.popleft()), None

    async def _seek(self) -> None:
        self.sought += 1

    async def drained(self) -> None:
        """Run the consumer's loop until it has handed over every prepared fetch."""
        loop = asyncio.create_task(self.consumer._drain_messages(self.consumer))
        async with asyncio.timeout(5):
            await self.ended.wait()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)

    def given(self) -> list[list[int]]:
        """The offsets of every fetch in the agent's queue."""
        events = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        assert all(isinstance(event.value, Fetched) for event in events)
        return [[record.offset for record in event.value.records] for event in events]


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, story: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def told() -> None:
        world = World(folder, monkeypatch)
        try:
            await story(world)
        finally:
            world.consumer._thread.thread_loop.close()

    asyncio.run(told())


def test_a_fetch_is_one_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.fetches.append(({LEFT: records(LEFT, 2), RIGHT: records(RIGHT, 1, 7)}, 1))
        await world.drained()
        assert world.given() == [[0, 1, 7]]
        assert world.sought == 0

    run(tmp_path, monkeypatch, story)


def test_the_next_fetch_waits_until_the_agent_has_taken_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        for first in (0, 5, 9):
            world.fetches.append(({LEFT: records(LEFT, 1, first)}, 1))
        loop = asyncio.create_task(world.consumer._drain_messages(world.consumer))
        await asyncio.sleep(0.05)
        assert world.given() == [[0]]
        world.consumer.took()
        await asyncio.sleep(0.05)
        assert world.given() == [[5]]
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)

    run(tmp_path, monkeypatch, story)


@pytest.mark.parametrize("waits", [False, True])
def test_a_fetch_of_an_assignment_before_is_sought_again(
    waits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        world.fetches.append(({LEFT: records(LEFT, 3)}, 1))
        if waits:
            world.queue.put_nowait(None)
        else:
            world.app.consumer_generation_id = 2
        loop = asyncio.create_task(world.consumer._drain_messages(world.consumer))
        await asyncio.sleep(0.03)
        world.app.consumer_generation_id = 2
        await asyncio.sleep(0.05)
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        assert world.queue.qsize() == waits
        assert world.sought == 1

    run(tmp_path, monkeypatch, story)


def test_nothing_is_handed_over_while_the_flow_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        world.consumer.stop_flow()
        world.fetches.append(({LEFT: records(LEFT, 3)}, 1))
        await world.drained()
        assert world.given() == []
        assert world.sought == 1

    run(tmp_path, monkeypatch, story)


def test_what_is_committed_is_what_was_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        consumer = world.consumer
        assert list(consumer._filter_tps_with_pending_acks()) == []
        consumer.acknowledge(LEFT.topic, LEFT.partition, 12)
        consumer.acknowledge(LEFT.topic, LEFT.partition, 15)
        consumer.acknowledge(RIGHT.topic, RIGHT.partition, 3)
        assert list(consumer._filter_tps_with_pending_acks()) == [LEFT, RIGHT]
        assert list(consumer._filter_tps_with_pending_acks({"book.kalshi"})) == [LEFT]
        consumer._committed_offset[RIGHT] = 3
        assert consumer._filter_committable_offsets([LEFT, RIGHT]) == {LEFT: 15}

    run(tmp_path, monkeypatch, story)


@pytest.mark.parametrize("moment", ["revoked", "assigned"])
def test_acknowledgements_of_an_assignment_before_are_never_committed(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        async def nothing(*_: Any) -> None:
            pass

        consumer = world.consumer
        monkeypatch.setattr(consumer, "_on_partitions_revoked", nothing)
        monkeypatch.setattr(consumer, "_on_partitions_assigned", nothing)
        consumer.acknowledge(LEFT.topic, LEFT.partition, 12)
        if moment == "revoked":
            await consumer.on_partitions_revoked({LEFT})
        else:
            await consumer.on_partitions_assigned({LEFT}, 2)
        assert consumer._filter_committable_offsets([LEFT]) == {}

    run(tmp_path, monkeypatch, story)
