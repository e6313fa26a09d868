"""`dutchbook record`: a stretch of what was seen live, as a tape."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from infra.group_yaml import write_groups
from infra.record.folder import Draft, check_free, tape_folder
from infra.record.frames import RecordError
from infra.record.kafka import Raw, Stretch, chosen, groups_at, markets_at, read_raw
from infra.record.notes import TIMES, notes
from infra.record.order import DetectorOrder, InOrder
from infra.record.recorder import Recorder, TimeOf, one_shard, received_ns
from infra.record.rest import rest_bodies
from infra.stretch_options import moment
from producers.transcript import Followed
from runtime import logs
from runtime.settings import KalshiSettings, load
from schemas.records import Group, Market, Region, Venue
from schemas.topics import HOME, partition_of

VENUES: Final[tuple[Venue, ...]] = tuple(HOME)

OVERLAP_NS: Final = 10_000_000_000
"""A line is written when what is received is this much later: connections overlap a little in the raw topic."""

Bootstrap = Callable[[Region, Path | None], str]


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    verb.add_argument("--out", type=Path, metavar="FOLDER", required=True, help="the tape: a folder that is not there")
    verb.add_argument("--from", dest="from_ns", type=moment, metavar="TIME", help="what was received from then on")
    verb.add_argument("--to", dest="to_ns", type=moment, metavar="TIME", help="what was received before then")
    verb.add_argument("--groups", nargs="+", action="extend", metavar="GROUP", help="these groups' markets only")
    verb.add_argument(
        "--times",
        choices=tuple(TIMES),
        default="detector",
        help="beside each frame: when the detector saw its books (default), or when the producer received it",
    )
    verb.add_argument("--data-dir", type=Path, help="of the stack to read from")


def run(options: argparse.Namespace, bootstrap: Bootstrap) -> int:
    """Carry the verb out; returns the exit code."""
    logs.configure("dutchbook", logging.ERROR)  # a session that is replayed warns of what is long past
    with _ended_by_signals():
        record(options, bootstrap)
    return 0


def record(options: argparse.Namespace, bootstrap: Bootstrap) -> None:
    """Write the tape that the options ask for; raises RecordError, RebuildError, KafkaUnavailable."""
    stretch = Stretch(options.from_ns, options.to_ns)
    if options.from_ns is not None and options.to_ns is not None and options.from_ns >= options.to_ns:
        raise RecordError(f"--from and --to: {stretch} there is no time")
    out: Path = options.out.expanduser().absolute()
    check_free(out)
    addresses: dict[Region, str] = {region: bootstrap(region, options.data_dir) for region in ("us", "eu")}
    groups = chosen(groups_at(addresses["us"], stretch), options.groups, stretch)
    with tape_folder(out) as draft:
        recorders = [
            recorder
            for venue in VENUES
            if (recorder := _venue(draft, venue, addresses, stretch, groups, options)) is not None
        ]
        if not recorders:
            raise RecordError(f"raw.kalshi and raw.polymarket have no records {stretch}")
        silent = _silent(groups, recorders)
        draft.put_text("groups.yaml", write_groups(groups))
        draft.put_text("NOTES.md", notes(stretch, options.times, groups, silent, recorders))
    _say_end(out, groups, silent, recorders)


def _venue(
    draft: Draft,
    venue: Venue,
    addresses: dict[Region, str],
    stretch: Stretch,
    groups: Sequence[Group],
    options: argparse.Namespace,
) -> Recorder | None:
    """One venue's part; None when the stretch has nothing of it."""
    home = addresses[HOME[venue]]
    raw = read_raw(home, venue, stretch)
    if raw is None:
        _say(f"raw.{venue} has no records {stretch}: the tape has nothing of it")
        return None
    markets = _wanted(venue, markets_at(home, venue, raw.begins_ns, stretch), groups, everything=options.groups is None)
    yes_price = venue == "kalshi" and load(KalshiSettings).kalshi_use_yes_price
    time_of: TimeOf = received_ns
    shard: Callable[[str], int] = one_shard
    if options.times == "detector":
        shard = _partitions(markets).__getitem__
        time_of = DetectorOrder(addresses["us"], venue, stretch, shard).time_of
    recorder = Recorder(venue, markets, time_of=time_of, shard=shard, use_yes_price=yes_price)
    _play(draft, recorder, raw)
    draft.put_rest(venue, rest_bodies(venue, [one.market for one in markets]) | recorder.bodies)
    if recorder.use_yes_price:
        draft.put_yes_price()
    return recorder


def _play(draft: Draft, recorder: Recorder, raw: Raw) -> None:
    for entry in raw.before:
        recorder.warm(entry)
    order = InOrder()
    for entry in raw.entries:
        for line in recorder.take(entry):
            order.put(line)
        for line in order.until(entry.received_ns - OVERLAP_NS):
            draft.put(recorder.venue, line)
    for line in order.until():
        draft.put(recorder.venue, line)


def _partitions(markets: Iterable[Followed]) -> dict[str, int]:
    """The partition in which the detector sees each market's books."""
    return {one.market.market: partition_of(one.group or one.market.market) for one in markets}


def _wanted(venue: Venue, markets: dict[str, Market], groups: Sequence[Group], *, everything: bool) -> list[Followed]:
    """The markets of the groups, or everything that was followed."""
    homes = {member.market: group.group for group in groups for member in group.members if member.venue == venue}
    return [Followed(market, homes.get(name, "")) for name, market in markets.items() if everything or name in homes]


def _silent(groups: Sequence[Group], recorders: Sequence[Recorder]) -> list[str]:
    """The groups of whose markets no frame is on the tape."""
    told = {(recorder.venue, market) for recorder in recorders for market in recorder.told}
    return [
        group.group for group in groups if not any((member.venue, member.market) in told for member in group.members)
    ]


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A termination ends the recording as an interruption does: nothing half-written stays."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# Notices


def _say_end(out: Path, groups: Sequence[Group], silent: Sequence[str], recorders: Sequence[Recorder]) -> None:
    for name in silent:
        _say(f"group {name} has no frame in the stretch")
    for recorder in recorders:
        for market in sorted(recorder.unequal):
            _say(f"{recorder.venue} {market}: the tape does not come to the recorded books (see NOTES.md)")
    frames = ", ".join(f"{recorder.lines:,} frames of {recorder.venue}" for recorder in recorders)
    print(f"{out}: {frames}, {len(groups)} groups")


def _say(text: str) -> None:
    print(f"dutchbook record: {text}", file=sys.stderr)
