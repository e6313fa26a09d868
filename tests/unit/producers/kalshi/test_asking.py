from producers.kalshi.asking import HASTE_NS, LONGEST_PAUSE_NS, SHORTEST_PAUSE_NS, Asking

PATIENCE_NS = 1_200_000_000
NOW_NS = 10_000_000_000


def make(*markets: str, portion: int = 2) -> Asking:
    asking = Asking(portion=portion, patience_ns=PATIENCE_NS, unasked=lambda market: market.startswith("closed"))
    for market in markets:
        asking.want(market)
    return asking


def test_portions_are_asked_for_one_after_another_as_they_come() -> None:
    asking = make("A", "B", "C")
    assert (asking.ready(NOW_NS), asking.due(NOW_NS)) == (True, ["A", "B", "C"])
    asking.asked(["A", "B"], NOW_NS, joining=True)
    assert (asking.ready(NOW_NS), asking.due(NOW_NS)) == (False, ["C"])
    assert asking.came("A") == NOW_NS
    assert not asking.ready(NOW_NS)
    asking.came("B")
    assert (asking.ready(NOW_NS), list(asking.missing)) == (True, ["C"])


def test_what_does_not_come_is_asked_for_again_after_what_was_never_asked_for() -> None:
    asking = make("A", "B", "C")
    asking.asked(["A"], NOW_NS, joining=True)
    late_ns = NOW_NS + PATIENCE_NS
    assert (asking.ready(late_ns - 1), asking.ready(late_ns)) == (False, True)
    assert asking.due(late_ns - 1) == ["B", "C"]
    assert asking.due(late_ns) == ["B", "C", "A"]


def test_a_repetition_and_what_does_not_join_hold_others_back_for_less_long() -> None:
    asking = make("A")
    asking.asked(["A"], NOW_NS, joining=True)
    again_ns = NOW_NS + PATIENCE_NS
    asking.asked(["A"], again_ns, joining=True)
    assert (asking.ready(again_ns + HASTE_NS - 1), asking.ready(again_ns + HASTE_NS)) == (False, True)
    asking.asked(["B"], 2 * NOW_NS)
    assert (asking.ready(2 * NOW_NS + HASTE_NS - 1), asking.ready(2 * NOW_NS + HASTE_NS)) == (False, True)


def test_markets_that_the_venue_has_closed_are_not_asked_for() -> None:
    asking = make("A", "closed")
    assert asking.due(NOW_NS) == ["A"]
    assert asking.hopeless(NOW_NS) == 0
    asking.asked(["A", "closed"], NOW_NS)
    assert asking.hopeless(NOW_NS + 1) == 1


def test_what_is_taken_on_and_does_not_come_soon_is_asked_for_otherwise() -> None:
    asking = make("A", "B")
    asking.asked(["A", "B"], NOW_NS, joining=True)
    asking.promised(["A", "B"], NOW_NS)
    assert asking.ready(NOW_NS + HASTE_NS)
    assert asking.due(NOW_NS + 2 * HASTE_NS - 1) == []
    assert asking.due(NOW_NS + 2 * HASTE_NS) == ["A", "B"]


def test_after_a_loss_the_same_is_not_asked_for_at_once_again_and_again() -> None:
    asking = make("A")
    asking.asked(["A"], NOW_NS)
    for lost_ns in (NOW_NS + 1, NOW_NS + 2):
        asking.want("A")
        asking.lost(lost_ns)
        assert (asking.ready(lost_ns), asking.due(lost_ns)) == (False, [])
    again_ns = NOW_NS + HASTE_NS
    assert (asking.ready(again_ns), asking.due(again_ns)) == (True, ["A"])


def test_a_book_is_taken_for_the_answer_to_the_earliest_question() -> None:
    asking = make("A")
    asking.asked(["A"], NOW_NS)
    asking.asked(["A"], NOW_NS + PATIENCE_NS)
    assert asking.came("A") == NOW_NS
    assert asking.came("A") == NOW_NS + PATIENCE_NS
    assert asking.came("A") == asking.came("never asked for") == 0


def test_a_book_that_was_asked_for_to_compare_it_is_overdue_when_it_does_not_come() -> None:
    asking = make()
    asking.asked(["A", "B"], NOW_NS)
    asking.came("A")
    assert not asking.ready(NOW_NS)
    assert asking.ready(NOW_NS + HASTE_NS)
    assert asking.overdue(NOW_NS + PATIENCE_NS - 1) == []
    asking.asked(["B"], NOW_NS + PATIENCE_NS - 1)  # to ask again is no excuse
    assert asking.overdue(NOW_NS + PATIENCE_NS) == ["B"]
    asking.refused(["B"], NOW_NS)
    assert asking.overdue(NOW_NS + PATIENCE_NS) == []


def test_pauses_get_longer_and_end_with_success() -> None:
    asking = make("A", "B")
    until_ns = [asking.pause(NOW_NS) - NOW_NS for _ in range(8)]
    assert until_ns[:3] == [SHORTEST_PAUSE_NS, 2 * SHORTEST_PAUSE_NS, 4 * SHORTEST_PAUSE_NS]
    assert until_ns[-1] == LONGEST_PAUSE_NS
    assert not asking.ready(NOW_NS + LONGEST_PAUSE_NS - 1)
    assert asking.ready(NOW_NS + LONGEST_PAUSE_NS)
    asking.asked(["A"], NOW_NS + LONGEST_PAUSE_NS)
    asking.came("A")
    assert asking.pause(NOW_NS) == NOW_NS + SHORTEST_PAUSE_NS


def test_portions_get_smaller_and_larger_again_unless_they_were_too_large_for_good() -> None:
    asking = make("A", "B", portion=5)
    sizes = []
    for _ in range(3):
        asking.smaller(lasting=False)
        sizes.append(asking.portion)
    for market in ("A", "B", "A"):
        asking.asked([market], NOW_NS)
        asking.came(market)
        sizes.append(asking.portion)
    asking.smaller(lasting=True)
    asking.asked(["A"], NOW_NS)
    asking.came("A")
    assert [*sizes, asking.portion] == [2, 1, 1, 2, 4, 5, 2]


def test_refused_markets_wait_and_postponed_ones_are_still_waited_for() -> None:
    asking = make("A", "B")
    asking.asked(["A", "B"], NOW_NS)
    asking.refused(["A"], NOW_NS + 60)
    asking.postponed(["B", "unheard of"], NOW_NS + 30)
    assert asking.ready(NOW_NS)
    assert asking.due(NOW_NS + 30) == ["B"]
    assert asking.due(NOW_NS + 60) == ["A", "B"]
    assert asking.hopeless(NOW_NS + 1) == 1  # only B has been asked for in vain
    asking.came("B")
    asking.asked(["B"], NOW_NS + 60)
    asking.postponed(["B"], NOW_NS + 90)  # it was only to be compared
    assert asking.overdue(NOW_NS + 90) == []


def test_a_market_that_is_forgotten_is_asked_for_no_more() -> None:
    asking = make("A")
    asking.asked(["A"], NOW_NS)
    asking.forget("A")
    assert (asking.ready(NOW_NS), asking.due(2 * NOW_NS), asking.overdue(2 * NOW_NS)) == (True, [], [])
    asking.promised(["A"], NOW_NS)
