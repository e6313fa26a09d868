"""Order entry of the Polymarket simulator: what is refused, how orders match, rest and go."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.infra.simulator.polymarket.floor import SECOND, Follower
from tests.unit.infra.simulator.polymarket.trader import Trader, refused
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES


@pytest.fixture
def trader(tmp_path: Path) -> Trader:
    """On a floor with bids 10 at 0.40 and asks 10 at 0.45 and 20 at 0.47."""
    trader = Trader(tmp_path)
    for side, price, quantity in (("buy", 4_000, 1_000), ("sell", 4_500, 1_000), ("sell", 4_700, 2_000)):
        trader.floor.place(side, price, quantity)  # type: ignore[arg-type]
    trader.floor.pass_ms()
    return trader


def test_an_order_rests_and_is_cancelled_once(trader: Trader) -> None:
    reply = trader.post("BUY", 0.41, 12.5)
    assert reply.body | {"orderID": ""} == {
        "success": True, "errorMsg": "", "orderID": "", "status": "live", "makingAmount": "", "takingAmount": "",
        "transactionsHashes": [], "tradeIDs": [],
    }  # fmt: skip
    identity = reply.body["orderID"]
    assert trader.floor.venue.canonical()[CONDITION].bids[0] == (4_100, 1_250)
    shown = trader.order(identity)
    assert (shown["status"], shown["original_size"], shown["price"], shown["size_matched"]) == (
        "LIVE",
        "12.5",
        "0.41",
        "0",
    )
    assert trader.cancel(identity).body == {"canceled": [identity], "not_canceled": {}}
    gone = {"canceled": [], "not_canceled": {identity: "already canceled or matched"}}
    assert trader.cancel(identity).body == gone
    assert trader.order(identity)["status"] == "CANCELED"
    assert trader.cancel("0x" + "12" * 32).body["canceled"] == []


def test_an_order_for_the_second_outcome_is_the_mirror(trader: Trader) -> None:
    trader.post("SELL", 0.57, 6, token=NO)  # buying YES at 0.43
    assert trader.floor.venue.canonical()[CONDITION].bids[0] == (4_300, 600)
    reply = trader.post("BUY", 0.60, 5, token=NO)  # selling YES at 0.40 takes 0.43 first
    assert (reply.body["status"], reply.body["makingAmount"], reply.body["takingAmount"]) == ("matched", "2.85", "5")


def test_a_match_gets_the_makers_prices_and_the_rest_rests(trader: Trader) -> None:
    follower = Follower(trader.floor, YES, NO)
    follower.read()
    reply = trader.post("BUY", 0.46, 15)
    assert (reply.body["status"], reply.body["makingAmount"], reply.body["takingAmount"]) == ("matched", "4.5", "10")
    assert len(reply.body["tradeIDs"]) == 1
    book = trader.floor.venue.canonical()[CONDITION]
    assert (book.bids[0], book.asks) == ((4_600, 500), ((4_700, 2_000),))
    trader.floor.pass_ms(100)
    (trade,) = (event for event in follower.read() if event["event_type"] == "last_trade_price")
    assert (trade["asset_id"], trade["side"], trade["price"], trade["size"]) == (YES, "BUY", "0.45", "10")
    shown = trader.order(reply.body["orderID"])
    assert (shown["status"], shown["size_matched"]) == ("LIVE", "10")
    trader.floor.place("sell", 4_600, 500)
    assert trader.order(reply.body["orderID"])["status"] == "MATCHED"


def test_amounts_can_be_in_base_units(tmp_path: Path) -> None:
    trader = Trader(tmp_path, amounts="base")
    trader.floor.place("sell", 4_500, 1_000)
    body = trader.post("BUY", 0.45, 10).body
    assert (body["makingAmount"], body["takingAmount"]) == ("4500000", "10000000")


@pytest.mark.parametrize(
    ("dollars", "kind", "taken", "spent"),
    [
        (4.5, "FOK", "10", "4.5"),
        (5.44, "FAK", "12", "5.44"),
        (5.0, "FOK", "11.06", "4.9982"),  # a hundredth of a share more would cost 0.0047: 0.0018 is left
        (100.0, "FAK", "30", "13.9"),
    ],
)
def test_immediate_buys_are_for_so_many_dollars(
    trader: Trader, dollars: float, kind: str, taken: str, spent: str
) -> None:
    reply = trader.post("BUY", 0.47, dollars / 0.47, kind=kind, makerAmount=str(int(dollars * 1_000_000)))
    assert (reply.body["takingAmount"], reply.body["makingAmount"]) == (taken, spent)
    assert trader.floor.venue.canonical()[CONDITION].bids == ((4_000, 1_000),)


def test_immediate_sells_are_for_so_many_shares(trader: Trader) -> None:
    reply = trader.post("SELL", 0.39, 25, kind="FAK")
    assert (reply.body["makingAmount"], reply.body["takingAmount"]) == ("10", "4")
    assert trader.order(reply.body["orderID"])["status"] == "CANCELED"
    assert trader.floor.venue.canonical()[CONDITION].bids == ()


def test_what_cannot_be_filled_is_killed_and_can_be_posted_again(trader: Trader) -> None:
    killed = "order couldn't be fully filled. FOK orders are fully filled or killed."
    no_match = (
        "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
    )
    assert refused(trader.post("BUY", 0.46, 20, kind="FOK")) == killed
    assert refused(trader.post("SELL", 0.4, 11, kind="FOK")) == killed
    assert refused(trader.post("BUY", 0.44, 20, kind="FAK")) == no_match
    form = trader.form("SELL", 0.41, 20, kind="FAK")
    assert refused(trader.call("POST", "/order", form)) == no_match
    trader.floor.place("buy", 4_100, 1_000)
    assert trader.call("POST", "/order", form).body["status"] == "matched"
    assert trader.call("GET", "/data/order/0x" + "34" * 32).status == 404


@pytest.mark.parametrize(
    ("form", "more", "error"),
    [
        (("BUY", 0.415, 10), {}, "Price (0.415) breaks minimum tick size rule: 0.01"),
        (("BUY", 1.0, 10), {}, "Price (1) breaks minimum tick size rule: 0.01"),
        (("BUY", 0.3, 4.99), {}, "Size (4.99) lower than the minimum: 5"),
        (("BUY", 0.45, 5), {"postOnly": True}, "invalid post-only order: order crosses book"),
        (("BUY", 0.45, 10, "FAK"), {"postOnly": True}, "only GTC and GTD orders can be post-only"),
        (("BUY", 0.45, 2, "FAK"), {}, "invalid amount for a marketable BUY order ($0.9), min size: $1"),
        (("SELL", 0.1, 9.5, "FOK"), {}, "invalid amount for a marketable SELL order ($0.95), min size: $1"),
        (("BUY", 0.3, 10), {"expiration": "1"}, "invalid expiration"),
        (("BUY", 0.3, 10, "GTD"), {"expiration": str(1_790_000_000 + 179)}, "invalid expiration"),
        (("BUY", 0.3, 10), {"owner": "another"}, "the order owner has to be the owner of the API KEY"),
        (
            ("BUY", 0.3, 10),
            {"signer": "0x" + "b2" * 20},
            "the order signer address has to be the address of the API KEY",
        ),
        (("BUY", 0.3, 10), {"nonce": "0"}, "order_version_mismatch"),
        (("BUY", 0.3, 10), {"token": "999"}, "the orderbook 999 does not exist"),
        (("BUY", 0.3, 10), {"makerAmount": "-3"}, "Invalid order payload"),
        (("HOLD", 0.3, 10), {}, "Invalid order payload"),
        (("BUY", 0.3, 10), {"salt": 1 << 53}, "Invalid order payload"),
        (("BUY", 0.3, 10), {"maker": "me"}, "Invalid order payload"),
        (("BUY", 0.3, 10, "IOC"), {}, "Invalid order payload"),
    ],
)
def test_what_is_refused(trader: Trader, form: tuple[Any, ...], more: dict[str, Any], error: str) -> None:
    before = trader.floor.venue.canonical()
    assert refused(trader.call("POST", "/order", trader.form(*form, **more))).endswith(error)
    assert trader.floor.venue.canonical() == before


def test_a_small_order_may_rest_and_a_body_that_is_none_is_refused(trader: Trader) -> None:
    assert trader.post("BUY", 0.01, 5).body["status"] == "live"
    assert trader.post("SELL", 0.4, 5).body["status"] == "matched"
    assert refused(trader.call("POST", "/order", [])) == "Invalid order payload"
    for body in ({}, {"orderID": 3}):
        assert refused(trader.call("DELETE", "/order", body)) == "Invalid order payload"
    assert refused(trader.cancel("0x12")) == refused(trader.call("GET", "/data/order/12")) == "Invalid orderID"


def test_the_same_order_twice_is_refused(trader: Trader) -> None:
    form = trader.form("BUY", 0.3, 10)
    first = trader.call("POST", "/order", form)
    assert refused(trader.call("POST", "/order", form)) == f"order {first.body['orderID']} is invalid. Duplicated."


@pytest.mark.parametrize(
    "wrong",
    [
        {"poly_api_key": "x"},
        {"poly_passphrase": "x"},
        {"poly_address": "0x" + "b2" * 20},
        {"poly_signature": "AAAA"},
        {"timestamp": "1789999900"},
        {"timestamp": "soon"},
    ],
)
def test_a_call_must_be_signed(trader: Trader, wrong: dict[str, str]) -> None:
    body = json.dumps(trader.form("BUY", 0.3, 10))
    reply = trader.floor.ask("POST", "/order", body.encode(), headers=trader.headers("POST", "/order", body, **wrong))
    assert (reply.status, reply.body) == (401, {"error": "Unauthorized/Invalid api key"})
    other = trader.headers("POST", "/order", body + " ")
    assert trader.floor.ask("POST", "/order", body.encode(), headers=other).status == 401
    assert trader.floor.ask("GET", "/data/order/0x12").status == 401


def test_nobody_trades_without_configured_credentials(tmp_path: Path) -> None:
    trader = Trader(tmp_path)
    trader.floor = type(trader.floor)(tmp_path)
    assert trader.post("BUY", 0.3, 10).status == 401


def test_a_good_till_date_order_goes_a_minute_early(trader: Trader) -> None:
    expiration = trader.floor.now_ns // SECOND + 180
    identity = trader.post("BUY", 0.3, 10, "GTD", expiration=str(expiration)).body["orderID"]
    trader.floor.pass_ms(119_999)
    assert trader.order(identity)["status"] == "LIVE"
    trader.floor.pass_ms(1)
    assert trader.order(identity)["status"] == "CANCELED"
