"""In a replay orders are matched with the books of their own time, whenever anything is published or read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from producers import paper_gateway, paper_run
from producers.paper_gateway import PaperGateway, main
from runtime import kafka
from runtime.settings import KafkaSettings, PaperSettings, load
from schemas.codec import decode_record, encode, encode_books
from schemas.records import Execution, Order, Venue
from tests.unit.kafka_fakes import FakeConsumer, FakeMessage, FakePublisher, FakeReporter
from tests.unit.trading import SECOND, book, market, order

Place = tuple[str, int]
BOOKS = "replay.r1.book.kalshi"
MARKETS = "replay.r1.market.kalshi"
MANIFEST = "replay.r1.run"
PLACES = [(BOOKS, 0), (BOOKS, 1), (MARKETS, 0), (MANIFEST, 0)]
LATENCY_NS = SECOND // 20


@dataclass
class Log:
    """The run's inputs as the cluster has them, and a consumer of them; `batch` records are received at a time."""

    topics: dict[Place, list[FakeMessage]] = field(default_factory=lambda: {place: [] for place in PLACES})
    read: dict[Place, int] = field(default_factory=dict)
    paused: set[Place] = field(default_factory=set)
    batch: int = 500
    order: list[Place] = field(default_factory=lambda: list(PLACES))
    closed: bool = False

    def publish(self, place: Place, value: bytes | None, stamp_ns: int | None = None) -> None:
        headers = [] if stamp_ns is None else [("received_ns", str(stamp_ns).encode())]
        content = self.topics[place]
        content.append(FakeMessage(place[0], value, partition=place[1], offset=len(content), headers=headers))

    def ends(self, _client: Any, topics: list[str], **_more: Any) -> dict[Place, int]:
        return {place: len(content) for place, content in self.topics.items() if place[0] in topics}

    def assign(self, places: list[TopicPartition]) -> None:
        self.read = {(place.topic, place.partition): 0 for place in places}

    def consume(self, _count: int, timeout: float) -> list[FakeMessage]:
        assert timeout == 0
        found = []
        for place in self.order:
            if place not in self.paused:
                found += self.topics[place][self.read[place] :]
        for message in found[: self.batch]:
            self.read[message.topic(), message.partition()] = message.offset() + 1
        return found[: self.batch]

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused |= {(place.topic, place.partition) for place in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self.paused -= {(place.topic, place.partition) for place in places}

    def close(self) -> None:
        self.closed = True


@dataclass
class Run:
    """A run as its gateway meets it. Time on the wall goes on by 0.2 s whenever the gateway has nothing to read."""

    log: Log = field(default_factory=Log)
    publisher: FakePublisher = field(default_factory=FakePublisher)
    orders: FakeConsumer = field(default_factory=FakeConsumer)
    executions: list[bytes] = field(default_factory=list)
    wall_s: float = 0.0
    rounds: int = 12

    def gateway(self) -> PaperGateway:
        made = PaperGateway("kalshi", load(KafkaSettings), load(PaperSettings))
        left = self.rounds

        def on_empty() -> None:
            nonlocal left
            left -= 1
            self.wall_s += 0.2
            if left == 0:
                made.stop()

        self.orders.on_empty = on_empty
        return made

    def ask(self, *orders: Order) -> None:
        for number, one in enumerate(orders):
            self.orders.messages.append(FakeMessage("replay.r1.order.kalshi", encode(one), offset=number))

    def answers(self) -> list[Execution]:
        return [decode_record(value, Execution) for value in self.publisher.of("replay.r1.execution.kalshi")]

    def say(self, state: str) -> None:
        self.log.publish((MANIFEST, 0), f'{{"state": "{state}"}}'.encode())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DUTCHBOOK_RUN", "r1")
    monkeypatch.setenv("DUTCHBOOK_PAPER_LATENCY_MS", "50")
    made = Run()
    made.log.publish((MARKETS, 0), encode(market()), 0)
    made.say("publishing")

    def consumer(bootstrap: str, group: str) -> Any:
        assert bootstrap == load(KafkaSettings).kafka_us
        if "data" in group:
            return made.log
        assert group == "dutchbook-gateway.kalshi.r1"
        return made.orders

    def whole(_bootstrap: str, topics: list[str]) -> Iterator[FakeMessage]:
        assert topics == ["replay.r1.execution.kalshi"]
        yield from (FakeMessage(topics[0], value) for value in made.executions)

    monkeypatch.setattr(kafka, "Publisher", lambda *_: made.publisher)
    monkeypatch.setattr(kafka, "consumer", consumer)
    monkeypatch.setattr(kafka, "read_whole", whole)
    monkeypatch.setattr(kafka, "end_offsets", made.log.ends)
    monkeypatch.setattr(paper_run, "monotonic", lambda: made.wall_s)
    monkeypatch.setattr(paper_gateway, "DRAIN_S", 0.05)
    monkeypatch.setattr(paper_gateway, "HeartbeatSender", FakeReporter)
    monkeypatch.setattr(paper_gateway, "MetricReporter", FakeReporter)
    return made


def books_at(run: Run, *stamps_s: int, partition: int = 0, name: str = "M") -> None:
    """A book a stamp, whose sequence and best ask (0.50 + a cent each second) tell it from the others."""
    for second in stamps_s:
        one = book(asks=[(5000 + 100 * second, 1000)], sequence=second, market=name, confirmed_ns=second * SECOND)
        run.log.publish((BOOKS, partition), encode_books([one]), second * SECOND)


def order_at(second: int, identity: str = "1", **more: Any) -> Order:
    return order(identity, created_ns=second * SECOND, limit_price=9000, **more)


def sequences(run: Run) -> list[int]:
    return [answer.book_sequence for answer in run.answers()]


def test_an_order_meets_the_book_of_its_arrival_and_says_the_runs_time(run: Run) -> None:
    books_at(run, 1, 2, 3, 4, 5)
    run.say("published")
    run.ask(order_at(3), order_at(4, "2"))
    run.gateway().run()
    first, second = run.answers()
    assert (first.kind, first.book_sequence, first.executed_ns) == ("filled", 3, 3 * SECOND + LATENCY_NS)
    assert (second.book_sequence, second.executed_ns) == (4, 4 * SECOND + LATENCY_NS)
    assert [fill.price for fill in first.fills] == [5300]
    assert run.orders.committed[-1] == 2
    assert (run.log.closed, run.orders.closed, run.publisher.closed) == (True, True, True)


def test_the_latency_counts_in_the_runs_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUTCHBOOK_PAPER_LATENCY_MS", "1000")
    books_at(run, 1, 2, 3, 4, 5)
    run.say("published")
    run.ask(order_at(3))
    run.gateway().run()
    assert sequences(run) == [4]


def test_books_and_orders_of_long_ago_are_judged_by_the_runs_time(run: Run) -> None:
    books_at(run, 1, 7, 20)
    run.say("published")
    run.ask(order_at(5), order_at(6, "2"), order_at(8, "3"))
    run.gateway().run()
    assert [(answer.kind, answer.reason) for answer in run.answers()] == [
        ("filled", ""),
        ("rejected", "book is stale: confirmed 5050 ms ago"),
        ("filled", ""),
    ]


def test_metadata_counts_from_its_own_time_on(run: Run) -> None:
    run.log.publish((MARKETS, 0), encode(market(minimum_quantity=5000)), 4 * SECOND)
    books_at(run, 1, 2, 3, 4, 5)
    run.say("published")
    run.ask(order_at(3), order_at(4, "2"))
    run.gateway().run()
    assert [answer.kind for answer in run.answers()] == ["filled", "rejected"]


def test_what_is_not_known_at_its_time_is_rejected_at_once(run: Run) -> None:
    books_at(run, 1, 2, 3, 4, 5)
    run.say("published")
    run.ask(order_at(2, market="N"), order_at(2, "2"))
    run.gateway().run()
    assert [(answer.reason, answer.executed_ns) for answer in run.answers()] == [
        ("no book", 2 * SECOND + LATENCY_NS),
        ("", 2 * SECOND + LATENCY_NS),
    ]


def test_an_order_waits_for_books_that_are_not_published_yet(run: Run) -> None:
    books_at(run, 1, 2)
    run.ask(order_at(3))
    run.gateway().run()
    assert run.answers() == []
    assert run.orders.committed == []
    books_at(run, 3, 4)
    run.say("published")
    run.ask(order_at(3))
    run.gateway().run()
    assert sequences(run) == [3]


def test_a_silent_partition_holds_an_order_up_no_longer_than_the_grace(run: Run) -> None:
    books_at(run, 1, 2, 3, 4)
    run.rounds = 4
    run.ask(order_at(3))
    run.gateway().run()
    assert sequences(run) == [3], "nothing says yet that the run is whole"


def test_a_partition_that_is_behind_is_waited_for(run: Run) -> None:
    """Its records are in Kafka before the grace is over, but have not been received."""
    run.log.order = [(BOOKS, 0), (MARKETS, 0), (MANIFEST, 0), (BOOKS, 1)]
    books_at(run, 1, 3, partition=1)
    books_at(run, 1, 2, 3, 4, 5, name="N")
    run.log.batch = 1
    run.rounds = 30
    run.ask(order_at(3))
    run.gateway().run()
    assert sequences(run) == [3]


def test_a_partition_far_ahead_is_not_read_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_run, "HELD", 3)
    run.log.batch = 2
    books_at(run, 1, 2, 3, 4, 5, 6, 7, 8, 9, name="N")
    run.rounds = 1
    run.ask(order_at(3))
    run.gateway().run()
    assert 3 <= run.log.read[BOOKS, 0] <= 5
    assert run.answers() == []
    run.log.paused.clear()
    books_at(run, 2, 9, partition=1)
    run.say("published")
    run.rounds = 30
    run.ask(order_at(3), order_at(8, "2", market="N"))
    run.gateway().run()
    assert sequences(run) == [2, 8]


