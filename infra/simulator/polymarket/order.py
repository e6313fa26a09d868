"""One order of the simulator's Polymarket account: judged by its market's rules, and in the terms of the engine."""

from dataclasses import dataclass, field
from typing import Any

from infra.simulator.engine import ONE_DOLLAR, EngineTrade, Level, MatchingEngine, NewOrder, Side, TimeInForce
from infra.simulator.exchange import fixed, plain_price, plain_size
from infra.simulator.polymarket.market import Market
from infra.simulator.polymarket.order_form import SHARE_UNIT, OrderForm, OrderRefused, counter_amount, money
from infra.simulator.polymarket.order_id import order_id

LEAST_DOLLARS = 1_000_000
NOT_READY = "the market is not yet ready to process new orders"

IN_FORCE: dict[str, TimeInForce] = {
    "GTC": "good_till_cancelled",
    "GTD": "good_till_cancelled",
    "FOK": "fill_or_kill",
    "FAK": "immediate_or_cancel",
}


@dataclass(slots=True)
class Order:
    """``price`` (1e-4 dollar) and ``quantity`` (1e-2 share) are in its own token's terms."""

    order_id: str
    form: OrderForm
    market: Market
    price: int
    quantity: int
    created_s: int
    status: str = "LIVE"
    matched: int = 0
    trades: list[str] = field(default_factory=list)

    @property
    def token(self) -> str:
        """The token it is for."""
        return self.form.order.tokenId

    @property
    def buys(self) -> bool:
        """Whether it buys its token."""
        return self.form.order.side == "BUY"

    @property
    def spends(self) -> bool:
        """Whether it is for so many dollars, not for so many shares: an immediate order that buys."""
        return self.buys and not self.form.resting

    def own(self, yes_price: int) -> int:
        """A YES price in its own token's terms, and the other way round."""
        return yes_price if self.token == self.market.yes else ONE_DOLLAR - yes_price

    def new_order(self, quantity: int) -> NewOrder:
        """It as the engine takes it: buying the other outcome is selling this one."""
        side: Side = "buy" if self.buys == (self.token == self.market.yes) else "sell"
        return NewOrder(
            self.order_id,
            self.form.owner,
            self.market.listing.condition_id,
            side,
            self.own(self.price),
            quantity,
            IN_FORCE[self.form.orderType],
            self.form.postOnly,
        )

    def reachable(self, engine: MatchingEngine) -> list[Level]:
        """The levels it can take now, best first, at its own token's prices."""
        bids, asks = engine.levels(self.market.listing.condition_id)
        facing = asks if self.buys == (self.token == self.market.yes) else bids
        levels = [(self.own(price), size) for price, size in facing]
        return [level for level in levels if (level[0] <= self.price if self.buys else level[0] >= self.price)]

    def amounts(self, fills: tuple[EngineTrade, ...]) -> tuple[int, int]:
        """What these fills made and took, 1e-6 share or dollar: each at its maker's rate of dollars for shares."""
        shares = [fill.quantity * SHARE_UNIT for fill in fills]
        paid = zip(shares, fills, strict=True)
        dollars = sum(counter_amount(share, ONE_DOLLAR, self.own(fill.price)) for share, fill in paid)
        return (dollars, sum(shares)) if self.buys else (sum(shares), dollars)

    def shown(self) -> dict[str, Any]:
        """It as ``GET /data/order/{id}`` shows it: sizes in shares."""
        outcomes = dict(zip(self.market.listing.tokens, self.market.listing.outcomes, strict=True))
        return {
            "id": self.order_id,
            "status": self.status,
            "owner": self.form.owner,
            "maker_address": self.form.order.maker,
            "market": self.market.listing.condition_id,
            "asset_id": self.token,
            "side": self.form.order.side,
            "original_size": plain_size(self.quantity),
            "size_matched": plain_size(self.matched),
            "price": plain_price(self.price),
            "outcome": outcomes[self.token],
            "order_type": self.form.orderType,
            "associate_trades": list(self.trades),
            "created_at": self.created_s,
            "expiration": self.form.order.expiration,
        }


def judged(form: OrderForm, market: Market, engine: MatchingEngine, now_s: int) -> Order:
    """The order of a form by its market's rules: state, grid, minimum size, one dollar at least when it would trade.

    The minimum size is in shares, as examples and behaviour have it; one page says dollars.

    Raises:
        OrderRefused: with the venue's words.
    """
    if market.state(paused=False) != "open":
        raise OrderRefused(NOT_READY)
    identity = order_id(form.order, neg_risk=market.listing.neg_risk, version=market.listing.version)
    price, quantity = form.order.price(market.tick), form.order.shares // SHARE_UNIT
    if price is None:
        implied = money(form.order.dollars * 1_000_000 // max(form.order.shares, 1), "decimal")
        rule = f"Price ({implied}) breaks minimum tick size rule: {market.facts.tick_size}"
        raise OrderRefused(f"order {identity} is invalid. {rule}")
    if form.resting and quantity < fixed(market.facts.min_order_size, 2):
        size, least = plain_size(quantity), market.facts.min_order_size
        raise OrderRefused(f"order {identity} is invalid. Size ({size}) lower than the minimum: {least}")
    order = Order(identity, form, market, price, quantity, now_s)
    if form.order.dollars < LEAST_DOLLARS and not form.postOnly:
        marketable = not form.resting or (order.buys and order.reachable(engine))
        if marketable:
            amount = money(form.order.dollars, "decimal")
            raise OrderRefused(f"invalid amount for a marketable {form.order.side} order (${amount}), min size: $1")
    return order
