"""The walk against the oracle, which tries every quantity in fractions; and what must hold of any best size."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import FeeSchedule, Level
from schemas.units import ONE
from streams.core.depth import Walk, walk_depth
from tests import exact
from tests.unit.streams.core.build import FREE, kalshi, polymarket
from tests.unit.streams.core.offers_drawn import Offer, offers

ANY = -(10**12)
usual: st.SearchStrategy[FeeSchedule] = st.one_of(
    st.builds(kalshi, st.sampled_from([35_000, 70_000, 140_000]), st.sampled_from([100, 10_000])),
    st.builds(polymarket, st.sampled_from([25_000, 40_000, 70_000])),
    st.just(polymarket(250_000, 2)),
)


def walked(offer: Offer) -> Walk | None:
    return walk_depth(offer.walk_legs(), offer.payout, offer.minimum_net, offer.charges())


def told(offer: Offer, walk: Walk | None) -> tuple[object, ...] | None:
    """A walk in the oracle's words: quantity, costs, fees, net in whole micro-dollars; its own sums are right."""
    if walk is None:
        return None
    for leg in walk.legs:
        assert sum(price * size for price, size in leg.fills) == leg.cost
        assert sum(size for _, size in leg.fills) == walk.quantity
        assert leg.limit_price == leg.fills[-1][0]
    costs = tuple(leg.cost for leg in walk.legs)
    fees = tuple(leg.fee for leg in walk.legs)
    assert (walk.payout, walk.fees) == (offer.payout * walk.quantity, sum(fees))
    assert walk.gross == walk.payout - sum(costs)
    return walk.quantity, costs, fees, walk.net


@settings(max_examples=150)
@given(offers())
def test_the_best_size_is_the_oracles(offer: Offer) -> None:
    """Charges, lots, minimums, caps, two to four legs, payouts up to one less than their number."""
    best = offer.best()
    expected = None if best is None else (best.quantity, best.costs, best.fees, floor(best.net))
    assert told(offer, walked(offer)) == expected


# Monotonic in what is offered


def grown(levels: Sequence[Level], price: int, size: int) -> tuple[Level, ...]:
    """A ladder on which `size` more is offered at `price`."""
    return merged([*levels, (price, size)])


def merged(levels: Sequence[Level]) -> tuple[Level, ...]:
    """One level a price, best first."""
    prices = sorted({price for price, _ in levels})
    return tuple((price, sum(size for other, size in levels if other == price)) for price in prices)


def nets(offer: Offer, after: Offer) -> tuple[int, int] | None:
    """The best nets of two offers, whatever they are; None where the first has no size at all."""
    before_walk = walked(replace(offer, minimum_net=ANY))
    if before_walk is None:
        return None
    after_walk = walked(replace(after, minimum_net=ANY))
    assert after_walk is not None
    return before_walk.net, after_walk.net


def changed(offer: Offer, at: int, **changes: object) -> Offer:
    """The offer with something else on one leg."""
    legs = list(offer.legs)
    legs[at] = replace(legs[at], **changes)  # type: ignore[arg-type]
    return replace(offer, legs=tuple(legs))


@settings(max_examples=30)
@given(offers(), st.integers(0, 3), st.integers(0, 300), st.integers(1, 90))
def test_depth_behind_the_last_level_never_lowers_the_best_net(offer: Offer, leg: int, step: int, size: int) -> None:
    """Under any fees: every quantity that could be bought still costs the same."""
    at = leg % len(offer.legs)
    levels = offer.legs[at].levels
    price = min(ONE, levels[-1][0] + step)
    found = nets(offer, changed(offer, at, levels=grown(levels, price, size)))
    assert found is None or found[1] >= found[0]


def without_fees(offer: Offer) -> Offer:
    return replace(offer, legs=tuple(replace(leg, fee=FREE) for leg in offer.legs))


@settings(max_examples=30)
@given(offers(), st.integers(0, 3), st.integers(1, 9_999), st.integers(1, 90))
def test_without_fees_depth_at_any_price_never_lowers_the_best_net(
    offer: Offer, leg: int, price: int, size: int
) -> None:
    """But for a minimum value, which a better price makes harder to reach."""
    at = leg % len(offer.legs)
    offer = changed(without_fees(offer), at, minimum_value=0)
    found = nets(offer, changed(offer, at, levels=grown(offer.legs[at].levels, price, size)))
    assert found is None or found[1] >= found[0]


@settings(max_examples=30)
@given(offers(), st.integers(0, 3), st.integers(1, 500))
def test_without_fees_a_better_price_never_lowers_the_best_net(offer: Offer, leg: int, better: int) -> None:
    at = leg % len(offer.legs)
    offer = changed(without_fees(offer), at, minimum_value=0)
    levels = merged([(max(0, price - better), size) for price, size in offer.legs[at].levels])
    found = nets(offer, changed(offer, at, levels=levels))
    assert found is None or found[1] >= found[0]


def roundings(offer: Offer) -> Fraction:
    """The most by which the venues' roundings may differ between two ways to fill the same quantity.

    A Kalshi fill rounds the balance to its precision, and may hold back what earlier fills left; a Polymarket fill is
    half a grid of 0.00001 dollar off at most, so two are one grid apart.
    """
    grids = [
        (leg.fee.balance_precision if leg.fee.model == "kalshi_quadratic" else 10) * (len(leg.levels) + 1)
        for leg in offer.legs
    ]
    return sum(grids) * (1 + Fraction(offer.costs.fee_parts, 10**9)) + 1


@settings(max_examples=50)
@given(offers(minimums=False), st.lists(usual, min_size=4, max_size=4), st.integers(0, 3), st.data())
def test_with_fees_nothing_better_lowers_the_best_net_by_more_than_rounding(
    offer: Offer, fees: list[FeeSchedule], leg: int, data: st.DataObject
) -> None:
    """More at any price, or a better one. Fees are rounded per fill, so the last micro-dollars may go either way."""
    legs = tuple(replace(one, fee=fee) for one, fee in zip(offer.legs, fees, strict=False))
    offer = replace(offer, legs=legs)
    at = leg % len(legs)
    levels = grown(legs[at].levels, data.draw(st.integers(1, 9_999)), data.draw(st.integers(1, 90)))
    found = nets(offer, changed(offer, at, levels=levels))
    assert found is None or found[1] >= found[0] - roundings(offer)


# Symmetric


@settings(max_examples=30)
@given(offers(), st.data())
def test_the_order_of_the_legs_plays_no_part(offer: Offer, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(offer.legs))))
    parts = offer.costs.cost_parts
    costs = replace(offer.costs, cost_parts=tuple(parts[at] for at in order) if parts else ())
    moved = replace(offer, legs=tuple(offer.legs[at] for at in order), costs=costs)
    one, other = walked(offer), walked(moved)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert (other.quantity, other.net, other.legs) == (one.quantity, one.net, tuple(one.legs[at] for at in order))


def test_a_better_price_may_cost_a_rounding() -> None:
    """Why the promise above is no stricter: 0.01 contract on Polymarket costs more at 0.9873 than at 0.9874.

    Its fee there is just below 0.000005, which is nothing, and here just above, which is 0.00001.
    """
    (dearer,), (better,) = (exact.outlays(((price, 1),), polymarket(40_000)) for price in (9_874, 9_873))
    assert (dearer, better) == ((9_874, 0), (9_873, 10))
