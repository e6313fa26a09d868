"""Polymarket's books: both tokens' messages to one YES ladder, checked against REST. Pure: times are passed in.

The NO book is the mirror of the YES book: a NO bid at p is a YES ask at 1 - p. A message's YES part is used where it
has one, else its NO part mirrored.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final

from producers.books import PublishedBook, Receipt
from producers.ladder import Ladder
from producers.polymarket.wire import Change, Message, PriceChange, TickChange, TokenBook
from schemas.records import Book
from schemas.units import ONE, UnitError, format_price

TICK_CHANGE: Final = "tick change"
OFF_GRID: Final = "off-grid price"
CROSSED: Final = "crossed"
MISMATCH: Final = "differs from the venue's answer"

FIRST_BOOK_NS: Final = 5_000_000_000
"""A market whose first book has not come by then is asked for by REST."""

BUFFERED_CHANGES: Final = 10_000


class OffGrid(UnitError):
    """A level's price is not on the market's grid."""


class Verdict(Enum):
    """What a REST book said about ours."""

    CONFIRMED = "confirmed"
    TAKEN = "taken"
    DIFFERS = "differs"
    MISMATCH = "mismatch"
    NOTHING = "nothing"


class MarketBook:
    """One market's YES ladder.

    Offline until subscribed; then `awaiting` a whole book, from the stream or from REST; then live. `urgent` asks for
    a REST book at once.
    """

    def __init__(self, published: PublishedBook, yes: str, no: str, tick: int) -> None:
        self.published = published
        self.yes = yes
        self.no = no
        self.tick = tick
        self.offline = True
        self.awaiting = True
        self.urgent = False
        self._subscribed_ns = 0
        self._ladder = Ladder()
        self._exchange_ns = 0
        self._buffer: list[PriceChange] | None = None
        self._differed_at = -1

    @property
    def version(self) -> int:
        """Rises with every change of the ladder."""
        return self._ladder.version

    def subscribed(self, now_ns: int) -> None:
        """The stream will carry this market from now on."""
        self.offline = False
        self._subscribed_ns = now_ns

    def wants_rest(self, now_ns: int) -> bool:
        """True when a REST book would confirm or heal this book."""
        if self.offline:
            return False
        return not self.awaiting or self.published.record is not None or now_ns - self._subscribed_ns >= FIRST_BOOK_NS

    def apply(self, messages: Sequence[Message], receipt: Receipt, now_ns: int) -> Book | None:
        """Apply one frame's messages about this market, as one step.

        Raises OffGrid with nothing published; the caller then interrupts the book.
        """
        whole = {message.token for message in messages if isinstance(message, TokenBook)}
        said: Book | None = None
        for message in messages:
            match message:
                case TokenBook() if message.token == self.yes or self.yes not in whole:
                    self._take(message)
                case PriceChange():
                    self._change(message)
                case TickChange() if message.tick != self.tick:
                    self.tick = message.tick
                    said = self.interrupt(TICK_CHANGE, now_ns)
                    self.urgent = True
                case _:
                    pass
        return said if self.awaiting else self._show(receipt, now_ns)

    def disconnect(self) -> None:
        """The stream is gone; only a new subscription can bring the book back."""
        self.offline = True

    def interrupt(self, reason: str, now_ns: int) -> Book | None:
        """The book cannot be trusted until a whole one comes."""
        self.awaiting = True
        self.urgent = False
        self._buffer = None
        return self.published.interrupt("recovering", reason, now_ns)

    def ask(self) -> int:
        """A REST book is being asked for; returns what `answer` needs to know of this moment."""
        self.urgent = False
        if self.awaiting:
            self._buffer = []
        return self.version

    def answer(self, message: TokenBook, asked: int, receipt: Receipt, now_ns: int) -> tuple[Verdict, list[Book]]:
        """Judge the REST book that was asked for at version `asked`, and say what follows."""
        if self.offline or message.exchange_ns < self._exchange_ns:
            return Verdict.NOTHING, []
        if message.tick:
            self.tick = message.tick
        if self.awaiting:
            return self._heal(message, receipt, now_ns)
        if self.version != asked:
            return Verdict.NOTHING, []
        theirs = Ladder()
        theirs.replace(*self._yes_terms(message))
        if self.published.matches(theirs):
            self.published.confirm(receipt.call_start_ns)
            self._differed_at = -1
            return Verdict.CONFIRMED, []
        if self._differed_at != self.version:
            self._differed_at = self.version
            return Verdict.DIFFERS, []
        said = self.interrupt(MISMATCH, now_ns)
        self._take(message)
        return Verdict.MISMATCH, [book for book in (said, self._show(receipt, now_ns)) if book is not None]

    def _heal(self, message: TokenBook, receipt: Receipt, now_ns: int) -> tuple[Verdict, list[Book]]:
        """Start again from a REST book and the changes that came since it was asked for."""
        later = self._buffer
        if later is None:
            return Verdict.NOTHING, []  # the connection was lost, or too much came, while the answer was under way
        self._take(message)
        for change in later:
            if change.exchange_ns >= message.exchange_ns:
                self._put(change)
        said = self._show(receipt, now_ns)
        return Verdict.TAKEN, [] if said is None else [said]

    def _take(self, message: TokenBook) -> None:
        """Start again from a whole book; one of the NO token that is older than what we hold says nothing."""
        if message.token != self.yes and not self.awaiting and message.exchange_ns < self._exchange_ns:
            return
        self._ladder.replace(*self._yes_terms(message))
        if message.tick:
            self.tick = message.tick
        self._exchange_ns = message.exchange_ns
        self.awaiting = False
        self.urgent = False
        self._buffer = None

    def _change(self, message: PriceChange) -> None:
        if not self.awaiting:
            self._put(message)
        elif self._buffer is not None:
            self._buffer.append(message)
            if len(self._buffer) > BUFFERED_CHANGES:
                self._buffer = None

    def _put(self, message: PriceChange) -> None:
        for change in self._yes_changes(message):
            # Removals of levels that an earlier grid left behind are no error.
            if change.size and change.price % self.tick:
                raise OffGrid(f"price {format_price(change.price)} is not a multiple of {format_price(self.tick)}")
            self._ladder.put(change.side, change.price, change.size)
        self._exchange_ns = max(self._exchange_ns, message.exchange_ns)

    def _yes_changes(self, message: PriceChange) -> list[Change]:
        ours = [change for change in message.changes if change.token == self.yes]
        return ours or [_mirrored(change) for change in message.changes if change.token == self.no]

    def _yes_terms(self, message: TokenBook) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        if message.token == self.yes:
            return list(message.bids), list(message.asks)
        mirrored = [[(ONE - price, size) for price, size in side] for side in (message.asks, message.bids)]
        return mirrored[0], mirrored[1]

    def _show(self, receipt: Receipt, now_ns: int) -> Book | None:
        if self._ladder.crossed():
            said = self.interrupt(CROSSED, now_ns)
            self.urgent = True
            return said
        return self.published.show(self._ladder, receipt, self._exchange_ns, now_ns)


def _mirrored(change: Change) -> Change:
    return Change(change.token, "ask" if change.side == "bid" else "bid", ONE - change.price, change.size)
