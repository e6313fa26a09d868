"""The lives of the Kalshi simulator's markets: they open and close by the clock without a word, all else is told.

Sources: the venue's page "Market Lifecycle" and its websocket description (``market_lifecycle_v2``). Steps that do not
fit the state of a market are passed over and answer False.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from infra.simulator.exchange import dollars
from infra.simulator.faults import MILLISECOND, ChurnStep, Fault, FaultError, FaultName
from infra.simulator.kalshi import messages
from infra.simulator.kalshi.channels import COMBO_LIFECYCLE, LIFECYCLE, lifecycle_channel
from infra.simulator.kalshi.clock import TRADES, TradingHours
from infra.simulator.kalshi.grid import STRUCTURES, finer, price_ranges
from infra.simulator.kalshi.market import SECOND, ListedMarket, rfc3339
from infra.simulator.metadata import kalshi_market

if TYPE_CHECKING:
    from infra.simulator.kalshi.venue import KalshiVenue

OPENS_AFTER_NS = SECOND
LIVES_NS = 3600 * SECOND
UNTOLD_TO_COMBOS = ("price_level_structure_updated", "metadata_updated")
AMENDABLE = ("determined", "disputed", "amended")
PAYS = {"yes": 10_000, "no": 0}
"""What a YES contract pays, 1e-4 dollar."""


class Lifecycle:
    """Everything that happens to a market besides trading."""

    def __init__(self, venue: "KalshiVenue", hours: TradingHours) -> None:
        self._venue = venue
        self._appeared = 0
        self._steps: dict[str, Callable[[ListedMarket], bool]] = {
            ChurnStep.OPEN: self.open,
            ChurnStep.HALT: self.deactivate,
            ChurnStep.RESUME: self.activate,
            ChurnStep.CLOSE: self.close,
            ChurnStep.SETTLE: self._determine_closed,
            ChurnStep.VANISH: self.vanish,
            ChurnStep.REVISE: self.revise,
        }
        self._hours = hours

    def strike(self, fault: Fault) -> None:
        """Carry out a churn step, or change the price grid, in the markets that the fault names (none: all).

        Raises:
            FaultError: the fault names a price level structure that has no documented meaning.
        """
        if fault.name is FaultName.TICK_CHANGE and fault.detail and fault.detail not in STRUCTURES:
            raise FaultError(f"detail: {fault.detail!r} is none of {', '.join(STRUCTURES)}")
        if fault.name is FaultName.CHURN and fault.detail == ChurnStep.APPEAR:
            self.appear()
            return
        for ticker, market in list(self._venue.catalogue.markets.items()):
            if not fault.concerns((ticker,)) or self._venue.faults.random.random() >= fault.share:
                continue
            if fault.name is FaultName.TICK_CHANGE:
                self.restructure(market, fault.detail)
            elif fault.detail in self._steps:
                self._steps[fault.detail](market)

    # By the clock, without a word

    def close(self, market: ListedMarket) -> bool:
        """``close_time`` passes now."""
        if self._status(market) not in TRADES:
            return False
        market.close_ns = self._venue.now()
        self._touch(market)
        self._hours.close(market)
        return True

    def open(self, market: ListedMarket) -> bool:
        """``open_time`` passes now; a closed market is reopened, which is told."""
        status = self._status(market)
        if status == "initialized":
            market.open_ns = self._venue.now()
            self._touch(market)
            self._hours.follow(market)
            return True
        if status != "closed":
            return False
        market.phase = ""
        self.move_close(market, self._venue.now() + LIVES_NS)
        self._cancel_all(market, "HaltCancel")
        self._tell(market, "activated", is_deactivated=False)
        return True

    # Told

    def move_close(self, market: ListedMarket, close_ns: int) -> None:
        """Another ``close_time``."""
        market.close_ns = close_ns
        self._tell(market, "close_date_updated", close_ts=close_ns // SECOND)
        self._hours.follow(market)

    def deactivate(self, market: ListedMarket) -> bool:
        """Trading is paused in one market; what rests stays."""
        if self._status(market) != "active":
            return False
        market.phase = "inactive"
        self._tell(market, "deactivated", is_deactivated=True)
        return True

    def activate(self, market: ListedMarket) -> bool:
        """Trading goes on in a paused market, after every resting order was cancelled."""
        if self._status(market) != "inactive":
            return False
        self._cancel_all(market, "HaltCancel")
        market.phase = ""
        self._tell(market, "activated", is_deactivated=False)
        return True

    def determine(self, market: ListedMarket, result: str = "yes", value: int | None = None) -> bool:
        """The result is known; a market that still trades is closed for it. ``value`` is a scalar market's YES payout.

        It is settled when its timer has run. A market that was determined before is amended: its timer starts again.
        """
        status = self._status(market)
        if status in TRADES:
            self.move_close(market, self._venue.now())
            self._hours.close(market)
        elif status not in ("closed", *AMENDABLE):
            return False
        market.phase = "amended" if status in AMENDABLE else "determined"
        paid = dollars(PAYS[result] if value is None else value)
        market.body |= {"result": result, "settlement_value_dollars": paid}
        determined_ts = self._venue.now() // SECOND
        self._tell(market, "determined", result=result, settlement_value=paid, determination_ts=determined_ts)
        timer_ns = int(market.body.get("settlement_timer_seconds") or 0) * SECOND
        market.settles_ns = self._venue.now() + timer_ns
        self._venue.later(timer_ns, lambda: self._settle_due(market))
        return True

    def dispute(self, market: ListedMarket) -> bool:
        """A determined market's result is disputed, of which the websocket says nothing."""
        if self._status(market) != "determined":
            return False
        market.phase = "disputed"
        self._touch(market)
        return True

    def settle(self, market: ListedMarket) -> bool:
        """Pay out: positions turn into cash, the market is final."""
        if self._status(market) not in ("determined", "amended"):
            return False
        market.phase, market.settled_ns = "finalized", self._venue.now()
        if self._venue.desk:
            self._venue.desk.books.settle(market)
        self._tell(market, "settled", settled_ts=market.settled_ns // SECOND)
        return True

    def _determine_closed(self, market: ListedMarket) -> bool:
        result = self._venue.faults.random.choice(("yes", "no"))
        return self._status(market) == "closed" and self.determine(market, result)

    def _settle_due(self, market: ListedMarket) -> None:
        if self._venue.now() >= market.settles_ns:
            self.settle(market)

    def vanish(self, market: ListedMarket) -> bool:
        """A closed market is only in the history from now on."""
        if self._status(market) in (*TRADES, "initialized"):
            return False
        self._hours.end(market)
        self._venue.catalogue.remove(market.ticker)
        return True

    def restructure(self, market: ListedMarket, structure: str = "") -> bool:
        """The price grid becomes a finer one (the next coarser of those, unless named); resting orders stay."""
        choices = finer(market.bands)
        if not choices or (structure and structure not in choices):
            return False
        market.restructure(structure or choices[0])
        ranges = price_ranges(market.bands)
        name = market.body["price_level_structure"]
        self._tell(market, "price_level_structure_updated", price_level_structure=name, price_ranges=ranges)
        return True

    def revise(self, market: ListedMarket) -> bool:
        """An open market gets another YES subtitle, and its event a fee override, or loses the one it has."""
        if self._status(market) != "active":
            return False
        self.update_metadata(market, yes_sub_title=f"Revised at {rfc3339(self._venue.now())}")
        has = self._venue.catalogue.events[market.event].get("fee_type_override")
        self.update_event_fee(market.event, None if has else "quadratic_with_maker_fees", None if has else 0.5)
        return True

    def update_metadata(self, market: ListedMarket, **changed: Any) -> None:
        """Other strikes or another YES subtitle."""
        market.body |= changed
        self._tell(market, "metadata_updated", **changed)

    def update_event_fee(self, event: str, fee_type: str | None, multiplier: float | None) -> None:
        """An event's fee override is set, or cleared with None."""
        fields = {"fee_type_override": fee_type, "fee_multiplier_override": multiplier}
        self._venue.catalogue.override_fee(event, fields, self._venue.now())
        if lifecycle_channel(event) == LIFECYCLE:
            self._venue.publisher.broadcast(LIFECYCLE, "event_fee_update", {"event_ticker": event} | fields)

    def appear(self, event: str = "", body: dict[str, Any] | None = None) -> ListedMarket:
        """List a new market, of a new event unless one is named; it opens a second later, without a word.

        REST learns of it a little after the websocket does.
        """
        catalogue, now_ns = self._venue.catalogue, self._venue.now()
        self._appeared += 1
        series = next(iter(catalogue.series), "KXSIM")
        event = event or f"{series}-NEW{self._appeared}"
        made = kalshi_market(
            f"{event}-M{self._appeared}",
            title=f"Appeared {self._appeared}",
            open_time=rfc3339(now_ns + OPENS_AFTER_NS),
            close_time=rfc3339(now_ns + LIVES_NS),
        )
        created = (
            made | {"event_ticker": event, "created_time": rfc3339(now_ns), "status": "initialized"} | (body or {})
        )
        new_event = event not in catalogue.events
        market = catalogue.add(created)
        market.known_ns = now_ns + self._venue.options.created_lag_ms * MILLISECOND
        if new_event:
            said = messages.event_created(catalogue.events[event])
            self._venue.publisher.broadcast(lifecycle_channel(event), "event_lifecycle", said)
        self._send(market, messages.market_created(market))
        self._hours.follow(market)
        return market

    def _status(self, market: ListedMarket) -> str:
        return market.status(self._venue.now())

    def _touch(self, market: ListedMarket) -> None:
        market.updated_ns = self._venue.now()

    def _cancel_all(self, market: ListedMarket, reason: str) -> None:
        if self._venue.desk is not None:
            self._venue.desk.cancel_market(market.ticker, reason)

    def _tell(self, market: ListedMarket, event_type: str, **fields: Any) -> None:
        self._touch(market)
        if event_type not in UNTOLD_TO_COMBOS or lifecycle_channel(market.ticker) != COMBO_LIFECYCLE:
            self._send(market, {"market_ticker": market.ticker, "event_type": event_type} | fields)

    def _send(self, market: ListedMarket, message: dict[str, Any]) -> None:
        channel = lifecycle_channel(market.ticker)
        self._venue.publisher.broadcast(channel, channel, message, market.ticker)
