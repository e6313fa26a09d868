"""From what was played to labels: when each basket truly paid, held against what its case promised.

A basket pays while every leg's book can be believed, is fresh and trades, and its best size leaves something after
fees and charges. Nothing in between is allowed on this tape: a true edge survives twice the charges, a false one loses
before any (or, where only charges make it false, at half of them).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any, Final

from infra.simulator.edges import ONE_DOLLAR
from infra.simulator.planted.payoffs import baskets, possible
from infra.simulator.planted.stage import DAY_NS, FRESH_NS, START_NS, Cast, Expected, Listed, Moment, PlantError, Stage
from infra.simulator.planted.worth import Offer, Worth, best

HURDLE: Final = 0.05
"""What capital earns elsewhere, a year."""
VOID: Final = 0.001
MISMATCH: Final = 0.001
"""What is charged where a group's evidence says nothing."""
LEAST_NET: Final = 10_000
"""A true edge leaves a cent at twice the charges."""

Key = tuple[str, str]
Named = tuple[tuple[Key, str], ...]
"""Claims in order: ((venue, market), outcome)."""


@dataclass(frozen=True, slots=True)
class Paid:
    """A stretch of time in which claims paid, and what their best size was worth when it began."""

    claims: Named
    open_ns: int
    close_ns: int
    worth: Worth


def labels(stage: Stage) -> list[dict[str, Any]]:
    """Every label in order of time; raises PlantError when a case does not do what it promises."""
    found = []
    for cast in stage.casts:
        paid = {(one.claims, one.open_ns, one.close_ns): one for one in _paid(stage, cast)}
        promised = {(one.claims, one.open_ns, one.close_ns) for one in cast.expected if _pays(one)}
        if paid.keys() != promised:
            raise PlantError(
                f"group {cast.name}: pays {_told(paid)}, but promised {_told(promised)} (after the start of the tape)"
            )
        if not cast.expected:
            raise PlantError(f"group {cast.name} promises nothing")
        for one in cast.expected:
            worth = paid[one.claims, one.open_ns, one.close_ns].worth if _pays(one) else None
            found.append(_label(cast, one, worth))
    return sorted(found, key=lambda label: (label["t_open_ns"], label["group"], str(label["basket"])))


def _pays(one: Expected) -> bool:
    """Whether a reader of the frames sees it pay."""
    return one.kind == "true" or not one.knowable


def _told(keys: Any) -> str:
    lines = []
    for claims, open_ns, close_ns in sorted(keys):
        named = " + ".join(f"{venue} {market[:12]}.. {side}" for (venue, market), side in claims)
        lines.append(f"{named} {(open_ns - START_NS) / 1e9:.3f}..{(close_ns - START_NS) / 1e9:.3f}")
    return "; ".join(lines) or "nothing"


def _label(cast: Cast, one: Expected, worth: Worth | None) -> dict[str, Any]:
    true = one.kind == "true"
    return {
        "group": cast.name,
        "case": cast.case,
        "kind": one.kind,
        "knowable": one.knowable,
        "reason": one.reason,
        "t_open_ns": one.open_ns,
        "t_close_ns": one.close_ns,
        "basket": [{"venue": venue, "market": name, "outcome": side} for (venue, name), side in one.claims],
        "quantity": worth.quantity if worth and true else None,
        "gross": worth.gross if worth and true else None,
        "fees": worth.fees if worth and true else None,
        "net": worth.net if worth and true else None,
    }


def charge(cast: Cast, now_ns: int, legs: Sequence[Listed], payout: int) -> int:
    """At most this do time, voids and mismatches cost a contract, 1e-4 dollar: a void is taken to pay nothing."""
    days = (max(leg.close_ns for leg in legs) - now_ns) / DAY_NS + 0.5
    venues = {leg.venue for leg in legs}
    mismatch = cast.evidence.get("mismatch_probability", MISMATCH) if len(venues) > 1 else 0
    void = cast.evidence.get("void_probability", VOID)
    return ceil(float(HURDLE * days / 365 * payout + void * payout + mismatch * ONE_DOLLAR))


