"""What the venue's books really were, and how long a published book said something else while it was live."""

from collections.abc import Callable
from dataclasses import dataclass, field

from infra.simulator.engine import LevelChange, MatchingEngine
from schemas.records import Book, Level

Sides = tuple[tuple[Level, ...], tuple[Level, ...]]


class Truth:
    """Every book that the exchange ever had, with the time from which it stood."""

    def __init__(self, engine: MatchingEngine, now: Callable[[], int]) -> None:
        self._engine = engine
        self._now = now
        self._history: dict[str, list[tuple[int, Sides]]] = {}
        engine.on_change.append(self.changed)

    def changed(self, change: LevelChange) -> None:
        """The engine changed a book."""
        self.note(change.market)

    def note(self, market: str) -> None:
        """Remember a market's present book."""
        sides = self.present(market)
        history = self._history.setdefault(market, [])
        if not history or history[-1][1] != sides:
            history.append((self._now(), sides))

    def present(self, market: str) -> Sides:
        """A market's present book, best first."""
        bids, asks = self._engine.levels(market)
        return tuple(bids), tuple(asks)

    def true_until(self, market: str, sides: Sides, before_ns: int) -> int | None:
        """Until when a book with these sides stood, of those that began before a time; None when it never did.

        The present book stands for ever.
        """
        history = self._history.get(market, [])
        for index in range(len(history) - 1, -1, -1):
            began_ns, then = history[index]
            if began_ns <= before_ns and then == sides:
                return history[index + 1][0] if index + 1 < len(history) else 2**63
        return None


@dataclass(slots=True)
class Wrong:
    """A stretch of time in which a live book was not the venue's."""

    market: str
    from_ns: int
    to_ns: int

    @property
    def lasted_ns(self) -> int:
        """How long."""
        return self.to_ns - self.from_ns


@dataclass(slots=True)
class Spoken:
    """One published book and when it was said."""

    at_ns: int
    live: bool
    state: str
    reason: str
    sides: Sides


@dataclass(slots=True)
class Board:
    """Everything that was published, market by market."""

    spoken: dict[str, list[Spoken]] = field(default_factory=dict)

    def hear(self, book: Book, at_ns: int) -> None:
        """A book was published; repetitions and farewells say nothing new."""
        if book.republished or book.state == "moved":
            return
        bids, asks = book.sides()
        said = Spoken(at_ns, book.state == "live", book.state, book.reason, (tuple(bids), tuple(asks)))
        self.spoken.setdefault(book.market, []).append(said)

    def last(self, market: str) -> Spoken | None:
        """The newest word about a market."""
        return self.spoken[market][-1] if self.spoken.get(market) else None

    def pauses(self, market: str, end_ns: int) -> list[tuple[int, int]]:
        """From when to when a market's book was not live, once anything had been said of it."""
        found: list[tuple[int, int]] = []
        said = self.spoken.get(market, [])
        for index, one in enumerate(said):
            until_ns = said[index + 1].at_ns if index + 1 < len(said) else end_ns
            if one.live:
                continue
            if found and found[-1][1] == one.at_ns:
                found[-1] = found[-1][0], until_ns
            else:
                found.append((one.at_ns, until_ns))
        return found

    def wrongs(self, truth: Truth, market: str, end_ns: int) -> list[Wrong]:
        """When this market's book was live but not what the venue's was: later than the truth, or never true.

        Neighbouring stretches are one when the book was wrong without a pause.
        """
        found: list[Wrong] = []
        said = self.spoken.get(market, [])
        for index, one in enumerate(said):
            until_ns = said[index + 1].at_ns if index + 1 < len(said) else end_ns
            true_until_ns = truth.true_until(market, one.sides, one.at_ns)
            from_ns = one.at_ns if true_until_ns is None else true_until_ns
            if not one.live or from_ns >= until_ns:
                continue
            if true_until_ns is None and found and found[-1].to_ns == one.at_ns:
                found[-1].to_ns = until_ns
            else:
                found.append(Wrong(market, from_ns, until_ns))
        return found
