"""`python -m bench`: measure this machine and print every figure with the machine it belongs to."""

import argparse
import asyncio
import json
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from bench import core, detector, machine, producers, replay, road
from bench.figures import Figure, gather, table
from bench.stack import BenchFailed
from infra.local.datadir import DataDirUnusable
from infra.local.parts import PartMissing, Parts, find_parts
from infra.local.ports import PortInUse
from infra.local.supervise import ChildFailed, StopRequested
from runtime.kafka import DeliveryFailed, KafkaUnavailable

USER_ERRORS: Final = (
    BenchFailed, PartMissing, PortInUse, DataDirUnusable, ChildFailed, KafkaUnavailable, DeliveryFailed,
)  # fmt: skip
BOOKS: Final = 100_000
QUICK_BOOKS: Final = 60_000
PACED_S: Final = 30.0
QUICK_PACED_S: Final = 15.0
PARTS: Final = ("core", "producers", "detector", "replay", "road")

Say = Callable[[str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything asked for was measured, 1 when something failed, 130 after Ctrl-C, 2 for a wrong command."""
    options = parser().parse_args(arguments)
    began = time.monotonic()
    try:
        parts = find_parts()
        described = machine.describe(parts)
        print("\n".join(machine.lines(described)), flush=True)
        figures, notes = measure(parts, options, lambda line: print(f"          {line}", flush=True))
    except (StopRequested, KeyboardInterrupt):
        print("stopped: nothing is left running", file=sys.stderr)
        return 130
    except USER_ERRORS as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    repeats = 1 if options.quick else options.repeats
    took_s = time.monotonic() - began
    command = shlex.join(["python", "-m", "bench", *(sys.argv[1:] if arguments is None else arguments)])
    print(f"\ncommand   {command}: median, lowest and highest of {repeats} after a warm-up; {took_s:.0f} s in all\n")
    print(table(figures))
    print("\n" + "\n".join(notes) if notes else "")
    if options.json is not None:
        write(options.json, {"command": command, "machine": described, "seconds": round(took_s)}, figures, notes)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m bench", description="Measure this machine.")
    top.add_argument("--quick", action="store_true", help="once instead of three times, with less load (6 minutes)")
    top.add_argument("--repeats", type=_positive, default=3, metavar="N", help="how often each is measured (3)")
    top.add_argument("--only", choices=PARTS, action="append", help="measure this part only (may be given again)")
    top.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE too")
    return top


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected 1 or more")
    return number


def measure(parts: Parts, options: argparse.Namespace, say: Say) -> tuple[list[Figure], list[str]]:
    """Every part that was asked for, one after the other, and what is to be said beside the table."""
    wanted = options.only or PARTS
    repeats = 1 if options.quick else options.repeats
    figures: list[Figure] = []
    notes: list[str] = []
    if "core" in wanted:
        figures += measure_core(repeats, say)
    if "producers" in wanted:
        figures += asyncio.run(producers.measure(parts, repeats, quick=options.quick, say=say))
    if "detector" in wanted:
        books = QUICK_BOOKS if options.quick else BOOKS
        figures += asyncio.run(detector.measure(parts, books, repeats, say))
    if "replay" in wanted:
        books = QUICK_BOOKS if options.quick else BOOKS
        figures += asyncio.run(replay.measure(parts, books, repeats, say))
    if "road" in wanted:
        seconds = QUICK_PACED_S if options.quick else PACED_S
        found, limit = asyncio.run(road.measure(parts, repeats, seconds, say))
        figures += found
        notes.append(f"limit     the saturated road was held up by {limit}")
    return figures, notes


def measure_core(repeats: int, say: Say) -> list[Figure]:
    """The pure core, without decoding: books in, decisions out, on one core."""
    runs: list[dict[str, float]] = [{} for _ in range(repeats)]
    for title, crossing in (("nothing crosses", 0.0), ("1 % of books cross", 0.01)):
        books = core.stream(crossing)
        core.measure(books)
        for run in runs:
            run[title], _ = core.measure(books)
            say(f"core, {title}: {run[title]:,.0f} books/s")
    return gather("core alone, in memory", "books/s", runs)


def write(file: Path, facts: dict[str, Any], figures: Sequence[Figure], notes: Sequence[str]) -> None:
    """Write the whole result in one step."""
    fresh = file.with_name(f"{file.name}.new")
    content = facts | {"figures": [figure.record() for figure in figures], "notes": list(notes)}
    fresh.write_text(json.dumps(content, indent=2) + "\n")
    fresh.replace(file)


if __name__ == "__main__":
    sys.exit(main())
