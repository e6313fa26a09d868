"""From relations to possible outcomes: which combinations of results a group's markets can have.

A *literal* is a statement that markets make: literal 2c says that class c happens, literal 2c + 1 that it does not.
Markets that always come out alike, or always opposite, are one class; each market's YES is one literal, its NO the
other of the same class (`literal ^ 1`). An outcome is one truth value per class.

What the relations say, in literals: `same` and `complement` join classes; `implies` is a chain, each member implies the
next; of an `exclusive` set at most one is true, of an `exhaustive` set at least one.

Refused, with the relations that clash: relations that cannot hold together; relations that leave a market only one
result (a sure thing is a mistake of whoever wrote the group); implications that come back to where they began (markets
that imply each other are `same`, and should be called so).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Final

from schemas.records import Group, Relation
from streams.core.groups import GroupError, check_group

MAXIMUM_OUTCOMES: Final = 4096
_MAXIMUM_STEPS: Final = 400_000
"""Partial outcomes that are tried before a group is refused as too large to tell."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The possible outcomes of a group's related markets.

    `literals[m]` is the literal that member m's YES makes, None for a market in no relation. `masks[l]` is the set of
    outcomes, one bit each, in which literal l is true. `count` is the number of outcomes.
    """

    literals: tuple[int | None, ...]
    masks: tuple[int, ...]
    count: int

    @property
    def all(self) -> int:
        """The set of all outcomes."""
        return (1 << self.count) - 1


class _TooMany(Exception):
    """More outcomes, or more steps to find them, than a group may take."""


class _Impossible(ValueError):
    """Relations that clash, and why."""


def possible_outcomes(group: Group, left_out: frozenset[int] = frozenset()) -> Outcomes:
    """The outcomes that a group's relations allow, without the relations numbered in `left_out`; raises GroupError."""
    check_group(group)
    relations = [(number, relation) for number, relation in enumerate(group.relations) if number not in left_out]
    try:
        return _outcomes(relations, len(group.members))
    except _Impossible:
        clash, why = _clash(relations, len(group.members))
        named = " and ".join(f"{number} ({group.relations[number].kind})" for number in clash)
        raise GroupError(f"group {group.group!r}: relations {named}: {why}", clash) from None
    except _TooMany:
        raise GroupError(f"group {group.group!r}: more than {MAXIMUM_OUTCOMES:,} possible outcomes") from None


def _outcomes(relations: Sequence[tuple[int, Relation]], members: int) -> Outcomes:
    theory = _Theory(relations, members)
    found = list(theory.solutions())
    columns = [sum(1 << at for at, true in enumerate(found) if true >> literal & 1) for literal in theory.positive]
    everything = (1 << len(found)) - 1
    if any(column in (0, everything) for column in columns):
        raise _Impossible("these leave a market only one possible result, or none")
    return _merged(theory, columns, len(found))


def _merged(theory: "_Theory", columns: Sequence[int], count: int) -> Outcomes:
    """One class for all that the relations make alike or opposite, whatever the way in which they say it."""
    everything = (1 << count) - 1
    masks: list[int] = []
    known: dict[int, int] = {}
    for column in columns:
        if column not in known:
            known[column], known[everything ^ column] = len(masks), len(masks) + 1
            masks += [column, everything ^ column]
    literals = tuple(
        None if literal is None else known[columns[literal >> 1] ^ (everything if literal & 1 else 0)]
        for literal in theory.literals
    )
    return Outcomes(literals, tuple(masks), count)


@dataclass(slots=True)
class _Joined:
    """Markets joined by `same` and `complement`: neighbours, each with whether it is the opposite (1) or the same."""

    edges: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def join(self, one: int, other: int, opposite: int) -> None:
        """Add what a relation says of two members; raises _Impossible when those before it say the contrary."""
        if self.component(one).get(other, opposite) != opposite:
            raise _Impossible("one says the contrary of the other")
        self.edges.setdefault(one, []).append((other, opposite))
        self.edges.setdefault(other, []).append((one, opposite))

    def component(self, member: int) -> dict[int, int]:
        """Every member joined with `member`, itself included, and whether it is its opposite."""
        known = {member: 0}
        queue = deque([member])
        while queue:
            at = queue.popleft()
            for neighbour, turned in self.edges.get(at, ()):
                if neighbour not in known:
                    known[neighbour] = known[at] ^ turned
                    queue.append(neighbour)
        return known


