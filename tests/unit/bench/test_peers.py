"""The peers are found, and none of their failures passes for a figure."""

from pathlib import Path
from typing import Any

import pytest

from bench import peers
from bench.peers import Found, find_peers, main, take_peer
from bench.stack import BenchFailed

RUN: dict[str, Any] = {
    "id": "confluent", "peer": "confluent-kafka", "version": "2", "work": "loop", "events": 1000, "events_per_s": 500,
    "cpu_s": 0.1, "answers_ok": True,
}  # fmt: skip


def test_the_folder_that_is_named_counts(tmp_path: Path) -> None:
    (tmp_path / "run_all.sh").touch()
    assert find_peers({"DUTCHBOOK_PEERS": str(tmp_path)}) == tmp_path


def test_a_folder_beside_the_clone_is_the_usual_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "ROOT", tmp_path / "clone")
    usual = tmp_path / "shared" / "peers"
    usual.mkdir(parents=True)
    (usual / "run_all.sh").touch()
    assert find_peers({}) == usual


def test_a_missing_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DUTCHBOOK_PEERS", str(tmp_path / "nowhere"))
    assert main([]) == 1
    assert f"no run_all.sh in DUTCHBOOK_PEERS: {tmp_path / 'nowhere'}" in capsys.readouterr().err


def test_a_peers_run_becomes_a_rate_and_its_processor_time() -> None:
    found = Found()
    take_peer(RUN, found, lambda _: None)
    take_peer(RUN | {"events_per_s": 700}, found, lambda _: None)
    rate, processor = found.figures()
    assert (rate.name, rate.values) == ("confluent-kafka 2: loop", (500, 700))
    assert (processor.unit, processor.values) == ("us/book", (100.0, 100.0))


@pytest.mark.parametrize("broken", [{"answers_ok": False}, {"error": "no result"}])
def test_a_peer_that_failed_ends_the_run(broken: dict[str, object]) -> None:
    with pytest.raises(BenchFailed, match="confluent"):
        take_peer(RUN | broken, Found(), lambda _: None)
