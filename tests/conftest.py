"""The services that tests talk to: an address from the environment, else the local launcher, else testcontainers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings

# The same examples in every run; DUTCHBOOK_TEST_EXPLORE=1 looks for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
# `make mutants`: a failure is enough, its smallest example is not wanted, and a slow mutant is not a dead one.
settings.register_profile(
    "mutants",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("explore" if os.environ.get("DUTCHBOOK_TEST_EXPLORE") else "fixed")

ENVIRONMENT = {
    "kafka": "DUTCHBOOK_TEST_KAFKA",
    "influx": "DUTCHBOOK_TEST_INFLUX_URL",
    "postgres": "DUTCHBOOK_TEST_POSTGRES_DSN",
}


@contextmanager
def service(name: str) -> Iterator[str]:
    """The address of one service for as long as it is needed."""
    configured = os.environ.get(ENVIRONMENT[name])
    if configured:
        yield configured
        return
    from infra.local.parts import PartMissing, find_parts

    try:
        find_parts()
    except PartMissing:
        with _container(name) as address:
            yield address
    else:
        with _launched(name) as address:
            yield address


@contextmanager
def _launched(name: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.launch", name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"{name} could not be started: see the output above")
        yield json.loads(line)[name]
    finally:
        process.communicate(timeout=60)


@contextmanager
def _container(name: str) -> Iterator[str]:
    """The public image of the service; needs a reachable Docker."""
    if name == "kafka":
        from testcontainers.kafka import KafkaContainer

        with KafkaContainer("apache/kafka:4.3.0").with_kraft() as kafka:
            yield kafka.get_bootstrap_server()
    elif name == "postgres":
        from testcontainers.postgres import PostgresContainer

        with PostgresContainer("postgres:18", driver=None) as postgres:
            yield postgres.get_connection_url()
    else:
        from testcontainers.core.container import DockerContainer

        with DockerContainer("influxdb:1.8").with_exposed_ports(8086).with_env("INFLUXDB_DB", "market") as influx:
            yield f"http://{influx.get_container_host_ip()}:{influx.get_exposed_port(8086)}"


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    """Logging is set up per process: what a test set up, on streams that end with it, must not reach the next."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """A real Kafka broker."""
    with service("kafka") as address:
        yield address


@pytest.fixture(scope="session")
def influx_url() -> Iterator[str]:
    """A real InfluxDB with the database `market`."""
    with service("influx") as address:
        yield address


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """A real Postgres."""
    with service("postgres") as address:
        yield address


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Whatever is not a unit test needs the stack."""
    for item in items:
        if "tests/unit" not in str(item.path):
            item.add_marker(pytest.mark.stack)
