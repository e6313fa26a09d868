"""What the Polymarket simulator's market channel says when its engine moves the books."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from infra.simulator.faults import Fault, FaultName
from tests.unit.infra.simulator.polymarket.floor import SECOND, START, Floor, Follower, opened, own_hash, rest_book
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES


def test_a_subscription_opens_with_a_compact_array_of_books(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    floor.place("buy", 4_000, 1_250)
    floor.pass_ms()
    (text,) = Follower(floor, YES, NO).texts()
    assert text.endswith("]\n")
    assert ", " not in text
    yes, no = json.loads(text)
    assert list(yes) == ["market", "asset_id", "timestamp", "hash", "bids", "asks", "tick_size", "event_type",
                         "last_trade_price"]  # fmt: skip
    assert yes["bids"] == [{"price": "0.4", "size": "12.5"}]
    assert no["asks"] == [{"price": "0.6", "size": "12.5"}]
    assert (yes["timestamp"], yes["last_trade_price"]) == (str(START // 10**6), "")


def test_an_order_that_rests_is_told_for_both_legs(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path)
    floor.place("buy", 4_200, 700)
    floor.pass_ms()
    (text,) = follower.texts()
    assert '", "' in text  # later frames are not as compact as the first
    assert '": ' not in text
    event = json.loads(text)
    assert (event["market"], event["event_type"]) == (CONDITION, "price_change")
    by_token = {change["asset_id"]: change for change in event["price_changes"]}
    assert by_token[YES] == {
        "asset_id": YES, "price": "0.42", "size": "7", "side": "BUY", "best_bid": "0.42", "best_ask": "0.45",
        "hash": rest_book(floor)["hash"],
    }  # fmt: skip
    assert by_token[NO] == {
        "asset_id": NO, "price": "0.58", "size": "7", "side": "SELL", "best_bid": "0.55", "best_ask": "0.58",
        "hash": rest_book(floor, NO)["hash"],
    }  # fmt: skip


def test_sizes_are_absolute_and_zero_removes(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path)
    floor.place("buy", 4_000, 125)
    floor.engine.cancel("order-1")
    floor.engine.cancel("order-3")
    floor.pass_ms()
    changes = [
        change for event in follower.read() for change in event["price_changes"] if change["asset_id"] == YES
    ]  # fmt: skip
    assert [change["size"] for change in changes] == ["11.25", "1.25", "0"]
    assert changes[-1]["best_bid"] == "0"
    assert follower.books[YES]["bids"] == {}


def test_a_trade_is_a_change_then_both_books_then_later_the_trade(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path)
    floor.place("buy", 4_500, 250)
    floor.pass_ms()
    change, *books = follower.read()
    assert change["event_type"] == "price_change"
    assert [(book["event_type"], book["asset_id"]) for book in books] == [("book", YES), ("book", NO)]
    for book in books:
        assert list(book) == ["market", "asset_id", "bids", "asks", "hash", "timestamp", "event_type"]
        assert book["hash"] in {leg["hash"] for leg in change["price_changes"] if leg["asset_id"] == book["asset_id"]}
    floor.pass_ms(33)
    assert follower.read() == []
    floor.pass_ms(88 - 33)
    (trade,) = follower.read()
    told = {"price": "0.45", "side": "BUY"} if trade["asset_id"] == YES else {"price": "0.55", "side": "SELL"}
    assert told.items() <= trade.items()
    assert (trade["event_type"], trade["size"], trade["fee_rate_bps"]) == ("last_trade_price", "2.5", "0")
    assert 34 <= int(trade["timestamp"]) - int(change["timestamp"]) <= 88
    assert len(trade["transaction_hash"]) == 66


def test_the_venue_hashes_with_a_trade_that_it_has_not_told_yet(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path)
    before = rest_book(floor)
    floor.place("buy", 4_500, 250)
    floor.pass_ms()
    change = follower.read()[0]
    (leg,) = (leg for leg in change["price_changes"] if leg["asset_id"] == YES)
    assert own_hash(before, YES, change["timestamp"], follower.books[YES]) != leg["hash"]
    after = before | {"last_trade_price": rest_book(floor)["last_trade_price"]}
    assert after["last_trade_price"] in ("0.450", "0.550")
    assert own_hash(after, YES, change["timestamp"], follower.books[YES]) == leg["hash"]


def test_the_last_price_has_three_decimals_unless_the_finest_grid_shall_have_four(tmp_path: Path) -> None:
    for fine, shown in ((False, {"0.450", "0.550"}), (True, {"0.4500", "0.5500"})):
        floor, _ = opened(tmp_path / str(fine), fine_last_price=fine)
        floor.strike(Fault(FaultName.TICK_CHANGE, detail="0.0001"))
        floor.place("buy", 4_500, 250)
        floor.pass_ms()
        assert rest_book(floor)["last_trade_price"] in shown


def test_an_order_that_sweeps_shares_a_message_and_a_transaction(tmp_path: Path) -> None:
    for seed in range(4):
        floor, follower = opened(tmp_path / str(seed), seed=seed)
        floor.place("sell", 4_600, 300)
        floor.pass_ms()
        follower.read()
        floor.place("buy", 4_600, 2_000)
        floor.pass_ms(100)
        events = follower.read()
        kinds = [event["event_type"] for event in events]
        changes = kinds.count("price_change")
        assert kinds == ["price_change"] * changes + ["book"] * 2 + ["last_trade_price"] * 2
        assert changes in (1, 3)
        assert len({event["transaction_hash"] for event in events[-2:]}) == 1
        assert [level for level in follower.books[YES]["bids"].items() if level[0] == "0.46"] == [("0.46", "4.5")]


@pytest.mark.parametrize("form", ["each", "last"])
def test_a_shared_message_hashes_each_book_or_only_the_last(form: str, tmp_path: Path) -> None:
    for seed in range(8):
        floor, follower = opened(tmp_path / f"{form}{seed}", seed=seed, batch_hashes=form)
        for price in (4_100, 4_200):
            floor.place("buy", price, 500)
        floor.pass_ms()
        events = follower.read()
        if len(events) == 1:
            first, last = (leg["hash"] for leg in events[0]["price_changes"] if leg["asset_id"] == YES)
            assert last == rest_book(floor)["hash"]
            assert (first == last) is (form == "last")
            return
    pytest.fail("no message was shared")


def test_hashes_that_say_nothing_and_hashes_that_are_left_out(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path / "order", hash_form="order")
    floor.place("buy", 4_200, 500)
    floor.pass_ms()
    yes, no = (leg["hash"] for leg in follower.read()[0]["price_changes"])
    assert yes == no != rest_book(floor)["hash"]
    assert len(yes) == 40
    floor, follower = opened(tmp_path / "none", omitted_hashes=1.0)
    floor.place("buy", 4_200, 500)
    floor.pass_ms()
    assert all("hash" not in leg for leg in follower.read()[0]["price_changes"])


def test_batched_changes_wait_a_little_and_then_share_a_flush(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path)
    floor = Floor(tmp_path / "late", batched=1.0, batch_ms=(20, 20), touches=0.0)
    follower = Follower(floor, YES)
    follower.read()
    floor.place("buy", 4_000, 500)
    floor.pass_ms(19)
    floor.place("buy", 4_100, 500)
    assert follower.read() == []
    floor.pass_ms(1)
    events = follower.read()
    assert {event["timestamp"] for event in events} == {str((START + 19 * 10**6) // 10**6)}
    assert follower.books[YES]["bids"] == {"0.4": "5", "0.41": "5"}


def test_arrays_repeats_and_dust(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path / "arrays", arrays=1.0)
    floor.place("buy", 4_500, 250)
    floor.pass_ms()
    (text,) = follower.texts()
    assert [event["event_type"] for event in json.loads(text)] == ["price_change", "book", "book"]
    floor, follower = opened(tmp_path / "again", resent=1.0)
    floor.place("buy", 4_200, 250)
    floor.pass_ms()
    first, second = follower.texts()
    assert first == second
    floor, follower = opened(tmp_path / "dust", dust=1.0)
    size = follower.books[YES]["asks"]["0.45"]
    assert Decimal("12.5") < Decimal(size) < Decimal("12.51")
    assert follower.ladders(YES, YES).asks == ((4_500, 1_250),)
    assert rest_book(floor)["asks"] == [{"price": "0.45", "size": size}]


def test_custom_features_bring_the_touch_and_only_when_it_moves(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path)
    custom = Follower(floor, NO, custom_feature_enabled=True)
    custom.read()
    floor.place("buy", 3_900, 500)
    floor.pass_ms()
    assert [event["event_type"] for event in custom.read()] == ["price_change"]
    floor.place("buy", 4_200, 500)
    floor.pass_ms()
    (touch,) = (event for event in custom.read() if event["event_type"] == "best_bid_ask")
    assert touch == {
        "market": CONDITION, "asset_id": NO, "best_bid": "0.55", "best_ask": "0.58", "spread": "0.03",
        "timestamp": str(START // 10**6), "event_type": "best_bid_ask",
    }  # fmt: skip
    assert {event["event_type"] for event in follower.read()} == {"price_change"}


def test_a_watcher_of_one_leg_gets_the_sibling_in_changes_but_not_its_books(tmp_path: Path) -> None:
    floor, _ = opened(tmp_path)
    half = Follower(floor, YES)
    assert [event["asset_id"] for event in half.read()] == [YES]
    floor.place("buy", 4_500, 250)
    floor.pass_ms()
    change, *books = half.read()
    assert {leg["asset_id"] for leg in change["price_changes"]} == {YES, NO}
    assert [book["asset_id"] for book in books] == [YES]


def test_too_many_tokens_and_a_missing_first_book_say_nothing(tmp_path: Path) -> None:
    floor = Floor(tmp_path, book_assets=3)
    many = Follower(floor, "901", "902", YES, NO)
    assert [event["asset_id"] for event in many.read()] == [YES]
    floor.place("buy", 4_000, 500)
    floor.pass_ms()
    assert [event["event_type"] for event in many.read()] == ["price_change"]
    assert [event["asset_id"] for event in Follower(floor, YES, NO, initial_dump=True, level=2).read()] == [YES, NO]
    assert Follower(floor, YES, initial_dump=False).texts() == []
    floor.strike(Fault(FaultName.NO_FIRST_BOOK, markets=(CONDITION,), until_ns=START + SECOND))
    late = Follower(floor, YES, NO)
    assert late.texts() == ["[]\n"]
    floor.pass_ms(1_000)
    late.say({"operation": "unsubscribe", "assets_ids": [YES]})
    late.say({"operation": "subscribe", "assets_ids": [YES], "custom_feature_enabled": True})
    assert [event["asset_id"] for event in late.read()] == [YES]
    assert late.session.custom


def test_stamps_follow_the_skew_of_the_clock(tmp_path: Path) -> None:
    floor, follower = opened(tmp_path)
    floor.strike(Fault(FaultName.CLOCK_SKEW, delay_ms=-5_000))
    floor.place("buy", 4_200, 500)
    floor.pass_ms()
    assert follower.read()[0]["timestamp"] == str(START // 10**6 - 5_000)
    assert floor.get("/time").body == START // SECOND - 5
