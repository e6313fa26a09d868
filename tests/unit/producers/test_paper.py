"""Paper orders fill as the book in force says, less what paper orders took, at the venue's exact fee."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.paper import PaperMatcher, on_grid
from schemas.fees import fill_fees
from schemas.identity import execution_id
from schemas.records import Book, Execution, FeeSchedule, Level, Order, Outcome, TickRange
from schemas.units import FILL_PER_QUANTITY, ONE
from tests.unit.trading import SECOND, book, market, order

FRESHNESS = 5 * SECOND
ORDER_AGE = 20 * SECOND
KALSHI = FeeSchedule(model="kalshi_quadratic", taker_rate=70_000, maker_rate=0, exponent=1, balance_precision=100)


def matcher(*books: Book, **market_fields: Any) -> PaperMatcher:
    made = PaperMatcher("kalshi", FRESHNESS, ORDER_AGE)
    made.on_market(market(**market_fields))
    for one in books:
        made.on_book(one)
    return made


def filled(execution: Execution) -> list[Level]:
    return [(fill.price, fill.fill_quantity // FILL_PER_QUANTITY) for fill in execution.fills]


# -- filling ----------------------------------------------------------------------------------------------------


def test_yes_is_bought_from_the_asks_best_first_up_to_the_limit() -> None:
    asks = [(5300, 200), (5400, 300), (5600, 900)]
    execution = matcher(book(asks=asks, sequence=7)).answer(order(), SECOND)
    assert (execution.kind, filled(execution)) == ("filled", [(5300, 200), (5400, 300)])
    assert (execution.fill_quantity, execution.remaining_quantity) == (500 * FILL_PER_QUANTITY, 500)
    assert (execution.cost, execution.fee) == (200 * 5300 + 300 * 5400, 0)
    assert execution.reason == "no liquidity at the limit for 5.00"
    assert (execution.book_epoch, execution.book_sequence, execution.paper, execution.executed_ns) == (
        1,
        7,
        True,
        SECOND,
    )
    assert execution.execution_id == execution_id("order-1", "filled")


def test_no_is_bought_from_the_yes_bids_at_one_less() -> None:
    bids = [(4800, 200), (4500, 300), (4400, 900)]
    execution = matcher(book(bids=bids)).answer(order(outcome="no", limit_price=5500), SECOND)
    assert filled(execution) == [(5200, 200), (5500, 300)]


def test_every_fill_carries_the_venues_fee_of_the_whole_order() -> None:
    asks = [(5300, 211), (5400, 377)]
    execution = matcher(book(asks=asks), fee=KALSHI).answer(order(), SECOND)
    expected = fill_fees(KALSHI, [(price, quantity * FILL_PER_QUANTITY) for price, quantity in asks])
    assert tuple(fill.fee for fill in execution.fills) == expected
    assert execution.fee == sum(expected) > 0


def test_nothing_within_the_limit_is_cancelled() -> None:
    execution = matcher(book()).answer(order(limit_price=5400), SECOND)
    assert (execution.kind, execution.reason) == ("cancelled", "no liquidity at the limit 0.5400")
    assert (execution.fills, execution.cost, execution.remaining_quantity) == ((), 0, 1000)


def test_fill_or_kill_takes_all_or_nothing() -> None:
    made = matcher(book(asks=[(5500, 999)]))
    killed = made.answer(order(time_in_force="fill_or_kill"), SECOND)
    assert (killed.kind, killed.reason) == ("cancelled", "fill or kill: 9.99 of 10.00 at the limit")
    whole = made.answer(order("order-2", time_in_force="fill_or_kill", quantity=999), SECOND)
    assert (whole.kind, whole.remaining_quantity) == ("filled", 0)


# -- what was taken -------------------------------------------------------------------------------------------------


def quantities(made: PaperMatcher, *orders: Order) -> list[int]:
    return [made.answer(one, SECOND).fill_quantity // FILL_PER_QUANTITY for one in orders]


def test_a_standing_level_is_not_filled_twice() -> None:
    made = matcher(book(asks=[(5500, 1500)]))
    assert quantities(made, order("1"), order("2"), order("3")) == [1000, 500, 0]
    made.on_book(book(asks=[(5500, 1500)], bids=[(100, 1)], sequence=2))
    assert quantities(made, order("4")) == [0]


@pytest.mark.parametrize(
    ("asks", "left"),
    [([(5500, 1501)], 1000), ([(5500, 1499)], 1000), ([(5400, 10), (5500, 1500)], 10)],
)
def test_a_changed_size_is_forgotten_and_an_unchanged_one_is_not(asks: list[Level], left: int) -> None:
    made = matcher(book(asks=[(5500, 1500)]))
    assert quantities(made, order("1", quantity=1500)) == [1500]
    made.on_book(book(asks=asks, sequence=2))
    assert quantities(made, order("2")) == [left]


def test_a_level_that_went_and_came_back_is_new() -> None:
    made = matcher(book(asks=[(5500, 1000)]))
    assert quantities(made, order("1")) == [1000]
    made.on_book(book(asks=[], sequence=2))
    made.on_book(book(asks=[(5500, 1000)], sequence=3))
    assert quantities(made, order("2")) == [1000]


def test_a_recovering_book_forgets_nothing() -> None:
    made = matcher(book(asks=[(5500, 1000)]))
    assert quantities(made, order("1")) == [1000]
    made.on_book(book(bids=[], asks=[], sequence=2, state="recovering"))
    made.on_book(book(asks=[(5500, 1000)], epoch=2))
    assert quantities(made, order("2")) == [0]


def test_older_and_repeated_books_change_nothing_but_the_proof() -> None:
    made = matcher(book(sequence=5))
    made.on_book(book(asks=[(5000, 9000)], sequence=4))
    made.on_book(book(asks=[(5000, 9000)], sequence=5, confirmed_ns=9 * SECOND))
    execution = made.answer(order(), 9 * SECOND)
    assert (filled(execution), execution.book_sequence) == ([(5500, 1000)], 5)


def test_a_malformed_ladder_changes_nothing() -> None:
    made = matcher(book())
    with pytest.raises(ValueError, match="does not hold"):
        made.on_book(book(sequence=2, ask_count=9))
    assert made.answer(order(), SECOND).book_sequence == 1


# -- rejections -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"venue": "polymarket"}, "an order for polymarket at kalshi"),
        ({"action": "cancel"}, "nothing rests: there is no order to cancel"),
        ({"side": "sell"}, "paper orders only buy: to leave a position, buy the other outcome"),
        (
            {"time_in_force": "good_till_cancelled"},
            "paper orders do not rest: immediate_or_cancel or fill_or_kill only",
        ),
        ({"market": "other"}, "no book"),
        ({"limit_price": 5550}, "limit price 0.5550 is not on the market's grid"),
        ({"limit_price": 0}, "limit price 0.0000 is not on the market's grid"),
        ({"limit_price": ONE}, "limit price 1.0000 is not on the market's grid"),
        ({"quantity": 99}, "0.99 contracts: the minimum is 1.00"),
        ({"quantity": 100}, "worth 0.550000 dollars: the minimum is 1.000000"),
    ],
)
def test_orders_that_the_venue_would_not_take(fields: dict[str, Any], reason: str) -> None:
    made = matcher(book(), minimum_quantity=100, minimum_value=1_000_000)
    execution = made.answer(order(**fields), SECOND)
    assert (execution.kind, execution.reason, execution.fills) == ("rejected", reason, ())


def test_an_order_without_quantity_is_rejected() -> None:
    execution = matcher(book(), minimum_quantity=0).answer(order(quantity=0), SECOND)
    assert execution.kind == "rejected"


def test_a_book_that_is_not_live_or_stale_fills_nothing() -> None:
    made = matcher(book(state="recovering", reason="sequence gap"))
    assert made.answer(order(), SECOND).reason == "book is recovering: sequence gap"
    made = matcher(book())
    assert made.answer(order("1"), SECOND + FRESHNESS).kind == "filled"
    late = made.answer(order("2"), SECOND + FRESHNESS + 1)
    assert (late.kind, late.reason) == ("rejected", "book is stale: confirmed 5000 ms ago")


def test_without_metadata_or_a_fee_nothing_is_answered_with_a_fill() -> None:
    made = PaperMatcher("kalshi", FRESHNESS, ORDER_AGE)
    made.on_book(book())
    assert made.missing("M") == made.answer(order("1"), SECOND).reason == "no market metadata"
    made.on_market(market(msgspec.structs.replace(KALSHI, balance_precision=0)))
    assert made.missing("M") == ""
    nameless = made.answer(order("2"), SECOND)
    assert (nameless.kind, nameless.reason) == ("rejected", "no fee can be said: balance precision 0 is not positive")


def test_grids_are_those_of_the_ranges() -> None:
    tapered = market(ticks=(TickRange(start=10, end=1000, step=10), TickRange(start=1000, end=9000, step=100)))
    assert [price for price in (10, 15, 990, 1010, 1100, 9100) if on_grid(price, tapered)] == [10, 990, 1100]
    assert on_grid(1234, market(ticks=()))


# -- another life ---------------------------------------------------------------------------------------------------


def test_what_another_life_took_counts_while_its_book_is_in_force() -> None:
    before = matcher(book(asks=[(5500, 1500)], sequence=3))
    taken = [before.answer(order("1", quantity=400), SECOND), before.answer(order("2", quantity=500), SECOND)]
    for books_first in (True, False):
        again = matcher()
        if books_first:
            again.on_book(book(asks=[(5500, 1500)], sequence=3))
        again.restore(taken)
        again.on_book(book(asks=[(5500, 7)], sequence=2))
        again.on_book(book(asks=[(5500, 1500)], sequence=3))
        assert quantities(again, order("3")) == [600]
    newer = matcher()
    newer.restore(taken)
    newer.on_book(book(asks=[(5500, 1500)], sequence=4))
    assert quantities(newer, order("3")) == [1000]


def test_only_the_newest_book_of_another_life_counts() -> None:
    before = matcher(book(asks=[(5500, 1500)], sequence=3))
    old = before.answer(order("1", quantity=400), SECOND)
    before.on_book(book(asks=[(5500, 1400)], sequence=4))
    new = before.answer(order("2", quantity=300), SECOND)
    again = matcher(book(asks=[(5500, 1400)], sequence=4))
    again.restore([old, new])
    assert quantities(again, order("3", quantity=2000)) == [1100]


def test_what_was_taken_from_several_books_of_another_life_counts_as_they_come_again() -> None:
    books = [book(asks=[(5400, 400), (5500, 900)], sequence=sequence) for sequence in (3, 4)]
    changed = book(asks=[(5400, 400), (5500, 901)], sequence=5)
    before = matcher(books[0])
    taken = [before.answer(order("1", quantity=300), SECOND)]
    before.on_book(books[1])
    taken.append(before.answer(order("2", quantity=200), SECOND))
    again = matcher()
    again.restore(taken)
    for one in books:
        again.on_book(one)
    for made in (before, again):
        assert quantities(made, order("3", limit_price=5400), order("4", quantity=100)) == [0, 100]
        made.on_book(changed)
        assert quantities(made, order("5", limit_price=5400), order("6", quantity=2000)) == [0, 901]


# -- conservation ---------------------------------------------------------------------------------------------------

PRICES = st.integers(40, 60).map(lambda cents: cents * 100)
SIDE = st.dictionaries(PRICES, st.integers(1, 500), max_size=5)
BOOKS = st.tuples(st.just("book"), SIDE, SIDE)
ORDERS = st.tuples(st.sampled_from(["yes", "no"]), PRICES, st.integers(1, 800))


@given(st.lists(st.one_of(BOOKS, ORDERS), max_size=30))
def test_never_more_is_filled_than_displayed_less_taken(steps: list[tuple[Any, ...]]) -> None:
    made = matcher()
    displayed: dict[tuple[Outcome, int], int] = {}
    taken: dict[tuple[Outcome, int], int] = {}
    for number, (kind, first, second) in enumerate(steps):
        if kind == "book":
            bids, asks = sorted(first.items(), reverse=True), sorted(second.items())
            made.on_book(book(bids, asks, sequence=number))
            before = displayed
            displayed = {("yes", price): size for price, size in asks}
            displayed |= {("no", ONE - price): size for price, size in bids}
            taken = {place: size for place, size in taken.items() if displayed.get(place) == before[place]}
            continue
        execution = made.answer(order(str(number), outcome=kind, limit_price=first, quantity=second), SECOND)
        open_to_it = {
            price: size - taken.get((outcome, price), 0)
            for (outcome, price), size in displayed.items()
            if outcome == kind and price <= first
        }
        assert sum(quantity for _, quantity in filled(execution)) == min(second, sum(open_to_it.values()))
        for price, quantity in filled(execution):
            assert 0 < quantity <= open_to_it[price]
            taken[kind, price] = taken.get((kind, price), 0) + quantity
        assert [price for price, _ in filled(execution)] == sorted(price for price, _ in filled(execution))
        assert execution.cost == sum(price * quantity for price, quantity in filled(execution))


def test_an_order_that_is_too_old_is_rejected() -> None:
    made = matcher(book(asks=[(5300, 9000)], confirmed_ns=100 * SECOND))
    sent_ns = 100 * SECOND - ORDER_AGE
    assert made.answer(order("1", created_ns=sent_ns), 100 * SECOND).kind == "filled"
    late = made.answer(order("2", created_ns=sent_ns - 1), 100 * SECOND)
    assert late.kind == "rejected"
    assert late.reason == "the order is 20000 ms old: its other leg is long answered"
