"""The Kalshi simulator without sockets: commands, sequence numbers, canonical books."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.tape import Tape
from tests.unit.infra.simulator.tapes import KalshiClient, delta, play, snapshot, write_tape

LEVELS = [["0.4000", "10.00"], ["0.4500", "5.00"]]


def opened(folder: Path, *frames: str, **more: Any) -> tuple[KalshiVenue, Tape]:
    tape = write_tape(folder, kalshi=[(index, text) for index, text in enumerate(frames)], **more)
    return KalshiVenue(tape), tape


def seqs(frames: list[dict[str, Any]]) -> list[int]:
    return [frame["seq"] for frame in frames]


def test_a_client_from_the_start_gets_the_tapes_frames_word_for_word(tmp_path: Path) -> None:
    frames = [snapshot(1, yes=LEVELS), delta(2, "0.4500", "-5.00"), delta(3, "0.4600", "7.50")]
    venue, tape = opened(tmp_path, *frames)
    client = KalshiClient(venue)
    assert client.subscribe("A-1") == [{"id": 1, "type": "subscribed", "msg": {"channel": "orderbook_delta", "sid": 1}}]
    play(venue, tape)
    assert client.texts() == frames


def test_sid_and_seq_are_the_clients_own_and_the_message_stays(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, snapshot(41, yes=LEVELS, sid=9), delta(42, "0.4500", "1.00", sid=9))
    client = KalshiClient(venue)
    client.subscribe("A-1")
    play(venue, tape)
    got = client.read()
    assert [(frame["sid"], frame["seq"]) for frame in got] == [(1, 1), (1, 2)]
    assert got[1]["msg"] == json.loads(delta(42, "0.4500", "1.00"))["msg"]


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        ([10, 11, 14, 15], [1, 2, 5, 6]),  # a gap
        ([10, 11, 11, 12], [1, 2, 2, 3]),  # a repetition
        ([10, 11, 13, 12, 14], [1, 2, 4, 3, 5]),  # a late frame
        ([500, 501, 1, 2], [1, 2, 3, 4]),  # a new recorded connection
    ],
)
def test_what_is_wrong_with_the_tapes_sequence_survives(tmp_path: Path, recorded: list[int], sent: list[int]) -> None:
    frames = [snapshot(recorded[0]), *(delta(seq, "0.1000", "1.00") for seq in recorded[1:])]
    venue, tape = opened(tmp_path, *frames)
    client = KalshiClient(venue)
    client.subscribe("A-1")
    play(venue, tape)
    assert seqs(client.read()) == sent


def test_frames_of_other_markets_and_recorded_replies_make_no_gap(tmp_path: Path) -> None:
    reply = json.dumps({"id": 7, "sid": 1, "seq": 3, "type": "ok", "msg": {"market_tickers": ["A-1"]}})
    frames = [
        snapshot(1),
        snapshot(2, "B-1"),
        reply,
        delta(4, "0.2000", "1.00", ticker="B-1"),
        delta(5, "0.1000", "1.00"),
    ]
    venue, tape = opened(tmp_path, *frames)
    client = KalshiClient(venue)
    client.subscribe("A-1")
    play(venue, tape)
    assert seqs(client.read()) == [1, 2]


def test_a_tape_without_sequence_numbers_gets_them(tmp_path: Path) -> None:
    frame = json.dumps({"type": "orderbook_snapshot", "msg": {"market_ticker": "A-1", "yes_dollars_fp": LEVELS}})
    venue, tape = opened(tmp_path, frame)
    client = KalshiClient(venue)
    client.subscribe("A-1")
    play(venue, tape)
    assert [(got["sid"], got["seq"]) for got in client.read()] == [(1, 1)]


def test_a_repeated_delta_counts_once_in_the_canonical_book(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, snapshot(1), delta(2, "0.3000", "4.00"), delta(2, "0.3000", "4.00"))
    play(venue, tape)
    assert venue.books["A-1"].levels("yes") == [("0.3000", "4.00")]


def test_a_late_client_gets_the_present_book_at_once(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, snapshot(1, yes=LEVELS, no=[["0.5000", "3.00"]]), delta(2, "0.4500", "-5.00"))
    play(venue, tape)
    got = KalshiClient(venue).subscribe("A-1")[1]
    assert (got["type"], got["sid"], got["seq"]) == ("orderbook_snapshot", 1, 1)
    assert got["msg"]["yes_dollars_fp"] == [["0.4000", "10.00"]]
    assert got["msg"]["no_dollars_fp"] == [["0.5000", "3.00"]]


def test_an_early_client_gets_no_snapshot_of_ours_before_the_tapes_own(tmp_path: Path) -> None:
    venue, _ = opened(tmp_path, snapshot(1, yes=LEVELS))
    assert [frame["type"] for frame in KalshiClient(venue).subscribe("A-1")] == ["subscribed"]


def test_a_market_that_begins_with_a_delta_begins_from_an_empty_snapshot(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, delta(8, "0.3000", "4.00"))
    client = KalshiClient(venue)
    client.subscribe("A-1")
    play(venue, tape)
    empty, first = client.read()
    assert empty["msg"].keys() == {"market_ticker", "market_id"}
    assert (empty["seq"], first["seq"]) == (1, 2)


def test_a_market_without_frames_is_empty_at_once(tmp_path: Path) -> None:
    rest = {"GET /trade-api/v2/markets/Q-1": {"market": {"ticker": "Q-1"}}}
    venue, _ = opened(tmp_path, kalshi_rest=rest)
    assert [frame["type"] for frame in KalshiClient(venue).subscribe("Q-1")] == ["subscribed", "orderbook_snapshot"]


def test_yes_prices_turn_the_no_side_only(tmp_path: Path) -> None:
    frames = [
        snapshot(1, yes=LEVELS, no=[["0.3000", "2.00"]]),
        delta(2, "0.3000", "1.00", "no"),
        delta(3, "0.4500", "1.00"),
    ]
    venue, tape = opened(tmp_path, *frames)
    client = KalshiClient(venue)
    client.subscribe("A-1", use_yes_price=True)
    play(venue, tape)
    first, second, third = client.read()
    assert first["msg"]["no_dollars_fp"] == [["0.7000", "2.00"]]
    assert first["msg"]["yes_dollars_fp"] == LEVELS
    assert second["msg"]["price_dollars"] == "0.7000"
    assert third["msg"]["price_dollars"] == "0.4500"
    late = KalshiClient(venue).subscribe("A-1", use_yes_price=True)[1]
    assert late["msg"]["no_dollars_fp"] == [["0.7000", "3.00"]]


def test_a_tape_recorded_with_yes_prices_says_so(tmp_path: Path) -> None:
    (tmp_path / "tape.yaml").write_text("kalshi: {use_yes_price: true}")
    venue, tape = opened(tmp_path, snapshot(1, no=[["0.7000", "2.00"]]))
    client = KalshiClient(venue)
    client.subscribe("A-1")
    play(venue, tape)
    assert client.read()[0]["msg"]["no_dollars_fp"] == [["0.3000", "2.00"]]
    assert venue.books["A-1"].no == {3000: 200}


@pytest.mark.parametrize(
    "text",
    ["{oops", '"text"', '{"type":"novelty","msg":{}}', delta(2, "cheap", "1.00"), delta(2, "0.1000", "1.00", "maybe")],
)
def test_damaged_and_unknown_frames_go_out_as_they_are_and_change_nothing(tmp_path: Path, text: str) -> None:
    venue, tape = opened(tmp_path, snapshot(1, yes=LEVELS), text)
    client, idle = KalshiClient(venue), KalshiClient(venue)
    client.subscribe("A-1")
    play(venue, tape)
    assert client.texts()[1:] == [text]
    assert idle.texts() == []
    assert venue.books["A-1"].levels("yes") == [("0.4000", "10.00"), ("0.4500", "5.00")]


def test_other_channels_carry_their_frames_and_the_ticker_no_sequence(tmp_path: Path) -> None:
    ticker = json.dumps({"type": "ticker", "sid": 4, "msg": {"market_ticker": "A-1", "price_dollars": "0.4"}})
    trade = json.dumps({"type": "trade", "sid": 5, "seq": 9, "msg": {"market_ticker": "A-1", "count_fp": "1.00"}})
    venue, tape = opened(tmp_path, snapshot(1), ticker, trade)
    client = KalshiClient(venue)
    client.send("subscribe", channels=["ticker", "trade"])
    play(venue, tape)
    first, second = client.read()
    assert (first["sid"], "seq" in first) == (1, False)
    assert (second["sid"], second["seq"]) == (2, 1)


def test_get_snapshot_takes_a_number_and_heals_a_gap(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, snapshot(1), delta(2, "0.3000", "4.00"), delta(5, "0.2000", "1.00"))
    client = KalshiClient(venue)
    client.subscribe("A-1")
    play(venue, tape)
    assert seqs(client.read()) == [1, 2, 5]
    (healed,) = client.send("update_subscription", sids=[1], action="get_snapshot", market_tickers=["A-1"])
    assert (healed["type"], healed["seq"]) == ("orderbook_snapshot", 6)
    assert healed["msg"]["yes_dollars_fp"] == [["0.2000", "1.00"], ["0.3000", "4.00"]]


def test_markets_are_added_and_taken_away_on_one_sid(tmp_path: Path) -> None:
    frames = [snapshot(1), snapshot(2, "B-1"), delta(3, "0.3000", "1.00"), delta(4, "0.3000", "1.00", ticker="B-1")]
    venue, tape = opened(tmp_path, *frames)
    client = KalshiClient(venue)
    client.subscribe("A-1")
    (added,) = client.subscribe("B-1", "A-1")
    assert (added["type"], added["sid"], added["seq"]) == ("ok", 1, 1)
    assert added["msg"] == {"market_tickers": ["A-1", "B-1"]}
    (removed,) = client.send("update_subscription", 5, sid=1, action="delete_markets", market_tickers=["A-1"])
    assert removed == {"id": 5, "sid": 1, "seq": 2, "type": "ok", "msg": {"market_tickers": ["B-1"]}}
    play(venue, tape)
    assert {frame["msg"]["market_ticker"] for frame in client.read()} == {"B-1"}
    assert client.send("list_subscriptions")[0]["msg"] == [{"channel": "orderbook_delta", "sid": 1}]
    assert client.send("unsubscribe", 6, sids=[1]) == [{"id": 6, "sid": 1, "seq": 5, "type": "unsubscribed"}]
    assert client.send("list_subscriptions")[0]["msg"] == []


def test_an_unknown_market_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    venue, _ = opened(tmp_path, snapshot(1))
    refused, subscribed = KalshiClient(venue).subscribe("NO-1", "A-1")
    assert refused["type"] == "error"
    assert refused["msg"]["market_ticker"] == "NO-1"
    assert subscribed["type"] == "subscribed"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("{", 1),
        ("[]", 1),
        ('{"id":1,"cmd":"dance"}', 5),
        ('{"id":1,"cmd":"subscribe"}', 2),
        ('{"id":1,"cmd":"subscribe","params":{}}', 3),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["gossip"]}}', 8),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}', 14),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"],"market_tickers":"A-1"}}', 11),
        (
            '{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"market_ticker":"A-1","market_tickers":["A-1"]}}',
            11,
        ),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"use_yes_price":"yes"}}', 11),
        ('{"id":1,"cmd":"unsubscribe","params":{}}', 4),
        ('{"id":1,"cmd":"unsubscribe","params":{"sids":[9]}}', 7),
        ('{"id":1,"cmd":"update_subscription","params":{"action":"add_markets"}}', 4),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1,2],"action":"add_markets"}}', 12),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1]}}', 15),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1],"action":"dance"}}', 13),
        (
            '{"id":1,"cmd":"update_subscription","params":{"sids":[2],"action":"get_snapshot","market_tickers":["A-1"]}}',
            13,
        ),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1],"action":"get_snapshot"}}', 14),
        (
            '{"id":1,"cmd":"update_subscription","params":{"sids":[1],"action":"add_markets","market_tickers":["B-1"]}}',
            26,
        ),
    ],
)
def test_error_codes(tmp_path: Path, command: str, code: int) -> None:
    venue, _ = opened(tmp_path, snapshot(1), snapshot(2, "B-1"))
    client = KalshiClient(venue, market_limit=1)
    client.subscribe("A-1")
    client.send("subscribe", channels=["trade"])
    client.session.handle(command)
    (refused,) = client.read()
    assert (refused["type"], refused["msg"]["code"]) == ("error", code)


def test_a_full_queue_ends_the_subscription_with_code_25(tmp_path: Path) -> None:
    frames = [snapshot(1), *(delta(seq, "0.3000", "1.00") for seq in range(2, 9))]
    venue, tape = opened(tmp_path, *frames)
    slow, quick = KalshiClient(venue, limit=3), KalshiClient(venue)
    for client in (slow, quick):
        client.subscribe("A-1")
    play(venue, tape)
    *delivered, last = slow.read()
    assert seqs(delivered) == [1, 2, 3]
    assert (last["type"], last["sid"], last["msg"]["code"]) == ("error", 1, 25)
    assert len(quick.read()) == 8
    assert slow.send("list_subscriptions")[0]["msg"] == []


def test_a_closed_session_is_forgotten(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, snapshot(1))
    client = KalshiClient(venue)
    client.subscribe("A-1")
    client.session.close()
    play(venue, tape)
    assert client.texts() == []
    assert not venue.sessions


MOVES = st.tuples(st.sampled_from(["yes", "no"]), st.integers(1, 99), st.integers(-500, 500).filter(bool))


@given(st.lists(MOVES, max_size=30), st.integers(0, 30))
def test_the_canonical_book_is_what_a_client_builds_from_its_frames(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, int, int]], joined: int
) -> None:
    """Whenever a client joins, its snapshot and deltas lead to the same book as the whole tape."""
    frames = [snapshot(1, yes=LEVELS)]
    for seq, (side, cents, hundredths) in enumerate(moves, 2):
        sign = "-" if hundredths < 0 else ""
        size = f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"
        frames.append(delta(seq, f"0.{cents:02d}00", size, side))
    venue, tape = opened(tmp_path_factory.mktemp("tape"), *frames)
    client = KalshiClient(venue)
    join = '{"cmd":"subscribe","params":{"channels":["orderbook_delta"],"market_tickers":["A-1"]}}'
    for index, frame in enumerate(tape.frames("kalshi")):
        if index == joined:
            client.session.handle(join)
        venue.deliver(frame)
    if joined >= len(frames):
        client.session.handle(join)
    book: dict[str, dict[str, int]] = {"yes": {}, "no": {}}
    for got in client.read():
        message = got.get("msg", {})
        if got["type"] == "orderbook_snapshot":
            for side in book:
                levels = message.get(f"{side}_dollars_fp", [])
                book[side] = {price: round(float(size) * 100) for price, size in levels}
        elif got["type"] == "orderbook_delta":
            built, price = book[message["side"]], message["price_dollars"]
            built[price] = built.get(price, 0) + round(float(message["delta_fp"]) * 100)
            if built[price] <= 0:
                del built[price]
    for side, levels in book.items():
        assert levels == {price: round(float(size) * 100) for price, size in venue.books["A-1"].levels(side)}
