from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.ladder import Ladder, NegativeLevel
from schemas.records import unpack_ladder

PRICES = st.integers(1, 9999)
SIZES = st.integers(0, 1000)
CHANGES = st.lists(st.tuples(st.sampled_from(["bid", "ask"]), PRICES, SIZES), max_size=80)


@given(CHANGES, st.integers(1, 8))
def test_the_visible_ladder_is_the_sorted_top_of_what_was_put(changes: Any, depth: int) -> None:
    ladder = Ladder()
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for side, price, size in changes:
        ladder.put(side, price, size)
        (bids if side == "bid" else asks)[price] = size
    packed = ladder.pack(depth)
    seen_bids, seen_asks = unpack_ladder(packed.ladder, packed.bid_count, packed.ask_count)
    assert seen_bids == sorted(((p, s) for p, s in bids.items() if s), reverse=True)[:depth]
    assert seen_asks == sorted((p, s) for p, s in asks.items() if s)[:depth]


@given(CHANGES)
def test_replacing_gives_the_same_ladder_as_putting_each_level(changes: Any) -> None:
    bids = {price: size for side, price, size in changes if side == "bid"}
    asks = {price: size for side, price, size in changes if side == "ask"}
    one, other = Ladder(), Ladder()
    one.put("bid", 5, 5)
    one.replace(bids.items(), asks.items())
    for side, price, size in changes:
        other.put(side, price, size)
    assert one.pack(100) == other.pack(100)


def test_a_change_below_zero_is_refused_and_changes_nothing() -> None:
    ladder = Ladder()
    ladder.put("bid", 4200, 100)
    before = ladder.pack(10)
    with pytest.raises(NegativeLevel, match="bid 4200: 100 rest there, 101 were taken"):
        ladder.add("bid", 4200, -101)
    assert ladder.pack(10) == before
    ladder.add("bid", 4200, -100)
    assert ladder.bids.best() is None


def test_version_rises_only_with_changes() -> None:
    ladder = Ladder()
    ladder.put("ask", 6000, 100)
    version = ladder.version
    ladder.put("ask", 6000, 100)
    ladder.put("bid", 10, 0)
    assert ladder.version == version
    ladder.put("ask", 6000, 0)
    assert ladder.version == version + 1


@pytest.mark.parametrize(("bid", "ask", "crossed"), [(4000, 4100, False), (4100, 4100, True), (4200, 4100, True)])
def test_crossed(bid: int, ask: int, crossed: bool) -> None:
    ladder = Ladder()
    ladder.put("bid", bid, 1)
    assert not ladder.crossed()
    ladder.put("ask", ask, 1)
    assert ladder.crossed() is crossed
