"""Orders of the Polymarket simulator that the venue holds back, and the times when it takes few orders or none."""

import asyncio
import json
from pathlib import Path

import pytest

from infra.simulator.engine import CanonicalBook
from infra.simulator.faults import ChurnStep, Fault, FaultName
from infra.simulator.polymarket.showcase import sports_line, up_or_down
from infra.simulator.recorded import Reply, Request
from infra.simulator.rest_door import RestDoor
from tests.unit.infra.simulator.polymarket.floor import SECOND
from tests.unit.infra.simulator.polymarket.trader import Trader, refused
from tests.unit.infra.simulator.tapes import CONDITION


@pytest.fixture
def trader(tmp_path: Path) -> Trader:
    """On an empty floor."""
    return Trader(tmp_path)


def held(trader: Trader, reply: Reply) -> Reply:
    """What the venue says in the end: a quarter of a second later, and not before."""
    found: list[Reply] = []
    assert reply.held is not None
    reply.held.then(found.append)
    trader.floor.pass_ms(249)
    assert found == []
    trader.floor.pass_ms(1)
    reply.held.then(found.append)
    assert found[0] is found[1]
    return found[0]


def test_some_markets_hold_what_would_trade_for_a_quarter_of_a_second(tmp_path: Path) -> None:
    trader, listing = Trader(tmp_path, showcase=True), up_or_down("showcase-up-or-down")
    yes = listing.tokens[0]
    trader.floor.place("sell", 5_000, 1_000, market=listing.condition_id)
    assert trader.post("BUY", 0.49, 10, token=yes).held is None
    reply = trader.post("BUY", 0.50, 10, token=yes)
    identity = reply.body["orderID"]
    assert (reply.body["status"], trader.order(identity)["status"]) == ("delayed", "DELAYED")
    assert trader.cancel(identity).body["not_canceled"] == {identity: "order is delayed and can't be canceled"}
    assert held(trader, reply).body["status"] == "matched"
    trader.floor.place("sell", 5_000, 1_000, market=listing.condition_id)
    late = trader.post("BUY", 0.50, 10, "FAK", token=yes)
    trader.floor.engine.cancel("order-2")
    assert refused(held(trader, late)).startswith("no orders found to match")
    assert trader.order(late.body["orderID"])["status"] == "UNMATCHED"


def test_a_hold_ends_in_what_is_true_then(tmp_path: Path) -> None:
    trader, listing = Trader(tmp_path, showcase=True), up_or_down("showcase-up-or-down")
    for fault, status in (
        (Fault(FaultName.PAUSE), 503),
        (Fault(FaultName.CHURN, markets=(listing.condition_id,), detail=ChurnStep.HALT), 400),
    ):
        trader.floor.place("sell", 5_000, 1_000, market=listing.condition_id)
        reply = trader.post("BUY", 0.50, 10, token=listing.tokens[0])
        trader.floor.strike(fault)
        assert held(trader, reply).status == status
        trader.floor.faults.clear_all()


def test_sports_orders_are_accepted_at_once_and_match_seconds_later(tmp_path: Path) -> None:
    trader, listing = Trader(tmp_path, showcase=True), sports_line("showcase-line")
    trader.floor.place("sell", 5_050, 2_000, market=listing.condition_id)
    reply = trader.post("BUY", 0.505, 20, token=listing.tokens[0])
    assert (reply.body["status"], reply.held) == ("delayed", None)
    trader.floor.pass_ms(2_999)
    assert trader.order(reply.body["orderID"])["status"] == "DELAYED"
    trader.floor.pass_ms(1)
    assert trader.order(reply.body["orderID"])["status"] == "MATCHED"


def test_a_restart_is_425_then_two_minutes_of_post_only(trader: Trader) -> None:
    resting = trader.post("BUY", 0.3, 10).body["orderID"]
    assert trader.floor.rest.error_reply(425).status == 425
    trader.floor.pass_ms(40_500)
    reply = trader.post("BUY", 0.31, 10)
    assert reply.status == 503
    assert reply.body == {
        "error": "post-only mode: only post-only orders and cancels are allowed",
        "code": "post_only_mode",
        "retry_after_seconds": 80,
    }
    assert reply.headers == {"Retry-After": "80"}
    assert trader.post("BUY", 0.31, 10, postOnly=True).body["status"] == "live"
    assert trader.cancel(resting).body["canceled"] == [resting]
    trader.floor.pass_ms(79_500)
    assert trader.post("BUY", 0.32, 10).body["status"] == "live"


def test_maintenance_refuses_everything_and_ends_in_post_only_mode(trader: Trader) -> None:
    trader.floor.strike(Fault(FaultName.MAINTENANCE, until_ns=trader.floor.now_ns + SECOND))
    assert trader.post("BUY", 0.3, 10).status == trader.cancel("0x" + "12" * 32).status == 425
    trader.floor.pass_ms(1_000)
    assert trader.post("BUY", 0.3, 10).body["retry_after_seconds"] == 120


def test_a_pause_is_cancel_only_or_nothing_at_all(trader: Trader) -> None:
    resting = trader.post("BUY", 0.3, 10).body["orderID"]
    trader.floor.strike(Fault(FaultName.PAUSE))
    reply = trader.post("BUY", 0.3, 10)
    assert (reply.status, "cancel-only" in reply.body["error"]) == (503, True)
    trader.floor.strike(Fault(FaultName.PAUSE, detail="disabled"))
    assert (trader.cancel(resting).status, trader.post("BUY", 0.3, 10).status) == (503, 503)
    trader.floor.strike(Fault(FaultName.PAUSE))
    assert trader.cancel(resting).body["canceled"] == [resting]


def test_a_market_that_closes_takes_its_orders_along(trader: Trader) -> None:
    resting = trader.post("BUY", 0.3, 10).body["orderID"]
    trader.floor.strike(Fault(FaultName.CHURN, markets=(CONDITION,), detail=ChurnStep.CLOSE))
    trader.floor.pass_ms()
    assert trader.order(resting)["status"] == "CANCELED"
    assert trader.floor.venue.canonical()[CONDITION] == CanonicalBook((), (), "closed")
    assert refused(trader.post("BUY", 0.3, 10)) == "the market is not yet ready to process new orders"


def test_the_door_waits_for_a_reply_that_is_held(tmp_path: Path) -> None:
    trader, listing = Trader(tmp_path, showcase=True), up_or_down("showcase-up-or-down")
    trader.floor.place("sell", 5_000, 1_000, market=listing.condition_id)
    body = json.dumps(trader.form("BUY", 0.50, 10, token=listing.tokens[0]))
    request = Request("POST", "/order", [], body.encode(), trader.headers("POST", "/order", body))

    async def story() -> Reply:
        asking = asyncio.create_task(RestDoor(trader.floor.rest, trader.floor.faults).answer(request))
        await asyncio.sleep(0)
        trader.floor.pass_ms(249)
        await asyncio.sleep(0)
        assert not asking.done()
        trader.floor.pass_ms(1)
        return await asking

    assert asyncio.run(story()).body["status"] == "matched"
