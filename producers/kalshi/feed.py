"""Kalshi's feed: the websocket with a key, the public REST books without one."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from producers.books import PublishedBook
from producers.clock import VenueClock
from producers.feeds import Feed
from producers.home import require_home
from producers.kalshi.auth import Signer, make_signer
from producers.kalshi.book import MarketBook
from producers.kalshi.catalogue import KalshiCatalogue
from producers.kalshi.polling import KalshiPolling
from producers.kalshi.rest import Rest
from producers.kalshi.session import KalshiSession
from producers.line import Line, PollingLine, WebsocketLine
from producers.session import Host
from producers.tools import Tools
from producers.transcript import Followed
from runtime.settings import MILLISECOND_NS, KalshiSettings, load


def make_feed(tools: Tools) -> "KalshiFeed":
    """The feed that the environment's settings describe; raises SettingsError."""
    settings = load(KalshiSettings)
    require_home("kalshi", settings.region)
    signer, clock = make_signer(settings, tools.now), VenueClock("kalshi", tools.now)
    rest = Rest.at(settings.kalshi_rest_url, signer.headers, tools.now, clock=clock)
    return KalshiFeed(tools, settings, signer, rest, clock)


class KalshiFeed(Feed[MarketBook]):
    """Kalshi's markets."""

    def __init__(
        self, tools: Tools, settings: KalshiSettings, signer: Signer, rest: Rest, clock: VenueClock | None = None
    ) -> None:
        """`clock` is the one that hears the answers of `rest`."""
        super().__init__(
            tools,
            KalshiCatalogue(rest, has_key=signer.has_key),
            markets_per_line=settings.kalshi_markets_per_connection,
            clock=clock,
        )
        self._settings = settings
        self._signer = signer
        self._rest = rest

    def make_line(self) -> Line[MarketBook]:
        """A websocket line with a key, a polling line without."""
        tools, rest = self.tools, self._rest.ask
        if not self._signer.has_key:
            return PollingLine(
                tools, self._polling, rest, changed=self.measure, catalogue_changed=self.catalogue_changed
            )
        return WebsocketLine(
            tools,
            self._session,
            rest,
            url=self._settings.kalshi_ws_url,
            headers=self._handshake,
            changed=self.measure,
            catalogue_changed=self.catalogue_changed,
        )

    async def close(self) -> None:
        """Close the REST connections."""
        await self._rest.close()

    def _handshake(self) -> Mapping[str, str]:
        """The headers of a handshake, signed now."""
        return self._signer.headers("GET", urlsplit(self._settings.kalshi_ws_url).path)

    def _session(self, host: Host, published: Callable[[Followed], PublishedBook]) -> KalshiSession:
        return KalshiSession(
            host,
            published,
            overdue_ns=self._overdue_ns,
            use_yes_price=self._settings.kalshi_use_yes_price,
            audit_markets=self._settings.kalshi_audit_markets,
        )

    def _polling(self, host: Host, published: Callable[[Followed], PublishedBook]) -> KalshiPolling:
        poll_ns = self._settings.kalshi_poll_ms * MILLISECOND_NS
        return KalshiPolling(host, published, overdue_ns=self._overdue_ns, poll_ns=poll_ns)

    @property
    def _overdue_ns(self) -> int:
        return self.tools.settings.reconcile_ms * MILLISECOND_NS
