"""Order entry on the Kalshi simulator: what is taken, refused and cancelled, and who is told."""

from pathlib import Path
from typing import Any

import pytest

from infra.simulator.faults import FaultName
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.recorded import Reply
from tests.unit.infra.simulator.kalshi.exchange import SECOND, START_NS, A, B, Client, Exchange

ORDERS = "/portfolio/events/orders"
START_S = START_NS // SECOND
IOC, FOK = "immediate_or_cancel", "fill_or_kill"


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path)


def refused(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.body["error"]["code"]


def taken(reply: Reply) -> dict[str, Any]:
    assert reply.status == 201, reply.body
    body: dict[str, Any] = reply.body
    return body


def row(exchange: Exchange, order_id: str, key: str = "me") -> dict[str, Any]:
    found: dict[str, Any] = exchange.get(f"/portfolio/orders/{order_id}", key)["order"]
    return found


def test_a_bid_rests_and_is_in_the_book(exchange: Exchange) -> None:
    body = taken(exchange.order(count="10", price="0.42", client_order_id="mine-1"))
    assert body == {
        "order_id": body["order_id"],
        "client_order_id": "mine-1",
        "fill_count": "0.00",
        "remaining_count": "10.00",
        "ts_ms": START_NS // 1_000_000,
    }
    assert exchange.engine.levels(A)[0] == [(4200, 1000)]
    order = row(exchange, body["order_id"])
    assert (order["status"], order["book_side"], order["outcome_side"], order["client_order_id"]) == (
        "resting",
        "bid",
        "yes",
        "mine-1",
    )
    assert (order["yes_price_dollars"], order["no_price_dollars"]) == ("0.4200", "0.5800")


def test_an_ask_is_a_no_order(exchange: Exchange) -> None:
    body = taken(exchange.order(side="ask", count="0.25", price="0.6000"))
    assert exchange.engine.levels(A)[1] == [(6000, 25)]
    assert row(exchange, body["order_id"])["outcome_side"] == "no"


def test_a_crossing_order_fills_at_the_makers_prices(exchange: Exchange) -> None:
    exchange.quote("sell", 4600, 500)
    exchange.quote("sell", 4800, 500)
    body = taken(exchange.order(count="6.00", price="0.4800"))
    assert (body["fill_count"], body["remaining_count"]) == ("6.00", "0.00")
    assert body["average_fill_price"] == "0.463333"
    fills = exchange.get("/portfolio/fills", "me")["fills"]
    assert [(fill["count_fp"], fill["yes_price_dollars"]) for fill in fills] == [("1.00", "0.4800"), ("5.00", "0.4600")]
    assert "client_order_id" not in fills[0]
    assert {fill["is_taker"] for fill in fills} == {True}
    assert row(exchange, body["order_id"])["status"] == "executed"


def test_immediate_or_cancel_leaves_nothing_behind(exchange: Exchange) -> None:
    exchange.quote("sell", 4600, 500)
    body = taken(exchange.order(count="8.00", price="0.4600", time_in_force=IOC))
    assert (body["fill_count"], body["remaining_count"]) == ("5.00", "0.00")
    assert exchange.engine.levels(A) == ([], [])
    order = row(exchange, body["order_id"])
    assert (order["status"], order["remaining_count_fp"], order["initial_count_fp"]) == ("canceled", "0.00", "8.00")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"time_in_force": FOK, "count": "6.00"}, "FOK_INSUFFICIENT_VOLUME"),
        ({"post_only": True, "count": "1.00"}, "PostOnlyCrossCancel"),
    ],
)
def test_orders_that_end_at_once_answer_in_either_form(tmp_path: Path, more: dict[str, Any], reason: str) -> None:
    for refuse in (True, False):
        exchange = Exchange(tmp_path / str(refuse), KalshiOptions(refuse_killed=refuse))
        exchange.quote("sell", 4600, 500)
        reply = exchange.order(price="0.4600", **more)
        if refuse:
            assert refused(reply) == (400, "invalid_order")
            assert exchange.get("/portfolio/orders", "me")["orders"] == []
        else:
            assert (taken(reply)["fill_count"], reply.body["remaining_count"]) == ("0.00", "0.00")
            order = row(exchange, reply.body["order_id"])
            assert (order["status"], order["last_update_reason"]) == ("canceled", reason)
        assert exchange.engine.levels(A)[1] == [(4600, 500)]


