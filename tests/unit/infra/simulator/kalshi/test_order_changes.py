"""What becomes of orders that rest on the Kalshi simulator: cancelled, changed, expired, closed, paused."""

from pathlib import Path
from typing import Any

import pytest

from infra.simulator.faults import FaultName
from infra.simulator.recorded import Reply
from tests.unit.infra.simulator.kalshi.exchange import CRYPTO, SECOND, START_NS, A, B, Client, Exchange

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


def test_an_expired_name_is_ignored_and_the_right_one_is_kept(exchange: Exchange) -> None:
    never = taken(exchange.order(price="0.42", expiration_ts=START_S + 1))["order_id"]
    soon = taken(exchange.order(price="0.41", expiration_time=START_S + 1))["order_id"]
    exchange.wait(999)
    assert row(exchange, soon)["status"] == "resting"
    exchange.wait(1)
    assert (row(exchange, soon)["status"], row(exchange, soon)["last_update_reason"]) == ("canceled", "ExpiryCancel")
    assert row(exchange, never)["status"] == "resting"
    assert exchange.engine.levels(A)[0] == [(4200, 100)]


def test_cancel(exchange: Exchange) -> None:
    order_id = taken(exchange.order(count="5.00", price="0.42"))["order_id"]
    exchange.quote("sell", 4200, 200)
    reply = exchange.call("DELETE", f"{ORDERS}/{order_id}", key="me")
    assert (reply.status, reply.body["reduced_by"]) == (200, "3.00")
    assert (row(exchange, order_id)["status"], row(exchange, order_id)["fill_count_fp"]) == ("canceled", "2.00")
    assert refused(exchange.call("DELETE", f"{ORDERS}/{order_id}", key="me")) == (404, "not_found")
    assert exchange.engine.levels(A) == ([], [])


def test_nobody_elses_order_can_be_cancelled_or_read(exchange: Exchange) -> None:
    order_id = taken(exchange.order(price="0.42"))["order_id"]
    assert exchange.call("DELETE", f"{ORDERS}/{order_id}", key="other").status == 404
    assert exchange.call("GET", f"/portfolio/orders/{order_id}", key="other").status == 404
    assert exchange.get("/portfolio/orders", "other")["orders"] == []


def test_an_order_on_another_shard_is_found_by_its_market_or_its_shard_only(exchange: Exchange) -> None:
    orders = [taken(exchange.order(ticker=CRYPTO, price=f"0.4{n}"))["order_id"] for n in range(2)]
    assert exchange.call("DELETE", f"{ORDERS}/{orders[0]}", key="me").status == 404
    assert exchange.call("DELETE", f"{ORDERS}/{orders[0]}", key="me", exchange_index=2).status == 200
    assert exchange.call("DELETE", f"{ORDERS}/{orders[1]}", key="me", market_ticker=A).status == 404
    assert exchange.call("DELETE", f"{ORDERS}/{orders[1]}", key="me", market_ticker=CRYPTO).status == 200


def test_cancel_all_is_of_all_shards_and_of_one_account(exchange: Exchange) -> None:
    for ticker in (A, CRYPTO):
        taken(exchange.order(ticker=ticker, price="0.42"))
        taken(exchange.order(key="other", ticker=ticker, price="0.41"))
    assert exchange.call("DELETE", ORDERS, key="me").status == 204
    assert [exchange.engine.levels(ticker)[0] for ticker in (A, CRYPTO)] == [[(4100, 100)]] * 2


def test_decrease_keeps_the_place_in_the_queue(exchange: Exchange) -> None:
    order_id = taken(exchange.order(count="5.00", price="0.42"))["order_id"]
    exchange.quote("buy", 4200, 100)
    reply = exchange.call("POST", f"{ORDERS}/{order_id}/decrease", {"reduce_by": "2.00"}, "me")
    assert (reply.status, reply.body["remaining_count"]) == (200, "3.00")
    exchange.call("POST", f"{ORDERS}/{order_id}/decrease", {"reduce_to": "1.00"}, "me")
    exchange.quote("sell", 4200, 100)
    assert row(exchange, order_id)["status"] == "executed"
    wrong: tuple[dict[str, str], ...] = ({}, {"reduce_by": "1", "reduce_to": "1"})
    for body in wrong:
        assert exchange.call("POST", f"{ORDERS}/{order_id}/decrease", body, "me").status == 400


def test_a_decrease_must_decrease(exchange: Exchange) -> None:
    order_id = taken(exchange.order(count="5.00", price="0.42"))["order_id"]
    for body in ({"reduce_by": "5.01"}, {"reduce_to": "5.00"}, {"reduce_by": "0"}):
        reply = exchange.call("POST", f"{ORDERS}/{order_id}/decrease", body, "me")
        assert refused(reply) == (400, "INVALID_AMEND_QTY_FOR_ORDER")
    assert exchange.call("POST", f"{ORDERS}/{order_id}/decrease", {"reduce_to": "0"}, "me").status == 200
    assert row(exchange, order_id)["status"] == "canceled"


