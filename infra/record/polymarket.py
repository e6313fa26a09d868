"""Polymarket's part of a tape: its frames as they came, and whole books where none was sent.

There are no numbers: what a frame says of a market depends on stamps and hashes only, so those of several connections
follow one another as they are.
"""

from collections import Counter
from collections.abc import Container
from typing import Any, Final

import msgspec

from infra.rebuild import Entry
from infra.record import frames as record_frames
from infra.record.frames import Frame
from producers.polymarket.book import MarketBook
from producers.polymarket.hashing import digest
from producers.polymarket.wire import is_pong
from producers.session import Session
from schemas.records import Book

MILLISECOND_NS: Final = 1_000_000


class PolymarketFrames:
    """The frames of `raw.polymarket`."""

    def __init__(self, markets: Container[str]) -> None:
        self.left_out: Counter[str] = Counter()
        self._markets = markets

    def meet(self, session: Session[Any]) -> None:
        """Nothing: there is one form only."""

    def read(self, entry: Entry, session: Session[Any]) -> Frame | None:  # noqa: ARG002 - the general form
        """The frame of an entry, with the events about the tape's markets only; None when it is left out."""
        text = entry.data.decode(errors="replace")
        if is_pong(entry.data):
            self.left_out[record_frames.REPLIES] += 1
            return None
        try:
            body = msgspec.json.decode(entry.data)
        except msgspec.DecodeError:
            return Frame((), False, lambda: text)
        events = body if isinstance(body, list) else [body]
        if not all(isinstance(event, dict) for event in events):
            return Frame((), False, lambda: text)
        kept = [event for event in events if self._concerns(event.get("market"))]
        if not kept:
            self.left_out[record_frames.OTHERS if events else record_frames.REPLIES] += 1
            return None
        if len(kept) < len(events):  # it was an array then
            text = msgspec.json.encode(kept).decode()
        named = [event.get("market") for event in kept]
        markets = tuple(dict.fromkeys(named)) if all(isinstance(market, str) for market in named) else ()
        return Frame(markets, False, lambda: text)

    def whole(self, book: Book, session: Session[Any], taped: Session[Any]) -> str:
        """Both tokens' books as a subscription opens with them, under the stamp of the newest change.

        Where the venue's clock has gone back the tape's newest stamp counts: an older book would not be believed.
        """
        tracked, shown = session.books[book.market], taped.books[book.market]
        assert isinstance(tracked, MarketBook)
        assert isinstance(shown, MarketBook)
        stamp = str(max(_newest_ns(tracked), _newest_ns(shown)) // MILLISECOND_NS)
        bids, asks = tracked.content.texts.bids, tracked.content.texts.asks
        events = (
            _event(tracked, tracked.yes, stamp, bids.joined(), asks.joined()),
            _event(tracked, tracked.no, stamp, asks.mirrored(), bids.mirrored()),
        )
        return msgspec.json.encode(events).decode()

    def _concerns(self, market: Any) -> bool:
        """True for what is about a market of the tape, or about nobody knows which."""
        return not isinstance(market, str) or market in self._markets


def _newest_ns(book: MarketBook) -> int:
    return max(book.newest_ns, book.content.exchange_ns)


def _event(book: MarketBook, token: str, stamp: str, bids: str, asks: str) -> dict[str, Any]:
    """A `book` event whose hash is that of its levels, by the venue's rule; none where that was not the venue's."""
    facts = book.verifier.facts
    levels = f'"bids":[{bids}],"asks":[{asks}]'
    return {
        "market": book.published.market,
        "asset_id": token,
        "timestamp": stamp,
        "hash": "" if book.verifier.suspended else digest(facts.head(token, stamp) + levels + facts.tail),
        "bids": msgspec.Raw(f"[{bids}]".encode()),
        "asks": msgspec.Raw(f"[{asks}]".encode()),
        "tick_size": facts.tick,
        "event_type": "book",
        "last_trade_price": facts.last_trade,
        **({"version": facts.version} if facts.version else {}),
    }
