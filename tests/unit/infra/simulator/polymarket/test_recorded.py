"""The Polymarket simulator's messages and hashes beside recorded ones.

Recordings under a licence that keeps them out of this project are read where they are, from ``data`` in the folder that
DUTCHBOOK_TEST_SHARED names, else in ``shared`` beside the project; without it these tests are skipped.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from infra.simulator.exchange import BookFacts, book_hash
from infra.simulator.faults import ChurnStep, Fault, FaultName
from tests.unit.infra.simulator.polymarket.floor import Floor, Follower, own_hash
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES

SHARED = Path(os.environ.get("DUTCHBOOK_TEST_SHARED") or Path(__file__).resolve().parents[6] / "shared")
RECORDED = SHARED / "data" / "nautechsystems__nautilus_trader"

TOKEN_V2 = "663574927012476832975694178961957910328055987427402067619466963999000625152"
MARKET_V2 = "0x017791f201d5a788e0039e511fc1900e5f000000000000000000000000000000"
HASH_V2 = "fc3846cab0c35a0977b6e5f605a4e5ff0d0b2277"


def recorded(name: str) -> dict[str, Any]:
    file = RECORDED / name
    if not file.is_file():
        pytest.skip(f"no recording: {file} is not there")
    body: dict[str, Any] = json.loads(file.read_text())
    return body


def test_the_hash_of_an_empty_book_is_the_one_the_venue_sent_on_2026_10_05() -> None:
    """Its REST body and the first frame of a session carried the same hash; without the version it is another."""
    facts = BookFacts(MARKET_V2, version="v2")
    assert book_hash(facts, TOKEN_V2, "1791238858575", [], []) == HASH_V2
    assert book_hash(BookFacts(MARKET_V2), TOKEN_V2, "1791238858575", [], []) != HASH_V2


def test_the_tests_own_hash_is_the_venues_too() -> None:
    facts = {"market": MARKET_V2, "min_order_size": "5", "tick_size": "0.01", "neg_risk": False, "version": "v2"}
    empty: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    assert own_hash(facts | {"last_trade_price": ""}, TOKEN_V2, "1791238858575", empty) == HASH_V2


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """One event of every kind as the simulator sends it."""
    floor = Floor(tmp_path_factory.mktemp("tape"), told_resolved=1.0)
    follower = Follower(floor, YES, NO, custom_feature_enabled=True)
    floor.place("buy", 4_000, 1_000)
    floor.pass_ms()
    floor.place("sell", 4_000, 500)
    floor.pass_ms(100)
    floor.strike(Fault(FaultName.TICK_CHANGE))
    for step in (ChurnStep.APPEAR, ChurnStep.CLOSE, ChurnStep.SETTLE):
        floor.strike(Fault(FaultName.CHURN, markets=(CONDITION,), detail=step))
        floor.pass_ms(1)
    return {event["event_type"]: event for event in reversed(follower.read())}


@pytest.mark.parametrize(
    "kind", ["book", "last_trade", "new_market", "price_change", "resolved", "tick_size", "best_bid_ask"]
)
def test_every_recorded_field_is_sent_and_has_the_same_type(kind: str, sent: dict[str, dict[str, Any]]) -> None:
    wanted = recorded(f"rust_test_data/ws_market_{kind}_msg.json")
    ours = sent[wanted["event_type"]]
    assert wanted.keys() <= ours.keys()
    assert {name: type(value) for name, value in wanted.items()} == {name: type(ours[name]) for name in wanted}
    if kind == "price_change":
        assert wanted["price_changes"][0].keys() == ours["price_changes"][0].keys()


@pytest.mark.parametrize("name", ["book", "last_trade_price", "price_change_v2", "tick_size_change"])
def test_older_recordings_hold_nothing_else(name: str, sent: dict[str, dict[str, Any]]) -> None:
    wanted = recorded(f"ws_messages/{name}.json")
    ours = sent[wanted["event_type"]]
    assert wanted.keys() <= ours.keys()


def test_the_old_flat_change_of_one_leg_is_not_sent_any_more(sent: dict[str, dict[str, Any]]) -> None:
    assert not recorded("ws_messages/price_change.json").keys() <= sent["price_change"].keys()
