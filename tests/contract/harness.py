"""What the contract suite needs of each store: records it takes and refuses, its rows, and how to cut it off."""

import json
import secrets
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, Protocol

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from runtime.settings import InfluxSettings, PostgresSettings
from schemas.codec import encode, encode_books
from sinks.influx import InfluxTask
from sinks.memory import MemoryTask
from sinks.postgres import PostgresTask
from sinks.task import Place, SinkRecord, SinkTask
from tests.contract.conftest import Stores
from tests.contract.proxy import Proxy
from tests.unit.sinks.make import book, sink_record, ticket


class Harness(Protocol):
    """One store with one sink. `record(n)` are all different; `poison(n)` can never be stored."""

    place: Place

    def task(self) -> SinkTask: ...
    def record(self, number: int) -> SinkRecord: ...
    def poison(self, number: int, *, named: bool) -> SinkRecord: ...
    def rows(self) -> list[Any]: ...
    def outage(self) -> AbstractContextManager[None]: ...


class MemoryHarness:
    """The fake that ships with the contract."""

    place = ("ticket", 0)

    def __init__(self) -> None:
        self._task = MemoryTask()

    def task(self) -> SinkTask:
        fresh = MemoryTask()
        fresh.rows, fresh.stored, fresh.hopeless = self._task.rows, self._task.stored, self._task.hopeless
        self._task = fresh
        return fresh

    def record(self, number: int) -> SinkRecord:
        return sink_record(ticket(number), number, value=encode(ticket(number)))

    def poison(self, number: int, *, named: bool) -> SinkRecord:
        self._task.hopeless.add(number)
        self._task._names_the_record = named
        return self.record(number)

    def rows(self) -> list[Any]:
        return sorted(offset for _, _, offset in self._task.rows)

    @contextmanager
    def outage(self) -> Iterator[None]:
        self._task.down = True
        yield
        self._task.down = False


class InfluxHarness:
    """A database of its own in a real InfluxDB, reached through a proxy."""

    place = ("book.kalshi", 0)

    def __init__(self, url: str) -> None:
        self._url = url
        self._database = f"contract_{secrets.token_hex(6)}"
        self.query(f'create database "{self._database}"')
        address = urllib.parse.urlsplit(url)
        self._proxy = Proxy((address.hostname or "", address.port or 8086))

    def drop(self) -> None:
        self.query(f'drop database "{self._database}"')
        self._proxy.cut()

    def task(self) -> InfluxTask:
        return InfluxTask(
            InfluxSettings(
                influx_url=f"http://127.0.0.1:{self._proxy.port}",
                influx_token=SecretStr("dutchbook:dutchbook"),
                influx_bucket=f"{self._database}/autogen",
            )
        )

    def record(self, number: int) -> SinkRecord:
        books = [book(number)]
        return sink_record(books, number, self.place[0], value=encode_books(books))

    def poison(self, number: int, *, named: bool) -> SinkRecord:
        # Unnamed: a tag longer than InfluxDB's limit for a series key, which only the server knows.
        bad = book(number, bid_count=9) if named else book(number, market="M" * 70_000)
        return sink_record([bad], number, self.place[0])

    def rows(self) -> list[Any]:
        """Every point, without the two stamps of the sink's own process."""
        series = self.query('select * from "book"')["results"][0].get("series", [])
        own = {"virginia_received_ns", "data_server_stored_ns", "pipeline_latency_us"}
        return [
            {name: value for name, value in zip(one["columns"], values, strict=True) if name not in own}
            for one in series
            for values in one["values"]
        ]

    def outage(self) -> AbstractContextManager[None]:
        return self._proxy.outage()

    def query(self, text: str) -> Any:
        """One InfluxQL statement, sent to the store itself."""
        form = urllib.parse.urlencode({"q": text, "db": self._database, "epoch": "ns"})
        request = urllib.request.Request(f"{self._url}/query?{form}", method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with closing(opener.open(request, timeout=10)) as answer:
            return json.load(answer)


class PostgresHarness:
    """A database of its own in a real PostgreSQL, reached through a proxy."""

    place = ("ticket", 0)

    def __init__(self, dsn: str) -> None:
        self._admin = dsn
        self._database = f"contract_{secrets.token_hex(6)}"
        self._administer(f"CREATE DATABASE {self._database}")
        self._direct = make_conninfo(dsn, dbname=self._database)
        parts = conninfo_to_dict(dsn)
        self._proxy = Proxy((str(parts.get("host", "127.0.0.1")), int(parts.get("port") or 5432)))

    def drop(self) -> None:
        self._administer(f"DROP DATABASE {self._database} WITH (FORCE)")
        self._proxy.cut()

    def _administer(self, statement: str) -> None:
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(statement)

    def task(self) -> PostgresTask:
        through = make_conninfo(self._direct, host="127.0.0.1", port=self._proxy.port)
        return PostgresTask(PostgresSettings(postgres_dsn=SecretStr(through)))

    def record(self, number: int) -> SinkRecord:
        return sink_record(ticket(number), number, value=encode(ticket(number)))

    def poison(self, number: int, *, named: bool) -> SinkRecord:
        # Unnamed: a key longer than an index entry may be, which only the server knows.
        bad = ticket(number, reason="\x00") if named else ticket(number, ticket_id=secrets.token_hex(6000))
        return sink_record(bad, number)

    def rows(self) -> list[Any]:
        return self.select("SELECT * FROM tickets ORDER BY ticket_id")

    def select(self, text: str) -> list[Any]:
        """The rows of one query, sent to the store itself."""
        with psycopg.connect(self._direct) as connection:
            return connection.execute(text).fetchall()

    def execute(self, statement: str) -> None:
        """One statement, sent to the store itself."""
        with psycopg.connect(self._direct) as connection:
            connection.execute(statement)

    def outage(self) -> AbstractContextManager[None]:
        return self._proxy.outage()


@contextmanager
def harness_of(name: str, stores: Stores | None) -> Iterator[Harness]:
    """The harness of a sink; `stores` is None for the fake only."""
    if name == "memory":
        yield MemoryHarness()
        return
    assert stores is not None
    made = InfluxHarness(stores.influx_url) if name == "influx" else PostgresHarness(stores.postgres_dsn)
    try:
        yield made
    finally:
        made.drop()
