"""The frames that producers are measured with are those of a sound feed."""

import json
from pathlib import Path

import pytest

from bench.frames import LEVELS, Load, frames_of, kalshi_ticker, opening, polymarket_facts
from bench.normalise import SPACING_NS, run_once
from bench.stack import BenchFailed
from bench.tape import write_tape
from infra.groups import read_groups
from infra.simulator.tape import Tape
from schemas.records import Venue
from schemas.topics import HOME

LOAD = Load(markets=3, rate=100, seconds=4)


@pytest.mark.parametrize("venue", HOME)
def test_there_are_as_many_frames_as_asked_for_and_the_same_ones_again(venue: Venue) -> None:
    frames = frames_of(venue, LOAD)
    assert len(frames) == opening(venue, LOAD) + LOAD.rate * LOAD.seconds
    assert frames == frames_of(venue, LOAD)


def test_kalshi_numbers_have_no_gap_and_every_kind_comes() -> None:
    numbers: dict[int, list[int]] = {}
    kinds = set()
    for data in frames_of("kalshi", LOAD):
        frame = json.loads(data)
        numbers.setdefault(frame["sid"], []).append(frame["seq"])
        kinds.add(frame["type"])
    assert kinds == {"orderbook_snapshot", "orderbook_delta", "trade"}
    assert all(given == list(range(1, len(given) + 1)) for given in numbers.values())


def test_polymarket_opens_with_all_books_whole_and_every_kind_comes() -> None:
    first, *others = frames_of("polymarket", LOAD)
    books = json.loads(first)
    tokens = {token for number in range(LOAD.markets) for token in polymarket_facts(number).tokens}
    assert {book["asset_id"] for book in books} == tokens
    assert {len(book[side]) for book in books for side in ("bids", "asks")} == {LEVELS}
    assert {json.loads(data)["event_type"] for data in others} == {"price_change", "book", "last_trade_price"}


@pytest.mark.parametrize("venue", HOME)
def test_a_session_takes_every_frame_for_sound(venue: Venue) -> None:
    run = run_once(venue, frames_of(venue, LOAD), LOAD, SPACING_NS)
    assert run.frames == LOAD.rate * LOAD.seconds
    assert run.books > 0.9 * run.frames
    assert (run.checked > 0.9 * run.frames) == (venue == "polymarket")


@pytest.mark.parametrize("venue", HOME)
def test_a_lost_frame_is_no_measurement(venue: Venue) -> None:
    frames = frames_of(venue, LOAD)
    changes = [number for number, data in enumerate(frames) if b"orderbook_delta" in data or b"price_change" in data]
    lost = changes[len(changes) // 2]
    with pytest.raises(BenchFailed, match=venue):
        run_once(venue, frames[:lost] + frames[lost + 1 :], LOAD, SPACING_NS)


def test_a_tape_holds_frames_catalogue_and_the_wanted_groups(tmp_path: Path) -> None:
    tape = Tape.open(write_tape(tmp_path, LOAD, grouped=2))
    for venue in HOME:
        assert [frame.text.encode() for frame in tape.frames(venue)] == frames_of(venue, LOAD)
    assert f"GET /trade-api/v2/markets/{kalshi_ticker(2)}" in tape.rest("kalshi")
    assert f"GET /clob-markets/{polymarket_facts(2).condition_id}" in tape.rest("polymarket")
    groups = read_groups(tmp_path / "groups.yaml")
    assert [member.market for member in groups[1].members] == [kalshi_ticker(1), polymarket_facts(1).condition_id]
    assert len(groups) == 2
