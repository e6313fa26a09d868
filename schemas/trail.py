"""The timestamp trail: integer wall-clock nanoseconds, one name per hop, in the order in which they happen.

| stamp | meaning |
| --- | --- |
| `api_call_start_ns` | the request was sent; for a stream, when the frame was received |
| `api_response_ns` | the answer was received; for a stream, when the frame was received |
| `processing_complete_ns` | normalised and handed to Kafka; strictly increasing per market |
| `virginia_received_ns` | first read in the us region |
| `data_server_stored_ns` | written to the store |
"""

from typing import Final

STAMPS: Final = (
    "api_call_start_ns",
    "api_response_ns",
    "processing_complete_ns",
    "virginia_received_ns",
    "data_server_stored_ns",
)


def pipeline_latency_us(api_call_start_ns: int, data_server_stored_ns: int) -> int:
    """Microseconds from the call to the store, rounded down; negative when clocks disagree."""
    return (data_server_stored_ns - api_call_start_ns) // 1000


class StrictClock:
    """Turns wall-clock readings into a strictly increasing sequence per key (`processing_complete_ns`)."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def stamp(self, key: str, now_ns: int) -> int:
        """Return now_ns, or one more than the key's last stamp when the clock stood still or went back."""
        stamp = max(now_ns, self._last.get(key, 0) + 1)
        self._last[key] = stamp
        return stamp
