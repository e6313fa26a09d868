"""What the detector holds: each market's newest book, each basket's open opportunity; and the records it makes."""

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from schemas.records import Book, Group, Level, Market, Opportunity, OpportunityEvent, OpportunityLeg, Outcome, Venue
from schemas.units import ONE
from streams.core.baskets import Basket, Claim
from streams.core.depth import Walk, WalkedLeg, WalkLeg
from streams.core.ladder import best_ask, best_bid, claim_levels

UNPRICED: Final = 1 << 40
"""Stands for the price of a claim that cannot be bought: above any payout, however many claims are summed."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a book was read: its record and its place among the books of that record."""

    topic: str
    partition: int
    offset: int
    index: int


class MarketState:
    """One market of a group: its reference record and the newest book with the place where it was first seen.

    `prices` is the group's list of best claim prices; this market's YES stands at `cell`, its NO right after it.
    """

    __slots__ = (
        "_levels",
        "book",
        "cell",
        "confirmed_ns",
        "epoch",
        "group",
        "market",
        "name",
        "prices",
        "received_ns",
        "sequence",
        "source",
        "venue",
        "watched",
    )

    def __init__(self, venue: Venue, name: str, group: str, market: Market | None) -> None:
        self.venue = venue
        self.name = name
        self.group = group
        self.market = market
        self.prices: list[int] = [UNPRICED, UNPRICED]
        self.cell = 0
        self.watched: list[tuple[Watch, int]] = []
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
            ask = best_ask(book)
            if ask is not None:
                yes = ask
            bid = best_bid(book)
            if bid is not None:
                no = ONE - bid
        prices = self.prices
        prices[self.cell] = yes
        prices[self.cell + 1] = no
        self._levels: dict[Outcome, list[Level]] = {}

    def levels(self, outcome: Outcome) -> list[Level]:
        """The levels of a claim, unpacked once a book; raises LadderError. Only with a book."""
        found = self._levels.get(outcome)
        if found is None:
            assert self.book is not None
            found = self._levels[outcome] = claim_levels(self.book, outcome)
        return found

    def obstacle(self, now_ns: int, freshness_ns: int) -> str | None:
        """Why this leg cannot be used now; None when it can, as far as state and freshness go."""
        if self.book is None:
            return f"stale: {self.venue} {self.name}"
        if self.market is None:
            return f"market unknown: {self.venue} {self.name}"
        if self.book.state != "live":
            return f"leg not live: {self.venue} {self.name}: {self.book.state}"
        if now_ns - self.confirmed_ns > freshness_ns:
            return f"stale: {self.venue} {self.name}"
        return None


class Open:
    """An opportunity that is open: its last emitted record, and the moment its expiry is looked at next (-1: never)."""

    __slots__ = ("deadline_ns", "ended", "last")

    def __init__(self, last: Opportunity) -> None:
        self.last = last
        self.deadline_ns = -1
        self.ended = False

    @property
    def key(self) -> tuple[str, str]:
        """Group and basket id."""
        return self.last.group, self.last.basket


class Watch:
    """One basket of a group, wired to the states of its legs. `cells` are their places in `prices`."""

    __slots__ = ("basket", "cells", "open", "prices", "states")

    def __init__(self, basket: Basket, states: tuple[MarketState, ...], prices: list[int]) -> None:
        self.basket = basket
        self.states = states
        self.prices = prices
        self.cells = tuple(
            state.cell + (claim.outcome == "no") for state, claim in zip(states, basket.claims, strict=True)
        )
        self.open: Open | None = None

    def crosses(self) -> bool:
        """The top-of-book test: the best prices of all claims together cost less than they pay."""
        prices = self.prices
        return sum([prices[cell] for cell in self.cells]) < self.basket.payout

    def waits(self) -> bool:
        """Whether a leg's book or reference record has not arrived yet."""
        return any(state.book is None or state.market is None for state in self.states)

    def obstacle(self, now_ns: int, freshness_ns: int) -> str | None:
        """The first leg's reason why the basket cannot be bought now, None when nothing stands against it."""
        for state in self.states:
            reason = state.obstacle(now_ns, freshness_ns)
            if reason is not None:
                return reason
        return None

    def deadline_ns(self, freshness_ns: int) -> int:
        """The last moment at which every leg is fresh."""
        return min(state.confirmed_ns for state in self.states) + freshness_ns

    def offers(self) -> tuple[WalkLeg, ...]:
        """What the depth walk needs of each leg; raises LadderError."""
        return tuple(_offer(state, claim.outcome) for state, claim in zip(self.states, self.basket.claims, strict=True))

    def legs(self, walk: Walk) -> tuple[OpportunityLeg, ...]:
        """The legs of a record, from the books in force and what the walk took of them."""
        return tuple(
            _leg(claim, state, walked)
            for claim, state, walked in zip(self.basket.claims, self.states, walk.legs, strict=True)
        )


