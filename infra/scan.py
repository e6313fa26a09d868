"""Opportunities on a tape: the detector's own core, fed with the tape's books in event time, without Kafka.

Everything is as on the live road, one `Detection` per partition of groups included, but for one thing. A tape has
frames only: no answer to a command of ours is on it, so the proofs that the producers ask for are missing. Instead, a
venue's frame of whatever kind proves every live book of that venue as of its receive time. The books are published
again every `republish_ns` of event time with the newest proof, after the books of the frame that moves the time (it may
be the one that ends an edge), and a venue's as soon as its feed comes back after a longer silence. So the legs of a
feed that has been silent for longer than the freshness limit are stale, which the other venue's next frames notice.

Kalshi's markets close by the clock, when the event time passes their close time. A market whose first book comes later
than that is open: the tape knows better than its REST bodies. `bare` gates ask for neither proofs nor close times.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from infra.rebuild_tape import Player
from schemas.records import (
    Analysis,
    Book,
    Group,
    Level,
    Market,
    Opportunity,
    OpportunityEvent,
    OpportunityLeg,
    Outcome,
    Venue,
)
from schemas.topics import HOME, partition_of, venue_topic
from schemas.units import ONE
from streams.core.detection import Detection, Gates, Source

CLOSED: Final = "its close time has passed"
TOPICS: Final = {venue: venue_topic("book", venue, "us") for venue in HOME}

MarketKey = tuple[Venue, str]


class Claim(msgspec.Struct, frozen=True):
    """One claim of a basket: its best price in its own terms (1e-4 dollar) and the size there (1e-2 contract)."""

    venue: Venue
    market: str
    outcome: Outcome
    price: int
    size: int


class Finding(msgspec.Struct, frozen=True):
    """One event of an opportunity's life, as the scan writes it. Money is 1e-6 dollar, 0 once closed.

    Prices and sizes are those in force at the event; where a side has none any more, the last that were written.
    """

    group: str
    basket: tuple[Claim, ...]
    event: OpportunityEvent
    t_ns: int
    quantity: int
    gross: int
    fees: int
    net: int


@dataclass(slots=True)
class Tally:
    """What a scan came to."""

    opened: int = 0
    closed: int = 0


class Scan:
    """Runs the core over a tape. `markets` are the reference records of the groups' markets, where there are any."""

    def __init__(
        self, groups: Iterable[Group], markets: Mapping[MarketKey, Market], gates: Gates, *, republish_ns: int
    ) -> None:
        self.tally = Tally()
        self._bare = gates.bare
        self._republish_ns = republish_ns
        self._repeat_ns = 0
        self._detections: dict[int, Detection] = {}
        self._home: dict[MarketKey, tuple[Detection, int]] = {}
        self._latest: dict[MarketKey, Book] = {}
        self._live: dict[Venue, dict[str, Book]] = {}
        self._proved: dict[Venue, int] = {}
        self._written: dict[tuple[str, str], tuple[Claim, ...]] = {}
        self._closings: deque[tuple[int, str]] = deque()
        for group in groups:
            self._assign(group, markets, gates)
        if not gates.bare:
            times = [(market.close_ns, name) for (venue, name), market in markets.items() if venue == "kalshi"]
            self._closings.extend(sorted((ns, name) for ns, name in times if ns))

    def _assign(self, group: Group, markets: Mapping[MarketKey, Market], gates: Gates) -> None:
        partition = partition_of(group.group)
        detection = self._detections.get(partition)
        if detection is None:
            detection = self._detections[partition] = Detection(partition, gates)
        detection.on_group(group)
        for member in group.members:
            key = (member.venue, member.market)
            self._home[key] = (detection, partition)
            if key in markets:
                detection.on_market(markets[key])

    @property
    def seen(self) -> set[MarketKey]:
        """The markets that had a book."""
        return set(self._latest)

    def run(self, player: Player) -> Iterator[Finding | Analysis]:
        """What the core finds and rejects, in order of time; raises TapeError where the tape is damaged."""
        for venue, received_ns, books in player.play():
            while self._closings and self._closings[0][0] <= received_ns:
                yield from self._close(player, *self._closings.popleft())
            for book in books:
                yield from self._take(book, received_ns)
            if not self._bare:
                yield from self._prove(venue, received_ns)

    def _close(self, player: Player, at_ns: int, market: str) -> Iterator[Finding | Analysis]:
        if ("kalshi", market) in self._latest:
            for book in player.close("kalshi", market, CLOSED, at_ns):
                yield from self._take(book, at_ns)

    def _prove(self, venue: Venue, now_ns: int) -> Iterator[Finding | Analysis]:
        """A frame came: the venue's books are current, and perhaps it is time to say all proofs again."""
        silent_ns = now_ns - self._proved.get(venue, now_ns)
        self._proved[venue] = now_ns
        due: Iterable[Venue] = ()
        if now_ns >= self._repeat_ns:
            # The older proof first: the legs of a basket are never told further apart than they are.
            due, self._repeat_ns = sorted(self._live, key=self._proved.__getitem__), now_ns + self._republish_ns
        elif silent_ns > self._republish_ns:
            due = [venue]
        for each in due:
            for book in list(self._live.get(each, {}).values()):
                proved = msgspec.structs.replace(book, republished=True, confirmed_ns=self._proved[each])
                yield from self._feed(proved, now_ns)

    def _take(self, book: Book, now_ns: int) -> Iterator[Finding | Analysis]:
        """A book of the tape."""
        if not self._bare:
            live = self._live.setdefault(book.venue, {})
            if book.state == "live":
                book = live[book.market] = msgspec.structs.replace(book, confirmed_ns=now_ns)
            else:
                live.pop(book.market, None)
        self._latest[book.venue, book.market] = book
        yield from self._feed(book, now_ns)

    def _feed(self, book: Book, now_ns: int) -> Iterator[Finding | Analysis]:
        detection, partition = self._home[book.venue, book.market]
        source = Source(TOPICS[book.venue], partition, book.frame, 0)
        for opportunity in detection.on_book(book, source, now_ns):
            yield self._finding(opportunity)
        yield from detection.rejections()

    def _finding(self, opportunity: Opportunity) -> Finding:
        key = (opportunity.group, opportunity.basket)
        before = self._written.pop(key, ())
        basket = tuple(self._claim(leg, before[at] if before else None) for at, leg in enumerate(opportunity.legs))
        if opportunity.event == "closed":
            self.tally.closed += 1
        else:
            self.tally.opened += opportunity.event == "opened"
            self._written[key] = basket
        return Finding(
            group=opportunity.group,
            basket=basket,
            event=opportunity.event,
            t_ns=opportunity.time_ns,
            quantity=opportunity.quantity,
            gross=opportunity.gross,
            fees=opportunity.fees,
            net=opportunity.net,
        )

    def _claim(self, leg: OpportunityLeg, before: Claim | None) -> Claim:
        book = self._latest.get((leg.venue, leg.market))
        top = None if book is None else _top(book, leg.outcome)
        if top is None:
            top = (leg.best_price, leg.levels[1]) if before is None else (before.price, before.size)
        return Claim(leg.venue, leg.market, leg.outcome, *top)


def _top(book: Book, outcome: Outcome) -> Level | None:
    """The best level at which a claim can be bought, in its own terms; None where there is none."""
    bids, asks = book.sides()
    if outcome == "yes":
        return asks[0] if asks else None
    return (ONE - bids[0][0], bids[0][1]) if bids else None
