"""Whether one market's levels are those that the venue's hashes are of."""

from collections import deque
from typing import Final

from producers.polymarket import checks, hashing
from producers.polymarket.checks import Checks
from producers.polymarket.content import Content
from producers.polymarket.hashing import Facts, Found, is_hash
from producers.polymarket.messages import TokenBook
from producers.polymarket.texts import Texts
from runtime import metrics
from schemas.records import Market

TOGETHER: Final = 8
"""Hashes of one stamp that are kept; several messages may share a stamp."""

MISFITS: Final = 2
"""So many whole books in a row whose own hash does not fit, and it is the rule that does not."""


class Verifier:
    """One market's over one connection.

    `newest_ns` is the stamp of the newest message of the stream, `tips` are tokens and hashes that came with it, the
    latest last; `matched` is the hash that the levels were last found to have.
    `suspended` says that hashes cannot be checked: no whole book has fitted its own. `prices` are those of the levels
    that changed last, one of which may have traded.
    """

    def __init__(self, market: Market, shared: Checks) -> None:
        self.yes, self.no = market.tokens
        self.shared = shared
        self.facts = Facts(market)
        self.suspended = True
        self.newest_ns = 0
        self.tips: tuple[tuple[str, str], ...] = ()
        self.matched = ""
        self.prices: list[int] = []
        self._timestamp = ""
        self._traded: deque[int] = deque(maxlen=2)
        self._misfits = 0

    def tell(self, token: str, digest: str, exchange_ns: int, timestamp: str, *, whole: bool) -> None:
        """A message of the stream came with this hash of a token's book after it."""
        if exchange_ns > self.newest_ns:
            self.newest_ns, self._timestamp, self.tips = exchange_ns, timestamp, ()
        if not is_hash(digest):
            checks.ABSENT.inc()
            self.tips = ()  # those of the messages before are of other levels
        elif exchange_ns == self.newest_ns:
            self.add(token, digest, whole=whole)

    def add(self, token: str, digest: str, *, whole: bool) -> None:
        """Another hash under the newest stamp; that of a whole book is the latest, even if it was there before."""
        tip = (token, digest)
        if is_hash(digest) and (whole or tip not in self.tips):
            self.tips = (*(one for one in self.tips[1 - TOGETHER :] if one != tip), tip)

    def traded(self, price: int) -> None:
        """A trade was told."""
        self._traded.append(price)

    def clock_went_back(self) -> None:
        """What comes now is the newest, whatever its stamp."""
        self.newest_ns = 0

    def explain(self, content: Content, ns: int, *, thorough: bool) -> Found | None:
        """How the latest hash is that of these levels; None if it is not. Learns what it finds.

        With `thorough` all is tried that the venue may have hashed, else any hash under the newest stamp will do.
        """
        found = self.explanation(content, search=False, latest=thorough)
        if found is None and thorough and self.shared.allow_search(ns):
            found = self.explanation(content, search=True)
        if found is None:
            checks.MISMATCHED.inc()
        else:
            checks.MATCHED.inc()
            self._learn(found)
            self.matched = found.digest
        return found

    def explanation(self, content: Content, *, search: bool, latest: bool = True) -> Found | None:
        """The same, learning nothing and whatever the time. A search is for other price grids, too."""
        newest = self.tips[-1][0]
        for token in (newest,) if latest else (self.yes, self.no):
            hashes = [self.tips[-1][1]] if latest else [digest for whose, digest in self.tips if whose == token]
            if not hashes:
                continue
            body = content.texts.body() if token == self.yes else content.texts.mirrored_body()
            text = self.facts.head(token, self._timestamp) + body
            found = hashing.known(self.facts, text, hashes) or hashing.explain(
                self.facts, text, hashes, self._candidates(content), search=search, ticks=search
            )
            if found is not None:
                return found
        return None

    @property
    def ambiguous(self) -> bool:
        """True when the levels have another hash than the latest: messages changed places, or one was missed."""
        return bool(self.tips) and self.tips[-1][1] != self.matched

    def fits(self, message: TokenBook, content: Content, ns: int) -> bool:
        """Whether a whole book may be believed: it fits its own hash, or hashes mean nothing to us.

        A book that does not fit cannot have missed anything: it was damaged on its way, or we do not know what its hash
        covers. While hashes have fitted, the first is assumed of a single one. The tick is not learnt here: a new one
        changes more than hashes.
        """
        if not is_hash(message.hash):
            checks.ABSENT.inc()
            return True
        before, self.facts = self.facts, self.facts.copy()
        self.facts.learn(
            minimum_size=message.minimum_size,
            tick=message.tick_text,
            negative_risk=message.negative_risk,
            last_trade=message.last_trade,
            version=message.version,
        )
        found = self._own(message, content, ns)
        if found is not None:
            self._misfits, self.suspended = 0, False
            self._learn(found)
            if message.tick_text is not None:
                self.facts.learn(tick=before.tick)
            return True
        checks.UNVERIFIABLE.inc()
        self._misfits += 1
        if self.suspended or self._misfits >= MISFITS:
            self.suspended = True
            return True
        self.facts = before
        return False

    def _own(self, message: TokenBook, content: Content, ns: int) -> Found | None:
        own, hashes = Texts(), [message.hash]
        own.bids.replace(message.bids)
        own.asks.replace(message.asks)
        text = self.facts.head(message.token, message.timestamp) + own.body()
        found = hashing.known(self.facts, text, hashes)
        if found is None:
            prices, ticks = self._candidates(content), message.tick_text is None
            found = hashing.explain(self.facts, text, hashes, prices, search=False, ticks=ticks)
            if found is None and message.last_trade is None and self.shared.allow_search(ns):
                found = hashing.explain(self.facts, text, hashes, prices, search=True, ticks=ticks)
        return found

    def _candidates(self, content: Content) -> list[int]:
        """Prices that the last trade may have had: of levels that changed, of trades that were told, the best ones."""
        bests = (content.texts.bids.best(), content.texts.asks.best())
        return [*self.prices, *self._traded, *(price for price in bests if price)]

    def _learn(self, found: Found) -> None:
        if found.form != "known":
            metrics.FORMS_SEEN.labels("polymarket", "last trade price in a hash", found.form).inc()
            self.facts.learn(tick=found.tick, last_trade=found.last_trade)
