"""One connection of Polymarket's market channel: subscriptions, books, proofs, healing, keepalive, rotation.

Sources: "Market Channel" and "WebSocket Overview" (subscribing, PING), docs/polymarket.md for what they leave out.
"""

from collections.abc import Callable, Iterable
from typing import Final

from producers.books import PublishedBook, Receipt
from producers.polymarket import commands
from producers.polymarket.asking import BOOKS_PER_REQUEST, Asking, is_closed
from producers.polymarket.book import DIFFERS, MarketBook
from producers.polymarket.checks import Checks
from producers.polymarket.messages import (
    Announcement,
    Malformed,
    Message,
    PriceChange,
    Print,
    TokenBook,
    Touch,
    Unknown,
)
from producers.polymarket.overlooked import Overlooked
from producers.polymarket.prints import Known, yes_trade
from producers.polymarket.pulse import Pulse
from producers.polymarket.rest import BOOKS_PATH
from producers.polymarket.stream import HASH_MISMATCH
from producers.polymarket.touch import agrees
from producers.polymarket.wire import WireError, decode, decode_books, is_pong
from producers.session import Host, Session
from producers.tools import batches
from producers.transcript import Distrust, Followed
from runtime import metrics

OVERDUE_NS: Final = 3_000_000_000
MALFORMED: Final = "malformed frame"
RESOLVED: Final = "resolved"

_TOUCH_AGREES: Final = metrics.BOOKS_COMPARED.labels("polymarket", "best prices agree")
_TOUCH_DIFFERS: Final = metrics.BOOKS_COMPARED.labels("polymarket", "best prices differ")
_FLOORED: Final = metrics.SIZES_FLOORED.labels("polymarket")


