"""Exact fees of both venues, fill by fill, in integers.

Prices are 1e-4 dollar, fill quantities 1e-6 contract, rates millionths, fees and balance precision 1e-6 dollar. A price
is that of the outcome traded: P(1 - P) is the same for YES and NO, the cash that moves is not. A fill takes liquidity
at the schedule's taker rate, or makes it at the maker rate; everything else is the same for both.

Kalshi (pages "Fee schedule" and "Fee Rounding"): per fill the model fee rate * C * P * (1 - P) is rounded up to 1e-6
dollar. The change of balance (-cost - fee when buying, proceeds - fee when selling) is then rounded down to the
account's precision p; what that takes is kept in an accumulator of the order, over its taker and maker fills alike, and
comes back in multiples of p as soon as it holds one. Where the pages leave a choice: an accumulator of exactly p pays
out, and the limit "the net fee is never negative" is applied to a rebate that stays a multiple of p. Rounding of the
balance is no fee of the model: it is charged at a rate of zero too.

Polymarket (page "Fees"): per fill C * rate * (p(1 - p))^exponent, to the nearest 1e-5 dollar, ties to even. The
smallest fee is 1e-5; it is the rounded fee that this speaks of, so 0.000006 costs 0.00001 and 0.000004 costs nothing.
A buyer pays it on top of the cost, a seller out of the proceeds. Makers pay nothing: their rate is 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from schemas.records import FeeSchedule, OrderSide
from schemas.units import FILL_SCALE, MONEY_SCALE, ONE, PRICE_SCALE, RATE_SCALE

Fill = tuple[int, int]
"""Price (1e-4 dollar) and fill quantity (1e-6 contract)."""

Liquidity = Literal["taker", "maker"]
"""Whether a fill took what rested on the book, or rested there itself."""

_UNIT_SCALE: Final = RATE_SCALE * FILL_SCALE // MONEY_SCALE
"""rate * fill quantity, divided by this, is money per unit of the curve."""
_CURVE_SCALE: Final = PRICE_SCALE * PRICE_SCALE
_KALSHI_SCALE: Final = _UNIT_SCALE * _CURVE_SCALE
_COST_SCALE: Final = PRICE_SCALE * FILL_SCALE // MONEY_SCALE
POLYMARKET_GRID: Final = 10
"""Polymarket's fees are multiples of 1e-5 dollar."""


class FeeError(ValueError):
    """A fee schedule or a fill for which no fee can be said."""


def check_schedule(schedule: FeeSchedule) -> None:
    """Raise FeeError when the schedule makes no sense."""
    if schedule.model not in ("none", "kalshi_quadratic", "polymarket_curve"):
        raise FeeError(f"fee model {schedule.model!r} is unknown")
    if schedule.taker_rate < 0:
        raise FeeError(f"taker rate {schedule.taker_rate} is negative")
    if schedule.maker_rate < 0:
        raise FeeError(f"maker rate {schedule.maker_rate} is negative")
    if schedule.model == "kalshi_quadratic" and schedule.balance_precision <= 0:
        raise FeeError(f"balance precision {schedule.balance_precision} is not positive")
    if schedule.model == "polymarket_curve" and schedule.exponent < 0:
        raise FeeError(f"exponent {schedule.exponent} is negative")


def kalshi_fill_fee(
    rate: int, precision: int, accumulator: int, price: int, fill_quantity: int, side: OrderSide = "buy"
) -> tuple[int, int]:
    """Net fee of an order's next fill, and the order's accumulator after it.

    Raises FeeError for a fill whose cost is no whole number of 1e-6 dollar (Kalshi trades hundredths of a contract).
    """
    cost, rest = divmod(price * fill_quantity, _COST_SCALE)
    if rest:
        raise FeeError(f"fill of {fill_quantity} millionths at {price} is finer than Kalshi trades")
    trade_fee = -(-rate * fill_quantity * price * (ONE - price) // _KALSHI_SCALE)
    change = (cost if side == "sell" else -cost) - trade_fee
    rounding_fee = change % precision
    charged = trade_fee + rounding_fee
    accumulator += rounding_fee
    rebate = min(accumulator, charged) // precision * precision
    return charged - rebate, accumulator - rebate


def polymarket_fill_fee(rate: int, exponent: int, price: int, fill_quantity: int) -> int:
    """Fee of one fill."""
    grid: int = _UNIT_SCALE * _CURVE_SCALE**exponent * POLYMARKET_GRID
    curve: int = (price * (ONE - price)) ** exponent
    fee, rest = divmod(rate * fill_quantity * curve, grid)
    if 2 * rest > grid or (2 * rest == grid and fee % 2):
        fee += 1
    return fee * POLYMARKET_GRID


def fill_fee(
    schedule: FeeSchedule,
    accumulator: int,
    price: int,
    fill_quantity: int,
    liquidity: Liquidity = "taker",
    side: OrderSide = "buy",
) -> tuple[int, int]:
    """Net fee of an order's next fill under any schedule, and the order's accumulator after it (0 before the first)."""
    rate = schedule.maker_rate if liquidity == "maker" else schedule.taker_rate
    if schedule.model == "kalshi_quadratic":
        return kalshi_fill_fee(rate, schedule.balance_precision, accumulator, price, fill_quantity, side)
    if schedule.model == "polymarket_curve":
        return polymarket_fill_fee(rate, schedule.exponent, price, fill_quantity), 0
    return 0, 0


@dataclass(frozen=True, slots=True)
class OrderFees:
    """Where the fees of one order stand: `accumulator` is what rounding has taken so far and not given back.

    An order keeps one accumulator for its life: what its maker fills leave there, a taker fill may get back.
    """

    schedule: FeeSchedule
    accumulator: int = 0

    def fill(
        self, price: int, fill_quantity: int, liquidity: Liquidity = "taker", side: OrderSide = "buy"
    ) -> tuple[int, "OrderFees"]:
        """Net fee of the order's next fill, and where its fees stand then; raises FeeError as `kalshi_fill_fee`."""
        fee, accumulator = fill_fee(self.schedule, self.accumulator, price, fill_quantity, liquidity, side)
        return fee, OrderFees(self.schedule, accumulator)


def fill_fees(
    schedule: FeeSchedule, fills: Iterable[Fill], liquidity: Liquidity = "taker", side: OrderSide = "buy"
) -> tuple[int, ...]:
    """Net fee of each fill of one order, in the order in which they happened, all of them of one kind."""
    fees = []
    accumulator = 0
    for price, fill_quantity in fills:
        fee, accumulator = fill_fee(schedule, accumulator, price, fill_quantity, liquidity, side)
        fees.append(fee)
    return tuple(fees)


def kalshi_order_fee(fills: Iterable[Fill], *, rate: int, precision: int) -> tuple[int, ...]:
    """Net fee of each fill of one buying taker order on Kalshi: trade fee + rounding fee - rebate."""
    schedule = FeeSchedule(
        model="kalshi_quadratic", taker_rate=rate, maker_rate=0, exponent=1, balance_precision=precision
    )
    return fill_fees(schedule, fills)


def order_fee(
    schedule: FeeSchedule, fills: Iterable[Fill], liquidity: Liquidity = "taker", side: OrderSide = "buy"
) -> int:
    """Net fee of one order whose fills are all of one kind."""
    return sum(fill_fees(schedule, fills, liquidity, side))
