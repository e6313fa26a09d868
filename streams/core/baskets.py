"""From relations to baskets: sets of claims that pay at least a known amount in every possible outcome.

What is compiled so far, one function per kind in `COMPILERS`:

| relation | baskets |
| --- | --- |
| same | for each pair A, B of its markets: {A yes, B no} and {A no, B yes}, each paying 1 |

The other kinds are accepted in a group and compiled to no basket yet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from schemas.records import Group, Member, Outcome, Relation, RelationKind, Venue
from schemas.units import ONE
from streams.core.groups import check_group


@dataclass(frozen=True, slots=True)
class Claim:
    """One outcome of one market, to be bought."""

    venue: Venue
    market: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Basket:
    """Claims that together pay at least `payout` (1e-4 dollar per contract of each) in every possible outcome.

    Claims are sorted by venue, market and outcome; `basket_id` is those three joined by "/", the claims by "|".
    """

    basket_id: str
    group: str
    claims: tuple[Claim, ...]
    payout: int


def _basket(group: Group, payout: int, *claims: tuple[Member, Outcome]) -> Basket:
    ordered = sorted((member.venue, member.market, outcome) for member, outcome in claims)
    basket_id = "|".join("/".join(claim) for claim in ordered)
    return Basket(basket_id, group.group, tuple(Claim(*claim) for claim in ordered), payout)


def _same(group: Group, relation: Relation) -> Iterator[Basket]:
    for left, right in combinations(relation.members, 2):
        first, second = group.members[left], group.members[right]
        yield _basket(group, ONE, (first, "yes"), (second, "no"))
        yield _basket(group, ONE, (first, "no"), (second, "yes"))


COMPILERS: Final[dict[RelationKind, Callable[[Group, Relation], Iterator[Basket]]]] = {"same": _same}
"""The relations that become baskets, each by one function."""


def compile_baskets(group: Group) -> tuple[Basket, ...]:
    """Every basket of a group once, in order of their ids; raises GroupError. The group's status plays no part."""
    check_group(group)
    found: dict[str, Basket] = {}
    for relation in group.relations:
        compiler = COMPILERS.get(relation.kind)
        if compiler is not None:
            for basket in compiler(group, relation):
                found.setdefault(basket.basket_id, basket)
    return tuple(found[basket_id] for basket_id in sorted(found))
