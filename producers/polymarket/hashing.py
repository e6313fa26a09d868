"""The venue's hash of a book: what it covers, and whether a book of ours has it.

SHA-1 over the compact JSON of one token's whole book: market, token, stamp, an empty hash, all levels with the venue's
own texts (bids ascending, asks descending), and what the market is traded by: smallest size, tick, negative risk, last
trade price and, of a protocol v2 market, its version. A `price_change` carries the hash of the book after it, so that
every message tells whether one was missed. Sources: the official clients' order book summary hash; recomputed for
placements, cancellations and trades of a session recorded on 2026-09-27 (docs/polymarket.md).

The last trade price is the market's, not the token's, and can be younger than the newest that was told. It is one of
few: where the known one does not fit, the others are tried.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

from producers.polymarket.texts import price_text, short
from schemas.records import Market
from schemas.units import ONE, format_price, format_quantity

HASH_LENGTH: Final = 40
TICKS: Final = ("0.01", "0.001", "0.1", "0.005", "0.0025", "0.0001")
"""The price grids that the venue has."""

Form = Literal["known", "3 decimals", "4 decimals", "as traded", "none yet", "searched", "tick"]
"""How the last trade price of a hash was found, or that the tick had changed."""


class Found(NamedTuple):
    """What a hash that was explained tells."""

    digest: str
    form: Form
    tick: str
    last_trade: str


def is_hash(text: str) -> bool:
    """True when this can be a hash of the venue's."""
    return len(text) == HASH_LENGTH and text.isalnum()


class Facts:
    """What a hash covers besides stamp and levels."""

    __slots__ = ("_head", "_tail", "last_trade", "minimum_size", "negative_risk", "tick", "version")

    def __init__(self, market: Market) -> None:
        self._head = f'{{"market":{_json(market.market)},"asset_id":'
        self._tail = ""
        self.minimum_size = short(format_quantity(market.minimum_quantity))
        self.tick = price_text(market.ticks[0].step)
        self.negative_risk = market.negative_risk
        self.last_trade = ""
        self.version = market.protocol if market.protocol == "v2" else ""

    def copy(self) -> "Facts":
        """The same, to learn something on trial."""
        return copy(self)

    def learn(
        self,
        *,
        minimum_size: str | None = None,
        tick: str | None = None,
        negative_risk: bool | None = None,
        last_trade: str | None = None,
        version: str | None = None,
    ) -> None:
        """Take over what the venue said; None is unsaid."""
        self.minimum_size = self.minimum_size if minimum_size is None else minimum_size
        self.tick = tick or self.tick
        self.negative_risk = self.negative_risk if negative_risk is None else negative_risk
        self.last_trade = self.last_trade if last_trade is None else last_trade
        self.version = self.version if version is None else version
        self._tail = ""

    def head(self, token: str, timestamp: str) -> str:
        """The hashed text before the levels."""
        return f'{self._head}{_json(token)},"timestamp":"{timestamp}","hash":"",'

    @property
    def tail(self) -> str:
        """The hashed text after the levels."""
        if not self._tail:
            self._tail = self.tail_with(self.tick, self.last_trade)
        return self._tail

    def tail_with(self, tick: str, last_trade: str) -> str:
        """The same with another tick and another last trade price."""
        version = f',"version":{_json(self.version)}' if self.version else ""
        return (
            f',"min_order_size":{_json(self.minimum_size)},"tick_size":{_json(tick)},'
            f'"neg_risk":{"true" if self.negative_risk else "false"},"last_trade_price":{_json(last_trade)}{version}}}'
        )


def digest(text: str) -> str:
    """The hash of a whole text."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def known(facts: Facts, text: str, hashes: Sequence[str]) -> Found | None:
    """Whether one of the hashes comes of a text up to its levels and of what is known."""
    ours = digest(text + facts.tail)
    return Found(ours, "known", facts.tick, facts.last_trade) if ours in hashes else None


def explain(
    facts: Facts, text: str, hashes: Sequence[str], prices: Iterable[int], *, search: bool, ticks: bool
) -> Found | None:
    """Whether one of the hashes comes of a text up to its levels and of something that was not known.

    `prices` are those that a trade may have had just now. `search` tries every last trade price there can be, `ticks`
    every price grid.
    """
    begun = hashlib.sha1(text.encode(), usedforsecurity=False)
    likely = list(_likely(prices))
    for form, last_trade in likely:
        if ours := _ends(begun, facts.tail_with(facts.tick, last_trade), hashes):
            return Found(ours, form, facts.tick, last_trade)
    for tick in TICKS if ticks else ():
        for last_trade in (facts.last_trade, *(text for _, text in likely)):
            if tick != facts.tick and (ours := _ends(begun, facts.tail_with(tick, last_trade), hashes)):
                return Found(ours, "tick", tick, last_trade)
    for last_trade in _possible(facts.tick) if search else ():
        if ours := _ends(begun, facts.tail_with(facts.tick, last_trade), hashes):
            return Found(ours, "searched", facts.tick, last_trade)
    return None


def _ends(begun: "hashlib._Hash", tail: str, hashes: Sequence[str]) -> str:
    """The one of the hashes that a text ends in with this tail; else empty."""
    ended = begun.copy()
    ended.update(tail.encode())
    ours = ended.hexdigest()
    return ours if ours in hashes else ""


def _likely(prices: Iterable[int]) -> Iterator[tuple[Form, str]]:
    """Last trade prices of either token for trades at these prices, as books have been seen to print them."""
    for price in dict.fromkeys(one for given in prices for one in (given, ONE - given)):
        if not price % 10:
            yield "3 decimals", _three_decimals(price)
        yield "4 decimals", format_price(price)
        yield "as traded", price_text(price)
    yield "none yet", ""


@lru_cache(maxsize=len(TICKS))
def _possible(tick: str) -> tuple[str, ...]:
    """Every last trade price that there can be on a price grid."""
    coarse = [_three_decimals(price) for price in range(10, ONE, 10)]
    if tick in ("0.0001", "0.0025"):
        step = 1 if tick == "0.0001" else 25
        return (*coarse, *(format_price(price) for price in range(step, ONE, step)))
    return tuple(coarse)


def _three_decimals(price: int) -> str:
    return format_price(price)[:-1]


@lru_cache(maxsize=65_536)
def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()
