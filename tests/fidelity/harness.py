"""One run of the fault matrix: the producers' own feed against a small exchange, in one process and in virtual time.

Nothing of the producer is replaced but the network, the clock and Kafka: `InProcessVenue` is the first, the virtual
loop the second, `Kafka` below keeps what is published.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from confluent_kafka import Message

from infra.simulator.faces import make_site
from infra.simulator.faults import MILLISECOND, Fault
from infra.simulator.inprocess import InProcessVenue
from infra.simulator.site import Settings
from infra.simulator.tape import Tape
from infra.simulator.virtual import VirtualTimeLoop, run_virtual
from producers.feeds import Feed
from producers.tools import Tools
from runtime.kafka import DeadLetters, Publisher
from runtime.settings import FeedSettings
from schemas.codec import decode_books
from schemas.records import Venue
from tests.fidelity.feeds import make_feed
from tests.fidelity.kept import Kept
from tests.fidelity.truth import Board, Truth, Wrong

SECOND = 1_000_000_000
WARM_UP_NS = 4 * SECOND
HEAL_NS = 5 * SECOND
"""The published books equal the venue's again this long after the fault's end, at the latest."""

AFTER_NS = HEAL_NS + SECOND
QUIET_NS = 2 * SECOND
LATENCY_NS = 15 * MILLISECOND
SLACK_NS = 250 * MILLISECOND
"""What a book may be behind without a fault: the way to the client and back, a tick of the session, a few frames."""

ORDINARY_PAUSE_NS = 500 * MILLISECOND
"""What a change of the price grid takes at most until the book is whole again."""

RATE = 40.0
"""Actions of the traffic a second, over all markets."""


@dataclass(frozen=True)
class Trial:
    """A fault at work: begins this long after the warm-up and lasts so long (0: it happens once)."""

    fault: Fault
    after_ns: int = 0
    lasts_ns: int = 2 * SECOND


@dataclass
class Report:
    """What a run showed. Times are ns; `healed_ns` is None when some book was not healed in time."""

    detected_ns: int = 0
    healed_ns: int | None = 0
    wrongs: list[Wrong] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


class Kafka:
    """What a producer publishes, decoded as it comes; every record is delivered at once, and kept where wanted."""

    def __init__(self, now: Callable[[], int], board: Board, kept: Kept | None = None) -> None:
        self._now = now
        self._board = board
        self._kept = kept
        self.records: dict[str, int] = {}

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
        self.records[topic] = self.records.get(topic, 0) + 1
        if self._kept is not None:
            self._kept.keep(topic, value, key, headers)
        if topic.startswith("book."):
            for book in decode_books(value or b""):
                self._board.hear(book, self._now())

    def check(self) -> None:
        """Nothing is ever lost."""

    def pending(self) -> int:
        return 0


@dataclass(frozen=True)
class Extras:
    """What a run may have besides faults.

    `kept` gets all that is published; `meanwhile` acts on the feed while the faults last; `feed` are more arguments of
    `make_feed`, `site` of `make_site`.
    """

    kept: Kept | None = None
    meanwhile: Callable[[Feed[Any], Sequence[str]], Coroutine[Any, Any, None]] | None = None
    feed: dict[str, Any] = field(default_factory=dict)
    site: dict[str, Any] = field(default_factory=dict)


def run(
    venue: Venue, tape: Tape, trials: Sequence[Trial], seed: int, *, bound_ns: int, extras: Extras | None = None
) -> Report:
    """Play the trials on a venue; books that are live and wrong longer than `bound_ns` are in the report."""

    async def main(loop: VirtualTimeLoop) -> Report:
        return await _Run(venue, tape, seed, loop, extras or Extras()).play(trials, bound_ns)

    return run_virtual(main, longest_s=600)


class _Run:
    def __init__(self, venue: Venue, tape: Tape, seed: int, loop: VirtualTimeLoop, extras: Extras) -> None:
        self.loop = loop
        self.extras = extras
        self.board = Board()
        settings = Settings(seed=seed, latency_ns=LATENCY_NS, now=loop.now_ns)
        self.site = make_site(venue, tape, settings, exchange=True, **extras.site)
        self.venue = InProcessVenue(self.site)
        assert self.site.traffic is not None
        self.truth = Truth(self.site.traffic.engine, loop.now_ns)
        self.kafka = Kafka(loop.now_ns, self.board, extras.kept)
        self.feed = self._feed(venue)
        self.markets = sorted(self.site.venue.canonical())

    def _feed(self, venue: Venue) -> Feed[Any]:
        never_too_many: dict[str, Any] = {"dead_letter_run": 1_000_000, "dead_letter_ratio": 1.0}
        settings = FeedSettings(**never_too_many)
        dead_letters = DeadLetters(cast(Publisher, self.kafka), f"producer.{venue}", ratio=1.0, run=1_000_000)
        tools = Tools.make(venue, settings, self.kafka, dead_letters, self.loop.now_ns, self.venue.connect)
        return make_feed(venue, tools, self.venue.transport(), **self.extras.feed)

    async def play(self, trials: Sequence[Trial], bound_ns: int) -> Report:
        self.feed.assign({market: f"group-{number}" for number, market in enumerate(self.markets)})
        running = asyncio.create_task(self.feed.run(), name="feed")
        try:
            async with self.venue.trading(RATE):
                await self._sleep(WARM_UP_NS, running)
                begun_ns = self.loop.now_ns()
                ended_ns = await self._suffer_and_more(trials, running)
                await self._sleep(AFTER_NS, running)
            await self._sleep(QUIET_NS, running)
            return self._judge(begun_ns, ended_ns, bound_ns)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            self.feed.stop()
            await self.feed.close()

    async def _suffer_and_more(self, trials: Sequence[Trial], running: "asyncio.Task[None]") -> int:
        """Suffer the faults while something else is done with the feed; returns when all was over."""
        if self.extras.meanwhile is None:
            return await self._suffer(trials, running)
        await asyncio.gather(self._suffer(trials, running), self.extras.meanwhile(self.feed, self.markets))
        return self.loop.now_ns()

    async def _suffer(self, trials: Sequence[Trial], running: "asyncio.Task[None]") -> int:
        """Set and clear the faults at their times; returns when the last was over."""
        steps = []
        for trial in trials:
            steps.append((trial.after_ns, 1, trial.fault))
            if trial.lasts_ns:
                steps.append((trial.after_ns + trial.lasts_ns, 0, trial.fault))
        begun_ns = self.loop.now_ns()
        for at_ns, begins, fault in sorted(steps, key=lambda step: step[:2]):
            await self._sleep(begun_ns + at_ns - self.loop.now_ns(), running)
            if begins:
                self.venue.faults.set(fault)
            else:
                self.venue.faults.clear(fault.name)
        return self.loop.now_ns()

    async def _sleep(self, ns: int, running: "asyncio.Task[None]") -> None:
        if ns > 0:
            await asyncio.wait([running], timeout=ns / 1e9)
        if running.done():
            running.result()
            raise AssertionError("the feed ended by itself")

    def _judge(self, begun_ns: int, ended_ns: int, bound_ns: int) -> Report:
        end_ns = self.loop.now_ns()
        report = Report(counts=dict(self.kafka.records))
        healed_ns = ended_ns
        for market, canonical in self.site.venue.canonical().items():
            said = self.board.last(market)
            if market not in self.markets and said is None:
                continue  # it appeared, and nobody asked for it
            report.problems += self._last_word(market, canonical.state, said)
            for wrong in self.board.wrongs(self.truth, market, end_ns):
                if wrong.to_ns > begun_ns:
                    report.detected_ns = max(report.detected_ns, wrong.lasted_ns)
                if wrong.lasted_ns > bound_ns + SLACK_NS:
                    report.wrongs.append(wrong)
                if wrong.lasted_ns > SLACK_NS:
                    healed_ns = max(healed_ns, wrong.to_ns)
            if canonical.state == "open":
                healed_ns = max(healed_ns, self._live_again_ns(market, ended_ns, end_ns))
        report.healed_ns = healed_ns - ended_ns if healed_ns - ended_ns <= HEAL_NS else None
        return report

    def _last_word(self, market: str, state: str, said: Any) -> list[str]:
        """What is wrong with the last word about a market, once all is quiet."""
        if state == "open":
            if said is None or not said.live:
                spoken = "nothing" if said is None else f"{said.state} ({said.reason})"
                return [f"{market}: traded, but the last word was {spoken}"]
            if said.sides != self.truth.present(market):
                return [f"{market}: {said.sides} was published, {self.truth.present(market)} is true"]
        elif said is not None and said.live:
            return [f"{market}: {state} at the venue, but live"]
        return []

    def _live_again_ns(self, market: str, ended_ns: int, end_ns: int) -> int:
        """When the book was live for good, after the fault's end.

        A short pause that begins later is the venue's own: a price grid changes when the traffic comes near 0 or 1.
        """
        healed_ns = ended_ns
        for from_ns, until_ns in self.board.pauses(market, end_ns):
            if until_ns > ended_ns and (from_ns <= ended_ns or until_ns - from_ns > ORDINARY_PAUSE_NS):
                healed_ns = max(healed_ns, until_ns)
        return healed_ns if self.board.spoken.get(market) else end_ns


def small_tape(folder: Path) -> Tape:
    """A tape without frames: the catalogue of a few pairs, for an exchange to trade."""
    from infra.simulator.frames import write_json
    from infra.simulator.metadata import PolymarketFacts, clob_market_info, gamma_market, kalshi_market, made_up_token

    kalshi = {}
    polymarket: dict[str, Any] = {}
    for number, step in enumerate((100, 100, 10, 100)):
        ticker = f"KXFID-26NOV23-T{number}"
        kalshi[f"GET /trade-api/v2/markets/{ticker}"] = {"market": kalshi_market(ticker, step=step)}
        condition = "0x" + f"{number:02x}" * 32
        facts = PolymarketFacts(
            condition, made_up_token(f"yes {number}"), made_up_token(f"no {number}"), slug=f"pair-{number}", tick="0.01"
        )
        polymarket[f"GET /clob-markets/{condition}"] = clob_market_info(facts)
        polymarket[f"GET /markets?condition_ids={condition}"] = [gamma_market(facts)]
    write_json(folder / "kalshi" / "rest.json", kalshi)
    write_json(folder / "polymarket" / "rest.json", polymarket)
    return Tape.open(folder)
