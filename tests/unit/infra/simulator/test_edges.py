"""The generator's exact profit, against a second calculation in plain fractions and the venues' own examples."""

from fractions import Fraction
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.simulator.edges import (
    Best,
    best_quantity,
    crossing_depth,
    kalshi_cost,
    net_profit,
    polymarket_cost,
    take,
)

FILLS = st.lists(
    st.tuples(st.integers(1, 99).map(lambda cents: cents * 100), st.integers(1, 50_000)), min_size=1, max_size=5
)


def kalshi_by_fractions(fills: list[tuple[int, int]]) -> Fraction:
    """Dollars that an order of a direct member takes, straight from the page on fee rounding."""
    step, micro = Fraction(1, 10_000), Fraction(1, 1_000_000)
    accumulator = balance = Fraction(0)
    for price, size in fills:
        p, c = Fraction(price, 10_000), Fraction(size, 100)
        model = Fraction(7, 100) * c * p * (1 - p)
        trade_fee = -floor(-model / micro) * micro
        change = -c * p - trade_fee
        aligned = floor(change / step) * step
        accumulator += change - aligned
        most = floor((trade_fee + change - aligned) / step) * step
        rebate = min(floor(accumulator / step) * step, most)
        accumulator -= rebate
        balance += aligned + rebate
    return -balance


def polymarket_by_fractions(fills: list[tuple[int, int]]) -> Fraction:
    cost = Fraction(0)
    for price, size in fills:
        p, c = Fraction(price, 10_000), Fraction(size, 100)
        cost += c * p + round(Fraction(7, 100) * c * p * (1 - p), 5)
    return cost


@given(FILLS)
def test_integers_and_fractions_agree(fills: list[tuple[int, int]]) -> None:
    assert Fraction(kalshi_cost(fills), 1_000_000) == kalshi_by_fractions(fills)
    assert Fraction(polymarket_cost(fills), 1_000_000) == polymarket_by_fractions(fills)


def test_known_fees() -> None:
    assert kalshi_cost([(5000, 100)]) == 517_500
    assert kalshi_cost([(5000, 1000)]) == 5_175_000
    assert polymarket_cost([(5000, 10_000)]) == 50_000_000 + 1_750_000


def test_a_known_edge() -> None:
    kalshi, polymarket = [(4000, 1000)], [(5000, 500), (5100, 1000)]
    assert crossing_depth(kalshi, polymarket) == 1000
    assert take(polymarket, 700) == [(5000, 500), (5100, 200)]
    net = 10 * 1_000_000 - kalshi_cost([(4000, 1000)]) - polymarket_cost([(5000, 500), (5100, 500)])
    assert net_profit(kalshi, polymarket, 1000) == net
    assert best_quantity(kalshi, polymarket) == Best(1000, net)


def test_the_minimums_bind() -> None:
    assert best_quantity([(4000, 400)], [(5000, 400)]) is None
    cheap = best_quantity([(8000, 10_000)], [(1000, 10_000)])
    assert cheap is not None
    assert cheap.quantity == 10_000
    assert best_quantity([(8000, 900)], [(1000, 900)]) is None  # the Polymarket leg is worth 0.90 dollar


LADDER = st.lists(
    st.tuples(st.integers(20, 60), st.integers(1, 6)), min_size=1, max_size=3, unique_by=lambda level: level[0]
)


@settings(max_examples=25)
@given(LADDER, LADDER)
def test_no_permitted_quantity_is_better(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    kalshi, polymarket = (sorted((price * 100, size * 100) for price, size in side) for side in (left, right))
    best = best_quantity(kalshi, polymarket)
    depth = min(sum(size for _, size in side) for side in (kalshi, polymarket))
    permitted = [q for q in range(500, depth + 1) if sum(p * s for p, s in take(polymarket, q)) >= 1_000_000]
    assert (best is None) == (not permitted)
    if best is not None:
        nets = {quantity: net_profit(kalshi, polymarket, quantity) for quantity in permitted}
        assert best.net == max(nets.values())
        equals = [quantity for quantity, net in nets.items() if net == best.net]
        assert (best.quantity, best.alone) == (min(equals), len(equals) == 1)
