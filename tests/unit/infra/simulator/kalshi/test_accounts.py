"""Money on the Kalshi simulator: the fee vectors of the fact sheet, balances per shard, netting, settlement."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.engine import ONE_DOLLAR, BookSide
from infra.simulator.kalshi.accounts import Holding, fee_rate, fill_fee, money_text
from infra.simulator.kalshi.options import DOLLAR, KalshiOptions
from infra.simulator.recorded import Reply
from tests.unit.infra.simulator.kalshi.exchange import COMBO, CRYPTO, A, Exchange

BROKER, DIRECT = 10_000, 100


def trading(folder: Path, precision: int = DIRECT, **more: Any) -> Exchange:
    return Exchange(folder, KalshiOptions(fee_precision=precision, cash={0: 100 * DOLLAR, 2: 0}, **more))


def cash(exchange: Exchange, key: str = "me", shard: int = 0) -> int:
    return exchange.get("/portfolio/balance", key) and exchange.venue.desk.books.account(key).cash[shard]  # type: ignore[union-attr]


def buy(exchange: Exchange, count: str, price: str, **more: Any) -> Reply:
    reply = exchange.order(count=count, price=price, **more)
    assert reply.status == 201, reply.body
    return reply


@pytest.mark.parametrize(
    ("precision", "lots", "price", "spent", "fees"),
    [
        (BROKER, [100], 550, 60_000, ["0.005000"]),
        (BROKER, [100], 5000, 520_000, ["0.020000"]),
        (DIRECT, [100], 5000, 517_500, ["0.017500"]),
        (BROKER, [1000], 5000, 5_180_000, ["0.180000"]),
        (DIRECT, [1000], 5000, 5_175_000, ["0.175000"]),
        (BROKER, [100] * 4, 5000, 2_070_000, ["0.020000", "0.020000", "0.020000", "0.010000"]),
        (DIRECT, [100] * 4, 5000, 2_070_000, ["0.017500"] * 4),
    ],
)
def test_fee_vectors_of_the_fact_sheet(
    tmp_path: Path, precision: int, lots: list[int], price: int, spent: int, fees: list[str]
) -> None:
    """Section 6: the page's example (buy 1 at 0.055) and the vectors derived from its rule, as fills of one order."""
    exchange = trading(tmp_path, precision)
    exchange.venue.lifecycle.restructure(exchange.market(), "deci_cent")  # type: ignore[union-attr]
    for lot in lots:
        exchange.quote("sell", price, lot)
    body = buy(exchange, str(sum(lots) // 100), f"0.{price:04d}").body
    fills = exchange.get("/portfolio/fills", "me")["fills"]
    assert [fill["fee_cost"] for fill in reversed(fills)] == fees
    assert cash(exchange) == 100 * DOLLAR - spent
    assert body["average_fill_price"] == f"0.{price:04d}"


def test_the_accumulator_is_the_orders_over_taker_and_maker_fills(tmp_path: Path) -> None:
    exchange = trading(tmp_path, BROKER)
    exchange.quote("sell", 5000, 100)
    order_id = buy(exchange, "4.00", "0.5000").body["order_id"]
    for _ in range(3):
        exchange.quote("sell", 5000, 100)
    fills = exchange.get("/portfolio/fills", "me")["fills"]
    # Maker fills cost nothing: the half cent that the first one left over stays in the accumulator.
    assert [(fill["is_taker"], fill["fee_cost"]) for fill in reversed(fills)] == [
        (True, "0.020000"),
        (False, "0.000000"),
        (False, "0.000000"),
        (False, "0.000000"),
    ]
    assert exchange.venue.desk.books.orders[order_id].accumulator == 2_500  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "multiplier", "taker", "maker"),
    [
        ("quadratic", "1", 70_000, 0),
        ("quadratic", "0.5", 35_000, 0),
        ("quadratic", "0", 0, 0),
        ("quadratic_with_maker_fees", "1", 70_000, 17_500),
        ("quadratic_with_combo_maker_fees", "2", 140_000, 70_000),
    ],
)
def test_rates(kind: str, multiplier: str, taker: int, maker: int) -> None:
    assert (fee_rate(kind, multiplier, taker=True), fee_rate(kind, multiplier, taker=False)) == (taker, maker)


