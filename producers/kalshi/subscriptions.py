"""The subscriptions of one Kalshi connection."""

from collections.abc import Iterator

from producers.books import Proof
from producers.kalshi.sequence import SequenceCheck


class Subscription:
    """One sid of one connection: its sequence, the markets on it, and the proof that their books share."""

    def __init__(self, sid: int, channel: str) -> None:
        self.sid = sid
        self.channel = channel
        self.sequence = SequenceCheck()
        self.proof = Proof()
        self.markets: dict[str, None] = {}


class Subscriptions:
    """Those that live, and the sids of those that ended: what still comes of these is passed over."""

    def __init__(self) -> None:
        self._alive: dict[int, Subscription] = {}
        self._ended: set[int] = set()

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._alive.values()))

    def of(self, sid: int) -> Subscription | None:
        """The subscription of a sid; None when there is none, or none any more."""
        return self._alive.get(sid)

    def ended(self, sid: int) -> bool:
        """True when a sid's subscription has ended."""
        return sid in self._ended

    def open(self, sid: int, channel: str) -> Subscription:
        """The subscription of a sid, new where there is none."""
        self._ended.discard(sid)
        return self._alive.setdefault(sid, Subscription(sid, channel))

    def end(self, subscription: Subscription) -> None:
        """A subscription is over."""
        self._alive.pop(subscription.sid, None)
        self._ended.add(subscription.sid)

    def on(self, channel: str) -> list[Subscription]:
        """Those of a channel, the newest last; the venue keeps one."""
        return [subscription for subscription in self._alive.values() if subscription.channel == channel]

    def carrying(self, channel: str, market: str) -> Subscription | None:
        """The newest subscription of a channel that a market is on."""
        return next((one for one in reversed(self.on(channel)) if market in one.markets), None)

    def leave(self, market: str) -> list[Subscription]:
        """Take a market off every subscription; returns those that it was on."""
        left = [one for one in self._alive.values() if market in one.markets]
        for subscription in left:
            del subscription.markets[market]
        return left
