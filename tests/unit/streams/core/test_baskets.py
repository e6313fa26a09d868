"""Families and baskets by example; that they are all of them and nothing else is proved in test_baskets_exact.py."""

from collections.abc import Iterable
from itertools import combinations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.records import Group, RelationKind, Venue
from schemas.units import ONE
from streams.core import baskets
from streams.core.baskets import Basket, Claim, Compiled, Family, compile_group
from streams.core.groups import GroupError
from tests.unit.streams.core.build import group

Relations = tuple[tuple[RelationKind, tuple[int, ...]], ...]
RING: Relations = tuple(("exclusive", (at, (at + 1) % 5)) for at in range(5))
"""Five in a circle of whom no two neighbours are both true."""
HUB: Relations = (("same", (5, 6, 7)), *(("exclusive", (5, at)) for at in range(5)))
"""Three equal markets that are true only when none of those five is."""


def markets(count: int, venue: Venue = "kalshi") -> list[tuple[Venue, str]]:
    return [(venue, f"{venue[0]}{number:02}") for number in range(count)]


def made(relations: Relations, count: int) -> dict[str, int]:
    """Basket ids, shortened, and what they pay in dollars."""
    found = compile_group(group("g", *markets(count), relations=relations)).baskets()
    return {basket.basket_id.replace("kalshi/k0", ""): basket.payout // ONE for basket in found}


def event(count: int, venues: Iterable[Venue] = ("kalshi", "polymarket")) -> Group:
    """An election with `count` candidates on every venue: exactly one wins."""
    members = [member for venue in venues for member in markets(count, venue)]
    copies: Relations = tuple(("same", tuple(range(at, len(members), count))) for at in range(count))
    everyone = tuple(range(count))
    relations: Relations = (("exclusive", everyone), ("exhaustive", everyone))
    return group("g", *members, relations=(*copies, *relations) if len(members) > count else relations)


def test_same_of_two() -> None:
    found = compile_group(group("g", ("polymarket", "B"), ("kalshi", "A"))).baskets()
    yes_no = (Claim("kalshi", "A", "yes"), Claim("polymarket", "B", "no"))
    no_yes = (Claim("kalshi", "A", "no"), Claim("polymarket", "B", "yes"))
    assert found == [
        Basket("kalshi/A/no|polymarket/B/yes", "g", no_yes, ONE),
        Basket("kalshi/A/yes|polymarket/B/no", "g", yes_no, ONE),
    ]


def test_each_relation_makes_what_the_design_says() -> None:
    assert made((("complement", (0, 1)),), 2) == {"0/no|1/no": 1, "0/yes|1/yes": 1}
    assert made((("implies", (0, 1)),), 2) == {"0/no|1/yes": 1}
    assert made((("implies", (0, 1, 2)),), 3) == {"0/no|1/yes": 1, "0/no|2/yes": 1, "1/no|2/yes": 1}
    assert made((("exhaustive", (0, 1, 2)),), 3) == {"0/yes|1/yes|2/yes": 1}
    assert made((("exclusive", (0, 1, 2)),), 3) == {"0/no|1/no": 1, "0/no|1/no|2/no": 2, "0/no|2/no": 1, "1/no|2/no": 1}


def test_buckets_stand_for_a_threshold() -> None:
    """Three buckets, and a threshold that the upper two make true."""
    relations: Relations = (
        ("exclusive", (0, 1, 2)), ("exhaustive", (0, 1, 2)), ("implies", (1, 3)), ("implies", (2, 3)),
        ("exclusive", (0, 3)),
    )  # fmt: skip
    found = made(relations, 4)
    assert found["1/yes|2/yes|3/no"] == 1
    assert found["0/yes|3/yes"] == 1
    assert found["1/no|2/no|3/yes"] == 2


def test_a_payout_that_comes_from_a_ring_of_exclusions() -> None:
    """Of five in a ring at most two are true: all five NO pay three, and no part of them makes that up."""
    found = made(RING, 5)
    assert found.pop("0/no|1/no|2/no|3/no|4/no") == 3
    assert set(found.values()) == {1}
    assert len(found) == 5


def test_equal_markets_stand_for_one_another() -> None:
    found = compile_group(event(3))
    ids = {basket.basket_id for basket in found.baskets()}
    assert found.outcomes == 3
    assert "kalshi/k00/yes|kalshi/k02/yes|polymarket/p01/yes" in ids
    assert "kalshi/k00/no|polymarket/p00/yes" in ids
    assert "kalshi/k00/no|kalshi/k00/yes" not in ids


def test_the_order_of_members_plays_no_part() -> None:
    left = compile_group(group("g", ("polymarket", "B"), ("kalshi", "A"), ("kalshi", "C")))
    right = compile_group(group("g", ("kalshi", "C"), ("kalshi", "A"), ("polymarket", "B")))
    assert left.baskets() == right.baskets()
    assert len(left.baskets()) == left.size == 6


def test_what_two_relations_say_is_said_once() -> None:
    twice = group("g", ("kalshi", "A"), ("kalshi", "B"), relations=(("same", (0, 1)), ("same", (1, 0))))
    assert len(compile_group(twice).baskets()) == 2
    assert made((("exclusive", (0, 1)), ("exhaustive", (0, 1))), 2) == made((("complement", (0, 1)),), 2)


def test_an_augmented_event_is_never_exhaustive() -> None:
    one = event(3, ["polymarket"])
    hidden = compile_group(one, frozenset({("polymarket", "p01")}))
    assert not hidden.find(Claim("polymarket", f"p0{at}", "yes") for at in range(3))
    assert compile_group(one).find(Claim("polymarket", f"p0{at}", "yes") for at in range(3))
    assert hidden.find(Claim("polymarket", f"p0{at}", "no") for at in range(3))


def test_a_large_event_has_few_families_and_every_basket_is_found() -> None:
    found = compile_group(event(30))
    assert found.outcomes == 30
    assert len(found.families) == 30 + 30 * 29 // 2 + 1 + 1
    assert found.size > 10**14
    mixed = [Claim("kalshi", f"k{at:02}", "yes") for at in range(15)]
    mixed += [Claim("polymarket", f"p{at:02}", "yes") for at in range(15, 30)]
    all_yes = found.find(mixed)
    assert all_yes is not None
    assert all_yes.payout == ONE
    some_no = found.find(Claim("polymarket", f"p{at:02}", "no") for at in (3, 7, 12, 29))
    assert some_no is not None
    assert some_no.payout == 3 * ONE
    with pytest.raises(GroupError, match="baskets, more than 4,096"):
        found.baskets()


def no_basket(found: Compiled, *claims: tuple[Venue, str, str]) -> bool:
    return found.find(Claim(*claim) for claim in claims) is None  # type: ignore[arg-type]


def test_what_is_no_basket_is_not_found() -> None:
    found = compile_group(event(4))
    assert no_basket(found, ("kalshi", "k00", "yes"), ("kalshi", "k01", "yes"))
    assert no_basket(found, ("kalshi", "k00", "yes"), ("kalshi", "k00", "no"))
    assert no_basket(found, ("kalshi", "k00", "no"), ("polymarket", "p00", "no"), ("kalshi", "k01", "no"))
    assert no_basket(found, ("kalshi", "k00", "no"), ("kalshi", "k99", "yes"))
    assert no_basket(found, ("kalshi", "k00", "no"))
    assert no_basket(found)


def test_every_basket_is_found_by_its_claims_in_its_own_family() -> None:
    found = compile_group(event(3))
    for basket in found.baskets():
        place = found.place(reversed(basket.claims))
        assert place is not None
        assert place[1] == basket
        assert basket in list(found.members(found.families[place[0]]))


def test_true_sets_are_what_an_outcome_makes_true_at_least() -> None:
    found = compile_group(group("g", *markets(3), relations=(("exclusive", (0, 1, 2)),)))
    claims = [Claim("kalshi", f"k0{at}", "no") for at in range(3)]
    assert found.true_sets(claims) == ((0, 1), (0, 2), (1, 2))
    assert found.true_sets(claims[:2]) == ((0,), (1,))


SIZED = (
    group("g", *markets(3), relations=(("same", (0, 1, 2)),)),
    group("g", *markets(5), relations=RING),
    group("g", *markets(6), relations=(*RING, *HUB[1:])),
    group("g", *markets(8), relations=(*RING, *HUB)),
    group("g", *markets(6), relations=(("exclusive", (0, 1, 2)), ("same", (0, 3, 4)), ("same", (1, 5)))),
    event(4, ["kalshi"]),
    event(3),
)


@pytest.mark.parametrize("one", SIZED)
def test_the_size_of_a_family_is_the_number_of_its_baskets(one: Group) -> None:
    found = compile_group(one)
    sizes = [len({basket.basket_id for basket in found.members(family)}) for family in found.families]
    assert [family.size for family in found.families] == sizes
    assert min(sizes) > 0
    assert sum(sizes) == found.size == len(found.baskets())


def test_a_claim_that_counts_twice_stands_for_two_equal_markets() -> None:
    """A wheel: its hub excludes all five of the ring. Two NO of the hub and five of the ring pay five, and are one."""
    found = compile_group(group("g", *markets(8), relations=(*RING, *HUB)))
    wheel = Family((1, 3, 5, 7, 9, 11, 11), 5, exclusive=False, size=3)
    assert wheel in found.families
    assert [basket.payout for basket in found.members(wheel)] == [5 * ONE] * 6
    for one, other in ((5, 6), (5, 7), (6, 7)):
        basket = found.find(Claim("kalshi", f"k0{at}", "no") for at in (4, one, 0, other, 1, 2, 3))
        assert basket is not None
        assert basket.payout == 5 * ONE
    once = found.find(Claim("kalshi", f"k0{at}", "no") for at in range(6))
    assert once is not None
    assert once.payout == 4 * ONE
    assert no_basket(found, *(("kalshi", f"k0{at}", "no") for at in range(8)))


def test_families_by_kind() -> None:
    pair = compile_group(group("g", *markets(2)))
    assert pair.families == (Family((0, 1), 1, exclusive=False, size=2),)
    pairs = (Family((left, right), 1, exclusive=False, size=1) for left, right in ((1, 3), (1, 5), (3, 5)))
    all_yes = Family((0, 2, 4), 1, exclusive=False, size=1)
    some_no = Family((1, 3, 5), 2, exclusive=True, size=1)
    assert compile_group(event(3, ["kalshi"])).families == (*pairs, all_yes, some_no)


def test_too_many_kinds_of_baskets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baskets, "MAXIMUM_FAMILIES", 5)
    with pytest.raises(GroupError, match="group 'g': more than 5 kinds of baskets"):
        compile_group(event(4, ["kalshi"]))
    monkeypatch.setattr(baskets, "_MAXIMUM_STEPS", 3)
    monkeypatch.setattr(baskets, "MAXIMUM_FAMILIES", 4096)
    with pytest.raises(GroupError, match="more than 4,096 kinds of baskets"):
        compile_group(event(4, ["kalshi"]))


