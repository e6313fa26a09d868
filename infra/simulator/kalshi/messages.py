"""The messages that the Kalshi simulator makes itself, in the forms of the venue's websocket description (AsyncAPI).

Prices go out as the venue writes them; times are Unix seconds, milliseconds or RFC 3339 by the name of the field.
"""

from typing import Any

from infra.simulator.engine import EngineTrade, LevelChange
from infra.simulator.exchange import ONE_DOLLAR, KalshiBook, complement, contracts, dollars
from infra.simulator.kalshi.channels import COMBO_LIFECYCLE, lifecycle_channel
from infra.simulator.kalshi.grid import price_ranges
from infra.simulator.kalshi.market import SECOND, ListedMarket, parse_time, rfc3339
from infra.simulator.metadata import market_id_of

MILLISECOND = 1_000_000
Fields = dict[str, Any]


def signed(size: int) -> str:
    """A signed size: ``-5400`` is ``"-54.00"``."""
    return f"-{contracts(-size)}" if size < 0 else contracts(size)


def snapshot(book: KalshiBook, *, use_yes_price: bool) -> Fields:
    """``orderbook_snapshot``: a side without levels has no key."""
    message: Fields = {"market_ticker": book.ticker, "market_id": book.market_id}
    for side in ("yes", "no"):
        levels = book.levels(side)
        if side == "no" and use_yes_price:
            levels = [(complement(price), size) for price, size in levels]
        if levels:
            message[f"{side}_dollars_fp"] = levels
    return message


def delta(book: KalshiBook, change: LevelChange, stamp_ns: int | None, *, use_yes_price: bool) -> Fields:
    """``orderbook_delta`` of a level's change in YES terms; an ask is a NO bid at the complement."""
    leg = change.price if change.side == "bid" or use_yes_price else ONE_DOLLAR - change.price
    message: Fields = {
        "market_ticker": book.ticker,
        "market_id": book.market_id,
        "price_dollars": dollars(leg),
        "delta_fp": signed(change.change),
        "side": "yes" if change.side == "bid" else "no",
    }
    if stamp_ns is not None:
        message |= {"ts": rfc3339(stamp_ns), "ts_ms": stamp_ns // MILLISECOND}
    return message


def trade_facts(trade: EngineTrade) -> Fields:
    """What the trade frame and ``GET /markets/trades`` say alike."""
    bought = trade.taker_side == "buy"
    return {
        "trade_id": trade_id(trade),
        "yes_price_dollars": dollars(trade.price),
        "no_price_dollars": dollars(ONE_DOLLAR - trade.price),
        "count_fp": contracts(trade.quantity),
        "taker_side": "yes" if bought else "no",
        "taker_outcome_side": "yes" if bought else "no",
        "taker_book_side": "bid" if bought else "ask",
        "is_block_trade": False,
    }


def trade_id(trade: EngineTrade) -> str:
    """The UUID of a trade."""
    return market_id_of(f"trade {trade.trade_id} of {trade.market}")


def trade_message(trade: EngineTrade, stamp_ns: int) -> Fields:
    """``trade``."""
    stamps = {"ts": stamp_ns // SECOND, "ts_ms": stamp_ns // MILLISECOND}
    return {"market_ticker": trade.market} | trade_facts(trade) | stamps


def ticker_message(market: ListedMarket, book: KalshiBook, stamp_ns: int) -> Fields:
    """``ticker``: the top of the book and what has been traded. Open interest is every contract ever traded."""
    yes, no = book.best("yes") or (0, 0), book.best("no") or (0, 0)
    return {
        "market_id": book.market_id,
        "market_ticker": market.ticker,
        "price_dollars": dollars(market.last_price),
        "yes_bid_dollars": dollars(yes[0]),
        "yes_ask_dollars": dollars(ONE_DOLLAR - no[0]),
        "volume_fp": contracts(market.volume),
        "open_interest_fp": contracts(market.volume),
        "dollar_volume": market.dollar_volume // (ONE_DOLLAR * 100),
        "dollar_open_interest": market.dollar_volume // (ONE_DOLLAR * 100),
        "yes_bid_size_fp": contracts(yes[1]),
        "yes_ask_size_fp": contracts(no[1]),
        "last_trade_size_fp": contracts(market.last_size),
        "ts": stamp_ns // SECOND,
        "ts_ms": stamp_ns // MILLISECOND,
        "time": rfc3339(stamp_ns),
    }


def market_created(market: ListedMarket) -> Fields:
    """``created`` of ``market_lifecycle_v2``; combos' tell no price ranges."""
    body = market.body
    about = ("title", "yes_sub_title", "no_sub_title", "rules_primary", "rules_secondary", "can_close_early")
    strikes = ("strike_type", "floor_strike", "cap_strike", "custom_strike")
    metadata = {name: body.get(name, "") for name in about}
    metadata |= {"name": body.get("title", ""), "event_ticker": market.event}
    metadata["expected_expiration_ts"] = parse_time(body.get("expected_expiration_time")) // SECOND
    metadata |= {name: body[name] for name in strikes if name in body}
    message = {
        "market_ticker": market.ticker,
        "exchange_index": market.shard,
        "open_ts": market.open_ns // SECOND,
        "close_ts": market.close_ns // SECOND,
        "additional_metadata": metadata,
        "event_type": "created",
        "price_level_structure": body.get("price_level_structure", ""),
    }
    ranges = {"price_ranges": price_ranges(market.bands)}
    return message if lifecycle_channel(market.ticker) == COMBO_LIFECYCLE else message | ranges


def event_created(event: Fields) -> Fields:
    """``event_lifecycle``."""
    return {
        "event_ticker": event["event_ticker"],
        "exchange_index": event.get("exchange_index", 0),
        "title": event.get("title", ""),
        "subtitle": event.get("sub_title", ""),
        "collateral_return_type": event.get("collateral_return_type", ""),
        "series_ticker": event.get("series_ticker", ""),
    }
