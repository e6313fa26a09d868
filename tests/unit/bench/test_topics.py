"""Reading the journal's stamps."""

import pytest

from bench.topics import stamped
from schemas.records import Journal
from streams.core.journal import JournalRun


def journal(*inputs: tuple[str, int, int]) -> Journal:
    run = JournalRun(3, 1)
    run.assign("[]")
    for topic, offset, stamp in inputs:
        run.input(topic, offset, stamp)
    run.reference("group", 0)
    record = run.take()
    assert record is not None
    return record


def test_every_input_gets_its_own_stamp() -> None:
    records = [journal(("book.kalshi", 10, 100), ("book.kalshi", 11, 101)), journal(("eu.book.polymarket", 10, 102))]
    assert stamped(records) == {
        ("book.kalshi", 3, 10): 100,
        ("book.kalshi", 3, 11): 101,
        ("eu.book.polymarket", 3, 10): 102,
    }


def test_an_input_that_was_taken_in_twice_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="in the journal twice"):
        stamped([journal(("book.kalshi", 10, 100)), journal(("book.kalshi", 10, 105))])
