"""A tape that was recorded while a venue suffered says the books that were recorded, whoever plays it.

The records are those of the fault matrix: the producers' own code against a small exchange, in virtual time.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from infra.rebuild import Entry, Rebuilder
from infra.rebuild_tape import Player, described
from infra.record.folder import tape_folder
from infra.record.recorder import EVERYTHING, Recorder
from infra.record.rest import rest_bodies
from infra.simulator.faults import Fault, FaultName
from infra.simulator.tape import Tape
from producers.transcript import Follow, Followed
from schemas.records import Book, Market, Venue
from tests.fidelity.harness import SECOND, Extras, Trial, run, small_tape
from tests.fidelity.kept import Kept
from tests.fidelity.matrix import ROWS, Row

NEVER_NS = 600 * SECOND
TELLING = {"drop", "malformed", "gap", "no_first_book", "freeze_market", "cut", "overflow", "tick_change", "clock_skew"}
"""The rows whose tapes need most besides frames; those of all rows are right."""

CELLS = [
    pytest.param(venue, row, id=f"{venue}-{row.name}") for row in ROWS if row.name in TELLING for venue in row.venues
]

Ladders = dict[str, tuple[int, int, bytes]]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return small_tape(tmp_path_factory.mktemp("catalogue"))


def raw(venue: Venue, tape: Tape, trials: Sequence[Trial] = (), **more: Any) -> list[Entry]:
    """What a producer kept while a venue suffered."""
    kept = Kept()
    run(venue, tape, trials, 0, bound_ns=NEVER_NS, extras=Extras(kept, **more))
    return kept.raw


def markets_of(entries: Iterable[Entry]) -> dict[str, Market]:
    """The markets as they were when they were followed first."""
    found: dict[str, Market] = {}
    for entry in entries:
        if entry.kind == "mark" and isinstance(mark := entry.mark(), Follow):
            for one in mark.followed:
                found.setdefault(one.market.market, one.market)
    return found


def write(recorder: Recorder, markets: Iterable[Market], before: list[Entry], entries: list[Entry], out: Path) -> Tape:
    """The tape of some entries."""
    with tape_folder(out) as draft:
        for entry in before:
            recorder.warm(entry)
        for entry in entries:
            for line in recorder.take(entry):
                draft.put(recorder.venue, line)
        draft.put_rest(recorder.venue, rest_bodies(recorder.venue, markets))
    return Tape.open(out)


def ladder(book: Book) -> tuple[int, int, bytes]:
    return book.bid_count, book.ask_count, book.ladder


def recorded(venue: Venue, entries: list[Entry], markets: Iterable[Market], from_ns: int) -> dict[int, Ladders]:
    """After each moment of the stretch, the ladders of the books that were live."""
    rebuilder, live, found = Rebuilder(venue, EVERYTHING, map(Followed, markets)), Ladders(), dict[int, Ladders]()
    for entry in entries:
        for book in rebuilder.take(entry):
            live.pop(book.market, None)
            if book.state == "live":
                live[book.market] = ladder(book)
        if entry.received_ns >= from_ns:
            found[entry.received_ns] = dict(live)
    return found


def played(tape: Tape, venue: Venue) -> dict[int, Ladders]:
    """After each moment of the tape, the ladders that whoever plays it trusts."""
    followed = [Followed(one.market) for one in described(tape, venue, 0).found.values()]
    live, found = Ladders(), dict[int, Ladders]()
    for _, received_ns, books in Player(tape, EVERYTHING, {venue: followed}).play():
        for book in books:
            live.pop(book.market, None)
            if book.state != "recovering":
                live[book.market] = ladder(book)
        found[received_ns] = dict(live)
    return found


def assert_shows(tape: dict[int, Ladders], wanted: dict[int, Ladders]) -> None:
    """At every moment the tape shows all that was live."""
    shown, compared, moments = Ladders(), 0, sorted(tape)
    for at_ns, live in sorted(wanted.items()):
        while moments and moments[0] <= at_ns:
            shown = tape[moments.pop(0)]
        assert {market: shown.get(market) for market in live} == live, at_ns
        compared += len(live)
    assert not moments
    assert compared > 30


def assert_recorded(venue: Venue, entries: list[Entry], folder: Path, *, wanted: Sequence[str] = ()) -> Recorder:
    """The tape of all these entries, and of some markets, is right."""
    markets = markets_of(entries)
    chosen = [market for name, market in markets.items() if not wanted or name in wanted]
    recorder = Recorder(venue, map(Followed, chosen))
    tape = write(recorder, chosen, [], entries, folder / "tape")
    live = recorded(venue, entries, markets.values(), 0)
    names = {market.market for market in chosen}
    live = {at_ns: {name: one for name, one in books.items() if name in names} for at_ns, books in live.items()}
    assert_shows(played(tape, venue), live)
    assert not recorder.unequal
    assert not recorder.incomplete
    return recorder


@pytest.mark.parametrize(("venue", "row"), CELLS)
def test_a_tape_of_a_fault(venue: Venue, row: Row, small: Tape, tmp_path: Path) -> None:
    assert_recorded(venue, raw(venue, small, row.trials(Random(f"{venue} {row.name} recorded"))), tmp_path)


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_many_connections_that_break_are_one_tape(venue: Venue, small: Tape, tmp_path: Path) -> None:
    trials = [Trial(Fault(FaultName.CUT), after_s * SECOND, 0) for after_s in (0, 1)]
    several = {"kalshi_markets_per_connection": 1} if venue == "kalshi" else {"polymarket_markets_per_connection": 2}
    entries = raw(venue, small, trials, feed=several)
    assert len({entry.connection for entry in entries}) > 6
    recorder = assert_recorded(venue, entries, tmp_path)
    assert recorder.untold["recovering: disconnected"] > 6


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_a_tape_of_two_markets_has_nothing_of_others(venue: Venue, small: Tape, tmp_path: Path) -> None:
    entries = raw(venue, small)
    wanted = sorted(markets_of(entries))[1:3]
    recorder = assert_recorded(venue, entries, tmp_path, wanted=wanted)
    assert set(recorder.told) == set(wanted)
    tape = Tape.open(tmp_path / "tape")
    others = set(markets_of(entries)) - set(wanted)
    assert not [frame for frame in tape.frames(venue) if any(other in frame.text for other in others)]


def test_what_was_polled_is_whole_books(small: Tape, tmp_path: Path) -> None:
    entries = raw("kalshi", small, feed={"signed": False})
    assert not [entry for entry in entries if entry.kind == "ws"]
    recorder = assert_recorded("kalshi", entries, tmp_path)
    assert recorder.made == recorder.lines > 20


def test_prices_in_the_leg_that_was_asked_for(small: Tape, tmp_path: Path) -> None:
    entries = raw("kalshi", small, feed={"kalshi_use_yes_price": True})
    markets = markets_of(entries)
    recorder = Recorder("kalshi", map(Followed, markets.values()))
    folder = write(recorder, markets.values(), [], entries, tmp_path / "tape").folder
    assert recorder.use_yes_price
    wanted = recorded("kalshi", entries, markets.values(), 0)
    assert_shows(played(Tape(folder, use_yes_price=True), "kalshi"), wanted)
    with pytest.raises(AssertionError):
        assert_shows(played(Tape(folder), "kalshi"), wanted)


@pytest.mark.parametrize("warm_s", [0, 3, 30])
@pytest.mark.parametrize("kind", ["kalshi", "polled kalshi", "polymarket"])
def test_a_tape_that_begins_in_the_middle(kind: str, warm_s: int, small: Tape, tmp_path: Path) -> None:
    """With what was before it begins with whole books at once."""
    venue: Venue = "polymarket" if kind == "polymarket" else "kalshi"
    entries = raw(venue, small, feed={"signed": False} if kind == "polled kalshi" else {})
    markets = markets_of(entries)
    from_ns = entries[len(entries) // 2].received_ns
    before = [entry for entry in entries if from_ns - warm_s * SECOND <= entry.received_ns < from_ns]
    stretch = [entry for entry in entries if entry.received_ns >= from_ns]
    recorder = Recorder(venue, map(Followed, markets.values()))
    tape = write(recorder, markets.values(), before, stretch, tmp_path / "tape")
    assert recorder.incomplete or warm_s == 30
    wanted = recorded(venue, [*before, *stretch], markets.values(), from_ns)
    if kind == "polled kalshi" and warm_s < 30:  # a rebuilder does not know such a connection by its requests
        wanted = recorded(venue, entries, markets.values(), from_ns + 2 * SECOND)
    shown = played(tape, venue)
    assert_shows(shown, wanted)
    at_once = shown[min(shown)]
    assert (len(at_once) == len(markets)) == (warm_s > 0 or kind == "polled kalshi")
