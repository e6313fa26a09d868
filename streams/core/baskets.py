"""From possible outcomes to baskets: sets of claims that pay at least a known amount in every possible outcome.

A *basket* is a set of claims on different markets. Its payout is the least number of its claims that are true in any
outcome, times one dollar. It is *minimal*: without any one claim it pays less. It is *indivisible*: not two disjoint
baskets side by side. The examples of the design:

| relation | baskets |
| --- | --- |
| same | {A yes, B no} and {A no, B yes}, each paying 1 |
| exhaustive | all YES, paying 1 |
| exclusive | any two or more NO, paying one less than their number |
| implies (A then B) | {A no, B yes}, paying 1 |

Baskets that differ only in which of several equal markets stands for a statement are one *family*, and so are all the
subsets of an exclusive set. A group with many equal markets has millions of baskets in a few families; a family whose
best prices do not cross has no basket that does, so that is all that is tested on the hot path.

How families are found: two-sided ones from every class of equal markets; the smallest sets of statements of which at
least one is always true, by branching on the first outcome not yet covered; the largest sets of statements of which at
most one is ever true, as the cliques of mutual exclusion. What remains (a payout of two or more that comes from
neither) is looked for by trying every set, in groups of at most `SEARCHED` sets; in larger groups such baskets are left
out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, product
from math import comb, prod
from typing import Final

from schemas.records import Group, Outcome, Venue
from schemas.units import ONE
from streams.core.groups import GroupError
from streams.core.outcomes import Outcomes, possible_outcomes

MAXIMUM_FAMILIES: Final = 4096
SEARCHED: Final = 4096
"""Sets of statements that are tried one by one for baskets of no regular kind (six markets: at most 729)."""
_MAXIMUM_STEPS: Final = 400_000

MarketKey = tuple[Venue, str]


@dataclass(frozen=True, slots=True, order=True)
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


@dataclass(frozen=True, slots=True)
class Family:
    """Baskets that are alike: one claim for each of `literals`, on different markets.

    With `exclusive`, any three or more of the literals are enough, and `payout` (dollars) falls by one with each that
    is left out. `size` is the number of its baskets.
    """

    literals: tuple[int, ...]
    payout: int
    exclusive: bool
    size: int


@dataclass(frozen=True)
class Compiled:
    """A group's families, and for every literal the claims that make it."""

    group: str
    possible: Outcomes
    claims: tuple[tuple[Claim, ...], ...]
    families: tuple[Family, ...]

    @property
    def outcomes(self) -> int:
        """How many outcomes are possible."""
        return self.possible.count

    @property
    def size(self) -> int:
        """How many baskets there are; a few too many where two exclusive sets share subsets."""
        return sum(family.size for family in self.families)

    def baskets(self, limit: int = MAXIMUM_FAMILIES) -> list[Basket]:
        """Every basket once, in order of basket id; raises GroupError when there are more than `limit`."""
        found: dict[str, Basket] = {}
        for family in self.families:
            for basket in self.members(family):
                found[basket.basket_id] = basket
                if len(found) > limit:
                    raise GroupError(f"group {self.group!r}: {self.size:,} baskets, more than {limit:,}")
        return [found[basket_id] for basket_id in sorted(found)]

    def members(self, family: Family) -> Iterator[Basket]:
        """Every basket of a family; with repeated literals the same one may come more than once."""
        least = 3 if family.exclusive else len(family.literals)
        for count in range(least, len(family.literals) + 1):
            payout = (family.payout - len(family.literals) + count) * ONE
            for literals in combinations(family.literals, count):
                for chosen in product(*(self.claims[literal] for literal in literals)):
                    if len({(claim.venue, claim.market) for claim in chosen}) == count:
                        yield self.basket(chosen, payout)

    def find(self, claims: Iterable[Claim]) -> Basket | None:
        """The basket that these claims are, None when they are none."""
        place = self.place(claims)
        return None if place is None else place[1]

    def place(self, claims: Iterable[Claim]) -> tuple[int, Basket] | None:
        """The same with the position of its family, the first where there are several."""
        chosen = tuple(claims)
        literals = [self._literal_of.get(claim) for claim in chosen]
        known = sorted(literal for literal in literals if literal is not None)
        if len(known) < len(chosen) or len({(claim.venue, claim.market) for claim in chosen}) < len(chosen):
            return None
        for at, family in enumerate(self.families):
            if family.exclusive:
                if len(known) >= 3 and len(set(known)) == len(known) and set(known) <= set(family.literals):
                    return at, self.basket(chosen, (len(known) - 1) * ONE)
            elif list(family.literals) == known:
                return at, self.basket(chosen, family.payout * ONE)
        return None

    def basket(self, claims: Iterable[Claim], payout: int) -> Basket:
        """A basket of these claims with its id; `payout` in 1e-4 dollar."""
        ordered = tuple(sorted(claims))
        basket_id = "|".join(f"{claim.venue}/{claim.market}/{claim.outcome}" for claim in ordered)
        return Basket(basket_id, self.group, ordered, payout)

    def true_sets(self, claims: Sequence[Claim]) -> tuple[tuple[int, ...], ...]:
        """The smallest sets of claims (their positions) that are true together in some outcome, the others false."""
        masks = [self.possible.masks[self._literal_of[claim]] for claim in claims]
        sets = {
            frozenset(at for at, mask in enumerate(masks) if mask >> outcome & 1)
            for outcome in range(self.possible.count)
        }
        smallest = [one for one in sets if not any(other < one for other in sets)]
        return tuple(sorted(tuple(sorted(one)) for one in smallest))

    @cached_property
    def _literal_of(self) -> dict[Claim, int]:
        return {claim: literal for literal, claims in enumerate(self.claims) for claim in claims}


