"""The traffic's books: alive, of a sensible depth, on the grid, never crossed, and the same for one seed."""

from collections import Counter
from collections.abc import Sequence

import pytest

from infra.simulator.engine import EngineTrade, Level, LevelChange, MatchingEngine, NewOrder
from infra.simulator.traffic import AGENTS, FEWEST, MOST, Traffic
from infra.simulator.venue import Band
from schemas.records import TickRange

CENTS = (TickRange(start=0, end=10_000, step=100),)
TAPERED = (
    TickRange(start=0, end=1_000, step=10),
    TickRange(start=1_000, end=9_000, step=100),
    TickRange(start=9_000, end=10_000, step=10),
)
MARKETS = ("a", "b", "c")


class Played:
    """An engine under traffic, and what it told."""

    def __init__(self, seed: int = 1, bands: Sequence[Band] = CENTS) -> None:
        self.engine = MatchingEngine(lambda: 0)
        self.bands = bands
        self.told: list[LevelChange | EngineTrade] = []
        self.engine.on_change.append(self.told.append)
        self.engine.on_trade.append(self.told.append)
        for market in MARKETS:
            self.engine.list_market(market)
        self.traffic = Traffic(self.engine, self.engine.markets, seed, lambda _: self.bands)

    def sides(self) -> list[list[Level]]:
        """Both sides of every book."""
        return [side for market in MARKETS for side in self.engine.levels(market)]


@pytest.mark.parametrize("bands", [CENTS, TAPERED], ids=["cents", "tapered"])
def test_books_stay_as_deep_as_they_should_on_the_grid_and_uncrossed(bands: Sequence[Band]) -> None:
    played = Played(bands=bands)
    grid = {price for band in bands for price in range(band.start, band.end + 1, band.step)} - {0, 10_000}
    played.traffic.fill()
    depths: Counter[int] = Counter()
    tops = []
    for _ in range(20_000):
        played.traffic.step()
        sides = played.sides()
        depths.update(map(len, sides))
        for bids, asks in zip(sides[::2], sides[1::2], strict=True):
            assert not bids or not asks or bids[0][0] < asks[0][0]
            tops += [bids[0][0] for _ in bids[:1]]
    assert max(depths) == MOST
    assert sum(count for depth, count in depths.items() if depth >= FEWEST) > 0.8 * depths.total()
    assert depths[0] > 0, "a side is empty now and then"
    assert min(tops) <= 300
    assert max(tops) >= 9_700
    changes = [event for event in played.told if isinstance(event, LevelChange)]
    assert {change.price for change in changes} <= grid
    assert any(change.size % 100 for change in changes), "fractions of a contract"
    assert any(isinstance(event, EngineTrade) for event in played.told)


def test_the_first_levels_come_with_fill_or_with_the_first_action() -> None:
    played = Played()
    played.traffic.fill()
    assert all(played.sides())
    before = len(played.told)
    played.traffic.fill()
    assert len(played.told) == before
    other = Played()
    for _ in range(50):
        other.traffic.step()
    assert all(other.sides())


def test_one_seed_gives_one_story() -> None:
    def story(seed: int) -> list[LevelChange | EngineTrade]:
        played = Played(seed)
        for _ in range(500):
            played.traffic.step()
        return played.told

    assert story(1) == story(1) != story(2)


def test_a_market_without_a_grid_and_the_orders_of_others_are_left_alone() -> None:
    played = Played()
    played.bands = ()
    for _ in range(100):
        played.traffic.step()
    assert played.told == []
    played.bands = CENTS
    mine = NewOrder("mine", "someone", "a", "buy", 100, 700)
    played.engine.place(mine)
    for _ in range(2_000):
        played.traffic.step()
        taken = [event for event in played.told if isinstance(event, EngineTrade) and event.maker_order == "mine"]
        resting = played.engine.order("mine")
        assert (resting.remaining if resting else 0) == 700 - sum(trade.quantity for trade in taken)
    owners = {resting.order.owner for market in MARKETS for resting in played.engine.orders(market)}
    assert owners <= {*AGENTS, "someone"}


def test_a_grid_that_becomes_coarser_is_followed() -> None:
    played = Played(bands=TAPERED)
    played.traffic.fill()
    for _ in range(500):
        played.traffic.step()
    for market in MARKETS:
        played.engine.cancel_all(market)
    played.bands = CENTS
    played.told.clear()
    for _ in range(500):
        played.traffic.step()
    assert {event.price % 100 for event in played.told} == {0}


def test_no_market_at_all_is_no_action() -> None:
    engine = MatchingEngine(lambda: 0)
    traffic = Traffic(engine, engine.markets, 0, lambda _: CENTS)
    traffic.fill()
    traffic.step()
