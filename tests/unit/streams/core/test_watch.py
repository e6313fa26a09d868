"""What a group watches, piece by piece; what the detector makes of it is tested in test_detection*.py."""

from itertools import islice, pairwise

import pytest
from msgspec.structs import replace

from schemas.records import Book, Group, Level, Venue
from schemas.units import ONE
from streams.core import watch as module
from streams.core.baskets import Claim, compile_group
from streams.core.ladder import LadderError
from streams.core.watch import UNPRICED, Board, FamilyWatch, GroupWatch, MarketState, Open, Watch, claims_of
from streams.core.waterfall import Touch
from tests.unit.streams.core.build import FREE, SECOND, book, group, kalshi, market
from tests.unit.trading import opportunity

Key = tuple[Venue, str]
States = dict[Key, MarketState]
K: Key = ("kalshi", "K")
P: Key = ("polymarket", "P")
NOW = 10 * SECOND
FRESH = 5 * SECOND
YES_NO = "kalshi/K/yes|polymarket/P/no"
NO_YES = "kalshi/K/no|polymarket/P/yes"
PAIR = group("g", K, P)


def names(count: int, venue: Venue = "kalshi") -> list[Key]:
    return [(venue, f"{venue[0]}{number}") for number in range(count)]


def event(count: int, *, both: bool = False) -> Group:
    """`count` candidates of whom exactly one wins, on Kalshi or on both venues."""
    everyone = tuple(range(count))
    pairs = [("same", (at, count + at)) for at in range(count) if both]
    members = names(count) + (names(count, "polymarket") if both else [])
    return group("g", *members, relations=(*pairs, ("exclusive", everyone), ("exhaustive", everyone)))  # type: ignore[arg-type]


def wired(one: Group, lost: tuple[Key, ...] = ()) -> tuple[GroupWatch, States]:
    """A group over its markets, but those it lost to others."""
    watch = GroupWatch(one, compile_group(one))
    keys = [(member.venue, member.market) for member in one.members]
    states = {key: MarketState(*key, one.group, market(*key)) for key in keys if key not in lost}
    watch.wire(states)
    return watch, states


def give(state: MarketState, one: Book) -> None:
    state.book, state.confirmed_ns = one, one.confirmed_ns
    state.price()


def quote(market_: MarketState, bid: int, ask: int, size: int = 100, **more: object) -> None:
    """One level a side, 0 for none."""
    bids: list[Level] = [(bid, size)] if bid else []
    asks: list[Level] = [(ask, size)] if ask else []
    give(market_, book(market_.venue, market_.name, bids, asks, **more))  # type: ignore[arg-type]


def basket(watch: GroupWatch, basket_id: str) -> Watch:
    found = watch.find(basket_id)
    assert found is not None
    return found


def prices(state: MarketState) -> tuple[int, int]:
    """YES and NO of one market."""
    return state.board.prices[state.cell], state.board.prices[state.cell + 1]


def lowest(state: MarketState) -> tuple[int, int]:
    """The best prices of what its YES and its NO make."""
    assert state.literal is not None
    return state.board.best[state.literal], state.board.best[state.literal ^ 1]


def large() -> tuple[GroupWatch, States, FamilyWatch, FamilyWatch]:
    """Nine candidates on both venues, the family of all YES and that of NO."""
    watch, states = wired(event(9, both=True))
    [all_yes, some_no] = [family for family in watch.families if family.many]
    assert (all_yes.exclusive, some_no.exclusive) == (False, True)
    return watch, states, all_yes, some_no


def chosen(family: FamilyWatch, *, bare: bool = False) -> list[str]:
    """The ids of its choices, shortened: "k0 p1" for YES of k0 and YES of p1."""
    ids = (one.basket.basket_id for one in family.choices(NOW, FRESH, bare=bare))
    return [" ".join(sorted((claim.split("/")[1] for claim in one.split("|")), key=lambda at: at[1])) for one in ids]


# -- markets -----------------------------------------------------------------------------------------------------------