class PolymarketSession(Session[MarketBook]):
    """One connection, at most 200 assets. `rotate_ns` is about how long it lasts, 0 for as long as it can."""

    def __init__(
        self,
        host: Host,
        published: Callable[[Followed], PublishedBook],
        *,
        overdue_ns: int = OVERDUE_NS,
        rotate_ns: int = 0,
    ) -> None:
        super().__init__(host, published, overdue_ns=overdue_ns)
        self.checks = Checks()
        self._asking = Asking(overdue_ns)
        self._rotate_ns = rotate_ns
        self._by_token: dict[str, MarketBook] = {}
        self._asks: dict[int, dict[str, int]] = {}
        self._known = Known()
        self._forget()

    def _forget(self) -> None:
        """A connection has no past."""
        self.checks = Checks()
        self._asking.begin()
        self._asks.clear()
        self._overlooked = Overlooked()
        self._losing = False
        self._pulse = Pulse(self._rotate_ns)

    # What happens on the connection

    def frame(self, receipt: Receipt, data: bytes, now_ns: int) -> None:
        """Decode and apply, market by market."""
        self._pulse.heard(receipt.response_ns)
        if self._overlooked:
            for late in self._overlooked.take_due(self.books, receipt.response_ns):
                for said in late.make_up(receipt, now_ns):
                    self.host.say(said)
        if is_pong(data):
            return
        try:
            messages = decode(data)
        except WireError as error:
            self._distrust_named(error.market, error.tokens, receipt, now_ns)
            self.host.undecodable(data, error)
            return
        self._pulse.spoke_ns = receipt.response_ns
        broken: Exception | None = None
        by_market: dict[str, list[Message]] = {}
        for message in messages:
            book = self.books.get(message.market)
            if book is not None and self._concerns(message, book):
                by_market.setdefault(message.market, []).append(message)
            else:
                broken = self._other(message, receipt, now_ns) or broken
        for market, about in by_market.items():
            self._apply(self.books[market], about, receipt, now_ns)
        if broken is None:
            self.host.understood()
        else:
            self.host.undecodable(data, broken)

    def sent(self, receipt: Receipt, text: str) -> None:
        """A command is on its way."""
        command = commands.read(text)
        if command is None:
            return
        if not self._pulse.subscribed_ns:
            self._pulse.subscribed(receipt.connection, receipt.response_ns)
        if command.subscribes:
            books = {id(book): book for token in command.assets_ids if (book := self._by_token.get(token))}
            self._asking.subscribed((book.published.market for book in books.values()), receipt.response_ns)
            for book in books.values():
                book.called = book.content.whole
                book.subscribed_ns = book.subscribed_ns or receipt.response_ns

    def asked(self, receipt: Receipt, path: str, body: bytes | None) -> None:
        """A request is on its way."""
        if path != BOOKS_PATH:
            return
        books = [book for token in commands.requested(body) if (book := self._by_token.get(token))]
        versions = {book.published.market: book.content.ladder.version for book in books}
        self._asks[receipt.frame] = versions
        self._asking.asked(receipt.frame, tuple(versions), receipt.response_ns)

    def answered(self, receipt: Receipt, asked: int, data: bytes, now_ns: int) -> None:
        """The books that were asked for, those the venue knows."""
        versions = self._asks.pop(asked, None)
        self._asking.ended(asked)
        if versions is None:
            return
        try:
            answers = decode_books(data)
        except WireError as error:
            self.host.undecodable(data, error)
            return
        broken: Exception | None = None
        for answer in answers:
            if isinstance(answer, Malformed):
                broken = answer.error
                continue
            book = self._by_token.get(answer.token)
            version = None if book is None or book.yes != answer.token else versions.get(book.published.market)
            if book is None or version is None:
                continue
            try:
                for said in book.answer(answer, receipt, version, now_ns):
                    self.host.say(said)
            except ValueError as error:
                broken = error
        if broken is not None:
            self.host.undecodable(data, broken)

    def tick(self, now_ns: int) -> None:
        """Keep the connection alive, ask what is due, say what is overdue."""
        if self.open and not self._losing:
            self._keep_alive(now_ns)
            self._look_back(now_ns)
            self._do_what_is_due(now_ns)
        super().tick(now_ns)

    # What a venue adds

    def make_book(self, followed: Followed, published: PublishedBook) -> MarketBook:
        """The book builder of a market."""
        book = MarketBook(followed.market, published, self.checks)
        self._by_token |= {book.yes: book, book.no: book}
        return book

    def opened(self, now_ns: int) -> None:  # noqa: ARG002 - the sessions' general form
        """Subscribe to both tokens of everything that is followed."""
        self._forget()
        for market, book in self.books.items():
            book.begin(self.markets[market], self.checks)
        if self.books:
            self.host.send(commands.subscribe(self._tokens(self.books)))

    def closed(self) -> None:
        """Subscriptions do not survive their connection, nor do answers count that come later."""
        self._forget()

    def followed(self, markets: list[str], now_ns: int) -> None:  # noqa: ARG002 - the sessions' general form
        """Subscribe to markets that came while the connection is open."""
        tokens = self._tokens(markets)
        self.host.send(
            commands.change_subscription("subscribe", tokens)
            if self._pulse.subscribed_ns
            else commands.subscribe(tokens)
        )

    def unfollowed(self, market: str, book: MarketBook) -> None:
        """Take a market off the connection."""
        self._asking.forget(market)
        for token in (book.yes, book.no):
            self._by_token.pop(token, None)
        if self.open:
            self.host.send(commands.change_subscription("unsubscribe", (book.yes, book.no)))

    def unanswered(self, asked: int, reason: str, receipt: Receipt, now_ns: int) -> None:  # noqa: ARG002 - as above
        """A request failed; what it was about becomes due again."""
        self._asks.pop(asked, None)
        self._asking.ended(asked)

    def overdue_ns(self, book: MarketBook) -> int:
        """Books of markets in no group are proved less often."""
        return self._asking.overdue_ns(grouped=bool(book.published.group))

    # Messages

    def _concerns(self, message: Message, book: MarketBook) -> bool:
        """True for a message that is the book's to take in."""
        if isinstance(message, PriceChange):
            return book.yes in message.tips or book.no in message.tips
        if isinstance(message, TokenBook | Print | Touch):
            return message.token in (book.yes, book.no)
        return not isinstance(message, Announcement | Unknown | Malformed)

    def _apply(self, book: MarketBook, messages: list[Message], receipt: Receipt, now_ns: int) -> None:
        for message in messages:
            if isinstance(message, PriceChange | TokenBook):
                self._pulse.data_ns = receipt.response_ns
                if message.floored:
                    _FLOORED.inc(message.floored)
                if isinstance(message, PriceChange) and message.form != "price_changes":
                    metrics.FORMS_SEEN.labels("polymarket", "price_change", message.form).inc()
            elif isinstance(message, Print):
                self._print(book, message, receipt)
        for said in book.take(messages, receipt, now_ns):
            self.host.say(said)
        self._overlooked.note(book)
        for message in messages:
            if isinstance(message, Touch) and book.proven:
                texts, yes = book.content.texts, message.token == book.yes
                same = agrees(texts, message.best_bid, message.best_ask, yes=yes)
                (_TOUCH_AGREES if same else _TOUCH_DIFFERS).inc()

    def _other(self, message: Message, receipt: Receipt, now_ns: int) -> Exception | None:
        """A message that is no book's to take in; returns what is wrong with it."""
        if isinstance(message, Announcement):
            self._announced(message, receipt, now_ns)
        elif isinstance(message, Unknown):
            metrics.FRAMES_UNKNOWN.labels("polymarket", message.kind).inc()
        elif isinstance(message, Malformed):
            if message.about_book:
                self._distrust_named(message.market, message.tokens, receipt, now_ns)
            return message.error
        else:
            return self._foreign(message, receipt, now_ns)
        return None

    def _foreign(self, message: Message, receipt: Receipt, now_ns: int) -> Exception | None:
        """A message about a market that is not followed, or one whose market and tokens do not belong together."""
        tokens = tuple(message.tips) if isinstance(message, PriceChange) else (getattr(message, "token", ""),)
        if message.market not in self.books and not any(token in self._by_token for token in tokens):
            metrics.FRAMES_IGNORED.labels("polymarket", "not asked for").inc()
            return None
        if isinstance(message, PriceChange | TokenBook):
            self._distrust_named(message.market, tokens, receipt, now_ns)
        return ValueError(f"market {message.market:.80} with tokens of another")

    def _announced(self, message: Announcement, receipt: Receipt, now_ns: int) -> None:
        """A market is new or resolved: everyone's are announced to everyone, many times."""
        book = self.books.get(message.market)
        if message.kind == "market_resolved" and book is not None:
            self.host.say(book.published.hold("closed", RESOLVED, receipt, now_ns))
        if not self._known.again(f"{message.kind} {message.number}"):
            if message.kind == "new_market":
                self.host.catalogue_changed("")
            elif book is not None:
                self.host.catalogue_changed(message.market)

    def _print(self, book: MarketBook, message: Print, receipt: Receipt) -> None:
        if self._known.again(message.trade_id):
            metrics.FRAMES_IGNORED.labels("polymarket", "trade sent again").inc()
        else:
            self.host.trade(yes_trade(message, book.yes, book.published.group, receipt.response_ns))

    def _distrust_named(self, market: str, tokens: Iterable[str], receipt: Receipt, now_ns: int) -> None:
        """Something was lost about these, or with no name about anyone."""
        named = [book.published.market for token in tokens if (book := self._by_token.get(token))]
        if market in self.books:
            named.append(market)
        if named or not (market or tuple(tokens)):
            self.distrust(dict.fromkeys(named) if named else list(self.books), MALFORMED, receipt, now_ns)

    # Time

    def _keep_alive(self, now_ns: int) -> None:
        if self._pulse.wants_ping(now_ns):
            self.host.send(commands.PING)
        if reason := self._pulse.lost(now_ns):
            self._lose(reason)
        elif self._pulse.done(now_ns, self._all_well):
            self._lose("scheduled rotation", planned=True)

    def _all_well(self) -> bool:
        """True while nothing is being healed."""
        return all(is_closed(book) or (book.sound and book.ahead is None) for book in self.books.values())

    def _lose(self, reason: str, *, planned: bool = False) -> None:
        self._losing = True
        self.host.lose(reason, planned=planned)

    def _look_back(self, now_ns: int) -> None:
        """Distrust by marks what only time has shown: the stream does not follow, a hash was not checked."""
        found: dict[str, list[str]] = {}
        for market, book in self.books.items():
            if book.ahead is not None and (reason := book.overdue_answer(now_ns)):
                found.setdefault(reason, []).append(market)
                if reason == DIFFERS:
                    metrics.RECONCILE_MISMATCHES.labels("polymarket").inc()
                else:
                    self._pulse.fell_silent(book.ahead.receipt.call_start_ns, now_ns)
        if wrong := self._overlooked.wrong(self.books, now_ns):
            found[HASH_MISMATCH] = wrong
        for reason, markets in found.items():
            self.host.mark(Distrust(tuple(markets), reason))

    def _do_what_is_due(self, now_ns: int) -> None:
        due = self._asking.due(self.books, now_ns, mute=not self._pulse.spoke_ns)
        for _ in due.missing:
            metrics.FORMS_SEEN.labels("polymarket", "first book", "missing").inc()
        if due.call:
            tokens = [self.books[market].yes for market in due.call]
            self.host.send(commands.change_subscription("subscribe", tokens))
        if due.renew:
            tokens = self._tokens(due.renew)
            self.host.send(commands.change_subscription("unsubscribe", tokens))
            self.host.send(commands.change_subscription("subscribe", tokens))
        for batch in batches(due.ask, BOOKS_PER_REQUEST):
            self.host.ask(BOOKS_PATH, commands.books_request(self.books[market].yes for market in batch))

    def _tokens(self, markets: Iterable[str]) -> list[str]:
        return [token for market in markets for token in (self.books[market].yes, self.books[market].no)]
