"""The producers' feeds as the environment would make them, with a network that is given."""

from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from producers.clock import VenueClock
from producers.feeds import Feed
from producers.kalshi.auth import Signer as KalshiSigner
from producers.kalshi.feed import KalshiFeed
from producers.kalshi.rest import Rest as KalshiRest
from producers.polymarket.auth import Signer as PolymarketSigner
from producers.polymarket.feed import PolymarketFeed
from producers.polymarket.rest import Rest as PolymarketRest
from producers.tools import Tools
from runtime.settings import KalshiSettings, PolymarketSettings
from schemas.records import Venue

ADDRESS = "http://venue"
SOCKET = "ws://venue"


def make_feed(
    venue: Venue, tools: Tools, network: httpx.AsyncBaseTransport, *, signed: bool = True, **settings: Any
) -> Feed[Any]:
    """A venue's feed on this network. Kalshi's polls when it is not `signed`; `settings` are the venue's own."""
    return _kalshi(tools, network, signed, settings) if venue == "kalshi" else _polymarket(tools, network, settings)


def _kalshi(tools: Tools, network: httpx.AsyncBaseTransport, signed: bool, more: dict[str, Any]) -> KalshiFeed:
    addresses: dict[str, Any] = {
        "kalshi_rest_url": f"{ADDRESS}/trade-api/v2",
        "kalshi_ws_url": f"{SOCKET}/trade-api/ws/v2",
    }
    settings = KalshiSettings(**addresses, **more)
    signer = KalshiSigner(tools.now, "test-key", Ed25519PrivateKey.generate()) if signed else KalshiSigner(tools.now)
    clock = VenueClock("kalshi", tools.now)
    rest = KalshiRest.at(settings.kalshi_rest_url, signer.headers, tools.now, clock=clock, transport=network)
    return KalshiFeed(tools, settings, signer, rest, clock)


def _polymarket(tools: Tools, network: httpx.AsyncBaseTransport, more: dict[str, Any]) -> PolymarketFeed:
    addresses: dict[str, Any] = {
        "polymarket_clob_url": ADDRESS,
        "polymarket_gamma_url": ADDRESS,
        "polymarket_ws_url": f"{SOCKET}/ws/market",
    }
    settings, signer = PolymarketSettings(**addresses, **more), PolymarketSigner()
    rest = PolymarketRest.at(ADDRESS, ADDRESS, signer.headers, tools.now, transport=network)
    return PolymarketFeed(tools, settings, rest, signer)
