import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Level
from streams.core.ladder import LadderError, best_ask, best_bid, check_length, claim_levels
from tests.unit.streams.core.build import book

sizes = st.integers(1, 10**9)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[list[Level], list[Level]]:
    prices = sorted(draw(st.sets(st.integers(0, 10_000), max_size=12)))
    cut = draw(st.integers(0, len(prices)))
    bids = [(price, draw(sizes)) for price in reversed(prices[:cut])]
    return bids, [(price, draw(sizes)) for price in prices[cut:]]


@given(ladders())
def test_packed_reading_equals_the_unpacked_ladder(sides: tuple[list[Level], list[Level]]) -> None:
    bids, asks = sides
    one = book("kalshi", "A", bids, asks)
    assert best_bid(one) == (bids[0][0] if bids else None)
    assert best_ask(one) == (asks[0][0] if asks else None)
    assert claim_levels(one, "yes") == asks
    assert claim_levels(one, "no") == [(10_000 - price, size) for price, size in bids]


@pytest.mark.parametrize(
    ("bids", "asks", "outcome", "complaint"),
    [
        ([], [(5_000, 1), (5_000, 1)], "yes", "not ordered best first"),
        ([], [(5_000, 1), (4_000, 1)], "yes", "not ordered best first"),
        ([(4_000, 1), (5_000, 1)], [], "no", "not ordered best first"),
        ([], [(5_000, 0)], "yes", "outside 0..1 or no quantity"),
        ([], [(-1, 1)], "yes", "outside 0..1 or no quantity"),
        ([(-1, 1)], [], "no", "outside 0..1 or no quantity"),
        ([(10_001, 1)], [], "no", "outside 0..1 or no quantity"),
    ],
)
def test_a_malformed_side_is_refused_by_name(
    bids: list[Level], asks: list[Level], outcome: str, complaint: str
) -> None:
    with pytest.raises(LadderError, match=f"kalshi A: .*{complaint}"):
        claim_levels(book("kalshi", "A", bids, asks), outcome)  # type: ignore[arg-type]


@pytest.mark.parametrize("counts", [{"bid_count": 2}, {"ask_count": 0}, {"bid_count": -1, "ask_count": 3}])
def test_counts_that_do_not_fit_are_refused(counts: dict[str, int]) -> None:
    one = msgspec.structs.replace(book("kalshi", "A", [(4_000, 1)], [(5_000, 1)]), **counts)
    with pytest.raises(LadderError, match="kalshi A: ladder of 32 bytes"):
        check_length(one)


def test_the_ends_of_the_grid_are_prices() -> None:
    assert claim_levels(book("kalshi", "A", [], [(0, 1), (10_000, 1)]), "yes") == [(0, 1), (10_000, 1)]
    assert claim_levels(book("kalshi", "A", [(10_000, 1), (0, 1)], []), "no") == [(0, 1), (10_000, 1)]
