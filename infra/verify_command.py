"""`dutchbook verify`: the core over the journal again, and whether it says what the detector said, byte for byte."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Message

from infra.stretch_options import add_data_dir, add_stretch, run_name
from runtime.kafka import read_whole
from runtime.settings import DetectorSettings, load
from schemas.records import Region
from schemas.runs import EARLIER, run_topic
from schemas.topics import dead_letter_name
from streams.replay.entry import Entry
from streams.replay.journal import first_offsets
from streams.replay.reading import OPPORTUNITY, by_partition, read_journal, read_opportunities
from streams.replay.records import BOOKS, LiveRecords, RunRecords
from streams.replay.runs import require_run
from streams.replay.verify import Difference, Report, Verification, Wanted

SHOWN: Final = 20
EXIT_DIFFERS: Final = 1


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    add_stretch(verb)
    verb.add_argument(
        "--run", dest="run_name", type=run_name, metavar="NAME", help="verify a replay, not what was live"
    )
    verb.add_argument("--json", action="store_true", help="print one JSON object")
    add_data_dir(verb)


def run(options: argparse.Namespace, bootstrap: Callable[[Region, Path | None], str]) -> int:
    """Carry the verb out; returns the exit code: 1 when something differs."""
    began = time.monotonic()
    report = verify(bootstrap("us", options.data_dir), Wanted(options.from_ns, options.to_ns, options.run_name or ""))
    seconds = time.monotonic() - began
    unread = [f"{_place(entry)}: {reason}" for entry, reason in report.undecodable]
    if options.json:
        print(json.dumps(_content(report, unread, seconds)))
    else:
        _print(report, unread, seconds)
    return EXIT_DIFFERS if report.differences or unread else 0


def verify(address: str, wanted: Wanted) -> Report:
    """Verify what the cluster at `address` has; raises EmptyRange, Evicted, Unreadable, JournalError, UnknownRun."""
    if wanted.run:
        require_run(address, wanted.run)
    journal = read_journal(address, wanted.run, wanted.from_ns, wanted.to_ns)
    known = by_partition(read_opportunities(address, run_topic(wanted.run, OPPORTUNITY)))
    seeds = by_partition(read_opportunities(address, run_topic(wanted.run, EARLIER))) if wanted.run else {}
    records = RunRecords(address, wanted.run) if wanted.run else LiveRecords(address)
    verification = Verification(records, wanted, load(DetectorSettings))
    try:
        for number in sorted(journal):
            records.prepare(number, first_offsets(journal[number]))
        for number in sorted(journal):
            earlier = [one.record for one in seeds.get(number, ())]
            verification.partition(number, journal[number], known.get(number, []), earlier)
    finally:
        records.close()
    report = verification.report
    if report.undecodable:
        dead = dead_lettered(address, wanted.run)
        report.undecodable = [one for one in report.undecodable if _address(one[0]) not in dead]
    return report


def dead_lettered(address: str, run: str) -> set[tuple[str, int, int]]:
    """The addresses of the inputs that a detector could not read either, and diverted."""
    topics = [dead_letter_name(run_topic(run, origin)) for origin in BOOKS]
    return {place for message in read_whole(address, topics) if (place := _origin(message)) is not None}


def _origin(message: Message) -> tuple[str, int, int] | None:
    said = {name: value.decode(errors="replace") for name, value in message.headers() or ()}
    prefix = "__connect.errors."
    try:
        return said[f"{prefix}topic"], int(said[f"{prefix}partition"]), int(said[f"{prefix}offset"])
    except (KeyError, ValueError):
        return None


def _address(entry: Entry) -> tuple[str, int, int]:
    return entry.topic, entry.source_partition, entry.offset


def _place(entry: Entry) -> str:
    return f"{entry.topic}, partition {entry.source_partition}, offset {entry.offset}"


# -- what is printed ---------------------------------------------------------------------------------------------------


def _print(report: Report, unread: Sequence[str], seconds: float) -> None:
    for difference in report.differences[:SHOWN]:
        print("\n".join(difference_lines(difference)))
    if len(report.differences) > SHOWN:
        print(f"and {len(report.differences) - SHOWN} more that differ")
    for line in unread[:SHOWN]:
        print(f"not readable: {line}")
    verdict = "differs" if report.differences or unread else "equal"
    print(
        f"{verdict}: {report.events} opportunity events of {report.epochs} epochs in {report.partitions} partitions; "
        f"{len(report.differences)} differ"
    )
    for count, words in (
        (report.lost, "decided but never delivered, the worker was killed; their inputs came again"),
        (report.newer, "newer than the journal that was read"),
        (report.skipped_epochs, "epochs left out: what they began with is no longer kept"),
        (len(unread), "inputs that this release cannot read and the detector could"),
    ):
        if count:
            print(f"{count} {words}")
    rate = report.books / seconds if seconds else 0.0
    print(f"{report.records:,} records, {report.books:,} books in {seconds:.1f} s ({rate:,.0f} books/s)")


def difference_lines(difference: Difference) -> list[str]:
    """One difference in words, a line for each field."""
    place = f"partition {difference.partition}, epoch {difference.epoch}, position {difference.position}"
    head = f"opportunity {difference.opportunity_id} revision {difference.revision} ({place}): "
    words = {
        "missing": "the core says it, the topic has it not",
        "unexpected": "the topic has it, the core does not say it",
        "differs": "not what the core says",
    }
    return [head + words[difference.kind], *(f"  {one}" for one in difference.fields)]


def _content(report: Report, unread: Sequence[str], seconds: float) -> dict[str, Any]:
    differences = [
        {
            "kind": one.kind,
            "opportunity": one.opportunity_id,
            "revision": one.revision,
            "partition": one.partition,
            "epoch": one.epoch,
            "position": one.position,
            "fields": [{"field": f.field, "expected": f.expected, "found": f.found} for f in one.fields],
        }
        for one in report.differences
    ]
    counts = ("partitions", "epochs", "records", "books", "events", "lost", "newer", "skipped_epochs")
    return {name: getattr(report, name) for name in counts} | {
        "differences": differences,
        "unreadable": list(unread),
        "seconds": round(seconds, 3),
    }
