"""Books drawn at random for the markets of a group, and a detection that is fed with them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import Book, BookState, FeeSchedule, Group, Level, Market, Opportunity, Venue
from schemas.units import ONE
from streams.core.detection import Detection, Gates, Source
from streams.core.sizing import SizeLimits
from streams.core.waterfall import Pricing
from tests import exact
from tests.unit.streams.core.build import SECOND, book, kalshi, market, polymarket

START = 1_000_000 * SECOND
HOUR = 3_600 * SECOND
FRESHNESS = 5 * SECOND
FEES: dict[Venue, FeeSchedule] = {"kalshi": kalshi(), "polymarket": polymarket()}
ASSUMED = exact.Assumptions(
    hurdle_ppm=50_000,
    void_ppm=1_000,
    mismatch_ppm=2_000,
    gas=60,
    basis_ppm=300,
    delays_ns={"sports": 3_062 * SECOND},
    other_delay_ns=12_240 * SECOND,
)
NO_LIMITS = exact.Limits()
LIMITS = (
    *[NO_LIMITS] * 4,
    exact.Limits(contracts=1),
    exact.Limits(venue_dollars=1),
    exact.Limits(void_dollars=1),
    exact.Limits(void_dollars=0),
)
KINDS = ("new", "new", "new", "again", "old")
"""What arrives: a market's next book, its newest one again, or any that was there."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One book as it reaches the detector."""

    book: Book
    received_ns: int


@dataclass(frozen=True, slots=True)
class Scene:
    """A group with its markets, what they are priced with, and the books that arrive."""

    group: Group
    arrivals: tuple[Arrival, ...]
    markets: tuple[Market, ...]
    assumed: exact.Assumptions = ASSUMED
    skew_ns: int = 0
    limits: exact.Limits = NO_LIMITS
    minimum_net: int = 1

    def detection(self) -> Detection:
        """A detection that knows group and markets, and no book."""
        assumed = self.assumed
        pricing = Pricing(
            hurdle_ppm=assumed.hurdle_ppm,
            void_ppm=assumed.void_ppm,
            mismatch_ppm=assumed.mismatch_ppm,
            gas=assumed.gas,
            basis_ppm=assumed.basis_ppm,
            delays_ns=assumed.delays_ns,
            other_delay_ns=assumed.other_delay_ns,
        )
        limits = SizeLimits(self.limits.contracts, self.limits.venue_dollars, self.limits.void_dollars)
        made = Detection(0, Gates(FRESHNESS, self.minimum_net, self.skew_ns, pricing, limits))
        for one in self.markets:
            made.on_market(one)
        made.on_group(self.group)
        made.assign(1, ())
        return made

    def run(self) -> tuple[Detection, list[Opportunity]]:
        """The detection after all books, and everything it said."""
        made, events = self.detection(), []
        for arrival in self.arrivals:
            events += feed(made, arrival)
        return made, events


def feed(detection: Detection, arrival: Arrival) -> list[Opportunity]:
    return detection.on_book(arrival.book, Source("book", 0, 0, 0), arrival.received_ns)


def standing(detection: Detection) -> dict[tuple[exact.Claim, ...], tuple[int, ...]]:
    """What is open: the claims of each basket, with quantity, gross and fees."""
    return {claims_of(one): (one.quantity, one.gross, one.fees) for one in detection.open_opportunities()}


def claims_of(one: Opportunity) -> tuple[exact.Claim, ...]:
    return tuple((leg.venue, leg.market, leg.outcome) for leg in one.legs)


NUMBERS = (
    "time_ns", "revision", "quantity", "payout", "gross", "depth_cost", "fees", "gas", "basis", "settlement_risk",
    "time_value", "net", "peak_net", "capital", "annualised_ppm", "void_payout", "settles_ns", "survived_ns", "peak_ns",
)  # fmt: skip


def figures(events: Iterable[Opportunity]) -> list[tuple[int, ...]]:
    """All that is said in numbers, whatever the markets are called."""
    return sorted(tuple(getattr(one, name) for name in NUMBERS) for one in events)


