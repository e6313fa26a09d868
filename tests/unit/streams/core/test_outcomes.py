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
    assert counted(("same", everyone)) == 2
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


@pytest.mark.parametrize(
    ("relations", "clash", "complaint"),
    [
        ((("same", (0, 1)), ("complement", (0, 1))), (0, 1), "one says the contrary of the other"),
        ((("complement", (0, 1)), ("same", (1, 2)), ("same", (0, 2))), (0, 2), "one says the contrary of the other"),
        ((("implies", (0, 1)), ("implies", (1, 0))), (0, 1), "come back to where they began"),
        ((("implies", (0, 1)), ("implies", (1, 2)), ("implies", (2, 0))), (0, 2), "come back to where they began"),
        ((("implies", (0, 1)), ("same", (1, 2)), ("implies", (2, 0))), (0, 2), "come back to where they began"),
        ((("same", (0, 1)), ("implies", (0, 1))), (0, 1), "one makes the markets the same"),
        ((("complement", (0, 1)), ("implies", (0, 1))), (0, 1), "one makes the markets opposites"),
        ((("same", (0, 1)), ("exclusive", (0, 1))), (0, 1), "only one possible result"),
        ((("exclusive", (2, 3)), ("same", (0, 1)), ("exclusive", (0, 1, 2))), (1, 2), "only one possible result"),
        ((("implies", (0, 1)), ("exclusive", (0, 1))), (0, 1), "only one possible result"),
        (
            (("complement", (0, 1)), ("exclusive", (0, 2)), ("exclusive", (1, 2))),
            (0, 2),
            "only one possible result",
        ),
        (
            (("complement", (0, 1)), ("complement", (2, 3)), ("exclusive", (0, 2)), ("exclusive", (1, 3, 0))),
            (0, 3),
            "only one possible result",
        ),
        ((("implies", (0, 1, 2)), ("implies", (2, 0))), (0, 1), "come back to where they began"),
    ],
)
def test_clashing_relations_are_named(relations: Relations, clash: tuple[int, ...], complaint: str) -> None:
    with pytest.raises(GroupError, match=complaint) as caught:
        counted(*relations)
    assert caught.value.relations == clash
    for number in clash:
        assert f"{number} ({relations[number][0]})" in str(caught.value)


def test_relations_of_which_it_takes_three_are_named_by_the_first_and_the_last() -> None:
    three: Relations = (("exclusive", (0, 1)), ("same", (3, 4)), ("exhaustive", (0, 2)), ("exclusive", (1, 2)))
    with pytest.raises(GroupError, match="only one possible result") as caught:
        counted(*three, ("exhaustive", (1, 2)), ("same", (0, 1)))
    assert caught.value.relations == (0, 5)
    with pytest.raises(GroupError, match="cannot hold together") as caught:
        counted(
            ("complement", (0, 1)), ("implies", (2, 0)), ("implies", (2, 1)), ("exhaustive", (2, 3)), ("same", (2, 3))
        )
    assert caught.value.relations != ()


def test_a_relation_that_is_left_out_says_nothing() -> None:
    one = group("g", *MARKETS[:2], relations=(("same", (0, 1)), ("complement", (0, 1))))  # type: ignore[arg-type]
    assert possible_outcomes(one, frozenset({1})).count == 2


def test_too_many_outcomes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs: Relations = tuple(("same", (at, at + 1)) for at in range(0, 26, 2))
    assert counted(*pairs[:12]) == 4096
    with pytest.raises(GroupError, match="group 'g': more than 4,096 possible outcomes"):
        counted(*pairs)
    monkeypatch.setattr(outcomes, "_MAXIMUM_STEPS", 10)
    with pytest.raises(GroupError, match="group 'g': more than 4,096 possible outcomes"):
        counted(*pairs[:4])
