"""What every process does at its edges: announce itself, say whether it is well, and end cleanly on signals.

A process that is well touches the file `DUTCHBOOK_HEALTH_FILE` once a second; `python -m runtime.health` is what a
container's health check asks. It is asked often, on small machines: so this module imports what is large late.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.records import Region

FILE_VARIABLE: Final = "DUTCHBOOK_HEALTH_FILE"
FRESH_S: Final = 30.0
"""A file that was touched longer ago is that of a process that is not well."""
STALLED_S: Final = 75.0
"""A process whose work has stood still for longer is not well. A store may take 60 s over one statement."""


def on_stop_signal(callback: Callable[[], None]) -> None:
    """Call `callback` once on SIGTERM or SIGINT (main thread only)."""
    called = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if not called.is_set():
            called.set()
            callback()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


class Health:
    """Whether this process is well, kept in a file's time of change; without a file nothing is kept.

    A process is well while its work goes round: `turned` is called on each round, and `touch` touches the file unless
    the last round is longer than `STALLED_S` ago. Work that has no rounds, or has not begun them, does not count.
    """

    def __init__(self, file: Path | None, *, now: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._now = now
        self._turned: float | None = None
        self._complained = False

    def turned(self) -> None:
        """The work went round once; any thread."""
        self._turned = self._now()

    def touch(self) -> None:
        """Say that the process is well, if its work is."""
        if self._file is None or (self._turned is not None and self._now() - self._turned > STALLED_S):
            return
        try:
            self._file.touch()
        except OSError as error:
            if not self._complained:
                self._complained = True
                sys.stderr.write(f"{FILE_VARIABLE}: {self._file} cannot be touched: {error.strerror}\n")


def _file_of_environment() -> Path | None:
    name = os.environ.get(FILE_VARIABLE)
    return Path(name) if name else None


HEALTH: Final = Health(_file_of_environment())
"""Of this process."""


def ailment(file: Path | None, now_s: float) -> str | None:
    """What speaks against the process whose file this is, at `now_s` seconds since 1970; None when it is well."""
    if file is None:
        return f"{FILE_VARIABLE} is not set: nothing is known"
    try:
        age_s = now_s - file.stat().st_mtime
    except OSError as error:
        return f"{file}: {error.strerror}: the process has not begun to work"
    return f"{file} was last touched {age_s:.0f} s ago" if age_s > FRESH_S else None


class HeartbeatSender:
    """Publishes a Heartbeat every second from its own thread; `publish(topic, key, value)` must be thread-safe.

    What was published without an error is touched: when a delivery has failed, `publish` raises, this thread ends, and
    the health file grows old. A sender made on an event loop also asks that loop to turn.
    """

    def __init__(
        self, source: str, region: "Region", publish: Callable[[str, bytes, bytes], None], interval_s: float = 1.0
    ) -> None:
        self._source = source
        self._region: Region = region
        self._loop = _running_loop()
        self._publish = publish
        self._interval_s = interval_s
        self._instance_ns = time.time_ns()
        self._sequence = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin sending."""
        self._thread.start()

    def stop(self) -> None:
        """End sending."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        from schemas.codec import encode
        from schemas.records import Heartbeat

        while not self._stopped.is_set():
            self._sequence += 1
            record = Heartbeat(
                source=self._source,
                region=self._region,
                instance_ns=self._instance_ns,
                sequence=self._sequence,
                time_ns=time.time_ns(),
            )
            self._publish("heartbeat", self._source.encode(), encode(record))
            HEALTH.touch()
            self._turn_loop()
            self._stopped.wait(self._interval_s)

    def _turn_loop(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            with suppress(RuntimeError):  # closed meanwhile
                self._loop.call_soon_threadsafe(HEALTH.turned)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def main() -> int:
    """Say what ails the process of this container, if anything does; 0 when it is well, else 1."""
    problem = ailment(_file_of_environment(), time.time())
    if problem is not None:
        sys.stderr.write(f"{problem}\n")
    return 0 if problem is None else 1


if __name__ == "__main__":
    sys.exit(main())
