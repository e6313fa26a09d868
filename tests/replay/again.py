"""A run of the stack told again: verified, replayed at several speeds with kills, verified and compared."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition

from infra.local.datadir import read_run
from infra.local.stack import Stack
from infra.run_results import Results, results
from infra.verify_command import verify
from runtime.kafka import KafkaUnavailable, admin_client, consumer, end_offsets
from schemas import codec, fees
from schemas.runs import run_topic
from streams.replay.reading import Evicted, Unreadable
from streams.replay.verify import Report, Wanted

WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """One run: what its own verification, `runs compare` with what was live, and its results came to."""

    verified: Report
    compared: dict[str, Any]
    came_to: Results
    kills: int
    said: str


@dataclass(slots=True)
class Again:
    """Everything that was told again of one stack."""

    live: Report
    came_to: Results
    runs: dict[str, Replayed] = field(default_factory=dict)
    with_other_fees: Report | None = None
    errors: dict[str, str] = field(default_factory=dict)
    left_after_removal: list[str] = field(default_factory=list)


async def tell_again(stack: Stack, folder: Path, speeds: Sequence[str] = ("max", "10", "1")) -> Again:
    """Verify what was live, replay it at each speed with a kill -9 of the run's detector, then break it on purpose."""
    return await asyncio.to_thread(_tell_again, stack.addresses.kafka_us, folder / "again", speeds)


def _tell_again(address: str, folder: Path, speeds: Sequence[str]) -> Again:
    command = _Command(address, folder)
    again = Again(verify(address, Wanted()), results(address, ""))
    for speed in speeds:
        again.runs[speed] = _replayed(command, f"x{speed}", speed, again.came_to.events)
    with _changed(fees, "_KALSHI_SCALE", fees._KALSHI_SCALE // 2):
        again.with_other_fees = verify(address, Wanted())
    _break(again, command, f"x{speeds[0]}")
    return again


class _Command:
    """The command line, beside this stack."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder = address, folder
        settings = {"DUTCHBOOK_KAFKA_US": address, "DUTCHBOOK_DATA_DIR": str(folder)}
        self._environment = os.environ | settings

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        argv = [sys.executable, "-m", "infra.cli", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, env=self._environment, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    def run(self, *words: str) -> tuple[int, str]:
        process = self.begin(*words)
        said, _ = process.communicate(timeout=WITHIN_S)
        return process.returncode, said


def _replayed(command: _Command, name: str, speed: str, events: int) -> Replayed:
    process = command.begin("replay", "--speed", speed, "--run", name)
    kills = _kill_in_the_middle(command, name, process, events)
    said, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, said
    code, compared = command.run("runs", "compare", name, "--json")
    assert code in (0, 1), compared
    verified = verify(command.address, Wanted(run=name))
    return Replayed(verified, json.loads(compared), results(command.address, name), kills, said)


def _kill_in_the_middle(command: _Command, name: str, process: "subprocess.Popen[str]", events: int) -> int:
    """Kill the run's detector once it has said some of what it has to say; 0 when it was too quick for that."""
    deadline = time.monotonic() + WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        child = read_run(command.folder / "replays" / name).get("children", {}).get("detector", {})
        if child.get("state") == "ready" and _said(command.address, name) >= max(1, events // 4):
            try:
                os.killpg(child["pid"], signal.SIGKILL)
            except ProcessLookupError:
                return 0
            return 1
        time.sleep(0.05)
    return 0


def _said(address: str, run: str) -> int:
    client = consumer(address, "dutchbook-test")
    try:
        return sum(end_offsets(client, [run_topic(run, "opportunity")]).values())
    except KafkaUnavailable:
        return 0
    finally:
        client.close()


@contextmanager
def _changed(module: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _break(again: Again, command: _Command, run: str) -> None:
    """What the commands say when something is not there; the last of it cannot be undone."""
    unknown = {
        "no data": ("replay", "--from", "2031-01-01T00:00:00Z", "--run", "later"),
        "no data to verify": ("verify", "--to", "2001-01-01T00:00:00Z"),
        "unknown run": ("runs", "show", "nobody"),
        "taken": ("replay", "--run", run),
        "unknown group": ("replay", "--groups", "nobody", "--run", "later"),
    }
    for name, words in unknown.items():
        code, said = command.run(*words)
        again.errors[name] = f"{code} {said}"
    journal = codec.SCHEMAS["journal"]
    with _changed(codec, "_BY_HEADER", {k: s for k, s in codec._BY_HEADER.items() if s is not journal}):
        try:
            verify(command.address, Wanted())
        except Unreadable as error:
            again.errors["missing schema"] = str(error)
    admin = admin_client(command.address)
    for future in admin.delete_records([TopicPartition("book.kalshi", n, -1) for n in range(8)]).values():
        future.result(timeout=30)
    try:
        verify(command.address, Wanted())
    except Evicted as error:
        again.errors["evicted"] = str(error)
    code, said = command.run("runs", "remove", run)
    assert code == 0, said
    topics = admin.list_topics(timeout=10).topics
    again.left_after_removal = [topic for topic in topics if f".{run}." in topic]
