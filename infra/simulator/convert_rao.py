"""``python -m infra.simulator.convert_rao arb_quotes.csv[.gz] FOLDER``: the recorded quotes as a tape.

Turns the market quotes of rao/pm-kalshi-arbitrage-bot into the frames that both venues would have sent. The rules
are told in the NOTES.md beside the tape; this program is run by hand when they change.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from infra.simulator.exchange import ONE_DOLLAR, TokenBook, fixed, plain_price
from infra.simulator.frames import (
    MILLISECOND,
    KalshiWriter,
    PolymarketWriter,
    rfc3339,
    write_frames,
    write_json,
    write_yaml,
)
from infra.simulator.metadata import (
    PolymarketFacts,
    clob_market,
    clob_market_info,
    gamma_market,
    kalshi_event,
    kalshi_market,
    kalshi_series,
    made_up_token,
)
from infra.simulator.rao_quotes import Quote, Row, read_rows

SERIES = "KXBTC15M"
# The venue names its intervals in New York time; the whole recording lies in February, when that is UTC-5.
NEW_YORK = timedelta(hours=-5)
EVIDENCE = (
    "Same question and same interval, but different price sources: Kalshi settles on the 60-second average of"
    " CF Benchmarks' BRTI, Polymarket on Chainlink's spot price. The outcomes can differ when the price ends close to"
    " where it began, so the markets are similar, not identical. Approved for paper play only."
)


@dataclass(frozen=True, slots=True)
class Interval:
    """One fifteen-minute market on both venues with its rows, and when its books are emptied."""

    rows: Sequence[Row]
    close_ms: int

    @property
    def ticker(self) -> str:
        """The Kalshi ticker in the venue's style, derived from the interval's end."""
        end = datetime.fromtimestamp(self.rows[0].end_s, UTC) + NEW_YORK
        return f"{SERIES}-{end:%y%b%d%H%M}".upper() + f"-{end:%M}"

    @property
    def market(self) -> PolymarketFacts:
        """The Polymarket market: slug in the venue's style, condition and tokens made up from it."""
        start, end = self.rows[0].start_s, self.rows[0].end_s
        slug = f"btc-updown-15m-{start}"
        sides = [side for row in self.rows for side in (row.polymarket.bid, row.polymarket.ask) if side]
        return PolymarketFacts(
            condition_id="0x" + sha256(slug.encode()).hexdigest(),
            yes=made_up_token(f"{slug}:Up"),
            no=made_up_token(f"{slug}:Down"),
            slug=slug,
            question=f"Bitcoin Up or Down, {rfc3339(start * 1000)} to {rfc3339(end * 1000)}",
            description="Up if Chainlink's BTC/USD price at the end of the interval is at least that at its start.",
            outcomes=("Up", "Down"),
            tick="0.01" if all(price % 100 == 0 for price, _ in sides) else "0.001",
            start=rfc3339(start * 1000),
            end=rfc3339(end * 1000),
        )


def intervals(rows: Sequence[Row]) -> list[Interval]:
    """The rows by interval; its books are emptied at its end, or when the next interval's first quote arrives."""
    grouped = [list(group) for _, group in groupby(rows, key=lambda row: row.start_s)]
    closes = [
        min(own[0].end_s * 1000, following[0].kalshi_local_ms, following[0].polymarket_local_ms)
        for own, following in pairwise(grouped)
    ]
    closes.append(grouped[-1][0].end_s * 1000)
    return [Interval(group, close) for group, close in zip(grouped, closes, strict=True)]


def kalshi_lines(converted: Iterable[Interval]) -> list[tuple[int, str]]:
    """Kalshi's frames: a snapshot, then deltas; levels leave before others come, so no book is ever crossed."""
    writer = KalshiWriter()
    for interval in converted:
        ticker = interval.ticker
        for row in interval.rows:
            wanted = _bids(row.kalshi)
            if ticker not in writer.books:
                writer.snapshot(row.kalshi_local_ms * MILLISECOND, ticker, wanted["yes"], wanted["no"])
            elif row.kalshi.possible:
                _move_kalshi(writer, row.kalshi_local_ms, row.kalshi_exchange_ms, ticker, wanted)
        _move_kalshi(writer, interval.close_ms, interval.close_ms, ticker, {"yes": {}, "no": {}})
    return writer.lines


