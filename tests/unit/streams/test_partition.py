"""A partition's core and journal: every event says at which entry it was decided, whatever could not be taken."""

import pytest

from schemas.codec import DecodeError, encode_books
from schemas.records import Group
from streams.core.detection import Source
from streams.core.groups import GroupError
from streams.core.ladder import LadderError
from streams.core.references import Reference
from streams.gates import gates_of
from streams.partition import Assigned, PartitionCore, assign_detail
from tests.unit.streams.replay.story import GROUP, NUMBER, SETTINGS
from tests.unit.trading import SECOND, book, market


def made() -> PartitionCore:
    core = PartitionCore(NUMBER, gates_of(SETTINGS))
    core.assign(7, (), "{}")
    core.tell(Reference("group", 4, "g", GROUP))
    core.tell(Reference("market.kalshi", 9, "M", market()))
    core.tell(Reference("eu.market.polymarket", 2, "M", market(venue="polymarket")))
    return core


CHEAP = book([(3900, 1000)], [(4000, 1000)], confirmed_ns=SECOND)
DEAR = book([(6000, 1000)], [(6100, 1000)], venue="polymarket", confirmed_ns=SECOND)
BROKEN = book([(6000, 1000)], [(6100, 1000)], venue="polymarket", confirmed_ns=SECOND, bid_count=7)


def test_events_name_their_entry() -> None:
    core = made()
    assert core.take(Source("book.kalshi", NUMBER, 30, 0), encode_books([CHEAP]), SECOND).events == []
    taken = core.take(Source("eu.book.polymarket", NUMBER, 31, 0), encode_books([DEAR]), SECOND)
    (event,) = taken.events
    assert (event.partition, event.journal_epoch, event.journal_position) == (NUMBER, 7, 5)
    assert (taken.books, taken.error) == (1, None)
    (removed,) = core.tell(Reference("group", 5, "g", None)).events
    assert (removed.event, removed.journal_position) == ("closed", 6)
    record = core.journal.take()
    assert record is not None
    assert [(item.kind, item.offset) for item in record.items] == [
        ("assign", 0), ("reference", 4), ("reference", 9), ("reference", 2), ("input", 30), ("input", 31),
        ("reference", 5),
    ]  # fmt: skip


def test_what_cannot_be_taken_is_journalled_and_said_why() -> None:
    core = made()
    taken = core.take(Source("book.kalshi", NUMBER, 0, 0), b"nonsense", SECOND)
    assert (taken.books, taken.events, type(taken.error)) == (0, [], DecodeError)
    core.take(Source("book.kalshi", NUMBER, 1, 0), encode_books([CHEAP]), SECOND)
    taken = core.take(Source("eu.book.polymarket", NUMBER, 0, 0), encode_books([BROKEN, DEAR]), SECOND)
    assert isinstance(taken.error, LadderError)
    assert [(event.event, event.legs[1].index, event.journal_position) for event in taken.events] == [("opened", 1, 6)]
    assert core.journal.position == 7


def test_a_group_that_is_refused_is_an_entry_without_events() -> None:
    core = made()
    alone = Group(**{name: getattr(GROUP, name) for name in GROUP.__struct_fields__} | {"members": ()})
    taken = core.tell(Reference("group", 6, "g", alone))
    assert (taken.events, type(taken.error), core.journal.position) == ([], GroupError, 5)


def test_an_assign_mark_says_up_to_where_and_by_what_settings() -> None:
    said = Assigned.read(assign_detail(12, SETTINGS))
    assert said.opportunity_offset == 12
    assert said.settings is not None
    assert gates_of(said.settings) == gates_of(SETTINGS)
    assert "detector_web_port" not in assign_detail(12, SETTINGS)
    assert Assigned.read('{"opportunity_offset":3}') == Assigned(3, None)
    for wrong in ("[]", "{}", "nonsense"):
        with pytest.raises(ValueError, match=r"opportunity_offset|Expecting value"):
            Assigned.read(wrong)
