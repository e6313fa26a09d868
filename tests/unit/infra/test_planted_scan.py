"""`dutchbook scan` on the planted tape: every edge that pays is found at its best size, and nothing else is."""

import json
from pathlib import Path

import pytest

from bench.rivals import ours
from bench.rivals.score import Score, score
from bench.rivals.world import Label, World, load
from infra import cli
from infra.simulator.planted.generate import ensure_planted


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return load(ensure_planted(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def lines(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    return ours.scanned(world.tape.folder, tmp_path_factory.mktemp("scan") / "scan.jsonl")


@pytest.fixture(scope="module")
def result(world: World, lines: list[dict[str, object]]) -> Score:
    return score("dutchbook", ours.findings(lines, world), world)


def told(labels: tuple[Label, ...]) -> list[str]:
    return [f"{label.group} at {label.open_ns}" for label in labels]


def test_nothing_is_missed_and_there_is_no_phantom(result: Score, world: World) -> None:
    homes = [(world.home[next(iter(one.claims))[:2]], one.open_ns, one.close_ns) for one in result.phantoms]
    assert homes == []
    assert told(result.missed) == []
    assert result.found == sum(label.true for label in world.labels)


def test_edges_open_and_close_at_the_very_frames_that_make_and_end_them(
    lines: list[dict[str, object]], world: World
) -> None:
    """An edge of which one feed has fallen silent may close sooner: its proofs drift apart before they are stale."""
    stood = {
        (one.claims, one.open_ns): one.close_ns for one in ours.findings(lines, world) if one.close_ns > one.open_ns
    }
    for label in world.labels:
        if label.true or not label.knowable:
            close_ns = stood.pop((label.claims, label.open_ns))
            assert close_ns == label.close_ns or (label.case == "goes-stale" and close_ns < label.close_ns)
    assert not stood


def test_every_trade_earns_what_its_label_says(result: Score, world: World) -> None:
    """All but the crossings that nobody can know to be none, and an offer that two edges share."""
    worth = {(label.claims, label.open_ns): label.net for label in world.labels if label.true}
    traded = {(trade.found.claims, trade.found.open_ns): trade for trade in result.trades}
    for key, trade in traded.items():
        if key in worth:
            assert trade.net == worth[key]
            assert not trade.uneven
    lost = [trade for key, trade in traded.items() if key not in worth]
    assert len(lost) == result.unknowable
    assert all(trade.uneven for trade in lost)
    assert len(worth) - len(traded.keys() & worth.keys()) == 1


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("fees", "fees"),
        ("flat-fees", "fees"),
        ("nearest-cent", "fees"),
        ("whole-cents", "fees"),
        ("third-level", "minimum size"),
        ("void-risk", "settlement risk"),
        ("mismatch-risk", "settlement risk"),
        ("time-value", "time value"),
        ("stale", "stale"),
        ("clock-skew", "stale"),
        ("duplicate-kalshi", "minimum size"),
    ],
)
def test_what_is_rejected_says_why(rejections: dict[str, set[str]], case: str, reason: str) -> None:
    assert rejections[case] == {reason}


@pytest.fixture(scope="module")
def rejections(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The first reasons of what was rejected, by case."""
    folder: Path = tmp_path_factory.mktemp("analysis")
    files = ["--out", str(folder / "out"), "--analysis", str(folder / "analysis")]
    assert cli.main(["scan", "--tape", str(world.tape.folder), *files]) == 0
    cases = {label.group: label.case for label in world.labels}
    found: dict[str, set[str]] = {}
    for line in (folder / "analysis").read_text().splitlines():
        rejected = json.loads(line)
        found.setdefault(cases[rejected["group"]], set()).add(rejected["reason"])
    return found
