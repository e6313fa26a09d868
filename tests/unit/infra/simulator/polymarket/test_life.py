"""What happens to the Polymarket simulator's markets besides trading: grids, churn, pauses, stale answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.simulator.engine import CanonicalBook
from infra.simulator.faults import ChurnStep, Fault, FaultError, FaultName
from tests.unit.infra.simulator.polymarket.floor import START, Floor, Follower, opened, own_hash, rest_book
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES


def churn(floor: Floor, step: ChurnStep, market: str = CONDITION) -> None:
    floor.strike(Fault(FaultName.CHURN, markets=(market,), detail=step))
    floor.pass_ms()


def step_of(floor: Floor, market: str = CONDITION) -> list[int]:
    return [band.step for band in floor.venue.grid(market)]


def gamma(floor: Floor, *query: tuple[str, str]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = floor.get("/gamma/markets", *query).body
    return listed


def test_the_grid_gets_finer_near_the_ends_and_coarser_with_a_margin(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    follower = Follower(floor, YES, NO)
    follower.read()
    floor.place("buy", 9_600, 500)
    floor.place("sell", 9_700, 500)
    floor.pass_ms()
    told = [event for event in follower.read() if event["event_type"] == "tick_size_change"]
    assert [(event["asset_id"], event["old_tick_size"], event["new_tick_size"]) for event in told] == [
        (YES, "0.01", "0.001"),
        (NO, "0.01", "0.001"),
    ]
    assert step_of(floor) == [10]
    assert rest_book(floor)["tick_size"] == "0.001"
    floor.engine.cancel("order-1")
    floor.place("buy", 9_401, 500)  # the middle is 0.9550: below 0.96, but not by a cent
    floor.pass_ms()
    assert step_of(floor) == [10]


def test_levels_off_the_coarser_grid_vanish_without_a_word(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    floor.place("buy", 9_600, 500)
    floor.place("sell", 9_800, 500)
    floor.pass_ms()
    floor.place("sell", 9_755, 300)
    floor.place("buy", 9_355, 300)
    floor.pass_ms()
    follower = Follower(floor, YES)
    follower.read()
    floor.engine.cancel("order-1")
    floor.place("sell", 9_500, 500)
    floor.pass_ms()
    *changes, tick = follower.read()
    legs = [leg for event in changes for leg in event["price_changes"] if leg["asset_id"] == YES]
    assert {leg["price"] for leg in legs} == {"0.96", "0.95"}  # and nothing of 0.9755 and 0.9355
    assert (tick["event_type"], tick["new_tick_size"], step_of(floor)) == ("tick_size_change", "0.01", [100])
    assert floor.venue.canonical()[CONDITION] == CanonicalBook((), ((9_500, 500), (9_800, 500)))
    assert [level["price"] for level in rest_book(floor)["asks"]] == ["0.98", "0.95"]
    after = rest_book(floor)
    book = {side: {level["price"]: level["size"] for level in after[side]} for side in ("bids", "asks")}
    assert own_hash(after, YES, after["timestamp"], book) == after["hash"]


def test_a_struck_grid_change_holds_until_the_next_strike(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path)
    floor.strike(Fault(FaultName.TICK_CHANGE, markets=(CONDITION,)))
    assert step_of(floor) == [10]
    floor.place("buy", 4_105, 500)
    floor.pass_ms()
    assert step_of(floor) == [10]
    floor.strike(Fault(FaultName.TICK_CHANGE))
    assert (step_of(floor), floor.venue.canonical()[CONDITION].bids) == ([100], ((4_000, 1_000),))
    assert [event["event_type"] for event in follower.read()].count("tick_size_change") == 4
    floor.strike(Fault(FaultName.TICK_CHANGE, detail="0.005"))
    assert step_of(floor) == [50]
    with pytest.raises(FaultError, match="0.3"):
        floor.strike(Fault(FaultName.TICK_CHANGE, detail="0.3"))


def test_a_grid_change_can_be_followed_by_whole_books(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path, book_after_tick=True)
    floor.strike(Fault(FaultName.TICK_CHANGE))
    assert [event["event_type"] for event in follower.read()] == ["tick_size_change"] * 2 + ["book"] * 2


def test_a_new_market_is_on_gamma_before_the_clob_knows_it(tmp_path: Path) -> None:
    floor, plain = opened(tmp_path)
    custom = Follower(floor, YES, custom_feature_enabled=True)
    custom.read()
    for _ in range(2):
        floor.strike(Fault(FaultName.CHURN, detail=ChurnStep.APPEAR))
    assert plain.read() == []
    first, second = custom.read()
    assert {event["event_type"] for event in (first, second)} == {"new_market"}
    assert first["fee_schedule"] == {"exponent": "1", "rate": "0.07", "taker_only": True, "rebate_rate": "0.2"}
    name, token = first["condition_id"], first["clob_token_ids"][0]
    (shown,) = gamma(floor, ("condition_ids", name))
    assert (shown["active"], shown["acceptingOrders"], shown["clobTokenIds"]) == (True, True, "")
    for path, query in ((f"/clob-markets/{name}", []), ("/book", [("token_id", token)])):
        assert floor.get(path, *query).status == 404
    assert name not in floor.venue.canonical()
    early = Follower(floor, token)
    assert early.texts() == ["[]\n"]
    floor.pass_ms(3_000)
    assert floor.get(f"/clob-markets/{name}").body["ao"] is True
    assert floor.venue.canonical()[name] == CanonicalBook((), ())
    floor.place("buy", 4_000, 500, market=name)
    floor.pass_ms()
    assert [event["event_type"] for event in early.read()] == ["price_change"]
    assert json.loads(gamma(floor, ("condition_ids", name))[0]["clobTokenIds"]) == first["clob_token_ids"]


def test_a_market_halts_closes_resolves_and_vanishes(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path, told_resolved=1.0)
    custom = Follower(floor, YES, custom_feature_enabled=True)
    custom.read()
    churn(floor, ChurnStep.HALT)
    assert (floor.venue.canonical()[CONDITION].state, step_of(floor)) == ("halted", [])
    assert floor.get(f"/clob-markets/{CONDITION}").body["ao"] is False
    churn(floor, ChurnStep.RESUME)
    assert floor.venue.canonical()[CONDITION].state == "open"
    churn(floor, ChurnStep.SETTLE)  # an open market is not settled
    assert floor.venue.canonical()[CONDITION].state == "open"
    churn(floor, ChurnStep.CLOSE)
    assert floor.venue.canonical()[CONDITION] == CanonicalBook((), (), "closed")
    follower.read()
    assert follower.books[YES] == {"bids": {}, "asks": {}}
    assert rest_book(floor)["bids"] == []
    assert gamma(floor, ("condition_ids", CONDITION)) == []
    (closed,) = gamma(floor, ("condition_ids", CONDITION), ("closed", "true"))
    assert (closed["acceptingOrders"], closed["endDate"]) == (False, "2026-09-21T14:13:20Z")
    custom.read()
    churn(floor, ChurnStep.SETTLE)
    (resolved,) = custom.read()
    winner = resolved["winning_asset_id"]
    assert (resolved["event_type"], winner in (YES, NO), follower.read()) == ("market_resolved", True, [])
    legs = floor.get(f"/markets/{CONDITION}").body["tokens"]
    assert [leg["token_id"] for leg in legs if leg["winner"]] == [winner]
    assert floor.get("/book", ("token_id", YES)).status == 404
    churn(floor, ChurnStep.OPEN)  # what has a winner does not open again
    assert floor.venue.canonical()[CONDITION].state == "closed"
    churn(floor, ChurnStep.VANISH)
    assert floor.get(f"/markets/{CONDITION}").status == 404
    assert gamma(floor, ("closed", "true")) == []
    assert floor.venue.canonical()[CONDITION] == CanonicalBook((), (), "closed")


def test_a_resolution_need_not_be_told_and_a_closed_market_can_open_again(tmp_path: Path) -> None:
    floor, _ = opened(tmp_path, told_resolved=0.0)
    custom = Follower(floor, YES, custom_feature_enabled=True)
    churn(floor, ChurnStep.CLOSE)
    churn(floor, ChurnStep.OPEN)
    floor.place("buy", 4_000, 500)
    assert floor.venue.canonical()[CONDITION] == CanonicalBook(((4_000, 500),), ())
    churn(floor, ChurnStep.CLOSE)
    custom.read()
    churn(floor, ChurnStep.SETTLE)
    assert custom.read() == []


def test_a_pause_halts_what_it_concerns(tmp_path: Path) -> None:
    floor, _ = opened(tmp_path)
    floor.strike(Fault(FaultName.PAUSE, markets=("another",)))
    assert floor.venue.canonical()[CONDITION].state == "open"
    floor.strike(Fault(FaultName.PAUSE, until_ns=START + 10**9))
    assert (floor.venue.canonical()[CONDITION].state, step_of(floor)) == ("halted", [])
    assert gamma(floor)[0]["acceptingOrders"] is False
    floor.pass_ms(1_000)
    assert gamma(floor)[0]["acceptingOrders"] is True


def test_a_stale_answer_is_an_old_book_with_its_old_stamp(tmp_path: Path) -> None:
    floor, _ = opened(tmp_path)
    for price in (4_100, 4_200, 4_300):
        floor.pass_ms(2_500)
        floor.place("buy", price, 500)
        floor.pass_ms()
    true = rest_book(floor)
    floor.strike(Fault(FaultName.REST_STALE, until_ns=floor.now_ns + 10**10))
    old = rest_book(floor)
    assert int(true["timestamp"]) - int(old["timestamp"]) >= 2_000
    book = {side: {level["price"]: level["size"] for level in old[side]} for side in ("bids", "asks")}
    assert "0.43" not in book["bids"]
    assert own_hash(old, YES, old["timestamp"], book) == old["hash"]
    floor.pass_ms(5_000)
    floor.place("buy", 4_400, 500)
    floor.pass_ms()
    assert rest_book(floor) == old
    floor.strike(Fault(FaultName.REST_STALE, detail="wide", markets=(CONDITION,)))
    wide = rest_book(floor)
    assert ([level["price"] for level in wide["bids"]], [level["price"] for level in wide["asks"]]) == (
        ["0.01"],
        ["0.99"],
    )
    assert floor.get("/price", ("token_id", YES), ("side", "BUY")).body == {"price": "0.44"}
    floor.faults.clear(FaultName.REST_STALE)
    assert rest_book(floor)["bids"][-1]["price"] == "0.44"
