"""What the stream alone says of a book. Every line's transcript is replayed when its test ends (conftest)."""

import pytest

from producers.polymarket import checks
from runtime import metrics
from tests.unit.producers.polymarket.conftest import Start
from tests.unit.producers.polymarket.frames import MARKET, NO, YES, VenueMarket, encode, tick_event, trade_event
from tests.unit.producers.polymarket.scripted import MS

MISMATCH = ("recovering", "hash mismatch")
LIVE = ("live", "")


def count(counter: object) -> float:
    value: float = counter._value.get()  # type: ignore[attr-defined]
    return value


def test_the_first_books_of_both_tokens_make_one_live_book(start: Start) -> None:
    line, venue = start()
    others = metrics.FRAMES_IGNORED.labels("polymarket", "other token's book")
    before = count(others)
    line.take(venue.book(NO))
    assert (len(line.books), count(others)) == (1, before + 1)
    book = line.books[0]
    assert (book.state, book.sequence, book.group, book.sides()) == ("live", 1, "g", venue.ladder())
    assert (book.exchange_ns, book.frame, book.connection) == (1000 * MS, 3, line.connection)


def test_a_change_is_applied_and_proved_by_its_hash(start: Start) -> None:
    line, venue = start()
    before = count(checks.MATCHED)
    line.take(venue.change("bid", 4100, "7.25"))
    assert line.agrees()
    assert count(checks.MATCHED) == before + 1
    assert line.session.books[MARKET].published.confirmed_ns == line.now_ns
    line.take(venue.change("bid", 4100, "0"), venue.change("ask", 6000, "0"))
    assert line.agrees()
    assert line.books[-1].sides() == ([(4000, 10000)], [])


@pytest.mark.parametrize("legs", ["yes", "no"])
def test_one_leg_is_enough(start: Start, legs: str) -> None:
    line, venue = start()
    line.take(venue.change("bid", 4100, "7", legs=legs), venue.change("ask", 5900, "3.5", legs=legs))
    assert line.agrees()
    assert line.session.books[MARKET].proven


def test_several_changes_in_a_message_and_several_messages_in_a_frame_are_one_step(start: Start) -> None:
    line, venue = start()
    venue.move("bid", 4100, "7")
    venue.move("bid", 4200, "8")
    line.take(venue.told([("bid", 4100, "7"), ("bid", 4200, "8")]))
    assert len(line.books) == 2
    line.take([venue.change("bid", 6000, "1"), venue.change("ask", 6000, "0"), venue.change("bid", 4000, "0")])
    assert len(line.books) == 3
    assert line.agrees()


def test_a_missed_change_shows_at_the_next_and_the_next_whole_book_heals(start: Start) -> None:
    line, venue = start()
    venue.move("bid", 4100, "7")
    line.take(venue.change("bid", 3900, "1"))
    assert line.last() == MISMATCH
    assert line.books[-1].frame == line.number - 1
    line.take(venue.change("bid", 3800, "1"))
    assert line.last() == MISMATCH
    line.take(venue.book())
    assert line.agrees()
    assert line.books[-1].epoch > line.books[-2].epoch


def test_changes_that_overtook_one_another_heal_by_themselves(start: Start) -> None:
    line, venue = start()
    early, late = venue.change("bid", 4100, "7"), venue.change("bid", 3900, "1")
    line.take(late)
    assert line.last() == MISMATCH
    line.take(early)
    assert line.agrees()
    assert (line.sent[1:], line.asked) == ([], [])


def test_a_change_of_a_level_that_comes_after_a_newer_one_is_not_put_on_it(start: Start) -> None:
    line, venue = start()
    early, late = venue.change("bid", 4100, "7"), venue.change("bid", 4100, "9")
    line.take(late, early)
    assert line.last() == ("recovering", "out of order")
    line.take(venue.change("bid", 3900, "1"))
    assert line.agrees()


