"""Average prices over 300 dollars a leg: the rule of the closest rival (pm-arbitrage-engine).

Described as: VWAP on both legs at a fixed 300 dollars each; Kalshi's fee unrounded, Polymarket's a flat 2 %; at least
15 % a year on the days to resolution, pairs without a date refused; Kalshi's sequence checked; Polymarket's changes
reach the top of the book only. A share of gas and a threshold that rises where depth is thin are described without
numbers, and left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.rivals.found import Found, Offer, Pair, follow, same_pairs
from bench.rivals.parsers import FreshTopOnly, frames, tokens
from bench.rivals.world import Key, Ladder, Shown, World

DOLLARS: Final = 300_000_000
"""300 dollars, money."""
FLAT: Final = 0.02
LEAST_YEARLY: Final = 0.15
YEAR_NS: Final = 365 * 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Swept:
    """What 300 dollars buy: contracts (1e-2), money spent, worst price."""

    quantity: int
    spent: int
    worst: int

    @property
    def average(self) -> float:
        """Dollars a contract."""
        return self.spent / self.quantity / 10_000


def sweep(ladder: Ladder) -> Swept | None:
    """Spend 300 dollars from the top of a ladder, or as much as it has; None when it has nothing."""
    quantity = spent = worst = 0
    for price, size in ladder:
        taken = min(size, (DOLLARS - spent) // price)
        if taken:
            quantity, spent, worst = quantity + taken, spent + price * taken, price
    return Swept(quantity, spent, worst) if quantity else None


def decide(kalshi: Ladder, polymarket: Ladder, days: float) -> Offer | None:
    """Whether the average prices leave enough after its fees; the trade is the contracts that both legs can have."""
    left, right = sweep(kalshi), sweep(polymarket)
    if left is None or right is None or days <= 0:
        return None
    fees = 0.07 * left.average * (1 - left.average) + FLAT * right.average
    cost = left.average + right.average
    edge = 1 - cost - fees
    if edge / cost * 365 / days < LEAST_YEARLY:
        return None
    quantity = min(left.quantity, right.quantity)
    return Offer(quantity, (left.worst, right.worst), round(edge * quantity * 10_000))


@dataclass
class Averaged:
    """The rule over a tape."""

    name: str = "VWAP at $300, flat fee"
    about: str = "asked at every change, not every 30 s; all there is where it is less; equal contracts traded; no gas"

    def findings(self, world: World) -> list[Found]:
        """Everything it finds."""
        top, live = FreshTopOnly(), dict[Key, Shown]()
        token_of = {place: token for token, place in tokens(world.tape).items()}
        now = [0]

        def updates() -> Iterator[tuple[int, Key]]:
            books = [shown for shown in world.careful.shown if shown.key[0] == "kalshi"]
            for t_ns, venue, body in frames(world.tape):
                while books and books[0].t_ns <= t_ns:
                    shown = books.pop(0)
                    live[shown.key], now[0] = shown, shown.t_ns
                    yield shown.t_ns, shown.key
                market = top.take(body) if venue == "polymarket" else None
                if market is not None:
                    now[0] = t_ns
                    yield t_ns, (venue, market)

        def ask(pair: Pair, bought: str, opposite: str) -> Offer | None:
            shown = live.get(pair[0])
            ladder = shown.claim(bought) if shown is not None and shown.usable else []
            settles_ns = max(world.markets[key].settles_ns for key in pair[:2])
            days = (settles_ns - now[0]) / YEAR_NS * 365
            return decide(ladder, top.asks.get(token_of[pair[1], opposite], []), days)

        return follow(same_pairs(world), updates(), ask, world.span_ns[1])
