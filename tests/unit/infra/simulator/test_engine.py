"""The matching engine: what no sequence of orders may break, and each rule by an example."""

from collections import defaultdict
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.simulator.engine import (
    BookSide,
    EngineTrade,
    Level,
    LevelChange,
    MatchingEngine,
    NewOrder,
    Placement,
    Refusal,
    SelfTrade,
    Side,
    TimeInForce,
)

MARKET = "M"


class Recorded:
    """An engine, everything it told, and the levels that this adds up to."""

    def __init__(self) -> None:
        self.engine = MatchingEngine(lambda: 7)
        self.engine.list_market(MARKET)
        self.told: list[LevelChange | EngineTrade] = []
        self.sizes: dict[BookSide, dict[int, int]] = {"bid": {}, "ask": {}}
        self.engine.on_change.append(self._changed)
        self.engine.on_trade.append(self.told.append)
        self.numbers = count(1)

    def _changed(self, change: LevelChange) -> None:
        if change.market != MARKET:
            return
        self.told.append(change)
        levels = self.sizes[change.side]
        size = levels.pop(change.price, 0) + change.change
        assert size == change.size >= 0
        if size:
            levels[change.price] = size
        assert self.replayed() == self.engine.levels(MARKET), "the book shows an event when it is told"

    def replayed(self) -> tuple[list[Level], list[Level]]:
        """The levels that the changes told so far add up to, best first."""
        return sorted(self.sizes["bid"].items(), reverse=True), sorted(self.sizes["ask"].items())

    def place(
        self,
        side: Side,
        price: int,
        quantity: int,
        owner: str = "",
        time_in_force: TimeInForce = "good_till_cancelled",
        self_trade: SelfTrade = "allow",
        *,
        post_only: bool = False,
    ) -> Placement:
        """Place an order with the next number as its id; each has an owner of its own unless one is named."""
        name = str(next(self.numbers))
        order = NewOrder(name, owner or name, MARKET, side, price, quantity, time_in_force, post_only, "", self_trade)
        return self.engine.place(order)

    def trades(self) -> list[EngineTrade]:
        """The trades told so far."""
        return [event for event in self.told if isinstance(event, EngineTrade)]


prices = st.integers(1, 12).map(lambda step: step * 100)
orders = st.tuples(
    st.sampled_from(["buy", "sell"]),
    prices,
    st.integers(1, 500),
    st.sampled_from(["ann", "bob", "cy"]),
    st.sampled_from(["good_till_cancelled", "immediate_or_cancel", "fill_or_kill"]),
    st.sampled_from(["allow", "maker", "taker_at_cross"]),
    st.booleans(),
)
cancels = st.tuples(st.integers(1, 30), st.none() | st.integers(-5, 300))
actions = st.lists(st.one_of(orders, cancels), max_size=40)


@given(actions)
def test_whatever_happens_quantity_is_conserved_and_the_book_is_sound(script: list[tuple[object, ...]]) -> None:
    recorded = Recorded()
    rested = traded_away = cancelled = 0
    for action in script:
        before = recorded.engine.levels(MARKET)
        told = len(recorded.told)
        if len(action) == 2:
            cancelled += recorded.engine.cancel(str(action[0]), action[1])  # type: ignore[arg-type]
        else:
            *order, post_only = action
            placement = recorded.place(*order, post_only=bool(post_only))  # type: ignore[arg-type]
            quantity = order[2]
            if placement.refusal:
                assert (placement.filled, placement.resting, placement.cancelled) == (0, 0, 0)
                assert (recorded.engine.levels(MARKET), len(recorded.told)) == (before, told)
            else:
                assert placement.filled + placement.resting + placement.cancelled == quantity
            if order[4] == "fill_or_kill":
                assert placement.filled in (0, quantity)
                assert not placement.resting
            if post_only:
                assert not placement.fills
            rested += placement.resting
            traded_away += placement.filled
            displaced = [event for event in recorded.told[told:] if isinstance(event, LevelChange) and event.change < 0]
            cancelled += -sum(event.change for event in displaced) - placement.filled
        bids, asks = recorded.engine.levels(MARKET)
        assert not bids or not asks or bids[0][0] < asks[0][0], "never crossed, never locked"
        assert recorded.replayed() == (bids, asks)
        sums: dict[tuple[str, int], int] = defaultdict(int)
        for resting in recorded.engine.orders(MARKET):
            assert 0 < resting.remaining <= resting.order.quantity
            assert recorded.engine.order(resting.order.order_id) is resting
            sums[resting.order.side, resting.order.price] += resting.remaining
        assert sums == {("buy", p): s for p, s in bids} | {("sell", p): s for p, s in asks}
        assert sum(sums.values()) == rested - traded_away - cancelled
    assert sum(trade.quantity for trade in recorded.trades()) == traded_away


