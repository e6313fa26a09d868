"""Which markets a venue's producer follows: those of the groups that are not blocked."""

import threading
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from runtime import logs, metrics
from runtime.kafka import KafkaUnavailable, consumer, end_offsets
from schemas.codec import DecodeError, decode_record
from schemas.records import Group, Venue

BATCH = 500


def markets_of(groups: Iterable[Group], venue: Venue) -> dict[str, str]:
    """Market to group, for one venue; `groups` in the order in which their newest records arrived.

    A market belongs to the group that named it last, as the detector has it. Where that group is blocked, it is not
    followed for an older one.
    """
    owners: dict[str, Group] = {}
    for group in groups:
        for member in group.members:
            if member.venue == venue:
                owners[member.market] = group
    return {market: group.group for market, group in owners.items() if group.status != "blocked"}


class GroupTable:
    """The newest record of every group, as read from the topic, in the order in which they came."""

    def __init__(self, topic: str) -> None:
        self.groups: dict[str, Group] = {}
        self._topic = topic
        self._log = logs.get(topic=topic)

    def apply(self, key: bytes | None, value: bytes | None, offset: int) -> bool:
        """Take in one record; True when the table changed. A broken record is counted and changes nothing."""
        name = (key or b"").decode(errors="replace")
        if value is None:
            return self.groups.pop(name, None) is not None
        try:
            group = decode_record(value, Group)
        except DecodeError as error:
            metrics.DECODE_ERRORS.labels(self._topic).inc()
            self._log.error("broken group record", group=name, offset=offset, error=str(error))
            return False
        newest = next(reversed(self.groups), None)
        known = self.groups.pop(group.group, None)
        self.groups[group.group] = group  # popped and put back: what it names is its own now
        return known != group or newest != group.group


class GroupFollower:
    """Reads the group topic whole, then follows it, in a thread of its own and outside any consumer group.

    `prepare()` is called before anything is read, `deliver(groups)` when the end of the topic has been reached and
    after every change, in the order of `GroupTable`; `failed(error)` once when either cannot be done. All of them are
    called on the follower's thread.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        deliver: Callable[[Mapping[str, Group]], None],
        failed: Callable[[Exception], None],
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._deliver = deliver
        self._failed = failed
        self._prepare = prepare
        self._table = GroupTable(topic)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="groups", daemon=True)

    def start(self) -> None:
        """Begin reading."""
        self._thread.start()

    def stop(self) -> None:
        """End reading."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            self._prepare()
            client = consumer(self._bootstrap, f"dutchbook-producer-{self._topic}")
            try:
                self._follow(client)
            finally:
                client.close()
        except Exception as error:  # whatever it is, the main thread must hear of it
            self._failed(error)

    def _follow(self, client: Consumer) -> None:
        left = {place: end for place, end in end_offsets(client, [self._topic]).items() if end > 0}
        partitions = [TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in left] or [
            TopicPartition(self._topic, 0, OFFSET_BEGINNING)
        ]
        client.assign(partitions)
        complete = False
        while not self._stopped.is_set():
            changed = [self._take(message) for message in client.consume(BATCH, 0.2)]
            reached = complete or all(
                place.offset >= left.get((place.topic, place.partition), 0) for place in client.position(partitions)
            )
            if reached and (any(changed) or not complete):
                complete = True
                self._deliver(dict(self._table.groups))

    def _take(self, message: Message) -> bool:
        error = message.error()
        if error is not None:
            if error.fatal():
                raise KafkaUnavailable(f"{self._topic}: {error.str()}")
            return False
        return self._table.apply(message.key(), message.value(), message.offset() or 0)