def test_the_prices_of_a_market_and_the_best_of_equal_ones() -> None:
    _, states = wired(PAIR)
    quote(states[K], 4_000, 4_500)
    assert (prices(states[K]), prices(states[P])) == ((4_500, 6_000), (UNPRICED, UNPRICED))
    assert lowest(states[K]) == lowest(states[P]) == (4_500, 6_000)
    quote(states[P], 3_000, 3_500)
    assert (prices(states[P]), lowest(states[K])) == ((3_500, 7_000), (3_500, 6_000))
    quote(states[P], 5_000, 0)
    assert (prices(states[P]), lowest(states[P])) == ((UNPRICED, 5_000), (4_500, 5_000))
    quote(states[K], 0, 4_600)
    assert (prices(states[K]), lowest(states[K])) == ((4_600, UNPRICED), (4_600, 5_000))
    quote(states[K], 4_000, 4_500, state="halted")
    assert (prices(states[K]), lowest(states[K])) == ((UNPRICED, UNPRICED), (UNPRICED, 5_000))
    states[P].market = None
    states[P].price()
    assert lowest(states[K]) == (UNPRICED, UNPRICED)


def test_the_best_of_opposite_markets_and_of_one_in_no_relation() -> None:
    one = group("g", K, P, ("kalshi", "X"), relations=(("complement", (0, 1)),))
    _, states = wired(one)
    quote(states[K], 4_000, 4_500)
    quote(states[P], 5_700, 5_800)
    assert lowest(states[K]) == (4_300, 5_800)
    assert lowest(states[P]) == (5_800, 4_300)
    alone = states["kalshi", "X"]
    quote(alone, 100, 200)
    assert (alone.literal, alone.equals, prices(alone)) == (None, (), (200, 9_900))
    assert lowest(states[K]) == (4_300, 5_800)


def test_a_market_begins_without_a_book_and_forgets_it() -> None:
    state = MarketState(*K, "g", market(*K))
    begun: tuple[object, ...] = (None, None, -1, -1, (UNPRICED, UNPRICED))
    assert (state.book, state.source, state.epoch, state.sequence, prices(state)) == begun
    assert (state.venue, state.name, state.group, state.market) == (*K, "g", market(*K))
    state.epoch = state.sequence = 7
    quote(state, 4_000, 4_500)
    state.source = module.Source("t", 0, 0, 0)
    state.forget()
    assert (state.book, state.source, state.epoch, state.sequence, prices(state)) == begun


def test_a_touch_is_where_a_claim_is_bought_and_sold() -> None:
    state = MarketState(*K, "g", market(*K))
    quote(state, 4_000, 4_500)
    assert (state.touch("yes"), state.touch("no")) == (Touch("kalshi", 4_500, 4_000), Touch("kalshi", 6_000, 5_500))
    quote(state, 0, 4_500)
    assert (state.touch("yes"), state.touch("no")) == (Touch("kalshi", 4_500, 0), Touch("kalshi", 0, 5_500))
    state.forget()
    assert state.touch("yes") == state.touch("no") == Touch("kalshi", 0, 0)


def test_an_offer_has_the_markets_fees_and_minimums_unless_bare() -> None:
    terms = replace(market(*K, kalshi(), minimum_quantity=3, minimum_value=4), lot=5)
    for bare, expected in ((False, (kalshi(), 3, 4, 5)), (True, (FREE, 0, 0, 1))):
        state = MarketState(*K, "g", terms)
        quote(state, 4_000, 4_500, size=7)
        offer = state.offer("no", bare=bare)
        assert (offer.levels, offer.fee, offer.minimum_quantity, offer.minimum_value, offer.lot) == (
            [(6_000, 7)],
            *expected,
        )
        assert state.offer("no", bare=bare) is offer
        assert state.offer("yes", bare=bare).levels == [(4_500, 7)]
        quote(state, 4_000, 4_500, size=8)
        assert state.offer("no", bare=bare).levels == [(6_000, 8)]
    state = MarketState(*K, "g", terms)
    give(state, book(*K, [(4_000, 1), (5_000, 1)], []))
    with pytest.raises(LadderError):
        state.offer("no", bare=False)


