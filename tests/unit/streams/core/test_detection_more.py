"""The state machine where stories are rare: groups that come and go, orders of events, what is asked about twice."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from schemas.records import Group, Opportunity, RelationKind, Venue
from schemas.units import MONEY_SCALE
from streams.core.detection import Detection, Gates, Source
from streams.core.ladder import LadderError
from streams.core.risk import worst_order_cost
from streams.core.sampling import INTERVAL_NS
from streams.core.sizing import SizeLimits
from streams.core.waterfall import Pricing
from tests.unit.streams.core.build import SECOND, book, group, kalshi, market, polymarket
from tests.unit.streams.core.test_detection import GATES, NOW, K, P, no_at, yes_at
from tests.unit.streams.core.test_detection import Bench as Pair
from tests.unit.streams.core.test_detection_families import PAIR, Bench, event, large, pair

L: tuple[Venue, str] = ("kalshi", "L")
STRANGER = book("kalshi", "X", [], [])


def told(events: list[Opportunity]) -> list[tuple[str, str, str, str]]:
    return [(one.event, one.group, one.basket, one.reason) for one in events]


def at(moment: Opportunity) -> tuple[int, int, int, int, int]:
    return moment.time_ns, moment.cause, moment.cause_api_response_ns, moment.partition, moment.journal_epoch


# -- groups that come and go -------------------------------------------------------------------------------------------


def test_removing_a_group_that_is_not_there_says_nothing() -> None:
    bench = Pair()
    first = bench.opened()
    assert bench.detection.on_group_removed("other") == []
    assert bench.detection.open_opportunities() == [first]


def test_a_removed_group_closes_and_its_books_are_ignored() -> None:
    bench = Pair()
    first = bench.opened()
    [gone] = bench.detection.on_group_removed("g")
    assert told([gone]) == [("closed", "g", first.basket, "group changed")]
    assert at(gone) == (NOW, -1, 0, 3, 9)
    assert bench.detection.open_opportunities() == []
    assert bench.detection.on_group_removed("g") == []
    assert bench.feed(no_at(4_000, 2)) == []
    assert bench.detection.on_group(group("g", K, P)) == []
    assert bench.events(yes_at(4_000, 2)) == [], "the books of before are forgotten"
    assert bench.events(no_at(4_000, 3)) == [("opened", "")]


def test_a_removed_group_gives_its_markets_back_to_whoever_named_them_before() -> None:
    """Of g = K, L, P the pair K, L stays open while h borrows P."""
    detection = Detection(0, GATES)
    for key in (K, L, P):
        detection.on_market(market(*key))
    detection.on_group(group("g", K, L, P))
    detection.assign(1, ())
    feed = Feeder(detection)
    feed(yes_at(4_000))
    [first] = feed(book(*L, [(5_000, 100)], []))
    assert detection.on_group(group("h", P)) == []
    assert detection.open_opportunities() == [first]
    assert detection.on_group_removed("h") == []
    assert detection.open_opportunities() == [first]
    assert [one.basket for one in feed(no_at(5_000, 2))] == ["kalshi/K/yes|polymarket/P/no"]
    [gone, *_] = feed(yes_at(9_000, 2))
    assert (gone.event, gone.opportunity_id, gone.revision) == ("closed", first.opportunity_id, 1)


def test_what_was_restored_for_a_group_closes_when_the_group_no_longer_has_it() -> None:
    """Records from before the epoch, on baskets that g and h do not have: taking h away looks at both groups."""
    stranger = msgspec.structs.replace(
        Pair().opened(), partition=0, opportunity_id="o", basket="kalshi/Z/yes|kalshi/Y/no"
    )
    of_h = msgspec.structs.replace(stranger, opportunity_id="p", group="h")
    detection = Detection(0, GATES)
    detection.on_group(group("g", K, P))
    detection.on_group(group("h", P))
    detection.assign(5, [stranger, of_h])
    assert detection.open_opportunities() == [stranger, of_h]
    events = detection.on_group_removed("h")
    assert told(events) == [("closed", name, stranger.basket, "group changed") for name in ("g", "h")]
    assert {one.journal_epoch for one in events} == {5}
    assert detection.open_opportunities() == []
    detection.assign(6, [of_h])
    detection.on_group(group("h", P))
    detection.assign(7, [of_h])
    [blocked] = detection.on_group(group("h", P, status="blocked"))
    assert blocked.reason == "group blocked"


def test_a_new_group_looks_at_the_groups_that_it_takes_markets_from() -> None:
    stranger = msgspec.structs.replace(Pair().opened(), partition=0, basket="kalshi/Z/yes|kalshi/Y/no")
    detection = Detection(0, GATES)
    detection.on_group(group("g", K, P))
    detection.assign(5, [stranger])
    [gone] = detection.on_group(group("h", P))
    assert told([gone]) == [("closed", "g", stranger.basket, "group changed")]


def test_relations_that_allow_too_much_without_one_of_them_are_not_believed_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two pairs of which exactly one comes true: four outcomes; were both of a pair to fail, half as many more."""
    monkeypatch.setattr("streams.core.outcomes.MAXIMUM_OUTCOMES", 4)
    names: list[tuple[Venue, str]] = [("polymarket", f"p{number}") for number in range(4)]
    kinds: tuple[RelationKind, ...] = ("exclusive", "exhaustive")
    relations = tuple((kind, (2 * number, 2 * number + 1)) for number in range(2) for kind in kinds)
    bench = Bench(group("g", *names, relations=relations))
    bench.quote("p2", 39, 40)
    [first] = bench.quote("p3", 49, 50)
    hidden = msgspec.structs.replace(market("polymarket", "p0"), negative_risk_augmented=True)
    [gone] = bench.detection.on_market(hidden)
    assert told([gone]) == [("closed", "g", first.basket, "group changed")]
    assert bench.quote("p3", 39, 40) == []
    [again] = bench.detection.on_market(market("polymarket", "p0"))
    assert told([again]) == [("opened", "g", first.basket, "")]


