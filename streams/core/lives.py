"""The records of an opportunity's life and of rejected candidates, made from what was found."""

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from schemas.records import Analysis, Opportunity, OpportunityEvent, OpportunityLeg
from streams.core.baskets import Claim
from streams.core.depth import Walk, WalkedLeg
from streams.core.ladder import limit_price
from streams.core.watch import MarketState, Watch
from streams.core.waterfall import Terms, Waterfall


@dataclass(frozen=True, slots=True)
class Found:
    """A basket's best size now: what the walk takes, what that is worth, and what the charges follow from."""

    walk: Walk
    waterfall: Waterfall
    terms: Terms

    @property
    def net(self) -> int:
        """Money that counts, after everything."""
        return self.walk.net


@dataclass(frozen=True, slots=True)
class Moment:
    """When and why something is emitted: the partition's time, the causing leg (-1: none) and its frame's receipt."""

    time_ns: int
    cause: int
    cause_api_response_ns: int
    partition: int
    journal_epoch: int


def same_offer(last: Opportunity, walk: Walk) -> bool:
    """Whether the walk found what was emitted last: same quantity, cash and levels of every leg.

    Charges that drift with the time or with another side of a book are no news.
    """
    return (
        walk.quantity == last.quantity
        and walk.gross == last.gross
        and walk.fees == last.fees
        and all(
            tuple(number for level in walked.fills for number in level) == leg.levels
            for walked, leg in zip(walk.legs, last.legs, strict=True)
        )
    )


def opened(identity: str, revision: int, watch: Watch, found: Found, moment: Moment) -> Opportunity:
    """The record of an opportunity that begins."""
    return Opportunity(
        opportunity_id=identity,
        revision=revision,
        event="opened",
        reason="",
        group=watch.basket.group,
        basket=watch.basket.basket_id,
        legs=_legs(watch, found.walk),
        peak_net=found.net,
        opened_ns=moment.time_ns,
        time_ns=moment.time_ns,
        cause=moment.cause,
        cause_api_response_ns=moment.cause_api_response_ns,
        partition=moment.partition,
        journal_epoch=moment.journal_epoch,
        peak_ns=moment.time_ns,
        **_money(found),
    )


def changed(last: Opportunity, watch: Watch, found: Found, moment: Moment) -> Opportunity:
    """The next record of an opportunity whose size, cash or levels are not what was emitted last."""
    after = replace(_follow(last, "changed", "", moment), legs=_legs(watch, found.walk), **_money(found))
    return replace(after, peak_net=found.net, peak_ns=after.time_ns) if found.net > last.peak_net else after


def closed(last: Opportunity, reason: str, moment: Moment) -> Opportunity:
    """The last record: nothing to buy any more. Legs and peak stay as emitted last."""
    return replace(_follow(last, "closed", reason, moment), **_NOTHING)


def _follow(last: Opportunity, event: OpportunityEvent, reason: str, moment: Moment) -> Opportunity:
    # An opportunity from an earlier epoch may carry the stamp of a clock that ran ahead of this one.
    time_ns = max(moment.time_ns, last.time_ns)
    return replace(
        last,
        revision=last.revision + 1,
        event=event,
        reason=reason,
        time_ns=time_ns,
        survived_ns=time_ns - last.opened_ns,
        cause=moment.cause,
        cause_api_response_ns=moment.cause_api_response_ns,
        partition=moment.partition,
        journal_epoch=moment.journal_epoch,
    )


_STEPS: Final = (
    "gross", "depth_cost", "fees", "gas", "basis", "settlement_risk", "time_value", "net", "capital",
    "annualised_ppm", "void_payout",
)  # fmt: skip
_NOTHING: Final = dict.fromkeys(("quantity", "payout", "settles_ns", *_STEPS), 0)
_WEIGHED: Final = (
    "quantity", "payout", "gross", "depth_cost", "fees", "gas", "basis", "settlement_risk", "time_value", "net",
)  # fmt: skip
"""The money that an analysis has, too."""


def _money(found: Found) -> dict[str, int]:
    steps = {name: getattr(found.waterfall, name) for name in _STEPS}
    return steps | {
        "quantity": found.walk.quantity,
        "payout": found.walk.payout,
        "settles_ns": found.terms.settles_ns,
    }


def _legs(watch: Watch, walk: Walk) -> tuple[OpportunityLeg, ...]:
    return tuple(
        _leg(claim, state, walked)
        for claim, state, walked in zip(watch.basket.claims, watch.states, walk.legs, strict=True)
    )


def _leg(claim: Claim, state: MarketState, walked: WalkedLeg) -> OpportunityLeg:
    book, source, market = state.book, state.source, state.market
    assert book is not None
    assert source is not None
    assert market is not None
    return OpportunityLeg(
        venue=claim.venue,
        market=claim.market,
        outcome=claim.outcome,
        best_price=walked.fills[0][0],
        limit_price=limit_price(market.ticks, claim.outcome, walked.limit_price),
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


def rejected(watch: Watch, reason: str, detail: str, found: Found | None, moment: Moment, suppressed: int) -> Analysis:
    """The record of a candidate that crosses at the top and is none; `found` is its best size, if one was weighed."""
    money = _NOTHING if found is None else _money(found)
    return Analysis(
        group=watch.basket.group,
        basket=watch.basket.basket_id,
        reason=reason,
        detail=detail,
        time_ns=moment.time_ns,
        suppressed=suppressed,
        partition=moment.partition,
        journal_epoch=moment.journal_epoch,
        **{name: money[name] for name in _WEIGHED},
    )
