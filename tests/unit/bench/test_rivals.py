"""The scoreboard: each rule does what its description says, and the score is what its page says."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.rivals import __main__ as board
from bench.rivals import cached, cents, ours, spread, vwap
from bench.rivals.found import Found, Leg, Offer, follow
from bench.rivals.parsers import FallingAsks, FreshTopOnly, UncheckedKalshi
from bench.rivals.score import fill, limit_of, score, trade, worst_payout
from bench.rivals.world import Circle, Claim, History, Key, Label, Shown, Terms, World, load
from infra.simulator.planted.generate import ensure_planted
from infra.simulator.planted.payoffs import Tie
from infra.simulator.planted.worth import Offer as Asks
from infra.simulator.planted.worth import bought
from infra.simulator.tape import Tape

K: Key = ("kalshi", "K")
P: Key = ("polymarket", "P")
YES_NO: tuple[Claim, Claim] = (("kalshi", "K", "yes"), ("polymarket", "P", "no"))
DAY_NS = 86_400_000_000_000


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_planted(tmp_path_factory.mktemp("cache"))


# What their parsers see


def snapshot(yes: Any = (), no: Any = ()) -> dict[str, Any]:
    body = {"market_ticker": "K", "yes_dollars_fp": yes, "no_dollars_fp": no}
    return {"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": body}


def delta(side: str, price: str, size: str) -> dict[str, Any]:
    body = {"market_ticker": "K", "side": side, "price_dollars": price, "delta_fp": size}
    return {"type": "orderbook_delta", "sid": 1, "seq": 9, "msg": body}


def change(*entries: tuple[str, str, str], best_ask: str) -> dict[str, Any]:
    listed = [
        {"asset_id": "1", "side": side, "price": price, "size": size, "best_ask": best_ask}
        for side, price, size in entries
    ]
    return {"event_type": "price_change", "market": "P", "price_changes": listed}


def whole(*asks: tuple[str, str]) -> dict[str, Any]:
    levels = [{"price": price, "size": size} for price, size in asks]
    return {"event_type": "book", "market": "P", "asset_id": "1", "asks": levels, "bids": []}


def test_kalshi_without_a_look_at_the_sequence_counts_a_repetition_twice() -> None:
    book = UncheckedKalshi()
    assert book.take(snapshot(yes=[["0.4000", "5.00"]], no=[["0.5500", "3.00"]])) == K
    assert (book.ask("K", "yes"), book.ask("K", "no")) == ((4500, 300), (6000, 500))
    for _ in range(2):
        book.take(delta("no", "0.5600", "3.00"))
    assert book.ask("K", "yes") == (4400, 600)
    book.take(delta("no", "0.5600", "-9.00"))
    assert book.ask("K", "yes") == (4500, 300)
    assert book.take({"type": "market_lifecycle_v2", "sid": 3, "msg": {"market_ticker": "K"}}) is None


def test_an_ask_falls_but_never_rises() -> None:
    book = FallingAsks()
    assert book.take(whole(("0.50", "10"), ("0.45", "7"))) == "P"
    book.take(change(("SELL", "0.45", "0"), ("SELL", "0.60", "9"), best_ask="0.50"))
    assert book.asks["1"] == (4500, 700)
    book.take(change(("SELL", "0.44", "9"), ("BUY", "0.30", "9"), best_ask="0.44"))
    assert book.asks["1"] == (4400, 900)
    book.take(whole())
    assert not book.asks


def test_changes_reach_the_top_only() -> None:
    book = FreshTopOnly()
    book.take(whole(("0.50", "10"), ("0.45", "7")))
    book.take(change(("SELL", "0.50", "900"), best_ask="0.45"))
    assert book.asks["1"] == [(4500, 700), (5000, 1000)]
    book.take(change(("SELL", "0.44", "3"), best_ask="0.44"))
    assert book.asks["1"] == [(4400, 300), (4500, 700), (5000, 1000)]
    book.take(change(("SELL", "0.44", "0"), ("SELL", "0.45", "0"), best_ask="0.48"))
    assert book.asks["1"] == [(5000, 1000)]


# The rules


def test_whole_cents_round_prices_and_a_contracts_fee_and_take_polymarket_for_free() -> None:
    assert [cents.whole_cents(price) for price in (4540, 4550, 4560)] == [45, 46, 46]
    assert [cents.kalshi_fee(price) for price in (1, 5, 50)] == [1, 1, 2]
    assert cents.decide((4500, 1_050), (5_240, 700)) == Offer(700, (4500, 5200), 7 * 10_000)
    assert cents.decide((4500, 1_050), (5_250, 700)) is None  # 45 + 53 + 2
    assert cents.decide((400, 1_000), (9_520, 1_000)) is None  # the true fee would leave half a cent
    assert cents.decide((4500, 90), (4_000, 700)) is None  # less than a contract
    assert cents.decide(None, (4000, 700)) is None
    assert cents.contracts(50, 500_000) == 65_535 // 50


def test_cached_prices_want_three_cents_after_an_orders_fees() -> None:
    rates = (70_000, 70_000)
    # 0.07 x 0.5 x 0.5 is 1.75 cents a contract: 18 cents an order of ten at Kalshi, 17.5 at Polymarket.
    assert cached.decide(5000, 4349, rates) is None
    offer = cached.decide(5000, 4300, rates)
    assert offer is not None
    assert (offer.quantity, offer.limits) == (1_000, (5000, 4300))
    assert offer.claimed == 700_000 - 180_000 - 171_570
    assert cached.decide(None, 4000, rates) is None


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Will Ada win the race in Rome", "Ada to win the race in Rome", True),
        ("Will Ada beat Bea in Rome", "Will Bea beat Ada in Rome", True),
        ("Will Ada win the race in Rome", "Race winner is Ada", False),
        ("Will Ada win in Rome today", "Will Ada draw in Rome today", False),
    ],
)
def test_titles_are_compared_word_by_word(left: str, right: str, same: bool) -> None:
    assert cached.alike(left, right) is same


def test_three_hundred_dollars_are_averaged_with_a_flat_fee_and_a_yearly_return() -> None:
    swept = vwap.sweep([(4000, 50_000), (5000, 50_000)])
    assert swept is not None
    assert (swept.quantity, swept.spent, swept.worst) == (70_000, 300_000_000, 5000)
    assert vwap.sweep([]) is None
    # 50 + 46 + 1.75 + 0.92 leaves 1.33 cents: enough for 20 days, not for 60.
    deep = [(5000, 100_000)], [(4600, 100_000)]
    assert vwap.decide(*deep, days=20) == Offer(60_000, (5000, 4600), round(0.0133 * 60_000 * 10_000))
    assert vwap.decide(*deep, days=60) is None
    assert vwap.decide(*deep, days=0) is None
    assert vwap.decide(deep[0], [(4600, 1_000), (6000, 99_000)], days=20) is None  # only the top is cheap


def test_the_raw_spread_knows_neither_fees_nor_sizes() -> None:
    assert spread.decide(4990, 5000) == Offer(1_000, (4990, 5000), 10_000)
    assert spread.decide(5000, 5000) is None
    assert spread.decide(5000, None) is None


def test_a_rule_is_followed_through_a_pairs_two_directions() -> None:
    prices = {K: (40, 60), P: (45, 70)}

    def decide(pair: Any, bought: str, opposite: str) -> Offer | None:
        pick = {"yes": 0, "no": 1}
        total = prices[pair[0]][pick[bought]] + prices[pair[1]][pick[opposite]]
        return Offer(total, (0, 0), 0) if total < 100 else None

    def updates() -> Any:
        for t_ns, key, now in ((1, P, (45, 55)), (2, K, (40, 50)), (3, P, (45, 70)), (4, K, (60, 60))):
            prices[key] = now
            yield t_ns, key

    found = follow([(K, P, False)], updates(), decide, end_ns=9)
    times = [
        (sorted(claim[2] for claim in one.claims), one.legs[0].claim[2], one.open_ns, one.close_ns) for one in found
    ]
    assert times == [(["no", "yes"], "yes", 1, 3), (["no", "yes"], "no", 2, 4)]
    assert found[0].legs[0].quantity == 95
    prices[P] = (45, 70)
    prices[K] = (40, 60)
    (opposite,) = follow([(K, P, True)], [(5, K)], decide, end_ns=9)
    assert {leg.claim for leg in opposite.legs} == {(*K, "yes"), (*P, "yes")}


# The score


def world(*labels: Label, relation: str = "same", **more: Any) -> World:
    """Two markets: Kalshi sells YES at 45 (10) and 46 (20), Polymarket NO at 47 (15), until both move at 1000."""
    terms = {
        K: Terms(K, "k", 70_000, 1, 0, 20 * DAY_NS),
        P: Terms(P, "p", 70_000, 500, 1_000_000, 20 * DAY_NS),
    }
    truth = [
        Shown(0, K, [(4400, 1_000)], [(4500, 1_000), (4600, 2_000)], usable=True, grid=100),
        Shown(0, P, [(5300, 1_500)], [(5400, 1_000)], usable=True, grid=100),
        Shown(1_000, K, [(4400, 1_000)], [(6000, 1_000)], usable=False, grid=100),
        Shown(1_000, P, [(3000, 1_500)], [(5400, 1_000)], usable=True, grid=100),
    ]
    circle = Circle("g", (K, P), (Tie(relation, (0, 1)),), **more)
    return World(Tape(Path("nowhere")), terms, {"g": circle}, list(labels), History(truth))


def label(open_ns: int, close_ns: int, *, true: bool = True, knowable: bool = True) -> Label:
    return Label("g", "case", frozenset(YES_NO), true, knowable, open_ns, close_ns, net=1)


def found(open_ns: int, close_ns: int, quantity: int = 1_000, limits: tuple[int, int] = (4500, 4700)) -> Found:
    legs = tuple(Leg(claim, quantity, limit) for claim, limit in zip(YES_NO, limits, strict=True))
    return Found(legs, 7, open_ns, close_ns)


def test_found_missed_and_phantom() -> None:
    made = world(label(10, 20), label(30, 40), label(50, 60))
    right = score("x", [found(10, 20), found(35, 40)], made)
    assert (right.found, len(right.missed), right.phantoms) == (2, 1, ())
    assert right.missed[0].open_ns == 50
    late = score("x", [found(15, 21), found(22, 25), found(41, 41), found(8, 10)], made)
    assert (late.found, len(late.missed)) == (1, 2)
    assert [one.open_ns for one in late.phantoms] == [15, 22, 8]
    through = score("x", [found(10, 60)], made)
    assert (through.found, len(through.phantoms)) == (3, 1)


def test_other_claims_of_the_group_are_a_phantom_and_miss_the_edge() -> None:
    reverse = tuple(Leg((*claim[:2], "no" if claim[2] == "yes" else "yes"), 100, 5000) for claim in YES_NO)
    result = score("x", [Found(reverse, 0, 10, 20)], world(label(10, 20)))
    assert (result.found, len(result.missed), len(result.phantoms)) == (0, 1, 1)


def test_what_nobody_can_know_is_told_apart() -> None:
    made = world(label(10, 20, true=False, knowable=False), label(30, 40, true=False))
    result = score("x", [found(10, 20), found(30, 40)], made)
    assert (result.found, len(result.missed), result.unknowable) == (0, 0, 1)
    assert [one.open_ns for one in result.phantoms] == [30]
    assert [one.open_ns for one in score("x", [found(10, 21)], made).phantoms] == [10]


def test_both_legs_fill_at_true_prices_with_exact_fees() -> None:
    made = world()
    both = trade(found(10, 20, quantity=1_500, limits=(4600, 4700)), made)
    spent = [
        sum(bought(Asks("kalshi", [(4500, 1_000), (4600, 2_000)], 70_000), 1_500)),
        sum(bought(Asks("polymarket", [(4700, 1_500)], 70_000), 1_500)),
    ]
    assert both.filled == (1_500, 1_500)
    assert both.net == 15_000_000 - sum(spent)
    assert not both.uneven
    assert both.adjusted < both.net - 15_000_000 * 0.002


def test_a_leg_left_alone_is_lost() -> None:
    moved = trade(found(1_500, 1_600), world())  # Kalshi trades no more, Polymarket's bid fell to 30
    assert moved.filled == (0, 0)
    assert moved.net == 0
    alone = trade(found(10, 20, limits=(4500, 4600)), world())
    assert (alone.filled, alone.uneven) == ((1_000, 0), True)
    assert alone.net == -sum(bought(Asks("kalshi", [(4500, 1_000)], 70_000), 1_000))


def test_orders_that_the_venue_refuses_fill_nothing() -> None:
    made, no = world(), YES_NO[1]
    assert fill(Leg(no, 499, 4700), made, 0)[0] == 0  # fewer than five shares
    assert fill(Leg(no, 500, 4700), made, 0)[0] == 500
    assert fill(Leg(no, 500, 4799), made, 0)[:2] == (500, 500 * 4700)
    assert fill(Leg(no, 1_000, 900), made, 0)[0] == 0  # less than a dollar
    assert fill(Leg(YES_NO[0], 1_000, 4599), made, 0)[0] == 1_000  # off the grid: rounded down to 45


def test_the_worst_outcome_is_the_relations() -> None:
    held = {YES_NO[0]: 1_000, YES_NO[1]: 700}
    assert worst_payout(held, world()) == 7_000_000
    assert worst_payout(held, world(relation="complement")) == 0
    either = {YES_NO[0]: 1_000, ("polymarket", "P", "yes"): 700}
    assert worst_payout(either, world(relation="exhaustive")) == 7_000_000
    assert worst_payout(either, world(relation="exhaustive", augmented=True)) == 0


def test_the_same_offer_is_not_bought_twice() -> None:
    made = world(label(10, 40))
    assert len(score("x", [found(10, 20), found(15, 30), found(20, 40)], made).trades) == 2


def test_the_limit_is_the_worst_price_that_a_quantity_reaches() -> None:
    book = world().truth.at(K, 0)
    assert [limit_of(book, "yes", quantity) for quantity in (1, 1_000, 1_001, 9_999)] == [4500, 4500, 4600, 4600]
    assert limit_of(None, "yes", 1) == 0


# Our own row


def line(event: str, t_ns: int, price: int = 4500, size: int = 1_000, quantity: int = 1_200) -> dict[str, Any]:
    basket = [
        {"venue": "kalshi", "market": "K", "outcome": "yes", "price": price, "size": size},
        {"venue": "polymarket", "market": "P", "outcome": "no", "price": 4700, "size": 1_500},
    ]
    return {"group": "g", "basket": basket, "event": event, "t_ns": t_ns, "quantity": quantity, "net": 5}


def test_the_scans_lines_become_findings() -> None:
    made = world()
    made.__dict__["careful"], made.__dict__["span_ns"] = made.truth, (0, 99)
    lines = [line("opened", 10), line("changed", 12, quantity=9), line("closed", 20), line("opened", 30, price=4300)]
    first, second = ours.findings(lines, made)
    assert (first.open_ns, first.close_ns, first.claimed) == (10, 20, 5)
    assert first.legs == (Leg(YES_NO[0], 1_200, 4600), Leg(YES_NO[1], 1_200, 4700))
    assert (second.open_ns, second.close_ns) == (30, 99)
    assert second.legs[0].limit == 4300  # another book by the end of that moment


# On the planted tape


def test_the_table_has_a_row_for_each_and_ours_first(planted: Path, tmp_path: Path, capsys: Any) -> None:
    nothing = tmp_path / "scan.jsonl"
    nothing.write_text("")
    assert board.main(["--tape", str(planted), "--ours", str(nothing), "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {text[:26].strip(): text[26:].split() for text in lines[3:8]}
    assert next(iter(rows)) == "dutchbook"
    assert [name for name in rows if name != "dutchbook"] == [rule.name[:26] for rule in board.RIVALS]
    true = sum(one["kind"] == "true" for one in json.loads((planted / "labels.json").read_text()))
    assert rows["dutchbook"][:3] == ["0", str(true), "0"]
    assert sum(text.startswith("dutchbook: missed") for text in lines) == true


def test_each_rule_falls_for_what_its_fault_is_about(planted: Path) -> None:
    made = load(planted)
    cases: dict[str, set[str]] = {}
    for rule in board.RIVALS:
        result = score(rule.name, rule.findings(made), made)
        known = {one.claims: one.case for one in made.labels}
        cases[rule.name] = {known.get(phantom.claims, "no label") for phantom in result.phantoms}
        assert result.found
    whole_cents, single, averaged, raw = cases.values()
    assert whole_cents >= {
        "sticky-ask",
        "duplicate-kalshi",
        "reordered",
        "sequence-gap",
        "tick-change",
        "replication-lag",
    }
    assert "fees" not in whole_cents  # a fee that is too high hides small edges instead
    assert single >= {"polarity", "subset", "no label"}
    assert averaged >= {"flat-fees"}
    assert raw >= {"fees", "void-risk", "time-value", "minimum-size", "closed-by-the-clock"}


def test_a_tape_without_labels_is_refused(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "kalshi").mkdir()
    (tmp_path / "kalshi" / "frames.jsonl").write_text("")
    assert board.main(["--tape", str(tmp_path)]) == 1
    assert "labels.json is not there" in capsys.readouterr().err
