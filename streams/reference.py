"""Reference topics (`group`, `market.*`, `control`): read whole before the first decision, followed ever after."""

import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final

from confluent_kafka import KafkaException, Message, TopicPartition

from runtime import kafka, logs

EXIT_UNFOLLOWED: Final = 71


class ReferenceFollower:
    """Delivers every record of the topics, in order: first all that exist, then each as it comes.

    `start_and_wait` returns all existing records; `drain` yields what came since. Outside any consumer group.
    """

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._bootstrap = bootstrap
        self._topics = list(topics)
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._log = logs.get(part="reference")

    def start_and_wait(self, timeout_s: float = 60.0) -> list[Message]:
        """Read the topics to their present ends, start following, and return what was read."""
        messages: list[Message] = []
        positions: dict[tuple[str, int], int] = {}
        for message in kafka.read_whole(self._bootstrap, self._topics, timeout_s=timeout_s):
            messages.append(message)
            positions[message.topic(), message.partition()] = message.offset() + 1
        self._thread = threading.Thread(target=self._follow, args=(positions,), name="reference", daemon=True)
        self._thread.start()
        return messages

    def drain(self) -> Iterator[Message]:
        """Yield the records that came since the last call; never waits."""
        while not self._queue.empty():
            yield self._queue.get_nowait()

    def stop(self) -> None:
        """End following."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _follow(self, positions: dict[tuple[str, int], int]) -> None:
        """Follow for ever. A follower that ended unheard would leave a halt or a blocked group unheard: it ends us."""
        try:
            self._poll(positions)
        except Exception:
            self._log.exception("reference topics can no longer be followed: ending")
            os._exit(EXIT_UNFOLLOWED)

    def _poll(self, positions: dict[tuple[str, int], int]) -> None:
        client = kafka.consumer(self._bootstrap, "dutchbook-reference")
        client.assign([TopicPartition(topic, 0, positions.get((topic, 0), 0)) for topic in self._topics])
        while not self._stopped.is_set():
            message = client.poll(0.5)
            if message is None:
                continue
            if message.error() is not None:
                if message.error().fatal():
                    raise KafkaException(message.error())
                self._log.warning("reference topic", error=message.error().str())
                time.sleep(0.5)
                continue
            self._queue.put(message)
        client.close()
