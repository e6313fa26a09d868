"""What must not matter: which venue is which, how a question is put, repetitions, the order between markets."""

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

from schemas.records import Book, Group, Member, Outcome, Relation, RelationKind, SettlementRisk, Venue, pack_ladder
from schemas.units import ONE
from tests import exact
from tests.unit.streams.core.books_drawn import (
    Arrival,
    Scene,
    arrivals,
    feed,
    figures,
    markets_of,
    standing,
)
from tests.unit.streams.core.build import SECOND
from tests.unit.streams.core.groups_drawn import usable_groups, watched_groups

OTHER: dict[Venue, Venue] = {"kalshi": "polymarket", "polymarket": "kalshi"}
OPPOSITE: dict[Outcome, Outcome] = {"yes": "no", "no": "yes"}
NO_CHAIN = exact.Assumptions(hurdle_ppm=50_000, void_ppm=1_000, mismatch_ppm=2_000, other_delay_ns=SECOND)
"""Charges that do not ask which venue a leg is on."""


@st.composite
def scenes(draw: st.DrawFn, *, longest_gap_ns: int = 3 * SECOND) -> Scene:
    one = draw(watched_groups())
    return Scene(one, draw(arrivals(one, longest_gap_ns=longest_gap_ns)), markets_of(one))


# The other venue


def on_the_other_venue(scene: Scene) -> Scene:
    """Every market where the others are, with the fees, the rules and the books that it had."""
    one = scene.group
    members = tuple(Member(venue=OTHER[member.venue], market=member.market) for member in one.members)
    rules = {OTHER[venue]: rule for venue, rule in one.risk.void_rules.items()}
    return replace(
        scene,
        group=replaced(one, members=members, risk=replaced(one.risk, void_rules=rules)),
        markets=tuple(replaced(market, venue=OTHER[market.venue]) for market in scene.markets),
        arrivals=tuple(
            replace(arrival, book=replaced(arrival.book, venue=OTHER[arrival.book.venue])) for arrival in scene.arrivals
        ),
    )


@settings(max_examples=20)
@given(scenes())
def test_swapping_the_venues_swaps_the_legs_and_nothing_else(scene: Scene) -> None:
    risk = SettlementRisk(void_ppm=30_000, void_rules={"kalshi": "last_price", "polymarket": "half"})
    scene = replace(scene, group=replaced(scene.group, risk=risk), assumed=NO_CHAIN)
    other = on_the_other_venue(scene)
    assert figures(other.run()[1]) == figures(scene.run()[1])
    assert {
        tuple(sorted((OTHER[venue], market, outcome) for venue, market, outcome in claims)): found
        for claims, found in standing(scene.run()[0]).items()
    } == standing(other.run()[0])


# The opposite question

FORBIDDEN: dict[RelationKind, tuple[bool, bool]] = {
    "implies": (True, False),
    "exclusive": (True, True),
    "exhaustive": (False, False),
}
"""The one combination that a relation of two markets rules out, where it rules out one."""


def turned_relation(relation: Relation, turned: set[int]) -> Relation:
    """The same relation of two markets, said of their opposites where those are `turned`."""
    first, second = relation.members
    if relation.kind not in FORBIDDEN:
        other: RelationKind = "complement" if relation.kind == "same" else "same"
        kind = other if (first in turned) != (second in turned) else relation.kind
        return Relation(kind=kind, members=relation.members)
    one, two = FORBIDDEN[relation.kind]
    ruled_out = (one != (first in turned), two != (second in turned))
    if ruled_out == (False, True):
        return Relation(kind="implies", members=(second, first))
    kind = next(kind for kind, combination in FORBIDDEN.items() if combination == ruled_out)
    return Relation(kind=kind, members=relation.members)


