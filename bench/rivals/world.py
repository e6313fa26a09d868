"""A labelled tape as the scoreboard needs it: markets, groups, labels, and the books that the venues truly had.

Units: price 1e-4 dollar, size 1e-2 contract, money 1e-6 dollar, rates millionths.
"""

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from infra.rebuild_tape import rebuilt
from infra.simulator.edges import ONE_DOLLAR
from infra.simulator.planted.payoffs import Outcome, Tie, possible
from infra.simulator.tape import Tape, TapeError
from schemas.records import Venue

DEPTH: Final = 32
MINIMUM_VALUE: Final = 1_000_000
"""Polymarket's smallest marketable order: a dollar."""

Key = tuple[str, str]
"""Venue and market."""
Claim = tuple[str, str, str]
"""Venue, market, outcome."""
Ladder = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Terms:
    """A market as orders meet it: taker rate, smallest order, when it is settled, its title."""

    key: Key
    title: str
    rate: int
    minimum_quantity: int
    minimum_value: int
    settles_ns: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A book from `t_ns` on; `usable` says that the venue trades it (truth), or that a reader may believe it.

    `grid` is the step of prices at which the venue takes orders.
    """

    t_ns: int
    key: Key
    bids: Ladder
    asks: Ladder
    usable: bool
    grid: int = 1

    def claim(self, outcome: str) -> Ladder:
        """The asks of an outcome, best first: NO is bought by hitting the YES bids."""
        return self.asks if outcome == "yes" else [(ONE_DOLLAR - price, size) for price, size in self.bids]


@dataclass(frozen=True, slots=True)
class Circle:
    """A group: its markets, what relates them, and what its evidence says of settlement."""

    name: str
    members: tuple[Key, ...]
    ties: tuple[Tie, ...]
    void: float = 0.001
    mismatch: float = 0.001
    augmented: bool = False

    def outcomes(self) -> list[Outcome]:
        """What can happen; where outcomes may still be added, also nothing of what is listed."""
        return possible(
            len(self.members), [tie for tie in self.ties if not (self.augmented and tie.relation == "exhaustive")]
        )

    def pairs(self, relation: str) -> list[tuple[Key, Key]]:
        """A Kalshi and a Polymarket market that stand in this relation."""
        found = []
        for tie in self.ties:
            if tie.relation == relation:
                keys = [self.members[at] for at in tie.members]
                found += [(left, right) for left in keys for right in keys if (left[0], right[0]) == VENUES]
        return found


VENUES: Final[tuple[Venue, Venue]] = ("kalshi", "polymarket")


@dataclass(frozen=True, slots=True)
class Label:
    """A stretch of time in which claims paid, or only seemed to; see `infra.simulator.planted`."""

    group: str
    case: str
    claims: frozenset[Claim]
    true: bool
    knowable: bool
    open_ns: int
    close_ns: int
    net: int = 0


@dataclass
class History:
    """Books of many markets over time."""

    shown: Sequence[Shown]
    _by_key: dict[Key, list[Shown]] = field(init=False)
    _times: dict[Key, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self._by_key = {}
        for one in self.shown:
            self._by_key.setdefault(one.key, []).append(one)
        self._times = {key: [one.t_ns for one in found] for key, found in self._by_key.items()}

    def at(self, key: Key, t_ns: int) -> Shown | None:
        """The book in force after everything that happened by a moment."""
        place = bisect.bisect_right(self._times.get(key, []), t_ns)
        return self._by_key[key][place - 1] if place else None


@dataclass
class World:
    """Everything of a tape that rules and scores are made of."""

    tape: Tape
    markets: dict[Key, Terms]
    circles: dict[str, Circle]
    labels: list[Label]
    truth: History

    @cached_property
    def careful(self) -> History:
        """The books that the producers' own sessions make of the frames."""
        return History(
            [
                Shown(book.api_response_ns, (book.venue, book.market), *book.sides(), usable=book.state == "live")
                for book in rebuilt(self.tape, DEPTH, VENUES)
            ]
        )

    @cached_property
    def span_ns(self) -> tuple[int, int]:
        """When the tape begins and ends."""
        stamps = [stamp for venue in VENUES for stamp in self.tape.stamps(venue)]
        return min(stamps), max(stamps)

    @cached_property
    def home(self) -> dict[Key, str]:
        """The group of each market."""
        return {key: circle.name for circle in self.circles.values() for key in circle.members}


