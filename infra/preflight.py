"""What `dutchbook up` looks at before it starts anything, so that a mistake is named at once and by itself."""

import errno
import os
import shutil
from pathlib import Path
from typing import Final

from infra.groups import read_groups
from infra.simulator.tape import VENUES, Tape
from runtime.settings import (
    DetectorSettings,
    ExecutorSettings,
    FeedSettings,
    InfluxSettings,
    KalshiSettings,
    PaperSettings,
    PolymarketSettings,
    Settings,
    SinkSettings,
    load,
)

NEARLY_FULL_BYTES: Final = 4 * 2**20
PROCESS_SETTINGS: Final[tuple[type[Settings], ...]] = (
    FeedSettings,
    PaperSettings,
    DetectorSettings,
    ExecutorSettings,
    InfluxSettings,
    SinkSettings,
)


def check_settings(*, live: bool) -> None:
    """Read every setting that the processes take from this environment; raises SettingsError naming a wrong one."""
    for kind in PROCESS_SETTINGS + ((KalshiSettings, PolymarketSettings) if live else ()):
        load(kind)


def check_tape(folder: Path) -> None:
    """Raise TapeError or GroupFileError when a tape cannot be played, before anything is started for it."""
    tape = Tape.open(folder)
    read_groups(folder / "groups.yaml")
    for venue in VENUES:
        tape.rest(venue)
        for _ in tape.stamps(venue):
            pass


def disk_problem(data_dir: Path, failure: str) -> str:
    """In words, that a stack failed because the data folder's disk is full; empty when it was not that.

    A part may have removed what it could not finish: then only its last words, in `failure`, tell that it was.
    """
    try:
        free = shutil.disk_usage(data_dir).free
    except OSError:
        return ""
    if free > NEARLY_FULL_BYTES and os.strerror(errno.ENOSPC) not in failure:
        return ""
    return f"the data folder {data_dir} is on a full disk ({free // 2**20} MiB free): make room or give another"
