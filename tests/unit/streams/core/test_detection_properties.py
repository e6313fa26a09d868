"""Promises of the state machine that hold for any stream of books."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.records import Book, BookState, Level, Opportunity, Venue, pack_ladder
from schemas.units import ONE
from streams.core.depth import WalkLeg, walk_depth
from streams.core.detection import Detection, Gates, Source
from tests.unit.streams.core.build import SECOND, book, group, kalshi, market, polymarket

MARKETS: tuple[tuple[Venue, str], ...] = (("kalshi", "A"), ("polymarket", "B"), ("polymarket", "C"))
FEES = {"kalshi": kalshi(), "polymarket": polymarket()}
FRESHNESS = 5 * SECOND
MINIMUM_NET = 1
START = 100 * SECOND


@dataclass(frozen=True, slots=True)
class Arrival:
    """One book as it reaches the detector."""

    book: Book
    offset: int
    received_ns: int


def prepared() -> Detection:
    detection = Detection(0, Gates(FRESHNESS, MINIMUM_NET))
    for venue, name in MARKETS:
        detection.on_market(market(venue, name, FEES[venue], minimum_quantity=10))
    detection.on_group(group("g", *MARKETS))
    detection.assign(1, ())
    return detection


def run(arrivals: Iterable[Arrival], detection: Detection | None = None) -> list[Opportunity]:
    detection = detection or prepared()
    events = []
    for arrival in arrivals:
        source = Source(f"book.{arrival.book.venue}", 0, arrival.offset, 0)
        events += detection.on_book(arrival.book, source, arrival.received_ns)
    return events


@st.composite
def ladder(draw: st.DrawFn) -> tuple[list[Level], list[Level]]:
    """Two levels a side around a middle near the other markets', so that pairs cross about half of the time."""
    middle = draw(st.integers(40, 60)) * 100
    sizes = [draw(st.integers(1, 60)) for _ in range(4)]
    spread = draw(st.sampled_from([50, 100]))
    bids = [(middle - spread, sizes[0]), (middle - 2 * spread, sizes[1])]
    asks = [(middle + spread, sizes[2]), (middle + 2 * spread, sizes[3])]
    return bids[: draw(st.integers(0, 2))], asks[: draw(st.integers(0, 2))]


@st.composite
def streams(draw: st.DrawFn, *, longest_gap_ns: int = 3 * SECOND) -> list[Arrival]:
    """New books, late old ones, repetitions with fresh proof, feeds that fall silent or stop being live."""
    arrivals: list[Arrival] = []
    newest: dict[str, Book] = {}
    now = START
    for offset in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from([0, 1, SECOND, longest_gap_ns]))
        venue, name = draw(st.sampled_from(MARKETS))
        before = newest.get(name)
        kind = draw(st.sampled_from(["new", "new", "new", "again", "old"]))
        if kind == "new" or before is None:
            bids, asks = draw(ladder())
            state: BookState = draw(st.sampled_from(["live", "live", "live", "live", "halted"]))
            epoch, sequence = (before.epoch, before.sequence + 1) if before is not None else (1, 1)
            one = book(venue, name, bids, asks, epoch=epoch, sequence=sequence, state=state, confirmed_ns=now)
            newest[name] = one
        elif kind == "again":
            one = msgspec.structs.replace(before, confirmed_ns=now, republished=True)
        else:
            one = draw(st.sampled_from([arrival.book for arrival in arrivals]))
        arrivals.append(Arrival(one, offset, now))
    return arrivals


