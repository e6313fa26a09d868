"""A Faust app signs in to Amazon MSK in all its clients: consumer, producer, and the one that waits for the cluster."""

import asyncio
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import faust
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from confluent_kafka import KafkaError, KafkaException
from faust.transport.drivers import aiokafka as driver

from runtime import kafka
from runtime.msk import Token, TokenFailed, client_settings
from runtime.settings import KafkaSettings
from streams.app import make_app
from streams.credentials import TokenProvider, faust_settings
from tests.unit import aws_credentials
from tests.unit.runtime.rounds import Rounds
from tests.unit.sasl_broker import SaslBroker, url_of

HOSTS = [f"b-{number}.dutchbook.a1b2c3.c2.kafka.us-east-1.amazonaws.com" for number in (1, 2)]
ADDRESS = "iam://" + ",".join(f"{host}:9098" for host in HOSTS)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    aws_credentials.give(monkeypatch, tmp_path)


def app_for(address: str, folder: Path) -> Any:
    return make_app("test", KafkaSettings(kafka_us=address, data_dir=folder, run=""), 6066)


def test_a_plain_cluster_needs_no_credentials(tmp_path: Path) -> None:
    app = app_for("a:1,b:2", tmp_path)
    assert [str(url) for url in app.conf.broker] == ["kafka://a:1", "kafka://b:2"]
    assert app.conf.broker_credentials is None


def test_the_app_of_an_msk_cluster(tmp_path: Path) -> None:
    app = app_for(ADDRESS, tmp_path)
    assert [(url.scheme, url.host, url.port) for url in app.conf.broker] == [("kafka", host, 9098) for host in HOSTS]
    credentials = app.conf.broker_credentials
    assert isinstance(credentials, faust.OAuthCredentials)
    assert (credentials.protocol.value, credentials.mechanism.value) == ("SASL_SSL", "OAUTHBEARER")
    assert credentials.ssl_context.verify_mode is ssl.CERT_REQUIRED
    assert credentials.ssl_context.check_hostname


def test_every_client_that_faust_makes_signs_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, dict[str, Any]]] = []
    for name in ("AIOKafkaConsumer", "AIOKafkaProducer"):
        monkeypatch.setattr(driver.aiokafka, name, lambda name=name, **settings: made.append((name, settings)))

    async def run() -> Any:
        app = app_for(ADDRESS, tmp_path)
        thread = app._new_consumer()._thread
        thread._create_worker_consumer(app.transport)
        thread._create_client_consumer(app.transport)
        app.producer._new_producer()
        thread.thread_loop.close()
        return app.conf.broker_credentials

    credentials = asyncio.run(run())
    assert [name for name, _ in made] == ["AIOKafkaConsumer", "AIOKafkaConsumer", "AIOKafkaProducer"]
    for _, settings in made:
        assert settings["bootstrap_servers"] == [f"{host}:9098" for host in HOSTS]
        assert settings["security_protocol"] == "SASL_SSL"
        assert settings["sasl_mechanism"] == "OAUTHBEARER"
        assert settings["sasl_oauth_token_provider"] is credentials.oauth_cb
        assert settings["ssl_context"] is credentials.ssl_context


def test_the_cluster_is_waited_for_with_its_whole_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    answers: list[Exception | None] = [KafkaException(KafkaError(KafkaError._TRANSPORT))] * 3 + [None]
    rounds = Rounds()

    class Client:
        def list_topics(self, timeout: float) -> None:
            answer = answers.pop(0)
            if answer is not None:
                raise answer

        def close(self) -> None:
            pass

    def consumer(address: str, group: str) -> Client:
        assert client_settings(address, group)["sasl.mechanism"] == "OAUTHBEARER"
        asked.append(address)
        return Client()

    async def begun(_app: Any) -> None:
        pass

    monkeypatch.setattr("streams.app.HEALTH", rounds)
    monkeypatch.setattr(kafka, "consumer", consumer)
    monkeypatch.setattr(faust.App, "on_first_start", begun)
    asyncio.run(app_for(ADDRESS, tmp_path).on_first_start())
    assert (asked, answers) == ([ADDRESS], [])
    assert rounds.touches == 3  # meanwhile it is the cluster that is not well


class Maker:
    """Makes numbered tokens that last 900 s from `now`; fails while `failing`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.made = 0
        self.failing = False

    def __call__(self) -> Token:
        if self.failing:
            raise TokenFailed("no AWS credentials were found")
        self.made += 1
        return Token(f"token-{self.made}", self.now + 900)


def test_connections_of_a_minute_share_a_token_and_later_ones_get_a_new_one() -> None:
    maker = Maker()
    provider = TokenProvider(maker, now=lambda: maker.now)

    async def tokens(count: int) -> list[str]:
        return await asyncio.gather(*(provider.token() for _ in range(count)))

    assert asyncio.run(tokens(5)) == ["token-1"] * 5
    maker.now += 59
    assert asyncio.run(tokens(1)) == ["token-1"]
    maker.now += 2
    assert asyncio.run(tokens(3)) == ["token-2"] * 3


def test_a_token_that_cannot_be_made_is_a_connection_that_failed() -> None:
    maker = Maker()
    maker.failing = True
    provider = TokenProvider(maker, now=lambda: maker.now)
    with pytest.raises(KafkaConnectionError, match="no token for MSK: no AWS credentials"):
        asyncio.run(provider.token())
    maker.failing = False
    assert asyncio.run(provider.token()) == "token-1"


def test_a_broker_is_shown_a_token_signed_for_its_region(tmp_path: Path) -> None:
    """With aiokafka's own client, and a broker that has a door and nothing behind it."""
    auth = dict(driver.credentials_to_aiokafka_auth(faust_settings(ADDRESS)["broker_credentials"]))

    async def knock(broker: SaslBroker) -> None:
        auth["ssl_context"] = ssl.create_default_context(cafile=str(broker.authority))
        client = AIOKafkaClient(bootstrap_servers=broker.address, **auth)
        try:
            await client.bootstrap()
        finally:
            await client.close()

    with SaslBroker(tmp_path) as broker:
        asyncio.run(knock(broker))
    assert broker.mechanisms == {"OAUTHBEARER"}
    assert {urlsplit(url_of(token)).netloc for token in broker.tokens} == {"kafka.us-east-1.amazonaws.com"}
