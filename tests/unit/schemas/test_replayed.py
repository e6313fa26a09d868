"""A replayed record says when it was consumed."""

import pytest

from schemas.replayed import NotReplayed, received_ns
from streams.replay.entry import Entry, Replayed

ENTRY = Entry(
    partition=1, epoch=7, position=3, kind="input", topic="book.kalshi", source_partition=1, offset=9, received_ns=42
)


def test_the_stamp_is_that_of_the_entry() -> None:
    assert received_ns(Replayed(5, 9, ENTRY).headers()) == 42


@pytest.mark.parametrize("headers", [None, [], [("turn", b"1")], [("received_ns", b"soon")]])
def test_a_record_without_a_stamp_is_no_replayed_one(headers: list[tuple[str, bytes]] | None) -> None:
    with pytest.raises(NotReplayed):
        received_ns(headers)
