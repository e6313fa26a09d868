"""From raw records to a tape: one venue's connections as one stream of frames that says the same books.

Two sessions follow the recording: one is given what was recorded, as `dutchbook rebuild` does, the other only the
frames that go onto the tape, as whoever plays it will be. Where the first knows a book that the second has not come
to, a whole book is put between the frames: at the beginning of a stretch that begins in the middle of a connection,
after a book was healed by a REST answer, and for connections that only poll. So a tape is checked while it is made.

What has no frame is not on a tape. While a recorded book was not to be trusted, or its market was held by the clock,
the tape goes on with its last ladder; `Recorder.untold` counts these by state and reason.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

from infra.rebuild import Entry, Rebuilder
from infra.record import frames as record_frames
from infra.record.frames import Frame, Frames
from infra.record.kalshi import KalshiFrames
from infra.record.polymarket import PolymarketFrames
from infra.record.rest import Bodies, recorded_body
from producers.kalshi.polling import KalshiPolling
from producers.session import Session
from producers.transcript import Follow, Followed, Opened, encode_mark
from schemas.records import Book, Venue

EVERYTHING: Final = 20_000
"""More levels than a side can have: a tape carries whole books, whatever depth is published."""

QUIET_NS: Final = 1_000_000_000
"""Frames are a tape's only proofs: one that changes nothing stands on it where nothing else did for so long."""

CONNECTION: Final = "tape-0"


TimeOf = Callable[[Entry, Collection[str]], int]
"""The time that stands beside a frame: of an entry and its markets, all of them where it names none."""


def received_ns(entry: Entry, markets: Collection[str]) -> int:  # noqa: ARG001 - the general form
    """When the producer received an entry."""
    return entry.received_ns


def one_shard(market: str) -> int:  # noqa: ARG001 - the general form
    """Everything stays in the order of the recording."""
    return 0


class TapeLine(NamedTuple):
    """A frame of a tape and its time in ns."""

    t: int
    frame: str


class _Sessions(Rebuilder):
    """A rebuilder that shows its sessions, and knows a connection without a key by what it asks."""

    def session(self, connection: str) -> Session[Any] | None:
        """A connection's session; None before it is known which one it needs."""
        return self._sessions.get(connection)

    def _assume(self, entry: Entry) -> list[Book]:
        """Of a connection whose beginning is missing: of Kalshi's only those without a key ask by REST."""
        if self._venue != "kalshi" or entry.kind not in ("asked", "rest"):
            return super()._assume(entry)
        self.incomplete.add(entry.connection)
        session = self._open(entry.connection, KalshiPolling.way)
        for mark in (Follow(self._assumed), Opened()):
            session.mark(entry.receipt, mark, entry.received_ns)
        return self._give(session, entry)


