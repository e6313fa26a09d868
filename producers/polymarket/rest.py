"""Polymarket's REST interfaces as far as market data needs them: the CLOB, and Gamma for catalogue and texts."""

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

import httpx

from producers.limits import RateLimiter
from producers.polymarket.limits import CLOB, GAMMA, clob_charge, gamma_charge
from producers.resilience import RestClient

BOOKS_PER_CALL: Final = 100
BOOKS_PATH: Final = "/books"
GAMMA_PER_CALL: Final = 50
"""Condition ids in one request; about 100 are taken, and a protocol v2 market may need two."""

KEYSET_PAGE: Final = 100
"""More is asked for in vain: the venue gives no more."""


class Rest:
    """Typed paths over two RestClients; bodies come back as bytes, for the raw topic and the decoders."""

    def __init__(self, clob: RestClient, gamma: RestClient) -> None:
        self.clob = clob
        self.gamma = gamma

    @classmethod
    def at(
        cls,
        clob_url: str,
        gamma_url: str,
        sign: Callable[[str, str], dict[str, str]],
        now: Callable[[], int],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> "Rest":
        """The interfaces at two addresses, within the venue's limits."""

        def client(url: str, limiter: RateLimiter) -> RestClient:
            return RestClient(url, sign, venue="polymarket", limiter=limiter, now=now, transport=transport)

        return cls(
            client(clob_url, RateLimiter("polymarket", CLOB, clob_charge)),
            client(gamma_url, RateLimiter("polymarket", GAMMA, gamma_charge)),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self.clob.close()
        await self.gamma.close()

    async def ask(self, path: str, body: bytes | None = None) -> bytes:
        """What a line asks the CLOB for, once: GET a path, or POST a body to it."""
        return await self.clob.ask(path, body)

    async def market(self, condition: str) -> bytes:
        """`GET /clob-markets/{condition_id}`: tokens, tick, minimum size, fee."""
        return await self.clob.request("GET", f"/clob-markets/{quote(condition, safe='')}")

    async def full_market(self, condition: str) -> bytes:
        """The CLOB's `GET /markets/{condition_id}`: the long form, with the winner."""
        return await self.clob.request("GET", f"/markets/{quote(condition, safe='')}", attempts=2)

    async def market_now(self, condition: str) -> bytes:
        """`GET /clob-markets/{condition_id}`, asked once."""
        return await self.clob.ask(f"/clob-markets/{quote(condition, safe='')}")

    async def texts(self, conditions: Sequence[str], *, closed: bool = False) -> bytes:
        """Gamma's `GET /markets` by condition ids: an array. Closed markets come only when they are asked for."""
        listed = "&".join(f"condition_ids={quote(condition, safe='')}" for condition in conditions)
        more = "&closed=true" if closed else ""
        return await self.gamma.request("GET", f"/markets?{listed}&limit={2 * GAMMA_PER_CALL}{more}", attempts=2)

    async def tradeable(self, cursor: str) -> bytes:
        """A page of Gamma's `GET /markets/keyset`: open markets, the most traded of the last day first.

        The parameter is `after_cursor`; one called `cursor` is passed over and the first page comes for ever.
        """
        after = f"&after_cursor={quote(cursor, safe='')}" if cursor else ""
        path = f"/markets/keyset?active=true&closed=false&order=volume24hr&ascending=false&limit={KEYSET_PAGE}{after}"
        return await self.gamma.request("GET", path)

    async def tradeable_from(self, offset: int) -> bytes:
        """The same by offset, an array: the older form, which ends at about 2,000."""
        path = f"/markets?active=true&closed=false&order=volume24hr&ascending=false&limit={KEYSET_PAGE}&offset={offset}"
        return await self.gamma.request("GET", path)

    async def time(self) -> bytes:
        """`GET /time`: the venue's clock in whole seconds; asked once."""
        return await self.clob.ask("/time")

    async def books(self, body: bytes) -> bytes:
        """`POST /books`; one try, the caller comes again anyway."""
        return await self.clob.ask(BOOKS_PATH, body)
