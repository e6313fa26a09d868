"""The proof that Kalshi's books are current: what is asked on a subscription and answered in its sequence.

A pong only proves the connection, and a message may have been under way for long. So each subscription is asked again
and again to add a market that it has. Its `ok` carries the subscription's next number: the subscription lives, and what
it sent before the answer has been handled without a gap, so its books were current when the command was sent. A
snapshot that was asked for proves the same. Sources: the venue's AsyncAPI document, `ok` and `orderbook_snapshot`.
"""

from dataclasses import dataclass
from typing import Final

from producers.kalshi.commands import Command
from producers.kalshi.subscriptions import Subscription
from runtime import metrics

ANSWER_TIMEOUT_NS: Final = 10_000_000_000
"""The venue's own ping interval; a connection on which nothing is answered for longer is dead."""

COMMANDS_KEPT: Final = 512
"""Answers can be lost; as many commands are remembered."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that was sent; `probe` when it asks for nothing but its answer."""

    command: Command
    ns: int
    probe: bool = False


class Prover:
    """The commands under way on one connection, what their answers prove, and for how long nothing was answered.

    The documentation implies, but does not say, that an `ok` is numbered. One without a number says less: that the
    venue has taken in what it was sent. It is believed all the same, being more than a pong, and counted by itself.
    """

    def __init__(self, interval_ns: int) -> None:
        self.snapshots = False
        self.round = 0
        self._interval_ns = interval_ns
        self._latest_ns = 0
        self._waiting_ns = 0
        self._sent: dict[int, Sent] = {}

    def begin(self, now_ns: int) -> None:
        """The connection is up: the first question is due an interval later."""
        self._latest_ns = now_ns

    def due(self, now_ns: int) -> bool:
        """True once every interval."""
        if now_ns - self._latest_ns < self._interval_ns:
            return False
        self._latest_ns = now_ns
        self.round += 1
        return True

    def silent(self, now_ns: int) -> bool:
        """True when what was asked has long been unanswered, and nothing else was answered meanwhile."""
        return bool(self._waiting_ns) and now_ns - self._waiting_ns > ANSWER_TIMEOUT_NS

    def sent(self, sent: Sent) -> None:
        """A command is on its way."""
        self._waiting_ns = self._waiting_ns or sent.ns
        self._sent[sent.command.id] = sent
        if len(self._sent) > COMMANDS_KEPT:
            del self._sent[next(iter(self._sent))]

    def find(self, number: int) -> Sent | None:
        """A command that may yet be answered again: a request for several books is answered by each."""
        return self._sent.get(number)

    def take(self, number: int) -> Sent | None:
        """The command that was answered, once."""
        return self._sent.pop(number, None)

    def answered(self) -> None:
        """The venue answers."""
        self._waiting_ns = 0

    def acknowledged(self, subscription: Subscription, sid: int, seq: int, sent: Sent) -> None:
        """An `ok` came, in its turn where it has one. It proves the command's subscription as of the sending."""
        if sid in (0, subscription.sid):
            subscription.proof.renew(sent.ns)
            _count("numbered" if sid and seq else "unnumbered")

    def snapshot(self, subscription: Subscription, asked_ns: int) -> None:
        """A book came that was asked for; `asked_ns` is 0 when it came once more."""
        self.answered()
        self.snapshots = True
        subscription.proof.renew(asked_ns)
        _count("snapshot")


def _count(form: str) -> None:
    metrics.SUBSCRIPTION_PROOFS.labels("kalshi", form).inc()
