from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from producers.books import Clocks, PublishedBook, Receipt
from producers.kalshi.book import MarketBook, crossed_in_other_leg, grid_of, within
from producers.kalshi.messages import Delta, Snapshot
from producers.ladder import SideName
from schemas.records import Book, TickRange
from schemas.units import ONE

DEPTH = 3
FINE = (TickRange(start=0, end=ONE, step=1),)
CENTS = (TickRange(start=0, end=ONE, step=100),)
TAPERED = (
    TickRange(start=0, end=1000, step=10),
    TickRange(start=1000, end=9000, step=100),
    TickRange(start=9000, end=ONE, step=10),
)
PRICES = st.one_of(st.integers(1, 99).map(lambda cents: 100 * cents), st.integers(1, 9999))
LEVELS = st.dictionaries(PRICES, st.integers(0, 500), max_size=8)
STEPS = st.one_of(
    st.tuples(LEVELS, LEVELS),
    st.tuples(st.sampled_from(["bid", "ask"]), PRICES, st.integers(-500, 500)),
)


def make(ticks: tuple[TickRange, ...] = FINE) -> MarketBook:
    return MarketBook(PublishedBook("kalshi", "X", "g", DEPTH, Clocks()), ticks)


def at(number: int) -> Receipt:
    return Receipt("c", number, number, number)


