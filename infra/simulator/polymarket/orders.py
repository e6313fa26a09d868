"""Order entry of the Polymarket simulator: ``POST /order``, ``DELETE /order``, ``GET /data/order/{id}``.

The HMAC headers of private calls are checked. The EIP-712 signature inside an order is not: any will do. There is no
ledger either: balances and allowances are never short.
"""

import re
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from infra.simulator.engine import EngineTrade, Placement, Refusal
from infra.simulator.faults import MILLISECOND, FaultName
from infra.simulator.polymarket.keys import UNAUTHORIZED, Gate
from infra.simulator.polymarket.order import NOT_READY, Order, judged
from infra.simulator.polymarket.order_form import (
    EXPIRES_EARLY_S,
    INVALID,
    OrderRefused,
    affordable,
    judge_form,
    money,
    read_form,
)
from infra.simulator.polymarket.replies import cancel_only, disabled, post_only, problem, restarting
from infra.simulator.recorded import Held, Reply, Request

if TYPE_CHECKING:
    from infra.simulator.polymarket.venue import PolymarketVenue

SECOND = 1_000_000_000
ORDER_ID = re.compile(r"0x[0-9a-fA-F]{64}")

CROSSES = "invalid post-only order: order crosses book"
KILLED = "order couldn't be fully filled. FOK orders are fully filled or killed."
NO_MATCH = "no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found."
GONE = "already canceled or matched"
IN_DELAY = "order is delayed and can't be canceled"