def test_an_order_that_comes_after_its_time_is_answered_now(run: Run) -> None:
    books_at(run, 1, 2, 3, 4, 5)
    run.say("published")
    run.ask(order_at(4))
    gateway = run.gateway()
    rounds = run.orders.on_empty

    def late() -> None:
        rounds()
        if run.answers() and len(run.publisher.records) == 1:
            run.ask(order_at(2, "2"))

    run.orders.on_empty = late
    gateway.run()
    assert [(answer.book_sequence, answer.executed_ns) for answer in run.answers()] == [
        (4, 4 * SECOND + LATENCY_NS)
    ] * 2


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_another_life_answers_as_the_first_would_have(run: Run, killed_after: int) -> None:
    for second in (1, 2, 3, 4):
        one = book(asks=[(5100, 300), (5200, 400)], sequence=second, confirmed_ns=second * SECOND)
        run.log.publish((BOOKS, 0), encode_books([one]), second * SECOND)
    run.say("published")
    asked = [order_at(1, "1", quantity=200), order_at(2, "2", quantity=150), order_at(3, "3", quantity=100)]
    asked += [order_at(4, "4", quantity=900)]
    run.ask(*asked)
    run.gateway().run()
    wanted = run.answers()
    assert [answer.remaining_quantity for answer in wanted] == [0, 0, 0, 650]
    run.executions = run.publisher.of("replay.r1.execution.kalshi")[:killed_after]
    run.publisher.records.clear()
    run.ask(*asked)
    run.gateway().run()
    assert run.answers() == wanted[killed_after:]
    assert run.orders.committed[-1] == 4


