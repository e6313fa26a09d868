"""Whether a mirror works: what is written at the source comes out at the target.

It is seen on the topic `heartbeat`, which every process of the source region writes to once a second. A mirrored record
keeps its timestamp, so two clusters' newest beats compare without anybody's clock. A source that is silent or away
says nothing against the mirror, and a mirror that is far behind works as long as something still comes through.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from runtime import kafka, logs
from runtime.health import FRESH_S, HEALTH
from runtime.settings import KafkaSettings
from schemas.records import Region
from schemas.topics import other, remote_name

TOPIC: Final = "heartbeat"
POLL_S: Final = 0.25
SAID_EVERY_S: Final = 30.0


class Passage:
    """What is known of a mirror. Pure: timestamps are the records' own, `now_s` is any clock that only goes on."""

    def __init__(self, now_s: float) -> None:
        self._newest_sent = 0
        self._newest_arrived = 0
        self._moved_s = now_s

    def sent(self, timestamp_ms: int, now_s: float) -> None:
        """A beat stands in the source."""
        if not self._behind:
            self._moved_s = now_s  # until now there was nothing to bring
        self._newest_sent = max(self._newest_sent, timestamp_ms)

    def arrived(self, timestamp_ms: int, now_s: float) -> None:
        """A beat has come out at the target."""
        if timestamp_ms > self._newest_arrived:
            self._newest_arrived, self._moved_s = timestamp_ms, now_s

    def stuck_s(self, now_s: float) -> float:
        """For how long something has waited at the source and nothing has come out."""
        return now_s - self._moved_s if self._behind else 0.0

    @property
    def _behind(self) -> bool:
        return self._newest_arrived < self._newest_sent


class Watch:
    """Follows both ends on a thread of its own and touches the health file while the mirror works."""

    def __init__(
        self,
        settings: KafkaSettings,
        target: Region,
        *,
        make: Callable[[str, str], Consumer] = kafka.consumer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._target = target
        self._make = make
        self._clock = clock
        self._passage = Passage(clock())
        self._said_s = 0.0
        self._log = logs.get(mirror=f"{other(target)}->{target}")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="passage", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        source = other(self._target)
        sent = self._follower(source, TOPIC)
        arrived = self._follower(self._target, remote_name(source, TOPIC))
        try:
            while not self._stopped.is_set():
                for consumer, note in ((sent, self._passage.sent), (arrived, self._passage.arrived)):
                    message = consumer.poll(POLL_S)
                    if message is not None and message.error() is None:
                        note(message.timestamp()[1], self._clock())
                self._judge()
        finally:
            sent.close()
            arrived.close()

    def _follower(self, region: Region, topic: str) -> Consumer:
        consumer = self._make(self._settings.bootstrap(region), f"dutchbook-mirrormaker-{self._target}")
        consumer.assign([TopicPartition(topic, 0, OFFSET_END)])
        return consumer

    def _judge(self) -> None:
        now = self._clock()
        stuck = self._passage.stuck_s(now)
        if stuck <= FRESH_S:
            HEALTH.touch()
        elif now - self._said_s >= SAID_EVERY_S:
            self._said_s = now
            self._log.warning("nothing comes through the mirror", since_s=round(stuck), topic=TOPIC)
