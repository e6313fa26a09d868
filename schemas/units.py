"""The integer units everyone speaks, and the only ways in and out of them.

| quantity | unit | type |
| --- | --- | --- |
| price | 1e-4 dollar | int |
| quantity, ladder size | 1e-2 contract | int |
| fill quantity | 1e-6 contract | int |
| money | 1e-6 dollar | int |

price x quantity is money exactly. Strings become integers once, in a venue's wire file.
"""

import re
from decimal import Decimal
from typing import Final

PRICE_SCALE: Final = 10_000
QUANTITY_SCALE: Final = 100
FILL_SCALE: Final = 1_000_000
MONEY_SCALE: Final = 1_000_000
RATE_SCALE: Final = 1_000_000
"""Fee rates and multipliers: integer millionths."""

ONE: Final = PRICE_SCALE
"""The payout of one winning contract, as a price."""

FILL_PER_QUANTITY: Final = FILL_SCALE // QUANTITY_SCALE

LARGEST_SIZE: Final = (2**63 - 1) // ONE
"""No size of any kind is larger, so that price x size fits 64 bits: 9.2e12 contracts resting, 9.2e8 filled."""

_PRICE_PLACES, _QUANTITY_PLACES, _FILL_PLACES, _RATE_PLACES = (
    len(str(scale)) - 1 for scale in (PRICE_SCALE, QUANTITY_SCALE, FILL_SCALE, RATE_SCALE)
)
_MAX_TEXT: Final = 40
_NUMBER: Final = re.compile(r"(-?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))", re.ASCII)


class UnitError(ValueError):
    """A number that is malformed, negative, too large, or not on the unit's grid."""


def _scaled(text: str, places: int, what: str) -> tuple[bool, int, bool]:
    """Sign (True for minus), magnitude in units of 10^-places rounded down, and whether something was cut off.

    Only a plain decimal number is one: ASCII digits, at most one point, a minus; no exponent, plus, blank or separator.
    """
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_TEXT:
        raise UnitError(f"{what} was {_shown(text)}: expected a decimal string")
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UnitError(f"{what} was {text!r}: not a plain decimal number")
    minus, whole, fraction, only_fraction = match.groups()
    digits = fraction or only_fraction or ""
    magnitude = int((whole or "") + digits[:places].ljust(places, "0"))
    if magnitude > LARGEST_SIZE:
        raise UnitError(f"{what} was {text!r}: too large")
    return bool(minus), magnitude, bool(digits[places:].strip("0"))


def _exact(text: str, places: int, what: str) -> int:
    minus, magnitude, cut = _scaled(text, places, what)
    if cut:
        raise UnitError(f"{what} was {text!r}: finer than 1/{10**places}")
    return -magnitude if minus else magnitude


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_TEXT + 2 else f"{text[:_MAX_TEXT]}..."


def plain(value: str | int | float) -> str:
    """A JSON number as the plain decimal text that the parsers take; text comes back as it is.

    Where a venue sends a number, its shortest text is taken for what was meant: 1e-05 is 0.00001.
    """
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


def parse_price(text: str) -> int:
    """Price string in dollars, 0 to 1 inclusive, to 1e-4 dollar; raises UnitError when off that grid."""
    price = _exact(text, _PRICE_PLACES, "price")
    if not 0 <= price <= ONE:
        raise UnitError(f"price was {text!r}: outside 0..1")
    return price


def parse_quantity(text: str) -> tuple[int, bool]:
    """Size string in contracts to 1e-2 contract, floored; the flag says that something was cut off."""
    minus, quantity, cut = _scaled(text, _QUANTITY_PLACES, "size")
    if minus and (quantity or cut):
        raise UnitError(f"size was {text!r}: negative")
    return quantity, cut


def parse_quantity_change(text: str) -> int:
    """Signed change of a size, exactly on the 1e-2 contract grid."""
    return _exact(text, _QUANTITY_PLACES, "size change")


def parse_fill_quantity(text: str) -> int:
    """Size string in contracts to 1e-6 contract; raises UnitError when negative or finer."""
    quantity = _exact(text, _FILL_PLACES, "fill size")
    if quantity < 0:
        raise UnitError(f"fill size was {text!r}: negative")
    return quantity


def parse_rate(value: str | int | float) -> int:
    """Fee rate or multiplier to millionths. Venues send these as JSON numbers, so their shortest text is taken."""
    rate = _exact(plain(value), _RATE_PLACES, "rate")
    if rate < 0:
        raise UnitError(f"rate was {value!r}: negative")
    return rate


def format_price(price: int) -> str:
    """1e-4 dollar to a dollar string with four decimals."""
    return f"{price // PRICE_SCALE}.{price % PRICE_SCALE:04d}"


def format_quantity(quantity: int) -> str:
    """1e-2 contract to a contract string with two decimals."""
    return f"{quantity // QUANTITY_SCALE}.{quantity % QUANTITY_SCALE:02d}"


def format_money(money: int) -> str:
    """1e-6 dollar to a signed dollar string with six decimals."""
    sign = "-" if money < 0 else ""
    return f"{sign}{abs(money) // MONEY_SCALE}.{abs(money) % MONEY_SCALE:06d}"