class Feeder:
    """Books into a detection, each with an offset of its own."""

    def __init__(self, detection: Detection) -> None:
        self.detection = detection
        self.offset = 0

    def __call__(self, one: Any, received_ns: int = NOW) -> list[Opportunity]:
        self.offset += 1
        return self.detection.on_book(one, Source("t", 0, self.offset, 0), received_ns)


# -- reference records -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "event", "reason"),
    [
        ({"minimum_quantity": 1_001}, "closed", "edge gone: minimum size"),
        ({"minimum_value": 10**9}, "closed", "edge gone: minimum size"),
        ({"lot": 700}, "changed", ""),
        ({"fee": kalshi()}, "changed", ""),
        ({"expected_settlement_ns": 10 * 365 * 24 * 3_600 * SECOND}, "closed", "edge gone: time value"),
        ({"close_ns": 10 * 365 * 24 * 3_600 * SECOND}, "closed", "edge gone: time value"),
        ({"category": "slow"}, "closed", "edge gone: time value"),
    ],
)
def test_a_market_is_looked_at_again_when_what_it_is_worth_by_changes(
    changes: dict[str, Any], event: str, reason: str
) -> None:
    slow = {"slow": 10 * 365 * 24 * 3_600 * SECOND}
    bench = pair(replace(GATES, pricing=Pricing(hurdle_ppm=50_000, delays_ns=slow)))
    bench.quote("k0", 10, 50)
    [opened] = bench.quote("p0", 55, 90)
    [one] = bench.detection.on_market(msgspec.structs.replace(market("kalshi", "k0"), **changes))
    assert told([one]) == [(event, "g", opened.basket, reason)]
    assert at(one) == (NOW, -1, 0, 0, 1)


def test_a_market_of_an_exclusive_family_is_looked_at_again() -> None:
    bench = Bench(event(3))
    bench.quote("k0", 60, 61)
    [opened] = bench.quote("k1", 45, 46)
    [dearer] = bench.detection.on_market(market("kalshi", "k0", kalshi()))
    assert told([dearer]) == [("changed", "g", opened.basket, "")]


# -- events of one call ------------------------------------------------------------------------------------------------


def test_events_of_one_call_are_closings_then_the_others_by_net_then_group_and_basket() -> None:
    """Four equal candidates: one bid makes pairs of equal net, in order of their ids."""
    bench = Bench(event(4))
    for name in ("k3", "k2", "k1"):
        bench.quote(name, 10, 60)
    events = bench.quote("k0", 91, 92)
    assert events == sorted(events, key=lambda one: (-one.net, one.basket))
    assert len({one.net for one in events}) < len(events)


def test_a_closing_and_an_opening_of_one_call_come_in_this_order() -> None:
    """P turns from dear to cheap: the one direction closes, the other opens."""
    bench = Pair()
    bench.feed(book(*K, [(4_900, 100)], [(5_000, 100)]))
    bench.feed(book(*P, [(5_500, 100)], [(5_600, 100)]))
    events = bench.feed(book(*P, [(4_000, 100)], [(4_100, 100)], sequence=2))
    assert [(one.event, one.basket.count("K/yes")) for one in events] == [("closed", 1), ("opened", 0)]


