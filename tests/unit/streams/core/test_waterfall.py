"""The waterfall by hand-made examples."""

from dataclasses import replace

import msgspec
import pytest

from schemas.records import SettlementRisk
from schemas.units import ONE
from streams.core.depth import Charges, Walk, WalkedLeg
from streams.core.waterfall import (
    HOUR_NS,
    OTHER_DELAY_NS,
    RESOLUTION_DELAY_NS,
    YEAR_NS,
    Pricing,
    Terms,
    Touch,
    Waterfall,
    first_shortfall,
    settled_ns,
    terms_of,
    waterfall_of,
)
from tests.unit.streams.core.build import group, market

NOW = 1_000 * HOUR_NS
PAIR = group("g", ("kalshi", "K"), ("polymarket", "P"))
MARKETS = [
    msgspec.structs.replace(market("kalshi", "K"), close_ns=NOW + HOUR_NS),
    msgspec.structs.replace(market("polymarket", "P"), close_ns=NOW + 2 * HOUR_NS),
]
TOUCHES = [Touch("kalshi", 4_000, 3_900), Touch("polymarket", 5_000, 4_700)]
TRUE_SETS = [(0,), (1,)]


def terms(pricing: Pricing, risk: SettlementRisk | None = None) -> Terms:
    """The terms of a pair that pays a dollar, one claim of it in each outcome."""
    one = PAIR if risk is None else msgspec.structs.replace(PAIR, risk=risk)
    return terms_of(one, MARKETS, TOUCHES, TRUE_SETS, ONE, pricing, NOW)


@pytest.mark.parametrize(
    ("risk", "payout"),
    [
        (SettlementRisk(), 3_900),  # Kalshi's best bid, Polymarket a half
        (SettlementRisk(void_rules={"kalshi": "refund"}), 4_000),
        (SettlementRisk(void_rules={"kalshi": "half", "polymarket": "last_price"}), 4_700),
        (SettlementRisk(void_rules={"polymarket": "nothing"}), 0),
        (SettlementRisk(void_rules={"kalshi": "half"}), 5_000),
    ],
)
def test_a_void_pays_by_the_rule_of_its_venue(risk: SettlementRisk, payout: int) -> None:
    found = terms(Pricing(), risk)
    assert (found.void_payout, found.shortfall) == (payout, ONE - payout)
    assert isinstance(found.void_payout, int)


@pytest.mark.parametrize("bid", [5_000, 5_001])
def test_a_void_that_pays_as_much_takes_nothing(bid: int) -> None:
    """Two claims that come true together, of which one is enough for the payout."""
    touches = [Touch("kalshi", 5_100, bid), TOUCHES[1]]
    assert terms_of(PAIR, MARKETS, touches, [(0, 1)], ONE, Pricing(), NOW).shortfall == 0


def test_the_evidence_of_the_group_comes_before_the_assumption() -> None:
    """Of a shortfall of 0.61, and of a dollar that a mismatch loses, in parts of 1e-9 of the price unit."""
    pricing = Pricing(void_ppm=20_000, mismatch_ppm=1_000)
    assert terms(pricing).risk_parts == 20_000 * 6_100 * 1_000 + 1_000 * ONE * 1_000
    assert terms(pricing, SettlementRisk(void_ppm=1, mismatch_ppm=3)).risk_parts == 6_100 * 1_000 + 3 * ONE * 1_000
    assert terms(pricing, SettlementRisk(void_ppm=0, mismatch_ppm=0)).risk_parts == 0


@pytest.mark.parametrize(("venue", "parts"), [("kalshi", 0), ("polymarket", ONE * 1_000)])
def test_one_venue_alone_has_nothing_to_mismatch(venue: str, parts: int) -> None:
    touches = [TOUCHES[0], replace(TOUCHES[1], venue=venue)]  # type: ignore[arg-type]
    assert terms_of(PAIR, MARKETS, touches, TRUE_SETS, ONE, Pricing(mismatch_ppm=1), NOW).risk_parts == parts


def test_chain_costs_are_those_of_the_polymarket_legs() -> None:
    found = terms(Pricing(gas=4_000, basis_ppm=700))
    assert (found.gas, found.basis_parts) == (4_000, (0, 700_000))
    both = [replace(touch, venue="polymarket") for touch in TOUCHES]
    found = terms_of(PAIR, MARKETS, both, TRUE_SETS, ONE, Pricing(gas=4_000, basis_ppm=700), NOW)
    assert (found.gas, found.basis_parts) == (8_000, (700_000, 700_000))


@pytest.mark.parametrize(("delay_ns", "hours"), [(0, 2), (1, 3), (HOUR_NS, 3)])
def test_time_is_counted_in_hours_begun_until_the_last_leg_settles(delay_ns: int, hours: int) -> None:
    found = terms(Pricing(hurdle_ppm=87_600, delays_ns={}, other_delay_ns=delay_ns))
    assert found.settles_ns == NOW + 2 * HOUR_NS + delay_ns
    assert found.time_parts == hours * 10_000  # 8,760 hours a year
    assert terms(Pricing(hurdle_ppm=1, delays_ns={}, other_delay_ns=delay_ns)).time_parts == 1  # rounded up


