"""The recorded quotes of rao/pm-kalshi-arbitrage-bot as rows, with what is odd in them resolved.

The rules are told in the NOTES.md beside the tape that is made of them.
"""

import csv
import gzip
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from infra.simulator.exchange import ONE_DOLLAR, fixed

CENT = Decimal("0.01")
NOISE = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class Quote:
    """One venue's book in a row: best YES bid and best YES ask as (price 1e-4, size text), None when there is none."""

    bid: tuple[int, str] | None
    ask: tuple[int, str] | None

    @property
    def possible(self) -> bool:
        """Whether a venue can show this book: its bid is below its ask."""
        return self.bid is None or self.ask is None or self.bid[0] < self.ask[0]


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded decision moment; stamps in ms, an exchange stamp of 0 was not recorded."""

    start_s: int
    end_s: int
    decision_ms: int
    kalshi: Quote
    polymarket: Quote
    kalshi_local_ms: int
    kalshi_exchange_ms: int
    polymarket_local_ms: int
    polymarket_exchange_ms: int


def grid_price(text: str) -> int:
    """A recorded price in 1e-4 dollar: the cent it is within 1e-9 of, else the nearest 0.0001."""
    exact = Decimal(text)
    cent = exact.quantize(CENT)
    return fixed(str(cent if abs(exact - cent) <= NOISE else exact.quantize(Decimal("0.0001"))), 4)


def read_rows(file: Path) -> list[Row]:
    """The rows of the recording, plain or gzipped, in file order."""
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        return [_row(record) for record in csv.DictReader(lines)]


def _row(record: dict[str, str]) -> Row:
    def side(venue: str, outcome: str, kind: str) -> tuple[int, str] | None:
        price, size = record[f"{venue}_{outcome}_{kind}"], record[f"{venue}_{outcome}_{kind}_size"]
        return (grid_price(price), size) if Decimal(size) > 0 and Decimal(price) > 0 else None

    no_bid = side("kalshi", "no", "bid")
    return Row(
        start_s=int(record["interval_start_ts"]),
        end_s=int(record["interval_end_ts"]),
        decision_ms=int(record["decision_ts"]),
        # Each venue's book is taken from what that venue itself publishes: bids of both outcomes on Kalshi, the YES
        # token's bid and ask on Polymarket. The other columns are mirrors, and 21 rows of them disagree.
        kalshi=Quote(side("kalshi", "yes", "bid"), (ONE_DOLLAR - no_bid[0], no_bid[1]) if no_bid else None),
        polymarket=Quote(side("poly", "yes", "bid"), side("poly", "yes", "ask")),
        kalshi_local_ms=int(record["kalshi_ts_local"]),
        kalshi_exchange_ms=int(record["kalshi_ts_exchange"]),
        polymarket_local_ms=int(record["poly_ts_local"]),
        polymarket_exchange_ms=int(record["poly_ts_exchange"]),
    )
