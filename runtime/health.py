"""What every process does at its edges: announce itself, and end cleanly on signals."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from schemas.codec import encode
from schemas.records import Heartbeat, Region


def on_stop_signal(callback: Callable[[], None]) -> None:
    """Call `callback` once on SIGTERM or SIGINT (main thread only)."""
    called = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if not called.is_set():
            called.set()
            callback()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


class HeartbeatSender:
    """Publishes a Heartbeat every second from its own thread; `publish(topic, key, value)` must be thread-safe."""

    def __init__(
        self, source: str, region: Region, publish: Callable[[str, bytes, bytes], None], interval_s: float = 1.0
    ) -> None:
        self._source = source
        self._region: Region = region
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
            self._stopped.wait(self._interval_s)
