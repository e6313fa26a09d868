"""The long matrix: each process, on both tapes, killed at several moments. `make faults` prints its result."""

import asyncio

import pytest

from infra.local.stack import Stack
from infra.local.supervise import Supervisor
from tests.faults.kill import VICTIMS, kill
from tests.replay import judge
from tests.scenario import play

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

MOMENTS_S = (4.0, 17.0, 19.5, 33.0)
"""Seconds after the start of the tape; the second and third kill are close, so that a recovery is hit as well."""


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize(("tape", "speed"), [("generated", "1"), ("btc-15m", "40")])
def test_a_process_killed_at_several_moments(tape: str, speed: str, victim: str) -> None:
    async def kill_at_moments(_stack: Stack, supervisor: Supervisor) -> None:
        began = asyncio.get_running_loop().time()
        for moment in MOMENTS_S:
            await asyncio.sleep(max(0.0, began + moment - asyncio.get_running_loop().time()))
            await kill(supervisor, victim)

    outcome = play(tape, speed, during=kill_at_moments, limit_s=600)
    assert outcome.summary["restarts"].get(victim, 0) >= len(MOMENTS_S)
    assert outcome.summary["tickets"]
    judge.all_that_survives_kills(outcome)
    seen = outcome.summary
    print(f"{tape:10} {victim:20} killed {seen['restarts'][victim]} times; nothing lost, nothing twice:")
    print(f"{'':32}{seen['opportunities']} opportunities, tickets {seen['tickets']}")
