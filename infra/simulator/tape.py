"""Tapes: recorded or generated venue traffic in a folder, and the clock that plays it.

A tape folder holds, for either venue or both:

* ``<venue>/frames.jsonl`` (or ``frames.jsonl.zst``): one ``{"t": received ns, "frame": "verbatim text"}`` a line;
* ``<venue>/rest.json``: ``{"GET /path?query": body}``;

and beside them ``groups.yaml`` (a list of groups) and, optionally, ``tape.yaml`` with what frames cannot tell:
``kalshi: {use_yes_price: true}`` when the tape was recorded with YES-leg prices on the NO side.
"""

import heapq
import io
import itertools
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import msgspec
import yaml
import zstandard

VENUES = ("kalshi", "polymarket")
IDLE_CUT_NS = 2_000_000_000
SHIPPED = Path(__file__).resolve().parents[2] / "tapes"
GENERATED = "generated"
PLANTED = "planted"


class TapeError(Exception):
    """A tape cannot be used; the message names the file, the line where there is one, and what is wrong."""


class _Line(msgspec.Struct):
    t: int
    frame: str


class _Stamp(msgspec.Struct):
    t: int


_Row = TypeVar("_Row", _Line, _Stamp)


@dataclass(frozen=True, slots=True)
class TapeFrame:
    """One received frame: receive time in ns (never before its predecessor's), the text, its line in the file."""

    received_ns: int
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Tape:
    """An opened tape. Frames are read lazily, so a damaged line is reported when it is reached."""

    folder: Path
    use_yes_price: bool = False

    @classmethod
    def open(cls, path: Path | str) -> "Tape":
        """Open a tape folder.

        Raises:
            TapeError: the folder is missing, holds neither venue, or its ``tape.yaml`` is wrong.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise TapeError(f"{folder}: no such tape folder")
        tape = cls(folder, _use_yes_price(folder / "tape.yaml"))
        if not any(tape.frames_file(venue) or (folder / venue / "rest.json").is_file() for venue in VENUES):
            raise TapeError(f"{folder}: not a tape: neither kalshi/frames.jsonl nor polymarket/frames.jsonl is there")
        return tape

    def frames_file(self, venue: str) -> Path | None:
        """The venue's frames file, plain or compressed; None when the venue is not on the tape."""
        plain, packed = (self.folder / venue / name for name in ("frames.jsonl", "frames.jsonl.zst"))
        if plain.is_file() and packed.is_file():
            raise TapeError(f"{plain}: frames.jsonl and frames.jsonl.zst are both there; keep one")
        return plain if plain.is_file() else packed if packed.is_file() else None

    def frames(self, venue: str) -> Iterator[TapeFrame]:
        """The venue's frames in file order; a receive time that goes backwards is raised to its predecessor's."""
        latest = 0
        for number, line in self._lines(venue, _Line):
            latest = max(latest, line.t)
            yield TapeFrame(latest, line.frame, number)

    def stamps(self, venue: str) -> Iterator[int]:
        """The venue's receive times only, as ``frames`` would give them (cheaper: the text is not decoded)."""
        latest = 0
        for _, line in self._lines(venue, _Stamp):
            latest = max(latest, line.t)
            yield latest

    def rest(self, venue: str) -> dict[str, Any]:
        """The venue's recorded REST bodies by ``METHOD /path?query``; empty when there are none."""
        file = self.folder / venue / "rest.json"
        if not file.is_file():
            return {}
        try:
            body = msgspec.json.decode(file.read_bytes())
        except (msgspec.DecodeError, OSError) as error:
            raise TapeError(f"{file}: {error}") from error
        if not isinstance(body, dict):
            raise TapeError(f'{file}: expected an object {{"GET /path?query": body}}')
        return body

    def groups(self) -> list[dict[str, Any]]:
        """The groups that ``groups.yaml`` lists; empty when there is no such file."""
        file = self.folder / "groups.yaml"
        if not file.is_file():
            return []
        groups = _yaml(file)
        if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
            raise TapeError(f"{file}: expected a list of groups")
        return groups

    def timeline(
        self, venue: str, speed: float | None = 1.0, idle_cut_ns: int = IDLE_CUT_NS
    ) -> Iterator[tuple[int, TapeFrame]]:
        """The venue's frames with the time each is due, in ns after the start of the tape.

        Due times come from the merged timeline of both venues, so two simulator processes that read the same folder
        stay in step. ``speed`` None means as fast as it is read: everything is due at once.
        """
        own = ((frame.received_ns, frame) for frame in self.frames(venue))
        others = ((stamp, None) for name in VENUES if name != venue for stamp in self.stamps(name))
        merged: Iterator[tuple[int, TapeFrame | None]] = heapq.merge(own, others, key=lambda entry: entry[0])
        paced, entries = itertools.tee(merged)
        dues = pace((received for received, _ in paced), speed, idle_cut_ns)
        for due, (_, frame) in zip(dues, entries, strict=True):
            if frame is not None:
                yield due, frame

    def _lines(self, venue: str, row: type[_Row]) -> Iterator[tuple[int, _Row]]:
        file = self.frames_file(venue)
        if file is None:
            return
        decoder = msgspec.json.Decoder(row)
        number = 0
        try:
            with closing(_open(file)) as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield number, decoder.decode(line)
        except msgspec.ValidationError as error:
            raise TapeError(f"{file}, line {number}: {error}") from error
        except msgspec.DecodeError as error:
            raise TapeError(f"{file}, line {number}: not JSON: {error}") from error
        except (OSError, zstandard.ZstdError) as error:
            raise TapeError(f"{file}: unreadable after line {number}: {error}") from error


