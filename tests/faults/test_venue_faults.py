"""Every fault of the matrix once more, with real processes: two venues, two producers, a broker.

The faults strike both venues at the same time where they concern both. While the venues rest, what was published can be
compared with what is true: under the fault no book stays live and wrong, after it all books are right within 5 s. What
was recorded meanwhile rebuilds to what was published.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from infra.simulator.faults import Fault, FaultName
from schemas.records import Book, Venue
from tests.faults.seen import VENUES, sides_of
from tests.faults.venues import Venues, venues, wait
from tests.fidelity.matrix import RECONCILE_NS, ROWS, Row
from tests.integration.command import dutchbook

pytestmark = pytest.mark.timeout(600)

HEAL_S = 5.0
SLACK_S = 1.0
"""Real processes share two cores with a broker; and what is read is a poll of Kafka old."""

QUICK_MS, SLOW_MS = 2_000, 4_500
"""A fault that the next frame shows lasts less long than one that only a reconciliation shows."""

TRADING_S = 1.0
"""The venues trade for so long under the fault, and again after it, before they rest."""

SHOWN = frozenset(
    {
        FaultName.DROP,
        FaultName.TRUNCATE,
        FaultName.MALFORMED,
        FaultName.GAP,
        FaultName.FREEZE,
        FaultName.FREEZE_MARKET,
        FaultName.HALF_OPEN,
        FaultName.CUT,
        FaultName.CHANNEL_ERROR,
        FaultName.OVERFLOW,
        FaultName.PAUSE,
        FaultName.MAINTENANCE,
        FaultName.CHURN,
    }
)
"""Faults that cannot strike without a book that is said not to be live."""

ROWS_IN_ORDER = sorted(ROWS, key=lambda row: row.name is FaultName.CHURN)
"""Churn last: it closes markets for good."""


@pytest.fixture(scope="module")
def running(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venues]:
    """One setup for all faults."""
    with venues(kafka_bootstrap, tmp_path_factory.mktemp("venues")) as up:
        yield up


def strike(up: Venues, row: Row) -> float:
    """Set a fault on every venue that it concerns; returns the moment at which it is over."""
    lasts_ms = 0
    for venue in row.venues:
        fault = row.make(Random(f"{venue} {row.name} real")).fault
        for_ms = 0 if fault.once else SLOW_MS if row.bound_ns[venue] >= RECONCILE_NS else QUICK_MS
        up.simulators[venue].suffer(fault, for_ms)
        lasts_ms = max(lasts_ms, for_ms)
        for name in row.also:
            up.simulators[venue].suffer(Fault(name), 0)
    return time.monotonic() + lasts_ms / 1000


@pytest.mark.parametrize("row", ROWS_IN_ORDER, ids=lambda row: row.name)
def test_a_fault_in_a_real_run(running: Venues, row: Row) -> None:
    running.trade()
    heard = {venue: len(running.listener.all[venue]) for venue in VENUES}
    over_s = strike(running, row)
    time.sleep(TRADING_S)
    running.trade(0)
    noticed = noticed_s(running, row, time.monotonic())
    wait(lambda: False, over_s)
    assert not any(running.simulators[venue].faults() for venue in VENUES)
    running.trade()
    time.sleep(TRADING_S)
    running.trade(0)
    healed = healed_s(running, over_s)
    running.still_run()
    for venue in row.venues if row.name in SHOWN or row.also else ():
        states = {book.state for book in running.listener.all[venue][heard[venue] :]}
        assert states - {"live"}, f"{venue}: the fault did not strike"
    print(f"{row.name:15}", "  ".join(f"{v} right in {noticed[v]:.2f} s, healed in {healed[v]:.2f} s" for v in VENUES))


def noticed_s(up: Venues, row: Row, rest_s: float) -> dict[Venue, float]:
    """How long after the venues came to rest a live book was wrong; fails beyond the bound."""
    bounds = {venue: row.bound_ns[venue] / 1e9 + SLACK_S for venue in VENUES}
    took = until_none(up.live_and_wrong, rest_s, rest_s + max(bounds.values()))
    assert [problem for venue in VENUES for problem in up.live_and_wrong(venue)] == []
    assert all(took[venue] <= bounds[venue] for venue in VENUES), took
    return took


def healed_s(up: Venues, over_s: float) -> dict[Venue, float]:
    """How long after the fault's end all books were right; fails when they are not in time."""
    took = until_none(up.unequal, over_s, over_s + HEAL_S)
    assert [problem for venue in VENUES for problem in up.unequal(venue)] == []
    return took


