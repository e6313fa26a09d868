"""What came of what was said to Kalshi. It decides nothing about a ladder.

Whether a market is on a subscription is known from the answer to the command that put it there, or from its snapshot.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from producers.books import Receipt
from producers.kalshi import commands, wire
from producers.kalshi.asking import HASTE_NS, Asking
from producers.kalshi.book import MarketBook
from producers.kalshi.commands import Command
from producers.kalshi.dialogue import Dialogue, seen
from producers.kalshi.messages import BOOKS, TRADES, Acknowledged, Refused, Snapshot, Subscribed
from producers.kalshi.proof import Sent
from producers.kalshi.speaker import Speaker
from producers.kalshi.subscriptions import Subscription
from runtime import logs, metrics

REFUSED_NS: Final = 60_000_000_000
"""A market that the venue will not have is asked for again after this."""


class Answers:
    """Takes in what was sent, and what was answered."""

    def __init__(self, books: Mapping[str, MarketBook], dialogue: Dialogue, speaker: Speaker) -> None:
        self._books = books
        self._dialogue = dialogue
        self._speaker = speaker
        self._log = logs.get(venue="kalshi")

    def sent(self, receipt: Receipt, text: str) -> None:
        """A command is on its way."""
        dialogue = self._dialogue
        try:
            command = commands.read(text)
        except msgspec.MsgspecError:
            return  # none of ours: its answer will be passed over
        ns, markets, action = receipt.response_ns, command.params.market_tickers, command.params.action
        subscription = dialogue.subscriptions.of(command.sid)
        there = subscription.markets.keys() if subscription is not None else set()
        probe = action == commands.ADD and there >= set(markets)
        dialogue.prover.sent(Sent(command, ns, probe))
        if command.channel == BOOKS:
            dialogue.yes_price = bool(command.params.use_yes_price)
        if probe or action == commands.DELETE:
            return
        if action == commands.SNAPSHOT:
            dialogue.requested.update(markets)
        channel = command.channel or dialogue.channel_of(command.sid)
        dialogue.asking(channel).asked(markets or (channel,), ns, joining=action != commands.SNAPSHOT)

    def subscribed(self, message: Subscribed, ns: int) -> None:
        """A subscription is there; a known one may go on or begin to count anew."""
        dialogue = self._dialogue
        sent = dialogue.prover.take(message.command)
        dialogue.prover.answered()
        known = dialogue.subscriptions.of(message.opened)
        if known is not None:
            known.sequence.reopen()
            seen("subscribing again", "subscribed, same sid")
        elif dialogue.subscriptions.on(message.channel):
            seen("subscribing again", "subscribed, another sid")
        dialogue.channels.came(message.channel)
        subscription = dialogue.subscriptions.open(message.opened, message.channel)
        if sent is not None:
            self._joined(subscription, sent.command.params.market_tickers, ns)

    def acknowledged(self, message: Acknowledged, subscription: Subscription | None, ns: int) -> None:
        """A command was carried out."""
        dialogue = self._dialogue
        sent = dialogue.prover.take(message.command)
        if sent is None:
            if subscription is not None:
                subscription.markets |= {market: None for market in message.markets if market in self._books}
            metrics.FRAMES_IGNORED.labels("kalshi", "unasked answer").inc()
            return
        dialogue.prover.answered()
        command = sent.command
        if command.channel:
            seen("subscribing again", "ok")
            dialogue.channels.came(command.channel)
            if subscription is None and message.sid:
                subscription = dialogue.subscriptions.open(message.sid, command.channel)
        subscription = dialogue.subscriptions.of(command.sid) or subscription
        if subscription is None:
            return
        dialogue.prover.acknowledged(subscription, message.sid, message.seq, sent)
        if not sent.probe and command.params.action in ("", commands.ADD):
            self._joined(subscription, command.params.market_tickers, ns)

    def refused(self, message: Refused, ns: int) -> tuple[Subscription | None, str]:
        """A command was refused, or a subscription ended: that one is returned, and gone.

        The text says why the connection must be made again: an end that names nothing could be anyone's.
        """
        dialogue = self._dialogue
        sent = dialogue.prover.take(message.command)
        dialogue.prover.answered()
        command = sent.command if sent is not None else Command(id=0, cmd="")
        sid = message.sid or command.sid
        scope = "sid" if message.sid else "command" if sent is not None else "nothing"
        seen("error names", f"{scope} and markets" if message.markets else scope)
        self._log.warning("venue error", code=message.code, text=message.text, sid=sid, cmd=command.cmd)
        asking = dialogue.asking(command.channel or dialogue.channel_of(sid))
        if message.code in wire.TERMINAL_ERRORS or message.code == wire.UNKNOWN_SID:
            ended, markets = self._end(sid, command.channel), command.params.market_tickers or (command.channel,)
            if ended is None and not command.channel:
                asking.postponed(markets, ns)  # of a subscription that was known to have ended
            else:
                asking.refused(markets, asking.pause(ns))
            if message.code == wire.OVERFLOW:
                asking.smaller(lasting=True)
            anyone = message.code in wire.TERMINAL_ERRORS and scope == "nothing"
            return ended, f"code {message.code} ({message.text}) names no subscription" if anyone else ""
        if sent is not None:
            self._postpone(asking, message, command, ns)
        return None, ""

    def came(self, message: Snapshot, subscription: Subscription, ns: int) -> int:
        """A followed market's book came whole; returns the moment that it proves."""
        dialogue, market = self._dialogue, message.market
        asked_ns = dialogue.books.came(market)
        sent = dialogue.prover.find(message.command) if message.command else None
        if sent is not None:
            asked_ns = sent.ns
        dialogue.seen_ns[market] = ns
        if market in dialogue.requested:
            seen("snapshot names command", "yes" if message.command else "no")
            dialogue.requested.discard(market)
            dialogue.prover.snapshot(subscription, asked_ns)
        elif asked_ns:
            dialogue.prover.answered()
            subscription.proof.renew(asked_ns)
        # What comes after an answer in its sequence was sent after that answer's question.
        return max(asked_ns, subscription.proof.ns) or ns

    def _joined(self, subscription: Subscription, markets: Iterable[str], ns: int) -> None:
        """Markets are on a subscription; those that are followed no more are taken off again."""
        for market in markets:
            if market not in self._books:
                self._speaker.delete(subscription, market)
                continue
            subscription.markets[market] = None
            if subscription.channel == TRADES:
                self._dialogue.trades.came(market)
        if subscription.channel == BOOKS:
            self._dialogue.books.promised(markets, ns)

    def _end(self, sid: int, channel: str) -> Subscription | None:
        """The subscription that an error ended: the one it names, or the one its command was to add to."""
        dialogue = self._dialogue
        subscription = dialogue.subscriptions.of(sid) if sid else None
        if subscription is None and channel:
            subscription = next(iter(dialogue.subscriptions.on(channel)), None)
        if subscription is not None:
            dialogue.subscriptions.end(subscription)
            if subscription.channel == TRADES:
                for market in subscription.markets:
                    dialogue.trades.want(market)
            elif subscription.channel != BOOKS:
                dialogue.channels.want(subscription.channel)
        return subscription

    def _postpone(self, asking: Asking, message: Refused, command: Command, ns: int) -> None:
        """A command was refused and nothing else is lost: it is sent again later, smaller where that can help."""
        markets = command.params.market_tickers or (command.channel,)
        if message.code == wire.TOO_MANY_COMMANDS:
            asking.refused(markets, asking.pause(ns))
            return
        if message.markets:
            asking.refused(message.markets, ns + REFUSED_NS)
            return
        unwanted = message.code in (wire.INVALID_PARAMETER, wire.TOO_MANY_MARKETS)
        if len(markets) == 1 and (unwanted or asking is not self._dialogue.books):
            asking.refused(markets, ns + REFUSED_NS)
            return
        asking.postponed(markets, ns + (HASTE_NS if unwanted else self._dialogue.patience_ns))
        if unwanted:  # which of them it was is not said
            asking.smaller(lasting=message.code == wire.TOO_MANY_MARKETS)
