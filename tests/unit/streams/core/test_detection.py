"""The state machine by hand-made stories: each shows one rule of its docstring."""

import msgspec
import pytest

from schemas.fees import FeeError
from schemas.identity import opportunity_id
from schemas.records import Book, Level, Opportunity, Venue
from streams.core.detection import Detection, Gates, Source
from streams.core.groups import GroupError
from streams.core.ladder import LadderError
from tests.unit.streams.core.build import FREE, SECOND, book, group, kalshi, market

K: tuple[Venue, str] = ("kalshi", "K")
P: tuple[Venue, str] = ("polymarket", "P")
YES_NO = "kalshi/K/yes|polymarket/P/no"
NO_YES = "kalshi/K/no|polymarket/P/yes"
GATES = Gates(freshness_ns=5 * SECOND, minimum_net=1)
NOW = 10 * SECOND


class Bench:
    """A detection with one pair, and a short way to feed it."""

    def __init__(self, *, with_markets: bool = True) -> None:
        self.detection = Detection(3, GATES)
        self.offset = 0
        if with_markets:
            self.detection.on_market(market(*K))
            self.detection.on_market(market(*P))
        assert self.detection.on_group(group("g", K, P)) == []
        self.detection.assign(9, ())

    def feed(self, one: Book, received_ns: int = NOW) -> list[Opportunity]:
        self.offset += 1
        return self.detection.on_book(one, Source(f"book.{one.venue}", 3, self.offset, 0), received_ns)

    def opened(self) -> Opportunity:
        """YES at 0.40 on Kalshi, NO at 0.50 on Polymarket, one contract of each."""
        assert self.feed(yes_at(4_000)) == []
        [one] = self.feed(no_at(5_000))
        assert one.event == "opened"
        return one

    def events(self, one: Book, received_ns: int = NOW) -> list[tuple[str, str]]:
        return [(event.event, event.reason) for event in self.feed(one, received_ns)]


def yes_at(price: int, sequence: int = 1, size: int = 100, **more: object) -> Book:
    return book(*K, [(100, 500)], [(price, size)], sequence=sequence, **more)  # type: ignore[arg-type]


def no_at(price: int, sequence: int = 1, size: int = 100, **more: object) -> Book:
    return book(*P, [(10_000 - price, size)], [(9_900, 500)], sequence=sequence, **more)  # type: ignore[arg-type]


def test_opened_says_everything() -> None:
    bench = Bench()
    assert bench.feed(yes_at(4_000, epoch=4, sequence=17, confirmed_ns=9 * SECOND), NOW - 2) == []
    [one] = bench.feed(no_at(5_000, api_response_ns=77), NOW)
    assert (one.event, one.revision, one.reason) == ("opened", 0, "")
    assert (one.group, one.basket) == ("g", YES_NO)
    assert one.opportunity_id == opportunity_id("g", YES_NO, [(*K, 4, 17), (*P, 1, 1)])
    assert (one.quantity, one.payout, one.gross, one.fees, one.net) == (100, 1_000_000, 100_000, 0, 100_000)
    assert (one.peak_net, one.opened_ns, one.time_ns) == (100_000, NOW, NOW)
    assert (one.cause, one.cause_api_response_ns, one.partition, one.journal_epoch) == (1, 77, 3, 9)
    left, right = one.legs
    assert (left.venue, left.market, left.outcome) == (*K, "yes")
    assert (left.best_price, left.limit_price, left.levels, left.cost) == (4_000, 4_000, (4_000, 100), 400_000)
    assert (left.epoch, left.sequence, left.topic, left.offset) == (4, 17, "book.kalshi", 1)
    assert (left.confirmed_ns, left.virginia_received_ns, left.api_response_ns) == (9 * SECOND, NOW - 2, 7)
    assert (right.outcome, right.levels, right.offset, right.cost) == ("no", (5_000, 100), 2, 500_000)
    assert bench.detection.open_opportunities() == [one]


def test_the_other_direction_opens_the_other_basket() -> None:
    bench = Bench()
    bench.feed(book(*K, [(6_000, 100)], [(9_900, 100)]))
    [one] = bench.feed(book(*P, [(100, 100)], [(5_000, 100)]))
    assert one.basket == NO_YES
    assert [leg.outcome for leg in one.legs] == ["no", "yes"]


