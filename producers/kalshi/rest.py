"""Kalshi's REST interface as far as market data needs it ("Get Markets", "Get Market Orderbooks", series, events)."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from producers.resilience import RestClient

MARKETS_PER_CALL: Final = 100


class Rest:
    """Typed paths over a RestClient; bodies come back as bytes, for the raw topic and the decoders."""

    def __init__(self, client: RestClient) -> None:
        self._client = client

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def markets(self, tickers: Sequence[str]) -> bytes:
        """`GET /markets` for up to 100 tickers; unknown ones are left out by the venue."""
        listed = ",".join(quote(ticker, safe="") for ticker in tickers)
        return await self._client.request("GET", f"/markets?tickers={listed}&limit={MARKETS_PER_CALL}")

    async def event(self, event_ticker: str) -> bytes:
        """`GET /events/{event_ticker}`."""
        return await self._client.request("GET", f"/events/{quote(event_ticker, safe='')}")

    async def series(self, series_ticker: str) -> bytes:
        """`GET /series/{series_ticker}`."""
        return await self._client.request("GET", f"/series/{quote(series_ticker, safe='')}")

    async def books(self, path: str) -> bytes:
        """The order books that `books_path` names; one try, the caller comes again anyway."""
        return await self._client.request("GET", path, attempts=1)


def books_path(tickers: Sequence[str]) -> str:
    """`GET /markets/orderbooks` for up to 100 tickers; the parameter is repeated."""
    return "/markets/orderbooks?" + "&".join(f"tickers={quote(ticker, safe='')}" for ticker in tickers)
