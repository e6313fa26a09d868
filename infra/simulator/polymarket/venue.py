"""The Polymarket simulator: canonical books per token and the market channel, moved by a tape or by an engine."""

import time
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

import msgspec

from infra.simulator.engine import CanonicalBook, EngineTrade, LevelChange, MatchingEngine
from infra.simulator.faults import MILLISECOND, Fault, FaultName, FaultPanel
from infra.simulator.outbox import Outbox
from infra.simulator.polymarket.catalogue import Survey, listings, survey_tape
from infra.simulator.polymarket.life import Life
from infra.simulator.polymarket.market import Market, Phase, TickBand, make_market, trading_band
from infra.simulator.polymarket.messages import encode_first
from infra.simulator.polymarket.options import PolymarketOptions
from infra.simulator.polymarket.orders import OrderDesk
from infra.simulator.polymarket.sessions import Audience, Session
from infra.simulator.polymarket.showcase import showcase
from infra.simulator.polymarket.stream import Stream
from infra.simulator.polymarket.tape import TapeDelivery
from infra.simulator.recorded import RecordedRest
from infra.simulator.tape import Tape, TapeFrame
from infra.simulator.venue import Schedule

__all__ = ["PolymarketVenue", "Session"]

REFUSED = "INVALID OPERATION"


