"""The tables hold exactly the fields of their records, and refuse what PostgreSQL cannot hold."""

import re
from typing import Any

import msgspec
import pytest

from schemas.records import Record
from sinks.migrations import MIGRATIONS
from sinks.postgres import TABLE_OF, PostgresTask
from sinks.tables import ANALYSES, EXECUTIONS, OPPORTUNITIES, TABLES, TICKETS, Table
from tests.unit.sinks.make import NOW_NS, analysis, execution, opportunity, ticket


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_are_the_fields_of_the_record_in_order(table: Table) -> None:
    fields = ["group_id" if name == "group" else name for name in table.record.__struct_fields__]
    assert list(table.columns) == fields


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_is_made_by_a_migration(table: Table) -> None:
    starts = (f"CREATE TABLE {table.name} (", f"ALTER TABLE {table.name}\n")
    statements = " ".join(text for text in MIGRATIONS if text.startswith(starts))
    for name, kind in table.columns.items():
        assert f" {name} {kind} NOT NULL" in statements or f" {name} {kind} PRIMARY KEY" in statements


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_are_told_apart_by_what_a_migration_made_unique(table: Table) -> None:
    target = ", ".join(table.index or table.key)
    made = (f"PRIMARY KEY ({target})", f"CREATE UNIQUE INDEX {table.name}_key ON {table.name} ({target})")
    whole = f" {table.key[0]} text PRIMARY KEY"
    assert any(words in text for text in MIGRATIONS for words in made) or any(whole in text for text in MIGRATIONS)
    assert f"ON CONFLICT ({target})" in table.merge_statement()


@pytest.mark.parametrize("table", [OPPORTUNITIES, ANALYSES], ids=lambda table: table.name)
def test_columns_that_came_later_have_a_default(table: Table) -> None:
    added = "".join(text for text in MIGRATIONS if text.startswith(f"ALTER TABLE {table.name}\n"))
    later = [name for name in table.columns if f"ADD COLUMN {name} " in added]
    assert later == list(table.columns)[-len(later) :]
    for name in later:
        default = "''" if table.columns[name] == "text" else "-1" if name == "journal_position" else "0"
        assert re.search(rf"ADD COLUMN {name} {table.columns[name]} NOT NULL DEFAULT {default}[,\n]", added)


@pytest.mark.parametrize(
    ("table", "record"),
    [(TICKETS, ticket()), (EXECUTIONS, execution()), (OPPORTUNITIES, opportunity()), (ANALYSES, analysis())],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_record_has_a_row(table: Table, record: Record) -> None:
    assert len(table.row(record)) == len(table.columns)


def test_legs_are_kept_as_json() -> None:
    row = dict(zip(TICKETS.columns, TICKETS.row(ticket()), strict=True))
    legs = msgspec.json.decode(row["legs"].obj)
    assert legs[0]["market"] == "KXTEST-1"
    assert legs[0]["limit_price"] == 4300


def test_keys_and_versions() -> None:
    row = TICKETS.row(ticket(5, revision=3))
    assert TICKETS.key_of(row) == ("ticket-5",)
    assert TICKETS.version_of(row) == 3
    assert OPPORTUNITIES.key_of(OPPORTUNITIES.row(opportunity(2, revision=4))) == ("opportunity-2", 4)
    assert EXECUTIONS.version_of(EXECUTIONS.row(execution())) == 0
    assert ANALYSES.key_of(ANALYSES.row(analysis(3))) == ("test-group", NOW_NS + 3, "test-basket", "fees")


def test_every_topic_of_a_table_is_read() -> None:
    assert {TABLE_OF[topic].name for topic in PostgresTask.topics} == {table.name for table in TABLES}
    assert TABLE_OF["analysis"] is ANALYSES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reason": "a\x00b"}, "reason was .* NUL"),
        ({"payout": 2**63}, "payout was 9223372036854775808: outside bigint"),
        ({"realised_net": -(2**63) - 1}, "realised_net was .* outside bigint"),
    ],
)
def test_what_postgresql_cannot_hold_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TICKETS.row(ticket(**change))


def test_a_nul_inside_json_is_found_and_its_spelling_is_not() -> None:
    leg = ticket().legs[0]
    with pytest.raises(ValueError, match="legs holds a NUL"):
        TICKETS.row(ticket(legs=(msgspec.structs.replace(leg, reason="\x00"),)))
    TICKETS.row(ticket(legs=(msgspec.structs.replace(leg, reason="\\u0000"),)))


def test_only_versioned_tables_update() -> None:
    assert "DO UPDATE SET revision = excluded.revision" in TICKETS.merge_statement()
    assert "WHERE excluded.revision > tickets.revision" in TICKETS.merge_statement()
    assert "ticket_id = excluded" not in TICKETS.merge_statement()
    assert EXECUTIONS.merge_statement().endswith("ON CONFLICT (execution_id) DO NOTHING")