def test_what_is_no_record_of_a_replay_is_a_dead_letter_of_the_run(run: Run) -> None:
    books_at(run, 1)
    run.log.publish((BOOKS, 1), b"nonsense", 2 * SECOND)
    run.log.publish((BOOKS, 1), b"stampless")
    books_at(run, 3)
    run.say("published")
    run.ask(order_at(3))
    run.gateway().run()
    assert sorted(run.publisher.of("deadletter.replay.r1.book.kalshi")) == [b"nonsense", b"stampless"]
    assert sequences(run) == [3]


def test_a_run_that_failed_is_answered_as_far_as_it_came(run: Run) -> None:
    books_at(run, 1, 2)
    run.say("failed")
    run.ask(order_at(5))
    run.gateway().run()
    assert sequences(run) == [2]


def test_signs_of_life_are_the_runs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Beat(FakeReporter):
        def __init__(self, source: str, region: str, send: Callable[[str, bytes, bytes], None]) -> None:
            super().__init__()
            assert (source, region) == ("gateway.kalshi", "us")
            self.start = lambda: send("heartbeat", b"key", b"alive")  # type: ignore[method-assign]

    monkeypatch.setattr(paper_gateway, "HeartbeatSender", Beat)
    run.gateway().run()
    assert run.publisher.records == [("replay.r1.heartbeat", b"key", b"alive")]


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
@pytest.mark.parametrize("region", ["us", "eu"])
def test_a_runs_gateway_asks_for_no_region_and_no_key(
    venue: Venue, region: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUTCHBOOK_REGION", region)
    monkeypatch.setenv("DUTCHBOOK_KALSHI_KEY_ID", "half a key")
    made: list[tuple[Venue, str]] = []

    class Ended:
        def __init__(self, at: Venue, settings: KafkaSettings, _paper: PaperSettings) -> None:
            made.append((at, settings.run))

        def run(self) -> None:
            pass

        stop = run

    monkeypatch.setattr(paper_gateway, "PaperGateway", Ended)
    monkeypatch.setattr(paper_gateway, "on_stop_signal", lambda _stop: None)
    assert main(venue) == 0
    assert made == [(venue, "r1")]
