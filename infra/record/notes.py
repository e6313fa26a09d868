"""The page beside a recorded tape: where it comes from, and what it does not show."""

from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from textwrap import wrap
from typing import Final

from infra.record.kafka import WARM_UP_NS, Stretch, moment
from infra.record.recorder import Recorder
from schemas.records import Group
from schemas.topics import HOME

WIDTH: Final = 118
NAMED: Final = 20
"""Groups that are named at most."""

TIMES: Final = {
    "detector": "Times are those at which the detector took in the books that follow from a frame (`journal.detector`),"
    " so that the two venues' frames stand in the order in which it decided on them. Polymarket's contain the way"
    " through the mirror. A frame that changed no book has the time of its predecessor, or the producer's.",
    "producers": "Times are those at which the producers received the frames, each on its own machine's clock.",
}


def notes(
    stretch: Stretch, times: str, groups: Sequence[Group], silent: Sequence[str], recorders: Iterable[Recorder]
) -> str:
    """The text of NOTES.md; `silent` are the groups without a frame."""
    made = list(recorders)
    lines = [
        "# A recorded tape",
        "",
        *wrap(f"Recorded with `dutchbook record` (dutchbook {version('dutchbook')}), {stretch}. {TIMES[times]}", WIDTH),
        "",
        *_sources(made, times),
        "",
        "## Groups",
        "",
        f"{len(groups)} groups as they were published at the end of the stretch. On a tape all count as approved.",
        *_listed("Proposed when it was recorded", [group.group for group in groups if group.status == "proposed"]),
        *_listed("Blocked when it was recorded", [group.group for group in groups if group.status == "blocked"]),
        *_listed("Without a frame", silent),
    ]
    for recorder in made:
        lines += ["", f"## {recorder.venue.capitalize()}", ""]
        for line in _venue(recorder):
            lines += wrap(line, WIDTH, subsequent_indent="  " if line.startswith("- ") else "")
    return "\n".join([*lines, "", *GENERAL, ""])


GENERAL: Final = (
    "## How it was made",
    "",
    "- What frames say is verbatim. Of Kalshi's, sids and numbers are the tape's own: a numbering for each recorded",
    "  subscription (in the detector's order for each of its partitions), whose gaps are kept. Polymarket's arrays are",
    "  without the events about markets that are not on the tape.",
    "- Whole books that no venue sent in a frame are made in the venue's form, with a hash that fits: where the",
    "  stretch begins in the middle of a connection, where a REST answer healed a book or is all there is (Kalshi",
    "  without a key), and once a second where nothing but REST answers proves a feed.",
    "- REST bodies are made of the `market` records as of the beginning of the stretch, but for bodies that the raw",
    "  topics hold. What a record does not keep is made up or left away. Order books stand in the frames only.",
    "- What has no frame is not on the tape: connections that were lost, overdue proofs, markets that were held by the",
    "  clock or by REST. The tape shows the last ladder meanwhile; the next whole book is on it.",
)


def _sources(recorders: Iterable[Recorder], times: str) -> list[str]:
    lines = ["| cluster | topics |", "| --- | --- |"]
    venues = {recorder.venue for recorder in recorders}
    for region in ("us", "eu"):
        topics = [f"`{kind}.{venue}`" for venue in HOME if HOME[venue] == region and venue in venues
                  for kind in ("raw", "market")]  # fmt: skip
        if region == "us":
            topics += ["`group`", *(["`journal.detector`"] if times == "detector" else [])]
        if topics:
            lines.append(f"| {region} | {', '.join(topics)} |")
    return lines


def _venue(recorder: Recorder) -> list[str]:
    lines = [f"{recorder.lines:,} frames of {recorder.entries:,} raw records"]
    if recorder.first_ns:
        lines[0] += f", received from {moment(recorder.first_ns)} to {moment(recorder.last_ns)}"
    lines[0] += f"; {recorder.made:,} of them are whole books that were made."
    if recorder.incomplete:
        before_s = WARM_UP_NS // 1_000_000_000
        lines.append(
            f"- {len(recorder.incomplete)} connections began earlier than {before_s} s before the stretch. Of these,"
            " books begin as they were rebuilt from that time, or with their first whole book."
        )
    lines += _counted("Left out", recorder.left_out)
    lines += _counted("Recorded books that were not live, which the tape does not show", recorder.untold)
    if recorder.unequal:
        lines += _listed("Markets whose recorded books the tape does not come to", sorted(recorder.unequal))
    return lines


def _counted(what: str, counts: Counter[str]) -> list[str]:
    return [f"- {what}: {', '.join(f'{count:,} {name}' for name, count in counts.most_common())}."] if counts else []


def _listed(what: str, names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return [f"- {what}: {', '.join(names[:NAMED])}{more}."] if names else []
