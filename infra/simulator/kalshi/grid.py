"""Kalshi's price grids: which prices a market takes, by the name of its price level structure.

Source: the venue's pages "Fixed-Point Representation" and "Get Market" (``price_ranges``); prices in 1e-4 dollar. A
structure without a documented meaning (``banded_centi_cent`` and the empty one) stands for itself: no other is finer.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from infra.simulator.exchange import ONE_DOLLAR, dollars, fixed
from schemas.records import TickRange

CENT = 100
_STEPS = {"whole": 100, "half": 50, "quint": 20, "deci": 10, "centi": 1}
_TAPERED = (
    ("whole", "half"),
    ("whole", "quint"),
    ("half", "half"),
    ("half", "quint"),
    ("half", "deci"),
    ("quint", "quint"),
    ("quint", "deci"),
    ("centi", "centi"),
)

Bands = tuple[TickRange, ...]


class _Range(msgspec.Struct):
    start: str | float
    end: str | float
    step: str | float


def _bands(*ranges: tuple[int, int, int]) -> Bands:
    return tuple(TickRange(start=start, end=end, step=step) for start, end, step in ranges)


def _with_edges(edge: int, centre: int, width: int) -> Bands:
    """An edge step up to ``width`` from either end, a centre step between."""
    return _bands((0, width, edge), (width, ONE_DOLLAR - width, centre), (ONE_DOLLAR - width, ONE_DOLLAR, edge))


STRUCTURES: dict[str, Bands] = {
    "linear_cent": _bands((0, ONE_DOLLAR, CENT)),
    "deci_cent": _bands((0, ONE_DOLLAR, 10)),
    "tapered_deci_cent": _with_edges(10, CENT, 1_000),
    "center_deci_edge_centi_cent": _with_edges(1, 10, 100),
} | {f"center_{centre}_edge_{edge}_cent": _with_edges(_STEPS[edge], _STEPS[centre], 1_000) for centre, edge in _TAPERED}
"""Every structure with a documented meaning."""


def bands_of(body: dict[str, Any]) -> Bands:
    """The bands of a market object; whole cents when it has none. ValueError when they are malformed."""
    ranges = body.get("price_ranges")
    if not ranges:
        return STRUCTURES.get(body.get("price_level_structure", ""), STRUCTURES["linear_cent"])
    try:
        wanted = msgspec.convert(ranges, list[_Range])
    except msgspec.ValidationError as error:
        raise ValueError(f"price_ranges of {body.get('ticker')}: {error}") from error
    return _bands(*((fixed(each.start, 4), fixed(each.end, 4), fixed(each.step, 4)) for each in wanted))


def price_ranges(bands: Iterable[TickRange]) -> list[dict[str, str]]:
    """Bands as the venue writes them."""
    return [{"start": dollars(band.start), "end": dollars(band.end), "step": dollars(band.step)} for band in bands]


def on_grid(bands: Sequence[TickRange], price: int) -> bool:
    """Whether an order may have this price: inside a band on its step, or a whole cent; never 0 or 1 dollar."""
    if not 0 < price < ONE_DOLLAR:
        return False
    if price % CENT == 0:
        return True
    return any(band.start <= price <= band.end and (price - band.start) % band.step == 0 for band in bands)


@cache
def _prices(bands: Bands) -> frozenset[int]:
    return frozenset(price for band in bands for price in range(band.start, band.end + 1, band.step))


def finer(bands: Bands) -> list[str]:
    """The structures that have every price of these bands and more, the coarsest first."""
    present = _prices(bands)
    wider = [name for name, each in STRUCTURES.items() if present < _prices(each)]
    return sorted(wider, key=lambda name: (len(_prices(STRUCTURES[name])), name))
