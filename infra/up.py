"""`dutchbook up`: bring the stack up, play or follow, show it, drain it, count it, leave nothing behind."""

import asyncio
import errno
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
from confluent_kafka import KafkaException

from infra import summary
from infra.groups import GroupFileError
from infra.local.datadir import DataDirUnusable, read_run
from infra.local.drain import drain, lags
from infra.local.parts import PartMissing, cache_folder, find_parts
from infra.local.ports import PortInUse, PortLease
from infra.local.stack import ALL_PORTS, Stack, StackNotReady, StackOptions, unhealthy
from infra.local.supervise import ChildFailed, StopRequested, Supervisor
from infra.preflight import check_settings, check_tape, disk_problem
from infra.simulator.tape import TapeError, resolve
from infra.view import View, status_words
from runtime.kafka import KafkaUnavailable

REFRESH_S: Final = 0.5
LAG_EVERY_S: Final = 5.0
KEPT_RUNS: Final = 5

EXIT_UNHEALTHY: Final = 1
EXIT_STOPPED: Final = 130

USER_ERRORS: Final = (PartMissing, PortInUse, DataDirUnusable, TapeError, GroupFileError)
"""What the person who typed the command can mend: exit code 2."""

FAILURES: Final = (StackNotReady, ChildFailed)
"""A part that did not come up or did not stay up: exit code 1."""

