"""An oracle for the detector: the same question answered again, by brute force, from the venues' published rules.

Written apart from `streams.core` and sharing nothing with it but the records. All arithmetic is exact: integers over
the denominators of the units. Every quantity on the 0.01 grid is tried; every basket of a partition is looked at after
every single input.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

from schemas.records import Book, FeeSchedule, Group, Level, Market

PAYOUT = 10_000  # 1 dollar in 1e-4
Key = tuple[str, str]
Claim = tuple[str, str, str]


def kalshi_fill(schedule: FeeSchedule, price: int, quantity: int, accumulator: int) -> tuple[int, int]:
    """Net fee and new accumulator in micro-dollars of one taker fill (Kalshi, "Fee Rounding")."""
    # rate 1e-6 x contracts 1e-2 x dollars 1e-4 x dollars 1e-4 = 1e-16; rounded up to 1e-6
    model = schedule.taker_rate * quantity * price * (10_000 - price)
    trade_fee = -(-model // 10**10)
    change = -(price * quantity) - trade_fee
    aligned = (change // schedule.balance_precision) * schedule.balance_precision
    rounding = change - aligned
    accumulator += rounding
    available = min(accumulator, trade_fee + rounding)
    rebate = (available // schedule.balance_precision) * schedule.balance_precision
    return trade_fee + rounding - rebate, accumulator - rebate


def polymarket_fill(schedule: FeeSchedule, price: int, quantity: int) -> int:
    """Fee in micro-dollars of one taker fill, to the nearest 1e-5 dollar, ties to even (Polymarket, "Fees")."""
    # rate 1e-6 x contracts 1e-2 x (1e-8)^e dollars; in units of 1e-5 dollar
    numerator: int = schedule.taker_rate * quantity * (price * (10_000 - price)) ** schedule.exponent
    denominator: int = 10 ** (3 + 8 * schedule.exponent)
    whole, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1):
        whole += 1
    return whole * 10


def fill_fee(schedule: FeeSchedule, price: int, quantity: int, accumulator: int) -> tuple[int, int]:
    """Fee of one fill and the order's accumulator after it."""
    if schedule.model == "kalshi_quadratic":
        return kalshi_fill(schedule, price, quantity, accumulator)
    if schedule.model == "polymarket_curve":
        return polymarket_fill(schedule, price, quantity), accumulator
    return 0, accumulator


@dataclass(slots=True)
class Order:
    """A growing taker order: what the levels before the present one cost."""

    levels: list[Level]
    schedule: FeeSchedule
    at: int = 0
    before: int = 0
    cost: int = 0
    fee: int = 0
    accumulator: int = 0

    def price(self) -> int | None:
        """The price of the next contract."""
        return self.levels[self.at][0] if self.at < len(self.levels) else None

    def total(self, quantity: int) -> tuple[int, int] | None:
        """Cost and fee of `quantity`; quantities must be asked in rising order. None beyond the book."""
        while self.at < len(self.levels) and quantity > self.before + self.levels[self.at][1]:
            price, size = self.levels[self.at]
            fee, self.accumulator = fill_fee(self.schedule, price, size, self.accumulator)
            self.cost, self.fee, self.before = self.cost + price * size, self.fee + fee, self.before + size
            self.at += 1
        if self.at == len(self.levels):
            return None
        price = self.levels[self.at][0]
        part = quantity - self.before
        fee, _ = fill_fee(self.schedule, price, part, self.accumulator)
        return self.cost + price * part, self.fee + fee


@dataclass(frozen=True, slots=True)
class Best:
    """The most profitable quantity of a basket, and its money."""

    quantity: int
    costs: tuple[int, ...]
    fees: tuple[int, ...]
    net: int


def best_quantity(ladders: list[list[Level]], markets: list[Market], minimum_net: int) -> Best | None:
    """Try every quantity while another contract costs less than it pays, and a few more for the sake of rounding."""
    orders = [Order(levels, market.fee) for levels, market in zip(ladders, markets, strict=True)]
    best: Best | None = None
    quantity, grace = 0, 5
    while grace:
        quantity += 1
        totals = [order.total(quantity) for order in orders]
        if any(total is None for total in totals):
            break
        if sum(order.price() or 0 for order in orders) >= PAYOUT:
            grace -= 1
        costs = tuple(total[0] for total in totals if total)
        fees = tuple(total[1] for total in totals if total)
        allowed = all(
            quantity >= market.minimum_quantity and cost >= market.minimum_value
            for market, cost in zip(markets, costs, strict=True)
        )
        net = PAYOUT * quantity - sum(costs) - sum(fees)
        if allowed and net >= minimum_net and (best is None or net > best.net):
            best = Best(quantity, costs, fees, net)
    return best


@dataclass(frozen=True, slots=True)
class Expected:
    """An event that must have been emitted."""

    event: str
    basket: tuple[Claim, ...]
    quantity: int
    gross: int
    fees: int
    net: int


