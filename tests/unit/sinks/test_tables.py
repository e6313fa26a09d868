"""The tables hold exactly the fields of their records, and refuse what PostgreSQL cannot hold."""

from typing import Any

import msgspec
import pytest

from schemas.records import Record
from sinks.migrations import MIGRATIONS
from sinks.tables import ANALYSES, EXECUTIONS, OPPORTUNITIES, TABLES, TICKETS, Table
from tests.unit.sinks.make import analysis, execution, opportunity, ticket


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_are_the_fields_of_the_record_in_order(table: Table) -> None:
    fields = ["group_id" if name == "group" else name for name in table.record.__struct_fields__]
    assert list(table.columns) == fields


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_is_made_by_a_migration(table: Table) -> None:
    (statement,) = [text for text in MIGRATIONS if text.startswith(f"CREATE TABLE {table.name} (")]
    for name, kind in table.columns.items():
        assert f" {name} {kind} " in statement


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
