"""What a run came to: its opportunities and tickets, counted."""

from collections import Counter
from dataclasses import dataclass, field

from infra.view import status_words
from runtime.kafka import read_whole
from schemas.codec import decode_record
from schemas.records import Opportunity, Ticket
from schemas.runs import run_topic
from schemas.units import format_money


@dataclass(slots=True)
class Results:
    """Counts; money in 1e-6 dollar. `peak_net` adds up the peaks of all that opened, `realised` that of the tickets."""

    events: int = 0
    opened: int = 0
    peak_net: int = 0
    tickets: Counter[str] = field(default_factory=Counter)
    realised: int = 0

    def words(self) -> str:
        """In one line."""
        return (
            f"{self.events:,} opportunity events, {self.opened:,} opened (peaks ${format_money(self.peak_net)}); "
            f"tickets: {status_words(self.tickets)}; realised ${format_money(self.realised)}"
        )


def results(address: str, run: str) -> Results:
    """Count the results of a run, or with an empty name of what is live."""
    found = Results()
    peaks: dict[str, int] = {}
    for message in read_whole(address, [run_topic(run, "opportunity")]):
        opportunity = decode_record(message.value() or b"", Opportunity)
        found.events += 1
        found.opened += opportunity.event == "opened"
        peaks[opportunity.opportunity_id] = max(opportunity.peak_net, peaks.get(opportunity.opportunity_id, 0))
    found.peak_net = sum(peaks.values())
    newest: dict[str, Ticket] = {}
    for message in read_whole(address, [run_topic(run, "ticket")]):
        if message.value() is not None:
            ticket = decode_record(message.value(), Ticket)
            newest[ticket.ticket_id] = ticket
    found.tickets = Counter(ticket.state for ticket in newest.values())
    found.realised = sum(ticket.realised_net for ticket in newest.values())
    return found
