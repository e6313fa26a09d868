"""From a ladder to Book records: epochs, sequences, states, stamps and proofs. Pure: every time is passed in."""

from dataclasses import dataclass

import msgspec

from producers.ladder import Ladder, Packed
from schemas.records import Book, BookState, Venue
from schemas.trail import StrictClock


@dataclass(frozen=True, slots=True)
class Receipt:
    """One raw record: where it stands on `raw.<venue>` and when it came.

    For a stream both times are the receive time of the frame; for REST they are those of request and answer.
    """

    connection: str
    frame: int
    call_start_ns: int
    response_ns: int


@dataclass(slots=True)
class Proof:
    """The last moment for which the venue proved that everything sharing this proof was current."""

    ns: int = 0

    def renew(self, ns: int) -> None:
        """Take a newer moment; an older one changes nothing."""
        self.ns = max(self.ns, ns)


class Clocks:
    """What must never repeat or go back, whatever the wall clock does: epochs, and each market's stamps."""

    def __init__(self) -> None:
        self._floor_ns = 0
        self._epochs = StrictClock()
        self._stamps = StrictClock()

    def begin_after(self, ns: int) -> None:
        """Give nothing that is not above `ns`, the newest that was given before this process."""
        self._floor_ns = max(self._floor_ns, ns)

    def epoch(self, now_ns: int) -> int:
        """A new epoch: now, or just above the last one given for any market."""
        return self._epochs.stamp("", max(now_ns, self._floor_ns + 1))

    def stamp(self, market: str, now_ns: int) -> int:
        """A stamp for a market's next book: now, or just above its last one."""
        return self._stamps.stamp(market, max(now_ns, self._floor_ns + 1))


