"""Every process is killed with -9 in one run, and comes back: nothing is lost, nothing happens twice."""

import asyncio

import pytest

from infra.local.stack import Stack
from infra.local.supervise import Supervisor
from tests.faults.kill import VICTIMS, kill, kill_while_its_broker_is_paused
from tests.replay import judge
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


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """One run of the generated tape, slowed down so that every kill falls into it."""
    return play("generated", "0.6", during=kill_all_in_turn, limit_s=900)


def test_every_victim_was_killed(outcome: Outcome) -> None:
    assert set(outcome.summary["restarts"]) >= set(VICTIMS)


def test_trading_went_on(outcome: Outcome) -> None:
    assert outcome.summary["tickets"].get("filled", 0) > 0


def test_nothing_was_lost_and_nothing_happened_twice(outcome: Outcome) -> None:
    judge.all_that_survives_kills(outcome)
