"""How a producer meets failure: reconnect delays, and REST requests that are tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import httpx
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

STABLE_NS: Final = 60_000_000_000
"""A connection that lasted this long forgets the failures before it."""

TIMEOUT_S: Final = 5.0


class Backoff:
    """Exponential backoff with full jitter: the n-th delay is uniform between 0 and min(limit, initial x 2^n)."""

    def __init__(
        self, initial_ms: int, limit_ms: int, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._initial_s = initial_ms / 1000
        self._limit_s = limit_ms / 1000
        self._uniform = uniform
        self._failures = 0

    def delay_s(self, lasted_ns: int = 0) -> float:
        """Seconds to wait now, after an attempt that lasted `lasted_ns`."""
        if lasted_ns >= STABLE_NS:
            self._failures = 0
        ceiling = min(self._limit_s, self._initial_s * 2.0 ** min(self._failures, 64))
        self._failures += 1
        return self._uniform(0.0, ceiling)


class RestError(RuntimeError):
    """A venue's REST interface did not give the answer; the message names request and cause."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status

    @property
    def passing(self) -> bool:
        """True when the same request may succeed later: no answer at all, 425, 429 or a server error."""
        return self.status in (0, 425, 429) or self.status >= 500

    @property
    def unknown(self) -> bool:
        """True when the venue says that it does not know the thing asked for."""
        return self.status in (400, 404)


def is_loopback(url: str) -> bool:
    """True when the address is this machine: no proxy of the environment applies to it."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


class RestClient:
    """One venue address: pooled connections, deadlines, retries of passing failures, clear errors.

    `sign(method, path)` gives the headers of a request; `path` is the whole path without the query.
    """

    def __init__(
        self,
        base_url: str,
        sign: Callable[[str, str], dict[str, str]],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._path = urlsplit(self._base).path
        self._sign = sign
        self._sleep = sleep
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_connections=16, max_keepalive_connections=8),
            trust_env=not is_loopback(base_url),
            transport=transport,
        )

    async def close(self) -> None:
        """Close the pool."""
        await self._client.aclose()

    async def request(self, method: str, path: str, *, body: bytes | None = None, attempts: int = 4) -> bytes:
        """The body of a successful answer to `path` (with its query); raises RestError."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(attempts),
            wait=wait_random_exponential(multiplier=0.25, max=5),
            retry=retry_if_exception(lambda error: isinstance(error, RestError) and error.passing),
            reraise=True,
            sleep=self._sleep,
        )
        return await retrying(self._once, method, path, body)

    async def _once(self, method: str, path: str, body: bytes | None) -> bytes:
        where = f"{method} {self._base}{path}"
        headers = self._sign(method, self._path + path.partition("?")[0])
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            answer = await self._client.request(method, self._base + path, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise RestError(f"{where}: {type(error).__name__}: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise RestError(f"{where}: HTTP {answer.status_code}: {answer.text[:200]}", answer.status_code)
        return answer.content
