"""What cases are written with: ladders in cents, titles of made-up questions, pairs, edges that come and go."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from infra.simulator.planted.stage import Cast, Change, Listed, Stage
from infra.simulator.walk import Book

Play = Callable[[], None]
"""What happens in a case, once everything is listed."""
Case = Callable[[Stage, Random, int], Play]
"""A case's variant: lists its markets, returns its play."""

VENUES: Final = ("kalshi", "polymarket")
SIDES: Final = ("yes", "no")
EVENT: Final = "planted-event"
FAR: Final = 13
"""A wide book's best prices are so many cents away from the fair one: room for an edge inside."""
BEFORE_MS: Final = 400
STANDING_MS: Final = 1_500
_SYLLABLES: Final = ("ba", "den", "fo", "gri", "hal", "jo", "kem", "lu", "mar", "nel", "or", "pat", "rin", "sol", "tev")


def cents(value: float) -> int:
    """Cents as a price."""
    return round(value * 100)


def ladder(first: float, step: float, *sizes: float) -> dict[int, int]:
    """Levels from a first price on: `step` cents from one to the next, sizes in contracts."""
    return {cents(first + at * step): round(size * 100) for at, size in enumerate(sizes)}


def sizes(random: Random, count: int = 3, least: int = 20, most: int = 60) -> list[float]:
    """Whole sizes."""
    return [float(random.randint(least, most)) for _ in range(count)]


def both(fair: float, half_spread: float, random: Random, *given: float) -> Book:
    """Both sides of a book around a fair price in cents."""
    return Book(
        ladder(fair - half_spread, -1, *(given or sizes(random))),
        ladder(fair + half_spread, 1, *(given or sizes(random))),
    )


class Topic:
    """A made-up question: no two share enough words to be taken for one another."""

    def __init__(self, random: Random) -> None:
        self.person, self.rival, self.third, self.place, self.prize = (_name(random) for _ in range(5))

    def candidate(self, at: int) -> str:
        """One of several who might win."""
        return self.person + chr(ord("a") + at) * 3

    def win(self, who: str = "", wording: int = 0) -> str:
        """Whether somebody wins, in one of three wordings: the first two are alike, the last is not."""
        who = who or self.person
        return (
            f"Will {who} win the {self.prize} race in {self.place}",
            f"{who} to win the {self.prize} race in {self.place}",
            f"{self.prize} winner is {who}",
        )[wording]

    def beat(self, *, turned: bool = False) -> str:
        """Whether one beats the other; turned round it is the opposite in the same words."""
        first, second = (self.rival, self.person) if turned else (self.person, self.rival)
        return f"Will {first} beat {second} for the {self.prize} in {self.place}"

    def above(self, level: int) -> str:
        """Whether something ends above a level."""
        return f"Will the {self.prize} index of {self.place} close above {level}"

    def between(self, low: int, high: int) -> str:
        """Whether it ends between two levels."""
        return f"Will the {self.prize} index of {self.place} close between {low} and {high}"


def _name(random: Random) -> str:
    return "".join(random.choice(_SYLLABLES) for _ in range(4)).capitalize()


@dataclass(slots=True)
class Pair:
    """One question on both venues. One of them quotes tightly around the fair price (cents), the other widely."""

    stage: Stage
    cast: Cast
    tight: Listed
    wide: Listed
    fair: float

    @property
    def kalshi(self) -> Listed:
        """The Kalshi market."""
        return self.tight if self.tight.venue == "kalshi" else self.wide

    @property
    def polymarket(self) -> Listed:
        """The Polymarket market."""
        return self.tight if self.tight.venue == "polymarket" else self.wide


def pair(
    stage: Stage,
    random: Random,
    name: str,
    *,
    wide: str,
    fair: float | None = None,
    tight_sizes: tuple[float, ...] = (),
    wording: int | None = None,
    charged: bool = False,
    evidence: dict[str, Any] | None = None,
    kalshi: dict[str, Any] | None = None,
    polymarket: dict[str, Any] | None = None,
    tight_books: Book | None = None,
    wide_books: Book | None = None,
) -> Pair:
    """List a pair under `same`; `kalshi` and `polymarket` are terms of the markets."""
    topic, fair = Topic(random), fair if fair is not None else random.randint(38, 62)
    wording = random.randrange(3) if wording is None else wording
    titles = {"kalshi": topic.win(), "polymarket": topic.win(wording=wording)}
    terms = {"kalshi": kalshi or {}, "polymarket": polymarket or {}}
    listed = {}
    for venue in ("kalshi", "polymarket"):
        if venue == wide:
            books = wide_books or both(fair, FAR, random)
        else:
            books = tight_books or both(fair, 1, random, *tight_sizes)
        listed[venue] = stage.list_market(venue, f"{name}-{venue[0]}", titles[venue], books, **terms[venue])
    case = name.rpartition("-")[0]
    cast = stage.cast(name, case, [("same", listed.values())], charged=charged, **(evidence or {}))
    tight = "polymarket" if wide == "kalshi" else "kalshi"
    return Pair(stage, cast, listed[tight], listed[wide], fair)


def inside(tight: Listed, side: str, through: float, *amounts: float) -> list[Change]:
    """Levels of the wide book that cross the tight one by so many cents, and a cent less with each further level.

    `side` is what is then bought of the wide market: "yes" means asks below the tight book's best bid.
    """
    if side == "yes":
        first, step, name = max(tight.true.bids) - cents(through), 100, "asks"
    else:
        first, step, name = min(tight.true.asks) + cents(through), -100, "bids"
    return [(name, first + at * step, round(amount * 100)) for at, amount in enumerate(amounts)]


def gone(changes: list[Change]) -> list[Change]:
    """The same levels, taken away."""
    return [(side, price, 0) for side, price, _ in changes]


def other(side: str) -> str:
    """The opposite outcome."""
    return "no" if side == "yes" else "yes"


def edge(
    stage: Stage,
    cast: Cast,
    market: Listed,
    changes: list[Change],
    claims: Sequence[tuple[Listed, str]],
    *,
    pays: bool,
    reason: str,
    milliseconds: int = STANDING_MS,
) -> None:
    """Levels of a market come and go, and with them an edge that pays, or only seems to."""
    stage.wait(BEFORE_MS)
    stage.move(market, *changes)
    (stage.opens if pays else stage.tempts)(cast, *claims, reason=reason)
    stage.wait(milliseconds)
    stage.ends(cast)
    stage.move(market, *gone(changes))


def stands(
    pair: Pair, side: str, changes: list[Change], *, pays: bool, reason: str, milliseconds: int = STANDING_MS
) -> None:
    """An edge comes by changes of a pair's wide book, of which `side` is bought, and goes with them."""
    claims = ((pair.wide, side), (pair.tight, other(side)))
    edge(pair.stage, pair.cast, pair.wide, changes, claims, pays=pays, reason=reason, milliseconds=milliseconds)
