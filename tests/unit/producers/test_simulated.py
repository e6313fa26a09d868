"""Catalogues, polls and clocks against the simulated venues' own REST faces, in process and in virtual time."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.simulator.churn import Churn
from infra.simulator.faces import make_site
from infra.simulator.faults import MILLISECOND, ChurnStep, Fault, FaultName
from infra.simulator.inprocess import InProcessVenue
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.polymarket.options import PolymarketOptions
from infra.simulator.site import Settings
from infra.simulator.tape import VENUES
from infra.simulator.virtual import VirtualTimeLoop, run_virtual
from producers.clock import VenueClock
from producers.feeds import Feed
from producers.kalshi.catalogue import KalshiCatalogue
from producers.kalshi.rest import Rest as KalshiRest
from producers.line import Line
from producers.polymarket.catalogue import PolymarketCatalogue
from producers.polymarket.rest import Rest as PolymarketRest
from producers.refusals import RestError
from runtime import metrics
from schemas.records import Venue
from tests.unit.infra.simulator.tapes import CONDITION
from tests.unit.infra.simulator.test_server import tape
from tests.unit.producers.plain import PlainLine
from tests.unit.producers.support import FakePublisher, make_tools
from tests.unit.producers.toy import ToyBook, ToySession

SECOND_NS = 1_000_000_000
VENUE = pytest.mark.parametrize("venue", VENUES)
MARKET = {"kalshi": "A-1", "polymarket": CONDITION}
Catalogue = KalshiCatalogue | PolymarketCatalogue


def unsigned(_method: str, _path: str) -> dict[str, str]:
    return {}


class Dated(httpx.AsyncBaseTransport):
    """A network whose answers carry the venue's date, as Kalshi's do; its clock is 7.3 s ahead of ours."""

    AHEAD_NS = 7_300_000_000

    def __init__(self, inner: httpx.AsyncBaseTransport, loop: VirtualTimeLoop) -> None:
        self._inner = inner
        self._loop = loop

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        # Dated when the answer left, which was 5 ms ago.
        second = (self._loop.now_ns() - 5 * MILLISECOND + self.AHEAD_NS) // SECOND_NS
        answer.headers["date"] = formatdate(second, usegmt=True)
        return answer


class Simulated:
    """A simulated exchange, and our catalogue and clock over its REST face."""

    def __init__(self, venue: Venue, folder: Path, loop: VirtualTimeLoop, **options: Any) -> None:
        settings = Settings(seed=3, latency_ns=5 * MILLISECOND, now=loop.now_ns)
        made = {"kalshi": KalshiOptions, "polymarket": PolymarketOptions}[venue](**options)
        self.venue = InProcessVenue(make_site(venue, tape(folder), settings, exchange=True, **{venue: made}))
        self.clock = VenueClock(venue, loop.now_ns)
        self.catalogue: Catalogue
        transport = Dated(self.venue.transport(), loop)
        if venue == "kalshi":
            url = "http://venue/trade-api/v2"
            rest = KalshiRest.at(url, unsigned, loop.now_ns, clock=self.clock, transport=transport)
            self.catalogue = KalshiCatalogue(rest)
            self.close = rest.close
        else:
            both = PolymarketRest.at("http://venue", "http://venue", unsigned, loop.now_ns, transport=transport)
            self.catalogue = PolymarketCatalogue(both, self.clock)
            self.close = both.close

    def states(self) -> dict[str, str]:
        return {market: book.state for market, book in self.venue.venue.canonical().items()}

    def listed(self) -> set[str]:
        """Every market that the venue has, announced ones too."""
        venue: Any = self.venue.venue
        return set(venue.catalogue.markets if isinstance(self.catalogue, KalshiCatalogue) else venue.markets)

    def strike(self, step: ChurnStep, *markets: str) -> None:
        self.venue.faults.set(Fault(FaultName.CHURN, detail=step, markets=markets))
        self.venue.faults.clear(FaultName.CHURN)


def run(
    venue: Venue, folder: Path, act: Callable[[Simulated, VirtualTimeLoop], Awaitable[None]], **options: Any
) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        simulated = Simulated(venue, folder, loop, **options)
        try:
            await act(simulated, loop)
        finally:
            await simulated.close()

    run_virtual(main)
    metrics.AGES.correct(venue, 0)


FORMS = [
    ("kalshi", {}),
    ("kalshi", {"null_cursor": True, "error_shape": "flat"}),
    ("polymarket", {}),
    ("polymarket", {"gamma_page": 1, "keyset_page": 2}),
]


@pytest.mark.parametrize(("venue", "options"), FORMS)
def test_everything_that_is_traded_is_found_and_described(venue: Venue, options: Any, tmp_path: Path) -> None:
    async def act(simulated: Simulated, loop: VirtualTimeLoop) -> None:
        traded = {market for market, state in simulated.states().items() if state == "open"}
        assert len(traded) >= 1
        ranked = await simulated.catalogue.ranked(1000)
        assert set(ranked) == traded
        described = await simulated.catalogue.describe(ranked, loop.now_ns())
        assert (set(described.found), described.failed, described.refused) == (traded, {}, {})
        assert all(one.standing.state == "open" for one in described.found.values())
        discovered = await simulated.catalogue.discover(2, loop.now_ns())
        assert [one.market.market for one in discovered] == ranked[:2]

    run(venue, tmp_path, act, **options)


def test_one_market_of_each_kind_says_what_it_is(tmp_path: Path) -> None:
    async def act(simulated: Simulated, loop: VirtualTimeLoop) -> None:
        described = await simulated.catalogue.describe(await simulated.catalogue.ranked(1000), loop.now_ns())
        by_title = {one.market.title: one.market for one in described.found.values()}
        second = by_title["Version 2: showcase-version-2?"]
        assert (second.protocol, len(second.market), second.taker_delay_ms) == ("v2", 66, 250)
        nominee = by_title["Will showcase-nominee-a be nominated?"]
        assert (nominee.negative_risk, nominee.negative_risk_augmented, nominee.ticks[0].step) == (True, True, 10)
        assert (nominee.fee.taker_rate, nominee.event) == (40_000, "showcase-nominee")
        line = by_title["Will showcase-line cover?"]
        assert (line.taker_delay_ms, line.minimum_quantity, line.ticks[0].step) == (3000, 1500, 50)
        assert by_title["Will showcase-world-event happen?"].fee.model == "none"

    run("polymarket", tmp_path, act)


@VENUE
def test_a_new_market_is_unknown_for_a_while(venue: Venue, tmp_path: Path) -> None:
    async def act(simulated: Simulated, loop: VirtualTimeLoop) -> None:
        before = simulated.listed()
        simulated.strike(ChurnStep.APPEAR)
        (new,) = simulated.listed() - before
        assert (await simulated.catalogue.describe([new], loop.now_ns())).found == {}
        for _ in range(100):
            await asyncio.sleep(2)
            found = (await simulated.catalogue.describe([new], loop.now_ns(), fresh=True)).found
            if found and found[new].standing.state == "open":
                return
        pytest.fail("it never opened")

    run(venue, tmp_path, act)


@VENUE
def test_an_error_is_understood_in_every_form(venue: Venue, tmp_path: Path) -> None:
    shapes = ("nested", "flat", "alternate") if venue == "kalshi" else ("",)
    for shape in shapes:

        async def act(simulated: Simulated, loop: VirtualTimeLoop) -> None:
            simulated.venue.faults.set(Fault(FaultName.REST_500, detail="503"))
            with pytest.raises(RestError) as caught:
                await simulated.catalogue.ranked(5)
            assert caught.value.status in (0, 503)
            simulated.venue.faults.clear_all()
            await asyncio.sleep(5)
            assert await simulated.catalogue.ranked(5)

        run(venue, tmp_path / shape, act, **({"error_shape": shape} if shape else {}))


@VENUE
def test_the_venues_clock_is_found(venue: Venue, tmp_path: Path) -> None:
    async def act(simulated: Simulated, loop: VirtualTimeLoop) -> None:
        market = (await simulated.catalogue.describe([MARKET[venue]], loop.now_ns())).found[MARKET[venue]].market
        for _ in range(20):
            await asyncio.sleep(simulated.clock.probe_in_s(2.0))
            await simulated.catalogue.pauses([market])
            await simulated.catalogue.ask_time()
        estimate, ahead_ns = simulated.clock.estimate(), Dated.AHEAD_NS if venue == "kalshi" else 0
        assert estimate is not None
        assert estimate.low_ns <= ahead_ns <= estimate.high_ns
        assert estimate.uncertainty_ns < 10 * MILLISECOND

    run(venue, tmp_path, act)


class SimulatedFeed(Feed[ToyBook]):
    """A feed over the simulated catalogue, with lines that show a book at once."""

    def __init__(self, venue: Venue, simulated: Simulated, loop: VirtualTimeLoop, **settings: Any) -> None:
        self.publisher = FakePublisher()
        tools = make_tools(venue, self.publisher, loop.now_ns, **settings)
        super().__init__(tools, simulated.catalogue, markets_per_line=3, clock=simulated.clock)

    def make_line(self) -> Line[ToyBook]:
        async def no_rest(path: str, body: bytes | None) -> bytes:
            raise RestError(path)

        return PlainLine(
            self.tools, ToySession, no_rest, changed=self.measure, catalogue_changed=self.catalogue_changed
        )

    async def close(self) -> None:
        return None

    def states(self) -> dict[str, str]:
        """The state of every carried market's book."""
        found: dict[str, str] = {}
        for line in self.lines:
            for market, book in line.books.items():
                assert book.published.record is not None
                found[market] = book.published.record.state
        return found


