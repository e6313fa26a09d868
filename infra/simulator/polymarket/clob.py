"""The CLOB's public REST calls, answered from the canonical books.

Sources: the CLOB pages and "Error Codes" for calls, parameters and errors; recorded bodies for the forms.
"""

import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from infra.simulator.exchange import fixed, plain_price
from infra.simulator.faults import FaultName
from infra.simulator.polymarket.market import Market, Phase, wide_open
from infra.simulator.polymarket.messages import spread
from infra.simulator.polymarket.metadata import clob_body, info_body, simplified_body, standing
from infra.simulator.polymarket.replies import problem
from infra.simulator.recorded import Reply, Request

if TYPE_CHECKING:
    from infra.simulator.polymarket.venue import PolymarketVenue

Body = dict[str, Any]
LAST_CURSOR = "LTE="
SIDES = ("BUY", "SELL")
LISTS = ("markets", "simplified-markets", "sampling-markets", "sampling-simplified-markets")

NO_BOOK = "No orderbook exists for the requested token id"


class Clob:
    """Answers what needs no key."""

    def __init__(self, venue: "PolymarketVenue") -> None:
        self._venue = venue
        bodies = [body for _, body in venue.recorded.bodies() if isinstance(body, dict)]
        self._infos: dict[str, Body] = {str(body["c"]): body for body in bodies if {"c", "t"} <= body.keys()}
        self._markets: dict[str, Body] = {
            str(body["condition_id"]): body for body in bodies if {"condition_id", "tokens"} <= body.keys()
        }
        self._of_token: dict[str, Callable[[Market, str, Request], Reply]] = {
            "book": lambda market, token, _: self._book(market, token),
            "midpoint": lambda market, token, _: self._value("mid", middle(market, token)),
            "price": self._price,
            "spread": lambda market, token, _: Reply(200, {"spread": spread(*market.book(token).best())}),
            "last-trade-price": lambda market, _token, __: Reply(200, last_trade(market)),
            "tick-size": lambda market, _token, __: Reply(200, {"minimum_tick_size": float(market.facts.tick_size)}),
            "neg-risk": lambda market, _token, __: Reply(200, {"neg_risk": market.listing.neg_risk}),
            "fee-rate": lambda market, _token, __: Reply(200, {"base_fee": 1000 if market.listing.fee else 0}),
        }
        self._of_tokens: dict[str, Callable[[list[Body]], Any]] = {
            "books": self._books,
            "midpoints": lambda asked: self._each(asked, middle),
            "prices": self._prices,
            "spreads": lambda asked: self._each(asked, lambda market, token: spread(*market.book(token).best())),
            "last-trades-prices": self._last_trades,
        }

    def answer(self, request: Request) -> Reply | None:
        """The reply to a call of the CLOB's; None when it is none."""
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["time"]:
                return Reply(200, self._venue.stamp_ms() // 1_000)
            case "GET", ["ok"]:
                return Reply(200, "OK")
            case "GET", ["version"]:
                return Reply(200, {"version": 2})
            case "GET", [name] if name in self._of_token:
                return self._one(name, request)
            case "POST", [name] if name in self._of_tokens:
                return self._many(name, request.body)
            case "GET", ["clob-markets", condition]:
                return self._described(condition, self.info)
            case "GET", ["markets", condition] if condition.startswith("0x"):
                return self._described(condition, self.market)
            case "GET", ["markets-by-token", token]:
                known = self._known(token)
                return Reply(200, {"condition_id": known.listing.condition_id}) if known else _unknown(token, NO_BOOK)
            case "GET", [name] if name in LISTS and (name != "markets" or request.first("next_cursor")):
                return self._list(name, request.first("next_cursor"))
        return None

    # Tokens

    def _one(self, name: str, request: Request) -> Reply:
        token = request.first("token_id")
        market = self._known(token)
        missing = "market not found" if name in ("tick-size", "neg-risk", "fee-rate") else NO_BOOK
        return self._of_token[name](market, token, request) if market else _unknown(token, missing)

    def _book(self, market: Market, token: str) -> Reply:
        return Reply(200, self._served(market, token))

    def _served(self, market: Market, token: str) -> Body:
        """A token's book as REST serves it: an old one while the fault lasts, or the ends of the grid only."""
        stale = self._venue.faults.strikes(FaultName.REST_STALE, market.listing.condition_id)
        if stale is not None and stale.detail == "wide":
            return wide_open(market, token)
        return market.rest_book(token, market.stale() if stale else None)

    def _price(self, market: Market, token: str, request: Request) -> Reply:
        side = request.first("side").upper()
        if side not in SIDES:
            return problem(400, "Invalid side")
        return self._value("price", self._side(market, token, side))

    def _side(self, market: Market, token: str, side: str) -> str:
        """The best bid to a BUY, the best ask to a SELL; "" where there is none."""
        book = market.book(token)
        levels = book.bids if side == "BUY" else book.asks
        return book.best()[SIDES.index(side)] if levels else ""

    def _value(self, name: str, text: str) -> Reply:
        return Reply(200, {name: text}) if text else problem(404, NO_BOOK)

    def _known(self, token: str) -> Market | None:
        """The market of a token that has a book; none before the market's first tape frame."""
        market = self._venue.by_token.get(token)
        there = market is not None and market.known and (market.started or not market.on_tape)
        return market if there else None

    # Many tokens

    def _many(self, name: str, body: bytes) -> Reply:
        if len(body) > self._venue.options.books_bytes:
            return problem(400, "Payload exceeds the limit")
        try:
            asked = msgspec.json.decode(body, type=list[dict[str, str]])
        except msgspec.MsgspecError:
            return problem(400, "Invalid payload")
        if not all("token_id" in each for each in asked):
            return problem(400, "Invalid payload")
        if name == "prices" and not all(each.get("side") in (None, *SIDES) for each in asked):
            return problem(400, "Invalid side")
        return Reply(200, self._of_tokens[name](asked))

    def _found(self, asked: list[Body]) -> list[tuple[Market, str, Body]]:
        found = [(self._known(each["token_id"]), each["token_id"], each) for each in asked]
        return [(market, token, each) for market, token, each in found if market is not None]

    def _books(self, asked: list[Body]) -> list[Body]:
        return [self._served(market, token) for market, token, _ in self._found(asked)]

    def _each(self, asked: list[Body], value: Callable[[Market, str], str]) -> dict[str, str]:
        values = {token: value(market, token) for market, token, _ in self._found(asked)}
        return {token: text for token, text in values.items() if text}

    def _prices(self, asked: list[Body]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for market, token, each in self._found(asked):
            for side in [each["side"]] if each.get("side") else SIDES:
                found.setdefault(token, {})[side] = self._side(market, token, side) or "0"
        return found

    def _last_trades(self, asked: list[Body]) -> list[Body]:
        found = self._found(asked)
        return [{"token_id": token} | last_trade(market) for market, token, _ in found if market.facts.last_trade_price]

    # Markets

    def info(self, market: Market) -> Body:
        """``/clob-markets``."""
        recorded = self._infos.get(market.listing.condition_id)
        if recorded is not None and not self._venue.exchange:
            return recorded
        return info_body(market.listing, standing(market, paused=self._venue.paused(market)), recorded)

    def market(self, market: Market) -> Body:
        """``/markets/{condition_id}``."""
        recorded = self._markets.get(market.listing.condition_id)
        if recorded is not None and not self._venue.exchange:
            return recorded
        return clob_body(market.listing, standing(market, paused=self._venue.paused(market)), recorded)

    def _described(self, condition: str, body: Callable[[Market], Body]) -> Reply:
        market = self._venue.markets.get(condition)
        if market is None or market.phase is Phase.ANNOUNCED:
            return problem(404, "market not found")
        return Reply(200, body(market))

    def _list(self, name: str, cursor: str) -> Reply:
        size = self._venue.options.clob_page
        try:
            start = int(base64.b64decode(cursor or "MA==", validate=True))
        except (binascii.Error, ValueError):
            return problem(400, "next item should be greater than or equal to 0")
        markets = [market for market in self._venue.markets.values() if market.phase is not Phase.ANNOUNCED]
        if name.startswith("sampling"):
            markets = [market for market in markets if market.phase is Phase.OPEN]
        page = [self.market(market) for market in (markets[start : start + size] if start >= 0 else [])]
        ended = start < 0 or start + size >= len(markets)
        following = LAST_CURSOR if ended else base64.b64encode(str(start + size).encode()).decode()
        data = [simplified_body(body) for body in page] if "simplified" in name else page
        return Reply(200, {"limit": size, "count": len(data), "next_cursor": following, "data": data})


def middle(market: Market, token: str) -> str:
    """The middle of a token's book; "" unless both sides have a level."""
    book = market.book(token)
    if not (book.bids and book.asks):
        return ""
    bid, ask = book.best()
    twice = fixed(bid, 4) + fixed(ask, 4)
    return plain_price(twice // 2) if twice % 2 == 0 else f"{twice // 2 // 10_000}.{twice // 2 % 10_000:04d}5"


def last_trade(market: Market) -> Body:
    """The market's last trade as both tokens show it; without one, half a dollar and no side."""
    price = market.facts.last_trade_price
    return {"price": price.rstrip("0") if price else "0.5", "side": "BUY" if price else ""}


def _unknown(token: str, message: str) -> Reply:
    return problem(404, message) if token.isascii() and token.isdecimal() else problem(400, "Invalid token id")
