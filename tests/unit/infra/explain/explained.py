"""Opportunities through the real core, with the records that they were made of, as the topics would have them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from infra.explain.facts import Event, Facts, KnownMarket, LegFacts, MarketKey, bought
from schemas.records import (
    Book,
    FeeSchedule,
    Group,
    Level,
    Market,
    Member,
    Opportunity,
    Relation,
    SettlementRisk,
    Ticket,
    TickRange,
    Venue,
    pack_ladder,
)
from streams.core.detection import Detection, Gates, Source
from streams.core.waterfall import Pricing
from tests.unit.streams.core.build import kalshi, polymarket

MS = 1_000_000
SECOND = 1_000 * MS
START = 1_770_519_600 * SECOND
"""2026-02-08, 03:00 UTC."""
CONDITION = "0x313805d96e79603ebb0f12cdee334b0133214d4b7fcb1de79b557636c9d04a29"
PRICING = Pricing(hurdle_ppm=100_000, void_ppm=1_000, mismatch_ppm=2_000, gas=3_000, basis_ppm=50)
GATES = Gates(freshness_ns=5 * SECOND, minimum_net=1, pricing=PRICING)


def market(venue: Venue, name: str, title: str, fee: FeeSchedule, **more: Any) -> Market:
    """A market with cent ticks that closes a quarter of an hour after the start."""
    made = Market(
        venue=venue,
        market=name,
        event="",
        title=title,
        rules="",
        status="active",
        tokens=(),
        ticks=(TickRange(start=100, end=9_900, step=100),),
        fee=fee,
        minimum_quantity=0,
        minimum_value=0,
        negative_risk=False,
        open_ns=START,
        close_ns=START + 900 * SECOND,
        expected_settlement_ns=0,
        updated_ns=START,
        category="crypto",
    )
    return replace(made, **more)


def book(venue: Venue, name: str, bids: Sequence[Level], asks: Sequence[Level], at: int, **more: Any) -> Book:
    """A live book of the group `g` whose frame was received `at` (ns after the start); proved 250 ms before."""
    made = Book(
        venue=venue,
        market=name,
        group="g",
        epoch=START,
        sequence=1,
        state="live",
        reason="",
        republished=False,
        connection=f"{venue}-p-0",
        frame=1,
        exchange_ns=START + at - 12 * MS,
        api_call_start_ns=START + at,
        api_response_ns=START + at,
        processing_complete_ns=START + at + 300_000,
        confirmed_ns=START + at - 250 * MS,
        bid_count=len(bids),
        ask_count=len(asks),
        ladder=pack_ladder(list(bids), list(asks)),
    )
    return replace(made, **more)


@dataclass
class Story:
    """A partition's core with one group; every book it is fed with is a record of a topic, every event another."""

    group: Group
    markets: Sequence[Market]
    gates: Gates = GATES
    records: dict[str, list[list[Book]]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.detection = Detection(5, self.gates)
        for one in self.markets:
            self.detection.on_market(one)
        self.detection.on_group(self.group)
        self.detection.assign(START - 60 * SECOND, ())

    def feed(self, one: Book, received: int, *, before: Sequence[Book] = ()) -> list[Opportunity]:
        """A book that reaches the detector `received` ns after the start, in a record after the books `before`."""
        topic = "book.kalshi" if one.venue == "kalshi" else "eu.book.polymarket"
        log = self.records.setdefault(topic, [])
        log.append([*before, one])
        made = []
        for event in self.detection.on_book(one, Source(topic, 5, len(log) - 1, len(before)), START + received):
            record = replace(event, journal_position=40 + len(log))
            produced_ns = record.time_ns + 450_000
            self.events.append(Event(record, len(self.events), produced_ns // MS, produced_ns))
            made.append(record)
        return made

    def known(self) -> dict[MarketKey, KnownMarket]:
        """The market records as they were published at the start."""
        return {(one.venue, one.market): KnownMarket(one, START // MS, later=False) for one in self.markets}

    def facts(self, revision: int = 0, *, tickets: tuple[Ticket, ...] = (), **more: Any) -> Facts:
        """What is known of one event when nothing is missing."""
        life = tuple(self.events)
        event = next(one for one in life if one.record.revision == revision)
        markets = self.known()
        legs = tuple(
            LegFacts(
                number, leg, self.records[leg.topic][leg.offset][leg.index], "", markets.get((leg.venue, leg.market))
            )
            for number, leg in enumerate(bought(life, event).record.legs)
        )
        made: dict[str, Any] = {
            "event": event,
            "life": life,
            "legs": legs,
            "topic": "opportunity",
            "journal_topic": "journal.detector",
            "group": self.group,
            "status_now": self.group.status,
            "markets": markets,
            "tickets": tickets,
        }
        return Facts(**(made | more))


def two_venues() -> Story:
    """YES on Kalshi and NO on Polymarket: opened, changed by a deeper ladder, closed by a dearer one."""
    up = "BTC price up in next 15 mins?"
    names = ("Up", "Down")
    story = Story(
        Group(
            group="g",
            members=(
                Member(venue="kalshi", market="KXBTC15M-26FEB072230-30"),
                Member(venue="polymarket", market=CONDITION),
            ),
            relations=(Relation(kind="same", members=(0, 1)),),
            status="approved",
            evidence="Same question and same interval, but different price sources.",
            rules_fingerprint="",
            updated_by="test",
            updated_ns=START,
            risk=SettlementRisk(void_ppm=500),
        ),
        [
            market("kalshi", "KXBTC15M-26FEB072230-30", up, kalshi(precision=10_000)),
            market(
                "polymarket",
                CONDITION,
                "Bitcoin Up or Down - February 7, 10:30PM-10:45PM ET",
                polymarket(),
                minimum_quantity=500,
                minimum_value=1_000_000,
                outcomes=names,
            ),
        ],
    )
    ours = ("kalshi", "KXBTC15M-26FEB072230-30")
    bids = [(5_600 - 100 * at, 12_000 + at) for at in range(7)]
    story.feed(book(*ours, bids, [(5_700, 6_600), (5_800, 4_000), (7_000, 500)], 2_000 * MS), 2_001 * MS)  # type: ignore[arg-type]
    theirs = book("polymarket", CONDITION, [(6_500, 5_000), (6_400, 9_000)], [(6_600, 1_000)], 2_030 * MS)
    # Polymarket's clock is 200 ms ahead of ours, and another market's book comes in the same record.
    theirs = replace(theirs, exchange_ns=theirs.exchange_ns + 200 * MS)
    [opened] = story.feed(theirs, 2_112 * MS, before=[replace(theirs, market="0x00", group="other")])
    assert opened.event == "opened"
    deeper = book(*ours, bids, [(5_700, 6_600), (5_800, 14_000)], 3_000 * MS, sequence=2)  # type: ignore[arg-type]
    [changed] = story.feed(deeper, 3_001 * MS)
    assert changed.event == "changed"
    gone = book(*ours, bids, [(6_600, 100)], 4_500 * MS, sequence=3)  # type: ignore[arg-type]
    [closed] = story.feed(gone, 4_502 * MS)
    assert closed.event == "closed"
    return story


def three_candidates() -> Story:
    """NO of three candidates of whom one wins, two on Kalshi and one on Polymarket: at least two of them pay."""
    names: list[tuple[Venue, str]] = [("kalshi", "KXMAYOR-A"), ("kalshi", "KXMAYOR-B"), ("polymarket", CONDITION)]
    everyone = (0, 1, 2)
    story = Story(
        Group(
            group="g",
            members=tuple(Member(venue=venue, market=name) for venue, name in names),
            relations=(Relation(kind="exclusive", members=everyone), Relation(kind="exhaustive", members=everyone)),
            status="proposed",
            evidence="",
            rules_fingerprint="",
            updated_by="test",
            updated_ns=START,
        ),
        [
            market(venue, name, f"Will {name[-1]} be mayor?", kalshi() if venue == "kalshi" else polymarket())
            for venue, name in names
        ],
    )
    for number, (venue, name) in enumerate(names[:2]):
        story.feed(book(venue, name, [(3_800 - 100 * number, 2_000)], [(4_100, 500)], number * 5 * MS), 10 * MS)
    # The first market's book is sent again, with a newer proof: the leg still names the record before.
    again = book(*names[0], [(3_800, 2_000)], [(4_100, 500)], 0, republished=True, confirmed_ns=START + 900 * MS)
    assert story.feed(again, 1_000 * MS) == []
    last = book(*names[2], [(3_200, 1_000), (3_100, 4_000)], [], 1_200 * MS, exchange_ns=0)
    [opened] = story.feed(last, 1_290 * MS)
    assert opened.basket.count("/no") == 3
    return story
