"""The shipped recording: it says what its source says, by the rules in its notes."""

import csv
import gzip
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from infra.simulator.convert_rao import convert
from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.polymarket.venue import PolymarketVenue
from infra.simulator.tape import SHIPPED, Tape
from tests.unit.infra.simulator.replayed import Ladder, Reader
from tests.unit.infra.simulator.tapes import play

FOLDER = SHIPPED / "btc-15m"
SOURCE = FOLDER / "source" / "arb_quotes.csv.gz"
FRAMES = {"kalshi": 4_970, "polymarket": 1_985}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with gzip.open(SOURCE, "rt") as lines:
        return list(csv.DictReader(lines))


def test_the_tape_is_what_the_converter_makes_of_its_source(tmp_path: Path) -> None:
    convert(SOURCE, tmp_path)
    made, shipped = Tape.open(tmp_path), Tape.open(FOLDER)
    for venue, count in FRAMES.items():
        frames = list(made.frames(venue))
        assert len(frames) == count
        assert frames == list(shipped.frames(venue))
        assert made.rest(venue) == shipped.rest(venue)
    assert made.groups() == shipped.groups()


def test_the_source_is_as_odd_as_the_notes_say(rows: list[dict[str, str]]) -> None:
    assert len(rows) == 1_939
    assert len({row["interval_start_ts"] for row in rows}) == 85
    prices = [
        f"{venue}_{outcome}_{kind}"
        for venue in ("poly", "kalshi")
        for outcome in ("yes", "no")
        for kind in ("bid", "ask")
    ]
    noisy = [row for row in rows if any(Decimal(row[name]) != rounded(row[name]) for name in prices)]
    assert len(noisy) == 24
    unmirrored = [
        row
        for row in rows
        if any(
            rounded(row[f"{venue}_yes_{one}"]) + rounded(row[f"{venue}_no_{other}"]) != 1
            for venue in ("poly", "kalshi")
            for one, other in (("bid", "ask"), ("ask", "bid"))
        )
    ]
    assert len(unmirrored) == 21


class Quote(NamedTuple):
    bids: Ladder
    asks: Ladder


def rounded(text: str) -> Decimal:
    return Decimal(text).quantize(Decimal("0.0001"), ROUND_HALF_EVEN).normalize()


def level(price: Decimal, size: str) -> Ladder:
    return {price: Decimal(size)} if Decimal(size) else {}


def recorded(row: dict[str, str]) -> dict[str, Quote]:
    """The books that a row stands for: Kalshi's bids of both outcomes, the Polymarket YES token's two sides."""
    kalshi_no = 1 - rounded(row["kalshi_no_bid"])
    return {
        "kalshi": Quote(
            level(rounded(row["kalshi_yes_bid"]), row["kalshi_yes_bid_size"]),
            level(kalshi_no, row["kalshi_no_bid_size"]),
        ),
        "polymarket": Quote(
            level(rounded(row["poly_yes_bid"]), row["poly_yes_bid_size"]),
            level(rounded(row["poly_yes_ask"]), row["poly_yes_ask_size"]),
        ),
    }


def members() -> dict[str, dict[str, str]]:
    groups = yaml.safe_load((FOLDER / "groups.yaml").read_text())
    return {group["group"]: {member["venue"]: member["market"] for member in group["members"]} for group in groups}


def crossed(quote: Quote) -> bool:
    return bool(quote.bids and quote.asks and max(quote.bids) >= min(quote.asks))


def test_replaying_reproduces_every_recorded_quote(rows: list[dict[str, str]]) -> None:
    """At each row's decision both venues' books are the row's; an impossible quote leaves the book as it was."""
    reader, names = Reader(Tape.open(FOLDER)), members()
    impossible = 0
    for row in rows:
        now_ns = int(row["decision_ts"]) * 1_000_000
        before = {venue: Quote({}, {}) for venue in ("kalshi", "polymarket")}
        markets = names[f"btc-15m-{row['interval_start_ts']}"]
        for venue, market in markets.items():
            before[venue] = Quote(dict(reader.side(market, "bids")), dict(reader.side(market, "asks")))
        reader.until(now_ns)
        for venue, quote in recorded(row).items():
            expected = before[venue] if crossed(quote) else quote
            impossible += crossed(quote)
            market = markets[venue]
            assert Quote(reader.side(market, "bids"), reader.side(market, "asks")) == expected, (row, venue)
    assert impossible == 5


def test_no_book_is_ever_crossed_deeper_than_a_level_or_left_over() -> None:
    reader = Reader(Tape.open(FOLDER))
    for _, _, market in reader.moments():
        bids, asks = reader.side(market, "bids"), reader.side(market, "asks")
        assert len(bids) <= 1
        assert len(asks) <= 1
        assert not crossed(Quote(bids, asks))
    assert len(reader.books) == 2 * 85
    assert not any(book["bids"] or book["asks"] for book in reader.books.values())


def test_a_markets_frames_lie_in_its_interval(rows: list[dict[str, str]]) -> None:
    names = members()
    spans = {
        market: (int(row["interval_start_ts"]) * 10**9, int(row["interval_end_ts"]) * 10**9)
        for row in rows
        for market in names[f"btc-15m-{row['interval_start_ts']}"].values()
    }
    for received, _, market in Reader(Tape.open(FOLDER)).moments():
        assert spans[market][0] <= received <= spans[market][1]


def test_the_metadata_allows_every_price_and_names_the_interval() -> None:
    tape = Tape.open(FOLDER)
    kalshi, polymarket = tape.rest("kalshi"), tape.rest("polymarket")
    market = kalshi["GET /trade-api/v2/markets/KXBTC15M-26FEB072030-30"]["market"]
    assert (market["open_time"], market["close_time"]) == ("2026-02-08T01:15:00Z", "2026-02-08T01:30:00Z")
    assert kalshi["GET /trade-api/v2/series/KXBTC15M"]["series"]["fee_type"] == "quadratic"
    for group in members().values():
        assert f"GET /trade-api/v2/markets/{group['kalshi']}" in kalshi
        assert polymarket[f"GET /clob-markets/{group['polymarket']}"]["fd"] == {"r": 0.07, "e": 1, "to": True}
    reader = Reader(tape)
    ticks = {name: Decimal(tick) for name, tick in reader.ticks.items()}
    for _, venue, name in reader.moments():
        if venue == "polymarket":
            prices = [*reader.side(name, "bids"), *reader.side(name, "asks")]
            assert all(price % ticks[name] == 0 for price in prices)


def test_the_groups_tell_that_the_sources_differ() -> None:
    groups = Tape.open(FOLDER).groups()
    assert len(groups) == 85
    for group in groups:
        assert group["relation"] == "same"
        assert "BRTI" in group["evidence"]
        assert "Chainlink" in group["evidence"]


def venues() -> Iterator[KalshiVenue | PolymarketVenue]:
    yield KalshiVenue(Tape.open(FOLDER))
    yield PolymarketVenue(Tape.open(FOLDER))


def test_the_simulators_play_it_to_empty_books() -> None:
    for venue in venues():
        play(venue, Tape.open(FOLDER))
        if isinstance(venue, KalshiVenue):
            assert all(not book.yes and not book.no and book.started for book in venue.books.values())
        else:
            assert all(
                market.started and market.book(market.listing.tokens[0]).wire() == ([], [])
                for market in venue.markets.values()
            )
