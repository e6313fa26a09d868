"""What the producers' tests share: a publisher that keeps everything, and tools around it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httpx
from confluent_kafka import Message

from producers.resilience import RestClient
from producers.sockets import Connector, open_websocket
from producers.tools import Tools
from runtime.kafka import DeadLetters, Publisher
from runtime.settings import FeedSettings
from schemas.codec import decode, decode_books
from schemas.records import Book, FeeSchedule, Market, TickRange, Trade, Venue
from schemas.units import ONE

DEADLINE_S = 10.0


@dataclass(frozen=True)
class Published:
    """One record that was published."""

    topic: str
    value: bytes | None
    key: bytes | None
    partition: int
    headers: dict[str, bytes]


class FakePublisher:
    """Keeps every record; `waiting` is what it says is unacknowledged; `lost` is raised where Kafka's loss would be."""

    def __init__(self) -> None:
        self.records: list[Published] = []
        self.waiting = 0
        self.lost: Exception | None = None
        self._came = asyncio.Event()

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
        self.check()
        self.records.append(Published(topic, value, key, partition, dict(headers or [])))
        self._came.set()

    def check(self) -> None:
        if self.lost is not None:
            raise self.lost

    def pending(self) -> int:
        return self.waiting

    def on(self, topic: str) -> list[Published]:
        return [record for record in self.records if record.topic == topic]

    def books(self, venue: Venue, market: str | None = None, *, repeated: bool = False) -> list[Book]:
        values = [record.value for record in self.on(f"book.{venue}")]
        books = [book for value in values if value is not None for book in decode_books(value)]
        return [book for book in books if book.republished == repeated and market in (None, book.market)]

    def markets(self, venue: Venue) -> list[Market]:
        return [cast(Market, decode(record.value or b"")) for record in self.on(f"market.{venue}")]

    def trades(self, venue: Venue) -> list[Trade]:
        return [cast(Trade, decode(record.value or b"")) for record in self.on(f"trade.{venue}")]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Return once the condition holds; looks after every record that comes in."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self._came.clear()
                await self._came.wait()


def make_tools(
    venue: Venue,
    publisher: FakePublisher,
    now: Callable[[], int] = time.time_ns,
    connect: Connector = open_websocket,
    **settings: Any,
) -> Tools:
    feed_settings = FeedSettings(**({"backoff_initial_ms": 1, "backoff_limit_ms": 5, "republish_ms": 100} | settings))
    dead_letters = DeadLetters(
        cast(Publisher, publisher), f"producer.{venue}", ratio=feed_settings.dead_letter_ratio, run=3
    )
    return Tools.make(venue, feed_settings, publisher, dead_letters, now, connect)


def rest_client(answer: Callable[[httpx.Request], httpx.Response], base: str = "http://127.0.0.1:1") -> RestClient:
    """A RestClient whose venue is a function, and which does not sleep between tries."""

    async def at_once(_seconds: float) -> None:
        return None

    return RestClient(base, lambda _method, _path: {}, transport=httpx.MockTransport(answer), sleep=at_once)


def make_market(venue: Venue, market: str, tokens: tuple[str, ...] = (), step: int = 100) -> Market:
    return Market(
        venue=venue,
        market=market,
        event="E",
        title="T",
        rules="",
        status="active",
        tokens=tokens,
        ticks=(TickRange(start=0, end=ONE, step=step),),
        fee=FeeSchedule(model="none", taker_rate=0, maker_rate=0, exponent=0, balance_precision=100),
        minimum_quantity=1,
        minimum_value=0,
        negative_risk=False,
        open_ns=0,
        close_ns=0,
        expected_settlement_ns=0,
        updated_ns=0,
    )
