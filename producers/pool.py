"""The lines of a feed: who is carried by which, and what they are told."""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from producers.catalogue import OPEN, Standing
from producers.line import Line
from producers.roster import CONTRADICTED_NS, Entry
from producers.session import Tracked
from producers.transcript import Followed
from runtime import logs

B = TypeVar("B", bound=Tracked)


class Pool(Generic[B]):
    """Lines with at most `per_line` markets each; `start(line)` sets a new one going."""

    def __init__(self, make_line: Callable[[], Line[B]], per_line: int, start: Callable[[Line[B]], None]) -> None:
        self.lines: list[Line[B]] = []
        self._make_line = make_line
        self._per_line = per_line
        self._start = start
        self._log = logs.get()

    def place(self, markets: list[str], entries: Mapping[str, Entry]) -> None:
        """Give markets to lines with room, those of groups first, opening lines as needed."""
        left = sorted(markets, key=lambda market: not entries[market].group)
        while left:
            line = self._with_room()
            here = left[: self._per_line - len(line.books)]
            left = left[len(here) :]
            line.add([self._followed(entries[market]) for market in here])
            for market in here:
                entries[market].line, entries[market].said = line, OPEN

    def remove(self, market: str, entry: Entry) -> None:
        """A market is not carried any more, if it was."""
        if entry.line is not None:
            entry.line.remove(market)
            entry.line, entry.said = None, OPEN
            self._log.info("market no longer followed", market=market)

    def tell(self, standings: Mapping[str, Standing], entries: Mapping[str, Entry]) -> None:
        """Tell the lines whose standing is another than what they were told."""
        changed: dict[tuple[int, Standing], list[str]] = {}
        for market, standing in standings.items():
            entry = entries[market]
            if entry.line is not None and entry.said != standing:
                entry.said = standing
                changed.setdefault((self.lines.index(entry.line), standing), []).append(market)
        for (index, standing), markets in changed.items():
            self._say(self.lines[index], standing, markets)

    def contradict(self, now_ns: int, entries: Mapping[str, Entry]) -> None:
        """Release who was held by what the stream told, and is traded by all that was heard since, for long enough.

        The stream is ahead of the catalogue, so it is believed first; but the word that ends a hold can be lost.
        """
        for market, entry in entries.items():
            line = entry.line
            if line is None or entry.said != OPEN or line.books[market].published.held is None:
                entry.contradicted_ns = 0
            elif now_ns - (entry.contradicted_ns or now_ns) >= CONTRADICTED_NS:
                entry.contradicted_ns = 0
                line.release([market])
            else:
                entry.contradicted_ns = entry.contradicted_ns or now_ns

    def _say(self, line: Line[B], standing: Standing, markets: Iterable[str]) -> None:
        if standing.state == "open":
            line.release(list(markets))
        else:
            line.hold(list(markets), standing.state, standing.reason)

    def _with_room(self) -> Line[B]:
        for line in self.lines:
            if len(line.books) < self._per_line:
                return line
        line = self._make_line()
        self.lines.append(line)
        self._start(line)
        return line

    def _followed(self, entry: Entry) -> Followed:
        assert entry.market is not None, "only what is described is placed"
        return Followed(entry.market, entry.group)
