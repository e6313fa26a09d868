"""The live screen fits the terminal; without one there are plain lines, each said once."""

import errno
import io
import os
import re

import pytest
from msgspec.structs import replace
from rich.console import Console

from infra.local.child import ChildRecord, State
from infra.observe import Observed
from infra.view import View, opportunity_line, screen, short_ids, status_line, ticket_line, waiting_words
from schemas.records import Metric, Opportunity, Sample
from tests.unit.sinks.make import ticket
from tests.unit.trading import opportunity, opportunity_leg

CONDITION = "0x" + "0123456789abcdef" * 4
NAMES = ("us-kafka", "eu-kafka", "influxd", "postgres", "mirrormaker", "venue-kalshi", "venue-polymarket", "detector")


def child(name: str, state: State = "ready", restarts: int = 0) -> ChildRecord:
    return ChildRecord(name, state, 1, 0.0, restarts, None, 80 * 2**20, 90 * 2**20, (), "")


def children() -> dict[str, ChildRecord]:
    return {name: child(name) for name in NAMES}


def sample(name: str, value: float, **labels: str) -> Sample:
    return Sample(name=f"dutchbook_{name}", labels=labels, value=value)


def seen(opportunities: int = 30, tickets: int = 30) -> Observed:
    """Everything a busy run has seen."""
    observed = Observed(detection_latency_us=[5_000, 7_000])
    for number in range(opportunities):
        event = opportunity(f"o{number}", group=f"a-group-with-a-name-{number}")
        observed.last_opportunities.append(event)
        observed.opportunity_events["opened"] += 1
        observed.opportunities += 1
    for number in range(tickets):
        observed.tickets[f"ticket-{number}"] = ticket(number, state="refused", reason=f"limit of {CONDITION}")
    for venue in ("kalshi", "polymarket"):
        samples = (
            sample("feed_connected", float(venue == "kalshi"), venue=venue),
            sample("markets_subscribed", 85, venue=venue),
            sample("markets_unknown", float(venue == "polymarket"), venue=venue),
            sample("frames_read_total", 12_345, venue=venue),
        )
        observed.metrics[venue, 1] = Metric(
            source=f"producer.{venue}", region="us", instance_ns=1, time_ns=1, samples=samples
        )
    return observed


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 40), (120, 45), (160, 60), (40, 20)])
@pytest.mark.parametrize("legs", [2, 64])
def test_the_screen_fits(width: int, height: int, legs: int) -> None:
    console = Console(record=True, width=width, height=height, force_terminal=True, file=io.StringIO())
    observed = seen()
    observed.last_opportunities.extend(wide(legs, 123_456) for _ in range(5))
    console.print(screen(observed, children(), {"detector": 4}, width - 1, height - 1))
    lines = console.export_text().splitlines()
    assert all(len(line) <= width for line in lines)
    if width >= 80:
        assert len(lines) < height


def test_the_screen_says_what_matters() -> None:
    console = Console(record=True, width=120, height=45, file=io.StringIO())
    broken = children() | {"detector": child("detector", "backing off", restarts=2)}
    console.print(screen(seen(3, 2), broken, {"detector": 4}, 119, 44))
    text = console.export_text()
    assert re.search(r"kalshi +connected +85 +12345", text)
    assert re.search(r"polymarket +not connected +85 \(1 unknown\)", text)
    assert "○ detector backing off ↻2" in text
    assert "● us-kafka 80" in text
    assert "opportunities: 3" in text
    assert "tickets: 2 refused" in text
    assert "records waiting: 4 for detector" in text
    assert "p50 5.0 ms, p99 7.0 ms" in text
    assert CONDITION not in text
    assert "0x012345…cdef" in text


def test_the_screen_of_a_run_that_has_seen_nothing() -> None:
    console = Console(record=True, width=80, height=24, file=io.StringIO())
    console.print(screen(Observed(), {}, {}, 79, 23))
    text = console.export_text()
    assert "opportunities: 0" in text
    assert "records waiting: none" in text


def test_a_terminal_gets_one_screen_and_lines_above_it() -> None:
    output = io.StringIO()
    view = View(Console(file=output, force_terminal=True, width=100, height=40))
    with view:
        view.begin()
        view.refresh(seen(1, 1), children(), {})
        view.say("a line of its own")
    assert "a line of its own" in output.getvalue()
    assert "● us-kafka" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue())


