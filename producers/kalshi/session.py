"""Kalshi's websocket as a session: frames read, sequences checked, books healed, markets held as they live."""

from collections.abc import Callable, Iterable
from typing import Final

from producers.books import PublishedBook, Receipt
from producers.kalshi import wire
from producers.kalshi.answers import Answers
from producers.kalshi.book import MarketBook
from producers.kalshi.dialogue import Dialogue, seen
from producers.kalshi.lifecycle import Lives
from producers.kalshi.market_data import MALFORMED, MarketData, ignored
from producers.kalshi.messages import (
    BOOKS,
    COMBO_LIFECYCLE,
    COMBO_PREFIX,
    LIFECYCLE,
    TRADES,
    Acknowledged,
    Delta,
    EventCreated,
    EventFee,
    Lifecycle,
    Malformed,
    Message,
    Print,
    Refused,
    Reply,
    Snapshot,
    Subscribed,
    Unknown,
    Unsubscribed,
)
from producers.kalshi.sequence import FIRST_NUMBERS, Step
from producers.kalshi.speaker import Speaker
from producers.kalshi.subscriptions import Subscription
from producers.session import Host, Session
from producers.transcript import Distrust, Followed
from runtime import metrics
from schemas.records import Market

OVERDUE_NS: Final = 3_000_000_000
AUDIT_MARKETS: Final = 25

GAP: Final = "sequence gap"
UNKNOWN: Final = "unknown message"
UNSUBSCRIBED: Final = "unsubscribed"
NOT_SENT: Final = "asked for and not sent"


