"""The virtual loop: hours at once, the same every time, and nothing that waits for ever."""

import asyncio
import threading
import time

import pytest

from infra.simulator.virtual import START_NS, GaveUp, VirtualTimeLoop, run_virtual

HOUR_NS = 3_600_000_000_000


def test_the_clock_jumps_to_the_next_timer() -> None:
    async def main(loop: VirtualTimeLoop) -> tuple[int, list[str]]:
        order: list[str] = []
        loop.call_later(7200, order.append, "late")
        loop.call_later(3600, order.append, "early")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(7200):
                await asyncio.Event().wait()
        await asyncio.sleep(0)
        return loop.now_ns() - START_NS, order

    started = time.monotonic()
    assert run_virtual(main, longest_s=8000) == (2 * HOUR_NS, ["early", "late"])
    assert time.monotonic() - started < 60


def test_what_waits_for_ever_is_given_up_with_the_names_of_the_tasks() -> None:
    async def main(_: VirtualTimeLoop) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.Event().wait(), name="reader")

    with pytest.raises(GaveUp, match=r"nothing is scheduled.*reader"):
        run_virtual(main)


def test_a_run_is_bounded_in_virtual_time_and_in_turns_and_its_tasks_are_cancelled() -> None:
    ended = []

    async def sleeps(_: VirtualTimeLoop) -> None:
        try:
            while True:
                await asyncio.sleep(1)
        finally:
            await asyncio.sleep(5)
            ended.append("sleeps")

    async def spins(_: VirtualTimeLoop) -> None:
        try:
            while True:
                await asyncio.sleep(0)
        finally:
            ended.append("spins")

    with pytest.raises(GaveUp, match="too much time has passed; after 101.000"):
        run_virtual(sleeps, longest_s=100)
    with pytest.raises(GaveUp, match="too many turns"):
        run_virtual(spins, turns=500)
    assert ended == ["sleeps", "spins"]


def test_what_fails_unseen_in_a_callback_or_a_task_is_raised() -> None:
    async def callback(loop: VirtualTimeLoop) -> None:
        loop.call_later(1, lambda: 1 // 0)
        await asyncio.sleep(2)

    async def task(_: VirtualTimeLoop) -> None:
        async def fail() -> None:
            raise LookupError("unseen")

        running = asyncio.create_task(fail())
        await asyncio.sleep(1)
        del running

    with pytest.raises(ZeroDivisionError):
        run_virtual(callback)
    with pytest.raises(LookupError, match="unseen"):
        run_virtual(task)


def test_a_thread_that_wakes_the_loop_is_heard_while_timers_are_left() -> None:
    async def main(loop: VirtualTimeLoop) -> str:
        heard: asyncio.Future[str] = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(heard.set_result, "heard"))
        thread.start()
        thread.join()
        return await asyncio.wait_for(heard, 1)

    assert run_virtual(main) == "heard"
