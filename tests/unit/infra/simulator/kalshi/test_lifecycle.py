"""Markets of the Kalshi simulator open and close without a word; everything else that happens to them is told."""

from pathlib import Path
from typing import Any

import pytest

from infra.simulator.faults import FaultError, FaultName
from infra.simulator.kalshi.lifecycle import Lifecycle
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.tape import TapeError
from tests.unit.infra.simulator.kalshi.exchange import COMBO, SECOND, START_NS, A, B, Client, Exchange

LIFECYCLE = "market_lifecycle_v2"
START_S = START_NS // SECOND


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(tmp_path)


def life(exchange: Exchange) -> Lifecycle:
    assert exchange.venue.lifecycle is not None
    return exchange.venue.lifecycle


def listening(exchange: Exchange) -> Client:
    client = Client(exchange)
    client.subscribe(channel=LIFECYCLE)
    client.subscribe(A, B)
    return client


def told(client: Client) -> list[dict[str, Any]]:
    return [frame["msg"] for frame in client.read() if frame["type"] == LIFECYCLE]


def state(exchange: Exchange, ticker: str = A) -> str:
    return exchange.venue.canonical()[ticker].state


def test_close_time_passes_without_a_word_and_the_orders_go_shortly_after(exchange: Exchange) -> None:
    client = listening(exchange)
    exchange.quote("buy", 4200)
    exchange.fault(FaultName.CHURN, detail="close", markets=(A,))
    assert (state(exchange), exchange.status(), exchange.status(B)) == ("closed", "closed", "active")
    assert exchange.venue.grid(A) == ()
    assert client.ladder(A)[0] == () == client.ladder(B)[0]
    exchange.wait(499)
    assert exchange.engine.levels(A)[0] != []
    exchange.wait(1)
    assert exchange.engine.levels(A) == ([], [])
    frames = client.read()
    assert [frame["type"] for frame in frames] == ["orderbook_delta", "orderbook_delta"]
    assert client.ladder(A) == ((), ())
    assert exchange.quote("buy", 4200).refusal


def test_a_recorded_close_time_passes_too(tmp_path: Path) -> None:
    exchange = Exchange(
        tmp_path, KalshiOptions(), A, extra={"market": {"ticker": B, "close_time": "2026-09-21T14:14:00Z"}}
    )
    assert (state(exchange, A), state(exchange, B)) == ("open", "open")
    exchange.wait(40_000)
    assert (state(exchange, A), state(exchange, B)) == ("open", "closed")
    assert exchange.get(f"/markets/{B}")["market"]["status"] == "closed"


def test_a_market_that_had_closed_when_it_was_recorded_is_open_again(tmp_path: Path) -> None:
    old = {"ticker": B, "close_time": "2026-02-08T01:30:00Z", "status": "finalized", "result": "yes"}
    exchange = Exchange(tmp_path, KalshiOptions(), A, extra={"market": old})
    market = exchange.get(f"/markets/{B}")["market"]
    assert (market["status"], market["result"], market["close_time"]) == ("active", "", "2099-12-31T00:00:00Z")


