"""A process that is well keeps its file fresh, one that stands still does not, and the check says what it sees."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runtime import health
from runtime.health import FRESH_S, STALLED_S, Health, HeartbeatSender, ailment


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_process_without_a_file_keeps_nothing() -> None:
    Health(None).touch()


def test_a_process_whose_work_stands_still_is_not_well(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "health"
    state = Health(file, now=clock)
    state.touch()
    assert file.exists()  # its work has no rounds, or has not begun them

    state.turned()
    for waited_s, well in ((STALLED_S, True), (STALLED_S + 1, False)):
        clock.now = 1000.0 + waited_s
        file.unlink(missing_ok=True)
        state.touch()
        assert file.exists() is well

    state.turned()
    state.touch()
    assert file.exists()


def test_a_file_that_cannot_be_touched_is_named_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = Health(tmp_path / "none" / "health")
    state.touch()
    state.touch()
    assert capsys.readouterr().err == (
        f"DUTCHBOOK_HEALTH_FILE: {tmp_path}/none/health cannot be touched: No such file or directory\n"
    )


def test_what_speaks_against_a_process(tmp_path: Path) -> None:
    file = tmp_path / "health"
    assert ailment(None, 0) == "DUTCHBOOK_HEALTH_FILE is not set: nothing is known"
    assert ailment(file, 0) == f"{file}: No such file or directory: the process has not begun to work"
    file.touch()
    os.utime(file, (1000, 1000))
    assert ailment(file, 1000 + FRESH_S) is None
    assert ailment(file, 1031) == f"{file} was last touched 31 s ago"


@pytest.mark.parametrize(("age_s", "code", "said"), [(0, 0, ""), (60, 1, "was last touched 6")])
def test_the_check_that_a_container_makes(tmp_path: Path, age_s: int, code: int, said: str) -> None:
    file = tmp_path / "health"
    file.touch()
    os.utime(file, (time.time() - age_s,) * 2)
    ended = subprocess.run(
        [sys.executable, "-m", "runtime.health"],
        env=os.environ | {"DUTCHBOOK_HEALTH_FILE": str(file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code
    assert said in ended.stderr
    assert bool(ended.stderr) == bool(code)


def test_the_check_imports_nothing_large() -> None:
    """It is run every few seconds on a fraction of a processor."""
    names = "import sys, runtime.health; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", names], capture_output=True, text=True, check=True).stdout.split()
    assert "runtime.health" in loaded
    assert not {"pydantic", "fastavro", "confluent_kafka", "msgspec", "structlog"} & set(loaded)


class Wire:
    """What a sender publishes to; refuses from the time it is broken."""

    def __init__(self) -> None:
        self.sent = 0
        self.broken = False

    def __call__(self, topic: str, key: bytes, value: bytes) -> None:
        if self.broken:
            raise RuntimeError("a record could not be delivered")
        assert (topic, key) == ("heartbeat", b"sink.x")
        self.sent += 1


class Touched(Health):
    """Counts instead of touching."""

    def __init__(self) -> None:
        super().__init__(None)
        self.touches = 0
        self.turns = 0

    def touch(self) -> None:
        self.touches += 1

    def turned(self) -> None:
        self.turns += 1


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> Touched:
    made = Touched()
    monkeypatch.setattr(health, "HEALTH", made)
    return made


def beat(wire: Wire, count: int) -> None:
    until = wire.sent + count
    deadline = time.monotonic() + 10
    while wire.sent < until:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_sender_touches_with_each_beat(touched: Touched) -> None:
    wire = Wire()
    sender = HeartbeatSender("sink.x", "us", wire, interval_s=0.01)
    sender.start()
    beat(wire, 3)
    sender.stop()
    assert touched.touches == wire.sent
    assert touched.turns == 0  # there is no event loop here: the work itself says that it goes round


def test_a_delivery_that_failed_ends_the_touching(touched: Touched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    wire = Wire()
    sender = HeartbeatSender("sink.x", "us", wire, interval_s=0.01)
    sender.start()
    beat(wire, 1)
    wire.broken = True
    sender._thread.join(10)
    assert touched.touches == wire.sent
    sender.stop()


def test_an_event_loop_must_turn(touched: Touched) -> None:
    wire = Wire()

    async def work() -> None:
        sender = HeartbeatSender("sink.x", "us", wire, interval_s=0.01)
        sender.start()
        await asyncio.to_thread(beat, wire, 3)
        await asyncio.sleep(0.02)
        turns, sent = touched.turns, wire.sent
        assert turns >= 2
        beat(wire, 5)  # blocks the loop
        assert wire.sent >= sent + 5
        assert touched.turns == turns
        await asyncio.to_thread(sender.stop)

    asyncio.run(work())
