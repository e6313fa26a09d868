"""Whatever a client sends to the Polymarket simulator, it answers and goes on as it was."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.infra.simulator.polymarket.floor import Follower
from tests.unit.infra.simulator.polymarket.trader import Trader
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES

TEXT = st.text(max_size=12) | st.sampled_from(
    [YES, NO, CONDITION, "MA==", "BUY", "true", "aWQ6Mw==", "9" * 90, "0x" + "12" * 32]
)
JSON = st.recursive(
    TEXT | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
PATHS = st.sampled_from([
    "/book", "/books", "/price", "/prices", "/midpoint", "/markets", "/events", "/markets/keyset", "/events/keyset",
    f"/clob-markets/{CONDITION}", f"/markets-by-token/{YES}", "/simplified-markets", "/spreads", "/last-trades-prices",
    "/order", "/data/order/0x", "/gamma/markets/12", "/clob/markets", "/", "//", "/markets/slug/",
])  # fmt: skip
NAMES = st.sampled_from([
    "token_id", "side", "next_cursor", "after_cursor", "limit", "offset", "order", "ascending", "closed", "id",
    "condition_ids", "end_date_min", "slug", "include_markets",
])  # fmt: skip
FIELDS = st.sampled_from([
    "salt", "maker", "signer", "tokenId", "makerAmount", "takerAmount", "side", "signatureType", "timestamp",
    "expiration", "metadata", "builder", "owner", "orderType", "postOnly",
])  # fmt: skip


@pytest.fixture(scope="module")
def trader(tmp_path_factory: pytest.TempPathFactory) -> Trader:
    trader = Trader(tmp_path_factory.mktemp("tape"), showcase=True)
    trader.floor.place("sell", 4_500, 1_000)
    trader.floor.pass_ms()
    return trader


@given(
    st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    PATHS,
    st.lists(st.tuples(NAMES, TEXT), max_size=3),
    st.binary(max_size=30) | JSON,
)
def test_any_call(trader: Trader, method: str, path: str, query: list[tuple[str, str]], body: Any) -> None:
    reply = trader.floor.ask(method, path, body, query)
    assert reply.status in (200, 400, 401, 404, 422)
    assert reply.encoded()


@given(st.dictionaries(FIELDS, TEXT | st.integers(-3, 10**18) | st.booleans() | st.none(), min_size=1, max_size=3))
def test_any_order(trader: Trader, wrong: dict[str, Any]) -> None:
    form = trader.form("BUY", 0.45, 10, "FAK")
    form |= {name: value for name, value in wrong.items() if name in form}
    form["order"] |= {name: value for name, value in wrong.items() if name in form["order"]}
    before = trader.floor.venue.canonical()
    reply = trader.call("POST", "/order", form)
    assert reply.status in (200, 400)
    assert (trader.floor.venue.canonical() == before) is (reply.status == 400)
    if reply.status == 200:
        trader.floor.place("sell", 4_500, 1_000 - sum(size for _, size in trader.floor.engine.levels(CONDITION)[1]))
    trader.floor.pass_ms()


@given(
    JSON.map(json.dumps)
    | TEXT
    | st.dictionaries(st.sampled_from(["assets_ids", "type", "operation"]), JSON).map(json.dumps)
)
def test_any_message(trader: Trader, text: str) -> None:
    follower = Follower(trader.floor)
    follower.say(text)
    follower.say({"assets_ids": [YES], "type": "market"})
    assert json.loads(follower.texts()[-1])[0]["asset_id"] == YES
    trader.floor.venue.close(follower.session)
