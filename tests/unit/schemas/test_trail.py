"""The stamps of a book's way."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Book
from schemas.trail import STAMPS, StrictClock, pipeline_latency_us


def test_pipeline_latency_is_from_the_call_to_the_store() -> None:
    assert pipeline_latency_us(1_000, 5_999) == 4
    assert pipeline_latency_us(5_999, 1_000) == -5


def test_a_book_carries_the_stamps_that_are_set_before_kafka() -> None:
    assert set(STAMPS[:3]) <= set(Book.__struct_fields__)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 50)), max_size=60))
def test_stamps_rise_strictly_per_market_whatever_the_clock_does(readings: list[tuple[str, int]]) -> None:
    clock = StrictClock()
    last = {"a": 0, "b": 0}
    for market, now in readings:
        stamp = clock.stamp(market, now)
        assert stamp > last[market]
        assert stamp >= now
        last[market] = stamp
