"""Kalshi's REST interface as far as market data needs it ("Get Markets", "Get Market Orderbooks", series, events)."""

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

import httpx

from producers.clock import VenueClock
from producers.kalshi.limits import buckets, charges
from producers.limits import RateLimiter
from producers.resilience import RestClient

MARKETS_PER_CALL: Final = 100
EVENTS_PER_CALL: Final = 100
PAGE: Final = 1000


class Rest:
    """Typed paths over a RestClient; bodies come back as bytes, for the raw topic and the decoders."""

    def __init__(self, client: RestClient) -> None:
        self.client = client

    @classmethod
    def at(
        cls,
        url: str,
        sign: Callable[[str, str], dict[str, str]],
        now: Callable[[], int],
        *,
        clock: VenueClock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> "Rest":
        """The interface at an address, within the limits of the Basic tier; `clock` hears the venue's time."""
        return cls(
            RestClient(
                url,
                sign,
                venue="kalshi",
                limiter=RateLimiter("kalshi", buckets(), charges()),
                now=now,
                heard=None if clock is None else clock.heard,
                transport=transport,
            )
        )

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()

    async def ask(self, path: str, body: bytes | None = None) -> bytes:
        """What a line asks for, once: GET a path, or POST a body to it."""
        return await self.client.ask(path, body)

    async def markets(self, tickers: Sequence[str], cursor: str = "") -> bytes:
        """A page of `GET /markets` for up to 100 tickers; unknown ones are left out by the venue."""
        path = f"/markets?tickers={_listed(tickers)}&limit={MARKETS_PER_CALL}{_after(cursor)}"
        return await self.client.request("GET", path)

    async def markets_now(self, tickers: Sequence[str], cursor: str = "") -> bytes:
        """The same, asked once."""
        return await self.client.ask(f"/markets?tickers={_listed(tickers)}&limit={MARKETS_PER_CALL}{_after(cursor)}")

    async def open_markets(self, cursor: str) -> bytes:
        """A page of all open markets but the multivariate ones; the first for an empty cursor."""
        path = f"/markets?status=open&mve_filter=exclude&limit={PAGE}{_after(cursor)}"
        return await self.client.request("GET", path, background=True)

    async def events(self, event_tickers: Sequence[str], cursor: str = "") -> bytes:
        """A page of `GET /events` for up to 100 tickers."""
        path = f"/events?tickers={_listed(event_tickers)}&limit=200{_after(cursor)}"
        return await self.client.request("GET", path)

    async def event(self, event_ticker: str) -> bytes:
        """`GET /events/{event_ticker}`."""
        return await self.client.request("GET", f"/events/{quote(event_ticker, safe='')}")

    async def series(self, series_ticker: str) -> bytes:
        """`GET /series/{series_ticker}`."""
        return await self.client.request("GET", f"/series/{quote(series_ticker, safe='')}")

    async def series_fee_changes(self) -> bytes:
        """`GET /series/fee_changes`: those to come."""
        return await self.client.request("GET", "/series/fee_changes", background=True)

    async def event_fee_changes(self, cursor: str) -> bytes:
        """A page of `GET /events/fee_changes`, past ones too: an override in force may stand nowhere else."""
        path = f"/events/fee_changes?show_historical=true{_after(cursor)}"
        return await self.client.request("GET", path, background=True)

    async def status(self) -> bytes:
        """`GET /exchange/status`, asked once."""
        return await self.client.ask("/exchange/status")

    async def account_limits(self) -> bytes:
        """`GET /account/limits`; needs a key."""
        return await self.client.request("GET", "/account/limits", attempts=2)

    async def endpoint_costs(self) -> bytes:
        """`GET /account/endpoint_costs`; needs a key."""
        return await self.client.request("GET", "/account/endpoint_costs", attempts=2)

    async def books(self, path: str) -> bytes:
        """The order books that `books_path` names; one try, the caller comes again anyway."""
        return await self.client.ask(path)


def books_path(tickers: Sequence[str]) -> str:
    """`GET /markets/orderbooks` for up to 100 tickers; the parameter is repeated."""
    return "/markets/orderbooks?" + "&".join(f"tickers={quote(ticker, safe='')}" for ticker in tickers)


def _listed(names: Sequence[str]) -> str:
    return ",".join(quote(name, safe="") for name in names)


def _after(cursor: str) -> str:
    return f"&cursor={quote(cursor, safe='')}" if cursor else ""