SAME = {"open": "live", "halted": "halted", "closed": "closed"}


async def until_same(simulated: Simulated, feed: SimulatedFeed, groups: dict[str, str], loop: VirtualTimeLoop) -> float:
    """Seconds until every market of a group stands as at the venue."""
    began_s = loop.time()
    while loop.time() - began_s < 200:
        venue, ours = simulated.states(), feed.states()
        # A market that is gone from the venue, or was never carried, is closed.
        wrong = [
            market
            for market in groups
            if SAME[venue.get(market, "closed")] != ours.get(market, "closed" if market not in ours else "")
        ]
        if not wrong:
            return loop.time() - began_s
        await asyncio.sleep(0.1)
    raise AssertionError(f"{wrong}: {[(market, venue.get(market), ours.get(market)) for market in wrong]}")


@VENUE
def test_the_books_of_groups_stand_as_their_markets_within_the_poll(venue: Venue, tmp_path: Path) -> None:
    async def act(simulated: Simulated, loop: VirtualTimeLoop) -> None:
        feed = SimulatedFeed(venue, simulated, loop, market_budget=0)
        running = asyncio.create_task(feed.run())
        groups = dict.fromkeys(await simulated.catalogue.ranked(1000), "g")
        feed.assign(groups)
        assert await until_same(simulated, feed, groups, loop) < 2
        market = MARKET[venue]
        for step in (
            ChurnStep.HALT,
            ChurnStep.RESUME,
            ChurnStep.CLOSE,
            ChurnStep.OPEN,
            ChurnStep.CLOSE,
            ChurnStep.SETTLE,
        ):
            simulated.strike(step, market)
            assert await until_same(simulated, feed, groups, loop) < 3.5, step
        await asyncio.sleep(70)
        last = feed.publisher.markets(venue)[-1]
        assert (last.market, last.result in ("yes", "no"), last.status in ("finalized", "closed")) == (
            market,
            True,
            True,
        )
        running.cancel()
        await asyncio.wait([running])

    run(venue, tmp_path, act)


