"""Both tapes through the whole real stack, judged by an oracle, by the stores, and by what is known of the tape."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.oracle import basket_of
from tests.replay import judge
from tests.replay.again import Again, tell_again
from tests.scenario import Outcome, play

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module", params=["btc-15m", "generated"])
def outcome(request: pytest.FixtureRequest) -> Outcome:
    """One run of each tape: the real one fast, the generated one as it was made; then all of it again."""
    return play(request.param, "40" if request.param == "btc-15m" else "1", afterwards=tell_again)


def test_the_run_was_healthy(outcome: Outcome) -> None:
    assert outcome.summary["healthy"], outcome.summary["problems"]
    for counts in outcome.summary["venues"].values():
        assert counts["frames_read"] > 0
        assert counts["gaps"] == counts["decode_errors"] == counts["reconnects"] == 0


def test_opportunities_and_trades_appear(outcome: Outcome) -> None:
    assert outcome.summary["opportunities"] > 0
    assert outcome.summary["tickets"].get("filled", 0) > 0
    assert outcome.summary["postgres"]["opportunities"] == len(outcome.opportunities)
    assert outcome.summary["influxdb"]["opportunity"] == len(outcome.opportunities)


def test_the_oracle_agrees(outcome: Outcome) -> None:
    assert outcome.opportunities
    judge.the_oracle_agrees(outcome)


def test_what_was_live_verifies(outcome: Outcome) -> None:
    again: Again = outcome.afterwards
    assert again.live.differences == []
    assert again.live.undecodable == []
    assert again.live.events == len(outcome.opportunities) > 0
    assert again.live.lost == again.live.newer == again.live.skipped_epochs == 0


@pytest.mark.parametrize("speed", ["max", "10", "1"])
def test_a_replay_gives_the_same_opportunities(outcome: Outcome, speed: str) -> None:
    """Also with a kill -9 of its detector in the middle."""
    again: Again = outcome.afterwards
    run = again.runs[speed]
    assert run.compared["differences"] == run.compared["settings"] == [], run.said
    assert run.compared["equal"] == len(outcome.opportunities)
    assert run.verified.differences == []
    assert run.verified.undecodable == []
    assert run.verified.events == run.came_to.events == len(outcome.opportunities)
    assert run.kills == 1 or speed == "max"


def test_a_changed_fee_constant_is_named_with_opportunity_and_field(outcome: Outcome) -> None:
    again: Again = outcome.afterwards
    assert again.with_other_fees is not None
    ids = {opportunity.opportunity_id for opportunity in outcome.opportunities}
    differing = [one for one in again.with_other_fees.differences if one.kind == "differs"]
    assert differing
    assert {one.opportunity_id for one in differing} <= ids
    assert any(field.field.endswith((".fee", "fees")) for one in differing for field in one.fields)


def test_what_is_not_there_is_named(outcome: Outcome) -> None:
    errors = outcome.afterwards.errors
    assert (
        errors["no data"] == "2 dutchbook replay: journal.detector: the detector journalled nothing in the given time\n"
    )
    assert errors["no data to verify"].startswith(
        "2 dutchbook verify: journal.detector: the detector journalled nothing"
    )
    assert errors["unknown run"] == "2 dutchbook runs: there is no run 'nobody'; runs: x1, x10, xmax\n"
    assert errors["taken"].startswith("2 dutchbook replay: there is a run 'xmax' already")
    assert errors["unknown group"] == "2 dutchbook replay: no such group: nobody\n"
    assert "journal.detector, partition" in errors["missing schema"]
    assert "unknown schema fingerprint" in errors["missing schema"]
    assert "book.kalshi, partition" in errors["evicted"]
    assert "evicted, the topic now begins at offset" in errors["evicted"]


def test_a_removed_run_leaves_no_topic(outcome: Outcome) -> None:
    assert outcome.afterwards.left_after_removal == []


def test_every_input_was_journalled(outcome: Outcome) -> None:
    judge.every_input_was_journalled(outcome)


def test_opportunities_are_well_formed(outcome: Outcome) -> None:
    judge.opportunities_are_well_formed(outcome)


def test_everything_is_stored_exactly_once(outcome: Outcome) -> None:
    judge.everything_is_stored_once(outcome)


def test_every_order_is_answered_once(outcome: Outcome) -> None:
    assert outcome.orders
    judge.every_order_is_answered_once(outcome)


def test_no_basket_is_traded_twice(outcome: Outcome) -> None:
    judge.no_basket_is_traded_twice(outcome)


def test_a_filled_ticket_realises_what_was_expected(outcome: Outcome) -> None:
    filled = [ticket for ticket in outcome.tickets if ticket.state == "filled"]
    assert filled
    for ticket in filled:
        paid = sum(leg.cost + leg.fee for leg in ticket.legs)
        assert ticket.realised_net == ticket.payout - paid


def test_summary_has_every_figure(outcome: Outcome) -> None:
    latency = outcome.summary["latency_ms"]
    for name in ("frame_to_opportunity", "whole_trail", "mirrormaker"):
        assert set(latency[name]) == {"p50", "p90", "p99", "max"}
        assert 0 < latency[name]["p50"] <= latency[name]["p90"] <= latency[name]["p99"] <= latency[name]["max"]
    assert outcome.summary["seconds_to_first_opportunity"] > 0
    assert outcome.summary["memory_mib_total"] <= 4096


def test_the_generated_tape_has_its_planted_answer(outcome: Outcome) -> None:
    answers: list[dict[str, Any]] = []
    file = outcome.tape / "answers.json"
    if not file.exists():
        pytest.skip("only the generated tape knows its answer")
    answers = json.loads(file.read_text())
    planted = Counter(
        (
            tuple(sorted((claim["venue"], claim["market"], claim["outcome"]) for claim in answer["basket"])),
            answer["quantity"],
            answer["net"],
        )
        for answer in answers
        if answer["kind"] == "true"
    )
    opened = Counter((basket_of(o), o.quantity, o.gross - o.fees) for o in outcome.opportunities if o.event == "opened")
    assert planted
    assert opened == planted
    assert not [o for o in outcome.opportunities if o.event == "changed"]
