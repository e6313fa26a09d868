"""The Kalshi simulator as an exchange: what the engine does becomes frames from which clients build the same books."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.engine import Side
from infra.simulator.faults import FaultName
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.traffic import Traffic
from tests.unit.infra.simulator.kalshi.exchange import CRYPTO, MARKETS, SECOND, START_NS, A, B, Client, Exchange

BASIC = KalshiOptions()


def kinds(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["type"] for frame in frames]


def test_a_quiet_market_opens_with_a_snapshot_without_sides(tmp_path: Path) -> None:
    subscribed, snapshot = Client(Exchange(tmp_path)).subscribe(A)
    assert subscribed == {"id": 1, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 1}}
    assert (snapshot["sid"], snapshot["seq"]) == (1, 1)
    assert snapshot["msg"].keys() == {"market_ticker", "market_id"}


def test_a_resting_order_is_a_delta_on_the_leg_it_bids_for(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    client, turned = Client(exchange), Client(exchange)
    client.subscribe(A)
    turned.subscribe(A, use_yes_price=True)
    exchange.quote("buy", 4200, 1350)
    exchange.quote("sell", 4600, 50)
    bid, ask = client.read()
    assert bid["msg"] | {"market_id": ""} == {
        "market_ticker": A,
        "market_id": "",
        "price_dollars": "0.4200",
        "delta_fp": "13.50",
        "side": "yes",
        "ts": "2026-09-21T14:13:20Z",
        "ts_ms": START_NS // 1_000_000,
    }
    assert (ask["seq"], ask["msg"]["side"], ask["msg"]["price_dollars"], ask["msg"]["delta_fp"]) == (
        3,
        "no",
        "0.5400",
        "0.50",
    )
    assert [frame["msg"]["price_dollars"] for frame in turned.read()] == ["0.4200", "0.4600"]
    assert client.ladder(A) == turned.ladder(A) == (((4200, 1350),), ((4600, 50),))


def test_a_trade_shrinks_the_makers_level_and_is_told_on_its_own_channel(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.quote("sell", 4600, 500)
    client = Client(exchange)
    client.send("subscribe", channels=["orderbook_delta", "trade"], market_tickers=[A])
    exchange.quote("buy", 4700, 200)
    delta, trade = client.read()
    assert (delta["type"], delta["msg"]["side"], delta["msg"]["delta_fp"]) == ("orderbook_delta", "no", "-2.00")
    assert (trade["type"], trade["sid"], trade["seq"]) == ("trade", 2, 1)
    assert trade["msg"] | {"trade_id": ""} == {
        "trade_id": "",
        "market_ticker": A,
        "yes_price_dollars": "0.4600",
        "no_price_dollars": "0.5400",
        "count_fp": "2.00",
        "taker_side": "yes",
        "taker_outcome_side": "yes",
        "taker_book_side": "bid",
        "is_block_trade": False,
        "ts": START_NS // SECOND,
        "ts_ms": START_NS // 1_000_000,
    }
    listed = exchange.get("/markets/trades", ticker=A)["trades"]
    assert [(each["trade_id"], each["count_fp"]) for each in listed] == [(trade["msg"]["trade_id"], "2.00")]


def test_the_ticker_has_no_sequence_and_comes_when_the_top_or_the_last_trade_changes(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    client = Client(exchange)
    (subscribed, first) = client.subscribe(A, channel="ticker", send_initial_snapshot=True)
    assert kinds([subscribed, first]) == ["subscribed", "ticker"]
    exchange.quote("buy", 4200, 100)
    exchange.quote("buy", 4100, 100)
    (top,) = client.read()
    assert "seq" not in top
    assert (top["msg"]["yes_bid_dollars"], top["msg"]["yes_bid_size_fp"], top["msg"]["yes_ask_dollars"]) == (
        "0.4200",
        "1.00",
        "1.0000",
    )
    exchange.quote("sell", 4200, 100)
    last = client.read()[-1]["msg"]
    assert (last["price_dollars"], last["volume_fp"], last["last_trade_size_fp"]) == ("0.4200", "1.00", "1.00")


def test_two_markets_of_a_subscription_share_one_sequence(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    client = Client(exchange)
    client.subscribe(A, B)
    exchange.quote("buy", 4200)
    exchange.quote("buy", 4200, ticker=B)
    exchange.quote("buy", 4200, ticker=CRYPTO)
    assert [frame["seq"] for frame in client.read()] == [3, 4]
    assert client.gaps == 0


def test_a_late_client_and_get_snapshot_show_the_present_book(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.quote("buy", 4200)
    client = Client(exchange)
    client.subscribe(A)
    assert client.ladder(A)[0] == ((4200, 1000),)
    (again,) = client.send("update_subscription", sids=[1], action="get_snapshot", market_tickers=[A])
    assert (again["type"], again["seq"]) == ("orderbook_snapshot", 2)


def test_deltas_may_come_without_times(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(stamped_deltas=False))
    client = Client(exchange)
    client.subscribe(A)
    exchange.quote("buy", 4200)
    assert not {"ts", "ts_ms"} & client.read()[0]["msg"].keys()


def test_a_skewed_clock_is_in_every_stamp(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    client = Client(exchange)
    client.send("subscribe", channels=["orderbook_delta", "trade", "ticker"], market_tickers=[A])
    exchange.fault(FaultName.CLOCK_SKEW, delay_ms=-2500)
    exchange.quote("buy", 4200)
    exchange.quote("sell", 4200)
    assert {frame["msg"]["ts_ms"] for frame in client.read()} == {START_NS // 1_000_000 - 2500}


def test_a_gap_skips_one_number_of_the_frames_it_concerns(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    client = Client(exchange)
    client.subscribe(A, B)
    exchange.fault(FaultName.GAP, markets=(A,))
    exchange.quote("buy", 4200, ticker=B)
    exchange.quote("buy", 4200)
    assert [frame["seq"] for frame in client.read()] == [3, 5]
    exchange.faults.clear(FaultName.GAP)
    exchange.quote("buy", 4300)
    assert [frame["seq"] for frame in client.read()] == [6]


def test_a_frozen_market_takes_no_numbers_and_is_wrong_until_it_is_asked_for(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    client = Client(exchange)
    client.subscribe(A, B)
    exchange.fault(FaultName.FREEZE_MARKET, markets=(A,))
    exchange.quote("buy", 4200)
    exchange.quote("buy", 4300, ticker=B)
    came = client.send("update_subscription", sids=[1], action="get_snapshot", market_tickers=[A])
    assert [frame["msg"]["market_ticker"] for frame in came] == [B]
    exchange.faults.clear(FaultName.FREEZE_MARKET)
    assert client.gaps == 0
    assert client.ladder(A) == ((), ())
    client.send("update_subscription", sids=[1], action="get_snapshot", market_tickers=[A])
    assert client.ladder(A)[0] == ((4200, 1000),)


def test_a_missing_first_book_can_still_be_asked_for(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    client = Client(exchange)
    exchange.fault(FaultName.NO_FIRST_BOOK, markets=(A,))
    assert kinds(client.subscribe(A, B)) == ["subscribed", "orderbook_snapshot"]
    (snapshot,) = client.send("update_subscription", sids=[1], action="get_snapshot", market_tickers=[A])
    assert (snapshot["msg"]["market_ticker"], snapshot["seq"]) == (A, 2)


@pytest.mark.parametrize(("name", "code"), [(FaultName.CHANNEL_ERROR, 10), (FaultName.OVERFLOW, 25)])
def test_terminal_errors_end_the_subscriptions_they_strike(tmp_path: Path, name: FaultName, code: int) -> None:
    exchange = Exchange(tmp_path)
    struck, spared = Client(exchange), Client(exchange)
    struck.subscribe(A)
    spared.subscribe(B)
    exchange.fault(name, markets=(A,))
    (error,) = struck.read()
    assert (error["type"], error["sid"], error["seq"], error["msg"]["code"]) == ("error", 1, 2, code)
    exchange.quote("buy", 4200)
    exchange.quote("buy", 4200, ticker=B)
    assert (struck.read(), kinds(spared.read())) == ([], ["orderbook_delta"])
    subscribed, snapshot = struck.subscribe(A)
    assert (subscribed["msg"]["sid"], snapshot["seq"]) == (2, 1)


def test_a_terminal_error_may_be_one_channels_only(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    client = Client(exchange)
    client.send("subscribe", channels=["orderbook_delta", "trade"], market_tickers=[A])
    exchange.fault(FaultName.CHANNEL_ERROR, detail="trade")
    assert [error["sid"] for error in client.read()] == [2]
    assert client.send("list_subscriptions")[0]["msg"] == [{"channel": "orderbook_delta", "sid": 1}]


def test_stale_rest_answers_with_the_books_of_its_beginning(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    exchange.quote("buy", 4200)
    exchange.fault(FaultName.REST_STALE)
    old = exchange.get(f"/markets/{A}/orderbook")
    exchange.quote("buy", 4300)
    assert exchange.get(f"/markets/{A}/orderbook") == old
    assert exchange.get(f"/markets/{A}")["market"]["yes_bid_dollars"] == "0.4200"
    exchange.faults.clear(FaultName.REST_STALE)
    assert exchange.get(f"/markets/{A}/orderbook")["orderbook_fp"]["yes_dollars"][-1] == ("0.4300", "10.00")


ACTIONS = st.tuples(
    st.sampled_from(["buy", "sell"]), st.integers(1, 99), st.integers(1, 3000), st.sampled_from(MARKETS[:3])
)


@settings(deadline=None)
@given(st.lists(ACTIONS, max_size=40), st.integers(0, 40), st.booleans())
def test_a_client_that_applies_the_frames_has_the_canonical_books(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[Side, int, int, str]], joined: int, turned: bool
) -> None:
    """Whenever it joins, whatever its form of prices; and its sequence has no gap."""
    exchange = Exchange(tmp_path_factory.mktemp("tape"), BASIC)
    client = Client(exchange)
    for index, (side, cents, quantity, ticker) in enumerate(actions):
        if index == joined:
            client.subscribe(*MARKETS[:3], use_yes_price=turned)
        exchange.quote(side, cents * 100, quantity, ticker)
    if joined >= len(actions):
        client.subscribe(*MARKETS[:3], use_yes_price=turned)
    client.read()
    assert client.gaps == 0
    for ticker in MARKETS[:3]:
        book = exchange.venue.canonical()[ticker]
        assert client.ladder(ticker) == (book.bids, book.asks)
        assert (list(book.bids), list(book.asks)) == exchange.engine.levels(ticker)


def test_traffic_grid_changes_and_churn_leave_clients_with_the_canonical_books(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path)
    client = Client(exchange)
    client.subscribe(*MARKETS)
    traffic = Traffic(exchange.engine, exchange.engine.markets, 9, exchange.venue.grid)
    random = Random(5)
    for _ in range(4000):
        traffic.step()
        exchange.clock.pass_ms(5)
        if random.random() < 0.01:
            exchange.fault(FaultName.TICK_CHANGE, markets=(random.choice(MARKETS),))
        if random.random() < 0.02:
            steps = ("halt", "resume", "close", "open")
            exchange.fault(FaultName.CHURN, markets=(random.choice(MARKETS),), detail=random.choice(steps))
        client.read()
    exchange.wait(2000)
    client.read()
    assert client.gaps == 0
    books = exchange.venue.canonical()
    assert {ticker: client.ladder(ticker) for ticker in MARKETS} == {
        ticker: (books[ticker].bids, books[ticker].asks) for ticker in MARKETS
    }
    assert any(price % 100 for book in books.values() for price, _ in book.bids + book.asks)
