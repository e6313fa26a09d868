"""Kalshi's price grids, and the time in which its simulator lives."""

import pytest

from infra.simulator.kalshi.clock import Agenda
from infra.simulator.kalshi.grid import STRUCTURES, bands_of, finer, on_grid, price_ranges
from infra.simulator.kalshi.market import parse_time, rfc3339
from tests.unit.infra.simulator.kalshi.exchange import START_NS, Clock


@pytest.mark.parametrize(
    ("structure", "on", "off"),
    [
        ("linear_cent", [100, 9900], [150, 110, 101]),
        ("deci_cent", [10, 5010, 9990], [5, 5001]),
        ("tapered_deci_cent", [10, 990, 1000, 5000, 9010, 9990], [5, 1010, 5010]),
        ("center_whole_edge_half_cent", [50, 950, 5000, 9050], [10, 1050, 5050]),
        ("center_quint_edge_deci_cent", [10, 990, 1020, 5020, 9010], [1010, 5010, 5]),
        ("center_deci_edge_centi_cent", [1, 99, 110, 9890, 9901], [101, 5005, 9899]),
        ("center_centi_edge_centi_cent", [1, 5001, 9999], []),
    ],
)
def test_steps_of_the_structures(structure: str, on: list[int], off: list[int]) -> None:
    bands = STRUCTURES[structure]
    assert [price for price in on if not on_grid(bands, price)] == []
    assert [price for price in off if on_grid(bands, price)] == []
    assert bands_of({"price_ranges": price_ranges(bands)}) == bands


def test_whole_cents_are_valid_everywhere_and_the_ends_nowhere() -> None:
    for bands in STRUCTURES.values():
        assert all(on_grid(bands, price) for price in range(100, 10_000, 100))
        assert not any(on_grid(bands, price) for price in (-100, 0, 10_000, 10_100))


def test_finer_structures_have_every_price_of_the_coarser_one_and_more() -> None:
    for bands in STRUCTURES.values():
        prices = {price for price in range(1, 10_000) if on_grid(bands, price)}
        for name in finer(bands):
            assert prices < {price for price in range(1, 10_000) if on_grid(STRUCTURES[name], price)}
    assert finer(STRUCTURES["linear_cent"])[0] == "center_whole_edge_half_cent"
    assert finer(STRUCTURES["center_centi_edge_centi_cent"]) == []


def test_a_market_without_ranges_goes_by_its_name_or_whole_cents() -> None:
    assert bands_of({"price_level_structure": "deci_cent"}) == STRUCTURES["deci_cent"]
    assert bands_of({"price_ranges": []}) == STRUCTURES["linear_cent"]
    with pytest.raises(ValueError, match="price_ranges of X"):
        bands_of({"ticker": "X", "price_ranges": [{"start": "0"}]})


def test_times() -> None:
    assert rfc3339(START_NS) == "2026-09-21T14:13:20Z"
    assert rfc3339(START_NS + 1_500) == "2026-09-21T14:13:20.000001Z"
    assert parse_time(rfc3339(START_NS + 1_000)) == START_NS + 1_000
    assert parse_time(None) == 0


def test_what_is_due_runs_in_order_and_what_it_plans_for_now_runs_too() -> None:
    clock, done = Clock(), ""

    def note(text: str) -> None:
        nonlocal done
        done += text

    def first() -> None:
        note("a")
        agenda.later(0, lambda: note("x"))

    agenda = Agenda(clock, None)
    agenda.later(20, lambda: note("b"))
    agenda.later(10, first)
    agenda.later(-5, lambda: note("0"))
    agenda.step()
    assert done == "0"
    clock.ns += 20
    agenda.step()
    assert done == "0abx"
    agenda.step()
    assert done == "0abx"


def test_a_schedule_is_asked_for_the_next_time_only_and_not_before_the_first_step() -> None:
    clock = Clock()
    asked: list[tuple[int, object]] = []
    done: list[str] = []
    agenda = Agenda(clock, lambda delay_ns, function: asked.append((delay_ns, function)))
    agenda.later(50, lambda: done.append("late"))
    assert asked == []
    agenda.step()
    agenda.later(90, lambda: done.append("later"))
    agenda.later(10, lambda: done.append("soon"))
    assert [delay for delay, _ in asked] == [50, 10]
    clock.ns += 9  # a timer that comes a little early is asked for again
    asked[1][1]()  # type: ignore[operator]
    assert ([delay for delay, _ in asked], done) == ([50, 10, 1], [])
    clock.ns += 1
    asked[2][1]()  # type: ignore[operator]
    assert ([delay for delay, _ in asked][3:], done) == ([40], ["soon"])
    clock.ns += 100
    asked[3][1]()  # type: ignore[operator]
    assert done == ["soon", "late", "later"]
