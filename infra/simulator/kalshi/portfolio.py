"""What an account of the Kalshi simulator reads over REST: orders, fills, balances, positions; and moving its cash.

Sources: the venue's pages "Get Orders", "Get Fills", "Get Balance", "Get Positions", "Get User Data Timestamp" and
"Intra Account Transfer". Reads lag behind writes by what the options say.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from infra.simulator.exchange import contracts
from infra.simulator.kalshi.accounts import CENT_MONEY, Holding, money_text
from infra.simulator.kalshi.market import SECOND, parse_time, rfc3339
from infra.simulator.kalshi.messages import signed
from infra.simulator.kalshi.order_calls import OrderCalls
from infra.simulator.kalshi.orders import OrderDesk
from infra.simulator.kalshi.replies import Refused, bad_request, number, page
from infra.simulator.metadata import event_of
from infra.simulator.recorded import Reply, Request

if TYPE_CHECKING:
    from infra.simulator.kalshi.venue import KalshiVenue

Row = dict[str, Any]
FAR_S = 2**40
STATUSES = ("", "resting", "canceled", "executed")
ANY_SHARD = -1


class _Transfer(msgspec.Struct):
    amount: int
    source_exchange_shard: int
    destination_exchange_shard: int


class Portfolio:
    """One account's calls; ``owner`` is its API key. What is wrong with a call is ``Refused``."""

    def __init__(self, venue: "KalshiVenue", desk: OrderDesk) -> None:
        self._venue = venue
        self._books = desk.books
        self._orders_v2 = OrderCalls(venue, desk)

    def answer(self, parts: list[str], request: Request, owner: str) -> Reply | None:
        """The reply to a path below ``/portfolio``; None when there is no such call."""
        self._books.account(owner)
        match request.method, parts:
            case _, ["events", "orders", *rest]:
                return self._orders_v2.answer(rest, request, owner)
            case "POST", ["intra_exchange_instance_transfer"]:
                return self._transfer(request, owner)
            case "GET", ["orders"]:
                return Reply(200, self._orders(request, owner))
            case "GET", ["orders", order_id]:
                return self._order(order_id, owner)
            case "GET", ["fills"]:
                return Reply(200, self._fills(request, owner))
            case "GET", ["balance"]:
                return Reply(200, self._balance(request, owner))
            case "GET", ["positions"]:
                return Reply(200, self._positions(request, owner))
        return None

    def as_of(self) -> Row:
        """``GET /exchange/user_data_timestamp``: how far the reads have caught up."""
        return {"as_of_time": rfc3339(self._books.ledger.as_of_ns())}

    def _transfer(self, request: Request, owner: str) -> Reply:
        try:
            body = msgspec.json.decode(request.body, type=_Transfer)
        except msgspec.MsgspecError as error:
            raise bad_request(str(error)) from None
        account, money = self._books.account(owner), body.amount * 100  # hundredths of a cent to 1e-6 dollar
        source, destination = body.source_exchange_shard, body.destination_exchange_shard
        if money <= 0 or destination not in account.cash or money > self._books.free(account, source):
            raise Refused(400, "available_balance_too_low", f"{body.amount} from shard {source} to {destination}")
        account.cash[source] -= money
        account.cash[destination] += money
        self._books.tell_account(account)
        return Reply(200, {})

    def _order(self, order_id: str, owner: str) -> Reply:
        row = self._books.ledger.rows(owner, "orders").get(order_id)
        if row is None:
            raise Refused(404, "not_found", f"order {order_id}")
        return Reply(200, {"order": row})

    def _orders(self, request: Request, owner: str) -> Row:
        status, events = request.first("status"), set(request.every("event_ticker"))
        if status not in STATUSES:
            raise bad_request(f"status: {status!r} is none of {', '.join(STATUSES[1:])}")

        def keep(row: Row) -> bool:
            in_event = not events or self._event(row["ticker"]) in events
            return in_event and status in ("", row["status"])

        return self._listed(request, owner, "orders", keep)

    def _fills(self, request: Request, owner: str) -> Row:
        order_id = request.first("order_id")
        return self._listed(request, owner, "fills", lambda row: order_id in ("", row["order_id"]))

    def _listed(self, request: Request, owner: str, kind: str, keep: Callable[[Row], bool]) -> Row:
        """A page of rows, the newest first."""
        ticker, shard = request.first("ticker"), self._shard(request)
        least, most = (number(request, *bounds, 0, FAR_S) for bounds in (("min_ts", 0), ("max_ts", FAR_S)))
        items = [
            (-position, row)
            for position, row in enumerate(self._books.ledger.rows(owner, kind).values())
            if ticker in ("", row["ticker"])
            and shard in (ANY_SHARD, row["exchange_index"])
            and least <= parse_time(row["created_time"]) // SECOND <= most
            and keep(row)
        ]
        null_cursor = self._venue.options.null_cursor
        rows, cursor = page(request, f"{kind} of {owner}", reversed(items), 100, 1_000, null_cursor=null_cursor)
        return {kind: rows, "cursor": cursor}

    def _balance(self, request: Request, owner: str) -> Row:
        row, shard = self._books.ledger.rows(owner, "balance").get("", {"free": {}, "at_ns": 0}), self._shard(request)
        free = {index: money for index, money in row["free"].items() if shard in (ANY_SHARD, index)}
        total = sum(free.values())
        value = sum(holding.cost for holding in self._holdings(owner).values())
        return {
            "balance": total // CENT_MONEY,
            "balance_dollars": money_text(total),
            "portfolio_value": value // CENT_MONEY,
            "updated_ts": row["at_ns"] // SECOND,
            "balance_breakdown": [
                {"exchange_index": index, "balance": money_text(money)} for index, money in sorted(free.items())
            ],
        }

    def _positions(self, request: Request, owner: str) -> Row:
        wanted = request.first("ticker")
        chosen = [(ticker, holding) for ticker, holding in self._holdings(owner).items() if wanted in ("", ticker)]
        events = sorted({self._event(ticker) for ticker, _ in chosen})
        return {
            "market_positions": [self._position(ticker, holding) for ticker, holding in chosen],
            "event_positions": [
                {
                    "event_ticker": event,
                    "total_cost_dollars": money_text(sum(h.cost for t, h in chosen if self._event(t) == event)),
                    "total_cost_shares_fp": contracts(
                        sum(abs(h.quantity) for t, h in chosen if self._event(t) == event)
                    ),
                    "event_exposure_dollars": money_text(sum(h.cost for t, h in chosen if self._event(t) == event)),
                }
                for event in events
            ],
            "cursor": "",
        }

    def _position(self, ticker: str, holding: Holding) -> Row:
        market = self._venue.catalogue.markets.get(ticker)
        return {
            "ticker": ticker,
            "exchange_index": market.shard if market is not None else 0,
            "position_fp": signed(holding.quantity),
            "total_traded_dollars": money_text(holding.traded),
            "market_exposure_dollars": money_text(holding.cost),
            "realized_pnl_dollars": money_text(holding.realized),
            "fees_paid_dollars": money_text(holding.fees, 6),
            "last_updated_ts": rfc3339(self._books.ledger.as_of_ns()),
        }

    def _holdings(self, owner: str) -> dict[str, Holding]:
        return self._books.ledger.rows(owner, "positions").get("", {})

    def _event(self, ticker: str) -> str:
        market = self._venue.catalogue.markets.get(ticker)
        return market.event if market is not None else event_of(ticker)

    @staticmethod
    def _shard(request: Request) -> int:
        return number(request, "exchange_index", ANY_SHARD, ANY_SHARD, FAR_S)
