"""Compiled groups against the oracle: what is possible, what is refused, which baskets there are and what they pay."""

from itertools import combinations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import Group, Venue
from schemas.units import ONE
from streams.core.baskets import Basket, compile_group
from streams.core.groups import GroupError
from tests import exact
from tests.unit.streams.core.groups_drawn import any_groups, made, usable_groups

MOST = 1_000_000


def found(one: Group, augmented: frozenset[tuple[Venue, str]] = frozenset()) -> dict[tuple[exact.Claim, ...], int]:
    """The core's baskets in the oracle's words."""
    return dict(told(basket) for basket in compile_group(one, augmented).baskets(MOST))


def told(basket: Basket) -> tuple[tuple[exact.Claim, ...], int]:
    dollars, rest = divmod(basket.payout, ONE)
    assert rest == 0
    return tuple((claim.venue, claim.market, claim.outcome) for claim in basket.claims), dollars


def refused(one: Group) -> bool:
    return exact.contradictory(one) or exact.cyclic(one)


def only(one: Group, chosen: tuple[int, ...]) -> Group:
    return replace(one, relations=tuple(one.relations[number] for number in chosen))


@settings(max_examples=100)
@given(usable_groups())
def test_the_baskets_are_the_oracles(one: Group) -> None:
    """None missed, none extra, each with its payout; as many outcomes as are possible of the related markets."""
    assert found(one) == exact.baskets(one)


@settings(max_examples=30)
@given(usable_groups())
def test_a_payout_is_guaranteed_in_every_outcome_and_reached_in_one(one: Group) -> None:
    possible = exact.worlds(one)
    for basket in compile_group(one).baskets(MOST):
        claims, dollars = told(basket)
        assert min(sum(exact.comes_true(one, claim, world) for claim in claims) for world in possible) == dollars


@settings(max_examples=30)
@given(usable_groups())
def test_outcomes_are_counted_once(one: Group) -> None:
    """A market in no relation goes either way whatever the others do, and is not counted."""
    related = {index for relation in one.relations for index in relation.members}
    assert compile_group(one).outcomes == len(exact.worlds(one)) >> len(one.members) - len(related)


@settings(max_examples=120)
@given(any_groups())
@example(made(4, [("complement", (0, 2)), ("complement", (1, 3)), ("implies", (0, 1)), ("implies", (2, 3))]))
@example(made(4, [("same", (0, 2)), ("complement", (1, 3)), ("implies", (0, 1)), ("implies", (2, 3))]))
@example(made(4, [("implies", (0, 1, 2)), ("same", (2, 3)), ("implies", (3, 0))]))
@example(made(3, [("implies", (0, 1)), ("implies", (1, 2)), ("implies", (0, 2))]))
def test_what_is_refused_is_what_cannot_be(one: Group) -> None:
    try:
        compile_group(one)
    except GroupError:
        assert refused(one)
    else:
        assert not refused(one)


@settings(max_examples=60)
@given(any_groups())
def test_the_relations_named_by_a_refusal_are_needed_for_the_clash(one: Group) -> None:
    """They belong to one smallest set of relations that clash: without either of them the rest of it can hold."""
    try:
        compile_group(one)
    except GroupError as error:
        named = error.relations
    else:
        return
    assert named == tuple(sorted(set(named)))
    assert 1 <= len(named) <= 2
    numbers = range(len(one.relations))
    clashing = [set(some) for size in numbers for some in combinations(numbers, size + 1) if refused(only(one, some))]
    smallest = [some for some in clashing if not any(other < some for other in clashing)]
    assert any(set(named) <= some for some in smallest)


@settings(max_examples=25)
@given(usable_groups(5), st.sets(st.integers(0, 4)))
def test_an_augmented_market_is_never_exhaustive(one: Group, hidden: set[int]) -> None:
    keys = [(member.venue, member.market) for member in one.members]
    augmented = frozenset(keys[at] for at in hidden if at < len(keys))
    assert found(one, augmented) == exact.baskets(one, augmented)


@settings(max_examples=25)
@given(usable_groups(), st.data())
def test_a_relation_said_again_changes_nothing(one: Group, data: st.DataObject) -> None:
    """An implication said twice is one implication, not a circle."""
    again = data.draw(st.lists(st.sampled_from(one.relations))) if one.relations else []
    assert found(replace(one, relations=(*one.relations, *again))) == found(one)


@settings(max_examples=25)
@given(usable_groups(), st.data())
def test_the_order_of_members_and_relations_plays_no_part(one: Group, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(one.members))))
    moved = replace(
        one,
        members=tuple(one.members[at] for at in order),
        relations=tuple(
            replace(relation, members=tuple(order.index(at) for at in relation.members))
            for relation in data.draw(st.permutations(one.relations))
        ),
    )
    assert compile_group(moved).baskets(MOST) == compile_group(one).baskets(MOST)


@settings(max_examples=30)
@given(usable_groups(4), st.data())
def test_a_basket_is_found_by_its_claims_and_nothing_else_is(one: Group, data: st.DataObject) -> None:
    compiled = compile_group(one)
    known = {basket.claims: basket for basket in compiled.baskets(MOST)}
    for claims, basket in known.items():
        assert compiled.find(claims) == basket
        assert compiled.find(claims[::-1]) == basket
    every = sorted({claim for claims in known for claim in claims})
    if every:
        drawn = tuple(sorted(data.draw(st.sets(st.sampled_from(every), min_size=1, max_size=4))))
        assert compiled.find(drawn) == known.get(drawn)


@settings(max_examples=30)
@given(usable_groups(5))
def test_what_is_true_together_when_least_is(one: Group) -> None:
    """The smallest sets of a basket's claims that come true together are those of the oracle's outcomes."""
    compiled = compile_group(one)
    possible = exact.worlds(one)
    for basket in compiled.baskets(MOST):
        claims, _ = told(basket)
        sets = {
            tuple(at for at, claim in enumerate(claims) if exact.comes_true(one, claim, world)) for world in possible
        }
        least = {some for some in sets if not any(set(other) < set(some) for other in sets)}
        assert set(compiled.true_sets(basket.claims)) == least


@pytest.mark.parametrize(
    ("count", "relations", "number"),
    [
        (3, [("exclusive", (0, 1, 2))], 4),
        (3, [("exclusive", (0, 1, 2)), ("exhaustive", (0, 1, 2))], 5),
        (4, [("implies", (0, 1, 2, 3))], 6),
        (4, [("same", (0, 1, 2, 3))], 12),
        (2, [("complement", (0, 1))], 2),
    ],
)
def test_how_many_baskets_there_are(count: int, relations: list[tuple[str, tuple[int, ...]]], number: int) -> None:
    """Exclusive of three: three pairs of NO and all three. Exhaustive as well: all YES. A chain: each pair once."""
    one = made(count, relations)  # type: ignore[arg-type]
    assert len(found(one)) == number == len(exact.baskets(one))


def test_a_payout_of_two_that_comes_from_no_single_relation() -> None:
    """D, B or A happens, and at most one of A, C, E: if A does not, B or D does; if it does, neither C nor E."""
    one = made(5, [("exhaustive", (1, 3, 0)), ("exclusive", (4, 2, 0))])
    claims: tuple[exact.Claim, ...] = (
        ("kalshi", "C", "no"),
        ("kalshi", "E", "no"),
        ("polymarket", "B", "yes"),
        ("polymarket", "D", "yes"),
    )
    assert found(one)[claims] == exact.baskets(one)[claims] == 2
