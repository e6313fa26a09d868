"""What claims pay, by trying everything: possible outcomes of a group, and the baskets that follow from them.

Written for the planted tape's labels, apart from the detector's own compiler, so that each can be held against the
other. Markets are named by their position in the group.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product

Outcome = tuple[bool, ...]
Claims = frozenset[tuple[int, str]]
"""(position, "yes" or "no") of what is bought."""


@dataclass(frozen=True, slots=True)
class Tie:
    """A relation between markets: same, complement, implies, exclusive or exhaustive."""

    relation: str
    members: tuple[int, ...]

    def allows(self, outcome: Outcome) -> bool:
        """Whether an outcome agrees with it."""
        values = [outcome[member] for member in self.members]
        match self.relation:
            case "same":
                return len(set(values)) == 1
            case "complement":
                return values[0] != values[1]
            case "implies":
                return all(later or not earlier for earlier, later in pairwise(values))
            case "exclusive":
                return sum(values) <= 1
            case "exhaustive":
                return sum(values) >= 1
        raise ValueError(f"relation {self.relation!r} is unknown")


def possible(markets: int, ties: Sequence[Tie]) -> list[Outcome]:
    """Every combination of results that all relations allow."""
    return [one for one in product((False, True), repeat=markets) if all(tie.allows(one) for tie in ties)]


def guaranteed(claims: Claims, outcomes: Sequence[Outcome]) -> int:
    """How many of the claims are true at the least."""
    return min(sum(outcome[at] == (side == "yes") for at, side in claims) for outcome in outcomes)


def baskets(markets: int, outcomes: Sequence[Outcome]) -> dict[Claims, int]:
    """Sets of claims on different markets that always pay, minimal and indivisible, with what they pay in dollars."""
    found = {}
    for sides in product(("", "yes", "no"), repeat=markets):
        claims = frozenset((at, side) for at, side in enumerate(sides) if side)
        pays = guaranteed(claims, outcomes) if claims else 0
        if pays and _minimal(claims, pays, outcomes) and not _divisible(claims, pays, outcomes):
            found[claims] = pays
    return found


def _minimal(claims: Claims, pays: int, outcomes: Sequence[Outcome]) -> bool:
    return all(guaranteed(claims - {one}, outcomes) < pays for one in claims) if len(claims) > 1 else False


def _divisible(claims: Claims, pays: int, outcomes: Sequence[Outcome]) -> bool:
    for part in _parts(claims):
        first, second = guaranteed(part, outcomes), guaranteed(claims - part, outcomes)
        if first and second and first + second == pays:
            return True
    return False


def _parts(claims: Claims) -> Iterator[Claims]:
    for size in range(1, len(claims) // 2 + 1):
        yield from (frozenset(part) for part in combinations(sorted(claims), size))