def test_exclusive_sets_are_counted_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six couples, of which one at most has happened: 2 ** 6 largest exclusive sets, 60 pairs of NO."""
    apart = [(one, other) for one in range(12) for other in range(one) if one // 2 != other // 2]
    couples = group("g", *markets(12), relations=tuple(("exclusive", pair) for pair in apart))
    monkeypatch.setattr(baskets, "MAXIMUM_FAMILIES", 64)
    assert len(compile_group(couples).families) == 60 + 64
    monkeypatch.setattr(baskets, "MAXIMUM_FAMILIES", 63)
    with pytest.raises(GroupError, match="group 'g': more than 63 kinds of baskets"):
        compile_group(couples)


def test_covering_sets_are_counted_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = group("g", *markets(5), relations=RING)
    monkeypatch.setattr(baskets, "MAXIMUM_FAMILIES", 5)
    assert len(compile_group(ring).families) == 5 + 1
    monkeypatch.setattr(baskets, "MAXIMUM_FAMILIES", 4)
    with pytest.raises(GroupError, match="group 'g': more than 4 kinds of baskets"):
        compile_group(ring)


PAIRS = set(combinations(range(8), 2))
FOUR_BESIDE_ONE_WITH_FIVE = {*combinations((1, 3, 4, 5), 2), (2, 4), (2, 5), (0, 2), (2, 6), (2, 7)}
"""1, 3, 4 and 5 exclude one another; 2 excludes five, two of those among them."""


@settings(max_examples=25)
@given(st.sets(st.sampled_from(sorted(PAIRS))))
@example(PAIRS - FOUR_BESIDE_ONE_WITH_FIVE)
def test_exclusive_families_are_the_largest_sets_of_whom_one_at_most_is_true(free: set[tuple[int, int]]) -> None:
    pairs = PAIRS - free
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baskets, "SEARCHED", 0)  # what is of no regular kind takes time, and plays no part here
        found = compile_group(group("g", *markets(8), relations=tuple(("exclusive", pair) for pair in sorted(pairs))))
    literal = found.possible.literals
    sets = [set(some) for size in range(3, 9) for some in combinations(range(8), size)]
    apart = [some for some in sets if all(pair in pairs for pair in combinations(sorted(some), 2))]
    largest = [some for some in apart if not any(some < other for other in apart)]
    expected = sorted(tuple(sorted((literal[at] or 0) ^ 1 for at in some)) for some in largest)
    assert [family.literals for family in found.families if family.exclusive] == expected


def test_baskets_of_no_regular_kind_are_looked_for_in_small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    for one, sets in (
        (group("g", *markets(5), relations=RING), 3**5),
        (group("g", *markets(8), relations=(*RING, *HUB)), 3**5 * 7),
    ):
        for searched, payouts in ((sets, {3}), (sets - 1, set())):
            monkeypatch.setattr(baskets, "SEARCHED", searched)
            fixed = {family.payout for family in compile_group(one).families if not family.exclusive}
            assert fixed & {3} == payouts


def test_steps_are_counted_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pair: no claim and one, which does not cover all; then none, one, and both, of which one at most is true."""
    pair = group("g", *markets(2))
    monkeypatch.setattr(baskets, "_MAXIMUM_STEPS", 5)
    assert len(compile_group(pair).families) == 1
    monkeypatch.setattr(baskets, "_MAXIMUM_STEPS", 4)
    with pytest.raises(GroupError, match="kinds of baskets"):
        compile_group(pair)