def until_none(problems: Callable[[Venue], list[str]], from_s: float, until_s: float) -> dict[Venue, float]:
    """How long after a moment each venue was last seen to have problems."""
    took = dict.fromkeys(VENUES, 0.0)

    def none() -> bool:
        found = [venue for venue in VENUES if problems(venue)]
        took.update(dict.fromkeys(found, time.monotonic() - from_s))
        return not found

    wait(none, until_s)
    return took


# What was recorded meanwhile


@pytest.fixture(scope="module")
def recorded(running: Venues) -> Venues:
    """The producers have ended, well: nothing more is written."""
    running.still_run()
    running.trade()
    time.sleep(3)
    assert running.stop_producers() == {"kalshi": 0, "polymarket": 0}
    said = dict.fromkeys(VENUES, 0)

    def quiet() -> bool:
        before = dict(said)
        said.update({venue: len(running.listener.all[venue]) for venue in VENUES})
        return before == said

    assert wait(quiet, time.monotonic() + 30, every_s=1)
    return running


@pytest.mark.parametrize("venue", VENUES)
def test_all_that_was_published_is_rebuilt_from_what_was_recorded(recorded: Venues, venue: Venue) -> None:
    done = dutchbook(
        "rebuild", "--venue", venue, "--check", "--from", recorded.started_ns, timeout=120, **recorded.environment()
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.fullmatch(r"(\w+): (\d+) published books equal .*, (\d+) differ, (\d+) come from .*\n", done.stdout)
    assert found is not None, done.stdout
    published = len(recorded.listener.all[venue])
    assert published > 100
    assert (found[1], *map(int, found.groups()[1:])) == (venue, published, 0, 0)


@pytest.mark.parametrize("venue", VENUES)
def test_a_book_is_rebuilt_from_its_connection_up_to_its_frame(recorded: Venues, venue: Venue, tmp_path: Path) -> None:
    random, chosen = Random(f"{venue} chosen"), list[Book]()
    books = recorded.listener.all[venue]
    for state in ("live", "recovering", "stale", "halted", "closed"):
        of_state = [book for book in books if book.state == state]
        chosen += random.sample(of_state, min(1, len(of_state)))
    assert {"live", "recovering"} <= {book.state for book in chosen}
    for number, book in enumerate(chosen):
        out = tmp_path / f"{number}.jsonl"
        place = ("--connection", book.connection, "--frame", book.frame)
        done = dutchbook(
            "rebuild", "--venue", venue, *place, "--out", out, "--from", recorded.started_ns, timeout=120,
            **recorded.environment(),
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        lines = [json.loads(line) for line in out.read_bytes().splitlines()]
        assert {line["connection"] for line in lines} == {book.connection}
        assert max(line["frame"] for line in lines) == book.frame
        named = [line for line in lines if (line["market"], line["frame"]) == (book.market, book.frame)]
        bids, asks = ([list(level) for level in side] for side in sides_of(book))
        assert (book.state, book.reason, bids, asks) in [
            (line["state"], line["reason"], line["bids"], line["asks"]) for line in named
        ]


def test_what_was_not_recorded_is_named(recorded: Venues) -> None:
    cases = {
        ("--from", "2100-01-01"): "raw.kalshi: no records in the given time",
        ("--connection", "kalshi-x-0"): "raw.kalshi: no record of the connection kalshi-x-0 in the given time",
    }
    for arguments, said in cases.items():
        for mode in ((), ("--check",)):
            done = dutchbook("rebuild", "--venue", "kalshi", *arguments, *mode, timeout=120, **recorded.environment())
            assert (done.returncode, done.stdout, done.stderr) == (2, "", f"dutchbook rebuild: {said}\n")
