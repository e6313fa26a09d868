"""What a client can tell the Kalshi simulator's websocket, and what it is told back.

Commands, replies and error codes follow the venue's websocket description (AsyncAPI, page "WebSocket Connection").
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from infra.simulator.kalshi.channels import BOOK, CHANNELS, TICKER
from infra.simulator.kalshi.market import SECOND
from infra.simulator.kalshi.params import (
    CommandError,
    channels_of,
    decode,
    flag,
    identifier_of,
    params_of,
    references_of,
    tickers_of,
)
from infra.simulator.kalshi.publisher import Subscription

if TYPE_CHECKING:
    from infra.simulator.kalshi.session import Session

REFERENCES = ["BRTI", "ETHUSD_RTI"]
"""The indices and underlyings that the reference price channels would have; nothing is ever sent on them."""

Params = dict[str, Any]


class Commands:
    """Carries out one session's commands."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._venue = session.venue
        self._options = session.venue.options
        self._next_sid = 1
        self._second = 0
        self._count = 0

    def handle(self, text: str | bytes) -> None:
        """Carry out one command; everything wrong with it is answered by an error frame."""
        identifier = 0
        try:
            body = decode(text)
            identifier = identifier_of(body)
            self._count_one()
            self._command(body.get("cmd"))(identifier, body.get("params"))
        except CommandError as error:
            self._session.refuse(identifier, error)

    def _count_one(self) -> None:
        second = self._venue.now() // SECOND
        self._count = self._count + 1 if second == self._second else 1
        self._second = second
        if self._count > self._options.commands_per_s:
            raise CommandError(27, "Too many requests")

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

    def _subscribe(self, identifier: int, given: Any) -> None:
        params = params_of(given)
        channels = channels_of(params, known=self._session.owner != "")
        flag(params, "use_yes_price", self._options.default_yes_price)
        tickers = tickers_of(params, channels, self._ids(params))
        if not tickers and any(CHANNELS[channel].markets == "required" for channel in channels):
            raise CommandError(14, "Market ticker required")
        for channel in channels:
            filtered = CHANNELS[channel].markets != "none"
            self._subscribe_channel(identifier, channel, tickers if filtered else [], params)

    def _subscribe_channel(self, identifier: int, channel: str, tickers: list[str], params: Params) -> None:
        known = self._known(identifier, tickers)
        if tickers and not known:
            return
        present = next((each for each in self._session.subscriptions.values() if each.channel == channel), None)
        if present is not None:
            self._add(identifier, present, known, params)
            return
        self._check_limit(len(known), None)
        yes_price = flag(params, "use_yes_price", self._options.default_yes_price)
        last = self._options.first_seq - 1
        subscription = Subscription(self._session, self._next_sid, channel, yes_price, last=last)
        self._next_sid += 1
        self._session.subscriptions[subscription.sid] = subscription
        self._session.reply(identifier, "subscribed", message={"channel": channel, "sid": subscription.sid})
        if known:
            self._watch(subscription, known, params)
        else:
            self._venue.publisher.board.watch_all(subscription)
        if channel == BOOK:
            self._venue.on_subscribed()

    def _watch(self, subscription: Subscription, tickers: list[str], params: Params) -> None:
        self._venue.watch(subscription, tickers)
        if subscription.channel == TICKER and params.get("send_initial_snapshot") is True:
            for ticker in tickers:
                self._venue.publisher.ticker(self._venue.catalogue.markets[ticker], subscription)

    def _update(self, identifier: int, given: Any) -> None:
        params = params_of(given)
        subscription = self._only_one(params)
        action = params.get("action")
        if action is None:
            raise CommandError(15, "Action required", subscription)
        if not isinstance(action, str) or action not in CHANNELS[subscription.channel].actions:
            raise CommandError(13, "Unsupported action", subscription)
        if not action.endswith("_markets") and action != "get_snapshot":
            self._update_references(identifier, subscription, action, params)
            return
        tickers = tickers_of(params, [subscription.channel], self._ids(params), subscription)
        if not tickers:
            raise CommandError(14, "Market ticker required", subscription)
        if action == "delete_markets":
            self._venue.publisher.board.unwatch(subscription, tickers)
            self._acknowledge(identifier, subscription, params, list(subscription.tickers))
            return
        known = self._known(identifier, tickers, subscription)
        if action == "add_markets":
            self._add(identifier, subscription, known, params)
            return
        for ticker in known:
            self._venue.publisher.snapshot(subscription, ticker)

    def _update_references(self, identifier: int, subscription: Subscription, action: str, params: Params) -> None:
        """The actions of the reference price channels, which only remember what was asked for."""
        name = "underlying_tickers" if subscription.channel == "pyth_value" else "index_ids"
        if action in ("indexlist", "underlying_list"):
            self._session.reply(identifier, f"{subscription.channel}_{action}", subscription, {name: REFERENCES})
            return
        for reference in references_of(params, action, subscription):
            if action.startswith("unsubscribe"):
                subscription.tickers.pop(reference, None)
            else:
                subscription.tickers[reference] = None
        self._session.reply(identifier, "ok", subscription, {name: list(subscription.tickers)})

    def _add(self, identifier: int, subscription: Subscription, tickers: list[str], params: Params) -> None:
        fresh = [ticker for ticker in tickers if ticker not in subscription.tickers]
        self._check_limit(len(subscription.tickers) + len(fresh), subscription)
        self._acknowledge(identifier, subscription, params, [*subscription.tickers, *fresh])
        self._watch(subscription, fresh, params)

    def _acknowledge(self, identifier: int, subscription: Subscription, params: Params, tickers: list[str]) -> None:
        message = {} if params.get("skip_ticker_ack") is True else {"market_tickers": tickers}
        self._session.reply(identifier, "ok", subscription, message)

    def _unsubscribe(self, identifier: int, params: Any) -> None:
        for subscription in self._named(params_of(params)):
            self._session.end(subscription)
            self._session.reply(identifier, "unsubscribed", subscription)

    def _list(self, identifier: int, _params: Any) -> None:
        subscriptions = self._session.subscriptions.values()
        listed = [{"channel": each.channel, "sid": each.sid} for each in subscriptions]
        self._session.reply(identifier, "ok", message=listed)

    def _only_one(self, params: Params) -> Subscription:
        named = self._named(params)
        if len(named) != 1:
            raise CommandError(12, "Exactly one subscription ID is required")
        return named[0]

    def _named(self, params: Params) -> list[Subscription]:
        sids = params.get("sids", [params["sid"]] if "sid" in params else None)
        if not isinstance(sids, list) or not sids:
            raise CommandError(4, "Subscription IDs required")
        for sid in sids:
            if not isinstance(sid, int) or sid not in self._session.subscriptions:
                raise CommandError(7, "Unknown subscription ID")
        return [self._session.subscriptions[sid] for sid in dict.fromkeys(sids)]

    def _known(self, identifier: int, tickers: list[str], subscription: Subscription | None = None) -> list[str]:
        """The tickers the venue has; each other one is answered by an error of its own."""
        markets = self._venue.catalogue.markets
        for ticker in tickers:
            if ticker not in markets:
                error = CommandError(11, "Invalid parameter: market not found", subscription, ticker)
                self._session.refuse(identifier, error)
        return [ticker for ticker in tickers if ticker in markets]

    def _ids(self, params: Params) -> dict[str, str]:
        """Every market's ticker by its id, when a command speaks of ids."""
        by_id = "market_id" in params or "market_ids" in params
        return {book.market_id: ticker for ticker, book in self._venue.books.items()} if by_id else {}

    def _check_limit(self, markets: int, subscription: Subscription | None) -> None:
        limit = self._session.market_limit
        if markets > limit:
            raise CommandError(26, f"Subscription market limit exceeded ({limit})", subscription)
