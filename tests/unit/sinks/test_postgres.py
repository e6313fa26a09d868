"""Where the Postgres sink connects to: the address, and the password that may come apart from it."""

import pytest
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from runtime.settings import PostgresSettings, SettingsError
from sinks.postgres import PostgresTask, address

SECRET = "p@ss word/#'"


def settings(dsn: str, password: str | None = None) -> PostgresSettings:
    return PostgresSettings(
        postgres_dsn=SecretStr(dsn), postgres_password=None if password is None else SecretStr(password)
    )


@pytest.mark.parametrize("dsn", ["postgresql://me@db.example:5432/dutchbook", "host=db.example user=me"])
def test_the_password_joins_the_address_whatever_is_in_it(dsn: str) -> None:
    parts = conninfo_to_dict(address(settings(dsn, SECRET)))
    assert (parts["host"], parts["user"], parts["password"]) == ("db.example", "me", SECRET)


def test_an_address_is_left_as_it_is_without_one() -> None:
    dsn = "postgresql://me:mine@db.example/dutchbook?sslmode=require"
    assert address(settings(dsn)) == dsn


@pytest.mark.parametrize(
    ("dsn", "password", "said"),
    [
        ("postgresql://me:p%40ss@db.example/x", SECRET, "the password stands in DUTCHBOOK_POSTGRES_DSN and in DUTCHB"),
        ("p@ss word/#'", None, "DUTCHBOOK_POSTGRES_DSN: not a PostgreSQL address"),
    ],
)
def test_a_wrong_address_is_named_and_not_shown(dsn: str, password: str | None, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        PostgresTask(settings(dsn, password))
    assert said in str(caught.value)
    assert "p@ss" not in str(caught.value)
    assert "p%40ss" not in str(caught.value)
