"""From records to topics: raw frames, books, markets and trades of one venue.

One producer carries all of it. Above `RAW_LIMIT` unacknowledged records the reader of a feed waits (raw frames are
never dropped); above the higher `BOOK_LIMIT` books wait too and are conflated, newest wins per market.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from confluent_kafka import Message

from producers.books import PublishedBook, Receipt
from producers.conflation import Waiting
from producers.transcript import Mark, encode_mark
from runtime import metrics
from schemas.codec import encode, encode_books
from schemas.records import Book, Market, Trade, Venue
from schemas.topics import partition_of

RAW_LIMIT: Final = 20_000
BOOK_LIMIT: Final = 40_000
RECORD_BYTES: Final = 500_000
"""Ladder bytes in one record of a book topic, at most: Kafka refuses records above 1 MB."""

TOGETHER: Final = 64
"""Books that wait for one another at most, while frames that are already there are read."""

WAIT_S: Final = 0.005


class RecordPublisher(Protocol):
    """What a feed needs of `runtime.kafka.Publisher`."""

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int = -1,
        headers: list[tuple[str, bytes]] | None = None,
        delivered: Callable[[Message], None] | None = None,
    ) -> None:
        """Hand over one record; raises DeliveryFailed when an earlier one was lost."""

    def check(self) -> None:
        """Raise DeliveryFailed when a record was lost."""

    def pending(self) -> int:
        """Records not yet acknowledged."""


class RawPublisher:
    """Puts a connection's transcript on `raw.<venue>`, verbatim, before anything looks into it."""

    def __init__(self, venue: Venue, publisher: RecordPublisher) -> None:
        self._topic = f"raw.{venue}"
        self._publisher = publisher

    def full(self) -> bool:
        """True when a reader must wait for `room` first."""
        return self._publisher.pending() >= RAW_LIMIT

    async def room(self) -> None:
        """Wait until records have been acknowledged; raises DeliveryFailed when one was lost."""
        while self.full():
            self._publisher.check()
            await asyncio.sleep(WAIT_S)

    def frame(self, receipt: Receipt, data: bytes) -> None:
        """Publish a websocket frame."""
        self._send(receipt, data, [("kind", b"ws")])

    def body(self, receipt: Receipt, data: bytes, path: str, asked: int) -> None:
        """Publish a REST body with the path, and the number of the request, that it answers."""
        call_start = ("call_start_ns", b"%d" % receipt.call_start_ns)
        self._send(receipt, data, [("kind", b"rest"), ("url", path.encode()), ("asked", b"%d" % asked), call_start])

    def sent(self, receipt: Receipt, text: str) -> None:
        """Publish a command of ours."""
        self._send(receipt, text.encode(), [("kind", b"sent")])

    def asked(self, receipt: Receipt, body: bytes, path: str) -> None:
        """Publish a REST request of ours."""
        self._send(receipt, body, [("kind", b"asked"), ("url", path.encode())])

    def mark(self, receipt: Receipt, mark: Mark) -> None:
        """Publish what changed a book and was no frame."""
        self._send(receipt, encode_mark(mark), [("kind", b"mark")])

    def _send(self, receipt: Receipt, data: bytes, more: list[tuple[str, bytes]]) -> None:
        headers = [("received_ns", b"%d" % receipt.response_ns), ("frame", b"%d" % receipt.frame), *more]
        self._publisher.publish(self._topic, data, key=receipt.connection.encode(), headers=headers)


