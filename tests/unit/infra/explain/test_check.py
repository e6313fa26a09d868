"""Recomputation: it agrees with the core, and names every field that was tampered with."""

from dataclasses import replace as put
from typing import Any

import pytest
from msgspec.structs import replace

from infra.explain.check import Difference, check, taken
from infra.explain.facts import Facts, KnownMarket
from schemas.records import pack_ladder
from tests.unit.infra.explain.explained import Story, three_candidates, two_venues


@pytest.mark.parametrize("story", [two_venues(), three_candidates()])
def test_what_the_core_said_follows_again(story: Story) -> None:
    for event in story.events:
        verdict = check(story.facts(event.record.revision))
        assert (verdict.differences, verdict.unchecked) == ((), ())


def with_leg(facts: Facts, number: int = 0, **changes: Any) -> Facts:
    """The facts with other fields of one leg, in the record and in the leg itself."""
    legs = list(facts.legs)
    legs[number] = put(legs[number], leg=replace(legs[number].leg, **changes))
    record = replace(facts.event.record, legs=tuple(leg.leg for leg in legs))
    event = put(facts.event, record=record)
    return put(facts, legs=tuple(legs), event=event, life=(event,))


def fields(facts: Facts) -> list[tuple[int | None, str]]:
    return [(one.leg, one.field) for one in check(facts).differences]


@pytest.mark.parametrize("name", ["limit_price", "epoch", "sequence"])
def test_a_field_of_a_leg_is_named(name: str) -> None:
    facts = two_venues().facts()
    was = getattr(facts.legs[0].leg, name)
    [one] = check(with_leg(facts, **{name: was + 1})).differences
    assert one == Difference(0, name, was + 1, was)


def test_a_cost_a_fee_and_a_best_price_unsettle_the_sums_too() -> None:
    facts = two_venues().facts()
    assert fields(with_leg(facts, cost=1)) == [
        (None, "gross"), (None, "depth_cost"), (None, "net"), (None, "capital"), (0, "cost"),
    ]  # fmt: skip
    assert fields(with_leg(facts, fee=1)) == [(None, "fees"), (None, "capital"), (0, "fee")]
    assert fields(with_leg(facts, best_price=5_600)) == [(None, "depth_cost"), (0, "best_price")]
    [levels] = check(with_leg(facts, 1, levels=(3_500, 5_000, 3_600, 5_598))).differences
    assert levels == Difference(1, "levels", (3_500, 5_000, 3_600, 5_598), (3_500, 5_000, 3_600, 5_599))


@pytest.mark.parametrize("name", ["gross", "depth_cost", "fees", "net", "capital"])
def test_a_sum_is_named(name: str) -> None:
    facts = two_venues().facts()
    was = getattr(facts.event.record, name)
    event = put(facts.event, record=replace(facts.event.record, **{name: was + 1}))
    differences = check(put(facts, event=event, life=(event,))).differences
    assert Difference(None, name, was + 1, was) in differences


@pytest.mark.parametrize("name", ["gas", "basis", "settlement_risk", "time_value", "payout"])
def test_a_step_that_breaks_the_sum_shows_in_the_net(name: str) -> None:
    facts = two_venues().facts()
    event = put(facts.event, record=replace(facts.event.record, **{name: 1}))
    assert (None, "net") in fields(put(facts, event=event, life=(event,)))


def with_market(facts: Facts, number: int = 0, **changes: Any) -> Facts:
    legs = list(facts.legs)
    known = legs[number].market
    assert known is not None
    legs[number] = put(legs[number], market=KnownMarket(replace(known.record, **changes), 0, later=True))
    return put(facts, legs=tuple(legs))


def test_another_fee_schedule_is_a_difference_of_the_fee_alone() -> None:
    facts = two_venues().facts()
    market = facts.legs[1].market
    assert market is not None
    dearer = replace(market.record.fee, taker_rate=80_000)
    [one] = check(with_market(facts, 1, fee=dearer)).differences
    assert (one.leg, one.field, one.recorded) == (1, "fee", facts.legs[1].leg.fee)
    assert isinstance(one.recomputed, int)
    assert one.recomputed > facts.legs[1].leg.fee


