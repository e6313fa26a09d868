"""Paper matching: the answer that a venue would have given to an order, from the book in force.

Pure: no clock, no Kafka.
"""

from collections.abc import Iterable

from producers.paper_ladder import PaperLadder
from schemas.fees import FeeError, check_schedule, fill_fees
from schemas.identity import execution_id
from schemas.records import Book, Execution, ExecutionKind, Fill, Level, Market, Order, Venue
from schemas.units import FILL_PER_QUANTITY, ONE, format_money, format_price, format_quantity

NO_BOOK = "no book"
NO_METADATA = "no market metadata"


class Rejected(Exception):
    """An order that the venue, or this matcher, would not take; the message is the reason."""


class Missed(Exception):
    """A good order that nothing on the book answers; the message is the reason."""


class PaperMatcher:
    """Answers the orders of one venue. A book whose last proof is older than `freshness_ns` fills nothing."""

    def __init__(self, venue: Venue, freshness_ns: int, order_age_ns: int) -> None:
        self._venue = venue
        self._freshness_ns = freshness_ns
        self._order_age_ns = order_age_ns
        self._ladders: dict[str, PaperLadder] = {}
        self._markets: dict[str, Market] = {}

    def on_market(self, market: Market) -> None:
        """Learn a market's grid, minima and fees."""
        self._markets[market.market] = market

    def on_book(self, book: Book) -> None:
        """Take in a book, newer or not; raises ValueError when its ladder is malformed."""
        self._ladders.setdefault(book.market, PaperLadder()).on_book(book)

    def restore(self, executions: Iterable[Execution]) -> None:
        """Take up what the fills of an earlier life took, as far as the books they name are still in force."""
        for execution in executions:
            if execution.fills:
                version = (execution.book_epoch, execution.book_sequence)
                ladder = self._ladders.setdefault(execution.market, PaperLadder())
                ladder.restore(version, execution.outcome, execution.fills)

    def missing(self, market: str) -> str:
        """What must still arrive before an order for the market can be answered; empty when nothing."""
        ladder = self._ladders.get(market)
        if ladder is None or ladder.book is None:
            return NO_BOOK
        return "" if market in self._markets else NO_METADATA

    def answer(self, order: Order, now_ns: int) -> Execution:
        """The one final answer to an order; what it takes is taken.

        Filled level by level, best first, up to the limit: `filled` when anything filled (the rest is cancelled),
        `cancelled` when nothing did, `rejected` when the venue would not take the order. That an order is asked about
        only once is up to the caller.
        """
        try:
            market, ladder = self._accept(order, now_ns)
            takes = _walk(order, ladder.available(order.outcome))
            fills = _fills(market, takes)
        except Rejected as refused:
            return self._execution(order, "rejected", str(refused), now_ns)
        except Missed as missed:
            return self._execution(order, "cancelled", str(missed), now_ns)
        ladder.take(order.outcome, takes)
        left = order.quantity - sum(quantity for _, quantity in takes)
        reason = f"no liquidity at the limit for {format_quantity(left)}" if left else ""
        return self._execution(order, "filled", reason, now_ns, fills)

    def _accept(self, order: Order, now_ns: int) -> tuple[Market, PaperLadder]:
        if order.venue != self._venue:
            raise Rejected(f"an order for {order.venue} at {self._venue}")
        age_ns = now_ns - order.created_ns
        if age_ns > self._order_age_ns:
            raise Rejected(f"the order is {age_ns // 1_000_000} ms old: its other leg is long answered")
        if order.action != "place":
            raise Rejected("nothing rests: there is no order to cancel")
        if order.side != "buy":
            raise Rejected("paper orders only buy: to leave a position, buy the other outcome")
        if order.time_in_force == "good_till_cancelled":
            raise Rejected("paper orders do not rest: immediate_or_cancel or fill_or_kill only")
        missing = self.missing(order.market)
        if missing:
            raise Rejected(missing)
        market, ladder = self._markets[order.market], self._ladders[order.market]
        _check_terms(order, market)
        if ladder.book is not None:
            _check_book(ladder.book, now_ns, self._freshness_ns)
        return market, ladder

    def _execution(
        self, order: Order, kind: ExecutionKind, reason: str, now_ns: int, fills: tuple[Fill, ...] = ()
    ) -> Execution:
        ladder = self._ladders.get(order.market)
        epoch, sequence = (0, 0) if ladder is None or ladder.book is None else ladder.version
        fill_quantity = sum(fill.fill_quantity for fill in fills)
        return Execution(
            execution_id=execution_id(order.order_id, kind),
            order_id=order.order_id,
            ticket_id=order.ticket_id,
            leg=order.leg,
            venue=order.venue,
            market=order.market,
            outcome=order.outcome,
            side=order.side,
            kind=kind,
            reason=reason,
            fills=fills,
            fill_quantity=fill_quantity,
            remaining_quantity=order.quantity - fill_quantity // FILL_PER_QUANTITY,
            cost=sum(fill.price * (fill.fill_quantity // FILL_PER_QUANTITY) for fill in fills),
            fee=sum(fill.fee for fill in fills),
            book_epoch=epoch,
            book_sequence=sequence,
            paper=True,
            executed_ns=now_ns,
        )


def _walk(order: Order, levels: list[Level]) -> list[Level]:
    """(price, quantity) taken per level; raises Missed."""
    left, takes = order.quantity, []
    for price, quantity in levels:
        if price > order.limit_price or left == 0:
            break
        takes.append((price, min(left, quantity)))
        left -= takes[-1][1]
    if not takes:
        raise Missed(f"no liquidity at the limit {format_price(order.limit_price)}")
    if left and order.time_in_force == "fill_or_kill":
        found = format_quantity(order.quantity - left)
        raise Missed(f"fill or kill: {found} of {format_quantity(order.quantity)} at the limit")
    return takes


def _fills(market: Market, takes: list[Level]) -> tuple[Fill, ...]:
    sizes = [(price, quantity * FILL_PER_QUANTITY) for price, quantity in takes]
    try:
        check_schedule(market.fee)
        fees = fill_fees(market.fee, sizes)
    except FeeError as error:
        raise Rejected(f"no fee can be said: {error}") from error
    return tuple(Fill(price=price, fill_quantity=size, fee=fee) for (price, size), fee in zip(sizes, fees, strict=True))


def _check_book(book: Book, now_ns: int, freshness_ns: int) -> None:
    if book.state != "live":
        raise Rejected(f"book is {book.state}" + (f": {book.reason}" if book.reason else ""))
    age_ns = now_ns - book.confirmed_ns
    if age_ns > freshness_ns:
        raise Rejected(f"book is stale: confirmed {age_ns // 1_000_000} ms ago")


def _check_terms(order: Order, market: Market) -> None:
    price = ONE - order.limit_price if order.outcome == "no" else order.limit_price
    if not 0 < price < ONE or not on_grid(price, market):
        raise Rejected(f"limit price {format_price(order.limit_price)} is not on the market's grid")
    if order.quantity <= 0 or order.quantity < market.minimum_quantity:
        minimum = format_quantity(market.minimum_quantity)
        raise Rejected(f"{format_quantity(order.quantity)} contracts: the minimum is {minimum}")
    value = order.quantity * order.limit_price
    if value < market.minimum_value:
        raise Rejected(f"worth {format_money(value)} dollars: the minimum is {format_money(market.minimum_value)}")


def on_grid(price: int, market: Market) -> bool:
    """Whether a YES price lies on one of the market's tick ranges; a market without ranges takes every price."""
    return not market.ticks or any(
        tick.start <= price <= tick.end and (price - tick.start) % max(tick.step, 1) == 0 for tick in market.ticks
    )
