"""The contract of `sinks.task`, held against every sink on its real store, and against the fake."""

import secrets
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sinks import migrations
from sinks.delivery import Delivery
from sinks.task import RetriableError, SinkTask
from tests.contract.conftest import Stores
from tests.contract.harness import Harness, InfluxHarness, PostgresHarness, harness_of
from tests.unit.sinks.fakes import FakeBroker, FakeOutlet
from tests.unit.sinks.make import NOW_NS, analysis, book, execution, opportunity, sink_record, ticket
from tests.unit.sinks.test_worker import Killed, Rig

REAL = [pytest.param(name, marks=pytest.mark.stack) for name in ("influx", "postgres")]


@pytest.fixture(params=["memory", *REAL])
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    stores = None if request.param == "memory" else request.getfixturevalue("stores")
    with harness_of(request.param, stores) as made:
        yield made


@pytest.fixture
def task(harness: Harness) -> Iterator[SinkTask]:
    made = harness.task()
    made.start()
    made.open([harness.place])
    yield made
    made.stop()


@pytest.fixture
def influx(stores: Stores) -> Iterator[InfluxHarness]:
    with harness_of("influx", stores) as made:
        assert isinstance(made, InfluxHarness)
        yield made


@pytest.fixture
def postgres(stores: Stores) -> Iterator[PostgresHarness]:
    with harness_of("postgres", stores) as made:
        assert isinstance(made, PostgresHarness)
        yield made


def long_basket() -> str:
    """The id of a basket of as many claims as a group may have, with names as long as Polymarket's."""
    return "|".join(f"polymarket/0x{secrets.token_hex(32)}/yes" for _ in range(64))


def test_what_was_flushed_may_be_committed(harness: Harness, task: SinkTask) -> None:
    task.put([harness.record(number) for number in range(5)])
    task.flush({harness.place: 5})
    assert task.pre_commit() == {harness.place: 5}
    assert len(harness.rows()) == 5


def test_what_was_only_put_is_not_durable(harness: Harness, task: SinkTask) -> None:
    task.put([harness.record(0)])
    assert task.pre_commit() == {}
    assert harness.rows() == []
    task.close([harness.place])
    task.open([harness.place])
    task.flush({})
    assert harness.rows() == []


def test_a_redelivery_leaves_the_same_rows(harness: Harness, task: SinkTask) -> None:
    records = [harness.record(number) for number in range(5)]
    task.put(records)
    task.flush({harness.place: 5})
    before = harness.rows()
    again = harness.task()
    again.start()
    again.open([harness.place])
    again.put(records[2:])
    again.put(records)
    again.flush({harness.place: 5})
    assert harness.rows() == before
    again.stop()


def test_a_store_that_is_away_is_said_so_and_nothing_is_lost(harness: Harness, task: SinkTask) -> None:
    task.put([harness.record(0)])
    task.flush({harness.place: 1})
    with harness.outage():
        for _ in range(2):
            task.put([harness.record(1)])
            with pytest.raises(RetriableError):
                task.flush({harness.place: 2})
        assert task.pre_commit() == {harness.place: 1}
    task.put([harness.record(1)])
    task.flush({harness.place: 2})
    assert task.pre_commit() == {harness.place: 2}
    assert len(harness.rows()) == 2


def test_a_store_that_is_away_at_the_start_is_waited_for(harness: Harness) -> None:
    task = harness.task()
    with harness.outage(), pytest.raises(RetriableError):
        task.start()
    task.start()
    task.put([harness.record(0)])
    task.flush({harness.place: 1})
    assert len(harness.rows()) == 1
    task.stop()


@pytest.mark.parametrize("named", [True, False])
def test_of_a_batch_only_the_poisoned_record_is_rejected(harness: Harness, task: SinkTask, named: bool) -> None:
    outlet = FakeOutlet()
    delivery = Delivery(task, outlet, outlet.flush)
    for number in range(9):
        delivery.add(harness.poison(number, named=named) if number == 6 else harness.record(number))
    delivery.settle()
    assert outlet.sent == [(harness.place[0], 6, "TASK_PUT")]
    assert outlet.confirmed == 1
    assert len(harness.rows()) == 8
    assert task.pre_commit() == {harness.place: 9}


