"""Reading Kalshi's messages in the form in which they are written, or nearly.

Some decimals have been seen as JSON numbers where strings are documented. They are taken for the text that they are the
shortest form of, and counted. Fields in cents or whole contracts, given up on 12 March 2026, are refused by name: the
name of a field decides its unit, never its size.
"""

from typing import Any, Final, TypeVar

import msgspec

from producers.kalshi.forms import Delta, Lifecycle, OldForm, RestBook, Snapshot, Ticker, Trade
from schemas.units import plain

S = TypeVar("S", bound=msgspec.Struct)

_OLD: Final[dict[type[msgspec.Struct], tuple[str, ...]]] = {
    Delta: ("price", "delta"),
    Snapshot: ("yes", "no"),
    Trade: ("yes_price", "no_price", "count"),
    Ticker: ("price", "yes_bid", "yes_ask"),
}

_DECODERS: Final[dict[type[msgspec.Struct], msgspec.json.Decoder[Any]]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Delta, Snapshot, Trade, Ticker, Lifecycle, RestBook)
}

_TEXTS: Final = ("_dollars", "_fp")
_NAMED_TEXTS: Final = frozenset({"settlement_value", "price_ranges"})


def read(raw: msgspec.Raw, kind: type[S]) -> tuple[S, int]:
    """A message in its own form, and how many of its decimals came as JSON numbers.

    Raises OldForm, msgspec.MsgspecError and RecursionError.
    """
    try:
        message: S = _DECODERS[kind].decode(raw)
    except msgspec.ValidationError:
        value = msgspec.json.decode(raw)
        if not isinstance(value, dict):
            raise
        old = [name for name in _OLD.get(kind, ()) if name in value]
        text, numbers = _with_texts(value, textual=False)
        if not numbers:
            if old:
                raise OldForm(old) from None
            raise
        return msgspec.convert(text, kind), numbers
    return message, 0


def _with_texts(value: Any, *, textual: bool) -> tuple[Any, int]:
    """The value with its decimals as text, and how many were none. `textual` is true inside fields of decimals."""
    if isinstance(value, dict):
        fields = {name: _with_texts(inner, textual=textual or _is_text(name)) for name, inner in value.items()}
        return {name: inner for name, (inner, _) in fields.items()}, sum(count for _, count in fields.values())
    if isinstance(value, list):
        items = [_with_texts(inner, textual=textual) for inner in value]
        return [inner for inner, _ in items], sum(count for _, count in items)
    if textual and isinstance(value, int | float) and not isinstance(value, bool):
        return plain(value), 1
    return value, 0


def _is_text(name: str) -> bool:
    return name.endswith(_TEXTS) or name in _NAMED_TEXTS
