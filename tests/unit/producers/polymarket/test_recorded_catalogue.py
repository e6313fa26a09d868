"""Every recorded catalogue payload of the shared folder decodes. Those files are read in place, never copied here."""

import asyncio
import gzip
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from producers.polymarket.metadata import ClobMarket, FullMarket, GammaEvent, GammaMarket, Token, market_record
from tests.unit.producers.polymarket.frames import MARKET
from tests.unit.producers.polymarket.venue import INFO, Venue

DATA = Path(os.environ.get("DUTCHBOOK_TEST_SHARED") or Path(__file__).resolve().parents[5] / "shared") / "data"
NAUTILUS = DATA / "nautechsystems__nautilus_trader"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="recorded payloads are not beside this project")


def read(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())


def gamma_markets() -> list[dict[str, Any]]:
    events = [*read(NAUTILUS / "rust_test_data" / "gamma_event.json"), read(NAUTILUS / "http_responses" / "event.json")]
    return [
        *read(DATA / "guzus__dr-manhattan" / "polymarket_markets.json"),
        read(NAUTILUS / "rust_test_data" / "gamma_market.json"),
        *(market for event in events for market in event["markets"]),
    ]


def test_every_recorded_gamma_market_makes_a_record() -> None:
    markets = gamma_markets()
    assert len(markets) == 11
    for body in markets:
        market = msgspec.convert(body, GammaMarket)
        assert market.condition_id == body["conditionId"]
        assert market.question == body["question"]
        tokens = market.token_ids() or ("1", "2")  # one fixture was cut down to its texts
        clob = ClobMarket(t=tuple(Token(token, "") for token in tokens), mts=0.01, v="v1")
        record = market_record(market.condition, clob, market)
        assert record.title == body["question"]
        assert record.fee.taker_rate == round((body.get("feeSchedule") or {"rate": 0})["rate"] * 1e6)
        assert bool(record.close_ns) == ("endDate" in body)
        if "active" in body:
            assert market.tradeable


def test_recorded_events_say_more_of_their_markets() -> None:
    body = read(NAUTILUS / "rust_test_data" / "gamma_event.json")[0]
    event = msgspec.convert(body, GammaEvent)
    market = msgspec.convert(body["markets"][0] | {"events": [body]}, GammaMarket)
    clob = ClobMarket(t=tuple(Token(token, "") for token in market.token_ids()), mts=0.001, nr=True, v="v1")
    record = market_record(market.condition, clob, market)
    assert (event.slug, record.event) == (body["slug"], body["slug"])
    assert (record.negative_risk, record.negative_risk_augmented, record.category) == (True, True, "World Elections")
    event = msgspec.convert(read(NAUTILUS / "rust_test_data" / "gamma_market.json")["events"][0], GammaEvent)
    assert event.series_slug == "btc-up-or-down-5m"


def test_every_recorded_clob_market_says_whether_it_is_over() -> None:
    page = read(NAUTILUS / "http_responses" / "markets.json.gz")
    bodies = [*page["data"], read(NAUTILUS / "http_responses" / "market.json")]
    assert len(bodies) == 101
    results: dict[str, int] = {}
    for body in bodies:
        full = msgspec.convert(body, FullMarket)
        assert full.condition_id == body["condition_id"]
        result = full.result(full.tokens[0].token_id)
        results[result] = results.get(result, 0) + 1
        if not body["closed"]:
            assert result == ""
    assert results["yes"] + results["no"] > 20


def test_a_recorded_market_through_the_whole_catalogue() -> None:
    body = read(NAUTILUS / "rust_test_data" / "gamma_market.json")
    tokens = json.loads(body["clobTokenIds"])
    venue = Venue()
    venue.info = {
        body["conditionId"]: INFO
        | {"t": [{"t": token, "o": name} for token, name in zip(tokens, ("Up", "Down"), strict=True)]}
    }
    venue.gamma = [body]
    found = asyncio.run(venue.catalogue().describe([body["conditionId"], MARKET])).found
    record = found[body["conditionId"]].market
    assert (record.tokens, record.series, record.protocol) == (tuple(tokens), "btc-up-or-down-5m", "v1")
    assert asyncio.run(venue.catalogue().ranked(3)) == [body["conditionId"]]