def test_closed_places_are_forgotten_and_can_be_opened_again(harness: Harness, task: SinkTask) -> None:
    task.put([harness.record(0)])
    task.flush({harness.place: 1})
    task.put([harness.record(1)])
    task.close([harness.place])
    assert task.pre_commit() == {}
    task.open([harness.place])
    task.put([harness.record(1), harness.record(2)])
    task.flush({harness.place: 3})
    assert task.pre_commit() == {harness.place: 3}
    assert len(harness.rows()) == 3


def test_a_flush_without_records_moves_the_positions(harness: Harness, task: SinkTask) -> None:
    task.flush({harness.place: 7})
    assert task.pre_commit() == {harness.place: 7}


def test_killed_between_store_and_commit_nothing_is_lost_or_doubled(harness: Harness) -> None:
    broker = FakeBroker()
    broker.append(harness.place[0], *[harness.record(number).value for number in range(4)])
    first = Rig(broker, harness.task())
    first.consumer.commit_fails = Killed()
    with pytest.raises(Killed):
        first.worker.run()
    before = harness.rows()
    assert len(before) == 4
    broker.append(harness.place[0], harness.record(4).value)
    Rig(broker, harness.task()).worker.run()
    assert harness.rows()[:4] == before
    assert len(harness.rows()) == 5
    assert broker.committed == {harness.place: 5}


@pytest.mark.stack
def test_influx_gives_back_what_a_book_was(influx: InfluxHarness) -> None:
    task = influx.task()
    odd = 'spaces, "quotes", back\\slashes, a\nnew line and ünïcödé'
    task.put([sink_record([book(3, reason=odd, group="a group, with = signs")], 0, "book.kalshi")])
    task.put([sink_record([book(4, republished=True)], 1, "book.kalshi")])
    task.flush({("book.kalshi", 0): 2})
    (row,) = influx.rows()
    assert row == {
        "time": NOW_NS + 2_003,
        "venue": "kalshi",
        "market": "KXTEST-1",
        "group": "a group, with = signs",
        "epoch": 7,
        "sequence": 3,
        "state": "live",
        "reason": odd,
        "best_bid": 0.42,
        "bid_size": 10.5,
        "best_ask": 0.4301,
        "ask_size": 2,
        "bid_count": 2,
        "ask_count": 1,
        "bids": "[[4200,1050],[4100,7]]",
        "asks": "[[4301,200]]",
        "exchange_ns": NOW_NS - 3_000,
        "api_call_start_ns": NOW_NS,
        "api_response_ns": NOW_NS + 1_000,
        "processing_complete_ns": NOW_NS + 2_003,
        "confirmed_ns": NOW_NS - 1,
    }
    task.stop()


@pytest.mark.stack
def test_influx_keeps_every_opportunity_of_one_moment(influx: InfluxHarness) -> None:
    task = influx.task()
    made = [opportunity(number, revision) for number in range(20) for revision in range(3)]
    made.append(opportunity(20, basket=long_basket()))
    task.put([sink_record(each, offset, "opportunity") for offset, each in enumerate(made)])
    task.flush({("opportunity", 0): len(made)})
    series = influx.query('select count("net") from "opportunity"')["results"][0]["series"][0]
    assert series["values"][0][1] == 61
    task.stop()


@pytest.mark.stack
def test_postgres_keeps_the_newest_revision_of_a_ticket(postgres: PostgresHarness) -> None:
    task = postgres.task()
    task.start()
    revisions = [0, 2, 1]
    task.put([sink_record(ticket(1, revision), offset) for offset, revision in enumerate(revisions)])
    task.flush({("ticket", 0): 3})
    task.put([sink_record(ticket(1, 1, state="cancelled"), 3), sink_record(ticket(2, 0), 4)])
    task.flush({("ticket", 0): 5})
    assert postgres.select("SELECT ticket_id, revision, state FROM tickets ORDER BY 1") == [
        ("ticket-1", 2, "working"),
        ("ticket-2", 0, "working"),
    ]
    task.stop()


