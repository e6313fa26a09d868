"""What happens to Polymarket's markets besides trading: price grids change, markets appear, stop, close, resolve."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from infra.simulator.exchange import fixed
from infra.simulator.faults import MILLISECOND, ChurnStep, Fault, FaultError, FaultName
from infra.simulator.metadata import FAR_FUTURE
from infra.simulator.polymarket import messages
from infra.simulator.polymarket.market import Market, Phase, make_market
from infra.simulator.polymarket.showcase import newcomer

if TYPE_CHECKING:
    from infra.simulator.polymarket.venue import PolymarketVenue

COARSE, FINE = "0.01", "0.001"
FINE_BEYOND, COARSE_WITHIN = 400, 500
"""How near 0 or 1 dollar a price makes the grid finer, and how far away coarser again, 1e-4 dollar.

The pages name 0.04 and 0.96 for both ways; the margin keeps a price that hovers there from changing the grid each time.
"""

TICKS = ("0.1", "0.01", "0.005", "0.0025", "0.001", "0.0001")


class Life:
    """Carries out what the fault panel strikes the venue with, and the grid changes that prices bring about."""

    def __init__(self, venue: "PolymarketVenue") -> None:
        self._venue = venue
        self._engine = venue.engine
        self._random = Random(f"{venue.options.seed}:life")  # noqa: S311 - choices that a seed repeats
        self._newcomers = 0
        self._silent: set[str] = set()
        self._steps: dict[str, Callable[[Market], None]] = {
            ChurnStep.OPEN: self._open,
            ChurnStep.HALT: lambda market: self._accept(market, accepting=False),
            ChurnStep.RESUME: lambda market: self._accept(market, accepting=True),
            ChurnStep.CLOSE: self._close,
            ChurnStep.SETTLE: self._settle,
            ChurnStep.VANISH: self._vanish,
        }

    def strike(self, fault: Fault) -> None:
        """Suffer a grid change or one step of churn; a step that does not fit a market's phase is passed over.

        Raises:
            FaultError: the fault names a tick that the venue does not have.
        """
        if fault.name is FaultName.CHURN and fault.detail == ChurnStep.APPEAR:
            self.appear()
            return
        concerned = [market for name, market in list(self._venue.markets.items()) if fault.concerns((name,))]
        if fault.name is FaultName.TICK_CHANGE:
            if fault.detail and fault.detail not in TICKS:
                raise FaultError(f"detail: {fault.detail!r} is no tick size; there are {', '.join(TICKS)}")
            for market in concerned:
                self._force_tick(market, fault.detail)
        elif fault.name is FaultName.CHURN and (step := self._steps.get(fault.detail)):
            for market in concerned:
                step(market)

    # Price grids

    def watch_price(self, market: Market) -> None:
        """Change the grid when the middle of the book has come near 0 or 1 dollar, or back."""
        bids, asks = market.book(market.yes).bids, market.book(market.yes).asks
        if market.tick_held or market.listing.tick != COARSE or not (bids and asks) or market.phase is not Phase.OPEN:
            return
        middle = (max(bids) + min(asks)) // 2
        away = min(middle, 10_000 - middle)
        if away < FINE_BEYOND and market.facts.tick_size == COARSE:
            self.change_tick(market, FINE)
        elif away > COARSE_WITHIN and market.facts.tick_size == FINE:
            self.change_tick(market, COARSE)

    def change_tick(self, market: Market, tick: str) -> None:
        """Change the grid. Orders that are not on it vanish; no message says so but the one that names the new tick."""
        name = market.listing.condition_id
        self._venue.stream.flush(name)
        old = market.facts.tick_size
        if old == tick:
            return
        self._venue.keep(market)
        self._silent.add(name)
        for resting in self._engine.orders(name):
            if resting.order.price % fixed(tick, 4):
                self._engine.cancel(resting.order.order_id)
        self._silent.discard(name)
        market.facts = replace(market.facts, tick_size=tick)
        market.timestamp = str(self._venue.stamp_ms())
        events = [messages.tick_size_change(market, token, old, tick) for token in market.listing.tokens]
        if self._venue.options.book_after_tick:
            events += [messages.refresh(market, token) for token in market.listing.tokens]
        self._venue.stream.send(market, events)

    def silent(self, market_id: str) -> bool:
        """Whether the levels of a market vanish without a word just now."""
        return market_id in self._silent

    def _force_tick(self, market: Market, wanted: str) -> None:
        """Take the tick that is wanted, else the finer grid where the coarse one is and the other way round."""
        tick = wanted or (COARSE if market.facts.tick_size == FINE else FINE)
        if market.phase is Phase.OPEN and tick != market.facts.tick_size:
            self.change_tick(market, tick)
            market.tick_held = tick != market.listing.tick

    # Churn

    def appear(self) -> Market:
        """List a market that never was: on Gamma and on the channel at once, on the CLOB a little later."""
        listing = newcomer(self._newcomers)
        self._newcomers += 1
        market = make_market(listing, self._venue.stamp_ms())
        market.phase = Phase.ANNOUNCED
        self._venue.add(market)
        text = messages.encode(messages.new_market(listing, self._venue.stamp_ms()))
        for session in self._venue.audience.everyone(custom=True):
            session.send(text, (listing.condition_id,))
        self._venue.later(self._venue.options.ready_ms * MILLISECOND, lambda: self._get_ready(market))
        return market

    def _get_ready(self, market: Market) -> None:
        if market.phase is Phase.ANNOUNCED:
            market.phase = Phase.OPEN
            self._engine.list_market(market.listing.condition_id)

    def _open(self, market: Market) -> None:
        if market.phase in (Phase.CLOSED, Phase.ANNOUNCED):
            market.phase, market.accepting, market.end = Phase.OPEN, True, FAR_FUTURE
            self._engine.list_market(market.listing.condition_id)

    def _accept(self, market: Market, *, accepting: bool) -> None:
        if market.phase is Phase.OPEN:
            market.accepting = accepting

    def _close(self, market: Market) -> None:
        """The end passes: every order is cancelled, and only that is told."""
        if market.phase is Phase.OPEN:
            self._engine.cancel_all(market.listing.condition_id)
            market.phase = Phase.CLOSED
            now = datetime.fromtimestamp(self._venue.stamp_ms() / 1000, UTC)
            market.end = now.isoformat(timespec="seconds").replace("+00:00", "Z")

    def _settle(self, market: Market) -> None:
        if market.phase is not Phase.CLOSED:
            return
        self._venue.stream.flush(market.listing.condition_id)
        self._engine.delist(market.listing.condition_id)
        market.phase, market.winner = Phase.RESOLVED, self._random.choice(market.listing.tokens)
        if self._random.random() < self._venue.options.told_resolved:
            text = messages.encode(messages.market_resolved(market, self._venue.stamp_ms()))
            for session in self._venue.audience.everyone(custom=True):
                session.send(text, (market.listing.condition_id,))

    def _vanish(self, market: Market) -> None:
        if market.phase in (Phase.CLOSED, Phase.RESOLVED):
            self._engine.delist(market.listing.condition_id)
            self._venue.remove(market)
