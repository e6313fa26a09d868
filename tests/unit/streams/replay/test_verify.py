"""Whatever happened to a detector, what it emitted is what the core says; and what was tampered with is named."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from msgspec.structs import replace

from schemas.codec import encode
from schemas.records import Opportunity
from streams.replay.journal import JournalError
from streams.replay.reading import Evicted, Known
from streams.replay.verify import Report, Verification, Wanted
from tests.unit.streams.replay.story import (
    NUMBER,
    SETTINGS,
    STEPS,
    TOPICS,
    Memory,
    Worker,
    crossings,
    fresh,
    told,
)
from tests.unit.trading import SECOND


def verified(memory: Memory, wanted: Wanted | None = None) -> Report:
    verification = Verification(memory, wanted or Wanted(), SETTINGS)
    verification.partition(NUMBER, memory.journal, memory.known)
    return verification.report


@given(STEPS)
@example([*crossings(), ("kill", 1, 1, 1), *crossings(), ("kill", 3, 0, 0), *crossings(), ("revoke",), *crossings()])
@example([*crossings(), ("flush",), ("kill", 0, 3, 0), *crossings()])
def test_what_any_life_left_is_what_the_core_says(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    memory = told(steps)
    report = verified(memory)
    assert report.differences == []
    assert report.events == len(memory.known)
    assert report.newer == report.skipped_epochs == 0


def story() -> Memory:
    memory = told(list(crossings()))
    assert [one.record.event for one in memory.known] == ["opened", "changed", "closed"]
    return memory


def tampered(memory: Memory, at: int, change: Callable[[Opportunity], Opportunity]) -> None:
    record = change(memory.known[at].record)
    memory.known[at] = Known(memory.known[at].offset, encode(record), record)


def test_a_changed_field_is_named_with_its_opportunity() -> None:
    memory = story()
    tampered(memory, 1, lambda one: replace(one, legs=(replace(one.legs[0], fee=7), *one.legs[1:]), net=one.net - 7))
    (difference,) = verified(memory).differences
    one = memory.known[1].record
    assert (difference.kind, difference.opportunity_id, difference.revision) == ("differs", one.opportunity_id, 1)
    assert (difference.partition, difference.position) == (NUMBER, one.journal_position)
    assert [str(field) for field in difference.fields] == [
        "legs[0].fee: expected 0, found 7",
        f"net: expected {one.net + 7}, found {one.net}",
    ]


def test_an_event_that_is_missing_in_the_middle_is_named() -> None:
    memory = story()
    gone = memory.known.pop(1).record
    (difference,) = verified(memory).differences
    assert (difference.kind, difference.opportunity_id, difference.revision) == ("missing", gone.opportunity_id, 1)


def test_after_an_orderly_end_the_last_event_may_not_be_missing_either() -> None:
    memory = story()
    memory.known.pop()
    assert [one.kind for one in verified(memory).differences] == ["missing"]


def test_an_event_that_the_core_does_not_say_is_named() -> None:
    memory = story()
    extra = replace(memory.known[0].record, opportunity_id="x", journal_position=2)
    memory.known.append(Known(99, encode(extra), extra))
    beyond = replace(extra, opportunity_id="y", journal_position=10**6)
    memory.known.append(Known(100, encode(beyond), beyond))
    assert [(one.kind, one.opportunity_id) for one in verified(memory).differences] == [
        ("unexpected", "x"),
        ("unexpected", "y"),
    ]


def killed(events: int, journal: int, late: int) -> Memory:
    memory = fresh()
    worker = Worker(memory, SECOND)
    for step in crossings():
        memory.publish(step[1], *step[2]) if step[0] == "publish" else worker.take(step[1], step[2])
    worker.flush()
    worker.kill(events, journal, late)
    return memory


def test_what_a_kill_took_with_it_is_lost_only_if_its_inputs_come_again() -> None:
    memory = killed(1, 0, 0)
    Worker(memory, 10 * SECOND).revoke()  # a life that reads nothing
    assert [one.kind for one in verified(memory).differences] == ["missing"]
    memory = killed(1, 0, 0)
    worker = Worker(memory, 10 * SECOND)
    worker.take("kalshi", 5)
    worker.revoke()
    report = verified(memory)
    assert (report.differences, report.lost) == ([], 1)


def test_while_a_detector_runs_the_last_events_may_be_under_way() -> None:
    memory = killed(2, 0, 0)
    report = verified(memory)
    assert (report.differences, report.lost) == ([], 2)


def test_a_journal_record_that_only_an_event_carries_is_used() -> None:
    memory = killed(0, 1, 0)
    carried = memory.known[-1].journal
    report = verified(memory)
    assert (report.differences, report.events) == ([], 3)
    memory.known[-1] = Known(memory.known[-1].offset, memory.known[-1].value, memory.known[-1].record, carried[:1])
    report = verified(memory)
    assert (report.differences, report.newer) == ([], 1)  # its inputs are in no journal that could be read


def test_events_beyond_the_stretch_are_newer() -> None:
    memory = story()
    cut = memory.known[1].record.time_ns
    report = verified(memory, Wanted(to_ns=cut))
    assert (report.differences, report.events, report.newer) == ([], 1, 2)


def test_an_epoch_that_ended_before_the_stretch_is_left_out() -> None:
    memory = told([*crossings(), ("revoke",), *crossings()])
    begin = memory.known[3].record.time_ns
    assert verified(memory, Wanted(from_ns=begin)).epochs == 1
    assert verified(memory).epochs == 2


def test_a_stretch_whose_epoch_has_lost_its_beginning_is_refused() -> None:
    memory = story()
    memory.journal = memory.journal[1:]
    assert verified(memory).skipped_epochs == 1
    with pytest.raises(Evicted, match="what epoch 1000000000 began with is evicted"):
        verified(memory, Wanted(from_ns=1))


def test_an_input_that_is_gone_is_named() -> None:
    memory = story()
    del memory.inputs[TOPICS["kalshi"], 1]
    with pytest.raises(Evicted, match=r"book\.kalshi, offset 1"):
        verified(memory)


def test_a_hole_in_the_journal_is_an_error() -> None:
    memory = story()
    memory.known = [Known(one.offset, one.value, one.record) for one in memory.known]
    del memory.journal[1]
    with pytest.raises(JournalError, match="are missing"):
        verified(memory)


def test_an_input_that_cannot_be_read_is_reported_and_decides_nothing() -> None:
    memory = fresh()
    worker = Worker(memory, SECOND)
    memory.publish_raw("kalshi", b"\xc3\x01" + bytes(8) + b"x")
    worker.take("kalshi", 1)
    worker.revoke()
    ((entry, reason),) = verified(memory).undecodable
    assert (entry.topic, entry.offset) == (TOPICS["kalshi"], 0)
    assert reason == "unknown schema fingerprint 0000000000000000: written by another release"


def test_the_settings_of_the_epoch_count_not_those_of_today() -> None:
    memory = story()
    verification = Verification(memory, Wanted(), SETTINGS.model_copy(update={"minimum_net_microdollars": 10**12}))
    verification.partition(NUMBER, memory.journal, memory.known)
    assert verification.report.differences == []