def test_no_terminal_gets_plain_lines_each_once() -> None:
    output = io.StringIO()
    view = View(Console(file=output, soft_wrap=True))
    observed = seen(2, 1)
    with view:
        view.begin()
        view.refresh(observed, children(), {})
        view.refresh(observed, children(), {})
        filled = replace(observed.tickets["ticket-0"], revision=1, state="filled", reason="")
        observed.tickets["ticket-0"] = filled
        view.refresh(observed, children(), {})
    assert "\x1b" not in output.getvalue()
    lines = output.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["opportunity", "opportunity", "ticket", "status", "ticket"]
    assert lines[-1].startswith("ticket       filled ")


class Closed(io.StringIO):
    """A pipe or a terminal whose reader has gone."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def write(self, _text: str) -> int:
        raise self._error

    def fileno(self) -> int:
        raise OSError("not a file")


@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, ""), OSError(errno.EIO, "")])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_reader_that_has_gone_is_told_once(error: OSError, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # rich would put /dev/null in the place of our own output
    told: list[str] = []
    view = View(Console(file=Closed(error), force_terminal=terminal, width=80, height=24))
    view.on_gone = lambda: told.append("gone")
    with view:
        view.say("a line")
        view.begin()
        view.refresh(seen(1, 1), children(), {})
        view.say("another")
    assert told == ["gone"]


def test_events_that_came_too_fast_are_counted() -> None:
    output = io.StringIO()
    View(Console(file=output, soft_wrap=True)).refresh(seen(30, 0), {}, {})
    assert output.getvalue().startswith("opportunity  … 18 events not shown\n")
    assert output.getvalue().count("opened") == 12


def test_lines() -> None:
    opened = opportunity()
    assert opportunity_line(opened).startswith("opened   g  net $")
    assert "10.00 contracts  YES 0.4000 kalshi + NO 0.5500 polymarket" in opportunity_line(opened)
    closed = replace(opened, event="closed", reason=f"leg not live: polymarket {CONDITION}", peak_net=417_150)
    assert opportunity_line(closed) == ("closed   g  leg not live: polymarket 0x012345…cdef (peak net $0.417150)")
    assert ticket_line(ticket(1)) == "working  test-group  1.00 contracts"
    assert "realised $-0.000001 of expected $0.012345" in ticket_line(ticket(1, state="filled"))
    assert status_line(Observed(), {}).endswith("tickets: none; records waiting: none")
    assert (
        waiting_words({"detector": 2, "mirror eu to us": 1}) == "records waiting: 2 for detector, 1 for mirror eu to us"
    )


def wide(legs: int, annualised_ppm: int = 0) -> Opportunity:
    """An opportunity whose basket has that many legs."""
    made = opportunity(legs=[opportunity_leg("polymarket", 100 + number) for number in range(legs)])
    return replace(made, annualised_ppm=annualised_ppm)


def test_an_opportunity_says_its_yearly_return_where_it_is_known() -> None:
    assert "net $0.500000  10.00" in opportunity_line(opportunity())
    assert "net $0.500000 (12.3% a year)  10.00" in opportunity_line(replace(opportunity(), annualised_ppm=123_456))
    assert "(-0.5% a year)" in opportunity_line(replace(opportunity(), annualised_ppm=-5_000))
    assert "(162,060% a year)" in opportunity_line(replace(opportunity(), annualised_ppm=1_620_600_000))


def test_a_wide_basket_shows_its_first_legs() -> None:
    assert opportunity_line(wide(3)).endswith("  NO 0.0100 polymarket + NO 0.0101 polymarket + NO 0.0102 polymarket")
    assert opportunity_line(wide(4)).endswith(" + NO 0.0102 polymarket + 1 leg")
    assert opportunity_line(wide(64)).endswith(" + NO 0.0102 polymarket + 61 legs")


def test_where_there_is_less_room_the_return_goes_first_and_then_the_legs() -> None:
    whole = opportunity_line(wide(6, 123_456))
    assert whole.endswith("NO 0.0102 polymarket + 3 legs")
    assert opportunity_line(wide(6, 123_456), len(whole)) == whole
    without = whole.replace(" (12.3% a year)", "")
    assert opportunity_line(wide(6, 123_456), len(whole) - 1) == without
    fewer = without.replace(" + NO 0.0102 polymarket + 3 legs", " + 4 legs")
    assert opportunity_line(wide(6, 123_456), len(without) - 1) == fewer
    assert opportunity_line(wide(6, 123_456), 1).endswith("10.00 contracts  NO 0.0100 polymarket + 5 legs")


def test_short_ids_leave_other_text_alone() -> None:
    assert short_ids("0xabc and 0123") == "0xabc and 0123"
    assert short_ids(f"{CONDITION}: stale") == "0x012345…cdef: stale"
