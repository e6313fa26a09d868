"""Polymarket frames as the venue shapes them."""

import json
from typing import Any

YES = "1810" + "0" * 60
NO = "9920" + "1" * 60
MARKET = "0x690f" + "a" * 60

WireLevels = list[tuple[str, str]]


def levels(pairs: WireLevels) -> list[dict[str, str]]:
    return [{"price": price, "size": size} for price, size in pairs]


def book_event(
    bids: WireLevels, asks: WireLevels, *, token: str = YES, market: str = MARKET, ts: int = 1000, **more: Any
) -> dict[str, Any]:
    sides = {"bids": levels(bids), "asks": levels(asks)}
    base = {"market": market, "asset_id": token, "timestamp": str(ts), "hash": "c5", **sides}
    return base | {"event_type": "book"} | more


def change_event(
    *changes: tuple[str, str, str, str], market: str = MARKET, ts: int = 1001, **more: Any
) -> dict[str, Any]:
    """`changes` are (token, side, price, size)."""
    entries = [
        {"asset_id": token, "price": price, "size": size, "side": side, "hash": "1", "best_bid": "0", "best_ask": "1"}
        for token, side, price, size in changes
    ]
    base = {"market": market, "price_changes": entries, "timestamp": str(ts), "event_type": "price_change"}
    return base | more


def tick_event(new: str, *, token: str = YES, ts: int = 1002) -> dict[str, Any]:
    base = {"event_type": "tick_size_change", "market": MARKET, "asset_id": token}
    return base | {"old_tick_size": "0.01", "new_tick_size": new, "timestamp": str(ts)}


def trade_event(*, token: str = YES, price: str = "0.78", side: str = "BUY") -> dict[str, Any]:
    base = {"market": MARKET, "asset_id": token, "price": price, "size": "219.217767", "fee_rate_bps": "0"}
    more = {"side": side, "timestamp": "1790491136979", "transaction_hash": "0xabc"}
    return base | more | {"event_type": "last_trade_price"}


def rest_book(bids: WireLevels, asks: WireLevels, *, token: str = YES, ts: int = 1000, **more: Any) -> dict[str, Any]:
    book = book_event(bids, asks, token=token, ts=ts, min_order_size="5", tick_size="0.01", neg_risk=False)
    del book["event_type"]
    return book | {"last_trade_price": "0.870"} | more


def encode(events: Any) -> bytes:
    return json.dumps(events).encode()
