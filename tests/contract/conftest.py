"""The stores of the contract tests. Each test makes databases of its own in them and drops them again."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Stores:
    """The addresses of a running InfluxDB and a running PostgreSQL whose user may create databases."""

    influx_url: str
    postgres_dsn: str


@pytest.fixture(scope="session")
def stores(influx_url: str, postgres_dsn: str) -> Stores:
    """Both stores, for the whole session."""
    return Stores(influx_url, postgres_dsn)