DISK_TROUBLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The command line of `dutchbook up`."""

    tape: str | None
    live: bool
    speed: str
    seconds: float | None
    until_tape_end: bool
    summary: Path | None
    data_dir: Path | None
    ports: dict[str, int]


def choose_data_dir(options: UpOptions, base: Path = Path("data")) -> Path:
    """The folder of this run: the one asked for, one for all live runs, or a fresh one for each tape run."""
    if options.data_dir is not None:
        return options.data_dir.absolute()
    if options.live:
        return (base / "live").absolute()
    runs = base / "runs"
    forget_old_runs(runs)
    name = Path(options.tape or "").name
    return (runs / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{name}-{time.time_ns() % 10**6:06d}").absolute()


def forget_old_runs(runs: Path, keep: int = KEPT_RUNS) -> None:
    """Remove the oldest tape runs, except those still in use."""
    folders = sorted(folder for folder in runs.glob("*") if folder.is_dir()) if runs.is_dir() else []
    for folder in folders[: max(0, len(folders) - keep + 1)]:
        if not in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def in_use(folder: Path) -> bool:
    """Whether a stack runs in a data folder."""
    from infra.local.datadir import DataDir

    try:
        DataDir(folder).close()
    except DataDirUnusable:
        return True
    return False


async def up(options: UpOptions, view: View) -> int:
    """Run a stack to its end; 0 only if every part stayed healthy and every queue drained.

    Raises one of USER_ERRORS for what the caller can mend and one of FAILURES for a part that gave up.
    """
    started_ns = time.time_ns()
    parts = find_parts()
    check_settings(live=options.live)
    tape = None if options.live else resolve(options.tape or "", cache_folder() / "tapes").absolute()
    if tape is not None:
        await asyncio.to_thread(check_tape, tape)
    data_dir = choose_data_dir(options)
    earlier = read_run(data_dir).get("ports", {})
    with PortLease(ALL_PORTS, options.ports, preferred=earlier) as lease:
        try:
            async with Supervisor(data_dir, view.say, lease.ports) as supervisor:
                supervisor.handle_signals()
                view.on_gone = lambda: stop_unless_asked(supervisor)
                view.say(f"data folder {data_dir}")
                stack = Stack(supervisor, parts, StackOptions(data_dir, tape, options.speed, {}), lease.ports, view.say)
                run = Run(options, view, supervisor, stack, started_ns)
                return await _run(run, view, stack)
        except ChildFailed as error:
            if problem := disk_problem(data_dir, str(error)):
                raise DataDirUnusable(f"{problem}\n{error}") from error
            raise
        except OSError as error:
            if error.errno in DISK_TROUBLE:
                reason = f"{os.strerror(error.errno)}{f': {error.filename}' if error.filename else ''}"
                raise DataDirUnusable(f"the data folder {data_dir} cannot be written: {reason}") from error
            raise


def stop_unless_asked(supervisor: Supervisor) -> None:
    """Ask for a stop, once: asked twice, the supervisor kills."""
    if not supervisor.stop_requested.is_set():
        supervisor.request_stop()


async def _run(run: "Run", view: View, stack: Stack) -> int:
    try:
        return await run.to_the_end()
    except StopRequested:
        view.say("stopped before the stack was up")
        return EXIT_STOPPED
    finally:
        stack.observer.stop()
        view.end()


class Run:
    """One run of a stack that the supervisor has been opened for."""

    def __init__(self, options: UpOptions, view: View, supervisor: Supervisor, stack: Stack, started_ns: int) -> None:
        self._options = options
        self._view = view
        self._supervisor = supervisor
        self._stack = stack
        self._started_ns = started_ns
        self._lags: dict[str, int] = {}
        self._first_told = False

    async def to_the_end(self) -> int:
        """Start, play, show, drain, count; returns the exit code."""
        await self._stack.start()
        await self._stack.play()
        self._view.begin()
        follow_lags = asyncio.create_task(self._follow_lags())
        try:
            await self._until_over()
        finally:
            follow_lags.cancel()
        self._view.end()
        self._view.say("draining: the feeds are stopped, what they sent is worked off (stop again not to wait)")
        waiting = await self._drain()
        if waiting is None:
            self._view.say("stopped before the queues were empty")
            return EXIT_STOPPED
        sick = list(unhealthy(self._supervisor))
        problems = [*sick, *waiting, *await self._count(sick, waiting)]
        for warning in self._stack.warnings:
            self._view.say(f"warning      {warning}")
        for problem in problems:
            self._view.say(f"problem      {problem}")
        if not problems:
            self._view.say("every part stayed healthy and every queue is empty")
        return EXIT_UNHEALTHY if problems else 0

    async def _drain(self) -> list[str] | None:
        """What still waits at the deadline; None when a second stop was asked for meanwhile."""
        self._supervisor.stop_requested.clear()  # a stop asked for before is being carried out
        stopped = asyncio.create_task(self._supervisor.wait())
        draining = asyncio.create_task(drain(self._stack, self._supervisor))
        try:
            await asyncio.wait({stopped, draining}, return_when=asyncio.FIRST_COMPLETED)
            if draining.done():
                return draining.result()
            stopped.result()
            return None
        finally:
            stopped.cancel()
            draining.cancel()

    async def _until_over(self) -> None:
        """Until the time is up, the tape has ended, or a stop is asked for."""
        began = time.monotonic()
        stopped = asyncio.create_task(self._supervisor.wait())
        try:
            while not stopped.done():
                self._show()
                if self._options.seconds is not None and time.monotonic() - began >= self._options.seconds:
                    return
                if self._options.until_tape_end and await self._stack.tape_ended():
                    await asyncio.sleep(REFRESH_S)
                    return
                await asyncio.wait({stopped}, timeout=REFRESH_S)
            stopped.result()
        finally:
            stopped.cancel()

    def _show(self) -> None:
        seen = self._stack.observer.seen
        self._view.refresh(seen, self._supervisor.records, self._lags)
        if seen.first_opportunity_ns and not self._first_told:
            self._first_told = True
            seconds = (seen.first_opportunity_ns - self._started_ns) / 1e9
            self._view.say(f"first opportunity {seconds:.1f} s after the command was given")

    async def _follow_lags(self) -> None:
        while True:
            await asyncio.sleep(LAG_EVERY_S)
            try:
                self._lags = await asyncio.to_thread(lags, self._stack.addresses)
            except (KafkaUnavailable, KafkaException):
                self._lags = {}  # a broker that is down shows in the list of processes

    async def _count(self, sick: list[str], waiting: list[str]) -> list[str]:
        """Count everything, write and print it; returns what could not be counted, in words."""
        try:
            content: dict[str, Any] = await asyncio.to_thread(
                summary.summary,
                self._stack.observer.seen,
                self._stack.addresses,
                self._supervisor.records,
                started_ns=self._started_ns,
                healthy=not sick,
                drained=not waiting,
                problems=[*sick, *waiting],
            )
        except (KafkaUnavailable, KafkaException, httpx.HTTPError, psycopg.Error) as error:
            return [f"the run could not be counted: {error}"]
        for topic, count in content["dead_letters"].items():
            self._stack.warnings.append(f"{count} dead letters: `dutchbook decode {topic} --from-beginning` shows them")
        content["warnings"] = list(self._stack.warnings)
        self._tell(content)
        if self._options.summary is not None:
            try:
                summary.write(self._options.summary, content)
            except OSError as error:
                return [f"the summary {self._options.summary} cannot be written: {error.strerror}"]
            self._view.say(f"summary written to {self._options.summary}")
        return []

    def _tell(self, content: dict[str, Any]) -> None:
        self._view.say(
            f"{content['opportunities']} opportunities; tickets: {status_words(content['tickets'])}; "
            f"{content['influxdb']['book']} books in InfluxDB, "
            f"{content['postgres']['executions']} executions in Postgres"
        )
        latency = content["latency_ms"]["frame_to_opportunity"]
        if latency:
            self._view.say(
                f"frame received to opportunity: p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms; "
                f"peak memory of all processes {content['memory_mib_total']} MiB"
            )
