"""Short ways to make the records that the core's tests need."""

from schemas.records import (
    Book,
    BookState,
    FeeSchedule,
    Group,
    GroupStatus,
    Level,
    Market,
    Member,
    Relation,
    RelationKind,
    Venue,
    pack_ladder,
)

SECOND = 1_000_000_000
FREE = FeeSchedule(model="none", taker_rate=0, maker_rate=0, exponent=0, balance_precision=0)


def kalshi(rate: int = 70_000, precision: int = 100) -> FeeSchedule:
    return FeeSchedule(model="kalshi_quadratic", taker_rate=rate, maker_rate=0, exponent=1, balance_precision=precision)


def polymarket(rate: int = 40_000, exponent: int = 1) -> FeeSchedule:
    return FeeSchedule(model="polymarket_curve", taker_rate=rate, maker_rate=0, exponent=exponent, balance_precision=0)


def market(
    venue: Venue,
    name: str,
    fee: FeeSchedule = FREE,
    *,
    minimum_quantity: int = 0,
    minimum_value: int = 0,
    title: str = "",
) -> Market:
    return Market(
        venue=venue,
        market=name,
        event="",
        title=title,
        rules="",
        status="active",
        tokens=(),
        ticks=(),
        fee=fee,
        minimum_quantity=minimum_quantity,
        minimum_value=minimum_value,
        negative_risk=False,
        open_ns=0,
        close_ns=0,
        expected_settlement_ns=0,
        updated_ns=0,
    )


def group(
    name: str,
    *members: tuple[Venue, str],
    status: GroupStatus = "approved",
    relations: tuple[tuple[RelationKind, tuple[int, ...]], ...] | None = None,
) -> Group:
    """By default every member is the same question."""
    everyone: tuple[int, ...] = tuple(range(len(members)))
    same: tuple[tuple[RelationKind, tuple[int, ...]], ...] = (("same", everyone),) if len(members) > 1 else ()
    return Group(
        group=name,
        members=tuple(Member(venue=venue, market=market_) for venue, market_ in members),
        relations=tuple(
            Relation(kind=kind, members=indexes) for kind, indexes in (same if relations is None else relations)
        ),
        status=status,
        evidence="",
        rules_fingerprint="",
        updated_by="",
        updated_ns=0,
    )


def book(
    venue: Venue,
    name: str,
    bids: list[Level],
    asks: list[Level],
    *,
    sequence: int = 1,
    epoch: int = 1,
    group: str = "g",
    state: BookState = "live",
    confirmed_ns: int = 10 * SECOND,
    republished: bool = False,
    api_response_ns: int = 7,
) -> Book:
    return Book(
        venue=venue,
        market=name,
        group=group,
        epoch=epoch,
        sequence=sequence,
        state=state,
        reason="",
        republished=republished,
        connection="c",
        frame=0,
        exchange_ns=0,
        api_call_start_ns=0,
        api_response_ns=api_response_ns,
        processing_complete_ns=8,
        confirmed_ns=confirmed_ns,
        bid_count=len(bids),
        ask_count=len(asks),
        ladder=pack_ladder(bids, asks),
    )
