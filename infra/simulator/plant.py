"""Planted edges of the generated tape: the level that opens one, and what it is worth."""

from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

from infra.simulator.edges import Best, best_quantity
from infra.simulator.walk import CENT, Book, Pair

TRUE = "profitable"
FALSE_REASONS = ("fees", "below_minimum_size", "below_minimum_worth")
MIN_NET = 250_000  # a true edge is worth at least 0.25 dollar, so that no sensible threshold hides it


@dataclass(frozen=True, slots=True)
class Plan:
    """A planted edge before it is known what it is worth: when, on which pair, and why it is true or false."""

    pair: Pair
    reason: str
    open_ns: int
    close_ns: int


@dataclass(frozen=True, slots=True)
class Planted:
    """A planted edge: the level that opens it and its answer."""

    plan: Plan
    side: str
    price: int
    size: int
    basket: tuple[tuple[str, str], tuple[str, str]]
    best: Best | None


def plant(plan: Plan, random: Random) -> Planted:
    """Find a level inside the wide venue's spread that makes the edge wanted; tried at random until it is proven."""
    pair = plan.pair
    wide, tight = pair.books[pair.wide], pair.books[pair.tight]
    for _ in range(10_000):
        side = "bids" if plan.reason == "below_minimum_worth" else ("bids", "asks")[random.randrange(2)]
        through = random.randrange(1, 3) if plan.reason == "fees" else random.randrange(3, 9)
        if side == "asks":
            price = max(tight.bids) - through * CENT
            inside = max(wide.bids) < price < min(wide.asks)
            basket = ((pair.wide, "yes"), (pair.tight, "no"))
        else:
            price = min(tight.asks) + through * CENT
            inside = max(wide.bids) < price < min(wide.asks)
            basket = ((pair.tight, "yes"), (pair.wide, "no"))
        if not inside:
            continue
        size = 100 * _contracts(plan.reason, random)
        opened = {pair.tight: tight, pair.wide: _with_level(wide, side, price, size)}
        ladders = {venue: opened[venue].claim(outcome) for venue, outcome in basket}
        best = best_quantity(ladders["kalshi"], ladders["polymarket"])
        if _is_wanted(plan.reason, best, list(ladders.values())):
            return Planted(plan, side, price, size, basket, best)
    raise ValueError(f"no level makes {pair.name} a {plan.reason} edge")


def _contracts(reason: str, random: Random) -> int:
    ranges = {"below_minimum_size": (1, 5), "below_minimum_worth": (5, 7)}
    return random.randrange(*ranges.get(reason, (8, 120)))


def _is_wanted(reason: str, best: Best | None, ladders: list[list[tuple[int, int]]]) -> bool:
    """A true edge ends where a level of whole contracts does, so rounding cannot move it; a false one always loses."""
    if reason != TRUE:
        return best is None or best.net < 0
    ends = {end for ladder in ladders for end in accumulate(size for _, size in ladder)}
    return best is not None and best.alone and best.net >= MIN_NET and best.quantity in ends


def _with_level(book: Book, side: str, price: int, size: int) -> Book:
    bids, asks = dict(book.bids), dict(book.asks)
    (bids if side == "bids" else asks)[price] = size
    return Book(bids, asks)


def answer(edge: Planted) -> dict[str, Any]:
    """The answer of an edge whose level has just been put: units 1e-4 dollar, 1e-2 contract, 1e-6 dollar."""
    pair, plan = edge.plan.pair, edge.plan
    names = {"kalshi": pair.ticker, "polymarket": pair.market.condition_id}
    ladders = [pair.books[venue].claim(outcome) for venue, outcome in edge.basket]
    true = plan.reason == TRUE and edge.best is not None
    return {
        "group": pair.name,
        "kind": "true" if true else "false",
        "reason": plan.reason,
        "t_open_ns": plan.open_ns,
        "t_close_ns": plan.close_ns,
        "basket": [
            {"venue": venue, "market": names[venue], "outcome": outcome, "price": ladder[0][0], "size": ladder[0][1]}
            for (venue, outcome), ladder in zip(edge.basket, ladders, strict=True)
        ],
        "ladders": ladders,
        "quantity": edge.best.quantity if true and edge.best else None,
        "net": edge.best.net if true and edge.best else None,
    }