@VENUE
@pytest.mark.parametrize("name", [FaultName.PAUSE, FaultName.MAINTENANCE])
def test_a_pause_of_the_venue_halts_its_books_and_ends(venue: Venue, name: FaultName, tmp_path: Path) -> None:
    async def act(simulated: Simulated, loop: VirtualTimeLoop) -> None:
        feed = SimulatedFeed(venue, simulated, loop, market_budget=0)
        running = asyncio.create_task(feed.run())
        groups = dict.fromkeys(await simulated.catalogue.ranked(1000), "g")
        feed.assign(groups)
        await until_same(simulated, feed, groups, loop)
        simulated.venue.faults.set(Fault(name))
        assert "open" not in simulated.states().values()
        assert await until_same(simulated, feed, groups, loop) < 3.5
        simulated.venue.faults.clear_all()
        assert await until_same(simulated, feed, groups, loop) < 3.5
        running.cancel()
        await asyncio.wait([running])

    run(venue, tmp_path, act)


@VENUE
@pytest.mark.parametrize("seed", range(4))
def test_after_churn_and_storms_everything_stands_right(venue: Venue, seed: int, tmp_path: Path) -> None:
    async def act(simulated: Simulated, loop: VirtualTimeLoop) -> None:
        feed = SimulatedFeed(venue, simulated, loop, market_budget=20)
        running = asyncio.create_task(feed.run())
        groups = dict.fromkeys(itertools.islice(await simulated.catalogue.ranked(1000), 3), "g")
        feed.assign(groups)
        await until_same(simulated, feed, groups, loop)
        faults = simulated.venue.faults
        churn = Churn(simulated.venue.venue, faults, simulated.venue.later, seed)
        assert churn
        for storm in (FaultName.REST_500, FaultName.REST_429, FaultName.REST_SLOW, FaultName.REST_425):
            until_ns = loop.now_ns() + 20 * SECOND_NS
            faults.set(Fault(FaultName.CHURN, delay_ms=700, until_ns=until_ns))
            faults.set(Fault(storm, share=0.5, delay_ms=800, until_ns=until_ns))
            await asyncio.sleep(20)
        faults.clear_all()
        assert await until_same(simulated, feed, groups, loop) < 8
        running.cancel()
        await asyncio.wait([running])

    run(venue, tmp_path, act)


def test_an_accounts_limits_are_kept_to_whatever_is_asked(tmp_path: Path) -> None:
    async def act(simulated: Simulated, loop: VirtualTimeLoop) -> None:
        throttled = metrics.REST_REQUESTS.labels("kalshi", "throttled")
        before = throttled._value.get()
        markets = await simulated.catalogue.ranked(1000)
        await asyncio.gather(*(simulated.catalogue.describe(markets, loop.now_ns(), fresh=True) for _ in range(60)))
        assert loop.time() > 5
        assert throttled._value.get() == before

    run("kalshi", tmp_path, act, limited=True)
