"""What the parsers of other systems make of the venues' frames, their faults included.

Kalshi's frames are `{"type", "msg"}` with bids of both outcomes; Polymarket's are events of both tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from typing import Any, Final

import msgspec

from bench.rivals.world import Key, Ladder
from infra.simulator.edges import ONE_DOLLAR
from infra.simulator.exchange import fixed
from infra.simulator.tape import Tape

_ORDER: Final = ("kalshi", "polymarket")


def frames(tape: Tape) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Every message of the tape in order of receipt: time, venue, body."""

    def of(venue: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
        for frame in tape.frames(venue):
            body = msgspec.json.decode(frame.text)
            for event in body if isinstance(body, list) else [body]:
                yield frame.received_ns, venue, event

    return merge(*map(of, _ORDER), key=lambda entry: entry[0])


def tokens(tape: Tape) -> dict[str, tuple[Key, str]]:
    """Which market's which outcome a Polymarket token is."""
    found: dict[str, tuple[Key, str]] = {}
    for path, body in tape.rest("polymarket").items():
        if path.startswith("GET /clob-markets/"):
            yes, no = (token["t"] for token in body["t"])
            found |= {yes: (("polymarket", body["c"]), "yes"), no: (("polymarket", body["c"]), "no")}
    return found


@dataclass
class UncheckedKalshi:
    """Kalshi's books without a look at the sequence: a gap goes unseen, what comes twice counts twice.

    `bids` are (price: size) by market and outcome; an ask is the other outcome's bid from a dollar.
    """

    bids: dict[tuple[str, str], dict[int, int]] = field(default_factory=dict)

    def take(self, frame: dict[str, Any]) -> Key | None:
        """Apply a frame; returns whose it was, None when it was no book's."""
        body = frame["msg"]
        if frame["type"] == "orderbook_snapshot":
            for side in ("yes", "no"):
                levels = body.get(f"{side}_dollars_fp", ())
                self.bids[body["market_ticker"], side] = {fixed(price, 4): fixed(size, 2) for price, size in levels}
        elif frame["type"] == "orderbook_delta":
            bids = self.bids.setdefault((body["market_ticker"], body["side"]), {})
            price = fixed(body["price_dollars"], 4)
            size = bids.get(price, 0) + fixed(body["delta_fp"], 2)
            bids.pop(price, None)
            if size > 0:
                bids[price] = size
        else:
            return None
        return "kalshi", body["market_ticker"]

    def ask(self, ticker: str, outcome: str) -> tuple[int, int] | None:
        """The best ask of an outcome."""
        bids = self.bids.get((ticker, "no" if outcome == "yes" else "yes"))
        if not bids:
            return None
        best = max(bids)
        return ONE_DOLLAR - best, bids[best]


@dataclass
class FallingAsks:
    """Polymarket's best ask a token, which a whole book sets and a change can only lower.

    Of changes, sell orders with a size are read as asks; nothing else is.
    """

    asks: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> str | None:
        """Apply an event; returns its market, None when it was no book's."""
        if event["event_type"] == "book":
            levels = [(fixed(level["price"], 4), fixed(level["size"], 2)) for level in event["asks"]]
            self.asks.pop(event["asset_id"], None)
            if levels:
                self.asks[event["asset_id"]] = min(levels)
        elif event["event_type"] == "price_change":
            for change in event["price_changes"]:
                self._change(change["asset_id"], change["side"], fixed(change["price"], 4), fixed(change["size"], 2))
        else:
            return None
        return str(event["market"])

    def _change(self, token: str, side: str, price: int, size: int) -> None:
        known = self.asks.get(token)
        if side == "SELL" and size and (known is None or price <= known[0]):
            self.asks[token] = price, size


@dataclass
class FreshTopOnly:
    """Polymarket's asks a token of which changes reach the top only: what lies deeper is the last whole book's."""

    asks: dict[str, Ladder] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> str | None:
        """Apply an event; returns its market, None when it was no book's."""
        if event["event_type"] == "book":
            levels = [(fixed(level["price"], 4), fixed(level["size"], 2)) for level in event["asks"]]
            self.asks[event["asset_id"]] = sorted(levels)
        elif event["event_type"] == "price_change":
            for token in dict.fromkeys(change["asset_id"] for change in event["price_changes"]):
                self._change(token, [one for one in event["price_changes"] if one["asset_id"] == token])
        else:
            return None
        return str(event["market"])

    def _change(self, token: str, changes: list[dict[str, str]]) -> None:
        """Put the best ask that the message states on top; its size is the change's, or what was known there."""
        best, before = fixed(changes[-1]["best_ask"], 4), self.asks.get(token, [])
        told = {fixed(one["price"], 4): fixed(one["size"], 2) for one in changes if one["side"] == "SELL"}
        size = told.get(best, dict(before).get(best, 0))
        deeper = [level for level in before if level[0] > best]
        self.asks[token] = [(best, size), *deeper] if best < ONE_DOLLAR and size else deeper
