"""A feed whose venue is an object in the test: its catalogue answers from memory, its lines show one level at once."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from infra.simulator.virtual import VirtualTimeLoop
from producers.catalogue import OPEN, Catalogue, Described, Standing
from producers.clock import VenueClock
from producers.feeds import Feed
from producers.line import Line
from producers.refusals import RestError
from schemas.records import Book, Market
from tests.unit.producers.support import FakePublisher, make_market, make_tools
from tests.unit.producers.toy import ToyBook, ToySession

CLOSED = Standing("closed", "closed by the venue")


class PlainCatalogue:
    """What the venue knows, and what it was asked. `answers_in_s` is how long a description takes."""

    def __init__(self) -> None:
        self.closes_by_clock = True
        self.markets: dict[str, Market] = {}
        self.standing: dict[str, Standing] = {}
        self.polled: dict[str, Standing] = {}
        self.paused: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.refresh_ns = 0
        self.ranking: list[str] = []
        self.answers_in_s = 0.0
        self.down = False
        self.asked: list[list[str]] = []
        self.fresh: list[str] = []
        self.walks = 0
        self.prepared = 0

    def add(self, *names: str, **changes: object) -> None:
        for name in names:
            self.markets[name] = msgspec.structs.replace(make_market("kalshi", name), **changes)

    async def prepare(self) -> None:
        self.prepared += 1

    async def describe(self, markets: Sequence[str], now_ns: int, *, fresh: bool = False) -> Catalogue:
        self.asked.append(list(markets))
        self.fresh += list(markets) if fresh else []
        self._check()
        found = {
            name: Described(
                self.markets[name],
                self.refresh_ns if now_ns < self.refresh_ns else 0,
                self.standing.get(name, OPEN),
            )
            for name in markets
            if name in self.markets and name not in self.refused
        }
        await asyncio.sleep(self.answers_in_s)
        return Catalogue(found=found, refused={name: why for name, why in self.refused.items() if name in markets})

    async def ranked(self, limit: int) -> list[str]:
        self._check()
        self.walks += 1
        return self.ranking[:limit]

    async def standings(self, markets: Iterable[Market], *, closely: bool) -> dict[str, Standing]:
        self._check()
        return {market.market: self.polled.get(market.market, OPEN) for market in markets}

    async def pauses(self, markets: Iterable[Market]) -> dict[str, str]:
        self._check()
        return {market.market: self.paused.get(market.market, "") for market in markets}

    async def ask_time(self) -> None:
        self._check()

    def _check(self) -> None:
        if self.down:
            raise RestError("venue down")


class PlainLine(Line[ToyBook]):
    """Shows a bid of 0.4 for every market as soon as it subscribes to it."""

    up = False

    @property
    def connected(self) -> bool:
        return self.up

    async def run(self) -> None:
        self.up = True
        self._begin()
        self.report()
        await asyncio.Event().wait()

    def send(self, text: str) -> None:
        super().send(text)
        command, *markets = text.split()
        for market in markets if command == "subscribe" else []:
            self.session.frame(self._receipt(), f"{market} 4000".encode(), self.tools.now())


class PlainFeed(Feed[ToyBook]):
    """Two markets a line."""

    def __init__(self, loop: VirtualTimeLoop, catalogue: PlainCatalogue, **settings: Any) -> None:
        self.publisher = FakePublisher()
        self.loop = loop
        tools = make_tools("kalshi", self.publisher, loop.now_ns, **settings)
        super().__init__(tools, catalogue, markets_per_line=2, clock=VenueClock("kalshi", loop.now_ns))

    def make_line(self) -> Line[ToyBook]:
        async def no_rest(path: str, body: bytes | None) -> bytes:
            raise RestError(path)

        return PlainLine(
            self.tools, ToySession, no_rest, changed=self.measure, catalogue_changed=self.catalogue_changed
        )

    async def close(self) -> None:
        return None

    def said(self, market: str) -> list[tuple[str, str]]:
        """State and reason of everything published about a market's book, as it was said."""
        return [(book.state, book.reason) for book in self.books(market)]

    def books(self, market: str | None = None) -> list[Book]:
        self.tools.books.flush()
        return sorted(self.publisher.books("kalshi", market), key=lambda book: book.processing_complete_ns)

    def carried(self) -> list[str]:
        """The markets of all lines."""
        return [market for line in self.lines for market in line.books]

    def followed(self) -> list[list[str]]:
        """The markets of each line."""
        return [list(line.books) for line in self.lines]
