"""Kalshi's catalogue as a function: what the venue would answer, and what it was asked."""

from collections.abc import Callable
from typing import Any

import httpx

from producers.kalshi.catalogue import KalshiCatalogue
from producers.kalshi.rest import Rest
from tests.unit.producers.kalshi.frames import market_body
from tests.unit.producers.support import rest_client

NOW_NS = 1_795_000_000_000_000_000
"""18 November 2026, 11:06:40 UTC"""

EVENT: dict[str, Any] = {
    "event_ticker": "KXBTC-26NOV",
    "series_ticker": "KXBTC",
    "title": "Bitcoin",
    "mutually_exclusive": True,
    "settlement_sources": [{"name": "CF Benchmarks", "url": "https://a.b"}],
    "exchange_index": 2,
}
SERIES: dict[str, Any] = {
    "ticker": "KXBTC",
    "category": "Crypto",
    "categories": ["Crypto"],
    "fee_type": "quadratic",
    "fee_multiplier": 1,
}
Refusal = Callable[[httpx.Request], httpx.Response | None]


class Venue:
    """Bodies by ticker. `page` is how many items a page of any list has; `refuse` may answer first."""

    def __init__(self, *markets: dict[str, Any]) -> None:
        self.markets = {market["ticker"]: market for market in markets}
        self.events: dict[str, Any] = {"KXBTC-26NOV": EVENT}
        self.series: dict[str, Any] = {"KXBTC": SERIES}
        self.series_changes: list[dict[str, Any]] = []
        self.event_changes: list[dict[str, Any]] = []
        self.status: httpx.Response = httpx.Response(200, json={"exchange_active": True, "trading_active": True})
        self.account: dict[str, Any] = {}
        self.page = 1000
        self.last_cursor: str | None = ""
        self.refuse: Refusal = lambda _request: None
        self.asked: list[str] = []

    def catalogue(self, *, has_key: bool = False) -> KalshiCatalogue:
        return KalshiCatalogue(Rest(rest_client(self.answer)), has_key=has_key)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        refusal = self.refuse(request)
        if refusal is not None:
            return refusal
        tickers = request.url.params.get("tickers", "")
        wanted = tickers.split(",") if tickers else None
        match request.url.path.strip("/").split("/"):
            case ["markets"]:
                return self._list(request, "markets", self.markets, wanted)
            case ["events"]:
                return self._list(request, "events", self.events, wanted)
            case ["series", "fee_changes"]:
                return httpx.Response(200, json={"series_fee_change_arr": self.series_changes})
            case ["events", "fee_changes"]:
                changes = {str(number): change for number, change in enumerate(self.event_changes)}
                return self._list(request, "event_fee_changes", changes, None)
            case ["events", ticker] if ticker in self.events:
                return httpx.Response(200, json={"event": self.events[ticker], "markets": []})
            case ["series", ticker] if ticker in self.series:
                return httpx.Response(200, json={"series": self.series[ticker]})
            case ["exchange", "status"]:
                return self.status
            case ["account", name] if name in self.account:
                return httpx.Response(200, json=self.account[name])
        return httpx.Response(404, json={"error": {"code": "not_found", "message": "not found"}})

    def _list(
        self, request: httpx.Request, name: str, items: dict[str, Any], wanted: list[str] | None
    ) -> httpx.Response:
        chosen = [item for ticker, item in items.items() if wanted is None or ticker in wanted]
        start = int(request.url.params.get("cursor", "0"))
        end = start + self.page
        cursor: str | None = str(end) if end < len(chosen) else self.last_cursor
        body = {name: chosen[start:end]} | ({} if cursor == "absent" else {"cursor": cursor})
        return httpx.Response(200, json=body)


def market(ticker: str, **changes: Any) -> dict[str, Any]:
    return market_body(ticker, **changes)
