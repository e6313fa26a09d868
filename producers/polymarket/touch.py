"""The best prices that come with a change: a second, weaker sign that a message was missed."""

from producers.polymarket.messages import Tip
from producers.polymarket.texts import Texts
from schemas.units import ONE, UnitError, parse_price


def agrees(texts: Texts, best_bid: str, best_ask: str, *, yes: bool) -> bool:
    """Whether a token's best prices are those of the levels. An empty side may be told as 0, as 1 or not at all."""
    bid, ask = _price(best_bid), _price(best_ask)
    if bid is None or ask is None:
        return False
    ours = (texts.bids.best() or 0, texts.asks.best() or ONE)
    return ours == ((bid, ask or ONE) if yes else (ONE - (ask or ONE), ONE - bid))


class Touch:
    """The newest of one market. They count only once they have agreed: on some tapes they are made up."""

    def __init__(self) -> None:
        self._newest: tuple[bool, Tip] | None = None
        self._in_force = False

    def tell(self, tip: Tip, *, yes: bool) -> None:
        """A change came with these."""
        self._newest = (yes, tip) if tip.best_bid or tip.best_ask else None

    def forget(self) -> None:
        """The newest are not those of the levels, as is known."""
        self._newest = None

    def proved(self, texts: Texts) -> None:
        """The levels are known to be right: do best prices mean what they should?"""
        if not self._in_force:
            self._in_force = self._agrees(texts)

    def differs(self, texts: Texts) -> bool:
        """True when the newest are not those of the levels, and have been before."""
        if self._newest is None:
            return False
        same = self._agrees(texts)
        differs = self._in_force and not same
        self._in_force = self._in_force or same
        return differs

    def _agrees(self, texts: Texts) -> bool:
        if self._newest is None:
            return False
        yes, tip = self._newest
        return agrees(texts, tip.best_bid, tip.best_ask, yes=yes)


def _price(text: str) -> int | None:
    """A best price; 0 for none, None when it is no price."""
    try:
        return parse_price(text) if text else 0
    except UnitError:
        return None