@dataclass(slots=True)
class PartitionOracle:
    """What one partition of the detector must have said."""

    freshness_ns: int
    minimum_net: int
    now: int = 0
    first_input: int = 0
    groups: dict[str, Group] = field(default_factory=dict)
    markets: dict[Key, Market] = field(default_factory=dict)
    books: dict[Key, Book] = field(default_factory=dict)
    confirmed: dict[Key, int] = field(default_factory=dict)
    open: dict[tuple[Claim, ...], object] = field(default_factory=dict)
    cache: dict[object, Best | None] = field(default_factory=dict)

    def on_group(self, key: str, group: Group | None) -> list[Expected]:
        """A group record or its tombstone."""
        if group is None:
            self.groups.pop(key, None)
        else:
            self.groups[key] = group
        return self.look()

    def on_market(self, market: Market) -> list[Expected]:
        """A market record."""
        self.markets[market.venue, market.market] = market
        return self.look()

    def on_book(self, book: Book, received_ns: int) -> list[Expected]:
        """One book of one input."""
        self.now = max(self.now, received_ns)
        self.first_input = self.first_input or self.now
        key = (book.venue, book.market)
        if self._group_of(key) == book.group and book.group:
            known = self.books.get(key)
            if known is None or (book.epoch, book.sequence) > (known.epoch, known.sequence):
                self.books[key] = book
                self.confirmed[key] = book.confirmed_ns
            elif (book.epoch, book.sequence) == (known.epoch, known.sequence):
                self.confirmed[key] = max(self.confirmed[key], book.confirmed_ns)
        return self.look()

    def look(self) -> list[Expected]:
        """Compare every basket with what was last said of it."""
        events: list[Expected] = []
        baskets = dict(self._baskets())
        for basket in list(self.open):
            if basket not in baskets:
                del self.open[basket]
                events.append(Expected("closed", basket, 0, 0, 0, 0))
        for basket in baskets:
            events += self._look_at(basket)
        return events

    def _look_at(self, basket: tuple[Claim, ...]) -> list[Expected]:
        ladders = [self._ladder(claim) for claim in basket]
        keys = [(venue, market) for venue, market, _ in basket]
        missing = any(key not in self.markets for key in keys)
        if any(ladder is None for ladder in ladders) or missing:
            best = None
        else:
            best = self._best([ladder for ladder in ladders if ladder], [self.markets[key] for key in keys])
        if best is None:
            if basket not in self.open or self._restored_and_waiting(basket):
                return []
            del self.open[basket]
            return [Expected("closed", basket, 0, 0, 0, 0)]
        walked = tuple(self._walk(ladder or [], best.quantity) for ladder in ladders)
        said = (best.quantity, best.net, walked)
        if self.open.get(basket) == said:
            return []
        event = "changed" if basket in self.open else "opened"
        self.open[basket] = said
        gross = PAYOUT * best.quantity - sum(best.costs)
        return [Expected(event, basket, best.quantity, gross, sum(best.fees), best.net)]

    def _restored_and_waiting(self, basket: tuple[Claim, ...]) -> bool:
        """An opportunity of an earlier epoch waits for its books, as long as they may still be fresh somewhere."""
        if self.open[basket] != "restored":
            return False
        arrived = all((venue, market) in self.books for venue, market, _ in basket)
        return not arrived and self.now - self.first_input <= self.freshness_ns

    def _best(self, ladders: list[list[Level]], markets: list[Market]) -> Best | None:
        if sum(ladder[0][0] for ladder in ladders) >= PAYOUT:
            return None
        key = (tuple(map(tuple, ladders)), tuple((m.fee, m.minimum_quantity, m.minimum_value) for m in markets))
        if key not in self.cache:
            self.cache[key] = best_quantity(ladders, markets, self.minimum_net)
        return self.cache[key]

    def _ladder(self, claim: Claim) -> list[Level] | None:
        """What the claim can be bought at, best first; None when its book may not be used."""
        venue, market, outcome = claim
        book = self.books.get((venue, market))
        if book is None or book.state != "live":
            return None
        if self.now - self.confirmed[venue, market] > self.freshness_ns:
            return None
        bids, asks = book.sides()
        return (asks if outcome == "yes" else [(PAYOUT - price, size) for price, size in bids]) or None

    def _walk(self, ladder: list[Level], quantity: int) -> tuple[Level, ...]:
        taken: list[Level] = []
        for price, size in ladder:
            if quantity <= 0:
                break
            taken.append((price, min(size, quantity)))
            quantity -= size
        return tuple(taken)

    def _group_of(self, key: Key) -> str | None:
        for name, group in self.groups.items():
            if any((member.venue, member.market) == key for member in group.members):
                return name
        return None

    def _baskets(self) -> Iterator[tuple[tuple[Claim, ...], str]]:
        for name, group in self.groups.items():
            if group.status == "blocked":
                continue
            for relation in group.relations:
                if relation.kind != "same":
                    continue
                chosen = [group.members[index] for index in relation.members]
                for one, two in combinations(chosen, 2):
                    for first, second in (("yes", "no"), ("no", "yes")):
                        claims = ((one.venue, one.market, first), (two.venue, two.market, second))
                        yield tuple(sorted(claims)), name