def test_a_makers_fee_and_an_override_that_begins_in_between(tmp_path: Path) -> None:
    exchange = trading(tmp_path)
    buy(exchange, "2.00", "0.5000")
    exchange.quote("sell", 5000, 100)
    exchange.venue.lifecycle.update_event_fee("KXA-26", "quadratic_with_maker_fees", 1)  # type: ignore[union-attr]
    exchange.quote("sell", 5000, 100)
    fills = exchange.get("/portfolio/fills", "me")["fills"]
    # 0.0175 x 0.25 = 0.004375, of which the balance's 0.0001 makes 0.0044.
    assert [fill["fee_cost"] for fill in reversed(fills)] == ["0.000000", "0.004400"]


def test_a_waived_market_costs_nothing(tmp_path: Path) -> None:
    exchange = trading(tmp_path)
    exchange.market().body["fee_waiver_expiration_time"] = "2026-09-21T14:13:21Z"
    exchange.quote("sell", 5000, 200)
    buy(exchange, "1.00", "0.5000")
    exchange.wait(1000)
    buy(exchange, "1.00", "0.5000")
    fills = exchange.get("/portfolio/fills", "me")["fills"]
    assert [fill["fee_cost"] for fill in reversed(fills)] == ["0.000000", "0.017500"]


def test_selling_what_one_holds_brings_cash_and_costs_the_same_fee(tmp_path: Path) -> None:
    exchange = trading(tmp_path, BROKER)
    exchange.quote("sell", 5000, 100)
    buy(exchange, "1.00", "0.5000")
    exchange.quote("buy", 6000, 100)
    buy(exchange, "1.00", "0.6000", side="ask")
    # -0.52, then 0.60 less the fee of 0.0168, which the balance's cent makes 0.58.
    assert cash(exchange) == 100 * DOLLAR - 520_000 + 580_000
    (position,) = exchange.get("/portfolio/positions", "me")["market_positions"]
    assert (position["position_fp"], position["realized_pnl_dollars"], position["market_exposure_dollars"]) == (
        "0.00",
        "0.1000",
        "0.0000",
    )


def test_buying_no_is_an_ask_and_crossing_zero_nets(tmp_path: Path) -> None:
    exchange = trading(tmp_path)
    exchange.market().body["fee_waiver_expiration_time"] = "2099-01-01T00:00:00Z"
    exchange.quote("buy", 6000, 500)
    buy(exchange, "2.00", "0.6000", side="ask")
    assert cash(exchange) == 100 * DOLLAR - 800_000
    exchange.quote("sell", 7000, 500)
    buy(exchange, "5.00", "0.7000")
    assert cash(exchange) == 100 * DOLLAR - 800_000 + 600_000 - 2_100_000
    (position,) = exchange.get("/portfolio/positions", "me")["market_positions"]
    assert (position["position_fp"], position["market_exposure_dollars"]) == ("3.00", "2.1000")
    assert position["realized_pnl_dollars"] == "-0.2000"


FILLS = st.lists(st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 9999), st.integers(1, 5000)), max_size=12)


@given(FILLS, st.sampled_from([0, ONE_DOLLAR, 4200]))
def test_cash_and_payout_are_what_the_fills_were_worth(fills: list[tuple[BookSide, int, int]], value: int) -> None:
    """However positions open, close and turn: bought at p and worth v in the end is v - p, for every contract."""
    holding = Holding()
    change = sum(holding.fill(side, price, quantity) for side, price, quantity in fills)
    worth = sum((value - price) * quantity * (1 if side == "bid" else -1) for side, price, quantity in fills)
    assert change + holding.payout(value, scalar=False) == worth
    assert holding.cost >= 0
    assert (holding.cost == 0) or holding.quantity != 0


@given(
    st.sampled_from([BROKER, DIRECT]),
    st.lists(st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 9999), st.integers(1, 5000)), max_size=8),
)
def test_every_fill_leaves_the_balance_on_its_precision(precision: int, fills: list[tuple[BookSide, int, int]]) -> None:
    holding, accumulator = Holding(), 0
    for side, price, quantity in fills:
        fee, accumulator = fill_fee(70_000, precision, accumulator, side, price, quantity)
        assert fee >= 0
        assert (holding.fill(side, price, quantity) - fee) % precision == 0
        assert accumulator >= 0