@pytest.mark.parametrize("wrong", [{"close_time": "soon"}, {"price_ranges": [{"start": "0", "end": "1"}]}])
def test_a_recorded_market_that_cannot_be_traded_is_named(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(TapeError, match=f"market {B} cannot be traded"):
        Exchange(tmp_path, KalshiOptions(), A, extra={"market": {"ticker": B} | wrong})


def test_a_created_market_is_told_with_its_event_and_opens_silently(exchange: Exchange) -> None:
    client = listening(exchange)
    exchange.fault(FaultName.CHURN, detail="appear")
    event, created = client.read()
    ticker = created["msg"]["market_ticker"]
    assert (event["type"], event["seq"], created["seq"]) == ("event_lifecycle", 1, 2)
    assert event["msg"] == {
        "event_ticker": "KXA-NEW1",
        "exchange_index": 0,
        "title": "KXA-NEW1",
        "subtitle": "",
        "collateral_return_type": "",
        "series_ticker": "KXA",
    }
    message = created["msg"]
    assert (message["event_type"], message["open_ts"], message["exchange_index"]) == ("created", START_S + 1, 0)
    assert (message["price_level_structure"], len(message["price_ranges"])) == ("linear_cent", 1)
    assert message["additional_metadata"]["event_ticker"] == "KXA-NEW1"
    assert message["additional_metadata"]["expected_expiration_ts"] == message["close_ts"] > START_S
    assert exchange.call("GET", f"/markets/{ticker}").status == 404
    exchange.wait(200)
    assert exchange.get(f"/markets/{ticker}")["market"]["status"] == "initialized"
    assert ticker not in exchange.engine.markets()
    exchange.wait(800)
    assert exchange.get(f"/markets/{ticker}")["market"]["status"] == "active"
    assert told(client) == []
    assert ticker in exchange.engine.markets()
    client.subscribe(ticker)
    exchange.quote("buy", 4200, ticker=ticker)
    client.read()
    assert client.ladder(ticker)[0] == ((4200, 1000),)


def test_a_second_market_of_an_event_tells_no_event(exchange: Exchange) -> None:
    client = listening(exchange)
    life(exchange).appear("KXA-26")
    assert [frame["type"] for frame in client.read()] == [LIFECYCLE]


def test_trading_stops_and_goes_on_with_an_empty_book(exchange: Exchange) -> None:
    client = listening(exchange)
    exchange.quote("buy", 4200)
    exchange.fault(FaultName.CHURN, detail="halt", markets=(A,))
    client.read()
    assert (state(exchange), exchange.venue.grid(A), client.ladder(A)[0]) == ("halted", (), ((4200, 1000),))
    assert exchange.get(f"/markets/{A}")["market"]["status"] == "inactive"
    exchange.fault(FaultName.CHURN, detail="resume", markets=(A,))
    delta, activated = client.read()
    assert (delta["msg"]["delta_fp"], client.ladder(A)[0]) == ("-10.00", ())
    assert activated["msg"] == {"market_ticker": A, "event_type": "activated", "is_deactivated": False}
    assert state(exchange) == "open"


def test_deactivated_is_told(exchange: Exchange) -> None:
    client = listening(exchange)
    assert life(exchange).deactivate(exchange.market())
    assert told(client) == [{"market_ticker": A, "event_type": "deactivated", "is_deactivated": True}]
    assert not life(exchange).deactivate(exchange.market())


def test_a_closed_market_is_reopened_with_a_new_close_date_first(exchange: Exchange) -> None:
    client = listening(exchange)
    exchange.fault(FaultName.CHURN, detail="close", markets=(A,))
    exchange.wait(1000)
    exchange.fault(FaultName.CHURN, detail="open", markets=(A,))
    moved, activated = told(client)
    assert (moved["event_type"], moved["close_ts"]) == ("close_date_updated", START_S + 3601)
    assert activated["event_type"] == "activated"
    assert not exchange.quote("buy", 4200).refusal
    assert state(exchange) == "open"
    exchange.wait(3600_000)
    exchange.wait(500)
    assert (state(exchange), exchange.engine.levels(A)) == ("closed", ([], []))


def test_a_market_reopened_at_once_keeps_trading(exchange: Exchange) -> None:
    exchange.fault(FaultName.CHURN, detail="close", markets=(A,))
    exchange.fault(FaultName.CHURN, detail="open", markets=(A,))
    exchange.quote("buy", 4200)
    exchange.wait(5000)
    assert (state(exchange), exchange.engine.levels(A)[0]) == ("open", [(4200, 1000)])


def test_a_close_date_that_moves_is_told_and_holds(exchange: Exchange) -> None:
    client = listening(exchange)
    life(exchange).move_close(exchange.market(), START_NS + 10 * SECOND)
    assert told(client) == [{"market_ticker": A, "event_type": "close_date_updated", "close_ts": START_S + 10}]
    exchange.wait(9_999)
    assert state(exchange) == "open"
    exchange.wait(1)
    assert state(exchange) == "closed"
    assert told(client) == []


def test_determined_timer_settled(exchange: Exchange) -> None:
    client = listening(exchange)
    exchange.fault(FaultName.CHURN, detail="close", markets=(A,))
    exchange.wait(1000)
    exchange.fault(FaultName.CHURN, detail="settle", markets=(A,))
    (determined,) = told(client)
    result = determined.pop("result")
    assert determined == {
        "market_ticker": A,
        "event_type": "determined",
        "settlement_value": {"yes": "1.0000", "no": "0.0000"}[result],
        "determination_ts": START_S + 1,
    }
    assert exchange.status() == "determined"
    exchange.wait(60_000)
    assert told(client) == [{"market_ticker": A, "event_type": "settled", "settled_ts": START_S + 61}]
    market = exchange.get(f"/markets/{A}")["market"]
    assert (market["status"], market["result"], market["settlement_ts"]) == (
        "finalized",
        result,
        "2026-09-21T14:14:21Z",
    )


def test_a_market_determined_early_is_closed_first_and_a_disputed_one_is_amended(exchange: Exchange) -> None:
    client = listening(exchange)
    assert life(exchange).determine(exchange.market(), "scalar", 4_200)
    moved, determined = told(client)
    assert (moved["event_type"], determined["result"], determined["settlement_value"]) == (
        "close_date_updated",
        "scalar",
        "0.4200",
    )
    exchange.wait(30_000)
    assert life(exchange).dispute(exchange.market())
    assert exchange.status() == "disputed"
    assert life(exchange).determine(exchange.market(), "no")
    assert (exchange.status(), told(client)[0]["settlement_value"]) == ("amended", "0.0000")
    exchange.wait(59_999)
    assert exchange.status() == "amended"
    exchange.wait(1)
    assert exchange.status() == "finalized"
    assert not life(exchange).settle(exchange.market())


def test_a_vanished_market_is_nowhere(exchange: Exchange) -> None:
    exchange.fault(FaultName.CHURN, detail="vanish", markets=(A,))
    assert exchange.status() == "active"
    exchange.fault(FaultName.CHURN, detail="close", markets=(A,))
    exchange.fault(FaultName.CHURN, detail="vanish", markets=(A,))
    assert A not in exchange.venue.canonical()
    assert exchange.call("GET", f"/markets/{A}").status == 404
    assert A not in [market["ticker"] for market in exchange.get("/markets")["markets"]]
    assert exchange.venue.grid(A) == ()
    exchange.wait(10_000)
    assert Client(exchange).subscribe(A)[0]["msg"]["code"] == 11


def test_steps_that_do_not_fit_are_passed_over(exchange: Exchange) -> None:
    client = listening(exchange)
    for step in ("open", "resume", "settle", "vanish"):
        exchange.fault(FaultName.CHURN, detail=step)
    assert told(client) == []
    assert exchange.status() == "active"


def test_a_grid_change_is_told_is_finer_and_keeps_the_orders(exchange: Exchange) -> None:
    client = listening(exchange)
    exchange.quote("buy", 4200)
    exchange.fault(FaultName.TICK_CHANGE, markets=(A,))
    delta, changed = client.read()
    message = changed["msg"]
    assert delta["type"] == "orderbook_delta"
    assert (message["event_type"], message["price_level_structure"]) == (
        "price_level_structure_updated",
        "center_whole_edge_half_cent",
    )
    assert message["price_ranges"][0] == {"start": "0.0000", "end": "0.1000", "step": "0.0050"}
    assert exchange.get(f"/markets/{A}")["market"]["price_ranges"] == message["price_ranges"]
    assert next((band.start, band.end, band.step) for band in exchange.venue.grid(A)) == (0, 1000, 50)
    assert client.ladder(A)[0] == ((4200, 1000),)
    exchange.fault(FaultName.TICK_CHANGE, markets=(A,), detail="linear_cent")
    assert told(client) == []
    exchange.fault(FaultName.TICK_CHANGE, markets=(A,), detail="deci_cent")
    assert told(client)[0]["price_level_structure"] == "deci_cent"


def test_metadata_and_event_fees_are_told(exchange: Exchange) -> None:
    client = listening(exchange)
    life(exchange).update_metadata(exchange.market(), strike_type="between", floor_strike=95_000, cap_strike=95_250)
    (message,) = told(client)
    assert message["event_type"] == "metadata_updated"
    assert (message["floor_strike"], exchange.get(f"/markets/{A}")["market"]["cap_strike"]) == (95_000, 95_250)
    life(exchange).update_event_fee("KXA-26", "quadratic_with_maker_fees", 0.5)
    (frame,) = client.read()
    assert (frame["type"], frame["seq"]) == ("event_fee_update", 2)
    override = {"fee_type_override": "quadratic_with_maker_fees", "fee_multiplier_override": 0.5}
    assert frame["msg"] == {"event_ticker": "KXA-26"} | override
    assert override.items() <= exchange.get("/events/KXA-26")["event"].items()
    life(exchange).update_event_fee("KXA-26", None, None)
    assert client.read()[0]["msg"]["fee_type_override"] is None
    changes = exchange.get("/events/fee_changes", event_ticker="KXA-26")["event_fee_changes"]
    assert [change["fee_multiplier_override"] for change in changes] == [0.5, None]
    assert exchange.venue.catalogue.fee(exchange.market(), exchange.clock()) == ("quadratic", "1")


def test_a_revision_tells_metadata_and_fee_and_the_next_one_clears_the_fee(exchange: Exchange) -> None:
    client = listening(exchange)
    for fee in ("quadratic_with_maker_fees", None):
        exchange.fault(FaultName.CHURN, detail="revise", markets=(A,))
        metadata, fees = client.read()
        assert metadata["msg"]["yes_sub_title"] == exchange.get(f"/markets/{A}")["market"]["yes_sub_title"]
        assert (fees["type"], fees["msg"]["fee_type_override"]) == ("event_fee_update", fee)


def test_an_unknown_price_structure_is_named(exchange: Exchange) -> None:
    with pytest.raises(FaultError, match=r"detail: 'banded_centi_cent' is none of linear_cent, deci_cent"):
        exchange.fault(FaultName.TICK_CHANGE, detail="banded_centi_cent")


def test_a_series_fee_changes_at_its_time_without_a_word(exchange: Exchange) -> None:
    client = listening(exchange)
    exchange.venue.catalogue.schedule_series_fee("KXA", "quadratic_with_maker_fees", 2, START_NS + 5 * SECOND)
    (change,) = exchange.get("/series/fee_changes")["series_fee_change_arr"]
    assert (change["series_ticker"], change["scheduled_ts"]) == ("KXA", "2026-09-21T14:13:25Z")
    assert exchange.get("/series/KXA")["series"]["fee_multiplier"] == 1
    exchange.wait(5000)
    assert exchange.get("/series/KXA")["series"]["fee_type"] == "quadratic_with_maker_fees"
    assert exchange.get("/series/fee_changes")["series_fee_change_arr"] == []
    assert len(exchange.get("/series/fee_changes", show_historical="true")["series_fee_change_arr"]) == 1
    assert client.read() == []


def test_combos_have_a_lifecycle_channel_of_their_own(exchange: Exchange) -> None:
    client = Client(exchange)
    client.subscribe(channel="multivariate_market_lifecycle")
    others = listening(exchange)
    life(exchange).deactivate(exchange.market(COMBO))
    life(exchange).restructure(exchange.market(COMBO))
    life(exchange).appear("KXMVE-27")
    types = [(frame["type"], frame["msg"].get("event_type")) for frame in client.read()]
    combo = "multivariate_market_lifecycle"
    assert types == [(combo, "deactivated"), ("event_lifecycle", None), (combo, "created")]
    assert told(others) == []
