"""The relational tables: what each keeps of which record, and how rows get into it.

Money is micro-dollars, prices 1e-4 dollar, sizes 1e-2 contract, fill sizes 1e-6 contract, all bigint. `group` is a
reserved word of SQL, so that column is `group_id`. The tables themselves are made in `sinks.migrations`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from psycopg.types.json import Jsonb

from schemas.records import Analysis, Execution, Opportunity, Record, Ticket

Row = tuple[Any, ...]

BIGINT_MINIMUM: Final = -(2**63)
BIGINT_MAXIMUM: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Table:
    """One table, whose columns are the fields of one record type, in that order.

    `columns` gives each column's type; `key` is what tells two rows apart: the primary key, or else a unique index over
    `index`. With `version`, the row with the higher value of that column stays; without, the row that came first.
    """

    name: str
    record: type[Record]
    columns: Mapping[str, str]
    key: tuple[str, ...]
    version: str | None = None
    index: tuple[str, ...] = ()
    _key_at: tuple[int, ...] = field(init=False)
    _version_at: int | None = field(init=False)

    def __post_init__(self) -> None:
        order = list(self.columns)
        object.__setattr__(self, "_key_at", tuple(order.index(name) for name in self.key))
        object.__setattr__(self, "_version_at", None if self.version is None else order.index(self.version))

    @property
    def staging(self) -> str:
        """The temporary table that rows are copied into."""
        return f"incoming_{self.name}"

    def staging_statement(self) -> str:
        """Make the staging table of one connection; it is empty at the start of every transaction."""
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        return f"CREATE TEMPORARY TABLE IF NOT EXISTS {self.staging} ({columns}) ON COMMIT DELETE ROWS"

    def copy_statement(self) -> str:
        """Copy rows into the staging table, in binary."""
        return f"COPY {self.staging} ({', '.join(self.columns)}) FROM STDIN (FORMAT BINARY)"

    def merge_statement(self) -> str:
        """Move the staged rows into the table; at most one staged row a key is allowed."""
        columns, key = ", ".join(self.columns), ", ".join(self.index or self.key)
        if self.version is None:
            action = "DO NOTHING"
        else:
            updates = ", ".join(f"{name} = excluded.{name}" for name in self.columns if name not in self.key)
            action = f"DO UPDATE SET {updates} WHERE excluded.{self.version} > {self.name}.{self.version}"
        # The names are this file's own constants: there is nothing to quote.
        return f"INSERT INTO {self.name} ({columns}) SELECT {columns} FROM {self.staging} ON CONFLICT ({key}) {action}"  # noqa: S608

    def row(self, record: Record) -> Row:
        """The record's values in the columns' order; raises ValueError when PostgreSQL cannot hold one of them."""
        values = msgspec.structs.astuple(record)
        return tuple(
            _CHECKED[kind](name, value) for (name, kind), value in zip(self.columns.items(), values, strict=True)
        )

    def key_of(self, row: Row) -> Row:
        """What tells the row from others of its table."""
        return tuple(row[at] for at in self._key_at)

    def version_of(self, row: Row) -> int:
        """The row's version; the same for all rows of a table without versions."""
        return 0 if self._version_at is None else int(row[self._version_at])


def _text(name: str, value: str) -> str:
    if "\x00" in value:
        raise ValueError(f"{name} was {value!r}: PostgreSQL text holds no NUL character")
    return value


def _bigint(name: str, value: int) -> int:
    if not BIGINT_MINIMUM <= value <= BIGINT_MAXIMUM:
        raise ValueError(f"{name} was {value}: outside bigint")
    return value


def _boolean(_name: str, value: bool) -> bool:
    return value


def _json(name: str, value: object) -> Jsonb:
    text = msgspec.json.encode(value)
    # The escape can also be the text of a backslash and "u0000": rare enough to look twice.
    if b"\\u0000" in text and _holds_nul(msgspec.json.decode(text)):
        raise ValueError(f"{name} holds a NUL character, which PostgreSQL's jsonb does not")
    return Jsonb(text, dumps=_as_it_is)


def _as_it_is(text: bytes) -> bytes:
    return text


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(each) for each in value.values())
    return isinstance(value, list) and any(_holds_nul(each) for each in value)


_CHECKED: Final[Mapping[str, Callable[[str, Any], object]]] = {
    "text": _text,
    "bigint": _bigint,
    "boolean": _boolean,
    "jsonb": _json,
}

TICKETS: Final = Table(
    "tickets",
    Ticket,
    {
        "ticket_id": "text",
        "revision": "bigint",
        "state": "text",
        "reason": "text",
        "opportunity_id": "text",
        "group_id": "text",
        "basket": "text",
        "quantity": "bigint",
        "payout": "bigint",
        "expected_net": "bigint",
        "realised_net": "bigint",
        "legs": "jsonb",
        "opened_ns": "bigint",
        "updated_ns": "bigint",
    },
    key=("ticket_id",),
    version="revision",
)

EXECUTIONS: Final = Table(
    "executions",
    Execution,
    {
        "execution_id": "text",
        "order_id": "text",
        "ticket_id": "text",
        "leg": "bigint",
        "venue": "text",
        "market": "text",
        "outcome": "text",
        "side": "text",
        "kind": "text",
        "reason": "text",
        "fills": "jsonb",
        "fill_quantity": "bigint",
        "remaining_quantity": "bigint",
        "cost": "bigint",
        "fee": "bigint",
        "book_epoch": "bigint",
        "book_sequence": "bigint",
        "paper": "boolean",
        "executed_ns": "bigint",
    },
    key=("execution_id",),
)

OPPORTUNITIES: Final = Table(
    "opportunities",
    Opportunity,
    {
        "opportunity_id": "text",
        "revision": "bigint",
        "event": "text",
        "reason": "text",
        "group_id": "text",
        "basket": "text",
        "legs": "jsonb",
        "quantity": "bigint",
        "payout": "bigint",
        "gross": "bigint",
        "fees": "bigint",
        "net": "bigint",
        "peak_net": "bigint",
        "opened_ns": "bigint",
        "time_ns": "bigint",
        "cause": "bigint",
        "cause_api_response_ns": "bigint",
        "partition": "bigint",
        "journal_epoch": "bigint",
        "depth_cost": "bigint",
        "gas": "bigint",
        "basis": "bigint",
        "settlement_risk": "bigint",
        "time_value": "bigint",
        "capital": "bigint",
        "annualised_ppm": "bigint",
        "void_payout": "bigint",
        "settles_ns": "bigint",
        "survived_ns": "bigint",
        "peak_ns": "bigint",
        "journal_position": "bigint",
    },
    key=("opportunity_id", "revision"),
)

ANALYSES: Final = Table(
    "analyses",
    Analysis,
    {
        "group_id": "text",
        "basket": "text",
        "reason": "text",
        "quantity": "bigint",
        "gross": "bigint",
        "fees": "bigint",
        "net": "bigint",
        "time_ns": "bigint",
        "detail": "text",
        "payout": "bigint",
        "depth_cost": "bigint",
        "gas": "bigint",
        "basis": "bigint",
        "settlement_risk": "bigint",
        "time_value": "bigint",
        "suppressed": "bigint",
        "partition": "bigint",
        "journal_epoch": "bigint",
    },
    key=("group_id", "time_ns", "basket", "reason"),
    index=("group_id", "time_ns", "md5(basket)", "reason"),
)
"""A basket's id names all its claims, too long for an index entry (2.7 kB) from some thirty on; its digest never is."""

TABLES: Final = (TICKETS, EXECUTIONS, OPPORTUNITIES, ANALYSES)
