"""Letting a stack run dry: the feeds end first, then everything behind them is waited for."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from infra.local import drain as module
from infra.local.drain import GROUPS, drain
from infra.observe import Observed
from runtime.kafka import KafkaUnavailable
from schemas.topics import creations
from tests.unit.sinks.make import ticket


class Observer:
    def __init__(self) -> None:
        self.seen = Observed()
        self.caught_up = True

    def catch_up(self, _timeout_s: float) -> bool:
        return self.caught_up


class Stack:
    addresses = None

    def __init__(self) -> None:
        self.observer = Observer()


class Supervisor:
    def __init__(self) -> None:
        self.finished: list[str] = []

    async def finish(self, name: str) -> None:
        self.finished.append(name)


def run(monkeypatch: pytest.MonkeyPatch, stack: Stack, lags: Callable[[Any], dict[str, int]]) -> list[str]:
    """Drain with a deadline that is over at once."""
    monkeypatch.setattr(module, "lags", lags)
    given: Any = stack
    supervisor: Any = Supervisor()
    left = asyncio.run(drain(given, supervisor, deadline_s=-1))
    assert supervisor.finished == ["producer-kalshi", "producer-polymarket"]
    return left


def test_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, Stack(), lambda _: {}) == []


def test_what_waits_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    stack.observer.seen.tickets = {"a": ticket(1), "b": ticket(2, state="filled")}
    left = run(monkeypatch, stack, lambda _: {"executor": 3, "mirror eu to us": 1})
    assert left == ["executor: 3 records wait", "mirror eu to us: 1 records wait", "1 tickets are unfinished"]


def test_a_view_that_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack()
    stack.observer.caught_up = False
    assert run(monkeypatch, stack, lambda _: {}) == ["the view has not caught up with the topics"]


def test_a_cluster_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> dict[str, int]:
        raise KafkaUnavailable("us did not answer")

    assert run(monkeypatch, Stack(), refuse) == ["the queues cannot be read: us did not answer"]


def test_every_queue_is_a_topic_of_its_cluster() -> None:
    for region, groups in GROUPS.items():
        names = {creation.name for creation in creations(region)}
        for topics in groups.values():
            assert set(topics) <= names
