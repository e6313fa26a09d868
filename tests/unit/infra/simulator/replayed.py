"""A reader of tapes for the tests, written apart from the simulator: YES ladders of both venues from raw frames."""

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from heapq import merge
from typing import Any

from infra.simulator.tape import Tape

Ladder = dict[Decimal, Decimal]
Books = dict[str, dict[str, Ladder]]


def one_minus(price: str) -> Decimal:
    return 1 - Decimal(price)


class Reader:
    """The books of a tape by market name, as (bids, asks) of the YES leg; also checks sequences and hashes."""

    def __init__(self, tape: Tape) -> None:
        self.books: Books = {}
        self.seq = 0
        self.yes_of = {
            body["c"]: body["t"][0]["t"]
            for key, body in tape.rest("polymarket").items()
            if key.startswith("GET /clob-markets/")
        }
        self.ticks = {
            body["c"]: str(body["mts"])
            for body in tape.rest("polymarket").values()
            if isinstance(body, dict) and "mts" in body
        }
        self._tape = tape
        self._entries = self._merged()
        self._next = next(self._entries, None)

    def moments(self) -> Iterator[tuple[int, str, str]]:
        """Apply every frame in merged order; yields (receive time, venue, market) after each event."""
        for received, venue, text in self._merged():
            for market in self._apply(venue, text):
                yield received, venue, market

    def until(self, now_ns: int) -> None:
        """Apply every frame received by this time; call with times that rise."""
        while self._next is not None and self._next[0] <= now_ns:
            list(self._apply(*self._next[1:]))
            self._next = next(self._entries, None)

    def _merged(self) -> Iterator[tuple[int, str, str]]:
        return merge(*map(self._stream, ("kalshi", "polymarket")), key=lambda entry: entry[0])

    def _apply(self, venue: str, text: str) -> Iterator[str]:
        body = json.loads(text)
        for event in body if isinstance(body, list) else [body]:
            yield self.kalshi(event) if venue == "kalshi" else self.polymarket(event)

    def _stream(self, venue: str) -> Iterator[tuple[int, str, str]]:
        for frame in self._tape.frames(venue):
            yield frame.received_ns, venue, frame.text

    def side(self, market: str, name: str) -> Ladder:
        return self.books.setdefault(market, {"bids": {}, "asks": {}})[name]

    def kalshi(self, frame: dict[str, Any]) -> str:
        self.seq += 1
        assert (frame["sid"], frame["seq"]) == (1, self.seq)
        message, ticker = frame["msg"], str(frame["msg"]["market_ticker"])
        if frame["type"] == "orderbook_snapshot":
            for price, size in message.get("yes_dollars_fp", []):
                self.side(ticker, "bids")[Decimal(price)] = Decimal(size)
            for price, size in message.get("no_dollars_fp", []):
                self.side(ticker, "asks")[one_minus(price)] = Decimal(size)
            return ticker
        assert frame["type"] == "orderbook_delta"
        yes = message["side"] == "yes"
        price = Decimal(message["price_dollars"]) if yes else one_minus(message["price_dollars"])
        levels = self.side(ticker, "bids" if yes else "asks")
        levels[price] = levels.get(price, Decimal(0)) + Decimal(message["delta_fp"])
        assert levels[price] >= 0
        if not levels[price]:
            del levels[price]
        return ticker

    def polymarket(self, event: dict[str, Any]) -> str:
        market = str(event["market"])
        yes = self.yes_of[market]
        if event["event_type"] == "book":
            if event["asset_id"] == yes:
                for name in ("bids", "asks"):
                    self.side(market, name).clear()
                    self.side(market, name).update({Decimal(x["price"]): Decimal(x["size"]) for x in event[name]})
            self._check(event["hash"], market, event["asset_id"], event["timestamp"])
            return market
        assert event["event_type"] == "price_change"
        for change in event["price_changes"]:
            if change["asset_id"] == yes:
                levels = self.side(market, "bids" if change["side"] == "BUY" else "asks")
                levels[Decimal(change["price"])] = Decimal(change["size"])
                if not Decimal(change["size"]):
                    del levels[Decimal(change["price"])]
        for change in event["price_changes"]:
            self._check(change["hash"], market, change["asset_id"], event["timestamp"])
        return market

    def _check(self, digest: str, market: str, token: str, timestamp: str) -> None:
        """The hash of the whole book after the event, from this reader's own book."""
        yes = token == self.yes_of[market]
        bids, asks = self.side(market, "bids"), self.side(market, "asks")
        if not yes:
            bids, asks = ({1 - price: size for price, size in side.items()} for side in (asks, bids))
        summary = {
            "market": market,
            "asset_id": token,
            "timestamp": timestamp,
            "hash": "",
            "bids": [{"price": plain(price), "size": plain(size)} for price, size in sorted(bids.items())],
            "asks": [
                {"price": plain(price), "size": plain(size)} for price, size in sorted(asks.items(), reverse=True)
            ],
            "min_order_size": "5",
            "tick_size": self.ticks[market],
            "neg_risk": False,
            "last_trade_price": "",
        }
        text = json.dumps(summary, separators=(",", ":"))
        assert hashlib.sha1(text.encode()).hexdigest() == digest


def plain(number: Decimal) -> str:
    """Without trailing zeros, never in exponent form."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
