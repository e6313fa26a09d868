"""The generated tape: nothing crosses but the planted edges, and each is worth what its answer says."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from infra.simulator.generate import ensure_generated, generate
from infra.simulator.plant import FALSE_REASONS
from infra.simulator.tape import Tape, resolve
from tests.unit.infra.simulator.replayed import Reader
from tests.unit.infra.simulator.test_edges import kalshi_by_fractions, polymarket_by_fractions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_generated(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def answers(folder: Path) -> list[dict[str, Any]]:
    found = json.loads((folder / "answers.json").read_text())
    assert isinstance(found, list)
    return found


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(tmp_path: Path) -> None:
    names = [
        "answers.json",
        "groups.yaml",
        *(f"{venue}/{file}" for venue in ("kalshi", "polymarket") for file in ("frames.jsonl", "rest.json")),
    ]
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        generate(tmp_path / name, seed, pairs=6, minutes=0.5, planted_true=2, planted_false=3)
    for file in names:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
        if file.endswith("frames.jsonl"):
            assert (tmp_path / "a" / file).read_bytes() != (tmp_path / "c" / file).read_bytes()


def test_it_is_made_once_in_the_cache(folder: Path) -> None:
    stamp = (folder / "answers.json").stat().st_mtime_ns
    assert ensure_generated(folder.parent) == folder == resolve("generated", folder.parent)
    assert (folder / "answers.json").stat().st_mtime_ns == stamp
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("wrong", [{"pairs": 5, "planted_true": 3, "planted_false": 3}, {"minutes": 0.1}])
def test_impossible_wishes_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="planted edges|15 seconds"):
        generate(tmp_path, **wrong)


def test_it_is_as_long_and_as_busy_as_promised(folder: Path) -> None:
    tape = Tape.open(folder)
    frames = [(due, frame) for venue in ("kalshi", "polymarket") for due, frame in tape.timeline(venue)]
    seconds = max(due for due, _ in frames) / 1e9
    assert 85 < seconds < 95
    assert 10 <= len(frames) / seconds <= 20
    assert len(tape.groups()) == 50


def test_nothing_crosses_outside_the_planted_edges(folder: Path, answers: list[dict[str, Any]]) -> None:
    """At every moment of the merged order the pairs that cross before fees are exactly the planted ones."""
    tape = Tape.open(folder)
    groups = {group["group"]: {m["venue"]: m["market"] for m in group["members"]} for group in tape.groups()}
    pair_of = {market: name for name, members in groups.items() for market in members.values()}
    reader, crossing, seen = Reader(tape), dict[str, int](), set[tuple[str, int, int]]()
    for received, _, market in reader.moments():
        name = pair_of[market]
        ladders = [reader.books.get(each, {"bids": {}, "asks": {}}) for each in groups[name].values()]
        bids = [max(ladder["bids"], default=Decimal(0)) for ladder in ladders]
        asks = [min(ladder["asks"], default=Decimal(1)) for ladder in ladders]
        assert all(bid < ask for bid, ask in zip(bids, asks, strict=True)), f"{name} crosses within a venue"
        crosses = max(bids) >= min(asks)
        if crosses and name not in crossing:
            crossing[name] = received
        elif not crosses and name in crossing:
            seen.add((name, crossing.pop(name), received))
        elif crosses:
            pytest.fail(f"{name} moved while its edge stood")
    assert not crossing
    assert seen == {(answer["group"], answer["t_open_ns"], answer["t_close_ns"]) for answer in answers}
    assert all(closed - opened >= 2_000_000_000 for _, opened, closed in seen)


def ladder_at(reader: Reader, market: str, outcome: str) -> list[list[int]]:
    sides = reader.books[market]
    claim = sides["asks"] if outcome == "yes" else {1 - price: size for price, size in sides["bids"].items()}
    return [[int(price * 10_000), int(size * 100)] for price, size in sorted(claim.items())]


def test_the_answers_ladders_are_those_of_the_tape(folder: Path, answers: list[dict[str, Any]]) -> None:
    opening = {answer["t_open_ns"]: answer for answer in answers}
    reader = Reader(Tape.open(folder))
    for received, _, _ in reader.moments():
        answer = opening.pop(received, None)
        if answer is not None:
            for leg, ladder in zip(answer["basket"], answer["ladders"], strict=True):
                assert ladder == ladder_at(reader, leg["market"], leg["outcome"])
                assert [leg["price"], leg["size"]] == ladder[0]
    assert not opening


def filled(ladder: list[list[int]], quantity: int) -> list[tuple[int, int]]:
    fills = []
    for price, size in ladder:
        if quantity:
            fills.append((price, min(size, quantity)))
            quantity -= fills[-1][1]
    return fills


def net(answer: dict[str, Any], quantity: int) -> Fraction:
    """Profit in dollars by fractions only."""
    total = Fraction(quantity, 100)
    for leg, ladder in zip(answer["basket"], answer["ladders"], strict=True):
        cost = kalshi_by_fractions if leg["venue"] == "kalshi" else polymarket_by_fractions
        total -= cost(filled(ladder, quantity))
    return total


def test_a_true_edge_is_worth_its_answer_and_no_neighbour_is_better(answers: list[dict[str, Any]]) -> None:
    true = [answer for answer in answers if answer["kind"] == "true"]
    assert len(true) == 12
    for answer in true:
        quantity = answer["quantity"]
        best = net(answer, quantity)
        assert best == Fraction(answer["net"], 1_000_000) >= Fraction(1, 4)
        depth = min(sum(size for _, size in ladder) for ladder in answer["ladders"])
        others = [*range(500, depth, 100), *range(max(500, quantity - 30), min(depth, quantity + 30))]
        assert all(net(answer, other) < best for other in others if other != quantity)


def test_a_false_edge_crosses_but_never_pays(answers: list[dict[str, Any]]) -> None:
    false = [answer for answer in answers if answer["kind"] == "false"]
    assert {answer["reason"] for answer in false} == set(FALSE_REASONS)
    for answer in false:
        assert answer["quantity"] is None
        assert sum(ladder[0][0] for ladder in answer["ladders"]) < 10_000
        depth = min(sum(size for _, size in ladder) for ladder in answer["ladders"])
        (dollars,) = (
            ladder
            for leg, ladder in zip(answer["basket"], answer["ladders"], strict=True)
            if leg["venue"] == "polymarket"
        )
        permitted = [
            q for q in range(500, min(depth, 3_000), 20) if sum(p * s for p, s in filled(dollars, q)) >= 1_000_000
        ]
        assert all(net(answer, quantity) < 0 for quantity in permitted)
