"""Possible outcomes and refusals by example; the property tests stand in test_baskets_exact.py."""

import pytest

from schemas.records import RelationKind
from streams.core import outcomes
from streams.core.groups import GroupError
from streams.core.outcomes import possible_outcomes
from tests.unit.streams.core.build import group

MARKETS = [("kalshi", f"M{number}") for number in range(64)]
Relations = tuple[tuple[RelationKind, tuple[int, ...]], ...]


def counted(*relations: tuple[RelationKind, tuple[int, ...]]) -> int:
    return possible_outcomes(group("g", *MARKETS, relations=relations)).count  # type: ignore[arg-type]


def test_counts() -> None:
    everyone = tuple(range(64))
    assert counted(("same", everyone)) == counted(("same", everyone[::-1])) == 2
    assert counted(("exclusive", everyone)) == 65
    assert counted(("exclusive", everyone), ("exhaustive", everyone)) == 64
    assert counted(("implies", everyone)) == 65
    assert counted(("implies", tuple(reversed(everyone)))) == 65
    assert counted(("exhaustive", tuple(range(12)))) == 4095
    assert counted() == 1


def test_a_chain_in_any_order_of_its_members_is_no_harder() -> None:
    scattered = tuple(range(0, 64, 2)) + tuple(range(1, 64, 2))
    assert counted(("implies", scattered)) == 65


def test_literals_say_who_agrees_with_whom() -> None:
    found = possible_outcomes(group("g", *MARKETS[:4], relations=(("complement", (0, 1)), ("same", (1, 2)))))  # type: ignore[arg-type]
    first, second, third, free = found.literals
    assert first is not None
    assert (second, third, free) == (first ^ 1, first ^ 1, None)
    assert found.masks[first] ^ found.masks[first ^ 1] == found.all == 3


def test_markets_that_always_differ_are_opposites_whoever_says_so() -> None:
    found = possible_outcomes(group("g", *MARKETS[:2], relations=(("exclusive", (0, 1)), ("exhaustive", (0, 1)))))  # type: ignore[arg-type]
    assert found.literals[0] is not None
    assert found.literals[1] == found.literals[0] ^ 1
    assert len(found.masks) == 2


CONTRARY = "one says the contrary of the other"
CIRCLE = "the implications come back to where they began"
NO_CHOICE = "these leave a market only one possible result, or none"
IMPLIED = "the other says that one implies the other"


@pytest.mark.parametrize(
    ("relations", "clash", "complaint"),
    [
        ((("same", (0, 1)), ("complement", (0, 1))), (0, 1), CONTRARY),
        ((("complement", (0, 1)), ("same", (1, 2)), ("same", (0, 2))), (0, 2), CONTRARY),
        ((("implies", (0, 1)), ("implies", (1, 0))), (0, 1), CIRCLE),
        ((("implies", (0, 1)), ("implies", (1, 2)), ("implies", (2, 0))), (0, 2), CIRCLE),
        ((("implies", (0, 1)), ("same", (1, 2)), ("implies", (2, 0))), (0, 2), CIRCLE),
        (
            (("complement", (0, 2)), ("complement", (1, 3)), ("implies", (0, 1)), ("implies", (2, 3))),
            (0, 3),
            CIRCLE,
        ),
        ((("same", (0, 1)), ("implies", (0, 1))), (0, 1), f"one makes the markets the same, {IMPLIED}"),
        ((("complement", (0, 1)), ("implies", (0, 1))), (0, 1), f"one makes the markets opposites, {IMPLIED}"),
        (
            (("same", (0, 1)), ("complement", (2, 3)), ("implies", (2, 3))),
            (1, 2),
            f"one makes the markets opposites, {IMPLIED}",
        ),
        ((("same", (0, 1)), ("exclusive", (0, 1))), (0, 1), NO_CHOICE),
        ((("exclusive", (2, 3)), ("same", (0, 1)), ("exclusive", (0, 1, 2))), (1, 2), NO_CHOICE),
        ((("implies", (0, 1)), ("exclusive", (0, 1))), (0, 1), NO_CHOICE),
        (
            (("complement", (0, 1)), ("exclusive", (0, 2)), ("exclusive", (1, 2))),
            (0, 2),
            NO_CHOICE,
        ),
        (
            (("complement", (0, 1)), ("complement", (2, 3)), ("exclusive", (0, 2)), ("exclusive", (1, 3, 0))),
            (0, 3),
            NO_CHOICE,
        ),
        (
            (("same", (3, 4)), ("complement", (0, 1)), ("exclusive", (0, 2)), ("exclusive", (1, 2)), ("same", (3, 5))),
            (1, 3),
            NO_CHOICE,
        ),
        ((("implies", (0, 1, 2)), ("implies", (2, 0))), (0, 1), CIRCLE),
    ],
)
def test_clashing_relations_are_named(relations: Relations, clash: tuple[int, int], complaint: str) -> None:
    with pytest.raises(GroupError) as caught:
        counted(*relations)
    assert caught.value.relations == clash
    first, last = (f"{number} ({relations[number][0]})" for number in clash)
    assert str(caught.value) == f"group 'g': relations {first} and {last}: {complaint}"