class OrderDesk:
    """Takes, holds, cancels and remembers the orders of the one account."""

    def __init__(self, venue: "PolymarketVenue") -> None:
        self._venue = venue
        self._engine = venue.engine
        self._gate = Gate(venue.options.credentials, venue.options.clock_tolerance_s)
        self._orders: dict[str, Order] = {}
        self._restarted_ns: int | None = None

    # What the venue tells

    def restarted(self, at_ns: int) -> None:
        """The matching engine is back at this moment, and takes nothing but post-only orders for a while."""
        self._restarted_ns = max(self._restarted_ns or 0, at_ns)

    def traded(self, trade: EngineTrade) -> None:
        """Two orders were matched, perhaps one of these."""
        for taken in (trade.maker_order, trade.taker_order):
            order = self._orders.get(taken)
            if order is not None:
                order.matched += trade.quantity
                order.trades.append(str(uuid.uuid5(uuid.NAMESPACE_OID, f"{trade.market}:{trade.trade_id}")))
                if order.matched >= order.quantity:
                    order.status = "MATCHED"

    def token_of(self, order_id: str) -> str:
        """The token that an order of the account is for; "" for an order of somebody else's."""
        order = self._orders.get(order_id)
        return order.token if order else ""

    # Calls

    def answer(self, request: Request) -> Reply | None:
        """The reply to a private call; None when it is none of these."""
        calls: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("POST", "/order"): self._post,
            ("DELETE", "/order"): self._delete,
        }
        call = calls.get((request.method, request.path))
        if request.method == "GET" and request.path.startswith("/data/order/"):
            call = self._get
        if call is None or not self._venue.exchange:
            return None
        if self._gate.refuses(request, self._now_s()):
            return problem(401, UNAUTHORIZED)
        return call(request)

    def _post(self, request: Request) -> Reply:
        refusal = self._closed()
        credentials = self._gate.credentials
        if refusal is not None or credentials is None:
            return refusal or problem(401, UNAUTHORIZED)
        try:
            form = read_form(request.body)
            judge_form(form, credentials.apiKey, credentials.address, self._now_s())
            market = self._venue.by_token.get(form.order.tokenId)
            if market is None or not market.known:
                return problem(400, f"the orderbook {form.order.tokenId} does not exist")
            if self._venue.paused(market):
                return cancel_only()
            order = judged(form, market, self._engine, self._now_s())
            if order.order_id in self._orders:
                return problem(400, f"order {order.order_id} is invalid. Duplicated.")
            wait_s = self._post_only_s()
            return post_only(wait_s) if wait_s and not form.postOnly else self._enter(order)
        except OrderRefused as error:
            return problem(400, str(error))

    def _delete(self, request: Request) -> Reply:
        refusal = self._closed()
        if refusal is not None:
            return refusal
        try:
            wanted = msgspec.json.decode(request.body, type=dict[str, str])["orderID"]
        except (msgspec.MsgspecError, KeyError):
            return problem(400, INVALID)
        if not ORDER_ID.fullmatch(wanted):
            return problem(400, "Invalid orderID")
        order = self._orders.get(wanted)
        if order is None or not self._engine.cancel(wanted):
            reason = IN_DELAY if order is not None and order.status == "DELAYED" else GONE
            return Reply(200, {"canceled": [], "not_canceled": {wanted: reason}})
        order.status = "CANCELED"
        return Reply(200, {"canceled": [wanted], "not_canceled": {}})

    def _get(self, request: Request) -> Reply:
        wanted = request.path.rpartition("/")[2]
        if not ORDER_ID.fullmatch(wanted):
            return problem(400, "Invalid orderID")
        order = self._orders.get(wanted)
        if order is None:
            return problem(404, "order not found")
        if order.status == "LIVE" and self._engine.order(wanted) is None:
            order.status = "CANCELED"  # its market closed, or its price is on the grid no more
        return Reply(200, order.shown())

    # Matching

    def _enter(self, order: Order) -> Reply:
        """Match an order now, or after the delay of its market when it would take something."""
        listing = order.market.listing
        waits = listing.itode or listing.seconds_delay
        if order.form.postOnly or not waits or not order.reachable(self._engine):
            return self._match(order)
        order.status = "DELAYED"
        self._orders[order.order_id] = order
        delayed, held = self._accepted(order, "delayed"), Held()
        wait_ns = listing.seconds_delay * SECOND or self._venue.options.itode_ms * MILLISECOND
        self._venue.later(wait_ns, lambda: held.settle(self._again(order)))
        return delayed if listing.seconds_delay else Reply(delayed.status, delayed.body, held=held)

    def _again(self, order: Order) -> Reply:
        """After its delay an order is judged once more: what was true when it came need not be now."""
        order.status = "UNMATCHED"
        if self._venue.paused(order.market):
            return cancel_only()
        if order.market.state(paused=False) != "open" or order.price % order.market.tick:
            return problem(400, NOT_READY)
        try:
            return self._match(order)
        except OrderRefused as error:
            order.status = "UNMATCHED"
            self._orders[order.order_id] = order
            return problem(400, str(error))

    def _match(self, order: Order) -> Reply:
        """Give an order to the engine; raises OrderRefused when it is killed or may not trade."""
        quantity, kind = order.quantity, order.form.orderType
        if order.spends:
            quantity, left = affordable(order.reachable(self._engine), order.form.order.dollars)
            # What is left buys less than the smallest part of a share: as good as spent.
            if kind == "FOK" and left >= order.price:
                raise OrderRefused(KILLED)
        if not quantity:
            raise OrderRefused(KILLED if kind == "FOK" else NO_MATCH)
        order.quantity, order.status = quantity, "LIVE"
        self._orders[order.order_id] = order
        placed = self._engine.place(order.new_order(quantity))
        if placed.refusal or not (placed.filled or placed.resting):
            del self._orders[order.order_id]
            words = {Refusal.POST_ONLY: CROSSES, Refusal.FILL_OR_KILL: KILLED, Refusal.NONE: NO_MATCH}
            raise OrderRefused(words.get(placed.refusal, NOT_READY))
        return self._outcome(order, placed)

    def _outcome(self, order: Order, placed: Placement) -> Reply:
        if placed.cancelled:
            order.status = "CANCELED"
        if placed.resting and order.form.orderType == "GTD":
            left_s = int(order.form.order.expiration) - EXPIRES_EARLY_S - self._now_s()
            self._venue.later(left_s * SECOND, lambda: self._expire(order))
        if not placed.filled:
            return self._accepted(order, "live")
        return self._accepted(order, "matched", *order.amounts(placed.fills))

    def _expire(self, order: Order) -> None:
        if self._engine.cancel(order.order_id):
            order.status = "CANCELED"

    # Modes and forms

    def _closed(self) -> Reply | None:
        """What the venue answers to every order and cancel while the engine restarts or trading is disabled."""
        if self._venue.faults.active(FaultName.MAINTENANCE):
            self.restarted(self._venue.now())
            return restarting()
        pause = self._venue.faults.active(FaultName.PAUSE)
        return disabled() if pause is not None and pause.detail == "disabled" else None

    def _post_only_s(self) -> int:
        """For how many seconds yet only post-only orders are taken."""
        if self._restarted_ns is None:
            return 0
        left_ns = self._restarted_ns + self._venue.options.post_only_ms * MILLISECOND - self._venue.now()
        return max(0, -(-left_ns // SECOND))

    def _accepted(self, order: Order, status: str, making: int = 0, taking: int = 0) -> Reply:
        unit = self._venue.options.amounts
        amounts = [money(amount, unit) if amount else "" for amount in (making, taking)]
        body = {"success": True, "errorMsg": "", "orderID": order.order_id, "status": status}
        body |= {"makingAmount": amounts[0], "takingAmount": amounts[1]}
        return Reply(200, body | {"transactionsHashes": [], "tradeIDs": list(order.trades)})

    def _now_s(self) -> int:
        return self._venue.stamp_ms() // 1_000
