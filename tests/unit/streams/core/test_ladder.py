from sys import byteorder

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Level, TickRange
from streams.core import ladder
from streams.core.ladder import LadderError, check_length, claim_levels, limit_price, read_long
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
    assert not bids or read_long(one.ladder, 0)[0] == bids[0][0]
    assert not asks or read_long(one.ladder, 16 * len(bids))[0] == asks[0][0]
    assert claim_levels(one, "yes") == asks
    assert claim_levels(one, "no") == [(10_000 - price, size) for price, size in bids]


@pytest.mark.parametrize(
    ("bids", "asks", "outcome", "complaint"),
    [
        ([], [(5_000, 1), (5_000, 1)], "yes", "not ordered best first"),
        ([], [(5_000, 1), (4_000, 1)], "yes", "not ordered best first"),
        ([(4_000, 1), (5_000, 1)], [], "no", "not ordered best first"),
        ([], [(5_000, 0)], "yes", "outside 0..1 or no quantity"),
        ([], [(5_000, -1)], "yes", "outside 0..1 or no quantity"),
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


def test_a_machine_of_the_other_byte_order_swaps_what_it_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    bids, asks = [(4_000, 7), (3_000, 2)], [(6_000, 5)]
    one = book("kalshi", "A", bids, asks)
    longs = [one.ladder[at : at + 8][::-1] for at in range(0, len(one.ladder), 8)]
    monkeypatch.setattr(ladder, "byteorder", "little" if byteorder == "big" else "big")
    there = msgspec.structs.replace(one, ladder=b"".join(longs))
    assert claim_levels(there, "yes") == asks
    assert claim_levels(there, "no") == [(10_000 - price, size) for price, size in bids]


TAPERED = (TickRange(start=0, end=1_000, step=10), TickRange(start=1_000, end=9_000, step=100))


@pytest.mark.parametrize(
    ("outcome", "price", "expected"),
    [
        ("yes", 5_000, 5_000),
        ("yes", 5_001, 5_100),
        ("yes", 991, 1_000),
        ("yes", 15, 20),
        ("yes", 0, 0),
        ("yes", 8_950, 9_000),
        ("yes", 9_050, 9_050),  # beyond the grid that is known: as it is
        ("no", 5_000, 5_000),
        ("no", 5_001, 5_100),  # YES at 0.4999, so at 0.49
        ("no", 9_901, 9_910),
        ("no", 9_995, 9_995),  # YES at 0.0005, so at 0, where NO would cost a dollar: as it is
        ("no", 500, 1_000),  # YES at 0.95 is beyond the grid: at 0.90
    ],
)
def test_an_order_stands_on_the_grid(outcome: str, price: int, expected: int) -> None:
    assert limit_price(TAPERED, outcome, price) == expected  # type: ignore[arg-type]
    assert limit_price((), outcome, price) == price  # type: ignore[arg-type]
