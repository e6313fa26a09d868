"""Kalshi's REST side as a door: signatures, both forms of errors, rate limits, calls that are dead."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.kalshi.limits import TIERS, Buckets, cost_of, limits_of
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.kalshi.rest import TOO_MANY
from infra.simulator.recorded import Request
from tests.unit.infra.simulator.kalshi.exchange import API, SECOND, A, Clock, Exchange

ORDERS = "/portfolio/events/orders"


def test_errors_are_nested_flat_or_one_after_the_other(tmp_path: Path) -> None:
    shapes: dict[str, list[bool]] = {"nested": [True] * 3, "flat": [False] * 3, "alternate": [True, False, True]}
    for shape, nested in shapes.items():
        exchange = Exchange(tmp_path / shape, KalshiOptions(error_shape=shape))  # type: ignore[arg-type]
        bodies = [exchange.call("GET", "/markets/NO-1").body for _ in range(3)]
        assert ["error" in body for body in bodies] == nested
        inner = [body.get("error", body) for body in bodies]
        assert {each["code"] for each in inner} == {"not_found"}
        assert all(each.keys() == {"code", "message", "details"} for each in inner)


@pytest.mark.parametrize(
    "call",
    [
        ("POST", "/portfolio/orders"),
        ("POST", "/portfolio/orders/batched"),
        ("DELETE", "/portfolio/orders/abc"),
        ("POST", "/portfolio/orders/abc/amend"),
        ("POST", "/portfolio/orders/abc/decrease"),
    ],
)
def test_v1_order_writes_are_gone(tmp_path: Path, call: tuple[str, str]) -> None:
    reply = Exchange(tmp_path).call(*call, {"ticker": A}, "me")
    assert (reply.status, reply.body["error"]["code"]) == (410, "deprecated_v1_order_endpoint")


@pytest.mark.parametrize(
    "call",
    [
        ("POST", ORDERS),
        ("DELETE", ORDERS),
        ("DELETE", f"{ORDERS}/abc"),
        ("POST", f"{ORDERS}/abc/decrease"),
        ("POST", f"{ORDERS}/abc/amend"),
        ("GET", "/portfolio/orders"),
        ("GET", "/portfolio/orders/abc"),
        ("GET", "/portfolio/fills"),
        ("GET", "/portfolio/balance"),
        ("GET", "/portfolio/positions"),
        ("GET", "/account/limits"),
        ("POST", "/portfolio/intra_exchange_instance_transfer"),
    ],
)
def test_an_accounts_calls_must_be_signed(tmp_path: Path, call: tuple[str, str]) -> None:
    exchange = Exchange(tmp_path)
    reply = exchange.call(*call, {})
    assert (reply.status, reply.body["error"]["code"]) == (401, "unauthorized")
    assert exchange.call(*call, {}, "me").status != 401


def test_a_signature_of_another_day_is_refused(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    request = Request("GET", f"{API}/portfolio/balance", [], b"", exchange.headers("me"))
    assert exchange.rest.answer(request).status == 200
    exchange.clock.pass_ms(301_000)
    assert exchange.rest.answer(request).status == 401


def test_order_books_may_need_a_key(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(books_need_key=True))
    assert exchange.call("GET", f"/markets/{A}/orderbook").status == 401
    assert exchange.call("GET", "/markets/orderbooks", tickers=A).status == 401
    assert exchange.call("GET", "/markets/orderbooks", key="me", tickers=A).status == 200
    assert exchange.call("GET", f"/markets/{A}").status == 200


def test_unknown_calls_are_404(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    for method, path in (("POST", "/markets"), ("GET", "/gossip"), ("PUT", ORDERS), ("GET", "/portfolio/gossip")):
        assert exchange.call(method, path, key="me").status == 404


@pytest.mark.parametrize("status", [425, 429, 500, 502, 503, 504])
def test_refusals_that_nothing_caused(tmp_path: Path, status: int) -> None:
    reply = Exchange(tmp_path).rest.error_reply(status)
    assert reply.status == status
    if status == 429:
        assert reply.body == {"error": "too many requests"}
    elif status == 502:
        assert reply.body.startswith(b"<html>")
    else:
        assert reply.body["error"]["code"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
WORDS = ("ticker", "side", "count", "price", "time_in_force", "self_trade_prevention_type", "expiration_time", "amount")
FIELDS = st.dictionaries(st.sampled_from([*WORDS, "reduce_by", "exchange_index", "client_order_id"]), JSON)
PATHS = st.sampled_from(
    [
        "markets",
        "events",
        "series",
        "portfolio",
        "orders",
        "fills",
        "balance",
        "exchange",
        "status",
        "trades",
        A,
        "é",
        "",
    ]
)
NAMES = st.sampled_from(
    [
        "limit",
        "cursor",
        "status",
        "tickers",
        "min_close_ts",
        "min_updated_ts",
        "depth",
        "exchange_index",
        "min_ts",
        "ticker",
    ]
)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    st.one_of(st.just(ORDERS), st.lists(PATHS, max_size=4).map(lambda parts: "/" + "/".join(parts))),
    st.dictionaries(NAMES, st.text(max_size=12)),
    st.one_of(st.binary(max_size=20), JSON.map(msgspec.json.encode), FIELDS.map(msgspec.json.encode)),
)
def test_no_request_whatsoever_breaks_the_venue(
    tmp_path_factory: pytest.TempPathFactory, method: str, path: str, query: dict[str, str], body: bytes
) -> None:
    exchange = Exchange(tmp_path_factory.mktemp("tape"))
    exchange.quote("buy", 4200)
    request = Request(method, API + path, list(query.items()), body, exchange.headers("me"))
    reply = exchange.rest.answer(request)
    assert reply.status in (200, 201, 204, 400, 401, 404, 410)
    msgspec.json.encode(reply.body)
    assert exchange.engine.levels(A) == ([(4200, 1000)], [])


def test_limits_and_costs_are_told(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(tier="premier"))
    assert exchange.get("/account/limits", "me") == {
        "usage_tier": "premier",
        "read": {"refill_rate": 1000, "bucket_capacity": 1000},
        "write": {"refill_rate": 1000, "bucket_capacity": 2000},
        "grants": [],
    }
    costs = exchange.get("/account/endpoint_costs")
    assert costs["default_cost"] == 10
    assert {"method": "DELETE", "path": "/portfolio/events/orders/{order_id}", "cost": 2} in costs["endpoint_costs"]


@pytest.mark.parametrize("tier", TIERS)
def test_capacities(tier: str) -> None:
    limits = limits_of(tier)
    seconds = {kind: limit["bucket_capacity"] / limit["refill_rate"] for kind, limit in limits.items()}
    assert seconds == {"read": 2 if tier in ("basic", "advanced") else 1, "write": 1 if tier == "basic" else 2}


@pytest.mark.parametrize(
    ("method", "path", "cost"),
    [
        ("GET", "markets", 10),
        ("POST", "portfolio/events/orders", 10),
        ("DELETE", "portfolio/events/orders", 2),
        ("DELETE", "portfolio/events/orders/abc", 2),
        ("POST", "portfolio/events/orders/abc/amend", 10),
        ("GET", "portfolio/orders", 10),
        ("GET", "portfolio/orders/abc", 2),
    ],
)
def test_costs(method: str, path: str, cost: int) -> None:
    assert cost_of(method, path.split("/")) == cost


def test_an_enforced_bucket_refuses_with_the_plain_body_and_refills(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(limited=True))
    replies = [exchange.call("GET", "/markets") for _ in range(41)]
    assert [reply.status for reply in replies] == [200] * 40 + [429]
    assert replies[-1] is TOO_MANY
    assert replies[-1].headers == {}
    exchange.wait(49)
    assert exchange.call("GET", "/markets").status == 429
    exchange.wait(1)
    assert exchange.call("GET", "/markets").status == 200
    assert exchange.call("GET", "/markets", key="other").status == 200


def test_reads_writes_and_the_shards_writes_have_buckets_of_their_own(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(limited=True))

    def statuses(count: int, **fields: Any) -> list[int]:
        return [exchange.order(count="0", **fields).status for _ in range(count)]

    assert statuses(11) == [400] * 10 + [429]
    assert statuses(11, exchange_index=2) == [400] * 10 + [429]
    assert exchange.call("GET", "/portfolio/balance", key="me").status == 200
    assert exchange.call("DELETE", f"{ORDERS}/abc", key="me").status == 429
    exchange.wait(20)
    assert exchange.call("DELETE", f"{ORDERS}/abc", key="me").status == 404


def test_a_bucket_never_holds_more_than_its_capacity() -> None:
    clock = Clock()
    buckets = Buckets("basic", clock)
    assert buckets.take("me", "POST", 100)
    assert not buckets.take("me", "POST", 1)
    clock.ns += 3600 * SECOND
    assert buckets.take("me", "POST", 100)
    assert not buckets.take("me", "POST", 1)
