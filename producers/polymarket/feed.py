"""Polymarket's feed: the market channel of the websocket, `POST /books` beside it."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from producers.books import PublishedBook
from producers.clock import VenueClock
from producers.feeds import Feed
from producers.home import require_home
from producers.line import Line, WebsocketLine
from producers.polymarket.auth import Signer
from producers.polymarket.book import MarketBook
from producers.polymarket.catalogue import PolymarketCatalogue
from producers.polymarket.rest import Rest
from producers.polymarket.session import PolymarketSession
from producers.session import Host
from producers.tools import Tools
from producers.transcript import Followed
from runtime.settings import MILLISECOND_NS, SECOND_NS, PolymarketSettings, load


def make_feed(tools: Tools) -> "PolymarketFeed":
    """The feed that the environment's settings describe; raises SettingsError."""
    settings = load(PolymarketSettings)
    require_home("polymarket", settings.region)
    signer = Signer()
    rest = Rest.at(settings.polymarket_clob_url, settings.polymarket_gamma_url, signer.headers, tools.now)
    return PolymarketFeed(tools, settings, rest, signer)


class PolymarketFeed(Feed[MarketBook]):
    """Polymarket's markets."""

    def __init__(
        self,
        tools: Tools,
        settings: PolymarketSettings,
        rest: Rest,
        signer: Signer | None = None,
        clock: VenueClock | None = None,
    ) -> None:
        clock = clock or VenueClock("polymarket", tools.now)
        super().__init__(
            tools,
            PolymarketCatalogue(rest, clock),
            markets_per_line=settings.polymarket_markets_per_connection,
            clock=clock,
        )
        self._settings = settings
        self._signer = signer or Signer()
        self._rest = rest

    def make_line(self) -> Line[MarketBook]:
        """A websocket line; market data needs no key."""
        return WebsocketLine(
            self.tools,
            self._session,
            self._rest.ask,
            url=self._settings.polymarket_ws_url,
            headers=self._handshake,
            changed=self.measure,
            catalogue_changed=self.catalogue_changed,
        )

    async def close(self) -> None:
        """Close the REST connections."""
        await self._rest.close()

    def _handshake(self) -> Mapping[str, str]:
        """The headers of a handshake."""
        return self._signer.headers("GET", urlsplit(self._settings.polymarket_ws_url).path)

    def _session(self, host: Host, published: Callable[[Followed], PublishedBook]) -> PolymarketSession:
        return PolymarketSession(
            host,
            published,
            overdue_ns=self.tools.settings.reconcile_ms * MILLISECOND_NS,
            rotate_ns=self._settings.polymarket_rotate_minutes * 60 * SECOND_NS,
        )
