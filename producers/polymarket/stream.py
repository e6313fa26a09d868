"""One market's book as the stream tells it: whole books, changes, and the hash that says whether one was missed.

Everything follows from what was received and when, nothing from the present time. There are no sequence numbers. What
takes their place: stamps say what is newer, and the newest message's hash says whether the levels are the venue's. A
book whose hash fits again after a mismatch is right again, however that came about: messages that overtook one another
heal of themselves.
"""

from collections.abc import Sequence
from typing import Final

from producers.books import PublishedBook, Receipt
from producers.polymarket import checks
from producers.polymarket.arrivals import Arrivals
from producers.polymarket.checks import Checks
from producers.polymarket.content import Content, changes_yes, whole_yes
from producers.polymarket.hashing import Found
from producers.polymarket.messages import Message, PriceChange, Print, TickChange, TokenBook
from producers.polymarket.touch import Touch
from producers.polymarket.verifier import Verifier
from runtime import metrics
from schemas.records import Book, Market
from schemas.units import parse_price

TICK_CHANGE: Final = "tick change"
OFF_GRID: Final = "off-grid price"
CROSSED: Final = "crossed"
HASH_MISMATCH: Final = "hash mismatch"
BEST_DIFFERS: Final = "best price differs"
OUT_OF_ORDER: Final = "out of order"
DAMAGED: Final = "damaged book"

BELIEVED_NS: Final = 5_000_000_000
"""A stream that does not reach a stamp of REST's in this time may never: perhaps a clock was set."""

UNDER_WAY_NS: Final = 1_000_000_000
"""What the stream brings later than this after a REST answer is not older than the answer."""


