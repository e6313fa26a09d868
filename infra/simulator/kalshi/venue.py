"""The Kalshi simulator: canonical books, and what the venue says when the engine matches or a fault strikes."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from infra.simulator.engine import CanonicalBook, EngineTrade, LevelChange, MatchingEngine
from infra.simulator.exchange import ONE_DOLLAR, KalshiBook
from infra.simulator.faults import Fault, FaultName, FaultPanel
from infra.simulator.kalshi.bookkeeping import Bookkeeper
from infra.simulator.kalshi.catalogue import Catalogue, survey_tape
from infra.simulator.kalshi.channels import BOOK, TRADE
from infra.simulator.kalshi.clock import Agenda, Pauses, TradingHours
from infra.simulator.kalshi.grid import Bands
from infra.simulator.kalshi.lifecycle import Lifecycle
from infra.simulator.kalshi.market import ListedMarket, TradeLog
from infra.simulator.kalshi.messages import trade_message
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.kalshi.orders import OrderDesk
from infra.simulator.kalshi.publisher import Publisher, Subscription
from infra.simulator.kalshi.tape import TapePlayback
from infra.simulator.recorded import RecordedRest
from infra.simulator.tape import Tape, TapeFrame
from infra.simulator.venue import Schedule

if TYPE_CHECKING:
    from infra.simulator.kalshi.session import Session


class KalshiVenue:
    """The venue behind all connections. Not thread-safe; it lives in one event loop.

    Args:
        now: wall ns; nothing else tells the time.
        engine: None plays the tape; otherwise this engine is the only writer of the books, which begin empty. The
            venue lists its markets there and listens to it.
        schedule: runs a function after so many ns. Without it, what is due happens at the next ``step``.
    """

    name = "kalshi"

    def __init__(
        self,
        tape: Tape,
        *,
        now: Callable[[], int] = time.time_ns,
        faults: FaultPanel | None = None,
        schedule: Schedule | None = None,
        engine: MatchingEngine | None = None,
        options: KalshiOptions | None = None,
    ) -> None:
        self.now = now
        self.faults = faults or FaultPanel(now)
        self.options = options or KalshiOptions()
        self.recorded = RecordedRest(tape.rest(self.name), str(tape.folder / "kalshi" / "rest.json"))
        self.survey = survey_tape(tape)
        timed = engine is not None
        self.catalogue = Catalogue(self.recorded.bodies(), self.survey, self.options, now(), timed=timed)
        self.books = self.catalogue.books
        stamped = self.options.stamped_deltas
        self.publisher = Publisher(self.books, self.faults, self.stamp_ns, stamped_deltas=stamped)
        self.sessions: dict[Session, None] = {}
        self.on_subscribed: Callable[[], None] = lambda: None
        self.trades = TradeLog()
        self._playback = TapePlayback(self, use_yes_price=tape.use_yes_price)
        self._agenda = Agenda(now, schedule)
        self._stale: dict[str, KalshiBook] = {}
        self.pauses = Pauses(self.faults, self.catalogue, now, weekly=self.options.thursday_pause)
        self.desk: OrderDesk | None = None
        self.lifecycle: Lifecycle | None = None
        if engine is not None:
            self._begin(engine)

    def _begin(self, engine: MatchingEngine) -> None:
        """Trade: take orders for what is open, and tell what the engine does."""
        accounts = Bookkeeper(self.catalogue, self.publisher, self.options, self.now, self.stamp_ns)
        self.desk = OrderDesk(engine, accounts, self.catalogue, self.pauses, self.options, self.now, self.later)
        self.pauses.started = self.desk.paused
        hours = TradingHours(engine, self.now, self.later, self.desk.cancel_market, self.options.close_cancel_ms)
        self.lifecycle = Lifecycle(self, hours)
        for market in self.catalogue.markets.values():
            hours.follow(market)
        engine.on_change.append(self.changed)
        engine.on_trade.append(self.traded)

    # Time

    def later(self, delay_ns: int, function: Callable[[], None]) -> None:
        """Do something after a while: at the first ``step`` then."""
        self._agenda.later(delay_ns, function)

    def step(self) -> None:
        """Do what is due by now."""
        self._agenda.step()
        self.pauses.step()
        if not self.faults.active(FaultName.REST_STALE):
            self._stale = {}
        elif not self._stale:
            self._stale = {ticker: _copy(book) for ticker, book in self.books.items()}

    def stamp_ns(self) -> int:
        """The time as the venue's own clock shows it."""
        return self.now() + self.faults.skew_ns()

    # Subscriptions

    def watch(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Send a subscription the frames of these markets from now on, after a snapshot where a book is known."""
        for ticker in tickers:
            if not subscription.session.holds(subscription):
                return  # its buffer overflowed on the way
            self.publisher.board.watch(subscription, ticker)
            # The tape's own first snapshot is the market's first; a market without frames is empty for ever.
            if subscription.channel == BOOK and (self.books[ticker].started or ticker not in self.survey.first):
                self.publisher.snapshot(subscription, ticker, first=True)

    # What happens

    def deliver(self, frame: TapeFrame) -> None:
        """Play one frame of the tape."""
        self._playback.deliver(frame)

    def changed(self, change: LevelChange) -> None:
        """Put an engine's change of a level into the book and tell those who watch it."""
        book = self.books[change.market]
        side = "yes" if change.side == "bid" else "no"
        best = book.best(side)
        book.change(side, change.price if side == "yes" else ONE_DOLLAR - change.price, change.change)
        self.publisher.delta(change, self._named)
        market = self.catalogue.markets.get(change.market)
        if market is not None and book.best(side) != best:
            self.publisher.ticker(market)

    def _named(self, order_id: str, account: str | None) -> dict[str, Any]:
        return self.desk.books.named(order_id, account) if self.desk else {}

    def traded(self, trade: EngineTrade) -> None:
        """Note an engine's trade; tell those who watch the market, and the owners of its orders."""
        stamp_ns = self.stamp_ns()
        self.trades.add(trade, stamp_ns)
        self.publisher.broadcast(TRADE, "trade", trade_message(trade, stamp_ns), trade.market)
        market = self.catalogue.markets.get(trade.market)
        if market is not None:
            market.traded(trade)
            self.publisher.ticker(market)
        if self.desk:
            self.desk.books.traded(trade)

    def strike(self, fault: Fault) -> None:
        """Suffer a fault that happens once; names that do not concern this venue are passed over."""
        self.step()
        if fault.name in (FaultName.CHANNEL_ERROR, FaultName.OVERFLOW):
            for session in list(self.sessions):
                session.suffer(fault)
        elif fault.name in (FaultName.TICK_CHANGE, FaultName.CHURN) and self.lifecycle is not None:
            self.lifecycle.strike(fault)

    # What is true

    def trading(self, ticker: str) -> bool:
        """Whether orders may be placed in a market now."""
        market = self.catalogue.markets.get(ticker)
        return market is not None and market.trading(self.now()) == "open" and not self.pauses.of(market.shard)

    def grid(self, market: str) -> Bands:
        """The prices at which orders may be placed in a market now; none while it does not trade."""
        return self.catalogue.markets[market].bands if self.trading(market) else ()

    def canonical(self) -> dict[str, CanonicalBook]:
        """Every listed market's true book in YES terms."""
        self.step()
        return {ticker: self._canonical(market) for ticker, market in self.catalogue.markets.items()}

    def _canonical(self, market: ListedMarket) -> CanonicalBook:
        book, state = self.books[market.ticker], market.trading(self.now())
        if state == "open" and self.pauses.of(market.shard):
            state = "halted"
        bids = tuple(sorted(book.yes.items(), reverse=True))
        asks = tuple((ONE_DOLLAR - price, size) for price, size in sorted(book.no.items(), reverse=True))
        return CanonicalBook(bids, asks, state)

    def shown(self, ticker: str) -> KalshiBook:
        """The book that REST shows now, which is old while REST is stale."""
        return self._stale.get(ticker, self.books[ticker])


def _copy(book: KalshiBook) -> KalshiBook:
    return replace(book, yes=dict(book.yes), no=dict(book.no))
