"""Which Polymarket markets a tape is about: from its frames, and from what its recorded REST bodies add."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from infra.simulator.exchange import fixed
from infra.simulator.metadata import PolymarketFacts, made_up_token
from infra.simulator.tape import Tape

_TICKS = ((100, "0.01"), (10, "0.001"), (1, "0.0001"))


@dataclass(frozen=True, slots=True)
class Listing:
    """A market's identity and order metadata; ``tokens`` is YES first."""

    condition_id: str
    tokens: tuple[str, str]
    tick: str
    min_size: str = "5"
    neg_risk: bool = False

    def facts(self) -> PolymarketFacts:
        """What default REST bodies are made of."""
        return PolymarketFacts(self.condition_id, *self.tokens, slug=self.condition_id, tick=self.tick)


@dataclass(slots=True)
class Survey:
    """What a first reading of the tape tells: frames, the market of each token in order, ticks by market."""

    frames: int = 0
    tokens: dict[str, str] = field(default_factory=dict)
    stated_tick: dict[str, str] = field(default_factory=dict)
    finest: dict[str, int] = field(default_factory=dict)


def survey_tape(tape: Tape) -> Survey:
    """Read the whole tape once; damaged frames are counted and otherwise left out."""
    survey = Survey()
    for frame in tape.frames("polymarket"):
        survey.frames += 1
        try:
            body = msgspec.json.decode(frame.text)
        except msgspec.DecodeError:
            continue
        for event in body if isinstance(body, list) else [body]:
            if isinstance(event, dict) and isinstance(event.get("market"), str):
                _survey_event(survey, event)
    return survey


def listings(survey: Survey, bodies: Iterable[tuple[str, Any]]) -> list[Listing]:
    """Every market of the frames and of the recorded bodies, in that order of first appearance."""
    seen: dict[str, list[str]] = {}
    for token, market in survey.tokens.items():
        seen.setdefault(market, []).append(token)
    recorded = {listing.condition_id: listing for listing in _recorded(bodies)}
    found = []
    for market in dict.fromkeys((*seen, *recorded)):
        tick = survey.stated_tick.get(market) or _tick_of(survey.finest.get(market, 100))
        listing = recorded.get(market)
        if listing is None:
            tokens = [*seen[market], made_up_token(market + ":other")]
            listing = Listing(market, (tokens[0], tokens[1]), tick)
        found.append(listing if listing.tick else replace(listing, tick=tick))
    return found


def _survey_event(survey: Survey, event: dict[str, Any]) -> None:
    market = event["market"]
    listed = event.get("price_changes", [event])
    for part in listed if isinstance(listed, list) else []:
        token = part.get("asset_id") if isinstance(part, dict) else None
        if isinstance(token, str) and token:
            survey.tokens.setdefault(token, market)
    if event.get("event_type") == "book" and isinstance(event.get("tick_size"), str):
        survey.stated_tick.setdefault(market, event["tick_size"])
    levels = [*_dicts(event.get("bids")), *_dicts(event.get("asks")), *_dicts(listed)]
    step = survey.finest.get(market, 100)
    for level in levels:
        try:
            price = fixed(level.get("price", "0"), 4)
        except ValueError:
            continue
        while price % step:
            step //= 10
    survey.finest[market] = step


def _dicts(listed: Any) -> list[dict[str, Any]]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _tick_of(step: int) -> str:
    return next(text for size, text in _TICKS if step % size == 0)


def _recorded(bodies: Iterable[tuple[str, Any]]) -> Iterable[Listing]:
    for _, body in bodies:
        for market in body if isinstance(body, list) else [body]:
            listing = _listing(market) if isinstance(market, dict) else None
            if listing is not None:
                yield listing


def _listing(body: dict[str, Any]) -> Listing | None:
    """A listing from any of the three bodies that describe a market; None when it is none of them."""
    try:
        if "c" in body:
            tokens = [leg["t"] for leg in body["t"]]
            return _make(body["c"], tokens, body.get("mts"), body.get("mos", 5), body.get("nr", False))
        if "condition_id" in body:
            tokens = [leg["token_id"] for leg in body["tokens"]]
            tick, size = body.get("minimum_tick_size"), body.get("minimum_order_size", 5)
            return _make(body["condition_id"], tokens, tick, size, body.get("neg_risk", False))
        if "conditionId" in body:
            tokens = body["clobTokenIds"]
            tick, size = body.get("orderPriceMinTickSize"), body.get("orderMinSize", 5)
            listed = json.loads(tokens) if isinstance(tokens, str) else tokens
            return _make(body["conditionId"], listed, tick, size, body.get("negRisk", False))
    except (KeyError, TypeError, ValueError):
        return None
    return None


def _make(condition_id: Any, tokens: list[Any], tick: Any, size: Any, neg_risk: Any) -> Listing | None:
    if not isinstance(condition_id, str) or len(tokens) != 2:
        return None
    yes, no = str(tokens[0]), str(tokens[1])
    return Listing(condition_id, (yes, no), "" if tick is None else str(tick), str(size), neg_risk is True)
