"""Our core alone on the peers' tape, in one process: `python -m bench.peer_core FOLDER FILE`.

Only the crossing of live books (`Gates.bare`), which is what the peers do. First with books that are there already;
then with our producers' ladders kept up by each event, as the peers' own books are. A run counts only if it finds
crossed by at least 0.02 exactly what is so on the tape, after every event.
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

import msgspec

from bench.peer_tape import Books, Change, Tape, books_of, group_name, read_tape, references
from schemas.records import Book
from schemas.units import ONE
from streams.core.baskets import compile_group
from streams.core.detection import Detection, Gates, Source

NOW_NS: Final = 1_800_000_000_000_000_000
SOURCE: Final = Source("tape", 0, 0, 0)
CROSSED_BY: Final = 200
"""1e-4 dollar: the peers' rule, and the tape's truth. Ours alone finds smaller crossings too."""


class CoreRun(msgspec.Struct, frozen=True):
    """One pass over the tape: events, seconds by the clock and of processor time, baskets looked at.

    `found` is the number of events after which the market is crossed, `wrong` of those where the tape says otherwise.
    """

    events: int
    seconds: float
    processor_s: float
    basket_checks: int
    found: int
    wrong: int


def prepared(tape: Tape) -> tuple[Detection, dict[str, int]]:
    """A core with the tape's groups, and how many baskets a group has: a book of a pair is a leg of each."""
    detection = Detection(0, Gates(freshness_ns=1, minimum_net=1, bare=True))
    groups, markets = references(tape)
    for market in markets:
        detection.on_market(market)
    for group in groups:
        detection.on_group(group)
    detection.assign(1, ())
    return detection, {group.group: len(compile_group(group).baskets()) for group in groups}


def passed(tape: Tape, inputs: Iterable[Change | Book], book_of: Callable[[Change | Book], Book]) -> CoreRun:
    """Once over the tape. The clock runs over everything that happens for an event, the check included."""
    detection, baskets = prepared(tape)
    on_book = detection.on_book
    edges: dict[str, dict[str, int]] = {group: {} for group in baskets}
    found = []
    begun, used = perf_counter(), process_time()
    for one in inputs:
        book = book_of(one)
        for event in on_book(book, SOURCE, NOW_NS):
            if event.event == "closed":
                del edges[event.group][event.basket]
            else:
                edges[event.group][event.basket] = ONE - sum(leg.best_price for leg in event.legs)
        edge = edges[book.group]
        found.append(bool(edge) and max(edge.values()) >= CROSSED_BY)
    seconds, used = perf_counter() - begun, process_time() - used
    checks = sum(baskets[group_name(change.market)] for change in tape.changes)
    wrong = sum(one != change.crossed for one, change in zip(found, tape.changes, strict=True))
    return CoreRun(len(tape.changes), seconds, used, checks, sum(found), wrong)


def with_books(tape: Tape) -> CoreRun:
    """Books made beforehand."""
    books = list(books_of(tape, NOW_NS))
    return passed(tape, books, lambda book: book)  # type: ignore[arg-type,return-value]


def with_ladders(tape: Tape) -> CoreRun:
    """Each event applied to its ladder, and the ladder packed into a book, before the core sees it."""
    books = Books(tape, NOW_NS)
    return passed(tape, tape.changes, books.after)  # type: ignore[arg-type]


def main() -> int:
    """Write both runs to FILE."""
    folder, file = map(Path, sys.argv[1:])
    tape = read_tape(folder)
    runs = {"books": with_books(tape), "ladders": with_ladders(tape)}
    file.write_text(json.dumps({name: msgspec.to_builtins(run) for name, run in runs.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
