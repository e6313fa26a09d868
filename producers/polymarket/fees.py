"""Polymarket's fees, as the CLOB and Gamma state them: the taker pays rate x (p(1-p))^exponent a share.

Sources: "Fees", `fd` of "Get CLOB market info", `feeSchedule` of Gamma's markets. Fees are rounded to five decimals.
"""

from typing import Final

import msgspec

from producers.catalogue import NotUnderstood
from runtime import metrics
from schemas.records import FeeSchedule
from schemas.units import parse_rate, plain

FEE_PRECISION: Final = 10
NO_FEE: Final = FeeSchedule(model="none", taker_rate=0, maker_rate=0, exponent=0, balance_precision=FEE_PRECISION)
LARGEST_EXPONENT: Final = 8

Number = float | int | str


class ClobFee(msgspec.Struct, frozen=True):
    """Rate, exponent, taker only."""

    r: Number
    e: Number = 1
    to: bool = True


class GammaFee(msgspec.Struct, frozen=True, rename="camel"):
    """The same with long names."""

    rate: Number
    exponent: Number = 1
    taker_only: bool = True


def market_fee(clob: ClobFee | None, gamma: GammaFee | None) -> FeeSchedule:
    """What a market's taker pays; nothing where neither names a fee. Raises NotUnderstood or UnitError.

    The two should be one. Where they differ the dearer counts: a fee is never understated.
    """
    charged = NO_FEE if clob is None else fee_schedule(clob.r, clob.e, clob.to)
    if gamma is None:
        return charged
    published = fee_schedule(gamma.rate, gamma.exponent, gamma.taker_only)
    form = "agreed" if charged == published else "CLOB and Gamma differ"
    metrics.FORMS_SEEN.labels("polymarket", "fee", form).inc()
    return max(charged, published, key=_most)


def fee_schedule(rate: Number, exponent: Number, taker_only: bool) -> FeeSchedule:
    """A fee as a schedule; raises NotUnderstood for an exponent that is no small whole number, UnitError for a rate."""
    whole, _, fraction = plain(exponent).partition(".")
    if not (whole.isascii() and whole.isdecimal()) or fraction.strip("0") or int(whole) > LARGEST_EXPONENT:
        raise NotUnderstood("fee", f"fee exponent {exponent} is not a whole number up to {LARGEST_EXPONENT}")
    parts = parse_rate(rate)
    if not parts:
        return NO_FEE
    return FeeSchedule(
        model="polymarket_curve",
        taker_rate=parts,
        maker_rate=0 if taker_only else parts,
        exponent=int(whole),
        balance_precision=FEE_PRECISION,
    )


def _most(fee: FeeSchedule) -> tuple[int, int]:
    """What the taker of half a dollar pays: p(1-p) is a quarter there."""
    return fee.taker_rate * 4 ** (LARGEST_EXPONENT - fee.exponent), fee.maker_rate
