"""Kalshi's part of a tape: frames of many connections, numbered as those of one, and whole books where none was sent.

Each recorded subscription has a numbering of its own on the tape, so that connections do not mix, and where the tape
is put into another order than that of the recording, one for each shard of it: within a shard the order is kept.
Replies and repeated frames are left out and the others numbered again; a gap in the recorded numbers stays a gap. What
a frame says is verbatim.
"""

from collections import Counter
from collections.abc import Callable, Container
from functools import partial
from typing import Any, Final

import msgspec

from infra.rebuild import Entry
from infra.record import frames as record_frames
from infra.record.frames import Frame, RecordError
from infra.simulator.exchange import contracts, dollars
from infra.simulator.kalshi.channels import BOOK, CHANNEL_OF, ENVELOPE, FIELDS, REPLIES, Envelope
from producers.kalshi.book import MarketBook
from producers.kalshi.sequence import SequenceCheck, Step
from producers.kalshi.session import KalshiSession
from producers.kalshi.wire import TERMINAL_ERRORS, UNKNOWN_SID
from producers.session import Session
from schemas.records import Book
from schemas.units import ONE

SNAPSHOT: Final = "orderbook_snapshot"


class _About(msgspec.Struct):
    """By what a frame is chosen, and the end of a subscription known."""

    market_ticker: str = ""
    sid: int = 0
    code: int = 0


Place = tuple[str, int]
"""A recorded subscription: connection and sid."""


class KalshiFrames:
    """The frames of `raw.kalshi`. `yes_price` says in which leg the NO side's prices are; None before that is known."""

    def __init__(self, markets: Container[str], shard: Callable[[str], int]) -> None:
        """`shard` gives the shard of a market."""
        self.left_out: Counter[str] = Counter()
        self.yes_price: bool | None = None
        self._markets = markets
        self._shard = shard
        self._checks: dict[Place, SequenceCheck] = {}
        self._subscriptions: dict[Place, dict[int, int]] = {}
        self._given = 0
        self._last: dict[int, int] = {}
        self._torn: set[int] = set()

    def read(self, entry: Entry, session: Session[Any]) -> Frame | None:
        """The frame of an entry; None when it is left out. Raises RecordError."""
        try:
            envelope = ENVELOPE.decode(entry.data)
            about = msgspec.json.decode(envelope.msg, type=_About)
        except msgspec.MsgspecError:
            return Frame((), False, partial(_verbatim, entry))  # whose it was is not known, on the tape neither
        step = self._judge((entry.connection, envelope.sid or about.sid), envelope, about.code)
        if envelope.type in REPLIES:
            reason = record_frames.REPLIES
        elif step is Step.DUPLICATE:
            reason = record_frames.REPEATED
        elif about.market_ticker not in self._markets:
            reason = record_frames.OTHERS
        else:
            whole = envelope.type == SNAPSHOT
            if CHANNEL_OF.get(envelope.type) == BOOK:
                self.meet(session)
            return Frame((about.market_ticker,), whole, partial(self._numbered, entry, envelope, about.market_ticker))
        self.left_out[reason] += 1
        return None

    def whole(self, book: Book, session: Session[Any], taped: Session[Any]) -> str:  # noqa: ARG002 - the general form
        """A snapshot on the subscription that goes on with the book; that of a polled one stands alone."""
        tracked = session.books[book.market]
        assert isinstance(tracked, MarketBook)
        bids, asks = book.sides()
        no = [(price if self.yes_price else ONE - price, size) for price, size in asks]
        message: dict[str, Any] = {"market_ticker": book.market}
        for side, levels in (("yes_dollars_fp", bids), ("no_dollars_fp", no)):
            if levels:
                message[side] = [(dollars(price), contracts(size)) for price, size in reversed(levels)]
        subscription = self._subscription((book.connection, tracked.sid), book.market)
        frame = {"type": SNAPSHOT, "sid": subscription, "seq": self._next(subscription, 1), "msg": message}
        return msgspec.json.encode(frame).decode()

    def meet(self, session: Session[Any]) -> None:
        """Learn in which leg a connection was told the NO side's prices; raises RecordError when not as another."""
        if not isinstance(session, KalshiSession):
            return
        told = session.dialogue.yes_price
        if self.yes_price not in (None, told):
            raise RecordError("raw.kalshi: prices of the NO side come in both legs, and a tape has one form only")
        self.yes_price = told

    def _numbered(self, entry: Entry, envelope: Envelope, market: str) -> str:
        """A frame with the next number of its subscription on the tape; word for word where that is the recorded one.

        The number of the command that a snapshot answers is left away: whoever plays the tape has other commands.
        """
        if envelope.sid is None:
            return _verbatim(entry)
        place: dict[str, int] = {"sid": self._subscription((entry.connection, envelope.sid), market)}
        if envelope.seq is not None:
            place["seq"] = self._next(place["sid"], envelope.seq)
        fields: dict[str, Any] = FIELDS.decode(entry.data)
        named = fields.pop("id", None)
        if named is None and place == {"sid": envelope.sid, "seq": envelope.seq}:
            return _verbatim(entry)
        return msgspec.json.encode(fields | place).decode()

    def _judge(self, place: Place, envelope: Envelope, code: int) -> Step:
        """What a recorded number says; a gap shows at the next frame of each shard."""
        kind, seq, step = envelope.type, envelope.seq, Step.NEXT
        if not place[1]:
            return step
        check = self._checks.setdefault(place, SequenceCheck())
        if kind == "subscribed":
            check.reopen()
        if seq is not None:
            step = check.take_reply(seq) if kind in REPLIES else check.take(seq)
        if step is Step.GAP:
            self._torn.update(self._subscriptions.get(place, {}).values())
        if kind == "unsubscribed" or (kind == "error" and (code in TERMINAL_ERRORS or code == UNKNOWN_SID)):
            del self._checks[place]
        return step

    def _subscription(self, place: Place, market: str) -> int:
        """The tape's number of a recorded subscription in a market's shard."""
        shards, shard = self._subscriptions.setdefault(place, {}), self._shard(market)
        if shard not in shards:
            self._given += 1
            shards[shard] = self._given
        return shards[shard]

    def _next(self, subscription: int, first: int) -> int:
        """The next number of a subscription, after a gap where one was recorded."""
        last, torn = self._last.get(subscription), subscription in self._torn
        self._torn.discard(subscription)
        self._last[subscription] = number = first if last is None else last + 1 + torn
        return number


def _verbatim(entry: Entry) -> str:
    return entry.data.decode(errors="replace")
