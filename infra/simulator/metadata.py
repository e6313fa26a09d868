"""Market metadata as the venues describe it: the bodies that a tape's ``rest.json`` lacks, and those it is made of.

Field names and which of them are required follow the venues' API pages ("Get Market", "Get Series" of Kalshi;
CLOB market info and Gamma markets of Polymarket) and recorded market objects of June 2026.
"""

import json
import uuid
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from infra.simulator.exchange import ONE_DOLLAR, KalshiBook, contracts, dollars

CENT = 100
FAR_FUTURE = "2099-12-31T00:00:00Z"
OPENED = "2026-01-01T00:00:00Z"
DEFAULT_FEE = {"r": 0.07, "e": 1, "to": True}
_STRUCTURES = {100: "linear_cent", 10: "deci_cent", 1: "center_centi_edge_centi_cent"}


def event_of(ticker: str) -> str:
    """The event a Kalshi market belongs to: its ticker without the last segment."""
    return ticker.rpartition("-")[0] or ticker


def series_of(ticker: str) -> str:
    """The series a Kalshi market or event belongs to: the first segment of its ticker."""
    return ticker.partition("-")[0]


def market_id_of(ticker: str) -> str:
    """A stable made-up UUID for a Kalshi market whose recorded one is not known."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, ticker))


def kalshi_market(
    ticker: str,
    *,
    step: int = CENT,
    title: str = "",
    rules: str = "",
    open_time: str = OPENED,
    close_time: str = FAR_FUTURE,
    settles: str = "",
) -> dict[str, Any]:
    """A Kalshi market object with every required field, an empty book and ``step`` (1e-4 dollar) as its price grid.

    ``settles`` is when its result is expected; empty: at its close.
    """
    body: dict[str, Any] = {
        "ticker": ticker,
        "event_ticker": event_of(ticker),
        "market_type": "binary",
        "title": title or ticker,
        "yes_sub_title": "Yes",
        "no_sub_title": "No",
        "created_time": open_time,
        "updated_time": open_time,
        "open_time": open_time,
        "close_time": close_time,
        "expected_expiration_time": settles or close_time,
        "latest_expiration_time": close_time,
        "settlement_timer_seconds": 60,
        "status": "active",
        "notional_value_dollars": "1.0000",
        "result": "",
        "can_close_early": False,
        "expiration_value": "",
        "settlement_bounds_type": "default",
        "rules_primary": rules,
        "rules_secondary": "",
        "price_level_structure": _STRUCTURES.get(step, ""),
        "price_ranges": [{"start": dollars(0), "end": dollars(ONE_DOLLAR), "step": dollars(step)}],
        "exchange_index": 0,
    }
    for name in ("last_price", "previous_price", "previous_yes_bid", "previous_yes_ask"):
        body[f"{name}_dollars"] = dollars(0)
    for name in ("volume", "volume_24h", "open_interest"):
        body[f"{name}_fp"] = contracts(0)
    return with_top(body, KalshiBook(ticker))


def with_top(body: dict[str, Any], book: KalshiBook) -> dict[str, Any]:
    """The market object with its best prices taken from a book; an empty bid is 0, an empty ask 1."""
    yes, no = book.best("yes") or (0, 0), book.best("no") or (0, 0)
    return body | {
        "yes_bid_dollars": dollars(yes[0]),
        "yes_bid_size_fp": contracts(yes[1]),
        "yes_ask_dollars": dollars(ONE_DOLLAR - no[0]),
        "yes_ask_size_fp": contracts(no[1]),
        "no_bid_dollars": dollars(no[0]),
        "no_ask_dollars": dollars(ONE_DOLLAR - yes[0]),
    }


def kalshi_event(event_ticker: str, title: str = "") -> dict[str, Any]:
    """A Kalshi event object without fee overrides."""
    return {
        "event_ticker": event_ticker,
        "series_ticker": series_of(event_ticker),
        "title": title or event_ticker,
        "sub_title": "",
        "mutually_exclusive": False,
        "collateral_return_type": "",
        "settlement_sources": [],
        "exchange_index": 0,
    }


def kalshi_series(ticker: str, title: str = "") -> dict[str, Any]:
    """A Kalshi series object with the ordinary taker fee (quadratic, multiplier 1)."""
    return {
        "ticker": ticker,
        "title": title or ticker,
        "category": "Crypto",
        "categories": ["Crypto"],
        "tags": [],
        "frequency": "custom",
        "fee_type": "quadratic",
        "fee_multiplier": 1,
        "settlement_sources": [],
        "contract_url": "",
        "exchange_index": 0,
    }


@dataclass(frozen=True, slots=True)
class PolymarketFacts:
    """What the Polymarket bodies of one market are made of; ``yes`` and ``no`` are token ids."""

    condition_id: str
    yes: str
    no: str
    slug: str = ""
    question: str = ""
    description: str = ""
    outcomes: tuple[str, str] = ("Yes", "No")
    tick: str = "0.01"
    min_size: int = 5
    start: str = OPENED
    end: str = FAR_FUTURE
    accepting: bool = True

    @property
    def tokens(self) -> tuple[str, str]:
        """Both token ids, YES first."""
        return self.yes, self.no


def made_up_token(text: str) -> str:
    """A token id that no venue issued: the decimal of a SHA-256, as long as real ones are."""
    return str(int(sha256(text.encode()).hexdigest(), 16))


def clob_market_info(facts: PolymarketFacts) -> dict[str, Any]:
    """``GET /clob-markets/{condition_id}``: the compact order metadata with the fee schedule."""
    return {
        "c": facts.condition_id,
        "t": [{"t": token, "o": outcome} for token, outcome in zip(facts.tokens, facts.outcomes, strict=True)],
        "mos": facts.min_size,
        "mts": float(facts.tick),
        "mbf": 1000,
        "tbf": 1000,
        "ao": facts.accepting,
        "aot": facts.start,
        "fd": dict(DEFAULT_FEE),
        "v": "v1",
    }


def clob_market(facts: PolymarketFacts) -> dict[str, Any]:
    """``GET /markets/{condition_id}``: the full CLOB market."""
    return {
        "condition_id": facts.condition_id,
        "question_id": "0x" + sha256(facts.condition_id.encode()).hexdigest(),
        "question": facts.question or facts.slug,
        "market_slug": facts.slug,
        "tokens": [
            {"token_id": token, "outcome": outcome, "price": 0.5, "winner": False}
            for token, outcome in zip(facts.tokens, facts.outcomes, strict=True)
        ],
        "minimum_tick_size": float(facts.tick),
        "minimum_order_size": facts.min_size,
        "accepting_orders": facts.accepting,
        "accepting_order_timestamp": facts.start,
        "enable_order_book": True,
        "active": True,
        "closed": False,
        "archived": False,
        "neg_risk": False,
        "seconds_delay": 0,
        "end_date_iso": facts.end,
        "maker_base_fee": 1000,
        "taker_base_fee": 1000,
        "is_50_50_outcome": False,
    }


def gamma_market(facts: PolymarketFacts) -> dict[str, Any]:
    """A Gamma market: outcomes, prices and token ids are strings that hold JSON arrays, as the venue sends them."""
    return {
        "id": str(int(sha256(facts.condition_id.encode()).hexdigest()[:8], 16)),
        "conditionId": facts.condition_id,
        "slug": facts.slug,
        "question": facts.question or facts.slug,
        "description": facts.description,
        "questionID": "0x" + sha256(facts.condition_id.encode()).hexdigest(),
        "startDate": facts.start,
        "endDate": facts.end,
        "outcomes": json.dumps(facts.outcomes),
        "outcomePrices": json.dumps(["0.5", "0.5"]),
        "clobTokenIds": json.dumps(facts.tokens),
        "version": "v1",
        "enableOrderBook": True,
        "acceptingOrders": facts.accepting,
        "active": True,
        "closed": False,
        "archived": False,
        "restricted": True,
        "negRisk": False,
        "orderPriceMinTickSize": float(facts.tick),
        "orderMinSize": facts.min_size,
        "feesEnabled": True,
        "feeType": "crypto_fees_v2",
        "feeSchedule": {"exponent": 1, "rate": 0.07, "takerOnly": True, "rebateRate": 0.2},
        "makerBaseFee": 1000,
        "takerBaseFee": 1000,
        "umaResolutionStatuses": "[]",
    }
