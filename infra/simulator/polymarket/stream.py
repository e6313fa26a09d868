"""What Polymarket's market channel says when the matching engine moves a book.

The engine's events of one market wait until the loop is free again (some of them a little longer) and then go out
together: so a trade is known when the change before it is hashed, as on the venue.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha1
from random import Random
from typing import TYPE_CHECKING
from zlib import crc32

from infra.simulator.engine import EngineTrade, LevelChange
from infra.simulator.exchange import ONE_DOLLAR, plain_price, plain_size
from infra.simulator.faults import MILLISECOND
from infra.simulator.polymarket import messages
from infra.simulator.polymarket.market import Market
from infra.simulator.polymarket.messages import OrderSide, Print

if TYPE_CHECKING:
    from infra.simulator.polymarket.venue import PolymarketVenue

OPPOSITE: dict[OrderSide, OrderSide] = {"BUY": "SELL", "SELL": "BUY"}
FINEST_TICK = "0.0001"


class Stream:
    """Books follow the engine here, and only here; each flush publishes what it applies."""

    def __init__(self, venue: "PolymarketVenue") -> None:
        self._venue = venue
        self._options = venue.options
        self._random = Random(f"{venue.options.seed}:stream")  # noqa: S311 - choices that a seed repeats
        self._waiting: dict[str, list[LevelChange | EngineTrade]] = {}
        self._told_ns: dict[str, int] = {}

    def note(self, event: LevelChange | EngineTrade) -> None:
        """Take an event of the engine."""
        waiting = self._waiting.get(event.market)
        if waiting is None:
            waiting = self._waiting[event.market] = []
            self._venue.later(self._patience_ns(), lambda: self.flush(event.market))
        waiting.append(event)

    def forget(self, market_id: str) -> None:
        """Drop what waits for a market that is gone."""
        self._waiting.pop(market_id, None)
        self._told_ns.pop(market_id, None)

    def flush(self, market_id: str) -> None:
        """Apply and publish everything that waits for a market."""
        events = self._waiting.pop(market_id, [])
        market = self._venue.markets.get(market_id)
        if not events or market is None:
            return
        self._venue.keep(market)
        prints = self._prints(market, [event for event in events if isinstance(event, EngineTrade)])
        if prints:
            market.facts = replace(market.facts, last_trade_price=self._last_price(market, prints[-1]))
        market.timestamp = str(self._stamp_ms(events[-1].ns))
        touch = market.book(market.yes).best()
        found = self._changes(market, [event for event in events if isinstance(event, LevelChange)])
        if prints:
            found += [messages.refresh(market, token) for token in market.listing.tokens]
        self._publish(market, found)
        if prints:
            self._venue.later(self._lag_ns(market_id), lambda: self._tell(market, prints))
        if market.book(market.yes).best() != touch:
            self._tell_touch(market)
        self._venue.life.watch_price(market)

    def apply(self, market: Market, change: LevelChange) -> tuple[messages.Event, messages.Event]:
        """Put a change into both token books; returns the legs that tell it, YES first, without hashes."""
        side: OrderSide = "BUY" if change.side == "bid" else "SELL"
        size = self._size(change)
        yes, no = market.listing.tokens
        price, mirrored = plain_price(change.price), plain_price(ONE_DOLLAR - change.price)
        market.books[yes].change(side, price, size)
        market.books[no].change(OPPOSITE[side], mirrored, size)
        return (
            messages.change_entry(market, yes, side, price, size),
            messages.change_entry(market, no, OPPOSITE[side], mirrored, size),
        )

    def send(self, market: Market, events: list[messages.Event], *, together: bool = False) -> None:
        """Send a market's events to whoever watches what they concern, as one array or one by one."""
        names = (market.listing.condition_id,)
        texts = [messages.encode(event) for event in events]
        for session in self._venue.audience.of(market.listing.tokens):
            wanted = [
                (event, text)
                for event, text in zip(events, texts, strict=True)
                if event.get("asset_id", market.yes) in session.tokens or "asset_id" not in event
            ]
            if together and wanted:
                session.send(messages.encode([event for event, _ in wanted]), names)
            else:
                for _, text in wanted:
                    session.send(text, names)

    # Changes

    def _changes(self, market: Market, changes: list[LevelChange]) -> list[messages.Event]:
        """The messages about these changes: one for all of them, or one each."""
        shared = len(changes) > 1 and self._random.random() < 1 / 2
        each = not shared or self._options.batch_hashes == "each"
        reverse = self._random.random() < 1 / 4
        found: list[messages.Event] = []
        entries: list[messages.Event] = []
        for change in changes:
            legs = self.apply(market, change)
            if each:
                self._hash(market, change, legs)
            entries += reversed(legs) if reverse else legs
            if not shared:
                found.append(messages.price_change(market, entries))
                entries = []
        if entries and not each:
            self._hash(market, changes[-1], entries)
        return found + ([messages.price_change(market, entries)] if entries else [])

    def _hash(self, market: Market, change: LevelChange, legs: Sequence[messages.Event]) -> None:
        """Give legs the hash of their token's book as it stands now."""
        digests = {leg["asset_id"]: "" for leg in legs}
        for token in digests:
            digests[token] = _order_hash(change) if self._unrelated else market.digest(token)
        for leg in legs:
            leg["hash"] = digests[leg["asset_id"]]
            if self._options.omitted_hashes and self._random.random() < self._options.omitted_hashes:
                del leg["hash"]

    @property
    def _unrelated(self) -> bool:
        return self._options.hash_form == "order"

    def _publish(self, market: Market, events: list[messages.Event]) -> None:
        sent = []
        for event in events:
            again = event["event_type"] == "price_change" and self._random.random() < self._options.resent
            sent += [event, event] if again else [event]
        self.send(market, sent, together=len(sent) > 1 and self._random.random() < self._options.arrays)

    def _tell_touch(self, market: Market) -> None:
        for token in market.listing.tokens:
            text = messages.encode(messages.best_bid_ask(market, token))
            for session in self._venue.audience.of((token,), custom=True):
                if self._random.random() < self._options.touches:
                    session.send(text, (market.listing.condition_id,))

    # Trades

    def _prints(self, market: Market, trades: list[EngineTrade]) -> list[Print]:
        """The trades in the terms of their taker's token; those of one taker share a transaction."""
        transactions: dict[str, str] = {}
        tokens: dict[str, str] = {}
        for trade in trades:
            transactions.setdefault(trade.taker_order, f"0x{self._random.getrandbits(256):064x}")
            tokens.setdefault(trade.taker_order, self._taker_token(market, trade.taker_order))
        return [
            self._print(market, trade, tokens[trade.taker_order], transactions[trade.taker_order]) for trade in trades
        ]

    def _taker_token(self, market: Market, order_id: str) -> str:
        """The token an order was for; agents of the traffic take the second outcome one time in three."""
        token = self._venue.desk.token_of(order_id)
        return token or self._random.choice((market.yes, market.yes, market.other(market.yes)))

    def _print(self, market: Market, trade: EngineTrade, token: str, transaction: str) -> Print:
        yes = token == market.yes
        side: OrderSide = "BUY" if (trade.taker_side == "buy") == yes else "SELL"
        price = trade.price if yes else ONE_DOLLAR - trade.price
        return Print(token, plain_price(price), plain_size(trade.quantity), side, transaction)

    def _last_price(self, market: Market, told: Print) -> str:
        """A book shows the last price with three decimals where a trade shows as few as it has."""
        whole, _, decimals = told.price.partition(".")
        fine = market.facts.tick_size == FINEST_TICK and self._options.fine_last_price
        return f"{whole}.{decimals.ljust(4 if fine else 3, '0')}"

    def _tell(self, market: Market, prints: list[Print]) -> None:
        stamp_ms = self._stamp_ms(self._venue.now())
        for told in prints:
            self.send(market, [messages.last_trade_price(market, told, stamp_ms)])

    # Sizes and times

    def _size(self, change: LevelChange) -> str:
        """A level's size; some have decimals beyond the second, always the same ones at the same level."""
        text = plain_size(change.size)
        chance = crc32(f"{change.market}{change.side}{change.price}".encode())
        if not change.size or chance % 1_000 >= self._options.dust * 1_000:
            return text
        whole, _, decimals = text.partition(".")
        return f"{whole}.{decimals.ljust(2, '0')}{chance % 9_999 + 1:04d}".rstrip("0")

    def _stamp_ms(self, ns: int) -> int:
        return (ns + self._venue.faults.skew_ns()) // MILLISECOND

    def _patience_ns(self) -> int:
        if self._random.random() >= self._options.batched:
            return 0
        return self._random.randint(*self._options.batch_ms) * MILLISECOND

    def _lag_ns(self, market_id: str) -> int:
        """How much later a trade is told: trades of one market never overtake one another."""
        now_ns = self._venue.now()
        lag_ns = self._random.randint(*self._options.trade_lag_ms) * MILLISECOND
        told_ns = max(now_ns + lag_ns, self._told_ns.get(market_id, 0) + MILLISECOND)
        self._told_ns[market_id] = told_ns
        return told_ns - now_ns


def _order_hash(change: LevelChange) -> str:
    """What the pages call the hash of a change: of the order that caused it, so nothing can be learnt from it."""
    return sha1(change.caused_by.encode(), usedforsecurity=False).hexdigest()
