"""A small Kalshi exchange without sockets, in a time that the test sets, and clients that know what they read."""

import json
from pathlib import Path
from typing import Any

from infra.simulator.engine import MatchingEngine, NewOrder, Placement, Side
from infra.simulator.exchange import fixed
from infra.simulator.faults import MILLISECOND, Fault, FaultName, FaultPanel
from infra.simulator.kalshi.auth import Verifier
from infra.simulator.kalshi.market import ListedMarket
from infra.simulator.kalshi.options import KalshiOptions
from infra.simulator.kalshi.rest import KalshiRest
from infra.simulator.kalshi.session import Session
from infra.simulator.kalshi.venue import KalshiVenue
from infra.simulator.metadata import kalshi_market
from infra.simulator.outbox import Outbox
from infra.simulator.recorded import Reply, Request
from tests.unit.infra.simulator.tapes import write_tape

API = "/trade-api/v2"
SECOND = 1_000_000_000
START_NS = 1_790_000_000 * SECOND
A, B, CRYPTO, COMBO = "KXA-26-T1", "KXA-26-T2", "KXBTC15M-26NOV-30", "KXMVE-26-M1"
MARKETS = (A, B, CRYPTO, COMBO)
OPTIONS = KalshiOptions(shards={"KXBTC15M": 2, "KXMVE": 1})


class Clock:
    """Wall time in ns, which passes when it is told to."""

    def __init__(self) -> None:
        self.ns = START_NS

    def __call__(self) -> int:
        return self.ns

    def pass_ms(self, count: int) -> None:
        """Let milliseconds pass."""
        self.ns += count * MILLISECOND


class Client:
    """A websocket client that applies what it reads: YES terms, integers, and the gaps it saw."""

    def __init__(self, exchange: "Exchange", owner: str | None = None, limit: int = 10_000, markets: int = 100) -> None:
        self.outbox = Outbox(limit, now=exchange.clock)
        self.session = Session(exchange.venue, self.outbox, markets, owner)
        self.books: dict[str, dict[str, dict[int, int]]] = {}
        self.last: dict[int, int] = {}
        self.gaps = 0
        self.yes_price = False

    def send(self, cmd: str, identifier: int = 1, **params: Any) -> list[dict[str, Any]]:
        """Send a command and read everything that is there."""
        self.session.handle(json.dumps({"id": identifier, "cmd": cmd, "params": params}))
        return self.read()

    def subscribe(self, *tickers: str, channel: str = "orderbook_delta", **more: Any) -> list[dict[str, Any]]:
        """Subscribe to a channel."""
        self.yes_price = bool(more.get("use_yes_price", self.yes_price))
        if tickers:
            more["market_tickers"] = list(tickers)
        return self.send("subscribe", channels=[channel], **more)

    def read(self) -> list[dict[str, Any]]:
        """Read and apply everything that is there."""
        frames = []
        while (text := self.outbox.take()) is not None:
            frames.append(json.loads(text))
            self._apply(frames[-1])
        return frames

    def _apply(self, frame: dict[str, Any]) -> None:
        if "seq" in frame:
            self.gaps += frame["seq"] != self.last.get(frame["sid"], frame["seq"] - 1) + 1
            self.last[frame["sid"]] = frame["seq"]
        message = frame.get("msg", {})
        if frame["type"] == "orderbook_snapshot":
            sides = {side: message.get(f"{side}_dollars_fp", []) for side in ("yes", "no")}
            self.books[message["market_ticker"]] = {
                side: {fixed(price, 4): fixed(size, 2) for price, size in levels} for side, levels in sides.items()
            }
        elif frame["type"] == "orderbook_delta":
            levels = self.books[message["market_ticker"]][message["side"]]
            price = fixed(message["price_dollars"], 4)
            levels[price] = levels.get(price, 0) + fixed(message["delta_fp"], 2)
            assert levels[price] >= 0
            if not levels[price]:
                del levels[price]

    def ladder(self, ticker: str) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """Bids and asks in YES terms, best first."""
        book = self.books[ticker]
        asks = book["no"] if self.yes_price else {10_000 - price: size for price, size in book["no"].items()}
        return tuple(sorted(book["yes"].items(), reverse=True)), tuple(sorted(asks.items()))


class Exchange:
    """A venue that trades four markets: two on shard 0, one on shard 2, and a combo on shard 1."""

    def __init__(self, folder: Path, options: KalshiOptions = OPTIONS, *tickers: str, **bodies: dict[str, Any]) -> None:
        rest = {f"GET {API}/markets/{each}": {"market": kalshi_market(each)} for each in tickers or MARKETS}
        rest |= {f"GET {API}/extra/{name}": body for name, body in bodies.items()}
        self.clock = Clock()
        self.faults = FaultPanel(self.clock, seed=4)
        self.engine = MatchingEngine(self.clock)
        tape = write_tape(folder, kalshi_rest=rest)
        self.venue = KalshiVenue(tape, now=self.clock, faults=self.faults, engine=self.engine, options=options)
        self.faults.on_strike.append(self.venue.strike)
        self.rest = KalshiRest(self.venue, Verifier(now=self.clock))
        self._orders = 0

    def market(self, ticker: str = A) -> ListedMarket:
        """A listed market."""
        return self.venue.catalogue.markets[ticker]

    def status(self, ticker: str = A) -> str:
        """Where a market stands."""
        return self.market(ticker).status(self.clock())

    def quote(self, side: Side, price: int, quantity: int = 1000, ticker: str = A, owner: str = "other") -> Placement:
        """Somebody's resting order."""
        self._orders += 1
        return self.engine.place(NewOrder(f"o{self._orders}", owner, ticker, side, price, quantity))

    def fault(self, name: FaultName, **more: Any) -> None:
        """Set a fault."""
        self.faults.set(Fault(name, **more))

    def wait(self, ms: int) -> None:
        """Let time pass, and what is due happen."""
        self.clock.pass_ms(ms)
        self.venue.step()

    def headers(self, key: str) -> dict[str, str]:
        """A signature of a key, which nobody checks."""
        stamp = str(self.clock() // MILLISECOND)
        return {"kalshi-access-key": key, "kalshi-access-timestamp": stamp, "kalshi-access-signature": "c2ln"}

    def call(self, method: str, path: str, body: Any = None, key: str = "", **query: Any) -> Reply:
        """A REST call, signed when a key is given."""
        raw = b"" if body is None else json.dumps(body).encode()
        pairs = [(name, str(value)) for name, value in query.items()]
        return self.rest.answer(Request(method, API + path, pairs, raw, self.headers(key) if key else {}))

    def get(self, path: str, key: str = "", **query: Any) -> Any:
        """The body of a GET that must succeed."""
        reply = self.call("GET", path, None, key, **query)
        assert reply.status == 200, reply.body
        return reply.body

    def order(self, key: str = "me", ticker: str = A, **fields: Any) -> Reply:
        """Place an order: a bid for one contract at 0.50 unless told otherwise."""
        body = {
            "ticker": ticker,
            "side": "bid",
            "count": "1.00",
            "price": "0.5000",
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
        }
        return self.call("POST", "/portfolio/events/orders", body | fields, key)