def test_what_is_sent_again_changes_nothing(start: Start) -> None:
    line, venue = start()
    first, second = venue.change("bid", 4100, "7"), venue.change("bid", 4100, "9")
    again = metrics.FRAMES_IGNORED.labels("polymarket", "sent again")
    before = count(again)
    line.take(first, first, second, second, first, venue.book(NO), venue.book(YES))
    assert line.agrees()
    assert [book.sequence for book in line.books] == [1, 2, 3]
    assert count(again) == before + 1


def test_of_one_stamp_what_comes_again_late_is_not_put_on_what_came_after_it(start: Start) -> None:
    line, venue = start()
    first = venue.change("bid", 4000, "60")
    second = venue.change("bid", 4000, "0", ms=venue.ms)
    line.take(first, second)
    line.take(first, after_ms=30)
    assert line.agrees()


def test_of_one_stamp_what_comes_again_at_once_may_be_meant(start: Start) -> None:
    line, venue = start()
    first, second = venue.change("bid", 4000, "60"), venue.change("bid", 4000, "0", ms=venue.ms + 1)
    first["timestamp"] = second["timestamp"]
    first["price_changes"][0]["hash"] = venue.change("bid", 4000, "60", ms=venue.ms)["price_changes"][0]["hash"]
    line.take(first, second, first, after_ms=0)
    assert line.last() == MISMATCH  # the latest hash was the second's
    line.tick()
    line.answer()
    assert line.agrees()


def test_of_one_stamp_the_latest_hash_must_fit(start: Start) -> None:
    line, venue = start()
    line.take(venue.change("bid", 4100, "7"))
    venue.move("ask", 6700, "1", ms=venue.ms)
    line.take(venue.change("bid", 2800, "0", ms=venue.ms))  # a level that is not there anyway
    assert line.last() == MISMATCH


def test_a_hash_says_nothing_of_a_later_change_without_one(start: Start) -> None:
    line, venue = start()
    line.take(venue.change("bid", 4100, "7"))
    bare = venue.change("bid", 4200, "8", ms=venue.ms)
    for entry in bare["price_changes"]:
        entry["hash"] = ""
    line.take(bare)
    assert line.agrees()
    line.take(venue.change("bid", 3900, "1"))
    assert line.agrees()


def test_an_older_whole_book_says_nothing(start: Start) -> None:
    line, venue = start()
    old = [venue.book(YES), venue.book(NO)]
    line.take(venue.change("bid", 4100, "7"), old, *old)
    assert line.agrees()
    assert len(line.books) == 2


def test_after_a_trade_the_hash_tells_the_new_last_price(start: Start) -> None:
    line, venue = start()
    venue.facts["last_trade_price"] = "0.600"
    change = venue.change("ask", 6000, "40.5")
    line.take(change, venue.book(YES), venue.book(NO), trade_event(price="0.6"))
    assert line.agrees()
    facts = line.session.books[MARKET].verifier.facts
    assert facts.last_trade == "0.600"
    venue.facts["last_trade_price"] = "0.330"  # of a trade that was not told, at a price that nothing names
    line.take(venue.change("bid", 3900, "2"))
    assert (line.agrees(), facts.last_trade) == (True, "0.330")
    venue.facts["last_trade_price"] = "0.4444"  # no price of this grid
    line.take(venue.change("bid", 3900, "3"))
    assert line.last() == MISMATCH
    line.take(venue.book(last_trade_price="0.4444"))
    assert line.agrees()


def test_a_whole_book_that_does_not_fit_is_believed_when_none_ever_did(start: Start) -> None:
    line, venue = start(live=False)
    venue.facts["min_order_size"] = "7"  # not what the metadata said
    unverifiable = count(checks.UNVERIFIABLE)
    line.take(venue.first())
    assert line.agrees()
    assert count(checks.UNVERIFIABLE) == unverifiable + 1
    confirmed_ns = line.session.books[MARKET].published.confirmed_ns
    line.take(venue.change("bid", 4100, "7"))
    assert line.agrees()
    assert line.session.books[MARKET].published.confirmed_ns == confirmed_ns


