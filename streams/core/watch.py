"""What the detector holds: each market's newest book, each group's families of baskets and the baskets looked at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.records import Book, FeeSchedule, Group, Market, Opportunity, Outcome, Venue
from schemas.units import ONE
from streams.core.baskets import Basket, Claim, Compiled, Family
from streams.core.depth import WalkLeg
from streams.core.ladder import claim_levels, read_long
from streams.core.waterfall import Touch

UNPRICED: Final = 1 << 40
"""Stands for the price of a claim that cannot be bought: above any payout, however many claims are summed."""

MANY: Final = 256
"""Families of more baskets of three and more claims are not listed: of such a family only the best basket is looked
for."""

_FREE: Final = FeeSchedule(model="none", taker_rate=0, maker_rate=0, exponent=0, balance_precision=0)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a book was read: its record and its place among the books of that record."""

    topic: str
    partition: int
    offset: int
    index: int


class MarketState:
    """One market of a group: its reference record and the newest book with the place where it was first seen.

    `board` is the group's, where this market's YES stands at `cell` (an even place), its NO right after it. `literal`
    is what its YES makes, `equals` the places of the claims of other markets that make the same. The families and
    `equals` are there once a group is wired.
    """

    __slots__ = (
        "_offers",
        "board",
        "book",
        "cell",
        "confirmed_ns",
        "epoch",
        "equals",
        "exclusive",
        "families",
        "group",
        "literal",
        "market",
        "name",
        "received_ns",
        "sequence",
        "source",
        "venue",
    )

    def __init__(self, venue: Venue, name: str, group: str, market: Market | None) -> None:
        self.venue = venue
        self.name = name
        self.group = group
        self.market = market
        self.board = Board(1)
        self.cell = 0
        self.literal: int | None = None
        self.equals: tuple[int, ...]
        self.families: list[FamilyWatch]
        self.exclusive: list[FamilyWatch]
        self.forget()

    def forget(self) -> None:
        """Drop the book."""
        self.book: Book | None = None
        self.source: Source | None = None
        self.epoch = self.sequence = -1
        self.received_ns = self.confirmed_ns = 0
        self.price()

    def price(self) -> None:
        """Bring the two claim prices up to date with book and reference record."""
        yes = no = UNPRICED
        book = self.book
        if book is not None and book.state == "live" and self.market is not None:
            ladder, bids = book.ladder, book.bid_count
            if book.ask_count:
                yes = read_long(ladder, 16 * bids)[0]
            if bids:
                no = ONE - read_long(ladder)[0]
        prices, cell, literal = self.board.prices, self.cell, self.literal
        prices[cell] = yes
        prices[cell + 1] = no
        if literal is not None:
            for other in self.equals:
                if prices[other] < yes:
                    yes = prices[other]
                if prices[other ^ 1] < no:
                    no = prices[other ^ 1]
            best = self.board.best
            best[literal] = yes
            best[literal ^ 1] = no
        self._offers: dict[Outcome, WalkLeg] | None = None

    def touch(self, outcome: Outcome) -> Touch:
        """The claim's best prices; of a side that is empty 0."""
        prices = self.board.prices
        yes, no = prices[self.cell], prices[self.cell + 1]
        buy, against = (yes, no) if outcome == "yes" else (no, yes)
        return Touch(self.venue, buy if buy < UNPRICED else 0, ONE - against if against < UNPRICED else 0)

    def offer(self, outcome: Outcome, *, bare: bool) -> WalkLeg:
        """What the depth walk needs of a claim, made once a book; raises LadderError. `bare`: no fees, no minimums.

        Only with a book and a reference record, and always in the same way.
        """
        if self._offers is None:
            self._offers = {}
        found = self._offers.get(outcome)
        if found is None:
            assert self.book is not None
            assert self.market is not None
            levels, market = claim_levels(self.book, outcome), self.market
            found = self._offers[outcome] = (
                WalkLeg(levels, _FREE)
                if bare
                else WalkLeg(levels, market.fee, market.minimum_quantity, market.minimum_value, market.lot)
            )
        return found

    def obstacle(self, now_ns: int, freshness_ns: int | None) -> str | None:
        """Why this leg cannot be used now; None when it can, as far as state and freshness go."""
        if self.book is None:
            return f"stale: {self.venue} {self.name}"
        if self.market is None:
            return f"market unknown: {self.venue} {self.name}"
        if self.book.state != "live":
            return f"leg not live: {self.venue} {self.name}: {self.book.state}"
        if freshness_ns is not None and now_ns - self.confirmed_ns > freshness_ns:
            return f"stale: {self.venue} {self.name}"
        return None


class Board:
    """The best prices of a group: `prices` of every claim, and `best`, the lowest of those that make a literal."""

    __slots__ = ("best", "prices")

    def __init__(self, markets: int, literals: int = 0) -> None:
        self.prices = [UNPRICED] * (2 * markets)
        self.best = [UNPRICED] * literals