def test_changed_only_when_the_offer_is_another() -> None:
    bench = Bench()
    first = bench.opened()
    assert bench.feed(no_at(5_000, 2)) == []
    assert bench.feed(no_at(5_000, 3, size=900)) == []  # the other leg is what limits
    [second] = bench.feed(no_at(4_900, 4, api_response_ns=78), NOW + 1)
    assert (second.event, second.revision, second.opportunity_id) == ("changed", 1, first.opportunity_id)
    assert (second.net, second.peak_net, second.opened_ns, second.time_ns) == (110_000, 110_000, NOW, NOW + 1)
    assert (second.cause, second.cause_api_response_ns, second.legs[1].sequence) == (1, 78, 4)
    [third] = bench.feed(yes_at(4_200, 2), NOW + 2)
    assert (third.revision, third.net, third.peak_net, third.cause) == (2, 90_000, 110_000, 0)


def test_same_net_from_other_levels_is_a_change() -> None:
    bench = Bench()
    bench.opened()
    [other] = bench.feed(book(*P, [(5_100, 50), (4_900, 50)], [], sequence=2))
    assert (other.event, other.net, other.legs[1].levels) == ("changed", 100_000, (4_900, 50, 5_100, 50))


def test_closed_keeps_legs_and_peak_and_carries_no_size() -> None:
    bench = Bench()
    first = bench.opened()
    [last] = bench.feed(no_at(6_000, 2), NOW + 5)
    assert (last.event, last.revision, last.reason) == ("closed", 1, "edge gone")
    assert (last.quantity, last.payout, last.gross, last.fees, last.net) == (0, 0, 0, 0, 0)
    assert (last.legs, last.peak_net, last.opened_ns, last.time_ns) == (first.legs, 100_000, NOW, NOW + 5)
    assert (last.cause, last.cause_api_response_ns) == (1, 7)
    assert bench.detection.open_opportunities() == []
    [again] = bench.feed(no_at(5_000, 3), NOW + 6)
    assert (again.event, again.revision, again.opened_ns) == ("opened", 0, NOW + 6)
    assert again.opportunity_id != first.opportunity_id


@pytest.mark.parametrize(
    ("bids", "asks"),
    [([], [(4_000, 100)]), ([(5_000, 100)], []), ([], [])],
)
def test_an_empty_side_closes(bids: list[Level], asks: list[Level]) -> None:
    bench = Bench()
    bench.opened()
    expected = [] if bids else [("closed", "edge gone")]
    assert bench.events(book(*P, bids, asks, sequence=2)) == expected


@pytest.mark.parametrize("state", ["recovering", "stale", "halted", "closed", "moved"])
def test_a_leg_that_is_not_live_closes_at_once_and_opens_nothing(state: str) -> None:
    bench = Bench()
    bench.opened()
    assert bench.events(no_at(5_000, 2, state=state)) == [("closed", f"leg not live: polymarket P: {state}")]
    assert bench.feed(yes_at(3_000, 2)) == []
    assert bench.events(no_at(5_000, 3)) == [("opened", "")]


def test_an_unknown_market_waits_until_it_is_known() -> None:
    bench = Bench(with_markets=False)
    bench.detection.on_market(market(*K))
    assert bench.feed(yes_at(4_000)) == []
    assert bench.feed(no_at(5_000)) == []
    [one] = bench.detection.on_market(market(*P))
    assert (one.event, one.cause, one.cause_api_response_ns, one.time_ns) == ("opened", -1, 0, NOW)
    assert bench.detection.on_market(market(*P)) == []


@pytest.mark.parametrize("other", ["", "h"])
def test_a_book_of_another_group_is_ignored(other: str) -> None:
    bench = Bench()
    bench.feed(yes_at(4_000))
    assert bench.feed(no_at(5_000, group=other)) == []
    assert bench.feed(no_at(5_000)) != []


def test_a_market_in_no_group_only_moves_time() -> None:
    bench = Bench()
    bench.opened()
    assert bench.feed(book("kalshi", "X", [], []), NOW + 5 * SECOND) == []
    assert bench.detection.time_ns == NOW + 5 * SECOND
    assert bench.events(book("kalshi", "X", [], []), NOW + 5 * SECOND + 1) == [("closed", "stale: kalshi K")]


