from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import Level, TicketLeg, Venue
from streams.core.baskets import Claim
from streams.core.depth import WalkLeg
from streams.core.risk import worst_cost
from streams.core.sizing import UNLIMITED, SizeLimits, most
from tests.unit.streams.core.build import FREE


def legs(*ladders: list[Level]) -> list[WalkLeg]:
    return [WalkLeg(levels, FREE) for levels in ladders]


def claims(*venues: Venue) -> list[Claim]:
    return [Claim(venue, f"M{number}", "yes") for number, venue in enumerate(venues)]


def ticket_leg(claim: Claim, quantity: int, limit_price: int) -> TicketLeg:
    return TicketLeg(
        venue=claim.venue, market=claim.market, outcome=claim.outcome, limit_price=limit_price, quantity=quantity,
        order_id="", order_state="acknowledged", reason="", fill_quantity=0, cost=0, fee=0,
    )  # fmt: skip


def test_no_limits_do_not_bind() -> None:
    assert most(legs([(4_000, 10**9)], [(5_000, 10**9)]), claims("kalshi", "polymarket"), UNLIMITED, 0) is None


def test_contracts_are_counted_over_all_legs() -> None:
    offer = legs([(4_000, 10_000)], [(5_000, 10_000)], [(100, 10_000)])
    three = claims("kalshi", "kalshi", "polymarket")
    assert most(offer, three, SizeLimits(group_contracts=100), 0) == 3_333
    assert most(offer, three, SizeLimits(group_contracts=299), 0) == 9_966
    assert most(offer, three, SizeLimits(group_contracts=300), 0) is None


def test_money_is_counted_by_venue() -> None:
    """At 0.50 with the dearest fee, 0.20 x 0.25 = 0.05: a contract counts 0.55, and Kalshi's rounding 0.32 an order."""
    offer = legs([(5_000, 100_000)], [(5_000, 100_000)])
    assert most(offer, claims("kalshi", "polymarket"), SizeLimits(venue_dollars=100), 0) == 18_123
    assert most(offer, claims("polymarket", "polymarket"), SizeLimits(venue_dollars=100), 0) == 9_090
    assert most(offer, claims("polymarket", "polymarket"), SizeLimits(venue_dollars=1_101), 0) is None


def test_a_limit_that_is_met_exactly_does_not_bind() -> None:
    """0.55 x 17.60 contracts + 0.32 are ten dollars."""
    dear = claims("kalshi", "polymarket")
    assert most(legs([(5_000, 1_760)], [(100, 9_000)]), dear, SizeLimits(venue_dollars=10), 0) is None
    assert most(legs([(5_000, 1_761)], [(100, 9_000)]), dear, SizeLimits(venue_dollars=10), 0) == 1_760
    assert most(legs([(5_000, 9_000)], [(100, 9_000)]), dear, SizeLimits(venue_dollars=10), 0) == 1_760


def test_every_contract_counts_at_the_price_of_the_last() -> None:
    """A contract at 0.10 counts 0.118; the 1.01st would make all of them count 0.918 and come to more than a dollar."""
    offer = legs([(1_000, 60), (1_000, 40), (9_000, 900)], [(100, 1_000)])
    assert most(offer, claims("kalshi", "polymarket"), SizeLimits(venue_dollars=1), 0) == 100
    assert most(offer, claims("kalshi", "polymarket"), SizeLimits(venue_dollars=2), 0) == 183


def test_what_a_void_may_take_is_bounded() -> None:
    offer, two = legs([(5_000, 10_000)], [(4_000, 10_000)]), claims("kalshi", "polymarket")
    assert most(offer, two, SizeLimits(void_dollars=30), shortfall=9_000) == 3_333
    assert most(offer, two, SizeLimits(void_dollars=30), shortfall=3_000) is None
    assert most(offer, two, SizeLimits(void_dollars=30), 0) is None


def test_a_limit_below_the_smallest_order_leaves_nothing() -> None:
    assert most(legs([(5_000, 100)] * 1, [(5_000, 100)]), claims("kalshi", "kalshi"), SizeLimits(None, 0), 0) == 0


ladders = st.lists(st.tuples(st.integers(1, 9_900), st.integers(1, 5_000)), min_size=1, max_size=4).map(
    lambda levels: sorted(dict(levels).items())
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["kalshi", "polymarket"]), ladders), min_size=2, max_size=4),
    st.integers(0, 40),
    st.integers(0, 60),
)
def test_an_executor_with_nothing_open_takes_that_much_and_not_a_hundredth_more(
    offer: list[tuple[Venue, list[Level]]], dollars: int, contracts: int
) -> None:
    chosen = claims(*(venue for venue, _ in offer))
    depth = min(sum(size for _, size in levels) for _, levels in offer)
    bound = most(legs(*(levels for _, levels in offer)), chosen, SizeLimits(contracts, dollars), 0)

    def allowed(quantity: int) -> bool:
        costs = {"kalshi": 0, "polymarket": 0}
        for claim, (_, levels) in zip(chosen, offer, strict=True):
            dearest = max(
                price for at, (price, _) in enumerate(levels) if sum(s for _, s in levels[:at]) < max(1, quantity)
            )
            costs[claim.venue] += worst_cost(ticket_leg(claim, quantity, dearest))
        return quantity * len(offer) <= contracts * 100 and max(costs.values()) <= dollars * 1_000_000

    top = depth if bound is None else bound
    assert top == 0 or allowed(top)
    assert top == depth or not allowed(top + 1)