def pace(stamps: Iterable[int], speed: float | None = 1.0, idle_cut_ns: int = IDLE_CUT_NS) -> Iterator[int]:
    """When each of a merged run of receive times is due, in ns after the first: gaps cut, then divided by speed."""
    position, previous = 0, None
    for stamp in stamps:
        latest = stamp if previous is None else max(stamp, previous)
        position += min(latest - (latest if previous is None else previous), idle_cut_ns)
        previous = latest
        yield 0 if speed is None else round(position / speed)


def parse_speed(text: str) -> float | None:
    """``"max"`` is None (as fast as it is read), else a factor above zero such as ``"10"``, ``"x10"`` or ``"0.5"``."""
    if text == "max":
        return None
    try:
        speed = float(text.removeprefix("x"))
    except ValueError:
        raise ValueError(f"speed {text!r}: expected max or a number above 0") from None
    if not 0 < speed < float("inf"):
        raise ValueError(f"speed {text!r}: expected max or a number above 0")
    return speed


def resolve(name_or_folder: str, cache: Path) -> Path:
    """The folder of a tape: a shipped name, a path, or ``generated`` or ``planted`` (made in the cache when absent).

    Raises:
        TapeError: it is neither, with the names that are known.
    """
    # Imported here because the generators' own modules import this one.
    from infra.simulator.generate import ensure_generated
    from infra.simulator.planted.generate import ensure_planted

    if name_or_folder == GENERATED:
        return ensure_generated(cache)
    if name_or_folder == PLANTED:
        return ensure_planted(cache)
    shipped = SHIPPED / name_or_folder
    if "/" not in name_or_folder and shipped.is_dir():
        return shipped
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder
    known = sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()) if SHIPPED.is_dir() else []
    raise TapeError(
        f"no tape named {name_or_folder!r} and no such folder; known names: {', '.join([*known, GENERATED, PLANTED])}"
    )


def _open(file: Path) -> BinaryIO:
    if file.suffix != ".zst":
        return file.open("rb")
    reader = zstandard.ZstdDecompressor().stream_reader(file.open("rb"), read_across_frames=True, closefd=True)
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, reader), buffer_size=1 << 18))


def _use_yes_price(file: Path) -> bool:
    if not file.is_file():
        return False
    facts = _yaml(file)
    kalshi = facts.get("kalshi", {}) if isinstance(facts, dict) else None
    flag = kalshi.get("use_yes_price", False) if isinstance(kalshi, dict) else None
    if not isinstance(flag, bool):
        raise TapeError(f"{file}: kalshi.use_yes_price must be true or false")
    return flag


def _yaml(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise TapeError(f"{file}: {error}") from error
