"""A tape on the Kalshi simulator: recorded frames to canonical books and, renumbered, to every subscription."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from infra.simulator.exchange import ONE_DOLLAR, complement, fixed
from infra.simulator.kalshi.channels import (
    BOOK,
    CHANNEL_OF,
    ENVELOPE,
    FIELDS,
    MESSAGE,
    REPLIES,
    Envelope,
    Message,
    Number,
    Subscribed,
)
from infra.simulator.kalshi.publisher import Subscription
from infra.simulator.tape import TapeFrame

if TYPE_CHECKING:
    from infra.simulator.kalshi.venue import KalshiVenue

# A tape sequence this far behind its predecessor is a new recorded connection, not a late frame.
REORDER_WINDOW = 64


@dataclass(slots=True)
class _TapeSequence:
    """The sequence numbers of one recorded sid, so that its gaps, repetitions and late frames survive playback."""

    last: int | None = None
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=REORDER_WINDOW))

    def step(self, seq: int | None) -> tuple[int, bool]:
        """(how far this frame is after its predecessor, whether it is seen for the first time)."""
        if seq is None:
            return 1, True
        if self.last is None or seq <= self.last - REORDER_WINDOW:
            step, fresh = 1, True
            self.recent.clear()
        else:
            step, fresh = seq - self.last, seq not in self.recent
        self.last = seq
        self.recent.append(seq)
        return step, fresh


class TapePlayback:
    """Delivers a tape's frames. ``use_yes_price`` says how the tape was recorded."""

    def __init__(self, venue: "KalshiVenue", *, use_yes_price: bool) -> None:
        self._venue = venue
        self._use_yes_price = use_yes_price
        self._sequences: dict[int | None, _TapeSequence] = {}

    def deliver(self, frame: TapeFrame) -> None:
        """Put a frame's effect into the canonical book and send it to every subscription it concerns."""
        try:
            envelope = ENVELOPE.decode(frame.text)
        except msgspec.MsgspecError:
            self._broadcast(frame.text)
            return
        if envelope.type == "subscribed":
            self._sequences.pop(_subscribed_sid(envelope.msg), None)
        step, fresh = self._sequences.setdefault(envelope.sid, _TapeSequence()).step(envelope.seq)
        if envelope.type in REPLIES:
            return
        channel = CHANNEL_OF.get(envelope.type)
        if channel is None:
            self._broadcast(frame.text)
            return
        watching: list[Subscription] = []
        try:
            message = MESSAGE.decode(envelope.msg)
            ticker = message.market_ticker
            watching = self._venue.publisher.board.watching(channel, ticker)
            if channel == BOOK:
                self._apply(envelope.type, message, fresh, watching)
        except (msgspec.MsgspecError, KeyError, ValueError):
            # Damaged inside: it belongs to a subscription and has a number there, like any other.
            self._send(frame.text, envelope, step, watching or self._subscribed_to(channel), (), damaged=True)
            return
        if not self._venue.publisher.frozen(ticker):
            self._send(frame.text, envelope, step, watching, (ticker,) if ticker else ())

    def _apply(self, kind: str, message: Message, fresh: bool, watching: Sequence[Subscription]) -> None:
        """Only the first of repeated deltas counts; a market that begins with a delta begins from an empty book."""
        book = self._venue.books[message.market_ticker]
        if kind == "orderbook_snapshot":
            book.replace(self._levels("yes", message.yes_dollars_fp), self._levels("no", message.no_dollars_fp))
        else:
            price, delta = fixed(message.price_dollars, 4), fixed(message.delta_fp, 2)
            price = self._no_leg(message.side, price)
            book.side(message.side)
            if not book.started:
                for subscription in watching:
                    self._venue.publisher.snapshot(subscription, book.ticker, first=True)
            if fresh:
                book.change(message.side, price, delta)
        book.market_id = message.market_id or book.market_id

    def _levels(self, side: str, levels: list[tuple[Number, Number]]) -> list[tuple[int, int]]:
        return [(self._no_leg(side, fixed(price, 4)), fixed(size, 2)) for price, size in levels]

    def _no_leg(self, side: str, price: int) -> int:
        return ONE_DOLLAR - price if side == "no" and self._use_yes_price else price

    def _subscribed_to(self, channel: str) -> list[Subscription]:
        return [
            subscription
            for session in self._venue.sessions
            for subscription in session.subscriptions.values()
            if subscription.channel == channel
        ]

    def _send(
        self,
        text: str,
        envelope: Envelope,
        step: int,
        watching: Sequence[Subscription],
        markets: tuple[str, ...],
        *,
        damaged: bool = False,
    ) -> None:
        fields: dict[str, msgspec.Raw] | None = None
        for subscription in watching:
            seq = subscription.advance(step + self._venue.publisher.gap(*markets)) if subscription.sequenced else None
            turned = subscription.channel == BOOK and subscription.use_yes_price != self._use_yes_price
            turned = turned and not damaged  # what is damaged has no price to turn
            if (envelope.sid, envelope.seq) == (subscription.sid, seq) and not turned:
                subscription.session.send(subscription, text, markets)
                continue
            fields = fields or FIELDS.decode(text)
            out: dict[str, Any] = fields | {"sid": subscription.sid}
            if seq is not None:
                out["seq"] = seq
            if turned:
                out["msg"] = _turned(fields["msg"])
            subscription.session.send(subscription, msgspec.json.encode(out).decode(), markets)

    def _broadcast(self, text: str) -> None:
        """Unreadable and unknown frames go once, as they are, to every connection that has subscribed to anything."""
        for session in list(self._venue.sessions):
            subscription = next(iter(session.subscriptions.values()), None)
            if subscription is not None:
                session.send(subscription, text)


def _subscribed_sid(message: msgspec.Raw) -> int | None:
    """The sid that a recorded ``subscribed`` reply opens: its numbering starts anew."""
    try:
        return msgspec.json.decode(message, type=Subscribed).sid
    except msgspec.MsgspecError:
        return None


def _turned(message: msgspec.Raw) -> dict[str, Any]:
    """A book message with the prices of its NO side seen from the other leg."""
    body: dict[str, Any] = msgspec.json.decode(message)
    if body.get("side") == "no":
        body["price_dollars"] = complement(str(body["price_dollars"]))
    if "no_dollars_fp" in body:
        body["no_dollars_fp"] = [[complement(str(price)), size] for price, size in body["no_dollars_fp"]]
    return body
