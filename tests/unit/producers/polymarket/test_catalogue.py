import asyncio
from typing import Any

import httpx
import pytest

from producers.feeds import Catalogue
from producers.polymarket.catalogue import PolymarketCatalogue
from producers.polymarket.rest import Rest
from schemas.records import TickRange
from tests.unit.producers.polymarket.frames import MARKET, NO, YES
from tests.unit.producers.support import rest_client

INFO: dict[str, Any] = {
    "t": [{"t": YES, "o": "Up"}, {"t": NO, "o": "Down"}],
    "c": MARKET,
    "mos": 5,
    "mts": 0.001,
    "mbf": 1000,
    "tbf": 1000,
    "ao": True,
    "itode": True,
    "fd": {"r": 0.07, "e": 1, "to": True},
    "v": "v1",
}
GAMMA = {
    "conditionId": MARKET,
    "slug": "btc",
    "question": "Up or down?",
    "description": "Rules.",
    "startDate": "2026-10-04T23:00:00Z",
    "endDate": "2026-10-05T23:15:00Z",
    "closed": False,
    "events": [{"slug": "btc-event", "id": "1"}],
}


def describe(
    info: dict[str, Any] | int, gamma: list[dict[str, Any]] | int, conditions: tuple[str, ...] = (MARKET,)
) -> Catalogue:
    def clob(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(info, json={"error": "x"}) if isinstance(info, int) else httpx.Response(200, json=info)

    def texts(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(gamma) if isinstance(gamma, int) else httpx.Response(200, json=gamma)

    catalogue = PolymarketCatalogue(Rest(rest_client(clob), rest_client(texts)))
    return asyncio.run(catalogue.describe(conditions))


def test_a_market_becomes_a_record() -> None:
    market = describe(INFO, [GAMMA]).found[MARKET].market
    assert (market.title, market.rules, market.event, market.status) == ("Up or down?", "Rules.", "btc-event", "active")
    assert (market.tokens, market.ticks) == ((YES, NO), (TickRange(start=0, end=10000, step=10),))
    assert (market.minimum_quantity, market.minimum_value) == (500, 1_000_000)
    assert market.close_ns == 1_791_242_100_000_000_000
    fee = market.fee
    assert (fee.model, fee.taker_rate, fee.maker_rate, fee.exponent) == ("polymarket_curve", 70_000, 0, 1)


@pytest.mark.parametrize("names", [("Yes", "No"), ("Up", "Down"), ("Lakers", "Celtics"), ("No", "Maybe"), ("", "")])
def test_the_first_token_is_yes_unless_the_names_contradict(names: tuple[str, str]) -> None:
    tokens = [{"t": token, "o": name} for token, name in zip((YES, NO), names, strict=True)]
    assert describe(INFO | {"t": tokens}, []).found[MARKET].market.tokens == (YES, NO)


def test_small_numbers_are_read_as_meant() -> None:
    assert describe(INFO | {"mos": 1e-05}, []).found[MARKET].market.minimum_quantity == 0


@pytest.mark.parametrize("gamma", [404, 503, []])
def test_gamma_may_fail(gamma: Any) -> None:
    market = describe(INFO, gamma).found[MARKET].market
    assert (market.title, market.close_ns, market.updated_ns) == (MARKET, 0, 0)


@pytest.mark.parametrize(
    ("change", "fee"),
    [
        ({"fd": None}, ("none", 0, 0, 0)),
        ({"fd": {"r": 0, "e": 1, "to": True}}, ("none", 0, 0, 0)),
        ({"fd": {"r": 0.25, "e": 2, "to": False}}, ("polymarket_curve", 250_000, 250_000, 2)),
    ],
)
def test_fees(change: Any, fee: Any) -> None:
    schedule = describe(INFO | change, []).found[MARKET].market.fee
    assert (schedule.model, schedule.taker_rate, schedule.maker_rate, schedule.exponent) == fee


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"t": INFO["t"][:1]}, "1 tokens: expected YES and NO"),
        ({"mts": 0}, "tick size is 0"),
        ({"mts": 0.00001}, "finer than"),
        ({"fd": {"r": 0.1, "e": 1.5}}, "fee exponent 1.5"),
        ({"t": "x"}, r"market info: Expected `array`"),
        ({"t": [{"t": YES, "o": "No"}, {"t": NO, "o": "Yes"}]}, "outcomes are 'No' and 'Yes': expected YES first"),
        ({"t": [{"t": YES, "o": " DOWN"}, {"t": NO, "o": "up"}]}, "outcomes are 'DOWN' and 'up': expected YES first"),
    ],
)
def test_malformed_metadata_names_what_is_wrong(change: Any, problem: str) -> None:
    catalogue = describe(INFO | change, [])
    assert catalogue.found == {}
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(catalogue.failed[MARKET])


def test_a_market_the_venue_does_not_know_is_in_neither_part() -> None:
    assert describe(404, []) == Catalogue()


def test_a_venue_that_is_down_is_a_failure_not_an_unknown_market() -> None:
    assert "HTTP 503" in describe(503, []).failed[MARKET]


@pytest.mark.parametrize(("change", "status"), [({"ao": False}, "inactive"), ({"ao": None}, "active"), ({}, "active")])
def test_status(change: Any, status: str) -> None:
    assert describe(INFO | change, [GAMMA]).found[MARKET].market.status == status
    assert describe(INFO | change, [GAMMA | {"closed": True}]).found[MARKET].market.status == "closed"
