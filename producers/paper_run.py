"""What a paper gateway knows of a replay's markets, by the run's own time: the detector's stamps.

An order is matched with the books that the detector had at the order's arrival, however fast the run is published and
read. So that they are all there, each order waits until nothing stamped earlier can come any more:

- every partition's next record is later; or
- a later record was read, then `GRACE_S` went by, and a partition was read to where it ended then: a run is published
  in the order of its stamps; or
- the run says that it is whole, and the partition was read to its end.

Orders come with rising times, so everything is read once, forward. A gateway that starts again reads the run from its
beginning, and takes up what was bought at the very books.
"""

from time import monotonic
from typing import ClassVar, Final

from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from producers.paper import PaperMatcher
from producers.paper_data import BATCH, ROUNDS, MarketData
from producers.paper_merge import EVER_NS, Merge, Place
from producers.paper_station import Station
from runtime import kafka
from schemas.records import Order
from schemas.replayed import NotReplayed, received_ns
from schemas.runs import MANIFEST, is_whole

GRACE_S: Final = 0.1
"""Records handed to Kafka in order are all there so much later."""

HELD: Final = 2000
"""Records of a partition that wait for the others; it is not read on then."""


class RunData(MarketData):
    """Feeds a matcher from a run's topics, each record at its time."""

    patience_ns: ClassVar[int] = 0
    """What is not there at an order's time does not come later."""

    def __init__(
        self, station: Station, bootstrap: str, matcher: PaperMatcher, dead_letters: kafka.DeadLetters
    ) -> None:
        super().__init__(station, bootstrap, matcher, dead_letters)
        self._manifest_topic = station.topic(MANIFEST)
        self._merge: Merge[Message] = Merge(())
        self._paused: set[Place] = set()
        self._now_ns = 0
        self._whole = False
        self._seen_ns = 0
        """The newest stamp that was known at the last look."""
        self._look_again_s = 0.0

    def catch_up(self, timeout_s: float = 60.0) -> None:
        """Stand at the beginning of the run; raises KafkaUnavailable when there is no such run."""
        topics = [self._market_topic, self._book_topic, self._manifest_topic]
        ends = kafka.end_offsets(self._client, topics, timeout_s=timeout_s)
        self._client.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for topic, number in ends])
        self._merge = Merge(place for place in ends if place[0] != self._manifest_topic)

    def now_ns(self) -> int:
        """The moment of the run up to which everything has been taken in."""
        return self._now_ns

    def arrived_ns(self, order: Order) -> int:
        """An order of a run arrives when it is made."""
        return order.created_ns

    def drain(self, due_ns: int | None) -> None:
        """Take in what is stamped `due_ns` or earlier, as far as it has been received; never waits.

        With nothing due nothing is taken in: the next order may be about any moment after this.
        """
        if due_ns is None:
            return
        for _ in range(ROUNDS):
            messages = self._client.consume(BATCH, timeout=0)
            for message in messages:
                self._receive(message)
            for message in self._merge.until(due_ns):
                self._take(message)
            self._hold()
            if len(messages) < BATCH:
                break
        if self._merge.complete(due_ns):
            self._now_ns = max(self._now_ns, due_ns)
        else:
            self._look()

    def _receive(self, message: Message) -> None:
        if message.error() is not None:
            self._take(message)
            return
        if message.topic() == self._manifest_topic:
            self._whole = is_whole(message.value() or b"")
            return
        place, offset = (message.topic(), message.partition()), message.offset()
        try:
            stamp_ns = received_ns(message.headers())
        except NotReplayed as error:
            self._merge.skip(place, offset)
            self._dead_letters.send(place[0], message.value(), error, partition=place[1], offset=offset)
        else:
            self._merge.add(place, offset, stamp_ns, message)

    def _hold(self) -> None:
        """Read on only what the others do not wait for."""
        crowded = self._merge.crowded(HELD)
        if crowded != self._paused:
            self._client.pause([TopicPartition(*place) for place in crowded - self._paused])
            self._client.resume([TopicPartition(*place) for place in self._paused - crowded])
            self._paused = crowded

    def _look(self) -> None:
        """Learn what partitions that are silent can still bring."""
        now_s = monotonic()
        if now_s < self._look_again_s:
            return
        self._look_again_s = now_s + GRACE_S
        known_ns = EVER_NS if self._whole else self._seen_ns
        self._seen_ns = self._merge.newest_ns
        self._merge.bound(known_ns, kafka.end_offsets(self._client, [self._market_topic, self._book_topic]))
