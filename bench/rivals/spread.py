"""The raw spread of matched markets: what a unified API of many venues offers (pmxt).

Described as: relations between markets (identity, complement, subset, ...) from a hosted service, and the raw spread of
matched ones: no fees, no depth, no dates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.rivals.found import Found, Offer, Pair, follow, opposite_pairs, same_pairs
from bench.rivals.world import Key, Shown, World

QUANTITY: Final = 1_000
"""Ten contracts: the rule knows no sizes."""


def decide(kalshi: int | None, polymarket: int | None) -> Offer | None:
    """Whether two asks cost less than a dollar."""
    if kalshi is None or polymarket is None or kalshi + polymarket >= 10_000:
        return None
    return Offer(QUANTITY, (kalshi, polymarket), (10_000 - kalshi - polymarket) * QUANTITY)


@dataclass
class RawSpread:
    """The rule over a tape."""

    name: str = "raw spread"
    about: str = "matched without a mistake; the venues' true books, asked at every change; ten contracts a trade"

    def findings(self, world: World) -> list[Found]:
        """Everything it finds."""
        live: dict[Key, Shown] = {}

        def updates() -> Iterator[tuple[int, Key]]:
            for shown in world.truth.shown:
                live[shown.key] = shown
                yield shown.t_ns, shown.key

        def ask(pair: Pair, bought: str, opposite: str) -> Offer | None:
            prices = []
            for key, outcome in ((pair[0], bought), (pair[1], opposite)):
                ladder = live[key].claim(outcome) if key in live else []
                prices.append(ladder[0][0] if ladder else None)
            return decide(*prices)

        return follow([*same_pairs(world), *opposite_pairs(world)], updates(), ask, world.span_ns[1])
