"""Trades in YES terms, and what is said again and again: announcements to everyone, trades that are told twice."""

from collections import OrderedDict
from typing import Final

from producers.polymarket.messages import Print
from schemas.records import OrderSide, Trade
from schemas.units import ONE

REMEMBERED: Final = 4096
_OPPOSITE: Final[dict[OrderSide, OrderSide]] = {"buy": "sell", "sell": "buy"}


class Known:
    """The newest names that were heard; it outlives connections."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def again(self, name: str) -> bool:
        """True when the name was heard before."""
        if name in self._names:
            return True
        self._names[name] = None
        if len(self._names) > REMEMBERED:
            self._names.popitem(last=False)
        return False


def yes_trade(message: Print, yes: str, group: str, received_ns: int) -> Trade:
    """A public trade; buying NO at p is selling YES at 1 - p."""
    ours = message.token == yes
    return Trade(
        venue="polymarket",
        market=message.market,
        group=group,
        trade_id=message.trade_id,
        price=message.price if ours else ONE - message.price,
        fill_quantity=message.fill_quantity,
        taker_side=message.taker_side if ours else _OPPOSITE[message.taker_side],
        exchange_ns=message.exchange_ns,
        api_response_ns=received_ns,
    )