class PublishedBook:
    """What has been said about one market, and what is to be said next.

    A Book is live when the ladder is the venue's, its proof is not overdue, and the venue trades the market. Else its
    state is, the gravest first: closed or halted (the venue does not trade it), recovering (the ladder is not to be
    trusted until it comes whole), stale (the proof is overdue). A ladder that is the venue's is kept current in every
    state. An epoch begins whenever a book becomes live; the sequence starts at 1 in it and rises only with the visible
    ladder or the state. Nothing is said before the first trusted ladder.
    """

    def __init__(self, venue: Venue, market: str, group: str, depth: int, clocks: Clocks) -> None:
        self.market = market
        self.group = group
        self.record: Book | None = None
        self.proof = Proof()
        self.trusted = False
        self._distrust = ""
        self._doubt = ""
        self._hold: tuple[BookState, str] | None = None
        self._own_proof = Proof()
        self._venue: Venue = venue
        self._depth = depth
        self._clocks = clocks

    @property
    def live(self) -> bool:
        """True while the last word was a live ladder."""
        return self.record is not None and self.record.state == "live"

    @property
    def doubted(self) -> bool:
        """True while the proof is overdue."""
        return bool(self._doubt)

    @property
    def held(self) -> tuple[BookState, str] | None:
        """State and reason while the venue does not trade the market."""
        return self._hold

    @property
    def confirmed_ns(self) -> int:
        """The newest proof that the ladder is the venue's."""
        return max(self._own_proof.ns, self.proof.ns)

    def confirm(self, ns: int) -> None:
        """The venue proved this book as of `ns`."""
        self._own_proof.renew(ns)

    def show(
        self, ladder: Ladder, receipt: Receipt, exchange_ns: int, now_ns: int, *, proved_ns: int | None = None
    ) -> Book | None:
        """The ladder is the venue's as of the receipt; returns the Book, None when nothing visible changed.

        A stream may be late, and then its receipt proves less: `proved_ns` is what it does prove. A doubt then stays
        until `trust`.
        """
        if proved_ns is None:
            self._doubt = ""
        self.confirm(receipt.call_start_ns if proved_ns is None else proved_ns)
        self.trusted, self._distrust = True, ""
        return self._say(ladder.pack(self._depth), receipt, exchange_ns, now_ns)

    def matches(self, ladder: Ladder) -> bool:
        """True when the ladder's visible part is the one last published."""
        last = self.record
        return last is not None and (last.bid_count, last.ask_count, last.ladder) == ladder.pack(self._depth)

    def distrust(self, reason: str, receipt: Receipt, now_ns: int) -> Book | None:
        """The ladder is not to be trusted until the next `show`; returns the Book, None when that is already said."""
        self.trusted, self._distrust = False, reason
        return self._say_state(receipt, now_ns)

    def doubt(self, reason: str, receipt: Receipt, now_ns: int) -> Book | None:
        """The proof is overdue, until `trust` or the next `show` of what is current."""
        self._doubt = reason
        return self._say_state(receipt, now_ns)

    def trust(self, receipt: Receipt, now_ns: int) -> Book | None:
        """The proof came after all."""
        self._doubt = ""
        return self._say_state(receipt, now_ns)

    def hold(self, state: BookState, reason: str, receipt: Receipt, now_ns: int) -> Book | None:
        """The venue does not trade the market (`halted`, `closed`), until `release`."""
        self._hold = (state, reason)
        return self._say_state(receipt, now_ns)

    def release(self, receipt: Receipt, now_ns: int) -> Book | None:
        """The venue trades the market again."""
        self._hold = None
        return self._say_state(receipt, now_ns)

    def move(self, group: str, receipt: Receipt, now_ns: int) -> list[Book]:
        """The market belongs to another group: the farewell for the old partition, then the book for the new one."""
        last, self.group = self.record, group
        if last is None or last.group == group:
            return []
        farewell = self._follow_up(last, "moved", f"moved to group {group}", last.group, receipt, now_ns)
        return [farewell, self._follow_up(farewell, *self._state(), group, receipt, now_ns)]

    def repeat(self) -> Book | None:
        """The last word again with the newest proof; None before the first word."""
        if self.record is None:
            return None
        return msgspec.structs.replace(self.record, republished=True, confirmed_ns=self.confirmed_ns)

    def _state(self) -> tuple[BookState, str]:
        if self._hold is not None:
            return self._hold
        if not self.trusted:
            return "recovering", self._distrust
        return ("stale", self._doubt) if self._doubt else ("live", "")

    def _say(self, packed: Packed, receipt: Receipt, exchange_ns: int, now_ns: int) -> Book | None:
        last, (state, reason) = self.record, self._state()
        if last is None or (state == "live" and last.state != "live"):
            epoch, sequence = self._clocks.epoch(now_ns), 1
        elif (last.bid_count, last.ask_count, last.ladder, last.state, last.reason) == (*packed, state, reason):
            return None
        else:
            epoch, sequence = last.epoch, last.sequence + 1
        self.record = Book(
            venue=self._venue,
            market=self.market,
            group=self.group,
            epoch=epoch,
            sequence=sequence,
            state=state,
            reason=reason,
            republished=False,
            connection=receipt.connection,
            frame=receipt.frame,
            exchange_ns=exchange_ns,
            api_call_start_ns=receipt.call_start_ns,
            api_response_ns=receipt.response_ns,
            processing_complete_ns=self._clocks.stamp(self.market, now_ns),
            confirmed_ns=self.confirmed_ns,
            bid_count=packed.bid_count,
            ask_count=packed.ask_count,
            ladder=packed.ladder,
        )
        return self.record

    def _say_state(self, receipt: Receipt, now_ns: int) -> Book | None:
        last, (state, reason) = self.record, self._state()
        if last is None or (last.state, last.reason) == (state, reason):
            return None
        epoch = self._clocks.epoch(now_ns) if state == "live" else 0
        return self._follow_up(last, state, reason, self.group, receipt, now_ns, epoch=epoch)

    def _follow_up(
        self, last: Book, state: BookState, reason: str, group: str, receipt: Receipt, now_ns: int, *, epoch: int = 0
    ) -> Book:
        """The last ladder in another state or partition; `epoch` begins a new one."""
        self.record = msgspec.structs.replace(
            last,
            epoch=epoch or last.epoch,
            sequence=1 if epoch else last.sequence + 1,
            state=state,
            reason=reason,
            group=group,
            connection=receipt.connection,
            frame=receipt.frame,
            api_call_start_ns=receipt.call_start_ns,
            api_response_ns=receipt.response_ns,
            processing_complete_ns=self._clocks.stamp(self.market, now_ns),
            confirmed_ns=self.confirmed_ns,
        )
        return self.record