def test_what_has_closed_does_not_expire() -> None:
    bench = Pair()
    bench.opened()
    assert bench.events(no_at(9_000, 2)) == [("closed", "edge gone")]
    assert bench.feed(STRANGER, NOW + 60 * SECOND) == []


def test_what_expires_in_one_call_is_one_closing_each() -> None:
    """The deadline first comes nearer, then the entry for the old one turns up as well."""
    bench = Pair()
    bench.opened()
    assert bench.feed(no_at(5_000, 2, confirmed_ns=NOW - SECOND)) == []
    assert bench.events(STRANGER, NOW + 60 * SECOND) == [("closed", "stale: kalshi K")]
    assert bench.feed(STRANGER, NOW + 120 * SECOND) == []


def test_what_was_restored_and_closed_is_gone_from_the_open_ones() -> None:
    first = Pair().opened()
    detection = Detection(3, GATES)
    detection.assign(10, [first])
    feed = Feeder(detection)
    assert feed(STRANGER, NOW) == []
    assert len(feed(STRANGER, NOW + 6 * SECOND)) == 1
    assert detection.open_opportunities() == []
    assert feed(STRANGER, NOW + 60 * SECOND) == []
    assert detection.on_group(group("g", K)) == []


def test_open_opportunities_are_in_order_of_group_and_basket() -> None:
    first = Pair().opened()
    others = [
        msgspec.structs.replace(first, opportunity_id=f"{name}{basket}", group=name, basket=basket)
        for name, basket in (("h", "a"), ("h", "b"), ("f", "z"), ("g", "zz"))
    ]
    bench = Pair()
    bench.detection.assign(10, [first, *reversed(others)])
    open_ = bench.detection.open_opportunities()
    assert [(one.group, one.basket) for one in open_] == [
        ("f", "z"), ("g", first.basket), ("g", "zz"), ("h", "a"), ("h", "b"),
    ]  # fmt: skip


def test_of_several_superseded_the_first_basket_closes_first() -> None:
    first = Pair().opened()
    records = [
        msgspec.structs.replace(first, opportunity_id=identity, basket=basket, time_ns=NOW + later)
        for identity, basket, later in (("d", "x", 1), ("b", "x", 2), ("c", "x", 9), ("a", "y", 0), ("e", "y", 1))
    ]
    for order in (records, records[::-1]):
        detection = Detection(3, GATES)
        detection.assign(10, order)
        feed = Feeder(detection)
        events = feed(STRANGER, NOW + 20)
        assert [(one.basket, one.opportunity_id) for one in events] == [("x", "b"), ("x", "d"), ("y", "a")]
        assert {(one.reason, one.revision, *at(one)) for one in events} == {("superseded", 1, NOW + 20, -1, 0, 3, 10)}
        assert [one.opportunity_id for one in detection.open_opportunities()] == ["c", "e"]
        assert [one.opportunity_id for one in feed(STRANGER, NOW + 60 * SECOND)] == ["c", "e"]


def test_of_two_of_one_time_the_higher_id_goes_on() -> None:
    first = Pair().opened()
    records = [msgspec.structs.replace(first, opportunity_id=identity) for identity in ("b", "a")]
    for order in (records, records[::-1]):
        detection = Detection(3, GATES)
        detection.assign(10, order)
        assert [one.opportunity_id for one in detection.open_opportunities()] == ["b"]


def test_what_closed_before_does_not_hide_what_opened_after() -> None:
    first = Pair().opened()
    gone = msgspec.structs.replace(first, opportunity_id="gone", basket="a", event="closed", time_ns=NOW - 1)
    detection = Detection(3, GATES)
    detection.assign(10, [gone, first])
    assert detection.open_opportunities() == [first]


def test_the_epoch_is_0_before_the_first_assignment() -> None:
    detection = Detection(0, GATES)
    detection.on_market(market(*K))
    detection.on_market(market(*P))
    detection.on_group(group("g", K, P))
    feed = Feeder(detection)
    feed(yes_at(4_000))
    [one] = feed(no_at(5_000))
    assert at(one) == (NOW, 1, 7, 0, 0)


