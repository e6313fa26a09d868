"""Groups drawn at random, small enough that an oracle may try everything."""

from hypothesis import strategies as st

from schemas.records import Group, RelationKind, Venue
from tests import exact
from tests.unit.streams.core.build import group

RelationParts = tuple[RelationKind, tuple[int, ...]]
KINDS: tuple[RelationKind, ...] = ("same", "complement", "implies", "exclusive", "exhaustive")
VENUES: tuple[Venue, ...] = ("kalshi", "polymarket")


@st.composite
def relation_of(draw: st.DrawFn, count: int) -> RelationParts:
    """Any relation between members of a group of `count`."""
    kind = draw(st.sampled_from(KINDS))
    most = 2 if kind == "complement" else count
    size = draw(st.integers(2, most))
    return kind, tuple(draw(st.permutations(range(count)))[:size])


def made(count: int, relations: list[RelationParts]) -> Group:
    """A group whose members take turns between the venues."""
    return group("g", *((VENUES[at % 2], "ABCDEFGH"[at]) for at in range(count)), relations=tuple(relations))


@st.composite
def any_groups(draw: st.DrawFn) -> Group:
    """Groups of any relations: about half of them clash."""
    count = draw(st.integers(2, 5))
    return made(count, draw(st.lists(relation_of(count), min_size=1, max_size=5)))


@st.composite
def usable_groups(draw: st.DrawFn, largest: int = 6) -> Group:
    """Groups whose relations can hold together: one that would clash with those before it is left out."""
    count = draw(st.integers(2, largest))
    kept: list[RelationParts] = []
    for relation in draw(st.lists(relation_of(count), min_size=1, max_size=5)):
        tried = made(count, [*kept, relation])
        if not exact.contradictory(tried) and not exact.cyclic(tried):
            kept.append(relation)
    return made(count, kept)


USUAL = (
    made(2, [("same", (0, 1))]),
    made(2, [("complement", (0, 1))]),
    made(3, [("exclusive", (0, 1, 2))]),
    made(3, [("exclusive", (0, 1, 2)), ("exhaustive", (0, 1, 2))]),
    made(3, [("implies", (0, 1, 2))]),
    made(4, [("exclusive", (0, 1, 2, 3)), ("exhaustive", (0, 1, 2, 3))]),
    made(4, [("same", (0, 1)), ("same", (2, 3)), ("exclusive", (0, 2))]),
    made(4, [("exclusive", (0, 1, 2)), ("exhaustive", (0, 1, 2)), ("same", (2, 3))]),
)
"""Groups as people write them."""


def watched_groups() -> st.SearchStrategy[Group]:
    """Groups that have baskets: half of them usual ones, half of any relations between up to four markets."""
    return st.one_of(st.sampled_from(USUAL), usable_groups(4).filter(exact.baskets))
