"""Kalshi's token buckets: the documented ones, and an account's own."""

import asyncio
from typing import Any

import pytest

from producers.kalshi.catalogue import KalshiCatalogue
from producers.kalshi.limits import BASIC, READ, WRITE, Costs, EndpointCost, Limits, buckets, charges
from producers.kalshi.rest import Rest
from producers.limits import BACKGROUND, Bucket
from tests.unit.producers.kalshi.venue import Venue

ACCOUNT: dict[str, Any] = {
    "limits": {
        "usage_tier": "premier",
        "read": {"refill_rate": 1000, "bucket_capacity": 1000},
        "write": {"refill_rate": 1000, "bucket_capacity": 2000},
        "grants": [],
    },
    "endpoint_costs": {
        "default_cost": 10,
        "endpoint_costs": [
            {"method": "GET", "path": "/trade-api/v2/portfolio/orders/{order_id}", "cost": 2},
            {"method": "delete", "path": "/portfolio/events/orders/{order_id}", "cost": 2},
        ],
    },
}


def prepared(account: dict[str, Any], *, has_key: bool = True) -> tuple[KalshiCatalogue, Rest, Venue]:
    venue = Venue()
    venue.account = account
    rest = Rest.at("http://127.0.0.1:1", lambda _method, _path: {}, lambda: 0)
    return KalshiCatalogue(rest, has_key=has_key), rest, venue


def run(account: dict[str, Any], *, has_key: bool = True) -> Rest:
    venue = Venue()
    venue.account = account
    limiter = Rest.at("http://127.0.0.1:1", lambda _method, _path: {}, lambda: 0).client.limiter
    catalogue = venue.catalogue(has_key=has_key)
    catalogue._rest.client.limiter = limiter
    asyncio.run(catalogue.prepare())
    assert bool(venue.asked) == has_key
    return catalogue._rest


def limits_of(rest: Rest) -> dict[str, Bucket]:
    assert rest.client.limiter is not None
    return rest.client.limiter.buckets


def test_the_basic_tier_holds_until_the_account_says_otherwise() -> None:
    for rest in (
        run({}),
        run(ACCOUNT, has_key=False),
        run({"limits": {"read": 3}}),
        run({"limits": ACCOUNT["limits"]}),
    ):
        assert limits_of(rest) == {**BASIC, BACKGROUND: Bucket(100, 50)}


def test_an_accounts_own_limits_and_costs() -> None:
    rest = run(ACCOUNT)
    assert limits_of(rest) == {READ: Bucket(1000, 1000), WRITE: Bucket(2000, 1000), BACKGROUND: Bucket(250, 250)}
    assert rest.client.limiter is not None
    charge = rest.client.limiter.charge
    assert charge("GET", "/markets") == {READ: 10.0}
    assert charge("GET", "/portfolio/orders/abc") == {READ: 2.0}
    assert charge("GET", "/portfolio/orders/abc/queue_position") == {READ: 10.0}
    assert charge("DELETE", "/portfolio/events/orders/abc") == {WRITE: 2.0}


@pytest.mark.parametrize(
    ("method", "path", "bucket"),
    [
        ("GET", "/portfolio/events/orders", READ),
        ("POST", "/portfolio/events/orders", WRITE),
        ("DELETE", "/portfolio/events/orders/batched", WRITE),
        ("PUT", "/portfolio/order_groups/x/reset", WRITE),
        ("POST", "/communications/quotes", WRITE),
        ("GET", "/exchange/status", READ),
    ],
)
def test_orders_and_quotes_are_writes(method: str, path: str, bucket: str) -> None:
    assert charges()(method, path) == {bucket: 10.0}


@pytest.mark.parametrize(("refill", "capacity"), [(0, 100), (-1, 100), (100, 0), (100, 9)])
def test_limits_that_make_no_sense_are_none(refill: int, capacity: int) -> None:
    strange = Limits.__struct_config__ and {"refill_rate": refill, "bucket_capacity": capacity}
    rest = run(ACCOUNT | {"limits": {"read": strange, "write": strange}})
    assert limits_of(rest) == buckets()


def test_costs_that_make_no_sense_are_passed_over() -> None:
    charge = charges(Costs(default_cost=0, endpoint_costs=[EndpointCost("GET", "/markets", -3)]))
    assert charge("GET", "/markets") == {READ: 10.0}
