"""Catalogue churn: for as long as the fault lasts, one market after another changes its life."""

from dataclasses import replace
from random import Random

from infra.simulator.engine import MarketState
from infra.simulator.faults import MILLISECOND, ChurnStep, Fault, FaultName, FaultPanel
from infra.simulator.venue import Schedule, Venue

STEP_EVERY_MS = 500
"""Time between two steps, unless the fault says otherwise."""

NEXT: dict[MarketState, tuple[ChurnStep, ...]] = {
    "open": (ChurnStep.HALT, ChurnStep.CLOSE, ChurnStep.REVISE),
    "halted": (ChurnStep.RESUME, ChurnStep.CLOSE),
    "closed": (ChurnStep.OPEN, ChurnStep.SETTLE, ChurnStep.VANISH),
}


class Churn:
    """Strikes the venue with the step that a fault names, or with a seeded choice of steps while it lasts.

    At least half of the open markets of its beginning stay open, so that there is always something to trade.
    """

    def __init__(self, venue: Venue, faults: FaultPanel, schedule: Schedule, seed: int = 0) -> None:
        self._venue = venue
        self._faults = faults
        self._schedule = schedule
        self._random = Random(seed)  # noqa: S311 - a plan that its seed repeats
        self._run = 0

    def strike(self, fault: Fault) -> None:
        """Take the one step that the fault names, or begin with steps until it ends; a newer churn replaces it."""
        if fault.detail:
            self._venue.strike(fault)
            return
        self._run += 1
        states = self._states(fault).values()
        self._step(self._run, sum(state == "open" for state in states) // 2)

    def _step(self, run: int, keep_open: int) -> None:
        fault = self._faults.active(FaultName.CHURN)
        if fault is None or run != self._run:
            return
        step, markets = self._choice(fault, keep_open)
        self._venue.strike(replace(fault, detail=step, markets=markets))
        self._schedule((fault.delay_ms or STEP_EVERY_MS) * MILLISECOND, lambda: self._step(run, keep_open))

    def _choice(self, fault: Fault, keep_open: int) -> tuple[ChurnStep, tuple[str, ...]]:
        states = self._states(fault)
        spare = sum(state == "open" for state in states.values()) > keep_open
        movable = [market for market, state in states.items() if spare or state != "open"]
        if not movable or self._random.random() < 1 / 8:
            return ChurnStep.APPEAR, ()
        market = self._random.choice(movable)
        return self._random.choice(NEXT[states[market]]), (market,)

    def _states(self, fault: Fault) -> dict[str, MarketState]:
        return {market: book.state for market, book in self._venue.canonical().items() if fault.concerns((market,))}
