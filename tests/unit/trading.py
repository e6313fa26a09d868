"""Opportunities, executions, books and markets as tests need them; every field has a plain value unless told."""

from collections.abc import Sequence
from typing import Any

import msgspec

from schemas.identity import execution_id
from schemas.records import (
    Book,
    Execution,
    ExecutionKind,
    FeeSchedule,
    Fill,
    Group,
    Level,
    Market,
    Opportunity,
    OpportunityEvent,
    OpportunityLeg,
    Order,
    TickRange,
    Venue,
    pack_ladder,
)
from schemas.units import FILL_PER_QUANTITY, ONE

SECOND = 1_000_000_000
NO_FEE = FeeSchedule(model="none", taker_rate=0, maker_rate=0, exponent=1, balance_precision=1)


def opportunity_leg(venue: Venue = "kalshi", limit_price: int = 4000, **more: Any) -> OpportunityLeg:
    """A YES leg on Kalshi or a NO leg on Polymarket."""
    fields: dict[str, Any] = {
        "venue": venue,
        "market": f"{venue}-market",
        "outcome": "yes" if venue == "kalshi" else "no",
        "best_price": limit_price,
        "limit_price": limit_price,
        "levels": (),
        "cost": 0,
        "fee": 0,
        "epoch": 1,
        "sequence": 1,
        "topic": f"book.{venue}",
        "partition": 0,
        "offset": 0,
        "index": 0,
        "confirmed_ns": 0,
        "api_response_ns": 0,
        "processing_complete_ns": 0,
        "virginia_received_ns": 0,
    }
    return OpportunityLeg(**(fields | more))


def opportunity(
    identity: str = "o1",
    event: OpportunityEvent = "opened",
    *,
    revision: int = 1,
    basket: str = "b",
    group: str = "g",
    quantity: int = 1000,
    time_ns: int = SECOND,
    opened_ns: int | None = None,
    legs: Sequence[OpportunityLeg] = (),
) -> Opportunity:
    """An opportunity of 10 contracts: YES on Kalshi at 0.40, NO on Polymarket at 0.55."""
    return Opportunity(
        opportunity_id=identity,
        revision=revision,
        event=event,
        reason="",
        group=group,
        basket=basket,
        legs=tuple(legs) or (opportunity_leg("kalshi", 4000), opportunity_leg("polymarket", 5500)),
        quantity=quantity,
        payout=quantity * ONE,
        gross=quantity * 500,
        fees=0,
        net=quantity * 500,
        peak_net=quantity * 500,
        opened_ns=time_ns if opened_ns is None else opened_ns,
        time_ns=time_ns,
        cause=0,
        cause_api_response_ns=0,
        partition=0,
        journal_epoch=0,
    )


def group(status: str = "approved", name: str = "g") -> Group:
    """A group without members: the executor looks at its status only."""
    fields = {"group": name, "members": (), "relations": (), "status": status, "evidence": ""}
    return msgspec.convert(fields | {"rules_fingerprint": "", "updated_by": "", "updated_ns": 0}, Group)


def answer_to(
    order: Order, kind: ExecutionKind = "filled", quantity: int | None = None, *, fee: int = 0, reason: str = ""
) -> Execution:
    """A venue's answer: `quantity` (1e-2 contract) filled at the limit price, all of the order unless told."""
    filled = (order.quantity if quantity is None else quantity) if kind == "filled" else 0
    fill_quantity = filled * FILL_PER_QUANTITY
    fills = (Fill(price=order.limit_price, fill_quantity=fill_quantity, fee=fee),) if filled else ()
    return Execution(
        execution_id=execution_id(order.order_id, kind),
        order_id=order.order_id,
        ticket_id=order.ticket_id,
        leg=order.leg,
        venue=order.venue,
        market=order.market,
        outcome=order.outcome,
        side=order.side,
        kind=kind,
        reason=reason,
        fills=fills,
        fill_quantity=fill_quantity,
        remaining_quantity=order.quantity - filled,
        cost=filled * order.limit_price,
        fee=fee if filled else 0,
        book_epoch=1,
        book_sequence=1,
        paper=True,
        executed_ns=0,
    )


def book(
    bids: Sequence[Level] = ((4500, 1000),),
    asks: Sequence[Level] = ((5500, 1000),),
    *,
    sequence: int = 1,
    epoch: int = 1,
    **more: Any,
) -> Book:
    """A live Kalshi book confirmed at 1 s."""
    fields: dict[str, Any] = {
        "venue": "kalshi",
        "market": "M",
        "group": "g",
        "epoch": epoch,
        "sequence": sequence,
        "state": "live",
        "reason": "",
        "republished": False,
        "connection": "",
        "frame": 0,
        "exchange_ns": 0,
        "api_call_start_ns": 0,
        "api_response_ns": 0,
        "processing_complete_ns": 0,
        "confirmed_ns": SECOND,
        "bid_count": len(bids),
        "ask_count": len(asks),
        "ladder": pack_ladder(list(bids), list(asks)),
    }
    return Book(**(fields | more))


def market(fee: FeeSchedule = NO_FEE, **more: Any) -> Market:
    """A Kalshi market with cent ticks, no minimum and no fee."""
    fields: dict[str, Any] = {
        "venue": "kalshi",
        "market": "M",
        "event": "",
        "title": "",
        "rules": "",
        "status": "active",
        "tokens": (),
        "ticks": (TickRange(start=100, end=9900, step=100),),
        "fee": fee,
        "minimum_quantity": 1,
        "minimum_value": 0,
        "negative_risk": False,
        "open_ns": 0,
        "close_ns": 0,
        "expected_settlement_ns": 0,
        "updated_ns": 0,
    }
    return Market(**(fields | more))


def order(identity: str = "order-1", **more: Any) -> Order:
    """An order for 10 YES contracts at 0.55 on Kalshi, immediate or cancel."""
    fields: dict[str, Any] = {
        "order_id": identity,
        "ticket_id": "ticket",
        "leg": 0,
        "attempt": 0,
        "action": "place",
        "venue": "kalshi",
        "market": "M",
        "outcome": "yes",
        "side": "buy",
        "quantity": 1000,
        "limit_price": 5500,
        "time_in_force": "immediate_or_cancel",
        "created_ns": 0,
    }
    return Order(**(fields | more))