def test_groups_that_lose_markets_close_in_order_of_their_names() -> None:
    detection = Detection(0, GATES)
    feed = Feeder(detection)
    for name in ("c", "a", "b"):
        for venue in ("kalshi", "polymarket"):
            detection.on_market(market(venue, name))
        detection.on_group(group(name, ("kalshi", name), ("polymarket", name)))
        feed(book("kalshi", name, [], [(4_000, 100)], group=name))
        assert len(feed(book("polymarket", name, [(5_500, 100)], [], group=name))) == 1
    taken: list[tuple[Venue, str]] = [("kalshi", "b"), ("kalshi", "c"), ("kalshi", "a")]
    events = detection.on_group(group("d", *taken))
    assert [(one.event, one.group) for one in events] == [("closed", name) for name in ("a", "b", "c")]


def test_what_a_group_opens_has_no_cause_among_the_legs() -> None:
    bench = Pair()
    bench.opened()
    bench.detection.on_group(group("g", K, P, status="blocked"))
    [one] = bench.detection.on_group(group("g", K, P))
    assert (one.event, *at(one)) == ("opened", NOW, -1, 0, 3, 9)


@pytest.mark.parametrize("counts", [(-1, 3), (3, -1)])
def test_a_negative_count_is_refused(counts: tuple[int, int]) -> None:
    bench = Pair()
    bids, asks = counts
    with pytest.raises(LadderError, match="polymarket P"):
        bench.feed(msgspec.structs.replace(no_at(9_000), bid_count=bids, ask_count=asks))


# -- confirmations and expiries ----------------------------------------------------------------------------------------


def test_confirmations_keep_it_open_for_as_long_as_they_come() -> None:
    """The legs' proofs are never of the same moment, and each look at the deadline finds it moved away."""
    bench = Pair()
    first = bench.opened()
    for step in range(1, 8):
        now = NOW + 3 * step * SECOND
        assert bench.feed(yes_at(4_000, confirmed_ns=now - 1, republished=True), now) == []
        assert bench.feed(no_at(5_000, confirmed_ns=now, republished=True), now) == []
    assert bench.detection.open_opportunities() == [first]
    last = NOW + 21 * SECOND
    assert bench.feed(STRANGER, last + 5 * SECOND - 1) == []
    assert bench.events(STRANGER, last + 5 * SECOND) == [("closed", "stale: kalshi K")]


def test_all_that_is_overdue_closes_in_one_call_whatever_closed_before() -> None:
    bench = Pair()
    for key in (("kalshi", "A"), ("polymarket", "B")):
        bench.detection.on_market(market(*key))
    bench.detection.on_group(group("a", ("kalshi", "A"), ("polymarket", "B")))
    bench.opened()
    bench.feed(no_at(9_000, 2))
    bench.feed(book("kalshi", "A", [], [(4_000, 100)], group="a", confirmed_ns=NOW + 1), NOW + 1)
    [one] = bench.feed(book("polymarket", "B", [(5_500, 100)], [], group="a", confirmed_ns=NOW + 1), NOW + 1)
    [gone] = bench.feed(STRANGER, NOW + 60 * SECOND)
    assert (gone.event, gone.opportunity_id) == ("closed", one.opportunity_id)


def test_a_confirmation_that_brings_the_proofs_together_is_looked_at() -> None:
    bench = pair(replace(GATES, skew_ns=1))
    early = bench.book("k0", [], [(4_000, 10)], confirmed_ns=NOW - 2)
    bench.feed(early)
    assert bench.feed(bench.book("p0", [(5_100, 10)], [])) == []
    [one] = bench.feed(msgspec.structs.replace(early, confirmed_ns=NOW - 1))
    assert (one.event, one.cause) == ("opened", 0)


