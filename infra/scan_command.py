"""`dutchbook scan`: every opportunity on a tape, one JSON line an event, found by the detector's own core."""

import argparse
import gc
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, Self

import msgspec

from infra.group_file import read_groups
from infra.simulator.tape import Tape, resolve
from runtime import logs
from runtime.settings import MILLISECOND_NS, DetectorSettings, FeedSettings, load
from schemas.records import Analysis, Group

if TYPE_CHECKING:
    from infra.rebuild_tape import Player
    from infra.scan import Finding, Scan
    from infra.scan_markets import TapeMarkets

SCREEN: Final = "-"
NAMED: Final = 3
"""Markets that a notice names at most."""

_encode = msgspec.json.Encoder().encode


class ScanUsage(ValueError):
    """The command line asks for what cannot be."""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    verb.add_argument("--tape", metavar="NAME_OR_FOLDER", required=True, help="what to scan")
    verb.add_argument("--out", default=SCREEN, metavar="FILE", help="JSON lines go here (default: - is the screen)")
    verb.add_argument("--analysis", metavar="FILE", help="rejected candidates with their reasons, as JSON lines")
    verb.add_argument(
        "--gross",
        action="store_true",
        help="best prices that sum to less than the payout: no fees, charges, smallest orders, limits or freshness",
    )
    verb.add_argument("--group", action="append", default=[], help="this group only; repeatable")
    verb.add_argument("--market", action="append", default=[], help="groups with this market only; repeatable")
    verb.add_argument("--depth", type=_depth, metavar="N", help="levels a side (default: as published)")


def run(options: argparse.Namespace) -> int:
    """Carry the verb out; returns the exit code."""
    # What it takes is imported here: every other verb starts without it.
    from infra.local.parts import cache_folder
    from infra.rebuild_tape import Player
    from infra.scan import Scan
    from infra.scan_markets import tape_markets
    from streams.gates import gates_of

    logs.configure("dutchbook", logging.ERROR)  # a session that is replayed warns of what is long past
    feed, gates = load(FeedSettings), gates_of(load(DetectorSettings), bare=options.gross)
    if options.analysis == options.out:
        raise ScanUsage(f"--out and --analysis are both {options.out}")
    tape = Tape.open(resolve(options.tape, cache_folder() / "tapes"))
    groups = _groups(tape, options.group, options.market)
    with ExitStack() as stack:
        out = stack.enter_context(_Sink("--out", options.out))
        analysis = None if options.analysis is None else stack.enter_context(_Sink("--analysis", options.analysis))
        markets = tape_markets(tape, groups)
        _say_markets(markets, gross=options.gross)
        scan = Scan(groups, markets.records, gates, republish_ns=feed.republish_ms * MILLISECOND_NS)
        player = Player(tape, options.depth or feed.book_depth, markets.followed())
        stack.enter_context(_seldom_collected())
        _write(scan.run(player), out, analysis)
    _say_end(scan, player, markets)
    return 0


def _groups(tape: Tape, names: Sequence[str], markets: Sequence[str]) -> list[Group]:
    file = tape.folder / "groups.yaml"
    groups = read_groups(file, status="approved", updated_by="tape")
    for option, wanted, chosen in (("--group", names, "group"), ("--market", markets, "market")):
        for one in wanted:
            if not (_selected(groups, [one], ()) if option == "--group" else _selected(groups, (), [one])):
                raise ScanUsage(f"{option}: {file} has no {chosen} {one!r}")
    found = _selected(groups, names, markets)
    if not found:
        raise ScanUsage(f"{file}: no group" + (" has these names and markets" if names and markets else ""))
    return found


def _selected(groups: Sequence[Group], names: Sequence[str], markets: Sequence[str]) -> list[Group]:
    """The groups of these names, or all, that have any of these markets (`market` or `venue/market`), or any at all."""
    return [
        group
        for group in groups
        if (not names or group.group in names)
        and (
            not markets
            or any(member.market in markets or f"{member.venue}/{member.market}" in markets for member in group.members)
        )
    ]


# Output


class _Sink:
    """Where lines go; a file that cannot be written is a mistake of the option that named it."""

    def __init__(self, option: str, name: str) -> None:
        self._option, self._name = option, name
        try:
            self._file: BinaryIO = sys.stdout.buffer if name == SCREEN else Path(name).open("wb")  # noqa: SIM115 - see exit
        except OSError as error:
            raise self._refused(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._name == SCREEN:
            return
        try:
            self._file.close()
        except OSError as lost:
            if error is None:
                raise self._refused(lost) from lost

    def write(self, line: bytes) -> None:
        """Write one line."""
        if self._name == SCREEN:
            self._file.write(line + b"\n")
            return
        try:
            self._file.write(line + b"\n")
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> ScanUsage:
        return ScanUsage(f"{self._option}: {self._name} cannot be written: {error.strerror}")


def _write(found: "Iterable[Finding | Analysis]", out: _Sink, analysis: _Sink | None) -> None:
    for one in found:
        sink = analysis if isinstance(one, Analysis) else out
        if sink is not None:
            sink.write(_encode(one))


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """The collector of cycles looks seldom meanwhile: a scan makes many objects and next to no cycles."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


# Notices


def _say_markets(markets: "TapeMarkets", *, gross: bool) -> None:
    for (venue, market), why in sorted(markets.refused.items()):
        _say(f"{venue} {market} is not followed: {why}")
    notices = []
    if markets.assumed and not gross:
        notices.append("the venues' ordinary fees and smallest orders are taken, and no close times are known")
    guessed = sum(venue == "polymarket" for venue, _ in markets.assumed)
    if guessed:
        notices.append(f"of {guessed} of Polymarket's, the token that comes first is taken for YES")
    if notices:
        _say(f"{len(markets.assumed)} markets have no entry in rest.json: {'; '.join(notices)}")


def _say_end(scan: "Scan", player: "Player", markets: "TapeMarkets") -> None:
    bookless = sorted(set(markets.groups) - scan.seen - set(markets.refused))
    if bookless:
        names = ", ".join(f"{venue} {market}" for venue, market in bookless[:NAMED])
        _say(f"no book on the tape for {len(bookless)} markets: {names}{', ...' if len(bookless) > NAMED else ''}")
    if player.broken:
        _say(f"{player.broken} frames could not be understood")
    tally = scan.tally
    _say(f"{player.frames:,} frames, {tally.opened:,} opportunities, {tally.opened - tally.closed:,} open at the end")


def _say(text: str) -> None:
    print(f"dutchbook scan: {text}", file=sys.stderr)


def _depth(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)
