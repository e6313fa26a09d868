"""One stack through its life, as a user sees it: bad input on the road, the other verbs, Ctrl-C, a restart, kill -9.

The tests of this file go on from one another in the order in which they stand.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.local.datadir import DataDir, read_run
from runtime.kafka import read_whole
from schemas.codec import decode_books
from schemas.records import Book, Region, Venue
from schemas.topics import HOME, REGIONS, creations
from tests.integration.command import Up, dutchbook, json_lines, still_alive, until
from tests.integration.damaged_tape import (
    CONDITIONS,
    KALSHI_GAPS,
    TICKERS,
    UNKNOWN,
    DamagedTape,
    write_damaged_tape,
)

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that Postgres's unprivileged user can pass."""
    with tempfile.TemporaryDirectory(prefix="dutchbook-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def tape(folder: Path) -> DamagedTape:
    return write_damaged_tape(folder / "tape")


@pytest.fixture(scope="module")
def running(folder: Path, tape: DamagedTape) -> Iterator[Up]:
    """A stack that has played the damaged tape and goes on."""
    up = Up(folder / "data", "--tape", tape.folder, "--summary", folder / "summary.json")
    try:
        up.until_said("the road is open")
        yield up
    finally:
        up.clean_up()


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a stack was when Ctrl-C was pressed, and how it ended."""

    up: Up
    exit_code: int
    processes: set[tuple[int, float]]
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def stopped(running: Up, folder: Path) -> Stopped:
    """The same stack after Ctrl-C."""
    processes = running.processes()
    assert len(processes) > 15
    return Stopped(running, running.end(), processes, json.loads((folder / "summary.json").read_text()))


@pytest.fixture(scope="module")
def restarted(stopped: Stopped, tape: DamagedTape) -> Iterator[Up]:
    """A second start on the same data folder."""
    up = Up(stopped.up.data_dir, "--tape", tape.folder)
    try:
        up.until_said("the road is open")
        yield up
    finally:
        up.clean_up()


def decoded(up: Up, topic: str, maximum: int, *more: str) -> list[dict[str, Any]]:
    """The first records of a topic."""
    return json_lines("decode", topic, "--from-beginning", "--max", maximum, "--data-dir", up.data_dir, *more)


def content(frame: str) -> str:
    """A frame without the numbers that the simulated venue gave it on this connection."""
    return re.sub(r'"(sid|seq)":\d+', "", frame)


def newest_books(up: Up, topic: str) -> dict[str, Book]:
    """The newest published book of every market."""
    read = read_whole(bootstrap(up, HOME["kalshi" if topic == "book.kalshi" else "polymarket"]), [topic])
    books = [book for message in read for book in decode_books(message.value())]
    return {book.market: book for book in sorted(books, key=lambda book: (book.epoch, book.sequence))}


def bootstrap(up: Up, region: Region) -> str:
    """Where a region's cluster listens."""
    return f"127.0.0.1:{read_run(up.data_dir)['ports'][f'{region}-kafka']}"


# -- a market that is not known, frames that cannot be read ------------------------------------------------------


def test_an_unknown_market_is_named_and_the_others_go_on(running: Up) -> None:
    running.until_said(f"polymarket does not know market {UNKNOWN} of group pair-c; the others go on", 20)
    (log,) = running.data_dir.glob("logs/producer-polymarket.log")
    assert f"market={UNKNOWN}" in log.read_text()


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_dead_letters_hold_the_original_bytes_and_the_error(running: Up, tape: DamagedTape, venue: Venue) -> None:
    records = decoded(running, f"deadletter.book.{venue}", 2)
    assert {content(record["value"]) for record in records} == {content(text) for text in tape.broken[venue]}
    received = {message.value() for message in read_whole(bootstrap(running, HOME[venue]), [f"raw.{venue}"])}
    for record in records:
        assert record["value"].encode() in received
        headers = {name.removeprefix("__connect.errors."): text for name, text in record["headers"].items()}
        assert headers["topic"] == f"book.{venue}"
        assert headers["connector.name"] == f"producer.{venue}"
        assert headers["exception.class.name"]
        assert headers["exception.message"]


@pytest.mark.parametrize(("topic", "markets"), [("book.kalshi", TICKERS[:2]), ("book.polymarket", CONDITIONS)])
def test_every_book_is_right_again_after_damage(
    running: Up, tape: DamagedTape, topic: str, markets: tuple[str, ...]
) -> None:
    def wrong() -> list[str]:
        books = newest_books(running, topic)
        return [
            f"{market}: {book}"
            for market in markets
            if (book := books.get(market)) is None or book.state != "live" or book.sides() != tape.final[market]
        ]

    until(lambda: not wrong(), f"{topic} is as the tape leaves it: {wrong()}", 30)


def test_books_are_printed_with_their_ladders(running: Up) -> None:
    records = decoded(running, "book.kalshi", 3)
    assert len(records) == 3
    for book in (book for record in records for book in record["value"]):
        assert book["market"] in TICKERS
        assert all(price > 0 and size > 0 for side in ("bids", "asks") for price, size in book[side])


# -- the other verbs against the running stack -------------------------------------------------------------------


def test_raw_topics_are_printed_as_text(running: Up) -> None:
    (record,) = decoded(running, "raw.kalshi", 1)
    assert record["headers"]["kind"] in ("ws", "rest", "sent", "asked", "mark")
    assert record["value"].startswith(("{", "["))
    assert record["key"].startswith("kalshi-")


def test_decode_reads_either_region(running: Up) -> None:
    (here,) = decoded(running, "heartbeat", 1, "--region", "us")
    (there,) = decoded(running, "heartbeat", 1, "--region", "eu")
    assert (here["value"]["region"], there["value"]["region"]) == ("us", "eu")


def test_decode_of_an_unknown_topic(running: Up) -> None:
    done = dutchbook("decode", "book.kalsi", "--data-dir", running.data_dir)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no topic 'book.kalsi'" in done.stderr
    done = dutchbook("decode", "group", "--region", "eu", "--data-dir", running.data_dir)
    assert done.returncode == 2
    assert "no topic 'group' in eu" in done.stderr


def test_topics_are_listed_and_created_once(running: Up) -> None:
    listed = dutchbook("topics", "list").stdout.splitlines()
    assert len(listed) == sum(len(creations(region)) for region in REGIONS)
    done = dutchbook("topics", "create", "--data-dir", running.data_dir)
    assert (done.returncode, done.stdout) == (0, "us: 0 topics created\neu: 0 topics created\n")


def test_groups_are_published_and_decided_on(running: Up, folder: Path) -> None:
    where = ("--data-dir", running.data_dir)
    file = folder / "more.yaml"
    file.write_text(
        "- group: more\n  relation: same\n  members:\n"
        "    - {venue: kalshi, market: KXMORE-1}\n    - {venue: polymarket, market: '0xmore'}\n"
    )
    assert "no mistakes" in dutchbook("groups", "check", file).stdout
    assert "1 groups published as proposed" in dutchbook("groups", "publish", file, *where).stdout

    def status_of(name: str) -> str:
        lines = dutchbook("groups", "list", *where).stdout.splitlines()
        return next(line.split()[0] for line in lines if line.split()[1] == name)

    assert (status_of("more"), status_of("pair-a")) == ("proposed", "approved")
    for verb, status in (("approve", "approved"), ("block", "blocked")):
        done = dutchbook("groups", verb, "more", *where)
        assert (done.returncode, done.stdout) == (0, f"1 groups are now {status}\n")
        assert status_of("more") == status
    assert dutchbook("groups", "block", "nobody", *where).returncode == 2
    assert "name the groups, or say --all" in dutchbook("groups", "approve", *where).stderr


def test_status_shows_every_process(running: Up) -> None:
    done = dutchbook("status", "--data-dir", running.data_dir)
    assert done.returncode == 0, done.stderr
    for name in read_run(running.data_dir)["children"]:
        assert f"{name} " in done.stdout
    assert "kalshi" in done.stdout.splitlines()[-1]


def test_a_producer_can_be_started_by_hand(running: Up) -> None:
    exports = dutchbook("status", "--environment", "--data-dir", running.data_dir).stdout.splitlines()
    settings = dict(shlex.split(line)[1].split("=", 1) for line in exports)
    process = subprocess.Popen(
        [sys.executable, "-m", "producers.kalshi"], env=os.environ | settings, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "feed connected" in line:
                break
        else:
            pytest.fail("the producer ended before its feed was connected")
    finally:
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=30)
    assert process.returncode == 0, rest


# -- beside another stack ----------------------------------------------------------------------------------------


def test_a_data_folder_in_use_is_refused(running: Up, tape: DamagedTape) -> None:
    done = dutchbook("up", "--tape", tape.folder, "--data-dir", running.data_dir)
    assert done.returncode == 2
    assert f"{running.data_dir} is in use by another stack (process {running.process.pid})" in done.stderr


def test_a_port_in_use_is_refused_by_name(running: Up, tape: DamagedTape, folder: Path) -> None:
    port = read_run(running.data_dir)["ports"]["us-kafka"]
    other = folder / "never"
    done = dutchbook("up", "--tape", tape.folder, "--data-dir", other, "--port", f"us-kafka={port}")
    assert done.returncode == 2
    assert f"us-kafka: port {port} on 127.0.0.1 is in use" in done.stderr
    assert not other.exists()


def test_two_stacks_side_by_side(running: Up, tape: DamagedTape, folder: Path) -> None:
    summary = folder / "second.json"
    second = Up(folder / "second", "--tape", tape.folder, "--for", 2, "--summary", summary)
    try:
        assert second.process.wait(120) == 0, second.said()
    finally:
        second.clean_up()
    assert running.process.poll() is None
    assert json.loads(summary.read_text())["healthy"] is True
    assert "every part stayed healthy and every queue is empty" in second.said()


def test_ctrl_c_while_the_stack_comes_up(running: Up, tape: DamagedTape, folder: Path) -> None:
    third = Up(folder / "third", "--tape", tape.folder)
    try:
        third.until_said("creating topics")
        processes = third.processes()
        assert third.end() == 130, third.said()
    finally:
        third.clean_up()
    assert third.said().endswith("stopped before the stack was up\n")
    assert still_alive(processes) == []
    assert running.process.poll() is None


# -- the end, and a new beginning --------------------------------------------------------------------------------


def test_ctrl_c_ends_with_code_0_although_there_are_dead_letters(stopped: Stopped) -> None:
    assert stopped.exit_code == 0, stopped.up.said()
    assert stopped.summary["healthy"] is stopped.summary["drained"] is True
    assert stopped.summary["problems"] == []
    assert stopped.summary["dead_letters"] == {"deadletter.book.kalshi": 2, "deadletter.book.polymarket": 2}
    assert "2 dead letters: `dutchbook decode deadletter.book.kalshi --from-beginning` shows" in stopped.up.said()
    assert len(stopped.summary["warnings"]) == 3


def test_the_summary_counts_damage_by_venue(stopped: Stopped) -> None:
    kalshi, polymarket = (stopped.summary["venues"][venue] for venue in ("kalshi", "polymarket"))
    assert (kalshi["decode_errors"], polymarket["decode_errors"]) == (2, 2)
    assert (kalshi["gaps"], polymarket["gaps"]) == (KALSHI_GAPS, 0)
    assert kalshi["markets_followed"] >= 3
    assert polymarket["markets_followed"] == 2


def test_ctrl_c_leaves_neither_process_nor_lock(stopped: Stopped) -> None:
    assert still_alive(stopped.processes) == []
    DataDir(stopped.up.data_dir).close()  # raises when the lock is held


def test_nothing_runs_afterwards(stopped: Stopped) -> None:
    done = dutchbook("status", "--data-dir", stopped.up.data_dir)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"no stack runs in {stopped.up.data_dir}" in done.stderr


def test_a_second_start_goes_on_from_the_first(restarted: Up, stopped: Stopped) -> None:
    offsets = [record["offset"] for record in decoded(restarted, "deadletter.book.kalshi", 2)]
    assert offsets == [0, 1], "the topics were kept"
    groups = dutchbook("groups", "list", "--data-dir", restarted.data_dir).stdout
    assert "blocked   more" in groups
    exports = dutchbook("status", "--environment", "--data-dir", restarted.data_dir).stdout
    settings = dict(shlex.split(line)[1].split("=", 1) for line in exports.splitlines())
    with psycopg.connect(settings["DUTCHBOOK_POSTGRES_DSN"]) as connection:
        row = connection.execute("SELECT count(*) FROM executions").fetchone()
    assert row is not None
    assert row[0] >= stopped.summary["postgres"]["executions"]


def test_kill_9_leaves_no_process(restarted: Up) -> None:
    processes = restarted.processes()
    assert len(processes) > 15
    assert restarted.end(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: not still_alive(processes), f"every process is gone: {still_alive(processes)}", 10)
    DataDir(restarted.data_dir).close()
