"""Records for the sinks' tests, small and valid; any field can be replaced."""

from typing import Any

from msgspec.structs import replace

from schemas.records import (
    Analysis,
    Book,
    Execution,
    Fill,
    Opportunity,
    OpportunityLeg,
    Record,
    Ticket,
    TicketLeg,
    pack_ladder,
)
from sinks.task import SinkRecord

NOW_NS = 1_760_000_000_000_000_000


def sink_record(content: list[Book] | Record, offset: int = 0, topic: str = "ticket", **more: Any) -> SinkRecord:
    fields: dict[str, Any] = {
        "topic": topic,
        "partition": 0,
        "offset": offset,
        "key": None,
        "value": b"as it was",
        "timestamp_ms": 0,
        "headers": (),
        "received_ns": NOW_NS + 5_000,
        "content": content,
    }
    return SinkRecord(**(fields | more))


def book(sequence: int = 1, **more: Any) -> Book:
    made = Book(
        venue="kalshi",
        market="KXTEST-1",
        group="test-group",
        epoch=7,
        sequence=sequence,
        state="live",
        reason="",
        republished=False,
        connection="c",
        frame=sequence,
        exchange_ns=NOW_NS - 3_000,
        api_call_start_ns=NOW_NS,
        api_response_ns=NOW_NS + 1_000,
        processing_complete_ns=NOW_NS + 2_000 + sequence,
        confirmed_ns=NOW_NS - 1,
        bid_count=2,
        ask_count=1,
        ladder=pack_ladder([(4200, 1050), (4100, 7)], [(4301, 200)]),
    )
    return replace(made, **more)


def ticket(number: int = 1, revision: int = 0, **more: Any) -> Ticket:
    leg = TicketLeg(
        venue="kalshi",
        market="KXTEST-1",
        outcome="yes",
        limit_price=4300,
        quantity=100,
        order_id=f"order-{number}",
        order_state="acknowledged",
        reason="",
        fill_quantity=0,
        cost=0,
        fee=0,
    )
    made = Ticket(
        ticket_id=f"ticket-{number}",
        revision=revision,
        state="working",
        reason="",
        opportunity_id="opportunity-1",
        group="test-group",
        basket="test-basket",
        quantity=100,
        payout=1_000_000,
        expected_net=12_345,
        realised_net=-1,
        legs=(leg, leg),
        opened_ns=NOW_NS,
        updated_ns=NOW_NS + revision,
    )
    return replace(made, **more)


def execution(number: int = 1, **more: Any) -> Execution:
    made = Execution(
        execution_id=f"execution-{number}",
        order_id="order-1",
        ticket_id="ticket-1",
        leg=0,
        venue="polymarket",
        market="0xabc",
        outcome="no",
        side="buy",
        kind="filled",
        reason="",
        fills=(Fill(price=5600, fill_quantity=1_000_000, fee=3),),
        fill_quantity=1_000_000,
        remaining_quantity=0,
        cost=560_000,
        fee=3,
        book_epoch=1,
        book_sequence=2,
        paper=True,
        executed_ns=NOW_NS,
    )
    return replace(made, **more)


def opportunity(number: int = 1, revision: int = 0, **more: Any) -> Opportunity:
    leg = OpportunityLeg(
        venue="kalshi",
        market="KXTEST-1",
        outcome="yes",
        best_price=4300,
        limit_price=4300,
        levels=(4300, 100),
        cost=430_000,
        fee=1,
        epoch=1,
        sequence=2,
        topic="book.kalshi",
        partition=3,
        offset=4,
        index=0,
        confirmed_ns=NOW_NS,
        api_response_ns=NOW_NS,
        processing_complete_ns=NOW_NS,
        virginia_received_ns=NOW_NS,
    )
    made = Opportunity(
        opportunity_id=f"opportunity-{number}",
        revision=revision,
        event="opened",
        reason="",
        group="test-group",
        basket="test-basket",
        legs=(leg,),
        quantity=100,
        payout=1_000_000,
        gross=22_222,
        fees=7_655,
        net=12_345,
        peak_net=12_345,
        opened_ns=NOW_NS,
        time_ns=NOW_NS,
        cause=0,
        cause_api_response_ns=NOW_NS - 2_000_000,
        partition=3,
        journal_epoch=1,
        depth_cost=10,
        gas=1_000,
        basis=200,
        settlement_risk=22,
        time_value=1_000,
        capital=985_433,
        annualised_ppm=650_000,
        void_payout=500_000,
        settles_ns=NOW_NS + 7 * 86_400 * 10**9,
    )
    return replace(made, **more)


def analysis(number: int = 1, **more: Any) -> Analysis:
    made = Analysis(
        group="test-group",
        basket="test-basket",
        reason="fees",
        quantity=100,
        gross=5_000,
        fees=7_655,
        net=-2_655,
        time_ns=NOW_NS + number,
        detail="kalshi KXTEST-1",
        payout=1_000_000,
        depth_cost=10,
        gas=1,
        basis=2,
        settlement_risk=3,
        time_value=4,
        suppressed=5,
        partition=6,
        journal_epoch=7,
    )
    return replace(made, **more)