def test_money_must_be_on_the_markets_shard_before_the_order(tmp_path: Path) -> None:
    exchange = trading(tmp_path, shards={"KXBTC15M": 2})
    reply = exchange.order(ticker=CRYPTO)
    assert (reply.status, reply.body["error"]["code"]) == (400, "available_balance_too_low")
    move = {"source": "event_contract", "destination": "event_contract", "amount": 100_000}
    path = "/portfolio/intra_exchange_instance_transfer"
    shards = {"source_exchange_shard": 0, "destination_exchange_shard": 2}
    assert exchange.call("POST", path, move | shards, "me").status == 200
    assert exchange.order(ticker=CRYPTO).status == 201
    body = exchange.get("/portfolio/balance", "me")
    # One contract at 0.50 and its fee at most 0.0175 are bound.
    assert body["balance_breakdown"] == [
        {"exchange_index": 0, "balance": "90.0000"},
        {"exchange_index": 2, "balance": "9.4825"},
    ]
    assert (body["balance"], body["balance_dollars"]) == (9948, "99.4825")
    assert exchange.get("/portfolio/balance", "me", exchange_index=2)["balance_dollars"] == "9.4825"
    for amount in (0, -5, 10**9):
        assert exchange.call("POST", path, move | shards | {"amount": amount}, "me").status == 400
    assert exchange.call("POST", path, move | shards | {"destination_exchange_shard": 9}, "me").status == 400
    assert exchange.call("POST", path, {}, "me").status == 400


def test_resting_orders_bind_money_and_give_it_back(tmp_path: Path) -> None:
    exchange = trading(tmp_path)
    order_id = buy(exchange, "190.00", "0.5000").body["order_id"]
    assert exchange.order(count="10.00", price="0.5000").status == 400
    assert exchange.order(key="other", count="10.00", price="0.5000").status == 201
    exchange.call("DELETE", f"/portfolio/events/orders/{order_id}", key="me")
    assert exchange.get("/portfolio/balance", "me")["balance"] == 10_000
    assert exchange.order(count="10.00", price="0.5000").status == 201


def test_closing_a_position_needs_no_money(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(cash={0: 600_000}))
    exchange.quote("sell", 5000, 100)
    buy(exchange, "1.00", "0.5000")
    assert exchange.order(side="ask", count="1.00", price="0.0100").status == 201
    assert exchange.order(side="ask", count="1.01", price="0.0100").status == 400


@pytest.mark.parametrize(("result", "value", "paid"), [("yes", None, 3), ("no", None, 0), ("scalar", 4_250, 1.27)])
def test_settlement_pays_the_net_position(tmp_path: Path, result: str, value: int | None, paid: float) -> None:
    exchange = trading(tmp_path)
    exchange.quote("sell", 5000, 300)
    buy(exchange, "3.00", "0.5000")
    before, life = cash(exchange), exchange.venue.lifecycle
    assert life is not None
    life.determine(exchange.market(), result, value)
    assert cash(exchange) == before
    life.settle(exchange.market())
    assert cash(exchange) - before == round(paid * DOLLAR)
    assert exchange.get("/portfolio/positions", "me")["market_positions"] == []


def test_positions_of_an_event_are_summed(tmp_path: Path) -> None:
    exchange = trading(tmp_path)
    for ticker in (A, "KXA-26-T2"):
        exchange.quote("sell", 5000, 200, ticker)
        buy(exchange, "2.00", "0.5000", ticker=ticker)
    (event,) = exchange.get("/portfolio/positions", "me")["event_positions"]
    assert (event["event_ticker"], event["total_cost_dollars"], event["total_cost_shares_fp"]) == (
        "KXA-26",
        "2.0000",
        "4.00",
    )


def test_an_account_begins_with_the_money_of_the_options(tmp_path: Path) -> None:
    body = Exchange(tmp_path).get("/portfolio/balance", "new")
    assert (body["balance"], len(body["balance_breakdown"])) == (1_200_000, 4)
    assert Exchange(tmp_path).order(ticker=COMBO).body["error"]["code"] == "available_balance_too_low"


@pytest.mark.parametrize(
    ("money", "places", "text"),
    [(0, 4, "0.0000"), (-517_500, 4, "-0.5175"), (3_639, 4, "0.003639"), (10_000, 6, "0.010000"), (-1, 4, "-0.000001")],
)
def test_money_as_text(money: int, places: int, text: str) -> None:
    assert money_text(money, places) == text
