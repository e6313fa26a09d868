"""Gamma's part of the Polymarket simulator: filters, both ways of paging, forms."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.simulator.polymarket.showcase import nominee, up_or_down, version_2, world_event
from tests.unit.infra.simulator.polymarket.floor import Floor
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES

LINE = "showcase-line"


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return Floor(tmp_path, showcase=True, gamma_page=3, keyset_page=2)


def slugs(floor: Floor, *query: tuple[str, str], path: str = "/markets") -> list[str]:
    reply = floor.get("/gamma" + path, *query)
    assert reply.status == 200, reply.body
    return [each["slug"] for each in reply.body]


def one(floor: Floor, slug: str) -> dict[str, Any]:
    body: dict[str, Any] = floor.get(f"/markets/slug/{slug}").body
    return body


ALL = [CONDITION, "showcase-up-or-down", "showcase-version-2", "showcase-nominee-a", "showcase-nominee-b", LINE,
       "showcase-world-event"]  # fmt: skip


def test_offset_pages_are_clamped_without_a_word(floor: Floor) -> None:
    assert slugs(floor) == ALL[:3]
    assert slugs(floor, ("limit", "500"), ("offset", "3")) == ALL[3:6]
    assert slugs(floor, ("limit", "1"), ("offset", "6")) == ALL[6:]
    assert slugs(floor, ("offset", "7")) == []


@pytest.mark.parametrize("name", ["markets", "events"])
def test_keyset_pages_go_on_from_the_last_id(floor: Floor, name: str) -> None:
    found: list[str] = []
    cursor = ""
    while True:
        query = [("limit", "50"), *([("after_cursor", cursor)] if cursor else [])]
        page = floor.get(f"/{name}/keyset", *query).body
        assert page["$schema"].endswith(f"/{name.capitalize()}KeysetListResponse.json")
        assert 1 <= len(page[name]) <= 2
        found += [each["id"] for each in page[name]]
        if "next_cursor" not in page:
            break
        cursor = page["next_cursor"]
    assert found == sorted(found, key=int)
    assert len(set(found)) == len(found) == (7 if name == "markets" else 6)
    first = floor.get(f"/{name}/keyset").body
    assert floor.get(f"/{name}/keyset", ("cursor", cursor)).body == first  # not the parameter's name: seen ignored


def test_filters(floor: Floor) -> None:
    a, b = nominee("showcase-nominee-a"), nominee("showcase-nominee-b")
    assert slugs(floor, ("condition_ids", a.condition_id), ("condition_ids", b.condition_id)) == [a.slug, b.slug]
    assert slugs(floor, ("clob_token_ids", b.tokens[1]), ("clob_token_ids", YES)) == [CONDITION, b.slug]
    assert slugs(floor, ("slug", LINE), ("slug", a.slug)) == [a.slug, LINE]
    assert slugs(floor, ("id", one(floor, LINE)["id"])) == [LINE]
    assert slugs(floor, ("question_ids", one(floor, LINE)["questionID"])) == [LINE]
    assert slugs(floor, ("closed", "true")) == []
    assert slugs(floor, ("active", "true"), ("archived", "false")) == ALL[:3]
    assert slugs(floor, ("archived", "true")) == []
    assert slugs(floor, ("end_date_max", "2027-01-01T00:00:00Z")) == []
    assert slugs(floor, ("start_date_min", "2025-01-01T00:00:00Z")) == ALL[:3]
    assert slugs(floor, ("order", "slug"), ("ascending", "true")) == sorted(ALL)[:3]
    assert slugs(floor, ("order", "slug")) == sorted(ALL, reverse=True)[:3]
    ids = [one(floor, slug)["id"] for slug in slugs(floor, ("order", "id"), ("ascending", "true"))]
    assert ids == sorted(ids, key=int)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/markets", [("limit", "-1")]),
        ("/markets", [("closed", "perhaps")]),
        ("/markets", [("condition_ids", f"0x{number}") for number in range(101)]),
        ("/markets/keyset", [("offset", "2")]),
        ("/events/keyset", [("after_cursor", "bm9uc2Vuc2U=")]),
        ("/events/keyset", [("after_cursor", "%")]),
    ],
)
def test_what_gamma_does_not_take(floor: Floor, path: str, query: list[tuple[str, str]]) -> None:
    reply = floor.get(path, *query)
    assert (reply.status, reply.body["type"]) == (422, "validation error")


def test_what_gamma_does_not_know(floor: Floor) -> None:
    for path in ("/markets/123", "/markets/slug/none", "/events/123", "/events/slug/none"):
        assert floor.get(path).status == 404
    assert floor.get("/markets/1/2/3").body == {"error": "not found: GET /markets/1/2/3"}


def test_lists_in_a_market_are_strings_but_position_ids_are_not(floor: Floor) -> None:
    market = one(floor, "showcase-up-or-down")
    listing = up_or_down("showcase-up-or-down")
    assert json.loads(market["clobTokenIds"]) == list(listing.tokens)
    assert json.loads(market["outcomes"]) == ["Up", "Down"]
    assert json.loads(market["outcomePrices"]) == ["0.5", "0.5"]
    assert market["$schema"].endswith("/Market.json")
    assert market["feeSchedule"] == {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2}
    second, wide = one(floor, "showcase-version-2"), version_2("showcase-version-2")
    assert (second["version"], second["clobTokenIds"], second["positionIds"]) == ("v2", None, list(wide.tokens))
    assert len(second["conditionId"]) == 64
    for condition in (wide.condition_id, second["conditionId"]):
        assert slugs(floor, ("condition_ids", condition)) == [wide.slug]
    free = one(floor, "showcase-world-event")
    assert (free["feesEnabled"], free["feeSchedule"], free["takerBaseFee"]) == (False, None, 0)
    assert floor.get(f"/markets/{free['id']}").body == free


def test_prices_follow_the_book(floor: Floor) -> None:
    floor.place("buy", 4_000, 500, market=CONDITION)
    floor.place("sell", 4_500, 500, market=CONDITION)
    floor.place("buy", 4_500, 100, market=CONDITION)
    floor.pass_ms()
    market = one(floor, CONDITION)
    assert json.loads(market["outcomePrices"]) == ["0.425", "0.575"]
    assert (market["bestBid"], market["bestAsk"], market["spread"]) == (0.4, 0.45, 0.05)
    assert market["lastTradePrice"] in (0.45, 0.55)


def test_events_carry_their_markets_and_neg_risk_flags(floor: Floor) -> None:
    (event,) = floor.get("/events", ("slug", "showcase-nominee")).body
    assert [market["slug"] for market in event["markets"]] == ["showcase-nominee-a", "showcase-nominee-b"]
    assert (event["negRisk"], event["enableNegRisk"], event["negRiskAugmented"]) == (True, True, True)
    assert event["negRiskMarketID"].startswith("0x")
    (bare,) = floor.get("/events/keyset", ("slug", "showcase-nominee"), ("include_markets", "false")).body["events"]
    assert "markets" not in bare
    assert floor.get(f"/events/{event['id']}").body == floor.get("/events/slug/showcase-nominee").body == event
    (inside,) = one(floor, "showcase-nominee-a")["events"]
    assert (inside["slug"], inside["negRiskAugmented"], "markets" in inside) == ("showcase-nominee", True, False)
    assert slugs(floor, ("closed", "true"), path="/events") == []


def test_a_market_of_the_tape_has_an_event_of_its_own(floor: Floor) -> None:
    market = one(floor, CONDITION)
    assert market["events"][0]["slug"] == CONDITION
    assert json.loads(market["clobTokenIds"]) == [YES, NO]
    assert world_event("showcase-world-event").slug in slugs(floor, ("offset", "6"))
