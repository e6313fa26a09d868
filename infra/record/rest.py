"""Market records as the REST bodies of a tape, in each venue's own form.

The venue's catalogue makes the same record of them again, but for how the venue describes a resolution, which is text
for people, and the time of the last change. What a record does not keep (volumes, subtitles, links) is made up or left
away, as on generated tapes.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from infra.rebuild import Entry
from infra.simulator.exchange import dollars, plain_price
from infra.simulator.metadata import (
    FAR_FUTURE,
    PolymarketFacts,
    clob_market,
    clob_market_info,
    gamma_market,
    kalshi_event,
    kalshi_market,
    kalshi_series,
)
from producers.kalshi.fees import MAKER_RATES, TAKER_RATE
from producers.polymarket.metadata import SHORT_DELAY_MS
from producers.polymarket.rest import BOOKS_PATH
from schemas.records import FeeSchedule, Market, Venue
from schemas.units import QUANTITY_SCALE, RATE_SCALE

Bodies = dict[str, Any]

KALSHI_PATH: Final = "/trade-api/v2"
BOOK_PATHS: Final = frozenset({BOOKS_PATH, "/markets/orderbooks"})
PRICES: Final = {"yes": ("1", "0"), "no": ("0", "1"), "split": ("0.5", "0.5")}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rest_bodies(venue: Venue, markets: Iterable[Market]) -> Bodies:
    """The bodies of one venue by `GET /path?query`."""
    found: Bodies = {}
    for market in markets:
        found |= _kalshi(market) if venue == "kalshi" else _polymarket(market)
    return found


def recorded_body(venue: Venue, entry: Entry) -> Bodies:
    """A REST body that the raw topic holds, by its call; nothing for order books, which stand in the frames.

    What answers every call for books alike would be the books of one moment for ever.
    """
    path = entry.url.partition("?")[0]
    if not path or path in BOOK_PATHS:
        return {}
    try:
        body = msgspec.json.decode(entry.data)
    except msgspec.DecodeError:
        return {}
    return {f"GET {KALSHI_PATH if venue == 'kalshi' else ''}{entry.url}": body}


def _time(ns: int) -> str:
    """RFC 3339 to the microsecond; empty for none."""
    return (_EPOCH + timedelta(microseconds=ns // 1000)).isoformat().replace("+00:00", "Z") if ns else ""


def _number(scaled: int, scale: int) -> int | float:
    """A JSON number as the venues write it: whole where it is."""
    return scaled // scale if scaled % scale == 0 else scaled / scale


# Kalshi


def _kalshi(market: Market) -> Bodies:
    outcomes = market.outcomes or ("", "")
    body = kalshi_market(market.market, title=market.title, rules=market.rules) | {
        "event_ticker": market.event,
        "status": market.status,
        "yes_sub_title": outcomes[0],
        "no_sub_title": outcomes[1],
        "open_time": _time(market.open_ns),
        "close_time": _time(market.close_ns),
        "expected_expiration_time": _time(market.expected_settlement_ns),
        "latest_expiration_time": _time(market.expected_settlement_ns),
        "updated_time": _time(market.updated_ns),
        "created_time": _time(market.open_ns),
        "result": market.result,
        "price_level_structure": "",
        "price_ranges": [
            {"start": dollars(band.start), "end": dollars(band.end), "step": dollars(band.step)}
            for band in market.ticks
        ],
        "exchange_index": market.shard,
    }
    event = kalshi_event(market.event) | {
        "series_ticker": market.series,
        "category": market.category,
        "mutually_exclusive": market.mutually_exclusive,
        "exchange_index": market.shard,
    }
    if market.fee.taker_rate:
        # The market's fee may be its event's or its series': the event's outweighs.
        event |= _override(market.fee)
    else:
        body["fee_waiver_expiration_time"] = FAR_FUTURE
    series = kalshi_series(market.series) | {"category": market.category, "categories": []}
    return {
        f"GET {KALSHI_PATH}/markets/{market.market}": {"market": body},
        f"GET {KALSHI_PATH}/events/{market.event}": {"event": event},
        f"GET {KALSHI_PATH}/series/{market.series}": {"series": series},
    }


def _override(fee: FeeSchedule) -> Bodies:
    """Fee type and multiplier whose rates are these: both are rounded up to whole millionths."""
    multiplier = fee.taker_rate * RATE_SCALE // TAKER_RATE
    makers = {kind: -(-rate * multiplier // RATE_SCALE) for kind, rate in MAKER_RATES.items()}
    kind = next((kind for kind, rate in makers.items() if rate == fee.maker_rate), "quadratic")
    return {"fee_type_override": kind, "fee_multiplier_override": _number(multiplier, RATE_SCALE)}


# Polymarket


def _polymarket(market: Market) -> Bodies:
    yes, no = market.tokens
    names = market.outcomes or ("Yes", "No")
    facts = PolymarketFacts(
        market.market,
        yes,
        no,
        slug=market.event,
        question=market.title,
        description=market.rules,
        outcomes=(names[0], names[1]),
        tick=plain_price(market.ticks[0].step),
        start=_time(market.open_ns),
        end=_time(market.close_ns),
        accepting=market.status == "active",
    )
    closed, size = market.status == "closed", _number(market.minimum_quantity, QUANTITY_SCALE)
    info = clob_market_info(facts) | {"mos": size, "nr": market.negative_risk, "v": market.protocol}
    full = clob_market(facts) | {"minimum_order_size": size, "neg_risk": market.negative_risk, "closed": closed}
    gamma = gamma_market(facts) | {
        "version": market.protocol,
        "orderMinSize": size,
        "negRisk": market.negative_risk,
        "closed": closed,
        "category": market.category,
        "updatedAt": _time(market.updated_ns),
        "outcomePrices": json.dumps(PRICES.get(market.result, ("0.5", "0.5")) if closed else ("0.5", "0.5")),
        "events": [_gamma_event(market)],
    }
    if market.protocol == "v2":
        gamma["positionIds"] = list(market.tokens)
    _state_fee(market.fee, info, gamma)
    _state_delay(market.taker_delay_ms, info, full)
    return {
        f"GET /clob-markets/{market.market}": info,
        f"GET /markets/{market.market}": full,
        f"GET /markets?condition_ids={market.market}": [gamma],
    }


def _gamma_event(market: Market) -> Bodies:
    return {
        "slug": market.event,
        "title": market.title,
        "seriesSlug": market.series,
        "negRiskAugmented": market.negative_risk_augmented,
    }


def _state_fee(fee: FeeSchedule, info: Bodies, gamma: Bodies) -> None:
    """The CLOB's and Gamma's words for a fee; for none both leave theirs away."""
    if fee.model == "none":
        del info["fd"], gamma["feeSchedule"]
        gamma["feesEnabled"] = False
        return
    rate, taker_only = _number(fee.taker_rate, RATE_SCALE), not fee.maker_rate
    info["fd"] = {"r": rate, "e": fee.exponent, "to": taker_only}
    gamma["feeSchedule"] = {"exponent": fee.exponent, "rate": rate, "takerOnly": taker_only}


def _state_delay(milliseconds: int, info: Bodies, full: Bodies) -> None:
    """A short delay has a flag of its own; any other is told in seconds."""
    if milliseconds == SHORT_DELAY_MS:
        info["itode"] = True
    elif milliseconds:
        info["sd"] = full["seconds_delay"] = _number(milliseconds, 1000)
