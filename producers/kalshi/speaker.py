"""What is said to Kalshi, and when. It decides nothing about a ladder."""

from collections.abc import Iterable, Mapping
from typing import Final

from producers.kalshi import commands
from producers.kalshi.asking import HASTE_NS
from producers.kalshi.book import MarketBook
from producers.kalshi.commands import Command
from producers.kalshi.dialogue import Dialogue
from producers.kalshi.messages import BOOKS, COMBO_LIFECYCLE, COMBO_PREFIX, LIFECYCLE, TRADES
from producers.kalshi.subscriptions import Subscription
from producers.session import Host
from runtime import logs

NO_ANSWERS: Final = "nothing is answered"
NO_BOOKS: Final = "books do not come"
MUTE_CONNECTIONS: Final = 3
"""A venue that on so many connections has not sent one book that it was asked for is taken not to know the question."""


class Speaker:
    """Sends the commands of one connection. What they come to is noted only when they are `sent`."""

    def __init__(
        self,
        host: Host,
        books: Mapping[str, MarketBook],
        dialogue: Dialogue,
        *,
        overdue_ns: int,
        use_yes_price: bool,
        audit_markets: int,
    ) -> None:
        """Twice within `overdue_ns` the books of groups, and `audit_markets` of the others, are asked for whole; 0 for
        none at all.
        """
        self._host = host
        self._books = books
        self._dialogue = dialogue
        self._overdue_ns = overdue_ns
        self._use_yes_price = use_yes_price
        self._audit_markets = audit_markets
        self._audits: list[str] = []
        self._number = 0
        self._answered = False
        self._mute = 0
        self._given_up = False
        self._log = logs.get(venue="kalshi")

    # What is wanted

    def opened(self, now_ns: int) -> None:
        """Ask for everything."""
        self._audits.clear()
        self._given_up = False
        self._dialogue.prover.begin(now_ns)
        self._dialogue.channels.want(LIFECYCLE)
        self.followed(self._books, now_ns)

    def followed(self, markets: Iterable[str], now_ns: int) -> None:
        """These markets are followed from now on; those of groups come first."""
        dialogue, named = self._dialogue, list(markets)
        for market in sorted(named, key=lambda market: not self._books[market].published.group):
            dialogue.books.want(market)
            dialogue.trades.want(market)
        combos = any(market.startswith(COMBO_PREFIX) for market in named)
        if combos and not dialogue.subscriptions.on(COMBO_LIFECYCLE):
            dialogue.channels.want(COMBO_LIFECYCLE)
        self.speak(now_ns)

    def unfollowed(self, market: str) -> None:
        """A market is followed no more."""
        self._dialogue.leave(market)
        for subscription in self._dialogue.subscriptions.leave(market):
            self.delete(subscription, market)

    def delete(self, subscription: Subscription, market: str) -> None:
        """Take a market off a subscription."""
        self._send(commands.update(self._next(), subscription.sid, commands.DELETE, [market]))

    def missed(self, markets: Iterable[str], not_before_ns: int = 0) -> None:
        """The books of these markets are wanted whole again."""
        for market in markets:
            self._dialogue.books.want(market, not_before_ns)

    def heal(self, ns: int) -> None:
        """Messages were lost, perhaps what is under way as well: ask for what is missing."""
        self._dialogue.books.lost(ns)
        self.speak(ns)

    # What time brings

    def tick(self, now_ns: int) -> None:
        """Time passed: ask for what is due, and for proof."""
        dialogue = self._dialogue
        self.speak(now_ns)
        if not dialogue.prover.due(now_ns):
            return
        if not dialogue.books.paused(now_ns):
            self._probe()
        if self._audit_markets:
            self._audits = self._plan_audits(now_ns - HASTE_NS)
            self.speak(now_ns)

    def speak(self, now_ns: int) -> None:
        """Send what is due: at most one portion on each channel."""
        books, trades, channels = self._dialogue.books, self._dialogue.trades, self._dialogue.channels
        if channels.missing and channels.ready(now_ns):
            for channel in channels.due(now_ns)[:1]:
                self._send(commands.subscribe(self._next(), channel))
        if (books.missing or self._audits) and books.ready(now_ns):
            due = books.due(now_ns)
            if due:
                self._ask_books(due, books.portion)
            else:
                self._ask_audits(books.portion)
        if trades.missing and trades.ready(now_ns):
            self._join(TRADES, trades.due(now_ns)[: trades.portion])

    def unsent(self, now_ns: int) -> list[str]:
        """Markets whose books were asked for, to compare them, and did not come."""
        overdue = self._dialogue.books.overdue(now_ns)
        self._answered = self._answered or self._dialogue.prover.snapshots
        if overdue and not self._answered and self._mute >= MUTE_CONNECTIONS:
            self._dialogue.books.refused(overdue, now_ns)  # this venue answers no such question
            return []
        return overdue

    def give_up(self, now_ns: int) -> str:
        """Why there is nothing more to be had from this connection, once; empty while there is."""
        if self._given_up:
            return ""
        problem = self._problem(now_ns)
        self._given_up = bool(problem)
        if problem == NO_BOOKS and not self._answered:
            self._mute += 1
            if self._mute == MUTE_CONNECTIONS:
                self._log.warning("no book that was asked for has ever come: books are not compared")
        return problem

    def _problem(self, now_ns: int) -> str:
        if self._dialogue.prover.silent(now_ns):
            return NO_ANSWERS
        missing = self._dialogue.books.hopeless(now_ns - 2 * self._overdue_ns)
        carried = sum(not self._dialogue.closed(market) for market in self._books)
        return NO_BOOKS if missing and 2 * missing >= carried else ""

    # How it is said

    def _ask_books(self, due: list[str], portion: int) -> None:
        """Ask for the first due market, and for others in the same way."""
        subscriptions = self._dialogue.subscriptions
        subscription = subscriptions.carrying(BOOKS, due[0])
        if subscription is None:
            self._join(BOOKS, [market for market in due if subscriptions.carrying(BOOKS, market) is None][:portion])
        else:
            self._ask_whole(subscription, [market for market in due if market in subscription.markets][:portion])

    def _join(self, channel: str, markets: list[str]) -> None:
        """Put markets on the channel's subscription; open one where there is none."""
        if not markets:
            return
        present = self._dialogue.subscriptions.on(channel)
        if present:
            self._send(commands.update(self._next(), present[-1].sid, commands.ADD, markets))
        else:
            self._send(commands.subscribe(self._next(), channel, markets, use_yes_price=self._use_yes_price))

    def _ask_whole(self, subscription: Subscription, markets: list[str]) -> None:
        self._send(commands.update(self._next(), subscription.sid, commands.SNAPSHOT, markets))

    def _probe(self) -> None:
        """Ask each subscription of books for a market that it has: another one every time."""
        for subscription in self._dialogue.subscriptions.on(BOOKS):
            markets = list(subscription.markets)
            if markets:
                market = markets[self._dialogue.prover.round % len(markets)]
                self._send(commands.probe(self._next(), subscription.sid, market))

    def _plan_audits(self, before_ns: int) -> list[str]:
        """Whole books to compare, but those seen since: all of groups, some of the others."""
        dialogue = self._dialogue
        there = [
            market
            for subscription in dialogue.subscriptions.on(BOOKS)
            for market in subscription.markets
            if market not in dialogue.books.missing
            and not dialogue.closed(market)
            and dialogue.seen_ns.get(market, 0) <= before_ns
        ]
        there.sort(key=lambda market: dialogue.seen_ns.get(market, 0))
        others = [market for market in there if not self._books[market].published.group]
        return [*(market for market in there if self._books[market].published.group), *others[: self._audit_markets]]

    def _ask_audits(self, portion: int) -> None:
        """Ask for the first books to compare that are still on a subscription."""
        while self._audits:
            subscription = self._dialogue.subscriptions.carrying(BOOKS, self._audits[0])
            if subscription is not None:
                chosen = [market for market in self._audits if market in subscription.markets][:portion]
                self._audits = [market for market in self._audits if market not in set(chosen)]
                self._ask_whole(subscription, chosen)
                return
            del self._audits[0]

    def _send(self, command: Command) -> None:
        self._host.send(command.text())

    def _next(self) -> int:
        self._number += 1
        return self._number