class BookPublisher:
    """Puts books on `book.<venue>`: those that are ready at the same moment share a record per partition."""

    def __init__(self, venue: Venue, publisher: RecordPublisher, *, republish_ms: int, now: Callable[[], int]) -> None:
        self._topic = f"book.{venue}"
        self._venue: Venue = venue
        self._publisher = publisher
        self._now = now
        self._republish_ns = republish_ms * 1_000_000
        self._waiting: Waiting[tuple[str, str], Book] = Waiting()
        self._ready = asyncio.Event()
        self._followed: dict[str, PublishedBook] = {}
        self._sent_ns: OrderedDict[str, int] = OrderedDict()
        self._published = metrics.BOOKS_PUBLISHED.labels(venue)
        self._republished = metrics.BOOKS_REPUBLISHED.labels(venue)
        self._conflated = metrics.BOOKS_CONFLATED.labels(venue)

    def follow(self, book: PublishedBook) -> None:
        """Repeat this book while it is unchanged and its market is in a group."""
        if book.group:
            self._followed[book.market] = book
            self._sent_ns[book.market] = self._now()
        else:
            self.forget(book.market)

    def forget(self, market: str) -> None:
        """Stop repeating a market's book."""
        self._followed.pop(market, None)
        self._sent_ns.pop(market, None)
        metrics.AGES.forget(self._venue, market)

    def offer(self, book: Book | None) -> None:
        """Publish a book as soon as the event loop turns, or many wait; None is nothing to say."""
        if book is None:
            return
        key = (book.market, book.group)
        if self._backed_up():
            if self._waiting.conflate(key, book):
                self._conflated.inc()
        else:
            self._waiting.put(key, book)
            if len(self._waiting) >= TOGETHER:
                self.flush()
        self._ready.set()

    def flush(self) -> None:
        """Publish what waits now."""
        self._send(self._waiting.drain())

    def repeat_due(self, now_ns: int) -> None:
        """Publish again every followed book that was last published `republish_ms` ago or earlier."""
        self.flush()  # a repetition never overtakes what it repeats
        due = []
        for market, sent_ns in self._sent_ns.items():
            if sent_ns + self._republish_ns > now_ns:
                break
            due.append(market)
        repeats = [book for market in due if (book := self._followed[market].repeat()) is not None]
        for market in due:
            self._touch(market, now_ns)
        self._send(repeats)

    async def run(self) -> None:
        """Publish and repeat until cancelled; raises DeliveryFailed when a record was lost."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._flush_when_ready())
            tasks.create_task(self._repeat())

    async def _flush_when_ready(self) -> None:
        while True:
            await self._ready.wait()
            while self._backed_up():
                self._publisher.check()
                await asyncio.sleep(WAIT_S)
            self._ready.clear()
            self.flush()

    async def _repeat(self) -> None:
        # Four looks per interval: a book is repeated at the latest 1.25 intervals after it was last published.
        while True:
            await asyncio.sleep(self._republish_ns / 4e9)
            self._publisher.check()
            if not self._backed_up():
                self.repeat_due(self._now())

    def _backed_up(self) -> bool:
        return self._publisher.pending() >= BOOK_LIMIT

    def _touch(self, market: str, now_ns: int) -> None:
        if market in self._sent_ns:
            self._sent_ns[market] = now_ns
            self._sent_ns.move_to_end(market)

    def _send(self, books: list[Book]) -> None:
        by_partition: dict[int, list[Book]] = {}
        for book in books:
            by_partition.setdefault(partition_of(book.group or book.market), []).append(book)
        for partition, together in by_partition.items():
            for record in _records(together):
                self._publisher.publish(self._topic, encode_books(record), partition=partition)
        now_ns = self._now()
        for book in books:
            self._touch(book.market, now_ns)
            if book.republished:
                self._republished.inc()
                continue
            self._published.inc()
            if book.state == "live":
                market = book.market if book.group else ""
                metrics.observe_age(self._venue, market, book.exchange_ns, book.api_response_ns, now_ns)


def _records(books: list[Book]) -> Iterator[list[Book]]:
    """Split books into records that Kafka accepts."""
    record: list[Book] = []
    size = 0
    for book in books:
        if record and size + len(book.ladder) > RECORD_BYTES:
            yield record
            record, size = [], 0
        record.append(book)
        size += len(book.ladder) + 400  # the other fields are about that long
    yield record


def publish_market(publisher: RecordPublisher, market: Market) -> None:
    """Put a market's metadata on `market.<venue>`."""
    publisher.publish(f"market.{market.venue}", encode(market), key=market.market.encode())


def publish_trades(publisher: RecordPublisher, trades: Iterable[Trade]) -> None:
    """Put prints on `trade.<venue>`, in the partition of their market's books."""
    for trade in trades:
        key = trade.group or trade.market
        publisher.publish(f"trade.{trade.venue}", encode(trade), key=key.encode(), partition=partition_of(key))