def load(folder: Path) -> World:
    """Read a labelled tape; raises TapeError when it has no labels or no truth."""
    for name in ("labels.json", "truth.jsonl"):
        if not (folder / name).is_file():
            raise TapeError(f"{folder}: {name} is not there: the scoreboard needs a labelled tape, such as `planted`")
    tape = Tape.open(folder)
    markets = {terms.key: terms for terms in (*_kalshi(tape), *_polymarket(tape))}
    augmented = set(_augmented(tape))
    circles = [_circle(body, augmented) for body in tape.groups()]
    labels = [_label(body) for body in msgspec.json.decode((folder / "labels.json").read_bytes())]
    rows = (msgspec.json.decode(line) for line in (folder / "truth.jsonl").read_bytes().splitlines())
    return World(tape, markets, {one.name: one for one in circles}, labels, History([_shown(row) for row in rows]))


def _kalshi(tape: Tape) -> Iterable[Terms]:
    bodies = tape.rest("kalshi")
    rates = {
        body["series"]["ticker"]: round(70_000 * body["series"]["fee_multiplier"])
        for body in bodies.values()
        if "series" in body
    }
    for body in bodies.values():
        market = body.get("market")
        if market is not None:
            ticker, settles_ns = market["ticker"], _moment_ns(market["expected_expiration_time"])
            yield Terms(("kalshi", ticker), market["title"], rates[ticker.partition("-")[0]], 1, 0, settles_ns)


def _polymarket(tape: Tape) -> Iterable[Terms]:
    bodies = tape.rest("polymarket")
    for path, body in bodies.items():
        if path.startswith("GET /clob-markets/"):
            gamma = bodies[f"GET /markets?condition_ids={body['c']}"][0]
            rate, least = round(body["fd"]["r"] * 1_000_000), 100 * body["mos"]
            key, settles_ns = ("polymarket", body["c"]), _moment_ns(gamma["endDate"])
            yield Terms(key, gamma["question"], rate, least, MINIMUM_VALUE, settles_ns)


def _augmented(tape: Tape) -> Iterable[Key]:
    for path, body in tape.rest("polymarket").items():
        if path.startswith("GET /markets?") and any(event["negRiskAugmented"] for event in body[0].get("events", ())):
            yield "polymarket", body[0]["conditionId"]


def _circle(body: dict[str, Any], augmented: set[Key]) -> Circle:
    members = tuple((member["venue"], member["market"]) for member in body["members"])
    places = {name: at for at, (_, name) in enumerate(members)}
    ties = [Tie(one["relation"], tuple(places[name] for name in one["members"])) for one in body.get("relations", ())]
    if "relation" in body:
        ties.append(Tie(body["relation"], tuple(range(len(members)))))
    evidence = body["evidence"] if isinstance(body.get("evidence"), dict) else {}
    return Circle(
        body["group"],
        members,
        tuple(ties),
        evidence.get("void_probability", 0.001),
        evidence.get("mismatch_probability", 0.001),
        any(member in augmented for member in members),
    )


def _label(body: dict[str, Any]) -> Label:
    claims = frozenset((leg["venue"], leg["market"], leg["outcome"]) for leg in body["basket"])
    true, knowable, net = body["kind"] == "true", body["knowable"], body["net"] or 0
    return Label(body["group"], body["case"], claims, true, knowable, body["t_open_ns"], body["t_close_ns"], net)


def _shown(row: dict[str, Any]) -> Shown:
    bids, asks = ([(price, size) for price, size in row[side]] for side in ("bids", "asks"))
    return Shown(row["t"], (row["venue"], row["market"]), bids, asks, row["open"], row["grid"])


def _moment_ns(text: str) -> int:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round(moment.timestamp() * 1000) * 1_000_000
