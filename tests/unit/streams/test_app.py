"""Events are acknowledged in order, not before everything emitted for them is delivered; and a stall is noticed."""

import asyncio

from confluent_kafka import KafkaException, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from streams.app import OrderedAcks, ProgressWatch, Token


class Event:
    """Stands for a Faust event: remembers that it was acknowledged."""

    def __init__(self, number: int, order: list[int]) -> None:
        self.number = number
        self._order = order

    def ack(self) -> None:
        self._order.append(self.number)


@given(st.lists(st.integers(0, 3), max_size=12), st.randoms(use_true_random=False))
def test_acknowledged_in_order_and_only_when_delivered(expected: list[int], random: object) -> None:
    acknowledged: list[int] = []

    async def run() -> None:
        acks = OrderedAcks()
        tokens: list[Token] = []
        for number, count in enumerate(expected):
            token = acks.add(Event(number, acknowledged))
            token.expect(count)
            token.seal()
            tokens.append(token)
        deliveries = [number for number, count in enumerate(expected) for _ in range(count)]
        random.shuffle(deliveries)  # type: ignore[attr-defined]
        left = list(expected)
        for number in deliveries:
            tokens[number].done_one()
            left[number] -= 1
            await asyncio.sleep(0)
            finished = next((index for index, count in enumerate(left) if count), len(left))
            assert acknowledged == list(range(finished))
        await asyncio.sleep(0)
        assert acknowledged == list(range(len(expected)))
        assert len(acks) == 0

    asyncio.run(run())


def test_an_unsealed_event_waits() -> None:
    acknowledged: list[int] = []

    async def run() -> None:
        acks = OrderedAcks()
        token = acks.add(Event(0, acknowledged))
        token.expect()
        token.done_one()
        await asyncio.sleep(0)
        assert acknowledged == []
        token.seal()
        await asyncio.sleep(0)
        assert acknowledged == [0]

    asyncio.run(run())


def test_deliveries_from_another_thread_wake_the_loop() -> None:
    acknowledged: list[int] = []

    async def run() -> None:
        acks = OrderedAcks()
        token = acks.add(Event(7, acknowledged))
        token.expect()
        token.seal()
        await asyncio.to_thread(token.done_one)
        await asyncio.sleep(0)
        assert acknowledged == [7]

    asyncio.run(run())


def test_forgotten_events_are_never_acknowledged() -> None:
    acknowledged: list[int] = []

    async def run() -> None:
        acks = OrderedAcks()
        token = acks.add(Event(0, acknowledged))
        token.expect()
        token.seal()
        acks.forget()
        token.done_one()
        await asyncio.sleep(0)
        assert acknowledged == []

    asyncio.run(run())


class Cluster:
    """Ends and commits of the one partition that a watch looks at."""

    def __init__(self) -> None:
        self.low, self.high, self.committed_offset, self.down = 0, 0, -1001, False

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition(place.topic, place.partition, self.committed_offset) for place in places]

    def get_watermark_offsets(self, _place: TopicPartition, timeout: float) -> tuple[int, int]:
        if self.down:
            raise KafkaException("down")
        return self.low, self.high


PLACE = ("book.kalshi", 3)


def watched() -> tuple[ProgressWatch, Cluster]:
    watch = ProgressWatch("x", "g", ["book.kalshi"])
    watch.assigned({PLACE, ("another", 0)})
    return watch, Cluster()


def test_records_that_wait_for_the_whole_limit_are_a_stall() -> None:
    watch, cluster = watched()
    cluster.high = 5
    assert [watch.look(cluster, now) for now in (0.0, 5.0, 19.0)] == [None] * 3
    assert watch.look(cluster, 20.0) == PLACE


def test_a_record_that_has_just_come_to_a_quiet_partition_is_none() -> None:
    watch, cluster = watched()
    watch.processed(*PLACE, 4)
    cluster.high = 5
    assert watch.look(cluster, 0.0) is None
    cluster.high = 6  # after a long time
    assert watch.look(cluster, 1000.0) is None
    watch.processed(*PLACE, 5)
    cluster.high = 7
    assert watch.look(cluster, 1019.0) is None
    assert watch.look(cluster, 1038.0) is None
    assert watch.look(cluster, 1039.0) == PLACE


def test_neither_a_broker_that_is_down_nor_an_assignment_before_counts() -> None:
    watch, cluster = watched()
    cluster.high = 5
    assert watch.look(cluster, 0.0) is None
    cluster.down = True
    assert watch.look(cluster, 30.0) is None
    cluster.down = False
    assert watch.look(cluster, 35.0) is None
    watch.assigned({PLACE})
    assert watch.look(cluster, 60.0) is None
    cluster.committed_offset = 5
    assert watch.look(cluster, 90.0) is None
