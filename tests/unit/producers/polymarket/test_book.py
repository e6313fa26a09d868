from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.books import Clocks, PublishedBook, Receipt
from producers.polymarket.book import FIRST_BOOK_NS, MarketBook, OffGrid, Verdict
from producers.polymarket.wire import Change, Message, PriceChange, TickChange, TokenBook
from schemas.records import Book
from schemas.units import ONE

DEPTH = 4
MS = 1_000_000
Levels = list[tuple[int, int]]


def make(*, subscribed: bool = True) -> MarketBook:
    book = MarketBook(PublishedBook("polymarket", "M", "g", DEPTH, Clocks()), "yes", "no", 100)
    if subscribed:
        book.subscribed(0)
    return book


def at(number: int) -> Receipt:
    return Receipt("c", number, number, number)


def whole(bids: Levels, asks: Levels, *, token: str = "yes", ms: int = 1, tick: int = 0) -> TokenBook:
    return TokenBook(
        market="M", token=token, bids=tuple(bids), asks=tuple(asks), tick=tick, exchange_ns=ms * MS, floored=0
    )


def changes(*entries: Change, ms: int = 2) -> PriceChange:
    return PriceChange(market="M", changes=entries, exchange_ns=ms * MS, floored=0)


def apply(book: MarketBook, number: int, *messages: Message) -> Book | None:
    return book.apply(list(messages), at(number), number)


def live(bids: Levels | None = None, asks: Levels | None = None) -> MarketBook:
    book = make()
    apply(book, 1, whole(bids or [(4000, 100)], asks or [(6000, 100)]))
    return book


def sides(book: MarketBook) -> tuple[Levels, Levels]:
    assert book.published.record is not None
    return book.published.record.sides()


def test_a_price_change_sets_sizes_and_zero_removes() -> None:
    book = live()
    said = apply(book, 2, changes(Change("yes", "bid", 4100, 700), Change("yes", "bid", 4000, 0)))
    assert said is not None
    assert (said.sequence, said.sides(), said.exchange_ns) == (2, ([(4100, 700)], [(6000, 100)]), 2 * MS)


def test_the_no_leg_is_left_out_when_the_yes_leg_is_there() -> None:
    book = live()
    apply(book, 2, changes(Change("yes", "bid", 4100, 7), Change("no", "ask", 5900, 9999)))
    assert sides(book)[0] == [(4100, 7), (4000, 100)]


def test_the_no_leg_alone_is_mirrored() -> None:
    book = make()
    apply(book, 1, whole([(4000, 100)], [(6000, 50)], token="no"))
    assert sides(book) == ([(4000, 50)], [(6000, 100)])
    apply(book, 2, changes(Change("no", "bid", 4500, 5), Change("no", "ask", 6000, 0)))
    assert sides(book) == ([], [(5500, 5), (6000, 100)])


def test_of_both_books_in_a_frame_the_yes_book_counts() -> None:
    book = make()
    said = apply(book, 1, whole([(1000, 1)], [], token="no"), whole([(4000, 100)], [], token="yes"))
    assert said is not None
    assert (said.sequence, said.sides()) == (1, ([(4000, 100)], []))


def test_a_no_book_older_than_the_ladder_says_nothing() -> None:
    book = live()
    apply(book, 2, changes(Change("yes", "bid", 4100, 7), ms=9))
    assert apply(book, 3, whole([(4000, 100)], [(6000, 100)], token="no", ms=8)) is None
    assert sides(book)[0] == [(4100, 7), (4000, 100)]


def test_changes_before_the_first_book_are_ignored() -> None:
    book = make()
    assert apply(book, 1, changes(Change("yes", "bid", 4000, 1))) is None
    assert not book.published.live


def test_a_frame_confirms_its_market_even_when_nothing_changed() -> None:
    book = live()
    assert apply(book, 50, whole([(4000, 100)], [(6000, 100)])) is None
    assert book.published.confirmed_ns == 50