def test_fill_or_kill_fills_whole(exchange: Exchange) -> None:
    exchange.quote("sell", 4600, 500)
    assert taken(exchange.order(count="5.00", price="0.4600", time_in_force=FOK))["fill_count"] == "5.00"


@pytest.mark.parametrize(
    ("kind", "filled", "left", "mine"),
    [("taker_at_cross", "1.00", "0.00", "resting"), ("maker", "3.00", "1.00", "canceled")],
)
def test_self_trade_prevention(exchange: Exchange, kind: str, filled: str, left: str, mine: str) -> None:
    exchange.quote("sell", 4500, 100)
    own = taken(exchange.order(side="ask", count="2.00", price="0.4600"))["order_id"]
    exchange.quote("sell", 4700, 200)
    body = taken(exchange.order(count="4.00", price="0.4800", self_trade_prevention_type=kind))
    assert (body["fill_count"], body["remaining_count"]) == (filled, left)
    assert row(exchange, own)["status"] == mine
    if kind == "maker":
        assert row(exchange, own)["last_update_reason"] == "SelfTradeCancel"
    else:
        assert row(exchange, body["order_id"])["last_update_reason"] == "SelfTradeCancel"


def test_a_fill_or_kill_order_that_meets_an_own_one_fills_as_far_as_it_gets(exchange: Exchange) -> None:
    exchange.quote("sell", 4500, 100)
    taken(exchange.order(side="ask", count="2.00", price="0.4600"))
    body = taken(exchange.order(count="3.00", price="0.4600", time_in_force=FOK))
    assert (body["fill_count"], body["remaining_count"]) == ("1.00", "0.00")


def test_the_same_client_order_id_is_taken_once(exchange: Exchange) -> None:
    first = taken(exchange.order(price="0.42", client_order_id="once"))
    assert refused(exchange.order(price="0.42", client_order_id="once")) == (409, "ORDER_ALREADY_EXISTS")
    exchange.call("DELETE", f"{ORDERS}/{first['order_id']}", key="me")
    assert exchange.order(price="0.42", client_order_id="once").status == 409
    assert exchange.engine.levels(A)[0] == []
    assert exchange.order(key="other", price="0.42", client_order_id="once").status == 201


def test_a_refused_order_does_not_use_up_its_client_order_id(exchange: Exchange) -> None:
    assert exchange.order(price="0.421", client_order_id="once").status == 400
    assert exchange.order(price="0.42", client_order_id="once").status == 201


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"price": "0.425"}, "invalid_price"),
        ({"price": "0"}, "invalid_price"),
        ({"price": "1.00"}, "invalid_price"),
        ({"price": "-0.5"}, "invalid_price"),
        ({"price": "cheap"}, "invalid_price"),
        ({"price": "0.42001"}, "invalid_price"),
        ({"price": 0.42}, "invalid_order"),
        ({"count": "0"}, "invalid_order_size"),
        ({"count": "-1"}, "invalid_order_size"),
        ({"count": "0.001"}, "invalid_order_size"),
        ({"count": 1}, "invalid_order"),
        ({"side": "yes"}, "invalid_order"),
        ({"time_in_force": "GTT"}, "invalid_order"),
        ({"self_trade_prevention_type": "none"}, "invalid_order"),
        ({"client_order_id": "x" * 65}, "invalid_order"),
        ({"expiration_time": START_S}, "invalid_order"),
        ({"expiration_time": 10**15}, "invalid_order"),
        ({"expiration_time": START_S + 9, "time_in_force": IOC}, "invalid_order"),
        ({"reduce_only": True}, "invalid_order"),
        ({"reduce_only": True, "time_in_force": IOC}, "invalid_order"),
        ({"ticker": "NO-1"}, "MARKET_NOT_FOUND"),
        ({"exchange_index": 2}, "MARKET_NOT_FOUND"),
    ],
)
def test_what_is_refused_and_leaves_no_trace(exchange: Exchange, fields: dict[str, Any], code: str) -> None:
    assert refused(exchange.order(**fields)) == (400, code)
    assert exchange.get("/portfolio/orders", "me")["orders"] == []
    assert exchange.engine.levels(A) == ([], [])


def test_a_body_that_is_no_order(exchange: Exchange) -> None:
    bodies: tuple[Any, ...] = (None, [], {"ticker": A})
    for body in bodies:
        assert refused(exchange.call("POST", ORDERS, body, "me")) == (400, "invalid_order")


