"""The one list of topics: names, homes, keys, partitions, retention, what is mirrored. Everything else is made from it.

A *home* is a region whose cluster the topic is written in. MirrorMaker 2's default policy puts a mirrored topic into
the other cluster under `<home>.<name>`; see `remote_name`. Topic creation, MirrorMaker's configuration, Terraform and
the documentation are generated from this list or checked against it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from aiokafka.partitioner import murmur2

from schemas.records import Region, Venue

REGIONS: Final[tuple[Region, ...]] = ("us", "eu")
HOME: Final[dict[Venue, Region]] = {"kalshi": "us", "polymarket": "eu"}
"""Each venue's own region: its keys, its producer and its gateway live there and nowhere else."""

KEYED_PARTITIONS: Final = 8
"""Partitions of every keyed market data topic: equal everywhere, for ever."""

IAM: Final = "iam://"
"""Before the address of a cluster whose clients sign in with AWS IAM."""

DEPLOYED_REPLICATION_FACTOR: Final = 3
"""Replicas of every topic where there is more than one machine: one in each of a region's three zones."""

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
BOOK_RETENTION_MS: Final = 7 * DAY_MS

MAXIMUM_RECORD_BYTES: Final = 8 * 1024 * 1024
"""Of every topic: a venue's answer with many deep books passes the usual limit of 1 MB."""

RAW_BYTES: Final = str(1024**3)
"""Verbatim frames are kept for seven days, but for no more than this a partition."""

