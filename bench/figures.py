"""What was measured, as values: figures with their repeats, their table, their JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Any, Final

COLUMNS: Final = ("median", "lowest", "highest")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: a value per repeat, in order, and the section of the table it belongs to."""

    section: str
    name: str
    unit: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError(f"{self.section}: {self.name}: a figure has at least one value")

    def row(self) -> tuple[str, ...]:
        """Name, unit, and the columns of the table."""
        numbers = (median(self.values), min(self.values), max(self.values))
        return (self.name, self.unit, *(plain(number) for number in numbers))

    def record(self) -> dict[str, Any]:
        """The figure as JSON."""
        summary = {"median": median(self.values), "lowest": min(self.values), "highest": max(self.values)}
        return {"section": self.section, "name": self.name, "unit": self.unit, "values": list(self.values)} | summary


def gather(section: str, unit: str, runs: Iterable[Mapping[str, float]]) -> list[Figure]:
    """One figure for each name that any repeat measured, in the order of first appearance."""
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, value in run.items():
            values.setdefault(name, []).append(value)
    return [Figure(section, name, unit, tuple(found)) for name, found in values.items()]


def plain(number: float) -> str:
    """A number as people read it: no decimals from 1,000 on, three significant ones below."""
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    if abs(number) >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def table(figures: Sequence[Figure]) -> str:
    """All figures as aligned text, one block a section."""
    rows = [("", "unit", *COLUMNS), *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        return "  ".join(cells).rstrip()

    lines: list[str] = []
    for section, members in groupby(figures, key=lambda figure: figure.section):
        head = line(("", "unit", *COLUMNS)) if not lines else ""
        lines += [head, section, *("  " + line(figure.row()) for figure in members)]
    return "\n".join("  " + text if number == 0 else text for number, text in enumerate(lines))


def rate(stamps: Sequence[int], weights: Sequence[int]) -> float:
    """Things per second between the first and the last of `stamps` (ns, any order); `weights` says how many each.

    What the first stamp brought is left out: it was there when the time began. Raises ValueError when no time passed.
    """
    if len(stamps) != len(weights):
        raise ValueError(f"{len(stamps)} stamps and {len(weights)} weights")
    first, last = (min(stamps), max(stamps)) if stamps else (0, 0)
    if last == first:
        raise ValueError("a rate needs two different moments")
    counted = sum(weight for stamp, weight in zip(stamps, weights, strict=True) if stamp > first)
    return counted * 1e9 / (last - first)
