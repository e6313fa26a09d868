"""How old a feed's books are: from the venue's stamp to our receipt, and from there to Kafka.

Counting is a few integer operations, because it happens with every book; what Prometheus wants is made of the counts
when somebody asks.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

MICROSECOND_NS: Final = 1000
SMALLEST: Final = 7
LARGEST: Final = 27
"""Buckets end at powers of two microseconds: 128 microseconds to 134 seconds."""

STAGES: Final = ("venue to received", "received to published")


class _Stage:
    """A histogram: `counts[n]` ages of less than 2^n microseconds and no less than half of that."""

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        self.counts = [0] * (LARGEST + 2)
        self.sum_ns = 0

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds in seconds with the number of ages below each."""
        counts, below, buckets = list(self.counts), 0, []
        for power, count in enumerate(counts):
            below += count
            if SMALLEST <= power <= LARGEST:
                buckets.append((repr(2**power / 1e6), float(below)))
        return [*buckets, ("+Inf", float(below))]


class FeedAges(Collector):
    """The ages of one process's books: a histogram per venue and stage, the newest age per market."""

    def __init__(self) -> None:
        self._stages: dict[str, tuple[_Stage, _Stage]] = {}
        self._offsets_ns: dict[str, int] = {}
        self._newest_ns: dict[tuple[str, str], int] = {}

    def observe(self, venue: str, market: str, exchange_ns: int, received_ns: int, published_ns: int) -> None:
        """Count one book; `market` is empty for one in no group, `exchange_ns` is 0 where the venue stamped nothing.

        Venue stamps are read on our clock, as far as its offset is known; an age below 0 counts as 0.
        """
        stages = self._stages.get(venue)
        if stages is None:
            stages = self._stages[venue] = (_Stage(), _Stage())
        first, second = stages
        handled_ns = published_ns - received_ns
        if handled_ns > 0:
            second.sum_ns += handled_ns
            power = (handled_ns // MICROSECOND_NS).bit_length()
            second.counts[power if power <= LARGEST else -1] += 1
        else:
            second.counts[0] += 1
        if not exchange_ns:
            return
        under_way_ns = received_ns + self._offsets_ns.get(venue, 0) - exchange_ns
        if under_way_ns > 0:
            first.sum_ns += under_way_ns
            power = (under_way_ns // MICROSECOND_NS).bit_length()
            first.counts[power if power <= LARGEST else -1] += 1
        else:
            first.counts[0] += 1
        if market:
            self._newest_ns[venue, market] = under_way_ns + handled_ns

    def correct(self, venue: str, offset_ns: int) -> None:
        """The venue's clock is ahead of ours by so much."""
        self._offsets_ns[venue] = offset_ns

    def forget(self, venue: str, market: str) -> None:
        """A market is not followed any more."""
        self._newest_ns.pop((venue, market), None)

    def collect(self) -> Iterator[GaugeMetricFamily | HistogramMetricFamily]:
        """What Prometheus wants."""
        newest = GaugeMetricFamily(
            "dutchbook_feed_age_ms",
            "Age of a grouped market's newest book when it was published",
            labels=("venue", "market"),
        )
        for (venue, market), age_ns in list(self._newest_ns.items()):
            newest.add_metric((venue, market), age_ns / 1e6)
        yield newest
        ages = HistogramMetricFamily("dutchbook_feed_age_seconds", "Ages of books by stage", labels=("venue", "stage"))
        for venue, stages in list(self._stages.items()):
            for name, stage in zip(STAGES, stages, strict=True):
                ages.add_metric((venue, name), stage.buckets(), stage.sum_ns / 1e9)
        yield ages
