"""What a system says it found: an opportunity from its opening to its closing, and the orders it would send."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.rivals.world import Claim, Key, World


@dataclass(frozen=True, slots=True)
class Leg:
    """An immediate-or-cancel buy order: quantity (1e-2 contract) and limit price (1e-4 dollar, the outcome's own)."""

    claim: Claim
    quantity: int
    limit: int


@dataclass(frozen=True, slots=True)
class Found:
    """An opportunity: its orders as of the opening, what it was said to earn (money), and how long it stood."""

    legs: tuple[Leg, ...]
    claimed: int
    open_ns: int
    close_ns: int

    @property
    def claims(self) -> frozenset[Claim]:
        """What it buys."""
        return frozenset(leg.claim for leg in self.legs)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a rule would do now: a quantity, the limits of both legs, and what it believes to earn."""

    quantity: int
    limits: tuple[int, int]
    claimed: int


class Rule(Protocol):
    """A system's rule: `name` is its row in the table, `about` what was assumed where the description is silent."""

    name: str
    about: str

    def findings(self, world: World) -> list[Found]:
        """Everything it finds on a tape."""


Pair = tuple[Key, Key, bool]
"""A Kalshi and a Polymarket market; True when they are each other's opposite."""
Decide = Callable[[Pair, str, str], Offer | None]
"""Given a pair and the outcomes bought of either: what to do."""


def follow(pairs: Sequence[Pair], updates: Iterable[tuple[int, Key]], decide: Decide, end_ns: int) -> list[Found]:
    """Ask a rule about a pair's two directions whenever one of its markets changes; what stands ends with the tape."""
    concerned: dict[Key, list[Pair]] = {}
    for pair in pairs:
        for key in pair[:2]:
            concerned.setdefault(key, []).append(pair)
    standing: dict[tuple[Pair, str], tuple[int, Offer]] = {}
    found: list[Found] = []
    for t_ns, key in updates:
        for pair in concerned.get(key, ()):
            for bought in ("yes", "no"):
                offer = decide(pair, bought, _opposite(pair, bought))
                if offer is not None:
                    standing.setdefault((pair, bought), (t_ns, offer))
                elif (pair, bought) in standing:
                    found.append(_found(pair, bought, *standing.pop((pair, bought)), t_ns))
    found += [_found(*where, *opened, end_ns) for where, opened in standing.items()]
    return sorted(found, key=lambda one: (one.open_ns, sorted(one.claims)))


def _opposite(pair: Pair, bought: str) -> str:
    """What is bought of Polymarket's market against an outcome of Kalshi's."""
    return bought if pair[2] else "no" if bought == "yes" else "yes"


def _found(pair: Pair, bought: str, open_ns: int, offer: Offer, close_ns: int) -> Found:
    claims = ((*pair[0], bought), (*pair[1], _opposite(pair, bought)))
    legs = tuple(Leg(claim, offer.quantity, limit) for claim, limit in zip(claims, offer.limits, strict=True))
    return Found(legs, offer.claimed, open_ns, close_ns)


def same_pairs(world: World) -> list[Pair]:
    """Pairs that a group says are the same question."""
    return [(*pair, False) for circle in world.circles.values() for pair in circle.pairs("same")]


def opposite_pairs(world: World) -> list[Pair]:
    """Pairs that a group says are each other's opposite."""
    return [(*pair, True) for circle in world.circles.values() for pair in circle.pairs("complement")]
