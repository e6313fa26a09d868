"""What holds under any interleaving, repetition and restart: one unfinished ticket a basket, and of those that share a
market only one; nothing bought twice from one book; limits; the same state."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from schemas.records import (
    Execution,
    ExecutionKind,
    Opportunity,
    OpportunityLeg,
    Order,
    Outcome,
    Ticket,
    Venue,
)
from schemas.units import FILL_PER_QUANTITY, MONEY_SCALE, QUANTITY_SCALE
from streams.core.legging import Decision, Executor, Rules
from streams.core.risk import Limits, worst_cost
from streams.core.tickets import is_finished, is_pending
from tests.unit.trading import SECOND, answer_to, group, opportunity, opportunity_leg

MANY = 10**6
LIMITS = [
    Limits(group_contracts=25, venue_money=MANY * MONEY_SCALE, open_tickets=MANY),
    Limits(group_contracts=MANY, venue_money=8 * MONEY_SCALE, open_tickets=MANY),
    Limits(group_contracts=MANY, venue_money=MANY * MONEY_SCALE, open_tickets=2),
]
"""One that binds at a time: whatever the rules do, they meet it soon."""
COOL_DOWN_NS = SECOND // 2
CLAIMS: dict[str, tuple[tuple[Venue, str, Outcome], ...]] = {
    "a": (("kalshi", "K1", "yes"), ("polymarket", "P1", "no")),
    "opposite": (("kalshi", "K1", "no"), ("polymarket", "P1", "yes")),
    "wide": (
        ("kalshi", "K1", "yes"),
        ("kalshi", "K2", "yes"),
        ("polymarket", "P3", "yes"),
        ("polymarket", "P4", "yes"),
    ),
    "apart": (("kalshi", "K5", "yes"), ("polymarket", "P5", "no")),
}
"""Baskets of one group. All but the last want market K1, two of them the same side of it."""
BASKETS = st.sampled_from(sorted(CLAIMS))
FINAL: st.SearchStrategy[ExecutionKind] = st.sampled_from(["filled", "cancelled", "rejected"])


class World(RuleBasedStateMachine):
    """Detector, Kafka and venues around one executor; records are only ever added, and may be delivered again."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = SECOND
        self.limits = LIMITS[0]
        self.core = self.fresh()
        self.opportunities: list[Opportunity] = []
        self.current: dict[str, Opportunity] = {}
        self.tickets: list[Ticket] = []
        self.orders: dict[str, Order] = {}
        self.answers: dict[str, Execution] = {}
        self.sequence = 1
        self.deciding = opportunity()
        self.bought: dict[tuple[str, str, str], tuple[int, str]] = {}

    @initialize(limits=st.sampled_from(LIMITS))
    def begin(self, limits: Limits) -> None:
        self.limits = limits
        self.core = self.fresh()

    def fresh(self) -> Executor:
        core = Executor(Rules(self.limits, COOL_DOWN_NS, unknown_after_ns=3 * SECOND, maximum_age_ns=2 * SECOND))
        core.on_group(group())
        return core

    def publish(self, decision: Decision) -> None:
        for ticket in decision.tickets:
            earlier = [one.revision for one in self.tickets if one.ticket_id == ticket.ticket_id]
            assert ticket.revision == len(earlier) + 1, "each revision is published once, in order"
            self.tickets.append(ticket)
            if ticket.state == "working" and not earlier:
                self.check_depth(ticket)
        for order in decision.orders:
            assert order.order_id not in self.orders, "an order id is made once"
            self.orders[order.order_id] = order

    def check_depth(self, ticket: Ticket) -> None:
        """A new ticket's claims were seen in books that show what this life of the executor bought of them before."""
        for leg in self.deciding.legs:
            sequence, basket = self.bought.get((leg.venue, leg.market, leg.outcome), (0, ""))
            assert basket in ("", ticket.basket) or leg.sequence > sequence

    @rule()
    def books_change(self) -> None:
        self.sequence += 1

    @rule(basket=BASKETS, quantity=st.integers(1, 2000), pause=st.integers(0, 3 * SECOND))
    def detect(self, basket: str, quantity: int, pause: int) -> None:
        """The basket's opportunity opens, or changes."""
        self.now_ns += pause
        before = self.current.get(basket)
        if before is None:
            made = opportunity(
                f"o{len(self.opportunities)}",
                basket=basket,
                quantity=quantity,
                time_ns=self.now_ns,
                legs=self.legs(basket),
            )
        else:
            made = opportunity(
                before.opportunity_id,
                "changed",
                revision=before.revision + 1,
                basket=basket,
                quantity=quantity,
                time_ns=self.now_ns,
                opened_ns=before.opened_ns,
                legs=self.legs(basket),
            )
        self.current[basket] = made
        self.deliver(made)

    def legs(self, basket: str) -> list[OpportunityLeg]:
        return [
            opportunity_leg(venue, 2400, market=market, outcome=outcome, sequence=self.sequence)
            for venue, market, outcome in CLAIMS[basket]
        ]

    @rule(basket=BASKETS)
    def close(self, basket: str) -> None:
        before = self.current.pop(basket, None)
        if before is not None:
            self.deliver(
                opportunity(
                    before.opportunity_id,
                    "closed",
                    revision=before.revision + 1,
                    basket=basket,
                    quantity=0,
                    time_ns=self.now_ns,
                    opened_ns=before.opened_ns,
                )
            )

    def deliver(self, made: Opportunity) -> None:
        self.opportunities.append(made)
        self.decide(made)

    def decide(self, made: Opportunity) -> None:
        self.deciding = made
        self.publish(self.core.on_opportunity(made, self.now_ns))

    @rule(data=st.data(), kind=FINAL, part=st.integers(1, 2000), fee=st.integers(0, 10_000))
    def answer(self, data: st.DataObject, kind: ExecutionKind, part: int, fee: int) -> None:
        """A venue answers an order, each order id once."""
        waiting = sorted(set(self.orders) - set(self.answers))
        if waiting:
            order = self.orders[data.draw(st.sampled_from(waiting))]
            quantity = min(part, order.quantity)
            self.execute(order, answer_to(order, kind, quantity, fee=fee * quantity // 2000))

    def execute(self, order: Order, execution: Execution) -> None:
        """The answer, from the book as it is now."""
        execution = replace(execution, book_sequence=self.sequence)
        self.answers[order.order_id] = execution
        self.publish(self.core.on_execution(execution, self.now_ns))
        if execution.fill_quantity:
            (basket,) = {ticket.basket for ticket in self.tickets if ticket.ticket_id == order.ticket_id}
            self.bought[order.venue, order.market, order.outcome] = self.sequence, basket

    @rule(basket=BASKETS, quantity=st.sampled_from([100, 600, 1200]))
    def trade_through(self, basket: str, quantity: int) -> None:
        """An undisturbed trade from first sight to close, so that positions pile up."""
        self.sequence += 1
        self.detect(basket, quantity, SECOND)
        for order in list(self.orders.values()):
            if order.order_id not in self.answers:
                self.execute(order, answer_to(order))
        self.close(basket)

    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        """Any record comes once more, however old."""
        old: list[Opportunity | Execution] = [*self.opportunities, *self.answers.values()]
        if old:
            record = data.draw(st.sampled_from(old))
            if isinstance(record, Execution):
                assert self.core.on_execution(record, self.now_ns).tickets == ()
            else:
                self.decide(record)

    @rule(pause=st.integers(0, 4 * SECOND))
    def wait(self, pause: int) -> None:
        self.now_ns += pause
        self.publish(self.core.on_time(self.now_ns))

    @rule()
    def restart(self) -> None:
        """The process is killed; a new one knows what the topics say."""
        before, self.core = self.core, self.fresh()
        self.bought = {}
        self.core.restore(self.tickets, self.opportunities, self.now_ns)
        assert dict(self.core.positions) == dict(before.positions)
        assert {ticket.ticket_id: ticket for ticket in self.core.unfinished()} == {
            ticket.ticket_id: ticket for ticket in before.unfinished()
        }
        for basket in CLAIMS:
            for time_ns in (self.now_ns, self.now_ns + COOL_DOWN_NS):
                assert self.core.armed("g", basket, time_ns) == before.armed("g", basket, time_ns)

    @invariant()
    def pending_orders_are_the_unanswered_ones_unchanged(self) -> None:
        pending = {order.order_id: order for order in self.core.pending_orders()}
        assert pending == {key: order for key, order in self.orders.items() if key not in self.answers}

    @invariant()
    def no_basket_has_two_unfinished_tickets(self) -> None:
        newest = {ticket.ticket_id: ticket for ticket in self.tickets}
        baskets = [ticket.basket for ticket in newest.values() if not is_finished(ticket)]
        assert len(baskets) == len(set(baskets))

    @invariant()
    def no_market_is_worked_by_two_tickets(self) -> None:
        newest = {ticket.ticket_id: ticket for ticket in self.tickets}
        working = [ticket for ticket in newest.values() if not is_finished(ticket)]
        markets = [(leg.venue, leg.market) for ticket in working for leg in ticket.legs]
        assert len(markets) == len(set(markets))

    @invariant()
    def no_opportunity_has_two_tickets(self) -> None:
        first = [ticket.opportunity_id for ticket in self.tickets if ticket.revision == 1]
        assert len(first) == len(set(first))

    @invariant()
    def limits_hold(self) -> None:
        """Counted from the published tickets alone: what filled, and the worst of what may still fill."""
        newest = {ticket.ticket_id: ticket for ticket in self.tickets}.values()
        assert sum(not is_finished(ticket) for ticket in newest) <= self.limits.open_tickets
        legs = [leg for ticket in newest for leg in ticket.legs]
        contracts = sum(leg.quantity * FILL_PER_QUANTITY if is_pending(leg) else leg.fill_quantity for leg in legs)
        assert contracts <= self.limits.group_contracts * QUANTITY_SCALE * FILL_PER_QUANTITY
        for venue in ("kalshi", "polymarket"):
            here = [leg for leg in legs if leg.venue == venue]
            money = sum(worst_cost(leg) if is_pending(leg) else leg.cost + leg.fee for leg in here)
            assert money <= self.limits.venue_money


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