class KalshiSession(Session[MarketBook]):
    """One authenticated connection: books, trades and lifecycle, each with its own sequence."""

    def __init__(
        self,
        host: Host,
        published: Callable[[Followed], PublishedBook],
        *,
        overdue_ns: int = OVERDUE_NS,
        use_yes_price: bool = False,
        audit_markets: int = AUDIT_MARKETS,
    ) -> None:
        """`use_yes_price` asks for the NO side's prices in the YES leg; until a command says so, it is also how frames
        are read. The books of groups, and `audit_markets` of the others at a time, are asked for whole twice within
        `overdue_ns`, to compare them; 0 for none at all.
        """
        super().__init__(host, published, overdue_ns=overdue_ns)
        self.dialogue = Dialogue(self.books, overdue_ns=overdue_ns, use_yes_price=use_yes_price)
        self.speaker = Speaker(
            host,
            self.books,
            self.dialogue,
            overdue_ns=overdue_ns,
            use_yes_price=use_yes_price,
            audit_markets=audit_markets,
        )
        self.answers = Answers(self.books, self.dialogue, self.speaker)
        self._data = MarketData(self)
        self._lives = Lives(self)

    # What a session does

    def make_book(self, followed: Followed, published: PublishedBook) -> MarketBook:
        """The book builder of a market."""
        return MarketBook(published, followed.market.ticks)

    def opened(self, now_ns: int) -> None:
        """Nothing is known of the connection; ask for everything."""
        self.dialogue.forget()
        for market, book in self.books.items():
            book.restart(self.markets[market].ticks)
        self.speaker.opened(now_ns)

    def closed(self) -> None:
        """Subscriptions do not survive their connection."""
        self.dialogue.forget()

    def followed(self, markets: list[str], now_ns: int) -> None:
        """Subscribe to these, too."""
        self.speaker.followed(markets, now_ns)

    def unfollowed(self, market: str, book: MarketBook) -> None:  # noqa: ARG002 - the general form
        """Take a market off its subscriptions."""
        if self.open:
            self.speaker.unfollowed(market)

    def described(self, market: Market, receipt: Receipt, now_ns: int) -> None:
        """A market's metadata changed, perhaps its price grid."""
        self._lives.described(market, receipt, now_ns)

    def sent(self, receipt: Receipt, text: str) -> None:
        """A command is on its way."""
        self.answers.sent(receipt, text)

    def asked(self, receipt: Receipt, path: str, body: bytes | None) -> None:
        """Nothing is asked by REST."""

    def answered(self, receipt: Receipt, asked: int, data: bytes, now_ns: int) -> None:
        """Nothing is asked by REST."""

    def distrust(self, markets: Iterable[str], reason: str, receipt: Receipt, now_ns: int) -> None:
        """These books cannot be trusted, and are wanted whole again."""
        named = [market for market in markets if market in self.books]
        super().distrust(named, reason, receipt, now_ns)
        if self.open:
            self.speaker.missed(named)

    def tick(self, now_ns: int) -> None:
        """Ask for what is due, distrust what was not sent, give up a connection that is no good."""
        super().tick(now_ns)
        if not self.open:
            return
        unsent = self.speaker.unsent(now_ns)
        if unsent:
            self.host.mark(Distrust(tuple(unsent), NOT_SENT))
        self.speaker.tick(now_ns)
        problem = self.speaker.give_up(now_ns)
        if problem:
            # At once: what is given up has been waited for long enough, so this cannot happen often.
            self.host.lose(problem, planned=True)

    # Frames

    def frame(self, receipt: Receipt, data: bytes, now_ns: int) -> None:
        """Read, check the sequence, apply."""
        try:
            message = wire.decode(data, yes_price=self.dialogue.yes_price)
        except wire.WireError as error:
            if error.kind not in wire.BOOKLESS:  # whose it was cannot be known
                self.distrust(list(self.books), MALFORMED, receipt, now_ns)
                self.speaker.heal(receipt.response_ns)
            self.host.undecodable(data, error)
            return
        if message.numbers:
            metrics.FORMS_SEEN.labels("kalshi", "decimals", "JSON numbers").inc(message.numbers)
        subscription = self._subscription_of(message)
        if subscription is None:
            if self.dialogue.subscriptions.ended(message.sid) and not isinstance(message, Reply):
                ignored("ended subscription")
            else:
                self._handle(message, None, receipt, now_ns)
        elif not message.seq or self._in_sequence(subscription, message, receipt, now_ns):
            self._handle(message, subscription, receipt, now_ns)
        if isinstance(message, Malformed):
            self.host.undecodable(data, message.error)
        else:
            self.host.understood()

    def _handle(self, message: Message, subscription: Subscription | None, receipt: Receipt, now_ns: int) -> None:
        match message:
            case Delta():
                self._data.delta(message, receipt, now_ns)
            case Snapshot() if subscription is not None:
                self._data.snapshot(message, subscription, receipt, now_ns)
            case Print():
                self._data.print(message, receipt)
            case Lifecycle():
                self._lives.happened(message, receipt, now_ns)
            case EventFee():
                self._lives.fee_changed(message)
            case Reply():
                self._reply(message, subscription, receipt, now_ns)
                self.speaker.speak(receipt.response_ns)
            case Malformed():
                self._data.malformed(message, subscription, receipt, now_ns)
            case Unknown():
                metrics.FRAMES_UNKNOWN.labels("kalshi", message.kind).inc()
                if message.kind == "other" and subscription is not None and subscription.channel == BOOKS:
                    # It came in the sequence of books, so it may have changed one.
                    self.distrust(list(subscription.markets), UNKNOWN, receipt, now_ns)
                    self.speaker.heal(receipt.response_ns)
            case _:
                ignored("of no use")

    def _reply(self, message: Reply, subscription: Subscription | None, receipt: Receipt, now_ns: int) -> None:
        match message:
            case Subscribed():
                self.answers.subscribed(message, receipt.response_ns)
            case Acknowledged():
                self.answers.acknowledged(message, subscription, receipt.response_ns)
            case Refused():
                ended, problem = self.answers.refused(message, receipt.response_ns)
                lost = ended.markets if ended is not None and ended.channel == BOOKS else ()
                reason = f"subscription lost (code {message.code})"
                self.distrust(list(self.books if problem else lost), reason, receipt, now_ns)
                if problem:
                    self.host.lose(problem)
            case Unsubscribed() if subscription is not None:
                self.dialogue.subscriptions.end(subscription)
                if subscription.channel == BOOKS:
                    self.distrust(list(subscription.markets), UNSUBSCRIBED, receipt, now_ns)
            case _:
                ignored("unasked answer")

    def _subscription_of(self, message: Message) -> Subscription | None:
        """The subscription that a message names; what is certainly a channel's opens one that was not announced."""
        subscriptions = self.dialogue.subscriptions
        known = subscriptions.of(message.sid)
        if known is not None or not message.sid or subscriptions.ended(message.sid):
            return known
        channel = _channel_of(message)
        return subscriptions.open(message.sid, channel) if channel else None

    def _in_sequence(self, subscription: Subscription, message: Message, receipt: Receipt, now_ns: int) -> bool:
        """False when the message was seen before. A gap distrusts every book of the subscription."""
        check, number = subscription.sequence, message.seq
        if not check.last:
            seen("first number", str(number) if number in FIRST_NUMBERS else "another")
        if isinstance(message, Reply):
            step = check.take_reply(number)
            seen("number of a reply", check.form.value)
        else:
            step = check.take(number)
        if check.resumed:
            seen("numbers after subscribing again", check.resumed)
            check.resumed = ""
        if step is Step.NEXT:
            return True
        if step is Step.DUPLICATE:
            ignored("duplicate")
            return False
        metrics.SEQUENCE_GAPS.labels("kalshi").inc()
        if subscription.channel == BOOKS:
            self.distrust(list(subscription.markets), GAP, receipt, now_ns)
            self.speaker.heal(receipt.response_ns)
        elif subscription.channel != TRADES:
            self.host.catalogue_changed("")
        return True


def _channel_of(message: Message) -> str:
    if isinstance(message, Delta | Snapshot):
        return BOOKS
    if isinstance(message, Print):
        return TRADES
    if isinstance(message, Lifecycle):
        return COMBO_LIFECYCLE if message.market.startswith(COMBO_PREFIX) else LIFECYCLE
    return LIFECYCLE if isinstance(message, EventCreated | EventFee) else ""
