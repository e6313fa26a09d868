"""Baskets of many markets, and why a candidate is none, by hand-made stories."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from schemas.records import Analysis, Book, Group, Level, Market, Opportunity, SettlementRisk, Venue
from schemas.units import ONE
from streams.core import detection as module
from streams.core.detection import Detection, Gates, Source
from streams.core.sampling import INTERVAL_NS
from streams.core.sizing import SizeLimits
from streams.core.watch import MANY
from streams.core.waterfall import Pricing
from tests.unit.streams.core.build import FREE, SECOND, book, group, kalshi, market, polymarket

GATES = Gates(freshness_ns=5 * SECOND, minimum_net=1)
NOW = 10 * SECOND
CENT = 100


class Bench:
    """A detection over one group, fed with YES books of one level a side by market name (k… on Kalshi, p… not)."""

    def __init__(self, one: Group, gates: Gates = GATES, **more: object) -> None:
        self.detection = Detection(0, gates)
        self.sequence = 0
        self.events: list[Opportunity] = []
        for member in one.members:
            self.detection.on_market(market(member.venue, member.market, **more))  # type: ignore[arg-type]
        assert self.detection.on_group(one) == []
        self.detection.assign(1, ())

    def book(self, name: str, bids: list[Level], asks: list[Level], **more: object) -> Book:
        self.sequence += 1
        venue: Venue = "kalshi" if name[0] == "k" else "polymarket"
        return book(venue, name, bids, asks, sequence=self.sequence, **more)  # type: ignore[arg-type]

    def feed(self, one: Book, received_ns: int = NOW) -> list[Opportunity]:
        events = self.detection.on_book(one, Source("t", 0, self.sequence, 0), received_ns)
        self.events += events
        return events

    def quote(self, name: str, bid: int, ask: int, size: int = 1_000) -> list[Opportunity]:
        """One level a side in cents; 0 for none."""
        bids = [(bid * CENT, size)] if bid else []
        return self.feed(self.book(name, bids, [(ask * CENT, size)] if ask else []))

    def open(self) -> dict[str, int]:
        return {one.basket: one.net for one in self.detection.open_opportunities()}


def names(count: int, venue: Venue = "kalshi") -> list[tuple[Venue, str]]:
    return [(venue, f"{venue[0]}{number}") for number in range(count)]


def event(count: int, *, both: bool = False) -> Group:
    """`count` candidates of whom exactly one wins, on Kalshi or on both venues."""
    everyone = tuple(range(count))
    kinds = [("exclusive", everyone), ("exhaustive", everyone)]
    if not both:
        return group("g", *names(count), relations=tuple(kinds))  # type: ignore[arg-type]
    pairs = [("same", (at, count + at)) for at in range(count)]
    return group("g", *names(count), *names(count, "polymarket"), relations=(*pairs, *kinds))  # type: ignore[arg-type]


def test_all_yes_of_an_exhaustive_event() -> None:
    bench = Bench(event(3))
    assert bench.quote("k0", 29, 30) == bench.quote("k1", 29, 30) == []
    [one] = bench.quote("k2", 36, 37)
    assert (one.basket, one.payout, one.gross) == ("kalshi/k0/yes|kalshi/k1/yes|kalshi/k2/yes", 10_000_000, 300_000)
    [gone] = bench.quote("k1", 29, 33)
    assert (gone.event, gone.reason, gone.cause) == ("closed", "edge gone", 1)


def test_all_no_of_an_exclusive_event_pays_one_less_than_their_number() -> None:
    bench = Bench(event(3))
    assert bench.quote("k0", 40, 41) == bench.quote("k1", 40, 41) == []
    [one] = bench.quote("k2", 25, 26)
    assert one.basket == "kalshi/k0/no|kalshi/k1/no|kalshi/k2/no"
    assert (one.quantity, one.payout, one.gross) == (1_000, 20_000_000, 500_000)
    assert one.legs[0].cost == 6_000 * 1_000


def test_the_subset_of_an_exclusive_event_that_can_be_bought_is_found() -> None:
    """The third has no bid, so its NO is not for sale: two NO pay a dollar all the same."""
    bench = Bench(event(3))
    bench.quote("k0", 60, 61)
    bench.quote("k2", 0, 2)
    [one] = bench.quote("k1", 45, 46)
    assert (one.basket, one.gross) == ("kalshi/k0/no|kalshi/k1/no", 500_000)


def test_the_best_of_one_moment_comes_first() -> None:
    bench = Bench(event(4))
    for name in ("k0", "k2", "k3"):
        bench.quote(name, 10, 30)
    events = bench.quote("k1", 96, 97)
    assert [one.basket.count("no") for one in events] == [4, 3, 3, 3, 2, 2, 2]
    assert [one.net for one in events] == sorted((one.net for one in events), reverse=True)
    [*closed] = bench.quote("k1", 10, 97)
    assert [one.basket for one in closed] == sorted(one.basket for one in events)


def test_a_threshold_ladder_pays_in_one_direction_only() -> None:
    """More than 60 implies more than 50."""
    bench = Bench(group("g", *names(2), relations=(("implies", (0, 1)),)))
    bench.quote("k0", 55, 56)
    [one] = bench.quote("k1", 49, 50)
    assert (one.basket, one.gross) == ("kalshi/k0/no|kalshi/k1/yes", 500_000)
    assert [late.event for late in bench.quote("k0", 40, 41)] == ["closed"]
    assert bench.quote("k1", 90, 91) == []  # YES of the higher and NO of the lower crosses, and proves nothing


def test_complements_are_the_same_question_asked_the_other_way() -> None:
    bench = Bench(group("g", ("kalshi", "k0"), ("polymarket", "p0"), relations=(("complement", (0, 1)),)))
    bench.quote("k0", 39, 40)
    [one] = bench.quote("p0", 54, 55)
    assert (one.basket, one.gross) == ("kalshi/k0/yes|polymarket/p0/yes", 500_000)


def test_a_moved_market_takes_its_baskets_along() -> None:
    bench = Bench(event(3))
    for name in ("k0", "k1"):
        bench.quote(name, 60, 61)
    assert bench.open() == {"kalshi/k0/no|kalshi/k1/no": 2_000_000}
    [gone] = bench.detection.on_group(group("h", ("kalshi", "k1"), ("polymarket", "p9")))
    assert (gone.event, gone.reason) == ("closed", "group changed")
    assert bench.quote("k2", 60, 61) != []
    assert list(bench.open()) == ["kalshi/k0/no|kalshi/k2/no"]


def test_an_event_that_turns_out_to_have_hidden_outcomes_is_not_exhaustive() -> None:
    bench = Bench(event(3))
    for name in ("k0", "k1", "k2"):
        bench.quote(name, 20, 30)
    assert len(bench.open()) == 1
    hidden = msgspec.structs.replace(market("kalshi", "k1"), negative_risk_augmented=True)
    [gone] = bench.detection.on_market(hidden)
    assert (gone.event, gone.reason) == ("closed", "group changed")
    assert bench.quote("k0", 20, 21) == []
    [again] = bench.detection.on_market(market("kalshi", "k1"))
    assert (again.event, again.gross) == ("opened", 1_900_000)


def test_hidden_outcomes_known_before_the_group_count_from_the_beginning() -> None:
    detection = Detection(0, GATES)
    detection.on_market(msgspec.structs.replace(market("kalshi", "k1"), negative_risk_augmented=True))
    bench = Bench(event(3))
    bench.detection = detection
    for number in (0, 2):
        detection.on_market(market("kalshi", f"k{number}"))
    detection.on_group(event(3))
    assert [bench.quote(name, 20, 30) for name in ("k0", "k1", "k2")] == [[], [], []]


# -- families of very many baskets -------------------------------------------------------------------------------------


def large() -> Bench:
    """Nine candidates on both venues, 0.01 bid and 0.12 asked for each: 2 ** 9 ways to buy all YES."""
    bench = Bench(event(9, both=True))
    assert MANY < 2**9
    for number in range(9):
        for venue in ("k", "p"):
            assert bench.quote(f"{venue}{number}", 1, 12) == []
    return bench


def test_of_a_family_of_very_many_the_best_alone_is_open() -> None:
    bench = large()
    [one] = bench.quote("p3", 1, 2)
    cheapest = [f"kalshi/k{number}/yes" for number in range(9) if number != 3]
    assert one.basket == "|".join([*cheapest, "polymarket/p3/yes"])
    assert one.gross == 200_000
    [gone, better] = bench.quote("p5", 1, 6)
    assert (gone.event, gone.reason) == ("closed", "superseded")
    assert {"polymarket/p3/yes", "polymarket/p5/yes"} <= set(better.basket.split("|"))
    assert better.gross == 800_000
    assert len(bench.open()) == 1
    [last] = bench.quote("p3", 1, 12)
    assert (last.event, last.reason) == ("closed", "edge gone")


def test_a_shallow_cheap_claim_is_tried_against_the_deep_dearer_one() -> None:
    """The cheaper YES is there for a tenth of a contract only."""
    bench = large()
    bench.quote("k3", 1, 2)
    assert list(bench.open().values()) == [200_000]
    events = bench.quote("p3", 0, 1, size=10)
    assert [one.event for one in events] == []
    assert list(bench.open().values()) == [200_000]


def test_the_worthless_candidates_of_a_large_event_are_left_out() -> None:
    """Four bids make 1.12; the other five candidates have none. All eight claims of those four are for sale."""
    bench = large()
    for number in range(9):
        for venue in ("k", "p"):
            bench.quote(f"{venue}{number}", 28 if number < 4 else 0, 29 if number < 4 else 30)
    open_ = bench.open()
    assert list(open_.values()) == [1_200_000]
    [basket] = open_
    assert basket == "|".join(f"kalshi/k{number}/no" for number in range(4))


def test_the_choice_does_not_depend_on_what_was_open_before() -> None:
    """The same books in another order end with the same basket open."""
    quotes = [("p3", 1, 2), ("p5", 1, 6), ("k7", 1, 3), ("p3", 1, 4)]
    ends = []
    for order in (quotes, [quotes[1], quotes[2], quotes[0], quotes[3]]):
        bench = large()
        for quote in order:
            bench.quote(*quote)
        ends.append(bench.open())
    assert ends[0] == ends[1]
    assert len(ends[0]) == 1


def test_a_family_of_very_many_closes_with_its_legs() -> None:
    bench = large()
    bench.quote("p3", 1, 2)
    halted = bench.book("k8", [(1_100, 100)], [(1_200, 100)], state="halted")
    events = bench.feed(halted)
    assert [(one.event, one.reason) for one in events if one.event == "closed"] == [
        ("closed", "leg not live: kalshi k8: halted")
    ]
    assert all("kalshi/k8" not in basket for basket in bench.open())
    events = bench.feed(bench.book("p8", [(1_100, 100)], [(1_200, 100)], state="halted"))
    assert bench.open() == {}


def test_a_silent_feed_does_not_hide_the_basket_of_the_other_venue() -> None:
    """Polymarket asks less for everything but has not proved it for too long: Kalshi alone still makes 0.99."""
    bench = large()
    for number in range(9):
        stale = bench.book(f"p{number}", [], [(500, 1_000)], confirmed_ns=NOW - 6 * SECOND)
        bench.feed(stale)
    assert bench.open() == {}
    for number in range(9):
        bench.feed(bench.book(f"k{number}", [(100, 1_000)], [(1_100, 1_000)], confirmed_ns=NOW))
    assert list(bench.open()) == ["|".join(f"kalshi/k{number}/yes" for number in range(9))]


def test_a_large_event_that_lost_a_market_to_another_group_goes_on_without_it() -> None:
    bench = Bench(event(9, both=True))
    bench.detection.on_group(group("h", ("kalshi", "k8"), ("polymarket", "p8")))
    for number in range(8):
        bench.quote(f"k{number}", 14, 15)
    open_ = bench.open()
    assert list(open_.values()) == [1_200_000]
    assert "|".join(f"kalshi/k{number}/no" for number in range(8)) in open_


def test_however_many_equal_markets_every_pair_that_crosses_is_found() -> None:
    markets = [*names(18), *names(18, "polymarket")]
    bench = Bench(group("g", *markets))
    for venue, name in markets:
        bench.quote(name, 40 if venue == "kalshi" else 45, 46)
    assert bench.open() == {}
    bench.quote("k3", 40, 44)
    assert set(bench.open()) == {f"kalshi/k3/yes|polymarket/p{number}/no" for number in range(18)}


def test_a_restored_basket_of_a_large_family_goes_on() -> None:
    bench = large()
    [one] = bench.quote("p3", 1, 2)
    bench.detection.assign(2, [one])
    assert bench.detection.open_opportunities() == [one]
    assert bench.events == [one]


# -- why a candidate is none -------------------------------------------------------------------------------------------

PAIR = group("g", ("kalshi", "k0"), ("polymarket", "p0"))
FEES = {"kalshi": kalshi(), "polymarket": polymarket()}


def pair(gates: Gates = GATES, one: Group = PAIR, **more: object) -> Bench:
    bench = Bench(one, gates)
    for venue, name in (("kalshi", "k0"), ("polymarket", "p0")):
        bench.detection.on_market(priced(venue, name, **more))  # type: ignore[arg-type]
    return bench


def priced(venue: Venue, name: str, *, fees: bool = False, **more: object) -> Market:
    return msgspec.structs.replace(market(venue, name, FEES[venue] if fees else FREE), **more)


def crossing(bench: Bench, edge: int = 1) -> Analysis:
    """YES of k0 at 0.50 and NO of p0 at 0.50 less `edge` cents: rejected, and why."""
    assert bench.quote("k0", 10, 50) == []
    assert bench.quote("p0", 50 + edge, 90) == []
    [one] = bench.detection.rejections()
    assert bench.detection.rejections() == []
    assert (one.group, one.basket, one.time_ns) == ("g", "kalshi/k0/yes|polymarket/p0/no", NOW)
    return one


def gates(**pricing: Any) -> Gates:
    return replace(GATES, pricing=Pricing(**pricing))


def test_fees() -> None:
    one = crossing(pair(fees=True))
    assert (one.reason, one.gross > 0, one.gross - one.fees == one.net < 0) == ("fees", True, True)


def test_gas_and_basis() -> None:
    one = crossing(pair(gates(gas=100_000)))
    assert (one.reason, one.gross, one.gas, one.net) == ("gas", 100_000, 100_000, 0)
    one = crossing(pair(gates(basis_ppm=30_000)))
    assert (one.reason, one.quantity, one.gross, one.basis, one.net) == ("basis", 1, 100, 147, -47)


def test_settlement_risk_and_its_evidence() -> None:
    """Void: one leg gets 0.50 or its last price, 0.10; the other nothing: the shortfall is 0.90."""
    one = crossing(pair(gates(void_ppm=12_000)))
    assert (one.reason, one.gross, one.settlement_risk, one.quantity) == ("settlement risk", 100, 108, 1)
    judged = msgspec.structs.replace(PAIR, risk=SettlementRisk(void_ppm=0, mismatch_ppm=10_000))
    one = crossing(pair(gates(void_ppm=12_000), judged))
    assert (one.reason, one.settlement_risk, one.net) == ("settlement risk", 100, 0)
    refunded = msgspec.structs.replace(PAIR, risk=SettlementRisk(void_rules={"kalshi": "refund"}))
    bench = pair(gates(void_ppm=12_000), refunded)
    assert bench.quote("k0", 10, 50) == []
    [opened] = bench.quote("p0", 51, 90)
    assert (opened.settlement_risk, opened.void_payout) == (12 * 1_000 * 5, 5_000 * 1_000)


def test_time_value() -> None:
    """A year at five per cent takes five cents of a dollar."""
    year = 365 * 24 * 3_600 * SECOND
    one = crossing(pair(gates(hurdle_ppm=50_000), expected_settlement_ns=year))
    assert (one.reason, one.gross, one.time_value) == ("time value", 100, 496)
    bench = pair(gates(hurdle_ppm=5_000), expected_settlement_ns=year - NOW)
    assert bench.quote("k0", 10, 50) == []
    [opened] = bench.quote("p0", 51, 90)
    assert (opened.gross, opened.time_value, opened.capital) == (100_000, 49_523, 9_900_000)
    assert opened.settles_ns == year - NOW + 12_240 * SECOND
    assert 10_090 < opened.annualised_ppm < 10_101


def test_minimum_net_and_minimum_size() -> None:
    one = crossing(pair(replace(GATES, minimum_net=100_001)))
    assert (one.reason, one.net) == ("minimum net", 100_000)
    one = crossing(pair(minimum_quantity=1_001))
    assert (one.reason, one.quantity, one.net) == ("minimum size", 0, 0)


def test_an_edge_that_dies_at_the_third_level_of_the_least_order() -> None:
    bench = pair(minimum_quantity=500)
    bench.quote("k0", 10, 50)
    asks = [(5_100, 100), (4_500, 100), (1_000, 1_000)]
    assert bench.feed(bench.book("p0", asks, [(9_000, 100)])) == []
    [one] = bench.detection.rejections()
    assert (one.reason, one.quantity, one.gross, one.depth_cost) == ("minimum size", 500, -1_240_000, 1_290_000)


def test_limits() -> None:
    tight = replace(GATES, limits=SizeLimits(group_contracts=9))
    one = crossing(pair(tight, minimum_quantity=500))
    assert (one.reason, one.quantity) == ("limits", 0)
    bench = pair(tight)
    bench.quote("k0", 10, 50)
    [opened] = bench.quote("p0", 51, 90)
    assert opened.quantity == 450
    bench = pair(replace(GATES, limits=SizeLimits(void_dollars=2)))
    bench.quote("k0", 10, 50)
    [opened] = bench.quote("p0", 51, 90)
    assert opened.quantity == 222  # a void takes 0.90 a contract


def test_stale_and_skew_and_a_malformed_ladder() -> None:
    bench = pair()
    bench.feed(bench.book("k0", [], [(5_000, 10)], confirmed_ns=NOW - 5 * SECOND - 1))
    bench.quote("p0", 51, 90)
    [one] = bench.detection.rejections()
    assert (one.reason, one.detail) == ("stale", "kalshi k0")
    bench = pair(replace(GATES, skew_ns=SECOND))
    bench.feed(bench.book("k0", [], [(5_000, 10)], confirmed_ns=NOW - SECOND - 1))
    bench.quote("p0", 51, 90)
    [one] = bench.detection.rejections()
    assert (one.reason, one.detail) == ("skew", "kalshi k0")
    bench = pair()
    bench.quote("k0", 10, 50)
    bench.feed(bench.book("p0", [(5_100, 10), (5_200, 10)], []))
    [one] = bench.detection.rejections()
    assert one.reason == "ladder malformed"
    assert "polymarket p0" in one.detail


def test_a_leg_that_is_not_live_or_not_known_is_no_candidate() -> None:
    bench = pair()
    bench.quote("k0", 10, 50)
    bench.feed(bench.book("p0", [(5_100, 10)], [], state="halted"))
    assert bench.detection.rejections() == []


def test_rejections_are_sampled_and_count_what_was_left_out() -> None:
    bench = pair(fees=True)
    crossing(bench)
    later = NOW + INTERVAL_NS
    for number in range(5):
        bench.feed(bench.book("p0", [(5_100, 1_000)], [], confirmed_ns=later), NOW + number)
    assert bench.detection.rejections() == []
    bench.feed(bench.book("k0", [], [(5_000, 1_000)], confirmed_ns=later), later)
    bench.feed(bench.book("p0", [(5_100, 1_000)], [], confirmed_ns=later), later)
    [one] = [one for one in bench.detection.rejections() if one.reason == "fees"]
    assert one.suppressed == 5


def test_what_closes_says_which_step_took_the_rest() -> None:
    bench = pair(replace(gates(gas=30_000), minimum_net=1))
    bench.quote("k0", 10, 50)
    [opened] = bench.quote("p0", 51, 90)
    assert (opened.gas, opened.net) == (30_000, 70_000)
    [gone] = bench.quote("p0", 51, 90, size=300)
    assert (gone.event, gone.reason) == ("closed", "edge gone: gas")


def test_bare_gates_leave_the_crossing_alone() -> None:
    strict = gates(gas=10**9, void_ppm=10**6, hurdle_ppm=10**6)
    bench = pair(
        replace(strict, bare=True, limits=SizeLimits(1, 1), minimum_net=10**9, skew_ns=1),
        msgspec.structs.replace(PAIR, risk=SettlementRisk(void_ppm=10**6, mismatch_ppm=10**6)),
        fees=True, minimum_quantity=10**6, minimum_value=10**9, lot=7,
    )  # fmt: skip
    bench.feed(bench.book("k0", [], [(5_000, 10)], confirmed_ns=NOW - 3_600 * SECOND))
    [one] = bench.feed(bench.book("p0", [(5_001, 10)], []))
    assert (one.quantity, one.gross, one.fees, one.net) == (10, 10, 0, 10)
    [gone] = bench.feed(bench.book("p0", [(5_000, 10)], []))
    assert gone.event == "closed"


def test_a_drift_of_the_charges_is_no_event() -> None:
    bench = pair(gates(void_ppm=1_000))
    bench.quote("k0", 10, 50)
    [opened] = bench.quote("p0", 53, 90)
    assert bench.quote("k0", 20, 50) == []  # the last price would be another: the shortfall is smaller
    [later] = bench.quote("p0", 54, 90)
    assert (later.event, later.settlement_risk < opened.settlement_risk) == ("changed", True)


def test_a_life_says_how_long_it_was_and_when_it_was_worth_most() -> None:
    bench = pair()
    bench.quote("k0", 10, 50)
    bench.quote("p0", 53, 90)
    best = bench.feed(bench.book("p0", [(5_500, 1_000)], [], confirmed_ns=NOW + SECOND), NOW + SECOND)
    worse = bench.feed(bench.book("p0", [(5_400, 1_000)], [], confirmed_ns=NOW + 2 * SECOND), NOW + 2 * SECOND)
    gone = bench.feed(bench.book("p0", [(4_400, 1_000)], [], confirmed_ns=NOW + 3 * SECOND), NOW + 3 * SECOND)
    lives = [(one.survived_ns // SECOND, one.peak_net, one.peak_ns) for [one] in (best, worse, gone)]
    assert lives == [(1, 500_000, NOW + SECOND), (2, 500_000, NOW + SECOND), (3, 500_000, NOW + SECOND)]
    assert (gone[0].net, gone[0].capital, gone[0].depth_cost) == (0, 0, 0)


def test_order_prices_stand_on_the_markets_grid() -> None:
    from schemas.records import TickRange

    bench = pair(ticks=(TickRange(start=0, end=ONE, step=100),))
    bench.feed(bench.book("k0", [], [(4_050, 100)]))
    [one] = bench.feed(bench.book("p0", [(5_550, 100)], []))
    assert [(leg.best_price, leg.limit_price) for leg in one.legs] == [(4_050, 4_100), (4_450, 4_500)]


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_choices_are_weighed_than_allowed(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(module, "CHOICES", limit)
    bench = large()
    weighed: list[object] = []
    exact = Detection._judge

    def counted(self: Detection, *arguments: object) -> object:
        weighed.append(arguments[0])
        return exact(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Detection, "_judge", counted)
    bench.quote("p3", 1, 2)
    many = [watch for watch in weighed if watch.family.many]  # type: ignore[attr-defined]
    assert 1 <= len(many) <= limit
