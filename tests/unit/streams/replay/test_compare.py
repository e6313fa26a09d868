"""Two tellings: what both had the inputs for is compared, event by event, in journal order."""

import dataclasses

from msgspec.structs import replace

from schemas.codec import encode
from streams.replay.compare import Telling, compare
from streams.replay.journal import epochs_of
from streams.replay.reading import Known
from tests.unit.streams.replay.story import NUMBER, Memory, crossings, told

STORY = told([*crossings(), ("revoke",), *crossings()])


def telling(name: str, memory: Memory, known: list[Known] | None = None) -> Telling:
    return Telling(name, {NUMBER: epochs_of(memory.journal)[0]}, memory.known if known is None else known)


def test_equal_tellings() -> None:
    found = compare(telling("live", STORY), telling("r1", STORY))
    assert (found.equal, found.contrasts, found.settings, found.partitions) == (len(STORY.known), [], [], 1)


def test_a_field_an_event_too_many_and_one_too_few() -> None:
    first, second, *rest = STORY.known
    other = replace(first.record, net=first.record.net + 1)
    known = [Known(0, encode(other), other), *rest]
    found = compare(telling("live", STORY), telling("r1", STORY, known))
    assert found.equal == len(rest)
    one, two = found.contrasts
    assert (one.only, [str(field) for field in one.fields]) == (
        "", [f"net: expected {first.record.net}, found {first.record.net + 1}"]
    )  # fmt: skip
    assert (two.only, two.opportunity_id, two.revision) == ("live", second.record.opportunity_id, 1)
    found = compare(telling("live", STORY, known[:1]), telling("r1", STORY, known))
    assert {one.only for one in found.contrasts} == {"r1"}
    places = [(one.epoch, one.position) for one in found.contrasts]
    assert places == sorted(places)


def test_what_only_one_had_the_inputs_for_is_left_out() -> None:
    first, _ = epochs_of(STORY.journal)[0]
    part = Telling("r1", {NUMBER: [first]}, [one for one in STORY.known if one.record.journal_epoch == first.epoch])
    found = compare(telling("live", STORY), part)
    assert (found.equal, found.contrasts) == (len(part.known), [])
    assert compare(telling("live", STORY), Telling("r1", {}, [])).partitions == 0


def test_some_groups_only() -> None:
    assert compare(telling("live", STORY), telling("r1", STORY, []), ["another"]).contrasts == []
    assert len(compare(telling("live", STORY), telling("r1", STORY, []), ["g"]).contrasts) == len(STORY.known)


def test_other_settings_are_named() -> None:
    epochs = epochs_of(STORY.journal)[0]
    settings = epochs[-1].assigned.settings
    assert settings is not None
    told_ = dataclasses.replace(epochs[-1].assigned, settings=settings.model_copy(update={"hurdle_ppm": 7}))
    changed = dataclasses.replace(epochs[-1], assigned=told_)
    found = compare(telling("live", STORY), Telling("r1", {NUMBER: [epochs[0], changed]}, STORY.known))
    assert [str(one) for one in found.settings] == ["hurdle_ppm: expected 50000, found 7"]
