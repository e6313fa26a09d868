"""The gateway's edge: what is committed when, what a second life answers, and where it refuses to start."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from producers import paper_gateway
from producers.paper_gateway import PaperGateway, main
from runtime import kafka
from runtime.settings import KafkaSettings, PaperSettings, load
from schemas.codec import decode_record, encode, encode_books
from schemas.records import Execution, Order, Venue
from tests.unit.kafka_fakes import FakeConsumer, FakeMessage, FakePublisher, FakeReporter
from tests.unit.runtime.rounds import Rounds
from tests.unit.trading import book, market, order


def fresh_order(identity: str = "order-1", **more: Any) -> Order:
    """An order that was made just now: the gateway reads the wall clock."""
    return order(identity, created_ns=time.time_ns(), **more)


@dataclass
class Cluster:
    """One region's cluster as the gateway meets it."""

    publisher: FakePublisher = field(default_factory=FakePublisher)
    data: FakeConsumer = field(default_factory=FakeConsumer)
    orders: FakeConsumer = field(default_factory=FakeConsumer)
    executions: list[bytes] = field(default_factory=list)

    def gateway(self, venue: Venue = "kalshi") -> PaperGateway:
        made = PaperGateway(venue, load(KafkaSettings), load(PaperSettings))
        self.orders.on_empty = made.stop
        return made

    def ask(self, *orders: Order) -> None:
        for number, one in enumerate(orders):
            self.orders.messages.append(FakeMessage("order.kalshi", encode(one), offset=number))

    def answers(self) -> list[Execution]:
        return [decode_record(value, Execution) for value in self.publisher.of("execution.kalshi")]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("DUTCHBOOK_PAPER_LATENCY_MS", "0")
    made = Cluster()
    now_ns = time.time_ns()
    made.data.messages = [
        FakeMessage("market.kalshi", encode(market())),
        FakeMessage("book.kalshi", encode_books([book(confirmed_ns=now_ns + 60_000_000_000)])),
    ]

    def consumer(_bootstrap: str, group: str) -> FakeConsumer:
        return made.data if "data" in group else made.orders

    def whole(_bootstrap: str, topics: list[str]) -> Iterator[FakeMessage]:
        yield from (FakeMessage(topics[0], value) for value in made.executions)

    def ends(_client: Any, topics: list[str]) -> dict[tuple[str, int], int]:
        return {(topic, 0): 0 for topic in topics}

    monkeypatch.setattr(kafka, "Publisher", lambda *_: made.publisher)
    monkeypatch.setattr(kafka, "consumer", consumer)
    monkeypatch.setattr(kafka, "read_whole", whole)
    monkeypatch.setattr(kafka, "end_offsets", ends)
    monkeypatch.setattr(paper_gateway, "HeartbeatSender", FakeReporter)
    monkeypatch.setattr(paper_gateway, "MetricReporter", FakeReporter)
    return made


def test_orders_are_answered_once_and_committed(cluster: Cluster) -> None:
    cluster.ask(fresh_order("1", quantity=700), fresh_order("1", quantity=700), fresh_order("2", quantity=700))
    cluster.gateway().run()
    assert [(one.order_id, one.remaining_quantity) for one in cluster.answers()] == [("1", 0), ("2", 400)]
    assert cluster.publisher.records[0][:2] == ("execution.kalshi", b"ticket")
    assert cluster.orders.committed[-1] == 3
    assert (cluster.orders.closed, cluster.data.closed, cluster.publisher.closed) == (True, True, True)


def test_each_round_says_that_the_gateway_works(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds()
    monkeypatch.setattr(paper_gateway, "HEALTH", rounds)
    cluster.ask(fresh_order("1"), fresh_order("2"))
    cluster.gateway().run()
    assert rounds.count >= 3


def test_nothing_is_committed_before_its_execution_is_delivered(cluster: Cluster) -> None:
    cluster.publisher.held = True
    cluster.ask(fresh_order("1"), fresh_order("2"))
    gateway = cluster.gateway()
    seen: list[int] = []

    def look() -> None:
        seen.extend(cluster.orders.committed)
        gateway.stop()

    cluster.orders.on_empty = look
    gateway.run()
    assert seen == []
    assert cluster.orders.committed == [2], "ending flushes, then commits"


def test_a_second_life_answers_only_what_the_first_did_not(cluster: Cluster) -> None:
    cluster.ask(fresh_order("1", quantity=700))
    cluster.gateway().run()
    cluster.executions = cluster.publisher.of("execution.kalshi")
    cluster.publisher.records.clear()
    cluster.data.messages = [
        FakeMessage("market.kalshi", encode(market())),
        FakeMessage("book.kalshi", encode_books([book(confirmed_ns=time.time_ns())])),
    ]
    cluster.ask(fresh_order("1", quantity=700), fresh_order("2", quantity=700))
    cluster.gateway().run()
    (answer,) = cluster.answers()
    assert (answer.order_id, answer.remaining_quantity) == ("2", 400)
    assert cluster.orders.committed[-1] == 2


def test_an_unreadable_order_is_a_dead_letter_and_the_next_is_served(cluster: Cluster) -> None:
    cluster.orders.messages = [
        FakeMessage("order.kalshi", b"nonsense"),
        FakeMessage("order.kalshi", encode(fresh_order()), offset=1),
    ]
    cluster.gateway().run()
    assert cluster.publisher.of("deadletter.order.kalshi") == [b"nonsense"]
    assert len(cluster.answers()) == 1
    assert cluster.orders.committed[-1] == 2


def test_an_unreadable_book_is_a_dead_letter(cluster: Cluster) -> None:
    cluster.data.messages.append(FakeMessage("book.kalshi", b"nonsense"))
    cluster.ask(fresh_order())
    cluster.gateway().run()
    assert cluster.publisher.of("deadletter.book.kalshi") == [b"nonsense"]
    assert len(cluster.answers()) == 1


def test_a_lost_delivery_ends_the_gateway(cluster: Cluster) -> None:
    cluster.publisher.failure = kafka.DeliveryFailed("lost")
    with pytest.raises(kafka.DeliveryFailed):
        cluster.gateway().run()
    assert cluster.orders.committed == []


def test_a_revocation_commits_what_is_done_and_forgets_the_rest(cluster: Cluster) -> None:
    gateway = cluster.gateway()
    cluster.publisher.held = True
    cluster.ask(fresh_order("1"), fresh_order("2", market="unheard of"))

    def revoke() -> None:
        cluster.orders.callbacks["on_revoke"](cluster.orders, [])
        gateway.stop()

    cluster.orders.on_empty = revoke
    gateway.run()
    assert cluster.orders.committed == [1]
    assert [one.order_id for one in cluster.answers()] == ["1"]


def test_each_venue_reads_orders_from_its_own_cluster(cluster: Cluster) -> None:
    cluster.gateway("polymarket").run()
    assert cluster.orders.topics == ["us.order.polymarket"]
    assert set(cluster.data.topics) == {"book.polymarket", "market.polymarket"}


@pytest.mark.parametrize(
    ("venue", "variable", "value"),
    [
        ("kalshi", "DUTCHBOOK_REGION", "eu"),
        ("polymarket", "DUTCHBOOK_REGION", "us"),
        ("kalshi", "DUTCHBOOK_MODE", "live"),
        ("polymarket", "DUTCHBOOK_PAPER_LATENCY_MS", "soon"),
    ],
)
def test_wrong_settings_are_named_and_end_with_2(
    venue: Venue, variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(venue) == 2
    line = capsys.readouterr().err
    assert variable in line
    assert line.count("\n") == 1
