"""The one list of metrics, and the reporter that puts a process's values on the `metric` topic.

Names are Prometheus names without the `dutchbook_` prefix. Counters only rise within one life of a process.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from runtime.ages import FeedAges
from schemas.codec import encode
from schemas.records import Metric, Region, Sample

REGISTRY: Final = CollectorRegistry()


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, namespace="dutchbook", registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, namespace="dutchbook", registry=REGISTRY)


FRAMES_READ = _counter("frames_read", "Frames received from a venue", "venue")
BOOKS_PUBLISHED = _counter("books_published", "Books published with a new epoch or sequence", "venue")
BOOKS_REPUBLISHED = _counter("books_republished", "Unchanged books published again", "venue")
BOOKS_CONFLATED = _counter("books_conflated", "Books replaced by newer ones while Kafka was behind", "venue")
FRAMES_UNKNOWN = _counter("frames_unknown", "Venue messages of a kind that is not understood", "venue", "type")
FRAMES_IGNORED = _counter("frames_ignored", "Venue messages that changed nothing, by reason", "venue", "reason")
SEQUENCE_GAPS = _counter("sequence_gaps", "Sequence gaps found in a venue's feed", "venue")
SUBSCRIPTION_PROOFS = _counter("subscription_proofs", "Answers that proved a subscription, by form", "venue", "form")
DECODE_ERRORS = _counter("decode_errors", "Frames or records that could not be decoded", "origin")
DEAD_LETTERS = _counter("dead_letters", "Records sent to a dead letter topic", "origin")
RECONNECTS = _counter("reconnects", "Connections to a venue that were made again", "venue")
SIZES_FLOORED = _counter("sizes_floored", "Ladder sizes cut to 0.01 contract", "venue")
FEED_CONNECTED = _gauge("feed_connected", "1 while the venue's feed is connected", "venue")
MARKETS_SUBSCRIBED = _gauge("markets_subscribed", "Markets a feed follows", "venue")
MARKETS_UNKNOWN = _gauge("markets_unknown", "Grouped markets that the venue does not know", "venue")
RECONCILE_MISMATCHES = _counter("reconcile_mismatches", "Books that differed from the venue's own answer", "venue")
FORMS_SEEN = _counter("forms_seen", "Which form came where a venue's papers are unsure", "venue", "field", "form")
HASH_CHECKS = _counter("hash_checks", "Book hashes that a venue sent, by what became of them", "venue", "outcome")
BOOKS_COMPARED = _counter("books_compared", "Books compared with a venue's own answer, by outcome", "venue", "outcome")
BOOKS_DISTRUSTED = _counter(
    "books_distrusted", "Books that could not be trusted any more, by reason", "venue", "reason"
)
BOOKS_HEALED = _counter("books_healed", "Books that could be trusted again, by what showed it", "venue", "by")
BLOCK_TRADES = _counter("block_trades", "Published prints that were matched off the book", "venue")
REST_REQUESTS = _counter("rest_requests", "Requests to a venue's REST interface by how they ended", "venue", "outcome")
REST_RETRIES = _counter("rest_retries", "REST requests that were tried again", "venue")
REST_WAIT_SECONDS = _counter("rest_wait_seconds", "Seconds that requests waited for a venue's rate limits", "venue")
CIRCUIT_OPEN = _gauge("circuit_open", "1 while an address that does not answer is left alone", "venue", "circuit")
CATALOGUE_MARKETS = _gauge("catalogue_markets", "Tradeable markets found in the venue's catalogue", "venue")
CATALOGUE_REFUSED = _counter("catalogue_refused", "Catalogue entries kept out, by reason", "venue", "reason")
MARKETS_HELD = _gauge("markets_held", "Followed markets that the venue does not trade", "venue", "state")
CLOCK_OFFSET_MS = _gauge("clock_offset_ms", "By how much a venue's clock is ahead of ours", "venue")
CLOCK_UNCERTAINTY_MS = _gauge("clock_uncertainty_ms", "The offset is known to plus or minus so much", "venue")
CLOCK_STEPS = _counter("clock_steps", "Times that the two clocks were found to have jumped apart", "venue")
BOOKS_CONSUMED = _counter("books_consumed", "Books the detector took in", "topic")
OPPORTUNITIES = _counter("opportunities", "Opportunity events emitted", "event")
OPPORTUNITY_SURVIVAL = Histogram(
    "opportunity_survival_seconds",
    "Seconds from an opportunity's opening to its closing",
    namespace="dutchbook",
    registry=REGISTRY,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
TICKETS = _counter("tickets", "Tickets by the state they reached", "state")
ORDERS = _counter("orders", "Orders sent", "venue")
EXECUTIONS = _counter("executions", "Executions by kind", "venue", "kind")
SINK_RECORDS = _counter("sink_records", "Records made durable in a store", "sink", "topic")
SINK_RETRIES = _counter("sink_retries", "Writes that had to be tried again", "sink")

AGES: Final = FeedAges()
REGISTRY.register(AGES)
observe_age = AGES.observe
"""`observe_age(venue, market, exchange_ns, received_ns, published_ns)` counts one book."""


def samples() -> tuple[Sample, ...]:
    """All current values, without Prometheus' bookkeeping series."""
    return tuple(
        Sample(name=sample.name, labels=dict(sample.labels), value=sample.value)
        for family in REGISTRY.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    )


class MetricReporter:
    """Publishes the process's metrics once a second and once at the end, from a thread of its own.

    `publish(topic, key, value)` must be safe to call from another thread.
    """

    def __init__(
        self, source: str, region: Region, publish: Callable[[str, bytes, bytes], None], interval_s: float = 1.0
    ) -> None:
        self._source = source
        self._region: Region = region
        self._publish = publish
        self._interval_s = interval_s
        self._instance_ns = time.time_ns()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metric-reporter", daemon=True)

    def start(self) -> None:
        """Begin reporting."""
        self._thread.start()

    def stop(self) -> None:
        """Report once more and end; the caller flushes its producer afterwards."""
        self._stopped.set()
        self._thread.join(timeout=5)
        self.report()

    def report(self) -> None:
        """Publish one Metric record now."""
        record = Metric(
            source=self._source,
            region=self._region,
            instance_ns=self._instance_ns,
            time_ns=time.time_ns(),
            samples=samples(),
        )
        self._publish("metric", self._source.encode(), encode(record))

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            self.report()
