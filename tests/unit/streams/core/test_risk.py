"""Limits bind at their bound and name themselves; the worst cost of an order is no less than any cost it can have."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.fees import order_fee
from schemas.records import Control, FeeSchedule, Region, Ticket, Venue
from schemas.units import FILL_PER_QUANTITY, MONEY_SCALE
from streams.core.positions import Positions
from streams.core.risk import (
    ControlRefused,
    Halts,
    Limits,
    group_exposure,
    refusal,
    venue_exposure,
    worst_cost,
)
from streams.core.tickets import open_ticket
from tests.unit.trading import opportunity, opportunity_leg

WIDE = Limits(group_contracts=10**6, venue_money=10**9 * MONEY_SCALE, open_tickets=1000)


def ticket(quantity: int = 1000, identity: str = "o1") -> Ticket:
    return open_ticket(opportunity(identity, quantity=quantity), 0)


def held(of: Ticket, quantity: int) -> Positions:
    """Positions after the ticket's first leg filled `quantity` at its limit."""
    leg = of.legs[0]
    fill = {"fill_quantity": quantity * FILL_PER_QUANTITY, "cost": quantity * leg.limit_price, "order_state": "filled"}
    positions = Positions()
    positions.apply(None, msgspec.structs.replace(of, legs=(msgspec.structs.replace(leg, **fill),)))
    return positions


def test_nothing_is_refused_within_wide_limits() -> None:
    assert refusal(WIDE, Positions(), [], ticket()) == ""


def test_open_tickets_bind() -> None:
    limits = Limits(10**6, WIDE.venue_money, 2)
    others = [ticket(identity="o2")]
    assert refusal(limits, Positions(), others, ticket()) == ""
    others.append(ticket(identity="o3"))
    assert refusal(limits, Positions(), others, ticket()) == "open tickets: 3 of at most 2"


def test_contracts_of_a_group_count_every_leg_held_and_in_flight() -> None:
    held_before, flying = held(ticket(identity="o2"), 500), [ticket(300, "o3")]
    # 5 held, 2 legs x 3 in flight, 2 legs x 10 asked for: 31 contracts.
    assert refusal(Limits(31, WIDE.venue_money, 9), held_before, flying, ticket()) == ""
    reason = refusal(Limits(30, WIDE.venue_money, 9), held_before, flying, ticket())
    assert reason == "contracts in group g: 31.00 of at most 30"


def test_capital_on_a_venue_counts_costs_and_worst_costs() -> None:
    taken = 500 * 4000 + sum(worst_cost(open_ticket(opportunity(quantity=q), 0).legs[0]) for q in (300, 1000))
    held_before, flying = held(ticket(identity="o2"), 500), [ticket(300, "o3")]
    exact = Limits(10**6, taken, 9)
    polymarket_cheaper = (opportunity_leg("kalshi", 4000), opportunity_leg("polymarket", 100))
    asked = open_ticket(opportunity(legs=polymarket_cheaper), 0)
    flying = [open_ticket(opportunity("o3", quantity=300, legs=polymarket_cheaper), 0)]
    assert refusal(exact, held_before, flying, asked) == ""
    reason = refusal(Limits(10**6, taken - 1, 9), held_before, flying, asked)
    assert reason.startswith("capital on kalshi: ")
    assert "at most 8" in reason


SCHEDULES = st.one_of(
    st.builds(
        FeeSchedule,
        model=st.just("kalshi_quadratic"),
        taker_rate=st.integers(0, 140_000),
        maker_rate=st.just(0),
        exponent=st.just(1),
        balance_precision=st.sampled_from([1, 100, 10_000]),
    ),
    st.builds(
        FeeSchedule,
        model=st.just("polymarket_curve"),
        taker_rate=st.integers(0, 72_000),
        maker_rate=st.just(0),
        exponent=st.just(1),
        balance_precision=st.just(1),
    ),
)


@given(
    SCHEDULES,
    st.integers(1, 9999),
    st.lists(st.tuples(st.integers(1, 9999), st.integers(1, 5000)), min_size=1, max_size=32),
)
def test_no_fills_within_the_limit_cost_more_than_the_worst_cost(
    schedule: FeeSchedule, limit: int, fills: list[tuple[int, int]]
) -> None:
    bounded = [(min(price, limit), quantity) for price, quantity in fills]
    quantity = sum(quantity for _, quantity in bounded)
    venue: Venue = "polymarket" if schedule.model == "polymarket_curve" else "kalshi"
    leg = open_ticket(opportunity(quantity=quantity, legs=[opportunity_leg(venue, limit)]), 0).legs[0]
    cost = sum(price * quantity for price, quantity in bounded)
    fee = order_fee(schedule, [(price, quantity * FILL_PER_QUANTITY) for price, quantity in bounded])
    assert cost + fee <= worst_cost(leg)


@pytest.mark.parametrize(("count", "price"), [(64, 150), (10, 950), (2, 4800)])
@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_many_cheap_legs_are_not_weighed_at_several_times_their_cost(venue: Venue, count: int, price: int) -> None:
    """Beside its cost a leg counts the dearest fee at its price, a fifth of it, and what rounding can add."""
    legs = [opportunity_leg(venue, price, market=f"M{number}") for number in range(count)]
    asked = open_ticket(opportunity(quantity=100_000, legs=legs), 0)
    cost = count * 100_000 * price
    assert cost < venue_exposure(venue, Positions(), [asked]) < cost * 125 // 100
    assert group_exposure("g", Positions(), [asked]) == count * 100_000 * FILL_PER_QUANTITY
    assert refusal(WIDE, Positions(), [], asked) == ""


def control(action: str, scope: str = "all", origin: Region = "us") -> Control:
    fields = {"scope": scope, "origin": origin, "action": action, "reason": "", "limits": {}, "time_ns": 0}
    return msgspec.convert(fields, Control)


def test_a_scope_is_halted_while_either_origin_says_so() -> None:
    halts = Halts()
    for origin in ("us", "eu"):
        halts.take(control("halt", origin=origin))
    halts.take(control("resume", origin="us"))
    assert halts.halted("g", ["kalshi"])
    halts.take(control("resume", origin="eu"))
    assert not halts.halted("g", ["kalshi"])


@pytest.mark.parametrize(
    ("scope", "halted"), [("all", True), ("kalshi", True), ("g", True), ("polymarket", False), ("h", False)]
)
def test_a_halt_reaches_its_scope_only(scope: str, halted: bool) -> None:
    halts = Halts()
    halts.take(control("halt", scope))
    assert halts.halted("g", ["kalshi"]) is halted


def test_limits_by_control_are_refused_loudly() -> None:
    with pytest.raises(ControlRefused, match="'all' sets limits"):
        Halts().take(control("limits"))