@pytest.mark.parametrize(
    ("expected_ns", "close_ns", "ends_ns"),
    [(NOW + 5, NOW + 9, NOW + 5), (0, NOW + 9, NOW + 9), (NOW - 1, NOW + 9, NOW), (0, 0, NOW)],
)
@pytest.mark.parametrize(
    ("category", "delay_ns"),
    [("Sports", RESOLUTION_DELAY_NS["sports"]), ("politics", 10_745_000_000_000), ("", OTHER_DELAY_NS)],
)
def test_when_a_market_settles(expected_ns: int, close_ns: int, ends_ns: int, category: str, delay_ns: int) -> None:
    one = msgspec.structs.replace(MARKETS[0], expected_settlement_ns=expected_ns, close_ns=close_ns, category=category)
    assert settled_ns(one, Pricing(), NOW) == ends_ns + delay_ns


WALK = Walk(
    quantity=300,
    payout=3_000_000,
    gross=210_000,
    fees=7_000,
    net=129_000,
    legs=(
        WalkedLeg(((4_000, 100), (4_100, 200)), 1_220_000, 4_000, 4_100),
        WalkedLeg(((5_200, 250), (5_400, 50)), 1_570_000, 3_000, 5_400),
    ),
)
TERMS = Terms(
    void_payout=3_900, shortfall=6_100, risk_parts=100_000_000_001, time_parts=0, basis_parts=(0, 1_000_001), gas=4_000,
    settles_ns=NOW + YEAR_NS // 2,
)  # fmt: skip


def test_the_charges_of_a_walk() -> None:
    """Time is charged on costs and fees, the basis on Polymarket's costs alone."""
    found = replace(TERMS, time_parts=70)
    expected = Charges(
        cost_parts=(70, 1_000_071), fee_parts=70, contract_parts=100_000_000_001, fixed=4_000, maximum_quantity=None
    )
    assert found.charges() == expected
    assert found.charges(5) == replace(expected, maximum_quantity=5)


def test_each_step_is_rounded_up_in_such_a_way_that_the_sum_is_exact() -> None:
    """The basis is 1570.00157, the risk 30,000.0000003: 1,571 and 30,000 together leave what is left, rounded down."""
    assert waterfall_of(WALK, TERMS, NOW) == Waterfall(
        gross=210_000, depth_cost=30_000, fees=7_000, gas=4_000, basis=1_571, settlement_risk=30_000, time_value=38_429,
        net=129_000, capital=2_801_000, annualised_ppm=167_429 * 2_000_000 // 2_801_000, void_payout=1_170_000,
    )  # fmt: skip


def test_what_is_locked_for_no_time_counts_as_locked_for_a_nanosecond() -> None:
    found = waterfall_of(WALK, replace(TERMS, settles_ns=NOW), NOW)
    assert found.annualised_ppm == 167_429 * 1_000_000 * YEAR_NS // 2_801_000
    assert waterfall_of(WALK, replace(TERMS, settles_ns=NOW + 2), NOW).annualised_ppm == found.annualised_ppm // 2


def test_nothing_locked_has_no_yearly_return() -> None:
    free = Walk(1, ONE, ONE, 0, ONE, (WalkedLeg(((0, 1),), 0, 0, 0),))
    assert waterfall_of(free, replace(TERMS, gas=0, basis_parts=(0,)), NOW).annualised_ppm == 0
    least = Walk(1, ONE, ONE, 1, ONE, (WalkedLeg(((0, 1),), 0, 0, 0),))
    assert waterfall_of(least, replace(TERMS, gas=0, basis_parts=(0,)), NOW).annualised_ppm > 0


STEPS = {"fees": 10, "gas": 20, "basis": 30, "settlement_risk": 40, "time_value": 50}


def weighed(gross: int) -> Waterfall:
    return Waterfall(gross=gross, depth_cost=9, net=gross - 150, capital=1, annualised_ppm=1, void_payout=1, **STEPS)


@pytest.mark.parametrize(
    ("gross", "reason"),
    [
        (-1, "minimum size"),
        (0, "minimum size"),
        (1, "fees"),
        (10, "fees"),
        (11, "gas"),
        (30, "gas"),
        (31, "basis"),
        (60, "basis"),
        (61, "settlement risk"),
        (100, "settlement risk"),
        (101, "time value"),
        (150, "time value"),
        (151, "minimum net"),
        (156, "minimum net"),
        (157, ""),
    ],
)
def test_the_first_step_after_which_nothing_is_left(gross: int, reason: str) -> None:
    assert first_shortfall(weighed(gross), 7) == reason