def named_market(venue: Venue, name: str, fee: FeeSchedule | None = None) -> Market:
    """A market that settles half an hour off the full hour, so that no test crosses an hour of waiting."""
    made = market(venue, name, fee or FEES[venue], minimum_quantity=3)
    return replace(made, close_ns=START + 30 * HOUR + HOUR // 2, category="Sports" if venue == "kalshi" else "")


@st.composite
def two_sides(draw: st.DrawFn, middle: int) -> tuple[list[Level], list[Level]]:
    """Up to two levels a side around a middle."""
    sizes = [draw(st.integers(3, 60)) for _ in range(4)]
    spread = draw(st.sampled_from([50, 100, 200]))
    bids = [(middle - spread, sizes[0]), (middle - 2 * spread, sizes[1])]
    asks = [(middle + spread, sizes[2]), (middle + 2 * spread, sizes[3])]
    return bids[: draw(st.sampled_from([2, 2, 2, 1, 0]))], asks[: draw(st.sampled_from([2, 2, 2, 1, 0]))]


@st.composite
def arrivals(
    draw: st.DrawFn, group: Group, *, longest_gap_ns: int = 3 * SECOND, kinds: Sequence[str] = KINDS
) -> tuple[Arrival, ...]:
    """New books, late old ones, repetitions with a newer proof, feeds that fall silent or stop being live.

    A proof may be a second older than its arrival. Middles lie about one over the number of markets, or about a half:
    baskets of either kind cross now and then. Every other book stands where the one before stood.
    """
    found: list[Arrival] = []
    newest: dict[str, Book] = {}
    middles: dict[str, int] = {}
    now = START
    fair = draw(st.sampled_from([ONE // len(group.members), ONE // 2]))
    for _ in range(draw(st.integers(10, 24))):
        now += draw(st.sampled_from([0, 0, 1, 1, SECOND, longest_gap_ns]))
        member = draw(st.sampled_from(group.members))
        before = newest.get(member.market)
        kind = draw(st.sampled_from(kinds))
        proof = now - draw(st.sampled_from([0, 0, 1, SECOND]))
        if kind == "new" or before is None:
            if before is None or draw(st.booleans()):
                middles[member.market] = fair + 100 * draw(st.sampled_from(range(-12, 13, 3)))
            bids, asks = draw(two_sides(middles[member.market]))
            state: BookState = draw(st.sampled_from([*["live"] * 9, "halted"]))
            sequence = 1 if before is None else before.sequence + 1
            one = book(member.venue, member.market, bids, asks, sequence=sequence, state=state, confirmed_ns=proof)
            newest[member.market] = one
        elif kind == "again":
            one = replace(before, confirmed_ns=proof, republished=True)
        else:
            one = draw(st.sampled_from([arrival.book for arrival in found]))
        found.append(Arrival(one, now))
    return tuple(found)


def markets_of(group: Group, fees: Sequence[FeeSchedule] = ()) -> tuple[Market, ...]:
    """The reference records of a group's members, of each venue's usual fee or of those given."""
    members = group.members
    chosen = fees or [FEES[member.venue] for member in members]
    return tuple(named_market(one.venue, one.market, fee) for one, fee in zip(members, chosen, strict=True))


class Truth:
    """What must be open after every book, worked out anew by the oracle from nothing but the books seen so far."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.baskets = exact.baskets(scene.group)
        self.newest: dict[str, Book] = {}
        self.confirmed: dict[str, int] = {}
        self.now = 0

    def see(self, arrival: Arrival) -> None:
        one = arrival.book
        self.now = max(self.now, arrival.received_ns)
        before = self.newest.get(one.market)
        if before is None or (one.epoch, one.sequence) > (before.epoch, before.sequence):
            self.newest[one.market] = one
            self.confirmed[one.market] = one.confirmed_ns
        elif (one.epoch, one.sequence) == (before.epoch, before.sequence):
            self.confirmed[one.market] = max(self.confirmed[one.market], one.confirmed_ns)

    def usable(self, names: Sequence[str]) -> bool:
        """Whether every leg is live and fresh, and no two proofs are further apart than the skew limit."""
        for name in names:
            one = self.newest.get(name)
            if one is None or one.state != "live" or self.now - self.confirmed[name] > FRESHNESS:
                return False
        proofs = [self.confirmed[name] for name in names]
        return not self.scene.skew_ns or max(proofs) - min(proofs) <= self.scene.skew_ns

    def ladder(self, claim: exact.Claim) -> tuple[Level, ...]:
        bids, asks = self.newest[claim[1]].sides()
        return tuple(asks if claim[2] == "yes" else [(ONE - price, size) for price, size in bids])

    def standing(self) -> dict[tuple[exact.Claim, ...], tuple[int, ...]]:
        """Every basket that must be open, with its quantity, gross and fees."""
        return {
            claims: found
            for claims, dollars in self.baskets.items()
            if (found := self.best(claims, dollars)) is not None
        }

    def best(self, claims: tuple[exact.Claim, ...], dollars: int) -> tuple[int, ...] | None:
        scene = self.scene
        if not self.usable([name for _, name, _ in claims]) or not all(self.ladder(claim) for claim in claims):
            return None
        markets = tuple(next(one for one in scene.markets if one.market == name) for _, name, _ in claims)
        legs = [
            exact.Leg(self.ladder(claim), one.fee, one.minimum_quantity, one.minimum_value, one.lot)
            for claim, one in zip(claims, markets, strict=True)
        ]
        payout = dollars * ONE
        if sum(leg.levels[0][0] for leg in legs) >= payout:
            return None
        touches = tuple((self.ladder(claim)[0][0], self.bid(claim)) for claim in claims)
        deal = exact.Deal(scene.group, claims, markets, touches, payout, self.now)
        largest = exact.largest_size(deal, legs, scene.limits)
        size = exact.best_size(legs, payout, scene.minimum_net, deal.costs(scene.assumed, largest))
        return None if size is None else (size.quantity, payout * size.quantity - sum(size.costs), sum(size.fees))

    def bid(self, claim: exact.Claim) -> int:
        """What the claim could be sold for at best, 0 for nothing."""
        bids, asks = self.newest[claim[1]].sides()
        if claim[2] == "yes":
            return bids[0][0] if bids else 0
        return ONE - asks[0][0] if asks else 0
