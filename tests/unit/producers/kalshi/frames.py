"""Kalshi frames as the venue shapes them."""

import json
from typing import Any

WireLevels = list[tuple[str, str]]


def frame(kind: str, sid: int, seq: int, msg: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"type": kind, "sid": sid, "seq": seq, "msg": msg, **more}).encode()


def snapshot(
    market: str, seq: int, yes: WireLevels | None = None, no: WireLevels | None = None, *, sid: int = 1
) -> bytes:
    sides = {"yes_dollars_fp": yes, "no_dollars_fp": no}
    msg = {"market_ticker": market, "market_id": "m"} | {name: side for name, side in sides.items() if side}
    return frame("orderbook_snapshot", sid, seq, msg)


def delta(market: str, seq: int, side: str, price: str, change: str, *, sid: int = 1) -> bytes:
    msg = {"market_ticker": market, "market_id": "m", "price_dollars": price, "delta_fp": change, "side": side}
    return frame("orderbook_delta", sid, seq, msg | {"ts": "2022-11-22T20:44:01Z", "ts_ms": 1669149841000})


def trade(market: str, seq: int, taker: str = "no", *, sid: int = 2) -> bytes:
    msg = {"trade_id": "t-1", "market_ticker": market, "yes_price_dollars": "0.3600", "no_price_dollars": "0.6400"}
    more = {"count_fp": "136.00", "taker_side": taker, "taker_outcome_side": taker, "ts_ms": 1669149841000}
    return frame("trade", sid, seq, msg | more)


def reply(kind: str, command: int, **more: Any) -> bytes:
    """An answer; `sid`, `seq` and `msg` only where given."""
    return json.dumps({"id": command, "type": kind, **more}).encode()


def subscribed(command: int, channel: str, sid: int) -> bytes:
    return reply("subscribed", command, msg={"channel": channel, "sid": sid})


def error(code: int, **more: Any) -> bytes:
    """An error; `id`, `sid`, `seq` only where given, `market_ticker` inside the message."""
    msg = {"code": code, "msg": "text"} | {name: more.pop(name) for name in ("market_ticker",) if name in more}
    return json.dumps({"type": "error", "msg": msg, **more}).encode()


def lifecycle(market: str, seq: int, event: str, *, sid: int = 3, **more: Any) -> bytes:
    return frame("market_lifecycle_v2", sid, seq, {"market_ticker": market, "event_type": event} | more)


def market_body(ticker: str, **changes: Any) -> dict[str, Any]:
    return {
        "ticker": ticker,
        "event_ticker": "KXBTC-26NOV",
        "market_type": "binary",
        "title": "",
        "yes_sub_title": "Above",
        "status": "active",
        "open_time": "2026-11-01T00:00:00Z",
        "close_time": "2026-12-01T00:00:00.5Z",
        "expected_expiration_time": None,
        "latest_expiration_time": "2026-12-02T00:00:00Z",
        "rules_primary": "one",
        "rules_secondary": "two",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}],
    } | changes