def test_what_stands_against_a_leg() -> None:
    state = MarketState(*K, "g", None)
    assert state.obstacle(NOW, FRESH) == "stale: kalshi K"
    quote(state, 4_000, 4_500, confirmed_ns=NOW - FRESH, state="halted")
    assert state.obstacle(NOW, FRESH) == "market unknown: kalshi K"
    state.market = market(*K)
    assert state.obstacle(NOW, FRESH) == "leg not live: kalshi K: halted"
    quote(state, 4_000, 4_500, confirmed_ns=NOW - FRESH)
    assert state.obstacle(NOW, FRESH) is None
    assert state.obstacle(NOW + 1, FRESH) == "stale: kalshi K"
    assert state.obstacle(NOW + 1, None) is None


# -- baskets -----------------------------------------------------------------------------------------------------------


def pair() -> tuple[Watch, States]:
    """YES of K at 0.45 and NO of P at 0.50."""
    watch, states = wired(PAIR)
    quote(states[K], 4_000, 4_500, size=30)
    give(states[P], book(*P, [(5_000, 10), (4_000, 20)], [(6_000, 10)]))
    return basket(watch, YES_NO), states


def test_a_basket_crosses_when_it_costs_less_than_it_pays() -> None:
    watch, states = pair()
    assert watch.crosses()
    quote(states[K], 4_000, 5_000)
    assert not watch.crosses()
    quote(states[K], 4_000, 4_999)
    assert watch.crosses()


def test_a_basket_waits_for_books_and_reference_records() -> None:
    watch, states = pair()
    assert not watch.waits()
    states[P].market = None
    assert watch.waits()
    states[P].market = market(*P)
    states[K].forget()
    assert watch.waits()


def test_what_stands_against_a_basket() -> None:
    watch, states = pair()
    assert watch.obstacle(NOW, FRESH, 1) is None
    states[K].confirmed_ns = NOW - 2
    assert watch.obstacle(NOW, FRESH, 1) == "skew: kalshi K"
    assert watch.obstacle(NOW, FRESH, 2) is None
    assert watch.obstacle(NOW, FRESH, 0) is None
    states[P].confirmed_ns = NOW - 4
    assert watch.obstacle(NOW, FRESH, 1) == "skew: polymarket P"
    assert watch.obstacle(NOW, 3, 1) == "stale: polymarket P"
    assert watch.obstacle(NOW, 1, 1) == "stale: kalshi K"
    assert watch.deadline_ns(FRESH) == NOW - 4 + FRESH


def test_the_legs_of_a_basket() -> None:
    watch, states = pair()
    assert [offer.levels for offer in watch.offers(bare=False)] == [[(4_500, 30)], [(5_000, 10), (6_000, 20)]]
    assert watch.depths(bare=True) == {Claim(*K, "yes"): 30, Claim(*P, "no"): 30}
    assert watch.touches() == [Touch("kalshi", 4_500, 4_000), Touch("polymarket", 5_000, 4_000)]
    assert [watch.leg_of(states[key]) for key in (K, P)] == [0, 1]
    assert watch.leg_of(MarketState(*K, "g", None)) == -1
    assert watch.true_sets == ((0,), (1,))


def test_minimums_count_unless_bare() -> None:
    for bare, first, minimum in ((False, "offers", 9), (True, "offers", 0), (True, "depths", 0)):
        watch, states = pair()
        states[K].market = market(*K, kalshi(), minimum_quantity=9)
        states[K].price()
        if first == "depths":
            assert sum(watch.depths(bare=bare).values()) == 60
        assert [offer.minimum_quantity for offer in watch.offers(bare=bare)] == [minimum, 0]


