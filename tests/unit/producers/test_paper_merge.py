"""Records of several partitions come out in the order of their times, and never before it is sure."""

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from producers.paper_merge import EVER_NS, Merge, Place

A: Place = ("books", 0)
B: Place = ("books", 1)
NAMES = (A, B, ("books", 2))


def merge(**records: Sequence[int]) -> Merge[str]:
    """Partitions `a` and `b` with records of these times; a record is called by its partition and time."""
    made: Merge[str] = Merge([B, A])
    for name, times in records.items():
        for offset, time_ns in enumerate(times):
            made.add(A if name == "a" else B, offset, time_ns, f"{name}{time_ns}")
    return made


def test_records_come_in_the_order_of_their_times_up_to_the_moment() -> None:
    made = merge(a=[1, 4, 9], b=[2, 3, 9])
    assert list(made.until(4)) == ["a1", "b2", "b3", "a4"]
    assert made.complete(4)
    assert made.complete(8)
    assert not made.complete(9)
    assert list(made.until(4)) == []


def test_equal_times_come_in_the_order_of_the_places() -> None:
    made = merge(b=[5, 7], a=[5, 7])
    assert list(made.until(6)) == ["a5", "b5"]
    emptied = merge(a=[5], b=[5])
    assert list(emptied.until(6)) == ["a5"], "another a5 may come"


def test_a_time_before_its_predecessors_counts_as_of_then() -> None:
    made = merge(a=[5, 3, 8], b=[4, 6])
    assert list(made.until(5)) == ["b4", "a5", "a3"]
    assert made.newest_ns == 8
    emptied = merge(a=[5, 3], b=[9])
    assert list(emptied.until(5)) == ["a5", "a3"]
    assert emptied.complete(4)


def test_an_empty_partition_holds_back_what_is_later_than_its_last_record() -> None:
    made = merge(a=[3, 4, 7], b=[4])
    assert list(made.until(9)) == ["a3", "a4", "b4"]
    assert made.complete(3)
    assert not made.complete(4), "another of 4 may come"
    made.add(B, 1, 7, "b7")
    assert list(made.until(6)) == []
    assert made.complete(6)


def test_a_partition_read_to_a_known_end_holds_nothing_back_before_that_time() -> None:
    made = merge(a=[3, 6, 8])
    assert list(made.until(5)) == []
    made.bound(5, {A: 3, B: 0})
    assert list(made.until(5)) == ["a3"]
    assert not made.complete(5), "another of 5 may come"
    assert made.complete(4)
    made.bound(6, {A: 3, B: 1})
    assert not made.complete(5), "the record before that end has not been read"
    made.skip(B, 0)
    assert made.complete(5)


def test_an_older_bound_says_nothing_new() -> None:
    made = merge(a=[9])
    made.bound(6, {A: 1, B: 0})
    made.bound(5, {A: 1, B: 7})
    assert made.complete(5)


def test_at_the_end_of_everything_all_is_complete() -> None:
    made = merge(a=[3, 6])
    made.bound(EVER_NS, {A: 2, B: 0})
    assert list(made.until(100)) == ["a3", "a6"]
    assert made.complete(10**18)


def test_crowded_are_partitions_whose_records_can_be_told_apart() -> None:
    made = merge(a=[1, 1, 1], b=[1, 2])
    assert made.crowded(3) == set()
    made.add(A, 3, 2, "a2")
    assert made.crowded(3) == {A}
    assert made.crowded(2) == {A, B}


STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3)), max_size=25)
MOMENTS = st.lists(st.integers(0, 30), max_size=6).map(sorted)


@given(STEPS, MOMENTS, st.randoms(use_true_random=False))
def test_however_it_is_published_and_read_every_moment_sees_the_same(
    steps: list[tuple[Place, int]], moments: list[int], chance: Random
) -> None:
    events: list[tuple[int, Place]] = []
    for place, step in steps:
        events.append(((events[-1][0] if events else 0) + step, place))
    topics: dict[Place, list[int]] = {place: [] for place in NAMES}
    read = dict.fromkeys(NAMES, 0)
    made: Merge[tuple[int, Place]] = Merge(NAMES)
    seen: list[tuple[int, Place]] = []
    left = list(events)
    for moment in moments:
        while not made.complete(moment):
            place = chance.choice(NAMES)
            if left and chance.random() < 0.5:  # the publisher goes on, in order
                time_ns, into = left.pop(0)
                topics[into].append(time_ns)
            if read[place] < len(topics[place]):
                time_ns = topics[place][read[place]]
                made.add(place, read[place], time_ns, (time_ns, place))
                read[place] += 1
            if chance.random() < 0.3:
                ends = {one: len(times) for one, times in topics.items()}
                made.bound(made.newest_ns if left else EVER_NS, ends)
            seen += made.until(moment)
        assert seen == sorted(event for event in events if event[0] <= moment)