def turned_book(one: Book) -> Book:
    """The book of the opposite question: bids at p are asks at 1 - p."""
    bids, asks = one.sides()
    turned_bids = [(ONE - price, size) for price, size in asks]
    turned_asks = [(ONE - price, size) for price, size in bids]
    ladder = pack_ladder(turned_bids, turned_asks)
    return replaced(one, bid_count=len(turned_bids), ask_count=len(turned_asks), ladder=ladder)


def in_pairs(one: Group) -> Group:
    """A group with the relations that are between two markets."""
    return replaced(one, relations=tuple(relation for relation in one.relations if len(relation.members) == 2))


def turned_group(one: Group, turned: set[int]) -> Group:
    return replaced(one, relations=tuple(turned_relation(relation, turned) for relation in one.relations))


@settings(max_examples=25)
@given(usable_groups(4).map(in_pairs).filter(exact.baskets), st.sets(st.integers(0, 3)), st.data())
def test_asking_opposite_questions_swaps_outcomes_and_nothing_else(
    one: Group, turned: set[int], data: st.DataObject
) -> None:
    """Of any markets, one or all: baskets, sizes and every figure stay, YES and NO of those markets change places."""
    other = turned_group(one, turned)
    assume(not exact.cyclic(other))
    names = {member.market for at, member in enumerate(one.members) if at in turned}
    scene = Scene(one, data.draw(arrivals(one)), markets_of(one))
    turned_arrivals = tuple(
        replace(arrival, book=turned_book(arrival.book)) if arrival.book.market in names else arrival
        for arrival in scene.arrivals
    )
    opposite = replace(scene, group=other, arrivals=turned_arrivals)

    def again(claim: exact.Claim) -> exact.Claim:
        venue, market, outcome = claim
        return venue, market, OPPOSITE[outcome] if market in names else outcome

    assert figures(opposite.run()[1]) == figures(scene.run()[1])
    assert {tuple(sorted(map(again, claims))): found for claims, found in standing(scene.run()[0]).items()} == standing(
        opposite.run()[0]
    )


# Repetitions


@settings(max_examples=20)
@given(scenes(), st.data())
def test_duplicates_and_late_old_books_change_nothing(scene: Scene, data: st.DataObject) -> None:
    """Each arrival may be followed at the same moment by any earlier one again."""
    noisy: list[Arrival] = []
    for number, arrival in enumerate(scene.arrivals):
        noisy.append(arrival)
        for at in data.draw(st.lists(st.integers(0, number), max_size=2)):
            noisy.append(Arrival(scene.arrivals[at].book, arrival.received_ns))
    assert replace(scene, arrivals=tuple(noisy)).run()[1] == scene.run()[1]


@settings(max_examples=15)
@given(scenes(), st.data())
def test_reference_records_that_say_the_same_again_change_nothing(scene: Scene, data: st.DataObject) -> None:
    detection, events = scene.detection(), []
    for arrival in scene.arrivals:
        events += feed(detection, arrival)
        if data.draw(st.booleans()):
            events += detection.on_group(scene.group)
        if data.draw(st.booleans()):
            events += detection.on_market(data.draw(st.sampled_from(scene.markets)))
    assert events == scene.run()[1]


# The order between markets


@settings(max_examples=20)
@given(scenes(longest_gap_ns=SECOND), st.data())
def test_the_final_state_does_not_depend_on_the_order_between_markets(scene: Scene, data: st.DataObject) -> None:
    """Only the order within a market counts. All arrive at one moment, for time is the order of arrival."""
    end = scene.arrivals[-1].received_ns
    turns = data.draw(st.permutations([arrival.book.market for arrival in scene.arrivals]))
    queues: dict[str, list[Arrival]] = {}
    for arrival in scene.arrivals:
        queues.setdefault(arrival.book.market, []).append(Arrival(arrival.book, end))
    straight = tuple(Arrival(arrival.book, end) for arrival in scene.arrivals)
    mixed = tuple(queues[name].pop(0) for name in turns)
    one, other = replace(scene, arrivals=straight), replace(scene, arrivals=mixed)
    assert standing(one.run()[0]) == standing(other.run()[0])
