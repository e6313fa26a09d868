"""The frames of Polymarket's market channel, field by field in the order in which recordings show them.

Sources: the market channel's pages for the names, sessions recorded on 2026-09-27 and 2026-10-05 for order and spacing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from infra.simulator.exchange import fixed, plain_price
from infra.simulator.polymarket.catalogue import Fee, Listing
from infra.simulator.polymarket.market import Market
from infra.simulator.polymarket.metadata import event_of, market_id

Event = dict[str, Any]
OrderSide = Literal["BUY", "SELL"]


@dataclass(frozen=True, slots=True)
class Print:
    """A trade as it is told: in the terms of the token that the taker's order was for."""

    token: str
    price: str
    size: str
    side: OrderSide
    transaction: str


def encode_first(events: Sequence[Event]) -> str:
    """The array that opens a subscription: compact, and ended by a line feed."""
    return msgspec.json.encode(events).decode() + "\n"


def encode(body: Event | Sequence[Event]) -> str:
    """Any later frame: a blank after each comma, none after a colon."""
    return json.dumps(body, separators=(", ", ":"), ensure_ascii=False)


def change_entry(market: Market, token: str, side: OrderSide, price: str, size: str) -> Event:
    """One leg of a change, without its hash; the best prices are those after it."""
    bid, ask = market.book(token).best()
    return {
        "asset_id": token,
        "price": price,
        "size": size,
        "side": side,
        "hash": "",
        "best_bid": bid,
        "best_ask": ask,
    }


def price_change(market: Market, entries: Sequence[Event]) -> Event:
    """One message about one or more changed levels, both legs of each."""
    return {
        "market": market.listing.condition_id,
        "price_changes": list(entries),
        "timestamp": market.timestamp,
        "event_type": "price_change",
    }


def refresh(market: Market, token: str) -> Event:
    """The whole book after a trade: neither tick size nor last trade price come with it."""
    shown = market.summary(token)
    names = ("market", "asset_id", "bids", "asks", "hash", "timestamp")
    return {name: shown[name] for name in names} | {"event_type": "book"}


def last_trade_price(market: Market, told: Print, stamp_ms: int) -> Event:
    """A trade. It has no id; several can share a transaction."""
    return {
        "market": market.listing.condition_id,
        "asset_id": told.token,
        "price": told.price,
        "size": told.size,
        "fee_rate_bps": "0",
        "side": told.side,
        "timestamp": str(stamp_ms),
        "event_type": "last_trade_price",
        "transaction_hash": told.transaction,
    }


def tick_size_change(market: Market, token: str, old: str, new: str) -> Event:
    """The price grid of a market changed; told for each token."""
    return {
        "market": market.listing.condition_id,
        "asset_id": token,
        "old_tick_size": old,
        "new_tick_size": new,
        "timestamp": market.timestamp,
        "event_type": "tick_size_change",
    }


def best_bid_ask(market: Market, token: str) -> Event:
    """A token's best prices; an empty side is 0 or 1."""
    bid, ask = market.book(token).best()
    return {
        "market": market.listing.condition_id,
        "asset_id": token,
        "best_bid": bid,
        "best_ask": ask,
        "spread": spread(bid, ask),
        "timestamp": market.timestamp,
        "event_type": "best_bid_ask",
    }


def new_market(listing: Listing, stamp_ms: int) -> Event:
    """A market appeared. Values are strings, what is empty is an empty string."""
    tokens = list(listing.tokens)
    return {
        "id": market_id(listing.condition_id),
        "question": listing.question,
        "market": listing.condition_id,
        "slug": listing.slug,
        "description": "",
        "assets_ids": tokens,
        "outcomes": list(listing.outcomes),
        "event_message": _event_message(listing),
        "timestamp": str(stamp_ms),
        "event_type": "new_market",
        "tags": [],
        "condition_id": listing.condition_id,
        "active": True,
        "clob_token_ids": tokens,
        "sports_market_type": "spreads" if listing.seconds_delay else "",
        "line": "",
        "game_start_time": "",
        "order_price_min_tick_size": listing.tick,
        "group_item_title": "",
        "taker_base_fee": "1000" if listing.fee else "0",
        "fees_enabled": listing.fee is not None,
        "fee_schedule": _fee_schedule(listing.fee),
    }


def market_resolved(market: Market, stamp_ms: int) -> Event:
    """A market has its winner."""
    listing = market.listing
    outcomes = dict(zip(listing.tokens, listing.outcomes, strict=True))
    return {
        "id": market_id(listing.condition_id),
        "market": listing.condition_id,
        "assets_ids": list(listing.tokens),
        "winning_asset_id": market.winner,
        "winning_outcome": outcomes[market.winner],
        "event_message": _event_message(listing),
        "timestamp": str(stamp_ms),
        "event_type": "market_resolved",
        "tags": [],
    }


def spread(bid: str, ask: str) -> str:
    """The distance of two prices, as the venue writes prices."""
    return plain_price(fixed(ask, 4) - fixed(bid, 4))


def _event_message(listing: Listing) -> Event:
    event = event_of(listing)
    return {
        "id": market_id(event.slug),
        "ticker": event.slug,
        "slug": event.slug,
        "title": event.title,
        "description": "",
    }


def _fee_schedule(fee: Fee | None) -> Event:
    if fee is None:
        return {}
    return {"exponent": str(fee.exponent), "rate": fee.rate, "taker_only": True, "rebate_rate": fee.rebate}
