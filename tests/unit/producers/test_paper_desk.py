"""The desk answers each order id once, after the latency, and lets offsets be committed only in order."""

from hypothesis import given
from hypothesis import strategies as st

from producers.paper import PaperMatcher
from producers.paper_desk import CAPACITY, Address, OffsetLedger, PaperDesk
from schemas.records import Execution
from tests.unit.trading import SECOND, book, market, order

LATENCY = SECOND // 20


def desk(*, with_book: bool = True, matcher: PaperMatcher | None = None) -> PaperDesk:
    made = matcher or PaperMatcher("kalshi", 60 * SECOND, 60 * SECOND)
    made.on_market(market())
    if with_book:
        made.on_book(book())
    return PaperDesk(made, LATENCY)


def at(offset: int) -> Address:
    return Address(0, offset)


def test_an_order_is_answered_after_the_latency_against_the_book_of_that_moment() -> None:
    matcher = PaperMatcher("kalshi", 60 * SECOND, 60 * SECOND)
    made = desk(matcher=matcher)
    assert made.accept(order(), at(3), SECOND)
    assert made.next_due_ns() == SECOND + LATENCY
    assert made.due(SECOND + LATENCY - 1) == []
    matcher.on_book(book(asks=[(5200, 1000)], sequence=2))
    (answer,) = made.due(SECOND + LATENCY)
    assert (answer.address, answer.execution.book_sequence, answer.execution.fills[0].price) == (at(3), 2, 5200)
    assert (len(made), made.next_due_ns()) == (0, None)


def test_an_order_waits_for_its_book_then_is_rejected() -> None:
    made = desk(with_book=False)
    made.accept(order(), at(0), SECOND)
    assert made.due(4 * SECOND - 1) == []
    (answer,) = made.due(4 * SECOND)
    assert (answer.execution.kind, answer.execution.reason) == ("rejected", "no book")


def test_a_book_that_comes_in_time_is_used_and_others_do_not_wait_for_it() -> None:
    matcher = PaperMatcher("kalshi", 60 * SECOND, 60 * SECOND)
    made = desk(matcher=matcher)
    matcher.on_market(market(market="N"))
    made.accept(order("1", market="N"), at(0), SECOND)
    made.accept(order("2"), at(1), SECOND)
    assert [answer.address for answer in made.due(2 * SECOND)] == [at(1)]
    matcher.on_book(book(market="N"))
    assert [answer.execution.kind for answer in made.due(2 * SECOND)] == ["filled"]


def test_a_repeated_order_is_ignored_while_it_waits_after_its_answer_and_in_another_life() -> None:
    made = desk()
    assert made.accept(order(), at(0), SECOND)
    assert not made.accept(order(), at(1), SECOND)
    (answer,) = made.due(2 * SECOND)
    assert not made.accept(order(), at(2), 2 * SECOND)
    again = desk()
    again.restore([answer.execution])
    assert not again.accept(order(), at(0), SECOND)
    assert again.accept(order("order-2"), at(1), SECOND)
    assert again.due(2 * SECOND)[0].execution.kind == "cancelled", "what the first took is taken"


def test_restoring_in_the_same_life_takes_nothing_twice() -> None:
    matcher = PaperMatcher("kalshi", 60 * SECOND, 60 * SECOND)
    made = desk(matcher=matcher)
    made.accept(order(quantity=600), at(0), SECOND)
    execution = made.due(2 * SECOND)[0].execution
    made.restore([execution, execution])
    made.accept(order("order-2"), at(1), SECOND)
    assert made.due(2 * SECOND)[0].execution.remaining_quantity == 600


def test_orders_that_wait_are_forgotten_with_their_partition_and_taken_again() -> None:
    made = desk()
    made.accept(order(), at(0), SECOND)
    made.clear()
    assert made.due(9 * SECOND) == []
    assert made.accept(order(), at(0), SECOND)


def test_a_full_desk_says_so() -> None:
    made = desk()
    for number in range(CAPACITY):
        assert not made.full
        made.accept(order(str(number)), at(number), SECOND)
    assert made.full


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_each_order_id_is_answered_once_whatever_comes_twice_or_restarts(numbers: list[int]) -> None:
    made = desk()
    executions: list[Execution] = []
    answers: list[str] = []
    for offset, number in enumerate(numbers):
        if number == 0:  # killed: the next life knows the executions only
            made = desk()
            made.restore(executions)
            continue
        made.accept(order(str(number), quantity=100), at(offset), SECOND)
        if number % 2:
            done = [answer.execution for answer in made.due(2 * SECOND)]
            executions += done
            answers += [execution.order_id for execution in done]
    assert len(answers) == len(set(answers))
    assert sum(execution.fill_quantity for execution in executions) <= 1000 * 10_000


def test_only_a_finished_prefix_of_each_partition_is_committable() -> None:
    ledger = OffsetLedger()
    for offset in (4, 5, 7):
        ledger.begin(at(offset))
    ledger.begin(Address(1, 0))
    ledger.done(at(5))
    assert ledger.committable() == []
    ledger.done(at(4))
    assert ledger.committable() == [at(6)]
    assert ledger.committable() == []
    ledger.done(at(7))
    ledger.done(Address(1, 0))
    assert ledger.committable() == [at(8), Address(1, 1)]


def test_a_cleared_ledger_ignores_late_deliveries() -> None:
    ledger = OffsetLedger()
    ledger.begin(at(0))
    ledger.clear()
    ledger.done(at(0))
    assert ledger.committable() == []