class StreamBook:
    """One market's book over one connection; `begin` forgets an earlier one.

    `sound` says that the levels are the venue's as far as is known, `proven` that a hash under the newest stamp is
    theirs, `skipped` that it was not looked at for want of time. `behind_ns` is a stamp that the stream must reach
    before it is believed, since `behind_since_ns`; `called` that it was asked for a whole book. `received_ns` is when
    its newest message came, `subscribed_ns` when it was first asked for the market, `distrusted_ns` when the book was
    last found unsound.
    """

    def __init__(self, market: Market, published: PublishedBook, shared: Checks) -> None:
        self.published = published
        self.yes, self.no = market.tokens
        self.begin(market, shared)

    def begin(self, market: Market, shared: Checks) -> None:
        """A new connection."""
        self.shared = shared
        self.tick = market.ticks[0].step
        self.content = Content()
        self.verifier = Verifier(market, shared)
        self.arrivals = Arrivals()
        self.sound = False
        self.proven = False
        self.skipped = False
        self.called = False
        self.behind_ns = 0
        self.behind_since_ns = 0
        self.subscribed_ns = 0
        self.checked_ns = 0
        self.distrusted_ns = 0
        self._touch = Touch()
        self.received_ns = 0
        self._answered_ns = 0
        self._tick_ns = 0
        self._accused = False
        self._strange = False
        self._moved = False
        self._took_whole = False

    @property
    def newest_ns(self) -> int:
        """The stamp of the newest message of the stream."""
        return self.verifier.newest_ns

    def take(self, messages: Sequence[Message], receipt: Receipt, now_ns: int) -> list[Book]:
        """Take in one frame's messages about this market, as one step; returns what is to be said."""
        said: list[Book | None] = []
        of_yes = len(messages) > 1 and any(isinstance(one, TokenBook) and one.token == self.yes for one in messages)
        for message in messages:
            if isinstance(message, PriceChange):
                said.append(self._change(message, receipt, now_ns))
            elif isinstance(message, TokenBook):
                if message.token == self.yes or not of_yes:
                    said.append(self._whole(message, receipt, now_ns))
            elif isinstance(message, TickChange):
                if message.exchange_ns >= self._tick_ns:
                    self._tick_ns = message.exchange_ns
                    said.append(self._retick(message.tick, message.tick_text, receipt, now_ns))
            elif isinstance(message, Print):
                self.verifier.traded(message.price)
        if self._moved:
            self._moved = False
            said += self._settle(receipt, now_ns)
        return [book for book in said if book is not None]

    def make_up(self, receipt: Receipt, now_ns: int) -> list[Book]:
        """Check what was not checked for want of time; `receipt` is that of whatever was received since."""
        self.skipped = False
        if not self.sound:
            return []
        self.checked_ns = receipt.response_ns
        found = self.verifier.explain(self.content, receipt.response_ns, thorough=True)
        if found is not None and found.form != "tick":
            self._proved()
            self.shared.matched()
            self.published.confirm(self.received_ns)
            return []
        said = self.distrust(HASH_MISMATCH if found is None else TICK_CHANGE, receipt, now_ns)
        return [] if said is None else [said]

    def still_fits(self) -> bool:
        """True unless the newest hash, not checked so far, is not that of the levels. Changes nothing."""
        return self.verifier.explanation(self.content, search=True) is not None

    def distrust(self, reason: str, receipt: Receipt, now_ns: int) -> Book | None:
        """The levels may not be the venue's until a hash or a whole book says so."""
        if self.sound:
            metrics.BOOKS_DISTRUSTED.labels("polymarket", reason).inc()
            self.distrusted_ns = receipt.response_ns
        self.sound = False
        self._accused = self._accused or reason == HASH_MISMATCH
        return self.published.distrust(reason, receipt, now_ns)

    # Messages

    def _change(self, message: PriceChange, receipt: Receipt, now_ns: int) -> Book | None:
        token = self.yes if self.yes in message.tips else self.no
        tip, ns, content, newest_ns = message.tips[token], message.exchange_ns, self.content, self.newest_ns
        key = hash((ns, tip.hash or message.changes))
        if self.arrivals.again(key, ns, newest_ns, receipt.response_ns):
            _ignored("sent again")
            return None
        if content.whole and ns < content.exchange_ns:
            return self._older(message, token, receipt, now_ns)
        changes = changes_yes(message, self.yes, self.no)
        content.change(changes, ns)
        self.verifier.prices = [change.price for change in changes]
        self._strange = self._strange or any(change.text and change.price % self.tick for change in changes)
        if ns >= newest_ns:
            self.arrivals.changed([(change.side, change.price) for change in changes], ns)
            self._touch.tell(tip, yes=token == self.yes)
        self._tell(message, token, tip.hash, receipt)
        return None

    def _older(self, message: PriceChange, token: str, receipt: Receipt, now_ns: int) -> Book | None:
        """A change that the levels should have in them: a REST book was faster, or the venue's stamps went back."""
        under_way = receipt.response_ns - self._answered_ns <= UNDER_WAY_NS
        if message.exchange_ns >= self.newest_ns and under_way:
            self._touch.forget()
            self._tell(message, token, message.tips[token].hash, receipt)
            return None
        _ignored("out of order")
        return self.distrust(OUT_OF_ORDER, receipt, now_ns) if self.sound else None

    def _tell(self, message: PriceChange | TokenBook, token: str, digest: str, receipt: Receipt) -> None:
        """Note what a message says of the book after it."""
        self._moved = True
        self.received_ns = receipt.response_ns
        if message.exchange_ns >= self.newest_ns:
            self.proven = False
            whole = isinstance(message, TokenBook)
            self.verifier.tell(token, digest, message.exchange_ns, message.timestamp, whole=whole)

    def _whole(self, message: TokenBook, receipt: Receipt, now_ns: int) -> Book | None:
        content, ns = self.content, message.exchange_ns
        if message.token != self.yes and self.sound and ns <= max(content.exchange_ns, self.newest_ns):
            _ignored("other token's book")
            return None
        called, self.called = self.called, False
        if content.whole and ns < content.exchange_ns and not called:
            _ignored("older book")
            return None
        if not self.verifier.fits(message, content, receipt.response_ns):
            return self.distrust(DAMAGED, receipt, now_ns) if self.sound else None
        said = self._retick(message.tick, message.tick_text, receipt, now_ns)
        if ns < content.exchange_ns:
            content.forget_changes()
            self.verifier.clock_went_back()
        self._take_whole(message, by="book")
        if ns >= self.newest_ns:
            self.arrivals.settled(ns)
            self._touch.forget()
        self._tell(message, message.token, message.hash, receipt)
        self.sound = self._caught_up(ns)
        return said

    def _take_whole(self, message: TokenBook, *, by: str, equal: bool = False) -> None:
        """Start again from a whole book that is believed."""
        before = self.content.packed() if self._accused and message.exchange_ns >= self.newest_ns else None
        self.content.replace(whole_yes(message, self.yes), equal=equal)
        if before == self.content.packed():
            self.shared.false_alarm()
        if not self.sound:
            metrics.BOOKS_HEALED.labels("polymarket", by).inc()
        self._accused = False
        self._took_whole = True
        self.sound = True

    def _retick(self, tick: int, text: str | None, receipt: Receipt, now_ns: int) -> Book | None:
        """Another price grid is another epoch: levels of the old one may be gone without a word."""
        if not tick or not text:
            return None
        self.verifier.facts.learn(tick=text)
        if tick == self.tick:
            return None
        self.tick = tick
        if not self.content.whole:
            return None
        self.content.keep_to_grid(tick)
        self.verifier.tips = ()
        self._touch.forget()
        return self.distrust(TICK_CHANGE, receipt, now_ns)

    # Verdicts

    def _settle(self, receipt: Receipt, now_ns: int) -> list[Book | None]:
        """What follows from a frame that said something of the levels."""
        whole, self._took_whole = self._took_whole, False
        strange, self._strange = self._strange, False
        if not self.content.whole:
            return []
        said: list[Book | None] = []
        found = self._check(receipt, whole=whole) if self._checkable(whole=whole) else None
        if isinstance(found, Found):
            if found.form == "tick":
                self.tick = parse_price(found.tick)
                said.append(self.distrust(TICK_CHANGE, receipt, now_ns))
            self._proved()
            if not whole:
                self.shared.matched()
        elif self.sound and (reason := self._suspicion(found, strange=strange)):
            said.append(self.distrust(reason, receipt, now_ns))
        if self.sound:
            said.append(self.compared(receipt, now_ns))
        if self.sound and self.content.ladder.crossed():
            said.append(self.distrust(CROSSED, receipt, now_ns))
        if self.sound:
            exchange_ns = max(self.newest_ns, self.content.exchange_ns)
            proved_ns = None if whole or isinstance(found, Found) else 0
            ladder = self.content.ladder
            said.append(self.published.show(ladder, receipt, exchange_ns, now_ns, proved_ns=proved_ns))
        return said

    def compared(self, receipt: Receipt, now_ns: int) -> Book | None:  # noqa: ARG002 - for who knows of answers
        """A chance to compare with something else that the venue said."""
        return None

    def _checkable(self, *, whole: bool) -> bool:
        """Whether the newest hash is to be that of the levels."""
        if not self.verifier.tips or self.content.exchange_ns > self.newest_ns:
            return False
        if self.verifier.suspended:
            if not whole:
                checks.UNVERIFIABLE.inc()
            return False
        if self.shared.off and not whole:
            checks.SWITCHED_OFF.inc()
            return False
        return True

    def _check(self, receipt: Receipt, *, whole: bool) -> Found | bool | None:
        """What the newest hash tells; False when it is not that of the levels, None when there is no time to look."""
        if not whole and not self.shared.allow(receipt.response_ns, self.checked_ns):
            checks.UNDER_LOAD.inc()
            self.skipped = self.sound
            return None
        self.checked_ns, self.skipped = receipt.response_ns, False
        found = self.verifier.explain(self.content, receipt.response_ns, thorough=self.sound)
        return found or False

    def _suspicion(self, found: Found | bool | None, *, strange: bool) -> str:
        """Why a sound book is not to be trusted any more; else empty."""
        if found is False:
            return HASH_MISMATCH
        if strange:
            return OFF_GRID
        return BEST_DIFFERS if self._touch.differs(self.content.texts) else ""

    def _proved(self) -> None:
        """The newest hash is that of the levels."""
        self.content.settle(self.newest_ns)
        self._touch.proved(self.content.texts)
        self.arrivals.doubtful = self.arrivals.doubtful or self.verifier.ambiguous
        self._accused = False
        self.proven = True
        if self.sound or not self._caught_up(self.newest_ns):
            return
        metrics.BOOKS_HEALED.labels("polymarket", "hash").inc()
        self.sound = True

    def _caught_up(self, ns: int) -> bool:
        """Whether the stream has come to where the venue was; after a while that stamp is not believed any more."""
        if ns < self.behind_ns and self.received_ns - self.behind_since_ns < BELIEVED_NS:
            return False
        self.behind_ns = 0
        return True


def _ignored(reason: str) -> None:
    metrics.FRAMES_IGNORED.labels("polymarket", reason).inc()
