import asyncio

import pytest

from producers.books import Clocks, PublishedBook, Receipt
from producers.ladder import Ladder
from producers.publisher import BOOK_LIMIT, RAW_LIMIT, BookPublisher, RawPublisher
from producers.tools import Connections, base36
from producers.transcript import Closed, decode_mark
from runtime.kafka import DeliveryFailed
from schemas.codec import decode_books
from schemas.records import Book
from schemas.topics import partition_of
from tests.unit.producers.support import FakePublisher


def published(market: str, group: str = "", clocks: Clocks | None = None) -> PublishedBook:
    return PublishedBook("kalshi", market, group, 1000, clocks or Clocks())


def show(book: PublishedBook, bid: int, levels: int = 1) -> Book:
    ladder = Ladder()
    ladder.replace([(bid - level, 100) for level in range(levels)], [])
    record = book.show(ladder, Receipt("c", 0, bid, bid), 0, bid)
    assert record is not None
    return record


def books_publisher(fake: FakePublisher, clock: list[int]) -> BookPublisher:
    return BookPublisher("kalshi", fake, republish_ms=2000, now=lambda: clock[0])


def test_books_ready_together_share_a_record_per_partition() -> None:
    fake = FakePublisher()
    books = books_publisher(fake, [0])
    same, alone = ["a", "b"], next(name for name in map(str, range(99)) if partition_of(name) != partition_of("g"))
    for market in same:
        books.offer(show(published(market, "g"), 4000))
    books.offer(show(published(alone), 4000))
    books.flush()
    by_partition = {record.partition: decode_books(record.value or b"") for record in fake.on("book.kalshi")}
    assert [book.market for book in by_partition[partition_of("g")]] == same
    assert [book.market for book in by_partition[partition_of(alone)]] == [alone]


def test_nothing_is_conflated_while_kafka_keeps_up() -> None:
    fake = FakePublisher()
    books, book = books_publisher(fake, [0]), published("a")
    for bid in (4000, 4100, 4200):
        books.offer(show(book, bid))
    books.flush()
    assert [record.sequence for record in fake.books("kalshi")] == [1, 2, 3]


def test_the_newest_book_wins_while_kafka_is_behind() -> None:
    fake = FakePublisher()
    fake.waiting = BOOK_LIMIT
    books, book, other = books_publisher(fake, [0]), published("a"), published("b")
    books.offer(show(book, 4000))
    books.offer(show(other, 5000))
    books.offer(show(book, 4100))
    assert fake.records == []
    books.flush()
    assert [(record.market, record.sequence) for record in fake.books("kalshi")] == [("a", 2), ("b", 1)]


def test_the_farewell_of_a_moved_market_is_not_conflated_away() -> None:
    fake = FakePublisher()
    fake.waiting = BOOK_LIMIT
    books, book = books_publisher(fake, [0]), published("a", "g")
    show(book, 4000)
    for record in book.move("h", Receipt("c-0", 1, 5000, 5000), 5000):
        books.offer(record)
    books.flush()
    assert [(record.group, record.state) for record in fake.books("kalshi")] == [("g", "moved"), ("h", "live")]


def test_a_book_is_repeated_once_it_has_been_quiet_for_the_interval() -> None:
    fake, clock = FakePublisher(), [0]
    books, alone = books_publisher(fake, clock), published("in no group")
    quiet, busy, gone = published("q", "g"), published("b", "g"), published("x", "g")
    for book in (quiet, busy, gone, alone):
        books.follow(book)
        books.offer(show(book, 4000))
    books.flush()
    books.forget("x")
    clock[0] = 1_500_000_000
    books.offer(show(busy, 4100))
    books.repeat_due(1_999_999_999)
    assert fake.books("kalshi", repeated=True) == []
    clock[0] = 2_000_000_000
    books.repeat_due(clock[0])
    books.repeat_due(clock[0])
    assert [book.market for book in fake.books("kalshi", repeated=True)] == ["q"]
    books.repeat_due(3_500_000_000)
    assert [book.market for book in fake.books("kalshi", repeated=True)] == ["q", "b"]


def test_many_deep_books_are_split_into_records_that_kafka_accepts() -> None:
    fake = FakePublisher()
    books, clocks = books_publisher(fake, [0]), Clocks()
    for market in range(100):
        books.offer(show(published(str(market), "g", clocks), 4000, levels=1000))
    books.flush()
    sizes = [len(record.value or b"") for record in fake.on("book.kalshi")]
    assert len(fake.books("kalshi")) == 100
    assert len(sizes) > 1
    assert max(sizes) < 1_000_000


def test_raw_frames_are_verbatim_with_their_place_and_time() -> None:
    fake = FakePublisher()
    raw = RawPublisher("polymarket", fake)
    raw.frame(Receipt("p-1", 3, 50, 50), b"\xffnot json")
    raw.asked(Receipt("p-0", 0, 40, 40), b"[1]", "/books")
    raw.body(Receipt("p-0", 1, 40, 60), b"[]", "/books", 0)
    raw.sent(Receipt("p-0", 2, 70, 70), "PING")
    raw.mark(Receipt("p-0", 3, 80, 80), Closed("cut"))
    ws, asked, rest, sent, mark = fake.on("raw.polymarket")
    assert (ws.value, ws.key, ws.partition) == (b"\xffnot json", b"p-1", -1)
    assert ws.headers == {"received_ns": b"50", "frame": b"3", "kind": b"ws"}
    assert asked.headers == {"received_ns": b"40", "frame": b"0", "kind": b"asked", "url": b"/books"}
    assert rest.headers == {
        "received_ns": b"60",
        "frame": b"1",
        "kind": b"rest",
        "url": b"/books",
        "asked": b"0",
        "call_start_ns": b"40",
    }
    assert (sent.value, sent.headers["kind"], sent.key) == (b"PING", b"sent", b"p-0")
    assert (decode_mark(mark.value or b""), mark.headers["kind"]) == (Closed("cut"), b"mark")


def test_a_reader_waits_for_room_and_hears_of_a_loss_meanwhile() -> None:
    fake = FakePublisher()
    raw = RawPublisher("kalshi", fake)
    fake.waiting = RAW_LIMIT
    assert raw.full()

    async def scenario() -> None:
        waiting = asyncio.create_task(raw.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        fake.waiting = RAW_LIMIT - 1
        await waiting
        fake.waiting, fake.lost = RAW_LIMIT, DeliveryFailed("gone")
        with pytest.raises(DeliveryFailed, match="gone"):
            await raw.room()

    asyncio.run(scenario())


def test_connection_names_are_never_given_twice() -> None:
    names = Connections("kalshi", 36**3)
    assert [names.name(), names.name()] == ["kalshi-1000-0", "kalshi-1000-1"]
    assert [base36(number) for number in (0, 35, 36, 36 * 36 - 1)] == ["0", "z", "10", "zz"]
