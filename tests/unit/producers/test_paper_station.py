"""A live gateway stands in its venue's region, a run's where the run is."""

import pytest

from producers.paper_station import Station
from schemas.records import Venue
from schemas.runs import run_creations


@pytest.mark.parametrize(
    ("venue", "topics"),
    [
        ("kalshi", ["order.kalshi", "execution.kalshi", "book.kalshi", "market.kalshi"]),
        ("polymarket", ["us.order.polymarket", "execution.polymarket", "book.polymarket", "market.polymarket"]),
    ],
)
def test_live_it_reads_and_writes_its_own_cluster(venue: Venue, topics: list[str]) -> None:
    station = Station(venue, "")
    assert [station.orders, station.executions, station.books, station.markets] == topics
    assert (station.here, station.group) == (
        "us" if venue == "kalshi" else "eu",
        f"dutchbook-gateway.{venue}",
    )
    assert station.topic("heartbeat") == "heartbeat"


@pytest.mark.parametrize(
    ("venue", "topics"),
    [
        ("kalshi", ["order.kalshi", "execution.kalshi", "book.kalshi", "market.kalshi"]),
        ("polymarket", ["order.polymarket", "eu-execution.polymarket", "eu-book.polymarket", "eu-market.polymarket"]),
    ],
)
def test_in_a_run_it_reads_and_writes_the_runs_topics_in_us(venue: Venue, topics: list[str]) -> None:
    station = Station(venue, "r1")
    found = [station.orders, station.executions, station.books, station.markets]
    assert found == [f"replay.r1.{name}" for name in topics]
    assert (station.here, station.group) == ("us", f"dutchbook-gateway.{venue}.r1")
    made = {creation.name for creation in run_creations("r1")}
    assert {*found, station.topic("heartbeat"), station.topic("metric")} <= made
