"""`dutchbook explain --json`: the same content as one object. Numbers are the records' integers in their units."""

from typing import Any

import msgspec

from infra.explain.check import Check
from infra.explain.facts import Event, Facts, KnownMarket, LegFacts, Stamp, proof_age_ns, published, trail, waterfall


def as_object(facts: Facts, verdict: Check) -> dict[str, Any]:
    """One JSON-able object. `life` is there where it was asked for; the legs are those of revision `bought`."""
    told = facts.bought.record
    shown: dict[str, Any] = {
        "opportunity_id": told.opportunity_id,
        "run": facts.run,
        "topic": facts.topic,
        "event": _event(facts.event),
    }
    if facts.show_life:
        shown["life"] = [_event(event) for event in facts.life]
    return shown | {
        "bought": told.revision,
        "group": None if facts.group is None else msgspec.to_builtins(facts.group),
        "group_status_now": facts.status_now,
        "markets": [_market(known) for known in facts.markets.values()],
        "legs": [_leg(leg, told.time_ns) for leg in facts.legs],
        "waterfall": [{"step": step.name, "amount": step.amount, "left": step.left} for step in waterfall(told)],
        "published": _stamps(published(facts.event)),
        "journal": {
            "topic": facts.journal_topic,
            "partition": facts.event.record.partition,
            "epoch": facts.event.record.journal_epoch,
            "position": facts.event.record.journal_position,
        },
        "tickets": [msgspec.to_builtins(ticket) for ticket in facts.tickets],
        "check": msgspec.to_builtins(verdict),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "record": msgspec.to_builtins(event.record),
        "offset": event.offset,
        "timestamp_ms": event.timestamp_ms,
        "produced_ns": event.produced_ns,
    }


def _market(known: KnownMarket) -> dict[str, Any]:
    published = {"timestamp_ms": known.timestamp_ms, "later_than_decision": known.later}
    return {"record": msgspec.to_builtins(known.record)} | published


def _leg(leg: LegFacts, decided_ns: int) -> dict[str, Any]:
    book: dict[str, Any] | None = None
    if leg.book is not None:
        book = msgspec.structs.asdict(leg.book)
        del book["ladder"]
        book["bids"], book["asks"] = leg.book.sides()
    return {
        "leg": leg.number,
        "claim": msgspec.to_builtins(leg.leg),
        "proof_age_ns": proof_age_ns(leg.leg, decided_ns),
        "book": book,
        "problem": leg.problem,
        "trail": _stamps(trail(leg, decided_ns)),
    }


def _stamps(stamps: list[Stamp]) -> list[dict[str, Any]]:
    return [{"stamp": stamp.name, "ns": stamp.ns, "step_ns": stamp.step_ns} for stamp in stamps]
