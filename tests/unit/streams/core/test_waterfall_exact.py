"""The waterfall against the oracle: the worst payout under a void, charges, and every step from gross to net."""

from dataclasses import dataclass
from dataclasses import replace as replaced
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import Group, Market, SettlementRisk, Venue, VoidRule
from schemas.units import ONE
from streams.core.baskets import Basket, compile_group
from streams.core.depth import WalkLeg, walk_depth
from streams.core.waterfall import Pricing, Terms, Touch, terms_of, waterfall_of
from tests import exact
from tests.unit.streams.core.build import kalshi, market, polymarket
from tests.unit.streams.core.groups_drawn import usable_groups
from tests.unit.streams.core.offers_drawn import ladders, schedules

HOUR = 3_600_000_000_000
NOW = 1_000_000 * HOUR + 12_345
FEES = {"kalshi": kalshi(), "polymarket": polymarket()}
ppm = st.sampled_from([0, 1, 5_000, 100_000, 1_000_000])
judged = st.one_of(st.just(-1), ppm)
rules: st.SearchStrategy[VoidRule] = st.sampled_from(["half", "last_price", "refund", "nothing"])
venues: st.SearchStrategy[Venue] = st.sampled_from(["kalshi", "polymarket"])


@dataclass(frozen=True, slots=True)
class Case:
    """A basket with its prices at one moment, in the oracle's words, and the assumptions that it is priced with."""

    deal: exact.Deal
    basket: Basket
    assumed: exact.Assumptions

    def terms(self) -> Terms:
        assumed, deal = self.assumed, self.deal
        pricing = Pricing(
            hurdle_ppm=assumed.hurdle_ppm,
            void_ppm=assumed.void_ppm,
            mismatch_ppm=assumed.mismatch_ppm,
            gas=assumed.gas,
            basis_ppm=assumed.basis_ppm,
            delays_ns=assumed.delays_ns,
            other_delay_ns=assumed.other_delay_ns,
        )
        touches = [Touch(claim[0], ask, bid) for claim, (ask, bid) in zip(deal.claims, deal.touches, strict=True)]
        true_sets = compile_group(deal.group).true_sets(self.basket.claims)
        return terms_of(deal.group, deal.markets, touches, true_sets, self.basket.payout, pricing, deal.now_ns)


assumptions = st.builds(
    exact.Assumptions,
    hurdle_ppm=st.sampled_from([0, 1, 50_000, 99_999, 3_000_000]),
    void_ppm=ppm,
    mismatch_ppm=ppm,
    gas=st.sampled_from([0, 1, 4_000, 20_000]),
    basis_ppm=st.sampled_from([0, 1, 777, 2_000]),
    delays_ns=st.just({"sports": 3_062_000_000_000, "politics": 10_745_000_000_000}),
    other_delay_ns=st.sampled_from([0, 1, HOUR, 12_240_000_000_000]),
)


@st.composite
def risky(draw: st.DrawFn, one: Group) -> Group:
    """A group with some evidence of what settlement does."""
    void_rules = draw(st.dictionaries(venues, rules))
    return replace(one, risk=SettlementRisk(void_ppm=draw(judged), mismatch_ppm=draw(judged), void_rules=void_rules))


@st.composite
def priced_market(draw: st.DrawFn, venue: Venue, name: str) -> Market:
    ends = st.sampled_from([0, 1, NOW - HOUR, NOW, NOW + 1, NOW + 5 * HOUR, NOW + 8_760 * HOUR])
    return replace(
        market(venue, name, FEES[venue]),
        close_ns=draw(ends),
        expected_settlement_ns=draw(ends),
        category=draw(st.sampled_from(["", "Sports", "politics", "Crypto"])),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    one = draw(usable_groups(5).flatmap(risky).filter(exact.baskets))
    basket = draw(st.sampled_from(compile_group(one).baskets(10_000)))
    claims = tuple((claim.venue, claim.market, claim.outcome) for claim in basket.claims)
    around = basket.payout // len(claims)
    touches = []
    for _ in claims:
        ask = min(ONE, max(1, around + draw(st.integers(-600, 100))))
        touches.append((ask, draw(st.one_of(st.just(0), st.integers(0, ask)))))
    markets = tuple(draw(priced_market(venue, name)) for venue, name, _ in claims)
    deal = exact.Deal(one, claims, markets, tuple(touches), basket.payout, NOW)
    return Case(deal, basket, draw(assumptions))


@settings(max_examples=50)
@given(cases())
def test_the_terms_are_the_oracles(case: Case) -> None:
    terms, deal = case.terms(), case.deal
    assert terms.void_payout == deal.void_payout()
    assert terms.settles_ns == deal.settles_ns(case.assumed)
    charges, costs = terms.charges(7), deal.costs(case.assumed, 7)
    assert (charges.fee_parts, charges.contract_parts) == (costs.fee_parts, costs.contract_parts)
    assert (charges.cost_parts, charges.fixed) == (costs.cost_parts, costs.fixed)
    assert charges.maximum_quantity == costs.maximum_quantity


@settings(max_examples=50)
@given(cases(), st.data())
def test_every_step_from_gross_to_net_is_the_oracles(case: Case, data: st.DataObject) -> None:
    """The best size under a basket's own charges, and what is left of it step by step; the steps sum exactly."""
    legs = tuple(exact.Leg(data.draw(ladders(ask, 60)), data.draw(schedules)) for ask, _ in case.deal.touches)
    touches = tuple((leg.levels[0][0], bid) for leg, (_, bid) in zip(legs, case.deal.touches, strict=True))
    case = Case(replaced(case.deal, touches=touches), case.basket, case.assumed)
    terms, costs = case.terms(), case.deal.costs(case.assumed)
    size = exact.best_size(legs, case.deal.payout, -(10**9), costs)
    walk = walk_depth([WalkLeg(leg.levels, leg.fee) for leg in legs], case.deal.payout, -(10**9), terms.charges())
    assert size is not None
    assert walk is not None
    assert (walk.quantity, walk.net) == (size.quantity, floor(size.net))
    found, steps = waterfall_of(walk, terms, NOW), case.deal.steps(size, case.assumed)
    assert {name: getattr(found, name) for name in steps} == steps
    assert found.net == (found.gross - found.fees - found.gas - found.basis - found.settlement_risk - found.time_value)
