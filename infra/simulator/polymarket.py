"""The Polymarket simulator: canonical books per token, tape delivery, the market channel's sessions."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from infra.simulator.exchange import BookFacts, TokenBook, book_hash
from infra.simulator.outbox import Outbox
from infra.simulator.polymarket_catalogue import Listing, Survey, listings, survey_tape
from infra.simulator.recorded import RecordedRest
from infra.simulator.tape import Tape, TapeFrame

ASSET_EVENTS = frozenset({"book", "last_trade_price", "tick_size_change", "best_bid_ask"})
GLOBAL_EVENTS = frozenset({"new_market", "market_resolved"})
# Sent only to connections that asked for them with custom_feature_enabled.
CUSTOM_EVENTS = GLOBAL_EVENTS | {"best_bid_ask"}
REFUSED = "INVALID OPERATION"


@dataclass(slots=True)
class Market:
    """One condition: its two tokens (YES first) with their books, and what the hashes cover."""

    listing: Listing
    facts: BookFacts
    books: dict[str, TokenBook]
    on_tape: frozenset[str]
    timestamp: str
    started: bool = False

    def book(self, token: str) -> TokenBook:
        """A token's book; the mirror of the other's when the tape never shows this token itself."""
        other = next(each for each in self.listing.tokens if each != token)
        derived = token not in self.on_tape and other in self.on_tape
        return self.books[other].mirrored() if derived else self.books[token]

    def summary(self, token: str) -> dict[str, Any]:
        """The fields that a ``book`` event and REST ``/book`` share, with the hash of the whole book."""
        bids, asks = self.book(token).wire()
        return {
            "market": self.listing.condition_id,
            "asset_id": token,
            "timestamp": self.timestamp,
            "hash": book_hash(self.facts, token, self.timestamp, bids, asks),
            "bids": [{"price": price, "size": size} for price, size in bids],
            "asks": [{"price": price, "size": size} for price, size in asks],
        }

    def event(self, token: str) -> dict[str, Any]:
        """The ``book`` event that opens a subscription."""
        return self.summary(token) | {
            "tick_size": self.facts.tick_size,
            "event_type": "book",
            "last_trade_price": self.facts.last_trade_price,
        }


@dataclass(eq=False, slots=True)
class Session:
    """One client of the market channel; ``outbox`` is drained by whoever owns the socket."""

    outbox: Outbox
    tokens: dict[str, None] = field(default_factory=dict)
    custom: bool = False

    def send(self, text: str) -> None:
        """Queue a frame; the venue closes the connection of a client that is too slow."""
        if not self.outbox.offer(text):
            self.outbox.close()


class PolymarketVenue:
    """The venue behind all connections. Not thread-safe; it lives in one event loop."""

    name = "polymarket"

    def __init__(self, tape: Tape) -> None:
        self.recorded = RecordedRest(tape.rest(self.name), str(tape.folder / "polymarket" / "rest.json"))
        self.survey: Survey = survey_tape(tape)
        now_ms = str(time.time_ns() // 1_000_000)
        self.markets: dict[str, Market] = {}
        for listing in listings(self.survey, self.recorded.bodies()):
            facts = BookFacts(listing.condition_id, listing.tick, listing.min_size, listing.neg_risk)
            books = {token: TokenBook() for token in listing.tokens}
            on_tape = frozenset(listing.tokens) & self.survey.tokens.keys()
            self.markets[listing.condition_id] = Market(listing, facts, books, on_tape, now_ms)
        self.by_token = {token: market for market in self.markets.values() for token in market.listing.tokens}
        self.sessions: dict[Session, None] = {}
        self.on_subscribed: Callable[[], None] = lambda: None
        self._watching: dict[str, dict[Session, None]] = {}

    # Sessions

    def connect(self, outbox: Outbox) -> Session:
        """A new client, subscribed to nothing yet."""
        session = Session(outbox)
        self.sessions[session] = None
        return session

    def close(self, session: Session) -> None:
        """Forget a client."""
        self._unwatch(session, list(session.tokens))
        self.sessions.pop(session, None)
        session.outbox.close()

    def handle(self, session: Session, text: str) -> None:
        """Carry out one client message: PING, the first subscription, or a later change of it."""
        if text.strip() == "PING":
            session.send("PONG")
            return
        try:
            body = msgspec.json.decode(text)
        except msgspec.DecodeError:
            body = None
        tokens = body.get("assets_ids") if isinstance(body, dict) else None
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            session.send(REFUSED)
            return
        operation = body.get("operation", "subscribe" if body.get("type") == "market" else None)
        if operation == "unsubscribe":
            self._unwatch(session, tokens)
        elif operation == "subscribe":
            session.custom = bool(body.get("custom_feature_enabled", session.custom))
            self._watch(session, tokens)
        else:
            session.send(REFUSED)

    def _watch(self, session: Session, tokens: list[str]) -> None:
        events = []
        for token in dict.fromkeys(tokens):
            session.tokens[token] = None
            self._watching.setdefault(token, {})[session] = None
            market = self.by_token.get(token)
            # The tape's own first book is the market's first; a market without frames is empty for ever.
            if market is not None and (market.started or not market.on_tape):
                events.append(market.event(token))
        session.send(_encode(events) + "\n")
        self.on_subscribed()

    def _unwatch(self, session: Session, tokens: Iterable[str]) -> None:
        for token in tokens:
            session.tokens.pop(token, None)
            self._watching.get(token, {}).pop(session, None)

    # Tape

    def deliver(self, frame: TapeFrame) -> None:
        """Put a tape frame's effect into the canonical books and send it to every connection it concerns."""
        if frame.text.strip() == "PONG":
            return
        events = self._events(frame.text)
        if events is None:
            self._broadcast(frame.text)
            return
        concerned: dict[Session, list[dict[str, Any]]] = {}
        for event in events:
            sessions = self._concerned(event)
            self._apply(event, sessions)
            for session in sessions:
                concerned.setdefault(session, []).append(event)
        for session, wanted in concerned.items():
            # A filtered frame was an array: a single object is wanted whole or not at all.
            session.send(frame.text if len(wanted) == len(events) else _encode(wanted))

    def _events(self, text: str) -> list[dict[str, Any]] | None:
        """The events of a frame; None when it is damaged or of a type that is not known."""
        try:
            body = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return None
        events = body if isinstance(body, list) else [body]
        return events if all(isinstance(event, dict) and self._sound(event) for event in events) else None

    def _sound(self, event: dict[str, Any]) -> bool:
        kind = event.get("event_type")
        if kind in GLOBAL_EVENTS:
            return True
        try:
            scratch = TokenBook()
            if kind == "book":
                scratch.replace(*_levels(event))
            elif kind == "price_change":
                for token, side, price, size in changes(event):
                    scratch.change(side, price, size)
                    self.by_token[token]
                return bool(changes(event))
            return kind in ASSET_EVENTS and event.get("asset_id") in self.by_token
        except (KeyError, TypeError, ValueError, InvalidOperation):
            return False

    def _concerned(self, event: dict[str, Any]) -> list[Session]:
        kind = event["event_type"]
        if kind in GLOBAL_EVENTS:
            sessions = [session for session in self.sessions if session.tokens]
        elif kind == "price_change":
            # One message changes both legs of a market: whoever watches either gets it whole.
            tokens = {leg for token, *_ in changes(event) for leg in self.by_token[token].listing.tokens}
            sessions = list({session: None for token in sorted(tokens) for session in self._watching.get(token, ())})
        else:
            sessions = list(self._watching.get(event["asset_id"], ()))
        return [session for session in sessions if session.custom or kind not in CUSTOM_EVENTS]

    def _apply(self, event: dict[str, Any], sessions: list[Session]) -> None:
        kind = event["event_type"]
        if kind in CUSTOM_EVENTS:
            return
        moved = changes(event) if kind == "price_change" else []
        market = self.by_token[moved[0][0] if moved else event["asset_id"]]
        if kind == "book":
            market.books[event["asset_id"]].replace(*_levels(event))
        for token, side, price, size in moved:
            owner = self.by_token[token]
            if not owner.started:
                self._open_empty(owner, sessions)
            owner.books[token].change(side, price, size)
        if kind == "book":
            market.started = True
        market.facts = _facts_after(market.facts, event)
        market.timestamp = str(event.get("timestamp", market.timestamp))

    def _open_empty(self, market: Market, sessions: list[Session]) -> None:
        """A market whose tape begins with a change begins from an empty book."""
        market.started = True
        for session in sessions:
            events = [market.event(token) for token in market.listing.tokens if token in session.tokens]
            if events:
                session.send(_encode(events) + "\n")

    def _broadcast(self, text: str) -> None:
        for session in list(self.sessions):
            if session.tokens:
                session.send(text)


