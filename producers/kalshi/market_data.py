"""Kalshi's market data: changes and whole books to ladders, prints to trades, and what could not be read."""

from typing import TYPE_CHECKING, Final

from producers.books import PublishedBook, Receipt
from producers.kalshi.book import OFF_GRID, VENUE_CROSSED, MarketBook, crossed_in_other_leg
from producers.kalshi.dialogue import seen
from producers.kalshi.messages import COMBO_LIFECYCLE, LIFECYCLE, Delta, Malformed, Print, Snapshot
from producers.kalshi.subscriptions import Subscription
from producers.session import OVERDUE
from runtime import logs, metrics
from schemas.records import Trade

if TYPE_CHECKING:
    from producers.kalshi.session import KalshiSession

MALFORMED: Final = "malformed frame"
LATE_NS: Final = 3_000_000_000
"""A book that was asked for longer ago is no news. Not a setting: whoever replays a transcript must judge the same."""

SLOWLY_NS: Final = 3_000_000_000
"""A book that the venue itself shows crossed, or off its grid, is asked for again after this."""


class MarketData:
    """What one session's frames do to its books."""

    def __init__(self, session: "KalshiSession") -> None:
        self._session = session
        self._log = logs.get(venue="kalshi")

    def delta(self, message: Delta, receipt: Receipt, now_ns: int) -> None:
        """A level changed."""
        book = self._session.books.get(message.market)
        if book is None:
            ignored("not asked for")
        elif book.awaiting:
            ignored("before snapshot")
        elif book.sid != message.sid:
            ignored("other subscription")
        else:
            self._session.host.say(book.delta(message, receipt, now_ns))
            if book.why:
                self._broken(message.market, book, receipt, slowly=False)

    def snapshot(self, message: Snapshot, subscription: Subscription, receipt: Receipt, now_ns: int) -> None:
        """A book came whole: the first, one that heals, or one to compare."""
        session, market, book = self._session, message.market, self._session.books.get(message.market)
        if book is None:
            ignored("not asked for")
            session.speaker.delete(subscription, market)
            return
        if not book.awaiting:
            self._compare(message, book)
        if book.sid != message.sid:
            session.dialogue.subscriptions.leave(market)
        subscription.markets[market] = None
        book.published.proof = subscription.proof
        proved_ns = session.answers.came(message, subscription, receipt.response_ns)
        if message.floored:
            metrics.SIZES_FLOORED.labels("kalshi").inc(message.floored)
        self._judge_age(book.published, proved_ns, receipt, now_ns)
        session.host.say(book.snapshot(message, receipt, proved_ns, now_ns))
        if book.why == VENUE_CROSSED:
            seen("crossed snapshot", "in either leg" if crossed_in_other_leg(message) else "in the leg asked for")
        if book.why:
            self._broken(market, book, receipt, slowly=True)
        else:
            session.speaker.speak(receipt.response_ns)

    def print(self, message: Print, receipt: Receipt) -> None:
        """A public trade. Those that were matched off the book are counted and published like any other."""
        book = self._session.books.get(message.market)
        if book is None:
            ignored("not asked for")
            return
        seen("trade taker", message.taker_field)
        if message.block:
            metrics.BLOCK_TRADES.labels("kalshi").inc()
        self._session.host.trade(
            Trade(
                venue="kalshi",
                market=message.market,
                group=book.published.group,
                trade_id=message.trade_id,
                price=message.price,
                fill_quantity=message.fill_quantity,
                taker_side=message.taker_side,
                exchange_ns=message.exchange_ns,
                api_response_ns=receipt.response_ns,
            )
        )

    def malformed(self, message: Malformed, subscription: Subscription | None, receipt: Receipt, now_ns: int) -> None:
        """A message could not be read, and a change is lost: whose it was, or anyone's on that sid, or anyone's."""
        session = self._session
        if message.kind in (LIFECYCLE, COMBO_LIFECYCLE):
            if message.market in session.books or not message.market:
                session.host.catalogue_changed(message.market)
            return
        ended = message.kind == "error"  # perhaps of the whole subscription
        if not ended and not message.kind.startswith("orderbook_"):
            return
        if message.market and not ended:
            lost = [message.market]
        else:
            lost = list(session.books if subscription is None else subscription.markets)
        session.distrust(lost, MALFORMED, receipt, now_ns)
        session.speaker.heal(receipt.response_ns)

    def _compare(self, message: Snapshot, book: MarketBook) -> None:
        """A trusted book comes whole: a difference is a change that was lost without a gap in the numbers."""
        equal = book.equals(message)
        metrics.BOOKS_COMPARED.labels("kalshi", "equal" if equal else "different").inc()
        if not equal:
            metrics.RECONCILE_MISMATCHES.labels("kalshi").inc()
            self._log.warning("a book was wrong", market=message.market, sid=message.sid)

    def _judge_age(self, published: PublishedBook, proved_ns: int, receipt: Receipt, now_ns: int) -> None:
        """A book that was long under way is doubted from the beginning; an old doubt is not about a new book."""
        late = receipt.response_ns - proved_ns > LATE_NS
        if late and not published.doubted:
            self._session.host.say(published.doubt(OVERDUE, receipt, now_ns))
        elif not late and published.doubted and not published.trusted:
            self._session.host.say(published.trust(receipt, now_ns))

    def _broken(self, market: str, book: MarketBook, receipt: Receipt, *, slowly: bool) -> None:
        """A book cannot be right as it is: ask for it whole, and for its price grid where that may be why."""
        session, off_grid = self._session, book.why == OFF_GRID
        session.speaker.missed([market], receipt.response_ns + SLOWLY_NS if slowly or off_grid else 0)
        session.speaker.speak(receipt.response_ns)
        if off_grid:
            session.host.catalogue_changed(market)


def ignored(reason: str) -> None:
    """Count a message that changes nothing."""
    metrics.FRAMES_IGNORED.labels("kalshi", reason).inc()
