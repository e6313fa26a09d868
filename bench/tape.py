"""A tape of the frames that producers are measured with, and the catalogue and groups of its markets."""

from pathlib import Path
from typing import Any

from bench.frames import RULES, SERIES, Load, kalshi_lines, kalshi_ticker, polymarket_facts, polymarket_lines
from infra.simulator.frames import write_frames, write_json, write_yaml
from infra.simulator.metadata import clob_market, clob_market_info, gamma_market, kalshi_market, kalshi_series


def write_tape(folder: Path, load: Load, *, grouped: int | None = None) -> Path:
    """Write both venues' frames with their catalogues; the first `grouped` markets (all, when None) are in pairs."""
    write_frames(folder / "kalshi" / "frames.jsonl", kalshi_lines(load))
    write_frames(folder / "polymarket" / "frames.jsonl", polymarket_lines(load))
    write_json(folder / "kalshi" / "rest.json", _kalshi_rest(load.markets))
    write_json(folder / "polymarket" / "rest.json", _polymarket_rest(load.markets))
    paired = load.markets if grouped is None else grouped
    write_yaml(folder / "groups.yaml", [_pair(number) for number in range(paired)])
    return folder


def _kalshi_rest(markets: int) -> dict[str, Any]:
    bodies: dict[str, Any] = {f"GET /trade-api/v2/series/{SERIES}": {"series": kalshi_series(SERIES, "Bench")}}
    for ticker in map(kalshi_ticker, range(markets)):
        bodies[f"GET /trade-api/v2/markets/{ticker}"] = {"market": kalshi_market(ticker, rules=RULES)}
    return bodies


def _polymarket_rest(markets: int) -> dict[str, Any]:
    bodies: dict[str, Any] = {}
    for facts in map(polymarket_facts, range(markets)):
        bodies[f"GET /clob-markets/{facts.condition_id}"] = clob_market_info(facts)
        bodies[f"GET /markets/{facts.condition_id}"] = clob_market(facts)
        bodies[f"GET /markets?condition_ids={facts.condition_id}"] = [gamma_market(facts)]
    return bodies


def _pair(number: int) -> dict[str, Any]:
    members = [
        {"venue": "kalshi", "market": kalshi_ticker(number)},
        {"venue": "polymarket", "market": polymarket_facts(number).condition_id},
    ]
    return {"group": f"bench-{number:04d}", "relation": "same", "members": members, "evidence": "Made for a benchmark."}
