"""The ordered list of statements that make the relational tables, and their application.

Every `*_ns` column that is a moment has a generated `*_at` beside it, for people. The SQL is that of PostgreSQL 15 to
18.
"""

from typing import Final

from psycopg import Cursor

MIGRATION_LOCK: Final = 0x64757463
"""Advisory lock that one worker holds while it makes the tables ("dutc" in ASCII)."""


LOCK_TIMEOUT_MS: Final = 10_000
"""How long one migration waits for those who use a table before the sink begins again from its backoff."""


def _at(name: str) -> str:
    return f"{name}_at timestamptz GENERATED ALWAYS AS (to_timestamp({name}_ns / 1e9)) STORED"


def _known_at(name: str) -> str:
    """As `_at`, empty where the moment is not known (0)."""
    return f"{name}_at timestamptz GENERATED ALWAYS AS (to_timestamp(nullif({name}_ns, 0) / 1e9)) STORED"


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
    f"""ALTER TABLE opportunities
        ADD COLUMN depth_cost bigint NOT NULL DEFAULT 0,
        ADD COLUMN gas bigint NOT NULL DEFAULT 0,
        ADD COLUMN basis bigint NOT NULL DEFAULT 0,
        ADD COLUMN settlement_risk bigint NOT NULL DEFAULT 0,
        ADD COLUMN time_value bigint NOT NULL DEFAULT 0,
        ADD COLUMN capital bigint NOT NULL DEFAULT 0,
        ADD COLUMN annualised_ppm bigint NOT NULL DEFAULT 0,
        ADD COLUMN void_payout bigint NOT NULL DEFAULT 0,
        ADD COLUMN settles_ns bigint NOT NULL DEFAULT 0,
        ADD COLUMN survived_ns bigint NOT NULL DEFAULT 0,
        ADD COLUMN peak_ns bigint NOT NULL DEFAULT 0,
        ADD COLUMN {_known_at("settles")},
        ADD COLUMN {_known_at("peak")}
    """,
    """ALTER TABLE analyses
        ADD COLUMN detail text NOT NULL DEFAULT '',
        ADD COLUMN payout bigint NOT NULL DEFAULT 0,
        ADD COLUMN depth_cost bigint NOT NULL DEFAULT 0,
        ADD COLUMN gas bigint NOT NULL DEFAULT 0,
        ADD COLUMN basis bigint NOT NULL DEFAULT 0,
        ADD COLUMN settlement_risk bigint NOT NULL DEFAULT 0,
        ADD COLUMN time_value bigint NOT NULL DEFAULT 0,
        ADD COLUMN suppressed bigint NOT NULL DEFAULT 0,
        ADD COLUMN partition bigint NOT NULL DEFAULT 0,
        ADD COLUMN journal_epoch bigint NOT NULL DEFAULT 0,
        DROP CONSTRAINT analyses_pkey
    """,
    "CREATE UNIQUE INDEX analyses_key ON analyses (group_id, time_ns, md5(basket), reason)",
    """CREATE VIEW opportunity_lives AS
        WITH openings AS (
            SELECT
                opportunity_id, revision, event, reason, group_id, basket, opened_ns, time_ns, survived_ns, peak_net,
                peak_ns,
                count(*) FILTER (WHERE event = 'opened') OVER (PARTITION BY opportunity_id ORDER BY revision) AS opening
            FROM opportunities
        ), lives AS (
            SELECT DISTINCT ON (opportunity_id, opening)
                opportunity_id, opening, group_id, basket, opened_ns,
                CASE WHEN event = 'closed' THEN time_ns END AS closed_ns,
                CASE WHEN survived_ns > 0 THEN survived_ns ELSE time_ns - opened_ns END AS survived_ns,
                peak_net,
                nullif(peak_ns, 0) AS peak_ns,
                reason
            FROM openings
            ORDER BY opportunity_id, opening, revision DESC
        )
        SELECT
            *,
            to_timestamp(opened_ns / 1e9) AS opened_at,
            to_timestamp(closed_ns / 1e9) AS closed_at,
            to_timestamp(peak_ns / 1e9) AS peak_at
        FROM lives
    """,
    """ALTER TABLE opportunities
        ADD COLUMN journal_position bigint NOT NULL DEFAULT -1
    """,
)
"""Applied in order, each once. A statement that has been released is never edited; a change is a new one at the end.

Columns that came later have a default: rows from before them say 0, or nothing.

`opportunity_lives` has one row for each time that an opportunity opened (`opening` counts them from 1: the same books
can open it again): when it opened and closed (`closed_ns` is null while it is open), how long it survived, its peak,
and the last reason.
"""


def migrate(cursor: Cursor) -> None:
    """Apply the migrations that this database has not seen, within the cursor's transaction.

    A change of a large table may take longer than any other statement of a sink; only waiting for a lock is bounded.
    """
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations ("
        "version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    row = cursor.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()
    applied = row[0] if row is not None else 0
    if applied < len(MIGRATIONS):
        cursor.execute("SELECT set_config('statement_timeout', '0', true)")
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT_MS}ms",))
    for version, statement in enumerate(MIGRATIONS[applied:], start=applied + 1):
        cursor.execute(statement)
        cursor.execute("INSERT INTO schema_migrations (version) VALUES (%s)", (version,))
