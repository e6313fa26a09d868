"""`dutchbook rebuild`: what is wrong with its command line, and what it says about what it found."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import cli, rebuild_kafka
from infra.rebuild import Entry, Rebuilder, RebuildError
from infra.rebuild_kafka import Stretch, Verdict
from producers.transcript import Followed
from runtime.ranges import EmptyRange
from schemas.records import Book
from tests.unit.infra.simulator.tapes import snapshot, write_tape
from tests.unit.producers.support import make_market
from tests.unit.sinks.make import book


@pytest.fixture(autouse=True)
def _no_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for region in ("US", "EU"):
        monkeypatch.delenv(f"DUTCHBOOK_KAFKA_{region}", raising=False)


def run(*arguments: str) -> int:
    """The exit code, also where argparse ends the process itself."""
    try:
        return cli.main(["rebuild", *arguments])
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code


TAPE = ("--tape", "btc-15m")
KALSHI = ("--venue", "kalshi")
FRAMES_ONLY = "a tape has frames only: --check, --connection, --frame, --from and --to are for the running stack"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a venue (--venue kalshi or polymarket), or a tape (--tape)"),
        (("--check",), "name a venue (--venue kalshi or polymarket), or a tape (--tape)"),
        (("--venue", "kraken"), "--venue: invalid choice: 'kraken'"),
        (("--tape", "nonesuch"), "no tape named 'nonesuch' and no such folder; known names: btc-15m, generated"),
        (("--tape", "/no/such/folder"), "no tape named '/no/such/folder'"),
        (("--tape", "."), ": not a tape: "),
        ((*TAPE, "--check"), FRAMES_ONLY),
        ((*TAPE, "--connection", "kalshi-p-0"), FRAMES_ONLY),
        ((*TAPE, "--frame", "0"), FRAMES_ONLY),
        ((*TAPE, "--from", "0"), FRAMES_ONLY),
        ((*TAPE, "--to", "2026-11-23T04:00:00Z"), FRAMES_ONLY),
        ((*TAPE, "--out", "no/such/dir"), "--out: no/such/dir cannot be written: No such file or directory"),
        ((*TAPE, "--out", "."), "--out: . cannot be written: Is a directory"),
        ((*KALSHI, "--frame", "3"), "--frame counts the records of one connection: name it with --connection"),
        ((*KALSHI, "--connection", "c", "--frame", "-1"), "--frame: '-1' is not a whole number from 0 on"),
        ((*KALSHI, "--connection", "c", "--frame", "x"), "--frame: 'x' is not a whole number from 0 on"),
        ((*KALSHI, "--depth", "0"), "--depth: a book of 0 levels says nothing"),
        ((*KALSHI, "--depth", "-3"), "--depth: '-3' is not a whole number from 0 on"),
        ((*KALSHI, "--from", "yesterday"), "--from: 'yesterday' is no moment: expected 2026-11-23T04:00:00Z or "),
        ((*KALSHI, "--to", "2026-13-01"), "--to: '2026-13-01' is no moment"),
        ((*KALSHI, "--check", "--out", "x"), "--check compares books and prints none: leave --out away"),
        (KALSHI, "no stack runs here: start one with `dutchbook up`"),
        ((*KALSHI, "--data-dir", "/no/such"), "no stack runs in /no/such"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_tape_with_a_group_of_lines_that_are_no_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = write_tape(tmp_path / "tape", kalshi=[(1, snapshot(1))])
    (tape.folder / "kalshi" / "frames.jsonl").write_text('{"t": 1, "frame": "x"}\n{"t": "late", "frame": "y"}\n')
    assert run("--tape", str(tape.folder), "--out", "out") == 2
    assert "frames.jsonl, line 2: " in capsys.readouterr().err


def test_a_wrong_depth_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DUTCHBOOK_BOOK_DEPTH", "many")
    assert run(*TAPE) == 2
    assert "dutchbook rebuild: DUTCHBOOK_BOOK_DEPTH: " in capsys.readouterr().err


class Kafka:
    """What the topics would give; remembers what was asked of them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Stretch, Rebuilder]] = []
        self.books: list[Book] = []
        self.verdict = Verdict()
        self.error: Exception | None = None
        self.incomplete: set[str] = set()

    def rebuilt(self, address: str, stretch: Stretch, rebuilder: Rebuilder) -> Iterator[Book]:
        self._ask(address, stretch, rebuilder)
        yield from self.books

    def check(self, address: str, stretch: Stretch, rebuilder: Rebuilder) -> Verdict:
        self._ask(address, stretch, rebuilder)
        return self.verdict

    def _ask(self, address: str, stretch: Stretch, rebuilder: Rebuilder) -> None:
        self.asked.append((address, stretch, rebuilder))
        rebuilder.incomplete |= self.incomplete
        if self.error is not None:
            raise self.error


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    made = Kafka()
    monkeypatch.setenv("DUTCHBOOK_KAFKA_US", "us:1")
    monkeypatch.setenv("DUTCHBOOK_KAFKA_EU", "eu:2")
    monkeypatch.setattr(rebuild_kafka, "rebuilt", made.rebuilt)
    monkeypatch.setattr(rebuild_kafka, "check", made.check)
    monkeypatch.setattr(rebuild_kafka, "described", lambda address, venue: [])
    return made


