"""A recorded connection, given to a session again, says exactly the books that were published.

The records are those of the fault matrix: the producers' own code against a small exchange, in virtual time.
"""

import asyncio
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from infra.rebuild import Rebuilder, rebuild
from infra.simulator.faults import MILLISECOND, Fault, FaultName
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.polymarket.options import PolymarketOptions
from infra.simulator.tape import Tape
from producers.feeds import Feed
from producers.session import Session
from producers.transcript import Follow, Followed
from schemas.records import Book, Venue
from tests.fidelity.harness import SECOND, Extras, Trial, run, small_tape
from tests.fidelity.kept import Kept
from tests.fidelity.matrix import ROWS, Row, rows_of

DEPTH = 32
HOUR_NS = 3_600 * SECOND
NEVER_NS = 600 * SECOND
CELLS = [pytest.param(venue, row, id=f"{venue}-{row.name}") for row in ROWS for venue in row.venues]


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    return small_tape(tmp_path_factory.mktemp("catalogue"))


class LaterReader(Rebuilder):
    """Tells its sessions that it is an hour later than when a record was received."""

    def _open(self, connection: str, way: str) -> Session[Any]:
        session = super()._open(connection, way)
        frame, answered, mark = session.frame, session.answered, session.mark
        later: dict[str, Any] = {
            "frame": lambda receipt, data, now: frame(receipt, data, now + HOUR_NS),
            "answered": lambda receipt, asked, data, now: answered(receipt, asked, data, now + HOUR_NS),
            "mark": lambda receipt, one, now: mark(receipt, one, now + HOUR_NS),
        }
        for name, function in later.items():
            setattr(session, name, function)
        return session


def recorded(venue: Venue, tape: Tape, trials: Sequence[Trial], seed: int = 0, **more: Any) -> Kept:
    """What a producer published while a venue suffered."""
    kept = Kept()
    run(venue, tape, trials, seed, bound_ns=NEVER_NS, extras=Extras(kept, **more))
    assert len(kept.books) > 100
    return kept


Place = tuple[str, str]


def by_place(books: Iterable[Book]) -> dict[Place, list[Book]]:
    """Books in their order, market by market and group by group; without what a reader cannot know.

    Books of several groups stand in several partitions. Unknown are the pongs that confirmed a book, and when it was
    processed: from that follow its stamp and its epoch.
    """
    found: dict[Place, list[Book]] = {}
    for one in books:
        plain = replace(one, confirmed_ns=0, processing_complete_ns=0, epoch=0)
        found.setdefault((one.market, one.group), []).append(plain)
    return found


def assert_same(kept: Kept, rebuilder: Rebuilder) -> None:
    published, rebuilt = by_place(kept.books), by_place(rebuild(kept.raw, rebuilder))
    assert rebuilt.keys() == published.keys()
    for place, expected in published.items():
        for one, other in zip(rebuilt[place], expected, strict=True):
            assert one == other, place
    assert rebuilder.incomplete == set()


@pytest.mark.parametrize(("venue", "row"), CELLS)
def test_the_books_of_a_fault(venue: Venue, row: Row, tape: Tape) -> None:
    kept = recorded(venue, tape, row.trials(Random(f"{venue} {row.name} rebuilt")))
    assert_same(kept, LaterReader(venue, DEPTH))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_the_books_of_faults_together_while_groups_change(venue: Venue, seed: int, tape: Tape) -> None:
    """Markets come, go and move between groups, over connections of one market each."""
    random = Random(f"{venue} rebuilt {seed}")
    trials = [trial for row in random.sample(rows_of(venue), 2) for trial in row.trials(random)]

    async def regroup(feed: Feed[Any], markets: Sequence[str]) -> None:
        for _ in range(6):
            await asyncio.sleep(random.uniform(0.2, 1.2))
            feed.assign({market: f"group-{random.randint(0, 3)}" for market in markets if random.random() < 0.7})
        feed.assign(dict.fromkeys(markets, "all"))

    settings = {f"{venue}_markets_per_connection": 1}
    kept = recorded(venue, tape, trials, seed, meanwhile=regroup, feed=settings)
    assert any(one.state == "moved" for one in kept.books)
    assert len({entry.connection for entry in kept.raw}) > 4
    assert_same(kept, LaterReader(venue, DEPTH))


