"""The command `dutchbook` as a user runs it: started, watched, stopped, and what it leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

DUTCHBOOK = (sys.executable, "-m", "infra.cli")
ROOT = Path(__file__).resolve().parents[2]

Process = tuple[int, float]
"""A pid and when the process was created: together they name one process for ever."""


def dutchbook(*arguments: object, timeout: float = 30, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*DUTCHBOOK, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def json_lines(*arguments: object) -> list[dict[str, Any]]:
    """The JSON lines that a command printed."""
    done = dutchbook(*arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def until(condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
    """Wait until something is so, and fail with `what` when it is not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.1)


class Up:
    """One `dutchbook up` in a process of its own, its output in a file."""

    def __init__(self, data_dir: Path, *arguments: object) -> None:
        self.data_dir = data_dir
        self._output = data_dir.with_suffix(f".{time.monotonic_ns()}.out")
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [*DUTCHBOOK, "up", "--data-dir", str(data_dir), *map(str, arguments)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        """Everything it printed so far."""
        return self._output.read_text()

    def until_said(self, text: str, within_s: float = 120) -> None:
        """Wait for a line."""
        until(lambda: text in self.said() or self.process.poll() is not None, text, within_s)
        assert text in self.said(), self.said()

    def end(self, number: signal.Signals = signal.SIGINT, within_s: float = 90) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def processes(self) -> set[Process]:
        """The command and everything it has started, directly or not."""
        run = json.loads((self.data_dir / "run.json").read_text())
        pids = [self.process.pid, *(child["pid"] for child in run["children"].values() if child["pid"])]
        return {(each.pid, each.create_time()) for pid in pids for each in _family(pid)}

    def clean_up(self) -> None:
        """End it, whatever has become of it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def still_alive(processes: set[Process]) -> list[str]:
    """Those that still run, by their command; one that is dead and not yet collected does not."""
    alive = []
    for pid, created in processes:
        try:
            process = psutil.Process(pid)
            if process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE:
                alive.append(f"{pid} {' '.join(process.cmdline())[:120]}")
        except psutil.NoSuchProcess:
            continue
    return alive


def mentioning(folder: Path) -> list[str]:
    """Running processes whose command names a folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = " ".join(process.info["cmdline"] or ())
        if str(folder) in command and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(command)
    return found
