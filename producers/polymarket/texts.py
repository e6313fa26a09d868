"""The venue's own texts of a market's levels: its hash covers them, so they are kept as they came."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from producers.ladder import SideName
from producers.polymarket.messages import WireLevel
from schemas.units import ONE, PRICE_SCALE, format_price

LEVEL_HEAD: Final = '{"price":"'
_SIZE_HEAD: Final = '","size":"'


def level_text(price: str, size: str) -> str:
    """A level as the hash covers it, of the venue's own texts."""
    return f'{LEVEL_HEAD}{price}{_SIZE_HEAD}{size}"}}'


@lru_cache(maxsize=2 * PRICE_SCALE)
def price_text(price: int) -> str:
    """A price as the venue prints it in levels and trades: without zeros at its end."""
    return short(format_price(price))


def mirrored_text(price: int, text: str) -> str:
    """The text of a level at `price` in the other token's book."""
    return LEVEL_HEAD + price_text(ONE - price) + _SIZE_HEAD + text.partition(_SIZE_HEAD)[2]


def short(decimals: str) -> str:
    """A decimal number without zeros at its end."""
    return decimals.rstrip("0").rstrip(".")


class TextSide:
    """The texts of one side's levels in the venue's order; keys as in `producers.ladder.Side`."""

    __slots__ = ("_joined", "_keys", "_sign", "_texts")

    def __init__(self, name: SideName) -> None:
        self._sign = 1 if name == "bid" else -1
        self._keys: list[int] = []
        self._texts: dict[int, str] = {}
        self._joined: str | None = ""

    def put(self, price: int, text: str) -> None:
        """Set the text of a level; an empty one removes it."""
        key = self._sign * price
        known = self._texts.get(key)
        if known == text:
            return
        if text:
            if known is None:
                insort(self._keys, key)
            self._texts[key] = text
        elif known is None:
            return
        else:
            del self._texts[key]
            del self._keys[bisect_left(self._keys, key)]
        self._joined = None

    def replace(self, levels: Iterable[WireLevel]) -> None:
        """Put these levels in place of everything."""
        self._texts = {self._sign * price: text for price, _, text in levels if text}
        self._keys = sorted(self._texts)
        self._joined = None

    def best(self) -> int | None:
        """The best price, also of a level too small for a ladder; None when the side is empty."""
        return self._sign * self._keys[-1] if self._keys else None

    def joined(self) -> str:
        """All levels as the hash covers them."""
        if self._joined is None:
            texts = self._texts
            self._joined = ",".join([texts[key] for key in self._keys])
        return self._joined

    def mirrored(self) -> str:
        """All levels as the other token's hash covers them."""
        return ",".join([mirrored_text(self._sign * key, self._texts[key]) for key in self._keys])

    def prices(self) -> list[int]:
        """All prices, best last."""
        return [self._sign * key for key in self._keys]


class Texts:
    """Both sides of the YES token's book."""

    __slots__ = ("asks", "bids")

    def __init__(self) -> None:
        self.bids = TextSide("bid")
        self.asks = TextSide("ask")

    def body(self) -> str:
        """The hashed text of the YES token's levels; equal for equal books."""
        return f'"bids":[{self.bids.joined()}],"asks":[{self.asks.joined()}]'

    def mirrored_body(self) -> str:
        """The same of the NO token."""
        return f'"bids":[{self.asks.mirrored()}],"asks":[{self.bids.mirrored()}]'
