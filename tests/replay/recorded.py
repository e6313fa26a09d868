"""Recording a running stack, and opportunities by their content: of the stack, and of a scan of a tape."""

import argparse
import asyncio
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from infra import cli
from infra.local.stack import Stack
from infra.local.supervise import Supervisor
from infra.record import command as record_command
from schemas.records import Opportunity, OpportunityEvent, Region
from tests.scenario import During

SETTLED_S = 3.0
"""After a tape's end everything has been seen by the detector within this."""

Claim = tuple[str, str, str, int]


class Event(NamedTuple):
    """What an event of an opportunity's life says, but for its time. Once closed, prices and money are 0."""

    group: str
    basket: tuple[Claim, ...]
    event: OpportunityEvent
    quantity: int
    gross: int
    fees: int
    net: int


def of_stack(opportunities: Iterable[Opportunity], before_ns: int = 2**63) -> list[Event]:
    """The events that a stack published, decided before a time."""
    return [_of_stack(one) for one in opportunities if one.time_ns < before_ns]


def _of_stack(one: Opportunity) -> Event:
    closed = one.event == "closed"
    basket = tuple((leg.venue, leg.market, leg.outcome, 0 if closed else leg.best_price) for leg in one.legs)
    return Event(one.group, basket, one.event, one.quantity, one.gross, one.fees, one.net)


def of_tape(tape: Path | str, out: Path) -> list[Event]:
    """The events that `dutchbook scan` finds on a tape."""
    assert cli.main(["scan", "--tape", str(tape), "--out", str(out)]) == 0
    return [_of_scan(json.loads(line)) for line in out.read_bytes().splitlines()]


def _of_scan(found: dict[str, Any]) -> Event:
    closed = found["event"] == "closed"
    basket = tuple(
        (claim["venue"], claim["market"], claim["outcome"], 0 if closed else claim["price"])
        for claim in found["basket"]
    )
    names = ("event", "quantity", "gross", "fees", "net")
    return Event(found["group"], basket, *(found[name] for name in names))


def timeless(events: Iterable[Event]) -> list[Event]:
    """Events without their net profit, which depends on how long it is until the money is back."""
    return [event._replace(net=0) for event in events]


class Recording:
    """Records a stack when its tape has ended. `to_ns` is then the end of the stretch."""

    def __init__(self, out: Path, **options: Any) -> None:
        self.out = out
        self.to_ns = 0
        self._options = options

    @property
    def during(self) -> During:
        """What `tests.scenario.play` has to do."""
        return self._record

    async def _record(self, stack: Stack, _supervisor: Supervisor) -> None:
        while not await stack.tape_ended():
            await asyncio.sleep(0.25)
        await asyncio.sleep(SETTLED_S)
        self.to_ns = time.time_ns()
        defaults = {"from_ns": None, "to_ns": self.to_ns, "groups": None, "times": "detector", "data_dir": None}
        options = argparse.Namespace(out=self.out, **(defaults | self._options))
        addresses: dict[Region, str] = {"us": stack.addresses.kafka_us, "eu": stack.addresses.kafka_eu}
        await asyncio.to_thread(record_command.record, options, lambda region, _data_dir: addresses[region])
