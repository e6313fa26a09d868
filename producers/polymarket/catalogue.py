"""Polymarket's markets as Market records: order metadata and fee from the CLOB, texts and dates from Gamma.

Sources: "Get CLOB market info" (the compact keys), Gamma markets, "Fees" (taker pays rate x (p(1-p))^exponent a share,
rounded to five decimals), and the venue's error text for marketable orders below $1.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from producers.feeds import Catalogue, Described
from producers.polymarket.rest import GAMMA_PER_CALL, Rest
from producers.resilience import RestError
from producers.timestamps import rfc3339_ns
from runtime import logs
from schemas.records import FeeSchedule, Market, TickRange
from schemas.units import ONE, parse_price, parse_quantity, parse_rate, plain

AT_ONCE: Final = 8
"""Market calls under way at the same time; far below the venue's limits."""

MINIMUM_VALUE: Final = 1_000_000
FEE_PRECISION: Final = 10
NO_FEE: Final = FeeSchedule(model="none", taker_rate=0, maker_rate=0, exponent=0, balance_precision=FEE_PRECISION)

YES_NAMES: Final = frozenset({"yes", "up"})
NO_NAMES: Final = frozenset({"no", "down"})
"""Outcomes whose place is known. Of any other pair the first is YES, as the venue documents."""


class _Token(msgspec.Struct):
    t: str
    o: str = ""


class _Fee(msgspec.Struct):
    r: float | int
    e: float | int = 1
    to: bool = True


class _ClobMarket(msgspec.Struct):
    c: str
    t: list[_Token]
    mts: float | int | str
    mos: float | int | str = 0
    fd: _Fee | None = None
    ao: bool | None = None
    nr: bool | None = None
    gst: str | None = None


class _GammaEvent(msgspec.Struct):
    slug: str | None = None


class GammaMarket(msgspec.Struct):
    """The part of a Gamma market that is texts and dates."""

    conditionId: str = ""  # noqa: N815 - the venue's name
    question: str | None = None
    description: str | None = None
    slug: str | None = None
    startDate: str | None = None  # noqa: N815
    endDate: str | None = None  # noqa: N815
    updatedAt: str | None = None  # noqa: N815
    closed: bool | None = None
    events: list[_GammaEvent] | None = None


_clob = msgspec.json.Decoder(_ClobMarket)
_gamma = msgspec.json.Decoder(list[GammaMarket])


class PolymarketCatalogue:
    """Asks the CLOB for each market and Gamma for many at once; Gamma may fail."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._log = logs.get(venue="polymarket")

    async def describe(self, conditions: Sequence[str]) -> Catalogue:
        """What the venue knows about these markets."""
        texts = await self._texts(conditions)
        catalogue, turn = Catalogue(), asyncio.Semaphore(AT_ONCE)

        async def one(condition: str) -> None:
            async with turn:
                await self._describe_one(condition, texts.get(condition, GammaMarket()), catalogue)

        async with asyncio.TaskGroup() as tasks:
            for condition in conditions:
                tasks.create_task(one(condition))
        return catalogue

    async def _describe_one(self, condition: str, text: GammaMarket, catalogue: Catalogue) -> None:
        try:
            catalogue.found[condition] = described(condition, await self._rest.market(condition), text)
        except RestError as error:
            if not error.unknown:
                catalogue.failed[condition] = str(error)
        except (msgspec.MsgspecError, ValueError) as error:
            catalogue.failed[condition] = f"market info: {error}"

    async def _texts(self, conditions: Sequence[str]) -> dict[str, GammaMarket]:
        found: dict[str, GammaMarket] = {}
        for start in range(0, len(conditions), GAMMA_PER_CALL):
            try:
                body = await self._rest.texts(conditions[start : start + GAMMA_PER_CALL])
                found.update({market.conditionId: market for market in _gamma.decode(body)})
            except (RestError, msgspec.MsgspecError) as error:
                self._log.warning("Gamma gave no texts: markets go on without titles and dates", error=str(error))
        return found


def described(condition: str, body: bytes, text: GammaMarket) -> Described:
    """One market as a record; raises ValueError or MsgspecError when something in it is malformed."""
    info = _clob.decode(body)
    if len(info.t) != 2:
        raise ValueError(f"{len(info.t)} tokens: expected YES and NO")
    first, second = (token.o.strip() for token in info.t)
    if first.casefold() in NO_NAMES and second.casefold() in YES_NAMES:
        raise ValueError(f"outcomes are {first!r} and {second!r}: expected YES first, and will not guess")
    tick = parse_price(plain(info.mts))
    if not tick:
        raise ValueError("tick size is 0")
    end_ns = rfc3339_ns(text.endDate)
    record = Market(
        venue="polymarket",
        market=condition,
        event=next((event.slug for event in text.events or () if event.slug), text.slug or ""),
        title=text.question or text.slug or condition,
        rules=text.description or "",
        status="closed" if text.closed else "active" if info.ao is not False else "inactive",
        tokens=(info.t[0].t, info.t[1].t),
        ticks=(TickRange(start=0, end=ONE, step=tick),),
        fee=fee_schedule(info.fd),
        minimum_quantity=parse_quantity(plain(info.mos))[0],
        minimum_value=MINIMUM_VALUE,
        negative_risk=bool(info.nr),
        open_ns=rfc3339_ns(text.startDate),
        close_ns=end_ns,
        expected_settlement_ns=end_ns,
        updated_ns=rfc3339_ns(text.updatedAt),
    )
    return Described(record)


def fee_schedule(fee: _Fee | None) -> FeeSchedule:
    """The market's fee; none where the venue names none; raises ValueError for an exponent that is not whole."""
    if fee is None or not fee.r:
        return NO_FEE
    exponent = int(fee.e)
    if exponent != fee.e or exponent < 0:
        raise ValueError(f"fee exponent {fee.e} is not a whole number")
    rate = parse_rate(fee.r)
    return FeeSchedule(
        model="polymarket_curve",
        taker_rate=rate,
        maker_rate=0 if fee.to else rate,
        exponent=exponent,
        balance_precision=FEE_PRECISION,
    )
