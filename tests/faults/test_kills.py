"""Every process is killed with -9 in one run, and comes back: nothing is lost, nothing happens twice."""

import asyncio
from pathlib import Path

import pytest

from infra.local.stack import Stack
from infra.local.supervise import Supervisor
from tests.faults.kill import VICTIMS, kill, kill_while_its_broker_is_paused
from tests.replay import judge
from tests.replay.again import Again, tell_again
from tests.scenario import Outcome, play

pytestmark = pytest.mark.timeout(1200)


async def kill_all_in_turn(_stack: Stack, supervisor: Supervisor) -> None:
    """One victim after the other, each while the tape plays."""
    await asyncio.sleep(6)
    for name in VICTIMS:
        await kill(supervisor, name)
        await asyncio.sleep(5)
    await kill_while_its_broker_is_paused(supervisor, "detector")
    await asyncio.sleep(5)


async def tell_again_quickly(stack: Stack, folder: Path) -> Again:
    """Verify and replay once what all those deaths left."""
    return await tell_again(stack, folder, ["max"])


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """One run of the generated tape, slowed down so that every kill falls into it."""
    return play("generated", "0.6", during=kill_all_in_turn, limit_s=900, afterwards=tell_again_quickly)


def test_every_victim_was_killed(outcome: Outcome) -> None:
    assert set(outcome.summary["restarts"]) >= set(VICTIMS)


def test_trading_went_on(outcome: Outcome) -> None:
    assert outcome.summary["tickets"].get("filled", 0) > 0


def test_what_the_deaths_left_verifies_and_replays(outcome: Outcome) -> None:
    again: Again = outcome.afterwards
    assert again.live.differences == []
    assert again.live.events == len(outcome.opportunities)
    run = again.runs["max"]
    assert run.compared["differences"] == [], run.said
    assert run.compared["equal"] == len(outcome.opportunities)
    assert run.verified.differences == []


def test_nothing_was_lost_and_nothing_happened_twice(outcome: Outcome) -> None:
    judge.all_that_survives_kills(outcome)
