"""Which markets of a venue are followed, and what is known of each. Pure: every time is passed in.

The markets of groups always are; what a budget leaves goes to the most traded of the others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from producers.catalogue import OPEN, Described, Standing
from producers.guard import Backoff
from schemas.records import Market

RETRY_NS: Final = 60_000_000_000
"""What the venue does not know, or does not say, is asked for again within this."""

CONTRADICTED_NS: Final = 60_000_000_000
"""A hold that the stream told and that the catalogue has contradicted for so long was lifted unheard."""

FIRST_RETRY_MS: Final = 1000

_GRAVITY: Final = {"open": 0, "halted": 1, "closed": 2}


@dataclass(slots=True)
class Entry:
    """A market and where it stands. `group` is empty for one in none; `line` carries it once it is placed.

    `standing` comes with its metadata, `polled` from asking for nothing else, `pause` is the venue's as a whole; `said`
    is what its line was told. `again` asks for another description after the one that is under way.
    """

    group: str
    due_ns: int = 0
    market: Market | None = None
    line: Any = None
    standing: Standing = OPEN
    polled: Standing = OPEN
    pause: str = ""
    clocked: bool = False
    said: Standing = OPEN
    closed_ns: int = 0
    unknown: bool = False
    refused: bool = False
    complained: str = ""
    backoff: Backoff | None = None
    again: bool = False
    described_ns: int = 0
    contradicted_ns: int = 0

    def look_again(self) -> None:
        """Describe it at once, and once more if that is being done."""
        self.due_ns, self.again = 0, True

    def described_until(self, ns: int) -> None:
        """Describe it again at `ns`, unless it was asked for since this description began."""
        self.due_ns = 0 if self.again else ns

    def take(self, described: Described, venue_ns: int) -> None:
        """Take in what the venue says of it, while the venue's clock shows `venue_ns`."""
        self.market, self.standing = described.market, described.standing
        self.unknown, self.refused, self.complained, self.backoff = False, False, "", None
        # A close time that lay in the past from the beginning is a replayed tape's: there the venue's status rules.
        self.clocked = self.clocked or described.market.close_ns > venue_ns

    def standing_at(self, venue_ns: int, *, closes_by_clock: bool) -> Standing:
        """Where it stands while the venue's clock shows `venue_ns`: the gravest of what is known."""
        known = [self.standing, self.polled]
        if closes_by_clock and self.clocked and self.market is not None and 0 < self.market.close_ns <= venue_ns:
            known.append(Standing("closed", "its close time has passed"))
        if self.pause:
            known.append(Standing("halted", self.pause))
        if self.refused:
            known.append(Standing("halted", "its metadata is not understood"))
        return max(known, key=lambda standing: _GRAVITY[standing.state])

    def to_be_placed(self, standing: Standing) -> bool:
        """True when a line should carry it and none does: a market that is closed already is not followed."""
        return self.line is None and self.market is not None and not self.refused and standing.state != "closed"

    def again_in_ns(self) -> int:
        """How long to wait after another failure to describe it."""
        if self.backoff is None:
            self.backoff = Backoff(FIRST_RETRY_MS, RETRY_NS // 1_000_000)
        return int(self.backoff.delay_s() * 1e9)


class Roster:
    """The followed markets by name. What a call adds is due at once; what it takes away is returned."""

    def __init__(self, budget: int) -> None:
        self.entries: dict[str, Entry] = {}
        self._budget = budget
        self._ranked: list[str] = []
        self._kept_out: set[str] = set()

    @property
    def room(self) -> int:
        """How many markets in no group the budget leaves room for."""
        return max(0, self._budget - sum(1 for entry in self.entries.values() if entry.group))

    def assign(self, groups: Mapping[str, str]) -> tuple[dict[str, Entry], list[str]]:
        """The groups' markets are exactly these (market to group): who goes, and whose group is another now."""
        moved = []
        for market, group in groups.items():
            entry = self.entries.get(market)
            if entry is None:
                self.entries[market] = Entry(group)
            elif entry.group != group:
                entry.group = group
                moved.append(market)
        for market, entry in self.entries.items():
            if entry.group and market not in groups:
                entry.group, entry.polled = "", OPEN
                entry.look_again()
                moved.append(market)
        gone = self._fill()
        return gone, [market for market in moved if market in self.entries]

    def rank(self, ranked: Iterable[str]) -> dict[str, Entry]:
        """The catalogue was walked: the tradeable markets, the most traded first. What was kept out may try again."""
        self._ranked = list(ranked)
        self._kept_out.clear()
        return self._fill()

    def propose(self, market: str) -> bool:
        """A market came into being: True when there is room to follow it until the catalogue is walked again."""
        others = sum(1 for entry in self.entries.values() if not entry.group)
        if market in self.entries or market in self._kept_out or others >= self.room:
            return False
        self._ranked.append(market)
        self._fill()
        return True

    def keep_out(self, market: str) -> dict[str, Entry]:
        """A market in no group cannot be followed: the next takes its place."""
        self._kept_out.add(market)
        return self._fill()

    def _fill(self) -> dict[str, Entry]:
        room = self.room
        free = [
            market
            for market in self._ranked
            if market not in self._kept_out and not (market in self.entries and self.entries[market].group)
        ]
        # Who is followed stays until far outranked: a book is not given up for a place in a list.
        stay = [market for market in free[: 2 * room] if market in self.entries][:room]
        come = [market for market in free if market not in self.entries][: room - len(stay)]
        kept = set(stay)
        gone = {market: entry for market, entry in self.entries.items() if not entry.group and market not in kept}
        for market in gone:
            del self.entries[market]
        self.entries.update({market: Entry("") for market in come})
        return gone
