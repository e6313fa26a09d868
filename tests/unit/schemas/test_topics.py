"""The one list of topics is the design's table, and everything made from it agrees with it."""

import re
from pathlib import Path

import pytest
from aiokafka.partitioner import DefaultPartitioner

from schemas.codec import RECORD_TYPES
from schemas.topics import (
    REGIONS,
    TOPICS,
    creations,
    dead_letter_name,
    mirrored_from,
    mirrormaker_properties,
    other,
    partition_of,
    remote_name,
    venue_topic,
)

MIRRORED = {
    "us": {"order.polymarket", "group", "control", "heartbeat"},
    "eu": {
        "market.polymarket",
        "book.polymarket",
        "trade.polymarket",
        "execution.polymarket",
        "control",
        "heartbeat",
        "metric",
        "alert",
    },
}


@pytest.mark.parametrize("home", REGIONS)
def test_what_is_mirrored(home: str) -> None:
    assert {topic.name for topic in mirrored_from(home)} == MIRRORED[home]  # type: ignore[arg-type]


def test_no_local_name_has_a_cluster_alias_as_a_segment() -> None:
    for name in [*TOPICS, *(creation.name for region in REGIONS for creation in creations(region))]:
        first, *rest = name.split(".")
        assert not set(rest) & set(REGIONS)
        if first in REGIONS:
            assert ".".join(rest) in TOPICS


def test_every_consumed_topic_has_a_dead_letter_topic_beside_it() -> None:
    for region in REGIONS:
        names = {creation.name for creation in creations(region)}
        for name in names:
            base = name.split(".", 1)[1] if name.split(".")[0] in REGIONS else name
            if base in TOPICS and TOPICS[base].record is not None:
                assert dead_letter_name(name) in names
    assert dead_letter_name("eu.book.polymarket") == "deadletter.eu-book.polymarket"


def test_mirrored_topics_are_created_on_both_sides_with_equal_partitions() -> None:
    for home in REGIONS:
        there = {creation.name: creation for creation in creations(other(home))}
        here = {creation.name: creation for creation in creations(home)}
        for topic in mirrored_from(home):
            assert there[remote_name(home, topic.name)].partitions == here[topic.name].partitions


def test_joined_book_topics_are_co_partitioned() -> None:
    assert TOPICS["book.kalshi"].partitions == TOPICS["book.polymarket"].partitions == 8
    assert TOPICS["journal.detector"].partitions == 8
    assert venue_topic("book", "polymarket", "us") == "eu.book.polymarket"
    assert venue_topic("book", "polymarket", "eu") == "book.polymarket"


def test_compacted_topics_keep_their_history_as_long_as_the_books() -> None:
    for topic in TOPICS.values():
        if topic.cleanup == "compact":
            lag = int(topic.configuration()["min.compaction.lag.ms"])
            assert lag >= int(TOPICS["book.kalshi"].configuration()["retention.ms"])


def test_every_record_type_is_on_some_topic() -> None:
    assert {topic.record for topic in TOPICS.values()} - {None} == set(RECORD_TYPES)


def test_mirrormaker_copies_exactly_the_mirrored_topics() -> None:
    text = mirrormaker_properties("127.0.0.1:1", "127.0.0.1:2")
    for home in REGIONS:
        patterns = re.search(rf"^{home}->{other(home)}\.topics = (.*)$", text, re.MULTILINE)
        assert patterns is not None
        copied = {name for name in TOPICS for pattern in patterns.group(1).split(", ") if re.fullmatch(pattern, name)}
        assert copied == MIRRORED[home]


GOLDEN = Path(__file__).with_name("mirrormaker.properties")
SIGN_IN = """{alias}.bootstrap.servers = {servers}
{alias}.security.protocol = SASL_SSL
{alias}.sasl.mechanism = AWS_MSK_IAM
{alias}.sasl.jaas.config = software.amazon.msk.auth.iam.IAMLoginModule required;
{alias}.sasl.client.callback.handler.class = software.amazon.msk.auth.iam.IAMClientCallbackHandler
"""


def test_mirrormaker_between_plain_clusters() -> None:
    assert mirrormaker_properties("127.0.0.1:19092", "127.0.0.1:29092") == GOLDEN.read_text()


@pytest.mark.parametrize("signed_in", [("us",), ("eu",), ("us", "eu")])
def test_mirrormaker_signs_in_to_the_clusters_of_msk_and_no_other(signed_in: tuple[str, ...]) -> None:
    plain = {"us": "127.0.0.1:19092", "eu": "127.0.0.1:29092"}
    msk = {region: f"b-1.x.kafka.{region}-west-1.amazonaws.com:9098,b-2.x:9098" for region in plain}
    expected = GOLDEN.read_text().replace("replication.factor = 1", "replication.factor = 3")
    for alias in signed_in:
        before = f"{alias}.bootstrap.servers = {plain[alias]}\n"
        assert before in expected
        expected = expected.replace(before, SIGN_IN.format(alias=alias, servers=msk[alias]))
    addresses = {region: f"iam://{msk[region]}" if region in signed_in else plain[region] for region in plain}
    assert mirrormaker_properties(addresses["us"], addresses["eu"], replication_factor=3) == expected
    assert expected.count("replication.factor = 3") == 7


def test_groups_are_partitioned_as_a_java_client_would() -> None:
    partitioner = DefaultPartitioner()
    for key in ("", "a", "btc-updown-15m-1770513300", "Präsident"):
        assert partition_of(key) == partitioner(key.encode(), list(range(8)), list(range(8)))
    assert len({partition_of(f"group-{number}") for number in range(200)}) == 8
