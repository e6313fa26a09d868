"""Catalogue churn: a step when one is named, a seeded run of them while the fault lasts."""

import asyncio

from infra.simulator.churn import NEXT, STEP_EVERY_MS
from infra.simulator.faults import ChurnStep, Fault, FaultName
from infra.simulator.site import Settings
from infra.simulator.virtual import VirtualTimeLoop, run_virtual
from tests.unit.infra.simulator.toy import toy

MARKETS = tuple("abcdef")
SECOND = 1_000_000_000


def struck(fault: Fault, seed: int = 3, wait_s: float = 120.0) -> tuple[list[Fault], list[int]]:
    """What a churn strikes a toy venue with, and how many markets were open after each second."""

    async def main(loop: VirtualTimeLoop) -> tuple[list[Fault], list[int]]:
        made = toy(Settings(seed=seed, now=loop.now_ns), *MARKETS)
        until_ns = loop.now_ns() + fault.until_ns if fault.until_ns else 0
        made.faults.set(Fault(fault.name, fault.share, fault.delay_ms, fault.markets, until_ns, fault.detail))
        opened = []
        for _ in range(int(wait_s)):
            await asyncio.sleep(1)
            opened.append(sum(book.state == "open" for book in made.venue.canonical().values()))
        return made.venue.struck, opened

    return run_virtual(main)


def test_a_named_step_is_struck_once() -> None:
    fault = Fault(FaultName.CHURN, markets=("a", "b"), detail="close")
    assert struck(fault)[0] == [fault]


def test_a_lasting_churn_strikes_step_after_step_until_it_ends() -> None:
    steps, opened = struck(Fault(FaultName.CHURN, until_ns=100 * SECOND))
    assert len(steps) == 100_000 // STEP_EVERY_MS
    states = dict.fromkeys(MARKETS, "open")
    follows = {"halt": "halted", "resume": "open", "close": "closed", "open": "open"}
    for step in steps:
        if step.detail == ChurnStep.APPEAR:
            assert step.markets == ()
            continue
        (market,) = step.markets
        assert step.detail in NEXT[states[market]]  # type: ignore[index]
        states[market] = follows.get(step.detail, states[market])
    assert {step.detail for step in steps} == set(ChurnStep)
    assert min(opened) >= len(MARKETS) // 2
    assert min(opened) < len(MARKETS)


def test_a_churn_keeps_to_its_markets_and_its_pace() -> None:
    steps, _ = struck(Fault(FaultName.CHURN, delay_ms=1000, markets=("a", "b"), until_ns=50 * SECOND))
    assert len(steps) == 50
    assert {market for step in steps for market in step.markets} == {"a", "b"}


def test_the_plan_is_repeated_by_its_seed() -> None:
    fault = Fault(FaultName.CHURN, until_ns=20 * SECOND)
    assert struck(fault, 1) == struck(fault, 1) != struck(fault, 2)


def test_a_newer_churn_replaces_one_that_runs() -> None:
    async def main(loop: VirtualTimeLoop) -> int:
        made = toy(Settings(now=loop.now_ns), *MARKETS)
        made.faults.set(Fault(FaultName.CHURN, delay_ms=100))
        await asyncio.sleep(0.05)
        made.faults.set(Fault(FaultName.CHURN, delay_ms=1000, until_ns=loop.now_ns() + 10 * SECOND))
        await asyncio.sleep(20)
        return len(made.venue.struck)

    assert run_virtual(main) == 1 + 10
