"""The playback clock and the bounded send queues."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from infra.simulator.outbox import Outbox
from infra.simulator.playback import Player, State
from infra.simulator.tape import TapeFrame


def run(what: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(what, 10))


async def nothing() -> None:
    """No pressure."""


def frames(*due: int) -> list[tuple[int, TapeFrame]]:
    return [(moment, TapeFrame(moment, f"f{index}", index)) for index, moment in enumerate(due)]


def test_a_player_holds_until_started_once_and_ends() -> None:
    async def scenario() -> None:
        seen: list[str] = []
        player = Player(iter(frames(0, 0, 1000)), lambda frame: seen.append(frame.text), nothing, 3)
        task = asyncio.create_task(player.run())
        await asyncio.sleep(0)
        assert (player.state, seen) == (State.HOLDING, [])
        assert player.start()
        assert not player.start()
        await task
        assert seen == ["f0", "f1", "f2"]
        assert (player.state, player.frames_played, player.position_ns) == (State.ENDED, 3, 1000)

    run(scenario())


def test_a_start_in_the_past_catches_up_and_no_frame_is_early() -> None:
    async def scenario() -> None:
        begun = time.time_ns() - 10_000_000_000
        due = [0, 9_000_000_000, 10_050_000_000]
        arrived: list[int] = []
        player = Player(iter(frames(*due)), lambda _: arrived.append(time.time_ns()), nothing, 3)
        player.start(begun)
        await player.run()
        assert arrived[2] >= begun + due[2] - 1_000_000
        assert arrived[1] < begun + due[2]

    run(scenario())


def test_an_outbox_refuses_at_its_limit_and_swallows_when_closed() -> None:
    outbox = Outbox(2)
    assert outbox.offer("a")
    assert outbox.offer("b")
    assert not outbox.offer("c")
    outbox.force("error")
    assert [outbox.take(), outbox.take(), outbox.take(), outbox.take()] == ["a", "b", "error", None]
    outbox.close()
    assert outbox.offer("late")
    assert outbox.take() is None


def test_pressure_waits_for_a_reader_and_gives_up_on_one_that_is_gone() -> None:
    async def scenario() -> None:
        outbox = Outbox(4)
        for text in "ab":
            outbox.offer(text)
        waiting = asyncio.create_task(outbox.room(10.0))
        await asyncio.sleep(0)
        assert not waiting.done()
        outbox.take()
        await waiting
        outbox.offer("c")
        await outbox.room(0.001)
        assert len(outbox) == 2

    run(scenario())


def test_a_vanished_client_closes_its_outbox() -> None:
    async def scenario() -> None:
        outbox = Outbox()
        written: list[str] = []

        async def write(text: str) -> None:
            written.append(text)
            raise ConnectionResetError

        outbox.offer("a")
        outbox.offer("b")
        await outbox.drain_to(write)
        assert written == ["a"]
        assert outbox.closed

    run(scenario())
