"""Kalshi's REST side: a tape's recorded bodies first, else answers made from what the venue knows now."""

from typing import Any

import msgspec

from infra.simulator.kalshi.auth import Verifier
from infra.simulator.kalshi.clock import exchange_schedule
from infra.simulator.kalshi.limits import Buckets, account_limits, cost_of, endpoint_costs
from infra.simulator.kalshi.listing import Listing
from infra.simulator.kalshi.portfolio import Portfolio
from infra.simulator.kalshi.replies import Errors, Refused, bad_request, number, problem
from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.recorded import Reply, Request

__all__ = ["KalshiRest", "problem"]

PREFIX = "/trade-api/v2"
BATCH_LIMIT = 100
DEEPEST = 100
TOO_MANY = Reply(429, {"error": "too many requests"})
SERVER_ERRORS = {500: "internal_server_error", 503: "service_unavailable", 504: "gateway_timeout"}
GATEWAY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
"""What stands before the venue answers with no JSON at all."""


class _Routed(msgspec.Struct):
    """Where an order's body says it goes."""

    exchange_index: int = 0


class KalshiRest:
    """Answers the calls of the trade API."""

    def __init__(self, venue: KalshiVenue, verifier: Verifier) -> None:
        self._venue = venue
        self._verifier = verifier
        self._options = venue.options
        self._errors = Errors(venue.options.error_shape)
        self._listing = Listing(venue)
        self._portfolio = Portfolio(venue, venue.desk) if venue.desk else None
        self._buckets = Buckets(venue.options.tier, venue.now)

    def answer(self, request: Request) -> Reply:
        """The reply to a request; every refusal has a status and an error body."""
        self._venue.step()
        try:
            reply = self._answer(request)
        except Refused as refusal:
            return self._errors.reply(refusal.status, refusal.code, refusal.details)
        return reply or self._errors.reply(404, "not_found", f"{request.method} {request.path}")

    def error_reply(self, status: int) -> Reply:
        """A refusal that nothing in the request caused."""
        if status == 429:
            return TOO_MANY
        if status == 502:
            return Reply(502, GATEWAY_PAGE)
        return self._errors.reply(status, SERVER_ERRORS.get(status, "service_unavailable"), "")

    def _answer(self, request: Request) -> Reply | None:
        if not request.path.startswith(PREFIX + "/"):
            return self._recorded(request)
        parts = request.path.removeprefix(PREFIX + "/").split("/")
        if parts[:2] == ["portfolio", "orders"] and request.method != "GET":
            raise Refused(410, "deprecated_v1_order_endpoint", "use /portfolio/events/orders")
        self._check_signature(parts, request)
        recorded = self._recorded(request)
        if recorded is not None:
            return recorded
        account = request.headers.get("kalshi-access-key", "")
        shard = _shard_of(request) if parts[:3] == ["portfolio", "events", "orders"] else 0
        if self._options.limited and not self._buckets.take(
            account, request.method, cost_of(request.method, parts), shard
        ):
            return TOO_MANY
        if parts[0] == "portfolio":
            return self._portfolio.answer(parts[1:], request, account) if self._portfolio else None
        return self._market_data(parts, request) if request.method == "GET" else None

    def _recorded(self, request: Request) -> Reply | None:
        """What the tape recorded; a venue that trades has gone on since."""
        return None if self._venue.desk else self._venue.recorded.find(request)

    def _check_signature(self, parts: list[str], request: Request) -> None:
        """Whatever is an account's must be signed; order books only when they carry a signature, or if so wanted."""
        private = (parts[0] == "portfolio" and self._portfolio is not None) or parts == ["account", "limits"]
        book = parts[0] == "markets" and parts[-1] in ("orderbook", "orderbooks")
        if private or (book and (self._options.books_need_key or "kalshi-access-key" in request.headers)):
            refusal = self._verifier.refusal(request.headers, request.method, request.path)
            if refusal:
                raise Refused(401, "unauthorized", refusal)

    def _market_data(self, parts: list[str], request: Request) -> Reply | None:
        """The calls that anyone may make."""
        if parts == ["exchange", "status"]:
            return Reply(*self._venue.pauses.status())
        body = self._catalogue(parts, request) or self._about(parts)
        return None if body is None else Reply(200, body)

    def _about(self, parts: list[str]) -> dict[str, Any] | None:
        """The exchange's own affairs."""
        match parts:
            case ["exchange", "schedule"]:
                return exchange_schedule(self._venue.now())
            case ["exchange", "user_data_timestamp"]:
                return self._portfolio.as_of() if self._portfolio else None
            case ["account", "limits"]:
                return account_limits(self._options.tier)
            case ["account", "endpoint_costs"]:
                return endpoint_costs()
        return None

    def _catalogue(self, parts: list[str], request: Request) -> dict[str, Any] | None:
        listing = self._listing
        match parts:
            case ["series"]:
                return listing.series_list(request)
            case ["series", "fee_changes"]:
                return listing.series_fee_changes(request)
            case ["series", ticker]:
                return listing.series(ticker)
            case ["events"]:
                return listing.events(request)
            case ["events", "fee_changes"]:
                return listing.event_fee_changes(request)
            case ["events", "multivariate"]:
                return listing.events(request, combos=True)
            case ["events", ticker]:
                return listing.event(ticker, request)
            case ["markets"]:
                return listing.markets(request)
            case ["markets", "trades"]:
                return listing.trades(request)
            case ["markets", "orderbooks"]:
                return self._orderbooks(request)
            case ["markets", ticker]:
                market = listing.market(ticker)
                return None if market is None else {"market": market}
            case ["markets", ticker, "orderbook"] if listing.market(ticker) is not None:
                return {"orderbook_fp": self._sides(ticker, number(request, "depth", 0, 0, DEEPEST))}
        return None

    def _orderbooks(self, request: Request) -> dict[str, Any]:
        tickers = request.every("tickers")
        if not 1 <= len(tickers) <= BATCH_LIMIT:
            raise bad_request(f"1 to {BATCH_LIMIT} tickers are required")
        known = [ticker for ticker in tickers if self._listing.market(ticker) is not None]
        return {"orderbooks": [{"ticker": ticker, "orderbook_fp": self._sides(ticker, 0)} for ticker in known]}

    def _sides(self, ticker: str, depth: int) -> dict[str, Any]:
        """Bids of both outcomes, ascending: the best ``depth`` of each are the last (0: all)."""
        book = self._venue.shown(ticker)
        return {f"{side}_dollars": book.levels(side)[-depth:] for side in ("yes", "no")}


def _shard_of(request: Request) -> int:
    """The shard that a single order's write names; everything else goes to the common bucket."""
    try:
        if request.body:
            return msgspec.json.decode(request.body, type=_Routed).exchange_index
        return int(request.first("exchange_index", "0"))
    except (msgspec.MsgspecError, ValueError):
        return 0