class Open:
    """An opportunity that is open: its last emitted record, its basket's watch (none while its group is unknown), and
    the moment its expiry is looked at next (-1: never)."""

    __slots__ = ("deadline_ns", "ended", "last", "watch")

    def __init__(self, last: Opportunity) -> None:
        self.last = last
        self.watch: Watch | None = None
        self.deadline_ns = -1
        self.ended = False

    @property
    def key(self) -> tuple[str, str]:
        """Group and basket id."""
        return self.last.group, self.last.basket


class Watch:
    """One basket of a group, wired to the states of its legs. `cells` are their places in the board's prices."""

    __slots__ = ("_legs", "basket", "cells", "family", "open", "prices", "states", "true_sets")

    def __init__(
        self,
        basket: Basket,
        states: tuple[MarketState, ...],
        family: "FamilyWatch",
        true_sets: tuple[tuple[int, ...], ...],
    ) -> None:
        self.basket = basket
        self.states = states
        self.family = family
        self.true_sets = true_sets
        self.prices = family.group.board.prices
        self._legs = tuple(zip(states, basket.claims, strict=True))
        self.cells = tuple(state.cell + (claim.outcome == "no") for state, claim in self._legs)
        self.open: Open | None = None

    def begin(self, running: Open) -> None:
        """An opportunity on this basket is open from now on."""
        self.open = running
        running.watch = self
        self.family.running[self.basket.basket_id] = self

    def end(self) -> None:
        """It is not any more."""
        if self.open is not None:
            self.open.watch = None
        self.open = None
        self.family.running.pop(self.basket.basket_id, None)

    def crosses(self) -> bool:
        """The top-of-book test: the best prices of all claims together cost less than they pay."""
        prices = self.prices
        return sum([prices[cell] for cell in self.cells]) < self.basket.payout

    def waits(self) -> bool:
        """Whether a leg's book or reference record has not arrived yet."""
        return any(state.book is None or state.market is None for state in self.states)

    def obstacle(self, now_ns: int, freshness_ns: int | None, skew_ns: int) -> str | None:
        """The first leg's reason why the basket cannot be bought now, None when nothing stands against it."""
        for state in self.states:
            reason = state.obstacle(now_ns, freshness_ns)
            if reason is not None:
                return reason
        oldest = min(self.states, key=lambda state: state.confirmed_ns)
        if skew_ns and max(state.confirmed_ns for state in self.states) - oldest.confirmed_ns > skew_ns:
            return f"skew: {oldest.venue} {oldest.name}"
        return None

    def deadline_ns(self, freshness_ns: int) -> int:
        """The last moment at which every leg is fresh."""
        return min(state.confirmed_ns for state in self.states) + freshness_ns

    def offers(self, *, bare: bool) -> tuple[WalkLeg, ...]:
        """What the depth walk needs of each leg; raises LadderError."""
        return tuple(state.offer(claim.outcome, bare=bare) for state, claim in self._legs)

    def depths(self, *, bare: bool) -> dict[Claim, int]:
        """Contracts offered of each claim, all levels together (1e-2 contract); raises LadderError."""
        return {
            claim: sum(quantity for _, quantity in state.offer(claim.outcome, bare=bare).levels)
            for state, claim in self._legs
        }

    def touches(self) -> list[Touch]:
        """The best prices of each claim."""
        return [state.touch(claim.outcome) for state, claim in self._legs]

    def leg_of(self, state: MarketState) -> int:
        """Which leg a market is, -1 when it is none."""
        return next((leg for leg, one in enumerate(self.states) if one is state), -1)


class FamilyWatch:
    """One family of a group: the literals whose best prices are summed, and its baskets that are open.

    `payout` is 1e-4 dollar per contract of every literal.
    """

    __slots__ = ("_members", "exclusive", "family", "group", "literals", "many", "payout", "running")

    def __init__(self, family: Family, group: "GroupWatch") -> None:
        self.family = family
        self.group = group
        self.literals = family.literals
        self.payout = family.payout * ONE
        self.exclusive = family.exclusive
        self.many = family.size > MANY and len(set(family.literals)) == len(family.literals) > 2
        self.running: dict[str, Watch] = {}
        self._members: list[Watch] | None = None

    def crosses(self) -> bool:
        """Whether the best prices leave a basket of this family that may pay more than it costs."""
        best = self.group.board.best
        if not self.exclusive:
            return sum([best[literal] for literal in self.literals]) < self.payout
        return sum([ONE - best[literal] for literal in self.literals if best[literal] < ONE]) > ONE

    def members(self) -> list[Watch]:
        """Every basket of a family that is not `many`, made when it is first asked for."""
        if self._members is None:
            found = {basket.basket_id: basket for basket in self.group.compiled.members(self.family)}
            watches = (self.group.watch(basket, self) for basket in found.values())
            self._members = [watch for watch in watches if watch is not None]
        return self._members

    def choices(self, now_ns: int, freshness_ns: int | None, *, bare: bool) -> Iterator[Watch]:
        """The baskets of a family of `many` that are worth a look; raises LadderError.

        From the cheapest claims that can be used now on, each time with the next dearer claim in place of the one that
        offers least, or without it (in an exclusive set).
        """
        prices = self.group.board.prices
        ranked = {literal: self.group.ranked(literal, now_ns, freshness_ns) for literal in self.literals}
        if self.exclusive:
            ranked = {literal: places for literal, places in ranked.items() if places and prices[places[0][1]] < ONE}
        if not all(ranked.values()):
            return
        chosen = {literal: places.pop(0) for literal, places in ranked.items()}
        while len(chosen) >= 3:
            payout = (len(chosen) - 1) * ONE if self.exclusive else self.payout
            watch = self.group.choice([claim for claim, _ in chosen.values()], payout, self)
            if watch is None or not watch.crosses():
                return
            yield watch
            depths = watch.depths(bare=bare)
            shallow = min(chosen, key=lambda literal: (depths[chosen[literal][0]], literal))
            if ranked[shallow] and prices[ranked[shallow][0][1]] < ONE:
                chosen[shallow] = ranked[shallow].pop(0)
            elif self.exclusive:
                del chosen[shallow]
            else:
                return


