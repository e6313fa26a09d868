"""What is wrong with a command line is said in one clear line, with exit code 2, before anything is started."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import cli, up
from infra.local.parts import PartMissing, Parts


@pytest.fixture(autouse=True)
def _no_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No part is installed, no stack runs, and the run data of a mistake would lie in a folder of its own."""
    nowhere = tmp_path / "nowhere"
    monkeypatch.setattr(up, "find_parts", lambda: Parts(nowhere, nowhere, nowhere, nowhere))
    monkeypatch.chdir(tmp_path)
    for region in ("US", "EU"):
        monkeypatch.delenv(f"DUTCHBOOK_KAFKA_{region}", raising=False)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def run(*arguments: str) -> int:
    """The exit code, also where argparse ends the process itself."""
    try:
        return cli.main(arguments)
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("up", "--speed", "banana"), "--speed: speed 'banana': expected max or a number above 0"),
        (("up", "--speed", "0"), "--speed: speed '0'"),
        (("up", "--for", "-1"), "--for: '-1' is not a number of seconds above 0"),
        (("up", "--for", "soon"), "--for: 'soon' is not a number of seconds above 0"),
        (("up", "--for", "inf"), "--for: 'inf' is not"),
        (("up", "--summary", "/no/such/dir/x"), "--summary: the folder /no/such/dir does not exist"),
        (("up", "--summary", "/proc"), "--summary: /proc cannot be written"),
        (("up", "--live", "--until-tape-end"), "--live has none"),
        (("up", "--live", "--tape", "x"), "not allowed with argument"),
        (("up", "--port", "kafka=1"), "--port kafka=1: expected SERVICE=PORT with a service of us-kafka, "),
        (("up", "--port", "us-kafka=many"), "--port us-kafka=many: expected SERVICE=PORT"),
        (("up", "--port", "us-kafka=70000"), "us-kafka: 70000 is not a port"),
        (("up", "--tape", "nonesuch"), "no tape named 'nonesuch' and no such folder; known names: btc-15m, generated"),
        (("up", "--tape", "/no/such/folder"), "no tape named '/no/such/folder'"),
        (("status",), "no stack runs here: start one with `dutchbook up`"),
        (("status", "--data-dir", "/no/such"), "no stack runs in /no/such"),
        (("decode", "nonesuch"), "no topic 'nonesuch': `dutchbook topics list` names them all"),
        (("decode", "group", "--max", "0"), "--max: '0' is not a whole number of 1 or more"),
        (("decode", "group", "--max", "few"), "--max: 'few' is not a whole number of 1 or more"),
        (("groups", "check", "/no/such.yaml"), "/no/such.yaml: No such file or directory"),
        (("groups", "approve"), "name the groups, or say --all"),
        (("topics", "create"), "no stack runs here"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert said in capsys.readouterr().err


def test_a_port_in_use_is_named_with_its_service(taken_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("up", "--tape", "btc-15m", "--port", f"postgres={taken_port}") == 2
    assert f"postgres: port {taken_port} on 127.0.0.1 is in use" in capsys.readouterr().err
    assert not Path("data").exists()


def test_a_folder_that_is_no_tape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("up", "--tape", str(tmp_path)) == 2
    assert f"{tmp_path}: not a tape" in capsys.readouterr().err


def test_a_tape_without_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kalshi").mkdir()
    (tmp_path / "kalshi" / "frames.jsonl").write_text("")
    assert run("up", "--tape", str(tmp_path)) == 2
    assert f"{tmp_path / 'groups.yaml'}: No such file or directory" in capsys.readouterr().err


def test_a_wrong_setting_is_named_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DUTCHBOOK_FRESHNESS_MS", "abc")
    assert run("up") == 2
    assert "dutchbook up: DUTCHBOOK_FRESHNESS_MS: " in capsys.readouterr().err
    assert not Path("data").exists()


def test_parts_that_were_never_installed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing() -> Parts:
        raise PartMissing("the parts are not installed: run `make setup`")

    monkeypatch.setattr(up, "find_parts", missing)
    assert run("up") == 2
    assert "run `make setup`" in capsys.readouterr().err


def test_a_data_folder_that_cannot_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert run("up", "--data-dir", "file/data") == 2
    assert (
        f"the data folder {Path('file/data').absolute()} cannot be written: Not a directory" in capsys.readouterr().err
    )


def test_topics_are_listed_without_a_stack(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("topics", "list") == 0
    listed = capsys.readouterr().out
    assert "us  book.kalshi " in listed
    assert "us  eu.book.polymarket " in listed
    assert "eu  book.polymarket " in listed


def test_a_group_file_is_checked_without_a_stack(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("groups.yaml")
    file.write_text("- group: g\n  relation: same\n  members:\n    - {venue: kalshi, market: A}\n    - kalshi\n")
    assert run("groups", "check", str(file)) == 2
    assert "groups.yaml:5: a member must be a mapping, found 'kalshi'" in capsys.readouterr().err


ELECTION = """\
- group: election
  relation: [exclusive, exhaustive]
  members:
    - {venue: kalshi, market: A}
    - {venue: kalshi, market: B}
    - {venue: kalshi, market: C}
  evidence: {void_probability: 0.01, mismatch_probability: 0, void: {kalshi: last_price}}
"""
CHECKED = """\
groups.yaml: 1 groups, 3 markets, no mistakes
election  exclusive exhaustive: 3 markets, 3 possible outcomes, 5 baskets in 5 families
  void probability 0.01, mismatch probability 0, void on kalshi: last price
  0  kalshi A
  1  kalshi B
  2  kalshi C
"""


def test_what_follows_from_a_group_file_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    Path("groups.yaml").write_text(ELECTION)
    assert run("groups", "check", "groups.yaml") == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0] == CHECKED.splitlines()[0]
    assert re.sub(r"in \d famil(y|ies)", "", shown) == re.sub(r"in \d famil(y|ies)", "", CHECKED)
    assert run("groups", "check", "groups.yaml", "--baskets") == 0
    listed = capsys.readouterr().out.removeprefix(shown).splitlines()
    assert listed == [
        "  pays 1.0000  NO kalshi A + NO kalshi B",
        "  pays 2.0000  NO kalshi A + NO kalshi B + NO kalshi C",
        "  pays 1.0000  NO kalshi A + NO kalshi C",
        "  pays 1.0000  YES kalshi A + YES kalshi B + YES kalshi C",
        "  pays 1.0000  NO kalshi B + NO kalshi C",
    ]


def test_of_very_many_baskets_the_first_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    members = "".join(f"    - {{venue: kalshi, market: M{number}}}\n" for number in range(40))
    Path("groups.yaml").write_text(f"- group: many\n  relation: exclusive\n  members:\n{members}")
    assert run("groups", "check", "groups.yaml", "--baskets") == 0
    shown = capsys.readouterr().out.splitlines()
    assert "  the first 200 baskets, family by family:" in shown
    assert sum(line.startswith("  pays ") for line in shown) == 200


def test_relations_that_clash_are_named_with_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    relations = "  relations:\n    - {relation: implies, members: [A, B]}\n    - {relation: implies, members: [B, A]}\n"
    Path("groups.yaml").write_text(ELECTION.replace("  relation: [exclusive, exhaustive]\n", relations))
    for arguments in (("check", "groups.yaml"), ("publish", "groups.yaml", "--data-dir", "/no/such")):
        assert run("groups", *arguments) == 2
    assert "groups.yaml: lines 3 and 4: group 'election': relations" in capsys.readouterr().err
