"""The commands that a Kalshi websocket takes, written and read back ("WebSocket Connection", AsyncAPI document)."""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from producers.kalshi.messages import BOOKS

ADD: Final = "add_markets"
DELETE: Final = "delete_markets"
SNAPSHOT: Final = "get_snapshot"
Action = Literal["add_markets", "delete_markets", "get_snapshot"]


class Params(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a command is about."""

    channels: tuple[str, ...] = ()
    sids: tuple[int, ...] = ()
    action: str = ""
    market_tickers: tuple[str, ...] = ()
    use_yes_price: bool | None = None
    skip_ticker_ack: bool | None = None


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command; its number is the client's own and comes back with the answer."""

    id: int
    cmd: str
    params: Params = Params()

    @property
    def channel(self) -> str:
        """The channel of a `subscribe`, else empty."""
        return self.params.channels[0] if self.params.channels else ""

    @property
    def sid(self) -> int:
        """The subscription of an `update_subscription`, else 0."""
        return self.params.sids[0] if self.params.sids else 0

    def text(self) -> str:
        """As it is sent."""
        return msgspec.json.encode(self).decode()


_decoder = msgspec.json.Decoder(Command)


def subscribe(number: int, channel: str, markets: Iterable[str] = (), *, use_yes_price: bool = False) -> Command:
    """Open a subscription, or add markets to the one there is; without markets it is for all.

    Of books it is said which leg the prices of the NO side shall be in: the venue is going to change the default. The
    answers to later commands need not list all markets every time.
    """
    books = channel == BOOKS
    params = Params(
        channels=(channel,),
        market_tickers=tuple(markets),
        use_yes_price=use_yes_price if books else None,
        skip_ticker_ack=True if books else None,
    )
    return Command(id=number, cmd="subscribe", params=params)


def update(number: int, sid: int, action: Action, markets: Iterable[str]) -> Command:
    """Change a subscription's markets, or ask for their books."""
    params = Params(sids=(sid,), action=action, market_tickers=tuple(markets))
    return Command(id=number, cmd="update_subscription", params=params)


def probe(number: int, sid: int, market: str) -> Command:
    """Add a market that the subscription has: it changes nothing, and the answer lists no markets."""
    params = Params(sids=(sid,), action=ADD, market_tickers=(market,), skip_ticker_ack=True)
    return Command(id=number, cmd="update_subscription", params=params)


def read(text: str) -> Command:
    """A command that was sent; raises msgspec.MsgspecError."""
    return _decoder.decode(text)
