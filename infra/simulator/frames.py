"""Writing tapes: the frames each venue would have sent while a book moved the way the caller says."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml
import zstandard

from infra.simulator.exchange import (
    BookFacts,
    KalshiBook,
    TokenBook,
    book_hash,
    complement,
    contracts,
    dollars,
)
from infra.simulator.metadata import PolymarketFacts, market_id_of

MILLISECOND = 1_000_000


def rfc3339(milliseconds: int) -> str:
    """A Unix time in milliseconds as the venues print it."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
    text = moment.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds")
    return text.replace("+00:00", "Z")


@dataclass(slots=True)
class KalshiWriter:
    """Kalshi frames of one recorded subscription: sid 1, one sequence over all markets."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    books: dict[str, KalshiBook] = field(default_factory=dict)
    seq: int = 0

    def snapshot(self, received_ns: int, ticker: str, yes: dict[int, int], no: dict[int, int]) -> None:
        """A market's first frame: its bids as {price 1e-4: size 1e-2} per outcome."""
        book = self.books[ticker] = KalshiBook(ticker, market_id_of(ticker))
        book.replace(yes.items(), no.items())
        message: dict[str, Any] = {"market_ticker": ticker, "market_id": book.market_id}
        for side in ("yes", "no"):
            levels = book.levels(side)
            if levels:
                message[f"{side}_dollars_fp"] = levels
        self._emit(received_ns, "orderbook_snapshot", message)

    def delta(self, received_ns: int, ticker: str, side: str, price: int, delta: int, exchange_ms: int = 0) -> None:
        """A signed size change at one level; an ``exchange_ms`` of 0 leaves the venue's stamps out."""
        book = self.books[ticker]
        book.change(side, price, delta)
        sign = "-" if delta < 0 else ""
        message: dict[str, Any] = {
            "market_ticker": ticker,
            "market_id": book.market_id,
            "price_dollars": dollars(price),
            "delta_fp": sign + contracts(abs(delta)),
            "side": side,
        }
        if exchange_ms:
            message |= {"ts": rfc3339(exchange_ms), "ts_ms": exchange_ms}
        self._emit(received_ns, "orderbook_delta", message)

    def _emit(self, received_ns: int, kind: str, message: dict[str, Any]) -> None:
        self.seq += 1
        frame = {"type": kind, "sid": 1, "seq": self.seq, "msg": message}
        self.lines.append((received_ns, msgspec.json.encode(frame).decode()))


@dataclass(slots=True)
class PolymarketWriter:
    """Polymarket frames: both tokens of a market in every message, hashes over the whole book after it."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    books: dict[str, TokenBook] = field(default_factory=dict)

    def open(self, received_ns: int, timestamp_ms: int, markets: Iterable[tuple[PolymarketFacts, TokenBook]]) -> None:
        """The array of ``book`` events that opens a subscription, two per market; books are the YES token's."""
        events = []
        for market, book in markets:
            self.books[market.condition_id] = book
            for token, side in ((market.yes, book), (market.no, book.mirrored())):
                bids, asks = side.wire()
                events.append(
                    {
                        "market": market.condition_id,
                        "asset_id": token,
                        "timestamp": str(timestamp_ms),
                        "hash": book_hash(_facts(market), token, str(timestamp_ms), bids, asks),
                        "bids": [{"price": price, "size": size} for price, size in bids],
                        "asks": [{"price": price, "size": size} for price, size in asks],
                        "tick_size": market.tick,
                        "event_type": "book",
                        "last_trade_price": "",
                    }
                )
        self.lines.append((received_ns, msgspec.json.encode(events).decode() + "\n"))

    def change(
        self, received_ns: int, timestamp_ms: int, market: PolymarketFacts, changes: Sequence[tuple[str, str, str]]
    ) -> None:
        """One ``price_change`` with every level that moved, as (side, price, new size) of the YES token."""
        book = self.books[market.condition_id]
        for side, price, size in changes:
            book.change(side, price, size)
        legs = []
        for token, leg in ((market.yes, book), (market.no, book.mirrored())):
            digest = book_hash(_facts(market), token, str(timestamp_ms), *leg.wire())
            legs.append((token, digest, *leg.best()))
        listed = []
        for side, price, size in changes:
            mirrored = ("SELL" if side == "BUY" else "BUY", complement(price))
            for (token, digest, bid, ask), (leg_side, leg_price) in zip(legs, ((side, price), mirrored), strict=True):
                change = {"asset_id": token, "price": leg_price, "size": size, "side": leg_side, "hash": digest}
                listed.append(change | {"best_bid": bid, "best_ask": ask})
        event = {"market": market.condition_id, "price_changes": listed, "timestamp": str(timestamp_ms)}
        self.lines.append((received_ns, msgspec.json.encode(event | {"event_type": "price_change"}).decode()))


def write_frames(file: Path, lines: Iterable[tuple[int, str]]) -> None:
    """Write a frames file, compressed when its name ends in ``.zst``."""
    text = b"".join(msgspec.json.encode({"t": stamp, "frame": frame}) + b"\n" for stamp, frame in lines)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(zstandard.ZstdCompressor(level=19).compress(text) if file.suffix == ".zst" else text)


def write_json(file: Path, body: Any) -> None:
    """Write a JSON file that people may read and compare."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", "utf-8")


def write_yaml(file: Path, body: Any) -> None:
    """Write a YAML file in the order given."""
    file.write_text(yaml.safe_dump(body, sort_keys=False, width=120, allow_unicode=True), "utf-8")


def _facts(market: PolymarketFacts) -> BookFacts:
    return BookFacts(market.condition_id, market.tick, str(market.min_size))
