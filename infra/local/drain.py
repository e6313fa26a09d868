"""Letting a stack run dry: stop the feeds, then wait until every queue behind them is empty."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from infra.local.pipeline import Addresses
from infra.local.stack import Stack
from infra.local.supervise import Supervisor
from infra.observe import Observer
from runtime import kafka
from runtime.kafka import KafkaUnavailable
from schemas.records import Region
from schemas.topics import HOME, mirrored_from, other, remote_name, venue_topic

GROUPS: Final[dict[Region, dict[str, tuple[str, ...]]]] = {
    "us": {
        "dutchbook-detector": tuple(venue_topic("book", venue, "us") for venue in HOME),
        "dutchbook-executor": ("opportunity", *(venue_topic("execution", venue, "us") for venue in HOME)),
        "dutchbook-gateway.kalshi": ("order.kalshi",),
        "dutchbook-sink-influx": (*(venue_topic("book", venue, "us") for venue in HOME), "opportunity"),
        "dutchbook-sink-postgres": (
            "ticket",
            "opportunity",
            *(venue_topic("execution", venue, "us") for venue in HOME),
        ),
    },
    "eu": {"dutchbook-gateway.polymarket": ("us.order.polymarket",)},
}
"""Every consumer group of the pipeline and what it reads, by cluster."""

FEEDS: Final = ("producer-kalshi", "producer-polymarket")
CLEAN_ROUNDS: Final = 2
CONSTANT_CHATTER: Final = {"heartbeat", "metric", "alert", "control"}


def group_lag(bootstrap: str, group: str, topics: Sequence[str]) -> int:
    """Records of the topics that the group has not committed."""
    client = kafka.consumer(bootstrap, "dutchbook-lag")
    try:
        ends = kafka.end_offsets(client, topics)
    finally:
        client.close()
    admin = kafka.admin_client(bootstrap)
    places = [TopicPartition(topic, partition) for topic, partition in ends]
    (future,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)]).values()
    try:
        committed = {(p.topic, p.partition): p.offset for p in future.result(timeout=10).topic_partitions}
    except KafkaException as error:
        raise KafkaUnavailable(f"group {group}: {error.args[0].str()}") from error
    return sum(end - max(committed.get(place, 0), 0) for place, end in ends.items())


def lags(addresses: Addresses) -> dict[str, int]:
    """What still waits, by the name of the queue; only what is not empty."""
    found: dict[str, int] = {}
    bootstraps: dict[Region, str] = {"us": addresses.kafka_us, "eu": addresses.kafka_eu}
    for region, groups in GROUPS.items():
        for group, topics in groups.items():
            found[group.removeprefix("dutchbook-")] = group_lag(bootstraps[region], group, topics)
    for home in bootstraps:
        found[f"mirror {home} to {other(home)}"] = _mirror_lag(bootstraps, home)
    return {name: lag for name, lag in found.items() if lag > 0}


def _mirror_lag(bootstraps: dict[Region, str], home: Region) -> int:
    names = [topic.name for topic in mirrored_from(home) if topic.name not in CONSTANT_CHATTER]
    ends = {}
    for region in (home, other(home)):
        client = kafka.consumer(bootstraps[region], "dutchbook-lag")
        wanted = names if region == home else [remote_name(home, name) for name in names]
        ends[region] = kafka.end_offsets(client, wanted)
        client.close()
    there = ends[other(home)]
    return sum(max(0, end - there.get((remote_name(home, topic), p), 0)) for (topic, p), end in ends[home].items())


def unfinished_tickets(observer: Observer) -> int:
    """Tickets that still wait for an answer."""
    return sum(ticket.state in ("working", "unknown") for ticket in list(observer.seen.tickets.values()))


async def drain(stack: Stack, supervisor: Supervisor, deadline_s: float = 60.0) -> list[str]:
    """Stop the feeds and wait until nothing waits any more; returns what still did at the deadline, in words.

    The queues are read one after the other, so a record may be between two of them: it takes two clean rounds.
    """
    for name in FEEDS:
        await supervisor.finish(name)
    deadline = time.monotonic() + deadline_s
    clean = 0
    while clean < CLEAN_ROUNDS:
        waiting = await _waiting(stack)
        clean = 0 if waiting else clean + 1
        if waiting and time.monotonic() > deadline:
            return waiting
        await asyncio.sleep(0.5)
    return []


async def _waiting(stack: Stack) -> list[str]:
    """Everything that is not done yet, in words."""
    try:
        queues = await asyncio.to_thread(lags, stack.addresses)
        caught_up = await asyncio.to_thread(stack.observer.catch_up, 5.0)
    except (KafkaUnavailable, KafkaException) as error:
        return [f"the queues cannot be read: {error}"]
    waiting = [f"{name}: {lag} records wait" for name, lag in queues.items()]
    unfinished = unfinished_tickets(stack.observer)
    if unfinished:
        waiting.append(f"{unfinished} tickets are unfinished")
    return waiting if waiting or caught_up else ["the view has not caught up with the topics"]
