import asyncio
import json
from typing import Any

import httpx
import pytest

from producers.feeds import Catalogue
from producers.kalshi.catalogue import KalshiCatalogue
from producers.kalshi.rest import Rest
from producers.resilience import RestError
from schemas.records import TickRange
from tests.unit.producers.kalshi.frames import market_body
from tests.unit.producers.support import rest_client

NOW_NS = 1_795_000_000_000_000_000
EVENT = {"series_ticker": "KXBTC", "title": "Bitcoin", "fee_type_override": None, "fee_multiplier_override": None}
SERIES = {"fee_type": "quadratic", "fee_multiplier": 1}


def describe(
    markets: list[dict[str, Any]],
    event: dict[str, Any] | None = EVENT,
    series: dict[str, Any] | None = SERIES,
    asked: list[str] | None = None,
) -> Catalogue:
    def answer(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request.url.path)
        match request.url.path.split("/")[1]:
            case "markets":
                return httpx.Response(200, json={"markets": markets, "cursor": ""})
            case "events":
                return httpx.Response(404) if event is None else httpx.Response(200, json={"event": event})
            case _:
                return httpx.Response(404) if series is None else httpx.Response(200, json={"series": series})

    catalogue = KalshiCatalogue(Rest(rest_client(answer)))
    return asyncio.run(catalogue.describe([market["ticker"] for market in markets], NOW_NS))


def test_a_market_becomes_a_record() -> None:
    market = describe([market_body("X")]).found["X"].market
    assert (market.title, market.rules, market.status) == ("Bitcoin - Above", "one\ntwo", "active")
    assert market.ticks == (TickRange(start=0, end=10000, step=10),)
    assert (market.minimum_quantity, market.minimum_value) == (1, 0)
    assert market.close_ns == 1_796_083_200_500_000_000
    assert market.expected_settlement_ns == 1_796_169_600_000_000_000
    assert (market.fee.model, market.fee.taker_rate, market.fee.maker_rate) == ("kalshi_quadratic", 70_000, 0)
    assert market.fee.balance_precision == 100


@pytest.mark.parametrize(
    ("event", "series", "rates"),
    [
        ({}, {"fee_type": "quadratic", "fee_multiplier": 0.5}, (35_000, 0)),
        ({}, {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": 1}, (70_000, 17_500)),
        ({"fee_multiplier_override": 0}, {}, (0, 0)),
        ({"fee_type_override": "quadratic_with_combo_maker_fees", "fee_multiplier_override": 2}, {}, (140_000, 70_000)),
        ({}, {"fee_multiplier": 0.333333}, (23_334, 0)),
    ],
)
def test_fees_follow_the_series_and_the_events_override(event: Any, series: Any, rates: Any) -> None:
    fee = describe([market_body("X")], EVENT | event, SERIES | series).found["X"].market.fee
    assert (fee.taker_rate, fee.maker_rate) == rates


def test_a_fee_without_known_formula_keeps_the_market_out() -> None:
    catalogue = describe([market_body("X")], series={"fee_type": "flat", "fee_multiplier": 1})
    assert catalogue.found == {}
    assert catalogue.failed == {"X": "fee type 'flat' has no known formula"}


def test_a_waiver_counts_until_it_ends_and_the_market_is_looked_at_again_then() -> None:
    waived = describe([market_body("X", fee_waiver_expiration_time="2026-11-30T00:00:00Z")]).found["X"]
    assert (waived.market.fee.model, waived.refresh_ns) == ("none", 1_795_996_800_000_000_000)
    over = describe([market_body("X", fee_waiver_expiration_time="2026-11-01T00:00:00Z")]).found["X"]
    assert (over.market.fee.model, over.refresh_ns) == ("kalshi_quadratic", 0)


def test_one_malformed_market_does_not_hold_up_the_others() -> None:
    catalogue = describe(
        [market_body("X", price_ranges=[{"start": "0", "end": "1", "step": "cent"}]), market_body("Y")]
    )
    assert list(catalogue.found) == ["Y"]
    assert "'cent'" in catalogue.failed["X"]


def test_an_unknown_event_or_series_leaves_the_ordinary_fee() -> None:
    market = describe([market_body("X", title="Own title")], event=None, series=None).found["X"].market
    assert (market.title, market.fee.taker_rate) == ("Own title", 70_000)


def test_events_and_series_are_asked_for_once() -> None:
    asked: list[str] = []
    describe([market_body("X"), market_body("Y")], asked=asked)
    assert asked == ["/markets", "/events/KXBTC-26NOV", "/series/KXBTC"]


def test_an_answer_of_another_shape_is_a_clear_error() -> None:
    client = rest_client(lambda _request: httpx.Response(200, content=json.dumps({"error": "x"}).encode()))
    with pytest.raises(RestError, match="markets: the answer is not what was asked for"):
        asyncio.run(KalshiCatalogue(Rest(client)).describe(["X"], NOW_NS))
