"""The data folder of one stack: its lock, its run record, its logs, and the memory of the processes in it."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LOG_LIMIT_BYTES = 50_000_000


class DataDirUnusable(Exception):
    """The data folder is in use by another stack or cannot be written; the text names it."""


class DataDir:
    """A stack's folder. While it is open no other stack can open it; the lock goes when the process does."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self.run_file = self.path / "run.json"
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise DataDirUnusable(f"the data folder {self.path} cannot be written: {problem.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            owner = read_run(self.path).get("supervisor_pid", "unknown")
            raise DataDirUnusable(f"the data folder {self.path} is in use by another stack (process {owner})") from None

    def write_run(self, record: Mapping[str, Any]) -> None:
        """Replace `run.json` in one step. A full disk raises `DataDirUnusable`."""
        fresh = self.run_file.with_suffix(".json.new")
        try:
            fresh.write_text(json.dumps(record, indent=2) + "\n")
            fresh.replace(self.run_file)
        except OSError as problem:
            raise DataDirUnusable(f"{self.run_file} cannot be written: {problem.strerror}") from None

    def close(self) -> None:
        """Let another stack have the folder."""
        os.close(self._lock)


def read_run(path: Path) -> dict[str, Any]:
    """The run record of a data folder; empty when there is none."""
    try:
        record = json.loads((path / "run.json").read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def last_lines(log: Path, count: int = 20) -> str:
    """The end of a log file, for an error message."""
    try:
        with log.open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - 16_384))
            text = handle.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-count:])


def keep_small(log: Path, limit: int = LOG_LIMIT_BYTES) -> None:
    """Move a grown log aside to `<name>.log.1`. Its writer appends, so it simply goes on at the new beginning."""
    try:
        if log.stat().st_size > limit:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
    except FileNotFoundError:
        return


def resident_bytes(roots: Iterable[int]) -> dict[int, int]:
    """Memory in RAM of each process with all its descendants, in bytes (proc(5), statm).

    Pages a descendant shares with others (as PostgreSQL's buffers) are counted for the root only.
    """
    page = os.sysconf("SC_PAGE_SIZE")
    children: dict[int, list[int]] = {}
    for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        if (parent := parent_of(pid)) is not None:
            children.setdefault(parent, []).append(pid)
    total: dict[int, int] = {}
    for root in roots:
        total[root] = pages_of(root)[0] * page
        waiting = list(children.get(root, ()))
        while waiting:
            pid = waiting.pop()
            resident, shared = pages_of(pid)
            total[root] += (resident - shared) * page
            waiting += children.get(pid, ())
    return total


def parent_of(pid: int) -> int | None:
    """The parent's pid; None when the process is gone. The name in the second field may itself contain spaces."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def pages_of(pid: int) -> tuple[int, int]:
    """Resident and shared pages of one process; zeros when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        return int(fields[1]), int(fields[2])
    except (OSError, ValueError, IndexError):
        return 0, 0
