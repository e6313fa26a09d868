"""Whether the numbers of an opportunity follow from its books again: each leg's levels, money and prices, the sums."""

from collections.abc import Iterator
from dataclasses import dataclass

from infra.explain.facts import Facts, LegFacts, waterfall
from schemas.fees import FeeError, check_schedule, order_fee
from schemas.records import Level, Market, Opportunity
from schemas.units import FILL_PER_QUANTITY
from streams.core.depth import WalkLeg, smallest_quantity
from streams.core.ladder import LadderError, claim_levels, limit_price

Value = int | tuple[int, ...] | str
"""A field's value; flattened levels as in the record, words where no value can be said."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field whose recorded value is not the recomputed one; `leg` is None for a field of the opportunity itself."""

    leg: int | None
    field: str
    recorded: Value
    recomputed: Value


@dataclass(frozen=True, slots=True)
class Check:
    """What recomputation found, and the legs that lack a book or a market record for it."""

    differences: tuple[Difference, ...]
    unchecked: tuple[int, ...]


def check(facts: Facts) -> Check:
    """Compute everything again that follows from the books and the market records alone."""
    record = facts.bought.record
    found = list(_sums(record))
    for leg in facts.legs:
        found += _leg(leg, record.quantity or sum(leg.leg.levels[1::2]))
    unchecked = tuple(leg.number for leg in facts.legs if leg.book is None or leg.market is None)
    return Check(tuple(found), unchecked)


def _sums(record: Opportunity) -> Iterator[Difference]:
    if not record.quantity:
        return
    left = {step.name: step.left for step in waterfall(record)}
    costs, fees = sum(leg.cost for leg in record.legs), sum(leg.fee for leg in record.legs)
    depth = sum(leg.cost - leg.best_price * record.quantity for leg in record.legs)
    expected = {
        "gross": left["gross"],
        "depth_cost": depth,
        "fees": fees,
        "net": left["net"],
        "capital": costs + fees + record.gas,
    }
    for name, value in expected.items():
        if getattr(record, name) != value:
            yield Difference(None, name, getattr(record, name), value)


def _leg(facts: LegFacts, quantity: int) -> Iterator[Difference]:
    """What differs of one leg; nothing can be said without its book, nothing of fees and prices without its market."""
    leg, book, known = facts.leg, facts.book, facts.market
    if book is None:
        return
    if (book.venue, book.market) != (leg.venue, leg.market):
        yield Difference(facts.number, "market", f"{leg.venue} {leg.market}", f"{book.venue} {book.market}")
        return
    try:
        levels = claim_levels(book, leg.outcome)
    except LadderError as error:
        yield Difference(facts.number, "levels", leg.levels, str(error))
        return
    fills = taken(levels, quantity)
    expected: dict[str, Value] = {
        "epoch": book.epoch,
        "sequence": book.sequence,
        "levels": tuple(number for level in fills for number in level),
        "cost": sum(price * size for price, size in fills),
        "best_price": fills[0][0] if fills else 0,
    }
    if known is not None:
        market = known.record
        expected["limit_price"] = limit_price(market.ticks, leg.outcome, fills[-1][0] if fills else 0)
        try:
            check_schedule(market.fee)
            expected["fee"] = order_fee(market.fee, [(price, size * FILL_PER_QUANTITY) for price, size in fills])
        except FeeError as error:
            expected["fee"] = str(error)
    for name, value in expected.items():
        if getattr(leg, name) != value:
            yield Difference(facts.number, name, getattr(leg, name), value)
    if known is not None:
        yield from _quantity(facts.number, levels, known.record, quantity)


def _quantity(number: int, levels: list[Level], market: Market, quantity: int) -> Iterator[Difference]:
    """Whether the market takes an order of this size: its minimums and its lot."""
    offer = WalkLeg(levels, market.fee, market.minimum_quantity, market.minimum_value, market.lot)
    least = smallest_quantity([offer])
    if least is None or quantity < least or quantity % market.lot:
        allowed = "less than the smallest order" if least is None else f"from {least} on in lots of {market.lot}"
        yield Difference(number, "quantity", quantity, allowed)


def taken(levels: list[Level], quantity: int) -> list[Level]:
    """What buying `quantity` takes of levels, best first: less than that where they end before."""
    fills: list[Level] = []
    for price, size in levels:
        if quantity <= 0:
            break
        fills.append((price, min(size, quantity)))
        quantity -= fills[-1][1]
    return fills