def polymarket_lines(converted: Iterable[Interval]) -> list[tuple[int, str]]:
    """Polymarket's frames: an array of two books, then one ``price_change`` per row that moves anything."""
    writer = PolymarketWriter()
    for interval in converted:
        market = interval.market
        for row in interval.rows:
            quote, local_ns = row.polymarket, row.polymarket_local_ms * MILLISECOND
            if market.condition_id not in writer.books:
                writer.open(local_ns, row.polymarket_exchange_ms, [(market, _token_book(quote))])
            elif quote.possible:
                _move_polymarket(writer, local_ns, row.polymarket_exchange_ms, market, quote)
        _move_polymarket(writer, interval.close_ms * MILLISECOND, interval.close_ms, market, Quote(None, None))
    return writer.lines


def convert(source: Path, folder: Path) -> None:
    """Write the whole tape: frames, REST bodies and groups (the notes beside them are written by hand)."""
    converted = intervals(read_rows(source))
    write_frames(folder / "kalshi" / "frames.jsonl.zst", kalshi_lines(converted))
    write_frames(folder / "polymarket" / "frames.jsonl.zst", polymarket_lines(converted))
    write_json(folder / "kalshi" / "rest.json", _kalshi_rest(converted))
    write_json(folder / "polymarket" / "rest.json", _polymarket_rest(converted))
    write_yaml(folder / "groups.yaml", [_group(interval) for interval in converted])


def _bids(quote: Quote) -> dict[str, dict[int, int]]:
    yes = {quote.bid[0]: fixed(quote.bid[1], 2)} if quote.bid else {}
    no = {ONE_DOLLAR - quote.ask[0]: fixed(quote.ask[1], 2)} if quote.ask else {}
    return {"yes": yes, "no": no}


def _move_kalshi(
    writer: KalshiWriter, local_ms: int, exchange_ms: int, ticker: str, wanted: dict[str, dict[int, int]]
) -> None:
    moves = []
    for side, levels in wanted.items():
        present = writer.books[ticker].side(side)
        for price in {**present, **levels}:
            delta = levels.get(price, 0) - present.get(price, 0)
            if delta:
                moves.append((delta, side, price))
    for delta, side, price in sorted(moves):
        writer.delta(local_ms * MILLISECOND, ticker, side, price, delta, exchange_ms)


def _token_book(quote: Quote) -> TokenBook:
    book = TokenBook()
    book.replace(*([(plain_price(side[0]), side[1])] if side else [] for side in (quote.bid, quote.ask)))
    return book


def _move_polymarket(
    writer: PolymarketWriter, local_ns: int, exchange_ms: int, market: PolymarketFacts, quote: Quote
) -> None:
    present, wanted = writer.books[market.condition_id], _token_book(quote)
    sides = (("BUY", present.bids, wanted.bids), ("SELL", present.asks, wanted.asks))
    gone = [(side, price, "0") for side, old, new in sides for key, (price, _) in old.items() if key not in new]
    come = [(side, *level) for side, old, new in sides for key, level in new.items() if old.get(key) != level]
    if gone or come:
        writer.change(local_ns, exchange_ms, market, [*gone, *come])


def _kalshi_rest(converted: Iterable[Interval]) -> dict[str, Any]:
    bodies: dict[str, Any] = {f"GET /trade-api/v2/series/{SERIES}": {"series": kalshi_series(SERIES, "Bitcoin 15 min")}}
    for interval in converted:
        start, end = interval.rows[0].start_s * 1000, interval.rows[0].end_s * 1000
        market = kalshi_market(
            interval.ticker,
            title="BTC price up in next 15 mins?",
            rules="Yes if the 60-second average of CF Benchmarks' BRTI at the close is at least that at the open.",
            open_time=rfc3339(start),
            close_time=rfc3339(end),
        )
        bodies[f"GET /trade-api/v2/markets/{interval.ticker}"] = {"market": market}
        event = market["event_ticker"]
        bodies[f"GET /trade-api/v2/events/{event}"] = {
            "event": kalshi_event(event, market["title"]),
            "markets": [market],
        }
    return bodies


def _polymarket_rest(converted: Iterable[Interval]) -> dict[str, Any]:
    bodies: dict[str, Any] = {}
    for interval in converted:
        market = interval.market
        bodies[f"GET /clob-markets/{market.condition_id}"] = clob_market_info(market)
        bodies[f"GET /markets/{market.condition_id}"] = clob_market(market)
        bodies[f"GET /markets?condition_ids={market.condition_id}"] = [gamma_market(market)]
    return bodies


def _group(interval: Interval) -> dict[str, Any]:
    return {
        "group": f"btc-15m-{interval.rows[0].start_s}",
        "relation": "same",
        "members": [
            {"venue": "kalshi", "market": interval.ticker},
            {"venue": "polymarket", "market": interval.market.condition_id},
        ],
        "evidence": EVIDENCE,
    }


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