class Compiled:
    """A group in force: its record, all its baskets, and a watch for each whose markets it has."""

    __slots__ = ("baskets", "record", "watches")

    def __init__(self, record: Group, baskets: tuple[Basket, ...]) -> None:
        self.record = record
        self.baskets = baskets
        self.watches: dict[str, Watch] = {}


def _offer(state: MarketState, outcome: Outcome) -> WalkLeg:
    assert state.market is not None
    market = state.market
    return WalkLeg(state.levels(outcome), market.fee, market.minimum_quantity, market.minimum_value)


def _leg(claim: Claim, state: MarketState, walked: WalkedLeg) -> OpportunityLeg:
    book, source = state.book, state.source
    assert book is not None
    assert source is not None
    return OpportunityLeg(
        venue=claim.venue,
        market=claim.market,
        outcome=claim.outcome,
        best_price=walked.fills[0][0],
        limit_price=walked.limit_price,
        levels=tuple(number for level in walked.fills for number in level),
        cost=walked.cost,
        fee=walked.fee,
        epoch=state.epoch,
        sequence=state.sequence,
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        index=source.index,
        confirmed_ns=state.confirmed_ns,
        api_response_ns=book.api_response_ns,
        processing_complete_ns=book.processing_complete_ns,
        virginia_received_ns=state.received_ns,
    )


def same_offer(last: Opportunity, walk: Walk) -> bool:
    """Whether the walk found what was emitted last: same quantity, net, and levels of every leg."""
    return (
        walk.quantity == last.quantity
        and walk.net == last.net
        and all(
            tuple(number for level in walked.fills for number in level) == leg.levels
            for walked, leg in zip(walk.legs, last.legs, strict=True)
        )
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """When and why something is emitted: the partition's time, the causing leg (-1: none) and its frame's receipt."""

    time_ns: int
    cause: int
    cause_api_response_ns: int
    partition: int
    journal_epoch: int


def opened(identity: str, revision: int, watch: Watch, walk: Walk, moment: Moment) -> Opportunity:
    """The record of an opportunity that begins."""
    return Opportunity(
        opportunity_id=identity,
        revision=revision,
        event="opened",
        reason="",
        group=watch.basket.group,
        basket=watch.basket.basket_id,
        legs=watch.legs(walk),
        quantity=walk.quantity,
        payout=walk.payout,
        gross=walk.gross,
        fees=walk.fees,
        net=walk.net,
        peak_net=walk.net,
        opened_ns=moment.time_ns,
        time_ns=moment.time_ns,
        cause=moment.cause,
        cause_api_response_ns=moment.cause_api_response_ns,
        partition=moment.partition,
        journal_epoch=moment.journal_epoch,
    )


def changed(last: Opportunity, watch: Watch, walk: Walk, moment: Moment) -> Opportunity:
    """The next record of an opportunity whose size, net or levels are not what was emitted last."""
    return replace(
        _follow(last, "changed", "", moment),
        legs=watch.legs(walk),
        quantity=walk.quantity,
        payout=walk.payout,
        gross=walk.gross,
        fees=walk.fees,
        net=walk.net,
        peak_net=max(last.peak_net, walk.net),
    )


def closed(last: Opportunity, reason: str, moment: Moment) -> Opportunity:
    """The last record: nothing to buy any more. Legs and peak stay as emitted last."""
    return replace(_follow(last, "closed", reason, moment), quantity=0, payout=0, gross=0, fees=0, net=0)


def _follow(last: Opportunity, event: OpportunityEvent, reason: str, moment: Moment) -> Opportunity:
    return replace(
        last,
        revision=last.revision + 1,
        event=event,
        reason=reason,
        # An opportunity from an earlier epoch may carry the stamp of a clock that ran ahead of this one.
        time_ns=max(moment.time_ns, last.time_ns),
        cause=moment.cause,
        cause_api_response_ns=moment.cause_api_response_ns,
        partition=moment.partition,
        journal_epoch=moment.journal_epoch,
    )