def test_lower_and_equal_sequences_change_nothing() -> None:
    bench = Bench()
    first = bench.opened()
    assert bench.feed(no_at(9_000, 0)) == []
    assert bench.feed(no_at(9_000, 5, epoch=0)) == []
    assert bench.feed(no_at(9_000, 1)) == []
    assert bench.detection.open_opportunities() == [first]
    assert bench.events(no_at(9_000, 0, epoch=2)) == [("closed", "edge gone")]


def test_a_repetition_refreshes_but_the_source_stays_the_first() -> None:
    bench = Bench()
    bench.opened()
    later = NOW + 4 * SECOND
    assert bench.feed(no_at(5_000, confirmed_ns=later, republished=True), later) == []
    assert bench.feed(yes_at(4_000, confirmed_ns=later, republished=True), later) == []
    assert bench.feed(yes_at(4_000, confirmed_ns=later - SECOND, republished=True), later) == []  # late: max counts
    assert bench.feed(book("kalshi", "X", [], []), later + 5 * SECOND) == []
    [one] = bench.feed(yes_at(3_900, 2, confirmed_ns=later), later + 5 * SECOND)
    assert (one.event, one.legs[1].offset, one.legs[1].confirmed_ns) == ("changed", 2, later)
    assert one.legs[1].virginia_received_ns == NOW


def test_freshness_is_inclusive_and_judged_after_the_book() -> None:
    bench = Bench()
    bench.opened()
    edge = NOW + 5 * SECOND
    bench.feed(no_at(5_000, confirmed_ns=edge, republished=True), edge)
    assert bench.feed(yes_at(4_000, confirmed_ns=edge + 1, republished=True), edge + 1) == []
    assert len(bench.detection.open_opportunities()) == 1


def test_stale_closes_by_time_and_a_confirmation_opens_the_same_again() -> None:
    bench = Bench()
    first = bench.opened()
    late = NOW + 5 * SECOND + 1
    [gone] = bench.feed(no_at(5_000, confirmed_ns=late, republished=True), late)
    assert (gone.event, gone.reason, gone.cause, gone.cause_api_response_ns) == ("closed", "stale: kalshi K", -1, 0)
    assert bench.feed(no_at(5_000, confirmed_ns=late, republished=True), late) == []
    [again] = bench.feed(yes_at(4_000, confirmed_ns=late, republished=True, api_response_ns=99), late + 1)
    assert (again.event, again.revision, again.opportunity_id) == ("opened", 2, first.opportunity_id)
    assert (again.cause, again.cause_api_response_ns, again.opened_ns) == (0, 99, late + 1)


def test_a_new_book_that_is_confirmed_earlier_expires_earlier() -> None:
    bench = Bench()
    bench.opened()
    assert bench.feed(no_at(5_000, 2, confirmed_ns=NOW - SECOND)) == []
    assert bench.feed(book("kalshi", "X", [], []), NOW + 4 * SECOND) == []
    assert bench.events(book("kalshi", "X", [], []), NOW + 4 * SECOND + 1) == [("closed", "stale: polymarket P")]


def test_a_book_stale_on_arrival_opens_nothing_and_closes_what_is_open() -> None:
    bench = Bench()
    bench.feed(yes_at(4_000))
    assert bench.feed(no_at(5_000, confirmed_ns=NOW - 5 * SECOND - 1)) == []
    assert bench.events(no_at(5_000, 2, confirmed_ns=NOW - 5 * SECOND)) == [("opened", "")]
    assert bench.events(no_at(5_000, 3, confirmed_ns=NOW - 6 * SECOND)) == [("closed", "stale: polymarket P")]


def test_time_never_goes_back_and_a_future_confirmation_is_not_believed() -> None:
    bench = Bench()
    bench.feed(yes_at(4_000, confirmed_ns=NOW + 3_600 * SECOND))
    [one] = bench.feed(no_at(5_000), NOW - SECOND)
    assert (one.time_ns, one.legs[0].confirmed_ns) == (NOW, NOW)
    assert one.legs[1].virginia_received_ns == NOW - SECOND
    far = NOW + 9 * SECOND
    assert bench.events(no_at(5_000, 2, confirmed_ns=far), far) == [("closed", "stale: kalshi K")]