def test_relations_of_which_it_takes_three_are_named_by_the_first_and_the_last() -> None:
    three: Relations = (("exclusive", (0, 1)), ("same", (3, 4)), ("exhaustive", (0, 2)), ("exclusive", (1, 2)))
    with pytest.raises(GroupError, match="only one possible result") as caught:
        counted(*three, ("exhaustive", (1, 2)), ("same", (0, 1)))
    assert caught.value.relations == (0, 5)


def test_a_clash_of_two_is_named_before_one_of_more_and_its_own_reason_is_given() -> None:
    circle: Relations = (("implies", (2, 0)), ("implies", (0, 1)), ("implies", (1, 2)))
    with pytest.raises(GroupError, match="only one possible result, or none") as caught:
        counted(*circle, ("exhaustive", (3, 4)), ("same", (3, 4)))
    assert caught.value.relations == (3, 4)


def test_relations_that_allow_too_much_are_not_blamed_for_a_clash_of_others() -> None:
    with pytest.raises(GroupError, match="group 'g': relations 1 .same. and 2 .complement.: one says") as caught:
        counted(("exhaustive", tuple(range(20))), ("same", (20, 21)), ("complement", (20, 21)))
    assert caught.value.relations == (1, 2)


@pytest.mark.parametrize("kind", ["same", "implies", "exclusive", "exhaustive"])
def test_one_relation_alone_can_always_hold(kind: RelationKind) -> None:
    for size in range(2, 12):
        assert counted((kind, tuple(range(size)))) >= 2


def test_either_of_two_in_turn_is_no_harder_for_standing_apart() -> None:
    """Of each pair one at least is true, of the second markets one at most: then all first ones are true but one."""
    pairs: Relations = tuple(("exhaustive", (at, at + 32)) for at in range(32))
    assert counted(*pairs, ("exclusive", tuple(range(32, 64)))) == 1 + 32 + 32


def test_a_relation_that_is_left_out_says_nothing() -> None:
    one = group("g", *MARKETS[:2], relations=(("same", (0, 1)), ("complement", (0, 1))))  # type: ignore[arg-type]
    assert possible_outcomes(one, frozenset({1})).count == 2


def test_too_many_outcomes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: Relations = tuple(("same", (at, at + 1)) for at in range(0, 26, 2))
    assert counted(*pairs[:12]) == 4096
    with pytest.raises(GroupError, match="group 'g': more than 4,096 possible outcomes"):
        counted(*pairs)
    monkeypatch.setattr(outcomes, "_MAXIMUM_STEPS", 6)  # nothing said, two ways for the first, three for both
    assert counted(("exhaustive", (0, 1)), ("same", (0, 2))) == 3
    monkeypatch.setattr(outcomes, "_MAXIMUM_STEPS", 5)
    with pytest.raises(GroupError, match="group 'g': more than 4,096 possible outcomes"):
        counted(("exhaustive", (0, 1)), ("same", (0, 2)))
    monkeypatch.setattr(outcomes, "_MAXIMUM_STEPS", 10)
    with pytest.raises(GroupError, match="group 'g': more than 4,096 possible outcomes"):
        counted(*pairs[:4])