def compile_group(group: Group, augmented: frozenset[MarketKey] = frozenset()) -> Compiled:
    """Every basket of a group, as families; raises GroupError. The group's status plays no part.

    `augmented` are markets of Polymarket events with outcomes that are not listed yet (a hidden "Other"): an
    `exhaustive` relation that names one of them is not believed.
    """
    hidden = {at for at, member in enumerate(group.members) if (member.venue, member.market) in augmented}
    left_out = frozenset(
        number
        for number, relation in enumerate(group.relations)
        if relation.kind == "exhaustive" and hidden.intersection(relation.members)
    )
    possible = possible_outcomes(group, left_out)
    claims = _claims(group, possible)
    found = _Finder(group.group, possible, tuple(len(one) for one in claims))
    return Compiled(group.group, possible, claims, found.families())


def _claims(group: Group, possible: Outcomes) -> tuple[tuple[Claim, ...], ...]:
    claims: list[list[Claim]] = [[] for _ in possible.masks]
    for member, literal in zip(group.members, possible.literals, strict=True):
        if literal is not None:
            claims[literal].append(Claim(member.venue, member.market, "yes"))
            claims[literal ^ 1].append(Claim(member.venue, member.market, "no"))
    return tuple(tuple(sorted(one)) for one in claims)


class _Finder:
    """Finds the families of a group; `copies` is the number of claims for each literal."""

    def __init__(self, group: str, possible: Outcomes, copies: tuple[int, ...]) -> None:
        self._group = group
        self._masks = possible.masks
        self._all = possible.all
        self._count = possible.count
        self._copies = copies
        self._steps = 0

    def families(self) -> tuple[Family, ...]:
        """All of them: two-sided, covering, exclusive, then what is of none of these kinds."""
        found = [self._two_sided(literal) for literal in range(0, len(self._masks), 2) if self._copies[literal] > 1]
        found += [self._fixed(literals, 1) for literals in self._covers()]
        exclusive = [tuple(literal ^ 1 for literal in clique) for clique in self._cliques()]
        found += [self._exclusive(literals) for literals in exclusive]
        if prod(2 * copies + 1 for copies in self._copies[::2]) <= SEARCHED:
            found += [self._fixed(literals, payout) for literals, payout in self._others(exclusive)]
        return tuple(found)

    def _two_sided(self, literal: int) -> Family:
        copies = self._copies[literal]
        return Family((literal, literal + 1), 1, exclusive=False, size=copies * (copies - 1))

    def _fixed(self, literals: tuple[int, ...], payout: int) -> Family:
        ways = prod(comb(self._copies[literal], literals.count(literal)) for literal in set(literals))
        return Family(literals, payout, exclusive=False, size=ways)

    def _exclusive(self, literals: tuple[int, ...]) -> Family:
        copies = [self._copies[literal] for literal in literals]
        pairs = sum(one * other for one, other in combinations(copies, 2))
        size = prod(1 + one for one in copies) - 1 - sum(copies) - pairs
        return Family(literals, len(literals) - 1, exclusive=True, size=size)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MAXIMUM_STEPS:
            raise self._too_many()

    def _too_many(self) -> GroupError:
        return GroupError(f"group {self._group!r}: more than {MAXIMUM_FAMILIES:,} kinds of baskets")

    # -- at least one is true ------------------------------------------------------------------------------------

    def _covers(self) -> list[tuple[int, ...]]:
        """The smallest sets of literals, of different classes, of which at least one is true in every outcome.

        Each is met once: below a literal, those that were tried before it for the same outcome are not used.
        """
        found: list[tuple[int, ...]] = []
        stack: list[tuple[tuple[int, ...], int, int]] = [((), 0, 0)]
        while stack:
            chosen, covered, barred = stack.pop()
            self._step()
            if covered == self._all:
                found.append(tuple(sorted(chosen)))
                if len(found) > MAXIMUM_FAMILIES:
                    raise self._too_many()
                continue
            open_ = ~covered & self._all
            first = open_ & -open_
            for literal, mask in enumerate(self._masks):
                if mask & first and not barred >> literal & 1 and literal ^ 1 not in chosen:
                    if self._each_needed((*chosen, literal)):
                        stack.append(((*chosen, literal), covered | mask, barred))
                    barred |= 1 << literal
        return sorted(found, key=lambda literals: (len(literals), literals))

    def _each_needed(self, literals: tuple[int, ...]) -> bool:
        once = twice = 0
        for literal in literals:
            twice |= once & self._masks[literal]
            once |= self._masks[literal]
        return all(self._masks[literal] & ~twice for literal in literals)

    # -- at most one is true -------------------------------------------------------------------------------------

    def _cliques(self) -> list[tuple[int, ...]]:
        """The largest sets of three or more literals of which at most one is true in any outcome (Bron-Kerbosch)."""
        masks = self._masks
        apart = [
            sum(1 << other for other, mask in enumerate(masks) if other != literal and not mask & masks[literal])
            for literal in range(len(masks))
        ]
        found: list[tuple[int, ...]] = []
        stack: list[tuple[tuple[int, ...], int, int]] = [((), (1 << len(masks)) - 1, 0)]
        while stack:
            clique, candidates, done = stack.pop()
            self._step()
            if not candidates:
                if not done and len(clique) > 2:
                    found.append(tuple(sorted(clique)))
                    if len(found) > MAXIMUM_FAMILIES:
                        raise self._too_many()
                continue
            pivot = max(_bits(candidates | done), key=lambda literal: (apart[literal] & candidates).bit_count())
            for literal in _bits(candidates & ~apart[pivot]):
                stack.append(((*clique, literal), candidates & apart[literal], done & apart[literal]))
                candidates &= ~(1 << literal)
                done |= 1 << literal
        return sorted(found)

    # -- of neither kind -----------------------------------------------------------------------------------------

    def _others(self, exclusive: Sequence[tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], int]]:
        """Baskets that pay two or more and are no part of an exclusive set, with what they pay, by trying all."""
        regular = [set(literals) for literals in exclusive]
        choices = [
            [(), *((literal,) * count for literal in (at, at + 1) for count in range(1, self._copies[at] + 1))]
            for at in range(0, len(self._masks), 2)
        ]
        for parts in product(*choices):
            literals = tuple(literal for part in parts for literal in part)
            if len(literals) < 4:  # three that pay two are of an exclusive set
                continue
            payout = self._guarantee(literals)
            if payout < 2 or (len(set(literals)) == len(literals) and any(set(literals) <= one for one in regular)):
                continue
            if not self._parts_pay(literals, payout):
                yield literals, payout

    def _guarantee(self, literals: Sequence[int]) -> int:
        masks = [self._masks[literal] for literal in literals]
        return min(sum(mask >> outcome & 1 for mask in masks) for outcome in range(self._count))

    def _parts_pay(self, literals: tuple[int, ...], payout: int) -> bool:
        """Whether a part of a set pays as much as all of it (it is not minimal), or two parts do side by side."""
        first, rest = literals[0], literals[1:]
        for count in range(len(rest)):
            for places in combinations(range(len(rest)), count):
                one = (first, *(rest[at] for at in places))
                other = [literal for at, literal in enumerate(rest) if at not in places]
                if self._guarantee(one) + self._guarantee(other) >= payout:
                    return True
        return False


def _bits(number: int) -> Iterator[int]:
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low