def test_what_pays_two_by_no_single_relation() -> None:
    """1, 3 or 0 happens, and at most one of 0, 2, 4: if 0 does not, 1 or 3 does; if it does, neither 2 nor 4."""
    found = made((("exhaustive", (1, 3, 0)), ("exclusive", (4, 2, 0))), 5)
    assert found["1/yes|2/no|3/yes|4/no"] == 2
    assert set(found) == {
        "0/no|2/no", "0/no|2/no|4/no", "0/no|4/no", "0/yes|1/yes|3/yes", "1/yes|2/no|3/yes", "1/yes|2/no|3/yes|4/no",
        "1/yes|3/yes|4/no", "2/no|4/no",
    }  # fmt: skip


def test_listing_is_refused_above_the_limit_and_done_at_it() -> None:
    found = compile_group(group("g", *markets(3), relations=(("same", (0, 1, 2)),)))
    assert len(found.baskets(6)) == 6
    for limit in (5, 2):
        with pytest.raises(GroupError, match=f"group 'g': 6 baskets, more than {limit}"):
            found.baskets(limit)


def test_a_market_in_no_relation_makes_no_basket() -> None:
    found = compile_group(group("g", *markets(64), relations=(("same", (0, 1)),)))
    assert found.outcomes == 2
    assert len(found.baskets()) == 2


def test_a_bad_group_is_refused() -> None:
    with pytest.raises(GroupError):
        compile_group(group("g", ("kalshi", "A"), ("kalshi", "A")))
