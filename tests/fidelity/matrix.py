"""The fault matrix: which faults, for how long, how soon each must be noticed. `python -m tests.fidelity` prints it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from infra.simulator.faults import MILLISECOND, Fault, FaultName
from infra.simulator.tape import Tape
from schemas.records import Venue
from tests.fidelity.harness import SECOND, Report, Trial, run

NEXT_FRAME_NS: Final = 1_500 * MILLISECOND
"""Kalshi: a number is missing when the next frame of the subscription comes; the answer to the next question is one."""

NEXT_HASH_NS: Final = 1_500 * MILLISECOND
"""Polymarket: a change is missing when the next hash of the book comes, or the next answer to a reconciliation."""

RECONCILE_NS: Final = 3_000 * MILLISECOND
"""Both: what nothing on the connection can tell is told by the proof that does not come (`reconcile_ms`)."""

FRESHNESS_NS: Final = 5_000 * MILLISECOND
"""The detector's own limit: every bound must be below."""

Make = Callable[[Random], Trial]


@dataclass(frozen=True)
class Row:
    """A fault, how it is made, and within which time a book that it makes wrong is no longer live."""

    name: FaultName
    make: Make
    bound_ns: dict[Venue, int]
    venues: tuple[Venue, ...] = ("kalshi", "polymarket")
    also: tuple[FaultName, ...] = ()

    def trials(self, random: Random) -> list[Trial]:
        """The fault, and what must happen with it so that it matters."""
        return [self.make(random), *(Trial(Fault(name), 500 * MILLISECOND, 0) for name in self.also)]


def _lasting(name: FaultName, longest_s: float = 3.0, delay_ms: tuple[int, int] = (0, 0), share: float = 0.0) -> Make:
    def make(random: Random) -> Trial:
        fault = Fault(
            name,
            share=random.uniform(0.05, share) if share else 1.0,
            delay_ms=random.randint(*delay_ms) if delay_ms[1] else 0,
        )
        return Trial(fault, random.randint(0, SECOND), int(random.uniform(1.0, longest_s) * SECOND))

    return make


def _once(name: FaultName) -> Make:
    return lambda random: Trial(Fault(name), random.randint(0, 2 * SECOND), 0)


def _skew(random: Random) -> Trial:
    fault = Fault(FaultName.CLOCK_SKEW, delay_ms=random.choice((-1, 1)) * random.randint(200, 60_000))
    return Trial(fault, random.randint(0, SECOND), 3 * SECOND)


def _bounds(kalshi_ns: int, polymarket_ns: int) -> dict[Venue, int]:
    return {"kalshi": kalshi_ns, "polymarket": polymarket_ns}


_NEXT = _bounds(NEXT_FRAME_NS, NEXT_HASH_NS)
_SILENT = _bounds(RECONCILE_NS, RECONCILE_NS)
_CUT = (FaultName.CUT,)

ROWS: Final[tuple[Row, ...]] = (
    Row(FaultName.DROP, _lasting(FaultName.DROP, share=0.6), _NEXT),
    Row(FaultName.DUPLICATE, _lasting(FaultName.DUPLICATE, delay_ms=(1, 300), share=0.9), _NEXT),
    Row(FaultName.REORDER, _lasting(FaultName.REORDER, delay_ms=(1, 300), share=0.6), _NEXT),
    Row(FaultName.DELAY, _lasting(FaultName.DELAY, delay_ms=(50, 1_500)), _SILENT),
    Row(FaultName.TRUNCATE, _lasting(FaultName.TRUNCATE, share=0.6), _NEXT),
    Row(FaultName.MALFORMED, _lasting(FaultName.MALFORMED, share=0.6), _NEXT),
    Row(FaultName.GAP, _lasting(FaultName.GAP, share=0.6), _NEXT, venues=("kalshi",)),
    Row(FaultName.NO_FIRST_BOOK, _lasting(FaultName.NO_FIRST_BOOK), _SILENT, also=_CUT),
    Row(FaultName.FREEZE, _lasting(FaultName.FREEZE, 8.0), _SILENT),
    Row(FaultName.FREEZE_MARKET, _lasting(FaultName.FREEZE_MARKET, 8.0), _SILENT),
    Row(FaultName.HALF_OPEN, _lasting(FaultName.HALF_OPEN, 12.0), _SILENT),
    Row(FaultName.CUT, _once(FaultName.CUT), _SILENT),
    Row(FaultName.REFUSE, _lasting(FaultName.REFUSE, 8.0), _SILENT, also=_CUT),
    Row(FaultName.CHANNEL_ERROR, _once(FaultName.CHANNEL_ERROR), _SILENT, venues=("kalshi",)),
    Row(FaultName.OVERFLOW, _once(FaultName.OVERFLOW), _SILENT, venues=("kalshi",)),
    Row(FaultName.TICK_CHANGE, _once(FaultName.TICK_CHANGE), _SILENT),
    Row(FaultName.CLOCK_SKEW, _skew, _SILENT),
    Row(FaultName.PAUSE, _lasting(FaultName.PAUSE, 6.0), _SILENT),
    Row(FaultName.MAINTENANCE, _lasting(FaultName.MAINTENANCE, 6.0), _SILENT),
    Row(FaultName.CHURN, _lasting(FaultName.CHURN, 6.0), _SILENT),
    Row(FaultName.REST_429, _lasting(FaultName.REST_429, 4.0), _SILENT, also=_CUT),
    Row(FaultName.REST_425, _lasting(FaultName.REST_425, 4.0), _SILENT, also=_CUT),
    Row(FaultName.REST_500, _lasting(FaultName.REST_500, 4.0), _SILENT, also=_CUT),
    Row(FaultName.REST_SLOW, _lasting(FaultName.REST_SLOW, 4.0, delay_ms=(200, 8_000)), _SILENT, also=_CUT),
    Row(FaultName.REST_STALE, _lasting(FaultName.REST_STALE, 4.0), _SILENT, also=_CUT),
)

LONGEST_BOUND_NS: Final = max(bound for row in ROWS for bound in row.bound_ns.values())


def rows_of(venue: Venue) -> list[Row]:
    """The rows that concern a venue."""
    return [row for row in ROWS if venue in row.venues]


def alone(venue: Venue, tape: Tape, row: Row, seed: int) -> Report:
    """One fault."""
    return run(venue, tape, row.trials(Random(f"{venue} {row.name} {seed}")), seed, bound_ns=row.bound_ns[venue])


def together(venue: Venue, tape: Tape, seed: int) -> tuple[Sequence[Row], Report]:
    """Two or three faults at times that may overlap; the gravest bound of them holds."""
    random = Random(f"{venue} together {seed}")
    rows = random.sample(rows_of(venue), random.randint(2, 3))
    trials = [trial for row in rows for trial in row.trials(random)]
    bound_ns = max(row.bound_ns[venue] for row in rows)
    return rows, run(venue, tape, trials, seed, bound_ns=bound_ns)


def complaints(report: Report) -> list[str]:
    """What a run shows that must not be."""
    found = list(report.problems)
    found += [f"{wrong.market}: live and wrong for {wrong.lasted_ns / 1e6:.0f} ms" for wrong in report.wrongs]
    if report.healed_ns is None:
        found.append("not healed within 5 s of the fault's end")
    return found
