"""The headers that every record of a replay's inputs carries: where and when the detector consumed it.

`streams.replay.entry` writes them and reads them whole; who only needs the time asks `received_ns`.
"""

from collections.abc import Iterable
from typing import Final

TURN: Final = "turn"
RUN_TURN: Final = "run_turn"
EPOCH: Final = "epoch"
POSITION: Final = "position"
RECEIVED: Final = "received_ns"
ORIGIN: Final = "origin"
PARTITION: Final = "detector_partition"


class NotReplayed(ValueError):
    """A record of a run's topic has not the headers that a replay gives it; the message names what is missing."""


def received_ns(headers: Iterable[tuple[str, bytes]] | None) -> int:
    """The detector's stamp of a record, of a reference that of the last input before it; raises NotReplayed."""
    try:
        return int(dict(headers or ())[RECEIVED])
    except (KeyError, ValueError) as error:
        raise NotReplayed(f"not a record of a replay: {error!r}") from error