class GroupWatch:
    """A group in force: its record, what it compiles to, and the families over the markets that it has now.

    It has none until it is wired. `claims` gives, for every literal, the claims that make it and their cells.
    """

    def __init__(self, record: Group, compiled: Compiled) -> None:
        self.record = record
        self.compiled = compiled
        self.wire({})

    def wire(self, states: dict[tuple[Venue, str], MarketState]) -> None:
        """Put the group's families over the markets that it has; what was watched before is forgotten."""
        self._states = states
        self._watches: dict[str, Watch] = {}
        self._most_watches = 16 * MANY
        self.board = Board(len(states), len(self.compiled.claims))
        for number, state in enumerate(states.values()):
            state.board, state.cell, state.families, state.exclusive = self.board, 2 * number, [], []
            state.literal, state.equals = None, ()
        self.claims: list[list[tuple[Claim, int]]] = []
        for literal, claims in enumerate(self.compiled.claims):
            places = [
                (claim, states[claim.venue, claim.market].cell + (claim.outcome == "no"))
                for claim in claims
                if (claim.venue, claim.market) in states
            ]
            self.claims.append(places)
            for claim, cell in places:
                if claim.outcome == "yes":
                    state = states[claim.venue, claim.market]
                    state.literal = literal
                    state.equals = tuple(other for _, other in places if other != cell)
        self.families: list[FamilyWatch] = []
        for family in () if self.record.status == "blocked" else self.compiled.families:
            self._add(FamilyWatch(family, self))
        for state in states.values():
            state.price()

    def _add(self, watch: FamilyWatch) -> None:
        self.families.append(watch)
        markets = {(claim.venue, claim.market) for literal in watch.literals for claim, _ in self.claims[literal]}
        for key in markets:
            state = self._states[key]
            (state.exclusive if watch.exclusive else state.families).append(watch)

    def running(self) -> list[Watch]:
        """The baskets that are open, in order of their ids."""
        found = {basket_id: watch for family in self.families for basket_id, watch in family.running.items()}
        return [found[basket_id] for basket_id in sorted(found)]

    def watch(self, basket: Basket, family: FamilyWatch) -> Watch | None:
        """The watch of a basket, the same one each time; None when the group does not have all its markets."""
        known = self._watches.get(basket.basket_id)
        if known is not None:
            return known
        states = [self._states.get((claim.venue, claim.market)) for claim in basket.claims]
        found = tuple(state for state in states if state is not None)
        if len(found) < len(states):
            return None
        made = Watch(basket, found, family, self.compiled.true_sets(basket.claims))
        self._watches[basket.basket_id] = made
        return made

    def ranked(self, literal: int, now_ns: int, freshness_ns: int | None) -> list[tuple[Claim, int]]:
        """The claims that make a literal and that nothing stands against now, with their cells, cheapest first."""
        usable = [
            (claim, cell)
            for claim, cell in self.claims[literal]
            if self._states[claim.venue, claim.market].obstacle(now_ns, freshness_ns) is None
        ]
        return sorted(usable, key=lambda place: (self.board.prices[place[1]], place[0]))

    def choice(self, claims: Sequence[Claim], payout: int, family: FamilyWatch) -> Watch | None:
        """The watch of a basket of a large family."""
        if len(self._watches) > self._most_watches:  # choices come and go with the prices: keep what others hold
            kept = (watch for watch in self._watches.values() if watch.open is not None or not watch.family.many)
            self._watches = {watch.basket.basket_id: watch for watch in kept}
            self._most_watches = len(self._watches) + 16 * MANY
        return self.watch(self.compiled.basket(claims, payout), family)

    def find(self, basket_id: str) -> Watch | None:
        """The watch of the basket with this id; None when it is none of this group's."""
        claims = claims_of(basket_id)
        place = None if claims is None or not self.families else self.compiled.place(claims)
        return None if place is None else self.watch(place[1], self.families[place[0]])


def claims_of(basket_id: str) -> list[Claim] | None:
    """The claims that a basket's id names, None when it is no such id."""
    parts = [claim.split("/") for claim in basket_id.split("|")]
    if any(len(part) != 3 for part in parts):
        return None
    return [Claim(*part) for part in parts]  # type: ignore[arg-type]
