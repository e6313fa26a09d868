"""Books whose newest hash was passed over under load: looked at as soon as there is time."""

from collections.abc import Mapping

from producers.polymarket.book import MarketBook
from producers.polymarket.checks import WINDOW_NS


class Overlooked:
    """One connection's, by market."""

    def __init__(self) -> None:
        self._markets: dict[str, None] = {}
        self._looked_at: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._markets)

    def note(self, book: MarketBook) -> None:
        """A frame about this book was taken in."""
        if book.skipped:
            self._markets[book.published.market] = None

    def take_due(self, books: Mapping[str, MarketBook], received_ns: int) -> list[MarketBook]:
        """The books to look at as of something that was received now."""
        due = []
        for market in list(self._markets):
            book = books.get(market)
            if book is None or not book.skipped:
                del self._markets[market]
            elif received_ns - book.checked_ns >= WINDOW_NS:
                del self._markets[market]
                due.append(book)
        return due

    def wrong(self, books: Mapping[str, MarketBook], now_ns: int) -> list[str]:
        """The markets whose levels do not have the newest hash, when nothing more is received. Changes no book."""
        found = []
        for market in self._markets:
            book = books.get(market)
            if book is None or not (book.skipped and book.sound) or now_ns - book.checked_ns < WINDOW_NS:
                continue
            if self._looked_at.get(market) != book.newest_ns:
                self._looked_at[market] = book.newest_ns
                if not book.still_fits():
                    found.append(market)
        return found
