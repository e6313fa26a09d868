"""Polymarket's REST bodies about markets and events: what never changes, and over it how the market stands now.

The fields of a bare market are ``metadata``'s, which tapes are made of; this adds what the sheet's pages and recorded
objects of 2026 show beyond them, and puts the present over a recorded body. Numbers are JSON numbers where the venue's
are, so prices are floats here and nowhere else.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from infra.simulator.metadata import clob_market, clob_market_info, gamma_market
from infra.simulator.polymarket.catalogue import Event, Listing
from infra.simulator.polymarket.market import Market, Phase

GAMMA_SCHEMAS = "https://gamma-api.polymarket.com/schemas"

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a market's bodies changes while it lives; prices are of the first outcome, "" where there is none."""

    tick: str
    accepting: bool
    closed: bool
    end: str
    winner: str
    announced: bool
    bid: str
    ask: str
    last: str


def standing(market: Market, *, paused: bool = False) -> Standing:
    """How a market stands now."""
    bid, ask = market.book(market.yes).best()
    return Standing(
        tick=market.facts.tick_size,
        accepting=market.accepting and market.phase is Phase.OPEN and not paused,
        closed=market.phase in (Phase.CLOSED, Phase.RESOLVED),
        end=market.end,
        winner=market.winner,
        announced=market.phase is Phase.ANNOUNCED,
        bid="" if bid == "0" else bid,
        ask="" if ask == "1" else ask,
        last=market.facts.last_trade_price,
    )


def market_id(text: str) -> str:
    """A stable made-up id of Gamma's for a condition or an event."""
    return str(int(sha256(text.encode()).hexdigest()[:8], 16))


def event_of(listing: Listing) -> Event:
    """The event a market belongs to: its own when the listing names none."""
    return listing.event or Event(listing.slug or listing.condition_id, listing.question)


def info_body(listing: Listing, now: Standing, recorded: Body | None = None) -> Body:
    """``GET /clob-markets/{condition_id}``: the compact order metadata; what is false or none is left out."""
    body = recorded or clob_market_info(listing.facts()) | _fee_fields(listing, "mbf", "tbf")
    if recorded is None:
        if listing.fee is None:
            del body["fd"]
        else:
            body["fd"] = {"r": float(listing.fee.rate), "e": listing.fee.exponent, "to": True}
        flags: Body = {"nr": listing.neg_risk, "itode": listing.itode, "sd": listing.seconds_delay}
        body |= {name: value for name, value in flags.items() if value} | {"v": listing.version}
    return body | {"mts": float(now.tick), "ao": now.accepting}


def clob_body(listing: Listing, now: Standing, recorded: Body | None = None) -> Body:
    """``GET /markets/{condition_id}``: the full CLOB market."""
    body = recorded or clob_market(listing.facts()) | _fee_fields(listing, "maker_base_fee", "taker_base_fee")
    if recorded is None:
        body |= {"neg_risk": listing.neg_risk, "seconds_delay": listing.seconds_delay, "tags": [], "rewards": None}
        body |= {"game_start_time": None, "description": "", "notifications_enabled": True}
    prices = dict(zip(listing.tokens, _outcome_prices(listing, now), strict=True))
    tokens = [
        leg | {"price": float(prices.get(leg["token_id"], "0.5")), "winner": leg["token_id"] == now.winner}
        for leg in body["tokens"]
    ]
    return body | {
        "tokens": tokens,
        "minimum_tick_size": float(now.tick),
        "accepting_orders": now.accepting,
        "closed": now.closed,
        "end_date_iso": now.end,
    }


def simplified_body(body: Body) -> Body:
    """The entry of ``/simplified-markets`` for a full CLOB market."""
    names = ("condition_id", "tokens", "rewards", "active", "closed", "archived", "accepting_orders")
    return {name: body.get(name) for name in names}


