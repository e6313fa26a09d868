"""A venue's matching engine, pure: price-time priority over integer prices and quantities, in YES terms.

Both venues have one book a market seen from two sides: buying NO at q is selling YES at 1 - q. Units: price 1e-4
dollar, quantity 1e-2 contract. What an order is allowed to look like (grid, balance, trading hours) is the venue's
own business and has been decided before it comes here; the engine only matches.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Side = Literal["buy", "sell"]
BookSide = Literal["bid", "ask"]
TimeInForce = Literal["good_till_cancelled", "immediate_or_cancel", "fill_or_kill"]
SelfTrade = Literal["taker_at_cross", "maker", "allow"]
MarketState = Literal["open", "halted", "closed"]
Level = tuple[int, int]

ONE_DOLLAR = 10_000


class Refusal(StrEnum):
    """Why an order was not taken; nothing at all has happened then."""

    NONE = ""
    UNKNOWN_MARKET = "market is not listed"
    REPEATED_ID = "an order with this id is resting"
    BAD_PRICE = "price is not between 0 and 1 dollar"
    BAD_QUANTITY = "quantity is not above zero"
    POST_ONLY = "post-only order would trade"
    FILL_OR_KILL = "fill-or-kill order cannot be filled"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An incoming order. ``self_trade`` says what gives way when it meets an order of the same owner."""

    order_id: str
    owner: str
    market: str
    side: Side
    price: int
    quantity: int
    time_in_force: TimeInForce = "good_till_cancelled"
    post_only: bool = False
    client_order_id: str = ""
    self_trade: SelfTrade = "allow"


@dataclass(frozen=True, slots=True)
class LevelChange:
    """A level's resting size moved by ``change`` to ``size``; ``caused_by`` is the order that came or was cancelled."""

    market: str
    side: BookSide
    price: int
    change: int
    size: int
    caused_by: str
    ns: int


@dataclass(frozen=True, slots=True)
class EngineTrade:
    """One fill between two orders, at the resting order's price."""

    trade_id: str
    market: str
    price: int
    quantity: int
    taker_side: Side
    taker_order: str
    maker_order: str
    ns: int


@dataclass(frozen=True, slots=True)
class Placement:
    """What became of an incoming order: ``filled + resting + cancelled`` is its quantity, unless it was refused.

    ``cancelled`` is what found no counterparty at once (immediate-or-cancel) or met the owner's own order;
    ``displaced`` are the owner's resting orders that gave way (``self_trade="maker"``).
    """

    order_id: str
    fills: tuple[EngineTrade, ...] = ()
    resting: int = 0
    cancelled: int = 0
    displaced: tuple[str, ...] = ()
    refusal: Refusal = Refusal.NONE

    @property
    def filled(self) -> int:
        """The quantity that traded at once."""
        return sum(fill.quantity for fill in self.fills)


@dataclass(slots=True)
class RestingOrder:
    """An order in the book with what is left of it."""

    order: NewOrder
    remaining: int