class Oracle:
    """What must be open after every book, worked out from nothing but the books seen so far."""

    def __init__(self) -> None:
        self.newest: dict[str, Book] = {}
        self.confirmed: dict[str, int] = {}
        self.now = 0

    def see(self, arrival: Arrival) -> None:
        one = arrival.book
        self.now = max(self.now, arrival.received_ns)
        before = self.newest.get(one.market)
        if before is None or (one.epoch, one.sequence) > (before.epoch, before.sequence):
            self.newest[one.market] = one
            self.confirmed[one.market] = one.confirmed_ns
        elif (one.epoch, one.sequence) == (before.epoch, before.sequence):
            self.confirmed[one.market] = max(self.confirmed[one.market], one.confirmed_ns)

    def _levels(self, name: str, outcome: str) -> list[Level]:
        one = self.newest.get(name)
        if one is None or one.state != "live" or self.now - self.confirmed[name] > FRESHNESS:
            return []
        bids, asks = one.sides()
        return asks if outcome == "yes" else [(ONE - price, size) for price, size in bids]

    def open(self) -> dict[str, tuple[int, int]]:
        """Basket id to quantity and net."""
        found = {}
        for venue, name in MARKETS:
            for other_venue, other in MARKETS:
                if name == other:
                    continue
                legs = [
                    WalkLeg(self._levels(name, "yes"), FEES[venue], 10),
                    WalkLeg(self._levels(other, "no"), FEES[other_venue], 10),
                ]
                walk = walk_depth(legs, ONE, MINIMUM_NET) if all(leg.levels for leg in legs) else None
                if walk is not None:
                    basket = "|".join(sorted([f"{venue}/{name}/yes", f"{other_venue}/{other}/no"]))
                    found[basket] = (walk.quantity, walk.net)
        return found


def shape(events: Iterable[Opportunity]) -> dict[str, tuple[int, int]]:
    return {one.basket: (one.quantity, one.net) for one in events}


@settings(max_examples=120, deadline=None)
@given(streams())
def test_what_is_open_is_what_must_be_open_after_every_book(arrivals: list[Arrival]) -> None:
    """None missed, none that is stale, not live or gone, all at their present size. A leg that goes stale without any
    book arriving is seen at the next one, which is when the oracle is asked."""
    detection, oracle = prepared(), Oracle()
    for arrival in arrivals:
        run([arrival], detection)
        oracle.see(arrival)
        assert shape(detection.open_opportunities()) == oracle.open()


@settings(max_examples=60, deadline=None)
@given(streams())
def test_every_life_is_opened_changed_closed_in_unbroken_revisions(arrivals: list[Arrival]) -> None:
    last: dict[str, Opportunity] = {}
    running: dict[str, Opportunity] = {}
    time_ns = 0
    for event in run(arrivals):
        before = last.get(event.opportunity_id)
        assert event.revision == (0 if before is None else before.revision + 1)
        assert event.time_ns >= time_ns
        time_ns = event.time_ns
        if event.event == "opened":
            assert event.basket not in running
            assert (event.opened_ns, event.peak_net) == (event.time_ns, event.net)
        else:
            assert before is not None
            assert running[event.basket].opportunity_id == event.opportunity_id
            assert event.peak_net == max(before.peak_net, event.net)
            assert event.opened_ns == before.opened_ns
        last[event.opportunity_id] = event
        if event.event == "closed":
            assert event.net == event.quantity == event.payout == event.gross == event.fees == 0
            del running[event.basket]
        else:
            running[event.basket] = event
            assert event.net >= MINIMUM_NET
            assert event.gross == event.payout - sum(leg.cost for leg in event.legs)
            assert event.fees == sum(leg.fee for leg in event.legs)
            assert event.net == event.gross - event.fees
            for leg in event.legs:
                assert sum(leg.levels[1::2]) == event.quantity
                assert sum(leg.levels[at] * leg.levels[at + 1] for at in range(0, len(leg.levels), 2)) == leg.cost
                assert event.time_ns - leg.confirmed_ns <= FRESHNESS


@settings(max_examples=30, deadline=None)
@given(streams())
def test_the_same_calls_give_the_same_bytes(arrivals: list[Arrival]) -> None:
    assert [encode(event) for event in run(arrivals)] == [encode(event) for event in run(arrivals)]


@settings(max_examples=60, deadline=None)
@given(streams(), st.data())
def test_duplicates_and_late_old_books_change_nothing(arrivals: list[Arrival], data: st.DataObject) -> None:
    """Each arrival may be followed at the same moment by any earlier one again."""
    noisy: list[Arrival] = []
    for number, arrival in enumerate(arrivals):
        noisy.append(arrival)
        for at in data.draw(st.lists(st.integers(0, number), max_size=3)):
            noisy.append(Arrival(arrivals[at].book, 1_000_000, arrival.received_ns))
    assert run(noisy) == run(arrivals)