def test_a_tick_change_begins_a_new_epoch_with_the_next_book() -> None:
    book = live()
    said = apply(book, 2, TickChange(market="M", tick=10))
    assert said is not None
    assert (said.state, said.reason, book.urgent) == ("recovering", "tick change", True)
    assert apply(book, 3, TickChange(market="M", tick=10)) is None
    assert apply(book, 4, changes(Change("yes", "bid", 4000, 1))) is None
    again = apply(book, 5, whole([(4010, 100)], []))
    assert again is not None
    assert (again.epoch > said.epoch, again.sequence, again.state) == (True, 1, "live")
    assert apply(book, 6, changes(Change("yes", "bid", 4020, 1))) is not None


def test_a_tick_change_is_said_even_when_more_follows_in_its_frame() -> None:
    book = live()
    said = apply(book, 2, TickChange(market="M", tick=10), changes(Change("yes", "bid", 4000, 1)))
    assert said is not None
    assert said.reason == "tick change"


def test_off_grid_prices_are_refused_but_removals_pass() -> None:
    book = live(bids=[(4000, 100), (3950, 5)])
    apply(book, 2, changes(Change("yes", "bid", 3950, 0)))
    assert sides(book)[0] == [(4000, 100)]
    with pytest.raises(OffGrid, match=r"0.4050 is not a multiple of 0.0100"):
        apply(book, 3, changes(Change("yes", "bid", 4050, 1)))


def test_a_crossed_book_is_never_live() -> None:
    book = live()
    said = apply(book, 2, changes(Change("yes", "bid", 6000, 1)))
    assert said is not None
    assert (said.state, said.reason, book.urgent) == ("recovering", "crossed", True)
    moved = apply(live(), 3, changes(Change("yes", "bid", 6000, 1), Change("yes", "ask", 6000, 0)))
    assert moved is not None
    assert moved.state == "live"


def judge(book: MarketBook, answer: TokenBook, number: int = 100) -> tuple[Verdict, list[Book]]:
    return book.answer(answer, book.ask(), at(number), number)


def test_an_equal_rest_book_confirms_as_of_the_request() -> None:
    book = live()
    verdict, said = book.answer(whole([(4000, 100)], [(6000, 100)]), book.ask(), Receipt("r", 0, 70, 90), 91)
    assert (verdict, said, book.published.confirmed_ns) == (Verdict.CONFIRMED, [], 70)


def test_a_change_while_the_request_was_under_way_proves_nothing() -> None:
    book = live()
    asked = book.ask()
    apply(book, 2, changes(Change("yes", "bid", 4100, 7)))
    answer = whole([(4000, 100)], [(6000, 100)], ms=5)
    assert book.answer(answer, asked, at(100), 100) == (Verdict.NOTHING, [])
    assert book.published.confirmed_ns == 2


def test_only_the_second_difference_without_a_change_between_is_a_mismatch() -> None:
    book, theirs = live(), whole([(4300, 1)], [(6000, 100)], ms=5)
    assert judge(book, theirs)[0] is Verdict.DIFFERS
    apply(book, 2, changes(Change("yes", "bid", 4100, 7)))
    assert judge(book, theirs)[0] is Verdict.DIFFERS
    verdict, said = judge(book, theirs)
    assert verdict is Verdict.MISMATCH
    assert [(record.state, record.reason, record.sequence) for record in said] == [
        ("recovering", "differs from the venue's answer", 3),
        ("live", "", 1),
    ]
    assert said[1].epoch > said[0].epoch
    assert sides(book) == ([(4300, 1)], [(6000, 100)])


def test_a_confirmation_between_two_differences_starts_the_count_again() -> None:
    book, theirs = live(), whole([(4300, 1)], [(6000, 100)], ms=5)
    for answer, verdict in [
        (theirs, Verdict.DIFFERS),
        (whole([(4000, 100)], [(6000, 100)], ms=5), Verdict.CONFIRMED),
        (theirs, Verdict.DIFFERS),
    ]:
        assert judge(book, answer)[0] is verdict