Cleanup = Literal["delete", "compact"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic at its home(s). `key` says in words what records are keyed by; `record` names the value's schema."""

    name: str
    homes: tuple[Region, ...]
    key: str
    partitions: int
    cleanup: Cleanup
    retention_ms: int
    mirrored: bool
    record: str | None
    settings: dict[str, str] = field(default_factory=dict)

    def configuration(self) -> dict[str, str]:
        """Broker-side settings of the topic, as Kafka names them."""
        base = {
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": "CreateTime",
            "compression.type": "producer",
        }
        if self.cleanup == "delete":
            base["retention.ms"] = str(self.retention_ms)
        else:
            base["min.compaction.lag.ms"] = str(BOOK_RETENTION_MS)
            base["segment.bytes"] = str(16 * 1024 * 1024)
        return base | self.settings


def _venue(name: str, venue: Venue, key: str, partitions: int, record: str | None, **more: object) -> Topic:
    options = {"cleanup": "delete", "retention_ms": BOOK_RETENTION_MS, "mirrored": HOME[venue] == "eu"} | more
    return Topic(f"{name}.{venue}", (HOME[venue],), key, partitions, record=record, **options)  # type: ignore[arg-type]


def _list() -> Iterator[Topic]:
    month = 30 * DAY_MS
    for venue in HOME:
        yield _venue("market", venue, "market", 1, "market", cleanup="compact")
        yield _venue(
            "raw", venue, "connection", KEYED_PARTITIONS, None, mirrored=False, settings={"retention.bytes": RAW_BYTES}
        )
        yield _venue("book", venue, "none: the partition is that of the group", KEYED_PARTITIONS, "book")
        yield _venue("trade", venue, "group or market", KEYED_PARTITIONS, "trade")
        yield Topic(f"order.{venue}", ("us",), "ticket", 1, "delete", month, HOME[venue] == "eu", "order")
        yield _venue("execution", venue, "ticket", 1, "execution", retention_ms=month)
    yield Topic("group", ("us",), "group", 1, "compact", 0, True, "group")
    yield Topic("opportunity", ("us",), "basket", 1, "delete", month, False, "opportunity")
    yield Topic("analysis", ("us",), "basket", 1, "delete", BOOK_RETENTION_MS, False, "analysis")
    yield Topic("ticket", ("us",), "ticket", 1, "compact", 0, False, "ticket")
    yield Topic("control", ("us", "eu"), "scope", 1, "compact", 0, True, "control")
    yield Topic("heartbeat", ("us", "eu"), "source", 1, "delete", DAY_MS, True, "heartbeat")
    for name in ("metric", "alert"):
        yield Topic(name, ("us", "eu"), "source", 1, "delete", BOOK_RETENTION_MS, True, name)
    yield Topic(
        "journal.detector",
        ("us",),
        "none: the partition is that of the book",
        KEYED_PARTITIONS,
        "delete",
        BOOK_RETENTION_MS,
        False,
        "journal",
    )


TOPICS: Final[dict[str, Topic]] = {topic.name: topic for topic in _list()}

_ONE_WAY: Final = frozenset({"metric", "alert"})
"""Topics with two homes that are mirrored from eu to us only."""


def other(region: Region) -> Region:
    """The region across the ocean."""
    return "eu" if region == "us" else "us"


def remote_name(home: Region, name: str) -> str:
    """The name under which a topic of `home` stands in the other cluster."""
    return f"{home}.{name}"


def mirrored_from(home: Region) -> list[Topic]:
    """The topics that MirrorMaker copies from `home` to the other region."""
    return [
        topic
        for topic in TOPICS.values()
        if topic.mirrored and home in topic.homes and not (topic.name in _ONE_WAY and home == "us")
    ]


def local_name(topic: str, home: Region, here: Region) -> str:
    """The name of `topic`, whose home is `home`, as seen from the cluster of `here`."""
    return topic if home == here else remote_name(home, topic)


def venue_topic(kind: str, venue: Venue, here: Region) -> str:
    """The name of a venue's topic (`book`, `market`, `execution` …) as seen from the cluster of `here`."""
    return local_name(f"{kind}.{venue}", HOME[venue], here)


def dead_letter_name(origin: str) -> str:
    """The dead letter topic of `origin`; a cluster alias in it is no dotted segment of its own."""
    for region in REGIONS:
        if origin.startswith(f"{region}."):
            return f"deadletter.{region}-{origin[len(region) + 1 :]}"
    return f"deadletter.{origin}"


@dataclass(frozen=True, slots=True)
class Creation:
    """A topic to be created in one cluster."""

    name: str
    partitions: int
    configuration: dict[str, str]


def minimum_in_sync(replication_factor: int) -> int:
    """How many replicas must have a record before it is acknowledged: all but one, so that one broker may be away."""
    return max(1, replication_factor - 1)


def creations(region: Region, replication_factor: int = 1) -> list[Creation]:
    """Every topic of one cluster: its own, the mirrored ones of the other region, and the dead letters of both.

    A topic with replicas carries its own `min.insync.replicas` and record size, whatever its cluster's defaults are:
    what `acks=all` promises is then written where the record goes, and no edit of a broker takes it away.
    """
    here = [(topic.name, topic) for topic in TOPICS.values() if region in topic.homes]
    here += [(remote_name(other(region), topic.name), topic) for topic in mirrored_from(other(region))]
    plan = [Creation(name, topic.partitions, topic.configuration()) for name, topic in here]
    dead = {"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS), "message.timestamp.type": "CreateTime"}
    plan += [Creation(dead_letter_name(name), 1, dead) for name, topic in here if topic.record is not None]
    if replication_factor > 1:
        safe = {
            "min.insync.replicas": str(minimum_in_sync(replication_factor)),
            "max.message.bytes": str(MAXIMUM_RECORD_BYTES),
        }
        plan = [replace(creation, configuration=creation.configuration | safe) for creation in plan]
    return sorted(plan, key=lambda creation: creation.name)


def partition_of(key: str) -> int:
    """The partition of a group, or of a market in no group: murmur2 as in Kafka's Java client."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % KEYED_PARTITIONS)


def mirrormaker_properties(us_bootstrap: str, eu_bootstrap: str, *, replication_factor: int = 1) -> str:
    """MirrorMaker 2's dedicated-mode configuration for both directions (Kafka documentation, "Geo-replication").

    A cluster whose address begins with `iam://` is signed in to with AWS IAM ("Amazon MSK Library for AWS IAM").
    """
    bootstraps = {"us": us_bootstrap, "eu": eu_bootstrap}
    lines = ["# Generated from schemas/topics.py: do not edit.", "clusters = us, eu"]
    for source in REGIONS:
        target = other(source)
        names = ", ".join(topic.name.replace(".", "[.]") for topic in mirrored_from(source))
        lines += [
            *_sign_in(source, bootstraps[source]),
            f"{source}->{target}.enabled = true",
            f"{source}->{target}.topics = {names}",
            # Offsets are flushed often: a killed MirrorMaker copies again what came after the last flush.
            f"{source}.offset.flush.interval.ms = 1000",
            # The write side is the producer of the target; Kafka 4's default linger of 5 ms is too long here.
            f"{target}.producer.linger.ms = 0",
            f"{target}.producer.enable.idempotence = true",
            f"{target}.producer.max.in.flight.requests.per.connection = 5",
            f"{target}.producer.max.request.size = {MAXIMUM_RECORD_BYTES}",
            f"{source}.consumer.fetch.min.bytes = 1",
            f"{source}.consumer.fetch.max.wait.ms = 100",
            f"{source}.consumer.max.partition.fetch.bytes = {MAXIMUM_RECORD_BYTES}",
            f"{source}.consumer.metadata.max.age.ms = 10000",
        ]
    lines += [
        "tasks.max = 2",
        "refresh.topics.interval.seconds = 10",
        "refresh.groups.enabled = false",
        "emit.checkpoints.enabled = false",
        "emit.heartbeats.interval.seconds = 1",
        "sync.topic.configs.enabled = false",
        "sync.topic.acls.enabled = false",
        "sync.group.offsets.enabled = false",
        "scheduled.rebalance.max.delay.ms = 0",
        "topics.exclude = .*[.]internal, __.*",
        "groups.exclude = .*",
    ]
    lines += [
        f"{name}replication.factor = {replication_factor}"
        for name in (
            "",
            "checkpoints.topic.",
            "heartbeats.topic.",
            "offset-syncs.topic.",
            "config.storage.",
            "status.storage.",
            "offset.storage.",
        )
    ]
    return "\n".join(lines) + "\n"


def _sign_in(cluster: Region, address: str) -> list[str]:
    """How every client of MirrorMaker reaches a cluster."""
    lines = [f"{cluster}.bootstrap.servers = {address.removeprefix(IAM)}"]
    if address.startswith(IAM):
        lines += [
            f"{cluster}.security.protocol = SASL_SSL",
            f"{cluster}.sasl.mechanism = AWS_MSK_IAM",
            f"{cluster}.sasl.jaas.config = software.amazon.msk.auth.iam.IAMLoginModule required;",
            f"{cluster}.sasl.client.callback.handler.class = software.amazon.msk.auth.iam.IAMClientCallbackHandler",
        ]
    return lines