@settings(max_examples=60, deadline=None)
@given(streams(longest_gap_ns=SECOND), st.data())
def test_the_final_state_does_not_depend_on_the_order_between_markets(
    arrivals: list[Arrival], data: st.DataObject
) -> None:
    """Only the order within a market counts; stamps stay in their places, as arrival gives them."""
    turns = data.draw(st.permutations([arrival.book.market for arrival in arrivals]))
    queues: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        queues.setdefault(arrival.book.market, []).append(arrival)
    end = arrivals[-1].received_ns
    straight = [Arrival(arrival.book, arrival.offset, end) for arrival in arrivals]
    mixed = [Arrival(arrival.book, arrival.offset, end) for name in turns for arrival in [queues[name].pop(0)]]
    one, other = prepared(), prepared()
    run(straight, one)
    run(mixed, other)
    assert shape(one.open_opportunities()) == shape(other.open_opportunities())


def swapped(arrivals: Sequence[Arrival], exchange: dict[str, tuple[Venue, str]]) -> list[Arrival]:
    return [
        Arrival(
            msgspec.structs.replace(
                arrival.book, venue=exchange[arrival.book.market][0], market=exchange[arrival.book.market][1]
            ),
            arrival.offset,
            arrival.received_ns,
        )
        for arrival in arrivals
    ]


def two_markets(one_fee: int, other_fee: int) -> Detection:
    detection = Detection(0, Gates(FRESHNESS, MINIMUM_NET))
    detection.on_market(market("kalshi", "A", polymarket(one_fee)))
    detection.on_market(market("polymarket", "B", polymarket(other_fee)))
    detection.on_group(group("g", ("kalshi", "A"), ("polymarket", "B")))
    detection.assign(1, ())
    return detection


def figures(events: Iterable[Opportunity]) -> set[tuple[object, ...]]:
    return {(one.time_ns, one.event, one.revision, one.quantity, one.gross, one.fees, one.net) for one in events}


@settings(max_examples=50, deadline=None)
@given(streams())
def test_swapping_the_venues_swaps_the_legs_and_nothing_else(arrivals: list[Arrival]) -> None:
    """What each venue shows and charges is exchanged: every figure stays."""
    pair = [arrival for arrival in arrivals if arrival.book.market != "C"]
    exchange: dict[str, tuple[Venue, str]] = {"A": ("polymarket", "B"), "B": ("kalshi", "A")}
    one = run(pair, two_markets(70_000, 40_000))
    other = run(swapped(pair, exchange), two_markets(40_000, 70_000))
    assert figures(one) == figures(other)


@settings(max_examples=50, deadline=None)
@given(streams())
def test_asking_the_opposite_question_swaps_the_outcomes_and_nothing_else(arrivals: list[Arrival]) -> None:
    """YES of the opposite question is NO of this one: bids at p become asks at 1 - p."""
    turned = []
    for arrival in arrivals:
        bids, asks = arrival.book.sides()
        turned_bids = [(ONE - price, size) for price, size in asks]
        turned_asks = [(ONE - price, size) for price, size in bids]
        opposite = msgspec.structs.replace(
            arrival.book,
            bid_count=len(turned_bids),
            ask_count=len(turned_asks),
            ladder=pack_ladder(turned_bids, turned_asks),
        )
        turned.append(Arrival(opposite, arrival.offset, arrival.received_ns))
    assert figures(run(arrivals)) == figures(run(turned))


@settings(max_examples=60, deadline=None)
@given(streams(longest_gap_ns=SECOND), st.data())
def test_a_restart_with_every_book_republished_goes_on_as_if_nothing_had_been(
    arrivals: list[Arrival], data: st.DataObject
) -> None:
    """After a new assignment every market's newest book comes again: what was open goes on under the same id."""
    cut = data.draw(st.integers(1, len(arrivals)))
    before = prepared()
    events = run(arrivals[:cut], before)
    newest = Oracle()
    for arrival in arrivals[:cut]:
        newest.see(arrival)
    after = prepared()
    after.assign(2, events)
    again = [
        Arrival(msgspec.structs.replace(one, confirmed_ns=newest.confirmed[name]), 0, newest.now)
        for name, one in newest.newest.items()
    ]
    between = run(again, after)
    assert between == []
    assert after.open_opportunities() == before.open_opportunities()
