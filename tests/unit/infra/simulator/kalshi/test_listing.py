"""Kalshi's catalogue over REST: filters, pages, nested markets, books; and what the exchange says of itself."""

from pathlib import Path
from typing import Any

import pytest

from infra.simulator.faults import FaultName
from infra.simulator.kalshi.options import KalshiOptions
from tests.unit.infra.simulator.kalshi.exchange import COMBO, CRYPTO, SECOND, START_NS, A, B, Exchange

START_S = START_NS // SECOND


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path)


def tickers(body: dict[str, Any]) -> list[str]:
    return [market["ticker"] for market in body["markets"]]


def walk(exchange: Exchange, path: str, key: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Every page of a list."""
    pages, cursor = [], ""
    while True:
        body = exchange.get(path, **query, **({"cursor": cursor} if cursor else {}))
        pages.append(body[key])
        cursor = body["cursor"]
        if not cursor:
            return pages


def close(exchange: Exchange, ticker: str) -> None:
    exchange.fault(FaultName.CHURN, detail="close", markets=(ticker,))


def test_pages_end_with_an_empty_cursor_and_cursors_tell_nothing(exchange: Exchange) -> None:
    pages = walk(exchange, "/markets", "markets", limit=3)
    assert [[market["ticker"] for market in page] for page in pages] == [[A, B, CRYPTO], [COMBO]]
    cursor = exchange.get("/markets", limit=3)["cursor"]
    assert len(cursor) == 48
    for wrong in ("3", cursor[:-4], cursor.swapcase(), "%"):
        assert exchange.call("GET", "/markets", cursor=wrong).status == 400
    assert exchange.call("GET", "/events", cursor=cursor).status == 400


def test_the_last_cursor_may_be_null(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(null_cursor=True))
    assert exchange.get("/markets")["cursor"] is None
    assert exchange.get("/markets", limit=1)["cursor"]


def test_a_page_goes_on_where_it_stood_when_markets_come_and_go(exchange: Exchange) -> None:
    cursor = exchange.get("/markets", limit=2)["cursor"]
    close(exchange, B)
    exchange.fault(FaultName.CHURN, detail="vanish", markets=(B,))
    exchange.fault(FaultName.CHURN, detail="appear")
    exchange.wait(1000)
    assert tickers(exchange.get("/markets", cursor=cursor)) == [CRYPTO, COMBO, "KXA-NEW1-M1"]


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1", "1.5", "", "9" * 5000, "٣"])
def test_limits_out_of_range(exchange: Exchange, limit: str) -> None:
    assert exchange.call("GET", "/markets", limit=limit).status == 400


def test_markets_by_ticker_event_series_and_kind(exchange: Exchange) -> None:
    assert tickers(exchange.get("/markets", tickers=f"{B},{CRYPTO},NO-1")) == [B, CRYPTO]
    assert tickers(exchange.get("/markets", event_ticker="KXA-26")) == [A, B]
    assert tickers(exchange.get("/markets", series_ticker="KXBTC15M")) == [CRYPTO]
    assert tickers(exchange.get("/markets", mve_filter="only")) == [COMBO]
    assert tickers(exchange.get("/markets", mve_filter="exclude")) == [A, B, CRYPTO]
    assert exchange.call("GET", "/markets", mve_filter="some").status == 400


def test_every_status_word(exchange: Exchange) -> None:
    life = exchange.venue.lifecycle
    assert life is not None
    life.deactivate(exchange.market(B))
    close(exchange, CRYPTO)
    life.determine(exchange.market(COMBO))
    life.settle(exchange.market(COMBO))
    life.appear("KXA-26")
    exchange.wait(300)
    expected = {"unopened": ["KXA-26-M1"], "open": [A], "paused": [B], "closed": [CRYPTO], "settled": [COMBO]}
    for word, markets in expected.items():
        assert tickers(exchange.get("/markets", status=word)) == markets
    assert exchange.call("GET", "/markets", status="active").status == 400
    assert [event["event_ticker"] for event in exchange.get("/events", status="paused")["events"]] == ["KXA-26"]
    assert exchange.get("/events", status="settled")["events"] == []


def test_a_just_closed_market_may_still_be_listed_as_open(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(closed_lag_ms=30_000))
    close(exchange, A)
    assert A in tickers(exchange.get("/markets", status="open"))
    assert exchange.get(f"/markets/{A}")["market"]["status"] == "closed"
    exchange.wait(30_000)
    assert A not in tickers(exchange.get("/markets", status="open"))


def test_time_filters(exchange: Exchange) -> None:
    close(exchange, A)
    exchange.wait(10_000)
    close(exchange, B)
    assert tickers(exchange.get("/markets", max_close_ts=START_S + 9)) == [A]
    assert tickers(exchange.get("/markets", min_close_ts=START_S + 10, max_close_ts=START_S + 10, status="closed")) == [
        B
    ]
    assert tickers(exchange.get("/markets", min_updated_ts=START_S + 10)) == [B]
    assert tickers(exchange.get("/markets", min_created_ts=START_S)) == []
    life = exchange.venue.lifecycle
    assert life is not None
    life.determine(exchange.market(A))
    life.settle(exchange.market(A))
    assert tickers(exchange.get("/markets", min_settled_ts=START_S, status="settled")) == [A]


@pytest.mark.parametrize(
    "query",
    [
        {"min_close_ts": 1, "status": "open"},
        {"min_created_ts": 1, "status": "closed"},
        {"max_settled_ts": 1, "status": "closed"},
        {"min_updated_ts": 1, "status": "open"},
        {"min_updated_ts": 1, "tickers": A},
        {"min_close_ts": "soon"},
    ],
)
def test_filters_that_do_not_go_together(exchange: Exchange, query: dict[str, Any]) -> None:
    assert exchange.call("GET", "/markets", **query).status == 400


def test_events_without_combos_paged_and_nested(exchange: Exchange) -> None:
    pages = walk(exchange, "/events", "events", limit=1, with_nested_markets="true")
    assert [[event["event_ticker"] for event in page] for page in pages] == [["KXA-26"], ["KXBTC15M-26NOV"]]
    assert [market["ticker"] for market in pages[0][0]["markets"]] == [A, B]
    (event,) = exchange.get("/events", series_ticker="KXBTC15M")["events"]
    assert ("markets" in event, event["exchange_index"], event["series_ticker"]) == (False, 2, "KXBTC15M")
    assert [event["event_ticker"] for event in exchange.get("/events", tickers="KXA-26")["events"]] == ["KXA-26"]
    combos = exchange.get("/events/multivariate")["events"]
    assert [event["event_ticker"] for event in combos] == ["KXMVE-26"]
    assert exchange.call("GET", "/events", limit=201).status == 400


def test_one_event_with_its_markets_beside_or_in_it(exchange: Exchange) -> None:
    beside = exchange.get("/events/KXA-26")
    inside = exchange.get("/events/KXA-26", with_nested_markets="true")
    assert tickers(beside) == tickers(inside["event"]) == [A, B]
    assert "markets" not in beside["event"]


def test_series(exchange: Exchange) -> None:
    listed = exchange.get("/series")["series"]
    assert [each["ticker"] for each in listed] == ["KXA", "KXBTC15M", "KXMVE"]
    assert exchange.get("/series", category="Sports")["series"] == []
    assert exchange.get("/series/KXBTC15M")["series"]["exchange_index"] == 2
    assert exchange.call("GET", "/series/NO").status == 404


def test_books_ascend_and_sizes_are_fractional(exchange: Exchange) -> None:
    for price, quantity in ((4200, 1350), (3500, 1)):
        exchange.quote("buy", price, quantity)
    exchange.quote("sell", 4600, 250)
    whole = {"yes_dollars": [("0.3500", "0.01"), ("0.4200", "13.50")], "no_dollars": [("0.5400", "2.50")]}
    assert exchange.get(f"/markets/{A}/orderbook")["orderbook_fp"] == whole
    assert exchange.get(f"/markets/{A}/orderbook", depth=1)["orderbook_fp"]["yes_dollars"] == [("0.4200", "13.50")]
    batch = exchange.get("/markets/orderbooks", tickers=f"{A},{B}")["orderbooks"]
    assert [book["ticker"] for book in batch] == [A, B]
    assert batch[1]["orderbook_fp"] == {"yes_dollars": [], "no_dollars": []}
    for depth in ("-1", "101", "x"):
        assert exchange.call("GET", f"/markets/{A}/orderbook", depth=depth).status == 400
    assert exchange.call("GET", "/markets/orderbooks", tickers=",".join([A] * 101)).status == 400


def test_a_market_shows_its_top_its_trades_and_an_empty_side(exchange: Exchange) -> None:
    exchange.quote("sell", 4600, 500)
    exchange.quote("buy", 4600, 200)
    market = exchange.get(f"/markets/{A}")["market"]
    assert (market["yes_bid_dollars"], market["yes_ask_dollars"], market["yes_ask_size_fp"]) == (
        "0.0000",
        "0.4600",
        "3.00",
    )
    assert (market["last_price_dollars"], market["volume_fp"]) == ("0.4600", "2.00")
    quiet = exchange.get(f"/markets/{B}")["market"]
    assert (quiet["yes_bid_dollars"], quiet["yes_ask_dollars"]) == ("0.0000", "1.0000")


def test_trades_are_newest_first_paged_and_filtered(exchange: Exchange) -> None:
    for index in range(5):
        exchange.quote("sell", 4600, 100)
        exchange.quote("buy", 4600, 100 + index)
        exchange.clock.pass_ms(1000)
    pages = walk(exchange, "/markets/trades", "trades", limit=2, ticker=A)
    times = [trade["created_time"] for page in pages for trade in page]
    assert [len(page) for page in pages][:2] == [2, 2]
    assert times == sorted(times, reverse=True)
    assert len({trade["trade_id"] for page in pages for trade in page}) == len(times)
    assert exchange.get("/markets/trades", ticker=B)["trades"] == []
    assert len(exchange.get("/markets/trades", min_ts=START_S + 4)["trades"]) == len(
        [t for t in times if t >= "2026-09-21T14:13:24"]
    )
    assert exchange.get("/markets/trades", is_block_trade="true")["trades"] == []


def test_the_status_names_every_shard_and_the_pause(exchange: Exchange) -> None:
    body = exchange.get("/exchange/status")
    assert (body["exchange_active"], body["trading_active"]) == (True, True)
    assert [each["exchange_index"] for each in body["exchange_index_statuses"]] == [0, 1, 2, 3]
    exchange.fault(FaultName.PAUSE, until_ns=START_NS + 60 * SECOND)
    body = exchange.get("/exchange/status")
    assert (body["exchange_active"], body["trading_active"]) == (True, False)
    assert body["exchange_estimated_resume_time"] == "2026-09-21T14:14:20Z"
    assert {book.state for book in exchange.venue.canonical().values()} == {"halted"}
    assert exchange.venue.grid(A) == ()
    exchange.wait(60_000)
    assert exchange.get("/exchange/status")["trading_active"] is True
    assert exchange.venue.canonical()[A].state == "open"


def test_a_pause_may_be_one_shards_only(exchange: Exchange) -> None:
    exchange.fault(FaultName.PAUSE, markets=(CRYPTO,))
    body = exchange.get("/exchange/status")
    assert body["trading_active"] is True
    assert [each["trading_active"] for each in body["exchange_index_statuses"]] == [True, True, False, True]
    books = exchange.venue.canonical()
    assert (books[A].state, books[CRYPTO].state) == ("open", "halted")


def test_maintenance_and_a_pause_of_the_whole_exchange(exchange: Exchange) -> None:
    exchange.fault(FaultName.MAINTENANCE)
    body = exchange.get("/exchange/status")
    assert (body["exchange_active"], body["trading_active"]) == (False, False)
    exchange.faults.clear_all()
    exchange.fault(FaultName.PAUSE, detail="exchange")
    reply = exchange.call("GET", "/exchange/status")
    assert (reply.status, reply.body["exchange_active"]) == (503, False)
    assert len(reply.body["exchange_index_statuses"]) == 4


def test_the_thursday_window_in_eastern_time(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(thursday_pause=True))
    windows = exchange.get("/exchange/schedule")["schedule"]["maintenance_windows"]
    assert windows[0] == {"start_datetime": "2026-09-24T03:00:00-04:00", "end_datetime": "2026-09-24T05:00:00-04:00"}
    assert windows[3]["start_datetime"] == "2026-10-15T03:00:00-04:00"
    until_s = 1_790_233_200 - START_S  # 2026-09-24 07:00 UTC
    exchange.wait(until_s * 1000 - 1)
    assert exchange.get("/exchange/status")["trading_active"] is True
    exchange.wait(1)
    assert exchange.get("/exchange/status")["trading_active"] is False
    exchange.wait(2 * 3600 * 1000)
    assert exchange.get("/exchange/status")["trading_active"] is True
