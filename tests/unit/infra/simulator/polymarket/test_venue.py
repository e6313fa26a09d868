"""The Polymarket simulator without sockets: subscriptions, filtering, canonical books, hashes."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from infra.simulator.outbox import Outbox
from infra.simulator.polymarket.venue import PolymarketVenue, Session
from infra.simulator.tape import Tape
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES, play, write_tape

OTHER, OTHER_YES = "0x" + "cd" * 32, "333"


def book(token: str = YES, market: str = CONDITION, bids: Any = (("0.4", "10"),), asks: Any = ()) -> dict[str, Any]:
    sides = [[{"price": price, "size": size} for price, size in side] for side in (bids, asks)]
    return {
        "market": market,
        "asset_id": token,
        "timestamp": "1000",
        "hash": "h",
        "bids": sides[0],
        "asks": sides[1],
        "event_type": "book",
        "tick_size": "0.01",
        "last_trade_price": "",
    }


def change(*changes: tuple[str, str, str, str], market: str = CONDITION, timestamp: str = "2000") -> dict[str, Any]:
    names = ("asset_id", "side", "price", "size")
    listed = [dict(zip(names, each, strict=True)) | {"hash": "h"} for each in changes]
    return {"market": market, "price_changes": listed, "timestamp": timestamp, "event_type": "price_change"}


class Client:
    """A client of the Polymarket simulator without a socket."""

    def __init__(self, venue: PolymarketVenue, limit: int = 1000) -> None:
        self.venue = venue
        self.session: Session = venue.connect(Outbox(limit))

    def subscribe(self, *tokens: str, **more: Any) -> list[Any]:
        self.say(json.dumps({"assets_ids": tokens, "type": "market", **more}))
        return [json.loads(text) for text in self.texts()]

    def say(self, text: str) -> None:
        self.venue.handle(self.session, text)

    def texts(self) -> list[str]:
        found = []
        while (text := self.session.outbox.take()) is not None:
            found.append(text)
        return found


def opened(folder: Path, *events: Any, rest: dict[str, Any] | None = None) -> tuple[PolymarketVenue, Tape]:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    tape = write_tape(folder, polymarket=list(enumerate(texts)), polymarket_rest=rest)
    return PolymarketVenue(tape), tape


MIRRORED = change((YES, "BUY", "0.41", "5"), (NO, "SELL", "0.59", "5"))
BOTH = [book(YES), book(NO, bids=(), asks=(("0.6", "10"),))]


def test_a_client_from_the_start_gets_the_tapes_frames_word_for_word(tmp_path: Path) -> None:
    texts = [json.dumps(BOTH) + "\n", json.dumps(MIRRORED)]
    venue, tape = opened(tmp_path, *texts)
    client = Client(venue)
    assert client.subscribe(YES, NO) == [[]]
    play(venue, tape)
    assert client.texts() == texts


def test_a_late_client_gets_one_book_per_token_with_the_right_hash(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, BOTH, MIRRORED)
    play(venue, tape)
    ((first, second),) = Client(venue).subscribe(YES, NO)
    assert first["bids"] == [{"price": "0.4", "size": "10"}, {"price": "0.41", "size": "5"}]
    assert second["asks"] == [{"price": "0.6", "size": "10"}, {"price": "0.59", "size": "5"}]
    summary = (
        f'{{"market":"{CONDITION}","asset_id":"{YES}","timestamp":"2000","hash":"","bids":[{{"price":"0.4","size":"10"}},'
        '{"price":"0.41","size":"5"}],"asks":[],"min_order_size":"5","tick_size":"0.01","neg_risk":false,'
        '"last_trade_price":""}'
    )
    assert first["hash"] == hashlib.sha1(summary.encode()).hexdigest()
    assert (first["event_type"], first["tick_size"], first["timestamp"]) == ("book", "0.01", "2000")


def test_an_array_is_split_only_for_whom_it_must_be(tmp_path: Path) -> None:
    text = json.dumps([*BOTH, book(OTHER_YES, OTHER)])
    venue, tape = opened(tmp_path, text)
    part, whole = Client(venue), Client(venue)
    part.subscribe(YES)
    whole.subscribe(YES, NO, OTHER_YES)
    play(venue, tape)
    assert [json.loads(got) for got in part.texts()] == [[BOTH[0]]]
    assert whole.texts() == [text]


def test_a_change_of_both_legs_reaches_whoever_watches_either(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, BOTH, MIRRORED, change((OTHER_YES, "BUY", "0.2", "5"), market=OTHER))
    client = Client(venue)
    client.subscribe(NO)
    play(venue, tape)
    assert json.loads(client.texts()[-1]) == MIRRORED


def test_a_market_that_begins_with_a_change_begins_from_empty_books(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, MIRRORED)
    client = Client(venue)
    client.subscribe(YES, NO)
    play(venue, tape)
    empty, first = (json.loads(text) for text in client.texts())
    assert [(event["asset_id"], event["bids"], event["asks"]) for event in empty] == [(YES, [], []), (NO, [], [])]
    assert first == MIRRORED


def test_the_mirror_is_derived_when_only_one_token_is_on_the_tape(tmp_path: Path) -> None:
    rest = {f"GET /clob-markets/{CONDITION}": {"c": CONDITION, "t": [{"t": YES}, {"t": NO}], "mts": 0.01}}
    venue, tape = opened(tmp_path, book(YES), change((YES, "BUY", "0.41", "5")), rest=rest)
    play(venue, tape)
    ((mirror,),) = Client(venue).subscribe(NO)
    assert mirror["asks"] == [{"price": "0.6", "size": "10"}, {"price": "0.59", "size": "5"}]


def test_a_size_of_zero_removes_and_repeats_change_nothing(tmp_path: Path) -> None:
    gone = change((YES, "BUY", "0.4", "0"))
    venue, tape = opened(tmp_path, book(YES), MIRRORED, MIRRORED, gone)
    play(venue, tape)
    assert venue.markets[CONDITION].book(YES).wire() == ([("0.41", "5")], [])


def test_the_older_forms_of_a_change_are_understood(tmp_path: Path) -> None:
    flat = {
        "market": CONDITION,
        "asset_id": YES,
        "price": "0.3",
        "size": "7",
        "side": "BUY",
        "event_type": "price_change",
    }
    listed = {"market": CONDITION, "asset_id": YES, "event_type": "price_change"}
    listed["changes"] = [{"price": "0.2", "size": "8", "side": "BUY"}]  # type: ignore[assignment]
    venue, tape = opened(tmp_path, book(YES, bids=()), flat, listed)
    play(venue, tape)
    assert venue.markets[CONDITION].book(YES).wire()[0] == [("0.2", "8"), ("0.3", "7")]


@pytest.mark.parametrize(
    "text",
    [
        "{oops",
        '"text"',
        '{"event_type":"novelty"}',
        json.dumps(book(bids=(("cheap", "1"),))),
        json.dumps(change((YES, "HOLD", "0.4", "1"))),
        json.dumps({"event_type": "book", "asset_id": YES}),
    ],
)
def test_damaged_and_unknown_frames_go_out_as_they_are_and_change_nothing(tmp_path: Path, text: str) -> None:
    venue, tape = opened(tmp_path, BOTH, text)
    client, idle = Client(venue), Client(venue)
    client.subscribe(YES)
    client.texts()
    play(venue, tape)
    assert client.texts()[-1] == text
    assert idle.texts() == []
    assert venue.markets[CONDITION].book(YES).wire() == ([("0.4", "10")], [])


def test_global_events_only_reach_whoever_asked_for_them(tmp_path: Path) -> None:
    news = json.dumps({"event_type": "new_market", "id": "1", "market": "0xnew"})
    venue, tape = opened(tmp_path, BOTH, news)
    plain, custom = Client(venue), Client(venue)
    plain.subscribe(OTHER_YES)
    custom.subscribe(OTHER_YES, custom_feature_enabled=True)
    for client in (plain, custom):
        client.texts()
    play(venue, tape)
    assert plain.texts() == []
    assert custom.texts() == [news]


def test_trades_and_ticks_enter_later_hashes(tmp_path: Path) -> None:
    trade = {"event_type": "last_trade_price", "market": CONDITION, "asset_id": YES, "price": "0.4", "side": "BUY"}
    tick = {"event_type": "tick_size_change", "market": CONDITION, "asset_id": YES, "new_tick_size": "0.001"}
    venue, tape = opened(tmp_path, BOTH, trade, tick)
    play(venue, tape)
    facts = venue.markets[CONDITION].facts
    assert (facts.last_trade_price, facts.tick_size) == ("0.400", "0.001")


def test_ping_unsubscribe_and_refusals(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, BOTH, "PONG", MIRRORED)
    client = Client(venue)
    client.say("PING")
    client.say("hello")
    client.say('{"type":"user","assets_ids":["1"]}')
    assert client.texts() == ["PONG", "INVALID OPERATION", "INVALID OPERATION"]
    client.say(json.dumps({"operation": "subscribe", "assets_ids": [YES]}))
    client.say(json.dumps({"operation": "unsubscribe", "assets_ids": [YES]}))
    client.texts()
    play(venue, tape)
    assert client.texts() == []


def test_a_client_that_is_too_slow_is_cut(tmp_path: Path) -> None:
    venue, tape = opened(tmp_path, BOTH, MIRRORED, MIRRORED, MIRRORED)
    slow, quick = Client(venue, limit=2), Client(venue)
    for client in (slow, quick):
        client.subscribe(YES, NO)
    play(venue, tape)
    assert slow.session.outbox.closed
    assert len(quick.texts()) == 4
    venue.close(slow.session)
    assert list(venue.sessions) == [quick.session]
