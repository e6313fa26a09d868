"""Amazon MSK as a client sees it: addresses, signed tokens, and what librdkafka is told and then says to a broker."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from runtime import kafka, msk
from runtime.settings import KafkaSettings, SettingsError, load
from tests.unit import aws_credentials
from tests.unit.aws_credentials import KEY_ID
from tests.unit.sasl_broker import SaslBroker, url_of

US = "b-1.dutchbook.a1b2c3.c2.kafka.us-east-1.amazonaws.com:9098"
US_2 = "b-2.dutchbook.a1b2c3.c2.kafka.us-east-1.amazonaws.com:9098"
EU = "b-1.dutchbook.d4e5f6.c5.kafka.eu-west-1.amazonaws.com:9098"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    aws_credentials.give(monkeypatch, tmp_path)


# Addresses


@pytest.mark.parametrize(
    ("address", "servers", "region"),
    [
        ("127.0.0.1:19092", "127.0.0.1:19092", None),
        ("kafka-us:9092,kafka_2:9092", "kafka-us:9092,kafka_2:9092", None),
        ("[::1]:9092", "[::1]:9092", None),
        (US, US, None),
        (f"iam://{US},{US_2}", f"{US},{US_2}", "us-east-1"),
        (f"iam://{EU}", EU, "eu-west-1"),
        (
            "iam://boot-x1.c1.kafka-serverless.ap-southeast-2.amazonaws.com:9098",
            "boot-x1.c1.kafka-serverless.ap-southeast-2.amazonaws.com:9098",
            "ap-southeast-2",
        ),
        (
            "iam://b-1.x.kafka.us-gov-east-1.amazonaws.com:9098",
            "b-1.x.kafka.us-gov-east-1.amazonaws.com:9098",
            "us-gov-east-1",
        ),
    ],
)
def test_an_address_says_how_a_cluster_is_spoken_to(address: str, servers: str, region: str | None) -> None:
    assert msk.parse(address) == msk.Cluster(servers, region)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("iam://127.0.0.1:9098", "'127.0.0.1:9098' is not an MSK host and port such as b-1."),
        ("iam://kafka.us-east-1.amazonaws.com:9098", "is not an MSK host"),
        ("iam://b-1.x.kafka.us-east-1.amazonaws.com", "is not an MSK host and port"),
        ("iam://b-1.x.kafka.us-east-1.amazonaws.com:0", "is not an MSK host and port"),
        ("iam://b-1.x.kafka.us-east-1.amazonaws.com:65536", "is not an MSK host and port"),
        ("iam://b-1.x.kafka.useast1.amazonaws.com:9098", "is not an MSK host"),
        ("iam://b-1.x.kafka.us-east-1.amazonaws.com.evil.example:9098", "is not an MSK host"),
        ("iam://b-1.x.notkafka.us-east-1.amazonaws.com:9098", "is not an MSK host"),
        (f"iam://{US},", "'' is not an MSK host"),
        (f"iam://{US}, {US_2}", "is not an MSK host"),
        (f"iam://{US},{EU}", "names hosts of several AWS regions: eu-west-1, us-east-1"),
        (f"{US_2},iam://{US}", "is not host:port"),
        (f"kafka://{US}", "is not host:port"),
        ("localhost", "'localhost' is not host:port"),
        ("localhost:99999", "is not host:port"),
        ("a:1,,b:2", "'' is not host:port"),
    ],
)
@pytest.mark.parametrize("region", ["us", "eu"])
def test_a_wrong_address_stops_a_process_at_its_start_by_name(
    address: str, said: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"DUTCHBOOK_KAFKA_{region.upper()}", address)
    with pytest.raises(SettingsError) as caught:
        load(KafkaSettings)
    assert str(caught.value).startswith(f"DUTCHBOOK_KAFKA_{region.upper()}: ")
    assert said in str(caught.value)


# Tokens


def test_a_token_is_a_signed_url_for_the_clusters_own_region() -> None:
    begin = int(time.time())
    token = msk.sign("eu-west-1")
    url = urlsplit(url_of(token.text))
    fields = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.scheme, url.netloc, url.path) == ("https", "kafka.eu-west-1.amazonaws.com", "/")
    assert fields["Action"] == "kafka-cluster:Connect"
    assert fields["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert fields["X-Amz-Expires"] == str(msk.LIFETIME_S) == "900"
    assert fields["X-Amz-Credential"] == f"{KEY_ID}/{fields['X-Amz-Date'][:8]}/eu-west-1/kafka-cluster/aws4_request"
    assert fields["X-Amz-Security-Token"] == "a session"
    assert fields["X-Amz-SignedHeaders"] == "host"
    assert len(bytes.fromhex(fields["X-Amz-Signature"])) == 32
    assert "=" not in token.text
    assert begin + 900 <= token.expires_s <= time.time() + 900  # seconds, not milliseconds


def test_signing_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    assert msk.sign("us-east-1").text


def test_missing_credentials_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    aws_credentials.take(monkeypatch)
    with pytest.raises(msk.TokenFailed, match="no AWS credentials were found"):
        msk.sign("us-east-1")


def test_half_of_a_credential_is_said_without_the_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(msk.TokenFailed, match="PartialCredentialsError") as caught:
        msk.sign("us-east-1")
    assert KEY_ID not in str(caught.value)


# What librdkafka is told


def test_a_plain_cluster_is_reached_plainly() -> None:
    assert msk.client_settings("a:1,b:2", "x") == {"bootstrap.servers": "a:1,b:2"}


def test_msk_is_reached_with_tls_and_tokens_of_its_region() -> None:
    settings = msk.client_settings(f"iam://{EU}", "x")
    refresh = settings.pop("oauth_cb")
    assert settings == {
        "bootstrap.servers": EU,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
    }
    text, expires_s = refresh(None)
    assert urlsplit(url_of(text)).netloc == "kafka.eu-west-1.amazonaws.com"
    assert 880 < expires_s - time.time() <= 900


@pytest.mark.parametrize("kind", ["Producer", "Consumer", "AdminClient"])
def test_every_client_of_ours_is_made_so(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, object]] = []

    class Client:
        def __init__(self, settings: dict[str, object]) -> None:
            made.append(settings)

        def poll(self, timeout_s: float) -> None:
            time.sleep(timeout_s)

    monkeypatch.setattr(kafka, kind, Client)
    make: dict[str, Callable[[str], object]] = {
        "Producer": lambda address: kafka.Publisher(address, "x"),
        "Consumer": lambda address: kafka.consumer(address, "x"),
        "AdminClient": kafka.admin_client,
    }
    make[kind](f"iam://{US}")
    (settings,) = made
    assert (settings["bootstrap.servers"], settings["security.protocol"]) == (US, "SASL_SSL")
    assert settings["sasl.mechanism"] == "OAUTHBEARER"
    assert isinstance(settings["oauth_cb"], msk.Refresh)


def test_topics_are_not_created_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    aws_credentials.take(monkeypatch)
    with pytest.raises(kafka.KafkaUnavailable, match=r"no token for iam://b-1\.dutchbook.*: no AWS credentials"):
        kafka.create_topics(f"iam://{US}", [])


# Refreshing


def test_each_refresh_is_a_new_token() -> None:
    made = iter([msk.Token("first", 900.0), msk.Token("second", 1620.0)])
    refresh = msk.Refresh("x", lambda: next(made))
    assert [refresh(None), refresh(None)] == [("first", 900.0), ("second", 1620.0)]


def test_a_token_that_cannot_be_made_is_logged_and_asked_for_again() -> None:
    outcomes: list[msk.Token | Exception] = [
        msk.TokenFailed("not yet"),
        msk.Token("first", 900.0),
        msk.TokenFailed("not now"),
        msk.Token("second", 1620.0),
    ]

    def make() -> msk.Token:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with capture_logs() as logged:
        refresh = msk.Refresh("x", make, now=lambda: 100.0)
        given = [refresh(None) for _ in range(4)]
    assert given == [("none", 112.5), ("first", 900.0), ("first", 112.5), ("second", 1620.0)]
    assert [(entry["log_level"], entry["error"], entry["client"]) for entry in logged] == [
        ("warning", "not yet", "x"),
        ("warning", "not now", "x"),
    ]


# What a broker is told


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SaslBroker]:
    with SaslBroker(tmp_path, lifetime_ms=1_000) as made:
        yield made


def wait_for(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def settings_for(broker: SaslBroker) -> dict[str, object]:
    """Those for MSK, led to a broker of our own."""
    own = {"bootstrap.servers": broker.address, "ssl.ca.location": str(broker.authority), "log_level": 0}
    return msk.client_settings(f"iam://{US}", "x") | own


@pytest.mark.parametrize("kind", [Producer, Consumer, AdminClient])
def test_a_broker_is_shown_a_token_signed_for_its_region(broker: SaslBroker, kind: Any) -> None:
    """No client is polled: the token is fetched on a thread of the client's own."""
    client = kind(settings_for(broker) | ({"group.id": "x"} if kind is Consumer else {}))
    with suppress(KafkaException):
        client.list_topics(timeout=1)  # a consumer connects when it is asked something
    wait_for(lambda: bool(broker.tokens))
    del client
    assert broker.mechanisms == {"OAUTHBEARER"}
    assert {urlsplit(url_of(token)).netloc for token in broker.tokens} == {"kafka.us-east-1.amazonaws.com"}


def test_a_client_signs_in_again_before_its_session_ends(broker: SaslBroker) -> None:
    client = Producer(settings_for(broker))
    wait_for(lambda: len(broker.tokens) >= 2)
    del client


def test_a_client_that_begins_without_a_token_signs_in_later(
    broker: SaslBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(msk, "RETRY_S", 0.2)
    outcomes: list[bool] = []

    def make() -> msk.Token:
        outcomes.append(len(outcomes) >= 2)
        if not outcomes[-1]:
            raise msk.TokenFailed("not yet")
        return msk.sign("us-east-1")

    client = Producer(settings_for(broker) | {"oauth_cb": msk.Refresh("x", make)})
    wait_for(lambda: any(token != "none" for token in broker.tokens))
    assert outcomes[:3] == [False, False, True]
    del client
