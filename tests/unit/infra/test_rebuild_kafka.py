"""Rebuilding from the topics, and the check of published books; the topics are lists here."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from infra import rebuild_kafka
from infra.rebuild import Entry, Rebuilder
from infra.rebuild_kafka import EXAMPLES, LATER_NS, Stretch, check, described, rebuilt
from producers.transcript import Follow, Followed, Hold, Mark, Moved, Opened, encode_mark
from runtime.ranges import EmptyRange
from schemas.codec import encode, encode_books
from schemas.records import Book, Market, Venue
from tests.unit.infra.simulator.tapes import delta, snapshot
from tests.unit.kafka_fakes import FakeMessage
from tests.unit.producers.support import make_market

SECOND = 1_000_000_000
A, B = make_market("kalshi", "A-1"), make_market("kalshi", "A-2")


class Message(FakeMessage):
    """A raw record, or one that has a value only."""

    def __init__(self, topic: str, value: bytes | None, entry: Entry | None = None, key: bytes = b"") -> None:
        super().__init__(topic, value, key=entry.connection.encode() if entry else key)
        self._entry = entry

    def headers(self) -> list[tuple[str, bytes]]:
        entry = self._entry
        if entry is None:
            return []
        fields = {"frame": entry.frame, "received_ns": entry.received_ns, "kind": entry.kind}
        return [(name, str(value).encode()) for name, value in fields.items()]


class Topics:
    """What stands on the topics, with its time in ms; and which stretches of it were read."""

    def __init__(self) -> None:
        self.records: dict[str, list[tuple[int, Message]]] = {}
        self.asked: list[tuple[str, int | None, int | None]] = []
        self.raw: list[Entry] = []

    def read_range(self, _bootstrap: str, topic: str, *, from_ms: int | None, to_ms: int | None) -> Iterator[Any]:
        self.asked.append((topic, from_ms, to_ms))
        for at_ms, message in self.records.get(topic, []):
            if (from_ms or 0) <= at_ms and (to_ms is None or at_ms < to_ms):
                yield message

    def read_whole(self, _bootstrap: str, topics: list[str]) -> Iterator[Any]:
        return (message for topic in topics for _, message in self.records.get(topic, []))

    def put(self, topic: str, at_ms: int, message: Message) -> None:
        self.records.setdefault(topic, []).append((at_ms, message))

    def keep(self, *entries: Entry) -> None:
        self.raw += entries
        for entry in entries:
            self.put("raw.kalshi", entry.received_ns // 1_000_000, Message("raw.kalshi", entry.data, entry))

    def publish(self, *books: Book, at_ms: int = 0) -> None:
        self.put("book.kalshi", at_ms, Message("book.kalshi", encode_books(list(books))))

    def publish_all(self) -> list[Book]:
        """Publish what follows from the raw records, as the producer would have."""
        rebuilder = Rebuilder("kalshi", 32)
        books = [one for entry in self.raw for one in rebuilder.take(entry)]
        for one in books:
            self.publish(one, at_ms=one.api_response_ns // 1_000_000)
        return books


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> Topics:
    made = Topics()
    monkeypatch.setattr(rebuild_kafka, "read_range", made.read_range)
    monkeypatch.setattr(rebuild_kafka, "read_whole", made.read_whole)
    return made


def connection(name: str, at_s: int, *texts: str, markets: tuple[Market, ...] = (A,)) -> list[Entry]:
    """A connection that begins at a time, in seconds, and its frames, a second apart."""
    marks: tuple[Mark, Mark] = (Follow(tuple(Followed(market, "g") for market in markets)), Opened())
    begin = [Entry(name, number, at_s * SECOND, "mark", encode_mark(mark)) for number, mark in enumerate(marks)]
    frames = [
        Entry(name, 2 + number, (at_s + 1 + number) * SECOND, "ws", text.encode()) for number, text in enumerate(texts)
    ]
    return [*begin, *frames]


WHOLE = snapshot(1, yes=[["0.4000", "10.00"]])


def verdict(stretch: Stretch) -> tuple[int, int, int]:
    found = check("", stretch, Rebuilder(stretch.venue, 32))
    return found.equal, found.different, found.uncovered


def test_all_books_are_covered_and_equal(topics: Topics) -> None:
    topics.keep(*connection("kalshi-p-0", 0, WHOLE, delta(2, "0.3900", "1.00"), "no JSON"))
    topics.keep(*connection("kalshi-p-1", 10, WHOLE))
    books = topics.publish_all()
    assert [one.state for one in books] == ["live", "live", "recovering", "live"]
    assert verdict(Stretch("kalshi")) == (4, 0, 0)
    assert list(rebuilt("", Stretch("kalshi"), Rebuilder("kalshi", 32))) == books


def test_repetitions_are_not_counted(topics: Topics) -> None:
    topics.keep(*connection("kalshi-p-0", 0, WHOLE))
    (said,) = topics.publish_all()
    topics.publish(replace(said, republished=True, confirmed_ns=7), at_ms=3_000)
    assert verdict(Stretch("kalshi")) == (1, 0, 0)


@pytest.mark.parametrize(
    ("wrong", "example"),
    [
        ({"state": "stale", "reason": "x"}, "published stale 'x', rebuilt live '', ladders equal"),
        ({"reason": "x"}, "published live 'x', rebuilt live '', ladders equal"),
        ({"ladder": b"\1" + b"\0" * 15}, "published live '', rebuilt live '', ladders differ"),
        ({"frame": 1}, None),
        ({"market": "A-9"}, None),
    ],
)
def test_a_book_that_is_not_what_its_record_rebuilds_to(
    topics: Topics, wrong: dict[str, Any], example: str | None
) -> None:
    """Where nothing was said before in the stretch, a book may follow from what was before it."""
    topics.keep(*connection("kalshi-p-0", 0, WHOLE))
    (said,) = topics.publish_all()
    topics.publish(replace(said, **wrong), at_ms=5_000)
    found = check("", Stretch("kalshi"), Rebuilder("kalshi", 32))
    if example is None:
        assert (found.equal, found.different, found.uncovered) == (1, 0, 1)
        return
    assert (found.equal, found.different, found.uncovered) == (1, 1, 0)
    place = f"A-1 ({said.epoch}, 1) from kalshi-p-0 record 2"
    assert found.examples == [f"{place}: {example}"]


def test_a_book_where_its_record_says_nothing_is_different(topics: Topics) -> None:
    topics.keep(*connection("kalshi-p-0", 0, WHOLE, WHOLE.replace('"seq": 1', '"seq": 2')))
    (said,) = topics.publish_all()
    topics.publish(replace(said, frame=3), at_ms=5_000)
    found = check("", Stretch("kalshi"), Rebuilder("kalshi", 32))
    assert (found.equal, found.different, found.uncovered) == (1, 1, 0)
    assert found.examples[0].endswith("record 3: published live '', rebuilt nothing, ladders differ")


def test_so_many_examples_and_no_more(topics: Topics) -> None:
    topics.keep(*connection("kalshi-p-0", 0, WHOLE))
    (said,) = topics.publish_all()
    topics.publish(*(replace(said, reason=str(number)) for number in range(EXAMPLES + 5)), at_ms=5_000)
    found = check("", Stretch("kalshi"), Rebuilder("kalshi", 32))
    assert (found.different, len(found.examples)) == (EXAMPLES + 5, EXAMPLES)


def test_books_of_records_outside_the_stretch_are_uncovered(topics: Topics) -> None:
    topics.keep(*connection("kalshi-p-0", 0, WHOLE, delta(2, "0.3900", "1.00"), delta(3, "0.3800", "1.00")))
    topics.keep(*connection("kalshi-p-1", 10, WHOLE))
    topics.publish_all()
    assert verdict(Stretch("kalshi", to_ns=2 * SECOND)) == (1, 0, 0)
    # From the middle of a connection on, nothing of it is certain.
    assert verdict(Stretch("kalshi", from_ns=2 * SECOND)) == (1, 0, 2)


def test_a_book_may_be_published_long_after_its_record(topics: Topics) -> None:
    topics.keep(*connection("kalshi-p-0", 0, WHOLE))
    rebuilder = Rebuilder("kalshi", 32)
    (said,) = [one for entry in topics.raw for one in rebuilder.take(entry)]
    topics.publish(said, at_ms=50_000)
    assert verdict(Stretch("kalshi", to_ns=2 * SECOND)) == (1, 0, 0)
    assert ("book.kalshi", None, (2 * SECOND + LATER_NS) // 1_000_000) in topics.asked


def test_one_connection_up_to_a_record(topics: Topics) -> None:
    """What it is the first to say follows from what its process said before: those records are read, too."""
    topics.keep(*connection("kalshi-p-0", 0, WHOLE))
    topics.keep(*connection("kalshi-q-0", 3, WHOLE))
    begun = connection("kalshi-p-1", 5, WHOLE)
    hold = Entry("kalshi-p-1", 2, 6 * SECOND, "mark", encode_mark(Hold(("A-1",), "halted", "paused")))
    move = Entry("kalshi-p-1", 3, 6 * SECOND, "mark", encode_mark(Moved("A-1", "h")))
    topics.keep(*begun[:2], hold, move, Entry("kalshi-p-1", 4, 7 * SECOND, "ws", WHOLE.encode()))
    topics.publish_all()

    def states(frame: int | None) -> list[tuple[str, int]]:
        stretch = Stretch("kalshi", connection="kalshi-p-1", frame=frame)
        return [(one.state, one.frame) for one in rebuilt("", stretch, Rebuilder("kalshi", 32))]

    assert states(0) == []
    assert states(2) == [("halted", 2)]
    assert states(3) == [("halted", 2), ("moved", 3), ("halted", 3)]
    assert states(None) == states(3)
    for frame, equal in ((0, 0), (2, 1), (3, 3), (None, 3)):
        assert verdict(Stretch("kalshi", connection="kalshi-p-1", frame=frame)) == (equal, 0, 0)
    assert verdict(Stretch("kalshi", connection="kalshi-q-0")) == (1, 0, 0)


def test_what_a_connection_says_of_what_was_before_the_stretch_is_uncovered(topics: Topics) -> None:
    """Its process knew the market already, whoever reads from there on does not."""
    topics.keep(*connection("kalshi-p-0", 0, WHOLE))
    begun = connection("kalshi-p-1", 5)
    hold = Entry("kalshi-p-1", 2, 6 * SECOND, "mark", encode_mark(Hold(("A-1",), "halted", "paused")))
    topics.keep(*begun, hold, Entry("kalshi-p-1", 3, 7 * SECOND, "ws", WHOLE.encode()))
    topics.publish_all()
    assert verdict(Stretch("kalshi")) == (2, 0, 0)
    assert verdict(Stretch("kalshi", from_ns=4 * SECOND)) == (0, 0, 1)


def test_some_markets_only(topics: Topics) -> None:
    other = snapshot(2, "A-2", yes=[["0.4000", "10.00"]])
    topics.keep(*connection("kalshi-p-0", 0, WHOLE, other, delta(3, "0.3900", "1.00"), markets=(A, B)))
    topics.publish_all()
    stretch = Stretch("kalshi", markets=frozenset({"A-2"}))
    assert [(one.market, one.frame) for one in rebuilt("", stretch, Rebuilder("kalshi", 32))] == [("A-2", 3)]
    assert verdict(stretch) == (1, 0, 0)


@pytest.mark.parametrize("ask", [verdict, lambda stretch: list(rebuilt("", stretch, Rebuilder("kalshi", 32)))])
def test_a_connection_that_is_not_there_is_named(topics: Topics, ask: Any) -> None:
    topics.keep(*connection("kalshi-p-0", 0, WHOLE))
    with pytest.raises(EmptyRange, match="raw.kalshi: no record of the connection kalshi-p-7 in the given time"):
        ask(Stretch("kalshi", connection="kalshi-p-7"))


def test_times_are_asked_for_in_milliseconds(topics: Topics) -> None:
    topics.keep(*connection("kalshi-p-0", 0, WHOLE))
    list(rebuilt("", Stretch("kalshi", 1_999_999, 5_000_000_001), Rebuilder("kalshi", 32)))
    assert topics.asked == [("raw.kalshi", 1, 5_000)]


def test_the_newest_metadata_of_every_market(topics: Topics) -> None:
    newer = replace(A, title="newer")
    gone, broken = make_market("kalshi", "A-3"), make_market("kalshi", "A-4")
    for value in (A, B, newer, gone, broken):
        topics.put("market.kalshi", 0, Message("market.kalshi", encode(value), key=value.market.encode()))
    topics.put("market.kalshi", 0, Message("market.kalshi", None, key=b"A-3"))
    topics.put("market.kalshi", 0, Message("market.kalshi", b"broken", key=b"A-4"))
    venue: Venue = "kalshi"
    assert sorted(one.market.title for one in described("", venue)) == sorted([newer.title, B.title])
