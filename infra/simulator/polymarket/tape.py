"""A tape's Polymarket frames: their effect on the canonical books, and who gets them."""

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec

from infra.simulator.exchange import BookFacts, TokenBook
from infra.simulator.polymarket.market import Market
from infra.simulator.polymarket.messages import encode_first
from infra.simulator.polymarket.sessions import Session
from infra.simulator.tape import TapeFrame

if TYPE_CHECKING:
    from infra.simulator.polymarket.venue import PolymarketVenue

ASSET_EVENTS = frozenset({"book", "last_trade_price", "tick_size_change", "best_bid_ask"})
GLOBAL_EVENTS = frozenset({"new_market", "market_resolved"})
CUSTOM_EVENTS = GLOBAL_EVENTS | {"best_bid_ask"}
"""Sent only to connections that asked for them with custom_feature_enabled."""


class TapeDelivery:
    """Plays recorded frames word for word to every connection that would have got them."""

    def __init__(self, venue: "PolymarketVenue") -> None:
        self._venue = venue

    def deliver(self, frame: TapeFrame) -> None:
        """Put a tape frame's effect into the canonical books and send it to every connection it concerns."""
        if frame.text.strip() == "PONG":
            return
        events = self._events(frame.text)
        if events is None:
            for session in self._venue.audience.everyone():
                session.send(frame.text)
            return
        concerned: dict[Session, list[dict[str, Any]]] = {}
        for event in events:
            sessions = self._concerned(event)
            self._apply(event, sessions)
            for session in sessions:
                concerned.setdefault(session, []).append(event)
        for session, wanted in concerned.items():
            # A filtered frame was an array: a single object is wanted whole or not at all.
            text = frame.text if len(wanted) == len(events) else msgspec.json.encode(wanted).decode()
            session.send(text, tuple(dict.fromkeys(str(event.get("market", "")) for event in wanted)))

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
                    self._venue.by_token[token]
                return bool(changes(event))
            return kind in ASSET_EVENTS and event.get("asset_id") in self._venue.by_token
        except (KeyError, TypeError, ValueError, InvalidOperation):
            return False

    def _concerned(self, event: dict[str, Any]) -> list[Session]:
        kind, audience = event["event_type"], self._venue.audience
        custom = kind in CUSTOM_EVENTS
        if kind in GLOBAL_EVENTS:
            return audience.everyone(custom=custom)
        if kind == "price_change":
            # One message changes both legs of a market: whoever watches either gets it whole.
            tokens = {leg for token, *_ in changes(event) for leg in self._venue.by_token[token].listing.tokens}
            return audience.of(sorted(tokens))
        return audience.of((event["asset_id"],), custom=custom)

    def _apply(self, event: dict[str, Any], sessions: list[Session]) -> None:
        kind = event["event_type"]
        if kind in CUSTOM_EVENTS:
            return
        moved = changes(event) if kind == "price_change" else []
        market = self._venue.by_token[moved[0][0] if moved else event["asset_id"]]
        self._venue.keep(market)
        if kind == "book":
            market.books[event["asset_id"]].replace(*_levels(event))
        for token, side, price, size in moved:
            owner = self._venue.by_token[token]
            if not owner.started:
                _open_empty(owner, sessions)
            owner.books[token].change(side, price, size)
        if kind == "book":
            market.started = True
        market.facts = _facts_after(market.facts, event)
        market.timestamp = str(event.get("timestamp", market.timestamp))


def _open_empty(market: Market, sessions: list[Session]) -> None:
    """A market whose tape begins with a change begins from an empty book."""
    market.started = True
    for session in sessions:
        events = [market.event(token) for token in market.listing.tokens if token in session.tokens]
        if events:
            session.send(encode_first(events), (market.listing.condition_id,))


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
