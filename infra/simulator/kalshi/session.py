"""One client connection of the Kalshi simulator: its subscriptions, its send queue, what is said to it."""

from typing import Any

import msgspec

from infra.simulator.faults import Fault, FaultName
from infra.simulator.kalshi.commands import Commands
from infra.simulator.kalshi.params import CommandError
from infra.simulator.kalshi.publisher import Subscription
from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.outbox import Outbox

MARKETS_PER_SUBSCRIPTION = 10_000


class Session:
    """A connected client. ``outbox`` is drained by whoever owns the socket.

    Args:
        market_limit: how many markets one subscription may have (error 26); the venue does not publish its own.
        owner: the API key it signed with; None when nobody looked, empty when it did not sign, which private channels
            refuse.
    """

    def __init__(
        self,
        venue: KalshiVenue,
        outbox: Outbox,
        market_limit: int = MARKETS_PER_SUBSCRIPTION,
        owner: str | None = None,
    ) -> None:
        self.venue = venue
        self.outbox = outbox
        self.owner = owner
        self.market_limit = market_limit
        self.subscriptions: dict[int, Subscription] = {}
        self._commands = Commands(self)
        venue.sessions[self] = None

    def close(self) -> None:
        """Forget the client and everything it subscribed to."""
        for subscription in self.subscriptions.values():
            self.venue.publisher.board.drop(subscription)
        self.subscriptions.clear()
        self.venue.sessions.pop(self, None)
        self.outbox.close()

    def handle(self, text: str | bytes) -> None:
        """Carry out one command; everything wrong with it is answered by an error frame."""
        self.venue.step()
        self._commands.handle(text)

    def send(self, subscription: Subscription, text: str, markets: tuple[str, ...] = ()) -> None:
        """Queue a frame of a subscription; a full queue ends that subscription with error 25."""
        if self.holds(subscription) and not self.outbox.offer(text, markets):
            self._fail(subscription, 25, "Subscription buffer overflow")

    def holds(self, subscription: Subscription) -> bool:
        """Whether a subscription is still alive."""
        return self.subscriptions.get(subscription.sid) is subscription

    def end(self, subscription: Subscription) -> None:
        """A subscription is no more."""
        self.subscriptions.pop(subscription.sid, None)
        self.venue.publisher.board.drop(subscription)

    def suffer(self, fault: Fault) -> None:
        """End the subscriptions that a terminal fault strikes, with error 10 or 25; its detail may name a channel."""
        overflow = fault.name is FaultName.OVERFLOW
        code, text = (25, "Subscription buffer overflow") if overflow else (10, "Channel error")
        for subscription in list(self.subscriptions.values()):
            chosen = fault.detail in ("", subscription.channel) and fault.concerns(subscription.tickers)
            if chosen and self.venue.faults.random.random() < fault.share:
                self._fail(subscription, code, text)

    def _fail(self, subscription: Subscription, code: int, text: str) -> None:
        """Tell the end of a subscription, whatever the queue's limit."""
        self.end(subscription)
        frame = {"type": "error", **self.scope(subscription), "msg": {"code": code, "msg": text}}
        self.outbox.force(_encode(frame))

    def reply(self, identifier: int, kind: str, subscription: Subscription | None = None, message: Any = None) -> None:
        """Queue a reply; a client that sends commands and reads nothing is cut."""
        frame: dict[str, Any] = {"id": identifier} if identifier else {}
        frame |= self.scope(subscription) if subscription is not None else {}
        frame["type"] = kind
        if message is not None:
            frame["msg"] = message
        if not self.outbox.offer(_encode(frame)):
            self.outbox.close()

    def refuse(self, identifier: int, error: CommandError) -> None:
        """Queue an error frame; one about a subscription is scoped to it."""
        message: dict[str, Any] = {"code": error.code, "msg": error.text}
        if error.ticker and self.venue.options.errors_name_markets:
            message["market_ticker"] = error.ticker
        self.reply(identifier, "error", error.subscription, message)

    def scope(self, subscription: Subscription) -> dict[str, int]:
        """``sid``, and on sequenced channels the ``seq`` that a scoped reply takes, unless replies are unnumbered."""
        numbered = subscription.sequenced and self.venue.options.numbered_replies
        return {"sid": subscription.sid} | ({"seq": subscription.advance()} if numbered else {})


def _encode(frame: dict[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()
