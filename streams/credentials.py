"""How a Faust app signs in to its cluster: not at all, or to Amazon MSK with tokens signed by `runtime.msk`."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import faust
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

from runtime import msk

REUSED_S: Final = 60.0
"""So long a token serves every connection that is opened: enough to sign once at a start, where several are."""


class TokenProvider(AbstractTokenProvider):  # type: ignore[misc]
    """Gives aiokafka a token for each connection it opens; `make` is called on another thread, never twice at once."""

    def __init__(self, make: Callable[[], msk.Token], *, now: Callable[[], float] = time.time) -> None:
        self._make = make
        self._now = now
        self._token: msk.Token | None = None
        self._lock = threading.Lock()

    async def token(self) -> str:
        """A token that lasts; raises KafkaConnectionError, after which aiokafka tries again."""
        return await asyncio.get_running_loop().run_in_executor(None, self._fresh)

    def _fresh(self) -> str:
        with self._lock:
            if self._token is None or self._now() > self._token.expires_s - msk.LIFETIME_S + REUSED_S:
                try:
                    self._token = self._make()
                except msk.TokenFailed as error:
                    raise KafkaConnectionError(f"no token for MSK: {error}") from error
            return self._token.text


def faust_settings(address: str) -> dict[str, Any]:
    """What a Faust app needs to reach the cluster of an address: its `broker` and, for MSK, `broker_credentials`."""
    cluster = msk.parse(address)
    region = cluster.aws_region
    if region is None:
        return {"broker": f"kafka://{cluster.servers}"}
    provider = TokenProvider(lambda: msk.sign(region))
    return {
        "broker": f"kafka://{cluster.servers}",
        "broker_credentials": faust.OAuthCredentials(oauth_cb=provider, ssl_context=ssl.create_default_context()),
    }