@dataclass(frozen=True, slots=True)
class CanonicalBook:
    """A market's true book for comparison: YES levels (price, size), best first, and its trading state."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    state: MarketState = "open"


Queue = dict[str, RestingOrder]


class MatchingEngine:
    """One book per listed market.

    Events of one incoming order come in the order in which a venue publishes them: for every fill the maker's level
    first and then the trade, at last the level where the rest of the order rests. The books already show an event
    when it is told. Listeners must not place or cancel while they are being told.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self.on_change: list[Callable[[LevelChange], None]] = []
        self.on_trade: list[Callable[[EngineTrade], None]] = []
        self._now = now
        self._books: dict[str, dict[BookSide, dict[int, Queue]]] = {}
        self._orders: dict[str, RestingOrder] = {}
        self._trades = 0

    # Markets

    def list_market(self, market: str) -> None:
        """Take orders for a market from now on; a market that is listed already is left as it is."""
        self._books.setdefault(market, {"bid": {}, "ask": {}})

    def delist(self, market: str) -> None:
        """Forget a market and, without a word, every order in it (``cancel_all`` before tells of them)."""
        for resting in self.orders(market):
            del self._orders[resting.order.order_id]
        self._books.pop(market, None)

    def markets(self) -> list[str]:
        """The listed markets, in the order of listing."""
        return list(self._books)

    # Orders

    def place(self, order: NewOrder) -> Placement:
        """Match an order against the book and let the rest of it rest, as its time in force says."""
        refusal = self._refusal(order)
        if refusal:
            return Placement(order.order_id, refusal=refusal)
        fills: list[EngineTrade] = []
        displaced: list[str] = []
        left, stopped = order.quantity, False
        while left and not stopped and (maker := self._opposite(order)) is not None:
            if maker.order.owner != order.owner or order.self_trade == "allow":
                fills.append(self._trade(order, maker, min(left, maker.remaining)))
                left -= fills[-1].quantity
            elif order.self_trade == "maker":
                displaced.append(maker.order.order_id)
                self._shrink(maker, maker.remaining, order.order_id)
            else:
                stopped = True
        rests = order.time_in_force == "good_till_cancelled" and not stopped
        if left and rests:
            self._rest(order, left)
        return Placement(order.order_id, tuple(fills), left * rests, left * (not rests), tuple(displaced))

    def cancel(self, order_id: str, quantity: int | None = None) -> int:
        """Take all of an order, or ``quantity`` of it, out of the book; what stays keeps its place in the queue.

        Returns the quantity removed, 0 when the order is gone.
        """
        resting = self._orders.get(order_id)
        if resting is None:
            return 0
        removed = resting.remaining if quantity is None else max(0, min(quantity, resting.remaining))
        if removed:
            self._shrink(resting, removed, order_id)
        return removed

    def cancel_all(self, market: str, owner: str = "") -> int:
        """Cancel every order of a market (of one owner when named); returns the quantity removed."""
        mine = [each.order.order_id for each in self.orders(market) if owner in ("", each.order.owner)]
        return sum(self.cancel(order_id) for order_id in mine)

    def order(self, order_id: str) -> RestingOrder | None:
        """A resting order; None when it is gone."""
        return self._orders.get(order_id)

    def orders(self, market: str) -> list[RestingOrder]:
        """Every order resting in a market, in the order of its queues: an older one before a younger at its price."""
        sides = self._books.get(market, {}).values()
        return [resting for side in sides for queue in side.values() for resting in queue.values()]

    def levels(self, market: str) -> tuple[list[Level], list[Level]]:
        """Bids and asks as (price, size), best first; empty for a market that is not listed."""
        book = self._books.get(market, {"bid": {}, "ask": {}})
        return _ladder(book["bid"], best_is_high=True), _ladder(book["ask"], best_is_high=False)

    # Matching

    def _refusal(self, order: NewOrder) -> Refusal:
        if order.market not in self._books:
            return Refusal.UNKNOWN_MARKET
        if order.order_id in self._orders:
            return Refusal.REPEATED_ID
        if not 0 < order.price < ONE_DOLLAR:
            return Refusal.BAD_PRICE
        if order.quantity <= 0:
            return Refusal.BAD_QUANTITY
        if order.post_only and self._opposite(order) is not None:
            return Refusal.POST_ONLY
        if order.time_in_force == "fill_or_kill" and self._reachable(order) < order.quantity:
            return Refusal.FILL_OR_KILL
        return Refusal.NONE

    def _crossing(self, order: NewOrder) -> list[Queue]:
        """The queues that an order can trade with, best price first."""
        book = self._books[order.market]
        if order.side == "buy":
            return [queue for price, queue in sorted(book["ask"].items()) if price <= order.price]
        return [queue for price, queue in sorted(book["bid"].items(), reverse=True) if price >= order.price]

    def _opposite(self, order: NewOrder) -> RestingOrder | None:
        """The order that an incoming one trades with first; None when none crosses it."""
        queues = self._crossing(order)
        return next(iter(queues[0].values())) if queues else None

    def _reachable(self, order: NewOrder) -> int:
        """How much an order would fill, given what happens when it meets its owner's own orders."""
        total = 0
        for maker in (maker for queue in self._crossing(order) for maker in queue.values()):
            if maker.order.owner != order.owner or order.self_trade == "allow":
                total += maker.remaining
            elif order.self_trade == "taker_at_cross":
                break
        return total

    def _trade(self, taker: NewOrder, maker: RestingOrder, quantity: int) -> EngineTrade:
        self._shrink(maker, quantity, taker.order_id)
        self._trades += 1
        trade = EngineTrade(
            trade_id=str(self._trades),
            market=taker.market,
            price=maker.order.price,
            quantity=quantity,
            taker_side=taker.side,
            taker_order=taker.order_id,
            maker_order=maker.order.order_id,
            ns=self._now(),
        )
        for listener in self.on_trade:
            listener(trade)
        return trade

    def _rest(self, order: NewOrder, quantity: int) -> None:
        resting = RestingOrder(order, quantity)
        self._orders[order.order_id] = resting
        self._levels_of(order).setdefault(order.price, {})[order.order_id] = resting
        self._told(order, quantity, order.order_id)

    def _shrink(self, resting: RestingOrder, quantity: int, caused_by: str) -> None:
        """Take a quantity off a resting order, which leaves when nothing is left, and its level with the last one."""
        order, levels = resting.order, self._levels_of(resting.order)
        resting.remaining -= quantity
        if not resting.remaining:
            del self._orders[order.order_id]
            del levels[order.price][order.order_id]
            if not levels[order.price]:
                del levels[order.price]
        self._told(order, -quantity, caused_by)

    def _levels_of(self, order: NewOrder) -> dict[int, Queue]:
        return self._books[order.market]["bid" if order.side == "buy" else "ask"]

    def _told(self, order: NewOrder, change: int, caused_by: str) -> None:
        size = _size(self._levels_of(order).get(order.price, {}).values())
        side: BookSide = "bid" if order.side == "buy" else "ask"
        event = LevelChange(order.market, side, order.price, change, size, caused_by, self._now())
        for listener in self.on_change:
            listener(event)


def _size(orders: Iterable[RestingOrder]) -> int:
    return sum(resting.remaining for resting in orders)


def _ladder(levels: dict[int, Queue], *, best_is_high: bool) -> list[Level]:
    return [(price, _size(levels[price].values())) for price in sorted(levels, reverse=best_is_high)]
