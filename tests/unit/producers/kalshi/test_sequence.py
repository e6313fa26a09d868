"""The numbers of one subscription. The last test is a model: nothing that was lost goes unseen."""

from hypothesis import given
from hypothesis import strategies as st

from producers.kalshi.sequence import LATE_WINDOW, ReplyForm, SequenceCheck, Step

NEXT, GAP, DUPLICATE = Step.NEXT, Step.GAP, Step.DUPLICATE


def after(*numbers: int) -> SequenceCheck:
    check = SequenceCheck()
    for number in numbers:
        check.take(number)
    return check


def test_the_first_number_is_free_and_each_is_one_above_the_last() -> None:
    check = SequenceCheck()
    numbers = [5, 6, 6, 4, 8, 9, 7, 10]
    expected = [NEXT, NEXT, DUPLICATE, DUPLICATE, GAP, NEXT, DUPLICATE, NEXT]
    assert [check.take(number) for number in numbers] == expected


def test_a_reply_uses_its_own_number_up() -> None:
    check = after(7)
    assert [check.take_reply(8), check.take(9), check.take_reply(10), check.take(11)] == [NEXT] * 4
    assert check.take_reply(13) is GAP
    assert check.take(14) is NEXT
    assert check.form is ReplyForm.OWN


def test_a_reply_that_comes_twice_or_late_is_a_duplicate() -> None:
    check = after(7)
    assert [check.take_reply(8), check.take_reply(8), check.take(9), check.take_reply(8)] == [
        NEXT, DUPLICATE, NEXT, DUPLICATE,
    ]  # fmt: skip
    assert check.form is ReplyForm.OWN


def test_a_reply_may_repeat_the_number_before_it_and_is_held_to_that() -> None:
    check = after(7)
    assert [check.take_reply(7), check.take(8), check.take_reply(8), check.take_reply(8)] == [NEXT] * 4
    assert check.form is ReplyForm.REPEATS
    assert check.take_reply(9) is GAP  # it repeats the number of a message that never came
    assert [check.take(10), check.take_reply(9)] == [NEXT, DUPLICATE]


def test_a_reply_may_announce_the_number_after_it_and_is_held_to_that() -> None:
    check = after(7)
    assert [check.take_reply(8), check.take(8)] == [NEXT, NEXT]
    assert check.form is ReplyForm.ANNOUNCES
    assert [check.take_reply(9), check.take_reply(9), check.take(9)] == [NEXT] * 3
    assert [check.take_reply(11), check.take(11), check.take_reply(12), check.take(13)] == [GAP, NEXT, NEXT, GAP]
    assert check.take_reply(13) is DUPLICATE


def test_numbers_after_subscribing_again_go_on_or_begin_anew() -> None:
    for numbers, resumed in (([8], "continues"), ([1], "restarts"), ([2], "restarts"), ([7, 8], "continues")):
        check = after(6, 7)
        check.reopen()
        steps = [check.take(number) for number in numbers]
        assert (steps[-1], check.resumed) == (NEXT, resumed)
        assert check.take(numbers[-1] + 1) is NEXT
    check = after(6, 7)
    check.reopen()
    assert check.take(9) is GAP
    check.reopen()
    assert (check.take_reply(1), check.resumed, check.take(2)) == (NEXT, "restarts", NEXT)


def test_a_number_far_behind_is_a_new_beginning_and_one_near_is_late() -> None:
    check = after(5000)
    assert check.take(5000 - LATE_WINDOW + 1) is DUPLICATE
    assert check.take(5000 - LATE_WINDOW) is GAP
    assert check.take(5000 - LATE_WINDOW + 1) is NEXT


@given(st.sampled_from(ReplyForm), st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_after_both_kinds_have_been_seen_no_lost_message_goes_unseen(
    form: ReplyForm, rest: list[tuple[bool, bool]]
) -> None:
    """Each step is (a reply?, lost?). The venue numbers in one of the three ways; the next message shows a loss."""
    check, number = SequenceCheck(), 0

    def send(*, reply: bool) -> int:
        nonlocal number
        if reply and form is ReplyForm.REPEATS:
            return number
        if reply and form is ReplyForm.ANNOUNCES:
            return number + 1
        number += 1
        return number

    for reply in (False, True, False, True, False):
        shown = send(reply=reply)
        assert (check.take_reply(shown) if reply else check.take(shown)) is NEXT
    assert check.form is form
    missing = False
    for reply, lost in [*rest, (False, False)]:
        shown = send(reply=reply)
        if lost:
            missing = missing or not reply or form is ReplyForm.OWN
            continue
        step = check.take_reply(shown) if reply else check.take(shown)
        assert step is (GAP if missing else NEXT)
        missing = False
