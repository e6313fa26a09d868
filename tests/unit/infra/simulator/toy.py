"""A venue as small as it can be, to try what is common to both: its frames say what the engine says."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from infra.simulator.engine import CanonicalBook, LevelChange, MarketState, MatchingEngine
from infra.simulator.faults import Fault, FaultPanel
from infra.simulator.outbox import Outbox
from infra.simulator.recorded import Reply, Request
from infra.simulator.site import Settings, Site
from infra.simulator.tape import TapeFrame
from infra.simulator.venue import Band, Face, Headers
from schemas.records import TickRange

PATH = "/toy"
URL = "ws://toy/toy"
CENTS = (TickRange(start=0, end=10_000, step=100),)
GOOD = {"key": "good"}


class ToyVenue:
    """Markets of an engine; ``states`` are those that are not open."""

    name = "toy"

    def __init__(self, engine: MatchingEngine) -> None:
        self.engine = engine
        self.outboxes: dict[Outbox, None] = {}
        self.states: dict[str, MarketState] = {}
        self.struck: list[Fault] = []
        self.heard: list[str] = []
        self.on_subscribed: Callable[[], None] = lambda: None

    def deliver(self, frame: TapeFrame) -> None:
        """Send a tape's frame to everyone."""
        for outbox in self.outboxes:
            outbox.offer(frame.text)

    def strike(self, fault: Fault) -> None:
        """Note it, and live through the steps of a churn that change a state."""
        self.struck.append(fault)
        states: dict[str, MarketState] = {"halt": "halted", "resume": "open", "close": "closed", "open": "open"}
        for market in fault.markets:
            self.states[market] = states.get(fault.detail, self.states.get(market, "open"))

    def canonical(self) -> dict[str, CanonicalBook]:
        """The engine's books."""
        return {market: self._book(market) for market in self.engine.markets()}

    def _book(self, market: str) -> CanonicalBook:
        bids, asks = self.engine.levels(market)
        return CanonicalBook(tuple(bids), tuple(asks), self.states.get(market, "open"))

    def grid(self, market: str) -> Sequence[Band]:
        """Whole cents."""
        return CENTS if self.states.get(market, "open") == "open" else ()

    def changed(self, change: LevelChange) -> None:
        """Tell everyone."""
        frame = {"market": change.market, "side": change.side, "price": change.price, "size": change.size}
        for outbox in self.outboxes:
            outbox.offer(json.dumps(frame), (change.market,))


@dataclass(frozen=True)
class ToyConversation:
    """Answers PING, and greets and echoes everything else."""

    venue: ToyVenue
    outbox: Outbox

    def handle(self, text: str) -> None:
        """Take a message."""
        self.venue.heard.append(text)
        if text == "PING":
            self.outbox.offer("PONG", control=True)
        else:
            self.outbox.offer(f"echo {text}")

    def close(self) -> None:
        """Forget the client."""
        self.venue.outboxes.pop(self.outbox, None)


@dataclass
class ToyRest:
    """Answers with what was asked, and counts."""

    asked: list[Request] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        """The request."""
        self.asked.append(request)
        body = {"path": request.path, "query": request.query, "body": request.body.decode()}
        return Reply(200, body, {"X-Count": str(len(self.asked))})

    def error_reply(self, status: int) -> Reply:
        """The toy's own words."""
        return Reply(status, b"toy: no", {"Content-Type": "text/plain"})


@dataclass
class Toy:
    """A site of a toy venue with its parts."""

    engine: MatchingEngine
    venue: ToyVenue
    rest: ToyRest
    faults: FaultPanel
    site: Site


def toy(settings: Settings, *markets: str) -> Toy:
    """A toy exchange with these markets. Handshakes need the header ``key: good``."""
    engine = MatchingEngine(settings.now)
    venue, rest, faults = ToyVenue(engine), ToyRest(), FaultPanel(settings.now, settings.seed)
    engine.on_change.append(venue.changed)
    for market in markets:
        engine.list_market(market)

    def refusal(_path: str, headers: Headers) -> Reply | None:
        return None if headers.get("key") == "good" else Reply(401, "no key")

    def open_conversation(_path: str, outbox: Outbox) -> ToyConversation:
        venue.outboxes[outbox] = None
        return ToyConversation(venue, outbox)

    face = Face(venue, rest, (PATH,), None, refusal, open_conversation)
    return Toy(engine, venue, rest, faults, Site(face, faults, settings, engine))