def test_a_schedule_that_makes_no_sense_is_told_in_words() -> None:
    facts = two_venues().facts()
    market = facts.legs[0].market
    assert market is not None
    refused = replace(market.record.fee, balance_precision=0)
    [one] = check(with_market(facts, 0, fee=refused)).differences
    assert one == Difference(0, "fee", facts.legs[0].leg.fee, "balance precision 0 is not positive")


def test_another_grid_moves_the_limit_price() -> None:
    facts = two_venues().facts()
    market = facts.legs[0].market
    assert market is not None
    coarse = replace(market.record.ticks[0], start=500, end=9_500, step=500)
    assert check(with_market(facts, 0, ticks=(coarse,))).differences == (Difference(0, "limit_price", 5_800, 6_000),)


@pytest.mark.parametrize(
    ("changes", "follows"),
    [
        ({"minimum_quantity": 10_600}, "from 10600 on in lots of 1"),
        ({"lot": 100}, "from 1 on in lots of 100"),
        ({"minimum_quantity": 10_600, "lot": 50}, "from 10600 on in lots of 50"),
        ({"minimum_value": 10**12}, "less than the smallest order"),
    ],
)
def test_a_quantity_that_the_market_does_not_allow(changes: dict[str, int], follows: str) -> None:
    facts = with_market(two_venues().facts(), 0, **changes)
    assert check(facts).differences == (Difference(0, "quantity", 10_599, follows),)


@pytest.mark.parametrize("changes", [{"minimum_quantity": 10_599}, {"minimum_value": 60_814_200}, {"lot": 3}])
def test_a_quantity_that_the_market_just_allows(changes: dict[str, int]) -> None:
    assert check(with_market(two_venues().facts(), 0, **changes)).differences == ()


def test_another_book_under_the_same_address() -> None:
    facts = two_venues().facts()
    book = facts.legs[0].book
    assert book is not None
    for other, said in (
        (replace(book, market="X"), [(0, "market")]),
        (replace(book, sequence=9), [(0, "sequence")]),
        (replace(book, ladder=pack_ladder([], [(5_900, 1_000)]), bid_count=0, ask_count=1),
         [(0, "levels"), (0, "cost"), (0, "best_price"), (0, "limit_price"), (0, "fee")]),
        (replace(book, ladder=pack_ladder([], [(5_900, 10), (5_900, 10)]), bid_count=0, ask_count=2), [(0, "levels")]),
        (replace(book, ladder=b"", bid_count=0, ask_count=0),
         [(0, "levels"), (0, "cost"), (0, "best_price"), (0, "limit_price"), (0, "fee"), (0, "quantity")]),
    ):  # fmt: skip
        legs = (put(facts.legs[0], book=other), facts.legs[1])
        assert fields(put(facts, legs=legs)) == said


def test_without_a_book_or_a_market_a_leg_is_not_checked() -> None:
    facts = two_venues().facts()
    no_book = put(facts, legs=(put(facts.legs[0], book=None, problem="gone"), facts.legs[1]))
    assert (check(no_book).differences, check(no_book).unchecked) == ((), (0,))
    no_market = put(facts, legs=(facts.legs[0], put(facts.legs[1], market=None)))
    assert (check(no_market).differences, check(no_market).unchecked) == ((), (1,))


def test_a_closing_without_its_life_is_checked_by_its_levels() -> None:
    story = two_venues()
    closed = story.events[-1]
    facts = put(story.facts(2), life=(closed,))
    assert (check(facts).differences, check(facts).unchecked) == ((), ())


def test_what_a_quantity_takes() -> None:
    levels = [(10, 5), (20, 5)]
    assert taken(levels, 0) == []
    assert taken(levels, 5) == [(10, 5)]
    assert taken(levels, 6) == [(10, 5), (20, 1)]
    assert taken(levels, 99) == levels
