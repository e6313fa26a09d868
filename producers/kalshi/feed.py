"""Kalshi's feed: the websocket with a key, the public REST books without one."""

from collections.abc import Sequence
from typing import Final

from producers.feeds import Catalogue, Feed
from producers.home import require_home
from producers.kalshi.auth import Signer, make_signer
from producers.kalshi.book import MarketBook
from producers.kalshi.catalogue import KalshiCatalogue
from producers.kalshi.line import KalshiLine
from producers.kalshi.polling import PollingLine
from producers.kalshi.rest import Rest
from producers.line import Line
from producers.resilience import RestClient
from producers.tools import Tools
from runtime.settings import KalshiSettings, load

MARKETS_PER_LINE: Final = 2000


def make_feed(tools: Tools) -> "KalshiFeed":
    """The feed that the environment's settings describe; raises SettingsError."""
    settings = load(KalshiSettings)
    require_home("kalshi", settings.region)
    signer = make_signer(settings, tools.now)
    return KalshiFeed(tools, settings, signer, Rest(RestClient(settings.kalshi_rest_url, signer.headers)))


class KalshiFeed(Feed[MarketBook]):
    """Kalshi's markets."""

    def __init__(self, tools: Tools, settings: KalshiSettings, signer: Signer, rest: Rest) -> None:
        super().__init__(tools, markets_per_line=MARKETS_PER_LINE)
        self._settings = settings
        self._signer = signer
        self._rest = rest
        self._catalogue = KalshiCatalogue(rest)

    async def describe(self, markets: Sequence[str]) -> Catalogue:
        """Ask the venue about markets."""
        return await self._catalogue.describe(markets, self.tools.now())

    def make_line(self) -> Line[MarketBook]:
        """A websocket line with a key, a polling line without."""
        if self._signer.has_key:
            return KalshiLine(self.tools, self.measure, self._settings.kalshi_ws_url, self._signer)
        return PollingLine(self.tools, self.measure, self._rest, self._settings.kalshi_poll_ms)

    async def close(self) -> None:
        """Close the REST connections."""
        await self._rest.close()
