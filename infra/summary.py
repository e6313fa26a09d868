"""What a run did, counted: from its topics, from its stores by querying them, from its processes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg
from confluent_kafka import TopicPartition

from infra.local.child import ChildRecord
from infra.local.pipeline import Addresses
from infra.observe import Observed
from runtime import kafka
from runtime.settings import LOCAL_INFLUX_TOKEN, InfluxSettings, load
from schemas.records import Region
from schemas.topics import HOME, REGIONS, creations


def percentiles(values: Sequence[int]) -> dict[str, float]:
    """p50, p90, p99 and max of whole microseconds, in milliseconds; empty when there is none (nearest rank)."""
    if not values:
        return {}
    ordered = sorted(values)
    ranks = {"p50": 0.50, "p90": 0.90, "p99": 0.99}
    found = {name: ordered[max(0, -(-len(ordered) * int(share * 100) // 100) - 1)] for name, share in ranks.items()}
    return {name: value / 1000 for name, value in (found | {"max": ordered[-1]}).items()}


def dead_letters(addresses: Addresses) -> dict[str, int]:
    """Records on every dead letter topic that has any."""
    counts: dict[str, int] = {}
    for region in REGIONS:
        counts |= _counts(addresses, region, [c.name for c in creations(region) if c.name.startswith("deadletter.")])
    return {name: count for name, count in counts.items() if count}


def _counts(addresses: Addresses, region: Region, topics: Sequence[str]) -> dict[str, int]:
    bootstrap = addresses.kafka_us if region == "us" else addresses.kafka_eu
    client = kafka.consumer(bootstrap, "dutchbook-summary")
    try:
        counts = dict.fromkeys(topics, 0)
        for topic, partition in kafka.end_offsets(client, topics):
            low, high = client.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            counts[topic] += high - low
        return counts
    finally:
        client.close()


class InfluxReader:
    """Reads the time-series store with InfluxQL."""

    def __init__(self, url: str) -> None:
        settings = load(InfluxSettings)
        token = settings.influx_token or LOCAL_INFLUX_TOKEN
        user, _, password = token.get_secret_value().partition(":")
        database, _, _ = settings.influx_bucket.partition("/")
        self._client = httpx.Client(base_url=url, auth=(user, password), timeout=60)
        self._database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Rows of one statement as dictionaries; an empty list when nothing matches."""
        answer = self._client.get("/query", params={"db": self._database, "q": statement, "epoch": "ns"})
        answer.raise_for_status()
        (result,) = answer.json()["results"]
        if "error" in result:
            raise RuntimeError(f"InfluxDB: {result['error']}: {statement}")
        return [
            dict(zip(series["columns"], row, strict=True)) | series.get("tags", {})
            for series in result.get("series", [])
            for row in series["values"]
        ]

    def count(self, measurement: str, field: str, where: str = "") -> int:
        """Points of a measurement."""
        rows = self.query(f'SELECT COUNT("{field}") AS n FROM "{measurement}" {where}')  # noqa: S608 - names of ours
        return int(rows[0]["n"]) if rows else 0

    def percentiles(self, measurement: str, field: str, since_ns: int) -> dict[str, float]:
        """As `percentiles`, reckoned by the store over the points since a moment."""
        ranks = ", ".join(f'PERCENTILE("{field}", {rank}) AS p{rank}' for rank in (50, 90, 99))
        statement = f'SELECT {ranks}, MAX("{field}") AS max FROM "{measurement}" WHERE time >= {since_ns}'  # noqa: S608
        rows = self.query(statement)
        return {name: rows[0][name] / 1000 for name in ("p50", "p90", "p99", "max")} if rows else {}


def influx_counts(reader: InfluxReader) -> dict[str, int]:
    """Points per measurement."""
    return {"book": reader.count("book", "sequence"), "opportunity": reader.count("opportunity", "revision")}


def postgres_counts(dsn: str) -> dict[str, int]:
    """Rows per table."""
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        return {
            table: _one(connection.execute(f"SELECT count(*) FROM {table}"))  # noqa: S608
            for table in ("tickets", "executions", "opportunities", "analyses")
        }


def _one(cursor: psycopg.Cursor[Any]) -> int:
    row = cursor.fetchone()
    return 0 if row is None else int(row[0])


def venue_counts(seen: Observed) -> dict[str, dict[str, int]]:
    """Per venue: what its producer read and published."""
    return {
        venue: {
            "frames_read": seen.total("frames_read", venue=venue),
            "books_published": seen.total("books_published", venue=venue),
            "gaps": seen.total("sequence_gaps", venue=venue),
            "decode_errors": seen.total("decode_errors", origin=f"raw.{venue}"),
            "reconnects": seen.total("reconnects", venue=venue),
            "markets_followed": int(seen.newest("markets_subscribed", venue=venue)),
            "markets_unknown": int(seen.newest("markets_unknown", venue=venue)),
        }
        for venue in HOME
    }


def summary(
    seen: Observed,
    addresses: Addresses,
    children: Mapping[str, ChildRecord],
    *,
    started_ns: int,
    healthy: bool,
    drained: bool,
    problems: Sequence[str],
) -> dict[str, Any]:
    """Everything `--summary` writes. Latencies are in milliseconds, memory in MiB."""
    first = seen.first_opportunity_ns
    with InfluxReader(addresses.influx_url) as reader:
        points, trail = influx_counts(reader), reader.percentiles("book", "pipeline_latency_us", started_ns)
    return {
        "healthy": healthy,
        "drained": drained,
        "problems": list(problems),
        "venues": venue_counts(seen),
        "opportunities": seen.opportunities,
        "opportunity_events": dict(seen.opportunity_events),
        "tickets": seen.ticket_states(),
        "orders": len(seen.orders),
        "executions": len(seen.executions),
        "fills": seen.fills,
        "influxdb": points,
        "postgres": postgres_counts(addresses.postgres_dsn),
        "dead_letters": dead_letters(addresses),
        "latency_ms": {
            "frame_to_opportunity": percentiles(seen.detection_latency_us),
            "whole_trail": trail,
            "mirrormaker": percentiles(seen.mirror_latency_us),
        },
        "memory_mib": {name: round(child.peak_rss_bytes / 2**20) for name, child in children.items()},
        "memory_mib_total": round(sum(child.peak_rss_bytes for child in children.values()) / 2**20),
        "restarts": {name: child.restarts for name, child in children.items() if child.restarts},
        "seconds_to_first_opportunity": round((first - started_ns) / 1e9, 1) if first else None,
    }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write the summary in one step."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(content, indent=2) + "\n")
    fresh.replace(path)
