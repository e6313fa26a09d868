"""Every command of the Kalshi simulator's websocket, its replies, its error codes, and the forms that are uncertain."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.kalshi.channels import CHANNELS
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.metadata import market_id_of
from tests.unit.infra.simulator.kalshi.exchange import COMBO, A, B, Client, Exchange

DEAD_CHANNELS = ("ticker_v2", "multivariate", "orderbook", "gossip")


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(Exchange(tmp_path))


def code(frames: list[dict[str, Any]]) -> int:
    (frame,) = frames
    assert frame["type"] == "error"
    return int(frame["msg"]["code"])


def test_every_documented_channel_can_be_subscribed_to_and_has_its_own_sid(client: Client) -> None:
    for sid, channel in enumerate(CHANNELS, 1):
        named = {"market_tickers": [A]} if channel == "orderbook_delta" else {}
        frames = client.send("subscribe", sid, channels=[channel], **named)
        assert frames[0] == {"id": sid, "type": "subscribed", "msg": {"channel": channel, "sid": sid}}
    listed = client.send("list_subscriptions", 99)
    assert listed == [
        {"id": 99, "type": "ok", "msg": [{"channel": name, "sid": sid} for sid, name in enumerate(CHANNELS, 1)]}
    ]


def test_one_command_for_two_channels_is_answered_twice(client: Client) -> None:
    first, snapshot, second = client.send("subscribe", channels=["orderbook_delta", "trade"], market_tickers=[A])
    assert (first["msg"], second["msg"]) == (
        {"channel": "orderbook_delta", "sid": 1},
        {"channel": "trade", "sid": 2},
    )
    assert snapshot["type"] == "orderbook_snapshot"


@pytest.mark.parametrize("channel", DEAD_CHANNELS)
def test_channels_that_do_not_exist_any_more_are_unknown(client: Client, channel: str) -> None:
    assert code(client.subscribe(channel=channel)) == 8


def test_subscribing_again_adds_and_says_so_in_sequence(client: Client) -> None:
    client.subscribe(A)
    ok, snapshot = client.subscribe(B, A)
    assert ok == {"id": 1, "sid": 1, "seq": 2, "type": "ok", "msg": {"market_tickers": [A, B]}}
    assert (snapshot["msg"]["market_ticker"], snapshot["seq"]) == (B, 3)
    (short,) = client.subscribe(A, skip_ticker_ack=True)
    assert (short["msg"], short["seq"]) == ({}, 4)
    assert client.gaps == 0


def test_markets_are_taken_away_and_a_subscription_ends_in_sequence(client: Client) -> None:
    client.subscribe(A, B)
    (ok,) = client.send("update_subscription", 3, sid=1, action="delete_markets", market_ticker=A)
    assert ok == {"id": 3, "sid": 1, "seq": 3, "type": "ok", "msg": {"market_tickers": [B]}}
    assert client.send("unsubscribe", 5, sids=[1]) == [{"id": 5, "sid": 1, "seq": 4, "type": "unsubscribed"}]


def test_the_unsequenced_channels_are_answered_without_a_number(client: Client) -> None:
    client.subscribe(A, channel="ticker")
    (ok,) = client.send("update_subscription", sids=[1], action="add_markets", market_tickers=[B])
    assert ok == {"id": 1, "sid": 1, "type": "ok", "msg": {"market_tickers": [A, B]}}


def test_a_command_without_an_id_is_answered_without_one(client: Client) -> None:
    assert client.send("list_subscriptions", 0) == [{"type": "ok", "msg": []}]


def test_an_error_about_a_subscription_is_scoped_to_it_and_takes_a_number(client: Client) -> None:
    client.subscribe(A)
    (error,) = client.send("update_subscription", 7, sids=[1], action="add_markets", market_tickers=["NO-1"])[:1]
    assert (error["id"], error["sid"], error["seq"]) == (7, 1, 2)
    assert error["msg"] == {"code": 11, "msg": "Invalid parameter: market not found", "market_ticker": "NO-1"}
    (unscoped,) = client.send("subscribe", 8, channels=["gossip"])
    assert "sid" not in unscoped


def test_uncertain_replies_come_in_the_other_form_too(tmp_path: Path) -> None:
    options = KalshiOptions(numbered_replies=False, first_seq=2, errors_name_markets=False)
    client = Client(Exchange(tmp_path, options))
    _, snapshot = client.subscribe(A)
    assert snapshot["seq"] == 2
    refused, ok = client.send("update_subscription", sids=[1], action="add_markets", market_tickers=["NO-1"])
    assert refused.keys() == {"id", "sid", "type", "msg"}
    assert refused["msg"].keys() == {"code", "msg"}
    assert ok.keys() == {"id", "sid", "type", "msg"}
    (snapshot,) = client.send("update_subscription", sids=[1], action="get_snapshot", market_tickers=[A])
    assert snapshot["seq"] == 3
    assert client.send("unsubscribe", sids=[1]) == [{"id": 1, "sid": 1, "type": "unsubscribed"}]


def test_the_default_form_of_no_prices_can_be_flipped(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(default_yes_price=True))
    exchange.quote("sell", 4600)
    unsaid, explicit = Client(exchange), Client(exchange)
    assert unsaid.subscribe(A)[1]["msg"]["no_dollars_fp"] == [["0.4600", "10.00"]]
    assert explicit.subscribe(A, use_yes_price=False)[1]["msg"]["no_dollars_fp"] == [["0.5400", "10.00"]]


def test_the_ticker_channel_takes_market_ids(client: Client) -> None:
    client.send("subscribe", channels=["ticker"], market_ids=[market_id_of(B)])
    client.session.venue.publisher.ticker(client.session.venue.catalogue.markets[B])
    client.session.venue.publisher.ticker(client.session.venue.catalogue.markets[A])
    assert [frame["msg"]["market_ticker"] for frame in client.read()] == [B]


def test_lifecycle_has_no_filter(client: Client) -> None:
    (subscribed,) = client.subscribe("NO-1", channel="market_lifecycle_v2")
    assert subscribed["type"] == "subscribed"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"shard_factor": 0}, 19),
        ({"shard_factor": "x"}, 19),
        ({"shard_key": 0}, 20),
        ({"shard_factor": 4, "shard_key": 4}, 21),
        ({"shard_factor": 4, "shard_key": -1}, 21),
        ({"shard_factor": 101, "shard_key": 0}, 22),
    ],
)
def test_wrong_shard_parameters(client: Client, params: dict[str, Any], expected: int) -> None:
    assert code(client.send("subscribe", channels=["communications"], **params)) == expected


def test_right_shard_parameters(client: Client) -> None:
    (subscribed,) = client.send("subscribe", channels=["communications"], shard_factor=100, shard_key=99)
    assert subscribed["type"] == "subscribed"


@pytest.mark.parametrize(
    ("channel", "listing", "action", "name", "missing"),
    [
        ("cfbenchmarks_value", "indexlist", "subscribe_indices", "index_ids", 24),
        ("cfbenchmarks_value_5hz", "indexlist", "subscribe_indices", "index_ids", 24),
        ("pyth_value", "underlying_list", "subscribe_underlyings", "underlying_tickers", 28),
    ],
)
def test_reference_prices_take_their_own_actions(
    client: Client, channel: str, listing: str, action: str, name: str, missing: int
) -> None:
    def named(*references: str) -> dict[str, Any]:
        return {name: list(references)}

    client.subscribe(channel=channel)
    (listed,) = client.send("update_subscription", sids=[1], action=listing)
    assert (listed["type"], listed["seq"], list(listed["msg"])) == (f"{channel}_{listing}", 1, [name])
    (ok,) = client.send("update_subscription", sids=[1], action=action, **named("X", "Y"))
    assert (ok["type"], ok["msg"]) == ("ok", {name: ["X", "Y"]})
    (ok,) = client.send("update_subscription", sids=[1], action=f"un{action}", **named("X"))
    assert ok["msg"] == {name: ["Y"]}
    assert code(client.send("update_subscription", sids=[1], action=action)) == missing
    assert code(client.send("update_subscription", sids=[1], action="add_markets", market_tickers=[A])) == 13


@pytest.mark.parametrize("channel", [name for name, each in CHANNELS.items() if each.private])
def test_private_channels_need_an_account(tmp_path: Path, channel: str) -> None:
    exchange = Exchange(tmp_path)
    assert code(Client(exchange, owner="").subscribe(channel=channel)) == 9
    assert Client(exchange, owner="me").subscribe(channel=channel)[0]["type"] == "subscribed"


def test_too_many_commands_in_a_second(tmp_path: Path) -> None:
    exchange = Exchange(tmp_path, KalshiOptions(commands_per_s=3))
    client = Client(exchange)
    for _ in range(3):
        assert client.send("list_subscriptions")[0]["type"] == "ok"
    assert code(client.send("list_subscriptions")) == 27
    exchange.wait(1000)
    assert client.send("list_subscriptions")[0]["type"] == "ok"


def test_too_many_markets_for_a_subscription(tmp_path: Path) -> None:
    client = Client(Exchange(tmp_path), markets=2)
    client.subscribe(A, B)
    (error,) = client.send("update_subscription", sids=[1], action="add_markets", market_tickers=[COMBO])
    assert (error["sid"], error["msg"]["code"]) == (1, 26)
    assert code(client.subscribe(A, B, COMBO, channel="trade")) == 26


@pytest.mark.parametrize(
    "params",
    [
        {"channels": ["orderbook_delta"], "market_ids": ["x"]},
        {"channels": ["ticker"], "market_ids": ["x"], "market_tickers": [A]},
        {"channels": ["ticker"], "market_tickers": [1]},
        {"channels": ["orderbook_delta"], "market_tickers": [A], "use_yes_price": 1},
    ],
)
def test_malformed_parameters(client: Client, params: dict[str, Any]) -> None:
    assert code(client.send("subscribe", **params)) == 11


@pytest.mark.parametrize("text", ["{", "[]", "nonsense", "[" * 100_000, "\x00", '{"id":' + "9" * 5000 + "}"])
def test_what_is_no_command(client: Client, text: str) -> None:
    client.session.handle(text)
    assert code(client.read()) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from([A, B, "trade", "ticker", 1]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
NAMES = (
    "channels",
    "market_ticker",
    "market_tickers",
    "market_ids",
    "sids",
    "sid",
    "action",
    "shard_factor",
    "shard_key",
)
COMMANDS = st.sampled_from(["subscribe", "update_subscription", "unsubscribe", "list_subscriptions"])
ACTIONS = st.sampled_from(["add_markets", "delete_markets", "get_snapshot", "indexlist", "subscribe_indices"])


@settings(deadline=None, max_examples=60)
@given(
    COMMANDS | VALUES,
    st.dictionaries(st.sampled_from(NAMES), VALUES) | VALUES,
    st.none() | ACTIONS,
    st.none() | st.lists(st.sampled_from([*CHANNELS, "gossip"]), max_size=3),
)
def test_no_command_whatsoever_breaks_the_connection(
    tmp_path_factory: pytest.TempPathFactory, cmd: Any, params: Any, action: str | None, channels: list[str] | None
) -> None:
    client = Client(Exchange(tmp_path_factory.mktemp("tape")))
    client.subscribe(A)
    if isinstance(params, dict):
        params |= {} if action is None else {"action": action, "sids": [1]}
        params |= {} if channels is None else {"channels": channels}
    client.session.handle(json.dumps({"id": 1, "cmd": cmd, "params": params}))
    client.read()
    assert not client.outbox.closed
    assert client.gaps == 0
    assert client.send("list_subscriptions", 2)[-1]["type"] == "ok"


@pytest.mark.parametrize("identifier", ["9" * 30, "-1", "true", '"x"', "1.5", "null", "[]"])
def test_an_id_that_is_none_is_answered_without_one(client: Client, identifier: str) -> None:
    client.session.handle('{"id":' + identifier + ',"cmd":"list_subscriptions"}')
    assert client.read() == [{"type": "ok", "msg": []}]
