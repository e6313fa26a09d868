"""How far a venue's clock is from ours, found out from answers that say the venue's time in whole seconds.

An answer that says second S was made while the venue's clock stood between S and S + 1, at some moment between our
sending and our receiving. That bounds the offset to an interval a little wider than a second. Many such intervals,
taken at different parts of the second, have only a little in common (as NTP combines its servers, after Marzullo).
Asking when the venue is expected to go from one second to the next halves what is left each time.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from producers.resilience import Heard
from runtime import logs, metrics
from schemas.records import Venue

SECOND_NS: Final = 1_000_000_000
DRIFT_PPM: Final = 50
"""Two undisciplined clocks drift apart by no more than this."""

WINDOW: Final = 64
STEP_AFTER: Final = 4
"""So many samples in a row that contradict the older ones: a clock was set."""


@dataclass(frozen=True, slots=True)
class Sample:
    """At our time `at_ns` the venue's clock was ahead of ours by `low_ns` to `high_ns`."""

    low_ns: int
    high_ns: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The venue's clock is ahead of ours by `low_ns` to `high_ns`."""

    low_ns: int
    high_ns: int

    @property
    def offset_ns(self) -> int:
        """The middle."""
        return (self.low_ns + self.high_ns) // 2

    @property
    def uncertainty_ns(self) -> int:
        """The offset is this middle plus or minus so much."""
        return (self.high_ns - self.low_ns + 1) // 2


def whole_second(second: int, sent_ns: int, received_ns: int) -> Sample:
    """What an answer tells that says `second`."""
    return Sample(second * SECOND_NS - received_ns, (second + 1) * SECOND_NS - sent_ns, received_ns)


def intersection(samples: Sequence[Sample], now_ns: int, drift_ppm: int = DRIFT_PPM) -> tuple[Estimate, int]:
    """What most of the samples have in common at `now_ns`, each widened by the drift since, and how many those are.

    Of several such stretches the one of the newest samples is taken. Raises ValueError without samples.
    """
    if not samples:
        raise ValueError("no samples")
    widened = []
    for sample in samples:
        drift_ns = abs(now_ns - sample.at_ns) * drift_ppm // 1_000_000
        widened.append((sample.low_ns - drift_ns, sample.high_ns + drift_ns))
    edges = sorted({low for low, _ in widened} | {high for _, high in widened})
    best, chosen, found = (0, -1), 0, Estimate(0, 0)
    for edge in edges:  # the most are in common from some lower end on
        inside = [index for index, (low, high) in enumerate(widened) if low <= edge <= high]
        if inside and (len(inside), inside[-1]) > best:
            best, chosen = (len(inside), inside[-1]), len(inside)
            found = Estimate(max(widened[index][0] for index in inside), min(widened[index][1] for index in inside))
    return found, chosen


class OffsetEstimator:
    """Keeps the newest samples and what follows from them. Pure: every time is passed in."""

    def __init__(self, drift_ppm: int = DRIFT_PPM, window: int = WINDOW) -> None:
        self._drift_ppm = drift_ppm
        self._samples: deque[Sample] = deque(maxlen=window)
        self._against = 0
        self._known = Estimate(0, 0)
        self._known_ns = 0

    def add(self, sample: Sample) -> bool:
        """Take in a sample; True when it showed that a clock was set, and what was known before is forgotten."""
        stepped = False
        known = self.estimate(sample.at_ns)
        if known is not None:
            self._against = self._against + 1 if _apart(known, sample) else 0
        self._samples.append(sample)
        if self._against >= STEP_AFTER:
            newest = list(self._samples)[-self._against :]
            self._samples.clear()
            self._samples.extend(newest)
            self._against, stepped = 0, True
        self._known, _ = intersection(self._samples, sample.at_ns, self._drift_ppm)
        self._known_ns = sample.at_ns
        return stepped

    def estimate(self, now_ns: int) -> Estimate | None:
        """The offset as of `now_ns`; None before the first sample."""
        if not self._samples:
            return None
        # Samples widened together have in common what they had, widened.
        drift_ns = abs(now_ns - self._known_ns) * self._drift_ppm // 1_000_000
        return Estimate(self._known.low_ns - drift_ns, self._known.high_ns + drift_ns)


def _apart(known: Estimate, sample: Sample) -> bool:
    return sample.high_ns < known.low_ns or sample.low_ns > known.high_ns


class VenueClock:
    """A venue's clock as seen from here: fed with answers, asked for times, and the source of the offset's metrics."""

    def __init__(self, venue: Venue, now: Callable[[], int]) -> None:
        self.now = now
        self._venue = venue
        self._estimator = OffsetEstimator()
        self._round_trip_ns = 0
        self._log = logs.get(venue=venue)

    def heard(self, heard: Heard) -> None:
        """An answer came: its Date header tells the venue's time."""
        if not heard.date:
            return
        try:
            second = int(parsedate_to_datetime(heard.date).timestamp())
        except (ValueError, OverflowError):
            metrics.FORMS_SEEN.labels(self._venue, "Date header", "malformed").inc()
            return
        self.told(second, heard.sent_ns, heard.received_ns)

    def told(self, second: int, sent_ns: int, received_ns: int) -> None:
        """The venue said that it is `second` (Unix time), in answer to what was sent and received at these times."""
        if received_ns < sent_ns:
            return  # our own clock was set back meanwhile
        self._round_trip_ns = received_ns - sent_ns
        if self._estimator.add(whole_second(second, sent_ns, received_ns)):
            metrics.CLOCK_STEPS.labels(self._venue).inc()
            self._log.warning("a clock was set: the venue's and ours have jumped apart")
        estimate = self._estimator.estimate(received_ns)
        if estimate is not None:
            metrics.CLOCK_OFFSET_MS.labels(self._venue).set(estimate.offset_ns / 1e6)
            metrics.CLOCK_UNCERTAINTY_MS.labels(self._venue).set(estimate.uncertainty_ns / 1e6)
            metrics.AGES.correct(self._venue, estimate.offset_ns)

    def estimate(self) -> Estimate | None:
        """The offset as far as it is known now."""
        return self._estimator.estimate(self.now())

    def latest_ns(self, local_ns: int) -> int:
        """The latest that the venue's clock can show at our time `local_ns`; our own time before the first answer."""
        estimate = self._estimator.estimate(local_ns)
        return local_ns if estimate is None else local_ns + estimate.high_ns

    def local_ns(self, venue_ns: int) -> int:
        """The earliest moment of our clock at which the venue's can show `venue_ns`."""
        estimate = self.estimate()
        return venue_ns if estimate is None else venue_ns - estimate.high_ns

    def probe_in_s(self, at_least_s: float) -> float:
        """When to ask next, no earlier than `at_least_s` from now: so that the answer tells most, less than 1 s later.

        The request should arrive when the venue's second is expected to change.
        """
        estimate = self.estimate()
        if estimate is None:
            return at_least_s
        arrival_ns = self.now() + int(at_least_s * SECOND_NS) + self._round_trip_ns // 2 + estimate.offset_ns
        return at_least_s + (-arrival_ns % SECOND_NS) / SECOND_NS
