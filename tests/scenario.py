"""A tape played through a whole real stack, and everything it left behind, collected for the tests to judge."""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from infra import summary
from infra.local.drain import drain
from infra.local.parts import cache_folder, find_parts
from infra.local.ports import PortLease
from infra.local.stack import ALL_PORTS, Stack, StackOptions, unhealthy
from infra.local.supervise import Supervisor
from infra.simulator.tape import resolve
from runtime.kafka import read_whole
from runtime.settings import MILLISECOND_NS, DetectorSettings, load
from schemas.codec import decode_books, decode_record
from schemas.records import Book, Execution, Group, Journal, Market, Opportunity, Order, Record, Ticket
from schemas.topics import HOME, venue_topic
from tests.exact import Assumptions, Limits
from tests.oracle import (
    DELAYS_NS,
    OTHER_DELAY_NS,
    Basket,
    Expected,
    PartitionOracle,
    Rules,
    basket_of,
    emitted,
    restored,
)

BOOK_TOPICS = [venue_topic("book", venue, "us") for venue in HOME]
MARKET_TOPICS = [venue_topic("market", venue, "us") for venue in HOME]
EXECUTION_TOPICS = [venue_topic("execution", venue, "us") for venue in HOME]
ORDER_TOPICS = [f"order.{venue}" for venue in HOME]

R = TypeVar("R", bound=Record)
During = Callable[[Stack, Supervisor], Awaitable[None]]
Afterwards = Callable[[Stack, Path], Awaitable[Any]]
"""Given the running stack when all is drained and collected, and a folder; what it returns is kept with the outcome."""
Place = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left: its summary, its records in the order of their topics, and the rows of its stores."""

    tape: Path
    summary: dict[str, Any]
    values: dict[Place, tuple[str, bytes | None]]
    journal: list[Journal]
    opportunities: list[Opportunity]
    tickets: list[Ticket]
    orders: list[Order]
    executions: list[Execution]
    influx_books: list[tuple[str, str, int, int]]
    postgres_tickets: list[str]
    postgres_executions: list[str]
    child_logs: dict[str, str]
    afterwards: Any = None

    def books(self) -> Iterator[Book]:
        """Every book on the us cluster, repetitions included."""
        for (topic, _, _), (_, value) in self.values.items():
            if topic in BOOK_TOPICS and value is not None:
                yield from decode_books(value)

    def stored_books(self) -> set[tuple[str, str, int, int]]:
        """Every (venue, market, epoch, sequence) that must be stored."""
        return {(b.venue, b.market, b.epoch, b.sequence) for b in self.books() if not b.republished}

    def expected_events(self) -> dict[Basket, list[Expected]]:
        """What an oracle says to the same inputs in the journal's order, by basket."""
        partitions = sorted({entry.partition for entry in self.journal})
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:  # brute force, and there are two cores
            found = pool.map(partial(_expected, replace(self, afterwards=None)), partitions)
            return by_basket(event for events in found for event in events)

    def _replay(self, partition: int) -> Iterator[Expected]:
        entries = sorted((e for e in self.journal if e.partition == partition), key=lambda e: (e.epoch, e.position))
        oracle = PartitionOracle(default_rules())
        for entry in entries:
            for item in entry.items:
                if item.kind == "assign":
                    fresh = PartitionOracle(oracle.rules)
                    for o in self._open_before(json.loads(item.detail)["opportunity_offset"]):
                        if o.partition == partition:
                            fresh.open[basket_of(o)] = restored(o)
                    oracle = fresh
                elif item.kind == "reference":
                    yield from self._reference(oracle, item.topic, item.offset)
                elif item.kind == "input":
                    stamps = memoryview(item.stamps).cast("q")
                    for number in range(item.count):
                        _, value = self.values[item.topic, partition, item.offset + number]
                        for book in decode_books(value or b""):
                            yield from oracle.on_book(book, stamps[number])

    def _open_before(self, offset: int) -> list[Opportunity]:
        """The opportunities that no record before `offset` of their topic has closed."""
        newest: dict[str, Opportunity] = {}
        for (topic, _, position), (_, value) in sorted(self.values.items()):
            if topic == "opportunity" and position < offset and value is not None:
                opportunity = decode_record(value, Opportunity)
                newest[opportunity.opportunity_id] = opportunity
        return [opportunity for opportunity in newest.values() if opportunity.event != "closed"]

    def _reference(self, oracle: PartitionOracle, topic: str, offset: int) -> list[Expected]:
        key, value = self.values[topic, 0, offset]
        if topic == "group":
            return oracle.on_group(key, None if value is None else decode_record(value, Group))
        return oracle.on_market(decode_record(value or b"", Market))

    def emitted_events(self) -> dict[Basket, list[Expected]]:
        """What the detector said, in the oracle's words, by basket."""
        return by_basket(emitted(opportunity) for opportunity in self.opportunities)


def _expected(outcome: Outcome, partition: int) -> list[Expected]:
    """What the oracle says to one partition's inputs; in a process of its own."""
    return list(outcome._replay(partition))


