from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from producers.books import Clocks, PublishedBook, Receipt
from producers.kalshi.book import MarketBook, SequenceCheck, Step
from producers.kalshi.wire import Delta, Snapshot
from producers.ladder import SideName
from schemas.records import Book

DEPTH = 3
LEVELS = st.dictionaries(st.integers(1, 9999), st.integers(0, 500), max_size=8)
STEPS = st.one_of(
    st.tuples(LEVELS, LEVELS),
    st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 9999), st.integers(-500, 500)),
)


def make() -> MarketBook:
    return MarketBook(PublishedBook("kalshi", "X", "g", DEPTH, Clocks()))


def at(number: int) -> Receipt:
    return Receipt("c", number, number, number)


def snapshot(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> Snapshot:
    return Snapshot(market="X", bids=tuple(bids), asks=tuple(asks), floored=0)


def delta(side: SideName, price: int, change: int) -> Delta:
    return Delta(market="X", side=side, price=price, change=change, exchange_ns=0)


def test_changes_before_the_snapshot_are_ignored() -> None:
    book = make()
    assert book.delta(delta("bid", 4000, 100), at(0), 0) is None
    first = book.snapshot(snapshot([(4000, 100)], [(6000, 100)]), at(1), 1)
    assert first is not None
    assert (first.sequence, first.sides()) == (1, ([(4000, 100)], [(6000, 100)]))
    second = book.delta(delta("bid", 4000, 50), at(2), 2)
    assert second is not None
    assert (second.epoch, second.sequence, second.sides()[0]) == (first.epoch, 2, [(4000, 150)])


def test_a_level_below_zero_asks_for_a_snapshot() -> None:
    book = make()
    book.snapshot(snapshot([(4000, 100)], []), at(0), 0)
    said = book.delta(delta("bid", 4000, -101), at(1), 1)
    assert said is not None
    assert (said.state, said.reason, book.awaiting) == ("recovering", "negative level", True)
    assert book.delta(delta("bid", 4000, 5), at(2), 2) is None
    healed = book.snapshot(snapshot([(4000, 7)], []), at(3), 3)
    assert healed is not None
    assert (healed.state, healed.sequence, healed.epoch > said.epoch) == ("live", 1, True)


def test_a_crossed_book_is_never_live() -> None:
    book = make()
    book.snapshot(snapshot([(4000, 100)], [(6000, 100)]), at(0), 0)
    said = book.delta(delta("bid", 6000, 1), at(1), 1)
    assert said is not None
    assert (said.state, said.reason, book.awaiting) == ("recovering", "crossed", True)


def test_a_change_below_the_visible_depth_says_nothing() -> None:
    book = make()
    book.snapshot(snapshot([(4000 + step, 100) for step in range(DEPTH)], []), at(0), 0)
    assert book.delta(delta("bid", 10, 5), at(1), 1) is None
    assert book.published.confirmed_ns == 1


def test_sequence_numbers() -> None:
    check = SequenceCheck()
    numbers = [5, 6, 6, 4, 8, 9, 7, 10]
    expected = ["next", "next", "duplicate", "duplicate", "gap", "next", "duplicate", "next"]
    assert [check.take(number) for number in numbers] == [Step(name) for name in expected]


@given(st.lists(STEPS, max_size=40))
def test_any_stream_keeps_the_invariants(steps: Any) -> None:
    book, model, said = make(), None, []
    for number, step in enumerate(steps, 1):
        if len(step) == 2:
            bids, asks = step
            model = {"bid": dict(bids), "ask": dict(asks)}
            record = book.snapshot(snapshot([*bids.items()], [*asks.items()]), at(number), number)
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
    assert record.state != "live" or not bids or not asks or bids[0][0] < asks[0][0]


def test_a_reply_may_repeat_a_number_and_its_number_may_be_repeated() -> None:
    check = SequenceCheck()
    steps = [check.take(1), check.take(1, reply=True), check.take(2), check.take(3, reply=True), check.take(3)]
    assert steps == [Step.NEXT] * 5
    assert check.take(3) is Step.DUPLICATE
    assert [check.take(4, reply=True), check.take(5)] == [Step.NEXT, Step.NEXT]
    assert check.take(4, reply=True) is Step.DUPLICATE
    assert check.take(7, reply=True) is Step.GAP
