"""Tapes: what is refused and how it is named, and when frames are due."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.tape import IDLE_CUT_NS, Tape, TapeError, pace, parse_speed, resolve
from tests.unit.infra.simulator.tapes import SECOND, write_tape


def write(folder: Path, text: str, name: str = "kalshi/frames.jsonl") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="gone: no such tape folder"):
        Tape.open(tmp_path / "gone")


def test_a_folder_without_frames_is_not_a_tape(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="not a tape"):
        Tape.open(tmp_path)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2: not JSON"),
        ('{"frame": "x"}', "line 2: .*`t`"),
        ('{"t": 5}', "line 2: .*`frame`"),
        ('{"t": "5", "frame": "x"}', "line 2: .*int"),
        ('{"t": 5, "frame": {}}', "line 2: .*str"),
    ],
)
def test_a_damaged_line_is_named_with_its_file(tmp_path: Path, line: str, complaint: str) -> None:
    file = write(tmp_path, '{"t": 1, "frame": "a"}\n' + line + "\n")
    frames = Tape.open(tmp_path).frames("kalshi")
    assert next(frames).text == "a"
    with pytest.raises(TapeError, match=complaint) as error:
        next(frames)
    assert str(file) in str(error.value)


def test_a_cut_compressed_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "kalshi").mkdir()
    file = tmp_path / "kalshi" / "frames.jsonl.zst"
    file.write_bytes(b"not zstd at all")
    with pytest.raises(TapeError, match=str(file)):
        list(Tape.open(tmp_path).frames("kalshi"))


def test_a_compressed_tape_reads_like_a_plain_one(tmp_path: Path) -> None:
    text = "".join(json.dumps({"t": t, "frame": f"frame {t}\n"}) + "\n" for t in range(5_000))
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    write(plain, text)
    (packed / "kalshi").mkdir(parents=True)
    half = len(text) // 2
    pieces = [zstandard.ZstdCompressor().compress(part.encode()) for part in (text[:half], text[half:])]
    (packed / "kalshi" / "frames.jsonl.zst").write_bytes(b"".join(pieces))
    assert list(Tape.open(plain).frames("kalshi")) == list(Tape.open(packed).frames("kalshi"))


def test_both_forms_at_once_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "")
    write(tmp_path, "", "kalshi/frames.jsonl.zst")
    with pytest.raises(TapeError, match="keep one"):
        Tape.open(tmp_path)


def test_time_that_goes_backwards_is_clamped_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, '{"t": 10, "frame": "a"}\n\n{"t": 4, "frame": "b"}\n{"t": 12, "frame": "c"}')
    tape = Tape.open(tmp_path)
    assert [(f.received_ns, f.text, f.line) for f in tape.frames("kalshi")] == [
        (10, "a", 1),
        (10, "b", 3),
        (12, "c", 4),
    ]
    assert list(tape.stamps("kalshi")) == [10, 10, 12]


def test_an_absent_venue_has_no_frames_bodies_or_groups(tmp_path: Path) -> None:
    tape = write_tape(tmp_path, kalshi=[(1, "x")])
    assert list(tape.frames("polymarket")) == []
    assert tape.rest("polymarket") == {}
    assert tape.groups() == []


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("kalshi/rest.json", "[]", "expected an object"),
        ("kalshi/rest.json", "{", "rest.json"),
        ("groups.yaml", "a: 1", "expected a list of groups"),
        ("groups.yaml", "[", "groups.yaml"),
    ],
)
def test_damaged_side_files_are_named(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    write(tmp_path, "")
    write(tmp_path, text, name)
    tape = Tape.open(tmp_path)
    with pytest.raises(TapeError, match=complaint):
        tape.groups() if name == "groups.yaml" else tape.rest("kalshi")


def test_a_wrong_tape_yaml_is_named(tmp_path: Path) -> None:
    write(tmp_path, "")
    write(tmp_path, "kalshi: {use_yes_price: maybe}", "tape.yaml")
    with pytest.raises(TapeError, match=r"tape.yaml: kalshi.use_yes_price"):
        Tape.open(tmp_path)


def test_idle_gaps_are_cut_before_speed_divides() -> None:
    stamps = [0, SECOND, 11 * SECOND, 11 * SECOND + 500_000_000]
    assert list(pace(stamps)) == [0, SECOND, 3 * SECOND, 3_500_000_000]
    assert list(pace(stamps, 2.0)) == [0, SECOND // 2, 3 * SECOND // 2, 1_750_000_000]
    assert list(pace(stamps, None)) == [0, 0, 0, 0]


@given(st.lists(st.integers(0, 100 * SECOND)), st.sampled_from([0.5, 1.0, 7.0]))
def test_due_times_never_go_back_and_no_gap_is_longer_than_the_cut(stamps: list[int], speed: float) -> None:
    due = list(pace(stamps, speed))
    assert len(due) == len(stamps)
    assert all(0 <= b - a <= IDLE_CUT_NS / speed + 1 for a, b in pairwise(due))


def test_both_venues_take_their_times_from_the_merged_timeline(tmp_path: Path) -> None:
    kalshi = [(0, "k0"), (30 * SECOND, "k1")]
    polymarket = [(1 * SECOND, "p0"), (29 * SECOND, "p1"), (31 * SECOND, "p2")]
    tape = write_tape(tmp_path, kalshi=kalshi, polymarket=polymarket)
    assert [(due, f.text) for due, f in tape.timeline("kalshi")] == [(0, "k0"), (4 * SECOND, "k1")]
    due = [(due, f.text) for due, f in tape.timeline("polymarket")]
    assert due == [(1 * SECOND, "p0"), (3 * SECOND, "p1"), (5 * SECOND, "p2")]


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1", 1.0), ("x10", 10.0), ("0.5", 0.5)])
def test_speeds(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "nan", "inf", ""])
def test_wrong_speeds_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="expected max or a number above 0"):
        parse_speed(text)


def test_tapes_are_found_by_name_or_folder_and_unknown_ones_list_the_names(tmp_path: Path) -> None:
    assert (resolve("btc-15m", tmp_path) / "groups.yaml").is_file()
    folder = write_tape(tmp_path / "mine", kalshi=[]).folder
    assert resolve(str(folder), tmp_path) == folder
    with pytest.raises(TapeError, match="no tape named 'btc'.*btc-15m, generated"):
        resolve("btc", tmp_path)
