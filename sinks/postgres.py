"""PostgreSQL: tickets, executions, opportunities and analyses, with the sink's own offsets in the same transaction."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import Connection, Cursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from runtime import settings
from runtime.settings import PostgresSettings, SettingsError
from schemas.topics import TOPICS, venue_topic
from sinks.migrations import migrate
from sinks.tables import ANALYSES, EXECUTIONS, OPPORTUNITIES, TABLES, TICKETS, Row, Table
from sinks.task import BatchRejected, Offsets, Place, RecordRejected, RetriableError, SinkRecord

TABLE_OF: Final = {
    TOPICS["ticket"].name: TICKETS,
    venue_topic("execution", "kalshi", "us"): EXECUTIONS,
    venue_topic("execution", "polymarket", "us"): EXECUTIONS,
    TOPICS["opportunity"].name: OPPORTUNITIES,
    TOPICS["analysis"].name: ANALYSES,
}

_SAVE_OFFSETS: Final = """
    INSERT INTO sink_offsets (sink, topic, partition, next_offset)
    SELECT %s, * FROM unnest(%s::text[], %s::integer[], %s::bigint[])
    ON CONFLICT (sink, topic, partition) DO UPDATE SET next_offset = excluded.next_offset"""

_LOAD_OFFSETS: Final = "SELECT topic, partition, next_offset FROM sink_offsets WHERE sink = %s"


class PostgresTask:
    """Copies rows into a staging table and merges them from there, all tables and offsets in one transaction.

    One connection, made again when it broke: the worker's backoff is the only one, so a server that is back is used at
    the next attempt (a pool's own backoff would hide that for minutes).
    """

    name = "postgres"
    topics = tuple(TABLE_OF)

    def __init__(self, store: PostgresSettings) -> None:
        self._dsn = SecretStr(address(store))
        self._connection: Connection | None = None
        self._rows: dict[str, dict[Row, Row]] = defaultdict(dict)
        self._durable: dict[Place, int] = {}

    def start(self) -> None:
        """Connect and make the tables that are missing; safe when several workers start at once."""
        with self._transaction() as cursor:
            migrate(cursor)

    def open(self, partitions: Collection[Place]) -> None:
        """Nothing to prepare."""

    def start_offsets(self, partitions: Collection[Place]) -> dict[Place, int]:
        with self._transaction() as cursor:
            rows = cursor.execute(_LOAD_OFFSETS, (self.name,)).fetchall()
        stored = {(topic, partition): offset for topic, partition, offset in rows}
        return {place: stored[place] for place in partitions if place in stored}

    def put(self, records: Sequence[SinkRecord]) -> None:
        """Keep one row a key: a merge takes none twice, and of a ticket only the newest revision counts."""
        try:
            for record in records:
                self._take(record)
        except RecordRejected:
            self._rows.clear()
            raise

    def flush(self, positions: Offsets) -> None:
        rows, self._rows = self._rows, defaultdict(dict)
        with self._transaction() as cursor:
            for table in TABLES:
                if table.name in rows:
                    _merge(cursor, table, rows[table.name].values())
            _save_offsets(cursor, self.name, positions)
        self._durable.update(positions)

    def pre_commit(self) -> dict[Place, int]:
        return dict(self._durable)

    def close(self, partitions: Collection[Place]) -> None:
        self._rows.clear()
        for place in partitions:
            self._durable.pop(place, None)

    def stop(self) -> None:
        self._disconnect()

    def _take(self, record: SinkRecord) -> None:
        table = TABLE_OF[record.topic]
        content = record.content
        if not isinstance(content, table.record):
            raise RecordRejected(record, f"topic {record.topic} holds no {type(content).__name__}")
        try:
            row = table.row(content)
        except ValueError as error:
            raise RecordRejected(record, str(error)) from error
        rows = self._rows[table.name]
        key = table.key_of(row)
        if key not in rows or table.version_of(row) > table.version_of(rows[key]):
            rows[key] = row

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        """One transaction, with the driver's errors named by consequence."""
        try:
            connection = self._connected()
            with connection.transaction(), connection.cursor() as cursor:
                yield cursor
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded) as error:
            raise BatchRejected(f"PostgreSQL refused the rows: {error}") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            # Lost connections, shutdowns, deadlocks, serialization failures, a full disk: later it may work.
            self._disconnect()
            raise RetriableError(f"PostgreSQL: {error}") from error

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = connection = connect(self._dsn.get_secret_value())
            for table in TABLES:
                connection.execute(table.staging_statement())
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def address(store: PostgresSettings) -> str:
    """Where to connect, with the password if there is one; raises SettingsError, which shows neither."""
    dsn = store.postgres_dsn.get_secret_value()
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise SettingsError("DUTCHBOOK_POSTGRES_DSN: not a PostgreSQL address (postgresql://user@host/name)") from None
    if store.postgres_password is None:
        return dsn
    if "password" in parts:
        raise SettingsError("the password stands in DUTCHBOOK_POSTGRES_DSN and in DUTCHBOOK_POSTGRES_PASSWORD: set one")
    return make_conninfo(dsn, password=store.postgres_password.get_secret_value())


def connect(dsn: str) -> Connection:
    """A connection on which a silent server is noticed within seconds and no statement waits for ever."""
    return psycopg.connect(
        dsn,
        autocommit=True,
        application_name="dutchbook-sink-postgres",
        connect_timeout=5,
        tcp_user_timeout=10_000,
        options="-c statement_timeout=60000",
    )


def _merge(cursor: Cursor, table: Table, rows: Collection[Row]) -> None:
    with cursor.copy(table.copy_statement()) as copy:
        copy.set_types(list(table.columns.values()))
        for row in rows:
            copy.write_row(row)
    cursor.execute(table.merge_statement())


def _save_offsets(cursor: Cursor, sink: str, positions: Offsets) -> None:
    topics: list[Any] = [topic for topic, _ in positions]
    partitions = [partition for _, partition in positions]
    cursor.execute(_SAVE_OFFSETS, (sink, topics, partitions, list(positions.values())))


def make_task() -> PostgresTask:
    """The task with its settings from the environment; raises SettingsError."""
    return PostgresTask(settings.load(PostgresSettings))
