"""Gamma: market and event metadata, in pages by offset and by keyset.

Sources: the Gamma pages; replies of October 2026 for ``$schema`` and cursors; clients' notes for what is clamped,
refused and left out: closed markets where nothing is said of them, ``offset`` with a keyset, the last page's cursor.
"""

import base64
import binascii
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from infra.simulator.polymarket.market import Market
from infra.simulator.polymarket.metadata import GAMMA_SCHEMAS, event_of, gamma_body, gamma_event, standing, with_event
from infra.simulator.polymarket.replies import invalid, not_found
from infra.simulator.recorded import Reply, Request

if TYPE_CHECKING:
    from infra.simulator.polymarket.venue import PolymarketVenue

Body = dict[str, Any]
Test = Callable[[Market, Body], bool]
DEFAULT_LIMIT = 20
MOST_IDS = 100
TRUTH = {"true": True, "false": False}
FLAGS = ("active", "closed", "archived")
DATES = (("start_date_min", "startDate", 1), ("start_date_max", "startDate", -1),
         ("end_date_min", "endDate", 1), ("end_date_max", "endDate", -1))  # fmt: skip


class Wrong(ValueError):
    """A parameter that Gamma does not take."""


class Gamma:
    """Answers for markets and events alike."""

    def __init__(self, venue: "PolymarketVenue") -> None:
        self._venue = venue
        self._recorded: dict[str, Body] = {}
        for _, body in venue.recorded.bodies():
            for market in body if isinstance(body, list) else [body]:
                if isinstance(market, dict) and isinstance(market.get("conditionId"), str):
                    self._recorded.setdefault(market["conditionId"], market)

    def answer(self, request: Request) -> Reply | None:
        """The reply to a call of Gamma's; None when it is none."""
        parts = request.path.strip("/").split("/")
        if request.method != "GET" or parts[0] not in ("markets", "events"):
            return None
        found = self._markets if parts[0] == "markets" else self._events
        try:
            match parts[1:]:
                case []:
                    return self._by_offset(found(request), request)
                case ["keyset"]:
                    return self._by_keyset(parts[0], found(request), request)
                case ["slug", slug]:
                    return _single(found(None), "slug", slug)
                case [number]:
                    return _single(found(None), "id", number)
        except Wrong as error:
            return invalid(str(error))
        return None

    def market(self, market: Market) -> Body:
        """A market as Gamma shows it, without its event."""
        recorded = self._recorded.get(market.listing.condition_id)
        if recorded is not None and not self._venue.exchange:
            return recorded
        return gamma_body(market.listing, standing(market, paused=self._venue.paused(market)), recorded)

    # What there is

    def _markets(self, request: Request | None) -> list[Body]:
        """The markets that a request asks for; all of them without one."""
        bodies = [(market, self.market(market)) for market in list(self._venue.markets.values())]
        if request is not None:
            tests = _tests(request)
            bodies = [(market, body) for market, body in bodies if all(test(market, body) for test in tests)]
        return [
            with_event(body, event_of(market.listing), [body]) | {"$schema": f"{GAMMA_SCHEMAS}/Market.json"}
            if request is None
            else with_event(body, event_of(market.listing), [body])
            for market, body in bodies
        ]

    def _events(self, request: Request | None) -> list[Body]:
        with_markets = request is None or _flag(request, "include_markets") is not False
        members: dict[str, list[Body]] = {}
        events = {}
        for market in self._venue.markets.values():
            event = event_of(market.listing)
            events[event.slug] = event
            members.setdefault(event.slug, []).append(self.market(market))
        made = [gamma_event(events[slug], bodies, with_markets=with_markets) for slug, bodies in members.items()]
        if request is None:
            return made
        for name in FLAGS:
            wanted = _flag(request, name)
            made = [event for event in made if wanted is None or event[name] is wanted]
        for name, field in (("slug", "slug"), ("id", "id")):
            asked = request.every(name)
            made = [event for event in made if not asked or event[field] in asked]
        return made

    # Pages

    def _by_offset(self, found: list[Body], request: Request) -> Reply:
        order = request.first("order")
        if order:
            # Ids are numbers in strings; what an entry lacks comes first.
            found.sort(key=lambda body: _sortable(body.get(order)), reverse=_flag(request, "ascending") is not True)
        start, size = _number(request, "offset", 0), self._size(request, self._venue.options.gamma_page)
        return Reply(200, found[start : start + size])

    def _by_keyset(self, name: str, found: list[Body], request: Request) -> Reply:
        if request.first("offset"):
            raise Wrong("offset is not supported with keyset pagination")
        last = _after(request.first("after_cursor"))
        size = self._size(request, self._venue.options.keyset_page)
        found = sorted((body for body in found if _id(body) > last), key=_id)
        page: Body = {"$schema": f"{GAMMA_SCHEMAS}/{name.capitalize()}KeysetListResponse.json", name: found[:size]}
        if len(found) > size:
            page["next_cursor"] = base64.urlsafe_b64encode(f"id:{_id(page[name][-1])}".encode()).decode()
        return Reply(200, page)

    def _size(self, request: Request, most: int) -> int:
        """Gamma gives fewer than were asked for without a word."""
        return min(_number(request, "limit", DEFAULT_LIMIT), most)


