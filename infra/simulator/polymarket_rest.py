"""Polymarket's REST side, CLOB and Gamma on one port: recorded bodies first, else made from the canonical books."""

import time
from typing import Any

import msgspec

from infra.simulator.metadata import clob_market, clob_market_info, gamma_market
from infra.simulator.polymarket import Market, PolymarketVenue
from infra.simulator.recorded import Reply, Request

BOOKS_LIMIT = 500


class PolymarketRest:
    """Answers the public calls of the CLOB and of Gamma.

    Both own ``/markets``: a list with ``next_cursor`` and a market by condition id are the CLOB's, the others Gamma's.
    """

    def __init__(self, venue: PolymarketVenue) -> None:
        self._venue = venue
        self._gamma = _recorded_gamma(venue)

    def answer(self, request: Request) -> Reply:
        """The reply to a request; what is not known is 404 with the venue's error body."""
        recorded = self._venue.recorded.find(request)
        if recorded is not None:
            return recorded
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["time"]:
                return Reply(200, time.time_ns() // 1_000_000_000)
            case "GET", ["ok"]:
                return Reply(200, "OK")
            case "GET", ["version"]:
                return Reply(200, {"version": 2})
            case "GET", ["book"]:
                return self._book(request.first("token_id"))
            case "POST", ["books"]:
                return self._books(request.body)
            case "GET", ["clob-markets", condition] if condition in self._venue.markets:
                return Reply(200, clob_market_info(self._market(condition).listing.facts()))
            case "GET", ["markets-by-token", token] if token in self._venue.by_token:
                return Reply(200, {"condition_id": self._venue.by_token[token].listing.condition_id})
            case "GET", ["markets"]:
                return self._markets(request)
            case "GET", ["markets", condition] if condition in self._venue.markets:
                return Reply(200, clob_market(self._market(condition).listing.facts()))
        return problem(404, f"not found: {request.method} {request.path}")

    def _market(self, condition: str) -> Market:
        return self._venue.markets[condition]

    def _book(self, token: str) -> Reply:
        if not token.isdecimal():
            return problem(400, "Invalid token id")
        book = self._served(token)
        return Reply(200, book) if book else problem(404, "No orderbook exists for the requested token id")

    def _books(self, body: bytes) -> Reply:
        try:
            tokens = [str(each["token_id"]) for each in msgspec.json.decode(body)]
        except (msgspec.DecodeError, TypeError, KeyError):
            return problem(400, "Invalid payload")
        if len(tokens) > BOOKS_LIMIT:
            return problem(400, "Payload exceeds the limit")
        return Reply(200, [book for book in map(self._served, tokens) if book])

    def _served(self, token: str) -> dict[str, Any] | None:
        """A token's book as REST serves it; none for an unknown token or before the market's first tape frame."""
        market = self._venue.by_token.get(token)
        if market is None or (market.on_tape and not market.started):
            return None
        return market.summary(token) | {
            "min_order_size": market.facts.min_order_size,
            "tick_size": market.facts.tick_size,
            "neg_risk": market.facts.neg_risk,
            "last_trade_price": market.facts.last_trade_price,
        }

    def _markets(self, request: Request) -> Reply:
        if request.first("next_cursor"):
            listed = [clob_market(market.listing.facts()) for market in self._venue.markets.values()]
            return Reply(200, {"limit": 1000, "count": len(listed), "next_cursor": "LTE=", "data": listed})
        conditions = set(request.every("condition_ids"))
        conditions |= {
            self._venue.by_token[token].listing.condition_id
            for token in request.every("clob_token_ids")
            if token in self._venue.by_token
        }
        wanted = bool(conditions) or bool(request.every("clob_token_ids"))
        slugs = set(request.every("slug"))
        found = [self._gamma_market(market) for market in self._venue.markets.values()]
        return Reply(
            200,
            [
                market
                for market in found
                if (not wanted or market["conditionId"] in conditions) and (not slugs or market.get("slug") in slugs)
            ],
        )

    def _gamma_market(self, market: Market) -> dict[str, Any]:
        return self._gamma.get(market.listing.condition_id) or gamma_market(market.listing.facts())


def problem(status: int, message: str) -> Reply:
    """An error in the venue's form."""
    return Reply(status, {"error": message})


def _recorded_gamma(venue: PolymarketVenue) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for _, body in venue.recorded.bodies():
        for market in body if isinstance(body, list) else [body]:
            if isinstance(market, dict) and isinstance(market.get("conditionId"), str):
                found.setdefault(market["conditionId"], market)
    return found
