"""What happens to Kalshi's markets besides trading, as far as the websocket tells it ("Market Lifecycle").

A market opens and closes by the clock without a word; the feed looks after that. A pause of one market, its return and
its end are told, and hold its book or release it at once. Whatever else changes is asked of the catalogue.
"""

from typing import TYPE_CHECKING, Final, Literal

from producers.books import Receipt
from producers.kalshi.book import NEW_GRID, grid_of, within
from producers.kalshi.messages import EventFee, Lifecycle
from runtime import metrics
from schemas.records import Market

if TYPE_CHECKING:
    from producers.kalshi.session import KalshiSession

PAUSED: Final = "paused by the venue"
DETERMINED: Final = "determined by the venue"
SETTLED: Final = "settled by the venue"
REACTIVATED: Final = "reactivated"
"""Every resting order was cancelled ("Market Lifecycle")."""


class Lives:
    """The lives of one session's markets."""

    def __init__(self, session: "KalshiSession") -> None:
        self._session = session

    def happened(self, message: Lifecycle, receipt: Receipt, now_ns: int) -> None:
        """One event of one market; of markets that are not followed only the new ones are of interest."""
        session, market = self._session, message.market
        if market not in session.books:
            if message.event_type == "created":
                session.host.catalogue_changed(market)
            else:
                metrics.FRAMES_IGNORED.labels("kalshi", "not followed").inc()
            return
        match message.event_type:
            case "deactivated":
                self._hold(market, "halted", PAUSED, receipt, now_ns)
            case "determined":
                self._hold(market, "closed", DETERMINED, receipt, now_ns)
            case "settled":
                self._hold(market, "closed", SETTLED, receipt, now_ns)
            case "activated":
                self._reactivated(market, receipt, now_ns)
            case "price_level_structure_updated":
                self._restructured(message, receipt, now_ns)
            case "other":
                metrics.FRAMES_UNKNOWN.labels("kalshi", "lifecycle event").inc()
        session.host.catalogue_changed(market)

    def fee_changed(self, message: EventFee) -> None:
        """An event's fee override changed: its markets' fees did."""
        if any(market.event == message.event for market in self._session.markets.values()):
            self._session.host.catalogue_changed(message.event)

    def described(self, market: Market, receipt: Receipt, now_ns: int) -> None:
        """The catalogue tells a market's price grid. It lags behind a finer one that the stream told."""
        session, book = self._session, self._session.books[market.market]
        grid = grid_of(market.ticks)
        if book.grid_told and grid != book.grid and within(grid, book.grid):
            return
        changed, book.grid, book.grid_told = grid != book.grid, grid, False
        if not changed:
            return
        session.distrust([market.market], NEW_GRID, receipt, now_ns)

    def _hold(
        self, market: str, state: Literal["halted", "closed"], reason: str, receipt: Receipt, now_ns: int
    ) -> None:
        published = self._session.books[market].published
        if state == "halted" and published.held is not None:
            return  # it is closed, or the whole venue is paused: the catalogue tells when that is over
        self._session.host.say(published.hold(state, reason, receipt, now_ns))

    def _reactivated(self, market: str, receipt: Receipt, now_ns: int) -> None:
        """The market trades again and its orders are gone. Only its own pause is over by that: whether a market that
        was closed is open now, or the whole venue trades, is left to the catalogue, which may know newer things.
        """
        session, published = self._session, self._session.books[market].published
        session.distrust([market], REACTIVATED, receipt, now_ns)
        if published.held == ("halted", PAUSED):
            session.host.say(published.release(receipt, now_ns))

    def _restructured(self, message: Lifecycle, receipt: Receipt, now_ns: int) -> None:
        """The price grid changed; resting orders stay."""
        book = self._session.books[message.market]
        if message.ticks:
            book.grid, book.grid_told = grid_of(message.ticks), True
        self._session.distrust([message.market], NEW_GRID, receipt, now_ns)
