"""The proof that Kalshi's books are current: a command that changes nothing, answered in its subscription's sequence.

A pong only proves the connection. So every `reconcile_ms` each subscription is asked to add a market that it has. Its
`ok` carries the subscription's next number: the subscription lives, and what it sent before the answer has been handled
without a gap, so its books were current when the command was sent. Source: the venue's AsyncAPI document, `ok` frames.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from websockets.asyncio.client import ClientConnection

from producers.kalshi import wire
from producers.kalshi.book import MarketBook, Subscription
from producers.line import FeedLost, WebsocketLine
from runtime import metrics

ANSWER_TIMEOUT_S: Final = 10.0
"""The venue's own ping interval; a pong or an answer that takes longer means a dead connection."""


class Probe(NamedTuple):
    """A question under way: whom it was put to, and when."""

    subscription: Subscription
    sent_ns: int


class Prover:
    """Renews the proofs of one connection's subscriptions.

    The documentation implies, but does not say, that an `ok` is numbered. On a connection where one comes without sid
    or number, the pong is the proof again.
    """

    def __init__(
        self,
        line: WebsocketLine[MarketBook],
        subscriptions: Mapping[int, Subscription],
        ask: Callable[[Subscription, str], int],
    ) -> None:
        """`ask(subscription, market)` sends the command and returns its number."""
        self._line = line
        self._subscriptions = subscriptions
        self._ask = ask
        self._numbered = True
        self._rounds = 0
        self._under_way: dict[int, Probe] = {}
        self._answered = asyncio.Event()

    async def run(self, socket: ClientConnection) -> None:
        """Prove the books every `reconcile_ms`; raises FeedLost when the venue does not answer."""
        tools = self._line.tools
        while True:
            await asyncio.sleep(tools.settings.reconcile_ms / 1000)
            sent_ns = tools.now()
            if self._numbered:
                self._probe(sent_ns)
            await self._pong(socket)
            await self._answers()
            if not self._numbered:
                await self._line.drained()
                for subscription in self._subscriptions.values():
                    self._renew(subscription, sent_ns, "pong")

    def acknowledged(self, message: wire.Acknowledged) -> None:
        """A command was answered, in its turn; perhaps one of these."""
        probe = self._take(message.command)
        if probe is None:
            return
        if not (message.sid and message.seq):
            if self._numbered:
                self._line.log.warning("answers carry no sequence: the pong is the proof", sid=probe.subscription.sid)
            self._numbered = False
            metrics.SUBSCRIPTION_PROOFS.labels(self._line.tools.venue, "unnumbered").inc()
        elif message.sid == probe.subscription.sid:
            self._renew(probe.subscription, probe.sent_ns, "numbered")

    def refused(self, message: wire.Refused) -> int:
        """A command was refused: that proves nothing. Returns the sid it was about, 0 when it was not one of these."""
        probe = self._take(message.command)
        return probe.subscription.sid if probe is not None else 0

    def forget(self, subscription: Subscription) -> None:
        """A subscription is lost or missed something: what it was asked before proves nothing."""
        for command in [command for command, probe in self._under_way.items() if probe.subscription is subscription]:
            self._take(command)

    def _probe(self, now_ns: int) -> None:
        """Ask every subscription that carries books, about each of its markets in turn."""
        for subscription in self._subscriptions.values():
            markets = sorted(subscription.markets)
            if markets:
                command = self._ask(subscription, markets[self._rounds % len(markets)])
                self._under_way[command] = Probe(subscription, now_ns)
        self._rounds += 1

    def _take(self, command: int) -> Probe | None:
        probe = self._under_way.pop(command, None)
        self._answered.set()
        return probe

    def _renew(self, subscription: Subscription, ns: int, form: str) -> None:
        subscription.proof.renew(ns)
        metrics.SUBSCRIPTION_PROOFS.labels(self._line.tools.venue, form).inc()

    async def _pong(self, socket: ClientConnection) -> None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await (await socket.ping())
        except TimeoutError:
            raise FeedLost(f"no pong within {ANSWER_TIMEOUT_S:g} s") from None

    async def _answers(self) -> None:
        """Wait for what is under way. An answer that lies unread, because Kafka holds the reader up, is not missing."""
        while self._under_way:
            self._answered.clear()
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    await self._answered.wait()
            except TimeoutError:
                if self._line.idle and self._under_way:
                    sids = sorted(probe.subscription.sid for probe in self._under_way.values())
                    raise FeedLost(f"no answer from subscription {sids} within {ANSWER_TIMEOUT_S:g} s") from None
                await self._line.drained()
