"""What the steps that obtain a part share: how they report, how they fail, how several clones share one cache."""

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCKS = Path(__file__).resolve().parent / "locks"

# Takes one short line about what a part is at; who it belongs to and the elapsed seconds are added by the receiver.
Say = Callable[[str], None]


class PartFailed(Exception):
    """A part could not be obtained. `advice` says what to do about it."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(what)
        self.advice = advice


@contextmanager
def exclusive(lock_file: Path, say: Say) -> Iterator[None]:
    """One process at a time per lock file; the lock goes with the process, so a killed one leaves nothing behind."""
    with lock_file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at this part: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def prepare_cache(cache: Path) -> None:
    """Make the cache folder and prove that it can be written; `PartFailed` names it otherwise."""
    probe = cache / f".probe-{os.getpid()}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as problem:
        raise PartFailed(
            f"the cache folder {cache} cannot be written: {problem.strerror}",
            "free space there, or name another folder: DUTCHBOOK_CACHE=/some/folder make setup",
        ) from None


def answer_of(*command: str) -> str | None:
    """What a program prints (standard output and error) when it ends well within 20 s; None otherwise."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
