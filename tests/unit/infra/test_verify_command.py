"""What `verify` prints and returns: every difference by opportunity and field, and what this release cannot read."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra import cli, verify_command
from streams.replay.differences import FieldDifference
from streams.replay.entry import Entry
from streams.replay.verify import Difference, Report

FIELDS = (FieldDifference("legs[0].fee", 7, 8), FieldDifference("net", 3, 2))
DIFFERS = Difference("differs", "o1", 2, 3, 99, 14, FIELDS)
MISSING = Difference("missing", "o2", 0, 3, 99, 15)
ENTRY = Entry(3, 99, 4, "input", "book.kalshi", 3, 71, 5)


def outcome(monkeypatch: pytest.MonkeyPatch, report: Report, *words: str) -> int:
    monkeypatch.setenv("DUTCHBOOK_KAFKA_US", "127.0.0.1:1")
    monkeypatch.setattr(verify_command, "verify", lambda *_: report)
    return cli.main(["verify", *words])


def test_equal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(partitions=2, epochs=3, records=10, books=20, events=5, lost=1, newer=2, skipped_epochs=4)
    assert outcome(monkeypatch, report) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "equal: 5 opportunity events of 3 epochs in 2 partitions; 0 differ"
    assert said[1:4] == [
        "1 decided but never delivered, the worker was killed; their inputs came again",
        "2 newer than the journal that was read",
        "4 epochs left out: what they began with is no longer kept",
    ]
    assert said[4].startswith("10 records, 20 books in ")


def test_differences_name_opportunity_place_and_fields(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, Report(differences=[DIFFERS, MISSING])) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[:4] == [
        "opportunity o1 revision 2 (partition 3, epoch 99, position 14): not what the core says",
        "  legs[0].fee: expected 7, found 8",
        "  net: expected 3, found 2",
        "opportunity o2 revision 0 (partition 3, epoch 99, position 15): the core says it, the topic has it not",
    ]
    assert said[4].startswith("differs: ")


def test_very_many_differences_are_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(monkeypatch, Report(differences=[MISSING] * 25)) == 1
    assert "and 5 more that differ" in capsys.readouterr().out


def test_inputs_that_this_release_cannot_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(monkeypatch, Report(undecodable=[(ENTRY, "unknown schema fingerprint 00")])) == 1
    said = capsys.readouterr().out
    assert "not readable: book.kalshi, partition 3, offset 71: unknown schema fingerprint 00" in said
    assert "1 inputs that this release cannot read and the detector could" in said


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(monkeypatch, Report(events=4, differences=[DIFFERS]), "--json") == 1
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert content["events"] == 4
    (difference,) = content["differences"]
    assert (difference["opportunity"], difference["position"]) == ("o1", 14)
    assert difference["fields"][0] == {"field": "legs[0].fee", "expected": 7, "found": 8}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("verify", "--run", "us"), "it is the alias of a cluster"),
        (("verify", "--from", "yesterday"), "is no moment"),
        (("replay", "--run", "A"), "is no name of a run"),
        (("replay", "--speed", "fast"), "--speed: speed 'fast': expected max or a number above 0"),
        (("replay", "--from", "5", "--to", "5"), "--from is not before --to"),
        (("runs", "compare", "a", "B"), "is no name of a run"),
        (("runs", "show"), "NAME"),
    ],
)
def test_wrong_words(
    words: tuple[str, ...],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DUTCHBOOK_KAFKA_US", "127.0.0.1:1")
    try:
        code = cli.main(words)
    except SystemExit as end:
        code = int(str(end.code))
    assert code == 2
    assert reason in capsys.readouterr().err
