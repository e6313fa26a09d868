"""One client connection of the Kalshi simulator: its commands, its subscriptions, its send queue.

Commands, replies and error codes follow the venue's websocket description (AsyncAPI, page "WebSocket Connection").
"""

from collections.abc import Callable
from typing import Any

import msgspec

from infra.simulator.kalshi import KalshiVenue, Subscription
from infra.simulator.kalshi_catalogue import BOOK, CHANNELS
from infra.simulator.outbox import Outbox

MARKETS_PER_SUBSCRIPTION = 10_000


class CommandError(Exception):
    """A refused command: the venue's error code, its text, and the subscription and market it concerns."""

    def __init__(self, code: int, text: str, subscription: Subscription | None = None, ticker: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.subscription = subscription
        self.ticker = ticker


class Session:
    """A connected client. ``outbox`` is drained by whoever owns the socket."""

    def __init__(self, venue: KalshiVenue, outbox: Outbox, market_limit: int = MARKETS_PER_SUBSCRIPTION) -> None:
        self.venue = venue
        self.outbox = outbox
        self.subscriptions: dict[int, Subscription] = {}
        self._market_limit = market_limit
        self._next_sid = 1
        venue.sessions[self] = None

    def close(self) -> None:
        """Forget the client and everything it subscribed to."""
        for subscription in self.subscriptions.values():
            self.venue.drop(subscription)
        self.subscriptions.clear()
        self.venue.sessions.pop(self, None)
        self.outbox.close()

    def send(self, subscription: Subscription, text: str) -> None:
        """Queue a frame of a subscription; a full queue ends that subscription with error 25."""
        if not self.holds(subscription) or self.outbox.offer(text):
            return
        del self.subscriptions[subscription.sid]
        self.venue.drop(subscription)
        frame: dict[str, Any] = {"type": "error", "sid": subscription.sid}
        if subscription.sequenced:
            frame["seq"] = subscription.advance()
        frame["msg"] = {"code": 25, "msg": "Subscription buffer overflow"}
        self.outbox.force(_encode(frame))

    def holds(self, subscription: Subscription) -> bool:
        """Whether a subscription is still alive."""
        return self.subscriptions.get(subscription.sid) is subscription

    def handle(self, text: str | bytes) -> None:
        """Carry out one command; everything wrong with it is answered by an error frame."""
        identifier = 0
        try:
            body = _decode(text)
            given = body.get("id", 0)
            identifier = given if isinstance(given, int) else 0
            self._command(body.get("cmd"))(identifier, body.get("params"))
        except CommandError as error:
            self._refuse(identifier, error)

    def _command(self, name: Any) -> Callable[[int, Any], None]:
        match name:
            case "subscribe":
                return self._subscribe
            case "update_subscription":
                return self._update
            case "unsubscribe":
                return self._unsubscribe
            case "list_subscriptions":
                return self._list
        raise CommandError(5, "Unknown command")

    def _subscribe(self, identifier: int, params: Any) -> None:
        params = _object(params)
        channels = params.get("channels")
        if not isinstance(channels, list) or not channels:
            raise CommandError(3, "Channels required")
        for channel in channels:
            if channel not in CHANNELS:
                raise CommandError(8, "Unknown channel name")
        flag = params.get("use_yes_price", False)
        if not isinstance(flag, bool):
            raise CommandError(11, "Invalid parameter: use_yes_price")
        tickers = _tickers(params)
        if BOOK in channels and not tickers:
            raise CommandError(14, "Market ticker required")
        for channel in channels:
            self._subscribe_channel(identifier, channel, tickers, flag)

    def _subscribe_channel(self, identifier: int, channel: str, tickers: list[str], use_yes_price: bool) -> None:
        known = self._known(identifier, tickers)
        if tickers and not known:
            return
        present = next((each for each in self.subscriptions.values() if each.channel == channel), None)
        if present is not None:
            self._add(identifier, present, known)
            return
        self._check_limit(len(known), None)
        subscription = Subscription(self, self._next_sid, channel, use_yes_price)
        self._next_sid += 1
        self.subscriptions[subscription.sid] = subscription
        self._reply({"id": identifier, "type": "subscribed", "msg": {"channel": channel, "sid": subscription.sid}})
        if known:
            self.venue.watch(subscription, known)
        else:
            self.venue.watch_all(subscription)
        if channel == BOOK:
            self.venue.on_subscribed()

    def _update(self, identifier: int, params: Any) -> None:
        params = _object(params)
        subscription = self._only_one(params)
        action = params.get("action")
        if action is None:
            raise CommandError(15, "Action required", subscription)
        if action not in ("add_markets", "delete_markets", "get_snapshot"):
            raise CommandError(13, "Unsupported action", subscription)
        if action == "get_snapshot" and subscription.channel != BOOK:
            raise CommandError(13, "Unsupported action", subscription)
        tickers = _tickers(params)
        if not tickers:
            raise CommandError(14, "Market ticker required", subscription)
        if action == "delete_markets":
            self.venue.unwatch(subscription, tickers)
            self._acknowledge(identifier, subscription, params)
            return
        known = self._known(identifier, tickers, subscription)
        if action == "add_markets":
            self._add(identifier, subscription, known, params)
            return
        for ticker in known:
            self.venue.send_snapshot(subscription, ticker)

    def _add(
        self, identifier: int, subscription: Subscription, tickers: list[str], params: dict[str, Any] | None = None
    ) -> None:
        fresh = [ticker for ticker in tickers if ticker not in subscription.tickers]
        self._check_limit(len(subscription.tickers) + len(fresh), subscription)
        listed = [*subscription.tickers, *fresh]
        self._acknowledge(identifier, subscription, params or {}, listed)
        self.venue.watch(subscription, fresh)

    def _unsubscribe(self, identifier: int, params: Any) -> None:
        for subscription in self._named(_object(params)):
            self.subscriptions.pop(subscription.sid, None)
            self.venue.drop(subscription)
            self._reply({"id": identifier, **_scope(subscription), "type": "unsubscribed"})

    def _list(self, identifier: int, _params: Any) -> None:
        listed = [{"channel": each.channel, "sid": each.sid} for each in self.subscriptions.values()]
        self._reply({"id": identifier, "type": "ok", "msg": listed})

    def _only_one(self, params: dict[str, Any]) -> Subscription:
        named = self._named(params)
        if len(named) != 1:
            raise CommandError(12, "Exactly one subscription ID is required")
        return named[0]

    def _named(self, params: dict[str, Any]) -> list[Subscription]:
        sids = params.get("sids", [params["sid"]] if "sid" in params else None)
        if not isinstance(sids, list) or not sids:
            raise CommandError(4, "Subscription IDs required")
        for sid in sids:
            if not isinstance(sid, int) or sid not in self.subscriptions:
                raise CommandError(7, "Unknown subscription ID")
        return [self.subscriptions[sid] for sid in dict.fromkeys(sids)]

    def _known(self, identifier: int, tickers: list[str], subscription: Subscription | None = None) -> list[str]:
        """The tickers the venue has; each other one is answered by an error of its own."""
        for ticker in tickers:
            if ticker not in self.venue.books:
                self._refuse(identifier, CommandError(11, "Invalid parameter: market not found", subscription, ticker))
        return [ticker for ticker in tickers if ticker in self.venue.books]

    def _check_limit(self, markets: int, subscription: Subscription | None) -> None:
        if markets > self._market_limit:
            raise CommandError(26, f"Subscription market limit exceeded ({self._market_limit})", subscription)

    def _acknowledge(
        self, identifier: int, subscription: Subscription, params: dict[str, Any], listed: list[str] | None = None
    ) -> None:
        tickers = list(subscription.tickers) if listed is None else listed
        message = {} if params.get("skip_ticker_ack") is True else {"market_tickers": tickers}
        self._reply({"id": identifier, **_scope(subscription), "type": "ok", "msg": message})

    def _refuse(self, identifier: int, error: CommandError) -> None:
        message: dict[str, Any] = {"code": error.code, "msg": error.text}
        if error.ticker:
            message["market_ticker"] = error.ticker
        scope = _scope(error.subscription) if error.subscription else {}
        self._reply({"id": identifier, **scope, "type": "error", "msg": message})

    def _reply(self, frame: dict[str, Any]) -> None:
        """Queue a reply; a client that sends commands and reads nothing is cut."""
        if not frame["id"]:
            del frame["id"]
        if not self.outbox.offer(_encode(frame)):
            self.outbox.close()


def _scope(subscription: Subscription) -> dict[str, int]:
    """``sid``, and on sequenced channels the ``seq`` that a scoped reply takes."""
    return {"sid": subscription.sid} | ({"seq": subscription.advance()} if subscription.sequenced else {})


def _decode(text: str | bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise CommandError(1, "Unable to process message") from error
    if not isinstance(body, dict):
        raise CommandError(1, "Unable to process message")
    return body


def _object(params: Any) -> dict[str, Any]:
    if not isinstance(params, dict):
        raise CommandError(2, "Params required")
    return params


def _tickers(params: dict[str, Any]) -> list[str]:
    one, many = params.get("market_ticker"), params.get("market_tickers")
    if one is not None and many is not None:
        raise CommandError(11, "Invalid parameter: market_ticker and market_tickers are exclusive")
    tickers = [one] if one is not None else many if many is not None else []
    if not isinstance(tickers, list) or not all(isinstance(ticker, str) and ticker for ticker in tickers):
        raise CommandError(11, "Invalid parameter: market_tickers")
    return list(dict.fromkeys(tickers))


def _encode(frame: dict[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()