def gamma_body(listing: Listing, now: Standing, recorded: Body | None = None) -> Body:
    """A Gamma market; lists in it are strings that hold JSON arrays, but for ``positionIds``."""
    body = recorded or gamma_market(listing.facts()) | _fee_fields(listing, "makerBaseFee", "takerBaseFee")
    if recorded is None:
        body |= _gamma_fees(listing) | {"conditionId": listing.gamma_id, "version": listing.version}
        body |= {"negRisk": listing.neg_risk, "ready": False, "umaResolutionStatuses": "[]"}
        if listing.version == "v2":
            body |= {"clobTokenIds": None, "positionIds": list(listing.tokens)}
        # Gamma has been seen without ids as long as the CLOB does not know the market.
        elif now.announced:
            body |= {"clobTokenIds": ""}
    shown: Body = {
        "outcomePrices": json.dumps(_outcome_prices(listing, now)),
        "acceptingOrders": now.accepting or now.announced,
        "closed": now.closed,
        "endDate": now.end,
        "endDateIso": now.end[:10],
        "orderPriceMinTickSize": float(now.tick),
        "bestBid": float(now.bid or 0),
        "bestAsk": float(now.ask or 1),
        "spread": round(float(now.ask or 1) - float(now.bid or 0), 4),
    }
    if now.last:
        shown["lastTradePrice"] = float(now.last)
    if now.winner:
        shown |= {"umaResolutionStatus": "resolved", "umaResolutionStatuses": '["proposed", "resolved"]'}
    return body | shown


def gamma_event(event: Event, members: Sequence[Body], *, with_markets: bool = True) -> Body:
    """A Gamma event over its markets' bodies."""
    body: Body = {
        "id": market_id(event.slug),
        "ticker": event.slug,
        "slug": event.slug,
        "title": event.title or event.slug,
        "description": "",
        "startDate": min(str(market.get("startDate", "")) for market in members),
        "endDate": max(str(market.get("endDate", "")) for market in members),
        "active": True,
        "closed": all(market.get("closed") for market in members),
        "archived": False,
        "restricted": True,
        "enableOrderBook": True,
        "negRisk": event.neg_risk,
        "enableNegRisk": event.neg_risk,
        "negRiskAugmented": event.augmented,
        "version": str(members[0].get("version", "v1")),
        "series": [],
        "tags": [],
    }
    if event.neg_risk:
        body["negRiskMarketID"] = "0x" + sha256(event.slug.encode()).hexdigest()
    return body | ({"markets": list(members)} if with_markets else {})


def with_event(body: Body, event: Event, members: Iterable[Body]) -> Body:
    """A Gamma market as lists show it: with its event, which does not name the markets again."""
    return body | {"events": [gamma_event(event, list(members), with_markets=False)]} if "events" not in body else body


def _outcome_prices(listing: Listing, now: Standing) -> list[str]:
    """What each outcome is worth as Gamma shows it: 1 and 0 after the resolution, else the middle of the book."""
    if now.winner:
        return ["1" if token == now.winner else "0" for token in listing.tokens]
    if not (now.bid and now.ask):
        return ["0.5", "0.5"]
    middle = round((float(now.bid) + float(now.ask)) / 2, 5)
    return [f"{middle:g}", f"{round(1 - middle, 5):g}"]


def _fee_fields(listing: Listing, maker: str, taker: str) -> Body:
    """The legacy flag that tells markets with a fee (1000) from those without, and never a rate."""
    flag = 1000 if listing.fee else 0
    return {maker: flag, taker: flag}


def _gamma_fees(listing: Listing) -> Body:
    fee = listing.fee
    if fee is None:
        return {"feesEnabled": False, "feeType": None, "feeSchedule": None}
    schedule = {"exponent": fee.exponent, "rate": float(fee.rate), "takerOnly": True, "rebateRate": float(fee.rebate)}
    return {"feesEnabled": True, "feeType": fee.kind, "feeSchedule": schedule}
