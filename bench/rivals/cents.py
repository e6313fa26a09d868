"""Top of book in whole cents, on asks that only fall: the rule of the most copied bot (poly-kalshi-arb, Rust).

Described as: the best prices of both books in one atomic word, whole cents, sizes that saturate at some 655 dollars, no
look at Kalshi's sequence; a handler of Polymarket's changes that lets an ask fall and never rise; both directions
checked at each update; Kalshi's fee from a table rounded up a contract, Polymarket's taken for zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bench.rivals.found import Found, Offer, Pair, follow, same_pairs
from bench.rivals.parsers import FallingAsks, UncheckedKalshi, frames, tokens
from bench.rivals.world import Key, World

CENT: Final = 100
MOST_CENTS: Final = 65_535
"""What a size in cents can be at most."""

Top = tuple[int, int]
"""Best price (1e-4 dollar) and size (1e-2 contract)."""


def decide(kalshi: Top | None, polymarket: Top | None) -> Offer | None:
    """Whether both best asks, in cents and with Kalshi's fee, cost less than a dollar; the size is the smaller one."""
    if kalshi is None or polymarket is None:
        return None
    left, right = whole_cents(kalshi[0]), whole_cents(polymarket[0])
    edge = 100 - left - right - kalshi_fee(left)
    quantity = min(contracts(left, kalshi[1]), contracts(right, polymarket[1]))
    if edge <= 0 or not quantity:
        return None
    return Offer(100 * quantity, (CENT * left, CENT * right), edge * quantity * 10_000)


def whole_cents(price: int) -> int:
    """A price to the nearest cent."""
    return (price + CENT // 2) // CENT


def kalshi_fee(cents: int) -> int:
    """The fee of one contract, rounded up to a cent."""
    return -(-7 * cents * (100 - cents) // 10_000)


def contracts(cents: int, size: int) -> int:
    """Whole contracts at the top, whose worth in cents fits the word."""
    return min(size // 100, MOST_CENTS // cents) if cents else 0


@dataclass
class WholeCents:
    """The rule over a tape."""

    name: str = "top of book, whole cents"
    about: str = "pairs as the groups have them; sell orders in changes are read as asks"

    def findings(self, world: World) -> list[Found]:
        """Everything it finds."""
        kalshi, polymarket, named = UncheckedKalshi(), FallingAsks(), tokens(world.tape)
        token_of = {place: token for token, place in named.items()}

        def updates() -> Iterator[tuple[int, Key]]:
            for t_ns, venue, body in frames(world.tape):
                if venue == "kalshi":
                    key = kalshi.take(body)
                else:
                    market = polymarket.take(body)
                    key = None if market is None else (venue, market)
                if key is not None:
                    yield t_ns, key

        def ask(pair: Pair, bought: str, opposite: str) -> Offer | None:
            token = token_of.get((pair[1], opposite), "")
            return decide(kalshi.ask(pair[0][1], bought), polymarket.asks.get(token))

        return follow(same_pairs(world), updates(), ask, world.span_ns[1])
