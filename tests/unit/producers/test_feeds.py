"""The part of a feed that both venues share, with lines that carry nothing."""

import asyncio
from collections.abc import Sequence

import pytest

from producers.books import PublishedBook, Receipt
from producers.feeds import REFRESH_NS, RETRY_NS, Catalogue, Described, Feed
from producers.ladder import Ladder
from producers.line import Followed, Line
from producers.resilience import RestError
from schemas.records import Book
from tests.unit.producers.support import FakePublisher, make_market, make_tools


class PlainBook:
    def __init__(self, published: PublishedBook) -> None:
        self.published = published

    def interrupt(self, reason: str, now_ns: int) -> Book | None:
        return self.published.interrupt("recovering", reason, now_ns)


class PlainLine(Line[PlainBook]):
    def make_book(self, followed: Followed) -> PlainBook:
        tools = self.tools
        book = PublishedBook(tools.venue, followed.market.market, followed.group, 32, tools.clocks)
        ladder = Ladder()
        ladder.replace([(4000, 100)], [])
        tools.books.offer(book.show(ladder, Receipt("c", 0, 1, 1), 0, 1))
        return PlainBook(book)

    async def run(self) -> None:
        self.set_connected(True)
        await asyncio.Event().wait()


class PlainFeed(Feed[PlainBook]):
    """Answers catalogue questions from `known`; a market in `down` makes the venue unreachable."""

    def __init__(self, publisher: FakePublisher, clock: list[int]) -> None:
        super().__init__(make_tools("kalshi", publisher, lambda: clock[0]), markets_per_line=2)
        self.known: set[str] = set()
        self.refresh_ns = 0
        self._clock = clock
        self.down = False
        self.asked: list[list[str]] = []

    async def describe(self, markets: Sequence[str]) -> Catalogue:
        self.asked.append(list(markets))
        if self.down:
            raise RestError("venue down")
        refresh_ns = self.refresh_ns if self._clock[0] < self.refresh_ns else 0
        found = {m: Described(make_market("kalshi", m), refresh_ns) for m in markets if m in self.known}
        return Catalogue(found=found)

    def make_line(self) -> Line[PlainBook]:
        return PlainLine(self.tools, self.measure)

    async def close(self) -> None:
        return None


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_markets_are_spread_over_lines_moved_closed_and_said_goodbye_to() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        feed = PlainFeed(fake, [1])
        feed.known = {"A", "B", "C"}
        running = asyncio.create_task(feed.run())
        feed.assign({"A": "g", "B": "g", "C": "h"})
        await fake.until(lambda: len(fake.books("kalshi")) == 3)
        assert [len(line.books) for line in feed.lines] == [2, 1]
        assert [market.market for market in fake.markets("kalshi")] == ["A", "B", "C"]
        feed.assign({"A": "g", "B": "h"})
        await fake.until(lambda: len(fake.books("kalshi")) == 6)
        said = [(book.market, book.group, book.state, book.reason) for book in fake.books("kalshi")[3:]]
        assert sorted(said) == [
            ("B", "g", "moved", "moved to group h"),
            ("B", "h", "live", ""),
            ("C", "h", "closed", "group removed"),
        ]
        running.cancel()
        await asyncio.wait([running])
        feed.stop()
        assert [(book.market, book.state, book.reason) for book in fake.books("kalshi")[6:]] == [
            ("A", "recovering", "producer stopped"),
            ("B", "recovering", "producer stopped"),
        ]

    asyncio.run(scenario())


def test_a_market_that_comes_back_gets_a_new_epoch() -> None:
    async def scenario() -> None:
        fake = FakePublisher()
        feed = PlainFeed(fake, [1])
        feed.known = {"A"}
        running = asyncio.create_task(feed.run())
        for assignment in ({"A": "g"}, {}, {"A": "g"}):
            feed.assign(assignment)
            await turns()
        running.cancel()
        await asyncio.wait([running])
        first, closed, again = fake.books("kalshi")
        assert (first.epoch, closed.epoch) == (closed.epoch, first.epoch)
        assert closed.state == "closed"
        assert again.epoch > first.epoch

    asyncio.run(scenario())


def test_an_unknown_market_is_asked_for_again_and_holds_up_no_other() -> None:
    async def scenario() -> None:
        fake, clock = FakePublisher(), [1]
        feed = PlainFeed(fake, clock)
        feed.known = {"A"}
        running = asyncio.create_task(feed.run())
        feed.assign({"A": "g", "nowhere": "g"})
        await turns()
        assert [book.market for book in fake.books("kalshi")] == ["A"]
        feed.known.add("nowhere")
        feed.assign({"A": "g", "nowhere": "g"})
        await turns()
        assert feed.asked == [["A", "nowhere"]]
        clock[0] += RETRY_NS
        feed.assign({"A": "g", "nowhere": "g"})
        await turns()
        assert feed.asked[1:] == [["nowhere"]]
        assert [book.market for book in fake.books("kalshi")] == ["A", "nowhere"]
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())


def test_a_venue_that_is_down_is_asked_again() -> None:
    async def scenario() -> None:
        fake, clock = FakePublisher(), [1]
        feed = PlainFeed(fake, clock)
        feed.known, feed.down = {"A"}, True
        running = asyncio.create_task(feed.run())
        feed.assign({"A": "g"})
        await turns()
        assert fake.books("kalshi") == []
        feed.down = False
        clock[0] += RETRY_NS
        feed.assign({"A": "g"})
        await turns()
        assert [book.market for book in fake.books("kalshi")] == ["A"]
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("waived_for_ns", "due_ns"), [(0, REFRESH_NS), (REFRESH_NS * 1000, REFRESH_NS), (5_000, 5_000)]
)
def test_metadata_is_read_again_after_ten_minutes_or_when_it_is_known_to_change(
    waived_for_ns: int, due_ns: int
) -> None:
    async def scenario() -> None:
        fake, clock = FakePublisher(), [1]
        feed = PlainFeed(fake, clock)
        feed.known, feed.refresh_ns = {"A"}, 1 + waived_for_ns if waived_for_ns else 0
        running = asyncio.create_task(feed.run())
        asked = []
        for now_ns in (1, due_ns, 1 + due_ns):
            clock[0] = now_ns
            feed.assign({"A": "g"})
            await turns()
            asked.append(len(feed.asked))
        assert asked == [1, 1, 2]
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())