def test_several_expiries_come_in_order_of_basket_id() -> None:
    bench = Bench()
    members: list[tuple[Venue, str]] = [("kalshi", "Z"), ("polymarket", "A")]
    for member in members:
        bench.detection.on_market(market(*member))
    bench.detection.on_group(group("a", *members))
    bench.feed(book("kalshi", "Z", [(6_000, 100)], [], group="a"))
    assert len(bench.feed(book("polymarket", "A", [], [(3_000, 100)], group="a"))) == 1
    bench.opened()
    closings = bench.feed(book("kalshi", "X", [], []), NOW + 60 * SECOND)
    assert [one.basket for one in closings] == ["kalshi/K/yes|polymarket/P/no", "kalshi/Z/no|polymarket/A/yes"]


def test_minimum_net_and_fees_decide() -> None:
    bench = Bench()
    bench.detection.on_market(market(*K, kalshi()))
    bench.feed(yes_at(5_000))
    assert bench.feed(no_at(4_850)) == []
    [one] = bench.feed(no_at(4_800, 2))
    assert (one.gross, one.fees, one.net, one.legs[0].fee) == (20_000, 17_500, 2_500, 17_500)


def test_a_changed_fee_or_minimum_looks_again() -> None:
    bench = Bench()
    first = bench.opened()
    assert bench.detection.on_market(market(*K, FREE, title="renamed")) == []
    [dearer] = bench.detection.on_market(market(*K, kalshi()))
    assert (dearer.event, dearer.cause, dearer.fees) == ("changed", -1, 16_800)
    [gone] = bench.detection.on_market(market(*K, kalshi(), minimum_quantity=101))
    assert (gone.event, gone.reason) == ("closed", "edge gone: minimum size")
    [again] = bench.detection.on_market(market(*K))
    assert (again.event, again.revision, again.opportunity_id) == ("opened", 3, first.opportunity_id)


def test_a_senseless_fee_is_refused_and_the_old_one_stays() -> None:
    bench = Bench()
    with pytest.raises(FeeError):
        bench.detection.on_market(market(*K, kalshi(precision=0)))
    assert bench.opened().fees == 0


def test_blocking_closes_and_approving_opens_again() -> None:
    bench = Bench()
    bench.opened()
    [gone] = bench.detection.on_group(group("g", K, P, status="blocked"))
    assert (gone.event, gone.reason, gone.cause) == ("closed", "group blocked", -1)
    assert bench.feed(no_at(4_000, 2)) == []
    [again] = bench.detection.on_group(group("g", K, P, status="proposed"))
    assert (again.event, again.net, again.cause) == ("opened", 200_000, -1)


def test_the_same_group_again_changes_nothing() -> None:
    bench = Bench()
    first = bench.opened()
    assert bench.detection.on_group(group("g", P, K)) == []
    assert bench.detection.open_opportunities() == [first]
    assert bench.events(no_at(9_000, 2)) == [("closed", "edge gone")]


def test_a_vanished_basket_closes_and_the_book_of_a_market_that_left_is_gone() -> None:
    bench = Bench()
    bench.opened()
    [gone] = bench.detection.on_group(group("g", K))
    assert (gone.event, gone.reason) == ("closed", "group changed")
    assert bench.feed(no_at(5_000, 2)) == []
    assert bench.detection.on_group(group("g", K, P)) == []
    assert bench.events(no_at(5_000, 2)) == [("opened", "")]


def test_a_new_member_brings_new_baskets() -> None:
    bench = Bench()
    bench.opened()
    third: tuple[Venue, str] = ("polymarket", "Q")
    bench.detection.on_market(market(*third))
    assert bench.detection.on_group(group("g", K, P, third)) == []
    [one] = bench.feed(book(*third, [(5_500, 100)], []))
    assert (one.event, one.basket) == ("opened", "kalshi/K/yes|polymarket/Q/no")
    events = bench.feed(yes_at(3_000, 2))
    assert [event.basket for event in events] == ["kalshi/K/yes|polymarket/Q/no", YES_NO]
    assert [event.net for event in events] == sorted((event.net for event in events), reverse=True)


def test_a_market_follows_the_group_that_named_it_last() -> None:
    bench = Bench()
    bench.opened()
    other: tuple[Venue, str] = ("kalshi", "L")
    bench.detection.on_market(market(*other))
    [gone] = bench.detection.on_group(group("h", other, P))
    assert (gone.group, gone.reason) == ("g", "group changed")
    assert bench.feed(no_at(5_000, 2)) == []  # still names g
    bench.feed(book(*other, [], [(4_000, 100)], group="h"))
    [one] = bench.feed(no_at(5_000, 3, group="h"))
    assert one.group == "h"
    [closed] = bench.detection.on_group(group("h", other))  # h lets go: g, whose record still names it, has it again
    assert (closed.group, closed.reason) == ("h", "group changed")
    assert [event.group for event in bench.feed(no_at(5_000, 4))] == ["g"]


