"""What a feed asks a venue's catalogue, and what it is told. Each venue's own `catalogue.py` answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import msgspec

from producers.refusals import RestError
from runtime import metrics
from schemas.records import Market, Venue


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a market is traded at its venue, and why not."""

    state: Literal["open", "halted", "closed"]
    reason: str = ""


OPEN: Final = Standing("open")
GONE: Final = Standing("closed", "the venue knows it no more")


@dataclass(frozen=True, slots=True)
class Described:
    """A market's metadata; `refresh_ns` is when it changes by the clock (the end of a fee waiver), 0 for never."""

    market: Market
    refresh_ns: int = 0
    standing: Standing = OPEN


class NotUnderstood(ValueError):
    """A market that must be kept out; `kind` is one of few reasons, the message says all."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A venue's answer about some markets. What is in no part is not known to the venue.

    `failed` may be answered later; `refused` was answered, but the market cannot be followed: the reason.
    """

    found: dict[str, Described] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def keep_out(self, venue: Venue, market: str, error: Exception) -> None:
        """Note why a market is not among the found: RestError may pass, anything else is the market's own fault."""
        if isinstance(error, RestError):
            self.failed[market] = str(error)
            return
        self.refused[market] = str(error)
        count_refused(venue, error)


def count_refused(venue: Venue, error: Exception) -> None:
    """Count a market that is kept out."""
    kind = error.kind if isinstance(error, NotUnderstood) else "malformed"
    metrics.CATALOGUE_REFUSED.labels(venue, kind).inc()


class VenueCatalogue(Protocol):
    """A venue's catalogue, as a feed asks it. Every call may raise RestError when the venue does not answer."""

    closes_by_clock: bool
    """True when the venue stops trading a market at its close time, without saying so."""

    async def prepare(self) -> None:
        """What is asked once, when the feed begins."""

    async def describe(self, markets: Sequence[str], now_ns: int, *, fresh: bool = False) -> Catalogue:
        """Ask about these markets; `fresh` takes nothing from memory."""

    async def ranked(self, limit: int) -> list[str]:
        """Walk the whole catalogue: the `limit` most traded of the markets that can be traded, the best first."""

    async def standings(self, markets: Iterable[Market], *, closely: bool) -> dict[str, Standing]:
        """Whether these markets are traded now; one that could not be asked about is left out.

        `closely` asks where the answer is surest, else where it costs least.
        """

    async def pauses(self, markets: Iterable[Market]) -> dict[str, str]:
        """Why the venue as a whole does not trade these markets now, empty where it does."""

    async def ask_time(self) -> None:
        """Ask the venue's clock where that needs a request of its own."""


def same_but_for_time(one: Market, other: Market) -> bool:
    """True when two descriptions differ in nothing but when the venue last touched them."""
    return msgspec.structs.replace(one, updated_ns=other.updated_ns) == other
