"""The supervisor: starts the children, keeps them alive, stops them, and leaves nothing behind."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.local.child import Child, ChildRecord, ChildSpec, State, launch, signal_group
from infra.local.datadir import DataDir, DataDirUnusable, keep_small, last_lines, resident_bytes

LOOK_EVERY_S = 0.05
MEASURE_EVERY_S = 1.0


class ChildFailed(Exception):
    """A child is given up and with it the whole stack; the text has the reason and the end of its log."""


class StopRequested(Exception):
    """Ctrl-C or a termination signal arrived while the stack was coming up."""


class Supervisor:
    """Keeps children alive while it is open; closing it stops them in the reverse of their order.

    Use as an async context manager, from the main thread: the kernel ties children to the life of the thread that
    starts them. `say` gets one plain line for each thing worth telling. Entering raises `DataDirUnusable` when the
    folder is taken or cannot be written; a folder that fills up later fails the stack.
    """

    def __init__(
        self, data_dir: Path, say: Callable[[str], None] = print, ports: Mapping[str, int] | None = None
    ) -> None:
        self._path = data_dir
        self._say = say
        self._ports = dict(ports or {})
        self._children: dict[str, Child] = {}
        self._failure: asyncio.Future[None] | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._began = time.time()
        self.stop_requested = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._folder = DataDir(self._path)
        self._failure = asyncio.get_running_loop().create_future()
        try:
            self._folder.write_run(self._run_record())
        except DataDirUnusable:
            self._folder.close()
            raise
        self._measuring = asyncio.create_task(self._measure())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.stop()
        finally:
            if self._measuring:
                self._measuring.cancel()
            if self._failure and self._failure.done():
                self._failure.exception()  # looked at: asyncio need not warn
            self._write_run()
            self._folder.close()

    @property
    def records(self) -> dict[str, ChildRecord]:
        """What is known of each child now, in the order they were given."""
        return {name: child.record() for name, child in self._children.items()}

    def handle_signals(self) -> None:
        """SIGINT, SIGTERM and SIGHUP ask for a stop; a second one kills everything at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.request_stop)

    def request_stop(self) -> None:
        """Ask for a stop; asked again, kill what still runs."""
        if self.stop_requested.is_set():
            for child in self._children.values():
                if child.process:
                    signal_group(child.process, signal.SIGKILL)
        self.stop_requested.set()

    async def start(self, *specs: ChildSpec) -> None:
        """Start the children, each as soon as those it comes after are ready, and return when all are.

        Raises `ChildFailed` when one cannot be brought up, `StopRequested` when a stop was asked for meanwhile.
        """
        for spec in specs:
            if spec.name in self._children:
                raise ValueError(f"there is already a child named {spec.name}")
            self._children[spec.name] = Child(spec, self._folder.logs / f"{spec.name}.log")
        unknown = {name for spec in specs for name in spec.after} - set(self._children)
        if unknown:
            raise ValueError(f"children to come after that do not exist: {', '.join(sorted(unknown))}")
        for spec in specs:
            child = self._children[spec.name]
            child.life = asyncio.create_task(self._live(child))
        await self._race(asyncio.create_task(self._until_served(specs)))

    async def _until_served(self, specs: Sequence[ChildSpec]) -> None:
        for spec in specs:
            await self._children[spec.name].served.wait()

    async def wait(self) -> None:
        """Return when a stop is asked for; raise `ChildFailed` when a child is given up."""
        with suppress(StopRequested):
            await self._race(asyncio.get_running_loop().create_future())

    async def _race(self, goal: "asyncio.Future[Any]") -> None:
        assert self._failure is not None, "the supervisor is not open"
        stop = asyncio.create_task(self.stop_requested.wait())
        try:
            await asyncio.wait({goal, stop, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
            if not goal.done():
                raise StopRequested("a stop was asked for")
        finally:
            stop.cancel()
            goal.cancel()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a child and its descendants in its session (SIGKILL, SIGSTOP, SIGCONT for fault tests)."""
        process = self._children[name].process
        if process is not None:
            signal_group(process, number)

    async def finish(self, name: str) -> None:
        """Stop one child for good while the others go on; it counts as finished, not as dead."""
        child = self._children[name]
        if child.life:
            child.life.cancel()
            await asyncio.gather(child.life, return_exceptions=True)
        await self._end(child)
        if child.state != "failed":
            self._enter(child, "finished")

    async def _live(self, child: Child) -> None:
        try:
            for name in child.spec.after:
                await self._children[name].served.wait()
            await self._prepare(child)
            while await self._live_once(child):
                child.restarts += 1
        except Exception as problem:
            if isinstance(problem, ChildFailed):
                self._fail(child, str(problem))
            else:
                self._fail(child, f"could not be started: {problem}")

    async def _prepare(self, child: Child) -> None:
        if child.spec.prepare is None:
            return
        self._enter(child, "starting")

        async def run(argv: Sequence[str]) -> None:
            child.process = launch(child.spec, argv, child.log)
            await self._until_dead(child)
            if child.process.returncode != 0:
                raise ChildFailed(f"its preparation `{Path(argv[0]).name}` ended with code {child.process.returncode}")

        await child.spec.prepare(run)

    async def _live_once(self, child: Child) -> bool:
        """One life of the child. True when it died and is to be started again, False when it finished."""
        child.started_at = time.time()
        child.process = launch(child.spec, child.spec.argv, child.log)
        self._enter(child, "starting")
        problem = await self._until_ready(child)
        if problem is None:
            self._enter(child, "ready")
            child.served.set()
            await self._until_dead(child)
        child.exit_code = child.process.poll()
        kill_leftovers(child.process.pid)
        if problem is None and child.exit_code == 0 and child.spec.may_finish:
            self._enter(child, "finished")
            return False
        wait_s = child.budget.death(time.monotonic())
        reason = problem or f"ended with {describe_exit(child.exit_code)}"
        if wait_s is None:
            raise ChildFailed(f"{reason}, for the {child.spec.restart_limit + 1}th time within the allowed window")
        self._enter(child, "backing off")
        self._say(f"{child.spec.name}: {reason}; starting it again in {wait_s:.1f} s")
        await asyncio.sleep(wait_s)
        return True

    async def _until_ready(self, child: Child) -> str | None:
        """None when the child serves, else why not. A child that never served within its deadline fails the stack."""
        spec = child.spec
        deadline = time.monotonic() + spec.ready_within_s
        reason = "no answer"
        while child.alive():
            if spec.ready is None:
                return None
            left = deadline - time.monotonic()
            if left <= 0:
                self.signal(spec.name, signal.SIGKILL)
                await self._until_dead(child)
                problem = f"was not ready within {spec.ready_within_s:g} s ({reason})"
                if not child.served.is_set():
                    raise ChildFailed(problem)
                return problem
            try:
                await asyncio.wait_for(spec.ready(), left)
            except Exception as not_yet:  # a probe may raise whatever its client library raises
                reason = str(not_yet) or type(not_yet).__name__
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                return None
        child.exit_code = child.process.poll() if child.process else None
        if spec.ready is None and spec.may_finish and child.exit_code == 0:
            return None
        return f"ended with {describe_exit(child.exit_code)} before it was ready"

    async def _until_dead(self, child: Child) -> None:
        while child.alive():
            await asyncio.sleep(LOOK_EVERY_S)

    def _fail(self, child: Child, reason: str) -> None:
        end = last_lines(child.log)
        self._give_up(f"{child.spec.name} {reason}" + (f"\n--- end of {child.log}\n{end}" if end else ""))
        self._enter(child, "failed")

    def _give_up(self, text: str) -> None:
        if self._failure and not self._failure.done():
            self._failure.set_exception(ChildFailed(text))

    def _enter(self, child: Child, state: State) -> None:
        child.state = state
        self._write_run()

    async def stop(self) -> None:
        """Stop all children, each after those that came after it; a child that does not obey in time is killed."""
        gone = {name: asyncio.Event() for name in self._children}
        for child in self._children.values():
            if child.life:
                child.life.cancel()
        await asyncio.gather(*(child.life for child in self._children.values() if child.life), return_exceptions=True)
        await asyncio.gather(*(self._stop_child(child, gone) for child in self._children.values()))

    async def _stop_child(self, child: Child, gone: dict[str, asyncio.Event]) -> None:
        try:
            for other in self._children.values():
                if child.spec.name in other.spec.after:
                    await gone[other.spec.name].wait()
            if child.alive():
                await self._end(child)
                self._enter(child, "stopped")
        finally:
            gone[child.spec.name].set()

    async def _end(self, child: Child) -> None:
        """Stop the child's process: its own way first, by SIGKILL when it does not obey in time."""
        if child.process is None or not child.alive():
            return
        self._enter(child, "stopping")
        signal_group(child.process, child.spec.stop_signal)
        try:
            await asyncio.wait_for(self._until_dead(child), child.spec.stop_within_s)
        except TimeoutError:
            self._say(f"{child.spec.name}: did not stop within {child.spec.stop_within_s:g} s; killing it")
        signal_group(child.process, signal.SIGKILL)
        await self._until_dead(child)
        child.exit_code = child.process.returncode
        kill_leftovers(child.process.pid)

    async def _measure(self) -> None:
        while True:
            running = {child.process.pid: child for child in self._children.values() if child.process and child.alive()}
            for pid, resident in resident_bytes(running).items():
                running[pid].rss_bytes = resident
                running[pid].peak_rss_bytes = max(running[pid].peak_rss_bytes, resident)
            for child in self._children.values():
                keep_small(child.log)
            await asyncio.sleep(MEASURE_EVERY_S)

    def _write_run(self) -> None:
        try:
            self._folder.write_run(self._run_record())
        except DataDirUnusable as problem:
            self._give_up(str(problem))

    def _run_record(self) -> dict[str, Any]:
        return {
            "supervisor_pid": os.getpid(),
            "started_at": self._began,
            "ports": self._ports,
            "children": {name: asdict(record) for name, record in self.records.items()},
        }


def kill_leftovers(session: int) -> None:
    """Kill what a dead child started and left in its session's process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)


def describe_exit(code: int | None) -> str:
    """An exit code in words: `code 1`, `signal SIGKILL`."""
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"code {code}"
