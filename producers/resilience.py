"""How a producer asks a venue's REST interface and meets failure: limits, deadlines, retries, a circuit breaker."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from producers.guard import Backoff, Breaker, Guard
from producers.limits import RateLimiter, TooCostlyError
from producers.refusals import THROTTLED, RestError, refused
from runtime import metrics

__all__ = ["Backoff", "Breaker", "Guard", "Heard", "RestClient", "RestError", "is_loopback"]

TIMEOUT_S: Final = 3.0
"""An attempt that takes longer has failed, however much of the answer has come."""

PATIENCE_S: Final = 20.0
"""No attempt begins later than this after the request was made."""

ATTEMPTS: Final = 4
_WAIT: Final = wait_random_exponential(multiplier=0.25, max=2.5)
_SPREAD_S: Final = 0.25
"""Those who were told the same moment to come back come within this after it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """When a venue answered, by our clock, and what its own clock said: the Date header, empty where it tells nothing
    (none was sent, or the answer came out of a cache)."""

    sent_ns: int
    received_ns: int
    date: str


def is_loopback(url: str) -> bool:
    """True when the address is this machine: no proxy of the environment applies to it."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


class RestClient:
    """One venue address: pooled connections, limits, deadlines, retries of passing failures, clear errors.

    `sign(method, path)` gives the headers of a request; `path` is the whole path without the query. The circuit counts
    as failures what a venue that is down does: no answer, or a server error. `heard` is told of every answer.
    """

    def __init__(
        self,
        base_url: str,
        sign: Callable[[str, str], dict[str, str]],
        *,
        venue: str = "",
        limiter: RateLimiter | None = None,
        breaker: Breaker | None = None,
        now: Callable[[], int] | None = None,
        heard: Callable[[Heard], None] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.limiter = limiter
        self.heard = heard
        self._base = base_url.rstrip("/")
        self._path = urlsplit(self._base).path
        self._sign = sign
        self._venue = venue
        self._breaker = breaker or Breaker(venue, urlsplit(self._base).netloc)
        self._now = now or (lambda: 0)
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

    async def request(
        self, method: str, path: str, *, body: bytes | None = None, attempts: int = ATTEMPTS, background: bool = False
    ) -> bytes:
        """The body of a successful answer to `path` (with its query); raises RestError.

        Passing failures are tried again, with full jitter and not before the venue said. `background` requests leave
        room in the venue's limits for the others.
        """
        ends_s = asyncio.get_running_loop().time() + PATIENCE_S

        def enough(state: RetryCallState) -> bool:
            too_late = asyncio.get_running_loop().time() + state.upcoming_sleep > ends_s
            return state.attempt_number >= attempts or too_late

        retrying = AsyncRetrying(
            stop=enough,
            wait=_wait_s,
            retry=retry_if_exception(lambda error: isinstance(error, RestError) and error.passing),
            before_sleep=lambda _state: metrics.REST_RETRIES.labels(self._venue).inc(),
            reraise=True,
            sleep=self._sleep,
        )
        return await retrying(self._once, method, path, body, background)

    async def ask(self, path: str, body: bytes | None = None) -> bytes:
        """GET a path, or POST a body to it; tried once, for those who come again anyway. Raises RestError."""
        return await self.request("GET" if body is None else "POST", path, body=body, attempts=1)

    async def _once(self, method: str, path: str, body: bytes | None, background: bool) -> bytes:
        where, bare = f"{method} {self._base}{path}", self._path + path.partition("?")[0]
        if self.limiter is not None:
            try:
                await self.limiter.admit(method, path.partition("?")[0], background=background)
            except TooCostlyError as error:
                raise RestError(str(error), 400, detail=str(error)) from error
        if not self._breaker.admits():
            self._count("not tried")
            raise RestError(f"{where}: not tried, the circuit is open", retry_after_s=self._breaker.wait_s())
        headers = self._sign(method, bare)
        if body is not None:
            headers["content-type"] = "application/json"
        sent_ns = self._now()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._client.request(method, self._base + path, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            problem = RestError(f"{where}: {type(error).__name__}: {error}")
            self._count("failed")
            self._breaker.failed(problem)
            raise problem from error
        self._tell(answer, sent_ns)
        return self._judge(where, answer)

    def _judge(self, where: str, answer: httpx.Response) -> bytes:
        if answer.is_success:
            self._count("answered")
            self._breaker.succeeded()
            return answer.content
        error, form = refused(where, answer, self._now())
        metrics.FORMS_SEEN.labels(self._venue, "error body", form).inc()
        throttled = error.status in THROTTLED
        self._count("throttled" if throttled else "failed" if error.passing else "refused")
        if error.passing and not throttled:
            self._breaker.failed(error)
        else:
            self._breaker.succeeded()
        if error.retry_after_s and throttled and self.limiter is not None:
            self.limiter.pause(error.retry_after_s)
        raise error

    def _tell(self, answer: httpx.Response, sent_ns: int) -> None:
        if self.heard is not None:
            cached = answer.headers.get("age", "0").strip() not in ("", "0")
            self.heard(Heard(sent_ns, self._now(), "" if cached else answer.headers.get("date", "")))

    def _count(self, outcome: str) -> None:
        metrics.REST_REQUESTS.labels(self._venue, outcome).inc()


def _wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked_s = error.retry_after_s if isinstance(error, RestError) else 0.0
    jitter_s: float = _WAIT(state)
    return max(jitter_s, asked_s + random.uniform(0.0, _SPREAD_S)) if asked_s else jitter_s  # noqa: S311 - no secret
