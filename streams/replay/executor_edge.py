"""The executor's edge in a replay: an opportunity is looked at when all orders that were sent before are answered.

So what becomes of it follows from the run, not from how fast its gateways happen to be. Orders that nobody answers for
`UNANSWERED_S` are given up as unknown, and the executor goes on.
"""

import time
from collections import deque
from typing import Any, Final

from faust.types import TP

from runtime.settings import ExecutorSettings, KafkaSettings
from streams.app import Token
from streams.executor_edge import OPPORTUNITY_TOPIC, ExecutorEdge

UNANSWERED_S: Final = 20.0
WAITING: Final = 20_000
"""Opportunity events that wait, about the most; the topic is not read on then."""


class RunExecutorEdge(ExecutorEdge):
    """The worker around the core, with opportunities that wait."""

    def __init__(self, kafka_settings: KafkaSettings, settings: ExecutorSettings) -> None:
        super().__init__(kafka_settings, settings)
        self._waiting: deque[tuple[Any, Token]] = deque()
        self._moved_s = time.monotonic()
        self._paused: tuple[Any, TP] | None = None

    async def begin(self, partitions: set[tuple[str, int]]) -> None:
        """What waited comes again."""
        self._waiting.clear()
        self._paused = None
        await super().begin(partitions)

    def take(self, event: Any) -> None:
        """One record of an event topic. Raises only when the worker cannot go on."""
        token = self._acks.add(event)
        message = event.message
        if message.topic != self._topic(OPPORTUNITY_TOPIC):
            self.work(event, token)
            self._moved_s = time.monotonic()
        else:
            self._waiting.append((event, token))
            if len(self._waiting) > WAITING and self._paused is None:
                self._paused = event.consumer, TP(message.topic, message.partition)
                event.consumer.pause_partitions([self._paused[1]])
        self._go_on()

    def tick(self) -> None:
        """Once a second, as live; and see to it that an order without an answer holds up nothing for ever."""
        super().tick()
        if self._waiting and time.monotonic() - self._moved_s > UNANSWERED_S:
            self._publish(self._core.on_time(self._clock.now_ns + self._core.rules.unknown_after_ns + 1), None)
            self._go_on()

    def _go_on(self) -> None:
        """Look at what waits, for as long as no order does."""
        while self._waiting and not any(ticket.state == "working" for ticket in self._core.unfinished()):
            self.work(*self._waiting.popleft())
            self._moved_s = time.monotonic()
        if self._paused is not None and len(self._waiting) < WAITING // 2:
            consumer, place = self._paused
            consumer.resume_partitions([place])
            self._paused = None


def edge_of(kafka_settings: KafkaSettings, settings: ExecutorSettings) -> ExecutorEdge:
    """The executor's edge: the live one, or that of the run that the settings name."""
    return (RunExecutorEdge if kafka_settings.run else ExecutorEdge)(kafka_settings, settings)
