"""One child process: what it should be (`ChildSpec`), what became of it (`ChildRecord`), and how it is started."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

LAUNCHER = Path(__file__).resolve().parent / "exec_child.py"

State = Literal["waiting", "starting", "ready", "backing off", "stopping", "stopped", "finished", "failed"]

# Runs one command to its end as the child would run (same user, folder, log); raises when it does not end with 0.
Run = Callable[[Sequence[str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A program the supervisor keeps alive.

    ready: one attempt to find out whether it serves; returns when it does and raises, with a reason, while it does not.
    prepare: done before the first start, through the `Run` it is given. after: children that must be ready before.
    may_finish: ending with code 0 is success and no death. user: (uid, gid) to run as; only root can.
    Times are in seconds. More than `restart_limit` deaths within `restart_window_s` fail the whole stack.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Callable[[], Awaitable[None]] | None = None
    ready_within_s: float = 60.0
    prepare: Callable[[Run], Awaitable[None]] | None = None
    after: tuple[str, ...] = ()
    may_finish: bool = False
    restart_limit: int = 5
    restart_window_s: float = 60.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 10.0
    user: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """What is known of a child at one moment. started_at: seconds since 1970, None before the first start."""

    name: str
    state: State
    pid: int | None
    started_at: float | None
    restarts: int
    exit_code: int | None
    rss_bytes: int
    peak_rss_bytes: int
    argv: tuple[str, ...]
    log: str


class NotReady(Exception):
    """A probe's answer: not yet, and why."""


def attempt(probe: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    """A blocking probe as `ChildSpec.ready` wants it: awaited, on a thread."""

    async def ready() -> None:
        await asyncio.to_thread(probe)

    return ready


class RestartBudget:
    """How many deaths are forgiven, and how long to wait after each. Pure: the caller brings the time in seconds."""

    def __init__(self, limit: int, window_s: float, first_wait_s: float = 0.2, longest_wait_s: float = 5.0) -> None:
        self._limit = limit
        self._window_s = window_s
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._deaths: deque[float] = deque()

    def death(self, now: float) -> float | None:
        """Note a death; seconds to wait before the next start, or None when the limit is passed."""
        while self._deaths and self._deaths[0] <= now - self._window_s:
            self._deaths.popleft()
        self._deaths.append(now)
        if len(self._deaths) > self._limit:
            return None
        return float(min(self._first_wait_s * 2 ** (len(self._deaths) - 1), self._longest_wait_s))


class Child:
    """What the supervisor remembers of one child."""

    def __init__(self, spec: ChildSpec, log: Path) -> None:
        self.spec = spec
        self.log = log
        self.budget = RestartBudget(spec.restart_limit, spec.restart_window_s)
        self.process: subprocess.Popen[bytes] | None = None
        self.state: State = "waiting"
        self.started_at: float | None = None
        self.restarts = 0
        self.exit_code: int | None = None
        self.rss_bytes = 0
        self.peak_rss_bytes = 0
        self.served = asyncio.Event()
        self.life: asyncio.Task[None] | None = None

    def alive(self) -> bool:
        """Whether its process runs now."""
        return self.process is not None and self.process.poll() is None

    def record(self) -> ChildRecord:
        """What is known of it now."""
        return ChildRecord(
            name=self.spec.name,
            state=self.state,
            pid=self.process.pid if self.process and self.alive() else None,
            started_at=self.started_at,
            restarts=self.restarts,
            exit_code=self.exit_code,
            rss_bytes=self.rss_bytes,
            peak_rss_bytes=self.peak_rss_bytes,
            argv=self.spec.argv,
            log=str(self.log),
        )


def launch(spec: ChildSpec, argv: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command of the child in a session of its own, its output appended to the log.

    Must be called from the thread that lives as long as the supervisor: the kernel ties the child to that thread.
    """
    uid, gid = (str(number) for number in spec.user) if spec.user else ("-", "-")
    command = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), uid, gid, *argv]
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=spec.cwd,
            env={name: value for name, value in os.environ.items() if not name.startswith("DUTCHBOOK_")}
            | dict(spec.env),
            start_new_session=True,
        )


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to the child and whatever it started in its session; nothing happens when it is gone."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
