"""A small foreign tape with everything wrong that a venue can send, and one market that its venue does not know.

Two pairs, A and B. A's feeds carry a frame that is no JSON and one with a malformed price per venue, Kalshi's sequence
has a gap of its own, and both venues go on with both books afterwards. A third group names a market that Polymarket
does not have.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from infra.simulator.exchange import ONE_DOLLAR, TokenBook
from infra.simulator.frames import KalshiWriter, PolymarketWriter, write_frames, write_json, write_yaml
from infra.simulator.metadata import (
    PolymarketFacts,
    clob_market,
    clob_market_info,
    gamma_market,
    kalshi_market,
    made_up_token,
)
from schemas.records import Level

START_NS = 1_767_225_600_000_000_000
UNKNOWN = "0x" + "ee" * 32
NOT_JSON = '{"type":"orderbook_delta","sid":1,"seq":6,"msg":{"market_ticker":"KXBAD'
TICKERS = ("KXBAD-26JAN01-A", "KXBAD-26JAN01-B", "KXBAD-26JAN01-C")
CONDITIONS = ("0x" + "a1" * 32, "0x" + "b2" * 32)
KALSHI_GAPS = 2
"""One where the frame that is no JSON held the number, one where the tape leaves a number out."""


@dataclass(frozen=True, slots=True)
class DamagedTape:
    """Where it lies, its broken frames by venue, and each market's ladder at its end."""

    folder: Path
    broken: dict[str, list[str]]
    final: dict[str, tuple[list[Level], list[Level]]]


def facts(condition: str) -> PolymarketFacts:
    """The Polymarket market of a condition."""
    return PolymarketFacts(condition, made_up_token(condition + ":yes"), made_up_token(condition + ":no"), condition)


def write_damaged_tape(folder: Path) -> DamagedTape:
    """Write the tape into a folder."""
    kalshi, broken_kalshi = _kalshi()
    polymarket, broken_polymarket = _polymarket()
    write_frames(folder / "kalshi" / "frames.jsonl", kalshi.lines)
    write_frames(folder / "polymarket" / "frames.jsonl", polymarket.lines)
    markets = {f"GET /trade-api/v2/markets/{ticker}": {"market": kalshi_market(ticker)} for ticker in TICKERS}
    write_json(folder / "kalshi" / "rest.json", markets)
    write_json(folder / "polymarket" / "rest.json", _polymarket_rest())
    conditions = (*CONDITIONS, UNKNOWN)
    pairs = zip("abc", TICKERS, conditions, strict=True)
    write_yaml(folder / "groups.yaml", [_group(f"pair-{name}", ticker, market) for name, ticker, market in pairs])
    final = {ticker: _kalshi_sides(kalshi, ticker) for ticker in TICKERS[:2]}
    final |= {condition: _polymarket_sides(polymarket, condition) for condition in CONDITIONS}
    return DamagedTape(folder, {"kalshi": broken_kalshi, "polymarket": broken_polymarket}, final)


def _at(seconds: float) -> int:
    return START_NS + round(seconds * 1e9)


def _kalshi() -> tuple[KalshiWriter, list[str]]:
    writer = KalshiWriter()
    a, b, c = TICKERS
    for ticker in (a, b, c):
        writer.snapshot(_at(0), ticker, {4000: 10_000, 3900: 500}, {5500: 10_000})
    writer.delta(_at(0.5), a, "yes", 4000, -1000)
    writer.delta(_at(0.7), b, "yes", 4000, 1000)
    writer.lines.append((_at(1), NOT_JSON))
    writer.seq += 1
    writer.delta(_at(1.5), b, "no", 5500, 300)
    bad = {"market_ticker": a, "price_dollars": "0.4x", "delta_fp": "5.00", "side": "yes"}
    writer.seq += 1
    frame = {"type": "orderbook_delta", "sid": 1, "seq": writer.seq, "msg": bad}
    malformed = json.dumps(frame, separators=(",", ":"))
    writer.lines.append((_at(3), malformed))
    writer.delta(_at(3.2), a, "no", 5400, 700)
    writer.delta(_at(3.4), b, "yes", 3900, 200)
    writer.seq += 1  # a frame that never came
    writer.delta(_at(5), b, "no", 5300, 900)
    writer.delta(_at(5.5), a, "yes", 3900, 100)
    return writer, [NOT_JSON, malformed]


def _polymarket() -> tuple[PolymarketWriter, list[str]]:
    writer = PolymarketWriter()
    a, b = (facts(condition) for condition in CONDITIONS)
    books = {market.condition_id: TokenBook() for market in (a, b)}
    for book in books.values():
        book.replace([("0.44", "100"), ("0.43", "50")], [("0.47", "80")])
    writer.open(_at(0), _at(0) // 1_000_000, [(market, books[market.condition_id]) for market in (a, b)])
    writer.change(_at(0.6), _at(0.6) // 1_000_000, a, [("BUY", "0.44", "70")])
    not_json = '[{"event_type":"price_change","market":'
    writer.lines.append((_at(1.2), not_json))
    change = {"asset_id": a.yes, "price": "0.4x", "size": "5", "side": "BUY", "hash": "0" * 40}
    event = {"event_type": "price_change", "market": a.condition_id, "price_changes": [change], "timestamp": "1"}
    malformed = json.dumps(event, separators=(",", ":"))
    writer.lines.append((_at(2.5), malformed))
    writer.change(_at(3.5), _at(3.5) // 1_000_000, b, [("SELL", "0.47", "90")])
    writer.change(_at(5.2), _at(5.2) // 1_000_000, a, [("SELL", "0.48", "33")])
    return writer, [not_json, malformed]


def _polymarket_rest() -> dict[str, object]:
    bodies: dict[str, object] = {}
    for market in map(facts, CONDITIONS):
        bodies[f"GET /clob-markets/{market.condition_id}"] = clob_market_info(market)
        bodies[f"GET /markets/{market.condition_id}"] = clob_market(market)
        bodies[f"GET /markets?condition_ids={market.condition_id}"] = [gamma_market(market)]
    return bodies


def _group(name: str, ticker: str, condition: str) -> dict[str, object]:
    members = [{"venue": "kalshi", "market": ticker}, {"venue": "polymarket", "market": condition}]
    return {"group": name, "relation": "same", "members": members, "evidence": "made up"}


def _kalshi_sides(writer: KalshiWriter, ticker: str) -> tuple[list[Level], list[Level]]:
    book = writer.books[ticker]
    bids, no_bids = ([(_units(p, 4), _units(s, 2)) for p, s in book.levels(side)] for side in ("yes", "no"))
    return sorted(bids, reverse=True), sorted((ONE_DOLLAR - price, size) for price, size in no_bids)


def _polymarket_sides(writer: PolymarketWriter, condition: str) -> tuple[list[Level], list[Level]]:
    bids, asks = ([(_units(p, 4), _units(s, 2)) for p, s in side] for side in writer.books[condition].wire())
    return sorted(bids, reverse=True), sorted(asks)


def _units(text: object, digits: int) -> int:
    whole, _, fraction = str(text).partition(".")
    return int(whole + fraction.ljust(digits, "0")[:digits])