class Recorder:
    """Makes one venue's part of a tape.

    `followed` are the markets that go onto it. `time_of` gives the times of frames, which may change the order of the
    tape: then only within a `shard` of markets lines come in order of time. `use_yes_price` is how Kalshi's connections
    were asked for prices where the command that says so is not among the records. Entries come in order of time: `warm`
    takes those before the stretch, `take` those of it.

    `made` counts whole books that were put between the frames, `told` the frames about each market; `bodies` are REST
    bodies among the records, `unequal` the markets whose recorded books the tape does not come to.
    """

    def __init__(
        self,
        venue: Venue,
        followed: Iterable[Followed],
        *,
        time_of: TimeOf = received_ns,
        shard: Callable[[str], int] = one_shard,
        use_yes_price: bool = False,
    ) -> None:
        self.venue: Venue = venue
        self.entries = 0
        self.lines = 0
        self.made = 0
        self.first_ns = self.last_ns = 0
        self.told: Counter[str] = Counter()
        self.untold: Counter[str] = Counter()
        self.unequal: set[str] = set()
        self.bodies: Bodies = {}
        self._time_of = time_of
        self._followed = {one.market.market: one for one in followed}
        self._recorded = _Sessions(venue, EVERYTHING, self._followed.values(), use_yes_price=use_yes_price)
        self._taped: _Sessions | None = None
        self._frames: Frames = (
            KalshiFrames(self._followed, shard) if venue == "kalshi" else PolymarketFrames(self._followed)
        )
        self._truth: dict[str, Book] = {}
        self._shown: dict[str, Book] = {}
        self._line_ns = 0

    @property
    def use_yes_price(self) -> bool:
        """Whether the NO side's prices on the tape are in the YES leg."""
        return isinstance(self._frames, KalshiFrames) and bool(self._frames.yes_price)

    @property
    def incomplete(self) -> set[str]:
        """Connections whose beginning is not among the records."""
        return self._recorded.incomplete

    @property
    def left_out(self) -> Counter[str]:
        """Frames that are not on the tape, by reason."""
        return self._frames.left_out

    # Entries

    def warm(self, entry: Entry) -> None:
        """Take an entry of before the stretch; raises RebuildError."""
        for book in self._recorded.take(entry):
            self._believe(book)

    def take(self, entry: Entry) -> Iterator[TapeLine]:
        """The lines that follow from an entry of the stretch; raises RebuildError, RecordError."""
        if not self.entries:
            self.first_ns = entry.received_ns
            yield from self._mend(self._truth, entry)
        self.entries, self.last_ns = self.entries + 1, max(self.last_ns, entry.received_ns)
        broken = self._recorded.broken
        said = self._recorded.take(entry)
        overtaken = [book for book in said if not self._believe(book)]
        session = self._recorded.session(entry.connection)
        touched = {book.market: None for book in said}
        if session is not None and entry.kind == "ws":
            frame = self._frames.read(entry, session)
            reason = record_frames.OVERTAKEN if overtaken else ""
            reason = record_frames.DAMAGED if self._recorded.broken > broken else reason
            if frame is not None and self._wanted(frame, entry, reason, news=bool(said)):
                yield self._line(entry, frame.markets, frame.write(), touched)
        elif session is not None and entry.kind == "rest":
            self.bodies = recorded_body(self.venue, entry) | self.bodies
            yield from self._prove(session, entry) if not said else ()
        yield from self._mend(touched, entry)

    def _believe(self, book: Book) -> bool:
        """Take what a recorded session said for true; False when something newer has been said, as a consumer would."""
        if book.market not in self._followed:
            return True
        known = self._truth.get(book.market)
        if known is not None and (book.epoch, book.sequence) < (known.epoch, known.sequence):
            return False
        if self.entries and book.state != "live":
            self.untold[f"{book.state}: {book.reason}"] += 1
        self._truth[book.market] = book
        return True

    def _wanted(self, frame: Frame, entry: Entry, reason: str, *, news: bool) -> bool:
        """False for a frame that stays off the tape: for a reason, or as it says what is known."""
        if frame.whole and not news and all(map(self._in_step, frame.markets)) and not self._quiet(entry):
            reason = reason or record_frames.UNCHANGED
        if reason:
            self.left_out[reason] += 1
        return not reason

    # Whole books

    def _mend(self, markets: Iterable[str], entry: Entry) -> Iterator[TapeLine]:
        """Put a whole book onto the tape for each of these markets that is trusted and is not the tape's."""
        touched = dict.fromkeys(markets)
        while touched:
            market, _ = touched.popitem()
            truth = self._truth.get(market)
            if truth is None or self._in_step(market):
                self.unequal.discard(market)
                continue
            session = self._recorded.session(truth.connection)
            book = None if session is None else session.books.get(market)
            if session is None or book is None or not book.published.trusted or market in self.unequal:
                continue
            yield self._made(truth, session, entry, touched)
            if not self._in_step(market):
                self.unequal.add(market)

    def _prove(self, session: Session[Any], entry: Entry) -> Iterator[TapeLine]:
        """An answer that changed nothing proves books, which on a tape only a frame can."""
        if not self._quiet(entry):
            return
        for market, book in session.books.items():
            truth = self._truth.get(market)
            proved = book.published.confirmed_ns >= entry.receipt.call_start_ns
            if truth is not None and proved and self._in_step(market):
                yield self._made(truth, session, entry, {})
                return

    def _made(self, truth: Book, session: Session[Any], entry: Entry, touched: dict[str, None]) -> TapeLine:
        self._frames.meet(session)
        taped = self._tape(entry).session(CONNECTION)
        assert taped is not None
        self.made += 1
        return self._line(entry, (truth.market,), self._frames.whole(truth, session, taped), touched)

    # The tape

    def _line(self, entry: Entry, markets: tuple[str, ...], text: str, touched: dict[str, None]) -> TapeLine:
        """Put a frame onto the tape, and see of which markets it says something to whoever plays it."""
        played = Entry(CONNECTION, self.lines, entry.received_ns, "ws", text.encode())
        for book in self._tape(entry).take(played):
            self._shown[book.market] = book
            touched[book.market] = None
        self.told.update(markets)
        self.lines += 1
        self._line_ns = entry.received_ns
        return TapeLine(self._time_of(entry, markets or self._followed), text)

    def _tape(self, entry: Entry) -> _Sessions:
        """The sessions of whoever plays the tape, which begin with its first frame."""
        if self._taped is None:
            self._taped = _Sessions(self.venue, EVERYTHING, use_yes_price=self.use_yes_price)
            for mark in (Follow(tuple(self._followed.values())), Opened()):
                self._taped.take(Entry(CONNECTION, 0, entry.received_ns, "mark", encode_mark(mark)))
        return self._taped

    def _quiet(self, entry: Entry) -> bool:
        return entry.received_ns - self._line_ns >= QUIET_NS

    def _in_step(self, market: str) -> bool:
        """True when the tape shows the ladder that was recorded."""
        truth, shown = self._truth.get(market), self._shown.get(market)
        if truth is None or shown is None or shown.state == "recovering":
            return False
        return (truth.bid_count, truth.ask_count, truth.ladder) == (shown.bid_count, shown.ask_count, shown.ladder)