class PolymarketVenue:
    """The venue behind all connections. Not thread-safe; it lives in one event loop.

    Args:
        now: wall ns; nothing else tells the time.
        engine: None plays the tape; otherwise this engine is the only writer of the books, which begin empty.
        schedule: runs a function after so many ns. Without it, what is due happens at the next ``step``.
    """

    name = "polymarket"

    def __init__(
        self,
        tape: Tape,
        *,
        now: Callable[[], int] = time.time_ns,
        faults: FaultPanel | None = None,
        schedule: Schedule | None = None,
        engine: MatchingEngine | None = None,
        options: PolymarketOptions | None = None,
    ) -> None:
        self.now = now
        self.faults = faults or FaultPanel(now)
        self.options = options or PolymarketOptions()
        self.recorded = RecordedRest(tape.rest(self.name), str(tape.folder / "polymarket" / "rest.json"))
        self.survey: Survey = survey_tape(tape)
        self.markets: dict[str, Market] = {}
        self.by_token: dict[str, Market] = {}
        self._vanished: dict[str, None] = {}
        self.audience = Audience()
        self.on_subscribed: Callable[[], None] = lambda: None
        self.exchange = engine is not None
        self.engine = engine or MatchingEngine(now)
        self.stream = Stream(self)
        self.life = Life(self)
        self.desk = OrderDesk(self)
        self._tape = TapeDelivery(self)
        self._schedule = schedule
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0
        for listing in listings(self.survey, self.recorded.bodies()):
            on_tape = frozenset(listing.tokens) & self.survey.tokens.keys()
            self.add(make_market(listing, self.stamp_ms(), None if self.exchange else on_tape))
        if self.exchange:
            self._open()

    def _open(self) -> None:
        for listing in showcase() if self.options.showcase else ():
            self.add(make_market(listing, self.stamp_ms()))
        for condition in self.markets:
            self.engine.list_market(condition)
        self.engine.on_change.append(self.changed)
        self.engine.on_trade.append(self.traded)

    # Time

    def later(self, delay_ns: int, function: Callable[[], None]) -> None:
        """Do something after a while."""
        if self._schedule is not None:
            self._schedule(delay_ns, function)
            return
        self._planned += 1
        heappush(self._agenda, (self.now() + delay_ns, self._planned, function))

    def step(self) -> None:
        """Do what is due by now; only for a venue that was given no ``schedule``."""
        while self._agenda and self._agenda[0][0] <= self.now():
            heappop(self._agenda)[2]()

    def stamp_ms(self) -> int:
        """The time as the venue's own clock shows it."""
        return (self.now() + self.faults.skew_ns()) // MILLISECOND

    # Sessions

    @property
    def sessions(self) -> dict[Session, None]:
        """Every client of the market channel."""
        return self.audience.sessions

    def connect(self, outbox: Outbox) -> Session:
        """A new client, subscribed to nothing yet."""
        return self.audience.join(outbox)

    def close(self, session: Session) -> None:
        """Forget a client."""
        self.audience.leave(session)

    def handle(self, session: Session, text: str) -> None:
        """Carry out one client message: PING, the first subscription, or a later change of it."""
        if text.strip() == "PING":
            session.send("PONG", control=True)
            return
        try:
            body = msgspec.json.decode(text)
        except msgspec.DecodeError:
            body = None
        tokens = body.get("assets_ids") if isinstance(body, dict) else None
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            session.send(REFUSED)
            return
        operation = body.get("operation", "subscribe" if body.get("type") == "market" else None)
        if operation == "unsubscribe":
            self.audience.unwatch(session, tokens)
        elif operation == "subscribe":
            session.custom = bool(body.get("custom_feature_enabled", session.custom))
            self._watch(session, tokens, dump=body.get("initial_dump", True) is not False)
        else:
            session.send(REFUSED)

    def _watch(self, session: Session, tokens: Sequence[str], *, dump: bool) -> None:
        """Subscribe to tokens and answer with an array of their books. ``level`` changes nothing that is known of."""
        missing: dict[str, bool] = {}
        events = []
        for token in dict.fromkeys(tokens):
            self.audience.watch(session, token)
            market = self.by_token.get(token)
            # The tape's own first book is the market's first; a market without frames is empty for ever.
            if market is None or not market.known or not (market.started or not market.on_tape):
                continue
            name = market.listing.condition_id
            if name not in missing:
                missing[name] = any(
                    self.faults.strikes(fault, name) for fault in (FaultName.NO_FIRST_BOOK, FaultName.FREEZE_MARKET)
                )
            if dump and not missing[name] and len(session.tokens) <= self.options.book_assets:
                events.append(market.event(token))
        if dump:
            session.send(encode_first(events), tuple(dict.fromkeys(event["market"] for event in events)))
        self.on_subscribed()

    # What moves the books

    def deliver(self, frame: TapeFrame) -> None:
        """Play one frame of the tape."""
        self._tape.deliver(frame)

    def changed(self, change: LevelChange) -> None:
        """The engine moved a level: the books follow and the channel tells of it when the loop is free again."""
        if self.life.silent(change.market):
            self.stream.apply(self.markets[change.market], change)
        else:
            self.stream.note(change)

    def traded(self, trade: EngineTrade) -> None:
        """The engine matched two orders."""
        self.desk.traded(trade)
        self.stream.note(trade)

    def strike(self, fault: Fault) -> None:
        """Suffer a fault that happens once; a tape's books are its own and suffer none.

        Raises:
            FaultError: the fault's detail means nothing here.
        """
        if fault.name is FaultName.MAINTENANCE:
            self.desk.restarted(fault.until_ns or self.now())
        elif self.exchange:
            self.life.strike(fault)

    # Markets

    def add(self, market: Market) -> None:
        """Know a market from now on."""
        self.markets[market.listing.condition_id] = market
        self.by_token |= dict.fromkeys(market.listing.tokens, market)

    def remove(self, market: Market) -> None:
        """Know nothing of a market any more."""
        self.stream.forget(market.listing.condition_id)
        self.markets.pop(market.listing.condition_id, None)
        self._vanished[market.listing.condition_id] = None
        for token in market.listing.tokens:
            self.by_token.pop(token, None)

    def keep(self, market: Market) -> None:
        """Before a change: remember the market for stale answers, which show the same for as long as they last."""
        market.keep(self.now(), frozen=self.faults.active(FaultName.REST_STALE) is not None)

    def paused(self, market: Market) -> bool:
        """Whether trading in a market is paused."""
        fault = self.faults.paused()
        return fault is not None and fault.concerns((market.listing.condition_id,))

    def canonical(self) -> dict[str, CanonicalBook]:
        """Every market's true book: the engine's where there is one, else what the tape has told.

        A market that has vanished is closed; one that the CLOB does not know yet is not there.
        """
        found = {name: CanonicalBook((), (), "closed") for name in self._vanished}
        for name, market in self.markets.items():
            if market.phase is not Phase.ANNOUNCED:
                bids, asks = self.engine.levels(name) if self.exchange else market.ladder()
                found[name] = CanonicalBook(tuple(bids), tuple(asks), market.state(paused=self.paused(market)))
        return found

    def grid(self, market: str) -> Sequence[TickBand]:
        """The prices at which orders may be placed in a market now; none while it does not trade."""
        known = self.markets.get(market)
        if known is None or known.state(paused=self.paused(known)) != "open":
            return ()
        return (trading_band(known),)
