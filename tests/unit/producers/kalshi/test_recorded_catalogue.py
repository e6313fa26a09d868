"""Every recorded market object of the shared folder becomes a record. Those files are read in place, never copied."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from producers.catalogue import OPEN
from tests.unit.producers.kalshi.venue import NOW_NS, Venue

DATA = Path(os.environ.get("DUTCHBOOK_TEST_SHARED") or Path(__file__).resolve().parents[5] / "shared") / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="recorded payloads are not beside this project")


def test_every_recorded_market_makes_a_record() -> None:
    bodies = json.loads((DATA / "guzus__dr-manhattan" / "kalshi_markets.json").read_bytes())
    assert len(bodies) == 5
    venue = Venue(*bodies)
    catalogue = asyncio.run(venue.catalogue().describe(list(venue.markets), NOW_NS))
    assert catalogue.refused == catalogue.failed == {}
    for body in bodies:
        described = catalogue.found[body["ticker"]]
        assert described.market.title == body["title"]
        assert described.market.event == body["event_ticker"]
        assert [tick.step for tick in described.market.ticks] == [10]
        assert described.market.close_ns > described.market.open_ns > 0
        assert described.standing == OPEN
    assert sorted(asyncio.run(venue.catalogue().ranked(9))) == sorted(venue.markets)
