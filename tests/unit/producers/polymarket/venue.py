"""Polymarket's catalogue as two functions, CLOB and Gamma: what they would answer, and what they were asked."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from producers.clock import VenueClock
from producers.polymarket.catalogue import PolymarketCatalogue
from producers.polymarket.rest import Rest
from tests.unit.producers.polymarket.frames import MARKET, NO, YES
from tests.unit.producers.support import rest_client

INFO: dict[str, Any] = {
    "t": [{"t": YES, "o": "Up"}, {"t": NO, "o": "Down"}],
    "c": MARKET,
    "mos": 5,
    "mts": 0.001,
    "mbf": 1000,
    "tbf": 1000,
    "ao": True,
    "itode": True,
    "fd": {"r": 0.07, "e": 1, "to": True},
    "v": "v1",
}
GAMMA: dict[str, Any] = {
    "id": "5308512",
    "conditionId": MARKET,
    "version": "v1",
    "slug": "btc",
    "question": "Up or down?",
    "description": "Rules.",
    "startDate": "2026-10-04T23:00:00Z",
    "endDate": "2026-10-05T23:15:00Z",
    "updatedAt": "2026-10-05T00:00:00Z",
    "active": True,
    "closed": False,
    "archived": False,
    "acceptingOrders": True,
    "enableOrderBook": True,
    "negRisk": False,
    "outcomes": '["Up", "Down"]',
    "outcomePrices": '["0.905", "0.095"]',
    "clobTokenIds": json.dumps([YES, NO]),
    "feesEnabled": True,
    "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2},
    "resolutionSource": "https://data.chain.link",
    "umaResolutionStatuses": "[]",
    "volume24hr": 12.5,
    "liquidityNum": 20328.3747,
    "events": [
        {
            "id": "1",
            "slug": "btc-event",
            "seriesSlug": "btc-up-or-down-15m",
            "negRiskAugmented": False,
            "tags": [{"id": "2", "label": "Crypto", "slug": "crypto"}],
        }
    ],
}
Refusal = Callable[[httpx.Request], httpx.Response | None]


class Venue:
    """Markets by condition; `page` is how many Gamma gives at most, whatever is asked for."""

    def __init__(self, info: dict[str, Any] | None = None, gamma: dict[str, Any] | None = None) -> None:
        self.info: dict[str, Any] = {MARKET: INFO | (info or {})}
        self.gamma: list[dict[str, Any]] = [GAMMA | (gamma or {})]
        self.full: dict[str, Any] = {}
        self.page = 100
        self.keyset = True
        self.refuse_clob: Refusal = lambda _request: None
        self.refuse_gamma: Refusal = lambda _request: None
        self.time: Any = 1_790_000_030
        self.asked: list[str] = []

    def catalogue(self, clock: VenueClock | None = None) -> PolymarketCatalogue:
        return PolymarketCatalogue(Rest(rest_client(self._clob), rest_client(self._gamma)), clock)

    def _clob(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        refusal = self.refuse_clob(request)
        if refusal is not None:
            return refusal
        if request.url.path == "/time":
            return httpx.Response(200, json=self.time)
        condition = request.url.path.rpartition("/")[2]
        if request.url.path.startswith("/markets/"):
            return httpx.Response(200, json=self.full) if self.full else httpx.Response(404)
        if condition not in self.info:
            return httpx.Response(404, json={"error": "market not found"})
        return httpx.Response(200, json=self.info[condition])

    def _gamma(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        refusal = self.refuse_gamma(request)
        if refusal is not None:
            return refusal
        asked = request.url.params
        closed = asked.get("closed", "false") == "true"
        chosen = [market for market in self.gamma if bool(market.get("closed")) == closed]
        conditions = asked.get_list("condition_ids")
        if conditions:
            return httpx.Response(200, json=[one for one in chosen if one["conditionId"] in conditions])
        page = min(self.page, int(asked["limit"]))
        if request.url.path == "/markets":
            start = int(asked["offset"])
            return httpx.Response(200, json=chosen[start : start + page])
        if not self.keyset:
            return httpx.Response(404, json={"error": "not found"})
        start = int(asked.get("after_cursor", "0"))
        more = {"next_cursor": str(start + page)} if start + page < len(chosen) else {}
        return httpx.Response(200, json={"markets": chosen[start : start + page], **more})
