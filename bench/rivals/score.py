"""Scoring: what was found against the labels, and what trading it would have earned.

*Found* is a true label during which the system had an opportunity with exactly its claims. *Missed* is one during
which it had none. A *phantom* is an opportunity that stood, for longer than 0 ns, when no true label of its claims did;
one that is right at first and stands on afterwards is both. Crossings that nobody could know to be none (labels with
`knowable` false) count as neither; their number is told apart. What opens and closes at the same instant never stood:
it does not count, and is not traded.

*Money.* Every opportunity is traded once, as it opens: an immediate-or-cancel order for each leg, all at once, for the
rule's own quantity at its own limits (off the price grid: rounded down). They fill from the books that the venues truly
had at that moment, down to the limit; an order below the venue's smallest, or in a market that does not trade, fills
nothing. An opportunity that shares a market with an earlier one of the same system which still stands is not traded:
nobody buys the same offer twice. Profit is the payout in the worst possible outcome of what was filled, so that a leg
left alone counts as lost, less costs and exact fees. `adjusted` also takes off what the group's own evidence charges:
probability of a void x payout, probability that the venues settle apart x payout, 5 % a year on the money until it
is back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.rivals.found import Found, Leg
from bench.rivals.world import Claim, Label, Ladder, Shown, World
from infra.simulator.edges import ONE_DOLLAR
from infra.simulator.planted.worth import Offer, bought

HURDLE: Final = 0.05
YEAR_NS: Final = 365 * 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Trade:
    """What came of an opportunity's orders: filled (1e-2 contract) a leg, and money."""

    found: Found
    filled: tuple[int, ...]
    net: int
    adjusted: int

    @property
    def uneven(self) -> bool:
        """Whether a leg was left alone, wholly or in part."""
        return len(set(self.filled)) > 1


@dataclass(frozen=True, slots=True)
class Score:
    """One system's row."""

    name: str
    found: int
    missed: tuple[Label, ...]
    phantoms: tuple[Found, ...]
    unknowable: int
    trades: tuple[Trade, ...]

    @property
    def net(self) -> int:
        """Cash of all trades."""
        return sum(trade.net for trade in self.trades)

    @property
    def adjusted(self) -> int:
        """The same after risk and time."""
        return sum(trade.adjusted for trade in self.trades)

    @property
    def phantom_net(self) -> int:
        """What the phantoms among them came to."""
        return sum(trade.net for trade in self.trades if trade.found in self.phantoms)

    @property
    def uneven(self) -> int:
        """Trades that left a leg alone."""
        return sum(trade.uneven for trade in self.trades)


def score(name: str, found: Sequence[Found], world: World) -> Score:
    """Hold everything a system found against the labels, and trade it."""
    found = [one for one in found if one.close_ns > one.open_ns]
    stood: dict[frozenset[Claim], list[Found]] = {}
    for one in found:
        stood.setdefault(one.claims, []).append(one)
    true = [label for label in world.labels if label.true]
    missed = [label for label in true if not any(_overlap(one, label) for one in stood.get(label.claims, ()))]
    by_claims: dict[frozenset[Claim], list[Label]] = {}
    for label in world.labels:
        by_claims.setdefault(label.claims, []).append(label)
    phantoms = tuple(one for one in found if _outside(one, by_claims.get(one.claims, ())))
    lost = [label for label in world.labels if not label.knowable]
    unknowable = sum(any(_overlap(one, label) for label in lost if label.claims == one.claims) for one in found)
    return Score(name, len(true) - len(missed), tuple(missed), phantoms, unknowable, tuple(_traded(found, world)))


def _overlap(one: Found, label: Label) -> int:
    return max(0, min(one.close_ns, label.close_ns) - max(one.open_ns, label.open_ns))


