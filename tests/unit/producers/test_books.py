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
    lost = book.interrupt("recovering", "disconnected", 200)
    assert lost is not None
    assert (lost.epoch, lost.sequence, lost.state, lost.reason) == (100, 2, "recovering", "disconnected")
    assert book.interrupt("recovering", "disconnected", 201) is None
    again = book.show(ladder_of(), receipt(0, 150), 0, 150)
    assert again is not None
    assert (again.epoch, again.sequence, again.state, again.reason) == (150, 1, "live", "")


def test_epochs_and_stamps_rise_even_when_the_clock_goes_back() -> None:
    clocks = Clocks()
    book, other = make(clocks), make(clocks)
    first = book.show(ladder_of(), receipt(0, 1000), 0, 1000)
    book.interrupt("recovering", "x", 900)
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
    assert book.interrupt("recovering", "disconnected", 5) is None
    assert book.repeat() is None
    assert book.move("h", 5) == []


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
    farewell, arrival = book.move("h", 200)
    assert (farewell.group, farewell.state, farewell.sequence) == ("g", "moved", 2)
    assert (arrival.group, arrival.state, arrival.sequence, arrival.epoch) == ("h", "live", 3, 100)
    assert arrival.sides() == ([(4000, 100)], [(6000, 200)])
    following = book.show(ladder_of(4100), receipt(1, 300), 0, 300)
    assert following
    assert (following.group, following.epoch, following.sequence) == ("h", 100, 4)
