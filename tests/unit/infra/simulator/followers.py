"""The smallest clients that rebuild a venue's books from its frames, believing everything that they read."""

import json
from decimal import Decimal
from typing import Any

from infra.simulator.engine import ONE_DOLLAR, Level
from infra.simulator.exchange import fixed
from tests.unit.infra.simulator.tapes import YES

Ladders = tuple[list[Level], list[Level]]


class KalshiFollower:
    """The book of market A-1: YES bids, and NO bids at YES prices."""

    path = "/trade-api/ws/v2"
    subscription = json.dumps(
        {"id": 1, "cmd": "subscribe", "params": {"channels": ["orderbook_delta"], "market_tickers": ["A-1"]}}
    )
    market = "A-1"

    def __init__(self) -> None:
        self.sides: dict[str, dict[int, int]] = {"yes": {}, "no": {}}

    @staticmethod
    def headers(now_ns: int) -> dict[str, str]:
        """A signature that a venue without a public key accepts."""
        stamp = str(now_ns // 1_000_000)
        return {"KALSHI-ACCESS-KEY": "k", "KALSHI-ACCESS-TIMESTAMP": stamp, "KALSHI-ACCESS-SIGNATURE": "AAAA"}

    def frame(self, text: str) -> None:
        """Apply a frame."""
        frame = json.loads(text)
        message = frame.get("msg")
        if frame["type"] == "orderbook_snapshot":
            for side in self.sides:
                levels = message.get(f"{side}_dollars_fp", [])
                self.sides[side] = {fixed(price, 4): fixed(size, 2) for price, size in levels}
        elif frame["type"] == "orderbook_delta":
            levels, price = self.sides[message["side"]], fixed(message["price_dollars"], 4)
            levels[price] = levels.get(price, 0) + fixed(message["delta_fp"], 2)

    def ladders(self) -> Ladders:
        """Bids and asks, best first."""
        asks = {ONE_DOLLAR - price: size for price, size in self.sides["no"].items()}
        return _ladders(self.sides["yes"], asks)


class PolymarketFollower:
    """The book of the token YES."""

    path = "/ws/market"
    subscription = json.dumps({"type": "market", "assets_ids": [YES]})
    market = "0x" + "ab" * 32

    def __init__(self) -> None:
        self.sides: dict[str, dict[int, int]] = {"BUY": {}, "SELL": {}}

    @staticmethod
    def headers(_now_ns: int) -> dict[str, str]:
        """None are needed."""
        return {}

    def frame(self, text: str) -> None:
        """Apply a frame."""
        body = json.loads(text)
        for event in body if isinstance(body, list) else [body]:
            if event["event_type"] == "book" and event["asset_id"] == YES:
                self.sides = {"BUY": _sizes(event["bids"]), "SELL": _sizes(event["asks"])}
            for change in event.get("price_changes", []):
                if change["asset_id"] == YES:
                    self.sides[change["side"]][fixed(change["price"], 4)] = _floored(change["size"])

    def ladders(self) -> Ladders:
        """Bids and asks, best first."""
        return _ladders(self.sides["BUY"], self.sides["SELL"])


Follower = KalshiFollower | PolymarketFollower
FOLLOWERS: dict[str, type[Follower]] = {"kalshi": KalshiFollower, "polymarket": PolymarketFollower}


def _sizes(levels: list[dict[str, Any]]) -> dict[int, int]:
    return {fixed(level["price"], 4): _floored(level["size"]) for level in levels}


def _floored(size: str) -> int:
    """A size in 1e-2 contract; the venue shows up to six decimals."""
    return int(Decimal(size) * 100)


def _ladders(bids: dict[int, int], asks: dict[int, int]) -> Ladders:
    return (
        sorted(((price, size) for price, size in bids.items() if size), reverse=True),
        sorted((price, size) for price, size in asks.items() if size),
    )
