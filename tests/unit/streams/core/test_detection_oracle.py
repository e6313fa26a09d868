"""The oracle of whole stacks against the detector's core: the same inputs, every event the same, number by number."""

from collections.abc import Iterable
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import Group, Market, Opportunity, SettlementRisk
from tests import exact, oracle
from tests.unit.streams.core.books_drawn import FRESHNESS, HOUR, LIMITS, Arrival, Scene, arrivals, feed, markets_of
from tests.unit.streams.core.build import SECOND
from tests.unit.streams.core.groups_drawn import watched_groups

Step = Arrival | Market | Group | str
"""What happens: a book, a reference record, a group's tombstone (its name), or a new assignment ("assign")."""


@dataclass(frozen=True, slots=True)
class Story:
    """A scene in which reference records come in between."""

    scene: Scene
    steps: tuple[Step, ...]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    one = draw(watched_groups())
    limits, skew_ns = draw(st.sampled_from(LIMITS)), draw(st.sampled_from([0, 2 * SECOND]))
    scene = Scene(one, draw(arrivals(one)), markets_of(one), limits=limits, skew_ns=skew_ns)
    steps: list[Step] = []
    for arrival in scene.arrivals:
        steps.append(arrival)
        kind = draw(st.sampled_from([""] * 12 + ["market", "group", "gone", "assign", "assign"]))
        if kind == "market":
            market = draw(st.sampled_from(scene.markets))
            minimum, ends = draw(st.sampled_from([3, 30])), draw(st.sampled_from([0, 900 * HOUR]))
            steps.append(replace(market, minimum_quantity=minimum, close_ns=market.close_ns + ends))
        elif kind == "group":
            risk = SettlementRisk(void_ppm=draw(st.sampled_from([0, 900_000])), mismatch_ppm=0)
            steps.append(replace(one, risk=risk, status=draw(st.sampled_from(["approved", "blocked"]))))
        elif kind:
            steps.append(one.group if kind == "gone" else kind)
    return Story(scene, tuple(steps))


def rules(scene: Scene) -> oracle.Rules:
    return oracle.Rules(FRESHNESS, scene.minimum_net, scene.skew_ns, scene.assumed, scene.limits)


def sorted_events(events: Iterable[oracle.Expected]) -> list[oracle.Expected]:
    return sorted(events, key=lambda event: (event.basket, event.event))


@settings(max_examples=40)
@given(stories())
def test_the_core_says_what_the_oracle_of_whole_stacks_says(story: Story) -> None:
    """After every step: events of several baskets in any order, but every number of each."""
    detection, expected = story.scene.detection(), oracle.PartitionOracle(rules(story.scene))
    for market in story.scene.markets:
        expected.on_market(market)
    expected.on_group("g", story.scene.group)
    history: list[Opportunity] = []
    for step in story.steps:
        if isinstance(step, Arrival):
            said, must = feed(detection, step), expected.on_book(step.book, step.received_ns)
        elif isinstance(step, Market):
            said, must = detection.on_market(step), expected.on_market(step)
        elif isinstance(step, Group):
            said, must = detection.on_group(step), expected.on_group(step.group, step)
        elif step == "assign":
            said, must = [], []
            expected = again(expected, history)
            detection.assign(2, history)
        else:
            said, must = detection.on_group_removed(step), expected.on_group(step, None)
        history += said
        assert sorted_events(map(oracle.emitted, said)) == sorted_events(must)


def again(before: oracle.PartitionOracle, history: Iterable[Opportunity]) -> oracle.PartitionOracle:
    """The oracle of a new epoch: reference records are read anew, what is open goes on."""
    fresh = oracle.PartitionOracle(before.rules)
    for market in before.markets.values():
        fresh.on_market(market)
    for name, group in before.groups.items():
        fresh.on_group(name, group)
    newest = {one.opportunity_id: one for one in history}
    for one in newest.values():
        if one.event != "closed":
            fresh.open[oracle.basket_of(one)] = oracle.restored(one)
    return fresh


@settings(max_examples=20)
@given(stories())
def test_its_best_size_is_the_exact_one(story: Story) -> None:
    """The quick search in integers against every quantity in fractions, on the offers of a story's baskets."""
    expected = oracle.PartitionOracle(rules(story.scene))
    for market in story.scene.markets:
        expected.on_market(market)
    expected.on_group("g", story.scene.group)
    for arrival in story.scene.arrivals:
        expected.on_book(arrival.book, arrival.received_ns)
    for basket in expected.baskets:
        if expected._usable(basket) and (offer := expected._offer(basket)) is not None:
            largest = exact.largest_size(offer.deal, offer.legs, story.scene.limits)
            costs = offer.deal.costs(story.scene.assumed, largest)
            assert expected._best(offer) == exact.best_size(offer.legs, offer.deal.payout, 1, costs)
