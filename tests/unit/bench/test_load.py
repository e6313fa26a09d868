"""The books that the detector is measured with."""

from bench.load import CROSSING, LEVELS, alone, references, rounds, together
from schemas.codec import decode_books
from schemas.topics import partition_of, venue_topic


def test_every_round_moves_every_market_once_in_its_own_partition() -> None:
    groups, markets = references()
    known = {member.market: group.group for group in groups for member in group.members}
    assert set(known) == {market.market for market in markets}
    load = list(rounds(2, 1))
    for sequence in (1, 2):
        moved = [book.market for _, books in load for book in books if book.sequence == sequence]
        assert sorted(moved) == sorted(known)
    for (topic, partition), books in load:
        for book in books:
            assert book.group == known[book.market]
            assert (topic, partition) == (venue_topic("book", book.venue, "us"), partition_of(book.group))


def test_books_have_all_levels_and_a_few_cross() -> None:
    books = [book for _, books in rounds(100, 1) for book in books]
    assert {len(side) for book in books for side in book.sides()} == {LEVELS}
    crossing = sum(book.sides()[1][0][0] < 4000 for book in books)
    assert 0.5 * CROSSING < crossing / len(books) < 2 * CROSSING


def test_both_layouts_hold_the_same_books_in_the_same_order() -> None:
    load = list(rounds(2, 1))
    whole = [book for _, value in together(load) for book in decode_books(value)]
    assert whole == [book for _, value in alone(load) for book in decode_books(value)]
    assert len(together(load)) < len(alone(load)) == len(whole)