def test_a_venue_is_read_where_it_is_at_home(kafka: Kafka) -> None:
    assert run(*KALSHI) == run("--venue", "polymarket") == 0
    assert [(address, stretch.venue) for address, stretch, _ in kafka.asked] == [
        ("us:1", "kalshi"),
        ("eu:2", "polymarket"),
    ]


def test_what_was_asked_for(kafka: Kafka) -> None:
    times = ("--from", "2026-11-23T04:00:00Z", "--to", "1795406400000000001")
    assert run(*KALSHI, *times, "--connection", "c", "--frame", "0", "--market", "A", "--market", "B") == 0
    ((_, stretch, _),) = kafka.asked
    assert stretch == Stretch(
        "kalshi", 1_795_406_400_000_000_000, 1_795_406_400_000_000_001, "c", 0, frozenset({"A", "B"})
    )


def test_lines_name_the_connection(kafka: Kafka, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    kafka.books = [book(1), book(2)]
    assert run(*KALSHI) == 0
    shown = capfdbinary.readouterr().out
    assert [json.loads(line)["connection"] for line in shown.splitlines()] == ["c", "c"]
    assert run(*KALSHI, "--out", str(tmp_path / "out")) == 0
    assert (tmp_path / "out").read_bytes() == shown
    assert capfdbinary.readouterr().out == b""


@pytest.mark.parametrize(
    ("verdict", "code", "said"),
    [
        (Verdict(equal=7), 0, ["7 published books equal what their raw records rebuild to, 0 differ, 0 come "]),
        (Verdict(equal=7, uncovered=2), 0, ["7 published books equal", "0 differ, 2 come from records outside"]),
        (Verdict(equal=7, different=1, examples=["X"]), 1, ["differs: X\n", "1 differ"]),
        (Verdict(uncovered=9), 1, ["kalshi: 0 published books equal"]),
    ],
)
def test_the_check_says_what_it_found(
    kafka: Kafka, verdict: Verdict, code: int, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kafka.verdict = verdict
    assert run(*KALSHI, "--check") == code
    shown = capsys.readouterr().out
    assert all(text in shown for text in said), shown


@pytest.mark.parametrize("mode", [(), ("--check",)])
def test_connections_whose_beginning_is_missing_are_counted(
    kafka: Kafka, mode: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    kafka.incomplete = {"a", "b"}
    kafka.verdict = Verdict(equal=1)
    assert run(*KALSHI, *mode) == 0
    assert "2 connections began before the stretch" in capsys.readouterr().err


@pytest.mark.parametrize("mode", [(), ("--check",), ("--out", "file")])
@pytest.mark.parametrize(
    "error",
    [EmptyRange("raw.kalshi: no records in the given time"), RebuildError("raw.kalshi, partition 0, offset 3: no")],
)
def test_nothing_to_rebuild_is_an_error_with_a_name(
    kafka: Kafka, mode: tuple[str, ...], error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    kafka.error = error
    assert run(*KALSHI, *mode) == 2
    assert capsys.readouterr().err == f"dutchbook rebuild: {error}\n"


@pytest.mark.parametrize(("flag", "price"), [("true", 5500), ("false", 4500)])
def test_a_missing_beginning_is_read_as_the_producers_were_told(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch, flag: str, price: int
) -> None:
    monkeypatch.setattr(rebuild_kafka, "described", lambda address, venue: [Followed(make_market("kalshi", "A-1"))])
    monkeypatch.setenv("DUTCHBOOK_KALSHI_USE_YES_PRICE", flag)
    assert run(*KALSHI) == 0
    ((_, _, rebuilder),) = kafka.asked
    frame = snapshot(9, no=[["0.5500", "10.00"]]).encode()
    (said,) = rebuilder.take(Entry("kalshi-p-0", 5, 5, "ws", frame))
    assert said.sides() == ([], [(price, 1000)])


def test_polymarket_does_not_ask_for_kalshis_settings(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUTCHBOOK_KALSHI_KEY_ID", "half a key")
    assert run("--venue", "polymarket") == 0
    assert run(*KALSHI) == 2