def test_a_damaged_whole_book_is_not_believed_but_the_second_in_a_row_is(start: Start) -> None:
    line, venue = start()
    venue.ms += 1
    line.take(venue.book(hash="0" * 40))
    assert line.last() == ("recovering", "damaged book")
    line.take(venue.book())
    assert line.agrees()
    venue.facts["min_order_size"] = "15"  # as if the rule had changed
    venue.ms += 1
    line.take(venue.book(), venue.book())
    assert line.agrees()
    line.take(venue.change("bid", 4100, "7"))
    assert line.agrees()


def test_without_hashes_best_prices_that_have_agreed_before_tell_of_a_missed_change(start: Start) -> None:
    line, venue = start()

    def without_hash(side: str, price: int, size: str) -> dict[str, object]:
        event = venue.change(side, price, size)
        for entry in event["price_changes"]:
            del entry["hash"]
        return event

    line.take(without_hash("bid", 4100, "7"))
    assert line.agrees()
    venue.move("ask", 5900, "1")
    line.take(without_hash("bid", 3900, "1"))
    assert line.last() == ("recovering", "best price differs")


def test_best_prices_that_are_made_up_count_for_nothing(start: Start) -> None:
    line, venue = start()
    for size in ("7", "8"):
        event = venue.change("bid", 4100, size)
        for entry in event["price_changes"]:
            entry |= {"hash": "", "best_bid": "0", "best_ask": "1"}
        line.take(event)
    assert line.agrees()


def test_a_new_price_grid_begins_a_new_epoch_when_a_hash_shows_the_levels_that_are_left(start: Start) -> None:
    venue = VenueMarket(tick_size="0.001")
    venue.bids[4050] = "9"
    line, _ = start(venue)
    epoch = line.books[-1].epoch
    del venue.bids[4050]
    venue.facts["tick_size"] = "0.01"
    venue.ms += 1
    line.take(tick_event("0.01", ts=venue.ms), tick_event("0.01", token=NO, ts=venue.ms))
    assert line.last() == ("recovering", "tick change")
    line.take(venue.change("bid", 4100, "7"))
    assert line.agrees()
    assert line.books[-1].epoch > epoch
    line.take(tick_event("0.001", ts=900))  # sent again, long after
    assert line.agrees()


def test_a_price_grid_that_only_the_hash_tells_of(start: Start) -> None:
    line, venue = start()
    venue.facts["tick_size"] = "0.001"
    line.take(venue.change("bid", 4105, "7"))
    assert [(book.state, book.reason) for book in line.books[1:]] == [("recovering", "tick change"), LIVE]
    assert line.agrees()


def test_an_unproved_price_off_the_grid_and_a_crossed_book_are_not_live(start: Start) -> None:
    line, venue = start()
    off = venue.change("bid", 4105, "7")
    off["price_changes"][0]["hash"] = ""
    line.take(off)
    assert line.last() == ("recovering", "off-grid price")
    line, venue = start()
    line.take(venue.change("bid", 6000, "1"))
    assert line.last() == ("recovering", "crossed")
    line.take(venue.change("ask", 6000, "0"))
    assert line.agrees()


def test_changes_before_the_first_whole_book_are_kept_for_it(start: Start) -> None:
    line, venue = start(live=False)
    first = venue.first()
    line.take(venue.change("bid", 4100, "7"))
    assert line.books == []
    line.take(first)
    assert line.agrees()


def test_a_tape_with_made_up_hashes_is_live_and_unverifiable(start: Start) -> None:
    line, venue = start(live=False)
    made_up = [venue.book(YES) | {"hash": "f" * 40}, venue.book(NO) | {"hash": "e" * 40}]
    line.take(encode(made_up))
    assert line.agrees()
    for size in ("7", "8", "0"):
        event = venue.change("bid", 4100, size)
        for entry in event["price_changes"]:
            entry["hash"] = "d" * 40
        line.take(event)
        assert line.agrees()
