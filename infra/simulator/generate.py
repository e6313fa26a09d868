"""The generated tape: a seeded random walk over pairs of markets with planted edges, and the right answer beside it.

Outside the planted edges the two venues' books of a pair never cross, not even before fees. A planted edge comes and
goes by one frame of one venue while both books of the pair stand perfectly still for at least two seconds.
"""

from collections import Counter
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from infra.simulator.frames import write_frames, write_json, write_yaml
from infra.simulator.made import made_once
from infra.simulator.metadata import (
    PolymarketFacts,
    clob_market,
    clob_market_info,
    gamma_market,
    kalshi_market,
    kalshi_series,
    made_up_token,
)
from infra.simulator.plant import FALSE_REASONS, TRUE, Plan, Planted, answer, plant
from infra.simulator.walk import VENUES, Pair, Recorder, fill, step

VERSION = 3
START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
SECOND = 1_000_000_000
SETTLES = "2026-01-02T00:00:00Z"
SERIES = "KXGEN"


def generate(
    folder: Path,
    seed: int = 7,
    pairs: int = 50,
    minutes: float = 1.5,
    planted_true: int = 12,
    planted_false: int = 12,
    rounds: int = 1,
) -> Path:
    """Write a tape with ``answers.json`` into a folder; the same arguments give the same bytes.

    ``rounds`` is how often each planted edge comes, on the same pair and for the same reason.

    Raises:
        ValueError: more planted edges than pairs, or too little time for them.
    """
    if planted_true + planted_false > pairs:
        raise ValueError(f"{planted_true + planted_false} planted edges need as many pairs, there are {pairs}")
    if minutes * 60 < 15:
        raise ValueError("a generated tape is at least 15 seconds long")
    random = Random(seed)  # noqa: S311 - a walk to test with, not a secret
    reasons = [TRUE] * planted_true + [FALSE_REASONS[index % 3] for index in range(planted_false)]
    reasons += [""] * (pairs - len(reasons))
    random.shuffle(reasons)
    walkers = [_pair(index, reason, seed, random) for index, reason in enumerate(reasons)]
    end_ns = START_NS + round(minutes * 60 * SECOND)
    plans = _schedule([(pair, why) for pair, why in zip(walkers, reasons, strict=True) if why], rounds, end_ns, random)
    recorder = Recorder()
    planted = _play(walkers, plans, end_ns, recorder, random)
    write_frames(folder / "kalshi" / "frames.jsonl", recorder.kalshi.lines)
    write_frames(folder / "polymarket" / "frames.jsonl", recorder.polymarket.lines)
    write_json(folder / "kalshi" / "rest.json", _kalshi_rest(walkers))
    write_json(folder / "polymarket" / "rest.json", _polymarket_rest(walkers))
    write_yaml(folder / "groups.yaml", [_group(pair) for pair in walkers])
    write_json(folder / "answers.json", planted)
    return folder


def ensure_generated(cache_folder: Path, seed: int = 7) -> Path:
    """The folder of the generated tape with this seed, made in the cache if it is not there yet."""
    return made_once(cache_folder / f"generated-v{VERSION}-{seed}", lambda draft: generate(draft, seed))


def _pair(index: int, reason: str, seed: int, random: Random) -> Pair:
    ticker = f"{SERIES}-26JAN01-T{index:02d}"
    condition = "0x" + sha256(f"generated:{seed}:{index}".encode()).hexdigest()
    yes, no = (made_up_token(f"{condition}:{outcome}") for outcome in ("Yes", "No"))
    market = PolymarketFacts(
        condition, yes, no, slug=f"generated-{index:02d}", question=f"Generated question {index}", end=SETTLES
    )
    cheap = reason == "below_minimum_worth"
    tight = "polymarket" if cheap else VENUES[random.randrange(2)]
    wide = next(venue for venue in VENUES if venue != tight)
    pair = Pair(
        name=f"generated-{index:02d}",
        ticker=ticker,
        market=market,
        fair=random.randrange(12, 14) if cheap else random.randrange(20, 81),
        tight=tight,
        # Room for a level that still pays after both venues' fees at even odds, about 3.5 cents together.
        half_spread={tight: random.randrange(1, 3), wide: 10 if cheap or reason == TRUE else random.randrange(7, 11)},
        depth={venue: random.randrange(5, 11) for venue in VENUES},
        whole=bool(reason),
    )
    fill(pair, random)
    return pair


