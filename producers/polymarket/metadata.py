"""Polymarket's markets as the CLOB and Gamma send them, and the Market record that both together make.

What an order depends on (tokens, tick, minimum size, fee, delay, version) is the CLOB's; texts, dates and whether the
market is over are Gamma's. Sources: "Get CLOB market info" (the compact keys), Gamma's market schema, recorded objects
of 2025 and 2026. Gamma puts lists into JSON strings, protocol v2 sends real arrays: both are read everywhere.
"""

from typing import Final

import msgspec

from producers.catalogue import OPEN, NotUnderstood, Standing
from producers.polymarket.fees import ClobFee, GammaFee, Number, market_fee
from producers.timestamps import rfc3339_ns
from runtime import metrics
from schemas.records import Market, TickRange
from schemas.units import ONE, parse_fill_quantity, parse_price, parse_quantity, plain

MINIMUM_VALUE: Final = 1_000_000
"""A marketable order below $1 is refused (the venue's error text)."""

SHORT_DELAY_MS: Final = 250
"""How long an `itode` market holds marketable orders."""

YES_NAMES: Final = frozenset({"yes", "up"})
NO_NAMES: Final = frozenset({"no", "down"})
"""Outcomes whose place is known. Of any other pair the first is YES, as the venue documents."""

PROTOCOLS: Final = ("v1", "v2")
CONDITION_LENGTH: Final = 66
"""0x and 64 hex digits. Gamma leaves two zeros off the end of a protocol v2 condition."""

Texts = str | tuple[str, ...]


class NotReady(LookupError):
    """The venue has announced the market but its order book is not there yet."""


class Token(msgspec.Struct, frozen=True):
    """A token id and its outcome."""

    t: str = ""
    o: str = ""


class ClobMarket(msgspec.Struct, frozen=True):
    """`GET /clob-markets/{condition_id}`."""

    t: tuple[Token, ...] = ()
    mts: Number | None = None
    mos: Number = 0
    fd: ClobFee | None = None
    ao: bool | None = None
    nr: bool | None = None
    sd: Number | None = None
    itode: bool | None = None
    v: str | None = None


class FullToken(msgspec.Struct, frozen=True):
    """A token of the CLOB's full market."""

    token_id: str = ""
    outcome: str = ""
    winner: bool | None = None


class FullMarket(msgspec.Struct, frozen=True):
    """`GET /markets/{condition_id}`, the CLOB's long form: it names the winner."""

    condition_id: str = ""
    tokens: tuple[FullToken, ...] = ()
    closed: bool | None = None
    accepting_orders: bool | None = None
    is_50_50_outcome: bool | None = None

    def result(self, yes: str) -> str:
        """What the market pays, given its YES token; empty while that is not said."""
        if not self.closed:
            return ""
        winners = [token.token_id for token in self.tokens if token.winner]
        if len(winners) == 1:
            return "yes" if winners[0] == yes else "no"
        return "split" if self.is_50_50_outcome else ""


class Named(msgspec.Struct, frozen=True):
    """A tag or a series of Gamma's."""

    slug: str | None = None
    label: str | None = None


class GammaEvent(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a Gamma event that says something of its markets."""

    slug: str | None = None
    category: str | None = None
    series_slug: str | None = None
    series: tuple[Named, ...] | None = None
    tags: tuple[Named, ...] | None = None
    neg_risk_augmented: bool | None = None
    resolution_source: str | None = None


class GammaMarket(msgspec.Struct, frozen=True, rename="camel"):
    """A market of Gamma's lists; absent and null are the same."""

    condition_id: str = ""
    version: str | None = None
    question: str | None = None
    description: str | None = None
    slug: str | None = None
    category: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    updated_at: str | None = None
    active: bool | None = None
    closed: bool | None = None
    archived: bool | None = None
    accepting_orders: bool | None = None
    enable_order_book: bool | None = None
    neg_risk: bool | None = None
    outcomes: Texts | None = None
    outcome_prices: Texts | None = None
    clob_token_ids: Texts | None = None
    position_ids: Texts | None = None
    fee_schedule: GammaFee | None = None
    fees_enabled: bool | None = None
    resolution_source: str | None = None
    resolution_status: str | None = None
    uma_resolution_status: str | None = None
    volume24hr: Number | None = None
    liquidity_num: Number | None = None
    events: tuple[GammaEvent, ...] | None = None

    @property
    def condition(self) -> str:
        """The condition id in the length that the CLOB wants."""
        return full_condition(self.condition_id)

    @property
    def tradeable(self) -> bool:
        """The venue's own predicate, and that there is a book at all."""
        book = self.enable_order_book is not False
        return bool(self.active) and not self.closed and bool(self.accepting_orders) and not self.archived and book

    def token_ids(self) -> tuple[str, ...]:
        """The token ids that its version says are the right ones; none where it names none. Raises NotUnderstood."""
        if self.version == "v2":
            return texts(self.position_ids, "positionIds")
        return texts(self.clob_token_ids, "clobTokenIds")


def full_condition(condition: str) -> str:
    """A condition id as the CLOB wants it: zeros that Gamma leaves off the end are put back."""
    short = condition.startswith("0x") and len(condition) == CONDITION_LENGTH - 2
    return condition + "00" if short else condition


def texts(value: Texts | None, field: str) -> tuple[str, ...]:
    """A list that came as an array or as JSON in a string; raises NotUnderstood."""
    if value is None or value == "":
        return ()
    encoded = isinstance(value, str)
    metrics.FORMS_SEEN.labels("polymarket", field, "JSON in a string" if encoded else "array").inc()
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value, type=tuple[str, ...])
    except msgspec.MsgspecError as error:
        raise NotUnderstood("encoding", f"{field} was {value[:60]!r}: {error}") from error