def default_rules() -> Rules:
    """What the stack's detector is told: the settings that this process would give it."""
    settings = load(DetectorSettings)
    return Rules(
        freshness_ns=settings.freshness_ms * MILLISECOND_NS,
        minimum_net=settings.minimum_net_microdollars,
        skew_ns=settings.skew_ms * MILLISECOND_NS,
        assumed=Assumptions(
            hurdle_ppm=settings.hurdle_ppm,
            void_ppm=settings.void_ppm,
            mismatch_ppm=settings.mismatch_ppm,
            gas=settings.gas_microdollars,
            basis_ppm=settings.basis_ppm,
            delays_ns=DELAYS_NS,
            other_delay_ns=OTHER_DELAY_NS,
        ),
        limits=Limits(settings.limit_group_contracts, settings.limit_venue_dollars, settings.limit_void_dollars),
    )


def by_basket(events: Iterable[Expected]) -> dict[Basket, list[Expected]]:
    """The events of each basket in their order; one book may speak of several baskets, in whatever order."""
    found: dict[Basket, list[Expected]] = {}
    for event in events:
        found.setdefault(event.basket, []).append(event)
    return found


def play(
    tape: str,
    speed: str,
    during: During | None = None,
    settings: dict[str, str] | None = None,
    limit_s: float = 600,
    afterwards: Afterwards | None = None,
) -> Outcome:
    """Play a tape to its end through a fresh stack, drain it, and collect everything."""
    with tempfile.TemporaryDirectory(prefix="dutchbook-scenario-") as folder:
        Path(folder).chmod(0o755)  # as root, Postgres runs as nobody and must get in
        return asyncio.run(_play(tape, speed, Path(folder), during, settings or {}, limit_s, afterwards))


async def _play(
    tape: str,
    speed: str,
    data_dir: Path,
    during: During | None,
    settings: dict[str, str],
    limit_s: float,
    afterwards: Afterwards | None,
) -> Outcome:
    started_ns = time.time_ns()
    folder = resolve(tape, cache_folder() / "tapes").absolute()
    with PortLease(ALL_PORTS) as lease:
        async with Supervisor(data_dir, print, lease.ports) as supervisor:
            stack = Stack(supervisor, find_parts(), StackOptions(data_dir, folder, speed, settings), lease.ports, print)
            try:
                await stack.start()
                await stack.play()
                await asyncio.wait_for(_until_ended(stack, supervisor, during), limit_s)
                problems = list(unhealthy(supervisor))
                waiting = await drain(stack, supervisor, deadline_s=120)
                counted = await asyncio.to_thread(
                    summary.summary,
                    stack.observer.seen,
                    stack.addresses,
                    supervisor.records,
                    started_ns=started_ns,
                    healthy=not problems,
                    drained=not waiting,
                    problems=[*problems, *waiting],
                )
                outcome = await asyncio.to_thread(_collect, folder, stack, counted, data_dir)
                if afterwards is not None:
                    outcome = replace(outcome, afterwards=await afterwards(stack, data_dir))
                return outcome
            finally:
                stack.observer.stop()


async def _until_ended(stack: Stack, supervisor: Supervisor, during: During | None) -> None:
    if during is not None:
        await during(stack, supervisor)
    while not await stack.tape_ended():
        await asyncio.sleep(0.25)
    await asyncio.sleep(1.0)


def _collect(tape: Path, stack: Stack, counted: dict[str, Any], data_dir: Path) -> Outcome:
    topics = [
        "group", "journal.detector", "opportunity", "ticket",
        *BOOK_TOPICS, *MARKET_TOPICS, *EXECUTION_TOPICS, *ORDER_TOPICS,
    ]  # fmt: skip
    values = {
        (message.topic(), message.partition(), message.offset()): (
            (message.key() or b"").decode(),
            message.value(),
        )
        for message in read_whole(stack.addresses.kafka_us, topics)
    }

    def all_of(kind: type[R], *names: str) -> list[R]:
        return [
            decode_record(value, kind)
            for (topic, _, _), (_, value) in sorted(values.items())
            if topic in names and value is not None
        ]

    with summary.InfluxReader(stack.addresses.influx_url) as reader:
        points = reader.query('SELECT "sequence", "epoch", "venue", "market" FROM "book"')
    with psycopg.connect(stack.addresses.postgres_dsn) as connection:
        tickets = [row[0] for row in connection.execute("SELECT ticket_id FROM tickets")]
        executions = [row[0] for row in connection.execute("SELECT execution_id FROM executions")]
    return Outcome(
        tape=tape,
        summary=counted,
        values=values,
        journal=all_of(Journal, "journal.detector"),
        opportunities=all_of(Opportunity, "opportunity"),
        tickets=all_of(Ticket, "ticket"),
        orders=all_of(Order, *ORDER_TOPICS),
        executions=all_of(Execution, *EXECUTION_TOPICS),
        influx_books=[(p["venue"], p["market"], int(p["epoch"]), int(p["sequence"])) for p in points],
        postgres_tickets=tickets,
        postgres_executions=executions,
        child_logs={path.stem: path.read_text(errors="replace") for path in (data_dir / "logs").glob("*.log")},
    )