def test_an_open_basket_is_known_to_its_family_and_its_group() -> None:
    group_watch, _ = wired(PAIR)
    watches = [basket(group_watch, YES_NO), basket(group_watch, NO_YES)]
    opened = [Open(opportunity(basket=watch.basket.basket_id)) for watch in watches]
    assert [(one.watch, one.deadline_ns, one.ended) for one in opened] == [(None, -1, False)] * 2
    for watch, one in zip(watches, opened, strict=True):
        watch.begin(one)
        assert (watch.open, one.watch) == (one, watch)
    assert group_watch.running() == watches[::-1]
    watches[0].end()
    assert (watches[0].open, opened[0].watch) == (None, None)
    assert group_watch.running() == watches[1:]
    watches[0].end()
    assert group_watch.running() == watches[1:]
    assert opened[1].key == (opened[1].last.group, NO_YES)


# -- families ----------------------------------------------------------------------------------------------------------


def test_a_family_crosses_when_its_best_prices_do() -> None:
    watch, states = wired(PAIR)
    [family] = watch.families
    quote(states[K], 4_000, 4_500)
    assert not family.crosses()
    quote(states[P], 4_500, 5_000)
    assert not family.crosses()
    quote(states[P], 4_501, 5_000)
    assert family.crosses()
    assert (family.payout, family.exclusive, family.many) == (ONE, False, False)


def test_an_exclusive_family_crosses_when_its_bids_make_more_than_a_dollar() -> None:
    watch, states = wired(event(3))
    family = watch.families[-1]
    assert (family.exclusive, family.payout) == (True, 2 * ONE)
    for name, bid in (("k0", 4_000), ("k1", 6_000)):
        quote(states["kalshi", name], bid, 9_000)
    assert not family.crosses()
    quote(states["kalshi", "k2"], 0, 100)
    assert not family.crosses()
    quote(states["kalshi", "k2"], 1, 100)
    assert family.crosses()
    quote(states["kalshi", "k2"], 0, 100)
    quote(states["kalshi", "k1"], 6_001, 9_000)
    assert family.crosses()


def test_the_baskets_of_a_small_family_are_made_once() -> None:
    watch, _ = wired(event(3))
    family = watch.families[-2]
    [all_yes] = family.members()
    assert family.members() == [all_yes]
    assert all_yes.family is family
    assert watch.find(all_yes.basket.basket_id) is all_yes


def test_baskets_whose_market_was_lost_are_left_out() -> None:
    watch, states = wired(event(3), lost=(("kalshi", "k1"),))
    ids = [one.basket.basket_id for family in watch.families for one in family.members()]
    assert ids == ["kalshi/k0/no|kalshi/k2/no"]
    assert watch.find("kalshi/k0/no|kalshi/k1/no") is None
    assert set(states) == {("kalshi", "k0"), ("kalshi", "k2")}


@pytest.mark.parametrize(("most", "large"), [(8, 0), (7, 2), (1, 2)])
def test_a_family_of_more_than_many_is_not_listed_but_pairs_always_are(
    monkeypatch: pytest.MonkeyPatch, most: int, large: int
) -> None:
    monkeypatch.setattr(module, "MANY", most)
    watch, _ = wired(event(3, both=True))
    assert [family.many for family in watch.families] == [False] * (8 - large) + [True] * large


def test_a_family_with_a_literal_twice_is_always_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY", 1)
    ring = [("exclusive", (at, (at + 1) % 5)) for at in range(5)]
    hub = [("same", (5, 6, 7)), *(("exclusive", (5, at)) for at in range(5))]
    watch, _ = wired(group("g", *names(8), relations=(*ring, *hub)))  # type: ignore[arg-type]
    twice = {family.literals.count(11): family.many for family in watch.families if len(family.literals) > 5}
    assert twice == {1: True, 2: False}


def test_the_states_know_their_families() -> None:
    _, states = wired(event(3))
    for state in states.values():
        assert [len(state.families), len(state.exclusive)] == [3, 1]
        assert state.exclusive[0].exclusive
        assert not any(family.exclusive for family in state.families)


# -- the choices of a large family -------------------------------------------------------------------------------------


