"""What trades and settlements do to the accounts of the Kalshi simulator, and how their owners learn of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from infra.simulator.engine import EngineTrade
from infra.simulator.exchange import fixed
from infra.simulator.faults import MILLISECOND
from infra.simulator.kalshi.accounts import Account, Ledger, bought_price, fee_rate, fill_fee
from infra.simulator.kalshi.catalogue import Catalogue
from infra.simulator.kalshi.channels import FILL, USER_ORDERS
from infra.simulator.kalshi.market import ListedMarket
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.kalshi.order import VenueOrder, fill_frame, fill_row, order_frame, order_row
from infra.simulator.kalshi.publisher import Publisher

NONE_YET = 0


class Bookkeeper:
    """Accounts and orders. Money in 1e-6 dollar, quantities in 1e-2 contract, prices in 1e-4 dollar.

    Args:
        stamp_ns: the time as the venue's own clock shows it.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        publisher: Publisher,
        options: KalshiOptions,
        now: Callable[[], int],
        stamp_ns: Callable[[], int],
    ) -> None:
        self._catalogue = catalogue
        self._publisher = publisher
        self._options = options
        self._now = now
        self._stamp_ns = stamp_ns
        self.orders: dict[str, VenueOrder] = {}
        self.accounts: dict[str, Account] = {}
        self.ledger = Ledger(now, options.read_lag_ms * MILLISECOND)

    def account(self, key: str) -> Account:
        """The account of an API key, opened when it is first spoken of."""
        if key not in self.accounts:
            self.accounts[key] = Account(key, dict(self._options.cash))
            self.tell_account(self.accounts[key])
        return self.accounts[key]

    def open_orders(self, owner: str | None = None) -> list[VenueOrder]:
        """The orders that rest, of one owner or of all, oldest first."""
        return [order for order in self.orders.values() if order.remaining and owner in (None, order.owner)]

    def free(self, account: Account, shard: int) -> int:
        """The cash of a shard that no resting order binds."""
        resting = [order for order in self.open_orders(account.key) if order.shard == shard]
        bound = sum(self.needs(account, order, order.remaining) for order in resting)
        return account.cash.get(shard, NONE_YET) - bound

    def needs(self, account: Account, order: VenueOrder, quantity: int) -> int:
        """The most cash that so much of an order can take, fees included; what closes a position takes none."""
        market, side, price = self._catalogue.markets[order.market], order.wanted.side, order.wanted.price
        ahead = self._ahead(order)
        opening = quantity + ahead - max(ahead, account.holding(market.ticker).closing(side, quantity + ahead))
        if not opening:
            return 0
        rate = fee_rate(*self._catalogue.fee(market, self._now()), taker=True)
        precision = self._options.fee_precision
        fee, _ = fill_fee(rate, precision, 0, side, price, opening)
        return opening * bought_price(side, price) + fee

    def _ahead(self, order: VenueOrder) -> int:
        """What rests of the same owner's earlier orders on the same side, which close a position first."""
        ahead = 0
        for other in self.open_orders(order.owner):
            if other.order_id == order.order_id:
                break
            if (other.market, other.wanted.side) == (order.market, order.wanted.side):
                ahead += other.remaining
        return ahead

    def traded(self, trade: EngineTrade) -> None:
        """Book a trade's two sides, as far as they are accounts' orders."""
        for order_id in (trade.taker_order, trade.maker_order):
            order = self.orders.get(order_id)
            if order is not None:
                self._fill(order, trade, taker=order_id == trade.taker_order)

    def _fill(self, order: VenueOrder, trade: EngineTrade, *, taker: bool) -> None:
        account, side = self.account(order.owner), order.wanted.side
        holding = account.holding(order.market)
        rate = fee_rate(*self._catalogue.fee(self._catalogue.markets[order.market], self._now()), taker=taker)
        precision = self._options.fee_precision
        fee, order.accumulator = fill_fee(rate, precision, order.accumulator, side, trade.price, trade.quantity)
        change = holding.fill(side, trade.price, trade.quantity) - fee
        account.cash[order.shard] = account.cash.get(order.shard, NONE_YET) + change
        holding.fees += fee
        order.fill(trade, fee, taker=taker)
        stamp_ns = self._stamp_ns()
        row = fill_row(order, trade, fee, stamp_ns, taker=taker)
        self.ledger.put(order.owner, "fills", f"{row['fill_id']} {order.order_id}", row)
        self._notify(order, FILL, "fill", fill_frame(row, order, holding.quantity, stamp_ns))
        self.tell(order)

    def end(self, order: VenueOrder, reason: str) -> None:
        """What remained of an order is cancelled."""
        order.end(reason, self._now())
        self.tell(order)

    def settle(self, market: ListedMarket) -> None:
        """Turn every position of a market into cash."""
        value = fixed(market.body["settlement_value_dollars"], 4)
        for account in self.accounts.values():
            holding = account.holdings.pop(market.ticker, None)
            if holding is not None:
                paid = holding.payout(value, scalar=market.body["result"] == "scalar")
                account.cash[market.shard] = account.cash.get(market.shard, NONE_YET) + paid
                self.tell_account(account)

    def named(self, order_id: str, owner: str | None) -> dict[str, Any]:
        """What a delta tells the owner of the order that caused it, and nobody else."""
        order = self.orders.get(order_id)
        if order is None or owner is None or order.owner != owner:
            return {}
        return {"client_order_id": order.wanted.client_order_id, "subaccount": 0}

    def tell(self, order: VenueOrder) -> None:
        """An order has changed: let its owner's reads and channels show it."""
        self.ledger.put(order.owner, "orders", order.order_id, order_row(order))
        self._notify(order, USER_ORDERS, "user_order", order_frame(order))
        self.tell_account(self.account(order.owner))

    def tell_account(self, account: Account) -> None:
        """Let the account's reads show its money and positions."""
        free = {shard: self.free(account, shard) for shard in account.cash}
        self.ledger.put(account.key, "balance", "", {"free": free, "at_ns": self._now()})
        positions = {ticker: replace(holding) for ticker, holding in account.holdings.items()}
        self.ledger.put(account.key, "positions", "", positions)

    def _notify(self, order: VenueOrder, channel: str, kind: str, message: dict[str, Any]) -> None:
        for subscription in self._publisher.board.watching(channel, order.market):
            if subscription.session.owner == order.owner:
                self._publisher.send(subscription, kind, message, order.market)
