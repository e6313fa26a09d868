"""Wrong settings, wrong tapes and a full disk: one clear line that names the thing, and nothing is left behind."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.command import ROOT, dutchbook, mentioning
from tests.integration.damaged_tape import write_damaged_tape

pytestmark = pytest.mark.timeout(120)

FAUST = ("-m", "faust", "-A")
ENTRY_POINTS = {
    "producers.kalshi": (("-m", "producers.kalshi"), "DUTCHBOOK_BOOK_DEPTH"),
    "producers.polymarket": (("-m", "producers.polymarket"), "DUTCHBOOK_BOOK_DEPTH"),
    "gateway of kalshi": (("-m", "producers.kalshi.gateway"), "DUTCHBOOK_FRESHNESS_MS"),
    "gateway of polymarket": (("-m", "producers.polymarket.gateway"), "DUTCHBOOK_FRESHNESS_MS"),
    "streams.detector": ((*FAUST, "streams.detector", "worker", "-l", "info"), "DUTCHBOOK_FRESHNESS_MS"),
    "streams.executor": ((*FAUST, "streams.executor", "worker"), "DUTCHBOOK_LIMIT_OPEN_TICKETS"),
    "sinks influx": (("-m", "sinks", "influx"), "DUTCHBOOK_SINK_BATCH_MS"),
    "sinks postgres": (("-m", "sinks", "postgres"), "DUTCHBOOK_SINK_BATCH_MS"),
    "dutchbook up": (("-m", "infra.cli", "up"), "DUTCHBOOK_FRESHNESS_MS"),
}


@pytest.mark.parametrize("entry", ENTRY_POINTS)
def test_a_wrong_setting_is_named_in_one_line(entry: str) -> None:
    command, variable = ENTRY_POINTS[entry]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {variable: "abc"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert variable in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return write_damaged_tape(tmp_path / "tape").folder


def test_a_group_file_with_a_typo(tape: Path, tmp_path: Path) -> None:
    file = tape / "groups.yaml"
    file.write_text(file.read_text().replace("relation: same", "relaton: same", 1))
    checked = dutchbook("groups", "check", file)
    played = dutchbook("up", "--tape", tape, "--data-dir", tmp_path / "data")
    for done in (checked, played):
        assert done.returncode == 2
        assert f"{file}:2: unknown key 'relaton'" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_tape_with_a_torn_line(tape: Path, tmp_path: Path) -> None:
    file = tape / "kalshi" / "frames.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:3], lines[3][:20], *lines[4:]]))
    done = dutchbook("up", "--tape", tape, "--data-dir", tmp_path / "data")
    assert done.returncode == 2
    assert f"{file}, line 4: " in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """An empty disk of 24 MB."""
    folder = Path(tempfile.mkdtemp(prefix="dutchbook-disk-"))
    mounted = shutil.which("mount") is not None and not _run("mount", "-t", "tmpfs", "-o", "size=24m,mode=755", folder)
    try:
        if not mounted:
            pytest.skip("a full disk needs the right to mount a small one (root)")
        yield folder
    finally:
        if mounted:
            assert _run("umount", folder) == 0, f"something still uses {folder}"
        folder.rmdir()


def _run(*command: str | Path) -> int:
    """Run a command; `mount` mounts something that has no device."""
    words = [*map(str, command)]
    if words[0] == "mount":
        words.insert(-1, "tmpfs")
    return subprocess.run(words, capture_output=True, check=False).returncode


def test_a_disk_that_is_full_from_the_start(small_disk: Path, tape: Path) -> None:
    fill(small_disk, leave=0)
    data = small_disk / "data"
    done = dutchbook("up", "--tape", tape, "--data-dir", data)
    assert done.returncode == 2, done.stdout
    assert str(data) in done.stderr
    assert "No space left on device" in done.stderr
    assert mentioning(data) == []


def test_a_disk_that_fills_up_while_the_stack_starts(small_disk: Path, tape: Path) -> None:
    data = small_disk / "data"
    done = dutchbook("up", "--tape", tape, "--data-dir", data, timeout=100)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"the data folder {data} is on a full disk" in done.stderr
    assert "Traceback" not in done.stderr
    assert mentioning(data) == []


def fill(folder: Path, leave: int) -> None:
    """Leave so many bytes free."""
    free = shutil.disk_usage(folder).free - leave
    with (folder / "filler").open("wb") as filler:
        for _ in range(free // 4096):
            filler.write(bytes(4096))
