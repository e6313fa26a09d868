"""What a person sees while the stack runs: one live screen in a terminal, plain lines elsewhere."""

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from infra.local.child import ChildRecord
from infra.observe import Observed
from infra.summary import percentiles
from schemas.records import Opportunity, OpportunityLeg, Ticket
from schemas.topics import HOME
from schemas.units import format_money, format_price, format_quantity

PLAIN_EVERY_S = 5.0
PROCESS_WIDTH = 28
SHOWN_AT_LEAST = 3
SHOWN_LEGS = 3
_LONG_ID = re.compile(r"(0x[0-9a-f]{6})[0-9a-f]{54}([0-9a-f]{4})")


def short_ids(text: str) -> str:
    """The text with Polymarket's condition ids (66 characters) cut to their two ends."""
    return _LONG_ID.sub(r"\1…\2", text)


def opportunity_line(opportunity: Opportunity, width: int | None = None) -> str:
    """One opportunity event in one line; where it would be wider than `width`, it says less of return and legs."""
    start = f"{opportunity.event:7}  {opportunity.group}"
    if opportunity.event == "closed":
        return f"{start}  {short_ids(opportunity.reason)} (peak net ${format_money(opportunity.peak_net)})"
    net, contracts = f"net ${format_money(opportunity.net)}", f"{format_quantity(opportunity.quantity)} contracts"
    yearly = return_words(opportunity.annualised_ppm)
    lines = [f"{start}  {net}{yearly}  {contracts}  {leg_words(opportunity.legs)}"]
    for shown in range(SHOWN_LEGS, 0, -1):
        lines.append(f"{start}  {net}  {contracts}  {leg_words(opportunity.legs, shown)}")
    return next((line for line in lines if width is None or len(line) <= width), lines[-1])


def return_words(annualised_ppm: int) -> str:
    """The yearly return in words, without decimals from 1,000 % on; empty where it is not known (0)."""
    if not annualised_ppm:
        return ""
    percent = annualised_ppm / 10_000
    return f" ({percent:,.{0 if abs(percent) >= 1000 else 1}f}% a year)"


def leg_words(legs: Sequence[OpportunityLeg], shown: int = SHOWN_LEGS) -> str:
    """The first legs of a basket, and how many there are besides."""
    words = [f"{leg.outcome.upper()} {format_price(leg.best_price)} {leg.venue}" for leg in legs[:shown]]
    more = len(legs) - shown
    if more > 0:
        words.append(f"{more} leg{'s' if more > 1 else ''}")
    return " + ".join(words)


def ticket_line(ticket: Ticket) -> str:
    """One ticket in one line."""
    text = f"{ticket.state:7}  {ticket.group}  {format_quantity(ticket.quantity)} contracts"
    if ticket.state in ("filled", "partial", "unbalanced"):
        text += f"  realised ${format_money(ticket.realised_net)} of expected ${format_money(ticket.expected_net)}"
    return f"{text}  {short_ids(ticket.reason)}".rstrip()


def status_words(states: Mapping[str, int]) -> str:
    """How many tickets are in which state, in words."""
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"


class View:
    """Shows a run. `say` prints a line of its own at any time; `refresh` redraws or prints what is new.

    When whoever reads it goes away (a closed pipe or terminal), it calls `on_gone` once and is silent from then on.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._gone = False
        self.on_gone: Callable[[], None] = lambda: None
        self._live: Live | None = None
        self._shown_opportunities = 0
        self._shown_tickets: dict[str, int] = {}
        self._last_plain = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def begin(self) -> None:
        """Start the live screen, if there is a terminal."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._attempt(self._live.start)

    def end(self) -> None:
        """End the live screen; what it showed last stays."""
        if self._live is not None:
            self._attempt(self._live.stop)
            self._live = None

    def say(self, line: str) -> None:
        """Print one line."""
        self._attempt(lambda: self._console.print(Text(line)))

    def _attempt(self, show: Callable[[], None]) -> None:
        if self._gone:
            return
        try:
            show()
        except (OSError, SystemExit):  # rich ends the process when the pipe it writes to is closed
            self._gone = True
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._console.file.fileno())
            self.on_gone()

    def refresh(self, seen: Observed, children: Mapping[str, ChildRecord], lags: Mapping[str, int]) -> None:
        """Show the present state."""
        if self._live is not None:
            # One column and one line are left free: a full last line would make some terminals scroll.
            width, height = self._console.width - 1, self._console.height - 1
            live, shown = self._live, screen(seen, children, lags, width, height)
            self._attempt(lambda: live.update(shown, refresh=True))
            return
        self._print_news(seen)
        if time.monotonic() - self._last_plain >= PLAIN_EVERY_S:
            self._last_plain = time.monotonic()
            self.say(status_line(seen, lags))

    def _print_news(self, seen: Observed) -> None:
        total = sum(seen.opportunity_events.values())
        news = min(total - self._shown_opportunities, len(seen.last_opportunities))
        if total - self._shown_opportunities > news:
            self.say(f"opportunity  … {total - self._shown_opportunities - news} events not shown")
        for opportunity in list(seen.last_opportunities)[len(seen.last_opportunities) - news :]:
            self.say(f"opportunity  {opportunity_line(opportunity)}")
        self._shown_opportunities = total
        for ticket in list(seen.tickets.values()):
            if self._shown_tickets.get(ticket.ticket_id, -1) < ticket.revision:
                self._shown_tickets[ticket.ticket_id] = ticket.revision
                self.say(f"ticket       {ticket_line(ticket)}")


