"""One order of a Kalshi simulator's account, and how REST rows and user frames speak of it and of its fills.

Everything is told from the YES leg: a bid buys YES, an ask sells YES, which is the same as buying NO. Costs are those
of the outcome bought. Sources: the venue's pages "Get Order", "Get Fills"; its channels ``fill`` and ``user_orders``.
"""

from dataclasses import dataclass
from typing import Any

from infra.simulator.engine import ONE_DOLLAR, BookSide, EngineTrade, SelfTrade, TimeInForce
from infra.simulator.exchange import contracts, dollars
from infra.simulator.faults import MILLISECOND
from infra.simulator.kalshi.accounts import bought_price, money_text
from infra.simulator.kalshi.market import SECOND, rfc3339
from infra.simulator.kalshi.messages import signed, trade_id
from infra.simulator.metadata import market_id_of

WIRE_TIME_IN_FORCE = {"good_till_canceled": "good_till_cancelled"}
"""Where the venue's spelling differs from the engine's."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for. Price 1e-4 dollar, quantity 1e-2 contract; ``exchange_index`` None routes by ticker."""

    market: str
    side: BookSide
    price: int
    quantity: int
    time_in_force: TimeInForce = "good_till_cancelled"
    self_trade: SelfTrade = "taker_at_cross"
    client_order_id: str = ""
    expires_s: int = 0
    post_only: bool = False
    cancel_on_pause: bool = False
    reduce_only: bool = False
    exchange_index: int | None = None


@dataclass(slots=True)
class VenueOrder:
    """An order that was taken, whatever became of it. ``accumulator`` holds its fees' rounding, 1e-6 dollar."""

    order_id: str
    owner: str
    wanted: Wanted
    shard: int
    remaining: int
    created_ns: int
    initial: int = 0
    filled: int = 0
    status: str = "resting"
    reason: str = ""
    accumulator: int = 0
    taker_cost: int = 0
    maker_cost: int = 0
    taker_fees: int = 0
    maker_fees: int = 0
    updated_ns: int = 0

    @property
    def market(self) -> str:
        """The market's ticker."""
        return self.wanted.market

    def fill(self, trade: EngineTrade, fee: int, *, taker: bool) -> None:
        """Note one of its fills."""
        cost = trade.quantity * bought_price(self.wanted.side, trade.price)
        self.filled += trade.quantity
        self.remaining -= trade.quantity
        self.reason, self.updated_ns = "Trade", trade.ns
        if taker:
            self.taker_cost += cost
            self.taker_fees += fee
        else:
            self.maker_cost += cost
            self.maker_fees += fee
        if not self.remaining:
            self.status = "executed"

    def end(self, reason: str, now_ns: int) -> None:
        """What remained of it is cancelled."""
        self.remaining, self.status, self.updated_ns = 0, "canceled", now_ns
        self.reason = reason or self.reason

    def crosses(self, other: Wanted) -> bool:
        """Whether it rests on the other side of an order at a price that one would trade at."""
        if not self.remaining or self.wanted.side == other.side or self.market != other.market:
            return False
        return self.wanted.price <= other.price if other.side == "bid" else self.wanted.price >= other.price


def _direction(side: BookSide) -> dict[str, Any]:
    return {"outcome_side": "yes" if side == "bid" else "no", "book_side": side}


def order_row(order: VenueOrder) -> dict[str, Any]:
    """An order as REST lists it."""
    wanted = order.wanted
    row = {
        "order_id": order.order_id,
        "user_id": market_id_of(f"user {order.owner}"),
        "client_order_id": wanted.client_order_id,
        "ticker": order.market,
        **_direction(wanted.side),
        "side": "yes" if wanted.side == "bid" else "no",
        "action": "buy",
        "type": "limit",
        "status": order.status,
        "yes_price_dollars": dollars(wanted.price),
        "no_price_dollars": dollars(ONE_DOLLAR - wanted.price),
        "fill_count_fp": contracts(order.filled),
        "remaining_count_fp": contracts(order.remaining),
        "initial_count_fp": contracts(order.initial),
        "taker_fill_cost_dollars": money_text(order.taker_cost, 6),
        "maker_fill_cost_dollars": money_text(order.maker_cost, 6),
        "taker_fees_dollars": money_text(order.taker_fees, 6),
        "maker_fees_dollars": money_text(order.maker_fees, 6),
        "created_time": rfc3339(order.created_ns),
        "last_update_time": rfc3339(order.updated_ns or order.created_ns),
        "last_update_reason": order.reason,
        "self_trade_prevention_type": wanted.self_trade,
        "cancel_order_on_pause": wanted.cancel_on_pause,
        "subaccount_number": 0,
        "exchange_index": order.shard,
    }
    return row | ({"expiration_time": rfc3339(wanted.expires_s * SECOND)} if wanted.expires_s else {})


def order_frame(order: VenueOrder) -> dict[str, Any]:
    """The message of a ``user_order`` frame."""
    untold = ("type", "action", "no_price_dollars", "cancel_order_on_pause", "last_update_time")
    row = {name: value for name, value in order_row(order).items() if name not in untold}
    return row | {"is_yes": order.wanted.side == "bid", "created_ts_ms": order.created_ns // MILLISECOND}


def fill_row(order: VenueOrder, trade: EngineTrade, fee: int, stamp_ns: int, *, taker: bool) -> dict[str, Any]:
    """A fill as REST lists it; it does not tell the client's own order id."""
    return {
        "fill_id": trade_id(trade),
        "trade_id": trade_id(trade),
        "order_id": order.order_id,
        "ticker": order.market,
        "market_ticker": order.market,
        "exchange_index": order.shard,
        **_direction(order.wanted.side),
        "count_fp": contracts(trade.quantity),
        "yes_price_dollars": dollars(trade.price),
        "no_price_dollars": dollars(ONE_DOLLAR - trade.price),
        "is_taker": taker,
        "fee_cost": money_text(fee, 6),
        "created_time": rfc3339(stamp_ns),
        "ts": stamp_ns // SECOND,
        "subaccount_number": 0,
    }


def fill_frame(row: dict[str, Any], order: VenueOrder, position: int, stamp_ns: int) -> dict[str, Any]:
    """The message of a ``fill`` frame, from the row of the same fill."""
    told = ("trade_id", "order_id", "market_ticker", "exchange_index", "is_taker", "yes_price_dollars", "count_fp")
    message = {name: row[name] for name in (*told, "fee_cost", "ts", "outcome_side", "book_side")}
    return message | {
        "client_order_id": order.wanted.client_order_id,
        "side": row["outcome_side"],
        "purchased_side": row["outcome_side"],
        "action": "buy",
        "ts_ms": stamp_ns // MILLISECOND,
        "post_position_fp": signed(position),
        "subaccount": 0,
    }
