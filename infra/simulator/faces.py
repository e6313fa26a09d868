"""The two venues put together: each one's books, REST side and conversations as one site."""

from dataclasses import dataclass
from pathlib import Path

from infra.simulator.engine import MatchingEngine
from infra.simulator.faults import FaultPanel
from infra.simulator.kalshi.auth import Verifier
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.kalshi.rest import KalshiRest, problem
from infra.simulator.kalshi.session import Session as KalshiSession
from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.outbox import Outbox
from infra.simulator.polymarket.options import PolymarketOptions
from infra.simulator.polymarket.rest import PolymarketRest
from infra.simulator.polymarket.sessions import Session as PolymarketSession
from infra.simulator.polymarket.venue import PolymarketVenue
from infra.simulator.recorded import Reply
from infra.simulator.site import Settings, Site, later
from infra.simulator.tape import Tape
from infra.simulator.venue import Conversation, Face, Headers

KALSHI_PATH = "/trade-api/ws/v2"
POLYMARKET_PATH = "/ws/market"


def make_site(
    venue: str,
    tape: Tape,
    settings: Settings,
    *,
    exchange: bool = False,
    kalshi_public_key: Path | None = None,
    kalshi: KalshiOptions | None = None,
    polymarket: PolymarketOptions | None = None,
) -> Site:
    """A venue with what the tape knows of it; ``exchange`` lets an engine and traffic move its books, not the tape.

    The options of either venue choose among the forms in which it may answer.

    Raises:
        TapeError: the tape is damaged.
        ValueError: the public key is no key.
    """
    faults = FaultPanel(settings.now, settings.seed)
    engine = MatchingEngine(settings.now) if exchange else None
    if venue == "kalshi":
        verifier = Verifier.from_file(kalshi_public_key, settings.now)
        face = _kalshi(
            KalshiVenue(tape, now=settings.now, faults=faults, schedule=later, engine=engine, options=kalshi), verifier
        )
    else:
        face = _polymarket(
            PolymarketVenue(tape, now=settings.now, faults=faults, schedule=later, engine=engine, options=polymarket)
        )
    return Site(face, faults, settings, engine)


def _kalshi(venue: KalshiVenue, verifier: Verifier) -> Face:
    def refusal(path: str, headers: Headers) -> Reply | None:
        reason = verifier.refusal(dict(headers), "GET", path)
        return problem(401, "unauthorized", reason) if reason else None

    def open_session(_path: str, outbox: Outbox) -> Conversation:
        return KalshiSession(venue, outbox)

    return Face(venue, KalshiRest(venue, verifier), (KALSHI_PATH,), b"heartbeat", refusal, open_session)


@dataclass(frozen=True, slots=True)
class _MarketChannel:
    """One client of Polymarket's market channel."""

    venue: PolymarketVenue
    session: PolymarketSession

    def handle(self, text: str) -> None:
        self.venue.handle(self.session, text)

    def close(self) -> None:
        self.venue.close(self.session)


def _polymarket(venue: PolymarketVenue) -> Face:
    def refusal(_path: str, _headers: Headers) -> Reply | None:
        return None

    def open_session(_path: str, outbox: Outbox) -> Conversation:
        return _MarketChannel(venue, venue.connect(outbox))

    return Face(venue, PolymarketRest(venue), (POLYMARKET_PATH,), None, refusal, open_session)
