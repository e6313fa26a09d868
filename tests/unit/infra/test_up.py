"""`dutchbook up`: which folder, which exit code, and what a failure on a full disk says."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra import summary, up
from infra.local.datadir import DataDir, DataDirUnusable
from infra.local.parts import Parts
from infra.local.supervise import ChildFailed
from infra.preflight import disk_problem
from infra.up import Run, UpOptions, choose_data_dir, forget_old_runs
from runtime.kafka import KafkaUnavailable


def options(**more: Any) -> UpOptions:
    fields: dict[str, Any] = {
        "tape": "btc-15m",
        "live": False,
        "speed": "1",
        "seconds": None,
        "until_tape_end": False,
        "summary": None,
        "data_dir": None,
        "ports": {},
    }
    return UpOptions(**(fields | more))


class Said:
    """A view that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def begin(self) -> None:
        return

    def end(self) -> None:
        return


class Stack:
    """A stack that starts, plays nothing, and has queues that drain or do not."""

    def __init__(self, warnings: list[str]) -> None:
        self.warnings = warnings
        self.observer = SimpleNamespace(seen=SimpleNamespace(first_opportunity_ns=0))
        self.addresses = None

    async def start(self) -> None:
        return

    async def play(self) -> None:
        return


class Supervisor:
    """A supervisor of which a stop is asked at once."""

    def __init__(self, *stops: bool, restarts: int = 0) -> None:
        self.stop_requested = asyncio.Event()
        self.records = {"detector": SimpleNamespace(restarts=restarts)}
        self._stops = iter(stops)

    async def wait(self) -> None:
        if not next(self._stops):
            await asyncio.Event().wait()


def counted(**more: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "opportunities": 0,
        "tickets": {},
        "influxdb": {"book": 1},
        "postgres": {"executions": 0},
        "dead_letters": {},
        "latency_ms": {"frame_to_opportunity": {}},
        "memory_mib_total": 1,
    }
    return content | more


class Ending:
    """One run to its end, its parts replaced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said = Said()
        self.waiting: list[str] = []
        self.content: dict[str, Any] | Exception = counted()
        self.drained = True
        monkeypatch.setattr(up, "drain", self._drain)
        monkeypatch.setattr(summary, "summary", self._count)
        monkeypatch.setattr(Run, "_show", lambda _self: None)
        monkeypatch.setattr(Run, "_follow_lags", lambda _self: asyncio.sleep(0))

    async def _drain(self, *_: Any) -> list[str]:
        if not self.drained:
            await asyncio.Event().wait()
        return self.waiting

    def _count(self, *_: Any, **passed: Any) -> dict[str, Any]:
        if isinstance(self.content, Exception):
            raise self.content
        return self.content | {name: passed[name] for name in ("healthy", "drained", "problems")}

    def code(self, *stops: bool, restarts: int = 0, **more: Any) -> int:
        async def run() -> int:
            supervisor: Any = Supervisor(*stops, restarts=restarts)
            stack: Any = Stack([])
            view: Any = self.said
            return await Run(options(**more), view, supervisor, stack, 0).to_the_end()

        return asyncio.run(run())


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Ending:
    return Ending(monkeypatch)


def test_healthy_and_drained_is_code_0(ending: Ending) -> None:
    assert ending.code(True, False) == 0
    assert ending.said.lines[-1] == "every part stayed healthy and every queue is empty"


def test_dead_letters_are_a_warning(ending: Ending, tmp_path: Path) -> None:
    ending.content = counted(dead_letters={"deadletter.book.kalshi": 2})
    file = tmp_path / "summary.json"
    assert ending.code(True, False, summary=file) == 0
    assert "warning      2 dead letters: `dutchbook decode deadletter.book.kalshi" in "\n".join(ending.said.lines)
    assert '"healthy": true' in file.read_text()


def test_a_restart_is_a_problem(ending: Ending) -> None:
    assert ending.code(True, False, restarts=1) == 1
    assert "problem      detector died and was started again 1 times" in ending.said.lines


def test_a_queue_that_does_not_drain_is_a_problem(ending: Ending, tmp_path: Path) -> None:
    ending.waiting = ["executor: 3 records wait"]
    file = tmp_path / "summary.json"
    assert ending.code(True, False, summary=file) == 1
    assert "problem      executor: 3 records wait" in ending.said.lines
    assert '"healthy": true' in file.read_text()
    assert '"drained": false' in file.read_text()


def test_a_second_stop_ends_the_waiting(ending: Ending) -> None:
    ending.drained = False
    assert ending.code(True, True) == 130
    assert ending.said.lines[-1] == "stopped before the queues were empty"


def test_stores_that_do_not_answer_are_a_problem(ending: Ending) -> None:
    ending.content = KafkaUnavailable("us did not answer")
    assert ending.code(True, False) == 1
    assert "problem      the run could not be counted: us did not answer" in ending.said.lines


def test_a_summary_that_cannot_be_written_is_a_problem(ending: Ending, tmp_path: Path) -> None:
    assert ending.code(True, False, summary=tmp_path / "no" / "such") == 1
    assert "cannot be written: No such file or directory" in ending.said.lines[-1]


def test_the_data_folder_that_is_asked_for(tmp_path: Path) -> None:
    assert choose_data_dir(options(data_dir=tmp_path / "mine")) == tmp_path / "mine"
    assert choose_data_dir(options(live=True, tape=None), tmp_path) == tmp_path / "live"
    first, second = (choose_data_dir(options(tape="some/tape-1"), tmp_path) for _ in range(2))
    assert first.parent == tmp_path / "runs"
    assert "-tape-1-" in first.name
    assert first != second


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Path]:
    """Seven earlier runs, the oldest of which still runs."""
    folder = tmp_path / "runs"
    for number in range(7):
        (folder / f"2026-{number}").mkdir(parents=True)
    used = DataDir(folder / "2026-0")
    yield folder
    used.close()


def test_old_runs_are_forgotten_unless_in_use(runs: Path) -> None:
    forget_old_runs(runs, keep=4)
    assert sorted(folder.name for folder in runs.iterdir()) == ["2026-0", "2026-4", "2026-5", "2026-6"]


def test_a_full_disk_is_told_from_other_failures(tmp_path: Path) -> None:
    assert disk_problem(tmp_path, "postgres ended with code 1") == ""
    told = disk_problem(tmp_path, "postgres: could not write: No space left on device")
    assert f"the data folder {tmp_path} is on a full disk" in told


def test_a_child_that_gives_up_on_a_full_disk_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: Any) -> None:
        raise ChildFailed("us-kafka ended: No space left on device")

    monkeypatch.setattr(up, "find_parts", lambda: Parts(tmp_path, tmp_path, tmp_path, tmp_path))
    monkeypatch.setattr(up, "Stack", refuse)
    view: Any = Said()
    with pytest.raises(DataDirUnusable, match=f"{tmp_path}/data is on a full disk"):
        asyncio.run(up.up(options(data_dir=tmp_path / "data"), view))


def test_a_write_that_fails_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: Any) -> None:
        with Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"x")

    monkeypatch.setattr(up, "find_parts", lambda: Parts(tmp_path, tmp_path, tmp_path, tmp_path))
    monkeypatch.setattr(up, "Stack", full)
    view: Any = Said()
    with pytest.raises(DataDirUnusable, match=f"{tmp_path}/data cannot be written: No space left on device"):
        asyncio.run(up.up(options(data_dir=tmp_path / "data"), view))
