"""Kalshi's frames as far as the simulator reads them, and which markets a tape is about."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from infra.simulator.exchange import fixed
from infra.simulator.metadata import CENT
from infra.simulator.tape import Tape

BOOK = "orderbook_delta"
CHANNEL_OF = {
    "orderbook_snapshot": BOOK,
    "orderbook_delta": BOOK,
    "trade": "trade",
    "ticker": "ticker",
    "market_lifecycle_v2": "market_lifecycle_v2",
    "event_lifecycle": "market_lifecycle_v2",
    "event_fee_update": "market_lifecycle_v2",
}
CHANNELS = frozenset(CHANNEL_OF.values())
REPLIES = frozenset({"subscribed", "unsubscribed", "ok", "error"})

Number = str | int | float


class Envelope(msgspec.Struct):
    """A frame without its message."""

    type: str
    sid: int | None = None
    seq: int | None = None
    msg: msgspec.Raw = msgspec.Raw(b"{}")


class Message(msgspec.Struct):
    """The fields of a book message that matter here; messages of other channels only have the ticker."""

    market_ticker: str = ""
    market_id: str = ""
    yes_dollars_fp: list[tuple[Number, Number]] = []
    no_dollars_fp: list[tuple[Number, Number]] = []
    price_dollars: Number = "0"
    delta_fp: Number = "0"
    side: str = ""


class Subscribed(msgspec.Struct):
    """The message of a ``subscribed`` reply."""

    sid: int


ENVELOPE = msgspec.json.Decoder(Envelope)
MESSAGE = msgspec.json.Decoder(Message)
FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(slots=True)
class Survey:
    """What a first reading of the tape tells: number of frames, first frame type and finest price step per market."""

    frames: int = 0
    first: dict[str, str] = field(default_factory=dict)
    step: dict[str, int] = field(default_factory=dict)


def survey_tape(tape: Tape) -> Survey:
    """Read the whole tape once; damaged frames are counted and otherwise left out."""
    survey = Survey()
    for frame in tape.frames("kalshi"):
        survey.frames += 1
        try:
            envelope = ENVELOPE.decode(frame.text)
            if CHANNEL_OF.get(envelope.type) != BOOK:
                continue
            message = MESSAGE.decode(envelope.msg)
            prices = [price for price, _ in (*message.yes_dollars_fp, *message.no_dollars_fp)]
            step = _finest(fixed(price, 4) for price in (*prices, message.price_dollars))
        except (msgspec.MsgspecError, ValueError):
            continue
        if message.market_ticker:
            survey.first.setdefault(message.market_ticker, envelope.type)
            survey.step[message.market_ticker] = min(step, survey.step.get(message.market_ticker, CENT))
    return survey


def _finest(prices: Iterable[int]) -> int:
    """The coarsest of the venue's ticks (0.01, 0.001, 0.0001 dollar) on which all these prices lie."""
    step = CENT
    for price in prices:
        while price % step:
            step //= 10
    return step


def recorded_markets(bodies: Iterable[tuple[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every market object among the recorded REST bodies, by ticker."""
    markets: dict[str, dict[str, Any]] = {}
    for _, body in bodies:
        if not isinstance(body, dict):
            continue
        listed = body.get("markets")
        for market in [body.get("market"), *(listed if isinstance(listed, list) else [])]:
            if isinstance(market, dict) and isinstance(market.get("ticker"), str):
                markets.setdefault(market["ticker"], market)
    return markets