def _tests(request: Request) -> list[Test]:
    """What a market must be like to be listed."""
    tests = [
        *_among(request, "condition_ids", lambda market, _: {market.listing.condition_id, market.listing.gamma_id}),
        *_among(request, "clob_token_ids", lambda market, _: set(market.listing.tokens)),
        *_among(request, "question_ids", lambda _, body: {str(body.get("questionID"))}),
        *_among(request, "id", lambda _, body: {str(body.get("id"))}),
        *_among(request, "slug", lambda _, body: {str(body.get("slug"))}),
    ]
    for name in FLAGS:
        flag = _flag(request, name)
        # Closed markets are only listed to whoever asks for them.
        wanted = bool(flag) if name == "closed" else flag
        tests += [] if wanted is None else [partial(_is, name, wanted)]
    for name, field, sign in DATES:
        bound = request.first(name)
        tests += [partial(_within, field, bound, sign)] if bound else []
    return tests


def _among(request: Request, name: str, names_of: Callable[[Market, Body], set[str]]) -> list[Test]:
    """A test whether a market goes by any of the values of a parameter; none without the parameter."""
    asked = request.every(name)
    if len(asked) > MOST_IDS:
        raise Wrong(f"{name} accepts at most {MOST_IDS} values")
    return [lambda market, body: not names_of(market, body).isdisjoint(asked)] if asked else []


def _is(name: str, wanted: bool, _: Market, body: Body) -> bool:
    return bool(body.get(name)) is wanted


def _within(field: str, bound: str, sign: int, _: Market, body: Body) -> bool:
    """Whether a date is not before (sign 1) or not after (-1) a bound; RFC 3339 in UTC sorts as text."""
    value = str(body.get(field, ""))
    return value >= bound if sign > 0 else value <= bound


def _single(found: list[Body], field: str, value: str) -> Reply:
    body = next((body for body in found if str(body.get(field)) == value), None)
    return Reply(200, body) if body is not None else not_found(f"{field} not found")


def _id(body: Body) -> int:
    """A body's id; 0 when a recorded one has none that is a number."""
    text = str(body.get("id"))
    return int(text) if text.isascii() and text.isdecimal() else 0


def _flag(request: Request, name: str) -> bool | None:
    text = request.first(name)
    if text and text not in TRUTH:
        raise Wrong(f"{name} must be true or false")
    return TRUTH.get(text)


def _number(request: Request, name: str, default: int) -> int:
    text = request.first(name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise Wrong(f"{name} must be a number that is not negative")
    return int(text)


def _after(cursor: str) -> int:
    """The id that a page begins after; every id is above -1."""
    if not cursor:
        return -1
    try:
        kind, _, number = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if kind == "id":
            return int(number)
    except (binascii.Error, ValueError):
        pass
    raise Wrong("after_cursor is invalid")


def _sortable(value: Any) -> tuple[int, float, str]:
    if value is None:
        return 0, 0.0, ""
    try:
        return 1, float(value), ""
    except (TypeError, ValueError):
        return 2, 0.0, str(value)
