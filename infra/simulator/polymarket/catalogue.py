"""Which Polymarket markets there are: from a tape's frames, and from what its recorded REST bodies add."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from infra.simulator.exchange import fixed
from infra.simulator.metadata import FAR_FUTURE, OPENED, PolymarketFacts, made_up_token
from infra.simulator.tape import Tape

_TICKS = ((100, "0.01"), (10, "0.001"), (1, "0.0001"))


@dataclass(frozen=True, slots=True)
class Fee:
    """A taker fee of ``rate * (p * (1 - p)) ** exponent`` dollars a share; ``kind`` is Gamma's ``feeType``."""

    kind: str = "crypto_fees_v2"
    rate: str = "0.07"
    rebate: str = "0.2"
    exponent: int = 1


@dataclass(frozen=True, slots=True)
class Event:
    """What markets hang on in Gamma. ``augmented`` neg-risk events may still get further outcomes."""

    slug: str
    title: str = ""
    neg_risk: bool = False
    augmented: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A market's identity and order metadata; ``tokens`` is YES first. ``fee`` None is fee-free.

    ``itode`` holds marketable orders for a quarter of a second, ``seconds_delay`` for as many seconds.
    """

    condition_id: str
    tokens: tuple[str, str]
    tick: str
    min_size: str = "5"
    neg_risk: bool = False
    version: str = "v1"
    slug: str = ""
    question: str = ""
    outcomes: tuple[str, str] = ("Yes", "No")
    event: Event | None = None
    fee: Fee | None = field(default_factory=Fee)
    itode: bool = False
    seconds_delay: int = 0
    start: str = OPENED
    end: str = FAR_FUTURE

    @property
    def gamma_id(self) -> str:
        """The condition id as Gamma writes it: protocol V2's has 31 bytes there and is padded on the CLOB."""
        return self.condition_id.removesuffix("00") if self.version == "v2" else self.condition_id

    def facts(self) -> PolymarketFacts:
        """What default REST bodies are made of."""
        return PolymarketFacts(
            self.condition_id,
            *self.tokens,
            slug=self.slug or self.condition_id,
            question=self.question,
            outcomes=self.outcomes,
            tick=self.tick,
            min_size=int(Decimal(self.min_size)),
            start=self.start,
            end=self.end,
        )


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
    recorded: dict[str, Listing] = {}
    for listing in _recorded(bodies):
        recorded[listing.condition_id] = _merged(recorded.get(listing.condition_id), listing)
    found = []
    for market in dict.fromkeys((*seen, *recorded)):
        tick = survey.stated_tick.get(market) or _tick_of(survey.finest.get(market, 100))
        known = recorded.get(market)
        if known is None:
            tokens = [*seen[market], made_up_token(market + ":other")]
            known = Listing(market, (tokens[0], tokens[1]), tick)
        found.append(known if known.tick else replace(known, tick=tick))
    return found


def _merged(known: Listing | None, later: Listing) -> Listing:
    """The later body's word, with what only an earlier body could say."""
    if known is None:
        return later
    delay = later.seconds_delay or known.seconds_delay
    version = "v2" if "v2" in (known.version, later.version) else "v1"
    return replace(later, version=version, itode=later.itode or known.itode, seconds_delay=delay)


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
            listing = _make(body["c"], tokens, body.get("mts"), body.get("mos", 5), body.get("nr", False))
            return _with(listing, body.get("v"), body.get("itode"), body.get("sd"))
        if "condition_id" in body:
            tokens = [leg["token_id"] for leg in body["tokens"]]
            tick, size = body.get("minimum_tick_size"), body.get("minimum_order_size", 5)
            listing = _make(body["condition_id"], tokens, tick, size, body.get("neg_risk", False))
            return _with(listing, None, None, body.get("seconds_delay"))
        if "conditionId" in body:
            # Protocol V2 markets name their tokens in positionIds, a real array, whatever else is filled.
            tokens = body["positionIds"] if body.get("version") == "v2" else body["clobTokenIds"]
            tick, size = body.get("orderPriceMinTickSize"), body.get("orderMinSize", 5)
            listed = json.loads(tokens) if isinstance(tokens, str) else tokens
            listing = _make(body["conditionId"], listed, tick, size, body.get("negRisk", False))
            return _with(listing, body.get("version"), None, None)
    except (KeyError, TypeError, ValueError):
        return None
    return None


def _make(condition_id: Any, tokens: list[Any], tick: Any, size: Any, neg_risk: Any) -> Listing | None:
    if not isinstance(condition_id, str) or len(tokens) != 2:
        return None
    yes, no = str(tokens[0]), str(tokens[1])
    fixed(size, 2)
    return Listing(condition_id, (yes, no), "" if tick is None else str(tick), str(size), neg_risk is True)


def _with(listing: Listing | None, version: Any, itode: Any, seconds_delay: Any) -> Listing | None:
    if listing is None:
        return None
    delay = seconds_delay if isinstance(seconds_delay, int) else 0
    # Gamma writes protocol V2's condition ids with 31 bytes, the CLOB and the market channel with 32.
    padded = listing.condition_id.ljust(66, "0") if version == "v2" else listing.condition_id
    return replace(
        listing,
        condition_id=padded,
        version="v2" if version == "v2" else "v1",
        itode=itode is True,
        seconds_delay=delay,
    )
