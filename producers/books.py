"""From a ladder to Book records: epochs, sequences, states, stamps and proofs. Pure: every time is passed in."""

from dataclasses import dataclass

import msgspec

from producers.ladder import Ladder, Packed
from schemas.records import Book, BookState, Venue
from schemas.trail import StrictClock


@dataclass(frozen=True, slots=True)
class Receipt:
    """One raw frame or REST body: where it stands on `raw.<venue>` and when it came.

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

    An epoch begins with the first live ladder and after every interruption; the sequence starts at 1 in it and rises
    only with the visible ladder or the state. Nothing is said before the first live ladder.
    """

    def __init__(self, venue: Venue, market: str, group: str, depth: int, clocks: Clocks) -> None:
        self.market = market
        self.group = group
        self.record: Book | None = None
        self.proof = Proof()
        self._own_proof = Proof()
        self._venue: Venue = venue
        self._depth = depth
        self._clocks = clocks

    @property
    def live(self) -> bool:
        """True while the last word was a trusted ladder."""
        return self.record is not None and self.record.state == "live"

    @property
    def confirmed_ns(self) -> int:
        """The newest proof that the ladder is the venue's."""
        return max(self._own_proof.ns, self.proof.ns)

    def confirm(self, ns: int) -> None:
        """The venue proved this book as of `ns`."""
        self._own_proof.renew(ns)

    def show(self, ladder: Ladder, receipt: Receipt, exchange_ns: int, now_ns: int) -> Book | None:
        """The ladder is the venue's as of the receipt; returns the Book, None when nothing visible changed."""
        self.confirm(receipt.call_start_ns)
        packed = ladder.pack(self._depth)
        last = self.record
        if last is None or last.state != "live":
            epoch, sequence = self._clocks.epoch(now_ns), 1
        elif (last.bid_count, last.ask_count, last.ladder) == packed:
            return None
        else:
            epoch, sequence = last.epoch, last.sequence + 1
        return self._say(epoch, sequence, packed, receipt, exchange_ns, now_ns)

    def matches(self, ladder: Ladder) -> bool:
        """True when the ladder's visible part is the one last published."""
        last = self.record
        return last is not None and (last.bid_count, last.ask_count, last.ladder) == ladder.pack(self._depth)

    def interrupt(self, state: BookState, reason: str, now_ns: int) -> Book | None:
        """The ladder is no longer to be trusted; returns the Book to publish, None when that is already said."""
        last = self.record
        if last is None or (last.state, last.reason) == (state, reason):
            return None
        return self._follow_up(last, state, reason, self.group, now_ns)

    def move(self, group: str, now_ns: int) -> list[Book]:
        """The market belongs to another group: the farewell for the old partition, then the book for the new one."""
        last, self.group = self.record, group
        if last is None or last.group == group:
            return []
        farewell = self._follow_up(last, "moved", f"moved to group {group}", last.group, now_ns)
        return [farewell, self._follow_up(farewell, last.state, last.reason, group, now_ns)]

    def repeat(self) -> Book | None:
        """The last word again with the newest proof; None before the first word."""
        if self.record is None:
            return None
        return msgspec.structs.replace(self.record, republished=True, confirmed_ns=self.confirmed_ns)

    def _say(self, epoch: int, sequence: int, packed: Packed, receipt: Receipt, exchange_ns: int, now_ns: int) -> Book:
        self.record = Book(
            venue=self._venue,
            market=self.market,
            group=self.group,
            epoch=epoch,
            sequence=sequence,
            state="live",
            reason="",
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

    def _follow_up(self, last: Book, state: BookState, reason: str, group: str, now_ns: int) -> Book:
        self.record = msgspec.structs.replace(
            last,
            sequence=last.sequence + 1,
            state=state,
            reason=reason,
            group=group,
            api_call_start_ns=now_ns,
            api_response_ns=now_ns,
            processing_complete_ns=self._clocks.stamp(self.market, now_ns),
            confirmed_ns=self.confirmed_ns,
        )
        return self.record