def status_line(seen: Observed, lags: Mapping[str, int]) -> str:
    """The whole state in one line."""
    feeds = ", ".join(
        f"{venue} {seen.total('frames_read', venue=venue)} frames {seen.total('books_published', venue=venue)} books"
        for venue in HOME
    )
    tickets = status_words(seen.ticket_states())
    return f"status       {feeds}; {seen.opportunities} opportunities; tickets: {tickets}; {waiting_words(lags)}"


def waiting_words(lags: Mapping[str, int]) -> str:
    """How many records wait before which reader, in words."""
    return f"records waiting: {', '.join(f'{count} for {name}' for name, count in lags.items()) or 'none'}"


def screen(
    seen: Observed, children: Mapping[str, ChildRecord], lags: Mapping[str, int], width: int, height: int
) -> Group:
    """The live screen for a terminal of this size: feeds, processes, then the newest opportunities and tickets."""
    columns = max(1, width // PROCESS_WIDTH)
    above = 9 + -(-len(children) // columns)
    room = max(SHOWN_AT_LEAST, (height - above - 3) // 2)
    opportunities = [opportunity_line(opportunity, width) for opportunity in seen.last_opportunities]
    tickets = [ticket_line(ticket) for ticket in list(seen.tickets.values())]
    return Group(
        _feeds(seen, width),
        _heading("processes, with their memory in MiB"),
        _processes(children, columns),
        _heading(f"opportunities: {seen.opportunities}"),
        *_lines(opportunities[-room:], width),
        _heading(f"tickets: {status_words(seen.ticket_states())}"),
        *_lines(tickets[-room:], width),
        *_lines([waiting_words(lags)], width),
    )


def _feeds(seen: Observed, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, width=min(width, 100), show_edge=False, pad_edge=False)
    table.add_column("feed", style="bold")
    table.add_column("state")
    for name in ("markets", "frames", "books", "gaps", "errors"):
        table.add_column(name, justify="right")
    for venue in HOME:
        connected = seen.newest("feed_connected", venue=venue) > 0
        unknown = int(seen.newest("markets_unknown", venue=venue))
        table.add_row(
            venue,
            Text("connected", style="green") if connected else Text("not connected", style="bold red"),
            str(int(seen.newest("markets_subscribed", venue=venue))) + (f" ({unknown} unknown)" if unknown else ""),
            str(seen.total("frames_read", venue=venue)),
            str(seen.total("books_published", venue=venue)),
            str(seen.total("sequence_gaps", venue=venue)),
            str(seen.total("decode_errors", origin=f"raw.{venue}")),
        )
    latency = percentiles(seen.detection_latency_us[-2000:])
    if latency:
        words = f"frame received to opportunity: p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms"
        table.caption = Text(words, style="dim")
        table.caption_justify = "left"
    return table


def _processes(children: Mapping[str, ChildRecord], columns: int) -> Table:
    """Every process: a dot and its memory when it runs, its state in words when it does not."""
    grid = Table.grid(padding=(0, 2))
    cells = [_process(name, child) for name, child in children.items()]
    for start in range(0, len(cells), columns):
        row = cells[start : start + columns]
        grid.add_row(*row, *[Text()] * (columns - len(row)))
    return grid


def _process(name: str, child: ChildRecord) -> Text:
    well = child.state in ("ready", "finished")
    text = Text("● " if well else "○ ", style="green" if well else "bold yellow")
    text.append(name, style="default")
    text.append(f" {child.rss_bytes // 2**20}" if child.state == "ready" else f" {child.state}")
    if child.restarts:
        text.append(f" ↻{child.restarts}", style="bold yellow")
    return text


def _heading(title: str) -> Text:
    return Text(f"\n{title}", style="bold", no_wrap=True, overflow="ellipsis")


def _lines(lines: Iterable[str], width: int) -> list[Text]:
    shown = [Text(line) for line in lines]
    for text in shown:
        text.truncate(width, overflow="ellipsis")
    return shown
