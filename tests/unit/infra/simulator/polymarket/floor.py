"""A Polymarket exchange for tests, in time that only moves when told, and a client that keeps books from its frames.

The client is written from the venue's pages, apart from the simulator: it has the hash in an own form.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from infra.simulator.engine import CanonicalBook, MatchingEngine, NewOrder, Placement, Side
from infra.simulator.faults import Fault, FaultPanel
from infra.simulator.outbox import Outbox
from infra.simulator.polymarket.options import PolymarketOptions
from infra.simulator.polymarket.rest import PolymarketRest
from infra.simulator.polymarket.venue import PolymarketVenue
from infra.simulator.recorded import Query, Reply, Request
from tests.unit.infra.simulator.tapes import CONDITION, NO, YES, write_tape

MILLISECOND, SECOND = 1_000_000, 1_000_000_000
START = 1_790_000_000 * SECOND
QUIET = {"batched": 0.0, "arrays": 0.0, "resent": 0.0, "dust": 0.0, "touches": 1.0, "showcase": False}
"""Options that leave nothing to chance."""

LISTED = {"c": CONDITION, "t": [{"t": YES}, {"t": NO}], "mts": 0.01, "mos": 5}
Sides = dict[str, dict[str, str]]


class Floor:
    """A venue with its engine, its REST side and its clock; the tape lists one market."""

    def __init__(self, folder: Path, *, listed: Iterable[dict[str, Any]] = (LISTED,), **options: Any) -> None:
        self.now_ns = START
        rest = {f"GET /clob-markets/{body['c']}": body for body in listed}
        tape = write_tape(folder, polymarket=[], polymarket_rest=rest)
        self.faults = FaultPanel(lambda: self.now_ns)
        self.engine = MatchingEngine(lambda: self.now_ns)
        self.venue = PolymarketVenue(
            tape,
            now=lambda: self.now_ns,
            faults=self.faults,
            engine=self.engine,
            options=PolymarketOptions(**{**QUIET, **options}),
        )
        self.faults.on_strike.append(self.venue.strike)
        self.rest = PolymarketRest(self.venue)
        self._orders = 0

    def pass_ms(self, milliseconds: int = 0) -> None:
        """Let time pass, and happen what is due."""
        self.venue.step()
        for _ in range(milliseconds):
            self.now_ns += MILLISECOND
            self.venue.step()

    def place(self, side: Side, price: int, quantity: int, market: str = CONDITION, **more: Any) -> Placement:
        """Somebody's order, in YES terms."""
        self._orders += 1
        return self.engine.place(NewOrder(f"order-{self._orders}", "somebody", market, side, price, quantity, **more))

    def strike(self, fault: Fault) -> None:
        """Set a fault."""
        self.faults.set(fault)

    def get(self, path: str, *query: tuple[str, str]) -> Reply:
        """A public call."""
        return self.ask("GET", path, query=list(query))

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Query | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Any call; a body that is no bytes is sent as JSON."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        return self.rest.answer(Request(method, path, query or [], sent, headers or {}))


class Follower:
    """A client that believes every frame; ``history`` is what it was sent, ``judge`` sees each event once applied."""

    def __init__(self, floor: Floor, *tokens: str, limit: int = 1_000_000, **more: Any) -> None:
        self.floor = floor
        self.session = floor.venue.connect(Outbox(limit, now=lambda: floor.now_ns))
        self.books: dict[str, Sides] = {}
        self.ticks: dict[str, str] = {}
        self.history: list[Any] = []
        self.judge: Callable[[dict[str, Any]], None] = lambda _: None
        if tokens:
            self.say({"assets_ids": tokens, "type": "market", **more})

    def say(self, body: Any) -> None:
        """Send a message to the venue."""
        self.floor.venue.handle(self.session, body if isinstance(body, str) else json.dumps(body))

    def texts(self) -> list[str]:
        """The frames that have arrived, verbatim."""
        found = []
        while (text := self.session.outbox.take()) is not None:
            found.append(text)
        return found

    def read(self) -> list[dict[str, Any]]:
        """Apply what has arrived; returns its events in order."""
        events = []
        for text in self.texts():
            body = json.loads(text)
            events += body if isinstance(body, list) else [body]
        for event in events:
            self.apply(event)
            self.judge(event)
        self.history += events
        return events

    def apply(self, event: dict[str, Any]) -> None:
        """Let one event change the books."""
        if event["event_type"] == "book":
            self.books[event["asset_id"]] = {
                side: {level["price"]: level["size"] for level in event[side]} for side in ("bids", "asks")
            }
        elif event["event_type"] == "tick_size_change":
            self.ticks[event["asset_id"]] = event["new_tick_size"]
            self.books.pop(event["asset_id"], None)
        for change in event.get("price_changes", []):
            book = self.books.get(change["asset_id"])
            if book is not None:
                levels = book["bids" if change["side"] == "BUY" else "asks"]
                levels[change["price"]] = change["size"]
                if Decimal(change["size"]) == 0:
                    del levels[change["price"]]

    def ladders(self, yes: str, token: str) -> CanonicalBook:
        """The YES book that a token's book means."""
        book = self.books[token]
        mirrored = token != yes
        bids, asks = (_floored(book[side], mirrored=mirrored) for side in ("bids", "asks"))
        if mirrored:
            bids, asks = asks, bids
        return CanonicalBook(tuple(sorted(bids, reverse=True)), tuple(sorted(asks)))


def own_hash(facts: dict[str, Any], token: str, timestamp: str, book: Sides) -> str:
    """The venue's book hash, of plain text put together here; ``facts`` as REST tells them."""
    bids, asks = (
        ",".join(
            f'{{"price":"{price}","size":"{size}"}}'
            for price, size in sorted(book[side].items(), key=lambda level: Decimal(level[0]), reverse=side == "asks")
        )
        for side in ("bids", "asks")
    )
    version = f',"version":"{facts["version"]}"' if "version" in facts else ""
    text = (
        f'{{"market":"{facts["market"]}","asset_id":"{token}","timestamp":"{timestamp}","hash":"","bids":[{bids}],'
        f'"asks":[{asks}],"min_order_size":"{facts["min_order_size"]}","tick_size":"{facts["tick_size"]}",'
        f'"neg_risk":{str(facts["neg_risk"]).lower()},"last_trade_price":"{facts["last_trade_price"]}"{version}}}'
    )
    return hashlib.sha1(text.encode()).hexdigest()


def rest_book(floor: Floor, token: str = YES) -> dict[str, Any]:
    """A token's book as REST tells it: everything that the hash covers."""
    body: dict[str, Any] = floor.get("/book", ("token_id", token)).body
    return body


def opened(folder: Path, **options: Any) -> tuple[Floor, Follower]:
    """A market with a bid at 0.40 and an ask at 0.45, and a client that has both legs."""
    floor = Floor(folder, **options)
    floor.place("buy", 4_000, 1_000)
    floor.place("sell", 4_500, 1_250)
    floor.pass_ms()
    follower = Follower(floor, YES, NO)
    follower.read()
    return floor, follower


def _floored(levels: dict[str, str], *, mirrored: bool) -> list[tuple[int, int]]:
    found = [(int(Decimal(price) * 10_000), int(Decimal(size) * 100)) for price, size in levels.items()]
    return [(10_000 - price if mirrored else price, size) for price, size in found if size]
