"""Small tapes and clients for the simulator's tests."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.simulator.kalshi.session import Session
from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.outbox import Outbox
from infra.simulator.tape import Tape

SECOND = 1_000_000_000
YES, NO, CONDITION = "111", "222", "0x" + "ab" * 32

Stamped = tuple[int, str]


def write_tape(
    folder: Path,
    kalshi: Sequence[Stamped] | None = None,
    polymarket: Sequence[Stamped] | None = None,
    kalshi_rest: dict[str, Any] | None = None,
    polymarket_rest: dict[str, Any] | None = None,
) -> Tape:
    """A tape folder with these frames and REST bodies, opened."""
    for venue, frames, rest in (("kalshi", kalshi, kalshi_rest), ("polymarket", polymarket, polymarket_rest)):
        (folder / venue).mkdir(parents=True, exist_ok=True)
        if frames is not None:
            lines = [json.dumps({"t": stamp, "frame": text}) for stamp, text in frames]
            (folder / venue / "frames.jsonl").write_text("\n".join(lines))
        if rest is not None:
            (folder / venue / "rest.json").write_text(json.dumps(rest))
    return Tape.open(folder)


def snapshot(seq: int, ticker: str = "A-1", yes: Any = (), no: Any = (), sid: int = 1) -> str:
    """A Kalshi snapshot frame; an empty side has no key."""
    message: dict[str, Any] = {"market_ticker": ticker, "market_id": "m"}
    message |= {"yes_dollars_fp": yes} if yes else {}
    message |= {"no_dollars_fp": no} if no else {}
    return json.dumps({"type": "orderbook_snapshot", "sid": sid, "seq": seq, "msg": message})


def delta(seq: int, price: str, size: str, side: str = "yes", ticker: str = "A-1", sid: int = 1) -> str:
    """A Kalshi delta frame."""
    message = {"market_ticker": ticker, "market_id": "m", "price_dollars": price, "delta_fp": size, "side": side}
    return json.dumps({"type": "orderbook_delta", "sid": sid, "seq": seq, "msg": message})


class KalshiClient:
    """A client of the Kalshi simulator without a socket."""

    def __init__(self, venue: KalshiVenue, limit: int = 1000, market_limit: int = 10_000) -> None:
        self.outbox = Outbox(limit)
        self.session = Session(venue, self.outbox, market_limit)

    def send(self, cmd: str, identifier: int = 1, **params: Any) -> list[dict[str, Any]]:
        """Send a command and read everything that is there."""
        self.session.handle(json.dumps({"id": identifier, "cmd": cmd, "params": params}))
        return self.read()

    def subscribe(self, *tickers: str, **more: Any) -> list[dict[str, Any]]:
        """Subscribe to order books."""
        return self.send("subscribe", channels=["orderbook_delta"], market_tickers=list(tickers), **more)

    def texts(self) -> list[str]:
        """Everything queued, verbatim."""
        found = []
        while (text := self.outbox.take()) is not None:
            found.append(text)
        return found

    def read(self) -> list[dict[str, Any]]:
        """Everything queued, decoded."""
        return [json.loads(text) for text in self.texts()]


def play(venue: Any, tape: Tape) -> None:
    """Deliver every frame of the tape at once."""
    for frame in tape.frames(venue.name):
        venue.deliver(frame)
