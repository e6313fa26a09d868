"""The CLOB's public REST calls of the Polymarket simulator."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.simulator.polymarket.rest import PolymarketRest
from infra.simulator.polymarket.showcase import nominee, showcase, sports_line, version_2, world_event
from infra.simulator.polymarket.venue import PolymarketVenue
from infra.simulator.recorded import Request
from tests.unit.infra.simulator.polymarket.floor import START, Floor, opened
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES, write_tape


def token(text: str) -> tuple[str, str]:
    return ("token_id", text)


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return opened(tmp_path)[0]


@pytest.mark.parametrize(
    ("path", "query", "body"),
    [
        ("/time", [], START // 10**9),
        ("/ok", [], "OK"),
        ("/version", [], {"version": 2}),
        ("/midpoint", [token(YES)], {"mid": "0.425"}),
        ("/midpoint", [token(NO)], {"mid": "0.575"}),
        ("/price", [token(YES), ("side", "BUY")], {"price": "0.4"}),
        ("/price", [token(YES), ("side", "sell")], {"price": "0.45"}),
        ("/price", [token(NO), ("side", "SELL")], {"price": "0.6"}),
        ("/spread", [token(YES)], {"spread": "0.05"}),
        ("/last-trade-price", [token(YES)], {"price": "0.5", "side": ""}),
        ("/tick-size", [token(YES)], {"minimum_tick_size": 0.01}),
        ("/neg-risk", [token(NO)], {"neg_risk": False}),
        ("/fee-rate", [token(NO)], {"base_fee": 1000}),
        (f"/markets-by-token/{NO}", [], {"condition_id": CONDITION}),
    ],
)
def test_calls_about_one_token(floor: Floor, path: str, query: list[tuple[str, str]], body: Any) -> None:
    for prefix in ("", "/clob"):
        reply = floor.get(prefix + path, *query)
        assert (reply.status, reply.body) == (200, body)


@pytest.mark.parametrize(
    ("path", "query", "status", "error"),
    [
        ("/book", [], 400, "Invalid token id"),
        ("/book", [token("999")], 404, "No orderbook exists for the requested token id"),
        ("/price", [token(YES)], 400, "Invalid side"),
        ("/price", [token("x"), ("side", "BUY")], 400, "Invalid token id"),
        ("/tick-size", [token("999")], 404, "market not found"),
        ("/fee-rate", [token("999")], 404, "market not found"),
        ("/markets-by-token/999", [], 404, "No orderbook exists for the requested token id"),
        (f"/clob-markets/{CONDITION[:-2]}", [], 404, "market not found"),
        ("/markets/0x12", [], 404, "market not found"),
        ("/markets", [("next_cursor", "?")], 400, "next item should be greater than or equal to 0"),
        ("/clob/events", [], 404, "not found: GET /clob/events"),
    ],
)
def test_what_the_clob_refuses(floor: Floor, path: str, query: list[tuple[str, str]], status: int, error: str) -> None:
    reply = floor.get(path, *query)
    assert (reply.status, reply.body) == (status, {"error": error})


def test_an_empty_side_has_no_price_and_no_middle(tmp_path: Path) -> None:
    floor = Floor(tmp_path)
    floor.place("buy", 4_000, 500)
    floor.pass_ms()
    assert floor.get("/midpoint", token(YES)).status == 404
    assert floor.get("/price", token(YES), ("side", "SELL")).status == 404
    assert floor.get("/spread", token(YES)).body == {"spread": "0.6"}
    assert floor.ask("POST", "/midpoints", [{"token_id": YES}]).body == {}


def test_calls_about_many_tokens(floor: Floor) -> None:
    asked = [{"token_id": YES}, {"token_id": "999"}, {"token_id": NO}]
    books = floor.ask("POST", "/books", asked).body
    assert [book["asset_id"] for book in books] == [YES, NO]
    assert books[0] == floor.get("/book", token(YES)).body
    assert floor.ask("POST", "/midpoints", asked).body == {YES: "0.425", NO: "0.575"}
    assert floor.ask("POST", "/spreads", asked).body == {YES: "0.05", NO: "0.05"}
    assert floor.ask("POST", "/prices", asked).body[NO] == {"BUY": "0.55", "SELL": "0.6"}
    assert floor.ask("POST", "/prices", [{"token_id": YES, "side": "BUY"}]).body == {YES: {"BUY": "0.4"}}
    assert floor.ask("POST", "/last-trades-prices", asked).body == []
    floor.place("buy", 4_500, 250)
    floor.pass_ms()
    price = floor.get("/book", token(YES)).body["last_trade_price"]
    told = floor.ask("POST", "/last-trades-prices", asked).body
    assert [(each["token_id"], f"{float(each['price']):.3f}") for each in told] == [(YES, price), (NO, price)]


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/books", b"{", "Invalid payload"),
        ("/books", [{"id": "1"}], "Invalid payload"),
        ("/books", {"token_id": "1"}, "Invalid payload"),
        ("/books", [{"token_id": "1" * 77}] * 550, "Payload exceeds the limit"),
        ("/prices", [{"token_id": "1", "side": "HOLD"}], "Invalid side"),
    ],
)
def test_what_is_refused_of_many(floor: Floor, path: str, body: Any, error: str) -> None:
    reply = floor.ask("POST", path, body)
    assert (reply.status, reply.body) == (400, {"error": error})
    assert floor.ask("POST", "/books", [{"token_id": "1" * 77}] * 500).body == []


def test_the_compact_form_of_every_kind_of_market(tmp_path: Path) -> None:
    floor = Floor(tmp_path, showcase=True)
    infos = {listing.slug: floor.get(f"/clob-markets/{listing.condition_id}").body for listing in showcase()}
    assert [leg["o"] for leg in infos["showcase-up-or-down"]["t"]] == ["Up", "Down"]
    assert infos["showcase-up-or-down"]["itode"] is True
    assert infos["showcase-version-2"]["v"] == "v2"
    nominated = infos["showcase-nominee-a"]
    assert (nominated["nr"], nominated["mts"], nominated["fd"]) == (True, 0.001, {"r": 0.04, "e": 1, "to": True})
    assert (infos["showcase-line"]["sd"], infos["showcase-line"]["mos"], infos["showcase-line"]["mts"]) == (
        3,
        15,
        0.005,
    )
    free = infos["showcase-world-event"]
    assert "fd" not in free
    assert {"nr", "itode", "sd"}.isdisjoint(free)
    assert (free["mbf"], free["tbf"], free["ao"]) == (0, 0, True)


def test_the_full_form(tmp_path: Path) -> None:
    floor = Floor(tmp_path, showcase=True)
    line = floor.get(f"/markets/{sports_line('showcase-line').condition_id}").body
    assert (line["seconds_delay"], line["minimum_order_size"], line["accepting_orders"]) == (3, 15, True)
    assert floor.get(f"/markets/{nominee('showcase-nominee-b').condition_id}").body["neg_risk"] is True
    free = world_event("showcase-world-event")
    assert floor.get("/fee-rate", token(free.tokens[0])).body == {"base_fee": 0}


def test_lists_are_paged_from_the_first_cursor_to_the_last(tmp_path: Path) -> None:
    floor = Floor(tmp_path, showcase=True, clob_page=3)
    for name in ("markets", "simplified-markets", "sampling-markets", "sampling-simplified-markets"):
        found, cursor, pages = [], "MA==", 0
        while cursor != "LTE=":
            page = floor.get(f"/{name}", ("next_cursor", cursor)).body
            assert page["count"] == len(page["data"]) <= page["limit"] == 3
            found += [market["condition_id"] for market in page["data"]]
            cursor, pages = page["next_cursor"], pages + 1
        assert (found, pages) == (list(floor.venue.markets), 3)
    assert floor.get("/markets", ("next_cursor", "LTE=")).body["data"] == []
    assert "minimum_tick_size" not in floor.get("/simplified-markets").body["data"][0]


def test_recorded_bodies_stay_the_ground_of_what_changes(tmp_path: Path) -> None:
    listed = {"c": CONDITION, "t": [{"t": YES, "o": "Up"}, {"t": NO, "o": "Down"}], "mts": 0.001, "mos": 7, "x": "kept"}
    floor = Floor(tmp_path, listed=[listed])
    body = floor.get(f"/clob-markets/{CONDITION}").body
    assert (body["x"], body["mts"], body["ao"], floor.venue.grid(CONDITION)[0].step) == ("kept", 0.001, True, 10)
    assert floor.get("/book", token(YES)).body["min_order_size"] == "7"


def test_a_version_2_market_carries_its_version_in_books(tmp_path: Path) -> None:
    floor = Floor(tmp_path, showcase=True)
    listing = version_2("showcase-version-2")
    body = floor.get("/book", token(listing.tokens[0])).body
    assert list(body)[-1] == "version"
    assert int(listing.tokens[1]) - int(listing.tokens[0]) == 1
    assert int(listing.tokens[0]) >> 40 & ((1 << 64) - 1) == 0
    assert len(listing.condition_id) == 66
    assert listing.condition_id.endswith("00")


def test_errors_come_in_the_venues_words(floor: Floor) -> None:
    early = floor.rest.error_reply(425)
    assert (early.status, early.headers) == (425, {"Retry-After": "2"})
    many = floor.rest.error_reply(429)
    assert many.body == {"error": "Too Many Requests"}
    assert many.headers == {
        "Retry-After": "1",
        "Poly-RateLimit-Remaining": "0",
        "Poly-RateLimit-Reset": str(START // 10**9 + 1),
        "Poly-RateLimit-Tier": "standard",
    }
    assert floor.rest.error_reply(500).body == {"error": "Internal server error"}
    assert "disabled" in floor.rest.error_reply(503).body["error"]
    assert floor.rest.error_reply(502).encoded().startswith(b"<html>")


def test_a_tape_still_answers_with_what_was_recorded_word_for_word(tmp_path: Path) -> None:
    recorded = {f"GET /clob-markets/{CONDITION}": {"c": CONDITION, "t": [{"t": YES}, {"t": NO}], "ao": False}}
    rest = PolymarketRest(PolymarketVenue(write_tape(tmp_path, polymarket=[], polymarket_rest=recorded)))
    reply = rest.answer(Request("GET", f"/clob-markets/{CONDITION}", [], b"", {}))
    assert json.dumps(reply.body) == json.dumps(next(iter(recorded.values())))
    assert rest.answer(Request("POST", "/order", [], b"{}", {})).status == 404
