"""The levels of an order book as both venues write them: pairs of a price and a size, decimal strings."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from schemas.records import Level
from schemas.units import ONE, UnitError, parse_price, parse_quantity

TEXTS_KEPT: Final = 32_768
"""Prices and sizes repeat: as many of each are looked up instead of parsed."""


@lru_cache(maxsize=TEXTS_KEPT)
def level_price(text: str) -> int:
    """The price of a level; raises UnitError when it is malformed, finer than 1e-4 dollar, 0 or 1."""
    price = parse_price(text)
    if not 0 < price < ONE:
        raise UnitError(f"price was {text!r}: no order can rest there")
    return price


level_size = lru_cache(maxsize=TEXTS_KEPT)(parse_quantity)
"""`parse_quantity`, remembered."""


def parse_levels(levels: Iterable[tuple[str, str]]) -> tuple[tuple[Level, ...], int]:
    """One side of a book, and how many of its sizes were cut to 0.01 contract; raises UnitError."""
    parsed = [(level_price(price), *level_size(size)) for price, size in levels]
    return tuple((price, size) for price, size, _ in parsed), sum(cut for _, _, cut in parsed)
