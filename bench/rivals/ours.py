"""Our own row: the events that `dutchbook scan` writes, as findings.

A line is `{group, basket: [{venue, market, outcome, price, size}], event, t_ns, quantity, gross, fees, net}`, `price`
being the best one. The limit of a leg's order is the worst price that its quantity reaches in the book that was seen as
it opened; where that book was another by the end of the same moment, it is the best price.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.rivals.found import Found, Leg
from bench.rivals.score import limit_of
from bench.rivals.world import Claim, World
from runtime.settings import DetectorSettings

UNLIMITED: Final = {
    f"DUTCHBOOK_{name.upper()}": "1000000" for name in DetectorSettings.model_fields if name.startswith("limit_")
}
"""Nobody's limits on size are applied, so neither are ours."""


class ScanFailed(RuntimeError):
    """`dutchbook scan` did not end well; the message holds what it said."""


def scanned(folder: Path, out: Path) -> list[dict[str, Any]]:
    """Run the scan over a tape; raises ScanFailed."""
    command = [sys.executable, "-m", "infra.cli", "scan", "--tape", str(folder), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | UNLIMITED)
    if done.returncode:
        raise ScanFailed(f"dutchbook scan ended with code {done.returncode}: {done.stderr.strip()}")
    return read(out)


def read(file: Path) -> list[dict[str, Any]]:
    """The lines of a scan's output."""
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines() if line.strip()]


def findings(lines: Iterable[dict[str, Any]], world: World) -> list[Found]:
    """Opportunities from their opening to their closing; what is still open ends with the tape."""
    running: dict[tuple[str, frozenset[Claim]], dict[str, Any]] = {}
    found = []
    for line in lines:
        key = (line["group"], frozenset((leg["venue"], leg["market"], leg["outcome"]) for leg in line["basket"]))
        if line["event"] == "opened":
            running[key] = line
        elif line["event"] == "closed":
            found.append(_found(running.pop(key), line["t_ns"], world))
    found += [_found(line, world.span_ns[1], world) for line in running.values()]
    return sorted(found, key=lambda one: (one.open_ns, sorted(one.claims)))


def _found(opened: dict[str, Any], close_ns: int, world: World) -> Found:
    legs = []
    for leg in opened["basket"]:
        book = world.careful.at((leg["venue"], leg["market"]), opened["t_ns"])
        claim = (leg["venue"], leg["market"], leg["outcome"])
        seen = book is not None and book.claim(leg["outcome"])[:1] == [(leg["price"], leg["size"])]
        limit = limit_of(book, leg["outcome"], opened["quantity"]) if seen else leg["price"]
        legs.append(Leg(claim, opened["quantity"], limit))
    return Found(tuple(legs), opened["net"], opened["t_ns"], close_ns)