@given(st.lists(st.tuples(prices, st.integers(1, 50)), min_size=1, max_size=12), prices, st.integers(1, 400))
def test_the_best_price_trades_first_and_at_one_price_the_oldest(
    makers: list[tuple[int, int]], limit: int, quantity: int
) -> None:
    recorded = Recorded()
    for price, size in makers:
        recorded.place("sell", price, size)
    expected, left = [], quantity
    for price, number, size in sorted((price, number, size) for number, (price, size) in enumerate(makers, 1)):
        if price <= limit and left:
            expected.append((price, str(number), min(size, left)))
            left -= expected[-1][2]
    taken = recorded.place("buy", limit, quantity)
    assert [(fill.price, fill.maker_order, fill.quantity) for fill in taken.fills] == expected
    assert taken.resting == left


@given(actions)
def test_a_mirrored_script_gives_the_mirrored_book(script: list[tuple[object, ...]]) -> None:
    """Buying NO at q is selling YES at 1 - q: the two sides obey the same rules."""
    plain, mirrored = Recorded(), Recorded()
    for action in script:
        if len(action) == 2:
            plain.engine.cancel(str(action[0]), action[1])  # type: ignore[arg-type]
            mirrored.engine.cancel(str(action[0]), action[1])  # type: ignore[arg-type]
            continue
        side, price, *rest, post_only = action
        other = "sell" if side == "buy" else "buy"
        plain.place(side, price, *rest, post_only=bool(post_only))  # type: ignore[arg-type]
        mirrored.place(other, 10_000 - price, *rest, post_only=bool(post_only))  # type: ignore[arg-type, operator]
    bids, asks = plain.engine.levels(MARKET)
    assert mirrored.engine.levels(MARKET) == (
        [(10_000 - price, size) for price, size in asks],
        [(10_000 - price, size) for price, size in bids],
    )


def test_events_come_in_the_order_in_which_a_venue_tells_them() -> None:
    recorded = Recorded()
    recorded.place("sell", 5000, 100)
    recorded.place("sell", 5100, 100)
    recorded.told.clear()
    recorded.place("buy", 5200, 250)
    kinds = [
        (event.side, event.price, event.change, event.size, event.caused_by)
        if isinstance(event, LevelChange)
        else (event.price, event.quantity, event.taker_side, event.taker_order, event.maker_order, event.ns)
        for event in recorded.told
    ]
    assert kinds == [
        ("ask", 5000, -100, 0, "3"),
        (5000, 100, "buy", "3", "1", 7),
        ("ask", 5100, -100, 0, "3"),
        (5100, 100, "buy", "3", "2", 7),
        ("bid", 5200, 50, 50, "3"),
    ]
    assert [trade.trade_id for trade in recorded.trades()] == ["1", "2"]


def test_a_part_that_is_cancelled_leaves_the_order_its_place_in_the_queue() -> None:
    recorded = Recorded()
    recorded.place("buy", 5000, 300)
    recorded.place("buy", 5000, 300)
    assert recorded.engine.cancel("1", 200) == 200
    assert recorded.engine.cancel("1", 0) == recorded.engine.cancel("1", -1) == 0
    taken = recorded.place("sell", 5000, 150)
    assert [(fill.maker_order, fill.quantity) for fill in taken.fills] == [("1", 100), ("2", 50)]
    assert recorded.engine.cancel("1") == 0
    assert recorded.engine.cancel("2", 1_000_000) == 250


