"""Faust's consumer, one event a fetch: everything a fetch brought reaches the agent in one hop, in order.

Faust itself gives every record two tasks, a lock, an event and four sensors on its way from the fetch to the agent,
about 100 microseconds (docs/profile.md). Here that price is paid once a fetch. What Faust does stays Faust's: group
membership, assignment, flow control while partitions move, generations, seeking and committing.

An event's value is a `Fetched`. It is acknowledged not as an event but record by record: `acknowledge` says up to where
a partition is done, and the next commit tells the broker. An app has one agent, which reads all of its topics.
"""

import asyncio
from collections.abc import Iterator, Mapping, MutableSet, Sequence
from typing import Any, Final, NamedTuple

from faust.transport.conductor import Conductor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from faust.types.tuples import Message

TURN: Final = 16
"""Records of one partition that are taken in before those of the next: a fetch's order is nobody else's."""
ROOM_S: Final = 0.5
AHEAD: Final = 1
"""Fetches that wait while the agent is busy with another one."""


class Fetched(NamedTuple):
    """What one fetch brought, the partitions' records in turns, each partition's in order.

    A record has `topic`, `partition`, `offset`, `key` and `value`.
    """

    records: list[Any]


def in_turns(found: Mapping[TP, Sequence[Any]], turn: int = TURN) -> list[Any]:
    """The records of all partitions: up to `turn` of each, then the next of each, and so on.

    What has the same partition number comes one after the other: such topics belong together.
    """
    places = sorted(found, key=lambda place: (place.partition, place.topic))
    longest = max(len(found[place]) for place in places)
    return [
        record for begin in range(0, longest, turn) for place in places for record in found[place][begin : begin + turn]
    ]


class FetchConsumer(Consumer):  # type: ignore[misc]
    """A consumer that hands over whole fetches and is told up to where each partition is done."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._done: dict[TP, int] = {}
        self._room = asyncio.Event()

    def acknowledge(self, topic: str, partition: int, offset: int) -> None:
        """Everything of a partition before `offset` is done. Offsets may only rise within one assignment."""
        self._done[TP(topic, partition)] = offset

    def took(self) -> None:
        """The agent has taken a fetch: there is room for another one."""
        self._room.set()

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _FetchThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what was done: whoever is assigned the partitions next begins at what was committed."""
        self._done.clear()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """As Faust's; a late acknowledgement of the time before must not be committed either."""
        self._done.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Only whether aiokafka fetches: no sensor sees single records, and `ProgressWatch` sees a stall."""
        self._thread.verify_recovery_event_path(now, tp)

    # -- what is committed ---------------------------------------------------------------------------------------

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._done) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._done.get(tp)

    # -- from the fetch to the agent -----------------------------------------------------------------------------

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's fetcher runs this for as long as the consumer lives."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)
                message = await self._fetch()
                if message is not None:
                    await self._hand_over(message, fetcher)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _fetch(self) -> Message | None:
        """One event with everything that aiokafka has, None when nothing came within a second."""
        found, _ = await self._wait_next_records(1.0)
        if not found or self.should_stop:
            return None
        for tp in found:
            self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        records = in_turns(found)
        first = records[0]
        return Message(
            first.topic, first.partition, first.offset, first.timestamp / 1000, first.timestamp_type, None, None,
            Fetched(records), None, tp=TP(first.topic, first.partition), generation_id=found.generation,
        )  # fmt: skip

    async def _hand_over(self, message: Message, fetcher: Any) -> None:
        """Give the event to the agent when it has room; give it up when partitions moved meanwhile.

        aiokafka takes what it gave out for read, so what is given up must be sought again.
        """
        waiting = self.app.topics.waiting
        while waiting(message) >= AHEAD and self._current(message) and not (self.should_stop or fetcher.should_stop):
            self._room.clear()
            try:
                await asyncio.wait_for(self._room.wait(), ROOM_S)
            except TimeoutError:
                continue
        if self._current(message):
            self.app.topics.deliver(message)
            return
        try:
            await self.perform_seek()
        except Exception as error:
            self.log.warning("no seek while partitions move: %r", error)

    def _current(self, message: Message) -> bool:
        """Whether the partitions are still those of the event's fetch."""
        return bool(self.flow_active and message.generation_id == self.app.consumer_generation_id)


class _FetchThread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread in which aiokafka runs: stamps every fetch with the generation it belongs to."""

    async def _fetch_records(self, *arguments: Any, **settings: Any) -> "_Found":
        found = await super()._fetch_records(*arguments, **settings)
        return _Found(found, self.app.consumer_generation_id)


class _Found(dict[Any, list[Any]]):
    """Records by partition, and the generation of the assignment they were fetched under."""

    def __init__(self, records: Mapping[Any, list[Any]], generation: int) -> None:
        super().__init__(records)
        self.generation = generation


class FetchConductor(Conductor):  # type: ignore[misc]
    """Knows which agent reads a partition."""

    def waiting(self, message: Message) -> int:
        """How many fetches wait for the agent."""
        return max((channel.queue.qsize() for channel in self._channels(message)), default=0)

    def deliver(self, message: Message) -> None:
        """Put the fetch into the agent's queue."""
        for channel in self._channels(message):
            event = self.app.create_event(None, message.value, None, message)
            channel.queue.put_nowait(event)

    def _channels(self, message: Message) -> MutableSet[Any]:
        channels: MutableSet[Any] = self._tp_index[message.tp]
        return channels


class FetchTransport(Transport):  # type: ignore[misc]
    """Faust's Kafka transport with the parts above."""

    Consumer = FetchConsumer
    Conductor = FetchConductor
