"""One market's liquidity for paper orders: what its book displays, less what paper orders already took from it.

A venue's real book never learns of paper orders, so what they took is remembered here: per level, valid while the
level's displayed size stays as it was when they took it. Once the size changes or the level goes, it is forgotten,
because nothing tells how the venue's queue would have reacted to a real order. So a level that refills fills paper
orders again, and one that merely stands is never filled twice. A book that is not live displays nothing that could be
compared: levels and takes wait for the next live one.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from schemas.records import Book, Fill, Level, Outcome
from schemas.units import FILL_PER_QUANTITY, ONE

Side = Literal["bid", "ask"]
Place = tuple[Side, int]
"""Side and price of a level of the YES book."""

Version = tuple[int, int]
"""Epoch and sequence of a book."""

NO_VERSION: Version = (-1, -1)


class _Take(NamedTuple):
    """What was taken from a level, and its displayed size at the time (1e-2 contract)."""

    quantity: int
    displayed: int


class PaperLadder:
    """Books arrive in any order, repeated or not; the higher (epoch, sequence) wins."""

    __slots__ = ("_displayed", "_restored", "_taken", "book", "version")

    def __init__(self) -> None:
        self.book: Book | None = None
        self.version = NO_VERSION
        self._displayed: dict[Side, dict[int, int]] = {"bid": {}, "ask": {}}
        self._taken: dict[Place, _Take] = {}
        self._restored: dict[Version, dict[Place, int]] = {}

    def on_book(self, book: Book) -> None:
        """Take in a book; raises ValueError when its ladder is malformed."""
        version = (book.epoch, book.sequence)
        if version < self.version:
            return
        if version == self.version:
            if self.book is not None and book.confirmed_ns > self.book.confirmed_ns:
                self.book = book
            return
        bids, asks = book.sides()
        self.book, self.version = book, version
        if book.state == "live":
            self._displayed = {"bid": dict(bids), "ask": dict(asks)}
            self._taken = {place: take for place, take in self._taken.items() if self._shows(place) == take.displayed}
        self._count_restored()

    def restore(self, version: Version, outcome: Outcome, fills: Iterable[Fill]) -> None:
        """Take up what an earlier life bought from the book `version`, once that very book is in force.

        What was taken from a book that is older than the one in force is forgotten.
        """
        bought = self._restored.setdefault(version, {})
        for fill in fills:
            place = place_of(outcome, fill.price)
            bought[place] = bought.get(place, 0) - (-fill.fill_quantity // FILL_PER_QUANTITY)
        self._count_restored()

    def available(self, outcome: Outcome) -> list[Level]:
        """What may still be bought, best first, in the outcome's own prices."""
        side: Side = "ask" if outcome == "yes" else "bid"
        levels = []
        for price, displayed in self._displayed[side].items():
            left = displayed - self._already((side, price))
            if left > 0:
                levels.append((price if outcome == "yes" else ONE - price, left))
        return levels

    def take(self, outcome: Outcome, takes: Iterable[Level]) -> None:
        """Remember what an order bought of `available`."""
        for price, quantity in takes:
            place = place_of(outcome, price)
            self._taken[place] = _Take(self._already(place) + quantity, self._shows(place))

    def _shows(self, place: Place) -> int:
        return self._displayed[place[0]].get(place[1], 0)

    def _already(self, place: Place) -> int:
        take = self._taken.get(place)
        return 0 if take is None else take.quantity

    def _count_restored(self) -> None:
        if not self._restored:
            return
        for place, quantity in self._restored.get(self.version, {}).items():
            self._taken[place] = _Take(self._already(place) + quantity, self._shows(place))
        self._restored = {version: bought for version, bought in self._restored.items() if version > self.version}


def place_of(outcome: Outcome, price: int) -> Place:
    """The YES level that a purchase at `price` hits: buying NO at q hits the YES bid at 1 - q."""
    return ("ask", price) if outcome == "yes" else ("bid", ONE - price)
