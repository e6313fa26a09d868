"""Canonical order books behind the simulators: what each venue would answer if asked for its book now.

Kalshi publishes signed size changes on bids of either outcome, so its book is kept in integers: price 1e-4 dollar,
size 1e-2 contract. Polymarket publishes absolute sizes and hashes the very strings it serves, so its book keeps the
strings and uses the integer price only to order them.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import msgspec

ONE_DOLLAR = 10_000
MOST_DIGITS = 15
Level = tuple[str, str]


@lru_cache(maxsize=65_536)
def fixed(text: str | int | float, places: int) -> int:
    """A decimal string (or JSON number) as an integer of ``10**-places`` units; ValueError when it does not fit."""
    try:
        scaled = Decimal(str(text)).scaleb(places)
        if not scaled.is_finite() or scaled.adjusted() > MOST_DIGITS:
            raise ValueError(f"{text!r} is not a sensible number")
        value = int(scaled)
    except (InvalidOperation, OverflowError) as error:
        raise ValueError(f"{text!r} is not a decimal number") from error
    if value != scaled:
        raise ValueError(f"{text!r} has more than {places} decimals")
    return value


def dollars(price: int) -> str:
    """A price as Kalshi writes it: ``4500`` is ``"0.4500"``."""
    return f"{price // ONE_DOLLAR}.{price % ONE_DOLLAR:04d}"


def contracts(size: int) -> str:
    """A size as Kalshi writes it: ``900`` is ``"9.00"``."""
    return f"{size // 100}.{size % 100:02d}"


def plain_price(price: int) -> str:
    """A price in 1e-4 dollar as Polymarket writes it, without trailing zeros: ``4500`` is ``"0.45"``."""
    return _plain(dollars(price))


def plain_size(size: int) -> str:
    """A size in 1e-2 share as Polymarket writes it: ``1250`` is ``"12.5"``."""
    return _plain(contracts(size))


def _plain(text: str) -> str:
    return text.rstrip("0").rstrip(".")


@dataclass(slots=True)
class KalshiBook:
    """The bids of one Kalshi market, per outcome, NO bids at NO-leg prices."""

    ticker: str
    market_id: str = ""
    yes: dict[int, int] = field(default_factory=dict)
    no: dict[int, int] = field(default_factory=dict)
    started: bool = False

    def side(self, name: str) -> dict[int, int]:
        """The bids of ``"yes"`` or ``"no"``; ValueError for any other name."""
        if name not in ("yes", "no"):
            raise ValueError(f"side {name!r} is neither yes nor no")
        return self.yes if name == "yes" else self.no

    def replace(self, yes: Iterable[tuple[int, int]], no: Iterable[tuple[int, int]]) -> None:
        """Put a snapshot's levels in place of everything."""
        self.yes, self.no, self.started = dict(yes), dict(no), True

    def change(self, side: str, price: int, delta: int) -> None:
        """Add a signed size at a level; a level at or below zero is gone."""
        bids = self.side(side)
        size = bids.get(price, 0) + delta
        if size > 0:
            bids[price] = size
        else:
            bids.pop(price, None)
        self.started = True

    def levels(self, side: str) -> list[Level]:
        """The bids of an outcome as the venue writes them: ascending, best last."""
        return [(dollars(price), contracts(size)) for price, size in sorted(self.side(side).items())]

    def best(self, side: str) -> tuple[int, int] | None:
        """The best bid of an outcome as (price, size); None when there is none."""
        bids = self.side(side)
        return max(bids.items()) if bids else None


@dataclass(slots=True)
class TokenBook:
    """The book of one Polymarket token, strings as the venue serves them, ordered by price in 1e-4 dollar."""

    bids: dict[int, Level] = field(default_factory=dict)
    asks: dict[int, Level] = field(default_factory=dict)

    def replace(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Put a ``book`` event's levels in place of everything; a zero size is no level."""
        self.bids = {fixed(price, 4): (price, size) for price, size in bids if Decimal(size) > 0}
        self.asks = {fixed(price, 4): (price, size) for price, size in asks if Decimal(size) > 0}

    def change(self, side: str, price: str, size: str) -> None:
        """Set the aggregate size of a level: BUY is the bid side, SELL the ask side; size zero removes the level."""
        if side not in ("BUY", "SELL"):
            raise ValueError(f"side {side!r} is neither BUY nor SELL")
        levels, key = (self.bids if side == "BUY" else self.asks), fixed(price, 4)
        try:
            empty = Decimal(size) <= 0
        except InvalidOperation as error:
            raise ValueError(f"size {size!r} is not a decimal number") from error
        if empty:
            levels.pop(key, None)
        else:
            levels[key] = (price, size)

    def wire(self) -> tuple[list[Level], list[Level]]:
        """Bids ascending and asks descending: the venue's wire order, best last on both."""
        return (
            [level for _, level in sorted(self.bids.items())],
            [level for _, level in sorted(self.asks.items(), reverse=True)],
        )

    def best(self) -> tuple[str, str]:
        """Best bid and best ask as the venue prints them in ``price_change``: an empty side is 0 or 1."""
        bid = self.bids[max(self.bids)][0] if self.bids else "0"
        ask = self.asks[min(self.asks)][0] if self.asks else "1"
        return bid, ask

    def mirrored(self) -> "TokenBook":
        """The other outcome's book: a bid at p is an ask at 1 - p of the same size."""
        return TokenBook(
            bids={ONE_DOLLAR - price: (complement(text), size) for price, (text, size) in self.asks.items()},
            asks={ONE_DOLLAR - price: (complement(text), size) for price, (text, size) in self.bids.items()},
        )


def complement(price: str) -> str:
    """``1 - price`` with as many decimals as the price has: ``"0.37"`` is ``"0.63"``."""
    return f"{1 - Decimal(price):f}"


class _WireLevel(msgspec.Struct):
    price: str
    size: str


class _Summary(msgspec.Struct, omit_defaults=True):
    """The venue's hashed book summary; field order is part of the hash."""

    market: str
    asset_id: str
    timestamp: str
    hash: str
    bids: list[_WireLevel]
    asks: list[_WireLevel]
    min_order_size: str
    tick_size: str
    neg_risk: bool
    last_trade_price: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class BookFacts:
    """What a Polymarket book hash covers besides the levels."""

    market: str
    tick_size: str = "0.01"
    min_order_size: str = "5"
    neg_risk: bool = False
    last_trade_price: str = ""
    version: str = ""


def book_hash(facts: BookFacts, asset_id: str, timestamp: str, bids: Sequence[Level], asks: Sequence[Level]) -> str:
    """SHA-1 of the compact JSON summary with an empty ``hash``; levels in wire order, strings exactly as served.

    Source: the official clients' orderbook summary hash, which also matches recorded ``price_change`` hashes.
    """
    summary = _Summary(
        market=facts.market,
        asset_id=asset_id,
        timestamp=timestamp,
        hash="",
        bids=[_WireLevel(price, size) for price, size in bids],
        asks=[_WireLevel(price, size) for price, size in asks],
        min_order_size=facts.min_order_size,
        tick_size=facts.tick_size,
        neg_risk=facts.neg_risk,
        last_trade_price=facts.last_trade_price,
        version=facts.version,
    )
    return hashlib.sha1(msgspec.json.encode(summary), usedforsecurity=False).hexdigest()
