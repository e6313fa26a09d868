"""What a run over the whole road left behind, as figures: pure functions of books, journal stamps and opportunities."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.figures import rate
from bench.topics import Coordinates
from infra.summary import percentiles
from schemas.records import Book, Opportunity, Venue
from schemas.topics import HOME


@dataclass(frozen=True, slots=True)
class Seen:
    """A new book on its way: when its frame was received and when the detector took it in."""

    venue: Venue
    received_ns: int
    taken_in_ns: int


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of a run that counts, in wall-clock ns: a frame counts when it was received in it."""

    begin_ns: int
    end_ns: int

    def holds(self, moment_ns: int) -> bool:
        """Whether a moment lies in it."""
        return self.begin_ns <= moment_ns <= self.end_ns


def seen_books(
    records: Iterable[tuple[Coordinates, Sequence[Book]]], stamps: Mapping[Coordinates, int], window: Window
) -> list[Seen]:
    """The new books of the window; repetitions are left out. KeyError when the journal does not know a record."""
    return [
        Seen(book.venue, book.api_response_ns, stamps[place])
        for place, books in records
        for book in books
        if not book.republished and window.holds(book.api_response_ns)
    ]


def rates(seen: Sequence[Seen]) -> dict[str, float]:
    """Books per second: into the producers, by venue, and through the detector's entrance, all together."""
    found = {
        f"- frames into the {venue} producer": _rate([book.received_ns for book in seen if book.venue == venue])
        for venue in HOME
    }
    return {"books through the whole road": _rate([book.taken_in_ns for book in seen])} | found


def _rate(stamps: Sequence[int]) -> float:
    return rate(stamps, [1] * len(stamps))


def journey(seen: Sequence[Seen]) -> dict[str, float]:
    """Milliseconds from a frame's receipt to the detector, for every book, by venue."""
    found: dict[str, float] = {}
    for venue in HOME:
        latencies = [(book.taken_in_ns - book.received_ns) // 1000 for book in seen if book.venue == venue]
        found |= _named(f"{venue} frame to detector", latencies)
    return found


def latencies(opportunities: Iterable[tuple[Opportunity, int]], window: Window) -> dict[str, float]:
    """Milliseconds from the frame that caused an opportunity event to its production, by venue of that frame.

    `opportunities` come with the moment they were produced. Events that time caused, not a frame, are left out.
    """
    by_venue: dict[Venue, list[int]] = {venue: [] for venue in HOME}
    for opportunity, produced_ns in opportunities:
        if opportunity.cause >= 0 and window.holds(opportunity.cause_api_response_ns):
            venue = opportunity.legs[opportunity.cause].venue
            by_venue[venue].append((produced_ns - opportunity.cause_api_response_ns) // 1000)
    found: dict[str, float] = {}
    for venue, values in by_venue.items():
        found |= _named(f"{venue} frame to opportunity", values)
    return found


def _named(name: str, microseconds: Sequence[int]) -> dict[str, float]:
    return {f"{name}, {key}": value for key, value in percentiles(microseconds).items()}


def bottleneck(cores: Mapping[str, float], machine: float, available: int, seen: Sequence[Seen]) -> str:
    """In words, what held a saturated run up: the processor or one process with its core; and where books waited.

    `cores` are those each process kept busy, most first; `machine` those that were busy at all, of `available`.
    """
    busiest = ", ".join(f"{name} {share:.2f}" for name, share in list(cores.items())[:5])
    first = min(book.received_ns for book in seen)
    fed = max(book.received_ns for book in seen) - first
    done = max(book.taken_in_ns for book in seen) - first
    where = "books waited behind the producers" if done > 1.25 * fed else "nothing waited behind the producers for long"
    if machine > 0.9 * available:
        what = f"the processor: {machine:.2f} of {available} cores were busy"
    elif cores and max(cores.values()) > 0.9:
        what = f"the one core of {max(cores, key=lambda name: cores[name])}"
    else:
        what = f"neither the processor ({machine:.2f} of {available} cores) nor one process: waiting between the parts"
    return f"{what}; busiest: {busiest}; {where}"
