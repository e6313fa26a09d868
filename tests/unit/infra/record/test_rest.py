"""Market records become REST bodies of which the venue's own catalogue makes the same records."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from infra.rebuild import Entry
from infra.rebuild_tape import described
from infra.record.rest import recorded_body, rest_bodies
from infra.simulator.tape import Tape
from producers.kalshi.fees import NO_FEE as KALSHI_FREE
from producers.polymarket.fees import NO_FEE as POLYMARKET_FREE
from schemas.records import FeeSchedule, Market, TickRange, Venue

SECOND = 1_000_000_000
AT_NS = 1_790_000_000 * SECOND
CONDITION = "0x" + "ab" * 32

KALSHI = Market(
    venue="kalshi",
    market="KXFED-26DEC-H0",
    event="KXFED-26DEC",
    title="No change in December?",
    rules="If the rate is the same.\nElse No.",
    status="active",
    tokens=(),
    ticks=(TickRange(start=0, end=10_000, step=100),),
    fee=FeeSchedule(model="kalshi_quadratic", taker_rate=70_000, maker_rate=0, exponent=1, balance_precision=100),
    minimum_quantity=1,
    minimum_value=0,
    negative_risk=False,
    open_ns=AT_NS - SECOND,
    close_ns=AT_NS + 7 * SECOND + 123_456_000,
    expected_settlement_ns=AT_NS + 9 * SECOND,
    updated_ns=AT_NS - 2 * SECOND,
    series="KXFED",
    category="Economics",
    outcomes=("Held", "Moved"),
    shard=2,
    mutually_exclusive=True,
)
POLYMARKET = replace(
    KALSHI,
    venue="polymarket",
    market=CONDITION,
    event="fed-december",
    tokens=("111", "222"),
    ticks=(TickRange(start=0, end=10_000, step=10),),
    fee=FeeSchedule(model="polymarket_curve", taker_rate=40_000, maker_rate=0, exponent=2, balance_precision=10),
    minimum_quantity=500,
    minimum_value=1_000_000,
    close_ns=AT_NS + 9 * SECOND,
    negative_risk=True,
    negative_risk_augmented=True,
    series="fed",
    shard=0,
    protocol="v1",
)


def fee(market: Market, **more: Any) -> Market:
    return replace(market, fee=replace(market.fee, **more))


MARKETS = [
    KALSHI,
    replace(KALSHI, status="finalized", result="yes", mutually_exclusive=False, shard=0, category=""),
    replace(KALSHI, status="initialized", close_ns=0, expected_settlement_ns=0),
    replace(
        KALSHI,
        ticks=(
            TickRange(start=0, end=1_000, step=10),
            TickRange(start=1_000, end=9_000, step=100),
            TickRange(start=9_000, end=10_000, step=10),
        ),
    ),
    fee(KALSHI, maker_rate=17_500),
    fee(KALSHI, taker_rate=35_000, maker_rate=17_500),
    fee(KALSHI, taker_rate=1),
    fee(KALSHI, taker_rate=23_334, maker_rate=5_834),
    replace(KALSHI, fee=KALSHI_FREE),
    POLYMARKET,
    replace(POLYMARKET, fee=POLYMARKET_FREE, negative_risk=False, mutually_exclusive=False, minimum_quantity=550),
    fee(POLYMARKET, maker_rate=40_000),
    replace(POLYMARKET, taker_delay_ms=250),
    replace(POLYMARKET, taker_delay_ms=3_000),
    replace(POLYMARKET, taker_delay_ms=1_500),
    replace(POLYMARKET, protocol="v2", market="0x" + "cd" * 31 + "00"),
    replace(POLYMARKET, status="inactive", outcomes=("Up", "Down")),
    replace(POLYMARKET, status="closed", result="no"),
    replace(POLYMARKET, status="closed", result="split"),
    replace(POLYMARKET, open_ns=0, close_ns=0, expected_settlement_ns=0, updated_ns=0),
]


def write(folder: Path, venue: Venue, bodies: dict[str, Any]) -> Tape:
    (folder / venue).mkdir()
    (folder / venue / "rest.json").write_text(json.dumps(bodies))
    return Tape.open(folder)


@pytest.mark.parametrize("market", MARKETS)
def test_a_market_is_described_as_it_was(market: Market, tmp_path: Path) -> None:
    tape = write(tmp_path, market.venue, rest_bodies(market.venue, [market]))
    catalogue = described(tape, market.venue, AT_NS)
    assert catalogue.failed == catalogue.refused == {}
    assert {name: one.market for name, one in catalogue.found.items()} == {market.market: market}


def test_markets_of_one_event_with_and_without_a_fee(tmp_path: Path) -> None:
    free = replace(KALSHI, market="KXFED-26DEC-H25", fee=KALSHI_FREE)
    for number, pair in enumerate(([KALSHI, free], [free, KALSHI])):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = described(write(folder, "kalshi", rest_bodies("kalshi", pair)), "kalshi", AT_NS).found
        assert {name: one.market for name, one in found.items()} == {one.market: one for one in pair}


def test_what_the_simulated_venue_goes_by_is_in_the_venues_form() -> None:
    delayed, second = replace(POLYMARKET, taker_delay_ms=250), replace(POLYMARKET, protocol="v2")
    assert rest_bodies("polymarket", [delayed])[f"GET /clob-markets/{CONDITION}"]["itode"] is True
    (gamma,) = rest_bodies("polymarket", [second])[f"GET /markets?condition_ids={CONDITION}"]
    assert gamma["positionIds"] == ["111", "222"]


def entry(url: str, data: bytes) -> Entry:
    return Entry("p-0", 3, AT_NS, "rest", data, url)


def test_bodies_of_the_raw_topic_are_kept_under_their_call() -> None:
    assert recorded_body("kalshi", entry("/series/A?x=1", b'{"a":1}')) == {"GET /trade-api/v2/series/A?x=1": {"a": 1}}
    assert recorded_body("polymarket", entry("/markets/0x1", b"[]")) == {"GET /markets/0x1": []}


@pytest.mark.parametrize("url", ["", "/books", "/markets/orderbooks?tickers=A&tickers=B"])
def test_order_books_are_no_body_that_answers_for_ever(url: str) -> None:
    assert recorded_body("kalshi", entry(url, b"{}")) == {}


def test_what_is_no_json_is_no_body() -> None:
    assert recorded_body("kalshi", entry("/series/A", b"<html>")) == {}