def _schedule(chosen: list[tuple[Pair, str]], rounds: int, end_ns: int, random: Random) -> list[Plan]:
    """Spread the edges over the tape in random order, the same in every round, each standing 2.2 to 3.5 s."""
    random.shuffle(chosen)
    chosen = chosen * rounds
    first, last = START_NS + 4 * SECOND, end_ns - 5 * SECOND
    plans = []
    for index, (pair, reason) in enumerate(chosen):
        slot = (last - first) // len(chosen)
        open_ns = first + index * slot + random.randrange(slot // 2)
        plans.append(Plan(pair, reason, open_ns, open_ns + random.randrange(2_200, 3_500) * 1_000_000))
    return plans


def _play(
    pairs: list[Pair], plans: list[Plan], end_ns: int, recorder: Recorder, random: Random
) -> list[dict[str, Any]]:
    recorder.open(START_NS, pairs)
    moments = sorted(
        [(plan.open_ns, "open", index) for index, plan in enumerate(plans)]
        + [(plan.close_ns, "close", index) for index, plan in enumerate(plans)]
    )
    waiting = Counter(plan.pair.name for plan in plans)
    standing: dict[int, Planted] = {}
    answers: dict[int, dict[str, Any]] = {}
    now = START_NS
    while now < end_ns:
        now += random.randrange(35, 96) * 1_000_000
        while moments and moments[0][0] <= now:
            moment, what, index = moments.pop(0)
            plan = plans[index]
            if what == "open":
                edge = standing[index] = plant(plan, random)
                _put(recorder, edge, moment, edge.size)
                answers[index] = answer(edge)
            else:
                _put(recorder, standing.pop(index), moment, 0)
                waiting[plan.pair.name] -= 1
            plan.pair.still = what == "open"
        _walk(pairs, waiting, now, recorder, random)
    return [answers[index] for index in sorted(answers)]


def _walk(pairs: list[Pair], waiting: Counter[str], now: int, recorder: Recorder, random: Random) -> None:
    """One ordinary frame of a pair that may move; a pair that waits for its edge keeps its fair price."""
    while True:
        pair, venue = pairs[random.randrange(len(pairs))], VENUES[random.randrange(2)]
        if pair.still:
            continue
        if not waiting[pair.name] and random.random() < 0.1:
            pair.fair = min(85, max(15, pair.fair + random.randrange(-1, 2)))
        moves = step(pair, venue, random)
        if moves:
            recorder.change(now, now // 1_000_000 - random.randrange(5, 60), pair, venue, moves)
            return


def _put(recorder: Recorder, edge: Planted, now: int, size: int) -> None:
    pair = edge.plan.pair
    recorder.change(now, now // 1_000_000 - 20, pair, pair.wide, [(edge.side, edge.price, size)])


def _kalshi_rest(pairs: list[Pair]) -> dict[str, Any]:
    bodies: dict[str, Any] = {f"GET /trade-api/v2/series/{SERIES}": {"series": kalshi_series(SERIES, "Generated")}}
    for pair in pairs:
        market = kalshi_market(pair.ticker, title=pair.market.question, settles=SETTLES)
        bodies[f"GET /trade-api/v2/markets/{pair.ticker}"] = {"market": market}
    return bodies


def _polymarket_rest(pairs: list[Pair]) -> dict[str, Any]:
    bodies: dict[str, Any] = {}
    for pair in pairs:
        condition = pair.market.condition_id
        bodies[f"GET /clob-markets/{condition}"] = clob_market_info(pair.market)
        bodies[f"GET /markets/{condition}"] = clob_market(pair.market)
        bodies[f"GET /markets?condition_ids={condition}"] = [gamma_market(pair.market)]
    return bodies


def _group(pair: Pair) -> dict[str, Any]:
    return {
        "group": pair.name,
        "relation": "same",
        "members": [
            {"venue": "kalshi", "market": pair.ticker},
            {"venue": "polymarket", "market": pair.market.condition_id},
        ],
        "evidence": "Generated: both markets have the same outcome by construction.",
    }
