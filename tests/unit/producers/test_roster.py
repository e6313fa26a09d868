"""Who is followed: groups first, then the budget; and where each stands."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.catalogue import OPEN, Described, Standing
from producers.roster import RETRY_NS, Entry, Roster
from tests.unit.producers.support import make_market

HALTED, CLOSED = Standing("halted", "paused"), Standing("closed", "over")


def followed(roster: Roster) -> set[str]:
    return set(roster.entries)


def test_the_rest_of_the_budget_goes_to_the_most_traded() -> None:
    roster = Roster(4)
    assert roster.assign({"A": "g", "B": "g"}) == ({}, [])
    assert roster.rank(["X", "B", "Y", "Z"]) == {}
    assert followed(roster) == {"A", "B", "X", "Y"}
    assert {market: entry.group for market, entry in roster.entries.items()} == {"A": "g", "B": "g", "X": "", "Y": ""}


def test_groups_never_wait_for_the_budget() -> None:
    roster = Roster(2)
    roster.rank(["X", "Y"])
    gone, _ = roster.assign({"A": "g", "B": "g", "C": "g"})
    assert (followed(roster), set(gone)) == ({"A", "B", "C"}, {"X", "Y"})
    assert roster.room == 0


def test_who_is_followed_stays_until_far_outranked() -> None:
    roster = Roster(2)
    roster.rank(["A", "B", "C", "D"])
    assert roster.rank(["C", "D", "B", "A"]) == {}
    assert followed(roster) == {"A", "B"}
    assert set(roster.rank(["C", "D", "E", "F", "A"])) == {"A", "B"}
    assert followed(roster) == {"C", "D"}


def test_a_market_that_leaves_its_group_stays_only_for_the_budget() -> None:
    roster = Roster(1)
    roster.assign({"A": "g", "B": "g"})
    roster.rank(["B", "A"])
    roster.entries["B"].polled = HALTED
    gone, moved = roster.assign({})
    assert (followed(roster), set(gone), moved) == ({"B"}, {"A"}, ["B"])
    assert roster.entries["B"].polled == OPEN
    assert roster.assign({"B": "h"}) == ({}, ["B"])
    assert roster.assign({"B": "h"}) == ({}, [])


def test_what_cannot_be_followed_makes_room_until_the_next_walk() -> None:
    roster = Roster(1)
    roster.rank(["A", "B"])
    assert set(roster.keep_out("A")) == {"A"}
    assert followed(roster) == {"B"}
    roster.rank(["A", "B"])
    assert followed(roster) == {"B"}
    roster.rank(["A"])
    assert followed(roster) == {"A"}


def test_a_new_market_is_followed_while_there_is_room() -> None:
    roster = Roster(2)
    roster.rank(["A"])
    assert roster.propose("N")
    assert not roster.propose("N")
    assert not roster.propose("M")
    assert followed(roster) == {"A", "N"}
    roster.keep_out("N")
    assert not roster.propose("N")


NAMES = st.sampled_from("ABCDEFGH")
STEPS = st.one_of(
    st.tuples(st.just("assign"), st.dictionaries(NAMES, st.sampled_from("gh"), max_size=5)),
    st.tuples(st.just("rank"), st.lists(NAMES, unique=True)),
    st.tuples(st.just("keep_out"), NAMES),
    st.tuples(st.just("propose"), NAMES),
)


@given(st.integers(0, 5), st.lists(STEPS, max_size=25))
def test_the_roster_is_the_groups_and_what_fits(budget: int, steps: list[tuple[str, object]]) -> None:
    roster, groups = Roster(budget), dict[str, str]()
    for step, value in steps:
        before = dict(roster.entries)
        result = getattr(roster, step)(value)
        gone = result[0] if step == "assign" else result if step in ("rank", "keep_out") else {}
        if step == "assign":
            groups = dict(value)  # type: ignore[call-overload]
        assert {market: entry.group for market, entry in roster.entries.items() if entry.group} == groups
        others = [market for market, entry in roster.entries.items() if not entry.group]
        assert len(others) <= max(0, budget - len(groups))
        assert set(gone) == set(before) - set(roster.entries)
        for market, entry in roster.entries.items():
            assert before.get(market, entry) is entry


@pytest.mark.parametrize(
    ("first_ns", "close_ns", "at_ns", "state"),
    [(10, 50, 49, "open"), (10, 50, 50, "closed"), (60, 50, 70, "open"), (10, 0, 70, "open")],
)
def test_a_close_time_counts_when_it_once_lay_in_the_future(
    first_ns: int, close_ns: int, at_ns: int, state: str
) -> None:
    entry = Entry("g")
    entry.take(Described(msgspec.structs.replace(make_market("kalshi", "A"), close_ns=close_ns)), first_ns)
    assert entry.standing_at(at_ns, closes_by_clock=True).state == state
    assert entry.standing_at(at_ns, closes_by_clock=False) == OPEN


def test_an_earlier_close_counts_at_once_and_a_later_one_opens_again() -> None:
    entry, market = Entry("g"), make_market("kalshi", "A")
    entry.take(Described(msgspec.structs.replace(market, close_ns=100)), 10)
    entry.take(Described(msgspec.structs.replace(market, close_ns=20)), 30)
    assert entry.standing_at(30, closes_by_clock=True).state == "closed"
    entry.take(Described(msgspec.structs.replace(market, close_ns=100)), 40)
    assert entry.standing_at(40, closes_by_clock=True) == OPEN


@given(st.sampled_from([OPEN, HALTED, CLOSED]), st.sampled_from([OPEN, HALTED, CLOSED]), st.booleans(), st.booleans())
def test_the_gravest_counts(standing: Standing, polled: Standing, paused: bool, refused: bool) -> None:
    entry = Entry("g", standing=standing, polled=polled, pause="trading paused" if paused else "", refused=refused)
    states = {standing.state, polled.state} | ({"halted"} if paused or refused else set())
    expected = "closed" if "closed" in states else "halted" if "halted" in states else "open"
    found = entry.standing_at(0, closes_by_clock=True)
    assert found.state == expected
    assert bool(found.reason) == (expected != "open")


def test_failures_are_asked_about_again_later_and_later() -> None:
    entry = Entry("g")
    assert all(0 <= entry.again_in_ns() <= RETRY_NS for _ in range(30))
    entry.take(Described(make_market("kalshi", "A")), 1)
    assert entry.backoff is None


def test_what_is_asked_for_while_it_is_being_asked_is_asked_for_once_more() -> None:
    entry = Entry("g")
    entry.described_until(50)
    assert entry.due_ns == 50
    entry.look_again()
    entry.described_until(60)
    assert entry.due_ns == 0
