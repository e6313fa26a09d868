"""How the Kalshi simulator's frames reach its clients: who watches what; numbered, with gaps, or frozen."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from infra.simulator.engine import LevelChange
from infra.simulator.exchange import KalshiBook
from infra.simulator.faults import FaultName, FaultPanel
from infra.simulator.kalshi import messages
from infra.simulator.kalshi.channels import BOOK, CHANNELS, TICKER
from infra.simulator.kalshi.market import ListedMarket

if TYPE_CHECKING:
    from infra.simulator.kalshi.session import Session

ALL = ""
"""Stands for every market in the index of who watches what."""

Named = Callable[[str, str | None], dict[str, Any]]
"""(order id, account of a session) to the names that a delta tells the owner of that order only."""


@dataclass(eq=False, slots=True)
class Subscription:
    """One sid of one client: a channel, its markets (none means all), and the last sequence number sent."""

    session: "Session"
    sid: int
    channel: str
    use_yes_price: bool
    tickers: dict[str, None] = field(default_factory=dict)
    last: int = 0

    @property
    def sequenced(self) -> bool:
        """Whether the frames of this channel carry ``seq``."""
        return CHANNELS[self.channel].sequenced

    def advance(self, step: int = 1) -> int:
        """Take the next sequence number, ``step`` after the last one."""
        self.last = max(1, self.last + step)
        return self.last


class Switchboard:
    """Which subscriptions watch a market on a channel."""

    def __init__(self) -> None:
        self._watching: dict[tuple[str, str], dict[Subscription, None]] = {}

    def watch(self, subscription: Subscription, ticker: str) -> None:
        """Note that a subscription gets a market's frames."""
        subscription.tickers[ticker] = None
        self._watching.setdefault((subscription.channel, ticker), {})[subscription] = None

    def watch_all(self, subscription: Subscription) -> None:
        """Note that a subscription gets every market's frames."""
        self._watching.setdefault((subscription.channel, ALL), {})[subscription] = None

    def unwatch(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Take markets off a subscription; what is not on it is passed over."""
        for ticker in list(tickers):
            subscription.tickers.pop(ticker, None)
            self._watching.get((subscription.channel, ticker), {}).pop(subscription, None)

    def drop(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        self.unwatch(subscription, subscription.tickers)
        self._watching.get((subscription.channel, ALL), {}).pop(subscription, None)

    def watching(self, channel: str, ticker: str = ALL) -> list[Subscription]:
        """The subscriptions that get a market's frames on a channel, each once."""
        chosen = self._watching.get((channel, ticker), {})
        return list(chosen | self._watching.get((channel, ALL), {}))


class Publisher:
    """Sends frames about markets to the subscriptions that watch them.

    Args:
        books: the canonical books, by ticker.
        now: the time as the venue's own clock shows it, ns.
        stamped_deltas: deltas carry the optional times.
    """

    def __init__(
        self, books: Mapping[str, KalshiBook], faults: FaultPanel, now: Callable[[], int], *, stamped_deltas: bool
    ) -> None:
        self.board = Switchboard()
        self._books = books
        self._faults = faults
        self._now = now
        self._stamped_deltas = stamped_deltas

    def frozen(self, ticker: str) -> bool:
        """Whether a market's frames are held back, so that they take no sequence number either."""
        return ticker != ALL and self._faults.strikes(FaultName.FREEZE_MARKET, ticker) is not None

    def gap(self, *markets: str) -> int:
        """How many sequence numbers are skipped before the next frame about these markets."""
        return 1 if self._faults.strikes(FaultName.GAP, *markets) else 0

    def send(self, subscription: Subscription, kind: str, message: dict[str, Any], ticker: str = ALL) -> None:
        """Send one subscription one frame, numbered where its channel is."""
        markets = (ticker,) if ticker != ALL else ()
        frame: dict[str, Any] = {"type": kind, "sid": subscription.sid}
        if subscription.sequenced:
            frame["seq"] = subscription.advance(1 + self.gap(*markets))
        frame["msg"] = message
        subscription.session.send(subscription, msgspec.json.encode(frame).decode(), markets)

    def broadcast(self, channel: str, kind: str, message: dict[str, Any], ticker: str = ALL) -> None:
        """Send a frame to everyone who watches a market on a channel."""
        watching = self.board.watching(channel, ticker)
        if watching and not self.frozen(ticker):
            for subscription in watching:
                self.send(subscription, kind, message, ticker)

    def snapshot(self, subscription: Subscription, ticker: str, *, first: bool = False) -> None:
        """Send the canonical book of a market; ``first`` is the one that opens a subscription, which may not come."""
        missing = first and self._faults.strikes(FaultName.NO_FIRST_BOOK, ticker)
        if not missing and not self.frozen(ticker):
            message = messages.snapshot(self._books[ticker], use_yes_price=subscription.use_yes_price)
            self.send(subscription, "orderbook_snapshot", message, ticker)

    def delta(self, change: LevelChange, named: Named) -> None:
        """Send a level's change to everyone who watches the book, in the legs each asked for."""
        watching = self.board.watching(BOOK, change.market)
        if not watching or self.frozen(change.market):
            return
        book, stamp_ns = self._books[change.market], self._now() if self._stamped_deltas else None
        plain, turned = (messages.delta(book, change, stamp_ns, use_yes_price=flag) for flag in (False, True))
        for subscription in watching:
            message = turned if subscription.use_yes_price else plain
            own = named(change.caused_by, subscription.session.owner)
            self.send(subscription, BOOK, message | own, change.market)

    def ticker(self, market: ListedMarket, *watching: Subscription) -> None:
        """Send a market's ticker frame to these subscriptions, or to everyone who watches it."""
        chosen = watching or self.board.watching(TICKER, market.ticker)
        if chosen and not self.frozen(market.ticker):
            message = messages.ticker_message(market, self._books[market.ticker], self._now())
            for subscription in chosen:
                self.send(subscription, TICKER, message, market.ticker)
