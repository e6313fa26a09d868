"""A journal names every input once, in order, whatever the runs."""

from hypothesis import given
from hypothesis import strategies as st

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