def test_a_rest_book_older_than_the_stream_proves_nothing() -> None:
    book = live()
    apply(book, 2, changes(Change("yes", "bid", 4100, 7), ms=10))
    for _ in range(3):
        assert judge(book, whole([(4000, 100)], [(6000, 100)], ms=9)) == (Verdict.NOTHING, [])
    assert book.published.live


def test_rest_heals_with_the_changes_that_came_since() -> None:
    book = live()
    book.interrupt("malformed frame", 5)
    asked = book.ask()
    apply(book, 6, changes(Change("yes", "bid", 4000, 50), ms=19))
    apply(book, 7, changes(Change("yes", "bid", 4100, 7), ms=20))
    verdict, said = book.answer(whole([(4000, 33)], [(6000, 100)], ms=20), asked, at(100), 100)
    assert verdict is Verdict.TAKEN
    assert said[0].sides() == ([(4100, 7), (4000, 33)], [(6000, 100)])
    assert (said[0].sequence, said[0].state) == (1, "live")


def test_rest_revives_no_book_whose_stream_is_gone() -> None:
    book = live()
    book.interrupt("malformed frame", 5)
    asked = book.ask()
    book.disconnect()
    book.interrupt("disconnected", 6)
    answer = whole([(4000, 33)], [], ms=20)
    assert book.answer(answer, asked, at(100), 100) == (Verdict.NOTHING, [])
    book.subscribed(7)
    assert book.answer(answer, asked, at(100), 100) == (Verdict.NOTHING, [])
    assert judge(book, answer)[0] is Verdict.TAKEN


def test_when_rest_is_wanted() -> None:
    book = make(subscribed=False)
    assert not book.wants_rest(FIRST_BOOK_NS * 2)
    book.subscribed(10)
    assert not book.wants_rest(9 + FIRST_BOOK_NS)
    assert book.wants_rest(10 + FIRST_BOOK_NS)
    assert live().wants_rest(2)


ENTRY = st.builds(
    Change,
    st.sampled_from(["yes", "no"]),
    st.sampled_from(["bid", "ask"]),
    st.integers(1, 99).map(lambda cents: cents * 100),
    st.integers(0, 300),
)
LEVELS = st.dictionaries(st.integers(1, 99).map(lambda cents: cents * 100), st.integers(0, 300), max_size=6)
EVENT = st.one_of(
    st.builds(
        lambda bids, asks, token: whole([*bids.items()], [*asks.items()], token=token),
        LEVELS, LEVELS, st.sampled_from(["yes", "no"]),
    ),
    st.lists(ENTRY, min_size=1, max_size=4).map(lambda entries: changes(*entries)),
    st.sampled_from([10, 100]).map(lambda tick: TickChange(market="M", tick=tick)),
)  # fmt: skip


@given(st.lists(st.lists(EVENT, min_size=1, max_size=3), max_size=25))
def test_any_stream_keeps_the_invariants(frames: Any) -> None:
    book, said = make(), []
    for number, messages in enumerate(frames, 1):
        record = apply(book, number, *messages)
        if record is not None:
            said.append(record)
    for record in said:
        bids, asks = record.sides()
        assert len(bids) <= DEPTH
        assert len(asks) <= DEPTH
        assert all(size > 0 and 0 < price < ONE for price, size in bids + asks)
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert record.state != "live" or not bids or not asks or bids[0][0] < asks[0][0]
    order = [(record.epoch, record.sequence) for record in said]
    assert order == sorted(set(order))


@given(st.lists(st.lists(st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 99), st.integers(0, 9)), min_size=1, max_size=3), max_size=20))  # fmt: skip # noqa: E501
def test_the_yes_leg_and_the_mirrored_no_leg_give_the_same_books(frames: Any) -> None:
    by_yes, by_no = make(), make()
    for book in (by_yes, by_no):
        apply(book, 1, whole([], []))
    for number, entries in enumerate(frames, 2):
        yes = [Change("yes", side, cents * 100, size) for side, cents, size in entries]
        no = [Change("no", "ask" if one.side == "bid" else "bid", ONE - one.price, one.size) for one in yes]
        assert apply(by_yes, number, changes(*yes)) == apply(by_no, number, changes(*no))
