from producers.books import Clocks, Proof, PublishedBook, Receipt
from producers.ladder import Ladder


def receipt(number: int, at: int) -> Receipt:
    return Receipt("c-0", number, at, at)


def ladder_of(bid: int = 4000) -> Ladder:
    ladder = Ladder()
    ladder.replace([(bid, 100)], [(6000, 200)])
    return ladder


def make(clocks: Clocks | None = None, group: str = "g") -> PublishedBook:
    return PublishedBook("kalshi", "M", group, 32, clocks or Clocks())


def test_the_sequence_rises_only_with_ladder_or_state() -> None:
    book = make()
    first = book.show(ladder_of(), receipt(0, 100), 7, 101)
    assert first is not None
    assert (first.epoch, first.sequence, first.state, first.frame, first.exchange_ns) == (101, 1, "live", 0, 7)
    assert (first.api_call_start_ns, first.api_response_ns, first.confirmed_ns) == (100, 100, 100)
    assert book.show(ladder_of(), receipt(1, 110), 8, 111) is None
    second = book.show(ladder_of(4100), receipt(2, 120), 9, 121)
    assert second is not None
    assert (second.epoch, second.sequence, second.frame) == (101, 2, 2)


def test_an_interruption_keeps_the_epoch_and_the_next_ladder_begins_a_new_one() -> None:
    book = make()
    book.show(ladder_of(), receipt(0, 100), 0, 100)
    lost = book.distrust("disconnected", receipt(1, 200), 200)
    assert lost is not None
    assert (lost.epoch, lost.sequence, lost.state, lost.reason) == (100, 2, "recovering", "disconnected")
    assert book.distrust("disconnected", receipt(2, 201), 201) is None
    again = book.show(ladder_of(), receipt(0, 150), 0, 150)
    assert again is not None
    assert (again.epoch, again.sequence, again.state, again.reason) == (150, 1, "live", "")


def test_epochs_and_stamps_rise_even_when_the_clock_goes_back() -> None:
    clocks = Clocks()
    book, other = make(clocks), make(clocks)
    first = book.show(ladder_of(), receipt(0, 1000), 0, 1000)
    book.distrust("x", receipt(1, 900), 900)
    second = book.show(ladder_of(), receipt(1, 800), 0, 800)
    third = other.show(ladder_of(), receipt(2, 700), 0, 700)
    assert first
    assert second
    assert third
    assert first.epoch < second.epoch < third.epoch
    assert first.processing_complete_ns < second.processing_complete_ns


def test_nothing_is_given_that_is_not_above_what_an_earlier_process_gave() -> None:
    clocks = Clocks()
    clocks.begin_after(5000)
    clocks.begin_after(10)
    first = make(clocks).show(ladder_of(), receipt(0, 1000), 0, 1000)
    book = make(clocks)
    second = book.show(ladder_of(), receipt(0, 1000), 0, 1000)
    later = book.show(ladder_of(4100), receipt(0, 9000), 0, 9000)
    assert first
    assert second
    assert later
    assert 5000 < first.epoch < second.epoch
    assert (first.processing_complete_ns, first.api_response_ns) == (5001, 1000)
    assert (later.epoch, later.processing_complete_ns) == (second.epoch, 9000)
    assert clocks.epoch(9000) == 9000


def test_nothing_is_said_before_the_first_ladder() -> None:
    book = make()
    assert book.distrust("disconnected", receipt(0, 5), 5) is None
    assert book.repeat() is None
    assert book.move("h", receipt(0, 5), 5) == []


def test_a_repetition_carries_the_newest_proof_and_the_original_stamps() -> None:
    book = make()
    book.proof = Proof()
    original = book.show(ladder_of(), receipt(0, 100), 0, 105)
    book.proof.renew(900)
    book.confirm(500)
    repeat = book.repeat()
    assert original
    assert repeat
    assert (repeat.republished, repeat.confirmed_ns) == (True, 900)
    assert (repeat.epoch, repeat.sequence) == (original.epoch, original.sequence)
    assert repeat.processing_complete_ns == original.processing_complete_ns


def test_a_move_says_goodbye_in_the_old_group_and_goes_on_in_the_new() -> None:
    book = make()
    book.show(ladder_of(), receipt(0, 100), 0, 100)
    farewell, arrival = book.move("h", receipt(1, 200), 200)
    assert (farewell.group, farewell.state, farewell.sequence) == ("g", "moved", 2)
    assert (arrival.group, arrival.state, arrival.sequence, arrival.epoch) == ("h", "live", 3, 100)
    assert arrival.sides() == ([(4000, 100)], [(6000, 200)])
    following = book.show(ladder_of(4100), receipt(2, 300), 0, 300)
    assert following
    assert (following.group, following.epoch, following.sequence) == ("h", 100, 4)


def state(book: PublishedBook) -> tuple[str, str]:
    assert book.record is not None
    return book.record.state, book.record.reason


def test_the_gravest_state_is_said_and_what_ends_it_uncovers_the_next() -> None:
    book = make()
    book.show(ladder_of(), receipt(0, 100), 0, 100)
    assert book.doubt("proof overdue", receipt(1, 200), 200)
    assert state(book) == ("stale", "proof overdue")
    assert book.distrust("sequence gap", receipt(2, 300), 300)
    assert state(book) == ("recovering", "sequence gap")
    assert book.hold("halted", "trading paused", receipt(3, 400), 400)
    assert state(book) == ("halted", "trading paused")
    assert book.release(receipt(4, 500), 500)
    assert state(book) == ("recovering", "sequence gap")
    shown = book.show(ladder_of(4200), receipt(5, 600), 0, 600)
    assert shown
    assert (shown.state, shown.epoch, shown.sequence, shown.frame) == ("live", 600, 1, 5)


def test_a_halted_market_keeps_its_ladder_current_and_begins_an_epoch_when_it_is_traded_again() -> None:
    book = make()
    book.show(ladder_of(), receipt(0, 100), 0, 100)
    book.hold("halted", "trading paused", receipt(1, 200), 200)
    quiet = book.show(ladder_of(), receipt(2, 300), 0, 300)
    moved = book.show(ladder_of(4100), receipt(3, 400), 0, 400)
    assert quiet is None
    assert moved
    assert (moved.state, moved.epoch, moved.sequence) == ("halted", 100, 3)
    live = book.release(receipt(4, 500), 500)
    assert live
    assert (live.state, live.epoch, live.sequence) == ("live", 500, 1)
    assert live.sides() == ([(4100, 100)], [(6000, 200)])


def test_a_market_that_is_halted_before_its_first_book_is_never_live() -> None:
    book = make()
    assert book.hold("closed", "close time passed", receipt(0, 50), 50) is None
    first = book.show(ladder_of(), receipt(1, 100), 0, 100)
    assert first
    assert (first.state, first.reason, first.sequence) == ("closed", "close time passed", 1)
    assert not book.live


def test_a_proof_that_came_after_all_makes_the_book_live_again() -> None:
    book = make()
    book.show(ladder_of(), receipt(0, 100), 0, 100)
    book.doubt("proof overdue", receipt(1, 200), 200)
    assert book.doubted
    live = book.trust(receipt(2, 300), 300)
    assert live
    assert (live.state, live.epoch, live.frame) == ("live", 300, 2)
    assert book.trust(receipt(3, 400), 400) is None
