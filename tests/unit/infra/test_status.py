"""Finding the stack that runs, and what a process by hand needs to join it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from infra.status import NoStack, find_data_dir, running, running_environment
from runtime.settings import KafkaSettings, KalshiSettings, load

PORTS = {"us-kafka": 1, "eu-kafka": 2, "influxd": 3, "postgres": 4, "venue-kalshi": 5, "venue-polymarket": 6}


def write_run(folder: Path, *, pid: int | None = None, started_at: float | None = None, **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "supervisor_pid": os.getpid() if pid is None else pid,
        "started_at": time.time() if started_at is None else started_at,
        "ports": PORTS,
        "children": {},
    }
    (folder / "run.json").write_text(json.dumps(record | more))
    return folder


def test_the_stack_started_last_is_found(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "one", started_at=time.time() + 1)
    newest = write_run(tmp_path / "runs" / "two", started_at=time.time() + 3)
    write_run(tmp_path / "live", started_at=time.time() + 2)
    assert find_data_dir(None, tmp_path) == newest


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(NoStack, match=f"no stack runs in {tmp_path}"):
        find_data_dir(tmp_path)
    with pytest.raises(NoStack, match="no stack runs here"):
        find_data_dir(None, tmp_path)


def test_a_run_that_ended_is_not_running(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert not running(write_run(tmp_path, pid=process.pid))


def test_a_process_that_got_the_number_later_is_not_the_stack(tmp_path: Path) -> None:
    assert running(write_run(tmp_path))
    assert not running(write_run(tmp_path, started_at=1_000_000_000.0))


def test_a_torn_run_record_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"supervisor_pid": ')
    assert not running(tmp_path)


def test_the_environment_of_a_tape_run_points_at_the_simulators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path, children={"venue-kalshi": {}, "venue-polymarket": {}})
    for name, value in running_environment(folder).items():
        monkeypatch.setenv(name, value)
    assert load(KafkaSettings).kafka_eu == "127.0.0.1:2"
    kalshi = load(KalshiSettings)
    assert kalshi.kalshi_ws_url == "ws://127.0.0.1:5/trade-api/ws/v2"
    assert kalshi.kalshi_private_key_file == folder / "kalshi-simulator-key.pem"


def test_the_environment_of_a_live_run_leaves_the_venues_alone(tmp_path: Path) -> None:
    environment = running_environment(write_run(tmp_path, children={"producer-kalshi": {}}))
    assert {name for name in environment if "KALSHI" in name or "POLYMARKET" in name} == set()
    assert environment["DUTCHBOOK_INFLUX_URL"] == "http://127.0.0.1:3"
