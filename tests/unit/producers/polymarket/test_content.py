from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from producers.polymarket.content import Content, Whole, changes_yes, whole_yes
from producers.polymarket.messages import Change, PriceChange, TokenBook, WireLevel
from schemas.units import ONE

MS = 1_000_000


def level(price: int, size: int) -> WireLevel:
    return WireLevel(price, size, f"{price}x{size}")


def change(side: str, price: int, size: int, token: str = "yes") -> Change:
    return Change(token, side, price, size, f"{price}x{size}" if size else "")  # type: ignore[arg-type]


def whole(bids: list[tuple[int, int]], asks: list[tuple[int, int]], ns: int) -> Whole:
    return Whole(tuple(level(*one) for one in bids), tuple(level(*one) for one in asks), ns)


def content() -> Content:
    made = Content()
    made.replace(whole([(4000, 100)], [(6000, 50)], 10))
    return made


def sides(made: Content) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    return made.ladder.bids.top(99), made.ladder.asks.top(99)


def test_of_two_changes_of_a_level_the_newer_stamp_wins_whichever_comes_last() -> None:
    made = content()
    made.change([change("bid", 4100, 7)], 12)
    made.change([change("bid", 4100, 3), change("ask", 6100, 9)], 11)
    assert sides(made) == ([(4100, 7), (4000, 100)], [(6000, 50), (6100, 9)])
    made.change([change("bid", 4100, 0)], 12)
    assert sides(made)[0] == [(4000, 100)]


def test_a_whole_book_keeps_the_changes_that_are_newer() -> None:
    made = content()
    made.change([change("bid", 4100, 7)], 12)
    made.change([change("bid", 4200, 8)], 13)
    book = whole([(4000, 33)], [(6000, 50)], 12)
    assert sides(made.with_changes(book, equal=True))[0] == [(4200, 8), (4100, 7), (4000, 33)]
    assert sides(made)[0] == [(4200, 8), (4100, 7), (4000, 100)]
    made.replace(book)
    assert sides(made)[0] == [(4200, 8), (4000, 33)]
    assert made.exchange_ns == 12
    made.replace(whole([(4000, 33)], [], 20))
    assert sides(made) == ([(4000, 33)], [])


def test_what_is_proved_is_not_put_on_a_later_book() -> None:
    made = content()
    made.change([change("bid", 4100, 7)], 12)
    made.settle(12)
    made.replace(whole([(4000, 1)], [], 11))
    assert sides(made)[0] == [(4000, 1)]


def test_a_level_below_the_smallest_size_counts_for_hashes_only() -> None:
    made = content()
    made.change([Change("yes", "bid", 4500, 0, "dust")], 11)
    assert sides(made)[0] == [(4000, 100)]
    assert (made.texts.bids.best(), "dust" in made.texts.body()) == (4500, True)


def test_levels_off_a_new_grid_are_dropped() -> None:
    made = content()
    made.change([change("bid", 4050, 7), change("ask", 6049, 7)], 11)
    made.keep_to_grid(100)
    assert sides(made) == ([(4000, 100)], [(6000, 50)])


def message(*changes: Change) -> PriceChange:
    return PriceChange(market="M", changes=changes, tips={}, timestamp="1", exchange_ns=1)


def test_the_legs_of_both_tokens_are_one_change() -> None:
    yes, no = Change("yes", "bid", 4100, 7, '{"price":"0.41","size":"7"}'), Change("no", "ask", 5900, 7, "")
    assert changes_yes(message(yes, no), "yes", "no") == [yes]
    assert changes_yes(message(no, yes, Change("else", "bid", 1, 1, "")), "yes", "no") == [yes]


def test_legs_of_the_other_token_alone_are_mirrored() -> None:
    no = Change("no", "ask", 5900, 700, '{"price":"0.59","size":"7"}')
    gone = Change("no", "bid", 3000, 0, "")
    assert changes_yes(message(no, gone), "yes", "no") == [
        Change("no", "bid", 4100, 700, '{"price":"0.41","size":"7"}'),
        Change("no", "ask", 7000, 0, ""),
    ]
    lone = Change("yes", "bid", 4100, 700, "x")
    assert len(changes_yes(message(lone, no, gone), "yes", "no")) == 3


def test_the_other_tokens_book_is_mirrored() -> None:
    bids = (WireLevel(3000, 500, '{"price":"0.3","size":"5"}'), WireLevel(3100, 0, ""))
    book = TokenBook(market="M", token="no", bids=bids, asks=(), hash="", timestamp="1", exchange_ns=7)
    mirrored = whole_yes(book, "yes")
    assert mirrored.bids == ()
    assert mirrored.asks == (WireLevel(7000, 500, '{"price":"0.7","size":"5"}'), WireLevel(6900, 0, ""))


PUTS = st.lists(
    st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 20), st.integers(0, 3), st.integers(1, 30)), max_size=25
)


@given(PUTS, st.randoms(use_true_random=False))
def test_changes_of_different_stamps_may_come_in_any_order(puts: list[Any], random: Random) -> None:
    puts = list({(side, price, ns): (side, price, size, ns) for side, price, size, ns in puts}.values())
    made, other = content(), content()
    for side, price, size, ns in sorted(puts, key=lambda put: put[3]):
        made.change([change(side, price * 100, size)], ns + 10)
    random.shuffle(puts)
    for side, price, size, ns in puts:
        other.change([change(side, price * 100, size)], ns + 10)
    assert made.packed() == other.packed()
    assert made.texts.body() == other.texts.body()


@given(PUTS)
def test_levels_are_sorted_positive_and_inside_the_grid(puts: list[tuple[str, int, int, int]]) -> None:
    made = content()
    for side, price, size, ns in puts:
        made.change([change(side, price * 100, size)], ns)
    bids, asks = sides(made)
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert all(size > 0 and 0 < price < ONE for price, size in bids + asks)