def test_choices_go_from_the_cheapest_by_the_next_dearer_of_what_is_scarcest() -> None:
    _, states, all_yes, _ = large()
    for number in range(9):
        quote(states["kalshi", f"k{number}"], 0, 1_000, size=100 - number)
        quote(states["polymarket", f"p{number}"], 0, 1_010, size=1_000)
    quote(states["polymarket", "p3"], 0, 900, size=50)
    assert chosen(all_yes)[:3] == [
        "k0 k1 k2 p3 k4 k5 k6 k7 k8",
        "k0 k1 k2 k3 k4 k5 k6 k7 k8",
        "k0 k1 k2 k3 k4 k5 k6 k7 p8",
    ]


def test_choices_end_where_they_do_not_cross_or_nothing_dearer_is_left() -> None:
    _, states, all_yes, _ = large()
    for number in range(9):
        quote(states["kalshi", f"k{number}"], 0, 1_000)
        quote(states["polymarket", f"p{number}"], 0, 5_000)
    assert chosen(all_yes) == ["k0 k1 k2 k3 k4 k5 k6 k7 k8"]
    quote(states["polymarket", "p0"], 0, 1_999, size=100)
    assert chosen(all_yes) == ["k0 k1 k2 k3 k4 k5 k6 k7 k8", "p0 k1 k2 k3 k4 k5 k6 k7 k8"]
    states["polymarket", "p0"].forget()
    assert chosen(all_yes) == ["k0 k1 k2 k3 k4 k5 k6 k7 k8"]
    states["kalshi", "k0"].forget()
    assert chosen(all_yes) == []


def test_equally_cheap_claims_are_taken_in_their_order() -> None:
    """Whatever the order of the members."""
    one = event(9, both=True)
    both = replace(one, members=one.members[9:] + one.members[:9])
    for watch, states in (wired(one), wired(both)):
        all_yes = watch.families[-2]
        for state in states.values():
            quote(state, 0, 1_000)
        assert chosen(all_yes)[:2] == ["k0 k1 k2 k3 k4 k5 k6 k7 k8", "p0 k1 k2 k3 k4 k5 k6 k7 k8"]
        quote(states["kalshi", "k8"], 100, 0)
        assert chosen(all_yes)[0] == "k0 k1 k2 k3 k4 k5 k6 k7 p8"


def test_what_cannot_be_bought_now_is_no_choice() -> None:
    _, states, all_yes, _ = large()
    for number in range(9):
        quote(states["kalshi", f"k{number}"], 0, 1_000)
        quote(states["polymarket", f"p{number}"], 0, 900, confirmed_ns=NOW - FRESH - 1)
    assert chosen(all_yes) == ["k0 k1 k2 k3 k4 k5 k6 k7 k8"]
    assert [one.basket.payout for one in all_yes.choices(NOW, FRESH, bare=False)] == [ONE]
    assert len(list(all_yes.choices(NOW, None, bare=False))) > 1


def test_an_exclusive_family_goes_on_without_what_is_scarcest_down_to_three() -> None:
    _, states, _, some_no = large()
    for number in range(9):
        quote(states["kalshi", f"k{number}"], 5_000 if number < 5 else 0, 9_000, size=100 - number)
    found = list(some_no.choices(NOW, FRESH, bare=False))
    assert [one.basket.basket_id for one in found] == [
        "|".join(f"kalshi/k{number}/no" for number in range(count)) for count in (5, 4, 3)
    ]
    assert [one.basket.payout for one in found] == [4 * ONE, 3 * ONE, 2 * ONE]
    for number in range(2, 9):
        states["kalshi", f"k{number}"].forget()
    assert chosen(some_no) == []


def test_a_claim_of_a_dollar_is_never_chosen() -> None:
    _, states, _, some_no = large()
    for number in range(4):
        quote(states["kalshi", f"k{number}"], 5_000, 9_000)
        give(states["polymarket", f"p{number}"], book("polymarket", f"p{number}", [(0, 100)], []))
    give(states["kalshi", "k4"], book("kalshi", "k4", [(0, 100)], []))
    assert chosen(some_no) == ["k0 k1 k2 k3", "k1 k2 k3"]


