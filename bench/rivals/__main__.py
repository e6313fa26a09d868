"""`python -m bench.rivals`: our detector and other systems' rules on one labelled tape, one row each."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.rivals import ours
from bench.rivals.cached import Cached
from bench.rivals.cents import WholeCents
from bench.rivals.found import Rule
from bench.rivals.score import Score, score
from bench.rivals.spread import RawSpread
from bench.rivals.vwap import Averaged
from bench.rivals.world import World, load
from infra.local.parts import cache_folder
from infra.simulator.tape import TapeError, resolve

RIVALS: Final[tuple[Rule, ...]] = (WholeCents(), Cached(), Averaged(), RawSpread())
COLUMNS: Final = (
    "",
    "found",
    "missed",
    "phantom",
    "unknowable",
    "trades",
    "uneven",
    "profit",
    "of phantoms",
    "adjusted",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the table was printed, 1 when it could not be made, 2 for a wrong command."""
    options = parser().parse_args(arguments)
    try:
        folder = resolve(options.tape, cache_folder() / "tapes")
        world = load(folder)
        scores = [
            _ours(folder, options.ours, world),
            *(score(rule.name, rule.findings(world), world) for rule in RIVALS),
        ]
    except (TapeError, ours.ScanFailed, OSError) as error:
        print(f"bench.rivals: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines(scores, world)))
    if options.list:
        print("\n" + "\n".join(listed(scores, world)))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m bench.rivals", description="Score detectors on a labelled tape.")
    top.add_argument("--tape", default="planted", metavar="NAME_OR_FOLDER", help="a labelled tape (planted)")
    top.add_argument("--ours", type=Path, metavar="FILE", help="the output of `dutchbook scan`, instead of running it")
    top.add_argument("--list", action="store_true", help="also list every phantom and every missed edge")
    return top


def _ours(folder: Path, file: Path | None, world: World) -> Score:
    if file is not None:
        return score("dutchbook", ours.findings(ours.read(file), world), world)
    with tempfile.TemporaryDirectory() as scratch:
        found = ours.scanned(folder, Path(scratch) / "scan.jsonl")
    return score("dutchbook", ours.findings(found, world), world)


def lines(scores: Sequence[Score], world: World) -> list[str]:
    """The table as text."""
    rows = [COLUMNS, *(_row(one) for one in scores)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    table = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    nets = [label.net for label in world.labels if label.true]
    head = f"{len(world.circles)} groups, {len(nets)} true edges worth ${_dollars(sum(nets))} at their best sizes"
    notes = [f"{rule.name}: {rule.about}" for rule in RIVALS]
    return [head, "", *(line.rstrip() for line in table), "", *notes]


def _row(one: Score) -> tuple[str, ...]:
    counts = (one.found, len(one.missed), len(one.phantoms), one.unknowable, len(one.trades), one.uneven)
    return (one.name, *map(str, counts), *(_dollars(money) for money in (one.net, one.phantom_net, one.adjusted)))


def _dollars(money: int) -> str:
    return f"{money / 1_000_000:.2f}"


def listed(scores: Sequence[Score], world: World) -> list[str]:
    """Which case each phantom and each missed edge belongs to."""
    case_of = {label.claims: label.case for label in world.labels}
    begin_ns = world.span_ns[0]
    found = []
    for one in scores:
        for phantom in one.phantoms:
            group = world.home.get(next(iter(phantom.claims))[:2], "no group")
            since, until = ((ns - begin_ns) / 1e9 for ns in (phantom.open_ns, phantom.close_ns))
            case = case_of.get(phantom.claims, f"no label of these claims in {group}")
            found.append(f"{one.name}: phantom {since:.3f} to {until:.3f} s: {case}")
        found += [
            f"{one.name}: missed {label.group} at {(label.open_ns - begin_ns) / 1e9:.3f} s" for label in one.missed
        ]
    return found


if __name__ == "__main__":
    sys.exit(main())
