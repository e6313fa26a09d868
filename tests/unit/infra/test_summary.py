"""The figures of a run, from what was observed."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from infra.observe import Observed
from infra.summary import percentiles, venue_counts, write
from schemas.codec import encode
from schemas.records import Execution, Heartbeat, Metric, Opportunity, Order, Record, Sample, Ticket
from tests.unit.kafka_fakes import FakeMessage
from tests.unit.sinks.make import execution, opportunity, ticket

RUN_BEGAN_NS = 1_000_000_000_000
BEFORE_MS, DURING_MS = 999_999, 1_000_001


class Message(FakeMessage):
    """A record with the time of its publication and headers."""

    def __init__(self, record: Record, timestamp_ms: int, headers: list[tuple[str, bytes]] | None = None) -> None:
        super().__init__("topic", encode(record))
        self._timestamp_ms = timestamp_ms
        self._headers = headers

    def timestamp(self) -> tuple[int, int]:
        return 1, self._timestamp_ms

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._headers


def take(observed: Observed, record: Record, timestamp_ms: int, headers: list[tuple[str, bytes]] | None = None) -> None:
    observed.take(Message(record, timestamp_ms, headers))


def metric(instance_ns: int, *samples: tuple[str, float]) -> Metric:
    return Metric(
        source="producer.kalshi",
        region="us",
        instance_ns=instance_ns,
        time_ns=instance_ns,
        samples=tuple(Sample(name=f"dutchbook_{n}", labels={"venue": "kalshi"}, value=v) for n, v in samples),
    )


@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_percentiles_are_values_in_order(values: list[int]) -> None:
    found = percentiles(values)
    assert list(found) == ["p50", "p90", "p99", "max"]
    assert sorted(found.values()) == list(found.values())
    assert {round(value * 1000) for value in found.values()} <= set(values)
    assert found["max"] == max(values) / 1000


def test_percentiles_by_nearest_rank() -> None:
    assert percentiles(range(1, 101)) == {"p50": 0.05, "p90": 0.09, "p99": 0.099, "max": 0.1}
    assert percentiles([]) == {}


def test_counters_add_up_over_the_lives_of_a_process_and_gauges_are_the_youngest() -> None:
    observed = Observed()
    take(observed, metric(1, ("frames_read_total", 10), ("markets_subscribed", 3)), DURING_MS)
    take(observed, metric(1, ("frames_read_total", 20), ("markets_subscribed", 3)), DURING_MS)
    take(observed, metric(2, ("frames_read_total", 5), ("markets_subscribed", 2), ("markets_unknown", 1)), DURING_MS)
    counts = venue_counts(observed)
    assert counts["kalshi"]["frames_read"] == 25
    assert (counts["kalshi"]["markets_followed"], counts["kalshi"]["markets_unknown"]) == (2, 1)
    assert set(counts["polymarket"].values()) == {0}


def everything() -> list[Record]:
    order = Order(
        order_id="order-1",
        ticket_id="ticket-1",
        leg=0,
        attempt=1,
        action="place",
        venue="kalshi",
        market="A",
        outcome="yes",
        side="buy",
        limit_price=1,
        quantity=1,
        time_in_force="immediate_or_cancel",
        created_ns=0,
    )
    beat = Heartbeat(source="s", region="eu", instance_ns=1, sequence=1, time_ns=1)
    return [opportunity(1, event="opened"), ticket(1, state="filled"), order, execution(1), beat, metric(1)]


def test_what_an_earlier_run_left_is_not_counted() -> None:
    observed = Observed(since_ns=RUN_BEGAN_NS)
    for record in everything():
        take(observed, record, BEFORE_MS, [("produced_ns", b"5")])
    assert observed == Observed(since_ns=RUN_BEGAN_NS)
    for record in everything():
        take(observed, record, DURING_MS, [("produced_ns", b"5")])
    assert observed.opportunities == len(observed.tickets) == len(observed.orders) == len(observed.executions) == 1
    assert observed.first_opportunity_ns == 5
    assert observed.metrics
    assert observed.mirror_latency_us


def test_a_ticket_that_an_earlier_run_left_unfinished_is_waited_for() -> None:
    observed = Observed(since_ns=RUN_BEGAN_NS)
    take(observed, ticket(1, state="working"), BEFORE_MS)
    take(observed, ticket(2, state="working"), BEFORE_MS)
    take(observed, ticket(2, 1, state="filled"), BEFORE_MS)
    assert observed.ticket_states() == {"working": 1}
    take(observed, ticket(1, 1, state="filled"), DURING_MS)
    assert observed.ticket_states() == {"filled": 1}


def test_redelivered_records_count_once() -> None:
    observed = Observed()
    for record in [*everything(), *everything()]:
        take(observed, record, DURING_MS)
    assert (len(observed.orders), len(observed.executions), len(observed.tickets)) == (1, 1, 1)
    assert observed.fills == 1


def test_an_older_revision_does_not_replace_a_newer_one() -> None:
    observed = Observed()
    take(observed, ticket(1, 2, state="filled"), DURING_MS)
    take(observed, ticket(1, 1, state="working"), DURING_MS)
    assert observed.ticket_states() == {"filled": 1}


def test_the_summary_appears_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    file.write_text("old")
    write(file, {"healthy": True})
    assert json.loads(file.read_text()) == {"healthy": True}
    assert list(tmp_path.iterdir()) == [file]


def test_every_kind_of_record_is_taken() -> None:
    assert {type(record) for record in everything()} == {Opportunity, Ticket, Order, Execution, Heartbeat, Metric}
