"""Ages of books: what is counted is what was observed."""

from hypothesis import given
from hypothesis import strategies as st

from runtime.ages import LARGEST, SMALLEST, STAGES, FeedAges
from runtime.metrics import AGES, observe_age

T0 = 1_790_000_000_000_000_000


def histogram(ages: FeedAges, venue: str, stage: str) -> tuple[dict[str, float], float, float]:
    """Cumulative counts by upper bound, count and sum."""
    counts, count, total = {}, 0.0, 0.0
    for family in ages.collect():
        for sample in family.samples:
            if sample.labels.get("venue") == venue and sample.labels.get("stage") == stage:
                if sample.name.endswith("_bucket"):
                    counts[sample.labels["le"]] = sample.value
                elif sample.name.endswith("_count"):
                    count = sample.value
                elif sample.name.endswith("_sum"):
                    total = sample.value
    return counts, count, total


def newest(ages: FeedAges) -> dict[str, float]:
    return {
        sample.labels["market"]: sample.value
        for family in ages.collect()
        for sample in family.samples
        if sample.name == "dutchbook_feed_age_ms"
    }


@given(st.lists(st.tuples(st.integers(-(10**9), 10**12), st.integers(-(10**6), 10**10)), min_size=1, max_size=50))
def test_every_bucket_counts_the_ages_below_its_bound(observed: list[tuple[int, int]]) -> None:
    ages = FeedAges()
    for under_way_ns, handled_ns in observed:
        ages.observe("kalshi", "", T0, T0 + under_way_ns, T0 + under_way_ns + handled_ns)
    for stage, values in zip(STAGES, zip(*observed, strict=True), strict=True):
        counts, count, total = histogram(ages, "kalshi", stage)
        assert count == len(observed)
        assert abs(total - sum(max(0, value) for value in values) / 1e9) < 1e-6
        for bound, below in counts.items():
            if bound != "+Inf":
                assert below == sum(max(0, value) // 1000 < round(float(bound) * 1e6) for value in values)
        assert len(counts) == LARGEST - SMALLEST + 2


def test_a_book_without_a_stamp_of_the_venue_counts_from_its_receipt() -> None:
    ages = FeedAges()
    ages.observe("kalshi", "X", 0, T0, T0 + 1_000_000)
    assert histogram(ages, "kalshi", STAGES[0])[1] == 0
    assert histogram(ages, "kalshi", STAGES[1])[1] == 1
    assert newest(ages) == {}


def test_the_newest_age_of_grouped_markets_on_the_venues_clock() -> None:
    ages = FeedAges()
    ages.observe("kalshi", "X", T0, T0 + 30_000_000, T0 + 31_000_000)
    ages.observe("kalshi", "", T0, T0 + 90_000_000, T0 + 91_000_000)
    assert newest(ages) == {"X": 31.0}
    ages.correct("kalshi", 500_000_000)
    ages.observe("kalshi", "X", T0 + 500_000_000, T0 + 20_000_000, T0 + 21_000_000)
    ages.observe("kalshi", "Y", T0 + 500_000_000, T0 + 20_000_000, T0 + 25_000_000)
    assert newest(ages) == {"X": 21.0, "Y": 25.0}
    ages.forget("kalshi", "X")
    ages.forget("kalshi", "never")
    assert newest(ages) == {"Y": 25.0}


def test_the_process_has_one_of_them_among_its_metrics() -> None:
    observe_age("polymarket", "registered", T0, T0 + 1, T0 + 2)
    assert "registered" in newest(AGES)
    AGES.forget("polymarket", "registered")
