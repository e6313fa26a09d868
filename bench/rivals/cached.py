"""Single prices, Kalshi's from a cache, matched by title: the cross-platform strategy of a large platform (Homerun).

Described as: Kalshi's markets through a cache of 180 s; single prices, no depth; titles with a Jaccard similarity of
words of at least 0.60; a guard against mixing a win with a draw; exact fees by category for Polymarket and a ceiling an
order for Kalshi; at least 3 cents of net.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.rivals.found import Found, Offer, Pair, follow
from bench.rivals.world import Key, Shown, World

CACHE_NS: Final = 180_000_000_000
ALIKE: Final = 0.60
LEAST_NET: Final = 300
"""3 cents a contract, 1e-4 dollar."""
QUANTITY: Final = 1_000
"""Ten contracts: the rule knows no sizes."""
_DRAW: Final = frozenset({"draw", "tie"})


def alike(left: str, right: str) -> bool:
    """Whether two titles are taken for the same question."""
    first, second = words(left), words(right)
    if bool(first & _DRAW) != bool(second & _DRAW):
        return False
    return len(first & second) >= ALIKE * len(first | second)


def words(title: str) -> frozenset[str]:
    """The words of a title, in lower case."""
    return frozenset(re.findall(r"[a-z0-9]+", title.lower()))


def decide(kalshi: int | None, polymarket: int | None, rates: tuple[int, int]) -> Offer | None:
    """Whether two prices leave 3 cents a contract after fees; `rates` are Kalshi's and Polymarket's, millionths."""
    if kalshi is None or polymarket is None:
        return None
    fees = [rate * QUANTITY * price * (10_000 - price) for rate, price in zip(rates, (kalshi, polymarket), strict=True)]
    order = -(-fees[0] // (10_000_000_000 * 10_000)) * 10_000
    net = (10_000 - kalshi - polymarket) * QUANTITY - order - fees[1] // 10_000_000_000
    return Offer(QUANTITY, (kalshi, polymarket), net) if net >= LEAST_NET * QUANTITY else None


@dataclass
class Cached:
    """The rule over a tape."""

    name: str = "cached single prices, titles"
    about: str = "best asks as the price; the cache is filled when the tape begins; ten contracts a trade"

    def findings(self, world: World) -> list[Found]:
        """Everything it finds."""
        begin_ns, end_ns = world.span_ns
        titled = {
            venue: [terms for key, terms in world.markets.items() if key[0] == venue]
            for venue in ("kalshi", "polymarket")
        }
        pairs: list[Pair] = [
            (left.key, right.key, False)
            for left in titled["kalshi"]
            for right in titled["polymarket"]
            if alike(left.title, right.title)
        ]
        cache: dict[Key, Shown | None] = {}
        live: dict[Key, Shown] = {}

        def fill(t_ns: int) -> Iterator[tuple[int, Key]]:
            for terms in titled["kalshi"]:
                cache[terms.key] = world.truth.at(terms.key, t_ns)
                yield t_ns, terms.key

        def updates() -> Iterator[tuple[int, Key]]:
            due_ns = begin_ns
            for shown in world.careful.shown:
                while shown.t_ns >= due_ns:
                    yield from fill(due_ns)
                    due_ns += CACHE_NS
                if shown.key[0] == "polymarket":
                    live[shown.key] = shown
                    yield shown.t_ns, shown.key

        def ask(pair: Pair, bought: str, opposite: str) -> Offer | None:
            rates = world.markets[pair[0]].rate, world.markets[pair[1]].rate
            return decide(_best(cache.get(pair[0]), bought), _best(live.get(pair[1]), opposite), rates)

        return follow(pairs, updates(), ask, end_ns)


def _best(shown: Shown | None, outcome: str) -> int | None:
    ladder = shown.claim(outcome) if shown is not None else []
    return ladder[0][0] if ladder else None