class _Theory:
    """Relations as literals: what each literal implies, and the sets of which at least one is true."""

    def __init__(self, relations: Sequence[tuple[int, Relation]], members: int) -> None:
        joined = _Joined()
        for _, relation in relations:
            if relation.kind in ("same", "complement"):
                for one, other in pairwise(relation.members):
                    joined.join(one, other, int(relation.kind == "complement"))
        self.literals: list[int | None] = [None] * members
        self._classes = 0
        for member in sorted({member for _, relation in relations for member in relation.members}):
            if self.literals[member] is None:
                for alike, opposite in joined.component(member).items():
                    self.literals[alike] = 2 * self._classes + opposite
                self._classes += 1
        self._every = range(2 * self._classes)
        self.positive = self._every[::2]
        self._implied = [0 for _ in self._every]
        self._sets: list[tuple[int, ...]] = []
        self._arrows: dict[int, list[int]] = {}
        for _, relation in relations:
            self._add(relation)
        self._close()

    def _literal(self, member: int) -> int:
        literal = self.literals[member]
        assert literal is not None
        return literal

    def _add(self, relation: Relation) -> None:
        literals = [self._literal(member) for member in relation.members]
        if relation.kind == "implies":
            for premise, conclusion in pairwise(literals):
                self._refuse_circles(premise, conclusion)
                self._imply(premise, conclusion)
                self._arrows.setdefault(premise, []).append(conclusion)
                self._arrows.setdefault(conclusion ^ 1, []).append(premise ^ 1)
        elif relation.kind == "exclusive":
            for one, other in combinations(literals, 2):
                self._imply(one, other ^ 1)
        elif relation.kind == "exhaustive":
            self._sets.append(tuple(literals))
            if len(literals) == 2:
                self._imply(literals[0] ^ 1, literals[1])

    def _imply(self, premise: int, conclusion: int) -> None:
        self._implied[premise] |= 1 << conclusion
        self._implied[conclusion ^ 1] |= 1 << (premise ^ 1)

    def _refuse_circles(self, premise: int, conclusion: int) -> None:
        if premise >> 1 == conclusion >> 1:
            why = "one makes the markets the same" if premise == conclusion else "one makes the markets opposites"
            raise _Impossible(f"{why}, the other says that one implies the other")
        if premise in self._reached(conclusion):
            raise _Impossible("the implications come back to where they began")

    def _reached(self, start: int) -> set[int]:
        """Every literal to which implications lead from one, itself included."""
        reached = {start}
        queue = deque([start])
        while queue:
            further = set(self._arrows.get(queue.popleft(), ())) - reached
            reached |= further
            queue.extend(further)
        return reached

    def _close(self) -> None:
        """Let every literal imply all that follows: then a partial outcome without conflict can always go on, as far
        as pairs of literals are concerned."""
        for middle in self._every:
            beyond = self._implied[middle]
            for literal in self._every:
                if self._implied[literal] >> middle & 1:
                    self._implied[literal] |= beyond

    def solutions(self) -> Iterator[int]:
        """Every outcome as the set of its true literals, one bit each; raises _TooMany above the limits."""
        ends: dict[int, list[int]] = {}
        for literals in self._sets:
            ends.setdefault(max(literals) >> 1, []).append(sum({1 << literal for literal in literals}))
        steps = found = 0
        stack = [(0, 0, 0)]
        while stack:
            number, true, forced = stack.pop()
            steps += 1
            if number and any(not true & one for one in ends.get(number - 1, ())):
                continue
            if number == self._classes:
                found += 1
                yield true
            if found > MAXIMUM_OUTCOMES or steps > _MAXIMUM_STEPS:
                raise _TooMany
            if number == self._classes:
                continue
            for literal in (2 * number + 1, 2 * number):
                implied = self._implied[literal]
                if not (forced >> (literal ^ 1) & 1 or implied >> (literal ^ 1) & 1):
                    stack.append((number + 1, true | 1 << literal, forced | implied))


def _clash(relations: Sequence[tuple[int, Relation]], members: int) -> tuple[tuple[int, int], str]:
    """Two relations that cannot hold together, and why; where it takes more, the first and the last of as few as it
    takes. One alone can always hold."""
    core: Sequence[tuple[int, Relation]] = relations
    for pair in combinations(relations, 2):
        if _complaint(pair, members):
            core = pair
            break
    for relation in relations:
        fewer = [one for one in core if one is not relation]
        if _complaint(fewer, members):
            core = fewer
    return (core[0][0], core[-1][0]), _complaint(core, members)


def _complaint(relations: Sequence[tuple[int, Relation]], members: int) -> str:
    """Why relations cannot hold together; empty when they can, or allow so much that it cannot be told."""
    try:
        _outcomes(relations, members)
    except _Impossible as error:
        return str(error)
    except _TooMany:
        return ""
    return ""
