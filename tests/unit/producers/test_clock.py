"""The offset of a venue's clock: what is said about it is true, and becomes sharper."""

from email.utils import formatdate

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from producers.clock import (
    DRIFT_PPM,
    SECOND_NS,
    STEP_AFTER,
    OffsetEstimator,
    Sample,
    VenueClock,
    intersection,
    whole_second,
)
from producers.resilience import Heard
from runtime import metrics

T0 = 1_790_000_000_000_000_000
OFFSETS = st.integers(-3600 * SECOND_NS, 3600 * SECOND_NS)
DELAYS = st.integers(0, 2 * SECOND_NS)


def sampled(offset_ns: int, sent_ns: int, there_ns: int, back_ns: int) -> Sample:
    """What a truthful venue answers to a request that takes so long there and back."""
    second = (sent_ns + there_ns + offset_ns) // SECOND_NS
    return whole_second(second, sent_ns, sent_ns + there_ns + back_ns)


@given(OFFSETS, st.lists(st.tuples(DELAYS, DELAYS, DELAYS), min_size=1, max_size=80))
def test_the_true_offset_is_always_within_what_truthful_answers_say(
    offset_ns: int, asked: list[tuple[int, int, int]]
) -> None:
    estimator, now_ns, uncertain_ns = OffsetEstimator(drift_ppm=0, window=100), T0, 10 * SECOND_NS
    for wait_ns, there_ns, back_ns in asked:
        now_ns += wait_ns
        assert not estimator.add(sampled(offset_ns, now_ns, there_ns, back_ns))
        now_ns += there_ns + back_ns
        estimate = estimator.estimate(now_ns)
        assert estimate is not None
        assert estimate.low_ns <= offset_ns <= estimate.high_ns
        assert estimate.uncertainty_ns <= uncertain_ns
        uncertain_ns = estimate.uncertainty_ns


@given(
    OFFSETS,
    st.floats(-DRIFT_PPM, DRIFT_PPM),
    st.lists(st.tuples(st.integers(0, 600 * SECOND_NS), DELAYS, DELAYS), min_size=1, max_size=60),
)
def test_the_true_offset_stays_within_while_the_clocks_drift(
    offset_ns: int, drift_ppm: float, asked: list[tuple[int, int, int]]
) -> None:
    estimator, now_ns = OffsetEstimator(), T0

    def true_ns(at_ns: int) -> int:
        return offset_ns + int((at_ns - T0) * drift_ppm / 1e6)

    for wait_ns, there_ns, back_ns in asked:
        now_ns += wait_ns
        estimator.add(sampled(true_ns(now_ns + there_ns), now_ns, there_ns, back_ns))
        now_ns += there_ns + back_ns
        estimate = estimator.estimate(now_ns)
        assert estimate is not None
        slack_ns = 1 + back_ns * DRIFT_PPM // 1_000_000
        assert estimate.low_ns - slack_ns <= true_ns(now_ns) <= estimate.high_ns + slack_ns


