"""What a scan must know of the groups' markets: from the tape's REST bodies; where they say nothing, the ordinary."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from infra.rebuild_tape import described, readable, silent
from infra.simulator.tape import Tape
from producers.kalshi.fees import DIRECT_MEMBER_PRECISION, TAKER_RATE
from producers.kalshi.metadata import MINIMUM_QUANTITY
from producers.transcript import Followed
from schemas.records import FeeSchedule, Group, Market, Venue
from schemas.topics import HOME

ORDINARY_FEE: Final = FeeSchedule(
    model="kalshi_quadratic",
    taker_rate=TAKER_RATE,
    maker_rate=0,
    exponent=1,
    balance_precision=DIRECT_MEMBER_PRECISION,
)

MarketKey = tuple[Venue, str]


@dataclass(slots=True)
class TapeMarkets:
    """The markets of groups as a tape describes them.

    `assumed` have no REST body on the tape: their fees and smallest orders are the venue's ordinary ones, their times
    unknown, and of Polymarket's the token that comes first in the frames is taken for YES. `refused` cannot be
    followed, and why.
    """

    records: dict[MarketKey, Market] = field(default_factory=dict)
    assumed: set[MarketKey] = field(default_factory=set)
    refused: dict[MarketKey, str] = field(default_factory=dict)
    groups: dict[MarketKey, str] = field(default_factory=dict)

    def followed(self) -> dict[Venue, list[Followed]]:
        """Every venue's markets with their groups."""
        found: dict[Venue, list[Followed]] = {venue: [] for venue in HOME}
        for key, market in self.records.items():
            found[market.venue].append(Followed(market, self.groups[key]))
        return found


def tape_markets(tape: Tape, groups: Iterable[Group]) -> TapeMarkets:
    """Describe the groups' markets as of the first frame; raises TapeError when the REST bodies are no answer."""
    found = TapeMarkets()
    for group in groups:
        found.groups |= {(member.venue, member.market): group.group for member in group.members}
    began_ns = began(tape)
    for venue in HOME:
        wanted = {market for of, market in found.groups if of == venue}
        _take(found, venue, silent(tape), began_ns, wanted)
        known = {market for of, market in (*found.records, *found.refused) if of == venue}
        missing = sorted(wanted - known)
        if venue == "kalshi":
            for ticker in missing:
                found.records[venue, ticker] = plain_kalshi(ticker)
        elif missing:
            _take(found, venue, readable(tape), began_ns, set(missing))
            for market in missing:
                if (venue, market) in found.records:
                    found.records[venue, market] = _timeless(found.records[venue, market])
        found.assumed |= {(venue, market) for market in missing if (venue, market) in found.records}
    return found


def began(tape: Tape) -> int:
    """The receive time of the tape's first frame; 0 when it has none."""
    first = (next(iter(readable(tape).frames(venue)), None) for venue in HOME)
    return min((frame.received_ns for frame in first if frame is not None), default=0)


def plain_kalshi(ticker: str) -> Market:
    """A market of which only the ticker is known: any price, the ordinary fee, no times."""
    return Market(
        venue="kalshi",
        market=ticker,
        event=ticker.rpartition("-")[0] or ticker,
        title=ticker,
        rules="",
        status="active",
        tokens=(),
        ticks=(),
        fee=ORDINARY_FEE,
        minimum_quantity=MINIMUM_QUANTITY,
        minimum_value=0,
        negative_risk=False,
        open_ns=0,
        close_ns=0,
        expected_settlement_ns=0,
        updated_ns=0,
        series=ticker.partition("-")[0],
    )


def _take(found: TapeMarkets, venue: Venue, tape: Tape, now_ns: int, wanted: set[str]) -> None:
    catalogue = described(tape, venue, now_ns, wanted)
    found.records |= {(venue, market): each.market for market, each in catalogue.found.items()}
    found.refused |= {(venue, market): why for market, why in (catalogue.failed | catalogue.refused).items()}


def _timeless(market: Market) -> Market:
    return msgspec.structs.replace(market, open_ns=0, close_ns=0, expected_settlement_ns=0)
