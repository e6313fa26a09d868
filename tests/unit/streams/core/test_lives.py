"""The records of lives and rejections, number by number: every field from its own source."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from schemas.records import Analysis, Opportunity, OpportunityLeg, TickRange
from schemas.units import ONE
from streams.core.baskets import Basket, Claim
from streams.core.depth import Walk, WalkedLeg
from streams.core.lives import Found, Moment, changed, closed, opened, rejected, same_offer
from streams.core.watch import Source, Watch
from streams.core.waterfall import Terms, Waterfall
from tests.unit.streams.core.build import book, market

WALK = Walk(
    quantity=300,
    payout=3_000_000,
    gross=210_000,
    fees=7_000,
    net=150_000,
    legs=(
        WalkedLeg(fills=((4_000, 100), (4_100, 200)), cost=1_220_000, fee=4_000, limit_price=4_100),
        WalkedLeg(fills=((5_200, 300),), cost=1_560_000, fee=3_000, limit_price=5_200),
    ),
)
STEPS = Waterfall(
    gross=210_000, depth_cost=20_000, fees=7_000, gas=4_001, basis=3_002, settlement_risk=28_003, time_value=17_994,
    net=150_000, capital=2_791_001, annualised_ppm=123_456, void_payout=1_350_000,
)  # fmt: skip
TERMS = Terms(
    void_payout=4_500, shortfall=5_500, risk_parts=1, time_parts=2, basis_parts=(0, 3), gas=4_001, settles_ns=9_000
)
FOUND = Found(WALK, STEPS, TERMS)
MOMENT = Moment(time_ns=5_000, cause=1, cause_api_response_ns=4_321, partition=6, journal_epoch=11)
LATER = Moment(time_ns=5_800, cause=0, cause_api_response_ns=5_432, partition=7, journal_epoch=12)
MONEY = {
    "quantity": 300, "payout": 3_000_000, "gross": 210_000, "depth_cost": 20_000, "fees": 7_000, "gas": 4_001,
    "basis": 3_002, "settlement_risk": 28_003, "time_value": 17_994, "net": 150_000,
}  # fmt: skip
REST = {"capital": 2_791_001, "annualised_ppm": 123_456, "void_payout": 1_350_000, "settles_ns": 9_000}


def state(claim: Claim, number: int) -> SimpleNamespace:
    """What is known of a market with a live book; every stamp and place of it has a number of its own."""
    ticks = (TickRange(start=0, end=9_800, step=700),)
    live = book(claim.venue, claim.market, [(4_800, 300)], [(5_000, 300)])
    return SimpleNamespace(
        market=msgspec.structs.replace(market(claim.venue, claim.market), ticks=ticks),
        book=msgspec.structs.replace(live, api_response_ns=number + 1, processing_complete_ns=number + 2),
        source=Source(f"book.{claim.venue}", number + 3, number + 4, number + 5),
        epoch=number + 6,
        sequence=number + 7,
        confirmed_ns=number + 8,
        received_ns=number + 9,
    )


@pytest.fixture
def watch() -> Watch:
    """As much of a watch as the records are made from."""
    claims = (Claim("kalshi", "K", "yes"), Claim("polymarket", "P", "no"))
    states = (state(claims[0], 10), state(claims[1], 30))
    return cast(Watch, SimpleNamespace(basket=Basket("K|P", "g", claims, ONE), states=states))


def leg(number: int, **more: Any) -> OpportunityLeg:
    return OpportunityLeg(
        epoch=number + 6,
        sequence=number + 7,
        partition=number + 3,
        offset=number + 4,
        index=number + 5,
        confirmed_ns=number + 8,
        api_response_ns=number + 1,
        processing_complete_ns=number + 2,
        virginia_received_ns=number + 9,
        **more,
    )


LEGS = (
    leg(
        10, venue="kalshi", market="K", outcome="yes", topic="book.kalshi", best_price=4_000, limit_price=4_200,
        levels=(4_000, 100, 4_100, 200), cost=1_220_000, fee=4_000,
    ),
    leg(
        30, venue="polymarket", market="P", outcome="no", topic="book.polymarket", best_price=5_200, limit_price=5_800,
        levels=(5_200, 300), cost=1_560_000, fee=3_000,
    ),
)  # fmt: skip
FIRST = Opportunity(
    opportunity_id="id", revision=4, event="opened", reason="", group="g", basket="K|P", legs=LEGS, peak_net=150_000,
    opened_ns=5_000, time_ns=5_000, cause=1, cause_api_response_ns=4_321, partition=6, journal_epoch=11, peak_ns=5_000,
    **MONEY, **REST,
)  # fmt: skip


def found(net: int) -> Found:
    """The same legs with another net."""
    return Found(replace(WALK, net=net), replace(STEPS, net=net), TERMS)


def test_opened(watch: Watch) -> None:
    assert opened("id", 4, watch, FOUND, MOMENT) == FIRST


@pytest.mark.parametrize(
    ("net", "peak", "peak_ns"), [(150_001, 150_001, 5_800), (150_000, 150_000, 5_000), (9, 150_000, 5_000)]
)
def test_changed(watch: Watch, net: int, peak: int, peak_ns: int) -> None:
    """The numbers are new; only more net than ever is a new peak."""
    assert changed(FIRST, watch, found(net), LATER) == msgspec.structs.replace(
        FIRST, revision=5, event="changed", net=net, peak_net=peak, peak_ns=peak_ns, time_ns=5_800, survived_ns=800,
        cause=0, cause_api_response_ns=5_432, partition=7, journal_epoch=12,
    )  # fmt: skip


def test_changed_has_the_new_legs(watch: Watch) -> None:
    watch.states[0].sequence = 99
    one = changed(FIRST, watch, FOUND, LATER)
    assert one.legs == (msgspec.structs.replace(LEGS[0], sequence=99), LEGS[1])


def test_closed() -> None:
    """No money any more, but legs and peak as they were."""
    nothing: dict[str, Any] = dict.fromkeys([*MONEY, *REST], 0)
    assert closed(FIRST, "edge gone", LATER) == msgspec.structs.replace(
        FIRST, revision=5, event="closed", reason="edge gone", time_ns=5_800, survived_ns=800, cause=0,
        cause_api_response_ns=5_432, partition=7, journal_epoch=12, **nothing,
    )  # fmt: skip


def test_time_does_not_run_backwards_in_a_life(watch: Watch) -> None:
    """What is followed may come from a process whose clock ran ahead."""
    early = replace(LATER, time_ns=4_000)
    for one in (closed(FIRST, "edge gone", early), changed(FIRST, watch, found(200_000), early)):
        assert (one.time_ns, one.survived_ns, one.peak_ns) == (5_000, 0, 5_000)


def test_rejected(watch: Watch) -> None:
    weighed = Analysis(
        group="g", basket="K|P", reason="gas", detail="which", time_ns=5_000, suppressed=8, partition=6,
        journal_epoch=11, **MONEY,
    )  # fmt: skip
    assert rejected(watch, "gas", "which", FOUND, MOMENT, 8) == weighed
    nothing: dict[str, Any] = dict.fromkeys(MONEY, 0)
    assert rejected(watch, "gas", "which", None, MOMENT, 8) == msgspec.structs.replace(weighed, **nothing)


def test_an_offer_is_the_same_whatever_the_charges_are() -> None:
    assert same_offer(FIRST, WALK)
    assert same_offer(FIRST, replace(WALK, net=1, payout=1))


@pytest.mark.parametrize("name", ["quantity", "gross", "fees"])
def test_another_quantity_or_cash_is_another_offer(name: str) -> None:
    assert not same_offer(FIRST, replace(WALK, **{name: getattr(WALK, name) + 1}))


@pytest.mark.parametrize("at", [0, 1])
def test_other_levels_of_any_leg_are_another_offer(at: int) -> None:
    legs = list(WALK.legs)
    legs[at] = replace(legs[at], fills=((3_999, 300),))
    assert not same_offer(FIRST, replace(WALK, legs=tuple(legs)))
