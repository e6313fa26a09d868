"""Kalshi's REST side: recorded bodies first, else answers made from the canonical books."""

from collections.abc import Callable
from typing import Any

from infra.simulator.exchange import KalshiBook
from infra.simulator.kalshi import KalshiVenue
from infra.simulator.kalshi_auth import Verifier
from infra.simulator.metadata import event_of, kalshi_event, kalshi_market, kalshi_series, series_of, with_top
from infra.simulator.recorded import Reply, Request

PREFIX = "/trade-api/v2"
BATCH_LIMIT = 100


class KalshiRest:
    """Answers the public market-data calls of the trade API."""

    def __init__(self, venue: KalshiVenue, verifier: Verifier) -> None:
        self._venue = venue
        self._verifier = verifier

    def answer(self, request: Request) -> Reply:
        """The reply to a request; an order book that is asked for with a wrong signature is 401, the unknown 404."""
        if request.path.rsplit("/", 1)[-1] in ("orderbook", "orderbooks") and "kalshi-access-key" in request.headers:
            refusal = self._verifier.refusal(request.headers, request.method, request.path)
            if refusal:
                return problem(401, "unauthorized", refusal)
        recorded = self._venue.recorded.find(request)
        if recorded is not None:
            return recorded
        if request.method != "GET" or not request.path.startswith(PREFIX + "/"):
            return problem(404, "not_found", f"{request.method} {request.path}")
        return self._route(request.path.removeprefix(PREFIX + "/").split("/"), request)

    def _route(self, parts: list[str], request: Request) -> Reply:
        match parts:
            case ["exchange", "status"]:
                return Reply(200, _exchange_status())
            case ["markets"]:
                return self._markets(request)
            case ["markets", "orderbooks"]:
                return self._orderbooks(request)
            case ["markets", ticker] if ticker in self._venue.books:
                return Reply(200, {"market": self.market(ticker)})
            case ["markets", ticker, "orderbook"] if ticker in self._venue.books:
                return self._orderbook(ticker, request)
            case ["series", ticker] if self._any(ticker, series_of):
                return Reply(200, {"series": kalshi_series(ticker)})
            case ["events", ticker] if self._any(ticker, event_of):
                return Reply(200, self._event(ticker, request))
        return problem(404, "not_found", f"{request.method} {request.path}")

    def market(self, ticker: str) -> dict[str, Any]:
        """A market object: the recorded metadata, or the defaults, with the present top of the book."""
        body = self._venue.metadata.get(ticker)
        if body is None:
            body = kalshi_market(ticker, step=self._venue.survey.step.get(ticker, 100))
        return with_top(body, self._venue.books[ticker])

    def _markets(self, request: Request) -> Reply:
        wanted = set(request.every("tickers"))
        event, series = request.first("event_ticker"), request.first("series_ticker")
        limit, start = request.first("limit", "100"), request.first("cursor", "0")
        if not limit.isdecimal() or not 1 <= int(limit) <= 1000 or not start.isdecimal():
            return problem(400, "bad_request", "limit must be 1 to 1000 and cursor one that was given")
        chosen = [
            ticker
            for ticker in self._venue.books
            if (not wanted or ticker in wanted)
            and (not event or event_of(ticker) == event)
            and (not series or series_of(ticker) == series)
        ]
        end = int(start) + int(limit)
        markets = [self.market(ticker) for ticker in chosen[int(start) : end]]
        return Reply(200, {"markets": markets, "cursor": str(end) if end < len(chosen) else ""})

    def _orderbook(self, ticker: str, request: Request) -> Reply:
        depth = request.first("depth", "0")
        if not depth.isdecimal() or int(depth) > 100:
            return problem(400, "bad_request", "depth must be 0 to 100")
        return Reply(200, {"orderbook_fp": _sides(self._venue.books[ticker], int(depth))})

    def _orderbooks(self, request: Request) -> Reply:
        tickers = request.every("tickers")
        if not 1 <= len(tickers) <= BATCH_LIMIT:
            return problem(400, "bad_request", f"1 to {BATCH_LIMIT} tickers are required")
        known = [ticker for ticker in tickers if ticker in self._venue.books]
        books = [{"ticker": ticker, "orderbook_fp": _sides(self._venue.books[ticker], 0)} for ticker in known]
        return Reply(200, {"orderbooks": books})

    def _event(self, ticker: str, request: Request) -> dict[str, Any]:
        markets = [self.market(each) for each in self._venue.books if event_of(each) == ticker]
        event = kalshi_event(ticker)
        if request.first("with_nested_markets") == "true":
            return {"event": event | {"markets": markets}}
        return {"event": event, "markets": markets}

    def _any(self, name: str, of: Callable[[str], str]) -> bool:
        return any(of(ticker) == name for ticker in self._venue.books)


def problem(status: int, code: str, details: str) -> Reply:
    """An error in the venue's form."""
    return Reply(status, {"error": {"code": code, "message": code.replace("_", " "), "details": details}})


def _sides(book: KalshiBook, depth: int) -> dict[str, Any]:
    return {f"{side}_dollars": book.levels(side)[-depth:] for side in ("yes", "no")}


def _exchange_status() -> dict[str, Any]:
    active = {"exchange_active": True, "trading_active": True, "intra_exchange_transfers_active": True}
    return active | {"exchange_index_statuses": [{"exchange_index": 0, "description": "default", **active}]}
