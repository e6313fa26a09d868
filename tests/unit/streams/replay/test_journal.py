"""The journal read back: every entry once, in order, whatever was written twice; what is missing is named."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.settings import DetectorSettings, load
from schemas.records import Journal
from streams.core.journal import JournalRun
from streams.partition import assign_detail
from streams.replay.journal import Epoch, JournalError, epochs_of, first_offsets

DETAIL = assign_detail(7, load(DetectorSettings))
TOPICS = ("book.kalshi", "eu.book.polymarket")


def written(epoch: int, steps: list[tuple[str, int]], cuts: set[int], *, revoke: bool = False) -> list[Journal]:
    """A journal of these steps (topic, offset), a record ending before each step that `cuts` names."""
    run = JournalRun(3, epoch)
    run.assign(DETAIL)
    records = []
    for number, (topic, offset) in enumerate(steps):
        if number in cuts:
            records.append(run.take())
        if topic == "group":
            run.reference(topic, offset)
        else:
            run.input(topic, offset, 100 + number)
    if revoke:
        run.revoke()
    records.append(run.take())
    return [record for record in records if record is not None]


def places(epoch: Epoch) -> list[tuple[int, str, int, int]]:
    return [(entry.position, entry.topic, entry.offset, entry.received_ns) for entry in epoch.entries()]


STEPS = st.lists(st.tuples(st.sampled_from([*TOPICS, "group"]), st.integers(0, 5)), max_size=30)
CUTS = st.sets(st.integers(0, 30))


@given(STEPS, CUTS, CUTS, st.randoms())
def test_what_was_journalled_twice_in_other_runs_is_there_once(
    steps: list[tuple[str, int]], cuts: set[int], others: set[int], chance: object
) -> None:
    records = written(9, steps, cuts) + written(9, steps, others)
    chance.shuffle(records)  # type: ignore[attr-defined]
    ((epoch,), beheaded) = epochs_of(records)
    assert beheaded == []
    assert (epoch.partition, epoch.epoch, epoch.end, epoch.revoked) == (3, 9, len(steps) + 1, False)
    last, expected = 0, []
    for number, (topic, offset) in enumerate(steps):
        last = last if topic == "group" else 100 + number
        expected.append((number + 1, topic, offset, last))
    assert places(epoch) == expected


def test_epochs_come_in_order_and_one_without_its_beginning_is_told_apart() -> None:
    first = written(5, [("group", 0), ("book.kalshi", 1)], set(), revoke=True)
    tail = written(2, [("book.kalshi", 1), ("book.kalshi", 2)], {1})[1:]
    (one, two), beheaded = epochs_of(written(8, [("book.kalshi", 4)], set()) + first + tail)
    assert (one.epoch, one.revoked, two.epoch, two.revoked) == (5, True, 8, False)
    assert beheaded == [2]
    assert one.assigned.opportunity_offset == 7
    assert one.assigned.settings == load(DetectorSettings)


def test_stamps_and_offsets_of_an_epoch() -> None:
    steps = [("group", 0), ("book.kalshi", 6), ("book.kalshi", 7), ("eu.book.polymarket", 3), ("group", 1)]
    ((epoch,), _) = epochs_of(written(1, steps, {2}))
    assert (epoch.first_stamp(), epoch.last_stamp()) == (101, 103)
    assert epoch.first_offsets() == {"book.kalshi": 6, "eu.book.polymarket": 3}
    ((empty,), _) = epochs_of(written(1, [("group", 0)], set()))
    assert (empty.first_stamp(), empty.last_stamp(), empty.first_offsets()) == (0, 0, {})


def test_what_is_missing_in_between_is_named_unless_gaps_are_allowed() -> None:
    records = written(4, [("book.kalshi", n) for n in range(6)], {2, 4})
    with pytest.raises(JournalError, match="partition 3, epoch 4: entries 3 to 4 are missing"):
        epochs_of([records[0], records[2]])
    ((epoch,), _) = epochs_of([records[0], records[2]], gaps=True)
    assert [place[0] for place in places(epoch)] == [1, 2, 5, 6]
    assert all(a < b for a, b in pairwise(place[0] for place in places(epoch)))


def test_an_epoch_must_begin_with_a_readable_assign_mark() -> None:
    run = JournalRun(3, 1)
    run.input("book.kalshi", 0, 1)
    record = run.take()
    assert record is not None
    with pytest.raises(JournalError, match="does not begin with an assign mark"):
        epochs_of([record])
    run = JournalRun(3, 1)
    run.assign("[]")
    record = run.take()
    assert record is not None
    with pytest.raises(JournalError, match="the assign mark is not readable"):
        epochs_of([record])


def test_where_reading_begins() -> None:
    later = written(9, [("book.kalshi", 1), ("eu.book.polymarket", 2)], set())
    first = written(5, [("group", 0), ("book.kalshi", 6), ("book.kalshi", 7)], {1, 2})
    assert first_offsets(later + first[::-1]) == {"book.kalshi": 6, "eu.book.polymarket": 2}
    assert first_offsets([]) == {}
