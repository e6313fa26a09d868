"""What is replayed is what was consumed; and replayed in order, it leads to the very same events."""

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from msgspec.structs import replace

from schemas.codec import encode
from schemas.records import Group, Opportunity
from streams.core.detection import Source
from streams.gates import gates_of
from streams.partition import PartitionCore
from streams.replay.entry import Entry
from streams.replay.journal import epochs_of
from streams.replay.reading import Evicted, Known
from streams.replay.script import Filter, PartitionScript, Stretch, cut, entries_of, relevant, script_of
from streams.replay.verify import read_reference, with_headers
from tests.unit.streams.replay.story import GROUP, NUMBER, SETTINGS, STEPS, Memory, crossings, fresh, told
from tests.unit.trading import SECOND, opportunity

ALL = Stretch()


def script(memory: Memory, stretch: Stretch = ALL) -> PartitionScript:
    return script_of(NUMBER, memory.journal, memory.known, stretch)


def entries(memory: Memory, stretch: Stretch = ALL) -> list[tuple[Entry, bool]]:
    return list(entries_of(script(memory, stretch), stretch, Filter(stretch.groups, memory.reference)))


def performed(memory: Memory, seeds: Iterable[Opportunity], chosen: Iterable[Entry]) -> list[Opportunity]:
    """What a core says to these entries, beginning an epoch wherever they do."""
    core = PartitionCore(NUMBER, gates_of(SETTINGS))
    said: list[Opportunity] = []
    epoch = 0
    for entry in chosen:
        if entry.epoch != epoch:
            epoch = entry.epoch
            core.assign(epoch, [*seeds, *said], "")
        core.journal.take()
        core.journal.skip_to(entry.position)
        if entry.kind == "reference":
            said += core.tell(read_reference(entry.topic, entry.offset, *memory.reference(entry))).events
        else:
            source = Source(entry.topic, entry.source_partition, entry.offset, 0)
            said += core.take(source, memory.input(entry), entry.received_ns).events
    return said


@given(STEPS)
@example([*crossings(), ("kill", 1, 1, 1), *crossings(), ("kill", 3, 0, 0), *crossings(), ("revoke",), *crossings()])
@example([*crossings(), ("kill", 3, 0, 2), *crossings(), ("kill", 0, 3, 0), *crossings()])
def test_a_script_leads_to_what_was_live_whatever_was_killed(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    memory = told(steps)
    said = performed(memory, [one.record for one in script(memory).seeds], [entry for entry, _ in entries(memory)])
    assert [encode(event) for event in said] == [one.value for one in memory.known]


@given(STEPS)
def test_of_every_input_that_was_journalled_at_least_one_reading_is_replayed(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    memory = told(steps)
    whole, _ = epochs_of(with_headers(memory.journal, memory.known))
    consumed = {(entry.topic, entry.offset) for epoch in whole for entry in epoch.entries()}
    assert {(entry.topic, entry.offset) for entry, _ in entries(memory)} == consumed


def test_a_later_stretch_begins_with_its_epoch_and_knows_what_was_open() -> None:
    open_ = list(crossings())[:4]
    memory = told([*open_, ("revoke",), *crossings()])
    begin = memory.known[1].record.time_ns
    stretch = Stretch(from_ns=begin)
    assert [one.record.event for one in script(memory, stretch).seeds] == ["opened"]
    chosen = entries(memory, stretch)
    assert len({entry.epoch for entry, _ in chosen}) == 1
    assert [lead for entry, lead in chosen] == [entry.received_ns < begin for entry, _ in chosen]
    said = performed(memory, [one.record for one in script(memory, stretch).seeds], [entry for entry, _ in chosen])
    assert [encode(event) for event in said] == [one.value for one in memory.known[1:]]


def test_a_cold_stretch_has_the_references_but_no_earlier_book_and_no_seed() -> None:
    memory = told([*crossings(), ("revoke",), *crossings()])
    begin = memory.known[4].record.time_ns
    stretch = Stretch(from_ns=begin, cold=True)
    assert script(memory, stretch).seeds == ()
    chosen = entries(memory, stretch)
    assert {entry.kind for entry, lead in chosen if lead} == {"reference"}
    assert min(entry.received_ns for entry, _ in chosen if entry.kind == "input") == begin


def test_a_stretch_ends_before_its_end() -> None:
    memory = told(list(crossings()))
    end = memory.known[1].record.time_ns
    assert max(entry.received_ns for entry, _ in entries(memory, Stretch(to_ns=end))) < end


def test_a_beginning_that_is_gone_is_refused_and_left_out_where_no_time_was_asked_for() -> None:
    memory = told(list(crossings()))
    memory.journal = memory.journal[1:]
    with pytest.raises(Evicted, match="what epoch 1000000000 began with is evicted"):
        script(memory, Stretch(from_ns=1))
    assert script(memory).epochs == ()


def test_some_groups_bring_their_own_references_and_every_input() -> None:
    memory = fresh()
    other: Group = replace(GROUP, group="other", members=())
    memory.references["group", 1] = ("other", encode(other))
    memory.references["group", 2] = ("g", None)
    chosen = Filter(frozenset({"g"}), memory.reference)

    def entry(topic: str, offset: int) -> Entry:
        return Entry(NUMBER, 1, 1, "input" if "book" in topic else "reference", topic, 0, offset, 0)

    assert not chosen.keeps(entry("market.kalshi", 0))  # its group is not known yet
    assert chosen.keeps(entry("group", 0))
    assert chosen.keeps(entry("market.kalshi", 0))
    assert chosen.keeps(entry("eu.market.polymarket", 0))
    assert not chosen.keeps(entry("group", 1))
    assert chosen.keeps(entry("group", 2))
    assert chosen.keeps(entry("book.kalshi", 77))
    assert Stretch(groups=frozenset({"g"})).partitions() == frozenset({NUMBER})
    assert ALL.partitions() is None


def test_of_earlier_opportunities_the_open_ones_and_the_last_closed_of_a_basket_count() -> None:
    def known(offset: int, identity: str, event: str, revision: int, basket: str = "b") -> Known:
        record = opportunity(identity, event, revision=revision, basket=basket, time_ns=SECOND * (offset + 1))  # type: ignore[arg-type]
        return Known(offset, encode(record), record)

    told_ = [
        known(0, "a", "opened", 0),
        known(1, "a", "closed", 1),
        known(2, "b", "opened", 0),
        known(3, "b", "closed", 1),
        known(4, "c", "opened", 0),
        known(5, "d", "closed", 3, basket="other"),
    ]
    assert [(one.record.opportunity_id, one.record.revision) for one in relevant(told_)] == [
        ("b", 1),
        ("c", 0),
        ("d", 3),
    ]


def test_an_epoch_that_ended_in_order_or_is_the_last_is_not_cut() -> None:
    memory = told([*crossings(), ("revoke",), *crossings()])
    (first, second), _ = epochs_of(memory.journal)
    assert cut(first, second, memory.known) == first.end
    assert cut(second, None, memory.known) == second.end


def test_where_reading_begins() -> None:
    memory = told([*list(crossings())[:3], ("revoke",), *crossings()])
    assert script(memory).first_offsets() == {"book.kalshi": 0, "eu.book.polymarket": 0}
    begin = next(entry.received_ns for entry, _ in entries(memory) if entry.offset == 1 and entry.kind == "input")
    assert script(memory, Stretch(from_ns=begin)).first_offsets()["book.kalshi"] == 1