def test_the_grid_is_the_present_one(exchange: Exchange) -> None:
    assert exchange.order(price="0.425").status == 400
    exchange.fault(FaultName.TICK_CHANGE, markets=(A,), detail="deci_cent")
    assert exchange.order(price="0.425").status == 201


def test_reasons_may_be_in_lower_case(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(upper_reasons=False))
    assert refused(exchange.order(ticker="NO-1")) == (400, "market_not_found")


def test_reduce_only_is_capped_at_the_position(exchange: Exchange) -> None:
    exchange.quote("sell", 4600, 300)
    taken(exchange.order(count="3.00", price="0.4600"))
    exchange.quote("buy", 4500, 1000)
    body = taken(exchange.order(side="ask", count="9.00", price="0.4500", time_in_force=IOC, reduce_only=True))
    assert body["fill_count"] == "3.00"
    (position,) = exchange.get("/portfolio/positions", "me")["market_positions"]
    assert position["position_fp"] == "0.00"


def test_lists_of_orders_page_and_filter(exchange: Exchange) -> None:
    ids = [taken(exchange.order(ticker=A if n % 2 else B, price="0.42"))["order_id"] for n in range(5)]
    exchange.call("DELETE", f"{ORDERS}/{ids[0]}", key="me")
    seen, cursor = [], ""
    while True:
        body = exchange.get("/portfolio/orders", "me", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [order["order_id"] for order in body["orders"]]
        cursor = body["cursor"]
        if not cursor:
            break
    assert seen == ids[::-1]
    assert [order["order_id"] for order in exchange.get("/portfolio/orders", "me", status="canceled")["orders"]] == ids[
        :1
    ]
    assert len(exchange.get("/portfolio/orders", "me", ticker=A)["orders"]) == 2
    assert len(exchange.get("/portfolio/orders", "me", event_ticker="KXA-26")["orders"]) == 5
    assert exchange.get("/portfolio/orders", "me", exchange_index=2)["orders"] == []
    assert exchange.get("/portfolio/orders", "me", min_ts=START_S + 1)["orders"] == []
    assert exchange.call("GET", "/portfolio/orders", key="me", status="open").status == 400


def test_the_owner_is_told_of_orders_and_fills_and_sees_its_name_in_the_delta(exchange: Exchange) -> None:
    mine, others = Client(exchange, owner="me"), Client(exchange, owner="other")
    for client in (mine, others):
        client.send("subscribe", channels=["fill", "user_orders"])
        client.subscribe(A)
    taken(exchange.order(count="3.00", price="0.42", client_order_id="mine-1"))
    delta, order = mine.read()
    assert (delta["msg"]["client_order_id"], delta["msg"]["subaccount"]) == ("mine-1", 0)
    assert (order["type"], order["msg"]["status"], order["msg"]["remaining_count_fp"]) == (
        "user_order",
        "resting",
        "3.00",
    )
    assert "seq" not in order
    (plain,) = others.read()
    assert "client_order_id" not in plain["msg"]
    exchange.quote("sell", 4200, 100)
    delta, fill, order = mine.read()
    assert "client_order_id" not in delta["msg"]
    assert (fill["type"], fill["msg"]["client_order_id"], fill["msg"]["is_taker"]) == ("fill", "mine-1", False)
    assert (fill["msg"]["post_position_fp"], fill["msg"]["yes_price_dollars"]) == ("1.00", "0.4200")
    assert (order["msg"]["fill_count_fp"], order["msg"]["remaining_count_fp"]) == ("1.00", "2.00")
    assert [frame["type"] for frame in others.read()] == ["orderbook_delta"]


def test_reads_lag_behind_writes(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(read_lag_ms=1000))
    exchange.get("/portfolio/balance", "me")
    exchange.quote("sell", 4600, 300)
    order_id = taken(exchange.order(count="3.00", price="0.4600"))["order_id"]
    assert exchange.call("GET", f"/portfolio/orders/{order_id}", key="me").status == 404
    assert exchange.get("/portfolio/balance", "me")["balance_dollars"] == "12000.0000"
    assert exchange.get("/exchange/user_data_timestamp")["as_of_time"] == "2026-09-21T14:13:19Z"
    exchange.wait(1000)
    assert row(exchange, order_id)["status"] == "executed"
    assert len(exchange.get("/portfolio/fills", "me")["fills"]) == 1
    assert exchange.get("/portfolio/balance", "me")["balance_dollars"] != "12000.0000"
