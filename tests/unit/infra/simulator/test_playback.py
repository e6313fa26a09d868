"""The playback clock, the pulse of an exchange's traffic, and the bounded send queues."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from infra.simulator.faults import MILLISECOND, Fault, FaultName, FaultPanel
from infra.simulator.link import Link
from infra.simulator.outbox import Outbox
from infra.simulator.playback import Player, Pulse, State, parse_rate
from infra.simulator.tape import TapeFrame
from infra.simulator.virtual import VirtualTimeLoop, run_virtual


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


def test_an_outbox_hands_out_frames_when_their_link_lets_them_arrive() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        panel = FaultPanel(loop.now_ns)
        outbox = Outbox(10, Link(panel, 5 * MILLISECOND), loop.now_ns)
        panel.set(Fault(FaultName.DROP, markets=("m",)))
        outbox.offer("lost", ("m",))
        panel.set(Fault(FaultName.DELAY, delay_ms=100))
        outbox.offer("late")
        assert (outbox.take(), len(outbox), outbox.sent) == (None, 1, 0)
        assert await outbox.next() == "late"
        assert loop.time() == pytest.approx(0.105)
        panel.set(Fault(FaultName.FREEZE))
        outbox.offer("frozen")
        outbox.offer("PONG", control=True)
        assert await outbox.next() == "PONG"
        loop.call_later(1, outbox.close)
        with pytest.raises(ConnectionError):
            await outbox.next()
        assert loop.time() == pytest.approx(1.210)
        assert outbox.sent == 2

    run_virtual(main)


def test_an_outbox_counts_frames_under_way_against_its_limit() -> None:
    panel = FaultPanel(lambda: 0)
    panel.set(Fault(FaultName.DELAY, delay_ms=1))
    outbox = Outbox(1, Link(panel), lambda: 0)
    assert outbox.offer("a")
    assert not outbox.offer("b")


def test_a_pulse_keeps_its_rate_rests_at_zero_and_goes_on() -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        moments: list[float] = []
        pulse = Pulse(lambda: moments.append(loop.time()), 10, loop.now_ns)
        running = asyncio.create_task(pulse.run())
        await asyncio.sleep(1)
        assert (pulse.state, moments) == (State.HOLDING, [])
        pulse.start(loop.now_ns() + 1_000_000_000)
        await asyncio.sleep(2.05)
        assert moments == pytest.approx([2.1 + number / 10 for number in range(10)])
        pulse.rate = 0
        await asyncio.sleep(100)
        assert pulse.actions == 10
        pulse.rate = 1000
        await asyncio.sleep(1.0005)
        assert pulse.actions == 1010
        assert pulse.progress() == {"actions": 1010, "rate": 1000}
        running.cancel()

    run_virtual(main)


def test_a_tape_is_paced_in_virtual_time_too() -> None:
    async def main(loop: VirtualTimeLoop) -> list[float]:
        moments: list[float] = []
        timeline = iter(frames(0, 60_000_000_000, 3_600_000_000_000))
        player = Player(timeline, lambda _: moments.append(loop.time()), nothing, 3, loop.now_ns)
        player.start()
        await player.run()
        return moments

    assert run_virtual(main) == pytest.approx([0, 60, 3600])


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "fast", ""])
def test_a_rate_is_a_number_from_zero_on(text: str) -> None:
    assert (parse_rate("0"), parse_rate("2.5")) == (0, 2.5)
    with pytest.raises(ValueError, match=f"rate '{text}'"):
        parse_rate(text)
