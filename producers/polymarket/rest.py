"""Polymarket's REST interfaces as far as market data needs them: the CLOB, and Gamma for texts and dates."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from producers.resilience import RestClient

BOOKS_PER_CALL: Final = 100
BOOKS_PATH: Final = "/books"
GAMMA_PER_CALL: Final = 50


class Rest:
    """Typed paths over two RestClients; bodies come back as bytes, for the raw topic and the decoders."""

    def __init__(self, clob: RestClient, gamma: RestClient) -> None:
        self._clob = clob
        self._gamma = gamma

    async def close(self) -> None:
        """Close the connections."""
        await self._clob.close()
        await self._gamma.close()

    async def market(self, condition: str) -> bytes:
        """`GET /clob-markets/{condition_id}`: tokens, tick, minimum size, fee."""
        return await self._clob.request("GET", f"/clob-markets/{quote(condition, safe='')}")

    async def texts(self, conditions: Sequence[str]) -> bytes:
        """Gamma's `GET /markets` by condition ids: an array; closed and unknown markets are left out."""
        listed = "&".join(f"condition_ids={quote(condition, safe='')}" for condition in conditions)
        return await self._gamma.request("GET", f"/markets?{listed}&limit={GAMMA_PER_CALL}", attempts=2)

    async def books(self, body: bytes) -> bytes:
        """`POST /books`; one try, the caller comes again anyway."""
        return await self._clob.request("POST", BOOKS_PATH, body=body, attempts=1)
