"""Print the fault matrix: `python -m tests.fidelity [RUNS_A_CELL [COMBINATIONS]]`.

A row tells, over all its runs, the longest time for which a live book was not the venue's (that is how long the fault
took to be noticed), the longest time from the fault's end until every book was right, and how often a book was live
and wrong beyond the bound.
"""

import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import structlog

from infra.simulator.tape import Tape
from schemas.records import Venue
from tests.fidelity.harness import HEAL_NS, Report, small_tape
from tests.fidelity.matrix import ROWS, Row, alone, complaints, together

RUNS_A_CELL = 11
TOGETHER_RUNS = 260
PROCESSES = 2
WIDTHS = (11, 15, 6, 10, 12, 11, 7)
HEADINGS = ("venue", "fault", "runs", "bound", "noticed", "healed", "beyond")


@dataclass(frozen=True)
class Cell:
    """One line of the matrix; `place` is that of its row in ROWS, None for the combinations."""

    venue: Venue
    place: int | None
    runs: int

    @property
    def row(self) -> Row | None:
        """The fault; None for the combinations."""
        return None if self.place is None else ROWS[self.place]


def measure(task: tuple[Cell, Path]) -> tuple[Cell, list[Report]]:
    """Every run of a cell."""
    cell, folder = task
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    tape = Tape.open(folder)
    if cell.row is None:
        return cell, [together(cell.venue, tape, seed)[1] for seed in range(cell.runs)]
    return cell, [alone(cell.venue, tape, cell.row, seed) for seed in range(cell.runs)]


def line(cell: Cell, reports: Sequence[Report]) -> str:
    """A cell as a line."""
    bound = f"{cell.row.bound_ns[cell.venue] / 1e6:.0f} ms" if cell.row else "theirs"
    noticed = f"{max(report.detected_ns for report in reports) / 1e6:.0f} ms"
    healed = [report.healed_ns for report in reports if report.healed_ns is not None]
    slowest = f"{max(healed) / 1e6:.0f} ms" if len(healed) == len(reports) else f"> {HEAL_NS / 1e9:.0f} s"
    beyond = sum(len(report.wrongs) for report in reports)
    name = cell.row.name if cell.row else "2-3 together"
    return _columns((cell.venue, name, len(reports), bound, noticed, slowest, beyond))


def _columns(values: Sequence[Any]) -> str:
    return "  ".join(f"{value!s:<{width}}" for value, width in zip(values, WIDTHS, strict=True)).rstrip()


def main() -> int:
    """Print the matrix; 1 when something in it must not be."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS_A_CELL
    combinations = int(sys.argv[2]) if len(sys.argv) > 2 else TOGETHER_RUNS
    cells = [Cell(venue, place, runs) for place, row in enumerate(ROWS) for venue in row.venues]
    cells += [Cell("kalshi", None, combinations), Cell("polymarket", None, combinations)]
    total, failures = 0, []
    print(_columns(HEADINGS))
    with tempfile.TemporaryDirectory() as folder, Pool(PROCESSES) as pool:
        small_tape(Path(folder))
        for cell, reports in pool.imap(measure, [(cell, Path(folder)) for cell in cells]):
            print(line(cell, reports), flush=True)
            total += len(reports)
            name = cell.row.name if cell.row is not None else "together"
            failures += [
                f"{cell.venue} {name}, seed {seed}: {problem}"
                for seed, report in enumerate(reports)
                for problem in complaints(report)
            ]
    print(f"{total} runs, {len(failures)} complaints")
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
