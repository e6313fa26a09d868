"""From Kalshi's forms to messages: decimals to integers, NO bids to YES asks, times to nanoseconds.

Kalshi publishes bids only, for each outcome. A NO bid at p is a YES ask at 1 - p; that is done here, once. With
`use_yes_price` the venue says 1 - p itself.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from producers.kalshi import forms
from producers.kalshi.lenient import read
from producers.kalshi.messages import (
    Delta,
    EventCreated,
    EventFee,
    Lifecycle,
    Print,
    Snapshot,
    Ticker,
)
from producers.levels import TEXTS_KEPT, level_price, parse_levels
from producers.timestamps import milliseconds_ns, rfc3339_ns
from schemas.records import TickRange
from schemas.units import (
    ONE,
    UnitError,
    parse_fill_quantity,
    parse_price,
    parse_quantity,
    parse_quantity_change,
    parse_rate,
)

_change = lru_cache(maxsize=TEXTS_KEPT)(parse_quantity_change)


def snapshot(book: forms.Snapshot, sid: int, seq: int, yes_price: bool, numbers: int = 0, command: int = 0) -> Snapshot:
    """A snapshot frame; `yes_price` says that the NO side's prices are in the YES leg. Raises UnitError."""
    _check_numbered(sid, seq)
    book.refuse_old_forms()
    yes, no = book.yes_dollars_fp, book.no_dollars_fp
    return whole_book(book.market_ticker, yes, no, sid, seq, yes_price=yes_price, numbers=numbers, command=command)


def whole_book(
    market: str,
    yes: forms.Levels | None,
    no: forms.Levels | None,
    sid: int = 0,
    seq: int = 0,
    *,
    yes_price: bool,
    numbers: int,
    command: int = 0,
) -> Snapshot:
    """A book of both sides; one that is not there is empty. Raises UnitError."""
    bids, floored_bids = parse_levels(yes or ())
    asks, floored_asks = parse_levels(no or ())
    return Snapshot(
        sid=sid,
        seq=seq,
        numbers=numbers,
        market=market,
        bids=bids,
        asks=asks if yes_price else tuple([(ONE - price, size) for price, size in asks]),
        floored=floored_bids + floored_asks,
        command=command,
    )


def delta(change: forms.Delta, sid: int, seq: int, yes_price: bool, numbers: int = 0) -> Delta:
    """A change of a level. Raises UnitError."""
    _check_numbered(sid, seq)
    price, bid = level_price(change.price_dollars), change.side == "yes"
    return Delta(
        sid=sid,
        seq=seq,
        numbers=numbers,
        market=change.market_ticker,
        side="bid" if bid else "ask",
        price=price if bid or yes_price else ONE - price,
        change=_change(change.delta_fp),
        exchange_ns=milliseconds_ns(change.ts_ms) if change.ts_ms is not None else _text_ns(change.ts),
    )


def print_(trade: forms.Trade, sid: int, seq: int, numbers: int = 0) -> Print:
    """A public trade. Raises UnitError."""
    field, taker = trade.taker()
    return Print(
        sid=sid,
        seq=seq,
        numbers=numbers,
        market=trade.market_ticker,
        trade_id=trade.trade_id,
        price=parse_price(trade.yes_price_dollars),
        fill_quantity=parse_fill_quantity(trade.count_fp),
        taker_side=taker,
        exchange_ns=milliseconds_ns(trade.ts_ms) if trade.ts_ms is not None else _seconds_ns(trade.ts),
        block=bool(trade.is_block_trade),
        taker_field=field,
    )


def ticker(msg: msgspec.Raw, sid: int, seq: int) -> Ticker:
    """The top of a book. Raises UnitError and what `read` raises."""
    top, numbers = read(msg, forms.Ticker)
    return Ticker(
        sid=sid,
        seq=seq,
        numbers=numbers,
        market=top.market_ticker,
        last_price=parse_price(top.price_dollars),
        bid=parse_price(top.yes_bid_dollars),
        ask=parse_price(top.yes_ask_dollars),
        bid_size=parse_quantity(top.yes_bid_size_fp)[0],
        ask_size=parse_quantity(top.yes_ask_size_fp)[0],
        volume=parse_quantity(top.volume_fp)[0],
        open_interest=parse_quantity(top.open_interest_fp)[0],
        exchange_ns=milliseconds_ns(top.ts_ms) if top.ts_ms is not None else _seconds_ns(top.ts),
    )


def lifecycle(msg: msgspec.Raw, sid: int, seq: int) -> Lifecycle:
    """An event in a market's life. Raises UnitError and what `read` raises."""
    said, numbers = read(msg, forms.Lifecycle)
    about = said.additional_metadata or forms.Metadata()
    return Lifecycle(
        sid=sid,
        seq=seq,
        numbers=numbers,
        market=said.market_ticker,
        event_type=said.known_event(),
        ticks=_ticks(said.price_ranges or ()),
        structure=said.price_level_structure or "",
        open_ns=_seconds_ns(said.open_ts),
        close_ns=_seconds_ns(said.close_ts),
        determined_ns=_seconds_ns(said.determination_ts),
        settled_ns=_seconds_ns(said.settled_ts),
        result=said.result or "",
        settlement_value=parse_price(said.settlement_value) if said.settlement_value else None,
        event=about.event_ticker or "",
        shard=said.exchange_index,
        yes_title=said.yes_sub_title or about.yes_sub_title or "",
        strikes=said.strikes() or about.strikes(),
    )


def _ticks(bands: Sequence[forms.Range]) -> tuple[TickRange, ...]:
    ticks = tuple(
        TickRange(start=parse_price(band.start), end=parse_price(band.end), step=parse_price(band.step))
        for band in bands
    )
    if any(band.start >= band.end or not band.step for band in ticks):
        raise UnitError(f"price_ranges were {ticks}: no grid")
    return tuple(sorted(ticks, key=lambda band: band.start))


def event_created(msg: msgspec.Raw, sid: int, seq: int) -> EventCreated:
    """A new event. Raises msgspec.MsgspecError."""
    said = msgspec.json.decode(msg, type=forms.EventCreated)
    return EventCreated(
        sid=sid,
        seq=seq,
        event=said.event_ticker,
        series=said.series_ticker or "",
        title=said.title or "",
        collateral_return=said.collateral_return_type or "",
        shard=said.exchange_index or 0,
    )


def event_fee(msg: msgspec.Raw, sid: int, seq: int) -> EventFee:
    """A fee override. Raises UnitError and msgspec.MsgspecError."""
    said = msgspec.json.decode(msg, type=forms.EventFee)
    given = said.fee_multiplier_override
    multiplier = None if given is None else parse_rate(given)
    return EventFee(sid=sid, seq=seq, event=said.event_ticker, fee_type=said.fee_type_override, multiplier=multiplier)


def _check_numbered(sid: int, seq: int) -> None:
    if sid < 1 or seq < 1:
        raise UnitError(f"sid {sid}, seq {seq}: a book message without its place in a sequence")


def _seconds_ns(seconds: int | None) -> int:
    return 0 if seconds is None else milliseconds_ns(seconds * 1000)


def _text_ns(text: str | int | None) -> int:
    return rfc3339_ns(text) if isinstance(text, str) else 0