@given(OFFSETS, st.integers(3 * SECOND_NS, 100 * SECOND_NS), st.integers(5, 30), st.data())
def test_a_minority_of_wrong_answers_moves_nothing(
    offset_ns: int, wrong_ns: int, count: int, data: st.DataObject
) -> None:
    truthful = [
        sampled(offset_ns, T0, data.draw(st.integers(0, SECOND_NS)), data.draw(st.integers(0, SECOND_NS)))
        for _ in range(count)
    ]
    wrong = [Sample(one.low_ns + wrong_ns, one.high_ns + wrong_ns, one.at_ns) for one in truthful[: (count - 1) // 2]]
    mixed = data.draw(st.permutations(truthful + wrong))
    alone, many = intersection(truthful, T0, 0)
    assert intersection(mixed, T0, 0) == (alone, many)


@given(OFFSETS, st.integers(3 * SECOND_NS, 1000 * SECOND_NS), st.sampled_from([-1, 1]))
def test_a_clock_that_was_set_is_believed_after_some_answers(offset_ns: int, step_ns: int, direction: int) -> None:
    estimator = OffsetEstimator()
    for number in range(20):
        estimator.add(sampled(offset_ns, T0 + number * 2 * SECOND_NS, 10_000_000, 10_000_000))
    moved_ns, now_ns, stepped = offset_ns + direction * step_ns, T0 + 40 * SECOND_NS, []
    for number in range(STEP_AFTER):
        stepped.append(estimator.add(sampled(moved_ns, now_ns + number * 2 * SECOND_NS, 10_000_000, 10_000_000)))
    assert stepped == [False] * (STEP_AFTER - 1) + [True]
    estimate = estimator.estimate(now_ns + 2 * STEP_AFTER * SECOND_NS)
    assert estimate is not None
    assert estimate.low_ns <= moved_ns <= estimate.high_ns


def test_without_answers_nothing_is_said() -> None:
    assert OffsetEstimator().estimate(T0) is None
    with pytest.raises(ValueError, match="no samples"):
        intersection([], T0)


class Venue:
    """A venue clock that is asked when it is told most."""

    def __init__(self, offset_ns: int, there_ns: int, back_ns: int) -> None:
        self.now_ns = T0
        self.offset_ns = offset_ns
        self._there_ns, self._back_ns = there_ns, back_ns
        self.clock = VenueClock("polymarket", lambda: self.now_ns)

    def ask(self, at_least_s: float = 2.0) -> None:
        self.now_ns += int(self.clock.probe_in_s(at_least_s) * SECOND_NS)
        sent_ns = self.now_ns
        second = (sent_ns + self._there_ns + self.offset_ns) // SECOND_NS
        self.now_ns += self._there_ns + self._back_ns
        self.clock.told(second, sent_ns, self.now_ns)


@given(OFFSETS, st.integers(0, 50_000_000), st.integers(0, 50_000_000))
def test_asking_at_the_right_moments_finds_the_offset_within_a_round_trip(
    offset_ns: int, there_ns: int, back_ns: int
) -> None:
    venue = Venue(offset_ns, there_ns, back_ns)
    for _ in range(14):
        venue.ask()
    estimate = venue.clock.estimate()
    assert estimate is not None
    assert estimate.low_ns <= offset_ns <= estimate.high_ns
    assert estimate.uncertainty_ns <= (there_ns + back_ns) // 2 + 3_000_000


@given(st.floats(0.1, 60), OFFSETS)
def test_a_question_is_never_put_off_by_more_than_a_second(at_least_s: float, offset_ns: int) -> None:
    venue = Venue(offset_ns, 1_000_000, 1_000_000)
    assert venue.clock.probe_in_s(at_least_s) == at_least_s
    venue.ask()
    assert at_least_s <= venue.clock.probe_in_s(at_least_s) <= at_least_s + 1.0


def test_the_venues_time_is_the_latest_it_can_be_and_ours_before_anything_is_known() -> None:
    venue = Venue(250_000_000, 0, 0)
    assert venue.clock.latest_ns(T0) == T0
    assert venue.clock.local_ns(T0) == T0
    for _ in range(10):
        venue.ask()
    estimate = venue.clock.estimate()
    assert estimate is not None
    assert venue.clock.latest_ns(venue.now_ns) == venue.now_ns + estimate.high_ns
    assert venue.clock.local_ns(venue.now_ns + estimate.high_ns) == venue.now_ns


def test_the_offset_is_measured_and_corrects_the_ages_of_books() -> None:
    venue = Venue(5 * SECOND_NS, 1_000_000, 1_000_000)
    for _ in range(12):
        venue.ask()
    offset_ms = metrics.CLOCK_OFFSET_MS.labels("polymarket")._value.get()
    assert offset_ms == pytest.approx(5000, abs=2 * metrics.CLOCK_UNCERTAINTY_MS.labels("polymarket")._value.get())
    assert metrics.AGES._offsets_ns["polymarket"] == pytest.approx(offset_ms * 1e6)
    metrics.AGES.correct("polymarket", 0)


def test_a_date_header_tells_the_time() -> None:
    clock = VenueClock("kalshi", lambda: T0)
    clock.heard(Heard(T0, T0 + 20_000_000, ""))
    clock.heard(Heard(T0, T0 + 20_000_000, "yesterday"))
    assert clock.estimate() is None
    clock.heard(Heard(T0, T0 + 20_000_000, formatdate(T0 / 1e9 + 30, usegmt=True)))
    estimate = clock.estimate()
    assert estimate is not None
    assert estimate.low_ns <= 30 * SECOND_NS <= estimate.high_ns
    assert estimate.uncertainty_ns < SECOND_NS
    metrics.AGES.correct("kalshi", 0)


@given(st.integers(0, 10**12))
def test_an_answer_that_came_before_it_was_asked_for_tells_nothing(back_ns: int) -> None:
    assume(back_ns)
    clock = VenueClock("kalshi", lambda: T0)
    clock.told(T0 // SECOND_NS, T0, T0 - back_ns)
    assert clock.estimate() is None