def amend(exchange: Exchange, order_id: str, **fields: Any) -> Reply:
    body = {"ticker": A, "side": "bid", "price": "0.4200", "count": "5.00"}
    return exchange.call("POST", f"{ORDERS}/{order_id}/amend", body | fields, "me")


def test_an_amended_count_is_what_has_filled_and_what_shall_rest(exchange: Exchange) -> None:
    order_id = taken(exchange.order(count="5.00", price="0.42"))["order_id"]
    exchange.quote("buy", 4200, 100)
    exchange.quote("sell", 4200, 200)
    smaller = amend(exchange, order_id, count="4.00")
    assert (smaller.status, smaller.body["remaining_count"], smaller.body["fill_count"]) == (200, "2.00", "0.00")
    exchange.quote("sell", 4200, 200)
    assert row(exchange, order_id)["status"] == "executed"
    assert exchange.engine.levels(A)[0] == [(4200, 100)]


def test_a_larger_or_repriced_order_goes_to_the_end_and_may_trade(exchange: Exchange) -> None:
    order_id = taken(exchange.order(count="5.00", price="0.42"))["order_id"]
    exchange.quote("buy", 4200, 100)
    assert amend(exchange, order_id, count="6.00").body["remaining_count"] == "6.00"
    exchange.quote("sell", 4200, 100)
    assert exchange.engine.levels(A)[0] == [(4200, 600)]
    exchange.quote("sell", 4500, 200)
    moved = amend(exchange, order_id, price="0.4500", count="6.00").body
    assert (moved["fill_count"], moved["remaining_count"], moved["average_fill_price"]) == ("2.00", "4.00", "0.4500")
    assert exchange.engine.levels(A)[0] == [(4500, 400)]


def test_amends_that_do_not_fit(exchange: Exchange) -> None:
    order_id = taken(exchange.order(count="5.00", price="0.42"))["order_id"]
    exchange.quote("sell", 4200, 200)
    assert refused(amend(exchange, order_id, ticker=B)) == (400, "order_ticker_mismatch")
    assert refused(amend(exchange, order_id, side="ask")) == (400, "order_side_mismatch")
    assert refused(amend(exchange, order_id, price="0.425")) == (400, "invalid_price")
    assert refused(amend(exchange, order_id, count="2.00")) == (400, "INVALID_AMEND_QTY_FOR_ORDER")
    assert refused(amend(exchange, order_id, count="99999999")) == (400, "available_balance_too_low")
    assert refused(amend(exchange, "none")) == (404, "not_found")
    assert exchange.engine.levels(A)[0] == [(4200, 300)]


def test_after_the_close_every_order_operation_is_refused_and_what_rests_is_cancelled(exchange: Exchange) -> None:
    order_id = taken(exchange.order(price="0.42"))["order_id"]
    client = Client(exchange, owner="me")
    client.subscribe(channel="user_orders")
    exchange.fault(FaultName.CHURN, detail="close", markets=(A,))
    assert refused(exchange.order()) == (400, "MARKET_INACTIVE")
    assert refused(exchange.call("DELETE", f"{ORDERS}/{order_id}", key="me")) == (400, "MARKET_INACTIVE")
    assert refused(amend(exchange, order_id)) == (400, "MARKET_INACTIVE")
    exchange.wait(500)
    assert (row(exchange, order_id)["status"], row(exchange, order_id)["last_update_reason"]) == (
        "canceled",
        "CloseCancel",
    )
    assert [frame["msg"]["status"] for frame in client.read()] == ["canceled"]


def test_a_pause_refuses_orders_takes_cancels_and_ends_the_orders_that_wanted_it(exchange: Exchange) -> None:
    stays = taken(exchange.order(price="0.42"))["order_id"]
    goes = taken(exchange.order(price="0.41", cancel_order_on_pause=True))["order_id"]
    exchange.fault(FaultName.PAUSE)
    assert refused(exchange.order()) == (400, "TRADING_PAUSED")
    assert refused(amend(exchange, stays)) == (400, "TRADING_PAUSED")
    assert (row(exchange, goes)["status"], row(exchange, goes)["last_update_reason"]) == ("canceled", "HaltCancel")
    assert row(exchange, stays)["status"] == "resting"
    assert exchange.call("DELETE", f"{ORDERS}/{stays}", key="me").status == 200


def test_a_pause_of_the_whole_exchange_refuses_cancels_too(exchange: Exchange) -> None:
    order_id = taken(exchange.order(price="0.42"))["order_id"]
    exchange.fault(FaultName.PAUSE, detail="exchange")
    assert refused(exchange.order()) == (400, "EXCHANGE_PAUSED")
    assert refused(exchange.call("DELETE", f"{ORDERS}/{order_id}", key="me")) == (400, "EXCHANGE_PAUSED")


def test_a_reactivated_market_has_cancelled_the_orders(exchange: Exchange) -> None:
    order_id = taken(exchange.order(price="0.42"))["order_id"]
    exchange.fault(FaultName.CHURN, detail="halt", markets=(A,))
    assert refused(exchange.order()) == (400, "MARKET_INACTIVE")
    exchange.fault(FaultName.CHURN, detail="resume", markets=(A,))
    assert row(exchange, order_id)["last_update_reason"] == "HaltCancel"
