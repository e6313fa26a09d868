"""A tape's folder: written beside its place under another name, and there whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
import zstandard

from infra.record.frames import RecordError
from infra.record.recorder import TapeLine
from schemas.records import Venue

LEVEL: Final = 9
FRAMES: Final = "frames.jsonl.zst"

_encode = msgspec.json.Encoder().encode


class Draft:
    """A tape that is being written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[Venue, Any] = {}

    def put(self, venue: Venue, line: TapeLine) -> None:
        """Write the next frame of a venue."""
        writer = self._writers.get(venue)
        if writer is None:
            (self._folder / venue).mkdir(exist_ok=True)
            file = (self._folder / venue / FRAMES).open("wb")
            writer = self._writers[venue] = zstandard.ZstdCompressor(level=LEVEL).stream_writer(file)
        writer.write(_encode({"t": line.t, "frame": line.frame}) + b"\n")

    def put_rest(self, venue: Venue, bodies: dict[str, Any]) -> None:
        """Write what a venue's REST calls answer."""
        (self._folder / venue).mkdir(exist_ok=True)
        self.put_text(f"{venue}/rest.json", json.dumps(bodies, indent=1, sort_keys=True) + "\n")

    def put_text(self, name: str, text: str) -> None:
        """Write a file."""
        (self._folder / name).write_text(text, "utf-8")

    def put_yes_price(self) -> None:
        """Say what Kalshi's frames cannot: that the NO side's prices are in the YES leg."""
        self.put_text("tape.yaml", yaml.safe_dump({"kalshi": {"use_yes_price": True}}))

    def close(self) -> None:
        """Write what waits."""
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            writer.close()


def check_free(folder: Path) -> None:
    """Raise RecordError unless a tape can be put there."""
    if folder.is_dir():
        if any(folder.iterdir()):
            raise RecordError(f"--out: {folder} is there already and not empty")
    elif folder.exists():
        raise RecordError(f"--out: {folder} is there already and no folder")
    elif not folder.parent.is_dir():
        raise RecordError(f"--out: the folder {folder.parent} does not exist")


@contextmanager
def tape_folder(folder: Path) -> Iterator[Draft]:
    """A draft that becomes the folder when the block ends, and is gone when it does not end well.

    Raises RecordError when the folder is not free, or nothing more can be written.
    """
    check_free(folder)
    made: Path | None = None
    draft: Draft | None = None
    try:
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".draft", dir=folder.parent))
        made.chmod(0o755)
        draft = Draft(made)
        yield draft
        draft.close()
        os.rename(made, folder)  # noqa: PTH104 - must fail, not replace, when something has been put there meanwhile
    except (OSError, zstandard.ZstdError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RecordError(f"--out: {folder} cannot be written: {reason}") from error
    finally:
        if made is not None and made.is_dir():
            _abandon(draft, made)


def _abandon(draft: Draft | None, made: Path) -> None:
    if draft is not None:
        with suppress(OSError, zstandard.ZstdError, ValueError):  # what was not written is thrown away
            draft.close()
    shutil.rmtree(made, ignore_errors=True)