def test_a_market_that_nobody_names_any_more_is_forgotten() -> None:
    bench = Bench()
    bench.detection.on_group(group("h", P))
    bench.detection.on_group(group("g", K))
    assert bench.detection.on_group(group("h", ("kalshi", "L"))) == []
    bench.feed(yes_at(4_000))
    assert bench.feed(no_at(5_000)) == []


def test_a_bad_group_is_refused_and_the_old_one_stays() -> None:
    bench = Bench()
    with pytest.raises(GroupError):
        bench.detection.on_group(group("g", K, K))
    bench.opened()


def test_a_ladder_that_does_not_fit_is_refused_before_anything_changes() -> None:
    bench = Bench()
    first = bench.opened()
    for counts in ({"bid_count": 3}, {"bid_count": -1, "ask_count": 3}):
        with pytest.raises(LadderError, match="polymarket P"):
            bench.feed(msgspec.structs.replace(no_at(9_000, 2), **counts), NOW + 60 * SECOND)
    assert bench.detection.time_ns == NOW
    assert bench.detection.open_opportunities() == [first]


def test_a_disordered_ladder_closes_and_says_so() -> None:
    bench = Bench()
    bench.opened()
    assert bench.events(book(*P, [(5_000, 100), (6_000, 100)], [], sequence=2)) == [
        ("closed", "ladder malformed: polymarket P: levels are not ordered best first")
    ]


# -- a new assignment -----------------------------------------------------------------------------------------------


def restarted(*open_: Opportunity, epoch: int = 10) -> Bench:
    bench = Bench()
    bench.detection.assign(epoch, open_)
    return bench


def test_assign_forgets_books_and_time() -> None:
    bench = Bench()
    bench.feed(yes_at(4_000))
    bench.detection.assign(10, ())
    assert bench.detection.time_ns == 0
    assert bench.feed(no_at(5_000), NOW - SECOND) == []
    assert bench.detection.time_ns == NOW - SECOND
    assert bench.events(yes_at(4_000), NOW) == [("opened", "")]


def test_restored_and_unchanged_goes_on_in_silence() -> None:
    first = Bench().opened()
    bench = restarted(first)
    assert bench.feed(yes_at(4_000, 5), NOW + 1) == []
    assert bench.feed(no_at(5_000, 5), NOW + 2) == []
    assert bench.detection.open_opportunities() == [first]
    [next_] = bench.feed(no_at(5_100, 6), NOW + 3)
    assert (next_.event, next_.revision, next_.opportunity_id) == ("changed", 1, first.opportunity_id)
    assert (next_.opened_ns, next_.peak_net, next_.journal_epoch) == (NOW, 100_000, 10)


def test_restored_is_looked_at_when_all_legs_are_there() -> None:
    first = Bench().opened()
    bench = restarted(first)
    assert bench.feed(yes_at(4_000, 5, state="halted"), NOW + 1) == []
    assert bench.events(no_at(5_000, 5), NOW + 2) == [("closed", "leg not live: kalshi K: halted")]


def test_restored_closes_when_a_leg_does_not_come() -> None:
    first = Bench().opened()
    bench = restarted(first)
    later = NOW + 100 * SECOND
    assert bench.feed(yes_at(4_000, 5, confirmed_ns=later), later) == []
    assert bench.feed(yes_at(4_000, 6, confirmed_ns=later), later + 5 * SECOND) == []
    [gone] = bench.feed(yes_at(4_000, 7, confirmed_ns=later + 1), later + 5 * SECOND + 1)
    assert (gone.event, gone.reason, gone.revision, gone.cause) == ("closed", "stale: polymarket P", 1, -1)


def test_a_last_leg_that_comes_with_the_deadline_still_counts() -> None:
    first = Bench().opened()
    bench = restarted(first)
    late = NOW + 5 * SECOND + 1
    bench.feed(yes_at(4_000, 5), NOW)
    bench.feed(yes_at(4_000, 5, confirmed_ns=late - 1, republished=True), late - 1)
    assert bench.feed(no_at(5_000, 5, confirmed_ns=late), late) == []
    assert bench.detection.open_opportunities() == [first]