def test_a_taker_stops_at_its_owners_order_and_keeps_what_it_got() -> None:
    recorded = Recorded()
    recorded.place("sell", 4900, 100, "bob")
    recorded.place("sell", 5000, 100, "ann")
    recorded.place("sell", 5000, 100, "bob")
    taken = recorded.place("buy", 5000, 300, "ann", self_trade="taker_at_cross")
    assert (taken.filled, taken.resting, taken.cancelled) == (100, 0, 200)
    assert recorded.engine.levels(MARKET) == ([], [(5000, 200)])


def test_a_makers_own_order_gives_way_and_the_taker_goes_on() -> None:
    recorded = Recorded()
    recorded.place("sell", 5000, 100, "ann")
    recorded.place("sell", 5000, 100, "bob")
    taken = recorded.place("buy", 5000, 300, "ann", self_trade="maker")
    assert (taken.filled, taken.resting, taken.displaced) == (100, 200, ("1",))


@pytest.mark.parametrize(
    ("self_trade", "filled"), [("allow", 200), ("maker", 200), ("taker_at_cross", 0)], ids=["allow", "maker", "taker"]
)
def test_fill_or_kill_counts_only_what_it_may_trade_with(self_trade: SelfTrade, filled: int) -> None:
    recorded = Recorded()
    recorded.place("sell", 5000, 100, "ann")
    recorded.place("sell", 5000, 200, "bob")
    taken = recorded.place("buy", 5000, 200, "ann", "fill_or_kill", self_trade)
    assert taken.filled == filled
    assert taken.refusal == (Refusal.NONE if filled else Refusal.FILL_OR_KILL)


def test_what_is_wrong_with_an_order_is_said_and_nothing_happens() -> None:
    recorded = Recorded()
    recorded.place("sell", 5000, 100)
    engine = recorded.engine

    def refusal(**wrong: object) -> str:
        fields: dict[str, object] = {"order_id": "x", "owner": "a", "market": MARKET, "side": "buy"}
        return engine.place(NewOrder(**(fields | {"price": 5000, "quantity": 1} | wrong))).refusal  # type: ignore[arg-type]

    assert refusal(market="other") == Refusal.UNKNOWN_MARKET
    assert refusal(order_id="1") == Refusal.REPEATED_ID
    assert refusal(price=0) == refusal(price=10_000) == Refusal.BAD_PRICE
    assert refusal(quantity=0) == refusal(quantity=-1) == Refusal.BAD_QUANTITY
    assert refusal(post_only=True) == Refusal.POST_ONLY
    assert refusal(quantity=101, time_in_force="fill_or_kill") == Refusal.FILL_OR_KILL
    assert engine.levels(MARKET) == ([], [(5000, 100)])
    assert refusal(quantity=100, time_in_force="fill_or_kill") == Refusal.NONE
    assert engine.levels(MARKET) == ([], [])


def test_a_markets_orders_are_cancelled_of_one_owner_or_all_and_forgotten_with_the_market() -> None:
    recorded = Recorded()
    engine = recorded.engine
    engine.list_market("other")
    for owner, quantity in (("ann", 1), ("bob", 2), ("ann", 4)):
        recorded.place("buy", 5000, quantity, owner)
    engine.place(NewOrder("elsewhere", "ann", "other", "buy", 100, 8))
    assert engine.cancel_all(MARKET, "ann") == 5
    assert engine.cancel_all(MARKET) == 2
    recorded.place("buy", 5000, 16)
    told = len(recorded.told)
    engine.delist(MARKET)
    assert (engine.markets(), engine.levels(MARKET), engine.orders(MARKET)) == (["other"], ([], []), [])
    assert engine.order("4") is None
    assert len(recorded.told) == told
    engine.delist(MARKET)
    engine.list_market(MARKET)
    engine.list_market("other")
    assert engine.levels("other") == ([(100, 8)], [])