def snapshot(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> Snapshot:
    return Snapshot(sid=1, market="X", bids=tuple(bids), asks=tuple(asks), floored=0)


def delta(side: SideName, price: int, change: int) -> Delta:
    return Delta(sid=1, market="X", side=side, price=price, change=change, exchange_ns=0)


def test_changes_before_the_snapshot_are_ignored() -> None:
    book = make()
    assert book.delta(delta("bid", 4000, 100), at(0), 0) is None
    first = book.snapshot(snapshot([(4000, 100)], [(6000, 100)]), at(1), 1, 1)
    assert first is not None
    assert (first.sequence, first.sides(), book.sid) == (1, ([(4000, 100)], [(6000, 100)]), 1)
    second = book.delta(delta("bid", 4000, 50), at(2), 2)
    assert second is not None
    assert (second.epoch, second.sequence, second.sides()[0]) == (first.epoch, 2, [(4000, 150)])


def test_a_level_below_zero_asks_for_a_snapshot() -> None:
    book = make()
    book.snapshot(snapshot([(4000, 100)], []), at(0), 0, 0)
    said = book.delta(delta("bid", 4000, -101), at(1), 1)
    assert said is not None
    assert (said.state, said.reason, book.awaiting, book.why) == (
        "recovering", "negative level", True, "negative level",
    )  # fmt: skip
    assert book.delta(delta("bid", 4000, 5), at(2), 2) is None
    healed = book.snapshot(snapshot([(4000, 7)], []), at(3), 3, 3)
    assert healed is not None
    assert (healed.state, healed.sequence, healed.epoch > said.epoch, book.why) == ("live", 1, True, "")


def test_a_crossed_book_is_never_live() -> None:
    book = make()
    book.snapshot(snapshot([(4000, 100)], [(6000, 100)]), at(0), 0, 0)
    said = book.delta(delta("bid", 6000, 1), at(1), 1)
    assert said is not None
    assert (said.state, said.reason, book.awaiting) == ("recovering", "crossed", True)
    assert book.snapshot(snapshot([(5000, 1)], [(5000, 1)]), at(2), 2, 2) is not None
    assert (book.awaiting, book.why, book.published.trusted) == (True, "crossed at the venue", False)


def test_a_book_that_is_not_crossed_in_the_other_leg_was_perhaps_sent_in_it() -> None:
    assert not crossed_in_other_leg(snapshot([(6000, 1)], [(3000, 1)]))  # a YES ask at 0.70, read as a NO bid
    assert crossed_in_other_leg(snapshot([(6000, 1)], [(5000, 1)]))
    assert not crossed_in_other_leg(snapshot([], [(5000, 1)]))


def test_the_grid_is_that_of_the_bands() -> None:
    tapered = grid_of(TAPERED)
    assert [price for price in (5, 10, 990, 995, 1000, 1010, 1100, 9000, 9010, 9990, 9995) if tapered[price]] == [
        10, 990, 1000, 1100, 9000, 9010, 9990,
    ]  # fmt: skip
    assert within(grid_of(CENTS), tapered)
    assert not within(tapered, grid_of(CENTS))
    assert all(grid_of(()))  # no band is known
    assert sum(grid_of((TickRange(start=9990, end=20_000, step=5),))) == 3


def test_a_price_off_the_grid_is_not_believed() -> None:
    book = make(CENTS)
    book.snapshot(snapshot([(4000, 100)], [(6000, 100)]), at(0), 0, 0)
    said = book.delta(delta("ask", 5950, 100), at(1), 1)
    assert said is not None
    assert (said.state, said.reason) == ("recovering", "price off the grid")
    again = book.snapshot(snapshot([(4000, 100)], [(5950, 100)]), at(2), 2, 2)
    assert (again, book.why) == (None, "price off the grid")
    book.grid = grid_of(TAPERED)
    assert book.snapshot(snapshot([(9010, 100)], [(9020, 100)]), at(3), 3, 3) is not None
    assert book.published.live


def test_a_change_below_the_visible_depth_says_nothing_and_proves_nothing() -> None:
    book = make()
    book.snapshot(snapshot([(4000 + step, 100) for step in range(DEPTH)], []), at(7), 5, 7)
    assert book.delta(delta("bid", 10, 5), at(8), 8) is None
    assert book.published.confirmed_ns == 5
    book.published.proof.renew(8)
    assert book.published.confirmed_ns == 8


def test_a_new_connection_knows_the_metadata_and_nothing_else() -> None:
    book = make(CENTS)
    book.snapshot(snapshot([(4000, 100)], []), at(0), 0, 0)
    book.grid, book.grid_told = grid_of(FINE), True
    book.restart(CENTS)
    assert (book.awaiting, book.sid, book.grid_told, book.grid == grid_of(CENTS)) == (True, 0, False, True)


def test_a_snapshot_is_compared_level_by_level_whatever_its_order() -> None:
    book = make()
    book.snapshot(snapshot([(4000, 100), (3900, 5)], [(6000, 100)]), at(0), 0, 0)
    assert book.equals(snapshot([(3900, 5), (4000, 100), (10, 0)], [(6000, 100)]))
    for bids, asks in (([(4000, 100)], [(6000, 100)]), ([(4000, 100), (3900, 6)], [(6000, 100)]), ([], [])):
        assert not book.equals(snapshot(bids, asks))


@given(st.lists(STEPS, max_size=40))
def test_any_stream_keeps_the_invariants(steps: Any) -> None:
    book, model, said = make(TAPERED), None, []
    for number, step in enumerate(steps, 1):
        if len(step) == 2:
            bids, asks = step
            model = {"bid": dict(bids), "ask": dict(asks)}
            record = book.snapshot(snapshot([*bids.items()], [*asks.items()]), at(number), number, number)
        else:
            side, price, change = step
            record = book.delta(delta(side, price, change), at(number), number)
            if model is not None:
                model[side][price] = model[side].get(price, 0) + change
        if book.awaiting:
            model = None
        if record is not None:
            said.append(record)
            check_shape(record)
        if model is not None:
            assert book.published.record is not None
            live_bids, live_asks = book.published.record.sides()
            assert live_bids == sorted(((p, s) for p, s in model["bid"].items() if s), reverse=True)[:DEPTH]
            assert live_asks == sorted((p, s) for p, s in model["ask"].items() if s)[:DEPTH]
    order = [(record.epoch, record.sequence) for record in said]
    assert order == sorted(set(order))


def check_shape(record: Book) -> None:
    bids, asks = record.sides()
    assert len(bids) <= DEPTH
    assert len(asks) <= DEPTH
    assert all(size > 0 for _, size in bids + asks)
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    if record.state == "live":
        assert not bids or not asks or bids[0][0] < asks[0][0]
        assert all(grid_of(TAPERED)[price] for price, _ in bids + asks)
