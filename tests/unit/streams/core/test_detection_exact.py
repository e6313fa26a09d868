"""What is open against the oracle, after every book: groups of any relations, every charge, limits and skew."""

from dataclasses import replace as replaced

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import Book, SettlementRisk
from tests.unit.streams.core.books_drawn import (
    LIMITS,
    START,
    Arrival,
    Scene,
    Truth,
    arrivals,
    feed,
    markets_of,
    standing,
)
from tests.unit.streams.core.build import SECOND, book
from tests.unit.streams.core.groups_drawn import made, watched_groups


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    one = draw(watched_groups())
    if draw(st.booleans()):
        risk = SettlementRisk(void_ppm=20_000, mismatch_ppm=0, void_rules={"kalshi": "refund", "polymarket": "nothing"})
        one = replace(one, risk=risk)
    return Scene(
        one,
        draw(arrivals(one)),
        markets_of(one),
        limits=draw(st.sampled_from(LIMITS)),
        minimum_net=draw(st.sampled_from([1, 2_000])),
    )


@settings(max_examples=30)
@given(scenes())
def test_what_is_open_is_what_must_be_open_after_every_book(scene: Scene) -> None:
    """None missed, none that is stale, not live, gone or eaten by charges, all at their present size."""
    detection, truth = scene.detection(), Truth(scene)
    for arrival in scene.arrivals:
        feed(detection, arrival)
        truth.see(arrival)
        assert standing(detection) == truth.standing()


@st.composite
def skewed(draw: st.DrawFn) -> Scene:
    """Two markets that are mostly proved again and again, seldom in step."""
    one = made(2, [("same", (0, 1))])
    kinds = ("new", "again", "again", "again")
    return Scene(one, draw(arrivals(one, longest_gap_ns=SECOND, kinds=kinds)), markets_of(one), skew_ns=2 * SECOND)


@settings(max_examples=25)
@given(skewed())
def test_legs_whose_proofs_lie_too_far_apart_do_not_count(scene: Scene) -> None:
    """Nor a moment longer than they do: a proof alone may open and close."""
    detection, truth = scene.detection(), Truth(scene)
    for arrival in scene.arrivals:
        feed(detection, arrival)
        truth.see(arrival)
        assert standing(detection) == truth.standing()


def proved(one: Book, after_ns: int) -> Arrival:
    """A book again, with a proof of so long after the start."""
    return Arrival(replace(one, confirmed_ns=START + after_ns, republished=True), START + after_ns)


A_BOOK = book("kalshi", "A", [], [(4_000, 100)], confirmed_ns=START)
B_BOOK = book("polymarket", "B", [(7_000, 100)], [], confirmed_ns=START)


def test_a_leg_that_is_proved_on_and_on_while_the_other_is_not_closes_at_the_skew_limit() -> None:
    one = made(2, [("same", (0, 1))])
    steps = tuple(proved(B_BOOK, count * SECOND) for count in (1, 2, 3))
    scene = Scene(one, (Arrival(A_BOOK, START), Arrival(B_BOOK, START), *steps), markets_of(one), skew_ns=2 * SECOND)
    events = scene.run()[1]
    assert [(event.event, event.time_ns - START) for event in events] == [("opened", 0), ("closed", 3 * SECOND)]
    assert events[-1].reason == "skew: kalshi A"


def test_a_leg_that_catches_up_in_small_steps_opens_as_soon_as_it_is_near_enough() -> None:
    one = made(2, [("same", (0, 1))])
    ahead = proved(B_BOOK, 4 * SECOND)
    steps = tuple(
        replaced(proved(A_BOOK, count * SECOND), received_ns=ahead.received_ns + count) for count in (1, 2, 3)
    )
    scene = Scene(one, (Arrival(A_BOOK, START), ahead, *steps), markets_of(one), skew_ns=2 * SECOND)
    events = scene.run()[1]
    assert [(event.event, event.time_ns) for event in events] == [("opened", ahead.received_ns + 2)]