def test_what_is_no_news_is_not_weighed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower and equal sequences, a confirmation on the last moment of freshness, the same reference record."""
    bench = Pair()
    bench.opened()
    monkeypatch.setattr("streams.core.detection.walk_depth", lambda *_: pytest.fail("weighed again"))
    edge = NOW + 5 * SECOND
    for again in (no_at(4_000, 0), no_at(4_000, 9, epoch=0), no_at(4_000)):
        assert bench.feed(again) == []
    assert bench.feed(no_at(4_000, confirmed_ns=edge), edge) == []
    assert bench.detection.on_market(market(*P)) == []


def test_a_stale_book_that_comes_again_unconfirmed_is_no_new_candidate() -> None:
    bench = pair()
    stale = bench.book("k0", [], [(4_000, 10)], confirmed_ns=NOW - 6 * SECOND)
    bench.feed(stale)
    bench.quote("p0", 51, 90)
    assert [one.reason for one in bench.detection.rejections()] == ["stale"]
    assert bench.feed(stale, NOW + INTERVAL_NS) == []
    assert bench.detection.rejections() == []


# -- rejections --------------------------------------------------------------------------------------------------------


def test_each_basket_is_sampled_on_its_own() -> None:
    bench = pair(replace(GATES, pricing=Pricing(gas=10**9)), group("g", *PAIR_KEYS, ("kalshi", "k1")))
    bench.quote("k0", 10, 50)
    bench.quote("k1", 10, 50)
    bench.quote("p0", 51, 90)
    found = bench.detection.rejections()
    assert [(one.reason, one.detail, one.basket) for one in found] == [
        ("gas", "", f"kalshi/k{number}/yes|polymarket/p0/no") for number in (0, 1)
    ]


PAIR_KEYS: tuple[tuple[Venue, str], ...] = (("kalshi", "k0"), ("polymarket", "p0"))


def test_each_basket_is_sampled_on_its_own_for_what_stands_against_its_legs() -> None:
    """And each kind of reason, with how many like it were left out."""
    bench = Bench(group("g", *PAIR_KEYS, ("kalshi", "k1")))
    old = NOW - 6 * SECOND
    bench.feed(bench.book("p0", [(5_100, 10)], [], confirmed_ns=old))
    for name in ("k0", "k1", "k0", "k1"):
        bench.feed(bench.book(name, [], [(4_000, 10)]))
    found = bench.detection.rejections()
    assert [(one.reason, one.detail, one.basket, one.suppressed) for one in found] == [
        ("stale", "polymarket p0", f"kalshi/k{number}/yes|polymarket/p0/no", 0) for number in (0, 1)
    ]
    bench.feed(bench.book("p0", [(5_100, 10), (5_200, 10)], []))
    found = bench.detection.rejections()
    assert [one.reason for one in found] == ["ladder malformed"] * 2
    later = NOW + INTERVAL_NS
    bench.feed(bench.book("k0", [], [(4_000, 10)], confirmed_ns=later), later)
    [one] = [one for one in bench.detection.rejections() if one.reason == "stale"]
    assert (one.suppressed, one.time_ns, one.partition, one.journal_epoch) == (1, later, 0, 1)


def test_a_closing_says_why_also_when_no_rejection_is_written() -> None:
    bench = pair(replace(GATES, pricing=Pricing(gas=30_000)))
    bench.quote("k0", 10, 50)
    bench.quote("p0", 51, 90, size=200)
    assert [one.reason for one in bench.detection.rejections()] == ["gas"]
    assert [one.event for one in bench.quote("p0", 51, 90)] == ["opened"]
    assert told(bench.quote("p0", 51, 90, size=200)) == [
        ("closed", "g", "kalshi/k0/yes|polymarket/p0/no", "edge gone: gas")
    ]
    assert bench.detection.rejections() == []


def test_a_new_epoch_forgets_what_was_rejected() -> None:
    bench = pair(replace(GATES, pricing=Pricing(gas=10**9)))
    for epoch in (1, 2):
        bench.detection.assign(epoch, ())
        bench.quote("k0", 10, 50)
        bench.quote("p0", 51, 90)
    [one] = bench.detection.rejections()
    assert (one.reason, one.suppressed, one.journal_epoch) == ("gas", 0, 2)


# -- families of very many baskets -------------------------------------------------------------------------------------


def test_of_a_large_family_a_dearer_claim_that_is_deep_beats_the_open_basket() -> None:
    """k3 gets cheaper and shallow: the cheapest basket is the open one, the next is worth more."""
    bench = large()
    bench.quote("p3", 1, 3)
    bench.quote("k3", 1, 2)
    [open_] = bench.detection.open_opportunities()
    assert "kalshi/k3/yes" in open_.basket
    gone, opened = bench.feed(bench.book("k3", [], [(100, 10)], api_response_ns=55))
    assert (gone.event, gone.basket, gone.reason) == ("closed", open_.basket, "superseded")
    assert (gone.cause, gone.cause_api_response_ns) == (3, 55)
    assert (opened.event, opened.net) == ("opened", 100_000)
    assert "polymarket/p3/yes" in opened.basket
    assert (opened.cause, opened.cause_api_response_ns) == (-1, 55)
    [better] = bench.feed(bench.book("p3", [], [(200, 1_000)], api_response_ns=66))
    assert (better.event, better.cause, better.cause_api_response_ns) == ("changed", 8, 66)


def test_one_large_family_does_not_keep_the_others_from_being_looked_at() -> None:
    """Kalshi bids 1.17 for all together, Polymarket asks 0.99: all YES, all NO and every pair pay at once."""
    one = event(9, both=True)
    bench = Bench(one)
    bench.detection.on_group(msgspec.structs.replace(one, status="blocked"))
    for number in range(9):
        bench.quote(f"k{number}", 13, 14)
        bench.quote(f"p{number}", 1, 11)
    events = bench.detection.on_group(one)
    legs = [one.basket.count("|") + 1 for one in events]
    assert {one.event for one in events} == {"opened"}
    assert (legs.count(2), legs.count(9), len(legs)) == (9, 2, 11)


def test_of_a_large_family_an_equal_basket_does_not_supersede_the_open_one() -> None:
    bench = large()
    [one] = bench.quote("p3", 1, 2)
    assert bench.quote("k3", 1, 2) == []
    assert bench.detection.open_opportunities() == [one]


def test_a_large_family_is_looked_at_for_a_market_record_too() -> None:
    bench = large()
    [one] = bench.quote("p3", 1, 2)
    [dearer] = bench.detection.on_market(market("polymarket", "p3", polymarket(1_000)))
    assert (dearer.event, *at(dearer)) == ("changed", NOW, -1, 0, 0, 1)
    [gone] = bench.detection.on_market(market("polymarket", "p3", minimum_quantity=1_001))
    assert told([gone]) == [("closed", "g", one.basket, "edge gone: minimum size")]
    assert at(gone) == (NOW, -1, 0, 0, 1)


def test_bare_gates_know_no_fees_in_a_large_family_either() -> None:
    bench = Bench(event(9, both=True), replace(GATES, bare=True), fee=kalshi())
    for number in range(9):
        bench.quote(f"k{number}", 1, 11)
    [one] = bench.detection.open_opportunities()
    assert (one.gross, one.fees, one.net) == (100_000, 0, 100_000)


def test_bare_gates_take_all_that_crosses_without_a_limit() -> None:
    bench = pair(Gates(freshness_ns=1, minimum_net=10**9, limits=SizeLimits(1, 1), bare=True))
    bench.quote("k0", 10, 50)
    [one] = bench.quote("p0", 51, 90)
    assert (one.quantity, one.net, one.void_payout, one.settles_ns) == (1_000, 100_000, 0, NOW)
    [least] = bench.feed(bench.book("p0", [(5_001, 1)], []))
    assert (least.event, least.quantity, least.net) == ("changed", 1, 1)


def test_what_one_venue_may_cost_bounds_the_size() -> None:
    """Two dollars: one step of quantity more would be too dear, fees at worst included, on one of the two."""
    bench = pair(replace(GATES, limits=SizeLimits(venue_dollars=2)))
    bench.quote("k0", 10, 50)
    [one] = bench.quote("p0", 51, 90)
    dear = max(worst_order_cost(leg.venue, one.quantity, leg.limit_price) for leg in one.legs)
    dearer = max(worst_order_cost(leg.venue, one.quantity + 1, leg.limit_price) for leg in one.legs)
    assert dear <= 2 * MONEY_SCALE < dearer


def test_nothing_expires_under_bare_gates() -> None:
    bench = pair(Gates(freshness_ns=1, minimum_net=1, bare=True))
    bench.quote("k0", 10, 50)
    [one] = bench.quote("p0", 51, 90)
    assert bench.feed(STRANGER, NOW + 3_600 * SECOND) == []
    assert bench.detection.open_opportunities() == [one]


def again(one: Group) -> Group:
    return msgspec.structs.replace(one, updated_ns=one.updated_ns + 1)


def test_a_group_that_comes_again_has_its_markets_again() -> None:
    """Whoever named a market last has it, and that is also who gets it back."""
    bench = Bench(PAIR)
    bench.detection.on_group(group("h", *PAIR_KEYS))
    assert bench.detection.on_group(again(PAIR)) == []
    bench.quote("k0", 10, 50)
    assert [one.group for one in bench.quote("p0", 51, 90)] == ["g"]
    assert told(bench.detection.on_group_removed("g")) == [
        ("closed", "g", "kalshi/k0/yes|polymarket/p0/no", "group changed")
    ]
    bench.feed(bench.book("k0", [], [(5_000, 10)], group="h"))
    assert [one.group for one in bench.feed(bench.book("p0", [(5_100, 10)], [], group="h"))] == ["h"]
