"""REST of both simulators: recorded bodies first, else answers made from the canonical books."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.simulator.kalshi.auth import Verifier
from infra.simulator.kalshi.rest import KalshiRest
from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.polymarket.rest import PolymarketRest
from infra.simulator.polymarket.venue import PolymarketVenue
from infra.simulator.recorded import Query, RecordedRest, Request
from infra.simulator.tape import TapeError
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES, delta, play, snapshot, write_tape

API = "/trade-api/v2"
BOOKS = [{"market": CONDITION, "asset_id": token, "timestamp": "9", "event_type": "book"} for token in (YES, NO)]
BOOKS[0] |= {"bids": [{"price": "0.41", "size": "3"}], "asks": []}  # type: ignore[dict-item]
BOOKS[1] |= {"bids": [], "asks": [{"price": "0.59", "size": "3"}]}  # type: ignore[dict-item]


def get(path: str, query: Query | None = None, headers: dict[str, str] | None = None) -> Request:
    return Request("GET", path, query or [], b"", headers or {})


def kalshi(folder: Path, *frames: str, rest: dict[str, Any] | None = None) -> KalshiRest:
    tape = write_tape(folder, kalshi=list(enumerate(frames)), kalshi_rest=rest)
    venue = KalshiVenue(tape)
    play(venue, tape)
    return KalshiRest(venue, Verifier())


def polymarket(folder: Path, rest: dict[str, Any] | None = None, played: bool = True) -> PolymarketRest:
    tape = write_tape(folder, polymarket=[(1, json.dumps(BOOKS))], polymarket_rest=rest)
    venue = PolymarketVenue(tape)
    if played:
        play(venue, tape)
    return PolymarketRest(venue)


def test_recorded_bodies_come_first_whatever_the_order_of_the_parameters(tmp_path: Path) -> None:
    rest = kalshi(
        tmp_path, snapshot(1), rest={f"GET {API}/markets?limit=5&tickers=A-1": {"markets": [], "cursor": "x"}}
    )
    assert rest.answer(get(f"{API}/markets", [("tickers", "A-1"), ("limit", "5")])).body["cursor"] == "x"
    assert rest.answer(get(f"{API}/markets", [("tickers", "A-1")])).body["cursor"] == ""


@pytest.mark.parametrize("key", ["/markets", "get /markets", "GET "])
def test_a_wrong_key_in_rest_json_is_named(key: str) -> None:
    with pytest.raises(TapeError, match=r"rest.json: key"):
        RecordedRest({key: {}}, "rest.json")


def test_a_kalshi_market_has_its_top_and_its_grid_from_the_tape(tmp_path: Path) -> None:
    rest = kalshi(tmp_path, snapshot(1, yes=[["0.4210", "10.00"]], no=[["0.5500", "2.50"]]))
    market = rest.answer(get(f"{API}/markets/A-1")).body["market"]
    assert (market["yes_bid_dollars"], market["yes_bid_size_fp"]) == ("0.4210", "10.00")
    assert (market["yes_ask_dollars"], market["yes_ask_size_fp"]) == ("0.4500", "2.50")
    assert market["price_ranges"] == [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
    assert (market["status"], market["event_ticker"]) == ("active", "A")


def test_recorded_metadata_enters_made_lists(tmp_path: Path) -> None:
    recorded = {
        f"GET {API}/markets/A-1": {"market": {"ticker": "A-1", "title": "Real", "close_time": "2026-02-08T01:30:00Z"}}
    }
    rest = kalshi(tmp_path, snapshot(1, yes=[["0.4000", "1.00"]]), rest=recorded)
    (market,) = rest.answer(get(f"{API}/markets", [("tickers", "A-1,B-1")])).body["markets"]
    assert (market["title"], market["yes_bid_dollars"]) == ("Real", "0.4000")


def test_kalshi_lists_page_to_the_end(tmp_path: Path) -> None:
    rest = kalshi(tmp_path, *(snapshot(n, f"A-{n}") for n in range(1, 6)))
    seen: list[str] = []
    cursor = ""
    while True:
        query = [("limit", "2")] + ([("cursor", cursor)] if cursor else [])
        body = rest.answer(get(f"{API}/markets", query)).body
        seen += [market["ticker"] for market in body["markets"]]
        cursor = body["cursor"]
        if not cursor:
            break
    assert seen == [f"A-{n}" for n in range(1, 6)]


def test_kalshi_order_books(tmp_path: Path) -> None:
    rest = kalshi(tmp_path, snapshot(1, yes=[["0.3000", "1.00"], ["0.4000", "2.00"]]), delta(2, "0.5000", "4.00", "no"))
    whole = {"yes_dollars": [("0.3000", "1.00"), ("0.4000", "2.00")], "no_dollars": [("0.5000", "4.00")]}
    assert rest.answer(get(f"{API}/markets/A-1/orderbook")).body == {"orderbook_fp": whole}
    top = rest.answer(get(f"{API}/markets/A-1/orderbook", [("depth", "1")])).body["orderbook_fp"]
    assert top["yes_dollars"] == [("0.4000", "2.00")]
    many = rest.answer(get(f"{API}/markets/orderbooks", [("tickers", "A-1"), ("tickers", "NO-1")])).body
    assert many == {"orderbooks": [{"ticker": "A-1", "orderbook_fp": whole}]}
    assert rest.answer(get(f"{API}/markets/orderbooks")).status == 400


def test_kalshi_series_events_and_status(tmp_path: Path) -> None:
    rest = kalshi(tmp_path, snapshot(1, "KXBTC15M-26FEB072030-30"))
    series = rest.answer(get(f"{API}/series/KXBTC15M")).body["series"]
    assert (series["fee_type"], series["fee_multiplier"]) == ("quadratic", 1)
    event = rest.answer(get(f"{API}/events/KXBTC15M-26FEB072030")).body
    assert event["event"]["series_ticker"] == "KXBTC15M"
    assert [market["ticker"] for market in event["markets"]] == ["KXBTC15M-26FEB072030-30"]
    assert rest.answer(get(f"{API}/exchange/status")).body["trading_active"] is True


@pytest.mark.parametrize(
    "path", ["/markets/NO-1", "/markets/NO-1/orderbook", "/series/NO", "/events/NO", "/portfolio/x"]
)
def test_what_kalshi_does_not_know_is_404_in_its_form(tmp_path: Path, path: str) -> None:
    reply = kalshi(tmp_path, snapshot(1)).answer(get(API + path))
    assert (reply.status, reply.body["error"]["code"]) == (404, "not_found")
    assert path in reply.body["error"]["details"]


def test_kalshi_order_books_check_a_signature_that_is_given(tmp_path: Path) -> None:
    rest = kalshi(tmp_path, snapshot(1))
    assert rest.answer(get(f"{API}/markets/A-1/orderbook", headers={"kalshi-access-key": "k"})).status == 401
    assert rest.answer(get(f"{API}/markets/A-1", headers={"kalshi-access-key": "k"})).status == 200


def test_polymarket_books(tmp_path: Path) -> None:
    rest = polymarket(tmp_path)
    one = rest.answer(get("/book", [("token_id", YES)])).body
    assert one["bids"] == [{"price": "0.41", "size": "3"}]
    assert (one["min_order_size"], one["tick_size"], one["neg_risk"], one["timestamp"]) == ("5", "0.01", False, "9")
    body = json.dumps([{"token_id": YES}, {"token_id": "999"}, {"token_id": NO}]).encode()
    many = rest.answer(Request("POST", "/books", [], body, {})).body
    assert [book["asset_id"] for book in many] == [YES, NO]
    assert many[0] == one


def test_a_polymarket_book_is_not_there_before_its_first_frame(tmp_path: Path) -> None:
    assert polymarket(tmp_path, played=False).answer(get("/book", [("token_id", YES)])).status == 404


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/book", [("token_id", "xyz")]), 400),
        (get("/book", [("token_id", "999")]), 404),
        (Request("POST", "/books", [], b"{", {}), 400),
        (Request("POST", "/books", [], b'[{"id":1}]', {}), 400),
        (Request("POST", "/books", [], json.dumps([{"token_id": "1" * 77}] * 600).encode(), {}), 400),
        (get("/clob-markets/0xnone"), 404),
        (get("/nowhere"), 404),
    ],
)
def test_what_polymarket_refuses(tmp_path: Path, request_: Request, status: int) -> None:
    reply = polymarket(tmp_path).answer(request_)
    assert reply.status == status
    assert isinstance(reply.body["error"], str)


def test_polymarket_metadata_is_made_when_it_was_not_recorded(tmp_path: Path) -> None:
    rest = polymarket(tmp_path)
    compact = rest.answer(get(f"/clob-markets/{CONDITION}")).body
    assert [leg["t"] for leg in compact["t"]] == [YES, NO]
    assert (compact["fd"], compact["mos"], compact["mts"]) == ({"r": 0.07, "e": 1, "to": True}, 5, 0.01)
    assert rest.answer(get(f"/markets/{CONDITION}")).body["minimum_order_size"] == 5
    for query in ([("condition_ids", CONDITION)], [("clob_token_ids", NO)]):
        (market,) = rest.answer(get("/markets", query)).body
        assert json.loads(market["clobTokenIds"]) == [YES, NO]
    assert rest.answer(get("/markets", [("condition_ids", "0xnone")])).body == []
    assert rest.answer(get("/markets", [("next_cursor", "MA==")])).body["next_cursor"] == "LTE="
    assert isinstance(rest.answer(get("/time")).body, int)


def test_recorded_tokens_decide_which_is_yes(tmp_path: Path) -> None:
    recorded = {
        f"GET /markets?condition_ids={CONDITION}": [{"conditionId": CONDITION, "clobTokenIds": f'["{NO}", "{YES}"]'}]
    }
    rest = polymarket(tmp_path, recorded)
    assert [leg["t"] for leg in rest.answer(get(f"/clob-markets/{CONDITION}")).body["t"]] == [NO, YES]
