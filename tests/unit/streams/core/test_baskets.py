from itertools import product

import pytest

from schemas.records import Group
from schemas.units import ONE
from streams.core.baskets import Basket, Claim, compile_baskets
from streams.core.groups import GroupError
from tests.unit.streams.core.build import group


def test_same_of_two() -> None:
    made = compile_baskets(group("g", ("polymarket", "B"), ("kalshi", "A")))
    yes_no = (Claim("kalshi", "A", "yes"), Claim("polymarket", "B", "no"))
    no_yes = (Claim("kalshi", "A", "no"), Claim("polymarket", "B", "yes"))
    assert made == (
        Basket("kalshi/A/no|polymarket/B/yes", "g", no_yes, ONE),
        Basket("kalshi/A/yes|polymarket/B/no", "g", yes_no, ONE),
    )


def test_order_of_members_plays_no_part() -> None:
    left = compile_baskets(group("g", ("polymarket", "B"), ("kalshi", "A"), ("kalshi", "C")))
    right = compile_baskets(group("g", ("kalshi", "C"), ("kalshi", "A"), ("polymarket", "B")))
    assert left == right
    assert len(left) == 6


def test_a_pair_named_by_two_relations_makes_its_baskets_once() -> None:
    twice = group("g", ("kalshi", "A"), ("kalshi", "B"), relations=(("same", (0, 1)), ("same", (1, 0))))
    assert len(compile_baskets(twice)) == 2


def payouts(one: Group) -> list[tuple[Basket, int]]:
    """The worst payout of every basket over all outcomes in which the same members agree."""
    names = [(member.venue, member.market) for member in one.members]
    worst = []
    for basket in compile_baskets(one):
        paid = []
        for truth in product((False, True), repeat=len(names)):
            world = dict(zip(names, truth, strict=True))
            if all(len({world[names[at]] for at in relation.members}) == 1 for relation in one.relations):
                claims = ((world[claim.venue, claim.market], claim.outcome) for claim in basket.claims)
                paid.append(sum(ONE for true, outcome in claims if true == (outcome == "yes")))
        worst.append((basket, min(paid)))
    return worst


def test_payout_is_guaranteed_and_not_higher_than_said() -> None:
    one = group(
        "g",
        ("kalshi", "A"),
        ("polymarket", "B"),
        ("kalshi", "C"),
        ("polymarket", "D"),
        relations=(("same", (0, 1, 2)), ("same", (2, 3))),
    )
    found = payouts(one)
    assert len(found) == 8
    assert all(basket.payout == worst for basket, worst in found)


@pytest.mark.parametrize("kind", ["complement", "implies", "exclusive", "exhaustive"])
def test_kinds_not_compiled_yet_make_nothing(kind: str) -> None:
    one = group("g", ("kalshi", "A"), ("polymarket", "B"), relations=((kind, (0, 1)),))  # type: ignore[arg-type]
    assert compile_baskets(one) == ()


def test_a_bad_group_is_refused() -> None:
    with pytest.raises(GroupError):
        compile_baskets(group("g", ("kalshi", "A"), ("kalshi", "A")))