def _paid(stage: Stage, cast: Cast) -> Iterator[Paid]:
    """Every stretch in which a basket paid."""
    ties = [tie for tie in cast.ties if not (tie.relation == "exhaustive" and cast.augmented)]
    outcomes = possible(len(cast.members), ties)
    known = baskets(len(cast.members), outcomes)
    running: dict[Named, tuple[int, Worth]] = {}
    before: list[Moment | None] = []
    for now_ns, books in _states(stage, cast):
        same = [at < len(before) and before[at] is book for at, book in enumerate(books)]
        before = books
        for claims, pays in known.items():
            if all(same[at] for at, _ in claims):
                continue
            named = tuple(sorted((cast.members[at].key, side) for at, side in claims))
            legs = [(cast.members[at], books[at], side) for at, side in sorted(claims)]
            worth = _worth(cast, now_ns, legs, pays * ONE_DOLLAR)
            if worth is not None and named not in running:
                running[named] = now_ns, worth
            elif worth is None and named in running:
                open_ns, opened = running.pop(named)
                yield Paid(named, open_ns, now_ns, opened)
    if running:
        raise PlantError(f"group {cast.name}: an edge stands at the end of the tape")


def _states(stage: Stage, cast: Cast) -> Iterator[tuple[int, list[Moment | None]]]:
    """The members' believable books after everything that was heard at a moment, whenever they may have changed."""
    places = {market.key: at for at, market in enumerate(cast.members)}
    moments = [moment for moment in stage.seen if moment.key in places]
    stale = {venue: stale_windows(stage, venue) for venue in ("kalshi", "polymarket")}
    closing = [market.close_ns for market in cast.members if market.venue == "kalshi" and market.close_ns < stage.now]
    edges = [edge for windows in stale.values() for window in windows for edge in window]
    books: list[Moment | None] = [None] * len(places)
    for now_ns in sorted({*(moment.t_ns for moment in moments), *edges, *closing}):
        while moments and moments[0].t_ns <= now_ns:
            moment = moments.pop(0)
            books[places[moment.key]] = moment
        usable: list[Moment | None] = []
        for market, book in zip(cast.members, books, strict=True):
            fresh = not any(begin <= now_ns < end for begin, end in stale[market.venue])
            over = market.venue == "kalshi" and market.close_ns <= now_ns
            usable.append(book if book is not None and book.usable and fresh and not over else None)
        yield now_ns, usable


def stale_windows(stage: Stage, venue: str) -> list[tuple[int, int]]:
    """When a venue had been silent for longer than books stay fresh, up to its next frame."""
    lines = stage.kalshi.lines if venue == "kalshi" else stage.polymarket.lines
    frames = pairwise(received_ns for received_ns, _ in lines)
    return [(last + FRESH_NS + 1, following) for last, following in frames if following - last > FRESH_NS]


def _worth(cast: Cast, now_ns: int, legs: list[tuple[Listed, Moment | None, str]], payout: int) -> Worth | None:
    """The best size's cash where a basket pays for certain; None where it certainly does not."""
    offers = []
    for market, book, side in legs:
        ladder = [] if book is None else claim(book, side)
        if not ladder:
            return None
        offers.append(Offer(market.venue, ladder, market.rate, market.minimum_quantity, market.minimum_value))
    if sum(offer.ladder[0][0] for offer in offers) >= payout:
        return None
    charged = charge(cast, now_ns, [market for market, _, _ in legs], payout)
    least, cash, most = best(offers, payout, (charged // 2 if cast.charged else 0, 0, 2 * charged))
    if most is not None and most.charged >= LEAST_NET:
        return cash
    if least is not None and least.charged > 0:
        raise PlantError(f"group {cast.name}: neither true nor false at {now_ns}: {least}, {most} at {charged} each")
    return None


def claim(book: Moment, side: str) -> list[tuple[int, int]]:
    """The asks of a claim, best first."""
    if side == "yes":
        return sorted(book.asks.items())
    return sorted((ONE_DOLLAR - price, size) for price, size in book.bids.items())