def changes(event: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The (token, side, price, size) of a ``price_change``, also of the older form with one token per message."""
    listed = event.get("price_changes")
    if listed is None:
        listed = [{"asset_id": event["asset_id"], **change} for change in event.get("changes", [event])]
    return [(change["asset_id"], change["side"], change["price"], change["size"]) for change in listed]


def _levels(event: dict[str, Any]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    bids, asks = ([(level["price"], level["size"]) for level in event[side]] for side in ("bids", "asks"))
    return bids, asks


def _facts_after(facts: BookFacts, event: dict[str, Any]) -> BookFacts:
    """What later hashes cover: tick size and last trade price follow the events that tell them."""
    tick, last = facts.tick_size, facts.last_trade_price
    match event["event_type"]:
        case "book":
            tick, last = event.get("tick_size") or tick, event.get("last_trade_price", last)
        case "tick_size_change":
            tick = event.get("new_tick_size", tick)
        case "last_trade_price":
            # Books print the last price with at least three decimals, trades with as few as it has.
            last = f"{Decimal(event['price']):.3f}" if len(event["price"]) < len("0.000") else event["price"]
    if (tick, last) == (facts.tick_size, facts.last_trade_price):
        return facts
    return replace(facts, tick_size=tick, last_trade_price=last)


def _encode(body: Any) -> str:
    return msgspec.json.encode(body).decode()
