"""The planted tape: genuine frames, and labels that a brute force of its own comes to from the frames alone."""

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from infra.group_file import read_groups
from infra.rebuild_tape import Player, described
from infra.simulator.planted import generate as planted
from infra.simulator.planted.labels import labels
from infra.simulator.planted.payoffs import Tie, baskets, possible
from infra.simulator.planted.stage import Stage
from infra.simulator.planted.worth import Offer, best, bought
from infra.simulator.tape import Tape, resolve
from producers.transcript import Followed
from schemas.fees import order_fee
from schemas.records import Book, Group, Market, Venue

VENUES: tuple[Venue, Venue] = ("kalshi", "polymarket")
FRESH_NS = 5_000_000_000
FILES = (
    "groups.yaml",
    "labels.json",
    "truth.jsonl",
    *(f"{venue}/{name}" for venue in VENUES for name in ("frames.jsonl", "rest.json")),
)
Key = tuple[Venue, str]
Claims = frozenset[tuple[Venue, str, str]]
Label = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.ensure_planted(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def stage() -> Stage:
    return planted.play()


@pytest.fixture(scope="module")
def found(folder: Path) -> list[Label]:
    content = json.loads((folder / "labels.json").read_text())
    assert isinstance(content, list)
    return content


def claims(label: Label) -> Claims:
    return frozenset((leg["venue"], leg["market"], leg["outcome"]) for leg in label["basket"])


def play(tape: Tape) -> tuple[Player, dict[Key, Market]]:
    """The tape through the producers' own sessions."""
    markets: dict[Venue, list[Market]] = {}
    for venue in VENUES:
        catalogue = described(tape, venue, next(iter(tape.stamps(venue))))
        assert not catalogue.failed
        assert not catalogue.refused
        markets[venue] = [each.market for each in catalogue.found.values()]
    player = Player(tape, 32, {venue: [Followed(market) for market in listed] for venue, listed in markets.items()})
    return player, {(market.venue, market.market): market for listed in markets.values() for market in listed}


# The tape


def test_the_same_seed_gives_the_same_bytes_and_any_seed_keeps_its_promises(folder: Path, tmp_path: Path) -> None:
    planted.generate(tmp_path / "again")
    planted.generate(tmp_path / "other", seed=5)
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
        if name.endswith("frames.jsonl") or name == "labels.json":
            assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_it_is_made_once_in_the_cache(folder: Path) -> None:
    stamp = (folder / "labels.json").stat().st_mtime_ns
    assert planted.ensure_planted(folder.parent) == folder == resolve("planted", folder.parent)
    assert (folder / "labels.json").stat().st_mtime_ns == stamp
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_it_is_small(folder: Path) -> None:
    tape = Tape.open(folder)
    assert sum(1 for venue in VENUES for _ in tape.frames(venue)) < 3_000
    assert sum((folder / name).stat().st_size for name in FILES) < 3_000_000


def test_the_producers_sessions_read_every_frame_and_come_to_what_was_played(folder: Path, stage: Stage) -> None:
    """At the end of every moment: the same ladder, and a live book exactly when the stage says it may be believed."""
    wanted: dict[tuple[str, str], dict[int, Any]] = defaultdict(dict)
    for moment in stage.seen:
        bids, asks = sorted(moment.bids.items(), reverse=True), sorted(moment.asks.items())
        wanted[moment.key][moment.t_ns] = (moment.usable, bids if moment.usable else [], asks if moment.usable else [])
    said: dict[tuple[str, str], dict[int, Any]] = defaultdict(dict)
    player, _ = play(Tape.open(folder))
    for _, received_ns, books in player.play():
        for book in books:
            live = book.state == "live"
            said[book.venue, book.market][received_ns] = (live, *(book.sides() if live else ([], [])))
    assert not player.broken
    assert wanted.keys() == said.keys()
    for key, states in wanted.items():
        ours = theirs = None
        for t_ns in sorted({*states, *said[key]}):
            ours, theirs = states.get(t_ns, ours), said[key].get(t_ns, theirs)
            assert ours == theirs, (key, t_ns)


def test_its_groups_are_what_a_person_could_have_written(folder: Path, found: list[Label]) -> None:
    groups = read_groups(folder / "groups.yaml")
    assert {group.group for group in groups} == {label["group"] for label in found}
    evidence = {group.group: group.risk for group in groups}
    assert evidence["void-risk-0"].void_ppm == 120_000
    assert evidence["void-risk-0"].void_rules == {"kalshi": "nothing", "polymarket": "half"}
    assert evidence["one-level-0"].void_ppm == -1


def test_every_case_is_there_in_both_kinds(found: list[Label]) -> None:
    kinds = {kind: {label["case"] for label in found if label["kind"] == kind} for kind in ("true", "false")}
    assert len(kinds["true"]) > 20
    assert len(kinds["false"]) > 20
    for case in ("augmented", "clock-skew", "duplicate-kalshi", "goes-stale", "paused", "tick-change", "time-value"):
        assert case in kinds["true"] & kinds["false"], case
    assert {label["case"] for label in found if not label["knowable"]} == {"never-coexisted"}


# An independent brute force


def guaranteed(group: Group, augmented: set[Key]) -> dict[Claims, int]:
    """What every set of claims on different markets pays at the least, in dollars; nothing is left out as redundant."""
    keys = [(member.venue, member.market) for member in group.members]
    outcomes = []
    for values in product((False, True), repeat=len(keys)):
        allowed = True
        for relation in group.relations:
            said = [values[at] for at in relation.members]
            if relation.kind == "same":
                allowed &= all(said) or not any(said)
            elif relation.kind == "complement":
                allowed &= said.count(True) == 1
            elif relation.kind == "implies":
                allowed &= said == sorted(said)
            elif relation.kind == "exclusive":
                allowed &= said.count(True) <= 1
            elif not augmented & {keys[at] for at in relation.members}:
                allowed &= any(said)
        if allowed:
            outcomes.append(dict(zip(keys, values, strict=True)))
    pays = {}
    for sides in product(("", "yes", "no"), repeat=len(keys)):
        chosen = frozenset((*key, side) for key, side in zip(keys, sides, strict=True) if side)
        if chosen:
            least = min(sum(outcome[v, m] == (side == "yes") for v, m, side in chosen) for outcome in outcomes)
            if least:
                pays[chosen] = least
    return pays


def asks(book: Book, side: str) -> list[tuple[int, int]]:
    bids, offers = book.sides()
    return offers if side == "yes" else [(10_000 - price, size) for price, size in bids]


def cash(ladders: list[tuple[Market, list[tuple[int, int]]]], quantity: int, pays: int) -> int | None:
    """Gross less fees of a quantity, by the production's fee arithmetic; None when a venue takes no such order."""
    net = pays * 10_000 * quantity
    for market, ladder in ladders:
        left, fills, cost = quantity, [], 0
        for price, size in ladder:
            taken = min(left, size)
            if taken:
                fills.append((price, taken * 10_000))
                cost, left = cost + price * taken, left - taken
        if left or quantity < market.minimum_quantity or cost < market.minimum_value:
            return None
        net -= cost + order_fee(market.fee, fills)
    return net


def quantities(ladders: list[tuple[Market, list[tuple[int, int]]]]) -> Iterator[int]:
    """Every half contract, every end of a level with its neighbours, and the smallest orders."""
    depth = min(sum(size for _, size in ladder) for _, ladder in ladders)
    yield from range(50, depth + 1, 50)
    for market, ladder in ladders:
        end = 0
        for price, size in ladder:
            end += size
            yield from (at for at in (end - 1, end, end + 1) if 0 < at <= depth)
            yield min(depth, max(market.minimum_quantity, -(-market.minimum_value // price)))


def peak(ladders: list[tuple[Market, list[tuple[int, int]]]], pays: int, charge: int) -> int:
    nets = [
        net - charge * quantity
        for quantity in set(quantities(ladders))
        if (net := cash(ladders, quantity, pays)) is not None
    ]
    return max(nets, default=-1)


class Judge:
    """Follows one group's books and says which sets of claims pay, with a charge for time and risk."""

    def __init__(self, group: Group, markets: dict[Key, Market]) -> None:
        self.markets = {(member.venue, member.market): markets[member.venue, member.market] for member in group.members}
        augmented = {key for key, market in self.markets.items() if market.negative_risk_augmented}
        self.pays = guaranteed(group, augmented)
        self.books: dict[Key, Book] = {}
        risk = group.risk
        self.void = 0.001 if risk.void_ppm < 0 else risk.void_ppm / 1e6
        self.mismatch = 0.001 if risk.mismatch_ppm < 0 else risk.mismatch_ppm / 1e6

    def paying(self, now_ns: int, heard: dict[str, int]) -> set[Claims]:
        usable = {
            key: book
            for key, book in self.books.items()
            if book.state == "live"
            and now_ns - heard[book.venue] <= FRESH_NS
            and not (book.venue == "kalshi" and self.markets[key].close_ns <= now_ns)
        }
        return {
            chosen
            for chosen, pays in self.pays.items()
            if all((v, m) in usable for v, m, _ in chosen) and self._pays(chosen, pays, usable, now_ns)
        }

    def _pays(self, chosen: Claims, pays: int, usable: dict[Key, Book], now_ns: int) -> bool:
        ladders = [(self.markets[v, m], asks(usable[v, m], side)) for v, m, side in sorted(chosen)]
        if any(not ladder for _, ladder in ladders) or sum(ladder[0][0] for _, ladder in ladders) >= pays * 10_000:
            return False
        days = (max(market.close_ns for market, _ in ladders) - now_ns) / 86_400e9 + 0.2
        mismatch = self.mismatch if len({market.venue for market, _ in ladders}) == 2 else 0
        charge = 0.05 * days / 365 * pays + self.void * 0.5 + mismatch
        return peak(ladders, pays, round(charge * 10_000)) > 0


def indivisible(paying: set[Claims], pays: dict[Claims, int]) -> set[Claims]:
    """Without the sets that pay only because of a part of them, or that are two of them side by side."""
    return {
        whole
        for whole in paying
        if not any(
            part < whole and pays[part] + pays.get(whole - part, 0) >= pays[whole] for part in pays if part < whole
        )
    }


def test_the_labels_are_those_of_a_brute_force_over_the_frames(folder: Path, found: list[Label]) -> None:
    tape = Tape.open(folder)
    player, markets = play(tape)
    groups = read_groups(folder / "groups.yaml")
    judges = {group.group: Judge(group, markets) for group in groups}
    home = {(member.venue, member.market): group.group for group in groups for member in group.members}
    expected: dict[str, list[Label]] = defaultdict(list)
    for label in found:
        if label["kind"] == "true" or not label["knowable"]:
            expected[label["group"]].append(label)
    edges = defaultdict(set)
    for label in found:
        if label in expected[label["group"]]:
            edges[label["t_open_ns"]].add(label["group"])
            edges[label["t_close_ns"]].add(label["group"])
    heard: dict[str, int] = {}
    checked = 0
    for now_ns, entries in moments(player):
        touched = set(edges.pop(now_ns, ()))
        for venue, books in entries:
            heard[venue] = now_ns
            for book in books:
                name = home.get((book.venue, book.market))
                if name is not None:
                    judges[name].books[book.venue, book.market] = book
                    touched.add(name)
        if len(heard) < 2:
            continue
        for name in touched:
            judge = judges[name]
            wanted = {claims(one) for one in expected[name] if one["t_open_ns"] <= now_ns < one["t_close_ns"]}
            assert indivisible(judge.paying(now_ns, heard), judge.pays) == wanted, (name, now_ns)
            checked += len(wanted)
    assert checked >= len([label for label in found if label["kind"] == "true"])
    assert not edges, "an edge comes or goes without a frame"


def moments(player: Player) -> Iterator[tuple[int, list[tuple[str, list[Book]]]]]:
    """Everything that was received at one moment together."""
    now_ns, entries = 0, list[tuple[str, list[Book]]]()
    for venue, received_ns, books in player.play():
        if received_ns != now_ns and entries:
            yield now_ns, entries
            entries = []
        now_ns = received_ns
        entries.append((venue, books))
    yield now_ns, entries


def test_a_true_label_is_worth_what_it_says_and_no_other_size_is_worth_more(folder: Path, found: list[Label]) -> None:
    player, markets = play(Tape.open(folder))
    opening = defaultdict(list)
    for label in found:
        if label["kind"] == "true":
            opening[label["t_open_ns"]].append(label)
    books: dict[Key, Book] = {}
    for now_ns, entries in moments(player):
        for _, said in entries:
            books |= {(book.venue, book.market): book for book in said}
        for label in opening.pop(now_ns, ()):
            legs = sorted(claims(label))
            ladders = [(markets[v, m], asks(books[v, m], side)) for v, m, side in legs]
            pays = len(legs) - 1 if all(side == "no" for _, _, side in legs) and len(legs) > 2 else 1
            if label["group"] == "buckets-1":
                pays = 2
            assert cash(ladders, label["quantity"], pays) == label["net"] == label["gross"] - label["fees"]
            others = [cash(ladders, quantity, pays) for quantity in set(quantities(ladders)) - {label["quantity"]}]
            assert max(net for net in others if net is not None) < label["net"]
            small = label["case"] in ("order-rounding", "time-value")
            assert label["net"] >= (0 if small else 2) * label["quantity"] * 100
    assert not opening


def test_what_tempts_in_time_of_lag_is_nothing_in_order_of_receipt(folder: Path, found: list[Label]) -> None:
    """Who hears Polymarket later by the label's lag sees the crossing; in order of receipt nobody does."""
    for label in found:
        if label["case"] == "replication-lag":
            lag_ns = int(label["reason"].split()[-3]) * 1_000_000
            assert crossed(folder, label, 0) == set()
            (late,) = crossed(folder, label, lag_ns)
            assert late == (label["t_open_ns"], label["t_close_ns"])


def crossed(folder: Path, label: Label, lag_ns: int) -> set[tuple[int, int]]:
    """When a basket's best prices cost less than a dollar, if Polymarket's frames were later."""
    player, _ = play(Tape.open(folder))
    changes = []
    for venue, received_ns, books in player.play():
        late = lag_ns if venue == "polymarket" else 0
        changes += [(received_ns + late, book) for book in books]
    tops: dict[Key, Book] = {}
    since, seen = 0, set()
    for t_ns, book in sorted(changes, key=lambda change: change[0]):
        tops[book.venue, book.market] = book
        ladders = [asks(tops[v, m], side) if (v, m) in tops else [] for v, m, side in claims(label)]
        crosses = all(ladders) and sum(ladder[0][0] for ladder in ladders) < 10_000
        if crosses and not since:
            since = t_ns
        elif since and not crosses:
            seen.add((since, t_ns))
            since = 0
    return seen


def test_false_labels_tempt(folder: Path, found: list[Label]) -> None:
    """What fees, sizes, risk and time decide crosses before them; what is stale or stopped crosses in last books."""
    names = {
        *("fees", "flat-fees", "nearest-cent", "third-level", "minimum-size", "void-risk", "mismatch-risk"),
        *("time-value", "whole-cents", "stale", "goes-stale", "clock-skew", "sequence-gap", "stopped", "paused"),
        *("closed-by-the-clock", "polarity", "subset"),
    }
    player, _ = play(Tape.open(folder))
    opening = defaultdict(list)
    for label in found:
        if label["kind"] == "false" and label["case"] in names:
            opening[label["t_open_ns"]].append(label)
    books: dict[Key, Book] = {}
    for now_ns, entries in moments(player):
        for _, said in entries:
            books |= {(book.venue, book.market): book for book in said}
        for label in opening.pop(now_ns, ()):
            assert sum(asks(books[v, m], side)[0][0] for v, m, side in claims(label)) < 10_000, label
    assert not opening


# The generator's own arithmetic


@pytest.mark.parametrize(
    ("markets", "ties", "wanted"),
    [
        (2, [Tie("same", (0, 1))], {"0y 1n": 1, "0n 1y": 1}),
        (2, [Tie("complement", (0, 1))], {"0y 1y": 1, "0n 1n": 1}),
        (2, [Tie("implies", (0, 1))], {"0n 1y": 1}),
        (3, [Tie("exclusive", (0, 1, 2))], {"0n 1n": 1, "0n 2n": 1, "1n 2n": 1, "0n 1n 2n": 2}),
        (3, [Tie("exhaustive", (0, 1, 2))], {"0y 1y 2y": 1}),
        (3, [Tie("implies", (0, 1, 2))], {"0n 1y": 1, "0n 2y": 1, "1n 2y": 1}),
    ],
)
def test_baskets_by_trying_everything(markets: int, ties: list[Tie], wanted: dict[str, int]) -> None:
    known = baskets(markets, possible(markets, ties))
    assert {" ".join(f"{at}{side[0]}" for at, side in sorted(one)): pays for one, pays in known.items()} == wanted


def test_the_best_size_is_found_by_trying_every_one() -> None:
    kalshi = Offer("kalshi", [(4500, 310), (4600, 5_000)], 70_000)
    polymarket = Offer("polymarket", [(4550, 700), (5100, 900)], 70_000, 500, 1_000_000)
    nets = {q: 10_000 * q - sum(bought(kalshi, q)) - sum(bought(polymarket, q)) for q in range(500, 1_601)}
    (worth,) = best([kalshi, polymarket], 10_000)
    assert worth is not None
    assert worth.net == max(nets.values()) == nets[worth.quantity]
    assert best([kalshi, Offer("polymarket", [(4550, 400)], 70_000, 500)], 10_000) == [None]


def test_labels_say_what_went_wrong(stage: Stage) -> None:
    """A case that does not keep its promise is named."""
    cast = next(cast for cast in stage.casts if cast.name == "one-level-0")
    kept = cast.expected.pop()
    with pytest.raises(ValueError, match="one-level-0"):
        labels(stage)
    cast.expected.append(kept)
