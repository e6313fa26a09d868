"""The levels of one market, put together from whole books and changes by the venue's stamps.

Changes give absolute sizes, so their order matters only level by level: the newest stamp wins, and of equal stamps what
came last. What is older than the newest whole book, or than the newest state that a hash proved, is in it already.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from producers.ladder import Ladder, Packed, SideName
from producers.polymarket.messages import Change, PriceChange, TokenBook, WireLevel
from producers.polymarket.texts import Texts, mirrored_text
from schemas.units import ONE

EVERYTHING: Final = 20_000
"""More levels than a side can have."""

OPPOSITE: Final[dict[SideName, SideName]] = {"bid": "ask", "ask": "bid"}


class Put(NamedTuple):
    """The newest change of a level."""

    exchange_ns: int
    size: int
    text: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole book in YES terms."""

    bids: tuple[WireLevel, ...]
    asks: tuple[WireLevel, ...]
    exchange_ns: int


def whole_yes(book: TokenBook, yes: str) -> Whole:
    """A token's book in YES terms."""
    if book.token == yes:
        return Whole(book.bids, book.asks, book.exchange_ns)
    return Whole(_mirrored_side(book.asks), _mirrored_side(book.bids), book.exchange_ns)


def changes_yes(message: PriceChange, yes: str, no: str) -> list[Change]:
    """A message's changes in YES terms.

    Usually both legs are told of every change, and the YES legs are all of it. Where there are fewer of them than NO
    legs, these are taken as well: sizes are absolute, twice is once.
    """
    ours: list[Change] = []
    theirs: list[Change] = []
    for change in message.changes:
        if change.token == yes:
            ours.append(change)
        elif change.token == no:
            theirs.append(change)
    return ours if len(ours) >= len(theirs) else ours + [_mirrored(change) for change in theirs]


def _mirrored(change: Change) -> Change:
    text = mirrored_text(change.price, change.text) if change.text else ""
    return Change(change.token, OPPOSITE[change.side], ONE - change.price, change.size, text)


def _mirrored_side(levels: Iterable[WireLevel]) -> tuple[WireLevel, ...]:
    return tuple(
        WireLevel(ONE - price, size, mirrored_text(price, text) if text else "") for price, size, text in levels
    )


class Content:
    """The YES ladder and its texts. `exchange_ns` is the stamp up to which everything is in them."""

    __slots__ = ("_since", "exchange_ns", "ladder", "texts", "whole")

    def __init__(self) -> None:
        self.ladder = Ladder()
        self.texts = Texts()
        self.whole = False
        self.exchange_ns = 0
        self._since: dict[tuple[SideName, int], Put] = {}

    def change(self, changes: Iterable[Change], exchange_ns: int) -> None:
        """Take in the changes of one message."""
        since = self._since
        for _, side, price, size, text in changes:
            known = since.get((side, price))
            if known is None or known.exchange_ns <= exchange_ns:
                since[side, price] = Put(exchange_ns, size, text)
                self._put(side, price, size, text)

    def replace(self, book: Whole, *, equal: bool = False) -> None:
        """Start from a whole book; changes with a newer stamp stay on it, with `equal` also those of the same one."""
        self.ladder.replace(_sizes(book.bids), _sizes(book.asks))
        self.texts.bids.replace(book.bids)
        self.texts.asks.replace(book.asks)
        least_ns = book.exchange_ns if equal else book.exchange_ns + 1
        self._since = {level: put for level, put in self._since.items() if put.exchange_ns >= least_ns}
        for (side, price), put in self._since.items():
            self._put(side, price, put.size, put.text)
        self.exchange_ns = book.exchange_ns
        self.whole = True

    def forget_changes(self) -> None:
        """The next whole book stands alone: the stamps of the changes since the last mean nothing any more."""
        self._since = {}
        self.exchange_ns = 0

    def with_changes(self, book: Whole, *, equal: bool) -> "Content":
        """What `replace` would come to."""
        merged = Content()
        merged._since = dict(self._since)
        merged.replace(book, equal=equal)
        return merged

    def settle(self, exchange_ns: int) -> None:
        """Everything up to this stamp is proved to be in the levels."""
        self.exchange_ns = exchange_ns
        self._since.clear()

    def keep_to_grid(self, tick: int) -> None:
        """Drop the levels that are not on a price grid."""
        sides: tuple[SideName, SideName] = ("bid", "ask")
        for side in sides:
            texts = self.texts.bids if side == "bid" else self.texts.asks
            for price in texts.prices():
                if price % tick:
                    self._put(side, price, 0, "")

    def packed(self) -> Packed:
        """All levels; equal when the ladders are equal."""
        return self.ladder.pack(EVERYTHING)

    def _put(self, side: SideName, price: int, size: int, text: str) -> None:
        (self.texts.bids if side == "bid" else self.texts.asks).put(price, text)
        self.ladder.put(side, price, size)


def _sizes(levels: Iterable[WireLevel]) -> list[tuple[int, int]]:
    return [(price, size) for price, size, _ in levels]
