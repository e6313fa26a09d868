"""The Kalshi simulator: canonical books, tape delivery, sequence numbers per subscription."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from infra.simulator.exchange import KalshiBook, complement, fixed
from infra.simulator.kalshi_catalogue import (
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
    recorded_markets,
    survey_tape,
)
from infra.simulator.metadata import market_id_of
from infra.simulator.recorded import RecordedRest
from infra.simulator.tape import Tape, TapeFrame

if TYPE_CHECKING:
    from infra.simulator.kalshi_session import Session

# A tape sequence this far behind its predecessor is a new recorded connection, not a late frame.
REORDER_WINDOW = 64


@dataclass(eq=False, slots=True)
class Subscription:
    """One sid of one client: a channel, its markets (none means all), and the last sequence sent."""

    session: "Session"
    sid: int
    channel: str
    use_yes_price: bool
    tickers: dict[str, None] = field(default_factory=dict)
    last: int = 0

    @property
    def sequenced(self) -> bool:
        """Only the ticker channel carries no ``seq``."""
        return self.channel != "ticker"

    def advance(self, step: int = 1) -> int:
        """Take the next sequence number, ``step`` after the last one."""
        self.last = max(1, self.last + step)
        return self.last


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


class KalshiVenue:
    """The venue behind all connections. Not thread-safe; it lives in one event loop."""

    name = "kalshi"

    def __init__(self, tape: Tape) -> None:
        self.recorded = RecordedRest(tape.rest(self.name), str(tape.folder / "kalshi" / "rest.json"))
        self.metadata = recorded_markets(self.recorded.bodies())
        self.survey = survey_tape(tape)
        self.books = {ticker: KalshiBook(ticker, market_id_of(ticker)) for ticker in self.metadata}
        self.books |= {ticker: KalshiBook(ticker, market_id_of(ticker)) for ticker in self.survey.first}
        self.sessions: dict[Session, None] = {}
        self.on_subscribed: Callable[[], None] = lambda: None
        self._tape_use_yes_price = tape.use_yes_price
        self._sequences: dict[int | None, _TapeSequence] = {}
        self._watching: dict[tuple[str, str], dict[Subscription, None]] = {}

    # Subscriptions

    def watch(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Send a subscription the frames of these markets from now on, after a snapshot where a book is known."""
        for ticker in tickers:
            if not subscription.session.holds(subscription):
                return  # its buffer overflowed on the way
            subscription.tickers[ticker] = None
            self._watching.setdefault((subscription.channel, ticker), {})[subscription] = None
            # The tape's own first snapshot is the market's first; a market without frames is empty for ever.
            if subscription.channel == BOOK and (self.books[ticker].started or ticker not in self.survey.first):
                self.send_snapshot(subscription, ticker)

    def watch_all(self, subscription: Subscription) -> None:
        """Send a subscription its channel's frames of every market."""
        self._watching.setdefault((subscription.channel, ""), {})[subscription] = None

    def unwatch(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Stop sending a subscription the frames of these markets."""
        for ticker in list(tickers):
            subscription.tickers.pop(ticker, None)
            self._watching.get((subscription.channel, ticker), {}).pop(subscription, None)

    def drop(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        self.unwatch(subscription, subscription.tickers)
        self._watching.get((subscription.channel, ""), {}).pop(subscription, None)

    def send_snapshot(self, subscription: Subscription, ticker: str) -> None:
        """Send the canonical book of a market, which takes a sequence number."""
        book = self.books[ticker]
        message: dict[str, Any] = {"market_ticker": ticker, "market_id": book.market_id}
        for side in ("yes", "no"):
            levels = book.levels(side)
            if side == "no" and subscription.use_yes_price:
                levels = [(complement(price), size) for price, size in levels]
            if levels:
                message[f"{side}_dollars_fp"] = levels
        frame = {"type": "orderbook_snapshot", "sid": subscription.sid, "seq": subscription.advance(), "msg": message}
        subscription.session.send(subscription, msgspec.json.encode(frame).decode())

    # Tape

    def deliver(self, frame: TapeFrame) -> None:
        """Put a tape frame's effect into the canonical book and send it to every subscription it concerns."""
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
            watching = [*self._watching.get((channel, ticker), ()), *self._watching.get((channel, ""), ())]
            if channel == BOOK:
                self._apply(envelope.type, message, fresh, watching)
        except (msgspec.MsgspecError, KeyError, ValueError):
            # Damaged inside: it belongs to a subscription and has a number there, like any other.
            self._send(frame.text, envelope, step, watching or self._subscribed_to(channel), damaged=True)
            return
        self._send(frame.text, envelope, step, watching)

    def _apply(self, kind: str, message: Message, fresh: bool, watching: list[Subscription]) -> None:
        """Only the first of repeated deltas counts; a market that begins with a delta begins from an empty book."""
        book = self.books[message.market_ticker]
        if kind == "orderbook_snapshot":
            book.replace(self._levels("yes", message.yes_dollars_fp), self._levels("no", message.no_dollars_fp))
        else:
            price, delta = fixed(message.price_dollars, 4), fixed(message.delta_fp, 2)
            price = self._no_leg(message.side, price)
            book.side(message.side)
            if not book.started:
                for subscription in watching:
                    self.send_snapshot(subscription, book.ticker)
            if fresh:
                book.change(message.side, price, delta)
        book.market_id = message.market_id or book.market_id

    def _levels(self, side: str, levels: list[tuple[Number, Number]]) -> list[tuple[int, int]]:
        return [(self._no_leg(side, fixed(price, 4)), fixed(size, 2)) for price, size in levels]

    def _no_leg(self, side: str, price: int) -> int:
        return 10_000 - price if side == "no" and self._tape_use_yes_price else price

    def _subscribed_to(self, channel: str) -> list[Subscription]:
        return [
            subscription
            for session in self.sessions
            for subscription in session.subscriptions.values()
            if subscription.channel == channel
        ]

    def _send(
        self, text: str, envelope: Envelope, step: int, watching: list[Subscription], *, damaged: bool = False
    ) -> None:
        fields: dict[str, msgspec.Raw] | None = None
        for subscription in watching:
            seq = subscription.advance(step) if subscription.sequenced else None
            turned = subscription.channel == BOOK and subscription.use_yes_price != self._tape_use_yes_price
            turned = turned and not damaged  # what is damaged has no price to turn
            if (envelope.sid, envelope.seq) == (subscription.sid, seq) and not turned:
                subscription.session.send(subscription, text)
                continue
            fields = fields or FIELDS.decode(text)
            out: dict[str, Any] = fields | {"sid": subscription.sid}
            if seq is not None:
                out["seq"] = seq
            if turned:
                out["msg"] = _turned(fields["msg"])
            subscription.session.send(subscription, msgspec.json.encode(out).decode())

    def _broadcast(self, text: str) -> None:
        """Unreadable and unknown frames go once, as they are, to every connection that has subscribed to anything."""
        for session in list(self.sessions):
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