@pytest.mark.stack
def test_postgres_keeps_every_record_once_and_its_times_readable(postgres: PostgresHarness) -> None:
    task = postgres.task()
    task.start()
    for _ in range(2):
        task.put([sink_record(execution(1), 0, "execution.kalshi")])
        task.put([sink_record(execution(2), 0, "eu.execution.polymarket")])
        task.put([sink_record(opportunity(1, revision), revision, "opportunity") for revision in (0, 1)])
        task.put([sink_record(analysis(1), 0, "analysis"), sink_record(analysis(2), 1, "analysis")])
        task.flush({("execution.kalshi", 0): 1})
    counts = "SELECT (SELECT count(*) FROM executions), (SELECT count(*) FROM opportunities), count(*) FROM analyses"
    assert postgres.select(counts) == [(2, 2, 2)]
    assert postgres.select(
        "SELECT executed_at = '2025-10-09 08:53:20+00', fills -> 0 ->> 'price' FROM executions LIMIT 1"
    ) == [(True, "5600")]
    task.stop()


@pytest.mark.stack
def test_postgres_keeps_how_a_net_came_about(postgres: PostgresHarness) -> None:
    task = postgres.task()
    task.start()
    task.put([sink_record(opportunity(1), 0, "opportunity"), sink_record(analysis(1), 0, "analysis")])
    task.flush({("opportunity", 0): 1, ("analysis", 0): 1})
    figures = "gross, fees, gas, basis, settlement_risk, time_value"
    assert postgres.select(
        f"SELECT net, {figures}, depth_cost, capital, annualised_ppm, void_payout, settles_at - opened_at, peak_at"
        " FROM opportunities"
    ) == [
        (12_345, 22_222, 7_655, 1_000, 200, 22, 1_000, 10, 985_433, 650_000, 500_000, timedelta(days=7), None),
    ]
    assert postgres.select(
        f"SELECT reason, detail, net, payout, {figures}, depth_cost, suppressed, partition, journal_epoch FROM analyses"
    ) == [("fees", "kalshi KXTEST-1", -2_655, 1_000_000, 5_000, 7_655, 1, 2, 3, 4, 10, 5, 6, 7)]
    task.stop()


@pytest.mark.stack
def test_postgres_tells_analyses_apart_also_those_of_long_baskets(postgres: PostgresHarness) -> None:
    task = postgres.task()
    task.start()
    long = long_basket()
    first = analysis(1, basket=long)
    others: list[dict[str, Any]] = [
        {"basket": f"{long}|kalshi/M/no"},
        {"reason": "gas"},
        {"group": "another"},
        {"time_ns": NOW_NS},
    ]
    made = [first, *(replace(first, **other) for other in others), replace(first, net=1)]
    task.put([sink_record(each, offset, "analysis") for offset, each in enumerate(made)])
    task.flush({("analysis", 0): len(made)})
    task.put([sink_record(first, 0, "analysis")])
    task.flush({("analysis", 0): len(made)})
    assert postgres.select("SELECT count(*), min(net) FROM analyses") == [(5, first.net)]
    task.stop()


