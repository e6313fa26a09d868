"""What is recorded of a real stack is a tape with the same opportunities, scanned and played through a stack again."""

from pathlib import Path

import pytest

from infra.simulator.generate import generate
from tests.replay.recorded import Event, Recording, of_stack, of_tape, timeless
from tests.scenario import Outcome, play

pytestmark = pytest.mark.timeout(600)


def test_a_fast_tape_with_both_venues_at_once(tmp_path: Path) -> None:
    """Forty times as fast: whichever venue's book the detector saw first, it is so on the tape."""
    recording = Recording(tmp_path / "tape")
    outcome = play("btc-15m", "40", recording.during)
    live = of_stack(outcome.opportunities, recording.to_ns)
    assert len(live) > 1_000
    assert of_tape(recording.out, tmp_path / "found") == live


def test_a_recorded_tape_plays(tmp_path: Path) -> None:
    """Source, recording, and the recording played again: the same opportunities."""
    source = generate(tmp_path / "source", pairs=12, minutes=0.4, planted_true=4, planted_false=3)
    recording = Recording(tmp_path / "tape")
    first = play(str(source), "1", recording.during)
    live = of_stack(first.opportunities, recording.to_ns)
    assert len([event for event in live if event.event == "opened"]) == 4
    assert of_tape(recording.out, tmp_path / "found") == live
    assert timeless(of_tape(source, tmp_path / "wanted")) == timeless(live)
    second = play(str(recording.out), "1")
    assert played_again(second) == timeless(live)


def played_again(outcome: Outcome) -> list[Event]:
    assert outcome.summary["healthy"], outcome.summary["problems"]
    for counts in outcome.summary["venues"].values():
        assert counts["gaps"] == counts["decode_errors"] == counts["reconnects"] == 0
    assert outcome.summary["tickets"].get("filled", 0) > 0
    return timeless(of_stack(outcome.opportunities))
