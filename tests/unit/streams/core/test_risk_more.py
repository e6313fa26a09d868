"""The whole sentence of a refusal, and controls that find nothing to do."""

import msgspec

from schemas.records import Control
from schemas.units import MONEY_SCALE
from streams.core.positions import Positions
from streams.core.risk import Halts, Limits, refusal
from streams.core.tickets import open_ticket
from tests.unit.trading import opportunity


def test_a_refusal_over_capital_names_venue_money_and_bound() -> None:
    limits = Limits(group_contracts=10**6, venue_money=2 * MONEY_SCALE, open_tickets=9)
    reason = refusal(limits, Positions(), [], open_ticket(opportunity(), 0))
    assert reason.startswith("capital on kalshi: ")
    assert reason.endswith(" dollars of at most 2")


def test_a_resume_of_what_was_never_halted_changes_nothing() -> None:
    halts = Halts()
    fields = {"scope": "all", "origin": "us", "action": "resume", "reason": "", "limits": {}, "time_ns": 0}
    halts.take(msgspec.convert(fields, Control))
    assert len(halts) == 0
    assert not halts.halted("g", ["kalshi"])
