"""Kalshi's order entry (V2) over REST: bodies to the order desk, what became of them back.

Sources: the venue's pages "Create Order (V2)", "Cancel Order (V2)", "Cancel All Orders", "Decrease Order (V2)" and
"Amend Order (V2)". Names that a body should not have are passed over, as the venue does.
"""

from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import msgspec

from infra.simulator.engine import TimeInForce
from infra.simulator.exchange import contracts, fixed
from infra.simulator.faults import MILLISECOND
from infra.simulator.kalshi.accounts import money_text
from infra.simulator.kalshi.options import DOLLAR
from infra.simulator.kalshi.order import WIRE_TIME_IN_FORCE, VenueOrder, Wanted
from infra.simulator.kalshi.orders import OrderDesk
from infra.simulator.kalshi.replies import Refused, bad_request, number
from infra.simulator.recorded import Reply, Request

if TYPE_CHECKING:
    from infra.simulator.kalshi.venue import KalshiVenue

T = TypeVar("T")
MOST_SHARDS = 64


class _Create(msgspec.Struct):
    ticker: str
    side: Literal["bid", "ask"]
    count: str
    price: str
    time_in_force: Literal["fill_or_kill", "good_till_canceled", "immediate_or_cancel"]
    self_trade_prevention_type: Literal["taker_at_cross", "maker"]
    client_order_id: str = ""
    expiration_time: int = 0
    post_only: bool = False
    cancel_order_on_pause: bool = False
    reduce_only: bool = False
    exchange_index: int | None = None


class _Amend(msgspec.Struct):
    ticker: str
    side: Literal["bid", "ask"]
    price: str
    count: str


class _Decrease(msgspec.Struct):
    reduce_by: str | None = None
    reduce_to: str | None = None
    exchange_index: int | None = None
    market_ticker: str = ""


class OrderCalls:
    """One account's order entry; ``owner`` is its API key. What is wrong with a call is ``Refused``."""

    def __init__(self, venue: "KalshiVenue", desk: OrderDesk) -> None:
        self._venue = venue
        self._desk = desk

    def answer(self, parts: list[str], request: Request, owner: str) -> Reply | None:
        """The reply to a path below ``/portfolio/events/orders``; None when there is no such call."""
        match request.method, parts:
            case "POST", []:
                return self._create(request, owner)
            case "DELETE", []:
                return self._cancel_all(owner)
            case "DELETE", [order_id]:
                return self._cancel(order_id, request, owner)
            case "POST", [order_id, "decrease"]:
                return self._decrease(order_id, request, owner)
            case "POST", [order_id, "amend"]:
                return self._amend(order_id, request, owner)
        return None

    def _create(self, request: Request, owner: str) -> Reply:
        body = _decode(request.body, _Create)
        kind = cast(TimeInForce, WIRE_TIME_IN_FORCE.get(body.time_in_force, body.time_in_force))
        wanted = Wanted(
            market=body.ticker,
            side=body.side,
            price=_price(body.price),
            quantity=_count(body.count),
            time_in_force=kind,
            self_trade=body.self_trade_prevention_type,
            client_order_id=body.client_order_id,
            expires_s=body.expiration_time,
            post_only=body.post_only,
            cancel_on_pause=body.cancel_order_on_pause,
            reduce_only=body.reduce_only,
            exchange_index=body.exchange_index,
        )
        order = self._desk.place(owner, wanted)
        return Reply(201, self._outcome(order, order.taker_cost, order.taker_fees, order.filled) | self._left(order))

    def _outcome(self, order: VenueOrder, cost: int, fees: int, filled: int) -> dict[str, Any]:
        """What a request did at once; averages are per contract and only there when something filled."""
        outcome: dict[str, Any] = {"order_id": order.order_id, "client_order_id": order.wanted.client_order_id}
        outcome |= {"fill_count": contracts(filled), "ts_ms": self._venue.stamp_ns() // MILLISECOND}
        if filled:
            paid = cost * 100 // filled
            yes_price = paid if order.wanted.side == "bid" else DOLLAR - paid
            outcome |= {"average_fill_price": money_text(yes_price)}
            outcome |= {"average_fee_paid": money_text(fees * 100 // filled)}
        return outcome

    def _left(self, order: VenueOrder) -> dict[str, Any]:
        return {"remaining_count": contracts(order.remaining)}

    def _cancel(self, order_id: str, request: Request, owner: str) -> Reply:
        ticker, index = request.first("market_ticker"), number(request, "exchange_index", 0, -1, MOST_SHARDS)
        order, reduced = self._desk.cancel(owner, order_id, self._shard(ticker, index), ticker)
        body = {"order_id": order_id, "client_order_id": order.wanted.client_order_id, "reduced_by": contracts(reduced)}
        return Reply(200, body | {"ts_ms": self._venue.stamp_ns() // MILLISECOND})

    def _cancel_all(self, owner: str) -> Reply:
        for order in self._desk.books.open_orders(owner):
            self._desk.cancel(owner, order.order_id, order.shard)
        return Reply(204, None)

    def _decrease(self, order_id: str, request: Request, owner: str) -> Reply:
        body = _decode(request.body, _Decrease)
        if (body.reduce_by is None) == (body.reduce_to is None):
            raise bad_request("exactly one of reduce_by and reduce_to is required")
        by, to = (None if text is None else _count(text) for text in (body.reduce_by, body.reduce_to))
        shard = self._shard(body.market_ticker, body.exchange_index or 0)
        order = self._desk.decrease(owner, order_id, shard, by=by, to=to)
        answer = {"order_id": order_id, "client_order_id": order.wanted.client_order_id}
        return Reply(200, answer | self._left(order) | {"ts_ms": self._venue.stamp_ns() // MILLISECOND})

    def _amend(self, order_id: str, request: Request, owner: str) -> Reply:
        body = _decode(request.body, _Amend)
        before = self._desk.books.orders.get(order_id)
        cost, fees, filled = (before.taker_cost, before.taker_fees, before.filled) if before else (0, 0, 0)
        wanted = Wanted(body.ticker, body.side, _price(body.price), _count(body.count))
        order = self._desk.amend(owner, order_id, self._shard(body.ticker, 0), wanted)
        at_once = (order.taker_cost - cost, order.taker_fees - fees, order.filled - filled)
        return Reply(200, self._outcome(order, *at_once) | self._left(order))

    def _shard(self, ticker: str, index: int) -> int:
        """Where an order is searched: its market's shard, else the one that is named, else 0."""
        market = self._venue.catalogue.markets.get(ticker)
        return market.shard if market is not None else max(0, index)


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Refused(400, "invalid_order", str(error)) from None


def _price(text: str) -> int:
    try:
        return fixed(text, 4)
    except ValueError as error:
        raise Refused(400, "invalid_price", str(error)) from None


def _count(text: str) -> int:
    try:
        return fixed(text, 2)
    except ValueError as error:
        raise Refused(400, "invalid_order_size", str(error)) from None
