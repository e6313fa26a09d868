"""`dutchbook rebuild`: books from raw frames, of the running stack or of a tape."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Final

from infra.rebuild import Rebuilder, as_line
from infra.stretch_options import moment
from runtime import logs
from runtime.settings import FeedSettings, KalshiSettings, load
from schemas.records import Book, Region, Venue
from schemas.topics import HOME

VENUES: Final[tuple[Venue, ...]] = tuple(HOME)


class RebuildUsage(ValueError):
    """The command line asks for what cannot be."""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    verb.add_argument("--tape", metavar="NAME_OR_FOLDER", help="rebuild a tape, without Kafka")
    verb.add_argument("--venue", choices=VENUES, help="one venue (a tape: default both)")
    verb.add_argument("--from", dest="from_ns", type=moment, metavar="TIME", help="raw records from then on")
    verb.add_argument("--to", dest="to_ns", type=moment, metavar="TIME", help="raw records before then")
    verb.add_argument("--connection", default="", help="one connection only")
    verb.add_argument("--frame", type=_number, metavar="N", help="with --connection: up to its record N")
    verb.add_argument("--market", action="append", default=[], help="show this market only; repeatable")
    verb.add_argument("--depth", type=_depth, metavar="N", help="levels a side (default: as published)")
    verb.add_argument("--out", type=Path, metavar="FILE", help="JSON lines go here instead of the screen")
    verb.add_argument("--check", action="store_true", help="compare with the published books instead of printing")
    verb.add_argument("--data-dir", type=Path, help="of the stack to read from")


def run(options: argparse.Namespace, bootstrap: Callable[[Region, Path | None], str]) -> int:
    """Carry the verb out; returns the exit code: 1 when published books differ from their raw frames."""
    logs.configure("dutchbook", logging.ERROR)  # a session that is replayed warns of what is long past
    depth = options.depth or load(FeedSettings).book_depth
    if options.check and options.out is not None:
        raise RebuildUsage("--check compares books and prints none: leave --out away")
    if options.tape is not None:
        return _from_tape(options, depth)
    if options.venue is None:
        raise RebuildUsage("name a venue (--venue kalshi or polymarket), or a tape (--tape)")
    if options.frame is not None and not options.connection:
        raise RebuildUsage("--frame counts the records of one connection: name it with --connection")
    from infra.rebuild_kafka import Stretch, check, described, rebuilt

    venue = options.venue
    address = bootstrap(HOME[venue], options.data_dir)
    markets = frozenset(options.market)
    stretch = Stretch(venue, options.from_ns, options.to_ns, options.connection, options.frame, markets)
    yes_price = venue == "kalshi" and load(KalshiSettings).kalshi_use_yes_price
    rebuilder = Rebuilder(venue, depth, described(address, venue), use_yes_price=yes_price)
    if not options.check:
        _write(
            options.out, (as_line(book, connection=book.connection) for book in rebuilt(address, stretch, rebuilder))
        )
        _warn(rebuilder)
        return 0
    verdict = check(address, stretch, rebuilder)
    _warn(rebuilder)
    for example in verdict.examples:
        print(f"differs: {example}")
    print(f"{venue}: {verdict.equal} published books equal what their raw records rebuild to, ", end="")
    print(f"{verdict.different} differ, {verdict.uncovered} come from records outside the stretch")
    return 1 if verdict.different or not verdict.equal else 0


def _from_tape(options: argparse.Namespace, depth: int) -> int:
    from infra.local.parts import cache_folder
    from infra.rebuild_tape import rebuilt
    from infra.simulator.tape import Tape, resolve

    wanted = (options.connection or None, options.frame, options.from_ns, options.to_ns, options.check or None)
    if any(option is not None for option in wanted):
        raise RebuildUsage(
            "a tape has frames only: --check, --connection, --frame, --from and --to are for the running stack"
        )
    venues = (options.venue,) if options.venue else VENUES
    markets = frozenset(options.market)
    tape = Tape.open(resolve(options.tape, cache_folder() / "tapes"))
    books: Iterable[Book] = rebuilt(tape, depth, venues)
    _write(options.out, (as_line(book) for book in books if not markets or book.market in markets))
    return 0


def _write(out: Path | None, lines: Iterable[bytes]) -> None:
    if out is None:
        _pour(sys.stdout.buffer, lines)
        return
    try:
        with out.open("wb") as file:
            _pour(file, lines)
    except OSError as error:
        raise RebuildUsage(f"--out: {out} cannot be written: {error.strerror}") from error


def _pour(file: BinaryIO, lines: Iterable[bytes]) -> None:
    for line in lines:
        file.write(line)


def _warn(rebuilder: Rebuilder) -> None:
    if rebuilder.incomplete:
        print(f"{len(rebuilder.incomplete)} connections began before the stretch: ", end="", file=sys.stderr)
        print("their books are rebuilt from the first whole one on", file=sys.stderr)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _depth(text: str) -> int:
    if not _number(text):
        raise argparse.ArgumentTypeError("a book of 0 levels says nothing")
    return int(text)
