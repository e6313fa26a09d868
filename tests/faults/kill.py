"""Killing processes of a running stack, and seeing them come back."""

import asyncio
import signal
import time

from infra.local.supervise import Supervisor

VICTIMS = (
    "detector",
    "executor",
    "gateway-kalshi",
    "gateway-polymarket",
    "sink-influx",
    "sink-postgres",
    "producer-kalshi",
    "producer-polymarket",
    "mirrormaker",
    "us-kafka",
    "eu-kafka",
)
BACK_WITHIN_S = 60.0


async def kill(supervisor: Supervisor, name: str) -> None:
    """Kill a child and wait until the supervisor has it ready again."""
    before = supervisor.records[name].restarts
    supervisor.signal(name, signal.SIGKILL)
    deadline = time.monotonic() + BACK_WITHIN_S
    while supervisor.records[name].restarts == before or supervisor.records[name].state != "ready":
        assert time.monotonic() < deadline, f"{name} did not come back"
        await asyncio.sleep(0.1)


async def kill_while_its_broker_is_paused(supervisor: Supervisor, name: str, paused_s: float = 2.0) -> None:
    """Kill a child that cannot get its deliveries acknowledged, then let the broker go on."""
    supervisor.signal("us-kafka", signal.SIGSTOP)
    try:
        await asyncio.sleep(paused_s)
        supervisor.signal(name, signal.SIGKILL)
        await asyncio.sleep(paused_s)
    finally:
        supervisor.signal("us-kafka", signal.SIGCONT)
    deadline = time.monotonic() + BACK_WITHIN_S
    while supervisor.records[name].state != "ready":
        assert time.monotonic() < deadline, f"{name} did not come back"
        await asyncio.sleep(0.1)
