"""InfluxDB's line protocol, written by hand for the hot path.

Source of the rules: InfluxDB documentation, "Line protocol": special characters in tag values and in string fields. A
tag value is written as `influxdb_client.Point` writes it; the unit tests hold both against the same reader.
"""

from functools import lru_cache
from typing import Final

from schemas.units import PRICE_SCALE, QUANTITY_SCALE

_TAG: Final = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r"})
_STRING: Final = str.maketrans({'"': r"\"", "\\": r"\\"})

INTEGER_MINIMUM: Final = -(2**63)
INTEGER_MAXIMUM: Final = 2**63 - 1


@lru_cache(maxsize=65_536)
def tag_set(*pairs: tuple[str, str]) -> str:
    """`,key=value` of each pair, in the order given (sort them by key); a pair with an empty value is left out.

    Keys are taken as they are. A value that ends in a backslash gets a space after it, else it would escape what
    follows.
    """
    return "".join(f",{key}={_tag_value(value)}" for key, value in pairs if value)


def _tag_value(text: str) -> str:
    escaped = text.translate(_TAG)
    return f"{escaped} " if escaped.endswith("\\") else escaped


def string(text: str) -> str:
    """A string field's value."""
    return f'"{text.translate(_STRING)}"'


def integer(number: int) -> str:
    """An integer field's value; raises ValueError outside 64 bits."""
    if not INTEGER_MINIMUM <= number <= INTEGER_MAXIMUM:
        raise ValueError(f"{number} does not fit 64 bits")
    return f"{number}i"


def dollars(price: int) -> str:
    """A price (1e-4 dollar) as a float field's value, exact in its decimal digits; raises ValueError when negative."""
    if price < 0:
        raise ValueError(f"price was {price}: negative")
    return f"{price // PRICE_SCALE}.{price % PRICE_SCALE:04d}"


def contracts(quantity: int) -> str:
    """A size (1e-2 contract) as a float field's value, exact in its decimal digits; raises ValueError when negative."""
    if quantity < 0:
        raise ValueError(f"size was {quantity}: negative")
    return f"{quantity // QUANTITY_SCALE}.{quantity % QUANTITY_SCALE:02d}"