@pytest.mark.parametrize("row", [row for row in ROWS if row.name in ("rest_500", "rest_slow", "churn", "pause")])
def test_the_books_that_were_polled(row: Row, tape: Tape) -> None:
    kept = Kept()
    trials = row.trials(Random(f"polled {row.name}"))
    run("kalshi", tape, trials, 0, bound_ns=NEVER_NS, extras=Extras(kept, feed={"signed": False}))
    assert {entry.kind for entry in kept.raw} == {"asked", "rest", "mark"}
    assert len(kept.books) > 20
    assert_same(kept, LaterReader("kalshi", DEPTH))


def test_the_prices_of_the_no_side_in_the_leg_that_was_asked_for(tape: Tape) -> None:
    kept = recorded("kalshi", tape, [], feed={"kalshi_use_yes_price": True})
    assert_same(kept, LaterReader("kalshi", DEPTH))
    wrong, right = (Rebuilder("kalshi", DEPTH, assumed(kept), use_yes_price=flag) for flag in (False, True))
    published = {one.ladder for one in kept.books}
    late = kept.raw[len(kept.raw) // 2 :]
    assert all(one.ladder in published for one in rebuild(late, right))
    assert not all(one.ladder in published for one in rebuild(late, wrong))


def test_pongs_decide_nothing(tape: Tape) -> None:
    """A pong is in no transcript. It is what proves the books of a venue that numbers no answers and sends no book."""
    trials = [
        Trial(Fault(FaultName.CUT), 500 * MILLISECOND, 0),
        Trial(Fault(FaultName.FREEZE_MARKET), 600 * MILLISECOND, 2_600 * MILLISECOND),
    ]
    site = {"kalshi": KalshiOptions(numbered_replies=False)}
    kept = recorded("kalshi", tape, trials, site=site, feed={"kalshi_markets_per_connection": 1})
    assert_same(kept, LaterReader("kalshi", DEPTH))


FORMS: dict[Venue, Sequence[Any]] = {
    "kalshi": (
        KalshiOptions(numbered_replies=False, default_yes_price=True, first_seq=2, stamped_deltas=False),
        KalshiOptions(errors_name_markets=False, commands_per_s=20),
    ),
    "polymarket": (
        PolymarketOptions(hash_form="order", omitted_hashes=0.3, arrays=0.5, book_after_tick=True),
        PolymarketOptions(batch_hashes="last", batched=0.9, resent=0.4, dust=0.9, fine_last_price=True),
        PolymarketOptions(book_assets=3, told_resolved=1.0),
    ),
}


@pytest.mark.parametrize(
    ("venue", "options"), [(venue, options) for venue, choices in FORMS.items() for options in choices]
)
def test_the_books_whichever_form_the_venue_chooses(venue: Venue, options: Any, tape: Tape) -> None:
    random = Random(f"{venue} {options}")
    trials = [trial for row in random.sample(rows_of(venue), 2) for trial in row.trials(random)]
    kept = recorded(venue, tape, trials, site={venue: options})
    assert_same(kept, LaterReader(venue, DEPTH))


def assumed(kept: Kept) -> list[Followed]:
    """Every market that was ever followed, as it was described first."""
    found: dict[str, Followed] = {}
    for entry in kept.raw:
        mark = entry.mark() if entry.kind == "mark" else None
        for followed in mark.followed if isinstance(mark, Follow) else ():
            found.setdefault(followed.market.market, replace(followed, group=""))
    return list(found.values())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_a_connection_whose_beginning_is_missing(venue: Venue, share: float, tape: Tape) -> None:
    """From the first whole book on, every ladder is that of the published book that names the same record."""
    row = next(row for row in ROWS if row.name == "truncate")
    kept = recorded(venue, tape, row.trials(Random(f"{venue} cut")))
    rest = kept.raw[int(len(kept.raw) * share) :]
    rebuilder = Rebuilder(venue, DEPTH, assumed(kept))
    rebuilt = list(rebuild(rest, rebuilder))
    assert rebuilder.incomplete == {rest[0].connection}
    published: dict[tuple[str, str, int], set[bytes]] = {}
    for one in kept.books:
        published.setdefault((one.market, one.connection, one.frame), set()).add(one.ladder)
    named = [(one, published.get((one.market, one.connection, one.frame))) for one in rebuilt]
    assert sum(ladders is not None for _, ladders in named) > 0.8 * len(rebuilt) > 50
    for one, ladders in named:
        assert ladders is None or one.ladder in ladders
    last, known = ({one.market: (one.state, one.ladder) for one in books} for books in (kept.books, rebuilt))
    assert last == known
