"""Kalshi's catalogue over REST: series, events, markets, trades and fee changes, filtered and paged.

Sources: the venue's pages "Get Markets", "Get Events", "Get Series List", "Get Trades", "Get Series Fee Changes" and
"Get Event Fee Changes". Times in queries are Unix seconds.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from infra.simulator.kalshi.channels import COMBO_PREFIX
from infra.simulator.kalshi.market import FILTER_WORDS, SECOND, ListedMarket, parse_time, rfc3339
from infra.simulator.kalshi.messages import trade_facts
from infra.simulator.kalshi.replies import bad_request, number, page
from infra.simulator.recorded import Request

if TYPE_CHECKING:
    from infra.simulator.kalshi.venue import KalshiVenue

Body = dict[str, Any]
Chosen = Callable[[ListedMarket], bool]

FAR_S = 2**40
ENDS = (("min", (0, 0, FAR_S)), ("max", (FAR_S, 0, FAR_S)))
"""Both ends of a time filter: what they are when they are not given, and their range."""

TIME_FILTERS = {"created": ("", "unopened", "open"), "close": ("", "closed"), "settled": ("", "settled")}
"""Which ``status`` words may stand beside which time filters."""

MARKET_LIMIT, EVENT_LIMIT, TRADE_LIMIT = 1_000, 200, 1_000
DEFAULT_LIMIT = 100


class Listing:
    """Answers the catalogue's questions; a malformed one is ``Refused``."""

    def __init__(self, venue: "KalshiVenue") -> None:
        self._venue = venue
        self._catalogue = venue.catalogue

    def market(self, ticker: str) -> Body | None:
        """A market object with the present top of its book; None when REST knows no such market (yet)."""
        market = self._catalogue.markets.get(ticker)
        return self._body(market) if market is not None and self._known(market) else None

    def markets(self, request: Request) -> Body:
        """``GET /markets``."""
        chosen = [market for market in self._catalogue.markets.values() if self._known(market)]
        for keep in self._filters(request):
            chosen = [market for market in chosen if keep(market)]
        items = [(market.number, market) for market in chosen]
        markets, cursor = self._page(request, "markets", items, MARKET_LIMIT)
        return {"markets": [self._body(market) for market in markets], "cursor": cursor}

    def events(self, request: Request, *, combos: bool = False) -> Body:
        """``GET /events``, or ``GET /events/multivariate``: every event with a market of the wanted status."""
        status, wanted, series = request.first("status"), set(request.every("tickers")), request.first("series_ticker")
        nested = _flag(request, "with_nested_markets")
        close_s, updated_s = (number(request, name, 0, 0, FAR_S) for name in ("min_close_ts", "min_updated_ts"))
        matches = self._status(status)
        items = []
        for position, (ticker, event) in enumerate(self._catalogue.events.items()):
            children = [market for market in self._catalogue.of_event(ticker) if self._known(market)]
            kept = (
                ticker.startswith(COMBO_PREFIX) == combos
                and (not wanted or ticker in wanted)
                and (not series or event.get("series_ticker") == series)
                and (not status or any(matches(market) for market in children))
                and (not close_s or any(self._ns(market, "close") >= close_s * SECOND for market in children))
                and (not updated_s or any(self._ns(market, "updated") >= updated_s * SECOND for market in children))
            )
            if kept:
                items.append((position, event | ({"markets": list(map(self._body, children))} if nested else {})))
        name = "combos" if combos else "events"
        events, cursor = self._page(request, name, items, EVENT_LIMIT, EVENT_LIMIT)
        return {"events": events, "cursor": cursor}

    def event(self, ticker: str, request: Request) -> Body | None:
        """``GET /events/{event_ticker}``; None when there is none. Its markets stand beside it or, on demand, in it."""
        event = self._catalogue.events.get(ticker)
        if event is None:
            return None
        markets = [self._body(market) for market in self._catalogue.of_event(ticker) if self._known(market)]
        if _flag(request, "with_nested_markets"):
            return {"event": event | {"markets": markets}}
        return {"event": event, "markets": markets}

    def series(self, ticker: str) -> Body | None:
        """``GET /series/{ticker}``; None when there is none."""
        body = self._catalogue.series_body(ticker, self._venue.now())
        return None if body is None else {"series": body}

    def series_list(self, request: Request) -> Body:
        """``GET /series``."""
        category, tags = request.first("category"), set(request.every("tags"))
        bodies = [self._catalogue.series_body(ticker, self._venue.now()) or {} for ticker in self._catalogue.series]
        kept = [
            body
            for body in bodies
            if (not category or body.get("category") == category) and (not tags or tags & set(body.get("tags") or ()))
        ]
        return {"series": kept}

    def trades(self, request: Request) -> Body:
        """``GET /markets/trades``: the newest first."""
        ticker, block = request.first("ticker"), _flag(request, "is_block_trade")
        least, most = number(request, "min_ts", 0, 0, FAR_S), number(request, "max_ts", FAR_S, 0, FAR_S)
        items = (
            (-count, {"ticker": trade.market, **trade_facts(trade), "created_time": rfc3339(ns)})
            for count, ns, trade in self._venue.trades.newest()
            if (not ticker or trade.market == ticker) and least <= ns // SECOND <= most and not block
        )
        trades, cursor = self._page(request, "trades", items, TRADE_LIMIT)
        return {"trades": trades, "cursor": cursor}

    def series_fee_changes(self, request: Request) -> Body:
        """``GET /series/fee_changes``: those to come, with ``show_historical`` all of them."""
        ticker, all_of_them = request.first("series_ticker"), _flag(request, "show_historical")
        kept = [
            change
            for change in self._catalogue.series_fee_changes
            if (not ticker or change["series_ticker"] == ticker)
            and (all_of_them or parse_time(change["scheduled_ts"]) > self._venue.now())
        ]
        return {"series_fee_change_arr": kept}

    def event_fee_changes(self, request: Request) -> Body:
        """``GET /events/fee_changes``."""
        ticker = request.first("event_ticker")
        changes = enumerate(self._catalogue.event_fee_changes)
        items = [(index, change) for index, change in changes if not ticker or change["event_ticker"] == ticker]
        changed, cursor = self._page(request, "event fee changes", items, MARKET_LIMIT)
        return {"event_fee_changes": changed, "cursor": cursor}

    def _page(
        self, request: Request, name: str, items: Any, most: int, default: int = DEFAULT_LIMIT
    ) -> tuple[list[Any], str | None]:
        return page(request, name, items, default, most, null_cursor=self._venue.options.null_cursor)

    def _body(self, market: ListedMarket) -> Body:
        return market.rest_body(self._venue.shown(market.ticker), self._venue.now())

    def _known(self, market: ListedMarket) -> bool:
        return market.known_ns <= self._venue.now()

    def _filters(self, request: Request) -> Iterator[Chosen]:
        """What every listed market must fulfil."""
        tickers, event, series = (
            set(request.every("tickers")),
            request.first("event_ticker"),
            request.first("series_ticker"),
        )
        combos = request.first("mve_filter")
        if combos not in ("", "only", "exclude"):
            raise bad_request(f"mve_filter: {combos!r} is neither only nor exclude")
        if tickers:
            yield lambda market: market.ticker in tickers
        if event:
            yield lambda market: market.event == event
        if series:
            yield lambda market: self._catalogue.series_ticker(market) == series
        if combos:
            yield lambda market: market.ticker.startswith(COMBO_PREFIX) == (combos == "only")
        if request.first("status"):
            yield self._status(request.first("status"))
        yield from self._time_filters(request)

    def _status(self, word: str) -> Chosen:
        if not word:
            return lambda market: True  # noqa: ARG005 - a filter that keeps everything
        if word not in FILTER_WORDS:
            raise bad_request(f"status: {word!r} is none of {', '.join(FILTER_WORDS)}")
        states, lag_ns = FILTER_WORDS[word], self._venue.options.closed_lag_ms * 1_000_000

        def keep(market: ListedMarket) -> bool:
            now_ns = self._venue.now()
            late = word == "open" and market.timed and market.status(now_ns) == "closed"
            return market.status(now_ns) in states or (late and now_ns < market.close_ns + lag_ns)

        return keep

    def _time_filters(self, request: Request) -> Iterator[Chosen]:
        status, given = request.first("status"), {name for name, _ in request.query}
        for kind, words in TIME_FILTERS.items():
            names = {f"min_{kind}_ts", f"max_{kind}_ts"} & given
            if names and status not in words:
                raise bad_request(f"{min(names)}: not with status {status}")
            if names:
                yield self._between(kind, *(number(request, f"{end}_{kind}_ts", *bounds) for end, bounds in ENDS))
        if "min_updated_ts" in given:
            if given - {"min_updated_ts", "series_ticker", "mve_filter", "limit", "cursor"}:
                raise bad_request("min_updated_ts: only alone or with series_ticker and mve_filter=exclude")
            updated_ns = number(request, "min_updated_ts", 0, 0, FAR_S) * SECOND
            yield lambda market: self._ns(market, "updated") >= updated_ns

    def _between(self, kind: str, least_s: int, most_s: int) -> Chosen:
        return lambda market: least_s * SECOND <= self._ns(market, kind) <= most_s * SECOND

    def _ns(self, market: ListedMarket, kind: str) -> int:
        """One of a market's times in ns; 0 when it has none that can be read."""
        if market.timed and kind != "created":
            return {"close": market.close_ns, "settled": market.settled_ns, "updated": market.updated_ns}[kind]
        try:
            return parse_time(market.body.get("settlement_ts" if kind == "settled" else f"{kind}_time"))
        except ValueError:
            return 0


def _flag(request: Request, name: str) -> bool:
    return request.first(name) == "true"
