"""`dutchbook runs`: the replays that a cluster keeps: list, show, compare, remove."""

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from infra.run_results import results
from infra.stretch_options import add_data_dir, run_name
from schemas.records import Region
from schemas.runs import run_topic
from streams.replay.compare import Comparison, Contrast, Telling, compare
from streams.replay.journal import epochs_of
from streams.replay.reading import OPPORTUNITY, by_partition, read_journal, read_opportunities
from streams.replay.runs import remove, require_run, runs
from streams.replay.verify import with_headers

SHOWN: Final = 20
LIVE: Final = "live"
EXIT_DIFFERS: Final = 1

Bootstrap = Callable[[Region, Path | None], str]


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    verbs = verb.add_subparsers(dest="what", required=True)
    listing = verbs.add_parser("list", help="every run, the newest first")
    show = verbs.add_parser("show", help="what a run is and what it came to")
    contrast = verbs.add_parser("compare", help="a run and what was live, or another run, event by event")
    remove = verbs.add_parser("remove", help="delete a run's topics and consumer groups")
    for one in (show, contrast, remove):
        one.add_argument("run_name", type=run_name, metavar="NAME")
    contrast.add_argument("other", type=_run_or_live, nargs="?", default=LIVE, metavar="OTHER", help="default: live")
    for one in (listing, show, contrast):
        one.add_argument("--json", action="store_true", help="print JSON")
    for one in (listing, show, contrast, remove):
        add_data_dir(one)


def run(options: argparse.Namespace, bootstrap: Bootstrap) -> int:
    """Carry the verb out; returns the exit code: 1 when two runs differ."""
    address = bootstrap("us", options.data_dir)
    verbs: dict[str, Callable[[argparse.Namespace, str], int]] = {
        "list": _list, "show": _show, "compare": _compare, "remove": _remove
    }  # fmt: skip
    return verbs[options.what](options, address)


def _run_or_live(text: str) -> str:
    return text if text == LIVE else run_name(text)


def _list(options: argparse.Namespace, address: str) -> int:
    found = runs(address)
    if options.json:
        print(msgspec.json.encode(found).decode())
        return 0
    for one in found:
        records = sum(one.records.values())
        stretch = f"{when(one.first_ns)} to {when(one.last_ns)}" if one.first_ns else "nothing yet"
        print(
            f"{one.run:24} {one.state:10} {when(one.created_ns)}  {records:>9,} records  speed {one.speed:4} {stretch}"
        )
    if not found:
        print("no runs: `dutchbook replay` makes one")
    return 0


def _show(options: argparse.Namespace, address: str) -> int:
    one = require_run(address, options.run_name)
    found = results(address, options.run_name)
    if options.json:
        content = msgspec.to_builtins(one) | {
            "events": found.events, "opened": found.opened, "peak_net": found.peak_net,
            "tickets": dict(found.tickets), "realised": found.realised,
        }  # fmt: skip
        print(json.dumps(content))
        return 0
    asked = f"{when(one.from_ns) if one.from_ns else 'all'} to {when(one.to_ns) if one.to_ns else 'the end'}"
    print(f"run        {one.run}: {one.state}{f' ({one.reason})' if one.reason else ''}")
    print(f"made       {when(one.created_ns)}, speed {one.speed}{', cold' if one.cold else ''}")
    print(f"stretch    {asked}; inputs from {when(one.first_ns)} to {when(one.last_ns)}")
    print(f"groups     {', '.join(one.groups) or 'all'}")
    for origin, count in sorted(one.records.items()):
        print(f"records    {count:>9,}  {origin} -> {run_topic(one.run, origin)}")
    print(f"lead-in    {one.lead_in:,} entries of the detector's {sum(one.entries.values()):,}")
    print(f"results    {found.words()}")
    return 0


def when(at_ns: int) -> str:
    """A moment in UTC, to the second."""
    return datetime.fromtimestamp(at_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S") if at_ns else "-"


def _compare(options: argparse.Namespace, address: str) -> int:
    names = [options.run_name, "" if options.other == LIVE else options.other]
    manifests = [require_run(address, name) for name in names if name]
    groups = [frozenset(manifest.groups) for manifest in manifests if manifest.groups]
    chosen = frozenset.intersection(*groups) if groups else frozenset()
    other, one = (_telling(address, name) for name in names)
    found = compare(one, other, chosen)
    if options.json:
        print(json.dumps(_content(found)))
        return EXIT_DIFFERS if found.contrasts else 0
    for difference in found.settings:
        print(f"setting {difference.field}: {one.name} {difference.expected!r}, {other.name} {difference.found!r}")
    for contrast in found.contrasts[:SHOWN]:
        print("\n".join(_lines(contrast)))
    if len(found.contrasts) > SHOWN:
        print(f"and {len(found.contrasts) - SHOWN} more that differ")
    verdict = "no difference" if not found.contrasts else f"{len(found.contrasts)} events differ"
    print(f"{one.name} and {other.name}: {verdict} in journal order; {found.equal:,} events are equal")
    return EXIT_DIFFERS if found.contrasts else 0


def _telling(address: str, run: str) -> Telling:
    known = list(read_opportunities(address, run_topic(run, OPPORTUNITY)))
    placed = by_partition(known)
    epochs = {
        number: epochs_of(with_headers(records, placed.get(number, ())), gaps=bool(run))[0]
        for number, records in read_journal(address, run, None, None).items()
    }
    return Telling(run or LIVE, epochs, known)


def _lines(contrast: Contrast) -> list[str]:
    place = f"partition {contrast.partition}, epoch {contrast.epoch}, position {contrast.position}"
    head = f"opportunity {contrast.opportunity_id} revision {contrast.revision} {contrast.event} ({place})"
    if contrast.only:
        return [f"{head}: only in {contrast.only}"]
    return [head, *(f"  {one}" for one in contrast.fields)]


def _content(found: Comparison) -> dict[str, Any]:
    return {
        "equal": found.equal,
        "differences": [
            {
                "only_in": one.only or None,
                "opportunity": one.opportunity_id,
                "revision": one.revision,
                "event": one.event,
                "partition": one.partition,
                "epoch": one.epoch,
                "position": one.position,
                "fields": [field._asdict() for field in one.fields],
            }
            for one in found.contrasts
        ],
        "settings": [field._asdict() for field in found.settings],
    }


def _remove(options: argparse.Namespace, address: str) -> int:
    removed = remove(address, options.run_name)
    print(f"run {options.run_name}: {len(removed)} topics deleted")
    return 0
