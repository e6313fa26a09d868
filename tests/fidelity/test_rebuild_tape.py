"""`dutchbook rebuild --tape`: every line against an independent reader, the last ones against the simulators."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from infra import cli
from infra.simulator.generate import ensure_generated
from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.metadata import kalshi_market
from infra.simulator.polymarket.venue import PolymarketVenue
from infra.simulator.tape import SHIPPED, VENUES, Tape
from runtime.settings import FeedSettings, load
from schemas.records import BookState
from tests.integration.damaged_tape import TICKERS, UNKNOWN, write_damaged_tape
from tests.unit.infra.simulator.replayed import Ladder, Reader
from tests.unit.infra.simulator.tapes import delta, play, snapshot, write_tape

DEPTH = load(FeedSettings).book_depth
FIELDS = ["venue", "market", "epoch", "sequence", "state", "reason", "bids", "asks", "frame"]

Levels = list[list[int]]
Sides = tuple[Levels, Levels]


def rebuilt(tape: Path, out: Path, *arguments: str) -> list[dict[str, Any]]:
    """What the command writes, line by line."""
    assert cli.main(["rebuild", "--tape", str(tape), "--out", str(out), *arguments]) == 0
    return [json.loads(line) for line in out.read_bytes().splitlines()]


@dataclass(frozen=True)
class Played:
    """A tape and what was rebuilt from it."""

    tape: Tape
    lines: list[dict[str, Any]]


@pytest.fixture(scope="module", params=["btc-15m", "generated"])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("rebuilt")
    tape = SHIPPED / "btc-15m" if request.param == "btc-15m" else ensure_generated(folder)
    return Played(Tape.open(tape), rebuilt(tape, folder / "books.jsonl"))


def test_every_line_is_well_formed(played: Played) -> None:
    frames = {venue: sum(1 for _ in played.tape.frames(venue)) for venue in VENUES}
    assert {line["venue"] for line in played.lines} == set(VENUES)
    for line in played.lines:
        assert list(line) == FIELDS
        assert line["state"] in get_args(BookState)
        assert (line["state"] == "live") == (not line["reason"])
        assert 0 <= line["frame"] < frames[line["venue"]]
        for name, sign in (("bids", -1), ("asks", 1)):
            prices = [price for price, _ in line[name]]
            assert [sign * price for price in prices] == sorted({sign * price for price in prices})
            assert all(type(price) is type(size) is int for price, size in line[name])
            assert all(0 < price < 10_000 and size > 0 for price, size in line[name])
            assert len(prices) <= DEPTH


def test_no_live_book_is_crossed_and_these_tapes_keep_all_books_live(played: Played) -> None:
    assert {line["state"] for line in played.lines} == {"live"}
    for line in played.lines:
        assert not (line["bids"] and line["asks"]) or line["bids"][0][0] < line["asks"][0][0]


def test_epochs_and_sequences_are_those_of_one_book_that_never_broke(played: Played) -> None:
    seen: dict[tuple[str, str], tuple[int, int]] = {}
    for line in played.lines:
        name = line["venue"], line["market"]
        epoch, sequence = seen.get(name, (line["epoch"], 0))
        assert (line["epoch"], line["sequence"]) == (epoch, sequence + 1)
        seen[name] = (line["epoch"], line["sequence"])
    assert len({(venue, epoch) for (venue, _), (epoch, _) in seen.items()}) == len(seen)


def test_the_lines_come_in_the_order_in_which_the_frames_were_received(played: Played) -> None:
    received = {venue: list(played.tape.stamps(venue)) for venue in VENUES}
    times = [received[line["venue"]][line["frame"]] for line in played.lines]
    assert times == sorted(times)
    for venue in VENUES:
        frames = [line["frame"] for line in played.lines if line["venue"] == venue]
        assert frames == sorted(frames)


def test_every_change_of_every_book_is_a_line_and_nothing_else_is(played: Played) -> None:
    """Against a reader that was written apart from producers and simulators, frame by frame."""
    expected = {(venue, frame, market): sides for venue, frame, market, sides in changes(played.tape)}
    found = {
        (line["venue"], line["frame"], line["market"]): (line["bids"], line["asks"])
        for line in played.lines
        if line["sequence"] > 1 or line["bids"] or line["asks"]
    }
    assert found == expected
    assert len(found) > 1_000


def changes(tape: Tape) -> Iterator[tuple[str, int, str, Sides]]:
    """Every (venue, frame, market) after which a book is another than before."""
    reader, before = Reader(tape), dict[str, Sides]()
    for venue in VENUES:
        for number, frame in enumerate(tape.frames(venue)):
            body = json.loads(frame.text)
            apply = reader.kalshi if venue == "kalshi" else reader.polymarket
            for market in dict.fromkeys(apply(event) for event in (body if isinstance(body, list) else [body])):
                sides = levels(reader.side(market, "bids"), -1), levels(reader.side(market, "asks"), 1)
                if sides != before.get(market, ([], [])):
                    before[market] = sides
                    yield venue, number, market, sides


def levels(ladder: Ladder, sign: int) -> Levels:
    """In integers, best first, as many as are published."""
    prices = sorted(ladder, key=lambda price: sign * price)
    return [[int(price * 10_000), int(ladder[price] * 100)] for price in prices if int(ladder[price] * 100)][:DEPTH]


def test_the_last_books_are_the_simulators(played: Played) -> None:
    last = {line["market"]: (line["bids"], line["asks"]) for line in played.lines}
    for venue in (KalshiVenue(played.tape), PolymarketVenue(played.tape)):
        play(venue, played.tape)
        canonical = venue.canonical()
        assert canonical.keys() <= last.keys()
        for market, book in canonical.items():
            assert last[market] == ([list(level) for level in book.bids], [list(level) for level in book.asks]), market


# What may be asked for


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    return write_damaged_tape(tmp_path / "tape").folder


def test_one_venue_and_some_markets(damaged: Path, tmp_path: Path) -> None:
    everything = rebuilt(damaged, tmp_path / "a")
    kalshi = rebuilt(damaged, tmp_path / "b", "--venue", "kalshi")
    two = rebuilt(damaged, tmp_path / "c", "--market", TICKERS[1], "--market", TICKERS[2])
    assert kalshi == [line for line in everything if line["venue"] == "kalshi"]
    assert two == [line for line in everything if line["market"] in TICKERS[1:]]
    assert {line["market"] for line in two} == set(TICKERS[1:])


def test_as_many_levels_as_wanted(damaged: Path, tmp_path: Path) -> None:
    lines = rebuilt(damaged, tmp_path / "a", "--depth", "1")
    assert max(len(line["bids"]) for line in lines) == 1
    assert max(len(line["bids"]) for line in rebuilt(damaged, tmp_path / "b")) == 2


def test_the_screen_shows_what_a_file_would_hold(
    damaged: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    rebuilt(damaged, tmp_path / "a")
    capfdbinary.readouterr()
    assert cli.main(["rebuild", "--tape", str(damaged)]) == 0
    assert capfdbinary.readouterr().out == (tmp_path / "a").read_bytes()


# Tapes that are not as they should be


def test_broken_frames_and_gaps_are_said_with_the_frame(damaged: Path, tmp_path: Path) -> None:
    """A book stays out of trust until the venue sends it whole: on a tape nobody asks it to."""
    lines = rebuilt(damaged, tmp_path / "a")
    first_broken = {
        venue: next(line for line in lines if line["venue"] == venue and line["state"] != "live") for venue in VENUES
    }
    for venue, line in first_broken.items():
        frames = [frame.text for frame in Tape.open(damaged).frames(venue)]
        with pytest.raises(ValueError, match="Expecting|Unterminated|delimiter"):
            json.loads(frames[line["frame"]])
        assert (line["state"], line["reason"]) == ("recovering", "malformed frame")
    assert {line["market"] for line in lines} >= set(TICKERS)


def test_a_market_that_its_venue_does_not_know_is_no_matter(damaged: Path, tmp_path: Path) -> None:
    assert UNKNOWN not in {line["market"] for line in rebuilt(damaged, tmp_path / "a")}


def test_a_tape_with_one_venue(tmp_path: Path) -> None:
    rest = {"GET /trade-api/v2/markets/A-1": {"market": kalshi_market("A-1")}}
    frames = [(7, snapshot(1, yes=[["0.4000", "10.00"]])), (9, delta(2, "0.4000", "-10.00"))]
    folder = write_tape(tmp_path / "tape", kalshi=frames, kalshi_rest=rest).folder
    lines = rebuilt(folder, tmp_path / "a")
    assert [(line["bids"], line["frame"]) for line in lines] == [([[4000, 1000]], 0), ([], 1)]
    assert rebuilt(folder, tmp_path / "b", "--venue", "polymarket") == []


def test_a_tape_that_was_recorded_with_prices_in_the_yes_leg(tmp_path: Path) -> None:
    rest = {"GET /trade-api/v2/markets/A-1": {"market": kalshi_market("A-1")}}
    frames = [(7, snapshot(1, no=[["0.4500", "10.00"]])), (8, delta(2, "0.4600", "1.00", side="no"))]
    folder = write_tape(tmp_path / "tape", kalshi=frames, kalshi_rest=rest).folder
    assert rebuilt(folder, tmp_path / "a")[-1]["asks"] == [[5400, 100], [5500, 1000]]
    (folder / "tape.yaml").write_text("kalshi: {use_yes_price: true}\n")
    assert rebuilt(folder, tmp_path / "b")[-1]["asks"] == [[4500, 1000], [4600, 100]]


def test_a_market_that_cannot_be_described_is_named_beside_the_lines(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also on the screen nothing stands between the JSON lines."""
    rest = {
        "GET /trade-api/v2/markets/A-1": {"market": kalshi_market("A-1")},
        "GET /trade-api/v2/markets/A-2": {"market": kalshi_market("A-2") | {"price_ranges": "none"}},
    }
    frames = [(7, snapshot(1, yes=[["0.4000", "10.00"]])), (9, snapshot(2, "A-2", yes=[["0.4000", "1.00"]]))]
    folder = write_tape(tmp_path / "tape", kalshi=frames, kalshi_rest=rest).folder
    assert cli.main(["rebuild", "--tape", str(folder)]) == 0
    said = capfd.readouterr()
    assert [json.loads(line)["market"] for line in said.out.splitlines()] == ["A-1"]
    assert "A-2" in said.err


def test_a_torn_line_is_named(damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = damaged / "kalshi" / "frames.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:3], lines[3][:20], *lines[4:]]))
    assert cli.main(["rebuild", "--tape", str(damaged), "--out", str(tmp_path / "a")]) == 2
    assert f"dutchbook rebuild: {file}, line 4: " in capsys.readouterr().err


def test_rebuilding_twice_gives_the_same_bytes(damaged: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        rebuilt(damaged, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
