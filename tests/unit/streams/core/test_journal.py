"""A journal names every input once, in order, whatever the runs."""

from sys import byteorder

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Journal, JournalItem
from streams.core import journal
from streams.core.journal import JournalRun, unpack_stamps

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("input"), st.sampled_from(["book.kalshi", "eu.book.polymarket"]), st.integers(0, 3)),
        st.tuples(st.just("reference"), st.just("group"), st.integers(0, 9)),
        st.tuples(st.just("take"), st.just(""), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS)
def test_unpacking_gives_back_what_was_put_in(steps: list[tuple[str, str, int]]) -> None:
    run = JournalRun(3, 99)
    next_offset = {"book.kalshi": 0, "eu.book.polymarket": 0}
    expected: list[tuple[str, str, int, int]] = []
    records = []
    for clock, (kind, topic, skip) in enumerate(steps):
        if kind == "input":
            offset = next_offset[topic] + skip
            next_offset[topic] = offset + 1
            run.input(topic, offset, clock)
            expected.append((kind, topic, offset, clock))
        elif kind == "reference":
            run.reference(topic, skip)
            expected.append((kind, topic, skip, 0))
        else:
            records.append(run.take())
    records.append(run.take())
    assert run.take() is None
    found: list[tuple[str, str, int, int]] = []
    position = 0
    for record in filter(None, records):
        assert (record.partition, record.epoch, record.position) == (3, 99, position)
        position += sum(item.count for item in record.items)
        for item in record.items:
            stamps = unpack_stamps(item) if item.kind == "input" else [0]
            assert len(stamps) == item.count
            found += [(item.kind, item.topic, item.offset + n, stamp) for n, stamp in enumerate(stamps)]
    assert found == expected


def test_consecutive_inputs_are_one_item() -> None:
    run = JournalRun(0, 1)
    run.assign("[]")
    for offset in range(5, 9):
        run.input("book.kalshi", offset, offset)
    run.input("book.kalshi", 10, 10)
    run.revoke()
    assert len(run) == 4
    record = run.take()
    assert record is not None
    assert [(item.kind, item.offset, item.count) for item in record.items] == [
        ("assign", 0, 1),
        ("input", 5, 4),
        ("input", 10, 1),
        ("revoke", 0, 1),
    ]


def item(kind: str, **fields: object) -> JournalItem:
    """An item as it is without any inputs, but for the fields named."""
    plain = {"topic": "", "partition": 0, "offset": 0, "count": 1, "stamps": b"", "detail": ""}
    return JournalItem(kind=kind, **{**plain, **fields})  # type: ignore[arg-type]


def test_every_field_of_every_kind_of_item() -> None:
    run = JournalRun(3, 99)
    run.assign('["o1"]')
    run.reference("group", 8)
    run.input("book.kalshi", 5, 1)
    run.input("book.kalshi", 6, -2)
    run.revoke()
    assert len(run) == 4
    stamps = (1).to_bytes(8, "little") + (-2).to_bytes(8, "little", signed=True)
    items = (
        item("assign", partition=3, detail='["o1"]'),
        item("reference", topic="group", offset=8),
        item("input", topic="book.kalshi", partition=3, offset=5, count=2, stamps=stamps),
        item("revoke", partition=3),
    )
    assert run.take() == Journal(partition=3, epoch=99, position=0, items=items)
    run.revoke()
    assert run.take() == Journal(partition=3, epoch=99, position=5, items=(item("revoke", partition=3),))


def test_inputs_count_while_their_run_is_open() -> None:
    run = JournalRun(0, 1)
    run.reference("group", 1)
    for offset in range(3):
        run.input("book.kalshi", offset, 0)
        assert len(run) == 2 + offset


@pytest.mark.parametrize(("topic", "offset"), [("book.kalshi", 7), ("book.polymarket", 6), ("book.kalshi", 5)])
def test_another_topic_or_a_gap_begins_another_run(topic: str, offset: int) -> None:
    run = JournalRun(0, 1)
    run.input("book.kalshi", 5, 0)
    run.input(topic, offset, 0)
    record = run.take()
    assert record is not None
    assert [(one.topic, one.offset, one.count) for one in record.items] == [("book.kalshi", 5, 1), (topic, offset, 1)]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5))
def test_stamps_are_signed_longs(stamps: list[int]) -> None:
    run = JournalRun(0, 1)
    for round_ in range(2):
        for offset, stamp in enumerate(stamps):
            run.input("book.kalshi", offset, stamp)
        record = run.take()
        assert record is not None
        assert (record.position, unpack_stamps(record.items[0])) == (round_ * len(stamps), stamps)


def test_a_machine_of_the_other_byte_order_swaps_what_it_writes_and_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, swapped = JournalRun(0, 1), JournalRun(0, 1)
    plain.input("book.kalshi", 0, 1)
    swapped.input("book.kalshi", 0, 1)
    here = plain.take()
    monkeypatch.setattr(journal, "byteorder", "little" if byteorder == "big" else "big")
    there = swapped.take()
    assert here is not None
    assert there is not None
    assert there.items[0].stamps == here.items[0].stamps[::-1] == (1).to_bytes(8, "big")
    assert unpack_stamps(there.items[0]) == [1]
