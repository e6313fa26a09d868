"""Order entry of the Kalshi simulator: what is taken, refused, cancelled or changed.

Sources: the venue's pages "Create Order (V2)", "Cancel Order (V2)", "Decrease Order (V2)", "Amend Order (V2)" and
"Market Lifecycle"; the engine's reasons as its FIX page "Error Handling" spells them.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace

from infra.simulator.engine import MatchingEngine, NewOrder, Placement, Refusal
from infra.simulator.kalshi.bookkeeping import Bookkeeper
from infra.simulator.kalshi.catalogue import Catalogue
from infra.simulator.kalshi.clock import Pauses
from infra.simulator.kalshi.grid import on_grid
from infra.simulator.kalshi.market import SECOND, ListedMarket
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.kalshi.order import VenueOrder, Wanted
from infra.simulator.kalshi.replies import Refused
from infra.simulator.metadata import market_id_of

LONGEST_CLIENT_ID = 64
LATEST_S = 253_402_300_799
"""The last second of the year 9999."""

KILLED = {
    Refusal.POST_ONLY: ("PostOnlyCrossCancel", "post only cross"),
    Refusal.FILL_OR_KILL: ("FOK_INSUFFICIENT_VOLUME", "fill or kill: insufficient volume"),
}
"""Orders that end at once: the reason they then have, and what a refusal says."""


class OrderDesk:
    """Takes accounts' orders to the engine. Every refusal is a ``Refused``, after which nothing has happened.

    Args:
        later: plans a function for so many ns from now.
    """

    def __init__(
        self,
        engine: MatchingEngine,
        books: Bookkeeper,
        catalogue: Catalogue,
        pauses: Pauses,
        options: KalshiOptions,
        now: Callable[[], int],
        later: Callable[[int, Callable[[], None]], None],
    ) -> None:
        self.books = books
        self._engine = engine
        self._catalogue = catalogue
        self._pauses = pauses
        self._options = options
        self._now = now
        self._later = later
        self._numbers = itertools.count(1)
        self._client_ids: set[tuple[str, str]] = set()

    def place(self, owner: str, wanted: Wanted) -> VenueOrder:
        """Take an order, match it and let the rest of it rest."""
        market = self._market(wanted.market, wanted.exchange_index)
        self._check_trading(market)
        self._check_form(market, wanted)
        if wanted.client_order_id and (owner, wanted.client_order_id) in self._client_ids:
            raise self._reason(409, "ORDER_ALREADY_EXISTS", f"client_order_id {wanted.client_order_id}")
        account = self.books.account(owner)
        if wanted.reduce_only:
            closing = account.holding(market.ticker).closing(wanted.side, wanted.quantity)
            wanted = replace(wanted, quantity=closing)
            if not closing:
                raise Refused(400, "invalid_order", "reduce only: no position to reduce")
        number = next(self._numbers)
        order_id = market_id_of(f"order {number}")
        order = VenueOrder(order_id, owner, wanted, market.shard, wanted.quantity, self._now(), wanted.quantity)
        if self.books.needs(account, order, wanted.quantity) > self.books.free(account, market.shard):
            raise Refused(400, "available_balance_too_low", f"on shard {market.shard}")
        self._match(order)
        if wanted.client_order_id:
            self._client_ids.add((owner, wanted.client_order_id))
        if order.remaining and wanted.expires_s:
            self._later(wanted.expires_s * SECOND - self._now(), lambda: self._expire(order))
        return order

    def _match(self, order: VenueOrder) -> None:
        """Match what remains of an order."""
        known = order.order_id in self.books.orders
        self.books.orders[order.order_id] = order
        placement = self._engine.place(self._for_engine(order))
        killed = placement.refusal in KILLED
        if placement.refusal and not known and not (killed and not self._options.refuse_killed):
            del self.books.orders[order.order_id]
            raise Refused(400, "invalid_order", KILLED[placement.refusal][1] if killed else placement.refusal)
        self._note(order, placement)

    def _note(self, order: VenueOrder, placement: Placement) -> None:
        for displaced in placement.displaced:
            self.books.end(self.books.orders[displaced], "SelfTradeCancel")
        if placement.refusal:
            self.books.end(order, KILLED.get(placement.refusal, ("", ""))[0])
        elif placement.cancelled:
            rests = order.wanted.time_in_force == "good_till_cancelled"
            self.books.end(order, "SelfTradeCancel" if rests else "")
        else:
            self.books.tell(order)

    def _for_engine(self, order: VenueOrder) -> NewOrder:
        """The engine's form; a fill-or-kill order that meets its owner's own one is executed as immediate-or-cancel."""
        wanted, kind = order.wanted, order.wanted.time_in_force
        if kind == "fill_or_kill" and any(each.crosses(wanted) for each in self.books.open_orders(order.owner)):
            kind = "immediate_or_cancel"
        return NewOrder(
            order_id=order.order_id,
            owner=f"account {order.owner}",
            market=wanted.market,
            side="buy" if wanted.side == "bid" else "sell",
            price=wanted.price,
            quantity=order.remaining,
            time_in_force=kind,
            post_only=wanted.post_only,
            client_order_id=wanted.client_order_id,
            self_trade=wanted.self_trade,
        )

    def cancel(self, owner: str, order_id: str, shard: int, market: str = "") -> tuple[VenueOrder, int]:
        """Cancel what rests of an order; returns it and the quantity cancelled."""
        order = self._resting(owner, order_id, shard, market)
        removed = self._engine.cancel(order_id)
        self.books.end(order, "")
        return order, removed

    def decrease(self, owner: str, order_id: str, shard: int, *, by: int | None, to: int | None) -> VenueOrder:
        """Make what rests smaller, by so much or to so much; it keeps its place in the queue."""
        order = self._resting(owner, order_id, shard)
        less = by if by is not None else order.remaining - (to or 0)
        if not 0 < less <= order.remaining:
            raise self._reason(400, "INVALID_AMEND_QTY_FOR_ORDER", "not less than what remains")
        self._engine.cancel(order_id, less)
        order.remaining -= less
        order.reason = "Decrease"
        if order.remaining:
            self.books.tell(order)
        else:
            self.books.end(order, "Decrease")
        return order

    def amend(self, owner: str, order_id: str, shard: int, wanted: Wanted) -> VenueOrder:
        """Another price or count, which is what has filled and what shall rest; only a smaller one keeps its place."""
        order = self._resting(owner, order_id, shard, wanted.market)
        market = self._catalogue.markets[order.market]
        self._check_trading(market)
        wanted = replace(order.wanted, side=wanted.side, price=wanted.price, quantity=wanted.quantity)
        if wanted.side != order.wanted.side:
            raise Refused(400, "order_side_mismatch", f"the order is a {order.wanted.side}")
        self._check_form(market, replace(wanted, expires_s=0))
        rests = wanted.quantity - order.filled
        if rests <= 0:
            raise self._reason(400, "INVALID_AMEND_QTY_FOR_ORDER", "not more than what has filled")
        in_place = wanted.price == order.wanted.price and rests <= order.remaining
        account, before = self.books.account(owner), self.books.needs(self.books.account(owner), order, order.remaining)
        after = self.books.needs(account, replace(order, wanted=wanted), rests)
        if after - before > self.books.free(account, order.shard):
            raise Refused(400, "available_balance_too_low", f"on shard {order.shard}")
        self._engine.cancel(order_id, order.remaining - rests if in_place else None)
        order.wanted, order.remaining, order.initial, order.reason = wanted, rests, wanted.quantity, "Amend"
        if in_place:
            self.books.tell(order)
        else:
            self._match(order)
        return order

    def cancel_market(self, ticker: str, reason: str) -> None:
        """Cancel everything that rests in a market, whoever's it is."""
        self._engine.cancel_all(ticker)
        for order in self.books.open_orders():
            if order.market == ticker:
                self.books.end(order, reason)

    def paused(self, shard: int) -> None:
        """A shard's trading has paused: the orders that asked for it are cancelled."""
        for order in self.books.open_orders():
            if order.shard == shard and order.wanted.cancel_on_pause:
                self._engine.cancel(order.order_id)
                self.books.end(order, "HaltCancel")

    def _expire(self, order: VenueOrder) -> None:
        if order.remaining:
            self._engine.cancel(order.order_id)
            self.books.end(order, "ExpiryCancel")

    def _market(self, ticker: str, shard: int | None) -> ListedMarket:
        market = self._catalogue.markets.get(ticker)
        if market is None or (shard is not None and shard not in (-1, market.shard)):
            raise self._reason(400, "MARKET_NOT_FOUND", ticker)
        return market

    def _resting(self, owner: str, order_id: str, shard: int, market: str = "") -> VenueOrder:
        """An own order that rests on the shard that is searched."""
        order = self.books.orders.get(order_id)
        if order is None or order.owner != owner or not order.remaining or order.shard != shard:
            raise Refused(404, "not_found", f"order {order_id}")
        if market and market != order.market:
            raise Refused(400, "order_ticker_mismatch", f"the order is in {order.market}")
        if self._catalogue.markets[order.market].trading(self._now()) == "closed":
            raise self._reason(400, "MARKET_INACTIVE", order.market)
        if self._pauses.whole():
            raise self._reason(400, "EXCHANGE_PAUSED", "the exchange takes no cancels now")
        return order

    def _check_trading(self, market: ListedMarket) -> None:
        if market.trading(self._now()) != "open":
            raise self._reason(400, "MARKET_INACTIVE", market.ticker)
        if self._pauses.of(market.shard):
            raise self._reason(400, "EXCHANGE_PAUSED" if self._pauses.whole() else "TRADING_PAUSED", "")

    def _check_form(self, market: ListedMarket, wanted: Wanted) -> None:
        if not on_grid(market.bands, wanted.price):
            raise Refused(400, "invalid_price", f"{wanted.price} is not on the grid of {market.ticker}")
        if wanted.quantity <= 0:
            raise Refused(400, "invalid_order_size", "count must be at least 0.01")
        if len(wanted.client_order_id) > LONGEST_CLIENT_ID:
            raise Refused(400, "invalid_order", f"client_order_id is longer than {LONGEST_CLIENT_ID}")
        if wanted.expires_s and wanted.time_in_force != "good_till_cancelled":
            raise Refused(400, "invalid_order", f"Cannot specify both {wanted.time_in_force} and expiration_ts")
        if wanted.expires_s and wanted.expires_s * SECOND <= self._now():
            raise Refused(400, "invalid_order", "Expiration timestamp must be in the future")
        if wanted.expires_s > LATEST_S:
            raise Refused(400, "invalid_order", "Expiration timestamp is out of range")
        if wanted.reduce_only and wanted.time_in_force != "immediate_or_cancel":
            raise Refused(400, "invalid_order", "reduce only is for immediate_or_cancel orders")

    def _reason(self, status: int, name: str, details: str) -> Refused:
        return Refused(status, name if self._options.upper_reasons else name.lower(), details)