def _outside(one: Found, labels: Iterable[Label]) -> bool:
    """Whether it stood when no label allowed it. Labels of the same claims do not overlap one another."""
    allowed = sum(_overlap(one, label) for label in labels if label.true or not label.knowable)
    return allowed < one.close_ns - one.open_ns


def _traded(found: Iterable[Found], world: World) -> Iterable[Trade]:
    """Every opportunity that is traded, in order of opening."""
    busy: dict[tuple[str, str], int] = {}
    for one in sorted(found, key=lambda each: each.open_ns):
        keys = [(venue, market) for venue, market, _ in one.claims]
        if any(busy.get(key, 0) > one.open_ns for key in keys):
            continue
        busy |= dict.fromkeys(keys, one.close_ns)
        yield trade(one, world)


def trade(one: Found, world: World) -> Trade:
    """Send an opportunity's orders to the books that the venues truly had."""
    filled, spent, capital = [], 0, 0
    for leg in one.legs:
        quantity, cost, fee = fill(leg, world, one.open_ns)
        filled.append(quantity)
        spent += cost + fee
        capital += cost
    held = {leg.claim: quantity for leg, quantity in zip(one.legs, filled, strict=True)}
    payout = worst_payout(held, world)
    net = payout - spent
    return Trade(one, tuple(filled), net, net - _charges(one, payout, capital, world))


def fill(leg: Leg, world: World, t_ns: int) -> tuple[int, int, int]:
    """What one order gets: quantity, cost and fee."""
    venue, market, outcome = leg.claim
    terms, book = world.markets[venue, market], world.truth.at((venue, market), t_ns)
    if book is None or not book.usable:
        return 0, 0, 0
    limit = leg.limit // book.grid * book.grid
    if not _accepted(leg.quantity, limit, world, leg.claim):
        return 0, 0, 0
    ladder = [(price, size) for price, size in book.claim(outcome) if price <= limit]
    quantity = min(leg.quantity, sum(size for _, size in ladder))
    return (quantity, *bought(Offer(venue, ladder, terms.rate), quantity)) if quantity else (0, 0, 0)


def _accepted(quantity: int, limit: int, world: World, claim: Claim) -> bool:
    """Whether the venue takes an order of this size."""
    terms = world.markets[claim[0], claim[1]]
    return quantity >= terms.minimum_quantity and quantity * limit >= terms.minimum_value


def worst_payout(held: dict[Claim, int], world: World) -> int:
    """What the contracts pay in the worst possible outcome; groups have nothing to do with one another."""
    payout = 0
    for circle in world.circles.values():
        places = {key: at for at, key in enumerate(circle.members)}
        mine = [(places[v, m], side, size) for (v, m, side), size in held.items() if (v, m) in places]
        if mine:
            payout += min(
                sum(size for at, side, size in mine if outcome[at] == (side == "yes")) for outcome in circle.outcomes()
            )
    return payout * ONE_DOLLAR


def _charges(one: Found, payout: int, capital: int, world: World) -> int:
    """Risk and time of what was filled, money."""
    circles = {world.home.get((venue, market)) for venue, market, _ in one.claims}
    void, mismatch = 0.0, 0.0
    for name in circles - {None}:
        circle = world.circles[str(name)]
        void, mismatch = max(void, circle.void), max(mismatch, circle.mismatch)
    if len({venue for venue, _, _ in one.claims}) < 2:
        mismatch = 0.0
    settles_ns = max(world.markets[venue, market].settles_ns for venue, market, _ in one.claims)
    years = max(0, settles_ns - one.open_ns) / YEAR_NS
    return round((void + mismatch) * payout + HURDLE * years * capital)


def limit_of(book: Shown | None, outcome: str, quantity: int) -> int:
    """The worst price that a quantity reaches in a book: the last level's where it is too shallow, 0 without any."""
    ladder: Ladder = book.claim(outcome) if book is not None else []
    worst = 0
    for price, size in ladder:
        if quantity > 0:
            worst, quantity = price, quantity - size
    return worst