def test_choices_belong_to_their_family_and_are_bare_when_asked() -> None:
    _, states, all_yes, _ = large()
    for name in range(9):
        state = states["kalshi", f"k{name}"]
        state.market = market("kalshi", f"k{name}", kalshi(), minimum_quantity=9)
        quote(state, 0, 1_000)
    [one] = all_yes.choices(NOW, FRESH, bare=True)
    assert one.family is all_yes
    assert {offer.minimum_quantity for offer in one.offers(bare=True)} == {0}


# -- groups ------------------------------------------------------------------------------------------------------------


def test_wiring_again_forgets_what_was_watched() -> None:
    watch, states = wired(event(3))
    quote(states["kalshi", "k0"], 4_000, 4_500)
    before = basket(watch, "kalshi/k0/no|kalshi/k1/no")
    before.begin(Open(opportunity(basket=before.basket.basket_id)))
    watch.wire(states)
    assert watch.running() == []
    assert basket(watch, before.basket.basket_id) is not before
    assert len(watch.families) == 5
    assert len(watch.claims) == 6
    assert [len(state.families) for state in states.values()] == [3, 3, 3]
    assert lowest(states["kalshi", "k0"]) == (4_500, 6_000)


def test_a_market_that_left_its_relation_is_alone_after_wiring() -> None:
    _, states = wired(PAIR)
    loose = group("g", K, P, relations=())
    again = GroupWatch(loose, compile_group(loose))
    again.wire(states)
    assert [(state.literal, state.equals, state.families) for state in states.values()] == [(None, (), [])] * 2


def test_a_blocked_group_watches_nothing() -> None:
    watch, states = wired(replace(PAIR, status="blocked"))
    assert watch.families == []
    assert watch.find(YES_NO) is None
    quote(states[K], 4_000, 4_500)
    assert prices(states[K]) == (4_500, 6_000)


@pytest.mark.parametrize("wrong", ["", "kalshi/K/yes", "kalshi/K/yes|polymarket/P/yes", "a/b/c/d", "kalshi/K", "x|y"])
def test_what_is_no_basket_of_the_group_is_not_found(wrong: str) -> None:
    watch, _ = wired(PAIR)
    assert watch.find(wrong) is None


def test_the_claims_that_an_id_names() -> None:
    assert claims_of(YES_NO) == [Claim(*K, "yes"), Claim(*P, "no")]
    for wrong in ("", "kalshi/K", "kalshi/K/yes|x", "a/b/c/d"):
        assert claims_of(wrong) is None


def test_choices_are_forgotten_in_time_but_not_what_is_open_or_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A basket has one watch as long as anything may hold it: else it would open twice."""
    monkeypatch.setattr(module, "MANY", 2)
    watch, _ = wired(event(4, both=True))
    *_, all_yes, some_no = watch.families
    listed = watch.families[0].members()
    assert [one.family.many for one in listed] == [False, False]
    left, opened = [watch.choice(one.claims, ONE, all_yes) for one in islice(watch.compiled.members(all_yes.family), 2)]
    assert left is not None
    assert opened is not None
    opened.begin(Open(opportunity(basket=opened.basket.basket_id)))
    sizes = []
    for one in 2 * list(watch.compiled.members(some_no.family)):
        made = watch.choice(one.claims, one.payout, some_no)
        assert made is not None
        assert watch.find(one.basket_id) is made
        sizes.append(len(watch._watches))
    peaks = [size for size, later in pairwise(sizes) if later < size]
    assert peaks == [32 + 1, 3 + 32 + 1, 3 + 32 + 1]
    assert [watch.find(one.basket.basket_id) for one in listed] == listed
    assert watch.find(opened.basket.basket_id) is opened
    assert watch.find(left.basket.basket_id) is not left


def test_a_group_that_was_never_wired_has_none_of_its_markets() -> None:
    watch = GroupWatch(PAIR, compile_group(PAIR))
    assert watch.find(YES_NO) is None
    assert watch.running() == []


def test_a_board_begins_without_prices() -> None:
    board = Board(2, 3)
    assert (board.prices, board.best, Board(1).best) == ([UNPRICED] * 4, [UNPRICED] * 3, [])
