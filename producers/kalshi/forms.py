"""Kalshi's messages field by field, as the venue writes them today.

Prices and sizes are decimal strings in fields called `*_dollars` and `*_fp` ("Fixed-Point Representation"). What is
required there may be null or absent all the same; of that only what cannot be done without is required here.
"""

from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET

from producers.kalshi.messages import LifecycleEvent
from schemas.records import OrderSide
from schemas.units import UnitError

Levels = list[tuple[str, str]]
OutcomeSide = Literal["yes", "no"]


class OldForm(UnitError):
    """A message with the integer fields of before 12 March 2026."""

    def __init__(self, fields: list[str]) -> None:
        super().__init__(f"{', '.join(fields)}: fields in cents or whole contracts are not taken")


class Delta(msgspec.Struct):
    """`orderbook_delta`."""

    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: OutcomeSide
    ts_ms: int | None = None
    ts: str | int | None = None


class Snapshot(msgspec.Struct):
    """`orderbook_snapshot`: a side without levels is absent. The last four are the old form of the sides."""

    market_ticker: str
    yes_dollars_fp: Levels | None = None
    no_dollars_fp: Levels | None = None
    yes: Any = UNSET
    no: Any = UNSET
    yes_dollars: Any = UNSET
    no_dollars: Any = UNSET

    def refuse_old_forms(self) -> None:
        """Raise OldForm where a side would be taken for empty because it came in the old form only."""
        old = []
        if self.yes_dollars_fp is None:
            old += [name for name in ("yes", "yes_dollars") if getattr(self, name)]
        if self.no_dollars_fp is None:
            old += [name for name in ("no", "no_dollars") if getattr(self, name)]
        if old:
            raise OldForm(old)


class Trade(msgspec.Struct):
    """`trade`. The taker is told by two fields; the third is an older one."""

    market_ticker: str
    trade_id: str
    yes_price_dollars: str
    count_fp: str
    taker_outcome_side: OutcomeSide | None = None
    taker_book_side: Literal["bid", "ask"] | None = None
    taker_side: OutcomeSide | None = None
    is_block_trade: bool | None = None
    ts_ms: int | None = None
    ts: int | None = None

    def taker(self) -> tuple[str, OrderSide]:
        """The field that tells the taker's side, and that side; raises UnitError when none does."""
        if self.taker_outcome_side is not None:
            return "taker_outcome_side", "buy" if self.taker_outcome_side == "yes" else "sell"
        if self.taker_book_side is not None:
            return "taker_book_side", "buy" if self.taker_book_side == "bid" else "sell"
        if self.taker_side is not None:
            return "taker_side", "buy" if self.taker_side == "yes" else "sell"
        raise UnitError("a trade that does not tell its taker's side")


class Ticker(msgspec.Struct):
    """`ticker`."""

    market_ticker: str
    price_dollars: str
    yes_bid_dollars: str
    yes_ask_dollars: str
    yes_bid_size_fp: str = "0"
    yes_ask_size_fp: str = "0"
    volume_fp: str = "0"
    open_interest_fp: str = "0"
    ts_ms: int | None = None
    ts: int | None = None


class Range(msgspec.Struct):
    """A band of `price_ranges`."""

    start: str
    end: str
    step: str


class _Strikes(msgspec.Struct):
    strike_type: str | None = None
    floor_strike: Any = None
    cap_strike: Any = None
    custom_strike: Any = None

    def strikes(self) -> tuple[tuple[str, str], ...]:
        """What the market is decided by, as text."""
        named = [(name, getattr(self, name)) for name in ("strike_type", "floor_strike", "cap_strike", "custom_strike")]
        return tuple((name, _shown(value)) for name, value in named if value is not None)


class Metadata(_Strikes):
    """`additional_metadata` of a created market, as far as it is used."""

    event_ticker: str | None = None
    yes_sub_title: str | None = None


EVENTS: Final[dict[str, LifecycleEvent]] = {
    "created": "created",
    "activated": "activated",
    "deactivated": "deactivated",
    "close_date_updated": "close_date_updated",
    "determined": "determined",
    "settled": "settled",
    "price_level_structure_updated": "price_level_structure_updated",
    "metadata_updated": "metadata_updated",
}


class Lifecycle(_Strikes, kw_only=True):
    """`market_lifecycle_v2` and `multivariate_market_lifecycle`: times in Unix seconds, all fields but two optional."""

    market_ticker: str
    event_type: str
    price_ranges: list[Range] | None = None
    price_level_structure: str | None = None
    open_ts: int | None = None
    close_ts: int | None = None
    determination_ts: int | None = None
    settled_ts: int | None = None
    result: str | None = None
    settlement_value: str | None = None
    exchange_index: int | None = None
    yes_sub_title: str | None = None
    additional_metadata: Metadata | None = None

    def known_event(self) -> LifecycleEvent:
        """The event, `other` when it is none of the documented ones."""
        return EVENTS.get(self.event_type, "other")


class EventCreated(msgspec.Struct):
    """`event_lifecycle`."""

    event_ticker: str
    series_ticker: str | None = None
    title: str | None = None
    collateral_return_type: str | None = None
    exchange_index: int | None = None


class EventFee(msgspec.Struct):
    """`event_fee_update`; null clears an override."""

    event_ticker: str
    fee_type_override: str | None = None
    fee_multiplier_override: str | int | float | None = None


class Subscribed(msgspec.Struct):
    """`subscribed`, and an item of the answer to `list_subscriptions`."""

    channel: str
    sid: int


class Ok(msgspec.Struct):
    """`ok`: all markets of the subscription after the command, unless left out."""

    market_tickers: list[str] | None = None


class Refused(msgspec.Struct):
    """`error`; whether it names markets is not certain."""

    code: int
    msg: str | None = None
    market_ticker: str | None = None
    market_tickers: list[str] | None = None


class RestSides(msgspec.Struct):
    """The sides of a REST book; both must be there, but none is taken for empty."""

    yes_dollars: Levels | None = None
    no_dollars: Levels | None = None


class RestBook(msgspec.Struct):
    """An item of `GET /markets/orderbooks`. `orderbook` is the old form of the sides."""

    ticker: str
    orderbook_fp: RestSides | None = None
    orderbook: Any = UNSET

    def sides(self) -> RestSides:
        """The sides; raises OldForm or UnitError where there are none."""
        if self.orderbook_fp is not None:
            return self.orderbook_fp
        if self.orderbook is not UNSET:
            raise OldForm(["orderbook"])
        raise UnitError("no orderbook_fp")


class Orderbook(msgspec.Struct):
    """Whose book an item is."""

    ticker: str = ""


class Orderbooks(msgspec.Struct):
    """The body of `GET /markets/orderbooks`."""

    orderbooks: list[msgspec.Raw]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
