"""Writing the planted tape: which cases, in which order, and the files of the folder.

Beside the files of every tape there are `labels.json`, what is true and what only seems so, and `truth.jsonl`, the
books that the venues had at every moment, heard of or not: where an order would really have been filled.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from infra.simulator.exchange import plain_price
from infra.simulator.frames import rfc3339, write_frames, write_json, write_yaml
from infra.simulator.made import made_once
from infra.simulator.metadata import clob_market, clob_market_info, gamma_market, kalshi_market, kalshi_series
from infra.simulator.planted import costs, feeds, meanings, true_edges
from infra.simulator.planted.labels import labels
from infra.simulator.planted.script import Case, Play
from infra.simulator.planted.stage import STANDARD_RATE, Cast, Listed, Stage
from infra.simulator.planted.wire import Facts

VERSION: Final = 1
SEED: Final = 11
SKEW_MS: Final = 30_000
DOUBTFUL: Final[tuple[tuple[Case, int], ...]] = ((feeds.gap, 2), (feeds.reordered, 2))
"""Cases after which every Kalshi book comes whole again."""

CASES: Final[tuple[tuple[Case, int], ...]] = (
    (true_edges.one_level, 4),
    (true_edges.several_levels, 2),
    (true_edges.fractional, 2),
    (true_edges.deep, 4),
    (true_edges.unequal_prices, 1),
    (true_edges.fine_grid, 2),
    (true_edges.quiet, 2),
    (true_edges.complement, 2),
    (true_edges.implies, 2),
    (true_edges.all_yes, 3),
    (true_edges.all_no, 2),
    (true_edges.three_markets, 2),
    (true_edges.buckets, 2),
    (true_edges.one_venue, 2),
    (costs.fees, 4),
    (costs.flat_fees, 2),
    (costs.order_rounding, 2),
    (costs.nearest_cent, 1),
    (costs.third_level, 2),
    (costs.minimum_size, 3),
    (costs.no_minimum, 2),
    (costs.void_risk, 2),
    (costs.mismatch_risk, 1),
    (costs.judged_safe, 1),
    (costs.time_value, 2),
    (costs.whole_cents, 2),
    (meanings.polarity, 2),
    (meanings.subset, 2),
    (meanings.augmented, 2),
    (meanings.mixed_up, 1),
    (feeds.stale, 2),
    (feeds.goes_stale, 2),
    (feeds.sticky_ask, 2),
    (feeds.tick_change, 2),
    (feeds.lag, 3),
    (feeds.never_coexisted, 3),
    (feeds.duplicate_kalshi, 2),
    (feeds.duplicate_polymarket, 2),
    (feeds.stopped, 3),
    (feeds.paused, 1),
    (feeds.closed_by_the_clock, 1),
)


def generate(folder: Path, seed: int = SEED) -> Path:
    """Write the tape into a folder; the same seed gives the same bytes.

    Raises:
        PlantError: a case does not do what it promises.
    """
    stage = play(seed)
    found = labels(stage)
    write_frames(folder / "kalshi" / "frames.jsonl", stage.kalshi.lines)
    write_frames(folder / "polymarket" / "frames.jsonl", stage.polymarket.lines)
    write_json(folder / "kalshi" / "rest.json", _kalshi_rest(stage))
    write_json(folder / "polymarket" / "rest.json", _polymarket_rest(stage))
    write_yaml(folder / "groups.yaml", [_group(cast) for cast in stage.casts])
    write_json(folder / "labels.json", found)
    (folder / "truth.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in _truth(stage)))
    return folder


def ensure_planted(cache_folder: Path, seed: int = SEED) -> Path:
    """The folder of the planted tape, made in the cache if it is not there yet."""
    return made_once(cache_folder / f"planted-v{VERSION}-{seed}", lambda draft: generate(draft, seed))


def play(seed: int = SEED) -> Stage:
    """Play every case on a stage.

    Polymarket's stamps may not go back, so its clock is behind in the very first case and ahead in the very last.
    """
    random, stage = Random(seed), Stage()  # noqa: S311 - a tape to test with, not a secret
    stage.skew_ms["polymarket"] = -SKEW_MS
    skewed: Callable[..., Play] = partial(feeds.skewed, stage, random)
    plays = [skewed("polymarket-behind", "polymarket", -SKEW_MS)]
    plays += [case(stage, random, variant) for case, variants in DOUBTFUL for variant in range(variants)]
    plays.append(skewed("kalshi-behind", "kalshi", -SKEW_MS))
    plays += [case(stage, random, variant) for case, variants in CASES for variant in range(variants)]
    plays.append(skewed("kalshi-ahead", "kalshi", SKEW_MS))
    plays.append(skewed("polymarket-ahead", "polymarket", SKEW_MS))
    stage.open()
    for one in plays:
        one()
    stage.wait(1_000)
    return stage


def _kalshi_rest(stage: Stage) -> dict[str, Any]:
    bodies: dict[str, Any] = {}
    for market in stage.markets:
        if market.facts is None:
            series = kalshi_series(market.series, "Planted") | {"fee_multiplier": market.rate / STANDARD_RATE}
            bodies[f"GET /trade-api/v2/series/{market.series}"] = {"series": series}
            body = kalshi_market(market.name, step=market.grid, title=market.title, close_time=_moment(market))
            bodies[f"GET /trade-api/v2/markets/{market.name}"] = {"market": body}
    return bodies


def _polymarket_rest(stage: Stage) -> dict[str, Any]:
    bodies: dict[str, Any] = {}
    for market in stage.markets:
        facts = market.facts
        if facts is not None:
            bodies[f"GET /clob-markets/{facts.condition_id}"] = _clob_info(market, facts)
            full = clob_market(facts) | {"neg_risk": facts.negative_risk, "end_date_iso": _moment(market)}
            bodies[f"GET /markets/{facts.condition_id}"] = full
            bodies[f"GET /markets?condition_ids={facts.condition_id}"] = [_gamma(market, facts)]
    return bodies


def _clob_info(market: Listed, facts: Facts) -> dict[str, Any]:
    body = clob_market_info(facts) | {"mts": float(plain_price(market.opening_grid))}
    body |= {"nr": True} if facts.negative_risk else {}
    return body | {"fd": {"r": facts.rate, "e": 1, "to": True}}


def _gamma(market: Listed, facts: Facts) -> dict[str, Any]:
    body = gamma_market(facts) | {"endDate": _moment(market), "negRisk": facts.negative_risk}
    body |= {"feeSchedule": {"exponent": 1, "rate": facts.rate, "takerOnly": True, "rebateRate": 0.2}}
    if facts.event:
        event = {"slug": facts.event, "title": facts.event, "negRisk": facts.negative_risk}
        body["events"] = [event | {"negRiskAugmented": facts.augmented}]
    return body


def _moment(market: Listed) -> str:
    return rfc3339(market.close_ns // 1_000_000)


def _group(cast: Cast) -> dict[str, Any]:
    members = [{"venue": market.venue, "market": market.name} for market in cast.members]
    body: dict[str, Any] = {"group": cast.name}
    if len(cast.ties) == 1 and cast.ties[0].members == tuple(range(len(members))):
        body |= {"relation": cast.ties[0].relation, "members": members}
    else:
        named = [[cast.members[at].name for at in tie.members] for tie in cast.ties]
        relations = [{"relation": tie.relation, "members": names} for tie, names in zip(cast.ties, named, strict=True)]
        body |= {"members": members, "relations": relations}
    note = f"Planted: {cast.case}. The relations hold by construction."
    return body | {"evidence": {"note": note, **cast.evidence} if cast.evidence else note}


def _truth(stage: Stage) -> Iterator[dict[str, Any]]:
    for moment in sorted(stage.truth, key=lambda one: one.t_ns):
        yield {
            "t": moment.t_ns,
            "venue": moment.key[0],
            "market": moment.key[1],
            "bids": sorted(moment.bids.items(), reverse=True),
            "asks": sorted(moment.asks.items()),
            "open": moment.usable,
            "grid": moment.grid,
        }
