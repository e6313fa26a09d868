"""The ordered list of statements that make the relational tables, and their application.

Every `*_ns` column has a generated `*_at` beside it, for people. The SQL is that of PostgreSQL 15 to 18.
"""

from typing import Final

from psycopg import Cursor

MIGRATION_LOCK: Final = 0x64757463
"""Advisory lock that one worker holds while it makes the tables ("dutc" in ASCII)."""


def _at(name: str) -> str:
    return f"{name}_at timestamptz GENERATED ALWAYS AS (to_timestamp({name}_ns / 1e9)) STORED"


MIGRATIONS: Final[tuple[str, ...]] = (
    f"""CREATE TABLE tickets (
        ticket_id text PRIMARY KEY,
        revision bigint NOT NULL,
        state text NOT NULL,
        reason text NOT NULL,
        opportunity_id text NOT NULL,
        group_id text NOT NULL,
        basket text NOT NULL,
        quantity bigint NOT NULL,
        payout bigint NOT NULL,
        expected_net bigint NOT NULL,
        realised_net bigint NOT NULL,
        legs jsonb NOT NULL,
        opened_ns bigint NOT NULL,
        updated_ns bigint NOT NULL,
        {_at("opened")},
        {_at("updated")}
    )""",
    f"""CREATE TABLE executions (
        execution_id text PRIMARY KEY,
        order_id text NOT NULL,
        ticket_id text NOT NULL,
        leg bigint NOT NULL,
        venue text NOT NULL,
        market text NOT NULL,
        outcome text NOT NULL,
        side text NOT NULL,
        kind text NOT NULL,
        reason text NOT NULL,
        fills jsonb NOT NULL,
        fill_quantity bigint NOT NULL,
        remaining_quantity bigint NOT NULL,
        cost bigint NOT NULL,
        fee bigint NOT NULL,
        book_epoch bigint NOT NULL,
        book_sequence bigint NOT NULL,
        paper boolean NOT NULL,
        executed_ns bigint NOT NULL,
        {_at("executed")}
    )""",
    "CREATE INDEX executions_ticket ON executions (ticket_id)",
    f"""CREATE TABLE opportunities (
        opportunity_id text NOT NULL,
        revision bigint NOT NULL,
        event text NOT NULL,
        reason text NOT NULL,
        group_id text NOT NULL,
        basket text NOT NULL,
        legs jsonb NOT NULL,
        quantity bigint NOT NULL,
        payout bigint NOT NULL,
        gross bigint NOT NULL,
        fees bigint NOT NULL,
        net bigint NOT NULL,
        peak_net bigint NOT NULL,
        opened_ns bigint NOT NULL,
        time_ns bigint NOT NULL,
        cause bigint NOT NULL,
        cause_api_response_ns bigint NOT NULL,
        partition bigint NOT NULL,
        journal_epoch bigint NOT NULL,
        {_at("opened")},
        {_at("time")},
        PRIMARY KEY (opportunity_id, revision)
    )""",
    "CREATE INDEX opportunities_time ON opportunities (time_ns)",
    f"""CREATE TABLE analyses (
        group_id text NOT NULL,
        basket text NOT NULL,
        reason text NOT NULL,
        quantity bigint NOT NULL,
        gross bigint NOT NULL,
        fees bigint NOT NULL,
        net bigint NOT NULL,
        time_ns bigint NOT NULL,
        {_at("time")},
        PRIMARY KEY (basket, time_ns, reason)
    )""",
    """CREATE TABLE sink_offsets (
        sink text NOT NULL,
        topic text NOT NULL,
        partition integer NOT NULL,
        next_offset bigint NOT NULL,
        PRIMARY KEY (sink, topic, partition)
    )""",
)
"""Applied in order, each once. A statement that has been released is never edited; a change is a new one at the end."""


def migrate(cursor: Cursor) -> None:
    """Apply the migrations that this database has not seen, within the cursor's transaction."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        "version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    row = cursor.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()
    applied = row[0] if row is not None else 0
    for version, statement in enumerate(MIGRATIONS[applied:], start=applied + 1):
        cursor.execute(statement)
        cursor.execute("INSERT INTO schema_migrations (version) VALUES (%s)", (version,))