def test_restored_whose_group_is_gone_or_blocked_closes() -> None:
    first = Bench().opened()
    detection = Detection(3, GATES)
    detection.assign(10, [first])
    stranger = book("kalshi", "X", [], [])
    assert detection.on_book(stranger, Source("t", 3, 0, 0), NOW) == []
    [gone] = detection.on_book(stranger, Source("t", 3, 1, 0), NOW + 5 * SECOND + 1)
    assert (gone.event, gone.reason) == ("closed", "group changed")
    detection.assign(11, [first])
    [blocked] = detection.on_group(group("g", K, P, status="blocked"))
    assert (blocked.reason, blocked.time_ns) == ("group blocked", first.time_ns)
    detection.assign(12, [first])
    detection.on_book(stranger, Source("t", 3, 2, 0), NOW)
    [blocked] = detection.on_book(stranger, Source("t", 3, 3, 0), NOW + 6 * SECOND)
    assert blocked.reason == "group blocked"


def test_restored_with_an_unknown_market_closes_in_the_end() -> None:
    first = Bench().opened()
    bench = Bench(with_markets=False)
    bench.detection.assign(10, [first])
    bench.feed(yes_at(4_000))
    bench.feed(no_at(5_000))
    late = NOW + 6 * SECOND
    assert bench.events(book("kalshi", "X", [], []), late) == [("closed", "market unknown: kalshi K")]


def test_groups_may_come_after_the_assignment() -> None:
    first = Bench().opened()
    detection = Detection(3, GATES)
    detection.assign(10, [first])
    assert detection.on_group(group("g", K, P)) == []
    detection.on_market(market(*K))
    detection.on_market(market(*P))
    detection.on_book(yes_at(4_000), Source("t", 3, 0, 0), NOW)
    [gone] = detection.on_book(no_at(9_000), Source("t", 3, 1, 0), NOW)
    assert (gone.event, gone.opportunity_id) == ("closed", first.opportunity_id)


def test_restoring_takes_the_latest_revision_of_this_partition() -> None:
    bench = Bench()
    first = bench.opened()
    [second] = bench.feed(no_at(4_900, 2))
    foreign = msgspec.structs.replace(first, partition=4, opportunity_id="other", basket="x")
    bench = restarted(second, first, foreign)
    assert bench.detection.open_opportunities() == [second]


def test_what_was_closed_before_stays_closed_and_keeps_its_numbering() -> None:
    bench = Bench()
    first = bench.opened()
    [gone] = bench.feed(no_at(9_000, 2))
    bench = restarted(first, gone)
    assert bench.detection.open_opportunities() == []
    bench.feed(yes_at(4_000))
    [again] = bench.feed(no_at(5_000))
    assert (again.event, again.opportunity_id, again.revision) == ("opened", first.opportunity_id, 2)


def test_of_two_open_on_one_basket_the_older_is_superseded() -> None:
    older = Bench().opened()
    newer = msgspec.structs.replace(older, opportunity_id="newer", time_ns=older.time_ns + 1)
    bench = restarted(older, newer)
    [gone] = bench.feed(yes_at(4_000))
    assert (gone.event, gone.reason, gone.opportunity_id) == ("closed", "superseded", older.opportunity_id)
    assert bench.detection.open_opportunities() == [newer]


def test_depth_is_walked_only_when_the_best_prices_cross(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        pytest.fail("walked without a crossing")

    monkeypatch.setattr("streams.core.detection.walk_depth", never)
    bench = Bench()
    bench.feed(yes_at(5_000))
    bench.feed(no_at(5_000))  # costs exactly what it pays
    bench.feed(no_at(4_000, 2, state="halted"))
    bench.feed(book(*P, [], [(9_900, 1)], sequence=3))
    bench.feed(yes_at(5_000, 2, state="stale"))
    bench.feed(no_at(4_999, 4, confirmed_ns=NOW - 6 * SECOND))
    bench.detection.on_group(group("g", K, P))
    bench.detection.on_market(market(*P, kalshi()))


def test_a_repetition_of_a_fresh_book_is_not_walked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    bench.opened()
    monkeypatch.setattr("streams.core.detection.walk_depth", lambda *_: pytest.fail("walked again"))
    assert bench.feed(no_at(5_000, confirmed_ns=NOW + SECOND, republished=True), NOW + SECOND) == []
