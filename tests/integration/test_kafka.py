"""The Kafka clients of `runtime.kafka` against a real broker."""

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.kafka import (
    DeadLetterLimit,
    DeadLetters,
    DeliveryFailed,
    KafkaUnavailable,
    Publisher,
    consumer,
    create_topics,
    end_offsets,
    read_whole,
)
from schemas.topics import Creation, creations, dead_letter_name


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    """A fresh topic of two partitions."""
    name = f"test.{uuid.uuid4().hex}"
    assert create_topics(kafka_bootstrap, [Creation(name, 2, {})]) == [name]
    return name


@pytest.fixture
def publisher(kafka_bootstrap: str) -> Iterator[Publisher]:
    """A producer that is closed afterwards."""
    made = Publisher(kafka_bootstrap, "test")
    yield made
    made.close()


def test_the_whole_plan_is_created_once(kafka_bootstrap: str) -> None:
    plan = creations("us")
    first = create_topics(kafka_bootstrap, plan)
    assert set(first) <= {creation.name for creation in plan}
    assert create_topics(kafka_bootstrap, plan) == []
    topics = AdminClient({"bootstrap.servers": kafka_bootstrap, "log_level": 0}).list_topics(timeout=10).topics
    for creation in plan:
        assert len(topics[creation.name].partitions) == creation.partitions


def test_what_is_published_is_read_whole_and_in_order(kafka_bootstrap: str, topic: str, publisher: Publisher) -> None:
    delivered: list[int] = []
    for number in range(500):
        publisher.publish(
            topic,
            str(number).encode(),
            partition=number % 2,
            headers=[("n", b"1")],
            delivered=lambda message: delivered.append(message.offset()),
        )
    publisher.flush()
    assert len(delivered) == 500
    assert publisher.pending() == 0
    messages = list(read_whole(kafka_bootstrap, [topic]))
    for partition in (0, 1):
        values = [int(message.value()) for message in messages if message.partition() == partition]
        assert values == list(range(partition, 500, 2))
    assert messages[0].headers() == [("n", b"1")]


def test_an_empty_topic_is_read_at_once(kafka_bootstrap: str, topic: str) -> None:
    assert list(read_whole(kafka_bootstrap, [topic])) == []


def test_a_missing_topic_is_named(kafka_bootstrap: str) -> None:
    client = consumer(kafka_bootstrap, "test")
    with pytest.raises(KafkaUnavailable, match=r"topic no\.such\.topic does not exist"):
        end_offsets(client, ["no.such.topic"])
    client.close()


def test_a_cluster_that_does_not_answer_is_named() -> None:
    with pytest.raises(KafkaUnavailable, match="cluster did not answer"):
        end_offsets(consumer("127.0.0.1:1", "test"), ["any"], timeout_s=0.5)


def test_a_topic_that_retention_has_emptied_is_read_at_once(
    kafka_bootstrap: str, topic: str, publisher: Publisher
) -> None:
    publisher.publish(topic, b"old", partition=0)
    publisher.flush()
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap, "log_level": 0})
    (future,) = admin.delete_records([TopicPartition(topic, 0, 1)]).values()
    assert future.result(timeout=10).low_watermark == 1
    assert list(read_whole(kafka_bootstrap, [topic], timeout_s=5)) == []


def test_a_large_record_passes(kafka_bootstrap: str, topic: str, publisher: Publisher) -> None:
    publisher.publish(topic, bytes(3_000_000), partition=0)
    publisher.flush()
    (message,) = read_whole(kafka_bootstrap, [topic])
    assert len(message.value()) == 3_000_000


def test_a_record_that_is_too_large_fails_loudly(topic: str, publisher: Publisher) -> None:
    with pytest.raises(Exception, match="(?i)size too large"):
        publisher.publish(topic, bytes(9_000_000))


def test_a_failed_delivery_stops_what_follows(kafka_bootstrap: str) -> None:
    publisher = Publisher(kafka_bootstrap, "test")
    publisher.publish(f"test.{uuid.uuid4().hex}", b"to nowhere")
    with pytest.raises(DeliveryFailed, match="could not be delivered"):
        publisher.flush(30)
    with pytest.raises(DeliveryFailed):
        publisher.publish("anything", b"")


def test_dead_letters_keep_the_bytes_and_say_why_up_to_a_limit(kafka_bootstrap: str, publisher: Publisher) -> None:
    origin = f"test.{uuid.uuid4().hex}"
    create_topics(kafka_bootstrap, [Creation(dead_letter_name(origin), 1, {})])
    dead = DeadLetters(publisher, "tester", ratio=0.5, run=2)
    for _ in range(2):
        dead.send(origin, b"\x00original", ValueError("why"), partition=3, offset=14)
    with pytest.raises(DeadLetterLimit, match="3 dead letters in a row from tester; the last: why"):
        dead.send(origin, b"\x00original", ValueError("why"))
    publisher.flush()
    first = next(iter(read_whole(kafka_bootstrap, [dead_letter_name(origin)])))
    headers = {name: value.decode() for name, value in first.headers()}
    assert first.value() == b"\x00original"
    assert headers["__connect.errors.topic"] == origin
    assert headers["__connect.errors.partition"] == "3"
    assert headers["__connect.errors.offset"] == "14"
    assert headers["__connect.errors.exception.message"] == "why"