@pytest.mark.stack
def test_postgres_tells_each_life_of_an_opportunity(postgres: PostgresHarness) -> None:
    task = postgres.task()
    task.start()
    again_ns = NOW_NS + 60
    events = [
        opportunity(1, 0),
        opportunity(1, 1, event="changed", time_ns=NOW_NS + 20, survived_ns=20, peak_net=20_000, peak_ns=NOW_NS + 20),
        opportunity(
            1,
            2,
            event="closed",
            reason="edge gone: fees",
            time_ns=NOW_NS + 50,
            survived_ns=50,
            peak_net=20_000,
            peak_ns=NOW_NS + 20,
        ),
        opportunity(1, 3, opened_ns=again_ns, time_ns=again_ns, peak_ns=again_ns),
        opportunity(2, 0, event="closed", reason="edge gone", time_ns=NOW_NS + 7),
    ]
    task.put([sink_record(each, offset, "opportunity") for offset, each in enumerate(events)])
    task.flush({("opportunity", 0): len(events)})
    assert postgres.select(
        "SELECT opportunity_id, opening, opened_ns, closed_ns, survived_ns, peak_net, peak_ns, reason"
        " FROM opportunity_lives ORDER BY opportunity_id, opening"
    ) == [
        ("opportunity-1", 1, NOW_NS, NOW_NS + 50, 50, 20_000, NOW_NS + 20, "edge gone: fees"),
        ("opportunity-1", 2, again_ns, None, 0, 12_345, again_ns, ""),
        ("opportunity-2", 0, NOW_NS, NOW_NS + 7, 7, 12_345, None, "edge gone"),
    ]
    assert postgres.select(
        "SELECT group_id, basket, opened_at = '2025-10-09 08:53:20+00', closed_at > opened_at, peak_at IS NULL"
        " FROM opportunity_lives WHERE closed_ns IS NOT NULL AND opening = 0"
    ) == [("test-group", "test-basket", True, False, True)]
    task.stop()


@pytest.mark.stack
def test_postgres_brings_an_older_database_up_to_date(
    postgres: PostgresHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:8])
        old = postgres.task()
        old.start()
        old.stop()
    columns = "group_id, basket, reason, quantity, gross, fees, net, time_ns"
    postgres.execute(f"INSERT INTO analyses ({columns}) VALUES ('g', 'b', 'too thin', 1, 2, 3, 4, 5)")
    postgres.execute(
        "INSERT INTO opportunities (opportunity_id, revision, event, reason, group_id, basket, legs, quantity, payout,"
        " gross, fees, net, peak_net, opened_ns, time_ns, cause, cause_api_response_ns, partition, journal_epoch)"
        " VALUES ('o', 1, 'closed', 'edge gone', 'g', 'b', '[]', 1, 2, 3, 4, 5, 6, 70, 80, 0, 0, 0, 0)"
    )
    for _ in range(2):
        task = postgres.task()
        task.start()
        task.stop()
    assert postgres.select("SELECT net, detail, payout, suppressed FROM analyses") == [(4, "", 0, 0)]
    assert postgres.select("SELECT net, gas, survived_ns, settles_at FROM opportunities") == [(5, 0, 0, None)]
    assert postgres.select("SELECT closed_ns, survived_ns FROM opportunity_lives") == [(80, 10)]
    assert postgres.select("SELECT max(version) FROM schema_migrations") == [(len(migrations.MIGRATIONS),)]


@pytest.mark.stack
def test_postgres_remembers_its_own_offsets_with_the_rows(postgres: PostgresHarness) -> None:
    task = postgres.task()
    task.start()
    task.put([sink_record(ticket(1), 41)])
    task.flush({("ticket", 0): 42, ("execution.kalshi", 0): 7})
    task.put([postgres.poison(42, named=False)])
    with pytest.raises(Exception, match="refused the rows"):
        task.flush({("ticket", 0): 43})
    task.stop()
    fresh = postgres.task()
    fresh.start()
    assert fresh.start_offsets([("ticket", 0), ("analysis", 0)]) == {("ticket", 0): 42}
    fresh.stop()


@pytest.mark.stack
def test_postgres_tables_are_made_once_by_workers_that_start_together(postgres: PostgresHarness) -> None:
    tasks = [postgres.task() for _ in range(3)]
    threads = [threading.Thread(target=task.start) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = postgres.select("SELECT version FROM schema_migrations ORDER BY version")
    assert versions == [(number,) for number in range(1, len(versions) + 1)]
    for task in tasks:
        task.put([sink_record(ticket(1), 0)])
        task.flush({("ticket", 0): 1})
        task.stop()
    assert len(postgres.rows()) == 1