def standing_of(clob: ClobMarket, gamma: GammaMarket) -> Standing:
    """Whether a market is traded: active, not closed, accepting orders. What Gamma does not say is taken for good."""
    if gamma.closed or gamma.archived:
        return Standing("closed", "closed by the venue" if gamma.closed else "archived by the venue")
    if gamma.active is False:
        return Standing("halted", "not active")
    if gamma.enable_order_book is False:
        return Standing("halted", "no order book")
    accepting = clob.ao if clob.ao is not None else gamma.accepting_orders
    return Standing("halted", "not accepting orders") if accepting is False else OPEN


def market_record(condition: str, clob: ClobMarket, gamma: GammaMarket) -> Market:
    """One market as a record; raises NotReady, NotUnderstood or ValueError."""
    event = next(iter(gamma.events or ()), GammaEvent())
    tokens, names = _sides(clob, gamma)
    negative_risk = bool(clob.nr if clob.nr is not None else gamma.neg_risk)
    if clob.mts is None:
        raise NotUnderstood("tick size", "no tick size")
    tick = parse_price(plain(clob.mts))
    if not tick:
        raise NotUnderstood("tick size", "tick size is 0")
    end_ns = rfc3339_ns(gamma.end_date)
    return Market(
        venue="polymarket",
        market=condition,
        event=event.slug or gamma.slug or "",
        title=gamma.question or gamma.slug or condition,
        rules=gamma.description or "",
        status={"open": "active", "halted": "inactive", "closed": "closed"}[standing_of(clob, gamma).state],
        tokens=tokens,
        ticks=(TickRange(start=0, end=ONE, step=tick),),
        fee=market_fee(clob.fd, None if gamma.fees_enabled is False else gamma.fee_schedule),
        minimum_quantity=parse_quantity(plain(clob.mos))[0],
        minimum_value=MINIMUM_VALUE,
        negative_risk=negative_risk,
        open_ns=rfc3339_ns(gamma.start_date),
        close_ns=end_ns,
        expected_settlement_ns=end_ns,
        updated_ns=rfc3339_ns(gamma.updated_at),
        series=event.series_slug or next((one.slug for one in event.series or () if one.slug), ""),
        category=gamma.category or event.category or next((tag.label for tag in event.tags or () if tag.label), ""),
        outcomes=names,
        mutually_exclusive=negative_risk,
        negative_risk_augmented=bool(event.neg_risk_augmented),
        taker_delay_ms=_delay_ms(clob),
        protocol=_protocol(clob, gamma),
        result=_result(gamma),
        resolution=_resolution(gamma, event),
    )


def _sides(clob: ClobMarket, gamma: GammaMarket) -> tuple[tuple[str, str], tuple[str, str]]:
    """Token ids and outcomes, YES first."""
    ids = tuple(token.t for token in clob.t)
    if not any(ids):
        raise NotReady("no token ids yet")
    if len(ids) != 2 or not all(ids) or ids[0] == ids[1]:
        raise NotUnderstood("tokens", f"{len(ids)} tokens: expected YES and NO")
    named = gamma.token_ids()
    if named and named != ids:
        raise NotUnderstood("tokens", f"the CLOB has tokens {ids}, Gamma {named}")
    first, second = (token.o.strip() for token in clob.t)
    if first.casefold() in NO_NAMES and second.casefold() in YES_NAMES:
        raise NotUnderstood("tokens", f"outcomes are {first!r} and {second!r}: expected YES first, and will not guess")
    return (ids[0], ids[1]), (first, second)


def _protocol(clob: ClobMarket, gamma: GammaMarket) -> str:
    said = {version for version in (clob.v, gamma.version) if version}
    if len(said) == 1 and said <= set(PROTOCOLS):
        return said.pop()
    raise NotUnderstood("protocol version", f"protocol version is {sorted(said) or 'not stated'}: expected v1 or v2")


def _delay_ms(clob: ClobMarket) -> int:
    """How long a marketable order is held: whole seconds as a rule, which are read to the millisecond."""
    delay_ms = 0 if clob.sd is None or clob.sd == "" else parse_fill_quantity(plain(clob.sd)) // 1000
    return max(SHORT_DELAY_MS if clob.itode else 0, delay_ms)


def _result(gamma: GammaMarket) -> str:
    """The outcome that a closed market pays, as far as its prices say so."""
    if not gamma.closed:
        return ""
    prices = texts(gamma.outcome_prices, "outcomePrices")
    paid = tuple(price.rstrip("0").rstrip(".") if "." in price else price for price in prices)
    results: dict[tuple[str, ...], str] = {("1", "0"): "yes", ("0", "1"): "no", ("0.5", "0.5"): "split"}
    return results.get(paid, "")


def _resolution(gamma: GammaMarket, event: GammaEvent) -> str:
    source = gamma.resolution_source or event.resolution_source
    status = gamma.resolution_status or gamma.uma_resolution_status
    said = (("source", source), ("status", status))
    return "; ".join(f"{what}: {text}" for what, text in said if text)
