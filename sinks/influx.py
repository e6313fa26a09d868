"""InfluxDB: every new book with its trail, and every opportunity, through the v2 write API."""

import time
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Final

import urllib3
from influxdb_client import InfluxDBClient, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from runtime import settings
from runtime.settings import InfluxSettings
from schemas.records import Opportunity
from schemas.topics import TOPICS, venue_topic
from sinks.points import BookPoint, book_point, opportunity_line
from sinks.task import BatchRejected, Offsets, Place, RecordRejected, RetriableError, SinkRecord

LINES_PER_WRITE: Final = 5_000
"""InfluxDB documentation, "Optimize writes": the batch size for the open source server."""

TIMEOUT_MS: Final = 10_000

TOO_MANY_REQUESTS: Final = 429
FAULT_OF_THE_LINES: Final = frozenset({400, 413, 422})
"""Bad line, body too large, unprocessable: halving finds the record. Any other 4xx (a wrong token, a bucket that does
not exist) is no record's fault and stops the sink."""


class StoreRefused(RuntimeError):
    """InfluxDB refuses this sink, whatever it writes; the message says why."""


class InfluxTask:
    """Writes points in synchronous requests, so that an answer stands before an offset is committed.

    Never uses the client's batching mode, which loses what waits when the process ends.
    """

    name = "influx"
    topics = (venue_topic("book", "kalshi", "us"), venue_topic("book", "polymarket", "us"), TOPICS["opportunity"].name)

    def __init__(self, store: InfluxSettings, *, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._bucket = store.influx_bucket
        self._wall_ns = wall_ns
        self._client = InfluxDBClient(
            url=store.influx_url,
            org=store.influx_org,
            timeout=TIMEOUT_MS,
            enable_gzip=False,
            **store.credentials(),
        )
        self._write_api = self._client.write_api(write_options=SYNCHRONOUS)
        self._points: list[BookPoint | str] = []
        self._durable: dict[Place, int] = {}

    def start(self) -> None:
        """Wait for InfluxDB; the database itself belongs to whoever runs the store."""
        if not self._client.ping():
            raise RetriableError(f"InfluxDB at {self._client.url} does not answer")

    def open(self, partitions: Collection[Place]) -> None:
        """Nothing to prepare."""

    def start_offsets(self, partitions: Collection[Place]) -> dict[Place, int]:  # noqa: ARG002
        """InfluxDB keeps no offsets: equal points overwrite each other, so reading again is harmless."""
        return {}

    def put(self, records: Sequence[SinkRecord]) -> None:
        try:
            for record in records:
                self._points.extend(_points(record))
        except RecordRejected:
            self._points.clear()
            raise

    def flush(self, positions: Offsets) -> None:
        """Write all points; those of one flush carry one `data_server_stored_ns` per request of 5,000 lines."""
        points, self._points = iter(self._points), []
        while chunk := list(islice(points, LINES_PER_WRITE)):
            stored_ns = self._wall_ns()
            lines = [point if isinstance(point, str) else point.line(stored_ns) for point in chunk]
            self._write("\n".join(lines).encode())
        self._durable.update(positions)

    def pre_commit(self) -> dict[Place, int]:
        return dict(self._durable)

    def close(self, partitions: Collection[Place]) -> None:
        self._points.clear()
        for place in partitions:
            self._durable.pop(place, None)

    def stop(self) -> None:
        self._client.close()

    def _write(self, lines: bytes) -> None:
        try:
            self._write_api.write(self._bucket, record=lines, write_precision=WritePrecision.NS)
        except ApiException as error:
            raise _translated(error, self._bucket) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise RetriableError(f"InfluxDB at {self._client.url}: {error}") from error


def _points(record: SinkRecord) -> list[BookPoint | str]:
    """The points of one record; none for books that only repeat what is stored."""
    content = record.content
    try:
        if isinstance(content, list):
            return [book_point(book, record.received_ns) for book in content if not book.republished]
        if isinstance(content, Opportunity):
            return [opportunity_line(content, record)]
    except ValueError as error:
        raise RecordRejected(record, str(error)) from error
    raise RecordRejected(record, f"a {type(content).__name__} has no measurement")


def _translated(error: ApiException, bucket: str) -> Exception:
    """The consequence of an answer that is not 2xx."""
    status = error.status or 0
    text = f"InfluxDB answered {status} {error.reason}: {(error.body or '').strip()[:500]}"
    if status == TOO_MANY_REQUESTS or status >= 500:
        return RetriableError(text, _retry_after_s(error))
    if status in FAULT_OF_THE_LINES:
        return BatchRejected(text)
    keys = "DUTCHBOOK_INFLUX_TOKEN (or _USERNAME and _PASSWORD)"
    return StoreRefused(f"{text} (bucket {bucket}): check DUTCHBOOK_INFLUX_BUCKET and {keys}")


def _retry_after_s(error: ApiException) -> float:
    header = (error.headers or {}).get("Retry-After", "")
    return float(header) if header.isdigit() else 0.0


def make_task() -> InfluxTask:
    """The task with its settings from the environment; raises SettingsError."""
    return InfluxTask(settings.load(InfluxSettings))
