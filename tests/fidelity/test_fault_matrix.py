"""Whatever goes wrong between a venue and its producer, no book stays live and wrong, and all are right soon after.

At least 1,000 runs: every fault alone and in seeded combinations, with the producers' own code (`harness`).
"""

import pytest

from infra.simulator.tape import Tape
from schemas.records import Venue
from tests.fidelity.matrix import FRESHNESS_NS, LONGEST_BOUND_NS, ROWS, Row, alone, complaints, together

ALONE_SEEDS = 11
TOGETHER_SEEDS = 260
CHUNK = 20

CELLS = [pytest.param(venue, row, id=f"{venue}-{row.name}") for row in ROWS for venue in row.venues]


def test_there_are_a_thousand_runs_and_every_bound_is_below_the_freshness_limit() -> None:
    assert len(CELLS) * ALONE_SEEDS + 2 * TOGETHER_SEEDS >= 1_000
    assert LONGEST_BOUND_NS < FRESHNESS_NS


@pytest.mark.parametrize(("venue", "row"), CELLS)
def test_a_fault_alone(venue: Venue, row: Row, tape: Tape) -> None:
    for seed in range(ALONE_SEEDS):
        assert complaints(alone(venue, tape, row, seed)) == [], f"seed {seed}"


@pytest.mark.parametrize("first", range(0, TOGETHER_SEEDS, CHUNK))
@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_faults_together(venue: Venue, first: int, tape: Tape) -> None:
    for seed in range(first, min(first + CHUNK, TOGETHER_SEEDS)):
        rows, report = together(venue, tape, seed)
        assert complaints(report) == [], f"seed {seed}: {', '.join(row.name for row in rows)}"
